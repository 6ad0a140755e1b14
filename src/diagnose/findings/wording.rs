//! Numbers and lists as the detectors' sentences write them.

use crate::sip::Algorithm;

/// A time since the run's start: `12.3 s`.
pub(super) fn at(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}

/// A span of time since the run's start: `12.3 s to 40.0 s`.
pub(super) fn window(first_ns: u64, last_ns: u64) -> String {
    format!("{} to {}", at(first_ns), at(last_ns))
}

/// A count with its noun, which takes an `s` unless there is one: `1 agent`, `3 agents`.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A share in per cent, with as many digits as small ones need.
pub(super) fn percent(part: f64, whole: f64) -> String {
    let value = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    match value {
        v if v >= 10.0 => format!("{v:.0} %"),
        v if v >= 1.0 => format!("{v:.1} %"),
        v => format!("{v:.2} %"),
    }
}

/// An algorithm by position in [`Algorithm::ALL`].
pub(super) fn algorithm(position: u8) -> &'static str {
    Algorithm::ALL.get(usize::from(position)).map_or("an unknown algorithm", |algorithm| algorithm.as_str())
}

/// The algorithms of an offer: one bit per position, the highest stands for unknown ones.
pub(super) fn algorithms(bits: u8) -> String {
    let known = Algorithm::ALL.into_iter().filter(|&algorithm| bits >> algorithm as u8 & 1 == 1);
    let mut names: Vec<_> = known.map(Algorithm::as_str).collect();
    if bits >> 7 == 1 {
        names.push("one that regstorm does not know");
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(window(1_250_000_000, 61_000_000_000), "1.2 s to 61.0 s");
        assert_eq!((counted(1, "agent"), counted(0, "agent")), ("1 agent".to_owned(), "0 agents".to_owned()));
        assert_eq!((percent(1.0, 3.0), percent(1.0, 300.0)), ("33 %".to_owned(), "0.33 %".to_owned()));
        assert_eq!(percent(1.0, 0.0), "0.00 %");
        assert_eq!(algorithms(0b1000_0011), "MD5, SHA-256, one that regstorm does not know");
    }
}
