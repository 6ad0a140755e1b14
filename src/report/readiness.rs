//! What a preflight found, for a terminal: one table, a verdict per trunk, doubts about
//! credentials.

use super::explanation::{WIDTH, wrap};
use super::json;
use super::text::printable;
use crate::diagnose::readiness::{Check, CheckState, Readiness};
use serde::Serialize;

/// A doubt about the credentials of a trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Doubt {
    pub trunk_id: String,
    /// The first agent it is about.
    pub user: String,
    /// How many agents it is about.
    pub agents: usize,
    /// Key of the profile: `user`, `auth_user`, `password`, `ha1`.
    pub field: &'static str,
    pub what: &'static str,
    pub remedy: &'static str,
}

/// Renders the table, the verdicts and the doubts, in lines of this width.
pub fn render(trunks: &[Readiness], doubts: &[Doubt], width: usize) -> String {
    let ids = trunks.iter().map(|trunk| trunk.trunk_id.chars().count());
    let id_width = ids.max().unwrap_or(0).clamp("trunk".len(), WIDEST_ID);
    let name_width = trunks.iter().flat_map(|trunk| &trunk.checks).map(|check| check.name.len()).max().unwrap_or(0);
    let row = |id: &str, name: &str, state: &str, text: &str| {
        let first = format!("{id:id_width$}  {name:name_width$}  {state:5}  ");
        let rest = " ".repeat(id_width + name_width + 11);
        wrap(text, &first, &rest, width)
    };
    let mut out = row("trunk", "check", "state", "what was seen");
    for trunk in trunks {
        let worth = |check: &&Check| trunks.len() <= WHOLE_TABLE || is_worth_a_row(trunk, check);
        for (n, check) in trunk.checks.iter().filter(worth).enumerate() {
            let id = if n == 0 { trunk.trunk_id.as_str() } else { "" };
            out.push_str(&row(id, check.name, check.state.as_str(), &printable(&check.text)));
        }
    }
    out.push('\n');
    if trunks.len() > WHOLE_TABLE {
        out.push_str("What is all right with a trunk that is ready is left out; --json has it.\n\n");
    }
    for trunk in trunks {
        let verdict = match trunk.why.as_slice() {
            [] => format!("{}: ready", trunk.trunk_id),
            why => format!("{}: not ready: {}", trunk.trunk_id, printable(&why.join("; "))),
        };
        out.push_str(&wrap(&verdict, "", "    ", width));
    }
    if !doubts.is_empty() {
        out.push_str("\ncredentials\n");
        doubts.iter().for_each(|doubt| out.push_str(&wrap(&doubt_in_words(doubt), "  ", "      ", width)));
    }
    out
}

/// With many trunks: what answered and how, and whatever is not just right.
fn is_worth_a_row(trunk: &Readiness, check: &Check) -> bool {
    match check.state {
        CheckState::Warn | CheckState::Fail => true,
        CheckState::Ok => !trunk.ready || matches!(check.name, "algorithms" | "register"),
        CheckState::Unknown => false,
    }
}

/// `nj: agent00000 (first of 500 agents): password begins or ends with a blank; …`.
pub fn doubt_in_words(doubt: &Doubt) -> String {
    let Doubt { trunk_id, user, agents, field, what, remedy } = doubt;
    let others = match agents {
        0 | 1 => String::new(),
        n => format!(" (first of {n} agents)"),
    };
    format!("{trunk_id}: {user}{others}: {field} {what}; {remedy}")
}

/// The same as JSON.
pub fn render_json(trunks: &[Readiness], doubts: &[Doubt], baseline: Option<&crate::record::Baseline>) -> String {
    #[derive(Serialize)]
    struct Preflight<'a> {
        ready: bool,
        trunks: &'a [Readiness],
        lint: &'a [Doubt],
        #[serde(skip_serializing_if = "Option::is_none")]
        baseline: Option<&'a crate::record::Baseline>,
    }
    let ready = trunks.iter().all(|trunk| trunk.ready);
    json::text(json::pretty(&Preflight { ready, trunks, lint: doubts, baseline }))
}

/// What this machine can send, in words.
pub fn baseline(baseline: &crate::record::Baseline, width: usize) -> String {
    let crate::record::Baseline { valid_rate_per_s: valid, first_invalid_rate_per_s: invalid, .. } = baseline;
    let above = match invalid {
        Some(rate) => format!("; at {rate} it fell behind its own schedule"),
        None => ", and was not driven further".to_owned(),
    };
    let threads = match baseline.workers {
        1 => "1 sender thread".to_owned(),
        n => format!("{n} sender threads"),
    };
    let text = format!(
        "baseline: with {threads} this machine kept its schedule at {valid} challenged registrations per second against the \
         embedded registrar on the same machine{above}. Below that a run measures the registrar and not this machine."
    );
    wrap(&text, "", "    ", width)
}

/// The most trunks of which every check is shown.
const WHOLE_TABLE: usize = 4;
/// The widest column of trunk ids; a longer id shifts its row.
const WIDEST_ID: usize = 20;

const _: () = assert!(WIDTH > WIDEST_ID * 3);

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(id: &str, why: &[&str]) -> Readiness {
        let text = "SHA-256 (qop auth, auth-int), MD5 (qop auth), AKAv1-MD5 (no qop, not known); answered with SHA-256, qop \
                    auth";
        let checks =
            [("address", CheckState::Ok, "embedded is 127.0.0.1:5060"), ("algorithms", CheckState::Fail, text)];
        Readiness {
            trunk_id: id.to_owned(),
            ready: why.is_empty(),
            why: why.iter().map(|&why| why.to_owned()).collect(),
            checks: checks.map(|(name, state, text)| Check { name, state, text: text.to_owned() }).to_vec(),
        }
    }

    #[test]
    fn the_table_fits_a_terminal_and_keeps_its_columns() {
        let doubt = Doubt {
            trunk_id: "nj".to_owned(),
            user: "agent00000".to_owned(),
            agents: 500,
            field: "password",
            what: "begins or ends with a blank",
            remedy: "mostly copied along by mistake; some servers trim it, some do not",
        };
        let text = render(
            &[trunk("nj", &[]), trunk("a_long_trunk_name", &["refused", "only from 127.0.0.3"])],
            std::slice::from_ref(&doubt),
            WIDTH,
        );
        let narrow = render(&[trunk("nj", &[])], &[doubt], 80);
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn of_many_trunks_only_what_matters_is_shown() {
        let trunks: Vec<Readiness> =
            ["a", "b", "c", "d", "e"].map(|id| trunk(id, if id == "e" { &["refused"] } else { &[] })).into();
        let text = render(&trunks, &[], WIDTH);
        // The address of a trunk that is ready is no news, that of one that is not is.
        assert_eq!(text.matches("embedded is").count(), 1, "{text}");
        assert!(
            text.contains("left out") && text.contains("a: ready\n") && text.contains("e: not ready: refused\n"),
            "{text}"
        );
    }
}
