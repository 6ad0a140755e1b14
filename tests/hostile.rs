//! What a hostile registrar says: digests that come back and characters that steer a terminal, hide
//! or compute are in nothing that regstorm prints or writes.

mod support;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use support::program::{Finished, Regstorm, profile};

const LIMIT: Duration = Duration::from_secs(60);

/// Escape, NUL, CSI in one character, DEL, right-to-left override, zero width space, tag.
const STEERING: [char; 7] = ['\u{1b}', '\0', '\u{9b}', '\u{7f}', '\u{202e}', '\u{200b}', '\u{e0041}'];

/// A registrar that quotes the digest it was sent: user 0 in the reason, 1 in the realm, 2 in the
/// Contact; 3 gets a formula, 4 one of another kind.
struct Quoting {
    address: SocketAddr,
    digests: Arc<Mutex<HashSet<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Quoting {
    fn start() -> Quoting {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket of our own");
        let address = socket.local_addr().expect("bound");
        let (digests, stop) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ends) = (Arc::clone(&digests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut datagram = [0; 4096];
            while !ends.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                let request = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let digest = parameter(&request, "response");
                if let Some(digest) = &digest {
                    kept.lock().expect("no holder panics").insert(digest.clone());
                }
                drop(socket.send_to(&answer(&request, digest.as_deref()), from));
            }
        });
        Quoting { address, digests, stop, thread: Some(thread) }
    }

    /// Nothing of what was written holds a digest or an unseen character.
    fn expect_clean(&self, what: &str, bytes: &[u8], is_text: bool) {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for digest in self.digests.lock().expect("no holder panics").iter() {
            assert!(!text.contains(digest.as_str()), "{what} shows the digest {digest}");
        }
        for steering in STEERING.into_iter().filter(|_| is_text) {
            assert!(!text.contains(steering), "{what} holds {steering:?}");
        }
    }

    fn expect_clean_output(&self, what: &str, output: &Finished) {
        self.expect_clean(&format!("stdout of {what}"), &output.stdout, true);
        self.expect_clean(&format!("stderr of {what}"), &output.stderr, true);
    }

    fn expect_clean_files(&self, directory: &Path) {
        let files = std::fs::read_dir(directory).expect("a directory of results");
        for file in files.map(|file| file.expect("readable").path()) {
            let name = file.file_name().expect("a file").to_string_lossy().into_owned();
            let is_text = !matches!(name.as_str(), "record.bin" | "failures.pcapng");
            self.expect_clean(&name, &std::fs::read(&file).expect("readable"), is_text);
        }
    }
}

impl Drop for Quoting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn parameter(request: &str, name: &str) -> Option<String> {
    let (_, behind) = request.split_once(&format!(" {name}=\""))?;
    Some(behind.split('"').next()?.to_owned())
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let lines = request.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

fn answer(request: &str, digest: Option<&str>) -> Vec<u8> {
    let steering: String = STEERING.iter().collect();
    let to = header(request, "To");
    let user = to.split_once("sip:u").and_then(|(_, rest)| rest.chars().next()).unwrap_or('0');
    let challenge = "WWW-Authenticate: Digest realm=\"a.test\", nonce=\"n0\", algorithm=SHA-256\r\n".to_owned();
    let (status, fields) = match (digest, user) {
        (None, _) if request.starts_with("OPTIONS") => ("200 OK".to_owned(), String::new()),
        (None, _) => ("401 Unauthorized".to_owned(), challenge),
        (Some(_), _) if header(request, "Expires") == "0" => ("200 OK".to_owned(), String::new()),
        (Some(digest), '0') => (format!("403 {steering}[31m bad {} bad", digest.to_uppercase()), String::new()),
        (Some(digest), '1') => {
            ("401 Unauthorized".to_owned(), challenge.replace("a.test", &format!("{digest}{steering}")))
        }
        (Some(digest), '2') => {
            ("200 OK".to_owned(), format!("Contact: <sip:u2@{digest}.test{steering}>;expires=60\r\n"))
        }
        (Some(_), '3') => ("403 =cmd|'/c calc'!A1".to_owned(), String::new()),
        (Some(_), _) => ("403 +1+1".to_owned(), String::new()),
    };
    let (via, from) = (header(request, "Via"), header(request, "From"));
    let quoted = digest.unwrap_or_default();
    let (call, cseq) = (header(request, "Call-ID"), header(request, "CSeq"));
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=t\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n{fields}\
         Server: x{steering}\r\nWarning: 399 x \"{quoted}{steering}\"\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn text(address: SocketAddr) -> String {
    format!(
        "[run]\nname = \"hostile\"\nseed = 7\ninterval = \"1s\"\ndrain = \"3s\"\n\n\
         [[trunk]]\nid = \"nj\"\nregistrar = \"sip:{address}\"\ndomain = \"a.test\"\nexpires = \"60s\"\n\
         agents = {{ count = 5, user = \"u{{n}}\", password = \"secret\" }}\nretry = {{ preset = \"none\" }}\n\n\
         [[load]]\nrate = 50\nfor = \"100ms\"\n"
    )
}

#[test]
fn nothing_that_was_quoted_steers_computes_or_betrays() {
    let (dir, server) = (tempfile::tempdir().expect("tempdir"), Quoting::start());
    let file = profile(dir.path(), &text(server.address));
    let output = Regstorm::run(dir.path(), &["run", file, "--out", "out", "--live", "plain"], LIMIT);
    server.expect_clean_output("run", &output);
    let out = dir.path().join("out");
    server.expect_clean_files(&out);
    let digests = server.digests.lock().expect("no holder panics").len();
    assert!(digests >= 5, "{digests} digests were sent");

    let csv = |name: &str| std::fs::read_to_string(out.join(name)).expect(name);
    for (name, formula) in [("responses.csv", ",'=cmd|'/c calc'!A1,"), ("agents.csv", ",'+1+1,")] {
        assert!(csv(name).contains(formula), "{name}:\n{}", csv(name));
    }
    assert!(csv("responses.csv").contains("\u{fffd}[31m bad ****"), "{}", csv("responses.csv"));
    // A program gets the characters back, as escapes.
    let run: serde_json::Value = serde_json::from_str(&csv("run.json")).expect("JSON");
    assert!(run["findings"].to_string().contains('\u{9b}'), "{}", run["findings"]);

    let json = Regstorm::run(dir.path(), &["report", "out", "--json"], LIMIT);
    server.expect_clean_output("report --json", json.expect_code(0));
    let diagnosed = Regstorm::run(dir.path(), &["diagnose", "out"], LIMIT);
    server.expect_clean_output("diagnose", &diagnosed);
    let diagnosed = Regstorm::run(dir.path(), &["diagnose", "out", "--json"], LIMIT);
    server.expect_clean_output("diagnose --json", &diagnosed);
}

#[test]
fn commands_that_ask_one_agent_are_as_careful() {
    let (dir, server) = (tempfile::tempdir().expect("tempdir"), Quoting::start());
    let file = profile(dir.path(), &text(server.address));
    for user in ["u0", "u1", "u2", "u3"] {
        let one = format!("trunk.0.agents.user={user}");
        let set = ["--set", "trunk.0.agents.count=1", "--set", &one];
        for command in
            [vec!["preflight", file], vec!["preflight", file, "--json"], vec!["watch", file, "--for", "200ms"]]
        {
            let output = Regstorm::run(dir.path(), &[&command[..], &set].concat(), LIMIT);
            server.expect_clean_output(&format!("{command:?} {user}"), &output);
        }
        let live = ["diagnose", "--live", file, "--rate", "20", "--timeout", "1s"];
        for json in [&[][..], &["--json"]] {
            let output = Regstorm::run(dir.path(), &[&live, json, &set[..]].concat(), LIMIT);
            server.expect_clean_output(&format!("diagnose --live {user}"), &output);
        }
        let out = format!("limits-{user}");
        let limits = ["limits", file, "--out", &out, "--only", "concurrent", "--settle", "0s"];
        let output = Regstorm::run(dir.path(), &[&limits, &set[..]].concat(), LIMIT);
        server.expect_clean_output(&format!("limits {user}"), &output);
        if dir.path().join(&out).exists() {
            server.expect_clean_files(&dir.path().join(&out));
        }
    }
}

/// A registrar that takes everybody, and asks each of them a hundred things for every request.
#[test]
fn a_flood_of_options_is_answered_within_bounds_and_sheds_nobody() {
    const FLOOD: u32 = 100;
    let dir = tempfile::tempdir().expect("tempdir");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket of our own");
    let address = socket.local_addr().expect("bound");
    let stop = AtomicBool::new(false);
    let text = format!(
        "[run]\nname = \"flood\"\nseed = 7\ninterval = \"1s\"\n[safety]\nmax_message_rate = 1000\n\n\
         [[trunk]]\nid = \"nj\"\nregistrar = \"sip:{address}\"\ndomain = \"a.test\"\nexpires = \"60s\"\n\
         agents = {{ count = 300, user = \"u{{n}}\", password = \"secret\" }}\nretry = {{ preset = \"none\" }}\n\n\
         [[load]]\nrate = 100\nfor = \"3s\"\n"
    );
    let (answered, asked) = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut datagram, mut answered, mut asked) = ([0; 4096], 0u32, 0u32);
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                let request = String::from_utf8_lossy(&datagram[..length]).into_owned();
                if !request.starts_with("REGISTER ") {
                    answered += u32::from(request.starts_with("SIP/2.0 200"));
                    continue;
                }
                drop(socket.send_to(&taken(&request), from));
                for _ in 0..FLOOD {
                    asked += 1;
                    drop(socket.send_to(&question(&request, asked), from));
                }
            }
            (answered, asked)
        });
        let run = Regstorm::run(dir.path(), &["run", profile(dir.path(), &text), "--out", "out"], LIMIT);
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(run.status.code(), Some(0 | 1 | 3)), "{run:?}");
        server.join().expect("no panic")
    });
    let run = std::fs::read(dir.path().join("out/run.json")).expect("a result");
    let run: serde_json::Value = serde_json::from_slice(&run).expect("JSON");
    let number = |place: &str| run.pointer(place).and_then(serde_json::Value::as_u64).expect("a count");
    assert_eq!((number("/totals/shed"), number("/totals/ceiling_refused")), (0, 0), "the load's own share is its own");
    assert_eq!(number("/totals/registered"), 300);
    let (told, refused) = (number("/generator/requests_answered"), number("/generator/requests_unanswered"));
    assert!(answered > 0 && told >= u64::from(answered) && refused > 0, "{told} told, {answered} seen, {asked} asked");
    // A tenth of the ceiling in any second, and no more.
    let seconds = run["duration_s"].as_f64().expect("a number").ceil() + 1.0;
    assert!(told as f64 <= 100.0 * seconds, "{told} answers in {seconds} s");
}

/// A 200 with the binding that was asked for.
fn taken(request: &str) -> Vec<u8> {
    let [via, from, to, call, cseq, contact] =
        ["Via", "From", "To", "Call-ID", "CSeq", "Contact"].map(|name| header(request, name));
    let expires = header(request, "Expires");
    let contact = if expires == "0" { String::new() } else { format!("Contact: {contact};expires={expires}\r\n") };
    format!(
        "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=t\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n\
         {contact}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// An OPTIONS to whoever sent a request.
fn question(request: &str, number: u32) -> Vec<u8> {
    let to = header(request, "To");
    format!(
        "OPTIONS sip:u0@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKq{number}\r\n\
         From: <sip:s@a.test>;tag=s{number}\r\nTo: {to}\r\nCall-ID: q{number}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}
