//! The runs of a name over time: text, CSV, JSON and a page. What changed is decided in
//! `diagnose::course`; here it is only written down.

use super::json;
use super::sheets::Sheet;
use super::template;
use super::text::{counted, measured, printable};
use crate::diagnose::course::{ChangeKind, FigureCourse, LEAST_RUNS, METHOD, course};
use crate::diagnose::figures::Unit;
use crate::vocab::median;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One run, as its `run.json` has it.
#[derive(Clone, Debug)]
pub struct TrendRun {
    /// As the user would name it.
    pub place: String,
    pub document: Value,
}

impl TrendRun {
    fn text(&self, pointer: &str) -> &str {
        self.document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("/name")
    }

    pub fn started(&self) -> &str {
        self.text("/started")
    }

    /// A rehearsal is never held against a run.
    pub fn is_simulated(&self) -> bool {
        self.document["simulated"].as_bool().unwrap_or(false)
    }

    fn day(&self) -> &str {
        self.started().get(..16).unwrap_or(self.started())
    }

    /// Whether it passed.
    pub fn is_good(&self) -> bool {
        self.verdict() == "pass"
    }

    fn verdict(&self) -> &str {
        self.text("/verdict")
    }

    /// Whether its figures say something.
    fn counts(&self) -> bool {
        matches!(self.verdict(), "pass" | "fail") && self.text("/generator/verdict") != "invalid"
    }

    fn findings(&self) -> BTreeSet<String> {
        let ids = self.document["findings"].as_array().into_iter().flatten();
        ids.filter_map(|finding| Some(finding.get("id")?.as_str()?.to_owned())).collect()
    }
}

/// A figure that is followed.
struct TrendFigure {
    name: &'static str,
    unit: Unit,
    of: fn(&Value) -> Option<f64>,
    /// Whether more is worse.
    worse_up: bool,
    /// A smaller change is none: of a time as the logarithm of a ratio.
    least: f64,
}

fn at(run: &Value, pointer: &str) -> Option<f64> {
    run.pointer(pointer).and_then(Value::as_f64)
}

fn share_of_success(run: &Value) -> Option<f64> {
    let attempts = at(run, "/totals/attempts").filter(|attempts| *attempts > 0.0)?;
    Some(at(run, "/totals/registered")? / attempts)
}

const FIGURES: [TrendFigure; 7] = [
    TrendFigure { name: "success_ratio", unit: Unit::Ratio, of: share_of_success, worse_up: false, least: 0.0005 },
    TrendFigure {
        name: "availability_pct",
        unit: Unit::Percent,
        of: |run| at(run, "/totals/availability_pct"),
        worse_up: false,
        least: 0.05,
    },
    TrendFigure {
        name: "agents_registered_peak",
        unit: Unit::Count,
        of: |run| at(run, "/totals/agents_registered_peak"),
        worse_up: false,
        least: 1.0,
    },
    TrendFigure {
        name: "register.p50",
        unit: Unit::Microseconds,
        of: |run| at(run, "/latency_us/register/p50"),
        worse_up: true,
        least: 0.05,
    },
    TrendFigure {
        name: "register.p99",
        unit: Unit::Microseconds,
        of: |run| at(run, "/latency_us/register/p99"),
        worse_up: true,
        least: 0.1,
    },
    TrendFigure {
        name: "refresh.p99",
        unit: Unit::Microseconds,
        of: |run| at(run, "/latency_us/refresh/p99"),
        worse_up: true,
        least: 0.1,
    },
    TrendFigure {
        name: "loops",
        unit: Unit::Count,
        of: |run| at(run, "/totals/agents_looping"),
        worse_up: true,
        least: 1.0,
    },
];

/// The runs of one name, judged together.
pub struct Trend<'a> {
    runs: &'a [TrendRun],
    /// By figure: positions of the runs that have it, and its course over these.
    courses: Vec<(Vec<usize>, FigureCourse)>,
    profile: Vec<(usize, String)>,
}

impl<'a> Trend<'a> {
    /// `runs` in the order of their starts, all of one name.
    pub fn of(runs: &'a [TrendRun]) -> Trend<'a> {
        let courses = FIGURES.iter().map(|figure| {
            let known = (0..runs.len()).filter(|&n| runs[n].counts() && (figure.of)(&runs[n].document).is_some());
            let known: Vec<usize> = known.collect();
            let values: Vec<f64> = known.iter().filter_map(|&n| (figure.of)(&runs[n].document)).collect();
            let course = course(&values, figure.least, figure.unit == Unit::Microseconds);
            (known, course)
        });
        let changes = runs.windows(2).enumerate().flat_map(|(n, pair)| {
            let keys = differing(&pair[0].document["profile"], &pair[1].document["profile"]);
            keys.into_iter().map(move |change| (n + 1, change))
        });
        Trend { runs, courses: courses.collect(), profile: changes.collect() }
    }

    /// Every change: where, which figure, what, and whether it is for the worse.
    fn changes(&self) -> Vec<(usize, &'static str, String, bool)> {
        let mut all = Vec::new();
        for (figure, (known, course)) in FIGURES.iter().zip(&self.courses) {
            for change in &course.changes {
                let (from, until) = (known[change.from], known[change.until]);
                let value = |value| measured(figure.unit, value);
                let text = match change.kind {
                    ChangeKind::Step => {
                        format!("step: {} before, {} since", value(change.before), value(change.after))
                    }
                    ChangeKind::Drift => format!(
                        "drift: from {} to {}, until {}",
                        value(change.before),
                        value(change.after),
                        self.runs[until].day()
                    ),
                };
                all.push((from, figure.name, text, (change.after > change.before) == figure.worse_up));
            }
        }
        all.sort_by_key(|(from, ..)| *from);
        all
    }

    /// When each finding came, and when it went.
    fn findings(&self) -> Vec<[String; 4]> {
        let mut spans: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let counting: Vec<usize> = (0..self.runs.len()).filter(|&n| self.runs[n].counts()).collect();
        for &n in &counting {
            for id in self.runs[n].findings() {
                spans.entry(id).or_default().push(n);
            }
        }
        let row = |(id, on): (String, Vec<usize>)| {
            let (first, last) = (on.first().copied().unwrap_or(0), on.last().copied().unwrap_or(0));
            let after = counting.iter().find(|&&n| n > last);
            let gone = after.map_or_else(|| "still there".to_owned(), |&n| format!("gone {}", self.runs[n].day()));
            [id, format!("came {}", self.runs[first].day()), gone, counted(on.len() as u64, "run")]
        };
        spans.into_iter().map(row).collect()
    }

    /// One sentence.
    pub fn line(&self) -> String {
        let Some(newest) = self.runs.last() else { return "no runs".to_owned() };
        let counting = self.runs.iter().filter(|run| run.counts()).count();
        let name = printable(newest.name());
        let passed = self.runs.iter().filter(|run| run.verdict() == "pass").count();
        let head = format!("{name}: {passed} of {} passed", counted(self.runs.len() as u64, "run"));
        let changes = self.changes();
        let worse: Vec<_> = changes.iter().filter(|(.., worse)| *worse).collect();
        if counting < LEAST_RUNS {
            return format!("{head}; {counting} with figures are too few to tell a change, {LEAST_RUNS} are needed");
        }
        match worse.last() {
            Some((from, figure, text, _)) => {
                format!("{head}; {figure} got worse on {}: {text}", self.runs[*from].day())
            }
            None if changes.is_empty() => format!("{head}; no figure changed by more than its scatter"),
            None => format!("{head}; no figure got worse, {} for the better", counted(changes.len() as u64, "change")),
        }
    }

    /// Text for a terminal; the sentence last.
    pub fn text(&self) -> String {
        let mut out = format!("{:<24}{:>16}{:>16}{:>16}\n", "figure", "first", "median", "newest");
        // Writing to a string cannot fail, here and below.
        for [name, first, middle, newest] in self.rows() {
            let _ = writeln!(out, "{name:<24}{first:>16}{middle:>16}{newest:>16}");
        }
        let mut section = |title: &str, lines: Vec<String>, none: &str| {
            let lines = if lines.is_empty() { vec![none.to_owned()] } else { lines };
            let _ = write!(out, "\n{title}\n");
            for line in lines {
                let _ = writeln!(out, "  {}", printable(&line));
            }
        };
        let changes = self.changes().into_iter().map(|(from, figure, text, worse)| {
            format!("{}  {figure}  {text}{}", self.runs[from].day(), if worse { "  (worse)" } else { "" })
        });
        section("changes", changes.collect(), "none beyond the scatter from run to run");
        let outliers = self
            .outliers()
            .into_iter()
            .map(|(n, figure, value)| format!("{}  {figure}  {value}  {}", self.runs[n].day(), self.runs[n].place));
        section("single runs that stand out", outliers.collect(), "none");
        section("findings", self.findings().into_iter().map(|row| row.join("  ")).collect(), "none in any run");
        let profile = self.profile.iter().map(|(n, change)| format!("{}  {change}", self.runs[*n].day()));
        section("changes of the profile", profile.collect(), "none");
        let _ = writeln!(out, "\n{}", super::explanation::wrap(METHOD, "", "", super::explanation::WIDTH));
        let _ = writeln!(out, "{}", self.line());
        out
    }

    fn outliers(&self) -> Vec<(usize, &'static str, String)> {
        let mut all = Vec::new();
        for (figure, (known, course)) in FIGURES.iter().zip(&self.courses) {
            for &n in &course.outliers {
                let value = (figure.of)(&self.runs[known[n]].document).unwrap_or_default();
                all.push((known[n], figure.name, measured(figure.unit, value)));
            }
        }
        all.sort_by_key(|(n, ..)| *n);
        all
    }

    /// Each figure: name, first value, median, newest.
    fn rows(&self) -> Vec<[String; 4]> {
        let row = |(figure, (known, _)): (&TrendFigure, &(Vec<usize>, FigureCourse))| {
            let values: Vec<f64> = known.iter().filter_map(|&n| (figure.of)(&self.runs[n].document)).collect();
            let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| measured(figure.unit, value));
            let middle = (!values.is_empty()).then(|| median(&values));
            [figure.name.to_owned(), cell(values.first().copied()), cell(middle), cell(values.last().copied())]
        };
        FIGURES.iter().zip(&self.courses).map(row).collect()
    }

    /// One row for each run.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let mut header = vec!["started", "run", "verdict", "generator"];
        header.extend(FIGURES.iter().map(|figure| figure.name));
        header.extend(["changed", "findings", "profile"]);
        let mut write = |row: Vec<String>| writer.write_record(&row).expect("a vector grows");
        write(header.into_iter().map(str::to_owned).collect());
        let changes = self.changes();
        for (n, run) in self.runs.iter().enumerate() {
            let mut row = vec![
                run.started().to_owned(),
                run.place.clone(),
                run.verdict().to_owned(),
                run.text("/generator/verdict").to_owned(),
            ];
            let value = |figure: &TrendFigure| (figure.of)(&run.document).map_or_else(String::new, |v| v.to_string());
            row.extend(FIGURES.iter().map(value));
            let changed = changes.iter().filter(|(from, ..)| *from == n).map(|(_, figure, ..)| *figure);
            row.push(changed.collect::<Vec<_>>().join(" "));
            row.push(run.findings().into_iter().collect::<Vec<_>>().join(" "));
            let profile = self.profile.iter().filter(|(at, _)| *at == n).map(|(_, change)| change.as_str());
            row.push(profile.collect::<Vec<_>>().join("; "));
            write(row);
        }
        writer.into_inner().unwrap_or_default()
    }

    /// One object.
    pub fn json(&self) -> String {
        let change = |(from, figure, text, worse): (usize, &'static str, String, bool)| {
            let Self { runs, .. } = self;
            json!({ "run": runs[from].place, "started": runs[from].started(), "figure": figure, "text": text, "worse": worse })
        };
        let outlier = |(n, figure, value): (usize, &'static str, String)| json!({ "run": self.runs[n].place, "started": self.runs[n].started(), "figure": figure, "value": value });
        let runs = self.runs.iter().map(|run| {
            let figures: serde_json::Map<String, Value> =
                FIGURES.iter().map(|figure| (figure.name.to_owned(), json!((figure.of)(&run.document)))).collect();
            json!({ "run": run.place, "started": run.started(), "verdict": run.verdict(), "figures": figures })
        });
        let profile = self.profile.iter().map(|(n, change)| json!({ "run": self.runs[*n].place, "change": change }));
        json::text(json::pretty(&json!({
            "schema": "regstorm.trend/1",
            "line": self.line(),
            "method": METHOD,
            "runs": runs.collect::<Vec<_>>(),
            "changes": self.changes().into_iter().map(change).collect::<Vec<_>>(),
            "outliers": self.outliers().into_iter().map(outlier).collect::<Vec<_>>(),
            "findings": self.findings(),
            "profile": profile.collect::<Vec<_>>(),
        })))
    }

    /// The page.
    pub fn page(&self) -> Vec<u8> {
        let worse = self.changes().iter().any(|(.., worse)| *worse);
        let (first, last) = (self.runs.first(), self.runs.last());
        let page = TrendPage {
            name: printable(last.map_or("", |run| run.name())),
            version: env!("CARGO_PKG_VERSION"),
            tone: if worse { "bad" } else { "good" },
            word: if worse { "Got worse" } else { "Steady" },
            line: printable(&self.line()),
            span: format!(
                "{} from {} to {}",
                counted(self.runs.len() as u64, "run"),
                first.map_or("", |run| run.day()),
                last.map_or("", |run| run.day())
            ),
            pictures: self.pictures(),
            sheets: self.sheets(),
        };
        template::render("trend.html.j2", include_str!("trend.html.j2"), &page).into_bytes()
    }

    fn sheets(&self) -> Vec<Sheet> {
        let mut figures =
            Sheet::new("figures", "Figures", "Of the runs that count.", &["figure", "#first", "#median", "#newest"]);
        self.rows().into_iter().for_each(|row| figures.row(row));
        let mut changes = Sheet::new("changes", "Changes", "", &["since", "figure", "change", "run"]);
        for (from, figure, text, worse) in self.changes() {
            let run = &self.runs[from];
            let row = [run.day().to_owned(), figure.to_owned(), text, run.place.clone()];
            changes.toned(row, if worse { "bad" } else { "good" });
        }
        let mut outliers = Sheet::new("outliers", "Single runs that stand out", "", &["run", "figure", "#value"]);
        for (n, figure, value) in self.outliers() {
            outliers.row([self.runs[n].place.clone(), figure.to_owned(), value]);
        }
        let mut findings =
            Sheet::new("findings", "Findings that came and went", "", &["finding", "came", "went", "on"]);
        self.findings().into_iter().for_each(|row| findings.row(row));
        let mut profile = Sheet::new("profile", "Changes of the profile", "", &["run", "change"]);
        for (n, change) in &self.profile {
            profile.row([self.runs[*n].place.clone(), change.clone()]);
        }
        let mut runs = Sheet::new("runs", "Runs", "", &["started", "run", "verdict"]);
        for run in self.runs {
            let row = [run.day().to_owned(), run.place.clone(), run.verdict().to_owned()];
            runs.toned(row, if run.verdict() == "fail" { "bad" } else { "" });
        }
        vec![figures, changes.noted(METHOD.to_owned()), outliers, findings, profile, runs]
    }

    fn pictures(&self) -> Vec<Picture> {
        let picture = |(figure, (known, course)): (&TrendFigure, &(Vec<usize>, FigureCourse))| {
            let values: Vec<f64> = known.iter().filter_map(|&n| (figure.of)(&self.runs[n].document)).collect();
            let marks: Vec<usize> = course.changes.iter().map(|change| change.from).collect();
            (values.len() > 1).then(|| Picture { title: figure.name, svg: drawn(&values, figure.unit, &marks) })
        };
        FIGURES.iter().zip(&self.courses).filter_map(picture).collect()
    }
}

/// A figure over the runs.
#[derive(Serialize)]
struct Picture {
    title: &'static str,
    svg: String,
}

#[derive(Serialize)]
struct TrendPage {
    name: String,
    version: &'static str,
    tone: &'static str,
    word: &'static str,
    line: String,
    span: String,
    pictures: Vec<Picture>,
    sheets: Vec<Sheet>,
}

/// A point for each run, joined, and an upright line where the figure changed.
fn drawn(values: &[f64], unit: Unit, marks: &[usize]) -> String {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let tall = (high - low).max(f64::MIN_POSITIVE);
    let x = |n: usize| 110.0 + 600.0 * n as f64 / (values.len() - 1) as f64;
    let y = |value: f64| if high > low { 110.0 - 96.0 * (value - low) / tall } else { 62.0 };
    let mut svg =
        "<svg viewBox=\"0 0 720 124\" aria-hidden=\"true\"><path class=\"grid\" d=\"M110 14H710M110 110H710\"/>"
            .to_owned();
    for mark in marks {
        let _ = write!(svg, "<path class=\"line c-bad\" d=\"M{:.1} 14V110\"/>", x(*mark));
    }
    let (mut path, mut dots) = (String::new(), String::new());
    for (n, value) in values.iter().enumerate() {
        let _ = write!(path, "{}{:.1} {:.1}", if n == 0 { "M" } else { "L" }, x(n), y(*value));
        let _ = write!(dots, "M{:.1} {:.1}h4v4h-4z", x(n) - 2.0, y(*value) - 2.0);
    }
    let _ = write!(svg, "<path class=\"line c-link\" d=\"{path}\"/><path class=\"bar c-link\" d=\"{dots}\"/>");
    for (value, at) in [(high, 18.0), (low, 113.0)] {
        let _ = write!(svg, "<text x=\"104\" y=\"{at}\" text-anchor=\"end\">{}</text>", measured(unit, value));
    }
    svg + "</svg>"
}

/// The keys of two profiles that differ, as `trunk.0.expires: 1h -> 30m`.
fn differing(old: &Value, new: &Value) -> Vec<String> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(old, String::new(), &mut before);
    leaves(new, String::new(), &mut after);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let word = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
    let change = |key: &&String| {
        let (one, other) = (before.get(*key), after.get(*key));
        (one != other).then(|| format!("{key}: {} -> {}", word(one), word(other)))
    };
    keys.iter().filter_map(change).collect()
}

fn leaves(value: &Value, path: String, into: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(keys) => keys.iter().for_each(|(key, value)| leaves(value, below(key), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| leaves(item, below(&n.to_string()), into)),
        Value::Null => {}
        Value::String(text) => drop(into.insert(path, text.clone())),
        other => drop(into.insert(path, other.to_string())),
    }
}
