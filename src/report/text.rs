//! How times and numbers are written: exact in files, readable on pages.
//!
//! An unknown value is an empty text, never 0 or NaN. Words for people are in `words`.

use crate::diagnose::figures::Unit;
use crate::vocab::{self, floor_u64, in_groups};
use std::cmp::Ordering;

/// A value as text, or nothing.
pub(super) fn cell<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A response code; 0 stands for "no response".
pub(super) fn code(code: u16) -> String {
    cell((code > 0).then_some(code))
}

/// At most `digits` decimals, rounded half away from zero, without trailing zeros.
pub(super) fn decimal(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let text = fixed(value, digits);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Exactly `digits` decimals, rounded half away from zero: a person who checks 0.125 gets 0.13.
fn fixed(value: f64, digits: usize) -> String {
    let scale = 10f64.powi(i32::try_from(digits).unwrap_or(0));
    let scaled = value * scale;
    // Beyond this a float holds no halves, and the product would lose digits. A decimal half is
    // mostly not a float: what lies within its error is the half that was meant.
    let rounded = if scaled.abs() < 1e12 { (scaled + scaled * 1e-14).round() / scale } else { value };
    format!("{rounded:.digits$}")
}

/// A difference with its sign: `+1,234`, `-0.35`; nothing has none.
pub(super) fn signed_count(value: f64, digits: usize) -> String {
    let text = if digits == 0 { thousands(floor_u64(value.abs().round())) } else { decimal(value.abs(), digits) };
    match text.as_str() {
        "0" => text,
        _ if value < 0.0 => format!("-{text}"),
        _ => format!("+{text}"),
    }
}

/// Nanoseconds as seconds with at most three decimals.
pub(super) fn seconds(ns: u64) -> String {
    decimal(ns as f64 / 1e9, 3)
}

/// A count with its noun, which takes an `s` unless there is one: `1 agent`, `1,500 agents`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(n: u64) -> String {
    in_groups(n, ',')
}

/// Per cent, rounded to two decimals; but only all of it is 100 %, and only none of it is 0 %.
pub(super) fn percent(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value > 0.0 && value < 0.01 {
        return "under 0.01 %".to_owned();
    }
    let rounded = (value * 100.0).round() / 100.0;
    // A binary fraction just below a whole number is that number.
    if rounded >= 100.0 && value < 100.0 - 1e-9 {
        return "over 99.99 %".to_owned();
    }
    format!("{} %", decimal(rounded, 2))
}

/// Microseconds as milliseconds, with the decimals that matter.
pub(super) fn millis(us: f64) -> String {
    let ms = us / 1e3;
    match ms {
        _ if ms < 1.0 => fixed(ms, 3),
        _ if ms < 100.0 => fixed(ms, 2),
        _ if ms < 10_000.0 => fixed(ms, 1),
        _ => fixed(ms, 0),
    }
}

/// A measured value with its unit, for people.
pub(super) fn measured(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count if value.fract() == 0.0 && value >= 0.0 => thousands(floor_u64(value)),
        Unit::Count => decimal(value, 3),
        Unit::Ratio => percent(100.0 * value),
        Unit::Percent => percent(value),
        Unit::Microseconds => format!("{} ms", millis(value)),
        Unit::AgentMinutes => format!("{} agent-minutes", minutes(value)),
    }
}

/// Agent-minutes, with the decimals that matter.
pub(super) fn minutes(value: f64) -> String {
    match value {
        _ if value < 1.0 => decimal(value, 3),
        _ if value < 1_000.0 => decimal(value, 1),
        _ => thousands(floor_u64(value.round())),
    }
}

/// A part of agent-minutes and the whole, with as many decimals as it takes to tell them apart.
pub(super) fn minutes_of(part: f64, whole: f64) -> (String, String) {
    let coarse = (minutes(part), minutes(whole));
    // Less than one minute between them is less than rounding makes of it.
    let apart = coarse.0 != coarse.1 && (whole < 1_000.0 || whole - part >= 1.0);
    if apart || part >= whole {
        return coarse;
    }
    let fine = |value: f64, digits: usize| {
        let text = fixed(value, digits);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        format!("{}.{fraction}", thousands(whole.parse().unwrap_or(0)))
    };
    let pairs = (1..=3).map(|digits| (fine(part, digits), fine(whole, digits)));
    pairs.into_iter().find(|(part, whole)| part != whole).unwrap_or(coarse)
}

/// Bytes in the unit that fits: `64 MB`.
pub(super) fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        _ if n < 1e3 => format!("{n} B"),
        _ if n < 1e6 => format!("{} kB", decimal(n / 1e3, 1)),
        _ if n < 1e9 => format!("{} MB", decimal(n / 1e6, 1)),
        _ => format!("{} GB", decimal(n / 1e9, 1)),
    }
}

/// A run's length: `1h02m03s`, `45.2s`.
pub(super) fn length(ns: u64) -> String {
    let total = ns / 1_000_000_000;
    match total {
        0..60 => format!("{}s", decimal(ns as f64 / 1e9, 1)),
        60..3_600 => format!("{}m{:02}s", total / 60, total % 60),
        _ => format!("{}h{:02}m{:02}s", total / 3_600, total / 60 % 60, total % 60),
    }
}

/// The order in which people list names: `agent9` before `agent10`, digits by their value.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        let (of_a, of_b) = (number(a), number(b));
        let (order, passed_a, passed_b) = if of_a.is_empty() || of_b.is_empty() {
            (x.cmp(y), 1, 1)
        } else {
            let (m, n) = (significant(of_a), significant(of_b));
            (m.len().cmp(&n.len()).then(m.cmp(n)), of_a.len(), of_b.len())
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[passed_a..], &b[passed_b..]);
    }
    // Equal so far; names that differ in leading zeros alone keep an order too.
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// The digits a text begins with.
fn number(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|byte| byte.is_ascii_digit()).count()]
}

/// A number's digits from its first that counts.
fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

/// Text of others for pages, tables and XML.
pub(super) fn printable(text: &str) -> String {
    vocab::printable(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_of_it_is_a_hundred_per_cent() {
        for (value, text) in [
            (100.0, "100 %"),
            (99.9999, "over 99.99 %"),
            (99.994, "99.99 %"),
            (100.0 * 500.0 / 900.0, "55.56 %"),
            (99.9, "99.9 %"),
            (0.57 * 100.0, "57 %"),
            (0.0001, "under 0.01 %"),
            (0.0, "0 %"),
            (f64::NAN, ""),
        ] {
            assert_eq!(percent(value), text);
        }
    }

    #[test]
    fn names_stand_as_people_list_them() {
        let listed =
            ["", "a", "agent", "agent09", "agent9", "agent010", "agent10x", "agent11", "b2c10", "b2c11", "b10"];
        for pair in listed.windows(2) {
            assert_eq!(natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(natural(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(natural("agent7", "agent7"), Ordering::Equal);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([310.0, 1_500.0, 250_000.0, 32_000_000.0].map(millis), ["0.310", "1.50", "250.0", "32000"]);
        assert_eq!(minutes_of(7_345.1, 7_345.62), ("7,345.1".to_owned(), "7,345.6".to_owned()));
        assert_eq!(minutes_of(7_344.99, 7_345.0), ("7,344.99".to_owned(), "7,345.00".to_owned()));
        assert_eq!(minutes_of(7_343.6, 7_345.0), ("7,344".to_owned(), "7,345".to_owned()));
        assert_eq!([0.125, 2.675, 1.005, 0.4449].map(|value| decimal(value, 2)), ["0.13", "2.68", "1.01", "0.44"]);
        assert_eq!([1_234.0, -0.35, 0.0, 0.001].map(|value| signed_count(value, 2)), ["+1234", "-0.35", "0", "0"]);
        assert_eq!(signed_count(-1_234.0, 0), "-1,234");
        assert_eq!(minutes_of(7_345.96, 7_345.99), ("7,345.96".to_owned(), "7,345.99".to_owned()));
        assert_eq!(minutes_of(60.0, 60.0), ("60".to_owned(), "60".to_owned()));
        assert_eq!([0.0, 0.0249, 12.84, 1_234.5].map(minutes), ["0", "0.025", "12.8", "1,235"]);
        assert_eq!([10_000_000_000, 3_217_400_000, 0].map(seconds), ["10", "3.217", "0"]);
        assert_eq!([45_200_000_000, 3_599_000_000_000, 3_723_000_000_000].map(length), ["45.2s", "59m59s", "1h02m03s"]);
        assert_eq!([512, 8_388_608, 2_100_000_000].map(bytes), ["512 B", "8.4 MB", "2.1 GB"]);
        assert_eq!(decimal(100.0, 0), "100");
    }
}
