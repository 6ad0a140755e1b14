//! `regstorm run --metrics`: what stands at the endpoint, against the run's own files, and what a
//! real Prometheus makes of it; every expression of the shipped Grafana dashboard is asked there.
//!
//! Prometheus and its promtool are in every development environment of the project; `tests/all`
//! installs them.

mod endpoint;
mod exposition;
mod http;
mod prometheus;
mod stored;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;
use support::clock;
use support::program::{Regstorm, profile};

/// Long against every run here on a busy machine, short against a hang.
const LIMIT: Duration = Duration::from_secs(120);

/// Two trunks, one of which refuses some agents that try again at once; refreshes on both. `run`
/// goes into `[run]`.
fn two_trunks(run: &str) -> String {
    let trunk = |id: &str, agents: u32, more: &str| {
        format!(
            "[[trunk]]\nid = \"{id}\"\nregistrar = \"embedded\"\ndomain = \"{id}.test\"\nexpires = \"5s\"\n{more}\
             agents = {{ count = {agents}, user = \"phone-{id}-{{n}}\", password = \"hunter2\" }}\n"
        )
    };
    format!(
        "[run]\nname = \"two trunks\"\ninterval = \"1s\"\nseed = 7\n{run}\n[generator]\nlate = \"90ms\"\n\
         {}{}[[load]]\nrate = 100\nfor = \"3s\"\n[[load]]\nhold = \"4s\"\n\
         [registrar]\npassword = \"hunter2\"\nrealm = \"nj.test\"\nmin_expires = \"1s\"\n\
         [[registrar.fault]]\nkind = \"refuse\"\ntrunk = \"tx\"\nshare = 0.2\n",
        trunk("nj", 200, ""),
        trunk("tx", 100, "retry = { preset = \"hammer\" }\n"),
    )
}

/// Starts a run with its metrics at `address`, and waits until it says where they are.
fn start(dir: &Path, text: &str, address: &str, more: &[&str]) -> (Regstorm, String) {
    let name = profile(dir, text);
    let args = [&["run", name, "--out", "out", "--live", "plain", "--metrics", address], more].concat();
    let run = Regstorm::start(dir, &args);
    let place = clock::until("the place of the metrics", LIMIT, || said(&run, "metrics at http://"));
    (run, place.trim_end_matches("/metrics").to_owned())
}

/// The rest of a whole line on standard error that begins so.
fn said(run: &Regstorm, beginning: &str) -> Option<String> {
    let said = run.stderr_so_far();
    let whole = &said[..=said.rfind('\n')?];
    whole.lines().find_map(|line| line.strip_prefix(beginning).map(str::to_owned))
}

/// Waits until the last values are there.
fn wait_for_the_end(run: &Regstorm) {
    clock::until("the end of the run", LIMIT, || {
        run.stderr_so_far().contains("keeps the last values until they are read").then_some(())
    });
}
