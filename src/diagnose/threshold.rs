//! Thresholds of a profile: `success_ratio = ">= 0.999"`, `"register.p99" = "< 250ms"`,
//! `"trunk.nj.loops" = "== 0"`.
//!
//! Here is the text of a threshold and its check against a run; the names are in `metric`, what
//! they add up to in `verdict`.

use super::figures::Unit;
use super::finding::Finding;
use super::metric::{self, Metric};
use crate::record::{Header, Results};
use crate::vocab::{DurationError, parse_duration};
use serde::Serialize;
use std::fmt;

/// One threshold, checked against the metric names that exist.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// As written.
    pub name: String,
    /// As written.
    pub expr: String,
    metric: Metric,
    /// Position and id of the trunk it is restricted to.
    trunk: Option<(usize, String)>,
    comparison: Relation,
    /// In the metric's unit.
    bound: f64,
}

/// One threshold, judged.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ThresholdOutcome {
    pub name: String,
    pub expr: String,
    /// `None`: nothing was measured, which does not pass. In `unit`: microseconds for times.
    pub value: Option<f64>,
    pub pass: bool,
    pub unit: Unit,
    #[serde(skip)]
    pub metric: Metric,
    /// Id of the trunk it is restricted to.
    #[serde(skip)]
    pub trunk: Option<String>,
    #[serde(skip)]
    pub comparison: Relation,
    /// In `unit`.
    #[serde(skip)]
    pub bound: f64,
}

/// How a value is compared with the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    NotEqual,
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

/// As written, name and comparison.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.expr)
    }
}

impl Threshold {
    /// Reads a name and an expression (`<`, `<=`, `>`, `>=`, `==`, `!=`, then a number, a
    /// percentage or a duration). `trunk_ids` stand in the order of the profile.
    ///
    /// # Errors
    /// When the metric, the trunk or the comparison is unknown, or the unit does not fit the
    /// metric.
    pub fn parse(name: &str, expr: &str, trunk_ids: &[&str]) -> Result<Threshold, ThresholdError> {
        let (metric, trunk) = parse_name(name.trim(), trunk_ids)?;
        let (comparison, bound) = split_comparison(expr)?;
        let bound = parse_bound(name, metric.unit(), bound).map_err(in_expr)?;
        Ok(Threshold { name: name.to_owned(), expr: expr.to_owned(), metric, trunk, comparison, bound })
    }

    /// The thresholds of a recorded run, in the order of its profile.
    ///
    /// # Errors
    /// As for [`Threshold::parse`]; a run is recorded after its thresholds were read, so only a
    /// record of another version gives one.
    pub fn of_run(header: &Header) -> Result<Vec<Threshold>, ThresholdError> {
        let ids: Vec<_> = header.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
        header.thresholds.iter().map(|(name, expr)| Threshold::parse(name, expr, &ids)).collect()
    }

    /// What it is about.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Position of the trunk it is restricted to.
    pub fn trunk(&self) -> Option<usize> {
        self.trunk.as_ref().map(|(index, _)| *index)
    }

    /// Whether the comparison is true of `value`.
    pub(super) fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.bound)
    }

    /// Holds the threshold against a run and what was found in it. A value that was not measured
    /// does not pass.
    pub fn check(&self, results: &Results, findings: &[Finding]) -> ThresholdOutcome {
        let value = self.metric.value(results, findings, self.trunk());
        ThresholdOutcome {
            name: self.name.clone(),
            expr: self.expr.clone(),
            value,
            pass: value.is_some_and(|value| self.holds(value)),
            unit: self.metric.unit(),
            metric: self.metric,
            trunk: self.trunk.as_ref().map(|(_, id)| id.clone()),
            comparison: self.comparison,
            bound: self.bound,
        }
    }
}

impl Relation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
        }
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Relation::Less => value < bound,
            Relation::AtMost => value <= bound,
            Relation::Greater => value > bound,
            Relation::AtLeast => value >= bound,
            Relation::Equal => value == bound,
            Relation::NotEqual => value != bound,
        }
    }
}

pub(super) fn parse_name(name: &str, trunk_ids: &[&str]) -> Result<(Metric, Option<(usize, String)>), ThresholdError> {
    let Some(rest) = name.strip_prefix("trunk.") else {
        return Ok((known_metric(name, "")?, None));
    };
    let (index, id) = known_trunk(rest, trunk_ids)?;
    let prefix = format!("trunk.{id}.");
    let metric = known_metric(&rest[id.len() + 1..], &prefix)?;
    if !metric.by_trunk() {
        let message = format!("\"{}\" is kept for the whole run only, not by trunk", metric.canonical());
        return Err(ThresholdError { message, nearest: Some(metric.canonical()), in_name: true });
    }
    Ok((metric, Some((index, id.to_owned()))))
}

fn known_metric(name: &str, prefix: &str) -> Result<Metric, ThresholdError> {
    Metric::named(name).ok_or_else(|| {
        let nearest = Metric::nearest(name).map(|nearest| format!("{prefix}{nearest}"));
        let advice = match &nearest {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => {
                "names are those of `totals`, success_ratio, loops, <phase>.<statistic>, schedule_lag.<p50|p99|max> \
                     and findings.<critical|warning>"
                    .to_owned()
            }
        };
        ThresholdError { message: format!("\"{prefix}{name}\" is no metric; {advice}"), nearest, in_name: true }
    })
}

/// The trunk whose id, followed by a dot, begins `rest`; the longest one, as ids may contain dots.
fn known_trunk<'a>(rest: &str, trunk_ids: &[&'a str]) -> Result<(usize, &'a str), ThresholdError> {
    let begins = |id: &str| rest.strip_prefix(id).is_some_and(|tail| tail.starts_with('.'));
    let found = trunk_ids.iter().enumerate().filter(|(_, id)| begins(id)).max_by_key(|(_, id)| id.len());
    if let Some((index, id)) = found {
        return Ok((index, id));
    }
    let (id, tail) = rest.split_once('.').unwrap_or((rest, "<metric>"));
    let nearest = metric::nearest(id, trunk_ids.iter().map(|id| (*id).to_owned()));
    let nearest = nearest.map(|id| format!("trunk.{id}.{tail}"));
    let message = if trunk_ids.contains(&rest) {
        format!("\"trunk.{rest}\" names a trunk but no metric; write \"trunk.{rest}.<metric>\"")
    } else if let Some(nearest) = &nearest {
        format!("there is no trunk \"{id}\"; did you mean \"{nearest}\"?")
    } else {
        format!("there is no trunk \"{id}\"; the trunks are {}", trunk_ids.join(", "))
    };
    Err(ThresholdError { message, nearest, in_name: true })
}

fn split_comparison(expr: &str) -> Result<(Relation, &str), ThresholdError> {
    // The longer signs first: "<" also begins "<=".
    const SIGNS: [Relation; 6] =
        [Relation::AtLeast, Relation::AtMost, Relation::Equal, Relation::NotEqual, Relation::Greater, Relation::Less];
    let expr = expr.trim();
    let sign = SIGNS.into_iter().find_map(|sign| Some((sign, expr.strip_prefix(sign.as_str())?.trim())));
    sign.ok_or_else(|| {
        in_expr(if let Some(bound) = expr.strip_prefix('=') {
            format!("\"=\" is no comparison; write \"== {}\"", bound.trim())
        } else {
            format!("\"{expr}\" begins with no comparison; write one of <, <=, >, >=, ==, != before the value")
        })
    })
}

/// The bound in the metric's unit.
fn parse_bound(name: &str, unit: Unit, text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Err(format!("\"{name}\" is compared with nothing; write a value after the comparison"));
    }
    let share = text.strip_suffix('%').map(str::trim_end);
    match (unit, share) {
        (Unit::Microseconds, _) => parse_latency(name, text),
        (Unit::Ratio, Some(percent)) => percent_as_ratio(percent)
            .filter(in_unit_range)
            .ok_or_else(|| format!("\"{text}\" is no share for \"{name}\"; write 0% to 100%")),
        (Unit::Ratio, None) => plain_number(text)
            .filter(in_unit_range)
            .ok_or_else(|| format!("\"{name}\" lies between 0 and 1; write 0.999 or 99.9%, not \"{text}\"")),
        (Unit::Percent, _) => plain_number(share.unwrap_or(text))
            .ok_or_else(|| format!("\"{name}\" is in per cent; write a number like 0.5 or 0.5%, not \"{text}\"")),
        (Unit::Count, _) => {
            plain_number(text).ok_or_else(|| format!("\"{name}\" is a count; write a plain number, not \"{text}\""))
        }
        (Unit::AgentMinutes, _) => plain_number(text)
            .ok_or_else(|| format!("\"{name}\" is in agent-minutes; write a plain number, not \"{text}\"")),
    }
}

fn parse_latency(name: &str, text: &str) -> Result<f64, String> {
    match parse_duration(text) {
        Ok(span) => Ok(span.as_nanos() as f64 / 1e3),
        Err(DurationError::NoUnit(number)) => {
            Err(format!("\"{name}\" is a time; add a unit to \"{number}\", like \"{number}ms\""))
        }
        Err(_) => Err(format!("\"{name}\" is a time; write a duration like \"250ms\", not \"{text}\"")),
    }
}

/// Digits with at most one decimal point: no sign, no exponent, no infinity.
pub(super) fn plain_number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    plain.then(|| text.parse().ok()).flatten()
}

/// Shifts the decimal point in the text, which keeps 99.9% equal to 0.999; a division would not.
fn percent_as_ratio(percent: &str) -> Option<f64> {
    plain_number(percent)?;
    format!("{percent}e-2").parse().ok()
}

fn in_unit_range(value: &f64) -> bool {
    (0.0..=1.0).contains(value)
}

pub(super) fn in_expr(message: String) -> ThresholdError {
    ThresholdError { message, nearest: None, in_name: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNKS: [&str; 3] = ["nj", "nj.phase2", "texas"];

    fn bound(name: &str, expr: &str) -> (Relation, f64) {
        let threshold = Threshold::parse(name, expr, &TRUNKS).unwrap_or_else(|e| panic!("{name} {expr}: {e}"));
        (threshold.comparison, threshold.bound)
    }

    #[test]
    fn reads_every_comparison_and_unit() {
        use Relation::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
        for (name, expr, expected) in [
            ("success_ratio", ">= 0.999", (AtLeast, 0.999)),
            ("success_ratio", ">=99.9%", (AtLeast, 0.999)),
            ("success_ratio", "== 100 %", (Equal, 1.0)),
            ("register.p99", "< 250ms", (Less, 250_000.0)),
            ("register.mean", "<= 1.5s", (AtMost, 1_500_000.0)),
            ("register.count", "> 10", (Greater, 10.0)),
            ("loops", "== 0", (Equal, 0.0)),
            ("attempts", "!= 0", (NotEqual, 0.0)),
            ("totals.ira_pct", "< 0.5%", (Less, 0.5)),
            ("ira_pct", "< 0.5", (Less, 0.5)),
            ("availability_pct", ">= 99.9", (AtLeast, 99.9)),
            ("agent_minutes_available", "> 12.5", (Greater, 12.5)),
            ("schedule_lag.p99", "< 5ms", (Less, 5_000.0)),
            ("findings.critical", "== 0", (Equal, 0.0)),
            ("trunk.nj.loops", "== 0", (Equal, 0.0)),
        ] {
            assert_eq!(bound(name, expr), expected, "{name} {expr}");
        }
    }

    #[test]
    fn every_name_of_totals_and_every_statistic_is_a_metric() {
        for figure in super::super::figures::TOTALS {
            assert!(Metric::named(figure.name).is_some(), "{}", figure.name);
            assert_eq!(Metric::named(&format!("totals.{}", figure.name)), Metric::named(figure.name));
        }
        for phase in crate::vocab::Phase::ALL {
            for statistic in metric::Statistic::ALL {
                let name = format!("{phase}.{}", statistic.as_str());
                assert_eq!(Metric::named(&name).map(Metric::canonical), Some(name));
            }
        }
        assert_eq!(Metric::named("loops"), Metric::named("agents_looping"));
        assert_eq!(Metric::named("schedule_lag.p90"), None);
        assert_eq!(Metric::named("totals.loops"), None);
    }

    #[test]
    fn the_longest_trunk_id_wins() {
        let threshold = Threshold::parse("trunk.nj.phase2.loops", "== 0", &TRUNKS).expect("known trunk");
        assert_eq!(threshold.trunk, Some((1, "nj.phase2".to_owned())));
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_one() {
        for (name, nearest) in [
            ("regsiter.p99", "register.p99"),
            ("register.p9", "register.p99"),
            ("succes_ratio", "success_ratio"),
            ("loop", "loops"),
            ("totals.attemps", "attempts"),
            ("schedule_lag.p98", "schedule_lag.p99"),
            ("finding.critical", "findings.critical"),
            ("trunk.texas.regster.p50", "trunk.texas.register.p50"),
            ("trunk.texs.loops", "trunk.texas.loops"),
            ("trunk.texas.schedule_lag.p99", "schedule_lag.p99"),
        ] {
            let error = Threshold::parse(name, "< 1", &TRUNKS).expect_err(name);
            assert_eq!(error.nearest.as_deref(), Some(nearest), "{name}: {error}");
            assert!(error.in_name, "{name}");
        }
        let error = Threshold::parse("zzz", "< 1", &TRUNKS).expect_err("nothing like it");
        assert_eq!(error.nearest, None);
        assert!(error.message.contains("success_ratio"), "{error}");
        let error = Threshold::parse("trunk.texas", "< 1", &TRUNKS).expect_err("no metric");
        assert_eq!(error.message, "\"trunk.texas\" names a trunk but no metric; write \"trunk.texas.<metric>\"");
    }

    #[test]
    fn a_wrong_expression_says_what_to_write() {
        for (name, expr, message) in [
            ("register.p99", "< 250", "\"register.p99\" is a time; add a unit to \"250\", like \"250ms\""),
            ("register.p99", "< 5%", "\"register.p99\" is a time; write a duration like \"250ms\", not \"5%\""),
            (
                "register.p99",
                "250ms",
                "\"250ms\" begins with no comparison; write one of <, <=, >, >=, ==, != before the value",
            ),
            ("loops", "= 0", "\"=\" is no comparison; write \"== 0\""),
            ("loops", "==", "\"loops\" is compared with nothing; write a value after the comparison"),
            ("loops", "< 5%", "\"loops\" is a count; write a plain number, not \"5%\""),
            ("loops", "< 5s", "\"loops\" is a count; write a plain number, not \"5s\""),
            ("loops", "> -1", "\"loops\" is a count; write a plain number, not \"-1\""),
            ("loops", "< inf", "\"loops\" is a count; write a plain number, not \"inf\""),
            ("success_ratio", ">= 99.9", "\"success_ratio\" lies between 0 and 1; write 0.999 or 99.9%, not \"99.9\""),
            ("success_ratio", ">= 101%", "\"101%\" is no share for \"success_ratio\"; write 0% to 100%"),
            ("ira_pct", "< 1s", "\"ira_pct\" is in per cent; write a number like 0.5 or 0.5%, not \"1s\""),
        ] {
            let error = Threshold::parse(name, expr, &TRUNKS).expect_err(expr);
            assert_eq!(error.message, message);
            assert!(!error.in_name);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(name in ".{0,30}", expr in "[<>=! ]{0,2}.{0,12}") {
            let _ = Threshold::parse(&name, &expr, &TRUNKS);
            let _ = Threshold::parse(&format!("trunk.{name}"), &expr, &TRUNKS);
            let _ = Threshold::parse("success_ratio", &expr, &TRUNKS);
        }
    }
}
