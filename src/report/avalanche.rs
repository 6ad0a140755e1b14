//! The comparison of an avalanche rehearsal: a table for the terminal, `avalanche.csv`, JSON, and a
//! page with charts.

use super::chart::{ChartFrame, Scale, Series, lines};
use super::charts::{Chart, chart};
use super::csv::Table;
use super::explanation::{WIDTH, wrap};
use super::json;
use super::template;
use super::text::{cell, decimal, printable};
use crate::diagnose::avalanche::{Comeback, SHARES};
use crate::vocab::{floor_usize, format_duration};
use serde::Serialize;
use std::time::Duration;

/// What was rehearsed, for whoever reads of it.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub name: String,
    pub version: String,
    pub agents: u64,
    /// Share of the agents that was off, and for how long.
    pub share: f64,
    #[serde(rename = "outage_s", serialize_with = "as_seconds")]
    pub outage: Duration,
    /// The lifetime that is granted.
    #[serde(rename = "expires_s", serialize_with = "as_seconds")]
    pub lifetime: Duration,
    pub seed: u64,
    /// What the registrar refuses, in words; empty: nothing.
    pub registrar: Vec<String>,
}

fn as_seconds<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

/// The table, with a line above that says what was rehearsed.
pub fn table(setting: &Setting, comebacks: &[Comeback]) -> String {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(comebacks.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells
            .map(|(at, (cell, &width))| if at < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let table: Vec<String> = rows.iter().map(line).collect();
    let worst = wrap(&worst(comebacks), "", "", WIDTH);
    format!("{}\n\n{}\n\n{worst}", sentence(setting), table.join("\n"))
}

const HEADER: [&str; 11] =
    ["preset", "jitter", "50 %", "90 %", "99 %", "100 %", "peak/s", "echo/s", "echo at", "requests", "failed"];

fn row(comeback: &Comeback) -> Vec<String> {
    let mut cells = vec![comeback.preset.clone(), on_off(comeback).to_owned()];
    let times = comeback.registered_again_after_s.iter();
    cells.extend(
        times.map(|after| after.map_or_else(|| "never".to_owned(), |after| format!("{} s", decimal(after, 1)))),
    );
    cells.extend([comeback.peak_per_s, comeback.echo_per_s].map(|rate| rate.to_string()));
    cells.push(format_duration(Duration::from_secs(comeback.echo_at_s.into())));
    cells.extend([comeback.requests, comeback.failed].map(|count| count.to_string()));
    cells
}

fn on_off(comeback: &Comeback) -> &'static str {
    if comeback.refresh_jitter { "on" } else { "off" }
}

/// One sentence on what was rehearsed.
fn sentence(setting: &Setting) -> String {
    let registrar = match setting.registrar.as_slice() {
        [] => "nothing is refused".to_owned(),
        faults => faults.join(", "),
    };
    format!(
        "{}: {} of {} agents off for {}, expires {}; {registrar}; seed {}",
        printable(&setting.name),
        super::text::percent(setting.share * 100.0),
        setting.agents,
        format_duration(setting.outage),
        format_duration(setting.lifetime),
        setting.seed,
    )
}

/// Which client is worst, for the registrar and for its own users.
fn worst(comebacks: &[Comeback]) -> String {
    let named = |comeback: &Comeback| {
        let jitter = if comeback.refresh_jitter { "with" } else { "without" };
        format!("{} {jitter} jitter", printable(&comeback.preset))
    };
    let busiest = |comeback: &&Comeback| comeback.peak_per_s.max(comeback.echo_per_s);
    let Some(hardest) = comebacks.iter().max_by_key(busiest) else { return String::new() };
    let last = |comeback: &Comeback| comeback.registered_again_after_s[SHARES.len() - 1];
    // Who never comes back is later than anybody.
    let patience = |comeback: &&Comeback| (comeback.agents - comeback.returned, last(comeback).map_or(0.0, |s| s));
    let slowest = comebacks.iter().max_by(|a, b| {
        let (a, b) = (patience(a), patience(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let slowest = slowest.map(|slowest| match (slowest.agents - slowest.returned, last(slowest)) {
        (0, Some(after)) => {
            format!("the last to have everybody back is {}, after {} s", named(slowest), decimal(after, 1))
        }
        (missing, _) => format!("{} leaves {missing} of {} agents out for good", named(slowest), slowest.agents),
    });
    format!(
        "Hardest on the registrar is {}, with {} requests in its busiest second; {}.",
        named(hardest),
        busiest(&hardest),
        slowest.unwrap_or_default()
    )
}

/// `avalanche.csv`: one row for each client, with and without jitter.
pub fn csv(comebacks: &[Comeback]) -> Vec<u8> {
    let mut table = Table::new("avalanche.csv");
    for comeback in comebacks {
        let mut cells = vec![comeback.preset.clone(), on_off(comeback).to_owned()];
        cells.extend([comeback.agents, comeback.returned].map(|count| count.to_string()));
        cells.extend(comeback.registered_again_after_s.map(|after| cell(after.map(|after| decimal(after, 3)))));
        let rates = [comeback.before_per_s, comeback.peak_per_s, comeback.peak_at_s, comeback.echo_per_s];
        cells.extend(rates.map(|rate| rate.to_string()));
        cells.push(comeback.echo_at_s.to_string());
        cells.extend([comeback.requests, comeback.failed].map(|count| count.to_string()));
        table.row(cells.iter().map(String::as_str));
    }
    table.into_bytes()
}

/// The comparison as one document, ending in a newline.
pub fn json(setting: &Setting, comebacks: &[Comeback]) -> Vec<u8> {
    #[derive(Serialize)]
    struct AvalancheDocument<'a> {
        schema: &'static str,
        #[serde(flatten)]
        setting: &'a Setting,
        comebacks: &'a [Comeback],
    }
    json::pretty(&AvalancheDocument { schema: "regstorm.avalanche/1", setting, comebacks })
}

/// `avalanche.html`: the table and the charts on one self-contained page.
pub fn html(setting: &Setting, comebacks: &[Comeback]) -> Vec<u8> {
    #[derive(Serialize)]
    struct AvalanchePage {
        name: String,
        version: String,
        sentence: String,
        worst: String,
        header: Vec<&'static str>,
        rows: Vec<Vec<String>>,
        charts: Vec<Chart>,
    }
    let page = AvalanchePage {
        name: printable(&setting.name),
        version: printable(&setting.version),
        sentence: sentence(setting),
        worst: worst(comebacks),
        header: HEADER.to_vec(),
        rows: comebacks.iter().map(row).collect(),
        charts: charts(comebacks),
    };
    template::render("avalanche.html.j2", include_str!("avalanche.html.j2"), &page).into_bytes()
}

/// The minutes after the return in one chart, all clients; then the whole time, client by client.
fn charts(comebacks: &[Comeback]) -> Vec<Chart> {
    let mut charts = Vec::new();
    let classes = ["c-good", "c-bad", "c-doubt", "c-link"];
    let first: Vec<&Comeback> =
        comebacks.iter().filter(|comeback| comeback.refresh_jitter).take(classes.len()).collect();
    if first.iter().any(|comeback| !comeback.seconds.is_empty()) {
        let seconds = first.iter().map(|comeback| settled_s(comeback)).max().unwrap_or(0).clamp(30, 600);
        let spans: Vec<(f64, f64)> = steps(seconds, 1);
        let series: Vec<Series> = first
            .iter()
            .zip(classes)
            .map(|(comeback, class)| Series {
                label: known(&comeback.preset),
                class,
                values: values(&comeback.seconds, seconds, 1),
            })
            .collect();
        let lead = "Requests per second from the end of the outage on, each client by itself.".to_owned();
        let svg = lines(&ChartFrame { spans: &spans, scale: Scale::Logarithmic, unit: "/s" }, &series);
        charts.push(chart("return", "The return", lead, svg, &series));
    }
    for pair in comebacks.chunk_by(|a, b| a.preset == b.preset) {
        charts.extend(echo(pair));
    }
    charts
}

/// One client from the return to the end: what jitter changes one lifetime later.
fn echo(comebacks: &[Comeback]) -> Option<Chart> {
    let seconds = comebacks.iter().map(|comeback| comeback.seconds.len()).max().filter(|&seconds| seconds > 0)?;
    let per_step = seconds.div_ceil(MOST_STEPS).max(1);
    let series: Vec<Series> = comebacks
        .iter()
        .map(|comeback| Series {
            label: if comeback.refresh_jitter { "refresh jitter on" } else { "refresh jitter off" },
            class: if comeback.refresh_jitter { "c-good" } else { "c-bad" },
            values: values(&comeback.seconds, seconds, per_step),
        })
        .collect();
    let (id, title) = match known(&comebacks[0].preset) {
        "rfc" => ("echo-rfc", "The echo: rfc"),
        "pjsua" => ("echo-pjsua", "The echo: pjsua"),
        "asterisk" => ("echo-asterisk", "The echo: asterisk"),
        "hammer" => ("echo-hammer", "The echo: hammer"),
        _ => ("echo", "The echo"),
    };
    let lead =
        "The busiest second of each step, from the end of the outage to a lifetime and a third later.".to_owned();
    let spans = steps(seconds, per_step);
    let svg = lines(&ChartFrame { spans: &spans, scale: Scale::Logarithmic, unit: "/s" }, &series);
    Some(chart(id, title, lead, svg, &series))
}

/// Steps a chart can show.
const MOST_STEPS: usize = 240;

/// A chart's labels live as long as the program.
fn known(preset: &str) -> &'static str {
    ["rfc", "pjsua", "asterisk", "hammer"].into_iter().find(|known| *known == preset).unwrap_or("client")
}

/// When the last agent was back; where one never came, when the busiest second was over.
fn settled_s(comeback: &Comeback) -> usize {
    let last = comeback.registered_again_after_s.iter().rev().flatten().next();
    last.map_or(comeback.peak_at_s as usize, |after| floor_usize(after.ceil())) + 5
}

fn steps(seconds: usize, per_step: usize) -> Vec<(f64, f64)> {
    (0..seconds).step_by(per_step).map(|at| (at as f64, (at + per_step).min(seconds) as f64)).collect()
}

/// The highest of each step; nothing sent draws nothing.
fn values(sent: &[u32], seconds: usize, per_step: usize) -> Vec<Option<f64>> {
    let highest = |at: usize| {
        let step = sent.get(at..(at + per_step).min(sent.len())).unwrap_or_default();
        step.iter().max().filter(|&&sent| sent > 0).map(|&sent| f64::from(sent))
    };
    (0..seconds).step_by(per_step).map(highest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comeback(preset: &str, refresh_jitter: bool, seconds: Vec<u32>) -> Comeback {
        Comeback {
            preset: preset.to_owned(),
            refresh_jitter,
            agents: 100,
            returned: 98,
            registered_again_after_s: [Some(0.01), Some(2.5), None, None],
            before_per_s: 3,
            peak_per_s: 200,
            echo_per_s: 40,
            peak_at_s: 0,
            echo_at_s: 540,
            requests: 300,
            failed: 2,
            seconds,
        }
    }

    fn setting() -> Setting {
        Setting {
            name: "<pilot>".to_owned(),
            version: "0".to_owned(),
            agents: 200,
            share: 0.5,
            outage: Duration::from_secs(60),
            lifetime: Duration::from_secs(600),
            seed: 7,
            registrar: Vec::new(),
        }
    }

    #[test]
    fn the_table_lines_up_and_says_never() {
        let text = table(&setting(), &[comeback("rfc", true, vec![]), comeback("asterisk", false, vec![])]);
        assert!(
            text.starts_with("<pilot>: 50 % of 200 agents off for 1m, expires 10m; nothing is refused; seed 7\n"),
            "{text}"
        );
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert!(lines[1].starts_with("rfc       on       0 s  2.5 s  never  never"), "{text}");
        assert_eq!(lines[1].find("never"), lines[2].find("never"), "{text}");
        let csv = String::from_utf8(csv(&[comeback("rfc", true, vec![])])).expect("UTF-8");
        assert!(
            text.ends_with(
                "Hardest on the registrar is asterisk without jitter, with 200 requests in its busiest second;\n\
                 asterisk without jitter leaves 2 of 100 agents out for good.\n"
            ),
            "{text}"
        );
        assert_eq!(csv.lines().nth(1), Some("rfc,on,100,98,0.01,2.5,,,3,200,0,40,540,300,2"));
    }

    #[test]
    fn the_page_is_whole_and_escapes_names() {
        let both = [true, false].map(|jitter| comeback("rfc", jitter, (0..900).map(|n| n % 7).collect()));
        let page = String::from_utf8(html(&setting(), &both)).expect("UTF-8");
        assert!(page.contains("&lt;pilot&gt;") && !page.contains("<pilot>"), "{page}");
        assert_eq!(page.matches("<svg viewBox=\"0 0 720").count(), 2, "the return, and one echo");
        assert!(page.contains("refresh jitter off") && page.trim_end().ends_with("</html>"));
        for outside in ["http://", "https://", "<script", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn steps_keep_the_busiest_second() {
        assert_eq!(values(&[1, 5, 0, 0, 2], 7, 2), [Some(5.0), None, Some(2.0), None]);
        assert_eq!(steps(7, 3), [(0.0, 3.0), (3.0, 6.0), (6.0, 7.0)]);
    }
}
