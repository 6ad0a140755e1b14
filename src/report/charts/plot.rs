//! What the page's script draws from: each chart as plain numbers, in one block of JSON that is
//! data to a browser and never runs.

use serde::{Serialize, Serializer};

/// One chart for the script; the page has a place with the same id.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plot {
    pub id: String,
    pub kind: PlotKind,
    /// Behind the numbers of the vertical axis.
    pub unit: &'static str,
    /// Whether that axis counts in decades.
    pub log: bool,
    /// Ascending: seconds since the run's start, or nines of a share. Steps have one more than
    /// their values: the end.
    pub x: Vec<Number>,
    pub series: Vec<PlotSeries>,
    /// Of a map only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<PlotMap>,
}

/// How it is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlotKind {
    /// Level over each step.
    Steps,
    /// Layers upon each other, and lines over them.
    Stack,
    /// From point to point, over the nines of a share.
    Curve,
    /// Steps from 0 to 100, small.
    Share,
    /// Rows of stretches.
    Map,
}

/// One line or layer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlotSeries {
    pub label: String,
    /// A colour of the style sheet: `good` for `--good`.
    pub tone: &'static str,
    pub dash: &'static [u8],
    /// A layer of a stack.
    pub layer: bool,
    pub values: Vec<Option<Number>>,
}

/// Who was in which state when.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlotMap {
    /// What each row is called, from the top.
    pub rows: Vec<String>,
    pub cells: Vec<PlotCell>,
}

/// A stretch of a row: row, from and until in seconds, series that gives the colour, share of the
/// row's agents.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PlotCell(pub usize, pub Number, pub Number, pub usize, pub Number);

/// A number with four significant digits: finer than a chart can show, and short.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Number(pub f64);

impl Number {
    fn rounded(self) -> f64 {
        let Number(value) = self;
        if value == 0.0 || !value.is_finite() {
            return 0.0;
        }
        // Whole numbers stay as they are: an axis of seconds and a count of agents are exact.
        if value.fract() == 0.0 {
            return value;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a float has 308 decades")]
        let digits = 3 - value.abs().log10().floor() as i32;
        let scale = 10f64.powi(digits.clamp(0, 9));
        (value * scale).round() / scale
    }
}

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 9e15")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.rounded();
        if value.fract() == 0.0 && value.abs() < 9e15 {
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(value)
        }
    }
}

/// All charts as text for a `script` element of type `application/json`. Nothing in it can end that
/// element.
pub(crate) fn json(plots: &[Plot]) -> String {
    let text = serde_json::to_string(plots).expect("keys are strings, and a string grows");
    text.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_short() {
        let text = |value: f64| serde_json::to_string(&Number(value)).expect("a number");
        let table = [(0.123_456, "0.1235"), (12.345_6, "12.35"), (1_234.56, "1235"), (28_805.0, "28805"), (0.0, "0")];
        for (value, expected) in table {
            assert_eq!(text(value), expected);
        }
        assert_eq!(text(f64::NAN), "0");
    }

    fn plot(label: &str) -> Plot {
        let values = vec![Some(Number(1.5)), None];
        let series = vec![PlotSeries { label: label.to_owned(), tone: "good", dash: &[], layer: false, values }];
        let x = vec![Number(0.0), Number(1.0)];
        Plot { id: "a".to_owned(), kind: PlotKind::Steps, unit: "", log: false, x, series, map: None }
    }

    proptest! {
        #[test]
        fn no_label_ends_the_element(label in ".*") {
            let text = json(&[plot(&label), plot("</script><!--")]);
            prop_assert!(!text.contains('<'));
            let back: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(back[0]["series"][0]["label"].as_str(), Some(label.as_str()));
        }

        #[test]
        fn rounding_stays_within_a_thousandth(value in 1e-6..1e9f64) {
            let rounded = Number(value).rounded();
            prop_assert!((rounded - value).abs() <= value * 1e-3 + 1e-9, "{value} became {rounded}");
        }
    }
}
