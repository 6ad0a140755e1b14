//! `[[load]] replay`: who comes when, what is refused and in which words, and that agents do what
//! the file says.

use super::files::Files;
use regstorm::command::simulate::rehearse;
use regstorm::link::{Delay, LinkConfig};
use regstorm::load::Schedule;
use regstorm::record::{Results, read};
use regstorm::seed::Seed;
use regstorm::vocab::{AgentId, ReplayAct, Status};
use std::time::Duration;

const PROFILE: &str = r#"
[run]
interval = "1s"
unregister = false
[[trunk]]
id = "nj"
registrar = "embedded"
domain = "nj.test"
expires = "60s"
refresh_at = 0.5
agents = { csv = "agents.csv", password = "secret" }
[[load]]
replay = "arrivals.csv"
[[load]]
hold = "60s"
"#;
const AGENTS: &str = "user\nalice\nbob\ncarol\ncarol\n";

fn files(arrivals: &str) -> Files {
    Files::default().file("profile.toml", PROFILE).file("agents.csv", AGENTS).file("arrivals.csv", arrivals)
}

/// Every step: milliseconds, user, number in the list, what.
fn steps(files: &Files, sets: &[&str]) -> Vec<(u64, String, u32, ReplayAct)> {
    let plan = files.plan(sets).unwrap_or_else(|error| panic!("{error}"));
    let schedule = Schedule::new(&plan.load, Seed(1));
    let steps = (0..).map_while(|n| schedule.replayed(n));
    steps
        .map(|step| {
            let agent = plan.identities.get(AgentId(step.agent));
            (u64::try_from(step.at.as_millis()).expect("short"), agent.user.to_owned(), agent.number, step.act)
        })
        .collect()
}

fn simulated(files: &Files, sets: &[&str]) -> Results {
    let mut plan = files.plan(sets).unwrap_or_else(|error| panic!("{error}"));
    let link = LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(2))), drop: 0.0 };
    let mut record = Vec::new();
    rehearse(&mut plan, Seed(3), link, &mut record).expect("memory takes every byte");
    read(&record[..]).expect("a record just written")
}

#[test]
fn rows_are_the_arrivals_of_those_they_name() {
    let rows =
        "at_s,user,phone,act\n2.5,carol,2,\n0,bob,1,arrive\n4,bob,,leave\n5.25,alice,,arrive\n9,carol,2,vanish\n";
    let files = files(rows);
    use ReplayAct::{Arrive, Leave, Vanish};
    let of = |ms, user: &str, number, act| (ms, user.to_owned(), number, act);
    let once = [
        of(0, "bob", 1, Arrive),
        of(2_500, "carol", 3, Arrive),
        of(4_000, "bob", 1, Leave),
        of(5_250, "alice", 0, Arrive),
        of(9_000, "carol", 3, Vanish),
    ];
    assert_eq!(steps(&files, &[]), once);
    assert_eq!(steps(&files, &["run.seed=9", "arrivals.process=poisson"]), once, "nothing is drawn");
    let fast = steps(&files, &["load.0.speed=2"]);
    assert_eq!(fast.iter().map(|step| step.0).collect::<Vec<_>>(), [0, 1_250, 2_000, 2_625, 4_500]);
    let plan = files.plan(&[]).expect("sound");
    let schedule = Schedule::new(&plan.load, Seed(1));
    assert_eq!((schedule.arrivals(), schedule.lasts()), (3, Duration::from_secs(70)));
    assert!(plan.warnings.iter().any(|doubt| doubt.contains("no arrival of 1 of the 4 agents")), "{:?}", plan.warnings);
}

#[test]
fn copies_come_with_the_row_they_are_copies_of() {
    let files = files("at_s,user,phone\n0,alice,1\n0.3,carol,2\n9,bob,\n");
    let all = steps(&files, &["trunk.0.agents.copies=3"]);
    let seen: Vec<(u64, &str)> = all.iter().map(|(at, user, ..)| (*at, user.as_str())).collect();
    let expected = [
        (0, "alice"),
        (100, "alice-2"),
        (200, "alice-3"),
        // The last row's own phone is the second carol of the list.
        (300, "carol"),
        (633, "carol-2"),
        (966, "carol-3"),
        (9_000, "bob"),
        (9_000, "bob-2"),
        (9_000, "bob-3"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(all[3].2, 9, "the second carol's own row is the tenth agent");
    let taken = files.clone().file("agents.csv", "user\nalice\nalice-2\n").refusal(&["trunk.0.agents.copies=2"]);
    assert!(taken.contains("alice-2"), "{taken}");
}

#[test]
fn rows_that_name_nobody_are_the_next_agents() {
    let files = files("at_s\n0\n1\n2\n3\n4\n");
    assert_eq!(steps(&files, &[]).len(), 4);
    let plan = files.plan(&[]).expect("sound");
    assert!(plan.warnings.iter().any(|doubt| doubt.contains("1 rows are left out")), "{:?}", plan.warnings);
    let round = steps(&files, &["arrivals.when_exhausted=reregister"]);
    assert_eq!((round.len(), &round[0].1), (5, &round[4].1));
}

#[test]
fn a_wrong_file_is_refused_with_line_and_remedy() {
    let cases = [
        ("At_s\n0\n", "no column \"at_s\"", "rename it to \"at_s\""),
        ("at_s,user\n0,alice\nsoon,bob\n", "arrivals.csv line 3: at_s \"soon\"", "like 12.345"),
        ("at_s,user\n-1,alice\n", "arrivals.csv line 2: at_s \"-1\"", "seconds since the start"),
        ("at_s,user\n0,alice\n1,dave\n", "arrivals.csv line 3: \"dave\" is no agent", "add it to the trunk's agents"),
        ("at_s,user,phone\n0,carol,3\n", "phone 3 of \"carol\", which has 2", "take the row out"),
        ("at_s,user,act\n0,alice,arive\n", "act \"arive\" is unknown", "did you mean \"arrive\"?"),
        ("at_s,user\n0,alice\n1,\n", "line 3: names no user", "leave the column out"),
        ("at_s,act\n0,leave\n", "\"leave\" needs a user", "add a column user"),
        ("at_s,trunk_id\n0,ny\n", "\"ny\" is no trunk", "take the row out"),
        ("at_s,user\n0,alice,1\n", "line 2: the row has 3 fields", "3 fields"),
        ("at_s\n", "arrivals.csv has no row", "columns: at_s"),
    ];
    for (rows, message, remedy) in cases {
        let refusal = files(rows).refusal(&[]);
        assert!(refusal.contains(message) && refusal.contains(remedy), "{rows:?}\n{refusal}");
        assert!(refusal.contains("profile.toml:13"), "{refusal}");
    }
    let sound = files("at_s,user\n0,alice\n");
    for (set, message) in [
        ("load.0.speed=0", "must be a factor"),
        ("load.0.for=10s", "does not go with replay"),
        ("load.1.speed=2", "goes with replay only"),
        ("load.0.replay=other.csv", "other.csv cannot be read: there is no such file"),
        ("trunk.0.agents.copies=0", "must be at least 1"),
    ] {
        let refusal = sound.refusal(&[set]);
        assert!(refusal.contains(message), "{set}\n{refusal}");
    }
    let mixed = sound.file("profile.toml", &(PROFILE.to_owned() + "[[load]]\nrate = 5\nfor = \"1s\"\n")).refusal(&[]);
    assert!(mixed.contains("does not go with a replay"), "{mixed}");
}

#[test]
fn a_spreadsheet_may_write_the_file() {
    let files = files("\u{feff}at_s;user;act\r\n0,5;alice;arrive\r\n1,25;alice;leave\r\n");
    assert_eq!(steps(&files, &[]).iter().map(|step| step.0).collect::<Vec<_>>(), [500, 1_250]);
}

/// Refreshes at 90 % of a minute are drawn over six seconds; the record says when they came. One
/// that would come at another time by itself is let be.
#[test]
fn a_recorded_refresh_comes_at_its_moment() {
    let rows =
        "at_s,user,phone,act\n0,alice,,\n1,bob,,\n10,bob,,again\n57.5,alice,,again\n113.5,alice,,again\n116,carol,,\n";
    let results = simulated(&files(rows), &["trunk.0.refresh_at=0.9"]);
    let second = |n: usize| results.intervals[n].trunks[0].messages_sent;
    assert_eq!([57, 113].map(second), [1, 1], "alice, with the nonce she has");
    assert_eq!([10, 11].map(second), [0, 0], "bob would wait for much longer");
    assert_eq!((51..=59).map(second).sum::<u64>(), 2, "bob by himself, and alice once");
}

/// Alice registers, leaves and comes again; Bob vanishes and is not heard of until he comes again;
/// the others refresh every 30 s.
#[test]
fn agents_do_what_the_file_says() {
    let rows = "at_s,user,phone,act\n0,alice,,\n1,bob,,\n2,carol,1,\n3,carol,2,\n5,bob,,vanish\n10,alice,,leave\n\
                20,alice,,\n50,bob,,\n";
    let results = simulated(&files(rows), &[]);
    let sums = &results.totals.sums;
    // The load lasts 111 s. Alice: 0, 20, then two or three refreshes; Bob: 1, 50, one or two; the
    // Carols: three each.
    assert_eq!(sums.started[regstorm::vocab::Kind::Initial.index()], 6);
    let refreshes = sums.started[regstorm::vocab::Kind::Refresh.index()];
    assert!((9..=13).contains(&refreshes), "{refreshes}");
    assert_eq!(sums.status[Status::Registered.index()], 6 + refreshes);
    let second = |n: usize| {
        let trunk = &results.intervals[n].trunks[0];
        trunk.messages_sent
    };
    assert_eq!([0, 1, 2, 3, 4, 10, 20, 50].map(second), [2, 2, 2, 2, 0, 1, 2, 2], "handshakes, and one un-REGISTER");
    assert_eq!((28..=40).map(second).sum::<u64>(), 2, "the Carols; Bob and Alice are not there to refresh");
}

#[test]
fn workers_share_a_replay_without_changing_it() {
    let names: String = (0..40).map(|n| format!("user{n}\n")).collect();
    let rows: String = (0..40).map(|n| format!("{}.{},user{n}\n", n / 4, n % 4)).collect();
    let files = files(&("at_s,user\n".to_owned() + &rows)).file("agents.csv", &("user\n".to_owned() + &names));
    let plan = files.plan(&[]).expect("sound");
    let schedule = Schedule::new(&plan.load, Seed(1));
    let replay = schedule.replay().expect("a replay");
    let mut all: Vec<u32> =
        (0..3).flat_map(|worker| replay.of_stripe(regstorm::load::Stripe { worker, workers: 3 })).collect();
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
    assert_eq!(schedule.due_by(Duration::from_secs(1)), 5);
    assert_eq!((schedule.peak(), schedule.rate_at(Duration::from_millis(500))), (4.0, 4.0));
}
