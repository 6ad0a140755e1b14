//! Numbers as a person reads them at a glance, short enough for a column.

use crate::vocab::{in_groups, rounded};
use std::time::Duration;

/// `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    in_groups(number, ' ')
}

/// Microseconds as milliseconds with about three significant digits: `0.42`, `12.3`, `1 234`.
pub(super) fn millis(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2}", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1}", us as f64 / 1e3),
        _ => grouped(us / 1_000),
    }
}

/// Per second: `0.4`, `48.0`, `1 234`.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 1_000.0 { format!("{per_second:.1}") } else { grouped(rounded(per_second)) }
}

/// `97.2 %`; nothing of nothing is unknown.
pub(super) fn share(part: u64, of: u64) -> String {
    if of == 0 {
        return "-".to_owned();
    }
    let share = 100.0 * part as f64 / of as f64;
    // All and none are said of all and none only.
    let share = if part < of { share.min(99.9) } else { share };
    format!("{:.1} %", if part > 0 { share.max(0.1) } else { share })
}

/// `0:07`, `12:34`, `8:00:00`; begun seconds count.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// As much as fits, with a mark where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([420, 12_345, 1_234_567].map(millis), ["0.42", "12.3", "1 234"]);
        assert_eq!([0.0, 48.04, 1_234.4].map(rate), ["0.0", "48.0", "1 234"]);
        assert_eq!(
            [share(0, 0), share(1, 3), share(9_999, 10_000), share(1, 10_000)],
            ["-", "33.3 %", "99.9 %", "0.1 %"]
        );
        assert_eq!([share(0, 5), share(5, 5)], ["0.0 %", "100.0 %"]);
        let clocks = [0, 6_001, 754_000, 28_800_000].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(clocks, ["0:00", "0:07", "12:34", "8:00:00"]);
        assert_eq!((cut("trunk", 5), cut("trunks", 5)), ("trunk".to_owned(), "trun…".to_owned()));
    }
}
