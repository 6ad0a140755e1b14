//! What a registration costs on the wire side: reading a challenge and a 200, writing a REGISTER
//! without and with credentials, reading and answering it as a registrar. `rsip` is the control
//! case: it must be slower, or the bench measures nothing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regstorm::sip::contact::{SentContact, granted};
use regstorm::sip::digest;
use regstorm::sip::emit::{Authorization, Register, RegisterTemplate, TemplateParts, write_response};
use regstorm::sip::{Algorithm, AlgorithmSet, Branch, Ha1, HexDigest, Protection, Qop, Role, Token, choose, scan};
use regstorm::vocab::{AgentId, RunTag, Secret, Transport};
use std::hint::black_box;

/// As Kamailio sends them; the scanner's tests read the same.
const CHALLENGE: &[u8] = include_bytes!("../tests/messages/kamailio-401.sip");
const OK: &[u8] = include_bytes!("../tests/messages/kamailio-200.sip");

const ACCEPTED: AlgorithmSet = AlgorithmSet::EMPTY.with(Algorithm::Sha256).with(Algorithm::Md5);

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    group.bench_function("401 and its challenge", |b| {
        b.iter(|| {
            let response = scan::response(black_box(CHALLENGE)).expect("a response");
            choose(&response, ACCEPTED).expect("a challenge").nonce.len()
        });
    });
    group.bench_function("200 and its lifetime", |b| {
        b.iter(|| {
            let response = scan::response(black_box(OK)).expect("a response");
            granted(&response, &SentContact { user: b"agent00001", host: b"127.0.0.1:40000", instance: None })
        });
    });
    group.bench_function("branch only", |b| b.iter(|| scan::branch_of(black_box(OK)).map(<[u8]>::len)));
    group.bench_function("401 by rsip, untyped (control)", |b| {
        b.iter(|| rsip::Response::try_from(black_box(CHALLENGE)).expect("a response").headers.iter().count());
    });
    group.finish();
}

fn template() -> RegisterTemplate {
    RegisterTemplate::new(&TemplateParts {
        domain: "genesyscloud.test",
        transport: Transport::Udp,
        sent_by: "127.0.0.1:40000",
        route: None,
        user_agent: "regstorm",
        headers: &[],
    })
}

fn register<'a>(branch: &'a Branch, authorizations: &'a [Authorization<'a>]) -> Register<'a> {
    Register {
        user: b"agent00001",
        branch,
        call_id: b"00112233445566778899aabbccddeeff",
        from_tag: b"0123456789abcdef",
        cseq: 2,
        expires: 3600,
        authorizations,
    }
}

fn authorization(response: &HexDigest) -> Authorization<'_> {
    Authorization {
        role: Role::Registrar,
        username: b"agent00001",
        userhash: false,
        realm: b"genesyscloud.test",
        nonce: b"ZvJQ3mbyT7I0Qm9jYm9kZQ",
        opaque: None,
        algorithm: Some(Algorithm::Sha256),
        qop: Some(Qop { protection: Protection::Auth, nc: 1, cnonce: b"0a4f113b0a4f113b" }),
        response,
    }
}

fn write(c: &mut Criterion) {
    let template = template();
    let branch = Branch::new(RunTag(1), Token { agent: AgentId(2), serial: 3 });
    let ha1 = Ha1::compute(Algorithm::Sha256, b"agent00001", b"genesyscloud.test", &Secret::new("secret"));
    let response = digest::response(Algorithm::Sha256, &ha1, b"n", None, b"REGISTER", template.uri());
    let mut out = [0; 2048];
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(1));
    group.bench_function("REGISTER", |b| {
        b.iter(|| template.write(&register(black_box(&branch), &[]), &mut out));
    });
    group.bench_function("REGISTER with credentials", |b| {
        b.iter(|| template.write(&register(black_box(&branch), &[authorization(&response)]), &mut out));
    });
    let len = template.write(&register(&branch, &[]), &mut out).expect("room");
    let parsed = rsip::Request::try_from(&out[..len]).expect("a request");
    group.bench_function("REGISTER by rsip (control)", |b| {
        b.iter(|| Vec::<u8>::from(black_box(&parsed).clone()).len());
    });
    group.finish();
}

fn serve(c: &mut Criterion) {
    let branch = Branch::new(RunTag(1), Token { agent: AgentId(2), serial: 3 });
    let mut message = [0; 2048];
    let len = template().write(&register(&branch, &[]), &mut message).expect("room");
    let from = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    let mut out = [0; 2048];
    c.bench_function("serve/read a REGISTER and answer it", |b| {
        b.iter(|| {
            let request = scan::request(black_box(&message[..len])).expect("a request");
            write_response(&request, 200, "OK", from, b"0123456789abcdef", b"", &mut out)
        });
    });
}

criterion_group!(benches, read, write, serve);
criterion_main!(benches);
