//! What a search for limits found, as bytes: `limits.json`, `limits.csv`, `report.html`, and the
//! summary on the terminal.

use super::chart::{ChartFrame, Scale, Series, lines};
use super::charts::{self, Chart, PlotKind};
use super::csv::Table;
use super::json;
use super::script::Script;
use super::template;
use super::text::{cell, decimal, printable};
use crate::record::limits::{Concurrent, Contacts, Limits, Rate, Rfc7502, Setup, Step};
use serde::Serialize;

/// The columns of `limits.csv`, one row for each step.
pub const COLUMNS: [&str; 21] = [
    "step",
    "at_s",
    "lasted_s",
    "part",
    "action",
    "purpose",
    "per_second",
    "offered",
    "accepted",
    "refused",
    "silent",
    "unsent",
    "late",
    "code",
    "reason",
    "retry_after_s",
    "registered",
    "held",
    "answered_per_s",
    "p50_ms",
    "p99_ms",
];

/// Every file: its name and its bytes.
pub fn render_all(limits: &Limits) -> Vec<(&'static str, Vec<u8>)> {
    vec![("limits.json", json(limits)), ("limits.csv", csv(limits)), ("report.html", html(limits))]
}

/// `limits.json`.
pub fn json(limits: &Limits) -> Vec<u8> {
    json::pretty(limits)
}

/// `limits.csv`: RFC 4180 with a header; what is unknown is empty.
pub fn csv(limits: &Limits) -> Vec<u8> {
    let mut table = Table::with_columns(COLUMNS);
    for step in &limits.steps {
        table.row(cells(step).iter().map(String::as_str));
    }
    table.into_bytes()
}

fn cells(step: &Step) -> [String; 21] {
    [
        step.step.to_string(),
        decimal(step.at_s, 3),
        decimal(step.lasted_s, 3),
        step.part.to_owned(),
        step.action.to_owned(),
        step.purpose.to_owned(),
        step.per_second.map(|rate| decimal(rate, 3)).unwrap_or_default(),
        step.offered.to_string(),
        step.accepted.to_string(),
        step.refused.to_string(),
        step.silent.to_string(),
        step.unsent.to_string(),
        step.late.to_string(),
        cell(step.code),
        step.reason.clone().unwrap_or_default(),
        cell(step.retry_after_s),
        step.registered.to_string(),
        cell(step.held),
        step.answered_per_s.map(|rate| decimal(rate, 2)).unwrap_or_default(),
        step.p50_ms.map(|ms| decimal(ms, 3)).unwrap_or_default(),
        step.p99_ms.map(|ms| decimal(ms, 3)).unwrap_or_default(),
    ]
}

/// The summary on the terminal: a line for each limit, found or not.
pub fn summary(limits: &Limits, directory: &str) -> String {
    let setup = &limits.setup;
    let mut text = format!(
        "limits of {} ({}) for {}: {} agents, {} steps in {} s, method {}{}\n",
        printable(&setup.trunk_id),
        setup.target,
        printable(&setup.domain),
        setup.agents,
        limits.steps.len(),
        decimal(limits.duration_s, 1),
        limits.method,
        others(setup)
    );
    for Found { label, sentence, because, .. } in all(limits) {
        text.push_str(&format!("{label:<22}{sentence}\n"));
        if !because.is_empty() {
            text.push_str(&format!("{:<22}{because}\n", ""));
        }
    }
    for one in limits.addresses.iter().filter(|_| limits.addresses.len() > 1) {
        let went_on = match one.went_on {
            0 => String::new(),
            n => format!(", {n} went on to another address"),
        };
        let counts = format!("{} registered, {} failed{went_on}", one.registered, one.failed);
        text.push_str(&format!("{:<22}{counts}\n", one.address));
    }
    if let Some(stopped) = &limits.stopped {
        text.push_str(&format!("stopped early: {stopped}\n"));
    }
    if limits.left_bound > 0 {
        text.push_str(&format!("{} phones may still be registered: un-REGISTER was not answered\n", limits.left_bound));
    }
    text.push_str(&format!("{directory}/report.html\n"));
    text
}

/// Who else is on the trunk, as far as somebody said.
fn others(setup: &Setup) -> &'static str {
    if setup.exclusive { ", nobody else on the trunk ([expect] exclusive)" } else { "" }
}

/// One limit in words.
#[derive(Serialize)]
struct Found {
    label: &'static str,
    /// The figure alone.
    value: String,
    sentence: String,
    because: String,
    tone: &'static str,
}

fn all(limits: &Limits) -> Vec<Found> {
    let concurrent = limits.concurrent.as_ref().map(|found| of_concurrent(found, &limits.setup));
    let contacts = limits.contacts.as_ref().map(of_contacts);
    let rate = limits.rate.as_ref().map(|rate| of_rate(rate, limits.setup.objective_ms));
    let rfc = limits.rfc7502.as_ref().map(of_rfc7502);
    [concurrent, contacts, rate, rfc].into_iter().flatten().collect()
}

fn answer(code: Option<u16>, reason: Option<&String>) -> String {
    let reason = reason.map(|reason| printable(reason)).unwrap_or_default();
    match code {
        Some(code) => format!("{code} {reason}"),
        None if reason.is_empty() => "no answer".to_owned(),
        None => reason,
    }
}

fn confidence(word: &str, because: &str) -> String {
    format!("confidence {word}: {because}")
}

fn of_concurrent(found: &Concurrent, setup: &Setup) -> Found {
    let label = "registered at once";
    let Some(limit) = found.limit else {
        let own = match found.refused_for_themselves {
            0 => String::new(),
            n => format!("; {n} agents are refused whatever the number registered"),
        };
        let sentence = format!("no limit met, {} were registered at the same time{own}", found.at_least);
        let value = format!("at least {}", found.at_least);
        return Found { label, value, sentence, because: String::new(), tone: "" };
    };
    let over = match found.scope {
        Some("registrar") => "over all trunks of this registrar",
        Some("account") => "for each account (name in the credentials)",
        Some("source") => "for each source address",
        _ if setup.other_trunk.is_none() => "over this trunk at least, as no other one could be asked",
        _ => "over this trunk",
    };
    let refreshes = match (found.refreshes_accepted, found.refreshes_asked) {
        (Some(accepted), Some(asked)) if accepted == asked => "; refreshes pass at the limit".to_owned(),
        (Some(accepted), Some(asked)) => format!("; at the limit only {accepted} of {asked} refreshes pass"),
        _ => String::new(),
    };
    let soft = if found.hard == Some(false) { ", sometimes exceeded" } else { "" };
    // What is counted for an account or an address leaves others out.
    let of_all = !matches!(found.scope, Some("account" | "source"));
    let others = found.others.as_ref().filter(|others| of_all && others.is_steady()).map(|others| others.before);
    let (value, whole) = match others {
        Some(0) => (limit.to_string(), limit.to_string()),
        Some(others) => {
            let whole = (u64::from(limit) + others).to_string();
            let text = format!("{whole}, {others} of them others'");
            (whole, text)
        }
        None if found.exclusive || !of_all => (limit.to_string(), limit.to_string()),
        None => (limit.to_string(), format!("{limit} more than were there already")),
    };
    let sentence =
        format!("{whole}{soft}, then {}; counted {over}{refreshes}", answer(found.code, found.reason.as_ref()));
    let because = confidence(found.confidence, &found.confidence_because);
    Found { label, value, sentence, because, tone: "bad" }
}

fn of_contacts(found: &Contacts) -> Found {
    let label = "contacts of one user";
    let because = confidence(found.confidence, &found.confidence_because);
    match (found.limit, found.pushes_out_at) {
        (Some(limit), _) => {
            let sentence = format!("{limit}, then {}", answer(found.code, found.reason.as_ref()));
            Found { label, value: limit.to_string(), sentence, because, tone: "bad" }
        }
        (None, Some(at)) => {
            let sentence = format!("{at}; a further one is accepted and pushes out the oldest");
            Found { label, value: at.to_string(), sentence, because, tone: "doubt" }
        }
        (None, None) => {
            let sentence = format!("no limit met, {} were accepted", found.at_least);
            Found { label, value: format!("at least {}", found.at_least), sentence, because: String::new(), tone: "" }
        }
    }
}

fn of_rate(found: &Rate, objective_ms: Option<f64>) -> Found {
    let label = "registrations/s";
    let Some(limit) = found.limit_per_s else {
        let sentence = format!("no limit met up to {}/s: {}", decimal(found.at_least_per_s, 1), found.ended);
        let value = format!("at least {}", decimal(found.at_least_per_s, 1));
        return Found { label, value, sentence, because: String::new(), tone: "" };
    };
    let value = decimal(limit, if limit < 100.0 { 2 } else { 1 });
    let burst = found.burst.map(|burst| format!(", {burst} at once")).unwrap_or_default();
    let after = found.retry_after_s.map(|s| format!(", Retry-After {s} s")).unwrap_or_default();
    let refusal = answer(found.code, found.reason.as_ref());
    let sentence = match (found.kind, found.transactions) {
        ("transactions", Some(open)) => {
            format!("{open} open at the same time, then {refusal}{after}; that is {value}/s at this round trip")
        }
        ("latency", _) => {
            let objective = objective_ms.map(|ms| decimal(ms, 1)).unwrap_or_default();
            format!("{value}/s, above which 99 of 100 take longer than {objective} ms")
        }
        ("overload", _) => {
            let about = found.uncertainty_per_s.map(|more| format!(" ± {}", decimal(more, 1))).unwrap_or_default();
            format!("{value}{about}/s are carried; of more than that a queue grows, and answers come later and later")
        }
        ("silence", _) => format!("{value}/s, above which answers stay away"),
        _ => format!("{value}/s{burst}, then {refusal}{after}"),
    };
    Found { label, value, sentence, because: confidence(found.confidence, &found.confidence_because), tone: "bad" }
}

fn of_rfc7502(found: &Rfc7502) -> Found {
    let value = found.registration_rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
    let sentence = format!(
        "{value} rps with N = {} in {} iterations, {} of them failed{}",
        found.registrations_per_iteration,
        found.iterations,
        found.iterations_failed,
        if found.converged { "" } else { "; it did not converge" }
    );
    Found { label: "RFC 7502 rate", value, sentence, because: String::new(), tone: "" }
}

#[derive(Serialize)]
struct Page<'a> {
    version: &'static str,
    name: String,
    started: &'a str,
    length: String,
    trunk: String,
    target: &'a str,
    domain: String,
    agents: u32,
    method: &'static str,
    others: &'static str,
    stopped: Option<String>,
    left_bound: u32,
    found: Vec<Found>,
    charts: Vec<Chart>,
    script: Script,
    /// From what the page was made, as the middle of a sentence and what follows it.
    origin: &'static str,
    rfc7502: Option<&'a Rfc7502>,
    columns: [&'static str; 21],
    steps: Vec<[String; 21]>,
}

/// `report.html`: the limits, a chart of the steps, and the steps themselves.
pub fn html(limits: &Limits) -> Vec<u8> {
    let charts: Vec<Chart> =
        [charts::capacity::of_search(limits), registered(&limits.steps), rates(limits)].into_iter().flatten().collect();
    let page = Page {
        version: limits.tool.version,
        name: printable(&limits.name),
        started: &limits.started,
        length: decimal(limits.duration_s, 1),
        trunk: printable(&limits.setup.trunk_id),
        target: &limits.setup.target,
        domain: printable(&limits.setup.domain),
        agents: limits.setup.agents,
        method: limits.method,
        others: others(&limits.setup),
        stopped: limits.stopped.as_deref().map(printable),
        left_bound: limits.left_bound,
        found: all(limits),
        script: Script::drawing(&charts),
        charts,
        origin: "from a search for limits. The same as data: limits.json and limits.csv beside this page.",
        rfc7502: limits.rfc7502.as_ref(),
        columns: COLUMNS,
        steps: limits.steps.iter().map(|step| cells(step).map(|cell| printable(&cell))).collect(),
    };
    template::render("limits.html.j2", include_str!("limits.html.j2"), &page).into_bytes()
}

fn spans<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<(f64, f64)> {
    steps.map(|step| (step.at_s, step.at_s + step.lasted_s)).collect()
}

fn registered(steps: &[Step]) -> Option<Chart> {
    let values: Vec<Option<f64>> = steps.iter().map(|step| Some(f64::from(step.registered))).collect();
    let most = steps.iter().map(|step| step.registered).max()?;
    let series = [Series { label: "registered after each step", class: "c-good", values }];
    let axis = Axis { id: "limit-search", title: "The search for the limit", scale: Scale::Linear, unit: "" };
    let said = format!("At most {most} were registered at once, in {} steps.", steps.len());
    axis.chart("How many agents each step left registered.", said, steps.iter(), &series)
}

fn rates(limits: &Limits) -> Option<Chart> {
    let probes: Vec<&Step> = limits.steps.iter().filter(|step| step.held.is_some()).collect();
    let line = |label, class, held| Series {
        label,
        class,
        values: probes.iter().map(|step| step.per_second.filter(|_| step.held == Some(held))).collect(),
    };
    let limit = limits.rate.as_ref().and_then(|rate| rate.limit_per_s);
    let mut series = vec![line("held", "c-good", true), line("did not hold", "c-bad", false)];
    series.extend(limit.map(|limit| Series {
        label: "the limit",
        class: "c-plan",
        values: vec![Some(limit); probes.len()],
    }));
    let tried = probes.iter().filter(|step| step.per_second.is_some()).count();
    let axis = Axis { id: "rates-tried", title: "Rates tried", scale: Scale::Logarithmic, unit: "/s" };
    let held = probes.iter().filter(|step| step.held == Some(true)).filter_map(|step| step.per_second);
    let found = limit.map(|limit| format!("The limit is at {}/s. ", decimal(limit, 2))).unwrap_or_default();
    let said = found
        + &match held.max_by(f64::total_cmp) {
            Some(highest) => format!("The highest of {tried} tried that held is {}/s.", decimal(highest, 1)),
            None => format!("None of {tried} tried held."),
        };
    axis.chart("Each rate tried, and whether it held.", said, probes.iter().copied(), &series)
}

/// What a chart of a search is called and measured in.
struct Axis {
    id: &'static str,
    title: &'static str,
    scale: Scale,
    unit: &'static str,
}

impl Axis {
    /// None without a value to draw.
    fn chart<'s>(
        self,
        lead: &str,
        said: String,
        steps: impl Iterator<Item = &'s Step>,
        series: &[Series],
    ) -> Option<Chart> {
        let Axis { id, title, scale, unit } = self;
        let spans = spans(steps);
        let drawn = series.iter().any(|line| line.values.iter().flatten().next().is_some());
        let svg = lines(&ChartFrame { spans: &spans, scale, unit }, series);
        let plot = charts::steps(id, PlotKind::Steps, unit, scale == Scale::Logarithmic, &spans, series);
        let chart = charts::chart(id, title, lead.to_owned(), svg, series).plotted(plot).saying(said);
        drawn.then_some(chart)
    }
}
