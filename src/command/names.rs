//! Whoever answers for names: the profile's `hosts`, the system's hosts file, a name server.
//! Blocks; for the control side alone.

use super::failure::Failure;
use crate::net::clock::Clock;
use crate::net::resolve::resolve;
use crate::plan::{HostTable, TrunkPlan};
use crate::sip::locate::{NameAnswer, NameRecord, Names, RecordKind};
use crate::vocab::AddressFamily;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Answers one trunk's questions.
pub(super) struct NameService {
    runtime: tokio::runtime::Runtime,
    /// `None`: the system names no server.
    resolver: Option<TokioResolver>,
    /// The profile names the server: nobody else is asked.
    own_server: bool,
    hosts: HostTable,
    system_hosts: Hosts,
    clock: Clock,
    /// No server has answered: the next question would wait as long.
    silent: Option<String>,
}

/// How long a question may take, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

impl NameService {
    /// # Errors
    /// When this machine has no descriptors left for it.
    pub(super) fn of(trunk: &TrunkPlan, clock: Clock) -> Result<Self, Failure> {
        let runtime = super::runtime()?;
        let own_server = trunk.resolver.is_some();
        let builder = match trunk.resolver {
            Some(server) => Some(Resolver::builder_with_config(asking(server), TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio().ok(),
        };
        let resolver = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            // Asked again means asked again: how long an answer holds is minded by whoever asked.
            options.cache_size = 0;
            options.use_hosts_file = ResolveHosts::Never;
            options.timeout = PATIENCE;
            options.attempts = ATTEMPTS;
            builder.build().ok()
        });
        let system_hosts = if own_server { None } else { Hosts::from_system().ok() };
        let (hosts, system_hosts) = (trunk.hosts.clone(), system_hosts.unwrap_or_default());
        Ok(NameService { runtime, resolver, own_server, hosts, system_hosts, clock, silent: None })
    }

    fn given(&self, name: &str, kind: RecordKind) -> Option<Vec<IpAddr>> {
        let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let of_kind = |address: &IpAddr| address.is_ipv4() == (kind == RecordKind::A);
        if let Some(addresses) = self.hosts.get(&bare) {
            return Some(addresses.iter().copied().filter(of_kind).collect());
        }
        let found = |kind| {
            let query = Query::query(Name::from_utf8(&bare).ok()?, kind);
            self.system_hosts.lookup_static_host(&query)
        };
        let (v4, v6) = (found(RecordType::A), found(RecordType::AAAA));
        let known = v4.is_some() || v6.is_some();
        let all = [v4, v6].into_iter().flatten().flat_map(|lookup| lookup.answers().to_vec());
        known.then(|| all.filter_map(|record| record.data.ip_addr()).filter(of_kind).collect())
    }

    fn ask_server(&mut self, name: &str, kind: RecordKind) -> NameAnswer {
        if let Some(why) = &self.silent {
            return NameAnswer { failed: Some(why.clone()), ..NameAnswer::default() };
        }
        let Some(resolver) = &self.resolver else {
            return NameAnswer { failed: Some("the system names no name server".to_owned()), ..NameAnswer::default() };
        };
        // A name without a dot may be one of the system's own domains.
        let whole = if name.contains('.') { format!("{}.", name.trim_end_matches('.')) } else { name.to_owned() };
        let begin = self.clock.now();
        let answer = self.runtime.block_on(resolver.lookup(whole, type_of(kind)));
        let took = self.clock.now().since(begin);
        match answer {
            Ok(lookup) => {
                let records = lookup.answers().iter().filter_map(|record| record_of(kind, &record.data)).collect();
                let ttl = lookup.answers().iter().map(|record| Duration::from_secs(record.ttl.into())).min();
                NameAnswer { records, ttl, took, failed: None }
            }
            Err(error) if error.is_no_records_found() => NameAnswer { took, ..NameAnswer::default() },
            Err(error) => {
                let why = in_words(&error);
                if matches!(error, NetError::Timeout) {
                    self.silent = Some(why.clone());
                }
                NameAnswer { took, failed: Some(why), ..NameAnswer::default() }
            }
        }
    }

    /// What only the system itself knows.
    fn ask_system(&self, name: &str, kind: RecordKind) -> Vec<NameRecord> {
        let family = if kind == RecordKind::A { AddressFamily::V4 } else { AddressFamily::V6 };
        let found = resolve(name, 0, Some(family)).unwrap_or_default();
        found.into_iter().map(|address| NameRecord::Address(address.ip())).collect()
    }
}

impl Names for NameService {
    fn ask(&mut self, name: &str, kind: RecordKind) -> NameAnswer {
        let is_address = matches!(kind, RecordKind::A | RecordKind::Aaaa);
        if is_address && let Some(addresses) = self.given(name, kind) {
            let records = addresses.into_iter().map(NameRecord::Address).collect();
            return NameAnswer { records, ..NameAnswer::default() };
        }
        let mut answer = self.ask_server(name, kind);
        if is_address && answer.records.is_empty() && !self.own_server {
            answer.records = self.ask_system(name, kind);
            if !answer.records.is_empty() {
                answer.failed = None;
            }
        }
        answer
    }

    fn is_given(&self, name: &str) -> bool {
        self.given(name, RecordKind::A).is_some()
    }
}

/// A configuration that asks one server, over UDP and, where an answer is too long for that, TCP.
fn asking(server: SocketAddr) -> ResolverConfig {
    let at = |connection: ConnectionConfig| {
        let mut connection = connection;
        connection.port = server.port();
        connection
    };
    let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections)])
}

const fn type_of(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::Naptr => RecordType::NAPTR,
        RecordKind::Srv => RecordType::SRV,
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
    }
}

/// A record of the kind that was asked for; an answer may hold others, like the CNAME before it.
fn record_of(kind: RecordKind, data: &RData) -> Option<NameRecord> {
    match (kind, data) {
        (RecordKind::Naptr, RData::NAPTR(naptr)) => Some(NameRecord::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
            service: String::from_utf8_lossy(&naptr.services).into_owned(),
            replacement: plain(&naptr.replacement),
        }),
        (RecordKind::Srv, RData::SRV(srv)) => Some(NameRecord::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: plain(&srv.target),
        }),
        (RecordKind::A, RData::A(_)) | (RecordKind::Aaaa, RData::AAAA(_)) => data.ip_addr().map(NameRecord::Address),
        _ => None,
    }
}

/// A name without its last dot; the root stays ".".
fn plain(name: &Name) -> String {
    let text = name.to_utf8();
    match text.strip_suffix('.') {
        Some(bare) if !bare.is_empty() => bare.to_owned(),
        _ => text,
    }
}

fn in_words(error: &NetError) -> String {
    match error {
        NetError::Timeout => "no name server answered".to_owned(),
        other => other.to_string(),
    }
}
