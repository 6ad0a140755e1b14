//! Probes: against the registrar under virtual time, where every answer is known, and once over a
//! real socket.

use regstorm::agent::Credential;
use regstorm::agent::probe::{
    AnswerRule, Call, Probe, ProbeEnd, ProbeMethod, ProbeOutcome, ProbeRequest, QopRule, RealmRule, Todo,
};
use regstorm::engine::{Carrier, ClientLayers, Listening, ProbeSocket, Server, StreamPort};
use regstorm::net::Clock;
use regstorm::net::udp::{Udp, UdpOptions};
use regstorm::registrar::{Config, Fault, FaultKind, Peer, Registrar};
use regstorm::seed::Seed;
use regstorm::sip::challenge::Unusable;
use regstorm::sip::{Algorithm, AlgorithmSet, Protection, Timers};
use regstorm::vocab::{Place, Secret, Time, Transport};
use std::net::SocketAddr;
use std::time::Duration;

const REALM: &str = "genesyscloud.test";
const TENANT: &str = "genesyscloud.test;tenant=acme";

fn request(user: &str) -> ProbeRequest {
    ProbeRequest {
        method: ProbeMethod::Register,
        transport: Transport::Udp,
        user: user.to_owned(),
        domain: REALM.to_owned(),
        auth_user: user.to_owned(),
        credential: Credential::Password(Secret::new("secret")),
        expires_s: 600,
        contact_user: None,
        contact_host: None,
        call: Call::new(Seed(7), 0),
        answer: AnswerRule::default(),
        route: None,
        user_agent: "probe".to_owned(),
        headers: Vec::new(),
        timers: Timers::default(),
        patience: Duration::from_secs(32),
    }
}

fn config(faults: Vec<FaultKind>) -> Config {
    let fault = |kind| Fault {
        kind,
        from: Duration::ZERO,
        until: None,
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    };
    Config { faults: faults.into_iter().map(fault).collect(), ..Config::open(REALM, "secret") }
}

fn registrar(faults: Vec<FaultKind>) -> Registrar {
    Registrar::new(config(faults), Seed(1), Time::ORIGIN)
}

fn local() -> SocketAddr {
    "127.0.0.1:40000".parse().expect("an address")
}

/// Runs a probe against a registrar that answers at once; time passes only by timers.
fn exchange(registrar: &mut Registrar, request: &ProbeRequest) -> ProbeOutcome {
    let mut now = Time::from_secs(10);
    let from = Peer::from(local());
    let mut probe = Probe::new(request, local());
    let mut todo = probe.start(now);
    let mut buffer = vec![0; 4096];
    loop {
        todo = match todo {
            Todo::Done => return probe.finish(),
            Todo::Send => {
                registrar.receive(now, from, probe.bytes());
                Todo::Wait
            }
            Todo::Wait => match registrar.poll_transmit(now, &mut buffer) {
                Some((len, _)) => probe.receive(now, &buffer[..len]),
                None => {
                    now = probe.deadline();
                    probe.wake(now)
                }
            },
        };
    }
}

#[test]
fn a_registration_tells_everything_it_saw() {
    let mut registrar = registrar(Vec::new());
    let outcome = exchange(&mut registrar, &request("alice"));
    assert!(outcome.is_granted());
    assert_eq!((outcome.steps.len(), outcome.place()), (2, Place::AfterCredentials));
    let offers: Vec<_> = outcome.offers().iter().map(|o| (o.realm.as_str(), o.algorithm.as_str())).collect();
    assert_eq!(offers, [(REALM, "SHA-256"), (REALM, "MD5")]);
    assert_eq!(outcome.offers()[0].qops, ["auth"]);
    let answer = outcome.answer().expect("granted");
    assert_eq!((answer.code, answer.granted_s), (200, Some(600)));
    assert_eq!((answer.received.as_deref(), answer.rport), (Some("127.0.0.1"), Some(40000)));
    assert_eq!(answer.contacts, [("sip:alice@127.0.0.1:40000".to_owned(), Some(600))]);
    let sent = outcome.credentials().expect("credentials were sent");
    assert_eq!((sent.algorithm, sent.qop), (Algorithm::Sha256, Some(Protection::Auth)));
    assert_eq!(registrar.counts().bindings, 1);
}

#[test]
fn a_binding_is_removed_by_the_same_call() {
    let mut registrar = registrar(Vec::new());
    let granted = exchange(&mut registrar, &request("alice"));
    let removal = ProbeRequest { expires_s: 0, call: granted.call, ..request("alice") };
    let removed = exchange(&mut registrar, &removal);
    assert!(removed.is_granted());
    assert_eq!(removed.call.cseq(), 4, "the sequence rises within the call");
    assert_eq!(registrar.counts().bindings, 0);
}

#[test]
fn realm_of_header_and_hash_are_chosen_apart() {
    let realm = |text: &str| RealmRule::Text(text.to_owned());
    let table = [
        (RealmRule::Challenged, RealmRule::Challenged, false),
        (realm(TENANT), realm(TENANT), true),
        (realm(TENANT), RealmRule::Challenged, false),
        (RealmRule::Challenged, realm(TENANT), false),
    ];
    for (header_realm, hash_realm, granted) in table {
        let fault = FaultKind::Realm { challenge: REALM.to_owned(), verify: TENANT.to_owned() };
        let answer = AnswerRule { header_realm, hash_realm, ..AnswerRule::default() };
        let outcome = exchange(&mut registrar(vec![fault]), &ProbeRequest { answer, ..request("alice") });
        assert_eq!(outcome.is_granted(), granted, "{:?}", outcome.credentials());
    }
}

#[test]
fn algorithm_and_qop_are_chosen() {
    let md5 = AlgorithmSet::EMPTY.with(Algorithm::Md5);
    for (qop, sent) in [
        (QopRule::Offered, Some(Protection::Auth)),
        (QopRule::AuthInt, Some(Protection::AuthInt)),
        (QopRule::None, None),
    ] {
        let answer = AnswerRule { algorithms: md5, qop, ..AnswerRule::default() };
        let outcome = exchange(&mut registrar(Vec::new()), &ProbeRequest { answer, ..request("alice") });
        let credentials = outcome.credentials().expect("credentials were sent");
        assert_eq!((credentials.algorithm, credentials.qop), (Algorithm::Md5, sent));
        // The embedded registrar offers `auth` and takes an answer without qop; `auth-int` it does
        // not know.
        assert_eq!(outcome.is_granted(), qop != QopRule::AuthInt, "{qop:?}");
    }
}

#[test]
fn what_cannot_be_answered_ends_with_the_reason() {
    let only = |algorithm| AnswerRule { algorithms: AlgorithmSet::EMPTY.with(algorithm), ..AnswerRule::default() };
    let request = ProbeRequest { answer: only(Algorithm::Sha512_256), ..request("alice") };
    let outcome = exchange(&mut registrar(Vec::new()), &request);
    assert_eq!(outcome.end, ProbeEnd::Unusable(Unusable::NoAcceptedAlgorithm));
    let required_realm = Some(TENANT.to_owned());
    let request = ProbeRequest { answer: AnswerRule { required_realm, ..AnswerRule::default() }, ..request };
    let outcome = exchange(&mut registrar(Vec::new()), &request);
    assert_eq!(outcome.end, ProbeEnd::Unusable(Unusable::Realm));
    assert_eq!(outcome.place(), Place::Unchallenged);
}

#[test]
fn refusals_are_told_with_their_place() {
    let table = [
        (FaultKind::Deny { code: 403, reason: "Forbidden".to_owned() }, Place::Unchallenged),
        (FaultKind::Refuse { code: 403, reason: "Authentication Failed".to_owned() }, Place::AfterCredentials),
    ];
    for (fault, place) in table {
        let outcome = exchange(&mut registrar(vec![fault]), &request("alice"));
        assert_eq!((outcome.end.clone(), outcome.place()), (ProbeEnd::Answered, place));
        assert_eq!(outcome.answer().map(|answer| answer.code), Some(403));
    }
    let wrong = ProbeRequest { credential: Credential::Password(Secret::new("wrong")), ..request("alice") };
    let outcome = exchange(&mut registrar(Vec::new()), &wrong);
    assert_eq!((outcome.answer().map(|answer| answer.code), outcome.steps.len()), (Some(401), 2));
    assert!(!format!("{wrong:?} {outcome:?}").contains("wrong"));
}

#[test]
fn one_stale_nonce_and_one_423_are_answered() {
    let outcome = exchange(&mut registrar(vec![FaultKind::Stale]), &request("alice"));
    assert_eq!((outcome.steps.len(), outcome.answer().map(|answer| answer.code)), (3, Some(401)));
    let brief = ProbeRequest { expires_s: 2, ..request("alice") };
    let outcome = exchange(&mut registrar(Vec::new()), &brief);
    assert!(outcome.is_granted());
    assert_eq!(outcome.asked_expires_s, 5);
}

#[test]
fn silence_is_met_with_retransmissions_until_patience_ends() {
    let mut registrar = registrar(vec![FaultKind::Drop { probability: 1.0 }]);
    let outcome = exchange(&mut registrar, &request("alice"));
    assert_eq!((outcome.end.clone(), outcome.retransmissions()), (ProbeEnd::TimedOut, 10));
    assert_eq!(outcome.took(), Duration::from_secs(32));
    let hurried = ProbeRequest { patience: Duration::from_secs(2), ..request("alice") };
    let outcome = exchange(&mut registrar, &hurried);
    assert_eq!((outcome.retransmissions(), outcome.took()), (2, Duration::from_secs(2)));
}

#[test]
fn options_are_answered_without_a_binding() {
    let mut registrar = registrar(Vec::new());
    let options = ProbeRequest { method: ProbeMethod::Options, ..request("alice") };
    let outcome = exchange(&mut registrar, &options);
    assert!(outcome.is_granted());
    assert_eq!(registrar.counts().bindings, 0);
    assert_eq!(registrar.counts().options_answered, 1);
}

#[test]
fn a_contact_of_its_own_is_what_gets_bound() {
    let mut registrar = registrar(Vec::new());
    let contact = ProbeRequest {
        contact_user: Some("desk 7".to_owned()),
        contact_host: Some("192.0.2.7:5090".to_owned()),
        ..request("alice")
    };
    let outcome = exchange(&mut registrar, &contact);
    let answer = outcome.answer().expect("granted");
    assert_eq!(answer.contacts, [("sip:desk%207@192.0.2.7:5090".to_owned(), Some(600))]);
    assert_eq!(answer.granted_s, Some(600));
}

/// The same over a connection, which is opened again when the registrar was away.
#[test]
fn over_a_connection() {
    let clock = Clock::new();
    let start = |at: &str| {
        let port = StreamPort::bind(at.parse().expect("an address"), None, false).expect("loopback");
        let registrar = Registrar::new(config(Vec::new()), Seed(1), clock.now());
        Server::start(registrar, Listening { streams: vec![port], ..Listening::default() }, 2, clock).expect("threads")
    };
    let server = start("127.0.0.1:0");
    let (_, target) = server.addresses()[0];
    let over_tcp = |user: &str| ProbeRequest { transport: Transport::Tcp, ..request(user) };
    let mut socket =
        ProbeSocket::open(&Carrier::Connection(ClientLayers::default()), None, target, clock).expect("loopback");
    let granted = socket.exchange(&over_tcp("alice"));
    assert!(granted.is_granted(), "{granted:?}");
    assert_eq!(granted.answer().and_then(|answer| answer.rport), Some(socket.local_addr().port()));
    drop(server);
    let gone = socket.exchange(&over_tcp("alice"));
    assert!(matches!(&gone.end, ProbeEnd::Transport(why) if why.starts_with("connection")), "{gone:?}");
    let _server = start(&target.to_string());
    assert!(socket.exchange(&over_tcp("alice")).is_granted());
}

/// The real thing: two ports, a registrar behind a socket, and a port where nobody listens.
#[test]
fn over_a_socket() {
    let clock = Clock::new();
    let options = UdpOptions { error_queue: false, ..UdpOptions::default() };
    let listening = Udp::bound("127.0.0.1:0".parse().expect("an address"), &options).expect("loopback");
    let registrar = Registrar::new(config(Vec::new()), Seed(1), clock.now());
    let server = Server::start(registrar, Listening { udp: vec![listening], ..Listening::default() }, 1, clock)
        .expect("a thread");
    let (_, target) = server.addresses()[0];
    let source = Some("127.0.0.2".parse().expect("an address"));
    let mut socket = ProbeSocket::open(&Carrier::Datagrams, source, target, clock).expect("loopback");
    let granted = socket.exchange(&request("alice"));
    assert!(granted.is_granted(), "{granted:?}");
    assert_eq!(granted.answer().and_then(|answer| answer.rport), Some(socket.local_addr().port()));
    assert!(granted.took() > Duration::ZERO);
    let removal = ProbeRequest { expires_s: 0, call: granted.call, ..request("alice") };
    assert!(socket.exchange(&removal).is_granted());
    assert_eq!(server.stop().expect("it served").bindings, 0);
    let gone = socket.exchange(&request("alice"));
    assert_eq!(gone.end, ProbeEnd::Transport("port unreachable".to_owned()), "{gone:?}");
}
