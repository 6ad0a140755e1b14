//! Which addresses a run may speak to: names looked up, then checked against
//! `[safety] allow_targets`, before anything is sent.

use super::failure::Failure;
use super::names::NameService;
use super::side::side_by_side;
use crate::net::clock::Clock;
use crate::plan::{HostTable, Plan, TrunkPlan};
use crate::record::{Resolution, ResolutionStep, ResolvedTarget};
use crate::sip::locate::{Destination, Located, NameAnswer, NameRecord, NameStep, Names, RecordKind, locate, shares};
use crate::vocab::{AddressFamily, Transport, nanos, saturating_u16};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where a trunk's requests may go: one address at least.
#[derive(Clone, Debug)]
pub(super) struct TrunkTargets {
    /// By priority.
    pub places: Vec<Destination>,
    /// How they were found; `None` where nobody was asked.
    pub resolution: Option<Resolution>,
}

impl TrunkTargets {
    pub(super) fn at(address: SocketAddr) -> TrunkTargets {
        TrunkTargets { places: vec![Destination { address, priority: 0, weight: 0, host: 0 }], resolution: None }
    }

    /// Where a name leads, for agents that choose among its places; none of an address.
    pub(super) fn named(&self) -> Arc<[Destination]> {
        if self.resolution.is_some() { self.places.clone().into() } else { Arc::default() }
    }

    /// What the name's records ask for.
    pub(super) fn transport(&self) -> Option<Transport> {
        self.resolution.as_ref().map(|resolution| resolution.transport)
    }

    /// In the order they are tried by whoever is not one of many agents.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.places.iter().map(|place| place.address).collect()
    }

    /// The address most agents take first, for whoever speaks to one alone.
    pub(super) fn preferred(&self) -> SocketAddr {
        let best = self.places.iter().min_by_key(|place| (place.priority, u16::MAX - place.weight));
        best.map_or(NOWHERE, |place| place.address)
    }
}

/// No address is ever found so.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// Where every trunk sends to, by trunk; trunks on the embedded registrar get `embedded`. The plan
/// takes the transports that names ask for.
///
/// # Errors
/// As [`resolve_trunk`].
pub(super) fn resolve_all(plan: &mut Plan, embedded: Option<SocketAddr>) -> Result<Vec<TrunkTargets>, Failure> {
    let looked_up = look_up_all(plan)?;
    with_embedded(looked_up, embedded)
}

/// The same for all but the embedded registrar, which is not there yet: `None`.
///
/// # Errors
/// As [`resolve_trunk`].
pub(super) fn look_up_all(plan: &mut Plan) -> Result<Vec<Option<TrunkTargets>>, Failure> {
    // Each name may take a name server's whole patience.
    let found = side_by_side(&plan.trunks, |trunk| look_up(plan, trunk));
    let found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    for (trunk, found) in plan.trunks.iter_mut().zip(&found) {
        found.iter().for_each(|found| found.settle(trunk));
    }
    Ok(found)
}

/// Fills in the embedded registrar's address.
///
/// # Errors
/// When it is wanted and there is none.
pub(super) fn with_embedded(
    looked_up: Vec<Option<TrunkTargets>>,
    embedded: Option<SocketAddr>,
) -> Result<Vec<TrunkTargets>, Failure> {
    let found = looked_up.into_iter().map(|found| found.or(embedded.map(TrunkTargets::at)));
    found.map(|found| found.ok_or_else(|| Failure::could_not("the embedded registrar has no address"))).collect()
}

impl TrunkTargets {
    /// The trunk takes the transport that its name asks for.
    pub(super) fn settle(&self, trunk: &mut TrunkPlan) {
        if let Some(transport) = self.transport() {
            trunk.goes_over(transport);
        }
        trunk.places = self.places.len();
    }
}

/// Where a trunk sends to.
///
/// # Errors
/// A name that does not resolve could not run (3); an address outside the allowed ones is bad usage
/// (2).
pub(super) fn resolve_trunk(
    plan: &Plan,
    trunk: &TrunkPlan,
    embedded: Option<SocketAddr>,
) -> Result<TrunkTargets, Failure> {
    let found = look_up(plan, trunk)?.or(embedded.map(TrunkTargets::at));
    found.ok_or_else(|| Failure::could_not("the embedded registrar has no address"))
}

fn look_up(plan: &Plan, trunk: &TrunkPlan) -> Result<Option<TrunkTargets>, Failure> {
    let number = plan.trunks.iter().position(|other| other.id == trunk.id).unwrap_or(0);
    let Some(found) = ask(&plan.allow_targets, number, trunk)? else { return Ok(None) };
    if let Some(refused) = found.refused.first() {
        let host = trunk.target().map_or("", |target| &target.host);
        return Err(Failure::usage(refusal(plan, trunk, host, *refused)));
    }
    Ok(Some(found.allowed))
}

/// The message without the trunk it names: where that stands already.
pub(super) fn without_trunk(id: &str, message: &str) -> String {
    message.strip_prefix(&format!("trunk {id}: ")).unwrap_or(message).to_owned()
}

/// What a look-up found, apart from what may not be spoken to.
pub(super) struct LookUp {
    pub allowed: TrunkTargets,
    pub refused: Vec<IpAddr>,
}

/// Looks a trunk's target up; `None`: it is the embedded registrar.
///
/// # Errors
/// When it is nowhere.
pub(super) fn ask(nets: &[IpNet], number: usize, trunk: &TrunkPlan) -> Result<Option<LookUp>, Failure> {
    let Some(target) = trunk.target() else { return Ok(None) };
    let family = trunk.source.first().map(|source| AddressFamily::of(*source));
    let mut names = NameService::of(trunk, Clock::new())?;
    let located = locate(&target.wanted(family), &mut names);
    if located.places.is_empty() {
        return Err(Failure::could_not(format!(
            "trunk {}: the name {} does not resolve: {}",
            trunk.id,
            target.host,
            located.trouble()
        )));
    }
    let (places, refused): (Vec<Destination>, Vec<Destination>) =
        located.places.iter().cloned().partition(|place| allowed(nets, place.address.ip()));
    let refused: Vec<IpAddr> = refused.iter().map(|place| place.address.ip()).collect();
    let transport = located.transport.unwrap_or(target.transport);
    let asked = !located.steps.is_empty();
    let resolution = asked.then(|| resolution(number, &target.host, transport, &located, &places, &refused));
    Ok(Some(LookUp { allowed: TrunkTargets { places, resolution }, refused }))
}

/// Where a trunk's name leads by what stands in the profile alone (`hosts`), for whoever asks
/// nobody and sends nothing; `None` where that says nothing.
pub(super) fn by_profile(number: usize, trunk: &TrunkPlan) -> Option<TrunkTargets> {
    let target = trunk.target()?;
    let family = trunk.source.first().map(|source| AddressFamily::of(*source));
    let mut names = HostsAlone(&trunk.hosts);
    let located = locate(&target.wanted(family), &mut names);
    if !names.is_given(&target.host) || located.places.is_empty() {
        return None;
    }
    let resolution = resolution(number, &target.host, target.transport, &located, &located.places, &[]);
    Some(TrunkTargets { places: located.places, resolution: Some(resolution) })
}

/// A profile's own names, and nobody else's.
struct HostsAlone<'a>(&'a HostTable);

impl Names for HostsAlone<'_> {
    fn ask(&mut self, name: &str, kind: RecordKind) -> NameAnswer {
        let of_kind = |address: &&IpAddr| match kind {
            RecordKind::A => address.is_ipv4(),
            RecordKind::Aaaa => address.is_ipv6(),
            RecordKind::Naptr | RecordKind::Srv => false,
        };
        let known = self.0.get(&bare(name)).into_iter().flatten();
        let records = known.filter(of_kind).map(|address| NameRecord::Address(*address)).collect();
        NameAnswer { records, ..NameAnswer::default() }
    }

    fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(&bare(name))
    }
}

/// As names stand in a table.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn resolution(
    trunk: usize,
    host: &str,
    transport: Transport,
    located: &Located,
    places: &[Destination],
    refused: &[IpAddr],
) -> Resolution {
    let step = |step: &NameStep| ResolutionStep {
        name: step.name.clone(),
        kind: step.kind,
        records: step.answer.records.iter().map(ToString::to_string).collect(),
        ttl_s: step.answer.ttl.map(|ttl| ttl.as_secs()),
        took_us: nanos(step.answer.took) / 1_000,
        failed: step.answer.failed.clone(),
    };
    let target = |(place, share): (&Destination, f64)| ResolvedTarget {
        priority: place.priority,
        weight: place.weight,
        address: place.address.to_string(),
        first_choice_pct: (share * 1_000.0).round() / 10.0,
    };
    Resolution {
        trunk: saturating_u16(trunk),
        host: host.to_owned(),
        at_ns: 0,
        transport,
        by_srv: located.by_srv,
        steps: located.steps.iter().map(step).collect(),
        targets: places.iter().zip(shares(places)).map(target).collect(),
        refused: refused.iter().map(ToString::to_string).collect(),
        ttl_s: located.ttl().map(|ttl| ttl.as_secs()),
        took_us: located.steps.iter().map(|step| nanos(step.answer.took) / 1_000).sum(),
    }
}

/// Whether an address is within these networks.
pub(super) fn allowed(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

fn refusal(plan: &Plan, trunk: &TrunkPlan, host: &str, address: IpAddr) -> String {
    let nets: Vec<String> = plan.allow_targets.iter().map(ToString::to_string).collect();
    let named = if host == address.to_string() { String::new() } else { format!(" ({host})") };
    format!(
        "trunk {}: {address}{named} is not among the allowed targets [{}]; nothing was sent.\n\
         If this registrar is yours to test, add its address to [safety] allow_targets, for example \
         allow_targets = [\"{address}\"]",
        trunk.id,
        nets.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_do_not_slip_through() {
        let nets: Vec<IpNet> = vec!["127.0.0.0/8".parse().expect("net"), "::1/128".parse().expect("net")];
        let is = |text: &str| allowed(&nets, text.parse().expect("address"));
        assert!(is("127.0.0.1") && is("127.1.2.3") && is("::1") && is("::ffff:127.0.0.1"));
        assert!(!is("10.0.0.1") && !is("::ffff:10.0.0.1") && !is("2001:db8::1") && !is("0.0.0.0"));
    }
}
