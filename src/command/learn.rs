//! `regstorm learn`: a profile out of a capture or a platform's event log, rehearsed at once to see
//! how near it comes.

use super::diagnose::{OpenedSource, UNKNOWN, name_of, opened};
use super::failure::{Exit, Failure};
use super::output::{print, say, write_files};
use super::simulate::{ONE_WAY, rehearse};
use super::source::{DiskSource, STAND_IN};
use crate::cli::LearnArgs;
use crate::diagnose::findings::counted;
use crate::learn::{ClientGroup, Learnt, LearntFiles, LearntFit};
use crate::link::{Delay, LinkConfig};
use crate::observe::{self, Trace};
use crate::plan::Plan;
use crate::profile::{self, Source};
use crate::record::eventlog::Fields;
use crate::report::learn::{LearnPage, LearnRow, page};
use crate::seed::Seed;
use crate::vocab::{ReplayAct, format_duration, saturating_u32};
use serde_json::json;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

const PROFILE: &str = "profile.toml";
const AGENTS: &str = "agents.csv";
const ARRIVALS: &str = "arrivals.csv";
const MESSAGES: &str = "messages.csv";
const PAGE: &str = "learn.html";
const VARIABLE: &str = "SIP_PASSWORD";
/// Attempts beyond which a rehearsal would take minutes.
const MOST_REHEARSED: usize = 3_000_000;

pub(super) fn execute(args: &LearnArgs) -> Result<Exit, Failure> {
    let fields = Fields::with(&args.fields).map_err(Failure::usage)?;
    for file in [PROFILE, AGENTS, ARRIVALS, MESSAGES, PAGE] {
        let path = args.out.join(file);
        if path.exists() {
            return Err(Failure::usage(format!(
                "{}: is already there; name another directory with --out",
                path.display()
            )));
        }
    }
    let trace = trace(&args.source, &fields)?;
    let learnt = Learnt::of(&trace, args.anonymise);
    if learnt.rows(ReplayAct::Arrive) == 0 {
        let nobody = "nobody registers in it: it shows removals of bindings only";
        return Err(Failure::could_not(format!("{}: {nobody}", args.source.display())));
    }
    let files = LearntFiles { agents: AGENTS, arrivals: ARRIVALS, variable: VARIABLE };
    let texts = [
        (PROFILE, learnt.profile(&run_name(&trace.name), &files)),
        (AGENTS, learnt.agents_csv()),
        (ARRIVALS, learnt.arrivals_csv()),
    ];
    let plan = plan(&args.out, &texts)?;
    let fit = fit(&trace, &learnt, plan)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::usage(format!("{}: cannot be created: {error}", args.out.display())))?;
    let mut written: Vec<(&str, Vec<u8>)> = texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    if let Some(fit) = &fit {
        written.push((MESSAGES, fit.csv().into_bytes()));
        written.push((PAGE, chart(&learnt, &trace, fit)));
    }
    write_files(&args.out, &written)?;
    let told = ToTell { args, trace: &trace, learnt: &learnt, fit: fit.as_ref(), written: &written };
    if args.json {
        print(&as_json(&told))?;
        return Ok(Exit::Success);
    }
    for remark in &learnt.remarks {
        say(&format!("{}: {remark}", args.source.display()));
    }
    print(&in_words(&told))?;
    Ok(Exit::Success)
}

fn trace(path: &Path, fields: &Fields) -> Result<Trace, Failure> {
    let name = name_of(path);
    let unreadable = |error: observe::ObserveError| Failure::could_not(format!("{}: {error}", path.display()));
    match opened(path, fields)? {
        OpenedSource::Capture(source) => observe::trace_capture(source, &name).map_err(unreadable),
        OpenedSource::Log(log) => observe::trace_log(log, &name).map_err(unreadable),
        OpenedSource::Text(source) => match observe::trace_text(source, &name).map_err(unreadable)? {
            Some(trace) => Ok(trace),
            None => Err(Failure::could_not(format!("{}: {UNKNOWN}", path.display()))),
        },
        OpenedSource::Run(_) => Err(Failure::usage(format!(
            "{}: it is a run of regstorm, which knows its profile: see profile in its run.json",
            path.display()
        ))),
    }
}

/// Part of a directory's name, so without what separates directories.
fn run_name(source: &str) -> String {
    let stem = source.split('.').next().unwrap_or_default();
    let sound = |c: char| if c.is_control() || c == '/' || c == '\\' { '_' } else { c };
    format!("learnt-{}", stem.chars().map(sound).take(60).collect::<String>())
}

/// The profile, read back as it will be: what `learn` writes can be used.
fn plan(out: &Path, texts: &[(&str, String)]) -> Result<Plan, Failure> {
    struct LearntTexts<'a> {
        out: &'a Path,
        texts: &'a [(&'a str, String)],
    }
    impl Source for LearntTexts<'_> {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            let fresh = self.texts.iter().find(|(name, _)| self.out.join(name) == Path::new(path));
            fresh.map_or_else(|| DiskSource.read(path), |(_, text)| Ok(text.as_bytes().to_vec()))
        }
        fn env(&self, _: &str) -> Option<String> {
            Some(STAND_IN.to_owned())
        }
    }
    let profile = out.join(PROFILE).to_string_lossy().into_owned();
    Ok(Plan::new(&profile::load(&LearntTexts { out, texts }, &profile, &[])?)?)
}

/// Rehearses the profile and counts its messages; `None` of what is too much to rehearse.
fn fit(trace: &Trace, learnt: &Learnt<'_>, mut plan: Plan) -> Result<Option<LearntFit>, Failure> {
    if learnt.explained().0 > MOST_REHEARSED {
        return Ok(None);
    }
    plan.unregister = false;
    plan.interval = Duration::from_secs(3_600);
    let link = LinkConfig { delay: Some(Delay::Fixed(ONE_WAY)), drop: 0.0 };
    let outcome = rehearse(&mut plan, Seed(1), link, io::sink())
        .map_err(|error| Failure::could_not(format!("the profile could not be rehearsed: {error}")))?;
    let rehearsed: Vec<u32> = outcome.traffic.seconds().iter().map(|second| second.sent + second.received).collect();
    let lasts_s = saturating_u32(usize::try_from(trace.lasts_ns.div_ceil(1_000_000_000)).unwrap_or(usize::MAX));
    Ok(Some(LearntFit::of(&trace.messages, &rehearsed, lasts_s)))
}

fn chart(learnt: &Learnt<'_>, trace: &Trace, fit: &LearntFit) -> Vec<u8> {
    let row = |row: &crate::learn::FitRow| LearnRow {
        start_s: row.start_s,
        lasts_s: row.lasts_s,
        seen: row.seen,
        rehearsed: row.rehearsed,
        near: row.is_near(),
    };
    let rows: Vec<LearnRow> = fit.rows.iter().map(row).collect();
    let trunks = learnt.groups.iter().map(trunk_facts);
    page(&LearnPage {
        name: &trace.name,
        sentence: &fit.sentence(),
        near: fit.near() == fit.rows.len(),
        rows: &rows,
        trunks: trunks.collect(),
        remarks: &learnt.remarks,
    })
}

/// Of a trunk: its name, its phones, their lifetime with the share of it after which they refresh,
/// the nearest preset, and their habits.
fn trunk_facts(group: &ClientGroup) -> [String; 5] {
    let refresh = group.retry.refresh_at.map_or_else(String::new, |share| format!(", refresh at {share}"));
    [
        group.id.clone(),
        counted(group.phones.len() as u64, "phone"),
        format!("{} s{refresh}", group.expires_s),
        group.retry.preset.to_owned(),
        group.retry.in_words(),
    ]
}

/// What was learnt and written, to be told.
struct ToTell<'a> {
    args: &'a LearnArgs,
    trace: &'a Trace,
    learnt: &'a Learnt<'a>,
    fit: Option<&'a LearntFit>,
    written: &'a [(&'a str, Vec<u8>)],
}

fn in_words(told: &ToTell<'_>) -> String {
    let ToTell { args, trace, learnt, fit, written } = *told;
    let (attempts, explained) = learnt.explained();
    let span = format_duration(Duration::from_secs(learnt.lasts().as_secs()));
    // Writing to a string cannot fail, here and below.
    let mut out = format!(
        "{}: {}, {} within {span}; habits explain {explained} of them\n",
        trace.name,
        counted(trace.phones.len() as u64, "phone"),
        counted(attempts as u64, "attempt"),
    );
    for [id, phones, lifetime, preset, habits] in learnt.groups.iter().map(trunk_facts) {
        let _ = writeln!(out, "{id}: {phones}, lifetime {lifetime}, preset {preset}: {habits}");
    }
    match fit {
        Some(fit) => out += &format!("{}\n", fit.sentence()),
        None => out += "too much to be rehearsed here: see what regstorm simulate says\n",
    }
    let names: Vec<&str> = written.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "wrote {} to {}", names.join(", "), args.out.display());
    let _ = writeln!(out, "next: regstorm simulate {}", args.out.join(PROFILE).display());
    out
}

fn as_json(told: &ToTell<'_>) -> String {
    let ToTell { args, trace, learnt, fit, written } = *told;
    let (attempts, explained) = learnt.explained();
    let trunks: Vec<_> = learnt
        .groups
        .iter()
        .map(|group| {
            json!({
                "id": group.id,
                "phones": group.phones.len(),
                "user_agent": group.user_agent,
                "asked_s": group.asked_s,
                "granted_s": group.granted_s,
                "expires_s": group.expires_s,
                "refresh_at": group.retry.refresh_at,
                "reuse_nonce": group.reuse_nonce,
                "preset": group.retry.preset,
                "interval_s": group.retry.interval.map(|interval| interval.as_secs_f64()),
                "forbidden_interval_s": group.retry.forbidden_interval.map(|interval| interval.as_secs_f64()),
                "residual": group.retry.residual,
                "failures": group.retry.failures,
                "refreshes": group.retry.refreshes,
                "fits_as_well": group.retry.rivals,
            })
        })
        .collect();
    let fit = fit.map(|fit| {
        let rows: Vec<_> = fit.rows.iter().map(|row| {
            json!({ "start_s": row.start_s, "seen": row.seen, "rehearsed": row.rehearsed, "near": row.is_near() })
        }).collect();
        json!({ "minutes": fit.rows.len(), "near": fit.near(), "sentence": fit.sentence(), "rows": rows })
    });
    let document = json!({
        "source": args.source.display().to_string(),
        "directory": args.out.display().to_string(),
        "profile": args.out.join(PROFILE).display().to_string(),
        "files": written.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "phones": trace.phones.len(),
        "attempts": attempts,
        "explained": explained,
        "lasts_s": learnt.lasts().as_secs_f64(),
        "rows": {
            "arrive": learnt.rows(ReplayAct::Arrive),
            "again": learnt.rows(ReplayAct::Again),
            "leave": learnt.rows(ReplayAct::Leave),
            "vanish": learnt.rows(ReplayAct::Vanish),
        },
        "trunks": trunks,
        "fit": fit,
        "remarks": learnt.remarks,
    });
    format!("{document:#}\n")
}
