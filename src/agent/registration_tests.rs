//! The agent against a script: times in milliseconds, every request read back from its bytes.
//!
//! Here are the script's words, what an attempt is and how it ends; `handshake`, `elsewhere` and
//! `departure` go on from there, and `clients` holds the presets against real clients.

mod clients;
mod departure;
mod elsewhere;
mod handshake;

use super::identity::{Credential, Identity};
use super::policy::{Backoff, RealmPolicy, RetryPolicy, TrunkPolicy};
use super::registration::{Agent, Context, Input, Outgoing};
use crate::measure::Event;
use crate::seed::Seed;
use crate::sip::challenge::credentials;
use crate::sip::emit::{RegisterTemplate, TemplateParts};
use crate::sip::{Algorithm, AlgorithmSet, Branch, scan};
use crate::vocab::{
    AgentId, Kind, LoopKind, NotSent, RequestFate, RequestKind, RunTag, Secret, Status, Time, Transport, Trouble,
    TrunkId, Unreachable,
};
use std::time::Duration;

const UNREACHABLE: Trouble = Trouble::Unreachable(Unreachable::Port);

const RUN: RunTag = RunTag(0xfeed);

/// One agent, its environment, and all it did.
struct Phone {
    agent: Agent,
    policy: TrunkPolicy,
    credential: Credential,
    template: RegisterTemplate,
    draining: bool,
    seed: Seed,
    /// Places it may go on to.
    others: u8,
    /// Requests since last looked at: when, and the text.
    sent: Vec<(u64, String)>,
    events: Vec<String>,
    clues: Vec<String>,
    /// What became of each request that ended, and when it was sent.
    requests: Vec<(RequestKind, RequestFate, Time)>,
    now: u64,
}

fn every(interval: Duration) -> RetryPolicy {
    let fixed = Backoff::Fixed { interval, jitter: 0.0 };
    RetryPolicy { recoverable: fixed, forbidden: fixed, refused: fixed, ..RetryPolicy::HAMMER }
}

fn never() -> RetryPolicy {
    RetryPolicy::NONE
}

/// The same agent in the same run, whatever the test; apart from the phone, so that its agent can
/// change meanwhile.
fn context<'a>(
    policy: &'a TrunkPolicy,
    credential: &'a Credential,
    template: &'a RegisterTemplate,
    (draining, seed, others): (bool, Seed, u8),
) -> Context<'a> {
    Context {
        agent: AgentId(5),
        policy,
        identity: Identity { trunk: TrunkId(0), number: 5, user: "alice", auth_user: "alice-auth", credential },
        seed,
        run: RUN,
        template,
        reliable: false,
        others,
        allowed: &[],
        draining,
    }
}

impl Phone {
    fn new() -> Self {
        let algorithms = Algorithm::ALL.into_iter().fold(AlgorithmSet::EMPTY, AlgorithmSet::with);
        Phone {
            agent: Agent::new(),
            policy: TrunkPolicy {
                realm: Some("example.test".into()),
                algorithms,
                expires_s: 60,
                retry: never(),
                ..TrunkPolicy::plain("example.test")
            },
            credential: Credential::Password(Secret::new("secret")),
            template: RegisterTemplate::new(&TemplateParts {
                domain: "example.test",
                transport: Transport::Udp,
                sent_by: "127.0.0.1:40000",
                route: None,
                user_agent: "regstorm",
                headers: &[],
            }),
            draining: false,
            seed: Seed(1),
            others: 0,
            sent: Vec::new(),
            events: Vec::new(),
            clues: Vec::new(),
            requests: Vec::new(),
            now: 0,
        }
    }

    fn retrying(retry: RetryPolicy) -> Self {
        let mut phone = Self::new();
        phone.policy.retry = retry;
        phone
    }

    fn time(ms: u64) -> Time {
        Time::from_millis(1_000_000 + ms)
    }

    /// The one place that touches the agent's interface.
    fn input(&mut self, ms: u64, input: Input<'_>) -> &mut Self {
        self.input_under(ms, input, true)
    }

    fn input_under(&mut self, ms: u64, input: Input<'_>, admitted: bool) -> &mut Self {
        assert!(ms >= self.now, "time goes forward");
        self.now = ms;
        let now = Self::time(ms);
        let cx = context(&self.policy, &self.credential, &self.template, (self.draining, self.seed, self.others));
        let events = &mut self.events;
        let clues = &mut self.clues;
        let requests = &mut self.requests;
        let mut note = |event: Event<'_>| match (event, clue(&event)) {
            (Event::RequestEnded(end), _) => requests.push((end.kind, end.fate, end.sent)),
            (_, Some(text)) => clues.push(text),
            (_, None) => events.push(short(&event)),
        };
        if self.agent.handle(&cx, now, input, &mut note) != Outgoing::No {
            if admitted {
                let mut buffer = [0; 2048];
                let length = self.agent.render(&cx, &mut buffer).expect("fits");
                self.sent.push((ms, String::from_utf8(buffer[..length].to_vec()).expect("text")));
                self.agent.sent(&cx, now, length, &mut note);
            } else {
                self.agent.refused(&cx, now, &mut note);
            }
        }
        self
    }

    fn deadline(&self) -> Option<u64> {
        let cx = context(&self.policy, &self.credential, &self.template, (self.draining, self.seed, self.others));
        self.agent.deadline(&cx).map(|at| at.as_nanos() / 1_000_000 - 1_000_000)
    }

    fn arrive(&mut self, ms: u64) -> &mut Self {
        self.input(ms, Input::Arrive { planned: Self::time(ms) })
    }

    /// Wakes the agent at its deadlines up to `ms`.
    fn until(&mut self, ms: u64) -> &mut Self {
        while let Some(at) = self.deadline().filter(|&at| at <= ms) {
            let before = (self.sent.len(), self.events.len(), at);
            // Deadlines are exact, the clock of this test counts milliseconds.
            self.input((at + 1).max(self.now), Input::Wake);
            let stuck = (self.sent.len(), self.events.len(), self.deadline().unwrap_or(u64::MAX)) == before;
            assert!(!stuck, "a deadline at {at} that does nothing");
        }
        self
    }

    /// Wakes the agent once, at its next deadline.
    fn due(&mut self) -> &mut Self {
        let at = self.deadline().expect("something is due");
        self.input((at + 1).max(self.now), Input::Wake)
    }

    /// Answers the request sent last, a millisecond later.
    fn then_ok(&mut self, expires: u32) -> &mut Self {
        let now = self.now;
        self.ok(now + 1, expires)
    }

    /// Answers the request sent last.
    fn reply(&mut self, ms: u64, code: u16, headers: &str) -> &mut Self {
        let request = self.last();
        self.reply_to(ms, &request, code, headers)
    }

    fn reply_to(&mut self, ms: u64, request: &str, code: u16, headers: &str) -> &mut Self {
        let view = scan::request(request.as_bytes()).expect("own request");
        let branch = std::str::from_utf8(view.branch).expect("text").to_owned();
        let text = format!(
            "SIP/2.0 {code} Reason\r\nVia: SIP/2.0/UDP 127.0.0.1:40000;branch={branch}\r\nFrom: <sip:alice@example.test>;tag=a\r\n\
             To: <sip:alice@example.test>;tag=b\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n",
            String::from_utf8_lossy(view.call_id),
            view.cseq,
        );
        let serial = Branch::parse(RUN, branch.as_bytes()).expect("own branch").serial;
        let response = scan::response(text.as_bytes()).expect("well-formed");
        self.input(ms, Input::Response { serial, response: &response, at: Self::time(ms) })
    }

    fn challenge(&mut self, ms: u64, nonce: &str, more: &str) -> &mut Self {
        let header = format!(
            "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5{more}\r\n"
        );
        self.reply(ms, 401, &header)
    }

    fn ok(&mut self, ms: u64, expires: u32) -> &mut Self {
        self.reply(ms, 200, &format!("Contact: <sip:alice@127.0.0.1:40000>;expires={expires}\r\n"))
    }

    fn last(&self) -> String {
        self.sent.last().expect("a request").1.clone()
    }

    /// (milliseconds, CSeq since the life's start, Expires, nonce and nc of the credentials) of all
    /// requests.
    fn requests(&self) -> Vec<(u64, u32, u32, String)> {
        self.sent
            .iter()
            .map(|(ms, text)| {
                let view = scan::request(text.as_bytes()).expect("own request");
                let auth = credentials(&view).map_or(String::new(), |c| {
                    let nc = c.qop_auth.map_or(0, |(nc, _)| nc);
                    format!("{}/{nc}", String::from_utf8_lossy(c.nonce))
                });
                (*ms, view.cseq - 1_000_000, view.expires.expect("present"), auth)
            })
            .collect()
    }

    fn seen(&self, what: &str) -> usize {
        self.events.iter().filter(|event| event.starts_with(what)).count()
    }
}

/// What an event says to the forensics alone; the traces of events are easier to read without it.
fn clue(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Offered(offer) => {
            let realm = String::from_utf8_lossy(offer.realm);
            Some(format!("offered {realm} {:#04x} answered {:?} stale {}", offer.offered, offer.answered, offer.stale))
        }
        Event::Granted(granted) => {
            let example = String::from_utf8_lossy(granted.example);
            Some(format!("granted {} of {} {:?} {example}", granted.granted_s, granted.asked_s, granted.echo))
        }
        _ => None,
    }
}

/// An event as one line of a trace.
fn short(event: &Event<'_>) -> String {
    match event {
        Event::Began { kind, .. } => format!("began {kind}"),
        Event::Started { .. } => "started".into(),
        Event::Request { kind } => format!("request {kind}"),
        Event::Ended(end) => format!("ended {} {} {:?}", end.status, end.code, end.place),
        Event::Challenged { code, .. } => format!("challenged {code}"),
        Event::Registered { at, until } => format!("registered {}s", until.since(*at).as_secs()),
        Event::LoopStarted { refusal, .. } => format!("loop {}", refusal.kind),
        Event::UnregisterEnded { ok, code, .. } => format!("unregister-ended {ok} {code}"),
        Event::Latency { .. } => "latency".into(),
        Event::Arrived { .. } => "arrived".into(),
        Event::Retired { .. } => "retired".into(),
        Event::Lapsed { .. } => "lapsed".into(),
        Event::CutOff { .. } => "cut off".into(),
        Event::Unregistered { .. } => "unregistered".into(),
        Event::WentOn { why, .. } => format!("went on: {why:?}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_challenged_registration_is_one_attempt_of_two_requests() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(3, "n1", "").ok(6, 60);
    assert_eq!(phone.requests(), [(0, 1, 60, String::new()), (3, 2, 60, "n1/1".into())]);
    assert_eq!(
        phone.events,
        [
            "arrived",
            "began initial",
            "started",
            "request initial",
            "challenged 401",
            "request initial",
            "ended registered 200 AfterCredentials",
            "registered 60s"
        ]
    );
}

#[test]
fn the_forensics_hear_what_was_offered_and_granted() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(3, "n1", "").challenge(5, "n2", ", stale=true").challenge(7, "n3", "");
    assert_eq!(
        phone.clues,
        [
            "offered example.test 0x01 answered Some(0) stale false",
            "offered example.test 0x01 answered Some(0) stale true",
            "offered example.test 0x01 answered None stale false",
        ]
    );
    let mut phone = Phone::new();
    phone.arrive(0).reply(2, 200, "Contact: <sip:alice@198.51.100.7:1024>;expires=30\r\n");
    let echo = "Echo { contact_rewritten: true, contact_absent: false, via_rewritten: false, translated: false }";
    assert_eq!(phone.clues, [format!("granted 30 of 60 {echo} 198.51.100.7:1024")]);
}

#[test]
fn each_request_says_what_became_of_it() {
    use RequestFate::{AtOnce, Never, Repeated};
    use RequestKind::{Credentials, First, Refresh};
    let mut phone = Phone::new();
    phone.arrive(0).challenge(3, "n1", "").input(503, Input::Wake).ok(510, 60).input(60_000, Input::Wake);
    // The refresh is repeated until its time is up.
    while let Some(at) = phone.deadline().filter(|at| *at < 100_000) {
        phone.input(at, Input::Wake);
    }
    let [first, credentials, refresh] = phone.requests[..] else { panic!("{:?}", phone.requests) };
    assert_eq!([first, credentials].map(|end| (end.0, end.1)), [(First, AtOnce), (Credentials, Repeated)]);
    assert_eq!((first.2, credentials.2), (Phone::time(0), Phone::time(3)));
    assert_eq!((refresh.0, refresh.1), (Refresh, Never));
}

#[test]
fn one_call_id_and_tag_for_a_whole_life() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(3, "n1", "").ok(6, 60).until(60_000);
    let ids: std::collections::BTreeSet<Vec<u8>> =
        phone.sent.iter().map(|(_, text)| scan::request(text.as_bytes()).expect("own").call_id.to_vec()).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn the_lifetime_granted_counts_not_the_one_asked_for() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").ok(2, 20);
    let refresh = phone.deadline().expect("a refresh");
    assert!((17_000..=19_002).contains(&refresh), "0.9 ± 0.05 of 20 s: {refresh}");
}

#[test]
fn a_refresh_reuses_the_nonce_and_is_an_attempt_of_its_own() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").ok(2, 20).due().then_ok(20);
    let requests = phone.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[2].1, requests[2].3.as_str()), (3, "n1/2"));
    assert_eq!(phone.seen("began refresh"), 1);
    assert_eq!(phone.seen("ended registered"), 2);
}

#[test]
fn every_final_code_has_its_status() {
    for (code, status) in [
        (200, Status::Registered),
        (299, Status::Registered),
        (302, Status::RegistrationRejected),
        (400, Status::RegistrationRejected),
        (403, Status::RegistrationRejected),
        (404, Status::RegistrationRejected),
        (408, Status::RequestTimeout),
        (480, Status::RegistrationRejected),
        (500, Status::ServiceUnavailable),
        (503, Status::ServiceUnavailable),
        (603, Status::RegistrationRejected),
    ] {
        let mut phone = Phone::new();
        phone.arrive(0).reply(1, code, "");
        assert_eq!(phone.seen(&format!("ended {status} {code} Unchallenged")), 1, "{code}: {:?}", phone.events);
    }
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").reply(2, 403, "");
    assert_eq!(phone.seen("ended authentication_failed 403 AfterCredentials"), 1);
}

#[test]
fn silence_is_retransmitted_by_the_table_and_ends_with_timer_f() {
    let mut phone = Phone::new();
    phone.arrive(0).until(40_000);
    let times: Vec<u64> = phone.requests().iter().map(|r| r.0 / 100 * 100).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert!(phone.sent.iter().all(|(_, text)| *text == phone.sent[0].1), "byte for byte the same");
    assert_eq!(phone.seen("Retransmitted"), 10);
    assert_eq!(phone.seen("ended request_timeout 0"), 1);
}

#[test]
fn copies_within_timer_k_are_absorbed_and_later_ones_are_late() {
    let mut phone = Phone::new();
    phone.arrive(0);
    let first = phone.last();
    phone.challenge(3, "n1", "");
    let second = phone.last();
    phone.reply_to(4, &first, 401, "").ok(5, 60).reply_to(6, &second, 200, "").reply_to(5_006, &second, 200, "");
    assert_eq!(phone.seen("DuplicateResponse"), 2);
    assert_eq!(phone.seen("LateResponse"), 1);
    assert_eq!(phone.seen("ended"), 1);
}

#[test]
fn an_answer_after_timer_f_is_late() {
    let mut phone = Phone::new();
    phone.arrive(0).until(40_000);
    let request = phone.last();
    phone.reply_to(40_001, &request, 200, "");
    assert_eq!(phone.seen("LateResponse"), 1);
    assert_eq!(phone.seen("registered"), 0);
}

#[test]
fn a_response_with_another_cseq_is_a_protocol_error() {
    let mut phone = Phone::new();
    phone.arrive(0);
    let swapped = phone.last().replace("CSeq: 1000001", "CSeq: 1000009");
    phone.reply_to(1, &swapped, 200, "");
    assert_eq!(phone.seen("ended protocol_error 200"), 1);
}

#[test]
fn the_third_equal_refusal_makes_a_loop() {
    let mut phone = Phone::retrying(every(Duration::from_secs(2)));
    phone.arrive(0).challenge(1, "n1", "").reply(2, 403, "");
    for round in 1..4u64 {
        phone.until(round * 2000 + 100);
        let now = phone.now;
        phone.challenge(now + 1, "n1", "").reply(now + 2, 403, "");
    }
    assert_eq!(phone.seen(&format!("loop {}", LoopKind::ForbiddenAfterAuth)), 1);
    assert_eq!(phone.seen("LoopGrew"), 1);
    assert_eq!(phone.seen("began retry"), 3);
    phone.until(phone.now + 2100);
    let now = phone.now;
    phone.ok(now + 1, 60);
    assert_eq!(phone.seen("LoopEnded"), 1);
}

#[test]
fn a_failed_refresh_leaves_the_agent_registered_to_the_end_of_its_lifetime() {
    let mut phone = Phone::retrying(never());
    phone.arrive(0).challenge(1, "n1", "").ok(2, 20).due().reply(19_100, 403, "");
    assert_eq!(phone.seen("lapsed"), 0);
    phone.until(60_000);
    assert_eq!(phone.seen("lapsed"), 1);
    assert_eq!(phone.seen("started"), 2, "and 403 is not repeated");
}

#[test]
fn a_shed_arrival_is_an_attempt_that_never_left() {
    let mut phone = Phone::retrying(every(Duration::from_secs(1)));
    phone.input(0, Input::Shed { planned: Phone::time(0) }).until(100_000);
    assert_eq!(phone.events, ["arrived", "ended shed 0 Unchallenged"]);
    assert!(phone.sent.is_empty());
}

#[test]
fn the_ceiling_sheds_a_first_request_and_loses_any_other() {
    let mut phone = Phone::new();
    phone.input_under(0, Input::Arrive { planned: Phone::time(0) }, false);
    assert_eq!(phone.seen("ended shed"), 1);
    assert_eq!(phone.seen("started"), 0);

    // A refused retransmission is lost; the next one goes out by Timer E.
    let mut phone = Phone::new();
    phone.arrive(0).input_under(501, Input::Wake, false).until(1_600);
    assert_eq!(phone.seen("CeilingRefused"), 1);
    assert_eq!(phone.sent.len(), 2);

    // A refused request with credentials likewise.
    let mut phone = Phone::new();
    phone.arrive(0);
    let header = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    let request = phone.last();
    let view = scan::request(request.as_bytes()).expect("own");
    let text = format!(
        "SIP/2.0 401 U\r\nVia: SIP/2.0/UDP h;branch={}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: {} REGISTER\r\n{header}\r\n",
        String::from_utf8_lossy(view.branch),
        view.cseq
    );
    let response = scan::response(text.as_bytes()).expect("well-formed");
    phone.input_under(1, Input::Response { serial: 1, response: &response, at: Phone::time(1) }, false).until(600);
    assert_eq!(phone.seen("CeilingRefused"), 1);
    assert_eq!(phone.sent.len(), 2, "Timer E sends it: {:?}", phone.events);
    assert_eq!((phone.seen("request initial"), phone.seen("Retransmitted")), (2, 0), "for the first time");
    assert_eq!(phone.seen("ended"), 0);
}

#[test]
fn an_unreachable_target_is_a_transport_error_and_retried() {
    let mut phone = Phone::retrying(every(Duration::from_secs(1)));
    phone.arrive(0).input(1, Input::Transport { serial: 1, why: UNREACHABLE }).until(1_100);
    assert_eq!(phone.seen("ended transport_error 0"), 1);
    assert_eq!(phone.seen("began retry"), 1);
    phone.input(1_200, Input::Transport { serial: 1, why: UNREACHABLE });
    assert_eq!(phone.seen("ended transport_error"), 1, "an error for an older request is ignored");
}

#[test]
fn retry_after_is_counted_when_ignored() {
    let mut phone = Phone::retrying(every(Duration::from_secs(1)));
    phone.arrive(0).reply(1, 503, "Retry-After: 30\r\n").until(1_500);
    assert_eq!(phone.seen("RetryAfterIgnored"), 1);
    assert_eq!(phone.sent.len(), 2);
}

/// Every state against every input: what is sent and told. A change of this grid is a change of
/// behaviour.
#[test]
fn every_state_meets_every_input() {
    type Setup = fn(&mut Phone);
    let states: [(&str, Setup); 8] = [
        ("idle", |_| {}),
        ("calling", |p| {
            p.arrive(0);
        }),
        ("proceeding", |p| {
            p.arrive(0).reply(1, 100, "");
        }),
        ("answering", |p| {
            p.arrive(0).challenge(1, "n1", "");
        }),
        ("registered", |p| {
            p.arrive(0).challenge(1, "n1", "").ok(2, 60);
        }),
        ("waiting to retry", |p| {
            p.arrive(0).reply(1, 503, "");
        }),
        ("unregistering", |p| {
            p.arrive(0).challenge(1, "n1", "").ok(2, 60).input(3, Input::Unregister);
        }),
        ("gone", |p| {
            p.arrive(0).challenge(1, "n1", "").ok(2, 60).input(3, Input::Unregister).ok(4, 0);
        }),
    ];
    let inputs: [(&str, Setup); 12] = [
        ("arrive", |p| {
            p.arrive(10);
        }),
        ("1xx", |p| answer(p, 100, "")),
        ("200", |p| answer(p, 200, "")),
        ("401", |p| answer(p, 401, "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n9\", qop=\"auth\"\r\n")),
        ("403", |p| answer(p, 403, "")),
        ("423", |p| answer(p, 423, "Min-Expires: 90\r\n")),
        ("malformed", |p| {
            p.input(10, Input::Malformed { serial: p.agent.serial(), at: Phone::time(10) });
        }),
        ("unreachable", |p| {
            p.input(10, Input::Transport { serial: p.agent.serial(), why: UNREACHABLE });
        }),
        ("wake late", |p| {
            p.input(100_000, Input::Wake);
        }),
        ("unregister", |p| {
            p.input(10, Input::Unregister);
        }),
        ("stop", |p| {
            p.input(10, Input::Stop);
        }),
        ("cut", |p| {
            p.input(10, Input::Cut);
        }),
    ];
    fn answer(phone: &mut Phone, code: u16, headers: &str) {
        if phone.sent.is_empty() {
            let text = format!(
                "SIP/2.0 {code} R\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n{headers}\r\n"
            );
            let response = scan::response(text.as_bytes()).expect("well-formed");
            phone.input(10, Input::Response { serial: 0, response: &response, at: Phone::time(10) });
        } else {
            phone.reply(10, code, headers);
        }
    }
    let mut grid = String::new();
    for (state, set_up) in states {
        grid.push_str(&format!("{state}\n"));
        for (input, apply) in inputs {
            let mut phone = Phone::retrying(every(Duration::from_secs(5)));
            set_up(&mut phone);
            phone.events.clear();
            let before = phone.sent.len();
            apply(&mut phone);
            let sends = if phone.sent.len() > before { " →" } else { "" };
            grid.push_str(&format!("  {input:<12}{sends} {}\n", phone.events.join(", ")));
        }
    }
    insta::assert_snapshot!(grid);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever happens, each attempt that starts ends exactly once, and none ends without
        /// having started or been shed.
        #[test]
        fn no_attempt_is_lost(steps in proptest::collection::vec((0u8..14, 1u64..40_000), 1..120)) {
            let mut phone = Phone::retrying(every(Duration::from_secs(1)));
            let mut now = 0;
            for (step, wait) in steps {
                now = (now + wait).max(phone.now);
                let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", stale=true\r\n";
                let answered = !phone.sent.is_empty();
                match step {
                    0 => { phone.arrive(now); },
                    1 if answered => { phone.reply(now, 100, ""); },
                    2 if answered => { phone.reply(now, 200, "Expires: 30\r\n"); },
                    3 if answered => { phone.reply(now, 401, challenge); },
                    4 if answered => { phone.reply(now, 403, ""); },
                    5 if answered => { phone.reply(now, 423, "Min-Expires: 99\r\n"); },
                    6 if answered => { phone.reply(now, 503, "Retry-After: 2\r\n"); },
                    7 => { phone.input(now, Input::Malformed { serial: phone.agent.serial(), at: Phone::time(now) }); },
                    8 => { phone.input(now, Input::Transport { serial: phone.agent.serial(), why: UNREACHABLE }); },
                    9 => { phone.input_under(now, Input::Wake, false); },
                    10 => phone.draining = !phone.draining,
                    11 if answered => { let old = phone.sent[0].1.clone(); { phone.reply_to(now, &old, 200, ""); } }
                    12 if wait > 39_000 => { phone.input(now, Input::Unregister); },
                    _ => { phone.input(now, Input::Wake); },
                }
                let (started, ended) = (phone.seen("started"), phone.seen("ended") - phone.seen("ended shed"));
                let open = usize::from(phone.agent.has_open_attempt());
                prop_assert_eq!(started, ended + open, "{:?}", phone.events);
            }
            phone.input(now, Input::Stop);
            prop_assert_eq!(phone.seen("started"), phone.seen("ended") - phone.seen("ended shed"));
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(Kind::ALL.map(Kind::as_str), ["initial", "refresh", "retry", "unregister"]);
    }
}
