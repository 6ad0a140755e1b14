//! A platform that plays faults: the two dialects that regstorm speaks, over plain HTTP on this
//! machine, with pages, tokens and a clock of its own.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the platform knows, and how it answers.
#[derive(Clone, Debug, Default)]
pub struct MockData {
    /// Start of the minute (seconds since 1970, by the platform's clock), status, count.
    pub counts: Vec<(i64, String, u64)>,
    /// Second, user, code, reason.
    pub events: Vec<(i64, String, u16, String)>,
    /// The trunk's state.
    pub state: String,
    pub registered: bool,
    pub fault: MockFault,
    /// How far its clock is ahead.
    pub skew_s: i64,
    /// Rows on a page.
    pub page: usize,
    /// Registered for so many seconds, and not for as many, by its clock; instead of `registered`.
    pub half_s: Option<i64>,
}

/// What it gets wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MockFault {
    #[default]
    None,
    /// Every list is empty, as without the permission.
    Empty,
    /// The last page has no link at all; `null`; one to itself; the page before again; one beyond
    /// the last page; a page without rows behind it.
    NoNext,
    NullNext,
    SelfNext,
    Repeats,
    Beyond,
    EmptyLast,
    /// More minutes than these are 413.
    TooLarge(i64),
    /// So many requests are refused first, with or without Retry-After.
    Busy(u32, Option<u64>),
    /// A permission is missing, and it says so.
    Forbidden,
    /// What is younger than so many seconds is not there yet.
    Late(i64),
    /// The first token ends after so many questions.
    TokenEnds(u32),
    /// Questions are taken and never answered.
    Hangs,
}

pub const CLIENT: &str = "client-1";
pub const SECRET: &str = "hunter2-secret";
/// Its id of the trunk.
pub const TRUNK: &str = "0f3a-trunk-1";

/// A platform that listens.
pub struct MockPlatform {
    pub address: SocketAddr,
    inner: Arc<Mutex<MockState>>,
}

#[derive(Debug, Default)]
struct MockState {
    data: MockData,
    /// Method and path of each request.
    asked: Vec<String>,
    refused: u32,
    tokens: u32,
    /// Questions asked with the token of now.
    with_token: u32,
}

impl MockPlatform {
    pub fn start(data: MockData) -> MockPlatform {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("bound");
        let inner = Arc::new(Mutex::new(MockState { data, ..MockState::default() }));
        let state = inner.clone();
        std::thread::spawn(move || {
            for caller in server.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(caller, &state));
            }
        });
        MockPlatform { address, inner }
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().expect("no holder panics").asked.clone()
    }

    /// Changes what it knows.
    pub fn change(&self, act: impl FnOnce(&mut MockData)) {
        act(&mut self.inner.lock().expect("no holder panics").data);
    }

    /// A profile's part that asks it about trunk `nj`.
    pub fn profile(&self, kind: &str) -> String {
        format!(
            "[safety]\nallow_platforms = [\"127.0.0.1\"]\n\n[[platform]]\nid = \"gc\"\nkind = \"{kind}\"\n\
             base_url = \"http://{}\"\nclient_id = \"{CLIENT}\"\nclient_secret_env = \"MOCK_SECRET\"\n\
             trunks = {{ nj = \"{TRUNK}\" }}\n",
            self.address
        )
    }
}

struct Request {
    method: String,
    path: String,
    authorization: String,
    body: Value,
}

fn serve(caller: TcpStream, state: &Mutex<MockState>) {
    let mut reader = BufReader::new(caller.try_clone().expect("a handle"));
    let mut caller = caller;
    while let Some(request) = read(&mut reader) {
        if state.lock().expect("no holder panics").data.fault == MockFault::Hangs {
            // Until whoever asked gives up.
            let _given_up = reader.read(&mut [0]);
            return;
        }
        let (status, headers, body) = state.lock().expect("no holder panics").answer(&request);
        let text = body.to_string();
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", text.len());
        if caller.write_all(format!("{head}{headers}\r\n{text}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|read| *read > 0).map(|_| text.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, authorization, body: serde_json::from_slice(&body).unwrap_or_default() })
}

type MockAnswer = (u16, String, Value);

impl MockState {
    fn answer(&mut self, request: &Request) -> MockAnswer {
        let now = now_s() + self.data.skew_s;
        let date = jiff::Timestamp::from_second(now).expect("a time").strftime("%a, %d %b %Y %H:%M:%S GMT");
        let date = format!("Date: {date}\r\n");
        self.asked.push(format!("{} {}", request.method, request.path));
        let (status, more, body) = self.judged(request, now);
        (status, date + &more, body)
    }

    fn judged(&mut self, request: &Request, now: i64) -> MockAnswer {
        let refuse = |status, message: &str| (status, String::new(), json!({ "message": message, "code": "refused" }));
        if request.path == "/oauth/token" {
            if request.authorization != format!("Basic {}", basic()) {
                return refuse(401, "invalid_client");
            }
            self.tokens += 1;
            self.with_token = 0;
            return (200, String::new(), json!({ "access_token": self.token(), "expires_in": 86400 }));
        }
        self.with_token += 1;
        let ended =
            matches!(self.data.fault, MockFault::TokenEnds(after) if self.tokens == 1 && self.with_token > after);
        if ended || request.authorization != format!("Bearer {}", self.token()) {
            return refuse(401, "No authentication bearer token specified");
        }
        match self.data.fault {
            MockFault::Busy(times, after) if self.refused < times => {
                self.refused += 1;
                let after = after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
                return (429, after, json!({ "message": "Rate limit exceeded", "code": "too.many.requests" }));
            }
            MockFault::Forbidden => {
                return refuse(403, "Unable to perform the requested action. Missing: analytics:read");
            }
            _ => {}
        }
        let path = request.path.split('?').next().unwrap_or_default();
        match (request.method.as_str(), path) {
            ("POST", "/api/v2/analytics/voicetrunk/queries") => self.counts(request, now),
            ("GET", path) if path.ends_with(&format!("/externaltrunks/{TRUNK}/logs")) => self.logs(request, now),
            ("GET", path) if path.ends_with(&format!("/externaltrunks/{TRUNK}")) => {
                let empty = self.data.fault == MockFault::Empty;
                (200, String::new(), if empty { json!({}) } else { json!({ "id": TRUNK, "status": self.data.state }) })
            }
            ("GET", "/api/v2/telephony/providers/edges/trunks") => self.trunks(request, now),
            ("GET", "/api/v2/telephony/siptraces") => self.traces(request, now),
            _ => refuse(404, "no such resource"),
        }
    }

    fn token(&self) -> String {
        format!("token-{}-secret", self.tokens)
    }

    fn counts(&self, request: &Request, now: i64) -> MockAnswer {
        let (from, to) = (seconds(&request.body["dateFrom"]), seconds(&request.body["dateTo"]));
        let rows = self.data.counts.iter().filter(|(at, ..)| (from..to).contains(at) && self.is_there(*at, now));
        let row = |(at, status, count): &(i64, String, u64)| {
            let interval = format!("{}/{}", rfc3339(*at), rfc3339(at + 60));
            json!({ "interval": interval, "trunkId": TRUNK, "status": status, "count": count })
        };
        let rows: Vec<Value> = rows.map(row).collect();
        self.paged("results", "nextPageUri", rows, request, (to - from) / 60)
    }

    fn logs(&self, request: &Request, now: i64) -> MockAnswer {
        let (from, to) = (query_time(request, "dateFrom"), query_time(request, "dateTo"));
        let rows = self.data.events.iter().filter(|(at, ..)| (from..=to).contains(at) && self.is_there(*at, now));
        let row = |(at, user, code, reason): &(i64, String, u16, String)| {
            json!({
                "method": "REGISTER", "sip_from": format!("<sip:{user}@genesyscloud.test>"),
                "sip_to": "<sip:genesyscloud.test>", "response_code": code, "reason_phrase": reason,
                "timestamp": rfc3339(*at),
            })
        };
        let rows: Vec<Value> = rows.map(row).collect();
        self.paged("entities", "nextUri", rows, request, (to - from) / 60)
    }

    fn traces(&self, request: &Request, now: i64) -> MockAnswer {
        let (from, to) = (query_time(request, "dateStart"), query_time(request, "dateEnd"));
        let within = self.data.events.iter().enumerate();
        let within = within.filter(|(_, (at, ..))| (from..to).contains(at) && self.is_there(*at, now));
        let row = |(n, (at, user, code, reason)): (usize, &(i64, String, u16, String))| {
            let record = |method: &str| {
                json!({
                    "id": n.to_string(), "date": rfc3339(*at), "milliTs": (at * 1000).to_string(),
                    "microTs": (at * 1_000_000).to_string(), "method": method, "cseq": format!("{} REGISTER", n + 1),
                    "fromUser": user, "fromDomain": "genesyscloud.test", "toUser": user,
                    "toDomain": "genesyscloud.test", "callid": format!("call-{n}"), "replyReason": reason,
                })
            };
            [record("REGISTER"), record(&code.to_string())]
        };
        let rows: Vec<Value> = within.flat_map(row).collect();
        let empty = self.data.fault == MockFault::Empty;
        let rows = if empty { Vec::new() } else { rows };
        match self.data.fault {
            MockFault::TooLarge(most) if (to - from) / 60 > most => (413, String::new(), json!({})),
            _ => (200, String::new(), json!({ "status": 200, "count": rows.len(), "data": rows })),
        }
    }

    fn trunks(&self, request: &Request, now: i64) -> MockAnswer {
        let is_up = self.data.half_s.map_or(self.data.registered, |half| now / half % 2 == 0);
        let register = if is_up {
            json!({ "proxyAddress": "sip.example.net:5060", "registerState": "registered",
                    "registerStateTime": rfc3339(now - 60) })
        } else {
            json!({ "proxyAddress": "sip.example.net:5060", "registerState": "unregistered",
                    "registerStateTime": rfc3339(now - 60),
                    "errorInfo": { "text": "Forbidden", "code": "register.failed",
                                   "details": { "code": "403", "message": "Forbidden", "hostname": "edge-1" } } })
        };
        let trunk = json!({
            "id": TRUNK, "name": "nj", "state": self.data.state, "inService": true, "enabled": true,
            "connectedStatus": { "connected": true, "connectedStateTime": rfc3339(now - 3600) },
            "registersStatus": [register], "optionsStatus": [],
            "selfUri": format!("/api/v2/telephony/providers/edges/trunks/{TRUNK}"),
        });
        self.paged("entities", "nextUri", vec![trunk], request, 0)
    }

    fn is_there(&self, at: i64, now: i64) -> bool {
        !matches!(self.data.fault, MockFault::Late(s) if at > now - s)
    }

    /// A page of a list, with the links and the faults of pages.
    fn paged(&self, list: &str, next: &str, rows: Vec<Value>, request: &Request, minutes: i64) -> MockAnswer {
        if matches!(self.data.fault, MockFault::TooLarge(most) if minutes > most) {
            return (413, String::new(), json!({ "message": "Payload too large", "code": "request.too.large" }));
        }
        let rows = if self.data.fault == MockFault::Empty { Vec::new() } else { rows };
        let size = self.data.page.max(1);
        let pages = rows.len().div_ceil(size).max(1);
        let page: usize = query(request, "pageNumber").and_then(|text| text.parse().ok()).unwrap_or(1);
        let link = |page: usize| {
            let (path, rest) = request.path.split_once('?').unwrap_or((&request.path, ""));
            let kept = rest.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("pageNumber="));
            let pairs: Vec<String> = kept.map(str::to_owned).chain([format!("pageNumber={page}")]).collect();
            Value::from(format!("{path}?{}", pairs.join("&")))
        };
        let shown = if self.data.fault == MockFault::Repeats { page.min(pages) } else { page };
        let from = (shown.max(1) - 1) * size;
        let on_page: Vec<Value> = rows.iter().skip(from).take(size).cloned().collect();
        let mut body = json!({ list: on_page, "pageSize": size });
        let last = page >= pages;
        match self.data.fault {
            _ if !last => body[next] = link(page + 1),
            MockFault::NullNext => body[next] = Value::Null,
            MockFault::SelfNext => body[next] = link(page),
            MockFault::Repeats | MockFault::EmptyLast => body[next] = link(page + 1),
            MockFault::Beyond => {
                body[next] = link(page + 1);
                body["pageCount"] = pages.into();
            }
            _ => {}
        }
        // The real one of Genesys numbers its pages.
        if list == "entities" && request.path.contains("/edges/") {
            let (count, total) = (Value::from(pages), Value::from(rows.len()));
            body["pageNumber"] = page.into();
            body["pageCount"] = count;
            body["total"] = total;
        }
        (200, String::new(), body)
    }
}

fn query<'a>(request: &'a Request, key: &str) -> Option<&'a str> {
    let pairs = request.path.split_once('?')?.1.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn query_time(request: &Request, key: &str) -> i64 {
    let text = query(request, key).unwrap_or_default().replace("%3A", ":");
    text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
}

fn seconds(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

pub fn rfc3339(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).expect("a time").to_string()
}

/// The wall clock, which the platform has one of its own of.
pub fn now_s() -> i64 {
    i64::try_from(regstorm::net::Clock::new().unix_ns() / 1_000_000_000).expect("a time")
}

/// `client-1:hunter2-secret` in base64.
fn basic() -> &'static str {
    "Y2xpZW50LTE6aHVudGVyMi1zZWNyZXQ="
}
