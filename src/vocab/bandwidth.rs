//! Bandwidths as people write them in a profile: `10Mbit`, `512kbit`, `1Gbit`, per second and in
//! powers of ten.

/// Why a text is not a bandwidth.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BandwidthError {
    #[error("a bandwidth is missing; write it with a unit, like \"10Mbit\" or \"512kbit\"")]
    Empty,
    #[error("\"{0}\" has no unit; write \"{0}kbit\", \"{0}Mbit\" or \"{0}Gbit\" (per second)")]
    NoUnit(String),
    #[error("\"{0}\" is not a unit of bandwidth; the units are bit, kbit, Mbit, Gbit, per second")]
    UnknownUnit(String),
    #[error("\"{0}\" is not a bandwidth; write it like \"10Mbit\" or \"512kbit\"")]
    NotANumber(String),
}

/// Bits per second of `512kbit`, `10Mbit`, `2.5Gbit`. Large and small letters are the same; `bit/s`
/// and `bps` are `bit`.
///
/// # Errors
/// When the text is empty, lacks a unit, names an unknown one, or holds no finite number.
pub fn parse_bandwidth(text: &str) -> Result<f64, BandwidthError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BandwidthError::Empty);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let value: f64 = number.parse().map_err(|_| BandwidthError::NotANumber(text.to_owned()))?;
    let lower = unit.trim().to_ascii_lowercase();
    let unit = lower.strip_suffix("bit/s").or_else(|| lower.strip_suffix("bps")).or_else(|| lower.strip_suffix("bit"));
    let scale = match unit {
        _ if lower.is_empty() => return Err(BandwidthError::NoUnit(text.to_owned())),
        Some("") => 1.0,
        Some("k") => 1e3,
        Some("m") => 1e6,
        Some("g") => 1e9,
        _ => return Err(BandwidthError::UnknownUnit(text[digits..].trim().to_owned())),
    };
    let bits = value * scale;
    if bits.is_finite() { Ok(bits) } else { Err(BandwidthError::NotANumber(text.to_owned())) }
}

/// Writes bits per second so that [`parse_bandwidth`] reads them back: `10Mbit`, `512kbit`, `0bit`.
pub fn format_bandwidth(bits: f64) -> String {
    let (scale, unit) = match bits {
        _ if bits < 1e3 => (1.0, "bit"),
        _ if bits < 1e6 => (1e3, "kbit"),
        _ if bits < 1e9 => (1e6, "Mbit"),
        _ => (1e9, "Gbit"),
    };
    let text = format!("{:.3}", bits / scale);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, bits) in [
            ("10Mbit", 1e7),
            ("512kbit", 512e3),
            ("2.5 Gbit/s", 2.5e9),
            ("100Mbps", 1e8),
            ("9600bit", 9600.0),
            ("1MBIT", 1e6),
            ("0bit", 0.0),
        ] {
            assert_eq!(parse_bandwidth(text), Ok(bits), "{text}");
        }
        for (text, why) in [
            ("", "is missing"),
            ("10", "has no unit"),
            ("10MB", "\"MB\" is not a unit"),
            ("fast", "is not a bandwidth"),
            ("-1Mbit", "is not a bandwidth"),
            ("1.2.3Mbit", "is not a bandwidth"),
        ] {
            let error = parse_bandwidth(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn they_are_written_in_the_unit_that_fits() {
        let texts = [0.0, 9_600.0, 512e3, 1e7, 2.5e9, 1_234_567.0].map(format_bandwidth);
        assert_eq!(texts, ["0bit", "9.6kbit", "512kbit", "10Mbit", "2.5Gbit", "1.235Mbit"]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,16}") {
            let _ = parse_bandwidth(&text);
        }

        #[test]
        fn what_was_written_is_read_back(kilobits in 0u32..u32::MAX) {
            let bits = f64::from(kilobits) * 1e3;
            let back = parse_bandwidth(&format_bandwidth(bits)).expect("our own text");
            // Three decimals of the unit are kept.
            proptest::prop_assert!((back - bits).abs() <= bits * 0.5e-3 + 1e-6, "{back} {bits}");
        }
    }
}
