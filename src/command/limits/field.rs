//! Where a search takes place: the trunk's socket, others for further contacts, for another source
//! address and for another trunk; and the lines that tell a person how far it is.

use crate::command::assemble::{open_flow, template};
use crate::command::failure::Failure;
use crate::command::output::say;
use crate::command::targets::TrunkTargets;
use crate::engine::LiveField;
use crate::fleet::Flows;
use crate::fleet::crew::CrewConfig;
use crate::fleet::roster::{FieldFlows, seats};
use crate::load::search::{SearchField, Seat, Seating, StepPace, StepResult, Stop};
use crate::net::udp::{Udp, UdpOptions};
use crate::plan::{Plan, TrunkPlan};
use crate::record::limits::Setup;
use crate::seed::Seed;
use crate::vocab::{FlowId, RunTag, SocketUse, Time, TrunkId, saturating_u16};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Further contacts one user is given at most: beyond that nobody limits them.
const CONTACTS: usize = 16;

/// A field ready to be searched.
pub(super) struct OpenedField {
    pub crew: CrewConfig,
    /// By [`FlowId`].
    pub sockets: Vec<Udp>,
    pub roster: Seating,
    pub setup: Setup,
}

/// Opens every socket and seats everyone.
///
/// # Errors
/// When a socket cannot be had.
pub(super) fn open(
    plan: &Plan,
    found: &[TrunkTargets],
    id: TrunkId,
    seed: Seed,
    run: RunTag,
    start: Time,
) -> Result<OpenedField, Failure> {
    let targets: Vec<SocketAddr> = found.iter().map(TrunkTargets::preferred).collect();
    let (trunk, target) = (&plan.trunks[id.index()], targets[id.index()]);
    let mut opened = FieldSockets { sockets: Vec::new(), flows: Flows::default() };
    let at = &found[id.index()];
    let main = opened.add(plan, id, trunk.source.first().copied(), at)?;
    let source = match opened.sockets.first() {
        Some(udp) => udp.local_addr().ip(),
        // What a connection would come from.
        None => source_towards(target)?,
    };
    let contacts = (0..CONTACTS).map(|_| opened.add(plan, id, Some(source), at)).collect::<Result<_, _>>()?;
    let other_source = other_source(trunk, source, target);
    let elsewhere = other_source.map(|other| opened.add(plan, id, Some(other), at)).transpose()?;
    let beside = |n: &usize| *n != id.index() && targets[*n] == target && plan.trunks[*n].agents > 0;
    let other = (0..plan.trunks.len()).find(beside);
    let other_trunk = match other {
        Some(n) => {
            let flow = opened.add(plan, TrunkId(saturating_u16(n)), Some(source), &found[n])?;
            Some((TrunkId(saturating_u16(n)), flow))
        }
        None => None,
    };
    let (phones, roster) = seats(&plan.identities, id, &FieldFlows { main, contacts, elsewhere, other_trunk });
    let FieldSockets { sockets, flows } = opened;
    let flows = flows.leading_to(found.iter().map(TrunkTargets::named).collect(), phones.len(), seed);
    let policies = plan.trunks.iter().map(|trunk| &trunk.policy).chain(&plan.variants).cloned().collect();
    let crew = CrewConfig {
        identities: plan.identities.clone(),
        policies,
        flows: flows.opened_at_most(plan.load.max_connect_rate).allowing(plan.allow_targets.clone().into()),
        seats: phones,
        seed,
        run,
        max_message_rate: plan.load.max_message_rate,
        start,
    };
    let setup = Setup {
        trunk_id: trunk.id.clone(),
        registrar: trunk.registrar_text.clone(),
        target: at.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        transport: trunk.transport(),
        domain: trunk.policy.domain.clone(),
        agents: trunk.agents,
        expires_s: trunk.policy.expires_s,
        source: source.to_string(),
        other_source: other_source.map(|other| other.to_string()),
        other_trunk: other.map(|n| plan.trunks[n].id.clone()),
        objective_ms: None,
        exclusive: plan.expect.exclusive,
    };
    Ok(OpenedField { crew, sockets, roster, setup })
}

fn source_towards(target: SocketAddr) -> Result<IpAddr, Failure> {
    let udp = Udp::connected(None, target, &UdpOptions::default()).map_err(Failure::could_not)?;
    Ok(udp.local_addr().ip())
}

/// Another address of ours: the profile's second, or, on this machine's own loopback network, the
/// next one.
fn other_source(trunk: &TrunkPlan, source: IpAddr, target: SocketAddr) -> Option<IpAddr> {
    let listed = trunk.source.iter().copied().find(|other| *other != source);
    let next = match source {
        IpAddr::V4(v4) if v4.is_loopback() && target.ip().is_loopback() => {
            let [a, b, c, d] = v4.octets();
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, if d == 254 { 1 } else { d + 1 })))
        }
        _ => None,
    };
    listed.or(next)
}

/// Sockets, and the flows of the same numbers.
struct FieldSockets {
    sockets: Vec<Udp>,
    flows: Flows,
}

impl FieldSockets {
    /// One flow for each address, which the same phones share.
    fn add(&mut self, plan: &Plan, id: TrunkId, source: Option<IpAddr>, at: &TrunkTargets) -> Result<FlowId, Failure> {
        let template = template(plan, &plan.trunks[id.index()]);
        let mut siblings = Vec::with_capacity(at.places.len());
        for target in at.addresses() {
            let (udp, flow) = open_flow(plan, id, source, target, (&template, SocketUse::Shared))?;
            self.sockets.extend(udp);
            siblings.push(flow);
        }
        let first = self.flows.add_line(siblings);
        first.ok_or_else(|| Failure::could_not(format!("trunk {} has no address", plan.trunks[id.index()].id)))
    }
}

/// What a person is told of a wait: who asks for it, and that a search obeys only so far.
fn waiting(span: Duration, asked_s: Option<u32>) -> String {
    let wait = format!("waiting for {} s", span.as_secs());
    match asked_s.map(|asked| Duration::from_secs(asked.into())) {
        Some(asked) if asked > span => {
            format!("{wait}: the refusal asks for {} s (Retry-After), and a search waits no longer", asked.as_secs())
        }
        Some(asked) if asked == span => format!("{wait}, as the refusal asks (Retry-After)"),
        _ => wait,
    }
}

/// A field whose steps are shown on standard error.
pub(super) struct ShownField {
    pub field: LiveField,
    pub live: bool,
    /// How long the last refusal asked to wait, seconds.
    pub asked_s: Option<u32>,
}

/// A rest that is shorter is told by nobody.
const LONG: Duration = Duration::from_secs(5);

impl ShownField {
    fn say(&mut self, what: &str, rate: f64, seen: &StepResult) {
        self.asked_s = seen.first_refusal().and_then(|refusal| refusal.retry_after_s);
        if !self.live {
            return;
        }
        let elapsed = self.field.passed().as_secs_f64();
        let (all, ok) = (seen.answers.len(), seen.accepted());
        let refused = match seen.first_refusal() {
            Some(refusal) => format!(", {} refused ({refusal})", seen.refused()),
            None => String::new(),
        };
        say(&format!("{elapsed:8.1} s  {what} {all:>5} at {rate:8.1}/s: {ok} accepted{refused}"));
    }
}

impl SearchField for ShownField {
    fn register(&mut self, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop> {
        let seen = self.field.register(seats, pace)?;
        self.say("register", pace.per_second(), &seen);
        Ok(seen)
    }

    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<StepResult, Stop> {
        let seen = self.field.release(seats, per_second)?;
        self.say("release ", per_second, &seen);
        Ok(seen)
    }

    fn rest(&mut self, span: Duration) -> Result<(), Stop> {
        if self.live && span >= LONG {
            let elapsed = self.field.passed().as_secs_f64();
            say(&format!("{elapsed:8.1} s  {}", waiting(span, self.asked_s)));
        }
        self.field.rest(span)
    }

    fn passed(&self) -> Duration {
        self.field.passed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_who_asks_for_it_and_how_far_it_is_obeyed() {
        let minute = Duration::from_secs(60);
        let told = "waiting for 60 s: the refusal asks for 4294967295 s (Retry-After), and a search waits no longer";
        assert_eq!(waiting(minute, Some(u32::MAX)), told);
        assert_eq!(waiting(minute, Some(60)), "waiting for 60 s, as the refusal asks (Retry-After)");
        assert_eq!(
            (waiting(minute, None), waiting(minute, Some(1))),
            ("waiting for 60 s".into(), "waiting for 60 s".into())
        );
    }
}
