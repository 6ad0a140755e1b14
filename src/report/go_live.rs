//! The question behind every run: can we go live? What the run says to it, and why, in words for
//! those who decide.
//!
//! `Yes` needs a run that met targets, of a real registrar, on a sound test machine, with nothing
//! critical left open, and every agent of the profile signed in to the end: the question is about
//! all of them. What a run cannot decide it does not decide.

use super::text::{counted, thousands};
use super::words;
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, Verdict};
use crate::record::{AgentResult, RegistrarHeader, Results};
use crate::vocab::Severity;

/// An answer in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoLive {
    pub answer: &'static str,
    pub because: String,
    /// `good`, `bad` or `doubt`: a colour, beside the word.
    pub tone: &'static str,
}

/// What this run says to the question.
pub fn go_live(results: &Results, judgement: &Judgement, findings: &[Finding]) -> GoLive {
    let undecided = |because: &str| GoLive { answer: "Not decided", because: because.to_owned(), tone: "doubt" };
    let critical = findings.iter().filter(|finding| finding.severity == Severity::Critical).count() as u64;
    match judgement.verdict {
        Verdict::Fail => {
            let because = words::reason(results, judgement);
            GoLive { answer: "No", because, tone: "bad" }
        }
        Verdict::Invalid => {
            let trouble = words::own_trouble(results);
            undecided(&format!("the test machine {trouble}; repeat the run on a quieter one"))
        }
        Verdict::Interrupted => undecided("the run did not come to its end; repeat it"),
        Verdict::Pass if judgement.thresholds.is_empty() => {
            undecided("no targets were set; say in the profile what is good enough")
        }
        Verdict::Pass if critical > 0 => {
            let because = format!("every target was met, yet {} critical findings are open", thousands(critical));
            GoLive { answer: "With reservations", because, tone: "doubt" }
        }
        Verdict::Pass if results.header.simulated => {
            undecided("this was a rehearsal in virtual time; no registrar of yours took part")
        }
        Verdict::Pass if embedded(results) => {
            undecided("the registrar was the one built into regstorm; run it against yours")
        }
        Verdict::Pass => answer(results, judgement),
    }
}

/// What a run of a real registrar says that met every target.
fn answer(results: &Results, judgement: &Judgement) -> GoLive {
    let reserved = |because: String| GoLive { answer: "With reservations", because, tone: "doubt" };
    let Turnout { agents, arrived, registered, at_end } = Turnout::of(results);
    if arrived < agents {
        let because = format!(
            "only {} of the profile's {} took part; let the load bring all of them",
            thousands(arrived),
            counted(agents, "agent")
        );
        return GoLive { answer: "Not decided", because, tone: "doubt" };
    }
    if registered < agents {
        let never = thousands(agents - registered);
        let of = counted(agents, "agent");
        return reserved(format!("every target was met, yet {never} of {of} never signed in"));
    }
    if at_end < agents {
        let gone = thousands(agents - at_end);
        let of = counted(agents, "agent");
        return reserved(format!("every target was met, yet {gone} of {of} were no longer signed in at the end"));
    }
    if judgement.generator == GeneratorVerdict::Suspect {
        return reserved("every target was met, but the test machine had small troubles of its own".to_owned());
    }
    let because = format!("every target was met with {}, all signed in to the end", counted(agents, "agent"));
    GoLive { answer: "Yes", because, tone: "good" }
}

/// How many of the profile's agents there were at each point.
pub(super) struct Turnout {
    /// In the profile.
    pub agents: u64,
    /// With an attempt, were it only one that was shed.
    pub arrived: u64,
    /// Signed in once at least.
    pub registered: u64,
    /// Signed in when the drain ended.
    pub at_end: u64,
}

impl Turnout {
    pub(super) fn of(results: &Results) -> Self {
        let count = |is: fn(&AgentResult) -> bool| results.agents.iter().filter(|agent| is(agent)).count() as u64;
        Turnout {
            agents: results.totals.agents,
            arrived: count(|agent| agent.attempts > 0),
            registered: count(|agent| agent.first_registered_ns.is_some()),
            at_end: results.totals.agents_registered_at_end,
        }
    }
}

/// Whether every trunk went to the built-in registrar.
pub fn embedded(results: &Results) -> bool {
    !results.header.trunks.is_empty()
        && results.header.trunks.iter().all(|trunk| trunk.registrar == RegistrarHeader::Embedded)
}
