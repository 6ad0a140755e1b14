//! A server that answers from another port than was asked (RFC 3261 §18.1.2): its answers are taken
//! and told, or not taken where the profile says so; and requests of its own are answered where
//! they come from.

mod support;

use regstorm::sip::{emit, scan};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use support::program::{Regstorm, profile};
use support::results::ResultDir;

/// Takes requests at one port and answers them, 200 to all, from another; what comes back to the
/// other is kept.
struct TwoPorts {
    asked: SocketAddr,
    answering: UdpSocket,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl TwoPorts {
    /// `first`: what the first request brings beside its answer.
    fn start(first: Vec<String>) -> TwoPorts {
        let [asked, answering] = [(), ()].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        asked.set_read_timeout(Some(Duration::from_millis(50))).expect("a duration above zero");
        answering.set_read_timeout(Some(Duration::from_secs(10))).expect("a duration above zero");
        let (address, from) = (asked.local_addr().expect("bound"), answering.try_clone().expect("a descriptor"));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let server = std::thread::spawn(move || {
            let mut first = Some(first);
            let (mut bytes, mut answer) = ([0; 4096], [0; 4096]);
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, phone)) = asked.recv_from(&mut bytes) else { continue };
                let Ok(request) = scan::request(&bytes[..len]) else { continue };
                for text in first.take().into_iter().flatten() {
                    from.send_to(text.as_bytes(), phone).expect("loopback");
                }
                let len = emit::write_response(&request, 200, "OK", phone, b"tag", b"", &mut answer).expect("room");
                from.send_to(&answer[..len], phone).expect("loopback");
            }
        });
        TwoPorts { asked: address, answering, stop, server: Some(server) }
    }

    fn from(&self) -> SocketAddr {
        self.answering.local_addr().expect("bound")
    }

    fn run(&self, unregister: bool, trunk: &str) -> (tempfile::TempDir, ResultDir) {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let text = format!(
            "[run]\ninterval = \"5s\"\ndrain = \"2s\"\nunregister = {unregister}\n[generator]\nlate = \"1s\"\nstall = \"5s\"\n[[trunk]]\nid = \"t\"\n\
             registrar = \"sip:{}\"\ndomain = \"d.test\"\n{trunk}\nagents = {{ count = 20, user = \"a{{n}}\", \
             password = \"s\" }}\n[[load]]\nrate = 20\nfor = \"1s\"\n",
            self.asked
        );
        let args = ["run", profile(dir.path(), &text), "--out", "out", "--live", "off"];
        Regstorm::run(dir.path(), &args, Duration::from_secs(60));
        let results = ResultDir::open(&dir.path().join("out"));
        (dir, results)
    }
}

impl Drop for TwoPorts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.server.take().map(JoinHandle::join));
    }
}

fn request(method: &str, to: &str) -> String {
    format!(
        "{method} sip:a0@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:s@d.test>;tag=1\r\nTo: {to}\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn answers_from_another_port_are_taken_and_told() {
    let aor = "<sip:a0@d.test>";
    let dialog = "<sip:a0@d.test>;tag=known-to-nobody";
    let mut asks: Vec<String> = ["OPTIONS", "NOTIFY", "INVITE"].map(|method| request(method, aor)).into();
    asks.push(request("NOTIFY", dialog).replace("Call-ID: NOTIFY", "Call-ID: dialog"));
    asks.push("this is no SIP at all\r\n".to_owned());
    let server = TwoPorts::start(asks);
    let (_dir, results) = server.run(true, "");
    assert_eq!((results.total("registered"), results.total("request_timeout")), (20, 0));
    let found = results.table("findings.csv");
    let [told] = &found.rows.iter().filter(|row| row["id"] == "answers.from-elsewhere").collect::<Vec<_>>()[..] else {
        panic!("{:?}", found.rows)
    };
    assert!(told["summary"].contains(&server.from().to_string()), "{}", told["summary"]);
    // Twenty registrations and twenty removals.
    assert_eq!(told["attempts"], "40");

    // They are counted with the agent that their URI names.
    let asked = results.run["trunks"][0]["asked"].as_array().expect("a list").clone();
    let of = |method: &str, key: &str| -> u64 {
        let rows = asked.iter().filter(|row| row["method"] == method);
        rows.map(|row| row[key].as_u64().expect("a number")).sum()
    };
    let counted = ["OPTIONS", "NOTIFY", "INVITE"].map(|method| (of(method, "count"), of(method, "agents")));
    assert_eq!(counted, [(1, 1), (2, 1), (1, 1)], "{asked:#?}");

    // The requests were answered where they came from.
    let mut bytes = [0; 4096];
    let mut answers: Vec<(String, u16, bool)> = Vec::new();
    while answers.len() < 4 {
        let (len, _) = server.answering.recv_from(&mut bytes).expect("an answer to each");
        let answer = scan::response(&bytes[..len]).expect("an answer");
        let allows = answer.headers("Allow").next().is_some();
        let call = bytes[..len].windows(7).any(|text| text == b"dialog\r");
        let name = if call { "dialog".to_owned() } else { String::from_utf8_lossy(answer.cseq_method).into_owned() };
        answers.push((name, answer.code, allows));
    }
    answers.sort();
    let expected = [("INVITE", 405, true), ("NOTIFY", 200, false), ("OPTIONS", 200, true), ("dialog", 481, false)];
    assert_eq!(answers, expected.map(|(name, code, allows)| (name.to_owned(), code, allows)));
}

#[test]
fn a_strict_profile_takes_answers_from_its_target_only() {
    let server = TwoPorts::start(Vec::new());
    let (_dir, results) = server.run(false, "accept_from = \"target\"");
    assert_eq!((results.total("registered"), results.total("abandoned")), (0, 20));
}
