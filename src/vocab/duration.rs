//! Durations as people write them in a profile: `250ms`, `10s`, `1h30m`.

use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DurationError {
    #[error("a duration is missing; write it with a unit, like \"250ms\", \"10s\" or \"1h30m\"")]
    Empty,
    #[error("\"{0}\" has no unit; write \"{0}s\", \"{0}ms\", \"{0}m\" or \"{0}h\"")]
    NoUnit(String),
    #[error("\"{0}\" is not a unit of time; the units are us, ms, s, m, h, d")]
    UnknownUnit(String),
    #[error("\"{0}\" is not a duration; write it like \"250ms\", \"10s\" or \"1h30m\"")]
    NotANumber(String),
    #[error("\"{0}\" is longer than a duration can be")]
    TooLong(String),
}

/// Reads `250ms`, `1.5s`, `1h30m`, `0s`; the units are `us`, `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// When the text is empty, lacks a unit, names an unknown one, or overflows.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut total_nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let value: f64 = number.parse().map_err(|_| DurationError::NotANumber(text.to_owned()))?;
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.trim().to_owned()));
        }
        let scale: u64 = match unit.trim() {
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            other => return Err(DurationError::UnknownUnit(other.to_owned())),
        };
        // A float holds every sensible value exactly enough; the product is rounded to a
        // nanosecond.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is too long is refused below"
        )]
        let nanos = (value * scale as f64).round() as u128;
        total_nanos = total_nanos.saturating_add(nanos);
        rest = next;
    }
    u64::try_from(total_nanos).map(Duration::from_nanos).map_err(|_| DurationError::TooLong(text.to_owned()))
}

/// Writes a duration so that [`parse_duration`] reads it back: `1h30m`, `250ms`, `0s`.
pub fn format_duration(span: Duration) -> String {
    Text(span).to_string()
}

/// Serialises a duration as text, for `serialize_with`.
///
/// # Errors
/// Those of the serializer.
pub fn as_text<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*span))
}

/// The same for two.
pub(super) fn as_text_pair<S: Serializer>(low: &Duration, high: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    [format_duration(*low), format_duration(*high)].serialize(serializer)
}

struct Text(Duration);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < 1_000_000 {
            return write!(f, "{}us", nanos as f64 / 1e3);
        }
        if nanos < 1_000_000_000 {
            return write!(f, "{}ms", nanos as f64 / 1e6);
        }
        let mut secs = self.0.as_secs();
        for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
            // A day is written as hours up to two days: "24h" reads better than "1d".
            if secs >= size && (unit != "d" || secs >= 2 * size) {
                write!(f, "{}{unit}", secs / size)?;
                secs %= size;
            }
        }
        match (secs, self.0.subsec_nanos()) {
            (0, 0) => Ok(()),
            (s, 0) => write!(f, "{s}s"),
            (s, fraction) => write!(f, "{}s", s as f64 + f64::from(fraction) / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, nanos) in [
            ("0s", 0),
            ("250ms", 250_000_000),
            ("10s", 10_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("35s", 35_000_000_000),
            ("100us", 100_000),
            ("1d", 86_400_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(parse_duration(""), Err(DurationError::Empty));
        assert_eq!(parse_duration("10"), Err(DurationError::NoUnit("10".into())));
        assert_eq!(parse_duration("10 parsecs"), Err(DurationError::UnknownUnit("parsecs".into())));
        assert_eq!(parse_duration("-1s"), Err(DurationError::NotANumber("-1s".into())));
        assert_eq!(parse_duration("soon"), Err(DurationError::NotANumber("soon".into())));
        assert_eq!(parse_duration("999999999d"), Err(DurationError::TooLong("999999999d".into())));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(micros in 0u64..10_000_000_000_000) {
            let span = Duration::from_micros(micros);
            let back = parse_duration(&format_duration(span)).expect("own text");
            // Fractions of a second pass through a float.
            prop_assert!(back.abs_diff(span) <= Duration::from_micros(1), "{}", format_duration(span));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
