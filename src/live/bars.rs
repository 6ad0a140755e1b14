//! `--live auto` on a terminal: a bar for the time and one for the agents below the lines of
//! [`super::Plain`].
//!
//! indicatif draws them, and takes them away again when the run ends or panics.

use super::snapshot::Snapshot;
use crate::vocab::{Stage, millis};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// The bars of a run.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    time: ProgressBar,
    agents: ProgressBar,
}

const TIME: &str = "{msg:<11} [{bar:30}] {prefix}";
const AGENTS: &str = "registered  [{bar:30}] {pos} of {len} agents, {msg}";

impl Bars {
    /// Bars on standard error for a load of `lasts` and so many agents.
    pub fn new(lasts: Duration, agents: u64) -> Self {
        Self::on(ProgressDrawTarget::stderr(), lasts, agents)
    }

    fn on(target: ProgressDrawTarget, lasts: Duration, agents: u64) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let bar = |length, template: &str| {
            // The templates are constants of this file; a bar without style would be drawn all the
            // same.
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(length).with_style(style.progress_chars("=> "));
            all.add(bar)
        };
        let time = bar(millis(lasts), TIME);
        let agents = bar(agents, AGENTS);
        Bars { time, agents, all }
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        // A terminal that is gone shows nothing; the run goes on.
        let _ = self.all.println(line);
    }

    pub fn show(&self, snapshot: &Snapshot) {
        self.time.set_position(millis(snapshot.elapsed));
        self.time.set_prefix(self.clock(snapshot));
        self.agents.set_position(snapshot.registered);
        self.agents.set_message(format!("{} planned, {} attempts open", snapshot.planned, snapshot.open));
    }

    pub fn stage(&self, stage: Stage) {
        self.time.set_message(stage.as_str());
    }

    fn clock(&self, snapshot: &Snapshot) -> String {
        let lasts = Duration::from_millis(self.time.length().unwrap_or(0));
        let left = lasts.saturating_sub(snapshot.elapsed);
        let seconds = |span: Duration| format!("{}:{:02}", span.as_secs() / 60, span.as_secs() % 60);
        format!("{} of {}, {} left", seconds(snapshot.elapsed), seconds(lasts), seconds(left))
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The terminal is as it was, with the lines on it.
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    #[test]
    fn the_bars_say_where_the_run_is_and_leave_no_trace() {
        let screen = InMemoryTerm::new(24, 100);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bars = Bars::on(target, Duration::from_secs(90), 500);
        bars.stage(Stage::Load);
        bars.say("a line");
        bars.show(&Snapshot { elapsed: Duration::from_secs(65), planned: 400, registered: 380, open: 20 });
        bars.time.tick();
        bars.agents.tick();
        let shown = screen.contents();
        assert!(shown.starts_with("a line"), "{shown}");
        assert!(shown.contains("load") && shown.contains("1:05 of 1:30, 0:25 left"), "{shown}");
        assert!(shown.contains("380 of 500 agents, 400 planned, 20 attempts open"), "{shown}");
        drop(bars);
        assert_eq!(screen.contents(), "a line");
    }
}
