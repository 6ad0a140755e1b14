//! Who watches a run: the writers of the raw files, and the person at the terminal.

use super::output::FAILURES;
use crate::cli::Live;
use crate::diagnose::AbortWatch;
use crate::engine::{Decision, Observer};
use crate::live::{Bars, Metrics, Plain, Snapshot};
use crate::measure::Interval;
use crate::plan::Plan;
use crate::record::Writer;
use crate::record::pcapng::{Name, PcapngWriter};
use crate::record::results::Aborted;
use crate::report::words;
use crate::vocab::{FailedAttempt, Stage, Time};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes every interval to the record, and the packets of failures to their file, shows the interval, and says when
/// the run must not go on.
pub struct Watch<'a> {
    writer: Writer<File>,
    failures: FailureFile<'a>,
    screen: Screen,
    metrics: Option<Metrics>,
    conditions: AbortWatch,
    aborted: Option<Aborted>,
}

/// Where the packets of failed attempts go. The file appears with the first of them: a run without failures has none.
pub struct FailureFile<'a> {
    path: PathBuf,
    /// Knows the names of trunks and users.
    plan: &'a Plan,
    /// When the run began, by its own clock and by the calendar.
    start: Time,
    started_unix_ns: i64,
    writer: Option<PcapngWriter<File>>,
}

impl<'a> FailureFile<'a> {
    /// In a run's directory; `started_unix_ns` is the run's time `start` by the calendar.
    pub fn new(directory: &Path, plan: &'a Plan, start: Time, started_unix_ns: i64) -> Self {
        FailureFile { path: directory.join(FAILURES), plan, start, started_unix_ns, writer: None }
    }

    /// Appends attempts and flushes them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&mut self, failures: &[FailedAttempt]) -> io::Result<()> {
        if failures.is_empty() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file = File::create(&self.path)?;
                let started_unix_ns = u64::try_from(self.started_unix_ns).unwrap_or_default();
                self.writer.insert(PcapngWriter::new(file, self.start, started_unix_ns)?)
            }
        };
        failures.iter().try_for_each(|attempt| {
            let trunk = &self.plan.trunks[attempt.trunk.index()].id;
            let user = self.plan.identities.get(attempt.agent).user;
            writer.attempt(attempt, Name { trunk, user })
        })
    }
}

/// How far a run goes, for whoever watches its progress.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Of the load.
    pub lasts: Duration,
    pub agents: u64,
}

/// What the person at the terminal sees.
enum Screen {
    Off,
    Plain,
    Bars(Bars),
}

impl<'a> Watch<'a> {
    /// Bars where standard error is a terminal and the mode leaves it open, plain lines elsewhere.
    pub fn new(record: File, failures: FailureFile<'a>, live: Live, extent: Extent, conditions: AbortWatch) -> Self {
        let Extent { lasts, agents } = extent;
        let screen = match live {
            Live::Off => Screen::Off,
            Live::Auto | Live::Tui if io::stderr().is_terminal() => Screen::Bars(Bars::new(lasts, agents)),
            Live::Plain | Live::Auto | Live::Tui => Screen::Plain,
        };
        Watch { writer: Writer::new(record), failures, screen, metrics: None, conditions, aborted: None }
    }

    /// Counts for those who scrape as well, and says where.
    pub fn publish(&mut self, metrics: Metrics, place: &str) {
        self.metrics = Some(metrics);
        self.say(&format!("metrics at {place}"));
    }

    /// The first condition of `abort_on` that held.
    pub fn aborted(&self) -> Option<&Aborted> {
        self.aborted.as_ref()
    }

    /// The record, for what is written before and after the intervals.
    pub fn record(&mut self) -> &mut Writer<File> {
        &mut self.writer
    }

    /// Shows a line to the person watching, if there is one.
    pub fn say(&self, line: &str) {
        match &self.screen {
            Screen::Off => {}
            Screen::Plain => eprintln!("{line}"),
            Screen::Bars(bars) => bars.say(line),
        }
    }
}

impl Observer for Watch<'_> {
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision> {
        self.writer.interval(interval)?;
        if let Some(metrics) = &self.metrics {
            metrics.interval(interval);
        }
        if !matches!(self.screen, Screen::Off) {
            self.say(&Plain.line(interval));
        }
        if self.aborted.is_some() {
            return Ok(Decision::GoOn);
        }
        self.aborted = self.conditions.interval(interval);
        Ok(if self.aborted.is_some() { Decision::Stop } else { Decision::GoOn })
    }

    fn failures(&mut self, failures: &[FailedAttempt]) -> io::Result<()> {
        self.failures.append(failures)
    }

    fn progress(&mut self, elapsed: Duration, planned: u64, registered: u64, open: u64) {
        if let Screen::Bars(bars) = &self.screen {
            bars.show(&Snapshot { elapsed, planned, registered, open });
        }
    }

    fn stage(&mut self, stage: Stage, interrupted: Option<i32>) {
        if let Some(metrics) = &self.metrics {
            metrics.stage(stage);
        }
        if let Screen::Bars(bars) = &self.screen {
            bars.stage(stage);
        }
        let by = match (interrupted, &self.aborted) {
            (Some(_), _) => "interrupted: no new attempts, press Ctrl-C again to stop at once; ".to_owned(),
            (None, Some(aborted)) if stage == Stage::Drain => {
                format!("stopped by abort_on: {}, no new attempts; ", words::held(aborted))
            }
            _ => String::new(),
        };
        match stage {
            Stage::Load => {}
            Stage::Drain => self.say(&format!("{by}waiting for open attempts")),
            Stage::Unregister => self.say(&format!("{by}removing the bindings")),
        }
    }
}
