//! Lines of `[compare]`: `"register.p99" = "+10% +1ms"`, `success_ratio = "-0.1%"`,
//! `loops = "off"`.
//!
//! A line names a figure and the change for the worse that is still no regression. Shares change by
//! percentage points, latencies by a percentage, by a time, or by both, and then both must be
//! exceeded: ten per cent of next to nothing is nothing.

use super::figure::Figure;
use crate::diagnose::threshold::{ThresholdError, in_expr, parse_name, plain_number};
use crate::record::Header;
use crate::vocab::parse_duration;

/// One line, checked against the figures that exist.
#[derive(Clone, PartialEq, Debug)]
pub struct AllowedChange {
    /// As written.
    pub name: String,
    /// As written.
    pub expr: String,
    pub figure: Figure,
    /// Id of the trunk it is restricted to.
    pub trunk: Option<String>,
    /// `None`: the figure is left out.
    pub limit: Option<Limit>,
}

/// The largest change for the worse that is tolerated; both parts must be exceeded.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limit {
    /// Of the base's value.
    relative: Option<f64>,
    /// In the figure's unit.
    absolute: Option<f64>,
}

impl Limit {
    /// Whether a change for the worse by `worse` of a figure that was `base` is beyond it.
    pub fn is_exceeded(&self, base: f64, worse: f64) -> bool {
        let relative = self.relative.is_none_or(|share| worse > share * base);
        worse > 0.0 && relative && self.absolute.is_none_or(|absolute| worse > absolute)
    }
}

impl AllowedChange {
    /// Reads a line. `trunk_ids` stand in the order of the profile.
    ///
    /// # Errors
    /// When the figure or trunk is unknown, is one that two runs are not compared by, or the change
    /// cannot be read.
    pub fn parse(name: &str, expr: &str, trunk_ids: &[&str]) -> Result<AllowedChange, ThresholdError> {
        let (metric, trunk) = parse_name(name.trim(), trunk_ids)?;
        let figure = Figure::of(metric).ok_or_else(|| {
            let message = format!(
                "runs are not compared by \"{name}\"; use success_ratio, loops, availability_pct, ira_pct, \
                 auth_loop_pct, a status like request_timeout, or <phase>.<mean|p50|p90|p95|p99|p999>"
            );
            ThresholdError { message, nearest: None, in_name: true }
        })?;
        let limit = match expr.trim() {
            "off" => None,
            terms => Some(limit(name, figure, terms).map_err(in_expr)?),
        };
        let trunk = trunk.map(|(_, id)| id);
        Ok(AllowedChange { name: name.to_owned(), expr: expr.to_owned(), figure, trunk, limit })
    }

    /// The lines that a run was recorded with; `None` in a record from before there was such a
    /// section.
    ///
    /// # Errors
    /// As for [`AllowedChange::parse`]; a run is recorded after its lines were read, so only a
    /// record of another version gives one.
    pub fn of_run(header: &Header) -> Result<Option<Vec<AllowedChange>>, ThresholdError> {
        let Some(lines) = &header.compare else { return Ok(None) };
        let ids: Vec<_> = header.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
        let parse = |(name, expr): &(String, String)| AllowedChange::parse(name, expr, &ids);
        let mut lines = lines.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        // Whatever their order in the profile: outcomes first, then latencies.
        lines.sort_by_key(|line| line.figure.rank());
        Ok(Some(lines))
    }
}

fn limit(name: &str, figure: Figure, terms: &str) -> Result<Limit, String> {
    let mut limit = Limit::default();
    for term in terms.split_whitespace() {
        let amount = term.strip_prefix(figure.sign()).ok_or_else(|| {
            let (sign, word) = (figure.sign(), if figure.sign() == '+' { "rising" } else { "falling" });
            format!("\"{name}\" gets worse by {word}; write a change like \"{sign}{}\", or \"off\"", figure.example())
        })?;
        let percent = amount.strip_suffix('%').map(|number| plain_number(number).map(|percent| percent / 100.0));
        let (slot, value) = match (figure.is_latency(), percent) {
            (true, Some(share)) => (&mut limit.relative, share),
            (true, None) => (&mut limit.absolute, parse_duration(amount).ok().map(|span| span.as_nanos() as f64 / 1e3)),
            (false, points) => (&mut limit.absolute, points.flatten().map(|points| points * figure.whole())),
        };
        let value = value.ok_or_else(|| {
            let kinds = if figure.is_latency() { "per cent, a time, or both" } else { "percentage points" };
            format!("\"{name}\" changes by {kinds}: write \"{}{}\", not \"{term}\"", figure.sign(), figure.example())
        })?;
        if slot.replace(value).is_some() {
            return Err(format!("\"{name}\" has two changes of one kind in \"{terms}\"; write one of them"));
        }
    }
    if limit == Limit::default() {
        return Err(format!("\"{name}\" needs a change like \"{}{}\", or \"off\"", figure.sign(), figure.example()));
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNKS: [&str; 2] = ["nj", "texas"];

    fn limit_of(name: &str, expr: &str) -> Option<Limit> {
        AllowedChange::parse(name, expr, &TRUNKS).unwrap_or_else(|error| panic!("{name} {expr}: {error}")).limit
    }

    #[test]
    fn changes_are_read_in_the_figures_unit() {
        for (name, expr, relative, absolute) in [
            ("register.p99", "+10%", Some(0.1), None),
            ("register.p99", "+1ms", None, Some(1_000.0)),
            (" refresh.mean ", " +5%  +0.5ms ", Some(0.05), Some(500.0)),
            ("success_ratio", "-0.5%", None, Some(0.005)),
            ("availability_pct", "-0.5%", None, Some(0.5)),
            ("trunk.nj.loops", "+1%", None, Some(0.01)),
            ("request_timeout", "+0%", None, Some(0.0)),
        ] {
            assert_eq!(limit_of(name, expr), Some(Limit { relative, absolute }), "{name} {expr}");
        }
        assert_eq!(limit_of("loops", "off"), None);
    }

    #[test]
    fn both_parts_must_be_exceeded() {
        let limit = limit_of("register.p99", "+10% +1ms").expect("a limit");
        assert!(!limit.is_exceeded(100.0, 900.0));
        assert!(!limit.is_exceeded(50_000.0, 1_100.0));
        assert!(limit.is_exceeded(5_000.0, 1_100.0));
        assert!(!limit_of("loops", "+0%").expect("a limit").is_exceeded(0.0, 0.0));
    }

    #[test]
    fn a_wrong_line_says_what_to_write() {
        for (name, expr, message) in [
            (
                "success_ratio",
                "+1%",
                "\"success_ratio\" gets worse by falling; write a change like \"-0.1%\", or \"off\"",
            ),
            ("register.p99", "10%", "\"register.p99\" gets worse by rising; write a change like \"+10%\", or \"off\""),
            (
                "register.p99",
                "+10",
                "\"register.p99\" changes by per cent, a time, or both: write \"+10%\", not \"+10\"",
            ),
            ("success_ratio", "-1ms", "\"success_ratio\" changes by percentage points: write \"-0.1%\", not \"-1ms\""),
            (
                "register.p99",
                "+1% +2%",
                "\"register.p99\" has two changes of one kind in \"+1% +2%\"; write one of them",
            ),
            ("register.p99", " ", "\"register.p99\" needs a change like \"+10%\", or \"off\""),
        ] {
            assert_eq!(AllowedChange::parse(name, expr, &TRUNKS).expect_err(expr).message, message);
        }
        for name in ["register.max", "attempts", "schedule_lag.p99", "findings.critical", "registered"] {
            let error = AllowedChange::parse(name, "off", &TRUNKS).expect_err(name);
            assert!(error.in_name && error.message.starts_with("runs are not compared by"), "{error}");
        }
        let error = AllowedChange::parse("regster.p99", "+1%", &TRUNKS).expect_err("misspelt");
        assert_eq!(error.nearest.as_deref(), Some("register.p99"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(name in ".{0,30}", expr in "[-+]{0,1}.{0,12}") {
            let _ = AllowedChange::parse(&name, &expr, &TRUNKS);
            let _ = AllowedChange::parse("register.p99", &expr, &TRUNKS);
            let _ = AllowedChange::parse("success_ratio", &expr, &TRUNKS);
        }
    }
}
