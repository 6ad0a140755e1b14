//! What a response code, a finding, a loop or an outcome means, what it comes from, and where to
//! look.
//!
//! The texts are data beside this file: `codes` holds the response codes that registrations meet,
//! `rare_codes` the others of IANA's register, `findings` the findings, `outcomes` the loops and
//! the statuses of attempts. They are read when they are asked for. A cause names what preceded it,
//! because the same 403 says one thing before any challenge and another after credentials. What a
//! named product does differently stands under its name, with its own words for settings and log
//! lines, so that a reader can search for them there.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A SIP response code, or `timeout` in its place.
    Response,
    Finding,
    /// A `loop_kind`.
    Loop,
    /// The status of an attempt.
    Status,
}

impl Topic {
    /// What it is called in front of a reader.
    pub const fn as_str(self) -> &'static str {
        match self {
            Topic::Response => "response",
            Topic::Finding => "finding",
            Topic::Loop => "loop",
            Topic::Status => "status",
        }
    }
}

/// One cause: when it is the likely one, and what it is. Written `[when, what]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cause {
    /// What preceded the answer, as a clause: `before any challenge`.
    pub when: String,
    /// What is then likely, as a sentence.
    pub what: String,
}

/// A place to look at. Written `[system, what]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LookAt {
    /// The product, or `any` for advice that holds with every one.
    pub system: String,
    /// What to look at there, as sentences.
    pub what: String,
}

/// The system of advice that holds with every product.
pub const ANY: &str = "any";

impl LookAt {
    /// Whether it holds with every product.
    pub fn is_general(&self) -> bool {
        self.system == ANY
    }
}

impl fmt::Display for LookAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_general() { out.write_str(&self.what) } else { write!(out, "{}: {}", self.system, self.what) }
    }
}

/// Another cause that would look like a finding. Written `[cause, excluded_by, test]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RivalText {
    /// The id of its own finding, or a name for a cause that has none.
    pub cause: String,
    /// What it is, and the observation that it would not have allowed, as sentences.
    pub excluded_by: String,
    /// What to do to tell the two apart, as a sentence.
    pub test: String,
}

/// The explanation of one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// What is typed: `403`, `timeout`, `limit.rate`, `403-after-auth`, `request_timeout`.
    pub name: String,
    pub topic: Topic,
    /// A few words, as a heading.
    pub title: String,
    /// What it means, in sentences.
    pub meaning: String,
    /// The likely causes, the likeliest first.
    pub causes: Vec<Cause>,
    /// The general advice first.
    pub look_at: Vec<LookAt>,
    /// Of a finding: what else would look like it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<RivalText>,
    /// Of a finding about the registrar's side: what to ask whoever runs it, as sentences.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ask: String,
}

const CODES: &str = include_str!("explain/codes.toml");
const RARE_CODES: &str = include_str!("explain/rare_codes.toml");
const FINDINGS: &str = include_str!("explain/findings.toml");
/// Of a run held against a platform.
const SIDES: &str = include_str!("explain/sides.toml");
const OUTCOMES: &str = include_str!("explain/outcomes.toml");

fn read(file: &str) -> Vec<Explanation> {
    #[derive(Deserialize)]
    struct File {
        text: Vec<Explanation>,
    }
    // The tests read every file, so none of them can be broken.
    toml::from_str::<File>(file).map(|file| file.text).unwrap_or_default()
}

/// The explanation of a finding, by its id: what the advice of a detector is made of.
pub fn finding(id: &str) -> Option<Explanation> {
    read(FINDINGS).into_iter().chain(read(SIDES)).find(|text| text.name == id)
}

/// Those of `regstorm reconcile`, which no run alone makes.
pub fn findings_of_two_sides() -> Vec<Explanation> {
    read(SIDES)
}

/// The explanations of all findings that are made of a run.
pub fn all_findings() -> Vec<Explanation> {
    read(FINDINGS)
}

/// Everything there is, codes first.
pub fn all() -> Vec<Explanation> {
    [CODES, RARE_CODES, FINDINGS, SIDES, OUTCOMES].into_iter().flat_map(read).collect()
}

/// Everything a name stands for: `401` is a response and a loop. Letter case and a `SIP/2.0 ` in
/// front do not matter.
///
/// # Errors
/// The nearest known names, at most three, when there is none of this name.
pub fn explain(name: &str) -> Result<Vec<Explanation>, Vec<String>> {
    let wanted = name.trim().to_lowercase();
    let wanted = wanted.strip_prefix("sip/2.0 ").unwrap_or(&wanted).trim();
    let (found, others): (Vec<_>, Vec<_>) = all().into_iter().partition(|text| text.name == wanted);
    if !found.is_empty() {
        return Ok(found);
    }
    unregistered(wanted).map(|text| vec![text]).ok_or_else(|| nearest(wanted, others))
}

/// A response code that nobody has registered means what the `x00` of its class means (RFC 3261
/// §8.1.3.2).
fn unregistered(name: &str) -> Option<Explanation> {
    let code: u16 = name.parse().ok().filter(|code| (100..700).contains(code) && name.len() == 3)?;
    let (class, meaning) = match code / 100 {
        1 => ("183", "The request is being worked on; the final answer is still to come"),
        2 => ("200", "The request succeeded"),
        3 => ("300", "The client is sent to another address"),
        4 => ("400", "The request was refused as it is; another one, or another server, may fare better"),
        5 => ("500", "The server failed; a later attempt may succeed"),
        _ => ("600", "No server of the system will serve the request"),
    };
    Some(Explanation {
        name: name.to_owned(),
        topic: Topic::Response,
        title: format!("a code of the server's own, treated like {class}"),
        meaning: format!("{meaning}. The code is in no register, so it counts like {class} (RFC 3261 §8.1.3.2)."),
        causes: vec![Cause {
            when: "always".to_owned(),
            what: "A rule of this server, or of a proxy before it, answers with a code of its own.".to_owned(),
        }],
        rivals: Vec::new(),
        ask: String::new(),
        look_at: vec![LookAt {
            system: ANY.to_owned(),
            what: format!(
                "Read the reason phrase and the Warning header of the response, search the server's configuration for \
                 {name}, and see regstorm explain {class}."
            ),
        }],
    })
}

/// Known names that share a beginning or most letters with what was typed, the nearest first.
fn nearest(wanted: &str, known: Vec<Explanation>) -> Vec<String> {
    let mut scored: Vec<(f64, String)> = known
        .into_iter()
        .map(|text| (strsim::jaro_winkler(wanted, &text.name), text.name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.truncate(NEAREST);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// How like a name must be to be offered, from 0 to 1.
const LIKENESS: f64 = 0.7;
/// The most names offered.
const NEAREST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::{LoopKind, Status};
    use std::collections::HashSet;

    /// The ids that findings may have.
    const IDS: [&str; 39] = [
        "connect.refused",
        "keepalive.unanswered",
        "flow.closed-by-server",
        "challenge.unanswered",
        "overload",
        "slow",
        "slow.with-bindings",
        "node.failing",
        "limit.concurrent",
        "limit.rate",
        "limit.contacts",
        "limit.transactions",
        "ban",
        "loop.403.after-auth",
        "loop.403.unchallenged",
        "loop.401",
        "loop.stale-nonce",
        "loop.423",
        "loop.retry-after",
        "realm.mismatch",
        "algorithm.unsupported",
        "oscillation",
        "not-found",
        "refused",
        "no-response",
        "answers.from-elsewhere",
        "packet-loss",
        "server-error",
        "refresh.failing",
        "binding.lost",
        "binding.unknown-to-server",
        "binding.left-behind",
        "expires.shortened",
        "nat.contact-rewritten",
        "alg.rewritten",
        "tls.certificate",
        "dns",
        "drift",
        "generator.saturated",
    ];

    const REGISTRATION_CODES: [&str; 30] = [
        "200", "302", "305", "400", "401", "403", "404", "405", "407", "408", "420", "421", "423", "429", "439", "480",
        "481", "482", "483", "488", "500", "501", "502", "503", "504", "505", "513", "600", "603", "606",
    ];

    /// The systems texts speak of.
    const SYSTEMS: [&str; 5] = ["any", "Asterisk PJSIP", "Kamailio", "Genesys Cloud", "Oracle SBC"];

    #[test]
    fn every_finding_is_explained() {
        for id in IDS {
            assert!(finding(id).is_some_and(|text| text.topic == Topic::Finding), "{id}");
        }
        assert_eq!(read(FINDINGS).len(), IDS.len());
    }

    #[test]
    fn every_status_and_every_loop_is_explained() {
        for status in Status::ALL {
            assert!(explain(status.as_str()).is_ok_and(|found| found[0].topic == Topic::Status), "{status}");
        }
        use LoopKind as L;
        for kind in [
            L::Forbidden,
            L::ForbiddenAfterAuth,
            L::Unauthorized,
            L::Stale,
            L::IntervalTooBrief,
            L::ClientError,
            L::ServerError,
            L::Timeout,
            L::Redirection,
            L::GlobalFailure,
            L::Transport,
        ] {
            let found = explain(kind.as_str()).unwrap_or_default();
            assert!(found.iter().any(|text| text.topic == Topic::Loop), "{kind}");
        }
    }

    #[test]
    fn the_codes_of_registrations_are_explained() {
        for code in REGISTRATION_CODES.into_iter().chain(["timeout"]) {
            assert!(explain(code).is_ok_and(|found| found[0].topic == Topic::Response), "{code}");
        }
    }

    #[test]
    fn every_code_a_server_may_send_is_explained() {
        for code in 100..700 {
            let found = explain(&code.to_string()).unwrap_or_default();
            assert!(found.iter().any(|text| text.topic == Topic::Response), "{code}");
        }
        for registered in ["406", "416", "422", "430", "469", "494", "555", "604"] {
            assert!(all().iter().any(|text| text.name == registered), "{registered}");
        }
        assert!(explain("499").expect("a class")[0].title.ends_with("treated like 400"));
        for other in ["099", "700", "0403", "+403"] {
            assert!(explain(other).is_err(), "{other}");
        }
    }

    #[test]
    fn every_file_can_be_read() {
        for file in [CODES, RARE_CODES, FINDINGS, SIDES, OUTCOMES] {
            assert_eq!(toml::from_str::<toml::Table>(file).map(|_| ()), Ok(()));
            assert_eq!(read(file).len(), file.matches("[[text]]").count());
        }
    }

    #[test]
    fn no_text_is_empty_or_untidy_and_no_name_comes_twice_in_a_topic() {
        let mut names = HashSet::new();
        for text in all() {
            assert!(names.insert((text.topic.as_str(), text.name.clone())), "{} comes twice", text.name);
            assert!(!text.causes.is_empty() && !text.look_at.is_empty(), "{}", text.name);
            let whens = text.causes.iter().map(|cause| cause.when.as_str());
            let places = text.look_at.iter().map(|place| place.what.as_str());
            let sentences = text.causes.iter().map(|cause| cause.what.as_str()).chain(places);
            let sentences = sentences.chain([text.meaning.as_str()]);
            let rivals = || text.rivals.iter();
            let sentences = sentences.chain(rivals().map(|rival| rival.excluded_by.as_str()));
            let sentences = sentences.chain(rivals().map(|rival| rival.test.as_str()));
            for part in sentences.clone().chain(whens.clone()).chain([text.title.as_str()]) {
                assert!(!part.is_empty() && part.trim() == part, "{}: {part:?}", text.name);
                assert!(!part.contains("  ") && !part.contains('\n'), "{}: {part:?}", text.name);
            }
            assert!(
                sentences.clone().all(|part| part.ends_with(['.', '?'])),
                "{}: a sentence ends with a stop",
                text.name
            );
            assert!(text.look_at.iter().all(|place| SYSTEMS.contains(&place.system.as_str())), "{}", text.name);
            assert!(whens.clone().all(|when| when.len() <= 48), "{}: a clause is short", text.name);
            assert!(text.title.len() <= 70 && text.name.len() <= 26, "{}: a heading is short", text.name);
        }
    }

    #[test]
    fn a_name_that_is_not_known_brings_the_nearest() {
        assert_eq!(explain("limit.concurent").expect_err("misspelt")[0], "limit.concurrent");
        assert_eq!(explain("relm.mismatch").expect_err("misspelt")[0], "realm.mismatch");
        assert!(explain("403x").expect_err("misspelt").contains(&"403".to_owned()));
        assert!(explain("zzzz").expect_err("nothing like it").is_empty());
        assert_eq!(explain(" SIP/2.0 403 ").expect("a status line's beginning")[0].name, "403");
        assert_eq!(explain("401").expect("both").len(), 2);
    }
}
