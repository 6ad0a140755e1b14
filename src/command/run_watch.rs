//! Who watches a run of our own: the writers of the raw files, and the person at the terminal.

use super::canary::CanaryNotes;
use super::output::{FAILURES, say};
use super::renew::LookUps;
#[cfg(feature = "tui")]
use super::screen::LiveScreen;
use super::truths::TruthWatch;
use crate::diagnose::AbortWatch;
use crate::engine::{Decision, Observer, RunPosition};
use crate::live::{Bars, Metrics, Plain, Snapshot};
use crate::measure::Interval;
use crate::plan::Plan;
use crate::record::pcapng::{Name, PcapngWriter};
use crate::record::results::{Aborted, End};
use crate::record::{Resolution, Writer};
use crate::report::words;
use crate::vocab::{FailedAttempt, Intervention, Stage, Time, printable};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::Sender;

/// What a run tells those who lead it from another machine.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet leads parts of a run"))]
#[derive(Debug)]
pub(super) enum RunNews {
    /// The next piece of the record: the beginning with the header, then a frame each.
    Frame(Vec<u8>),
    Position(RunPosition),
    Stage(Stage),
    /// Nothing is left to do in this stage.
    Idle(Stage),
    /// The record is whole; so many agents were left bound.
    Ended {
        left_bound: u64,
    },
    Failed(String),
}

/// The record's file, and what goes into it also for others.
pub(super) struct RecordOut {
    file: File,
    news: Option<Sender<RunNews>>,
    piece: Vec<u8>,
}

impl RecordOut {
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Write for RecordOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if self.news.is_some() {
            self.piece.extend_from_slice(&bytes[..written]);
        }
        Ok(written)
    }

    /// A frame is whole: only then is it anybody else's.
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some(news) = &self.news {
            // Whoever does not listen any more finds it in the file.
            let _ = news.send(RunNews::Frame(std::mem::take(&mut self.piece)));
        }
        Ok(())
    }
}

/// Writes every interval to the record, and the packets of failures to their file, shows the
/// interval, and says when the run must not go on.
pub(super) struct RunWatch<'a> {
    writer: Writer<RecordOut>,
    /// Those who lead the run.
    news: Option<Sender<RunNews>>,
    failures: FailureFile<'a>,
    screen: Screen,
    plain: Plain,
    metrics: Option<Metrics>,
    conditions: AbortWatch,
    aborted: Option<Aborted>,
    look_ups: LookUps,
    canaries: CanaryNotes,
    truths: Option<TruthWatch>,
}

/// Where the packets of failed attempts go. The file appears with the first of them: a run without
/// failures has none.
pub(super) struct FailureFile<'a> {
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
    pub(super) fn new(directory: &Path, plan: &'a Plan, start: Time, started_unix_ns: i64) -> Self {
        FailureFile { path: directory.join(FAILURES), plan, start, started_unix_ns, writer: None }
    }

    /// Appends attempts and flushes them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn append(&mut self, failures: &[FailedAttempt]) -> io::Result<()> {
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
            let trunk = &self.plan.trunks[attempt.trunk.index()];
            let user = self.plan.identities.get(attempt.agent).user;
            writer.attempt(attempt, Name { trunk: &trunk.id, user, transport: trunk.transport() })
        })
    }
}

/// What the person at the terminal sees.
pub(super) enum Screen {
    Off,
    Plain,
    Bars(Bars),
    #[cfg(feature = "tui")]
    Live(Box<LiveScreen>),
}

impl<'a> RunWatch<'a> {
    /// Tells what it sees also those who lead the run, if there are any.
    pub(super) fn new(
        news: Option<Sender<RunNews>>,
        record: File,
        failures: FailureFile<'a>,
        screen: Screen,
        conditions: AbortWatch,
    ) -> Self {
        let plain = Plain::default();
        RunWatch {
            writer: Writer::new(RecordOut { file: record, news: news.clone(), piece: Vec::new() }),
            news,
            failures,
            screen,
            plain,
            metrics: None,
            conditions,
            aborted: None,
            look_ups: LookUps::default(),
            canaries: CanaryNotes::default(),
            truths: None,
        }
    }

    /// Counts for those who scrape as well, and says where.
    pub(super) fn publish(&mut self, metrics: Metrics, place: &str) {
        self.metrics = Some(metrics);
        self.say(&format!("metrics at {place}"));
    }

    /// Keeps what names turn out to stand for.
    pub(super) fn records(&mut self, look_ups: LookUps) {
        self.look_ups = look_ups;
    }

    /// Keeps and passes on what canaries have to say.
    pub(super) fn hears(&mut self, notes: CanaryNotes) {
        self.canaries = notes;
    }

    /// Keeps what canaries have said since.
    fn keep_canaries(&mut self) -> io::Result<()> {
        let notes = std::mem::take(&mut *self.canaries.lock().unwrap_or_else(PoisonError::into_inner));
        for note in &notes {
            self.writer.canary(note)?;
            let plan: &Plan = self.failures.plan;
            let id = plan.trunks.get(usize::from(note.trunk)).map_or("", |trunk| &trunk.id);
            let line = note.line(id);
            match &self.screen {
                #[cfg(feature = "tui")]
                Screen::Live(live) => live.canary(note, &printable(&line)),
                _ => self.say(&line),
            }
        }
        Ok(())
    }

    /// Puts servers' own counts beside ours.
    pub(super) fn compares(&mut self, truths: Option<TruthWatch>) {
        self.truths = truths;
    }

    /// Keeps what the servers said.
    fn keep_truth(&mut self) -> io::Result<()> {
        let Some(truths) = &mut self.truths else { return Ok(()) };
        let samples = truths.settled();
        if samples.is_empty() {
            return Ok(());
        }
        self.writer.truth(&samples)?;
        if let Some(metrics) = &self.metrics {
            metrics.truth(truths.latest());
        }
        truths.news(&samples).iter().for_each(|line| self.say(line));
        Ok(())
    }

    /// Asks the servers a last time, keeps what they say, and ends the record.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(super) fn end(&mut self, end: &End) -> io::Result<()> {
        self.keep_canaries()?;
        let samples = self.truths.take().map(|truths| truths.end(end.left_bound)).unwrap_or_default();
        if !samples.is_empty() {
            self.writer.truth(&samples)?;
        }
        self.writer.end(end)?;
        self.tell(RunNews::Ended { left_bound: end.left_bound });
        Ok(())
    }

    fn tell(&self, news: RunNews) {
        if let Some(leaders) = &self.news {
            // They may have given up.
            let _ = leaders.send(news);
        }
    }

    /// Whether each trunk is to be known at every moment.
    pub(super) fn needs_glances(&self) -> bool {
        self.shows_trunks() || self.truths.is_some()
    }

    /// Whether the person sees each trunk.
    pub(super) fn shows_trunks(&self) -> bool {
        !matches!(self.screen, Screen::Off | Screen::Plain | Screen::Bars(_))
    }

    /// The first condition of `abort_on` that held.
    pub(super) fn aborted(&self) -> Option<&Aborted> {
        self.aborted.as_ref()
    }

    /// The record, for what is written before and after the intervals.
    pub(super) fn record(&mut self) -> &mut Writer<RecordOut> {
        &mut self.writer
    }

    /// Shows a line to the person watching, if there is one.
    pub(super) fn say(&self, line: &str) {
        let line = &*printable(line);
        match &self.screen {
            Screen::Off => {}
            Screen::Plain => say(line),
            Screen::Bars(bars) => bars.say(line),
            #[cfg(feature = "tui")]
            Screen::Live(live) => live.say(line),
        }
    }
}

impl Observer for RunWatch<'_> {
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision> {
        self.keep_truth()?;
        self.keep_canaries()?;
        self.writer.interval(interval)?;
        if let Some(metrics) = &self.metrics {
            metrics.interval(interval);
        }
        match &self.screen {
            Screen::Off => {}
            Screen::Plain | Screen::Bars(_) => {
                if let Some(line) = self.plain.next(interval) {
                    self.say(&format!("{line}{}", told(self.truths.as_ref())));
                }
            }
            #[cfg(feature = "tui")]
            Screen::Live(live) => live.interval(interval),
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

    fn idle(&mut self, stage: Stage) {
        self.tell(RunNews::Idle(stage));
    }

    fn progress(&mut self, position: RunPosition) {
        if self.news.is_some() {
            self.tell(RunNews::Position(position.clone()));
        }
        if let Some(truths) = &mut self.truths {
            truths.position(&position);
        }
        match &mut self.screen {
            Screen::Off | Screen::Plain => {}
            Screen::Bars(bars) => {
                let RunPosition { elapsed, planned, registered, open, .. } = position;
                bars.show(&Snapshot { elapsed, planned, registered, open });
            }
            #[cfg(feature = "tui")]
            Screen::Live(live) => live.progress(position),
        }
    }

    fn intervened(&mut self, intervention: &Intervention) -> io::Result<()> {
        self.writer.intervention(intervention)?;
        #[cfg(feature = "tui")]
        if let Screen::Live(live) = &mut self.screen {
            live.intervened(intervention);
        }
        Ok(())
    }

    fn relocated(&mut self, number: usize, at_ns: u64) -> io::Result<()> {
        let look_ups = self.look_ups.lock().unwrap_or_else(PoisonError::into_inner);
        let found = look_ups.get(number).cloned();
        drop(look_ups);
        found.map_or(Ok(()), |found| self.writer.resolution(&Resolution { at_ns, ..found }))
    }

    fn stage(&mut self, stage: Stage, interrupted: Option<i32>) {
        self.tell(RunNews::Stage(stage));
        if let Some(metrics) = &self.metrics {
            metrics.stage(stage);
        }
        match &mut self.screen {
            Screen::Off | Screen::Plain => {}
            Screen::Bars(bars) => bars.stage(stage),
            #[cfg(feature = "tui")]
            Screen::Live(live) => live.stage(stage),
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

/// The servers' own counts, at the end of a line.
fn told(truths: Option<&TruthWatch>) -> String {
    let Some(truths) = truths else { return String::new() };
    let count =
        |(_, count): (Option<usize>, Option<u64>)| count.map_or("unknown".to_owned(), |count| count.to_string());
    let counts: Vec<String> = truths.latest().into_iter().map(count).collect();
    format!(" | server {}", counts.join(", "))
}
