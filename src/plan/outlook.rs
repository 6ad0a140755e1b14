//! What a plan means, in a few lines for a person: who registers where, how many, how fast, what
//! ends it early and what is left afterwards.

use super::{Plan, RegistrarChoice, TrunkPlan};
use crate::agent::CheckPolicy;
use crate::agent::check::{BETWEEN_AUDITS, FIRST_AUDIT};
use crate::diagnose::AbortCondition;
use crate::diagnose::findings::counted;
use crate::load::Schedule;
use crate::seed::Seed;
use crate::vocab::{TrunkId, floor_u64, format_duration, in_groups};
use std::fmt::Write;
use std::net::SocketAddr;

impl Plan {
    /// The lines, each with its label; `targets` are the addresses of the trunks as far as they are
    /// known.
    pub fn outlook(&self, targets: &[Option<SocketAddr>]) -> Vec<(&'static str, String)> {
        let mut lines = vec![("run", self.load_in_words())];
        for (n, trunk) in self.trunks.iter().enumerate() {
            let label = if n == 0 { "trunks" } else { "" };
            if n == MOST_TRUNKS {
                lines.push((label, format!("and {} more", self.trunks.len() - n)));
                break;
            }
            let address = targets.get(n).copied().flatten().map(|target| format!(" ({target})"));
            lines.push((label, self.trunk_in_words(n, trunk, &address.unwrap_or_default())));
        }
        lines.extend(self.checks_in_words().map(|text| ("asks besides", text)));
        let nets: Vec<String> = self.allow_targets.iter().map(ToString::to_string).collect();
        lines.push(("may send to", format!("{}; everything else is refused", nets.join(", "))));
        let ends = self.abort_on.iter().map(ToString::to_string);
        let ends: Vec<String> = ends.collect();
        if !ends.is_empty() {
            lines.push(("ends early", format!("when {}", ends.join(", or "))));
        }
        let thresholds = self.thresholds.iter().map(ToString::to_string);
        lines.push(("passes when", thresholds.collect::<Vec<_>>().join(", ")));
        lines.push(("afterwards", self.afterwards()));
        lines
    }

    /// Conditions for a registrar of others whose profile says nothing: a list with wrong passwords
    /// must not lock everybody's accounts.
    pub fn be_cautious(&mut self, has_canaries: bool) {
        if self.contact.abort_on_written {
            return;
        }
        let agents = crate::vocab::saturating_u32(self.identities.len());
        let refused = format!("> {}", LEAST_REFUSED.max(agents / 20));
        self.abort_on.extend(AbortCondition::parse("authentication_failed", &refused, &[]));
        if has_canaries {
            // An agent that takes no part in the load is shut out: a ban, or accounts that are
            // locked.
            let shut_out = format!(">= {SHUT_OUT}");
            self.abort_on.extend(AbortCondition::parse("canary_failed_in_a_row", &shut_out, &[]));
        }
    }

    fn load_in_words(&self) -> String {
        let agents = counted(self.identities.len() as u64, "agent");
        if self.load.stages.is_empty() {
            return format!("{}: {agents}, no [[load]]: good for preflight, limits and diagnose --live", self.name);
        }
        let schedule = Schedule::new(&self.load, Seed(0));
        let mut text = format!(
            "{}: {agents}, {} within {}",
            self.name,
            counted(schedule.arrivals().into(), "arrival"),
            format_duration(schedule.lasts()),
        );
        if schedule.peak() > 0.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, ", at most {} each second", short(schedule.peak()));
        }
        let _ =
            write!(text, "; never more than {} messages a second", in_groups(self.load.max_message_rate.into(), ','));
        if self.trunks.iter().any(|trunk| trunk.transport().is_stream()) {
            let _ = write!(text, ", {} new connections", in_groups(self.load.max_connect_rate.into(), ','));
        }
        text
    }

    fn trunk_in_words(&self, n: usize, trunk: &TrunkPlan, address: &str) -> String {
        let registrar = match trunk.registrar {
            RegistrarChoice::Embedded => "the embedded registrar, on this machine",
            RegistrarChoice::Target(_) => trunk.registrar_text.as_str(),
        };
        let proxy = trunk.outbound_proxy.as_ref().map(|proxy| format!(" through {}", proxy.route));
        let of_trunk = |agent: &crate::agent::Identity<'_>| agent.trunk == TrunkId(crate::vocab::saturating_u16(n));
        let mut agents = self.identities.iter().filter(of_trunk);
        let first = agents.next().map(|agent| format!(", the first is {}", agent.user));
        format!(
            "{}: {} to {registrar}{address}{} over {}, domain {}{}, lifetime {}",
            trunk.id,
            counted(trunk.agents.into(), "agent"),
            proxy.unwrap_or_default(),
            trunk.transport().as_str().to_uppercase(),
            trunk.policy.domain,
            first.unwrap_or_default(),
            format_duration(std::time::Duration::from_secs(trunk.policy.expires_s.into())),
        )
    }

    /// What agents ask besides registering, as soon as they are registered; `None`: nothing.
    fn checks_in_words(&self) -> Option<String> {
        let mut parts = Vec::new();
        for trunk in &self.trunks {
            let CheckPolicy { audit, qualify } = trunk.policy.checks;
            let auditing = f64::from(trunk.agents) * audit;
            if auditing > 0.0 {
                // One of two that are challenged is answered with credentials.
                let (first, later) = (auditing / FIRST_AUDIT.as_secs_f64(), auditing / BETWEEN_AUDITS.as_secs_f64());
                parts.push(format!(
                    "{}: about {} ask for their bindings, up to {} a second at first, then {} (twice that where each is challenged)",
                    trunk.id,
                    counted(floor_u64(auditing.round()), "agent"),
                    short(first),
                    short(later)
                ));
            }
            if let Some(every) = qualify {
                parts.push(format!(
                    "{}: every agent sends OPTIONS every {}, {} a second when all are registered",
                    trunk.id,
                    format_duration(every),
                    short(f64::from(trunk.agents) / every.as_secs_f64())
                ));
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn afterwards(&self) -> String {
        let longest = self.trunks.iter().map(|trunk| trunk.policy.expires_s).max().unwrap_or(0);
        let longest = format_duration(std::time::Duration::from_secs(longest.into()));
        if self.unregister {
            format!("every agent removes its binding; one that cannot be removed ends by itself within {longest}")
        } else {
            format!("every binding stays until it ends by itself, within {longest}")
        }
    }
}

fn short(rate: f64) -> String {
    let text = format!("{rate:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Fewer refusals of credentials than this end nothing; beyond 400 agents it is one in twenty.
const LEAST_REFUSED: u32 = 20;
/// A canary that fails so often, one check after the other, is shut out.
const SHUT_OUT: u32 = 3;
/// The most trunks that are told one by one.
const MOST_TRUNKS: usize = 12;
