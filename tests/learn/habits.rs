//! Captures of our own presets, in virtual time: the preset is named, and the profile is as busy as
//! the capture, minute by minute.

use super::files::Files;
use super::tape::capture;
use regstorm::command::simulate::rehearse;
use regstorm::learn::{Learnt, LearntFiles, LearntFit};
use regstorm::link::{Delay, LinkConfig};
use regstorm::observe::{Trace, trace_capture};
use regstorm::plan::Plan;
use regstorm::seed::Seed;
use regstorm::vocab::ReplayAct;
use std::time::Duration;

pub const NAMES: LearntFiles<'_> =
    LearntFiles { agents: "agents.csv", arrivals: "arrivals.csv", variable: "SIP_PASSWORD" };

/// What `learn` writes.
pub fn written(learnt: &Learnt<'_>) -> Files {
    Files::default()
        .file("profile.toml", &learnt.profile("learnt", &NAMES))
        .file("agents.csv", &learnt.agents_csv())
        .file("arrivals.csv", &learnt.arrivals_csv())
}

/// How near a plan comes to what was seen.
pub fn fit(trace: &Trace, mut plan: Plan) -> LearntFit {
    plan.unregister = false;
    let link = LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(2))), drop: 0.0 };
    let outcome = rehearse(&mut plan, Seed(77), link, std::io::sink()).expect("nothing to fail");
    let seconds: Vec<u32> = outcome.traffic.seconds().iter().map(|second| second.sent + second.received).collect();
    LearntFit::of(&trace.messages, &seconds, u32::try_from(trace.lasts_ns.div_ceil(1_000_000_000)).expect("short"))
}

#[track_caller]
pub fn expect_near(fit: &LearntFit) {
    assert_eq!(fit.near(), fit.rows.len(), "{}\n{}", fit.sentence(), fit.csv());
}

/// Phones of one client; the registrar refuses everybody with `code` until `until`.
fn run(retry: &str, agents: u32, code: u16, until: &str, hold: &str) -> Vec<u8> {
    let text = format!(
        "[run]\ninterval = \"60s\"\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"lab.test\"\n\
         expires = \"600s\"\nretry = {{ {retry} }}\nagents = {{ count = {agents}, user = \"a{{n}}\", password = \"x\" }}\n\
         [[load]]\nrate = {rate}\nfor = \"40s\"\n[[load]]\nhold = \"{hold}\"\n[registrar]\nrealm = \"lab.test\"\n\
         {}",
        fault(code, until),
        rate = f64::from(agents) / 40.0,
    );
    capture(Files::default().file("profile.toml", &text).plan(&[]).unwrap_or_else(|error| panic!("{error}")), 5)
}

fn fault(code: u16, until: &str) -> String {
    format!("[[registrar.fault]]\nkind = \"refuse\"\ncode = {code}\nuntil = \"{until}\"\n")
}

/// What was learnt, and its fit against a registrar that fails in the same way.
fn learnt(file: &[u8], fault: &str) -> (String, Option<f64>, String, LearntFit) {
    let trace = trace_capture(file, "lab.pcap").expect("a capture");
    let learnt = Learnt::of(&trace, false);
    let profile = learnt.profile("learnt", &NAMES);
    let plan = written(&learnt).file("profile.toml", &(profile.clone() + fault)).plan(&[]);
    let fit = fit(&trace, plan.unwrap_or_else(|error| panic!("{error}\n{profile}")));
    let retry = &learnt.groups[0].retry;
    (retry.preset.to_owned(), retry.residual, profile, fit)
}

/// The preset is named, and against a registrar that fails in the same way the profile is as busy.
#[track_caller]
fn expect_named(preset: &str, agents: u32, until: &str) {
    let file = run(&format!("preset = \"{preset}\""), agents, 503, until, "30m");
    let (found, residual, profile, fit) = learnt(&file, &fault(503, until));
    assert_eq!(found, preset, "{profile}");
    assert!(residual.is_some_and(|residual| residual < 0.1), "{preset}: {residual:?}\n{profile}");
    expect_near(&fit);
}

#[test]
fn rfc_is_named() {
    expect_named("rfc", 200, "400s");
}

#[test]
fn pjsua_is_named() {
    expect_named("pjsua", 100, "700s");
}

#[test]
fn asterisk_is_named() {
    expect_named("asterisk", 100, "400s");
}

#[test]
fn baresip_is_named() {
    expect_named("baresip", 200, "400s");
}

#[test]
fn hammer_is_named() {
    expect_named("hammer", 40, "60s");
}

#[test]
fn none_is_named() {
    expect_named("none", 40, "400s");
}

#[test]
fn an_interval_of_their_own_is_found() {
    let file = run("preset = \"hammer\", interval = \"5s\"", 20, 403, "300s", "20m");
    let (found, _, profile, fit) = learnt(&file, &fault(403, "300s"));
    assert_eq!(found, "hammer", "{profile}");
    assert!(profile.contains("preset = \"hammer\", interval = \"5s\""), "{profile}");
    expect_near(&fit);
    let file = run("preset = \"asterisk\", forbidden_interval = \"90s\"", 20, 403, "300s", "20m");
    let (found, _, profile, fit) = learnt(&file, &fault(403, "300s"));
    assert!(found == "asterisk" && profile.contains("forbidden_interval = \"1m30s\""), "{profile}");
    // Two of the twenty phones make one attempt more than was seen, in the minute in which all are
    // let in again.
    assert!(fit.near() + 1 >= fit.rows.len(), "{}\n{}", fit.sentence(), fit.csv());
}

/// Shift work: phones come, refresh, sign off, come again; two lifetimes, one of them shortened.
#[test]
fn a_day_of_two_shifts_is_as_busy_as_it_was() {
    let names: String = (0..120).map(|n| format!("p{n},{}\n", if n % 3 == 0 { "old" } else { "new" })).collect();
    let mut rows = "at_s,trunk_id,user,act\n".to_owned();
    for n in 0..120u32 {
        let trunk = if n % 3 == 0 { "old" } else { "new" };
        let begins = (n * 37) % 600;
        rows += &format!("{begins}.25,{trunk},p{n},arrive\n");
        match n % 4 {
            0 => {
                rows += &format!("{}.5,{trunk},p{n},leave\n{}.5,{trunk},p{n},arrive\n", begins + 1_500, begins + 2_400)
            }
            1 => rows += &format!("{}.5,{trunk},p{n},vanish\n", begins + 1_000),
            _ => {}
        }
    }
    let text = "[run]\ninterval = \"60s\"\n[[trunk]]\nid = \"old\"\nregistrar = \"embedded\"\ndomain = \"shift.test\"\n\
                expires = \"300s\"\nheaders = { \"User-Agent\" = \"Old/1\", \"X-Site\" = \"NJ\" }\nagents = { csv = \"a.csv\", password = \"x\" }\n\
                [[trunk]]\nid = \"new\"\nregistrar = \"embedded\"\ndomain = \"shift.test\"\nexpires = \"2h\"\nrefresh_at = 0.5\nreuse_nonce = false\n\
                headers = { \"User-Agent\" = \"New/2\", \"X-Site\" = \"NJ\" }\nagents = { csv = \"a.csv\", password = \"x\" }\n[[load]]\nreplay = \"r.csv\"\n\
                [[load]]\nhold = \"20m\"\n[registrar]\nmax_expires = \"600s\"\n";
    let made = Files::default().file("profile.toml", text).file("a.csv", &("user,trunk_id\n".to_owned() + &names));
    let plan = made.file("r.csv", &rows).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    let trace = trace_capture(capture(plan, 3).as_slice(), "shift.pcap").expect("a capture");
    let learnt = Learnt::of(&trace, false);
    let profile = learnt.profile("learnt", &NAMES);
    for said in [
        "\"User-Agent\" = \"Old/1\", \"X-Site\" = \"NJ\"",
        "expires   = \"7200s\"    # asked for; granted: 600 s",
        "expires   = \"300s\"    # asked for and granted",
        "max_expires = \"600s\"",
        "reuse_nonce = true",
        "reuse_nonce = false",
        "# registrar = \"sip:198.51.100.7:5060\"",
    ] {
        assert!(profile.contains(said), "{said}\n{profile}");
    }
    let shares: Vec<f64> = learnt.groups.iter().filter_map(|group| group.retry.refresh_at).collect();
    assert!((shares[0] - 0.5).abs() < 0.02 && (shares[1] - 0.9).abs() < 0.02, "{shares:?}");
    assert_eq!(learnt.rows(ReplayAct::Leave), 30 + 120, "thirty in between, and everybody at the end");
    assert!(learnt.rows(ReplayAct::Vanish) >= 30, "{profile}");
    let plan = written(&learnt).plan(&[]).unwrap_or_else(|error| panic!("{error}\n{profile}"));
    expect_near(&fit(&trace, plan));

    // Twice as fast and three times as many: in half the time three times the arrivals.
    let sets = ["load.0.speed=2", "trunk.0.agents.copies=3", "trunk.1.agents.copies=3"];
    let more = written(&learnt).plan(&sets).unwrap_or_else(|error| panic!("{error}"));
    let schedule = regstorm::load::Schedule::new(&more.load, Seed(1));
    assert_eq!(schedule.arrivals() as usize, 3 * learnt.rows(ReplayAct::Arrive));
    let same = written(&learnt).plan(&[]).expect("sound");
    let planned = |n: u32| regstorm::load::Schedule::new(&same.load, Seed(1)).planned(n).expect("planned");
    assert_eq!(schedule.planned(3 * 100), Some(planned(100) / 2));
}

#[test]
fn names_are_kept_or_replaced_everywhere() {
    let trace = trace_capture(run("preset = \"rfc\"", 5, 403, "1s", "60s").as_slice(), "lab").expect("a capture");
    let kept = Learnt::of(&trace, false);
    assert!(kept.agents_csv().starts_with("user,trunk_id\na"), "{}", kept.agents_csv());
    let other = Learnt::of(&trace, true);
    let texts = [other.profile("p", &NAMES), other.agents_csv(), other.arrivals_csv()].concat();
    for n in 0..5 {
        assert!(!texts.contains(&format!("a{n}")), "{texts}");
        assert!(texts.contains(&format!("user0000{}", n + 1)), "{texts}");
    }
    written(&other).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
}
