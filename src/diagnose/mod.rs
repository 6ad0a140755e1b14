//! Judgement over recorded evidence, as pure functions: thresholds, the generator's and the run's
//! verdict.
//!
//! `explain` says what codes and findings mean, `readiness` judges a preflight, `watch` a canary's
//! rounds, `gate` what all who are asked say of a trunk.
//!
//! `truth` holds servers' own counts against ours.
//!
//! `figures` derives numbers from totals, `metric` gives them the names of thresholds, `threshold`
//! reads and checks one, `verdict` adds it all up. `abort` holds conditions against a run that
//! still goes on. `experiment` plans the trials that explain one agent's refusal, without a record.
//! `findings` explain failures, `diagnosis` says whether they leave anything open, `handshake`
//! names the step that a loop lacks. `compare` holds one run against another; `dry_run` and
//! `avalanche` look at rehearsals. This room reads a [`crate::record::Results`], or intervals as
//! they come, and returns values; it writes nothing.

pub mod abort;
pub mod avalanche;
pub mod compare;
pub mod course;
pub mod credentials;
pub mod diagnosis;
pub mod dry_run;
pub mod experiment;
pub mod explain;
pub mod figures;
pub mod finding;
pub mod findings;
pub mod flips;
pub mod gate;
pub mod handshake;
pub mod metric;
pub mod readiness;
pub mod reconcile;
pub mod rhythm;
pub mod sources;
pub mod threshold;
pub mod truth;
pub mod verdict;
pub mod watch;

pub use abort::{AbortCondition, AbortWatch};
pub use diagnosis::Diagnosis;
pub use dry_run::{DryRun, Expectation};
pub use finding::Finding;
pub use findings::findings;
pub use handshake::HandshakeStep;
pub use sources::{SourceResult, by_source};
pub use threshold::{Relation, Threshold, ThresholdError, ThresholdOutcome};
pub use verdict::{GeneratorVerdict, Judgement, Verdict, aborted, judge};
