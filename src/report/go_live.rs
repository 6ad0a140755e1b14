//! The question behind every run: can we go live? What the run says to it, and why, in words for
//! those who decide.
//!
//! `Yes` needs a run that met targets, of a real registrar, on a sound test machine, with nothing
//! critical left open. What a run cannot decide it does not decide.

use super::text::{counted, thousands};
use super::words;
use crate::diagnose::{Finding, GeneratorVerdict, Judgement, Verdict};
use crate::record::{RegistrarHeader, Results};
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
            undecided("the test machine could not keep its own schedule; repeat the run on a quieter one")
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
        Verdict::Pass if judgement.generator == GeneratorVerdict::Suspect => {
            let because = "every target was met, but the test machine had small troubles of its own".to_owned();
            GoLive { answer: "With reservations", because, tone: "doubt" }
        }
        Verdict::Pass => {
            let because = format!("every target was met with {}", counted(results.totals.agents, "agent"));
            GoLive { answer: "Yes", because, tone: "good" }
        }
    }
}

/// Whether every trunk went to the built-in registrar.
pub fn embedded(results: &Results) -> bool {
    !results.header.trunks.is_empty()
        && results.header.trunks.iter().all(|trunk| trunk.registrar == RegistrarHeader::Embedded)
}
