//! Who watches a run: the record's writer, and the person at the terminal.

use crate::cli::Live;
use crate::diagnose::AbortWatch;
use crate::engine::{Decision, Observer};
use crate::live::{Bars, Plain, Snapshot};
use crate::measure::Interval;
use crate::record::Writer;
use crate::record::results::Aborted;
use crate::report::words;
use crate::vocab::Stage;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Writes every interval to the record, shows it, and says when the run must not go on.
pub struct Watch {
    writer: Writer<File>,
    screen: Screen,
    conditions: AbortWatch,
    aborted: Option<Aborted>,
}

/// What the person at the terminal sees.
enum Screen {
    Off,
    Plain,
    Bars(Bars),
}

impl Watch {
    /// Bars where standard error is a terminal and the mode leaves it open, plain lines elsewhere.
    pub fn new(record: File, live: Live, lasts: Duration, agents: u64, conditions: AbortWatch) -> Self {
        let screen = match live {
            Live::Off => Screen::Off,
            Live::Auto | Live::Tui if io::stderr().is_terminal() => Screen::Bars(Bars::new(lasts, agents)),
            Live::Plain | Live::Auto | Live::Tui => Screen::Plain,
        };
        Watch { writer: Writer::new(record), screen, conditions, aborted: None }
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

impl Observer for Watch {
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision> {
        self.writer.interval(interval)?;
        if !matches!(self.screen, Screen::Off) {
            self.say(&Plain.line(interval));
        }
        if self.aborted.is_some() {
            return Ok(Decision::GoOn);
        }
        self.aborted = self.conditions.interval(interval);
        Ok(if self.aborted.is_some() { Decision::Stop } else { Decision::GoOn })
    }

    fn progress(&mut self, elapsed: Duration, planned: u64, registered: u64, open: u64) {
        if let Screen::Bars(bars) = &self.screen {
            bars.show(&Snapshot { elapsed, planned, registered, open });
        }
    }

    fn stage(&mut self, stage: Stage, interrupted: Option<i32>) {
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
