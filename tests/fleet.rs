//! One run on many machines, over a real NATS server: the board that workers and coordinator leave
//! notes on, and whole runs of three workers on this machine.

mod support;

use clap::Parser;
use regstorm::convoy::{Board, FleetOffer, NatsAccess, NatsBoard, ReadyMark, key, read_note, written_note};
use regstorm::record::{RecordPart, RecordParts};
use regstorm::vocab::Secret;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::clock;
use support::nats::NatsServer;
use support::program::{Regstorm, command};
use tempfile::TempDir;

/// Within this a server that is back is found again on a busy machine.
const BACK: Duration = Duration::from_secs(30);

fn board(server: &NatsServer) -> NatsBoard {
    let access = NatsAccess {
        url: Secret::new(server.url()),
        credentials: None,
        nkey: None,
        ca: None,
        certificate: None,
        name: "test".to_owned(),
    };
    NatsBoard::open(&access).unwrap_or_else(|error| panic!("{error}\n{}", server.log()))
}

#[test]
fn a_board_keeps_the_last_note_of_a_key_and_every_piece_once() {
    let server = NatsServer::start();
    let (mut ours, mut theirs) = (board(&server), board(&server));
    assert_eq!(theirs.read("0f.orders").expect("reached"), None);
    let first = ours.pin("0f.orders", b"one".to_vec()).expect("reached");
    let second = ours.pin("0f.orders", b"two".to_vec()).expect("reached");
    assert!(second > first);
    let note = theirs.read("0f.orders").expect("reached").expect("it hangs there");
    assert_eq!((note.number, note.key.as_str(), note.bytes.as_slice()), (second, "0f.orders", &b"two"[..]));
    assert!(note.left_unix_ns > 1_700_000_000_000_000_000);
    // Notes of several keys in the order in which they were left.
    ours.pin("0f.beat.a", b"a".to_vec()).expect("reached");
    ours.pin("0f.beat.b", b"b".to_vec()).expect("reached");
    let mut from = 0;
    let mut seen = Vec::new();
    while let Some(note) = theirs.next("0f.beat.*", from).expect("reached") {
        from = note.number + 1;
        seen.push(note.key);
    }
    assert_eq!(seen, ["0f.beat.a", "0f.beat.b"]);
    // What is sent again is there once.
    for id in ["a:0:0", "a:0:1", "a:0:0"] {
        ours.append("0f.record.a", id, vec![7; 512 << 10]).expect("reached");
    }
    let mut from = 0;
    let mut pieces = 0;
    while let Some(piece) = theirs.next_piece("0f.record.*", from).expect("reached") {
        from = piece.number + 1;
        pieces += 1;
        assert_eq!((piece.key.as_str(), piece.bytes.len()), ("0f.record.a", 512 << 10));
    }
    assert_eq!(pieces, 2);
    ours.take_down("0f.>").expect("reached");
    assert_eq!(theirs.read("0f.orders").expect("reached"), None);
    assert_eq!(theirs.next_piece("0f.record.*", 0).expect("reached"), None);
}

#[test]
fn a_board_is_found_again_with_everything_on_it_when_its_server_was_killed() {
    let mut server = NatsServer::start();
    let mut board = board(&server);
    board.pin("0f.orders", b"one".to_vec()).expect("reached");
    board.append("0f.record.a", "a:0:0", b"frame".to_vec()).expect("reached");
    server.kill();
    assert!(board.read("0f.orders").is_err(), "nobody is there");
    server.restart();
    let note = clock::until("the server to be found again", BACK, || board.read("0f.orders").ok().flatten());
    assert_eq!(note.bytes, b"one");
    let piece = board.next_piece("0f.record.*", 0).expect("reached").expect("it is there");
    assert_eq!(piece.bytes, b"frame");
    // The id is remembered over the restart, so what was sent again meanwhile is there once.
    board.append("0f.record.a", "a:0:0", b"frame".to_vec()).expect("reached");
    assert_eq!(board.next_piece("0f.record.*", piece.number + 1).expect("reached"), None);
}

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const PASSWORD: &str = "squeamish-ossifrage";
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A folder, a NATS server and a registrar.
struct Lab {
    folder: TempDir,
    nats: NatsServer,
    _registrar: Regstorm,
}

impl Lab {
    /// With these faults of the registrar, and a load of 600 agents.
    fn new(faults: &str, load: &str) -> Lab {
        let folder = tempfile::tempdir().expect("a folder of the test's own");
        let served = format!("[registrar]\npassword = \"{PASSWORD}\"\n{faults}");
        std::fs::write(folder.path().join("registrar.toml"), served).expect("the test's own folder");
        let registrar =
            Regstorm::start(folder.path(), &["registrar", "registrar.toml", "--listen", "udp://127.0.0.1:0"]);
        let address = clock::until("the registrar to listen", LIMIT, || {
            let said = registrar.stdout_so_far();
            said.lines().find_map(|line| line.strip_prefix("listening udp://").map(str::to_owned))
        });
        let profile = format!(
            "[run]\nname = \"lab\"\ninterval = \"1s\"\ndrain = \"5s\"\n[generator]\nlate = \"10s\"\nstall = \"60s\"\n[expect]\nexclusive = true\n[[trunk]]\nid = \"t\"\n\
             registrar = \"sip:{address}\"\ndomain = \"lab.test\"\nexpires = \"60s\"\n\
             retry = {{ preset = \"none\" }}\n\
             agents = {{ count = 600, user = \"u{{n:04}}\", password_env = \"LAB_PASSWORD\" }}\n{load}"
        );
        std::fs::write(folder.path().join("lab.toml"), profile).expect("the test's own folder");
        Lab { folder, nats: NatsServer::start(), _registrar: registrar }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn worker(&self, name: &str, more: &[&str]) -> Regstorm {
        self.worker_in(self.path(), name, more)
    }

    /// A worker that is started in this folder; its records go to `own`.
    fn worker_in(&self, folder: &Path, name: &str, more: &[&str]) -> Regstorm {
        let url = self.nats.url();
        let mut args =
            vec!["fleet", "worker", "--nats", &url, "--name", name, "--once", "--wait", "120s", "--out", "own"];
        args.extend_from_slice(more);
        let mut worker = command(folder, &args);
        worker.env("LAB_PASSWORD", PASSWORD);
        Regstorm::start_with(worker)
    }

    /// Where a worker keeps its own record.
    fn own(&self, name: &str) -> PathBuf {
        let own = std::fs::read_dir(self.path().join("own")).expect("records of workers");
        let mut folders = own.map(|folder| folder.expect("a folder").path());
        folders.find(|folder| folder.to_string_lossy().ends_with(&format!("-{name}"))).expect("a record of its own")
    }

    /// What came of a worker at the coordinator.
    fn collected(&self, name: &str) -> PathBuf {
        self.path().join("out/workers").join(name).join("record.bin")
    }

    /// Waits until so many intervals of every worker have come.
    fn wait_for_intervals(&self, wanted: usize) {
        clock::until("intervals of every worker to come", LIMIT, || {
            NAMES.iter().all(|name| intervals_in(&self.collected(name)) >= wanted).then_some(())
        });
    }

    fn run(&self, more: &[&str]) -> Regstorm {
        let url = self.nats.url();
        let mut args = vec!["fleet", "run", "lab.toml", "--nats", &url, "--workers", "3", "--out", "out", "--json"];
        args.extend_from_slice(more);
        Regstorm::start(self.path(), &args)
    }
}

/// Whole intervals in a record that still grows; none where it is not there yet.
fn intervals_in(record: &Path) -> usize {
    let parts = std::fs::File::open(record).ok().and_then(|file| RecordParts::open(file).ok());
    let Some(mut parts) = parts else { return 0 };
    std::iter::from_fn(|| parts.next_part().expect("a sound record"))
        .filter(|part| matches!(part, RecordPart::Interval(_)))
        .count()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn findings(run: &Value) -> Vec<(&str, &str)> {
    let found = run["findings"].as_array().expect("a list");
    found
        .iter()
        .map(|found| (found["id"].as_str().expect("a text"), found["summary"].as_str().expect("a text")))
        .collect()
}

#[test]
fn three_workers_find_the_limit_that_all_of_them_meet() {
    let faults = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 300\ncode = 403\nreason = \"Limit exceeded\"\n";
    let lab = Lab::new(faults, "[[load]]\nrate = 200\nfor = \"3s\"\n[[load]]\nhold = \"1s\"\n");
    let workers = NAMES.map(|name| lab.worker(name, &[]));
    let ended = lab.run(&[]).wait(LIMIT);
    let run = json(&ended.stdout);
    assert_eq!((&run["totals"]["attempts"], &run["totals"]["registered"]), (&600.into(), &300.into()));
    assert_ne!(run["verdict"], "pass");
    let limit = findings(&run).into_iter().find(|(id, _)| *id == "limit.concurrent");
    assert!(limit.is_some_and(|(_, summary)| summary.contains("300")), "{:?}", findings(&run));
    workers.into_iter().for_each(carried_out);
    // The workers' own records, which lie beside, make the same run.
    let own = NAMES.map(|name| format!("out/workers/{name}"));
    let args: Vec<&str> = ["fleet", "merge"].into_iter().chain(own.iter().map(String::as_str)).collect();
    let again = Regstorm::run(lab.path(), &[&args[..], &["--out", "merged", "--json"]].concat(), LIMIT);
    let again = json(&again.stdout);
    for part in ["totals", "latency_us", "findings", "generator"] {
        assert_eq!(run[part], again[part], "{part}");
    }
}

/// A load of 15 s in which everybody registers.
const LONG: &str = "[[load]]\nrate = 40\nfor = \"15s\"\n";

#[test]
fn a_server_of_notes_that_was_killed_costs_nothing() {
    let mut lab = Lab::new("", LONG);
    let workers = NAMES.map(|name| lab.worker(name, &["--patience", "60s"]));
    let run = lab.run(&["--patience", "60s"]);
    lab.wait_for_intervals(2);
    lab.nats.restart();
    let ended = run.wait(LIMIT);
    let run = json(&ended.stdout);
    assert_eq!((&run["totals"]["attempts"], &run["totals"]["registered"]), (&600.into(), &600.into()));
    assert_eq!(run["fleet"]["degraded"], false);
    workers.into_iter().for_each(carried_out);
    for name in NAMES {
        let own = std::fs::read(lab.own(name).join("record.bin")).expect("its own record");
        let came = std::fs::read(lab.collected(name)).expect("what came of it");
        assert!(own == came, "every frame of {name} came once: {} and {} bytes", own.len(), came.len());
    }
    no_secret_in(&lab.nats.store());
}

/// Everything the server keeps on its disk.
fn no_secret_in(store: &Path) {
    let mut files = vec![store.to_owned()];
    let mut looked = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else {
            let bytes = std::fs::read(&path).expect("a file of our own server");
            looked += bytes.len();
            let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
            assert!(!found, "{} holds the password", path.display());
        }
    }
    assert!(looked > 10_000, "{looked} bytes: streams lie elsewhere");
}

#[test]
fn a_worker_that_is_killed_ends_the_run() {
    kill_one("abort", 0);
}

#[test]
fn a_worker_that_is_killed_is_missing_from_a_run_that_goes_on() {
    kill_one("continue", 400);
}

/// Kills one of three workers, and sweeps after it; the others begin so many attempts at least.
fn kill_one(on_loss: &str, least: u64) {
    let lab = Lab::new("", LONG);
    let [a, b, c] = NAMES.map(|name| lab.worker(name, &[]));
    let run = lab.run(&["--on-loss", on_loss, "--patience", "5s"]);
    lab.wait_for_intervals(2);
    b.signal("KILL");
    let ended = run.wait(LIMIT);
    let said = ended.stderr();
    assert!(said.contains("worker b is lost: not heard of for 5 s"), "{said}");
    let run = json(&ended.stdout);
    assert_eq!(run["fleet"]["degraded"], true, "{on_loss}");
    let lost: Vec<&str> = run["fleet"]["workers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|worker| !worker["lost"].is_null())
        .map(|worker| worker["name"].as_str().expect("a text"))
        .collect();
    assert_eq!(lost, ["b"], "{on_loss}");
    let attempts = run["totals"]["attempts"].as_u64().expect("a number");
    assert!(attempts >= least && attempts < 600, "{on_loss}: {attempts}");
    // A load that was ended for it is no run that anything could be said of.
    let reasons = run["generator"]["reasons"].to_string();
    let expected = if on_loss == "abort" { "and the load was ended" } else { "planned arrivals never happened" };
    assert!(reasons.contains(expected), "{on_loss}: {reasons}");
    if on_loss == "abort" {
        assert_eq!(run["verdict"], "invalid");
    }
    for worker in [a, c] {
        carried_out(worker);
    }
    // What it left bound goes, and nothing of the others is asked about.
    let mut sweep = command(lab.path(), &["fleet", "sweep", "out", "--json"]);
    sweep.env("LAB_PASSWORD", PASSWORD);
    let swept = Regstorm::start_with(sweep).wait(LIMIT);
    swept.expect_code(0);
    let said = swept.stderr();
    assert!(said.contains("worker a: it removed every binding"), "{said}");
    let swept = json(&swept.stdout);
    let trunk = &swept["trunks"][0];
    let [asked, found, removed] = ["asked", "found", "removed"].map(|key| trunk[key].as_u64().expect("a number"));
    assert!(asked == 200 && found > 0 && found == removed, "{trunk}");
}

#[test]
fn without_a_server_of_notes_workers_stop_and_keep_their_records() {
    let mut lab = Lab::new("", "[[load]]\nrate = 40\nfor = \"15s\"\n[[load]]\nhold = \"10m\"\n");
    let workers = NAMES.map(|name| lab.worker(name, &["--patience", "4s"]));
    let run = lab.run(&["--patience", "4s"]);
    lab.wait_for_intervals(2);
    lab.nats.kill();
    let ended = run.wait(LIMIT);
    assert!(ended.stderr().contains("the NATS server was not reached for 8 s"), "{}", ended.stderr());
    assert_ne!(json(&ended.stdout)["verdict"], "pass");
    for (name, worker) in NAMES.into_iter().zip(workers) {
        let ended = worker.wait(LIMIT);
        let (said, told) = (ended.stderr(), ended.stdout());
        assert!(said.contains("nothing of the NATS server for 4 s"), "{said}");
        assert!(!told.contains("left at the registrar"), "{told}");
        let own = lab.own(name);
        let record = std::fs::File::open(own.join("record.bin")).expect("its own record");
        let results = regstorm::record::read(record).expect("a record");
        let end = results.end.expect("it ended in good order");
        assert_eq!((end.left_bound, end.interrupted_by), (0, None));
    }
}

#[test]
fn an_interrupted_run_ends_on_all_workers_and_leaves_nothing() {
    let lab = Lab::new("", LONG);
    let workers = NAMES.map(|name| lab.worker(name, &[]));
    let run = lab.run(&[]);
    lab.wait_for_intervals(2);
    run.signal("INT");
    let ended = run.wait(LIMIT);
    ended.expect_code(130);
    let run = json(&ended.stdout);
    assert_eq!((&run["verdict"], &run["fleet"]["degraded"]), (&"interrupted".into(), &false.into()));
    let attempts = run["totals"]["attempts"].as_u64().expect("a number");
    assert!(attempts > 0 && attempts < 600, "{attempts}");
    workers.into_iter().for_each(carried_out);
}

/// A worker has carried out its part and left nothing bound. On a busy machine it may find its own
/// schedule wanting.
fn carried_out(worker: Regstorm) {
    let ended = worker.wait(LIMIT);
    let (said, told) = (ended.stderr(), ended.stdout());
    let well = ended.status.code() == Some(0) || told.contains("generator invalid");
    assert!(well && !told.contains("left at the registrar"), "{}: {said}\n{told}", ended.status);
}

#[test]
fn workers_that_do_not_fit_are_named_and_nothing_is_sent() {
    let lab = Lab::new("", LONG);
    let folder = lab.path();
    let profile = std::fs::read_to_string(folder.join("lab.toml")).expect("written above");
    let begin = profile.find("agents =").expect("a list");
    let end = begin + profile[begin..].find('\n').expect("a line");
    let listed = format!("{}agents = {{ csv = \"agents.csv\" }}{}", &profile[..begin], &profile[end..]);
    std::fs::write(folder.join("lab.toml"), listed).expect("the test's own folder");
    let list = |users: &str| format!("user,password_env\n{users}");
    std::fs::write(folder.join("agents.csv"), list("u1,LAB_PASSWORD\nu2,LAB_PASSWORD\nu3,LAB_PASSWORD\n"))
        .expect("a list");
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("the test's own folder");
    std::fs::write(elsewhere.join("agents.csv"), list("u1,LAB_PASSWORD\nu2,LAB_PASSWORD\nu9,LAB_PASSWORD\n"))
        .expect("a list");
    let other_list = lab.worker_in(&elsewhere, "a", &[]);
    let no_target = lab.worker(NAMES[1], &["--allow-targets", "10.0.0.0/8"]);
    let run = lab.run(&[]);
    // A worker of another version, as far as one can be had.
    let mut notes = board(&lab.nats);
    let offer = clock::until("the offer", LIMIT, || notes.read(key::OFFER).expect("reached"));
    let offer: FleetOffer = read_note(&offer.bytes).expect("an offer");
    let mark = ReadyMark {
        name: "c".to_owned(),
        instance: 1,
        tool_version: "0.0.1".to_owned(),
        profile_digest: offer.profile_digest.clone(),
        list_digest: offer.list_digest.clone(),
        clock: None,
        refusal: None,
    };
    notes.pin(&key::ready(&offer.run, "c"), written_note(&mark)).expect("reached");
    let ended = run.wait(LIMIT);
    ended.expect_code(3);
    let said = ended.stderr();
    for part in [
        "worker a: its list of agents is another one",
        "worker b: ",
        "--allow-targets",
        "worker c: it is regstorm 0.0.1",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("nothing was sent") && !folder.join("out").exists(), "{said}");
    drop((other_list, no_target));
}

#[test]
fn a_profile_that_holds_a_secret_goes_nowhere() {
    let lab = Lab::new("", LONG);
    let profile = std::fs::read_to_string(lab.path().join("lab.toml")).expect("written above");
    let told = profile.replace("password_env = \"LAB_PASSWORD\"", &format!("password = \"{PASSWORD}\""));
    std::fs::write(lab.path().join("lab.toml"), told).expect("the test's own folder");
    let ended = lab.run(&[]).wait(LIMIT);
    ended.expect_code(2);
    let said = ended.stderr();
    assert!(said.contains("password_env") && !said.contains(PASSWORD), "{said}");
}

/// The commands of the manifests that the book points to are ones that can be typed.
#[test]
fn the_manifests_start_what_there_is() {
    let typed = |args: Vec<String>| {
        let cli = regstorm::cli::Cli::try_parse_from(&args);
        assert!(cli.is_ok(), "{args:?}: {}", cli.err().map(|error| error.to_string()).unwrap_or_default());
    };
    let texts = |list: &Value| -> Vec<String> {
        list.as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let manifest = std::fs::read_to_string("docs/fleet/kubernetes.yaml").expect("it is there");
    let mut jobs = 0;
    for document in manifest.split("\n---\n") {
        let job: Value = serde_saphyr::from_str(document).expect("YAML");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        typed([texts(&container["command"]), texts(&container["args"])].concat());
        jobs += 1;
    }
    assert_eq!(jobs, 2);
    let compose = std::fs::read_to_string("docs/fleet/compose.yaml").expect("it is there");
    let compose: Value = serde_saphyr::from_str(&compose).expect("YAML");
    for service in ["worker", "run"] {
        typed(texts(&compose["services"][service]["command"]));
    }
}
