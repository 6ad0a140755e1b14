//! Thresholds of a profile: `success_ratio = ">= 0.999"`, `"register.p99" = "< 250ms"`, `"trunk.nj.loops" = "== 0"`.

/// One threshold, checked against the metric names that exist.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// As written.
    pub name: String,
    /// As written.
    pub expr: String,
}

/// Why a threshold cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ThresholdError {
    pub message: String,
    /// The nearest valid name, when the name is the problem.
    pub nearest: Option<String>,
    /// The name is wrong (as against the expression).
    pub in_name: bool,
}

impl Threshold {
    /// Reads a name and an expression (`<`, `<=`, `>`, `>=`, `==`, `!=`, then a number, a percentage or a duration).
    ///
    /// # Errors
    /// When the metric, the trunk or the comparison is unknown, or the unit does not fit the metric.
    pub fn parse(_name: &str, _expr: &str, _trunk_ids: &[&str]) -> Result<Threshold, ThresholdError> {
        todo!()
    }
}
