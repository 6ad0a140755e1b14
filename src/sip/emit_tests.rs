//! Tests of what is written: REGISTERs and responses byte by byte, read back by our scanner and by
//! `rsip`, and that nothing written can break out of its line.

use super::super::branch::Token;
use super::super::challenge::credentials;
use super::super::contact::{SentContact, contacts, granted};
use super::super::digest::{self, Covered, Ha1, Protection};
use super::super::scan;
use super::*;
use crate::vocab::{AgentId, RunTag, Secret, Transport};
use proptest::prelude::*;
use rsip::prelude::{HeadersExt, ToTypedHeader};

fn parts<'a>(headers: &'a [(String, String)]) -> TemplateParts<'a> {
    TemplateParts {
        domain: "genesyscloud.test",
        transport: Transport::Udp,
        sent_by: "127.0.0.1:40000",
        route: None,
        user_agent: "regstorm/0.1",
        headers,
    }
}

fn branch() -> Branch {
    Branch::new(RunTag(1), Token { agent: AgentId(2), serial: 3 })
}

fn register<'a>(user: &'a [u8], branch: &'a Branch) -> Register<'a> {
    Register {
        user,
        branch,
        call_id: b"00112233445566778899aabbccddeeff",
        from_tag: b"0123456789abcdef",
        cseq: 1,
        expires: 3600,
        authorizations: &[],
    }
}

fn written(template: &RegisterTemplate, register: &Register<'_>) -> String {
    let mut out = [0; 2048];
    let len = template.write(register, &mut out).expect("room enough");
    String::from_utf8(out[..len].to_vec()).expect("text")
}

#[test]
fn a_register_byte_by_byte() {
    let template = RegisterTemplate::new(&parts(&[]));
    assert_eq!(
        written(&template, &register(b"agent00002", &branch())),
        "REGISTER sip:genesyscloud.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK000000010000000200000003;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:agent00002@genesyscloud.test>;tag=0123456789abcdef\r\n\
         To: <sip:agent00002@genesyscloud.test>\r\n\
         Call-ID: 00112233445566778899aabbccddeeff\r\n\
         CSeq: 1 REGISTER\r\n\
         Contact: <sip:agent00002@127.0.0.1:40000>\r\n\
         Expires: 3600\r\n\
         User-Agent: regstorm/0.1\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(template.uri(), b"sip:genesyscloud.test");
    assert_eq!(template.contact_host(), b"127.0.0.1:40000");
}

#[test]
fn with_everything_a_trunk_can_ask_for() {
    let headers = [("X-Site".to_owned(), "NJ".to_owned()), ("X-Other".to_owned(), "1".to_owned())];
    let all = TemplateParts {
        transport: Transport::Tcp,
        sent_by: "[::1]:40000",
        route: Some("<sip:127.0.0.1:5060;lr>"),
        ..parts(&headers)
    };
    let ha1 = Ha1::compute(Algorithm::Sha256, b"a", b"r", &Secret::new("p"));
    let response = digest::response(Algorithm::Sha256, &ha1, b"n", None, b"REGISTER", b"sip:genesyscloud.test");
    let branch = branch();
    let authorization = Authorization {
        role: Role::Registrar,
        username: b"a\"b\\",
        userhash: false,
        realm: b"r, \\\"s",
        nonce: b"n",
        opaque: Some(b""),
        algorithm: Some(Algorithm::Sha256),
        qop: Some(Qop { protection: Protection::Auth, nc: 10, cnonce: b"c" }),
        response: &response,
    };
    let proxy = Authorization {
        role: Role::Proxy,
        username: b"c0ffee",
        userhash: true,
        opaque: None,
        algorithm: None,
        qop: Some(Qop { protection: Protection::AuthInt, nc: 1, cnonce: b"d" }),
        ..authorization.clone()
    };
    let register = Register {
        cseq: u32::MAX,
        expires: 0,
        authorizations: &[authorization, proxy],
        ..register(b"agent00002", &branch)
    };
    let text = written(&RegisterTemplate::new(&all), &register);
    let hex = std::str::from_utf8(response.as_bytes()).expect("hex");
    for line in [
        "Via: SIP/2.0/TCP [::1]:40000;branch=z9hG4bK000000010000000200000003;rport",
        "Max-Forwards: 70\r\nRoute: <sip:127.0.0.1:5060;lr>\r\nFrom: <sip:agent00002@genesyscloud.test>;tag=0123456789abcdef",
        "CSeq: 4294967295 REGISTER\r\nContact: <sip:agent00002@[::1]:40000;transport=tcp>\r\nExpires: 0",
        "User-Agent: regstorm/0.1\r\nX-Site: NJ\r\nX-Other: 1",
        &format!(
            "Authorization: Digest username=\"a\\\"b\\\\\", realm=\"r, \\\"s\", nonce=\"n\", uri=\"sip:genesyscloud.test\", \
             response=\"{hex}\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc=0000000a, opaque=\"\"\r\n\
             Proxy-Authorization: Digest username=\"c0ffee\", realm=\"r, \\\"s\", nonce=\"n\", \
             uri=\"sip:genesyscloud.test\", response=\"{hex}\", cnonce=\"d\", qop=auth-int, nc=00000001, \
             userhash=true\r\nContent-Length: 0\r\n"
        ),
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}\nis missing from\n{text}");
    }
}

#[test]
fn phones_of_one_user_have_contacts_of_their_own() {
    let template = RegisterTemplate::new(&TemplateParts { transport: Transport::Tcp, ..parts(&[]) }).of_shared_users();
    let branch = branch();
    let one = register(b"agent00002", &branch);
    let other = Register { from_tag: b"another-phone-of", ..one.clone() };
    for (request, tag) in [(&one, "0123456789abcdef"), (&other, "another-phone-of"), (&one, "0123456789abcdef")] {
        let text = written(&template, request);
        let contact =
            format!("Contact: <sip:agent00002@127.0.0.1:40000;transport=tcp;rinstance={tag}>\r\nExpires: 3600");
        assert!(text.contains(&format!("\r\n{contact}\r\n")), "{text}");
    }
}

#[test]
fn a_buffer_too_small_is_said_at_every_size() {
    let template = RegisterTemplate::new(&parts(&[]));
    let branch = branch();
    let register = register(b"a\"b", &branch);
    let full = written(&template, &register).len();
    let mut out = vec![0; full];
    for size in 0..full {
        assert_eq!(template.write(&register, &mut out[..size]), Err(Overflow(size)));
    }
    assert_eq!(template.write(&register, &mut out), Ok(full));
}

#[test]
fn messages_of_equal_names_have_equal_lengths() {
    let template = RegisterTemplate::new(&parts(&[]));
    let lengths = (0..20).map(|n| {
        let branch = Branch::new(RunTag(u64::MAX), Token { agent: AgentId(n * 99_999), serial: n });
        written(&template, &register(format!("agent{n:05}").as_bytes(), &branch)).len()
    });
    assert_eq!(lengths.collect::<std::collections::BTreeSet<_>>().len(), 1);
}

#[test]
fn rsip_reads_what_is_written() {
    let headers = [("X-Site".to_owned(), "NJ".to_owned())];
    let text = written(&RegisterTemplate::new(&parts(&headers)), &register(b"agent00002", &branch()));
    let read = rsip::Request::try_from(text.as_str()).expect("a request");
    assert_eq!((read.method(), read.uri().to_string().as_str()), (&rsip::Method::Register, "sip:genesyscloud.test"));
    let via = read.via_header().expect("Via").typed().expect("typed");
    assert_eq!(via.branch().map(ToString::to_string).as_deref(), Some("z9hG4bK000000010000000200000003"));
    let from = read.from_header().expect("From").typed().expect("typed");
    assert_eq!(from.tag().map(ToString::to_string).as_deref(), Some("0123456789abcdef"));
    assert_eq!(from.uri.user(), Some("agent00002"));
    assert_eq!(read.cseq_header().expect("CSeq").typed().expect("typed").seq, 1);
    let contact = read.contact_header().expect("Contact").typed().expect("typed");
    assert_eq!(contact.uri.to_string(), "sip:agent00002@127.0.0.1:40000");
}

const OPTIONS: &str = "OPTIONS sip:agent@127.0.0.1:40000 SIP/2.0\r\n\
    v: SIP/2.0/UDP 10.9.9.9:5060 ;branch=z9hG4bKa;rport;received=1.2.3.4\r\n ,SIP/2.0/TCP up;branch=z9hG4bKb\r\n\
    Via: SIP/2.0/UDP up2;branch=z9hG4bKc\r\n\
    From: \"R\" <sip:r@s;tag=uri>;tag=f\r\n\
    To: <sip:a@b;tag=uri>\r\n\
    Call-ID: c@d\r\nCSeq: 7\r\n OPTIONS\r\n\r\n";

/// What is added may not become part of a quote that never ends.
#[test]
fn a_quote_in_a_via_that_does_not_end_swallows_nothing_of_ours() {
    let request = OPTIONS.replace("branch=z9hG4bKa;rport;received=1.2.3.4", "branch=\"z9hG4bKa");
    let answer = answered(&request, 200, "127.0.0.1:5062", "t", "");
    let via = answer.lines().nth(1).expect("a Via");
    assert!(via.starts_with("Via: SIP/2.0/UDP 10.9.9.9:5060;received=127.0.0.1;branch=\"z9hG4bKa"), "{via}");
}

fn answered(request: &str, code: u16, from: &str, to_tag: &str, extra: &str) -> String {
    let request = scan::request(request.as_bytes()).expect("a request");
    let mut out = [0; 1024];
    let from = from.parse().expect("an address");
    let reason = super::super::code::reason(code);
    let len =
        write_response(&request, code, reason, from, to_tag.as_bytes(), extra.as_bytes(), &mut out).expect("room");
    String::from_utf8(out[..len].to_vec()).expect("text")
}

#[test]
fn a_response_byte_by_byte() {
    assert_eq!(
        answered(OPTIONS, 200, "127.0.0.1:5062", "t", "Allow: OPTIONS\r\n"),
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKa;rport=5062;received=127.0.0.1,SIP/2.0/TCP up;branch=z9hG4bKb\r\n\
         Via: SIP/2.0/UDP up2;branch=z9hG4bKc\r\n\
         From: \"R\" <sip:r@s;tag=uri>;tag=f\r\n\
         To: <sip:a@b;tag=uri>;tag=t\r\n\
         Call-ID: c@d\r\nCSeq: 7 OPTIONS\r\nAllow: OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn received_and_rport_as_rfc_3581_and_3261_ask() {
    for (via, from, expected) in [
        ("SIP/2.0/UDP 10.0.0.1:5060;branch=b", "10.0.0.1:9", ";branch=b"),
        ("SIP/2.0/UDP 10.0.0.1;branch=b", "10.0.0.2:9", ";branch=b;received=10.0.0.2"),
        ("SIP/2.0/UDP host.example;branch=b", "10.0.0.2:9", ";branch=b;received=10.0.0.2"),
        ("SIP/2.0/UDP 10.0.0.1;rport;branch=b", "10.0.0.1:9", ";rport=9;branch=b;received=10.0.0.1"),
        ("SIP/2.0/UDP 10.0.0.1;RPORT=;branch=b", "10.0.0.1:9", ";rport=9;branch=b;received=10.0.0.1"),
        ("SIP/2.0/UDP 10.0.0.1;rport=7;branch=b", "10.0.0.1:9", ";rport=7;branch=b"),
        ("SIP/2.0/UDP [2001:db8::1]:5060;branch=b", "[2001:db8::1]:9", ";branch=b"),
        ("SIP/2.0/UDP [2001:db8::1];branch=b", "[2001:db8::2]:9", ";branch=b;received=2001:db8::2"),
        ("SIP/2.0/UDP 10.0.0.1;branch=b", "[::ffff:10.0.0.1]:9", ";branch=b"),
    ] {
        let request = format!(
            "NOTIFY sip:a SIP/2.0\r\nVia: {via}\r\nFrom: <sip:f>\r\nTo: sip:t;tag=x\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n\r\n"
        );
        let text = answered(&request, 200, from, "new", "");
        let line = text.lines().nth(1).expect("a Via");
        assert!(line.ends_with(expected) && line.len() < via.len() + 40, "{via}: {line}");
        assert_eq!(&line[line.find(';').expect("parameters")..], expected);
        assert!(text.contains("To: sip:t;tag=x\r\n") && !text.contains("new"));
    }
}

#[test]
fn a_response_fits_or_says_so() {
    let request = scan::request(OPTIONS.as_bytes()).expect("a request");
    let from = "127.0.0.1:5062".parse().expect("an address");
    let full = answered(OPTIONS, 403, "127.0.0.1:5062", "t", "").len();
    let mut out = vec![0; full];
    for size in 0..full {
        assert_eq!(write_response(&request, 403, "Forbidden", from, b"t", b"", &mut out[..size]), Err(Overflow(size)));
    }
    assert_eq!(write_response(&request, 403, "Forbidden", from, b"t", b"", &mut out), Ok(full));
    let len = write_response(&request, 403, "No\r\nX: y", from, b"", b"", &mut out).expect("room");
    assert!(out[..len].starts_with(b"SIP/2.0 403 No X: y\r\nVia"));
}

#[test]
fn tags_of_the_header_and_of_the_uri() {
    for (value, tag) in [
        ("<sip:a@b>;tag=x", Some("x")),
        ("\"<;tag=q\" <sip:a@b;tag=u> ; TAG = x ;y", Some("x")),
        ("sip:a@b;tag=x", Some("x")),
        ("<sip:a@b;tag=u>", None),
        ("sip:a@b", None),
        ("<sip:a@b", None),
    ] {
        assert_eq!(tag_of(value.as_bytes()), tag.map(str::as_bytes), "{value}");
    }
}

/// User, CSeq, lifetime and serial of a request: often of one length, sometimes not.
fn request_parts() -> impl Strategy<Value = (String, u32, u32, u32)> {
    let usual = ("[a-z]{4}", 1_000_000u32..10_000_000, Just(3600u32), any::<u32>());
    let any = (
        "([a-z]{0,6}|[a-z@ ]{4}|[a-z]{8,20})",
        prop_oneof![999_998u32..1_000_003, 9_999_998u32..10_000_002, any::<u32>()],
        prop_oneof![Just(3600u32), Just(0), any::<u32>()],
        any::<u32>(),
    );
    prop_oneof![3 => usual, 1 => any]
}

/// What a request answers a challenge with: often alike but for what is written over, sometimes
/// not.
#[derive(Clone, Debug)]
struct Answered {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    other_name: Option<String>,
    cnonce: String,
    /// Role, userhash, algorithm named, another algorithm, protection (three).
    choices: [u8; 5],
    nc: u32,
}

fn credentials_parts() -> impl Strategy<Value = Answered> {
    let usual = (
        ("[a-z]{5}", "[a-z0-9]{8}", proptest::option::weighted(0.9, "[a-z]{4}")),
        (Just(None), "[0-9a-f]{16}"),
        // Now and then no algorithm is named, be it the one or the other.
        (prop_oneof![4 => Just([0; 5]), 1 => Just([0, 0, 1, 0, 0]), 1 => Just([0, 0, 1, 1, 0])], any::<u32>()),
    );
    let rarely = || prop_oneof![6 => Just(0u8), 1 => 1u8..3];
    let any = (
        ("(realm|longer)(\r\n )?", "[a-z0-9]{8}|[a-z0-9]{0,40}|a\r b", proptest::option::of("[a-z]{4}|[a-z\n ]{4}")),
        (proptest::option::of("[a-z]{4,5}|[a-z]{3}@[a-z#%]{4}|[a-z\"]{1,8}"), "[0-9a-f]{16}|[0-9a-f]{0,20}"),
        ([rarely(), rarely(), rarely(), rarely(), rarely()], any::<u32>()),
    );
    prop_oneof![3 => usual, 1 => any].prop_map(|((realm, nonce, opaque), (other_name, cnonce), (choices, nc))| {
        Answered { realm, nonce, opaque, other_name, cnonce, choices, nc }
    })
}

impl Answered {
    fn of<'a>(&'a self, user: &'a str, long: &'a HexDigest, short: &'a HexDigest) -> Authorization<'a> {
        let [role, userhash, unnamed, other, protection] = self.choices;
        let protection = [Some(Protection::Auth), Some(Protection::AuthInt), None][usize::from(protection)];
        Authorization {
            role: if role == 0 { Role::Registrar } else { Role::Proxy },
            username: self.other_name.as_deref().unwrap_or(user).as_bytes(),
            userhash: userhash > 0,
            realm: self.realm.as_bytes(),
            nonce: self.nonce.as_bytes(),
            opaque: self.opaque.as_deref().map(str::as_bytes),
            algorithm: (unnamed == 0).then_some(if other == 0 { Algorithm::Md5 } else { Algorithm::Sha256 }),
            qop: protection.map(|protection| Qop { protection, nc: self.nc, cnonce: self.cnonce.as_bytes() }),
            // Where no algorithm is named, only its length tells which one it is.
            response: if other == 0 { short } else { long },
        }
    }
}

proptest! {
    /// Whatever the names hold, one REGISTER is one message, and the fields are what they were.
    #[test]
    fn the_scanner_reads_what_the_template_wrote(
        user in "[ -~\u{e4}\r\n]{1,20}", agent: u32, serial: u32, cseq: u32, expires: u32, nc: u32, realm in "[a-z ,]{1,12}",
        which in 0..Algorithm::ALL.len(), integrity: bool, padded: bool, shared: bool,
    ) {
        let algorithm = Algorithm::ALL[which];
        let template = RegisterTemplate::new(&parts(&[]));
        let template = if padded { template.padded() } else { template };
        let template = if shared { template.of_shared_users() } else { template };
        let token = Token { agent: AgentId(agent), serial };
        let branch = Branch::new(RunTag(9), token);
        let ha1 = Ha1::compute(algorithm, user.as_bytes(), realm.as_bytes(), &Secret::new("p"));
        let key = if algorithm.is_session() { ha1.session(algorithm, b"n", b"c0ffee") } else { ha1 };
        let protection = if integrity { Protection::AuthInt } else { Protection::Auth };
        let qop = Some(Qop { protection, nc, cnonce: b"c0ffee" });
        let covered = Covered { nonce: b"n", qop, method: b"REGISTER", uri: template.uri(), body: b"" };
        let response = digest::request_digest(algorithm, &key, &covered);
        let authorization = Authorization {
            role: Role::Registrar, username: user.as_bytes(), userhash: false, realm: realm.as_bytes(), nonce: b"n",
            opaque: None, algorithm: Some(algorithm), qop, response: &response,
        };
        let register = Register { cseq, expires, authorizations: &[authorization], ..register(user.as_bytes(), &branch) };
        let text = written(&template, &register);
        let read = scan::request(text.as_bytes()).expect("a request");
        prop_assert_eq!((read.method, read.uri), (&b"REGISTER"[..], template.uri()));
        prop_assert_eq!(Branch::parse(RunTag(9), read.branch), Some(token));
        let found = scan::branch_of(text.as_bytes()).expect("a branch");
        prop_assert!(found.starts_with(branch.as_bytes()) && found.len() < Branch::LEN + PADDED);
        prop_assert!(text.len().is_multiple_of(PADDED) || !padded && found.len() == Branch::LEN);
        prop_assert_eq!((read.call_id, read.cseq, read.expires), (&register.call_id[..], cseq, Some(expires)));
        prop_assert_eq!(tag_of(read.from), Some(&register.from_tag[..]));
        prop_assert_eq!(text.lines().count(), 13);
        let found = credentials(&read).expect("credentials");
        prop_assert_eq!((found.response, found.qop_auth), (response.as_bytes(), Some((nc, &b"c0ffee"[..]))));
        prop_assert_eq!((found.algorithm, found.integrity, found.userhash), (Some(algorithm), integrity, false));
        prop_assert!(found.prove(&ha1, read.method, read.body()));
        prop_assert!(!found.prove(&ha1, read.method, b"x") || !integrity);
        prop_assert!(!found.prove(&ha1, b"INVITE", read.body()));
        prop_assert_eq!((found.realm, found.uri), (realm.as_bytes(), template.uri()));
        let own = contacts(&read).next().expect("a contact");
        prop_assert!(own.uri.is_ascii());
        // Line breaks have no escape in a quoted string; all else comes back.
        let plain = user.replace(['\r', '\n'], "");
        prop_assert_eq!(&*found.plain_username(), plain.as_bytes());
        // The registrar sends our contact back with a lifetime: it is found to be ours.
        let reply = format!("SIP/2.0 200 OK\r\n{}", text.split_once("\r\n").expect("lines").1)
            .replace("cdef>\r\nE", "cdef>;expires=77, <sip:x@y>;expires=5\r\nE")
            .replace(":40000>", ":40000>;expires=77, <sip:x@y>;expires=5");
        let reply = scan::response(reply.as_bytes()).expect("a response");
        let instance = |tag| template.tells_phones_apart().then_some(tag);
        let sent = |tag| SentContact { user: user.as_bytes(), host: template.contact_host(), instance: instance(tag) };
        prop_assert_eq!(granted(&reply, &sent(register.from_tag)), Some(77));
        prop_assert_eq!(granted(&reply, &sent(b"another-of-them-")), Some(if shared { expires } else { 77 }));
    }

    /// The first request of a template decides what its text is laid out for; what the others are
    /// like makes no difference.
    #[test]
    fn a_text_laid_out_is_that_of_its_pieces(
        requests in proptest::collection::vec((request_parts(), proptest::option::weighted(0.8, credentials_parts())), 1..6),
        own_contact: bool, padded: bool, shared: bool, room in prop_oneof![3 => Just(2048usize), 1 => 0usize..1200],
    ) {
        let parts = parts(&[]);
        let contact = own_contact.then_some("gr\"u s");
        let template = RegisterTemplate::with_contact(&parts, contact, Some("10.0.0.1:5080"));
        let template = if padded { template.padded() } else { template };
        let template = if shared { template.of_shared_users() } else { template };
        let alone = template.clone().of_one_agent();
        let response = digest::method_digest(Algorithm::Sha256, b"a", b"b");
        let short = digest::method_digest(Algorithm::Md5, b"a", b"b");
        for ((user, cseq, expires, serial), credentials) in &requests {
            let authorization = credentials.as_ref().map(|credentials| credentials.of(user, &response, &short));
            let authorizations: Vec<_> = match serial % 7 {
                0 => [authorization.clone(), authorization].into_iter().flatten().collect(),
                _ => authorization.into_iter().collect(),
            };
            let branch = Branch::new(RunTag(9), Token { agent: AgentId(!serial), serial: *serial });
            let register = Register {
                user: user.as_bytes(),
                branch: &branch,
                call_id: b"0123456789abcdef0123456789abcdef",
                from_tag: b"fedcba9876543210",
                cseq: *cseq,
                expires: *expires,
                authorizations: &authorizations,
            };
            let (mut whole, mut pieces) = (vec![0; room], vec![0; room]);
            let whole = template.write(&register, &mut whole).map(|len| whole[..len].to_vec());
            let mut out = Out { buffer: &mut pieces, len: 0 };
            let written = template.shared.write_pieces(&register, [&template.sent_by, template.contact_host()], &mut out).map(|_| out.buffer[..out.len].to_vec());
            prop_assert_eq!(&whole, &written);
            let mut by_itself = vec![0; room];
            prop_assert_eq!(alone.write(&register, &mut by_itself).map(|len| by_itself[..len].to_vec()), written);
        }
    }

    #[test]
    fn decimals_are_those_of_the_formatter(value: u32, shift in 0u32..32, room in 0usize..24) {
        let (value, mut buffer) = (value >> shift, [0; 24]);
        let mut out = Out { buffer: &mut buffer[..room], len: 0 };
        let text = value.to_string();
        match out.put_decimal(value) {
            Ok(()) => prop_assert_eq!(&out.buffer[..out.len], text.as_bytes()),
            Err(Overflow(size)) => prop_assert!(size == room && room < text.len()),
        }
    }

    /// Whatever bytes a request was hit by, its answer leads back to it; a lone CR within a value
    /// has once split the two.
    #[test]
    fn any_request_that_is_read_can_be_answered(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = OPTIONS.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(request) = scan::request(&bytes) {
            let mut out = [0; 2048];
            let from = "127.0.0.1:5062".parse().expect("an address");
            let len = write_response(&request, 200, "OK", from, b"t", b"", &mut out).expect("room");
            let answer = scan::response(&out[..len]).expect("a response");
            prop_assert_eq!((answer.cseq, answer.cseq_method), (request.cseq, request.cseq_method));
            // A line that goes on within a quote is one line in the answer.
            let in_one_line = |text: &[u8]| String::from_utf8_lossy(text).replace(['\r', '\n', ' '], "");
            prop_assert_eq!(in_one_line(answer.branch), in_one_line(request.branch));
        }
    }
}
