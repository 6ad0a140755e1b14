//! Servers that take connections up and are no use: what is said of them, that nothing is lost in
//! the books and that they cost no memory. What speaks no SIP or hangs up is in `streams`.

mod support;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use support::program::{Regstorm, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(120);

/// 30 agents in half a second.
fn text(registrar: &str, trunk: &str, rest: &str) -> String {
    format!(
        "[run]\nname = \"bad\"\nseed = 7\ninterval = \"1s\"\nunregister = false\n\n\
         [[trunk]]\nid = \"t\"\nregistrar = \"{registrar}\"\ndomain = \"example.test\"\n\
         agents = {{ count = 30, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         retry = {{ preset = \"none\" }}\n{trunk}\n\n\
         [[load]]\nrate = 60\nfor = \"500ms\"\n\n{rest}\n"
    )
}

fn run(dir: &Path, text: &str) -> ResultDir {
    let finished = Regstorm::run(dir, &["run", profile(dir, text), "--out", "out", "--live", "off"], LIMIT);
    assert!(finished.status.code() != Some(2), "{}", finished.stderr());
    let results = ResultDir::open(&dir.join("out"));
    results.expect_balanced();
    results
}

/// Takes up every connection and does this with it, each in a thread of its own.
fn serve(each: fn(&mut TcpStream)) -> SocketAddr {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut caller in server.incoming().flatten() {
            std::thread::spawn(move || each(&mut caller));
        }
    });
    address
}

#[track_caller]
fn expect(results: &ResultDir, id: &str, summary: &str, evidence: &str) {
    let all = results.run["findings"].as_array().expect("a list");
    let found = all.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{all:#?}"));
    for (key, part) in [("summary", summary), ("evidence", evidence)] {
        assert!(found[key].to_string().contains(part), "{part}: {}", found[key]);
    }
}

/// Reads on, so that nothing it is sent is in the way, until nothing more comes.
fn swallow(caller: &mut TcpStream) {
    while matches!(caller.read(&mut [0; 4096]), Ok(1..)) {}
}

#[test]
fn a_server_that_says_nothing_costs_a_timeout_and_its_connections_are_given_up() {
    let at = serve(swallow);
    let dir = tempfile::tempdir().expect("a directory");
    let results = run(dir.path(), &text(&format!("sip:{at};transport=tcp"), "", ""));
    assert_eq!((results.total("request_timeout"), results.total("retransmissions")), (30, 0));
    // Nothing at all came over them meanwhile (RFC 3261 §17.1.2.2, Timer F).
    assert_eq!(results.number("/trunks/0/connections/lost/connection silent"), 30.0);
    expect(&results, "no-response", "", "");
}

#[test]
fn a_server_that_sends_a_byte_a_second_is_waited_for_no_longer() {
    let at = serve(|caller| {
        let _ = caller.read(&mut [0; 4096]);
        for byte in b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK" {
            if caller.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let results = run(dir.path(), &text(&format!("sip:{at};transport=tcp"), "", ""));
    assert_eq!((results.total("request_timeout"), results.total("messages_received")), (30, 0));
}

/// Bytes without end and without sense, and a message that is announced as longer than any.
#[test]
fn what_has_no_end_is_given_up_and_costs_no_memory() {
    let most = |dir: &Path, at: SocketAddr| {
        let results = run(dir, &text(&format!("sip:{at};transport=tcp"), "", ""));
        assert_eq!(results.total("transport_error"), 30);
        assert_eq!(results.number("/trunks/0/connections/lost/no SIP on the connection"), 30.0);
        expect(&results, "connect.refused", "speaks no SIP: 30 of 30", "");
        results.number("/cpu/max_rss_bytes")
    };
    let hung_up = serve(|caller| drop(caller.write_all(b"nonsense")));
    let dir = tempfile::tempdir().expect("a directory");
    let little = most(dir.path(), hung_up);
    for endless in [
        (|caller: &mut TcpStream| {
            let header = [b"SIP/2.0 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
            while caller.write_all(&header).is_ok() {}
        }) as fn(&mut TcpStream),
        |caller| {
            let head = b"SIP/2.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            let mut more = caller.write_all(head);
            while more.is_ok() {
                more = caller.write_all(&[b'x'; 1 << 16]);
            }
        },
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let much = most(dir.path(), serve(endless));
        // Each of 30 connections may keep 64 KiB; a second, or a gigabyte, would be seen.
        assert!(much < little + f64::from(16 << 20), "{little} {much}");
    }
}

/// One that anybody may be given: for 127.0.0.1, valid today, for servers.
fn ordinary() -> CertificateParams {
    let mut parts = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    parts.distinguished_name.push(DnType::CommonName, "edge");
    parts.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parts
}

type Spoil = fn(&mut CertificateParams);

/// Six kinds of wrong certificate, each told by what is wrong with it and by what it says of
/// itself.
#[test]
fn six_wrong_certificates_are_told_apart() {
    let cases: [(&str, Spoil, &str, &str); 6] = [
        (
            "name",
            |parts| {
                parts.subject_alt_names =
                    CertificateParams::new(vec!["edge.example".to_owned()]).expect("a name").subject_alt_names
            },
            "certificate for another name",
            "it is not for 127.0.0.1",
        ),
        (
            "no-name",
            |parts| parts.subject_alt_names.clear(),
            "certificate for another name",
            "for no host name or address",
        ),
        (
            "expired",
            |parts| (parts.not_before, parts.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
            "certificate expired or not valid yet",
            "it expired ",
        ),
        (
            "early",
            |parts| (parts.not_before, parts.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1)),
            "certificate expired or not valid yet",
            "it is valid only in ",
        ),
        (
            "purpose",
            |parts| parts.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "certificate not for a server",
            "a certificate of edge",
        ),
        ("issuer", |_| {}, "certificate of an unknown issuer", "none of the trusted authorities has issued it"),
    ];
    let authority = |name: &str| {
        let mut parts = CertificateParams::new(Vec::new()).expect("no names");
        parts.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parts.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = parts.self_signed(&key).expect("signed");
        (certificate.pem(), Issuer::new(parts, key))
    };
    let ((trusted, issuer), (_, stranger)) = (authority("authority"), authority("stranger"));
    for (name, spoil, reason, says) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut parts, key) = (ordinary(), KeyPair::generate().expect("a key"));
        spoil(&mut parts);
        let signer = if name == "issuer" { &stranger } else { &issuer };
        let certificate = parts.signed_by(&key, signer).expect("signed").pem();
        for (file, pem) in [("ca.pem", &trusted), ("c.pem", &certificate), ("k.pem", &key.serialize_pem())] {
            std::fs::write(dir.path().join(file), pem).expect("ours");
        }
        let registrar = "[registrar]\nlisten = [\"tls://127.0.0.1:0\"]\ntls = { cert = \"c.pem\", key = \"k.pem\" }";
        let trunk = "tls = { ca = \"ca.pem\", server_name = \"127.0.0.1\" }";
        let results = run(dir.path(), &text("embedded", trunk, registrar));
        assert_eq!((results.total("transport_error"), results.total("messages_sent")), (30, 0), "{name}");
        expect(&results, "tls.certificate", &format!("{reason}: 30 of 30"), says);
    }
}
