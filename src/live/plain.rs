//! `--live plain`: one line per interval, steady enough for a log file.

use crate::measure::Interval;
use crate::vocab::{Phase, Status};
use std::fmt::Write;

/// Turns intervals into lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain {
    /// The end of the last interval that had a line.
    shown_ns: u64,
}

impl Plain {
    /// The line of an interval; none for a short one in which nothing happened, so that an idle
    /// hour is not thousands of lines.
    pub fn next(&mut self, interval: &Interval) -> Option<String> {
        let idle = interval.trunks.iter().all(|trunk| {
            trunk.started.iter().all(|&started| started == 0) && trunk.status.iter().all(|&ended| ended == 0)
        });
        if idle && self.shown_ns > 0 && interval.end_ns < self.shown_ns + QUIET_NS {
            return None;
        }
        self.shown_ns = interval.end_ns;
        Some(self.line(interval))
    }

    /// One line without its end: `00:00:10 load        planned   500  registered   498 |    250 ok
    /// 2 failed    1 open | p50 0.42 ms  p99 1.30 ms | late 0`.
    pub fn line(self, interval: &Interval) -> String {
        let sum =
            |value: &dyn Fn(&crate::measure::TrunkInterval) -> u64| interval.trunks.iter().map(value).sum::<u64>();
        let ok = sum(&|trunk| trunk.status[Status::Registered.index()]);
        let ended = sum(&|trunk| trunk.status.iter().sum());
        let seconds = interval.end_ns.div_ceil(1_000_000_000);
        let mut line = format!(
            "{:02}:{:02}:{:02} {:<10}  planned {:>6}  registered {:>6} | {:>6} ok {:>6} failed {:>5} open | ",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            interval.stage.as_str(),
            sum(&|trunk| trunk.planned),
            sum(&|trunk| trunk.registered),
            ok,
            ended - ok,
            sum(&|trunk| trunk.open),
        );
        // Writing to a string cannot fail.
        let _ = match percentiles(interval) {
            Some((p50, p99)) => write!(line, "p50 {:.2} ms  p99 {:.2} ms", p50 as f64 / 1e3, p99 as f64 / 1e3),
            None => write!(line, "p50 -  p99 -"),
        };
        let _ = write!(line, " | late {}", interval.generator.arrivals_late);
        let cut_off = sum(&|trunk| trunk.cut_off);
        if cut_off > 0 {
            let _ = write!(line, " | {cut_off} registered without a connection");
        }
        let (checks, failed) = (sum(&|trunk| trunk.canary.checks), sum(&|trunk| trunk.canary.failed));
        if failed > 0 {
            let _ = write!(line, " | canary failed {failed} of {checks}");
        }
        let worst = Status::ALL[1..]
            .iter()
            .map(|&status| (sum(&|trunk| trunk.status[status.index()]), status))
            .filter(|(count, _)| *count > 0)
            .max();
        if let Some((count, status)) = worst {
            let _ = write!(line, " | {count} {status}");
        }
        line
    }
}

/// Idle intervals are told at least this often: half a minute.
const QUIET_NS: u64 = 30_000_000_000;

/// p50 and p99 over all trunks of what an interval's attempts took: registrations, else refreshes,
/// in microseconds.
fn percentiles(interval: &Interval) -> Option<(u64, u64)> {
    [Phase::Register, Phase::Refresh, Phase::Unregister].into_iter().find_map(|phase| {
        let mut histograms = interval.trunks.iter().filter_map(|trunk| trunk.latency_us[phase.index()].as_ref());
        let mut all = histograms.next()?.clone();
        for histogram in histograms {
            // All histograms of an interval share their bounds.
            all.add(histogram).ok()?;
        }
        Some((all.value_at_quantile(0.5), all.value_at_quantile(0.99)))
    })
}
