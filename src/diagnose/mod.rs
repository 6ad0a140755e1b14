//! Judgement over recorded evidence, as pure functions: thresholds, the generator's and the run's verdict.

pub mod threshold;
pub mod verdict;

pub use threshold::{Threshold, ThresholdError};
pub use verdict::{Finding, GeneratorVerdict, Judgement, ThresholdOutcome, Verdict};
