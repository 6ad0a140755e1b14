//! A finding as a detector makes it, before it becomes text: what was seen, what was ruled out, how
//! sure it is.

use super::cost::Cost;
use super::rivals::{self, Rival};
use crate::agent::call_id;
use crate::diagnose::explain::{self, ANY, LookAt};
use crate::diagnose::finding::Finding;
use crate::measure::Sightings;
use crate::record::Header;
use crate::seed::Seed;
use crate::vocab::{AgentId, Confidence, RunTag, Severity};

/// Observations that make a finding sure.
pub const MANY: u64 = 20;
/// Observations that make it likely.
pub const SOME: u64 = 5;
/// What happens once in a thousand times is no chance.
pub(super) const BY_CHANCE: f64 = 1e-3;

/// How sure a finding is, by observations for and against, with all rivals ruled out. It follows
/// from what was counted and is no probability:
///
/// * `high`: at least 20 observations speak for it, at most one in a hundred against, and an
///   observation ruled out every rival explanation;
/// * `medium`: the same with at least 5 observations, or with up to one in twenty against;
/// * `low`: fewer observations, or more against;
/// * `open` (not given here): a rival explanation was not ruled out; it has a finding of its own
///   where there is one, and the advice names the test.
pub fn confidence(pro: u64, against: u64) -> Confidence {
    match (pro, against) {
        (MANY.., against) if against * 100 <= pro => Confidence::High,
        (SOME.., against) if against * 20 <= pro => Confidence::Medium,
        _ => Confidence::Low,
    }
}

/// A finding in the making. Times are nanoseconds since the run's start.
#[derive(Clone, Debug)]
pub struct Draft {
    /// One of the ids in `explain/findings.toml`.
    pub id: &'static str,
    pub severity: Severity,
    /// `None`: it concerns the run as a whole.
    pub trunk: Option<u16>,
    /// Agents and attempts hit.
    pub agents: u64,
    pub attempts: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    pub confidence: Confidence,
    /// One sentence for whoever reads nothing else.
    pub summary: String,
    /// Counts, header values, times: one fact each.
    pub evidence: Vec<String>,
    /// Explanations that were ruled out, each with the observation that did it.
    pub rejected: Vec<String>,
    /// The rivals among them.
    pub excluded: Vec<Rival>,
    /// What to look at beyond what [`explain`] says of the id.
    pub advice: Vec<String>,
    /// Agents whose Call-IDs stand for all.
    pub examples: Vec<u32>,
    pub cost: Option<Cost>,
}

impl Draft {
    /// A draft of `id` on a trunk, or of the run as a whole, with everything else empty.
    pub fn new(id: &'static str, severity: Severity, trunk: Option<u16>) -> Self {
        Draft {
            id,
            severity,
            trunk,
            agents: 0,
            attempts: 0,
            first_ns: 0,
            last_ns: 0,
            confidence: Confidence::Low,
            summary: String::new(),
            evidence: Vec::new(),
            rejected: Vec::new(),
            excluded: Vec::new(),
            advice: Vec::new(),
            examples: Vec::new(),
            cost: None,
        }
    }

    /// Takes over the attempts that were seen: how many, when, and whom first.
    pub fn saw(&mut self, seen: Sightings) {
        (self.attempts, self.first_ns, self.last_ns) = (seen.count, seen.first_ns, seen.last_ns);
        self.examples = seen.agents;
    }

    /// An observation ruled out a rival; `because` names both.
    pub fn excludes(&mut self, rival: Rival, because: impl Into<String>) {
        self.excluded.push(rival);
        self.rejected.push(because.into());
    }

    /// The same for several rivals that one observation rules out.
    pub fn excludes_all(&mut self, rivals: &[Rival], because: impl Into<String>) {
        self.excluded.extend_from_slice(rivals);
        self.rejected.push(because.into());
    }

    /// A finding of more than low confidence with a rival left becomes open; an open one says what
    /// would tell the two apart.
    fn weigh_rivals(&mut self) {
        let known = explain::finding(self.id).map(|text| text.rivals).unwrap_or_default();
        let left = rivals::left(known, &self.excluded);
        if !left.is_empty() && self.confidence > Confidence::Low {
            self.confidence = Confidence::Open;
        }
        if self.confidence == Confidence::Open {
            let tests = left.iter().map(|rival| format!("to tell it from {}: {}", rival.cause, rival.test));
            self.advice.extend(tests);
        }
    }

    /// The columns of `findings.csv`.
    pub fn finish(mut self, header: &Header) -> Finding {
        self.weigh_rivals();
        let mut evidence = self.evidence;
        let examples: Vec<(String, String)> =
            self.examples.iter().filter_map(|&agent| example(header, agent)).collect();
        if !examples.is_empty() {
            evidence.push(format!("for example {}", examples.iter().map(named).collect::<Vec<_>>().join(", ")));
        }
        let (users, call_ids): (Vec<String>, Vec<String>) = examples.into_iter().unzip();
        let known = explain::finding(self.id).map(|text| text.look_at).unwrap_or_default();
        let own = self.advice.into_iter().map(|what| LookAt { system: ANY.to_owned(), what });
        let places: Vec<LookAt> = own.chain(known).collect();
        Finding {
            id: self.id.to_owned(),
            severity: self.severity,
            trunk_id: self
                .trunk
                .and_then(|n| header.trunks.get(usize::from(n)))
                .map(|t| t.id.clone())
                .unwrap_or_default(),
            users,
            call_ids: call_ids.into_iter().filter(|id| !id.is_empty()).collect(),
            seen_ns: (self.first_ns, self.last_ns),
            agents: self.agents,
            attempts: self.attempts,
            first_seen: header.utc(self.first_ns),
            last_seen: header.utc(self.last_ns),
            confidence: self.confidence,
            summary: self.summary,
            evidence: evidence.join("; "),
            advice: places.iter().map(LookAt::to_string).collect::<Vec<_>>().join(" | "),
            places,
            rejected: self.rejected.join("; "),
            cost: self.cost.map(|cost| cost.to_string()).unwrap_or_default(),
        }
    }
}

/// Whether a ratio lies so close to its threshold that nothing may rest on it alone.
pub fn is_near(value: f64, threshold: f64) -> bool {
    (value - threshold).abs() < NEAR * threshold.abs()
}

/// 15 %.
const NEAR: f64 = 0.15;

/// An agent and the Call-ID under which to look for it in a trace. Those of an observed source are
/// the source's own, and a log may have none.
fn example(header: &Header, agent: u32) -> Option<(String, String)> {
    let user = header.users.get(agent as usize)?;
    let id = match header.call_ids.get(agent as usize) {
        Some(observed) => observed.clone(),
        None => {
            let made = call_id(Seed(header.seed), RunTag(header.run_tag), AgentId(agent));
            String::from_utf8_lossy(&made).into_owned()
        }
    };
    Some((user.clone(), id))
}

fn named((user, id): &(String, String)) -> String {
    if id.is_empty() { user.clone() } else { format!("{user} (Call-ID {id})") }
}
