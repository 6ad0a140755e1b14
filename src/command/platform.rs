//! `regstorm platform`: a contact-centre cloud asked what it knows of our trunks.

mod check;
mod credentials;
pub(super) mod poll;
mod pull;
mod watch;

use super::failure::{Exit, Failure};
use super::output::say;
use super::source::DiskSource;
use crate::cli::{PlatformArgs, PlatformChoice, PlatformCommand};
use crate::net::Clock;
use crate::net::http::{HttpClient, HttpOptions};
use crate::platform::pull::{Pulled, in_words};
use crate::platform::session::{PlatformCredentials, PlatformError, PlatformSession};
use crate::platform::{AskWindow, dialect};
use crate::profile::{self, PlatformProfile, Profile, Source};
use crate::record::platform::{PULL_SCHEMA, PlatformRecord, PullFacts, SourceOutcome, SourceSeen};
use crate::vocab::{Secret, Word};
use std::time::Duration;

pub(super) fn execute(args: &PlatformArgs) -> Result<Exit, Failure> {
    match &args.what {
        PlatformCommand::Check(args) => check::execute(args),
        PlatformCommand::Pull(args) => pull::execute(args),
        PlatformCommand::Watch(args) => watch::execute(args),
        PlatformCommand::Credentials(args) => credentials::execute(args),
    }
}

/// How long the newest data of a platform may still grow.
const PROVISIONAL_S: i64 = 300;

/// The profile, and the platform of it that is meant.
fn chosen(args: &PlatformChoice) -> Result<(Profile, PlatformProfile), Failure> {
    let profile = profile::load(&DiskSource, &args.profile.to_string_lossy(), &args.sets)?;
    let Some(platform) = choice(&profile, args.platform.as_deref())? else {
        let remedy = "add a [[platform]] with id, kind, base_url or region, client_id, client_secret_env and trunks";
        return Err(profile.whole_problem("has no platform", remedy).into());
    };
    Ok((profile, platform))
}

/// The platform of a profile that is meant, if it has any.
fn choice(profile: &Profile, id: Option<&str>) -> Result<Option<PlatformProfile>, Failure> {
    let ids: Vec<&str> = profile.platforms.iter().map(|platform| platform.id.as_str()).collect();
    let ids = ids.join(", ");
    let found = match (id, profile.platforms.as_slice()) {
        (None, []) => return Ok(None),
        (None, [only]) => Some(only),
        (None, _) => return Err(Failure::usage(format!("say which with --platform: {ids}"))),
        (Some(id), all) => all.iter().find(|platform| platform.id == id),
    };
    let there = if ids.is_empty() { "none" } else { ids.as_str() };
    let missing = || Failure::usage(format!("there is no such platform in the profile; there is {there}"));
    found.cloned().map(Some).ok_or_else(missing)
}

/// A platform that is asked, and what its answers said so far.
struct PlatformAsking<'a> {
    platform: &'a PlatformProfile,
    session: PlatformSession<'a>,
    clock: Clock,
}

impl<'a> PlatformAsking<'a> {
    /// # Errors
    /// When a secret is not at hand, or its certificates cannot be used; nothing was sent.
    fn new(platform: &'a PlatformProfile) -> Result<PlatformAsking<'a>, Failure> {
        let credentials = match (&platform.token_env, &platform.client_id, &platform.client_secret_env) {
            (Some(name), _, _) => PlatformCredentials::Token(secret(name)?),
            (None, Some(id), Some(name)) => PlatformCredentials::Client { id: id.clone(), secret: secret(name)? },
            _ => return Err(Failure::usage("the platform has no credentials")),
        };
        let ca = platform.ca.as_ref().map(|file| file.pem.reveal().as_bytes());
        let options = HttpOptions { hosts: platform.hosts(), ca, ..HttpOptions::default() };
        let http = HttpClient::new(&options).map_err(|error| Failure::usage(format!("ca: {error}")))?;
        let clock = Clock::new();
        let urls = (platform.api_url.as_str(), platform.login_url.as_str());
        let session = PlatformSession::new(http, urls, credentials, clock, &std::thread::sleep, &say);
        Ok(PlatformAsking { platform, session, clock })
    }

    /// Now, in seconds since 1970.
    fn now_s(&self) -> i64 {
        i64::try_from(self.clock.unix_ns() / 1_000_000_000).unwrap_or(i64::MAX)
    }

    /// How the trunks stand now.
    fn states(&mut self) -> Result<Pulled, PlatformError> {
        let PlatformProfile { kind, trunks, api_url, .. } = self.platform;
        crate::platform::pull::pull_states(dialect(*kind), &mut self.session, trunks, api_url)
    }

    fn pull(&mut self, window: AskWindow) -> Result<Pulled, PlatformError> {
        let dialect = dialect(self.platform.kind);
        let (trunks, host) = (&self.platform.trunks, &self.platform.api_url);
        crate::platform::pull::pull(dialect, &mut self.session, trunks, host, window)
    }

    /// What was pulled as it is kept; young counts are marked.
    fn record(&self, window: AskWindow, pulled: &mut Pulled) -> PlatformRecord {
        let pulled_s = self.now_s();
        let clock_off_s = self.session.clock_off().seconds();
        #[expect(clippy::cast_possible_truncation, reason = "no clock is off by more than an i64 of seconds")]
        let theirs_now = pulled_s + clock_off_s.map_or(0, |(seconds, _)| seconds.round() as i64);
        let provisional_from_s = theirs_now - PROVISIONAL_S;
        let (mut states, mut counts) = (std::mem::take(&mut pulled.states), std::mem::take(&mut pulled.counts));
        for count in &mut counts {
            let start = count.interval_start.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
            #[expect(clippy::cast_possible_truncation, reason = "an interval is minutes")]
            let end = start + count.interval_s as i64;
            count.provisional = end > provisional_from_s;
        }
        for state in states.iter_mut().filter(|state| state.time.is_empty()) {
            state.time = jiff::Timestamp::from_second(pulled_s).map_or_else(|_| String::new(), |time| time.to_string());
        }
        let facts = PullFacts {
            schema: PULL_SCHEMA,
            platform: self.platform.id.clone(),
            kind: self.platform.kind.as_str().to_owned(),
            from_s: window.from_s,
            to_s: window.to_s,
            pulled_s,
            clock_off_s,
            provisional_from_s,
            trunks: self.platform.trunks.clone(),
            sources: std::mem::take(&mut pulled.sources),
            gaps: std::mem::take(&mut pulled.gaps),
            remarks: std::mem::take(&mut pulled.remarks),
            requests: self.session.requests(),
        };
        PlatformRecord { facts, states, counts }
    }
}

fn secret(name: &str) -> Result<Secret, Failure> {
    let value = DiskSource.env(name).filter(|value| !value.is_empty());
    let missing = || {
        Failure::usage(format!(
            "the environment variable {name} is not set, and nothing was sent; set it before: export {name}=…"
        ))
    };
    value.map(Secret::new).ok_or_else(missing)
}

fn failed(platform: &PlatformProfile, error: &PlatformError) -> Failure {
    Failure::could_not(format!("{}: {error}", platform.id))
}

/// What became of a source, for people.
fn source_in_words(seen: &SourceSeen) -> String {
    let trunk = if seen.trunk.is_empty() { String::new() } else { format!(" of {}", seen.trunk) };
    let said = if seen.said.is_empty() { String::new() } else { format!(": {}", seen.said) };
    let outcome = match seen.outcome {
        SourceOutcome::Told => format!("{} rows", seen.rows),
        SourceOutcome::Empty => {
            "unknown: an empty list, as of nothing that happened or of a permission that is missing".to_owned()
        }
        SourceOutcome::Incomplete => format!("{} rows, and not all of them{said}", seen.rows),
        SourceOutcome::Refused => format!("refused{said}"),
    };
    format!("{}{trunk}: {outcome}", seen.source)
}

/// What is said of the platform's clock; it is off by so much that minutes are told wrongly from
/// two seconds on.
fn clock_in_words(off: Option<(f64, f64)>) -> String {
    match off {
        None => "unknown: no answer bears a date of its own".to_owned(),
        Some((seconds, within)) if seconds.abs() < (within + 1.0).max(2.0) => "agrees with ours".to_owned(),
        Some((seconds, within)) => {
            let way = if seconds > 0.0 { "ahead of" } else { "behind" };
            format!("{:.0} s {way} ours (within {within:.1} s); which of them is right cannot be told", seconds.abs())
        }
    }
}

/// A time that was typed: RFC 3339, or how long ago.
fn time_of(option: &str, text: &str, now_s: i64) -> Result<i64, Failure> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_second());
    }
    let ago = if text == "now" { Ok(Duration::ZERO) } else { crate::vocab::parse_duration(text) };
    match ago {
        Ok(ago) => Ok(now_s.saturating_sub(i64::try_from(ago.as_secs()).unwrap_or(i64::MAX))),
        Err(_) => Err(Failure::usage(format!(
            "{option} {text}: write a time like 2026-11-30T10:00:00Z, or how long ago, like 2h"
        ))),
    }
}

fn window_in_words(facts: &PullFacts) -> String {
    in_words(AskWindow { from_s: facts.from_s, to_s: facts.to_s })
}
