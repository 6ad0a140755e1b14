//! Where requests to a SIP URI go (RFC 3263): which questions are asked of the domain name system,
//! what is made of the answers, and in which order an agent tries the addresses.
//!
//! ```text
//! numeric host                 → that address
//! port written                 → A/AAAA of the host, that port
//! transport written, or sips   → SRV of that transport ─┐
//! neither                      → NAPTR → its SRV ───────┤ none: A/AAAA of the host, usual port
//!                                no NAPTR → SRV by SRV ─┘ else: A/AAAA of each SRV target, its port
//! ```
//!
//! Pure: whoever can ask implements [`Names`]. Read first: RFC 3263 §4, RFC 2782 (weights), RFC
//! 3403 §4.1 (order and preference). Not here: caches, timeouts, who may be spoken to.

use crate::vocab::{AddressFamily, Transport};
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// What is to be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted<'a> {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: &'a str,
    /// As written.
    pub port: Option<u16>,
    /// As written.
    pub transport: Option<Transport>,
    /// A `sips` URI: TLS, or WebSocket over it, and nothing else.
    pub secure: bool,
    /// Which addresses can be spoken to; `None`: IPv4, and IPv6 where a name has no other.
    pub family: Option<AddressFamily>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    Naptr,
    Srv,
    A,
    Aaaa,
}

impl RecordKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordKind::Naptr => "NAPTR",
            RecordKind::Srv => "SRV",
            RecordKind::A => "A",
            RecordKind::Aaaa => "AAAA",
        }
    }
}

/// One record of an answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NameRecord {
    Naptr { order: u16, preference: u16, flags: String, service: String, replacement: String },
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Address(IpAddr),
}

impl std::fmt::Display for NameRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NameRecord::Naptr { order, preference, flags, service, replacement } => {
                write!(f, "{order} {preference} \"{flags}\" \"{service}\" {replacement}")
            }
            NameRecord::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            NameRecord::Address(address) => address.fmt(f),
        }
    }
}

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameAnswer {
    /// Those of the kind that was asked for, in the order they came.
    pub records: Vec<NameRecord>,
    /// How long they may be kept; `None`: they never change.
    pub ttl: Option<Duration>,
    pub took: Duration,
    /// Why there is no answer at all; having no such records is an answer.
    pub failed: Option<String>,
}

/// Whoever answers.
pub trait Names {
    fn ask(&mut self, name: &str, kind: RecordKind) -> NameAnswer;

    /// Whether a name's addresses are given on this machine, so that nothing else is asked.
    fn is_given(&self, _name: &str) -> bool {
        false
    }
}

/// A question and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameStep {
    pub name: String,
    pub kind: RecordKind,
    pub answer: NameAnswer,
}

/// An address requests may go to.
#[derive(Clone, PartialEq, Debug)]
pub struct Destination {
    pub address: SocketAddr,
    /// Lower ones first.
    pub priority: u16,
    /// The share of those of its priority that its host has; several addresses of one host share
    /// it.
    pub weight: u16,
    /// Stands for its host and port in draws.
    pub host: u64,
}

/// Where requests go.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Located {
    pub transport: Option<Transport>,
    pub places: Vec<Destination>,
    /// Whether SRV records said so.
    pub by_srv: bool,
    /// Everything that was asked, in order.
    pub steps: Vec<NameStep>,
}

impl Located {
    /// How long it holds; `None`: for ever.
    pub fn ttl(&self) -> Option<Duration> {
        let used = self.steps.iter().filter(|step| !step.answer.records.is_empty());
        used.filter_map(|step| step.answer.ttl).min()
    }

    /// Why there is no place.
    pub fn trouble(&self) -> String {
        let failed = self.steps.iter().rev().find_map(|step| step.answer.failed.clone());
        failed.unwrap_or_else(|| match self.steps.last() {
            Some(step) => format!("no {} record", step.kind.as_str()),
            None => "it is an address of another family than its source".to_owned(),
        })
    }
}

/// Finds where requests to `wanted` go.
pub fn locate(wanted: &Wanted<'_>, names: &mut impl Names) -> Located {
    let mut search = Asking { names, steps: Vec::new(), family: wanted.family };
    let usual = wanted.transport.unwrap_or(if wanted.secure { Transport::Tls } else { Transport::Udp });
    let host = wanted.host;
    let mut found = match host.parse::<IpAddr>() {
        Ok(address) => {
            let fits = wanted.family.is_none_or(|family| family == AddressFamily::of(address));
            let address = SocketAddr::new(address, wanted.port.unwrap_or(usual_port(usual)));
            let place = Destination { address, priority: 0, weight: 0, host: 0 };
            Located {
                transport: Some(usual),
                places: fits.then_some(place).into_iter().collect(),
                ..Located::default()
            }
        }
        Err(_) => {
            let service =
                if wanted.port.is_some() || search.names.is_given(host) { None } else { search.service(wanted) };
            match service {
                Some((transport, records)) => Located {
                    transport: Some(transport),
                    places: search.targets(&records),
                    by_srv: true,
                    ..Located::default()
                },
                None => {
                    let port = wanted.port.unwrap_or(usual_port(usual));
                    let addresses = search.addresses(host);
                    let places = addresses.into_iter().map(|ip| Destination {
                        address: SocketAddr::new(ip, port),
                        priority: 0,
                        weight: 0,
                        host: 0,
                    });
                    Located { transport: Some(usual), places: places.collect(), ..Located::default() }
                }
            }
        }
    };
    // Name servers turn the order of their records round; agents choose by chance of their own.
    found.places.sort_by_key(|place| (place.priority, Reverse(place.weight), place.address));
    found.steps = search.steps;
    found
}

struct Asking<'n, N> {
    names: &'n mut N,
    steps: Vec<NameStep>,
    family: Option<AddressFamily>,
}

impl<N: Names> Asking<'_, N> {
    fn ask(&mut self, name: &str, kind: RecordKind) -> Vec<NameRecord> {
        let answer = self.names.ask(name, kind);
        let records = answer.records.clone();
        self.steps.push(NameStep { name: name.to_owned(), kind, answer });
        records
    }

    /// The SRV records that say where a service is, and over which transport it is to be had;
    /// `None` where none do (RFC 3263 §4.1 and §4.2).
    fn service(&mut self, wanted: &Wanted<'_>) -> Option<(Transport, Vec<NameRecord>)> {
        let own = |transport| format!("{}.{}", service_of(transport), wanted.host);
        if let Some(transport) = wanted.transport {
            return self.srv(&own(transport)).map(|records| (transport, records));
        }
        let speaks = |transport: &Transport| !wanted.secure || transport.is_secured();
        let mut pointers: Vec<(u16, u16, Transport, String)> = Vec::new();
        for record in self.ask(wanted.host, RecordKind::Naptr) {
            if let NameRecord::Naptr { order, preference, flags, service, replacement } = record
                && flags.eq_ignore_ascii_case("s")
                && let Some(transport) = transport_of(&service).filter(speaks)
            {
                pointers.push((order, preference, transport, replacement));
            }
        }
        pointers.sort_by_key(|(order, preference, ..)| (*order, *preference));
        let named = !pointers.is_empty();
        for (_, _, transport, name) in pointers {
            if let Some(records) = self.srv(&name) {
                return Some((transport, records));
            }
        }
        if named {
            return None;
        }
        PREFERRED
            .into_iter()
            .filter(speaks)
            .find_map(|transport| self.srv(&own(transport)).map(|records| (transport, records)))
    }

    /// `None` where there are none, or where they say that there is no such service (RFC 2782: a
    /// target of ".").
    fn srv(&mut self, name: &str) -> Option<Vec<NameRecord>> {
        let records = self.ask(name, RecordKind::Srv);
        let is_one = |record: &NameRecord| matches!(record, NameRecord::Srv { target, .. } if target != "." && !target.is_empty());
        records.iter().any(is_one).then(|| records.into_iter().filter(is_one).collect())
    }

    fn targets(&mut self, records: &[NameRecord]) -> Vec<Destination> {
        let mut places: Vec<Destination> = Vec::new();
        for record in records {
            let NameRecord::Srv { priority, weight, port, target } = record else { continue };
            for ip in self.addresses(target) {
                let address = SocketAddr::new(ip, *port);
                let host = digest(target.bytes().map(|b| b.to_ascii_lowercase()).chain(port.to_be_bytes()));
                // One address twice is one place.
                if places.iter().all(|place| place.address != address) {
                    places.push(Destination { address, priority: *priority, weight: *weight, host });
                }
            }
        }
        places
    }

    fn addresses(&mut self, host: &str) -> Vec<IpAddr> {
        let literal = host.parse::<IpAddr>().or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::from));
        if let Ok(address) = literal {
            return vec![address];
        }
        let asked: &[RecordKind] = match self.family {
            Some(AddressFamily::V4) => &[RecordKind::A],
            Some(AddressFamily::V6) => &[RecordKind::Aaaa],
            None => &[RecordKind::A, RecordKind::Aaaa],
        };
        for kind in asked {
            let mut found: Vec<IpAddr> = Vec::new();
            for record in self.ask(host, *kind) {
                match record {
                    NameRecord::Address(address) if !found.contains(&address) => found.push(address),
                    _ => {}
                }
            }
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }
}

/// The order in which one agent tries the places: by priority, then by chance, a host of twice the
/// weight twice as often first (RFC 2782). `draw` is a number in `[0, 1)` of this agent's for a
/// key.
///
/// Each host gets a waiting time drawn by its weight, and the shortest is first: that is a choice
/// by weight at every step, and a host that comes or goes changes the order of no others. Several
/// addresses of one host have equal chances, as phones that look a name up for themselves do.
pub fn order(places: &[Destination], draw: impl Fn(u64) -> f64) -> Vec<usize> {
    let mut keyed: Vec<((u16, f64, f64), usize)> =
        places.iter().enumerate().map(|(n, place)| (rank(place, &draw), n)).collect();
    keyed.sort_by(|(a, _), (b, _)| compare(a, b));
    keyed.into_iter().map(|(_, n)| n).collect()
}

/// The first of [`order`].
pub fn first(places: &[Destination], draw: impl Fn(u64) -> f64) -> Option<usize> {
    let ranks = places.iter().map(|place| rank(place, &draw)).enumerate();
    ranks.min_by(|(_, a), (_, b)| compare(a, b)).map(|(n, _)| n)
}

/// The share of many agents whose first choice each place is.
pub fn shares(places: &[Destination]) -> Vec<f64> {
    let lowest = places.iter().map(|place| place.priority).min();
    let is_first = |place: &&Destination| Some(place.priority) == lowest;
    let mut hosts: Vec<(u64, f64)> = Vec::new();
    for place in places.iter().filter(is_first) {
        if hosts.iter().all(|(host, _)| *host != place.host) {
            hosts.push((place.host, weight_of(place)));
        }
    }
    let sum: f64 = hosts.iter().map(|(_, weight)| weight).sum();
    let of = |place: &Destination| {
        let beside = places.iter().filter(is_first).filter(|other| other.host == place.host).count();
        if is_first(&place) { weight_of(place) / sum / beside as f64 } else { 0.0 }
    };
    places.iter().map(of).collect()
}

fn weight_of(place: &Destination) -> f64 {
    f64::from(place.weight).max(WEIGHT_OF_NONE)
}

fn rank(place: &Destination, draw: impl Fn(u64) -> f64) -> (u16, f64, f64) {
    let own = digest(place.address.to_string().bytes());
    // 1 - u is in (0, 1], so its logarithm is finite.
    let host = -(1.0 - draw(place.host)).ln() / weight_of(place);
    (place.priority, host, draw(own))
}

fn compare(a: &(u16, f64, f64), b: &(u16, f64, f64)) -> std::cmp::Ordering {
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
}

/// RFC 2782: a weight of 0 has a very small chance beside others, and an equal one among its like.
const WEIGHT_OF_NONE: f64 = 0.001;

/// Where no NAPTR record says which: what a phone that speaks all of them takes first.
const PREFERRED: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// What a NAPTR record's service stands for: RFC 3263 §4.1, of WebSocket RFC 7118 §10.2.
fn transport_of(service: &str) -> Option<Transport> {
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ];
    known.into_iter().find_map(|(name, transport)| service.eq_ignore_ascii_case(name).then_some(transport))
}

/// What stands before a domain in the name of its SRV records (RFC 3263 §4.2).
pub const fn service_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    }
}

/// The port where nothing names one (RFC 3261 §19.1.2; of WebSocket that of HTTP, RFC 7118 §5.2).
pub const fn usual_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}

/// FNV-1a over 64 bits.
fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
