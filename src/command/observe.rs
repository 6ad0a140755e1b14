//! Who watches a run: the record's writer, and the person at the terminal.

use crate::engine::Observer;
use crate::live::Plain;
use crate::measure::Interval;
use crate::record::Writer;
use crate::vocab::Stage;
use std::fs::File;
use std::io;

/// Writes every interval to the record, then shows it.
pub struct Watch {
    pub writer: Writer<File>,
    /// `None`: `--live off`.
    pub live: Option<Plain>,
}

impl Watch {
    /// Shows a line to the person watching, if there is one.
    pub fn say(&self, line: &str) {
        if self.live.is_some() {
            eprintln!("{line}");
        }
    }
}

impl Observer for Watch {
    fn interval(&mut self, interval: &Interval) -> io::Result<()> {
        self.writer.interval(interval)?;
        if let Some(live) = &self.live {
            eprintln!("{}", live.line(interval));
        }
        Ok(())
    }

    fn stage(&mut self, stage: Stage, interrupted: Option<i32>) {
        let by = match interrupted {
            Some(_) => "interrupted: no new attempts, press Ctrl-C again to stop at once; ",
            None => "",
        };
        match stage {
            Stage::Load => {}
            Stage::Drain => self.say(&format!("{by}waiting for open attempts")),
            Stage::Unregister => self.say(&format!("{by}removing the bindings")),
        }
    }
}
