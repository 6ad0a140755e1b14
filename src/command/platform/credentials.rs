//! `regstorm platform credentials`: a trunk's credentials at the carrier's own registrar, before
//! they are submitted to a platform, or after it refused them.

use super::super::attended::attended;
use super::super::carriers::showing;
use super::super::failure::{Exit, Failure};
use super::super::output::{print, width};
use super::super::preflight::{TrunkToProbe, plan, subjects};
use super::super::prober::Prober;
use super::super::probing::register_as;
use super::super::registrar::embedded;
use super::super::side::side_by_side;
use super::super::source::why_unreadable;
use super::super::targets::TrunkTargets;
use super::choice;
use crate::cli::PlatformCredentialsArgs;
use crate::diagnose::credentials::{CredentialReading, CredentialTry, FieldDoubt, is_offered, judge};
use crate::diagnose::readiness::ProbeSeen;
use crate::engine::ProbeSocket;
use crate::net::clock::Clock;
use crate::plan::AgentAccount;
use crate::profile::lint::{self, Lint};
use crate::profile::{PlatformProfile, Profile, TrunkAgents, TrunkProfile};
use crate::record::refusal::PlatformRefusal;
use crate::report::credentials::{CredentialReport, render, render_json};
use crate::seed::Seed;
use crate::sip::{Algorithm, AlgorithmSet, Credential};
use crate::vocab::{Secret, Time, saturating_u32};
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long a request may stay unanswered: three transmissions.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Nothing is begun after this for each trunk.
const PER_TRUNK: Duration = Duration::from_secs(10);
/// What is tried, where it is offered.
const TRIED: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 1 << 20;

pub(super) fn execute(args: &PlatformCredentialsArgs) -> Result<Exit, Failure> {
    let answer = args.answer.as_deref().map(read_answer).transpose()?;
    let (profile, mut plan) = plan(&args.of.profile.to_string_lossy(), &args.of.sets)?;
    let platform = choice(&profile, args.of.platform.as_deref())?;
    let accounts = accounts(args, &profile, platform.as_ref())?;
    let clock = Clock::new();
    let prober = Prober::new(clock);
    let server = embedded(&plan, Seed(plan.seed.unwrap_or_else(super::super::random)), clock, clock.now())?;
    let subjects = subjects(&profile, &mut plan, server.as_ref())?;
    let cases: Vec<CredentialCase<'_>> = accounts
        .into_iter()
        .filter_map(|account| Some((subjects.iter().find(|one| one.trunk.id == account.trunk.id)?, account)))
        .map(|(subject, account)| CredentialCase { subject, account })
        .collect();
    let firsts: Vec<usize> = (0..cases.len()).map(|n| first_of_account(&cases, n)).collect();
    let numbers: Vec<usize> = (0..cases.len()).collect();
    let until = clock.now() + PER_TRUNK * saturating_u32(cases.len().max(1));
    let (mut tries, interrupted) = attended(&prober, || {
        side_by_side(&numbers, |n| if firsts[*n] == *n { cases[*n].tries(&prober, until) } else { Vec::new() })
    })?;
    drop(server);
    if let Some(signal) = interrupted {
        return Ok(Exit::Signal(signal));
    }
    let mut readings: Vec<CredentialReading> = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let first = &cases[firsts[n]];
        let tried = case.has_secret_of(first).then(|| match readings.get(firsts[n]) {
            Some(earlier) => earlier.tries.clone(),
            None => std::mem::take(&mut tries[n]),
        });
        readings.push(case.reading(tried.ok_or_else(|| first.account.trunk.id.clone())));
    }
    let secrets: Vec<&str> = cases.iter().map(|case| case.account.secret.reveal()).collect();
    let answer = answer.map(|answer| answer.without(&secrets));
    let trunks = judge(&readings, answer.as_ref());
    let report = CredentialReport::new(platform.map(|platform| platform.id), answer, trunks);
    print(&if args.json { render_json(&report) } else { render(&report, width()) })?;
    Ok(if report.ready { Exit::Success } else { Exit::ThresholdFailed })
}

/// What the platform answered.
fn read_answer(path: &Path) -> Result<PlatformRefusal, Failure> {
    let name = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST_ANSWER).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(LONGEST_ANSWER).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::usage(format!("--answer: {name}: {}; nothing was sent", why_unreadable(&error))))?;
    PlatformRefusal::read(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
        Failure::usage(format!(
            "--answer: {name} is no answer of a platform: it has JSON with message, code or details; nothing was sent"
        ))
    })
}

/// One account of a trunk.
struct TrunkAccount<'p> {
    trunk: &'p TrunkProfile,
    platform_id: Option<String>,
    number: u32,
    account: AgentAccount,
    /// To be kept out of what is shown.
    secret: Secret,
    doubts: Vec<FieldDoubt>,
}

/// The trunks that are meant, each with the account that is meant.
fn accounts<'p>(
    args: &PlatformCredentialsArgs,
    profile: &'p Profile,
    platform: Option<&PlatformProfile>,
) -> Result<Vec<TrunkAccount<'p>>, Failure> {
    let platform_id = |trunk: &TrunkProfile| {
        let (_, theirs) = platform?.trunks.iter().find(|(ours, _)| *ours == trunk.id)?;
        Some(theirs.clone())
    };
    let of_platform = |trunk: &&TrunkProfile| platform.is_none() || platform_id(trunk).is_some();
    let trunks: Vec<&TrunkProfile> = match &args.trunk {
        Some(id) => profile.trunks.iter().filter(|trunk| trunk.id == *id).collect(),
        None => profile.trunks.iter().filter(of_platform).collect(),
    };
    if trunks.is_empty() {
        let ids: Vec<&str> = profile.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
        return Err(Failure::usage(format!("there is no such trunk in the profile; there is {}", ids.join(", "))));
    }
    let found = trunks.into_iter().filter_map(|trunk| {
        let numbers = 0..agents_of(trunk);
        let is_meant = |n: &u32| {
            let user = AgentAccount::of(trunk, *n).map(|account| account.user);
            args.agent.as_ref().is_none_or(|wanted| user.as_ref() == Some(wanted))
        };
        let number = numbers.into_iter().find(is_meant)?;
        let account = AgentAccount::of(trunk, number)?;
        let mut doubts: Vec<FieldDoubt> =
            lint::of_agent(trunk, number).into_iter().map(|lint| doubt(lint, false)).collect();
        if let Some(platform) = platform {
            doubts.extend(lint::against(&platform.rules, trunk, number).into_iter().map(|lint| doubt(lint, true)));
        }
        let secret = secret_of(trunk, number);
        Some(TrunkAccount { trunk, platform_id: platform_id(trunk), number, account, secret, doubts })
    });
    let found: Vec<TrunkAccount<'p>> = found.collect();
    match &args.agent {
        Some(user) if found.is_empty() => Err(Failure::usage(format!("--agent {user}: there is no such user"))),
        _ => Ok(found),
    }
}

fn agents_of(trunk: &TrunkProfile) -> u32 {
    match &trunk.agents {
        TrunkAgents::Pattern { count, .. } => *count,
        TrunkAgents::Listed { rows, .. } => saturating_u32(rows.len()),
    }
}

fn secret_of(trunk: &TrunkProfile, number: u32) -> Secret {
    let credential = match &trunk.agents {
        TrunkAgents::Pattern { credential, .. } => Some(credential),
        TrunkAgents::Listed { rows, .. } => rows.get(number as usize).map(|row| &row.credential),
    };
    credential.map(|credential| credential.parts().1.clone()).unwrap_or_default()
}

fn doubt(lint: Lint, breaks_rule: bool) -> FieldDoubt {
    FieldDoubt { field: lint.field.as_str(), what: lint.what.to_owned(), remedy: lint.remedy.to_owned(), breaks_rule }
}

/// An account, and how its registrar is reached.
struct CredentialCase<'a> {
    subject: &'a TrunkToProbe<'a>,
    account: TrunkAccount<'a>,
}

/// The first case with the same account at the same address.
fn first_of_account(cases: &[CredentialCase<'_>], n: usize) -> usize {
    let key = |case: &CredentialCase<'_>| {
        let target = case.target().ok();
        (target, case.account.account.auth_user.clone(), case.subject.trunk.policy.domain.clone())
    };
    let own = key(&cases[n]);
    cases[..n].iter().position(|case| own.0.is_some() && key(case) == own).unwrap_or(n)
}

impl CredentialCase<'_> {
    fn target(&self) -> Result<SocketAddr, String> {
        self.subject.target.as_ref().map(TrunkTargets::preferred).map_err(String::clone)
    }

    fn has_secret_of(&self, other: &CredentialCase<'_>) -> bool {
        match (&self.account.account.credential, &other.account.account.credential) {
            (Credential::Password(one), Credential::Password(other)) => one == other,
            (Credential::Ha1(one), Credential::Ha1(other)) => one == other,
            _ => false,
        }
    }

    /// One REGISTER for each algorithm that is offered; the first one learns which those are.
    fn tries(&self, prober: &Prober, until: Time) -> Vec<CredentialTry> {
        let mut tries: Vec<CredentialTry> = Vec::new();
        let offers = |tries: &[CredentialTry], algorithm| {
            let first = tries.first().and_then(|tried| tried.seen.as_ref());
            first.is_some_and(|seen| is_offered(&seen.outcome, algorithm))
        };
        for algorithm in TRIED {
            let due = tries.is_empty() || offers(&tries, algorithm);
            let seen = due.then(|| self.ask(prober, algorithm, until)).flatten();
            tries.push(CredentialTry { algorithm, seen });
        }
        if !TRIED.into_iter().any(|algorithm| offers(&tries, algorithm)) && offers(&tries, Algorithm::Sha512_256) {
            let seen = self.ask(prober, Algorithm::Sha512_256, until);
            tries.push(CredentialTry { algorithm: Algorithm::Sha512_256, seen });
        }
        tries
    }

    fn ask(&self, prober: &Prober, algorithm: Algorithm, until: Time) -> Option<ProbeSeen> {
        let TrunkToProbe { trunk, carrier, .. } = self.subject;
        let account = &self.account.account;
        let source = trunk.source.get(self.account.number as usize % trunk.source.len().max(1)).copied();
        let over = showing(carrier, trunk, account.certificate.as_ref()).ok()?;
        let mut socket = ProbeSocket::open(&over, source, self.target().ok()?, prober.clock).ok()?;
        let mut request = register_as(trunk, account, prober.call(), PATIENCE);
        request.answer.algorithms = AlgorithmSet::EMPTY.with(algorithm);
        request.expires_s = 0;
        prober.exchange(&mut socket, &request, until)
    }

    /// What is known of the account; instead of tries the trunk that has it with another secret.
    fn reading(&self, tries: Result<Vec<CredentialTry>, String>) -> CredentialReading {
        let TrunkAccount { trunk, platform_id, account, doubts, .. } = &self.account;
        CredentialReading {
            trunk_id: trunk.id.clone(),
            platform_id: platform_id.clone(),
            auth_user: account.auth_user.clone(),
            is_ha1: matches!(account.credential, Credential::Ha1(_)),
            registrar: self.subject.trunk.registrar_text.clone(),
            target: self.target(),
            realm: trunk.realm.clone(),
            doubts: doubts.clone(),
            tried_with: tries.as_ref().err().cloned(),
            tries: tries.unwrap_or_default(),
        }
    }
}
