//! `[[trunk]]`: targets, policy, headers, retry presets. SIP URIs are read by the plan; agents in
//! `agents`.

use super::agents::{agents, canary};
use super::check::Checker;
use super::headers::headers;
use super::{names, tls, ws};
use crate::profile::file::{AgentsFile, DurationText, MixFile, RetryFile, TrunkFile, WordText, defaults};
use crate::profile::meant::{AgentList, Mix, Retry, TrunkAgents, TrunkProfile};
use crate::profile::places::Path;
use crate::profile::words::{RetryMax, RetryPreset, Wrong};
use crate::vocab::{OWN_HEADERS, OnIcmp, Platform, RealmPolicy, SocketUse};
use std::net::IpAddr;
use std::time::Duration;

/// Trunks are numbered with 16 bits.
const MAX_TRUNKS: usize = u16::MAX as usize;
const MAX_ID: usize = 64;

pub(super) fn trunks(check: &mut Checker, files: Vec<TrunkFile>) -> Vec<TrunkProfile> {
    if files.len() > MAX_TRUNKS {
        check.bad(&Path::root("trunk"), format!("there are more than {MAX_TRUNKS} trunks"));
        return Vec::new();
    }
    let ids: Vec<String> = files.iter().filter_map(|file| file.id.clone()).collect();
    let mut trunks: Vec<TrunkProfile> = Vec::with_capacity(files.len());
    for (n, file) in files.into_iter().enumerate() {
        let at = Path::root("trunk").index(n);
        if let Some(id) = file.id.as_deref().filter(|id| trunks.iter().any(|earlier| earlier.id == *id)) {
            check.bad(&at.key("id"), format!("two trunks have the id \"{id}\""));
        }
        trunks.push(trunk(check, &at, file, &ids));
    }
    trunks
}

fn trunk(check: &mut Checker, at: &Path, file: TrunkFile, ids: &[String]) -> TrunkProfile {
    let id = required(check, &at.key("id"), file.id, "name the trunk: id = \"trunk_nj_01\"");
    check_id(check, &at.key("id"), &id);
    let registrar = required(
        check,
        &at.key("registrar"),
        file.registrar,
        "write \"embedded\", or a SIP URI like \"sip:10.0.0.5:5060\"",
    );
    let domain =
        required(check, &at.key("domain"), file.domain, "the host of every address of record, like \"example.org\"");
    check_domain(check, &at.key("domain"), &domain);
    let realm_policy = realm(check, at, file.realm.as_deref(), file.realm_policy.as_ref());
    let algorithms = check.algorithms(&at.key("algorithms"), file.algorithms.as_ref(), &defaults::TRUNK_ALGORITHMS);
    let expires = check.whole_seconds(&at.key("expires"), file.expires.as_ref(), defaults::EXPIRES);
    let refresh_at = file.refresh_at.unwrap_or(defaults::REFRESH_AT);
    if !(refresh_at > 0.0 && refresh_at < 1.0) {
        check.bad(&at.key("refresh_at"), format!("must be between 0 and 1, not {refresh_at}"));
    }
    let sockets = check.word(&at.key("sockets"), file.sockets.as_ref(), defaults::SOCKETS);
    let accept_from = check.word(&at.key("accept_from"), file.accept_from.as_ref(), defaults::ACCEPT_FROM);
    let connections = check.word(&at.key("connections"), file.connections.as_ref(), defaults::CONNECTIONS);
    let connect_timeout =
        check.positive(&at.key("connect_timeout"), file.connect_timeout.as_ref(), defaults::CONNECT_TIMEOUT);
    let agents = whose(check, &at.key("agents"), file.agents, &algorithms, &id, ids);
    one_certificate_each(check, at, connections, agents.as_ref());
    let canary = file.canary.and_then(|file| canary(check, &at.key("canary"), file, &algorithms, &id));
    let retry = retry(check, &at.key("retry"), file.retry.unwrap_or_default());
    TrunkProfile {
        id,
        registrar,
        platform: file.platform.map(|word| check.word(&at.key("platform"), Some(&word), Platform::Other)),
        outbound_proxy: file.outbound_proxy,
        domain,
        realm: file.realm,
        realm_policy,
        algorithms,
        expires,
        refresh_at,
        refresh_at_written: file.refresh_at.is_some(),
        reuse_nonce: file.reuse_nonce.unwrap_or(Habits::of(retry.preset).reuse_nonce),
        reuse_nonce_written: file.reuse_nonce.is_some(),
        sockets,
        accept_from,
        connections,
        connect_timeout,
        tls: file.tls.map(|file| tls::client(check, &at.key("tls"), file)),
        ws: file.ws.map(|file| ws::ws(check, &at.key("ws"), file)),
        source: source(check, &at.key("source"), file.source.as_ref()),
        keepalive: keepalive(check, &at.key("keepalive"), file.keepalive.as_ref()),
        contact: check.word(&at.key("contact"), file.contact.as_ref(), defaults::CONTACT),
        contacts: contacts(check, &at.key("contacts"), file.contacts),
        outbound: file.outbound.unwrap_or(defaults::OUTBOUND),
        audit: check.share(&at.key("audit"), file.audit, defaults::AUDIT),
        qualify: qualify(check, &at.key("qualify"), file.qualify.as_ref()),
        resolver: names::resolver(check, &at.key("resolver"), file.resolver.as_deref()),
        hosts: names::hosts(check, &at.key("hosts"), file.hosts.unwrap_or_default()),
        agents: agents.unwrap_or_else(nobody),
        canary,
        headers: headers(check, &at.key("headers"), file.headers.unwrap_or_default(), ("REGISTER", &OWN_HEADERS)),
        retry,
        mix: mix(check, &at.key("mix"), file.mix.unwrap_or_default()),
    }
}

/// A connection shows one certificate, whoever shares it.
fn one_certificate_each(check: &mut Checker, at: &Path, connections: SocketUse, agents: Option<&TrunkAgents>) {
    if connections == SocketUse::Shared && agents.is_some_and(TrunkAgents::show_certificates) {
        check.advise(
            &at.key("connections"),
            "\"shared\" gives all agents one connection, which cannot show the certificate of each (tls_cert)",
            "write connections = \"per-agent\", or give tls = { cert, key } to the trunk",
        );
    }
}

/// Who registers; `None` when that could not be read.
fn whose(
    check: &mut Checker,
    at: &Path,
    file: Option<AgentsFile>,
    algorithms: &[&'static str],
    id: &str,
    ids: &[String],
) -> Option<TrunkAgents> {
    if file.is_none() {
        check.missing(at, "say who registers: agents = { count = 500, user = \"agent{n:05}\", password = \"…\" }");
    }
    agents(check, at, file?, algorithms, id, ids)
}

fn keepalive(check: &mut Checker, at: &Path, written: Option<&DurationText>) -> Duration {
    let keepalive = check.duration(at, written, defaults::KEEPALIVE);
    if !keepalive.is_zero() && keepalive < SHORTEST_KEEPALIVE {
        check.advise(at, "a keep-alive that often is a load of its own", "write 1s or more, or 0s for none");
    }
    keepalive
}

fn contacts(check: &mut Checker, at: &Path, written: Option<u32>) -> u32 {
    let contacts = written.unwrap_or(defaults::CONTACTS);
    if !(1..=9).contains(&contacts) {
        check.bad(at, format!("must be a number of Contacts from 1 to 9, not {contacts}"));
    }
    contacts
}

fn qualify(check: &mut Checker, at: &Path, written: Option<&DurationText>) -> Duration {
    let qualify = check.duration(at, written, defaults::QUALIFY);
    if !qualify.is_zero() && qualify < SHORTEST_KEEPALIVE {
        check.advise(at, "OPTIONS that often are a load of their own", "write 1s or more, or 0s for none");
    }
    qualify
}

fn mix(check: &mut Checker, at: &Path, files: Vec<MixFile>) -> Vec<Mix> {
    let mut mix = Vec::with_capacity(files.len());
    let mut sum = 0.0;
    for (n, file) in files.into_iter().enumerate() {
        let at = at.index(n);
        let Some(share) = file.share else {
            check.missing(&at.key("share"), "say how many of the agents: share = 0.1");
            continue;
        };
        // A share that is no number makes neither comparison true.
        sum += share;
        if !(share > 0.0 && share <= 1.0) {
            check.bad(&at.key("share"), format!("must be a share of the agents above 0 up to 1, not {share}"));
        } else if sum > 1.0 + 1e-9 {
            check.bad(&at.key("share"), format!("the shares up to here add up to {sum}, more than all agents"));
        }
        if file.wrong.is_none() && file.retry.is_none() {
            check.advise(
                &at,
                "differs in nothing from the trunk's other agents",
                "add wrong = \"password\" or retry = { … }",
            );
        }
        let wrong = file.wrong.map(|word| check.word(&at.key("wrong"), Some(&word), Wrong::Password));
        let retry = file.retry.map(|file| retry(check, &at.key("retry"), file));
        mix.push(Mix { share, wrong, retry });
    }
    mix
}

/// Stands in for agents that could not be read.
fn nobody() -> TrunkAgents {
    TrunkAgents::Listed { list: AgentList::Csv { csv: String::new(), copies: 1 }, rows: Vec::new() }
}

pub(super) fn required(check: &mut Checker, path: &Path, written: Option<String>, remedy: &str) -> String {
    written.unwrap_or_else(|| {
        check.missing(path, remedy);
        PLACEHOLDER.to_owned()
    })
}

/// What a missing text counts as while the rest is checked.
const PLACEHOLDER: &str = "missing";

/// An id stands in file columns, in dotted paths and in threshold names.
fn check_id(check: &mut Checker, path: &Path, id: &str) {
    let sound = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == ':';
    if id.is_empty() || id.len() > MAX_ID {
        check.bad(path, format!("must be 1 to {MAX_ID} characters"));
    } else if let Some(c) = id.chars().find(|c| !sound(*c)) {
        check.advise(path, format!("must not contain {c:?}"), "use letters, digits, \"_\" and \"-\"");
    }
}

fn check_domain(check: &mut Checker, path: &Path, domain: &str) {
    if !is_host(domain) {
        check.advise(path, format!("\"{domain}\" is not a host"), "write the host alone, like \"genesyscloud.test\"");
    }
}

/// RFC 3261 §25.1 `hostport`: a name, an IPv4 address or an IPv6 one in brackets, with or without a
/// port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let sound = match host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    sound && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn realm(check: &mut Checker, at: &Path, realm: Option<&str>, policy: Option<&WordText<RealmPolicy>>) -> RealmPolicy {
    if let Some(realm) = realm {
        check.quotable(&at.key("realm"), realm);
    }
    let policy = check.word(&at.key("realm_policy"), policy, defaults::REALM_POLICY);
    if realm.is_none() && policy != RealmPolicy::Expect {
        check.advise(&at.key("realm_policy"), "needs a realm to compare with", "add realm = \"…\" to the trunk");
    }
    policy
}

fn source(check: &mut Checker, path: &Path, written: Option<&Vec<String>>) -> Vec<IpAddr> {
    let addresses = check.addresses(path, written);
    // One registrar address is either an IPv4 or an IPv6 one, and so are all who speak to it.
    if let Some(other) = addresses.iter().position(|address| address.is_ipv4() != addresses[0].is_ipv4()) {
        check.advise(
            &path.index(other),
            "is of another family than the first one",
            "name IPv4 or IPv6 addresses, not both",
        );
    }
    addresses
}

fn retry(check: &mut Checker, at: &Path, file: RetryFile) -> Retry {
    let preset = check.word(&at.key("preset"), file.preset.as_ref(), defaults::RETRY_PRESET);
    let habits = Habits::of(preset);
    let written = [file.interval.is_some(), file.forbidden_interval.is_some(), file.jitter.is_some()];
    if preset == RetryPreset::None && (written.contains(&true) || file.max.is_some()) {
        check.warnings.push(format!("{at}: the preset \"none\" never retries, the keys of its waits have no effect"));
    }
    let interval = match &file.interval {
        Some(text) => check.positive(&at.key("interval"), Some(text), ""),
        None => check.duration(&at.key("interval"), None, habits.interval),
    };
    let jitter = match preset {
        RetryPreset::Rfc | RetryPreset::Baresip => 0.5,
        // ± 10 s whatever the interval; an interval of zero is refused already.
        RetryPreset::Pjsua => (10.0 / interval.as_secs_f64()).min(1.0),
        RetryPreset::Asterisk | RetryPreset::Hammer | RetryPreset::None => 0.0,
    };
    let forbidden_interval = match (&file.forbidden_interval, preset) {
        (Some(text), _) => check.duration(&at.key("forbidden_interval"), Some(text), ""),
        (None, RetryPreset::Hammer | RetryPreset::Baresip) => interval,
        (None, _) => Duration::ZERO,
    };
    let max = match preset {
        RetryPreset::None => RetryMax::Times(0),
        RetryPreset::Asterisk => file.max.unwrap_or(RetryMax::Times(10)),
        _ => file.max.unwrap_or(RetryMax::Unlimited),
    };
    let forbidden_jitter = check.share(&at.key("jitter"), file.jitter, 0.0);
    Retry {
        preset,
        interval,
        forbidden_interval,
        max,
        jitter: file.jitter.unwrap_or(jitter),
        forbidden_jitter,
        forbidden_written: file.forbidden_interval.is_some(),
        icmp: check.word(&at.key("icmp"), file.icmp.as_ref(), habits.icmp),
        challenges: patience(check, &at.key("challenges"), file.challenges, habits.challenges),
        stales: patience(check, &at.key("stales"), file.stales, habits.stales),
    }
}

/// What a preset does where nothing is written. The clients' own are those of `agent::RetryPolicy`,
/// which says where they are from.
struct Habits {
    interval: &'static str,
    icmp: OnIcmp,
    challenges: u8,
    stales: u8,
    reuse_nonce: bool,
}

impl Habits {
    fn of(preset: RetryPreset) -> Habits {
        let plain = Habits {
            interval: "30s",
            icmp: OnIcmp::Heed,
            challenges: 2,
            stales: 3,
            reuse_nonce: defaults::REUSE_NONCE,
        };
        let client = Habits { icmp: OnIcmp::Ignore, ..plain };
        match preset {
            RetryPreset::Rfc => plain,
            RetryPreset::Hammer => Habits { interval: "1s", ..plain },
            RetryPreset::None => Habits { interval: "0s", ..plain },
            RetryPreset::Pjsua => Habits { interval: "300s", challenges: 6, stales: 4, reuse_nonce: false, ..client },
            RetryPreset::Asterisk => Habits { interval: "60s", stales: 2, reuse_nonce: false, ..client },
            RetryPreset::Baresip => Habits { challenges: 16, stales: 16, ..client },
        }
    }
}

/// How many challenges end an attempt.
fn patience(check: &mut Checker, at: &Path, written: Option<u32>, default: u8) -> u8 {
    let Some(challenges) = written else { return default };
    match u8::try_from(challenges) {
        Ok(challenges @ 2..=32) => challenges,
        _ => {
            check.bad(at, format!("must be a number of challenges from 2 to 32, not {challenges}"));
            default
        }
    }
}

const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(1);
