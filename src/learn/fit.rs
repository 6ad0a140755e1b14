//! How near the learnt profile comes to what was seen: messages minute by minute.

use std::fmt::Write;

/// Messages of a capture and of its profile, rehearsed.
#[derive(Clone, Debug)]
pub struct LearntFit {
    pub rows: Vec<FitRow>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FitRow {
    /// Seconds since the start, and how long.
    pub start_s: u32,
    pub lasts_s: u32,
    pub seen: u64,
    pub rehearsed: u64,
}

impl FitRow {
    /// Within a tenth, or within one handshake of it.
    pub fn is_near(&self) -> bool {
        self.seen.abs_diff(self.rehearsed) as f64 <= (self.seen as f64 / 10.0).max(HANDSHAKE)
    }

    /// The difference as a share of what was seen.
    pub fn error(&self) -> f64 {
        (self.rehearsed as f64 - self.seen as f64) / (self.seen as f64).max(1.0)
    }
}

impl LearntFit {
    /// By the messages of each second. A minute that the capture ends in counts when it saw half of
    /// it, else it is part of the one before.
    pub fn of(seen: &[u32], rehearsed: &[u32], lasts_s: u32) -> LearntFit {
        let minutes = ((lasts_s + MINUTE / 2) / MINUTE).max(1);
        let sum = |seconds: &[u32], from: u32, until: u32| {
            let until = (until as usize).min(seconds.len());
            seconds.get(from as usize..until).unwrap_or_default().iter().map(|&count| u64::from(count)).sum()
        };
        let row = |minute: u32| {
            let start_s = minute * MINUTE;
            let until = if minute + 1 == minutes { lasts_s.max(start_s + 1) } else { start_s + MINUTE };
            FitRow {
                start_s,
                lasts_s: until - start_s,
                seen: sum(seen, start_s, until),
                rehearsed: sum(rehearsed, start_s, until),
            }
        };
        LearntFit { rows: (0..minutes).map(row).collect() }
    }

    /// Minutes that are near.
    pub fn near(&self) -> usize {
        self.rows.iter().filter(|row| row.is_near()).count()
    }

    /// The minute that is furthest off, of those that are not near; else of all. The first of
    /// several that are equally far.
    pub fn worst(&self) -> Option<FitRow> {
        let off = |row: &&FitRow| !row.is_near();
        let furthest = |a: &&FitRow, b: &&FitRow| {
            let distance = a.error().abs().total_cmp(&b.error().abs());
            distance.then_with(|| b.start_s.cmp(&a.start_s))
        };
        let worst = self.rows.iter().filter(off).max_by(furthest);
        worst.or_else(|| self.rows.iter().max_by(furthest)).copied()
    }

    /// One sentence.
    pub fn sentence(&self) -> String {
        let total = |of: fn(&FitRow) -> u64| self.rows.iter().map(of).sum::<u64>();
        let (seen, rehearsed) = (total(|row| row.seen), total(|row| row.rehearsed));
        let mut text = format!(
            "rehearsed, it sends and receives {rehearsed} messages where {seen} were seen; {} of {} minutes are within 10 %",
            self.near(),
            self.rows.len()
        );
        if let Some(worst) = self.worst().filter(|worst| !worst.is_near()) {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                ", the worst is minute {} with {} instead of {}",
                worst.start_s / MINUTE + 1,
                worst.rehearsed,
                worst.seen
            );
        }
        text
    }

    /// One row for each minute.
    pub fn csv(&self) -> String {
        let mut out = "minute_start_s,minute_s,messages_seen,messages_rehearsed,difference_pct\n".to_owned();
        for row in &self.rows {
            let _ = writeln!(
                out,
                "{},{},{},{},{:.1}",
                row.start_s,
                row.lasts_s,
                row.seen,
                row.rehearsed,
                row.error() * 100.0
            );
        }
        out
    }
}

const MINUTE: u32 = 60;
/// REGISTER, 401, REGISTER, 200.
const HANDSHAKE: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_compared_and_a_short_last_one_is_part_of_the_one_before() {
        let seen = vec![10; 140];
        let fit = LearntFit::of(&seen, &vec![11; 140], 140);
        assert_eq!(fit.rows.len(), 2);
        assert_eq!(fit.rows[1], FitRow { start_s: 60, lasts_s: 80, seen: 800, rehearsed: 880 });
        assert_eq!(fit.near(), 2);
        let off = LearntFit::of(&seen, &vec![12; 140], 140);
        assert_eq!((off.near(), off.worst().map(|row| row.rehearsed)), (0, Some(720)));
        assert!(off.sentence().contains("0 of 2 minutes") && off.sentence().contains("720 instead of 600"));
        assert_eq!(LearntFit::of(&seen, &[], 200).rows.len(), 3);
        assert_eq!(LearntFit::of(&[], &[], 0).rows.len(), 1);
        assert!(fit.csv().contains("\n60,80,800,880,10.0\n"), "{}", fit.csv());
    }
}
