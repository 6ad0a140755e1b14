//! What a rehearsal predicts, held against what then happens: on the embedded registrar and on
//! Kamailio, which knows nothing of it. The profile of a prediction states what the registrar does
//! (whom it refuses, how many it takes a second) as a fault; the rehearsal, the run on the embedded
//! registrar and the run on Kamailio are the same profile.
//!
//! The figures are printed, `-- --nocapture` shows them. Needs `kamailio`; `tests/all` installs it.

mod support;

use std::path::Path;
use std::time::Duration;
use support::kamailio::{Config, Kamailio, Settings};
use support::program::{Regstorm, profile};
use support::results::ResultDir;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(240);

/// How far a measured figure may lie from the predicted one.
const SHARE: f64 = 0.1;

/// The same profile three times: rehearsed, run on the embedded registrar, and run on Kamailio with
/// a change or two that say how Kamailio comes to do the same.
struct Tried {
    rehearsal: ResultDir,
    embedded: ResultDir,
    kamailio: ResultDir,
    /// Where all three are, as long as they are looked at.
    _dir: TempDir,
}

impl Tried {
    fn of(text: &str, kamailio: Config, changes: &[&str]) -> Tried {
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        let file = profile(dir.path(), text);
        let server = Kamailio::start(Settings { config: kamailio, ..Settings::default() });
        let trunks = text.matches("[[trunk]]").count();
        let target = server.address();
        let at: Vec<String> = (0..trunks).map(|trunk| format!("trunk.{trunk}.registrar=sip:{target}")).collect();
        let sets: Vec<&str> = at.iter().map(String::as_str).chain(changes.iter().copied()).collect();
        let run = |out, sets: &[&str]| {
            let mut args = vec!["run", file, "--live", "off", "--out", out];
            args.extend(sets.iter().flat_map(|set| ["--set", set]));
            Regstorm::start(dir.path(), &args)
        };
        // Both at once: hundreds of messages a second do not disturb each other.
        let runs = [run("embedded", &[]), run("kamailio", &sets)];
        let rehearsed = Regstorm::run(dir.path(), &["simulate", file, "--out", "rehearsal"], LIMIT);
        // 1: what is refused is refused by a fault of the profile.
        assert!(matches!(rehearsed.status.code(), Some(0 | 1)), "{}", rehearsed.stderr());
        for finished in runs.map(|run| run.wait(LIMIT)) {
            // 3: a crowded machine made some of it late; what happened is compared all the same.
            assert!(matches!(finished.status.code(), Some(0 | 1 | 3)), "{}", finished.stderr());
        }
        let [rehearsal, embedded, kamailio] = ["rehearsal", "embedded", "kamailio"].map(|out| open(dir.path(), out));
        Tried { rehearsal, embedded, kamailio, _dir: dir }
    }

    /// A figure of the rehearsal against that of both runs.
    #[track_caller]
    fn expect(&self, what: &str, figure: impl Fn(&ResultDir) -> f64) {
        let predicted = figure(&self.rehearsal);
        let measured = [("embedded", &self.embedded), ("Kamailio", &self.kamailio)];
        let measured = measured.map(|(name, results)| (name, figure(results)));
        let shown: Vec<String> = measured
            .iter()
            .map(|(name, value)| format!("{name} {value:.2} ({:+.1} %)", (value / predicted - 1.0) * 100.0))
            .collect();
        eprintln!("{what}: predicted {predicted:.2}, measured on {}", shown.join(", "));
        for (name, value) in measured {
            let off = (value / predicted - 1.0).abs();
            assert!(off <= SHARE, "{what}: {predicted:.2} predicted, {value:.2} measured on {name}");
        }
    }

    /// When so many per cent of the agents were registered.
    #[track_caller]
    fn expect_recovery(&self, who: &str, shares: &[&str]) {
        for share in shares {
            let what = format!("{who}: seconds until {share} % are registered");
            self.expect(&what, |results| results.number(&format!("/signed_in_after_s/{share}")));
        }
        self.expect(&format!("{who}: attempts"), |results| results.total("attempts") as f64);
    }
}

fn open(dir: &Path, out: &str) -> ResultDir {
    let results = ResultDir::open(&dir.join(out));
    results.expect_balanced();
    results
}

// ---- A 403 loop ----

/// Sixty phones whose realm, password or account the registrar refuses, and forty that are fine and
/// refresh twice a lifetime. On Kamailio the sixty have a wrong password, which it answers with
/// 403.
fn loop_403(seed: u64, retry: &str) -> Tried {
    let trunk = |id: &str, agents: u32, further: &str| {
        format!(
            "[[trunk]]\nid = \"{id}\"\nregistrar = \"embedded\"\ndomain = \"{id}.test\"\nexpires = \"10s\"\n\
             refresh_at = 0.5\nalgorithms = [\"MD5\"]\n\
             agents = {{ count = {agents}, user = \"{id}{{n}}\", password = \"secret\" }}\n{further}\n"
        )
    };
    let text = format!(
        "[run]\nname = \"loop\"\ninterval = \"1s\"\nseed = {seed}\nworkers = 2\n\n{}{}\
         [[load]]\nrate = 50\nfor = \"2s\"\n[[load]]\nhold = \"38s\"\n\n\
         [generator]\nlate = \"90ms\"\nstall = \"90ms\"\n\n\
         [[registrar.fault]]\nkind = \"refuse\"\ncode = 403\nreason = \"Authentication Failed\"\ntrunk = \"sick\"\n",
        trunk("sick", 60, retry),
        trunk("fine", 40, ""),
    );
    Tried::of(&text, Config::Forbidden, &["trunk.0.agents.password=wrong"])
}

#[test]
fn a_403_loop_of_asterisks_settles_where_the_rehearsal_says() {
    let retry = "retry = { preset = \"asterisk\", forbidden_interval = \"3s\", max = \"unlimited\" }";
    let tried = loop_403(7, retry);
    tried.expect("403 loop, asterisk every 3 s: messages/s", ResultDir::settled_messages_per_s);
}

#[test]
fn a_403_loop_of_hammers_settles_where_the_rehearsal_says() {
    let tried = loop_403(11, "retry = { preset = \"hammer\" }");
    tried.expect("403 loop, hammer every second: messages/s", ResultDir::settled_messages_per_s);
    tried.expect("403 loop, hammer every second: agents looping", |results| results.total("agents_looping") as f64);
}

// ---- An avalanche ----

/// Everybody at once at a registrar that takes twenty registrations a second and refuses the others
/// with 503. What follows is decided by that limit and by the clients' waits, not by how fast the
/// machine is: Kamailio could take them all in a second.
fn avalanche(seed: u64, retry: &str, retry_after_s: Option<u32>) -> Tried {
    let after = retry_after_s.map_or_else(String::new, |seconds| format!("retry_after = \"{seconds}s\"\n"));
    let text = format!(
        "[run]\nname = \"avalanche\"\ninterval = \"1s\"\nseed = {seed}\nworkers = 2\n\n\
         [[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\nexpires = \"10m\"\n\
         algorithms = [\"MD5\"]\nagents = {{ count = 600, user = \"nj{{n}}\", password = \"secret\" }}\n{retry}\n\n\
         [[load]]\navalanche = 1.0\n[[load]]\nhold = \"75s\"\n\n\
         [generator]\nlate = \"500ms\"\nstall = \"90ms\"\n\n\
         [[registrar.fault]]\nkind = \"rate\"\nper_second = 20\nburst = 20\ncode = 503\n{after}"
    );
    Tried::of(&text, Config::Rate { per_second: 20, retry_after_s }, &[])
}

#[test]
fn an_avalanche_of_hammers_is_over_when_the_rehearsal_says() {
    avalanche(7, "retry = { preset = \"hammer\", interval = \"2s\", jitter = 0.3 }", None)
        .expect_recovery("avalanche, hammer every 2 s", &["50", "90", "99", "100"]);
}

#[test]
fn an_avalanche_of_asterisks_is_over_when_the_rehearsal_says() {
    avalanche(8, "retry = { preset = \"asterisk\" }", Some(4))
        .expect_recovery("avalanche, asterisk, Retry-After 4 s", &["50", "90", "99", "100"]);
}

#[test]
fn an_avalanche_of_pjsuas_is_over_when_the_rehearsal_says() {
    avalanche(9, "retry = { preset = \"pjsua\", interval = \"8s\" }", None)
        .expect_recovery("avalanche, pjsua every 8 s", &["50", "90", "99", "100"]);
}

#[test]
fn an_avalanche_of_rfc_5626s_waits_is_over_when_the_rehearsal_says() {
    avalanche(10, "retry = { preset = \"rfc\", interval = \"1s\" }", None)
        .expect_recovery("avalanche, rfc from 1 s on", &["50", "90", "99"]);
}
