//! Numbers from one type into another where the language has no `From`: each function says what
//! becomes of a value that does not fit. `u32 as usize` and `usize as u64` need none of them;
//! nothing is lost there on the machines this runs on.

use std::time::Duration;

const _: () = assert!(usize::BITS >= u32::BITS && usize::BITS <= u64::BITS);

/// The digits in groups of three: `1,234,567` with a comma between them.
pub fn in_groups(number: u64, between: char) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(between);
        }
        text.push(digit);
    }
    text
}

/// A number of things in memory; more than a `u32` holds counts as the most it holds.
pub fn saturating_u32(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

/// Whole nanoseconds of a span; 584 years and more count as 584 years.
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole milliseconds of a span, as long as any can be.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The nearest whole number; 0 for what is negative or no number, the largest there is for what is
/// larger.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` does just that to a float")]
pub fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// As [`saturating_u32`], for a `u16`.
pub fn saturating_u16(things: usize) -> u16 {
    u16::try_from(things).unwrap_or(u16::MAX)
}

/// As [`saturating_u32`], for a `u8`.
pub fn saturating_u8(things: usize) -> u8 {
    u8::try_from(things).unwrap_or(u8::MAX)
}

/// The middle of the values, of an even number the mean of the two; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The whole number below; bounds as for [`rounded`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` does just that to a float")]
pub fn floor_u64(value: f64) -> u64 {
    value as u64
}

/// As [`floor_u64`], for a `u32`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` does just that to a float")]
pub fn floor_u32(value: f64) -> u32 {
    value as u32
}

/// As [`floor_u64`], for a place in a list.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` does just that to a float")]
pub fn floor_usize(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_the_nearest_that_does() {
        assert_eq!([saturating_u32(7), saturating_u32(1 << 40)], [7, u32::MAX]);
        assert_eq!((nanos(Duration::MAX), millis(Duration::from_micros(1_999))), (u64::MAX, 1));
        assert_eq!([2.5, -1.0, f64::NAN, f64::INFINITY].map(rounded), [3, 0, 0, u64::MAX]);
        assert_eq!([2.9, -1.0, f64::NAN].map(floor_usize), [2, 0, 0]);
        assert_eq!((floor_u64(2.9), floor_u32(1e12), saturating_u16(70_000)), (2, u32::MAX, u16::MAX));
    }
}
