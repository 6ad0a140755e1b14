//! Exit statuses, in one place.

use crate::diagnose::Verdict;
use crate::profile::ProfileError;
use crate::vocab::parse_duration;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    Success,
    ThresholdFailed,
    /// Experiments ended without an explanation.
    CausesOpen,
    /// A run is worse than the one it was compared with.
    Regression,
    /// A sweep left bindings, or could not ask about all.
    BindingsLeft,
    Usage,
    CouldNotRun,
    /// 128 + the signal's number.
    Signal(i32),
}

impl Exit {
    /// The exit status of `run`.
    pub fn of_run(verdict: Verdict, interrupted_by: Option<i32>) -> Exit {
        match (verdict, interrupted_by) {
            (_, Some(signal)) => Exit::Signal(signal),
            (Verdict::Pass, None) => Exit::Success,
            (Verdict::Fail, None) => Exit::ThresholdFailed,
            (Verdict::Invalid | Verdict::Interrupted, None) => Exit::CouldNotRun,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::ThresholdFailed | Exit::CausesOpen | Exit::Regression | Exit::BindingsLeft => 1,
            Exit::Usage => 2,
            Exit::CouldNotRun => 3,
            Exit::Signal(number) => 128u8.saturating_add(u8::try_from(number).unwrap_or(127)),
        })
    }
}

/// Why a command ended without doing its work.
#[derive(Debug)]
pub enum Failure {
    /// Bad usage or profile, a target that is not allowed, a missing file or secret: nothing was
    /// sent.
    Usage(String),
    /// The machine or the network did not allow it.
    CouldNotRun(String),
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::CouldNotRun(_) => Exit::CouldNotRun,
        }
    }

    pub fn usage(message: impl fmt::Display) -> Self {
        Failure::Usage(message.to_string())
    }

    pub fn could_not(message: impl fmt::Display) -> Self {
        Failure::CouldNotRun(message.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(message) | Failure::CouldNotRun(message) => f.write_str(message),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// A duration that was typed behind an option.
///
/// # Errors
/// When it is none.
pub(super) fn span_of(option: &str, text: &str) -> Result<Duration, Failure> {
    parse_duration(text).map_err(|error| Failure::usage(format!("{option} {text}: {error}")))
}
