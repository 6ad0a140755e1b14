//! The bench over a simulated line: a registrar in the same process, time that passes only when
//! somebody rests.

use super::*;
use crate::agent::probe::{Probe, Todo};
use crate::diagnose::experiment::{ExperimentConclusion, Investigation, NextMove};
use crate::profile::{self, InMemory};
use crate::registrar::{Peer, Registrar};
use std::cell::RefCell;
use std::rc::Rc;

/// What the lines of one test share.
struct World {
    now: Time,
    registrar: Registrar,
    /// When each exchange began, and its first request.
    begun: Vec<(Time, String)>,
    ports: u16,
}

struct Simulated {
    world: Rc<RefCell<World>>,
    local: SocketAddr,
}

impl ProbeLine for Simulated {
    fn now(&self) -> Time {
        self.world.borrow().now
    }

    fn rest(&mut self, until: Time) -> Result<(), Failure> {
        let mut world = self.world.borrow_mut();
        world.now = world.now.max(until);
        Ok(())
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn exchange(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        let mut world = self.world.borrow_mut();
        let mut probe = Probe::new(request, self.local);
        let mut next = probe.start(world.now);
        let begun = (world.now, String::from_utf8_lossy(probe.bytes()).into_owned());
        world.begun.push(begun);
        let mut buffer = vec![0; 4096];
        loop {
            let now = world.now;
            next = match next {
                Todo::Done => return probe.finish(),
                Todo::Send => {
                    world.registrar.receive(now, Peer::from(self.local), probe.bytes());
                    Todo::Wait
                }
                Todo::Wait => match world.registrar.poll_transmit(now, &mut buffer) {
                    Some((len, _)) => {
                        // Each answer takes a while.
                        world.now += Duration::from_millis(3);
                        probe.receive(world.now, &buffer[..len])
                    }
                    None => {
                        world.now = probe.deadline();
                        probe.wake(world.now)
                    }
                },
            };
        }
    }

    fn open(&self, source: Option<IpAddr>) -> Result<Box<dyn ProbeLine>, String> {
        let mut world = self.world.borrow_mut();
        world.ports += 1;
        let local = SocketAddr::new(source.unwrap_or(self.local.ip()), world.ports);
        Ok(Box::new(Simulated { world: self.world.clone(), local }))
    }
}

fn plan(text: &'static str) -> Plan {
    Plan::new(&profile::load(&InMemory(text), "test.toml", &[]).expect("a sound profile")).expect("a sound profile")
}

const REALM: &str = r#"
[[trunk]]
id = "nj"
registrar = "embedded"
domain = "genesyscloud.test"
realm = "genesyscloud.test;tenant=acme"
source = ["127.0.0.3", "127.0.0.2"]
agents = { count = 3, user = "agent{n}", password = "secret" }
[[registrar.fault]]
kind = "realm"
challenge = "genesyscloud.test"
verify = "genesyscloud.test;tenant=acme"
"#;

/// Experiments on agent 0 until the conclusion.
fn investigate(plan: &Plan, rate: f64) -> (ExperimentConclusion, Investigation, Rc<RefCell<World>>) {
    let registrar = Registrar::new(plan.registrar.clone(), Seed(1), Time::from_secs(1));
    let world = World { now: Time::from_secs(1), registrar, begun: Vec::new(), ports: 40_000 };
    let world = Rc::new(RefCell::new(world));
    let line = Simulated { world: world.clone(), local: "127.0.0.3:40000".parse().expect("an address") };
    let target = "127.0.0.1:5060".parse().expect("an address");
    let patience = Duration::from_secs(5);
    let mut bench = Bench::new(plan, AgentId(0), (line, target), Pace::new(rate), patience, (Seed(7), 0));
    let first = bench.attempt(&Trial::Baseline).expect("time passes");
    let mut investigation = Investigation::new(&bench.subject(), first);
    loop {
        match investigation.next() {
            NextMove::Conclude(conclusion) => {
                assert_eq!(bench.left_behind(), 0);
                return (conclusion, investigation, world);
            }
            NextMove::Try(trial) => {
                let observation = bench.attempt(&trial).expect("time passes");
                assert_eq!(world.borrow().registrar.counts().bindings, 0, "the binding of {trial:?} is removed");
                investigation.record(observation);
            }
        }
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).expect(name)
}

#[test]
fn every_exchange_keeps_the_pace_and_leaves_nothing_behind() {
    for rate in [1.0, 20.0] {
        let (conclusion, investigation, world) = investigate(&plan(REALM), rate);
        assert_eq!(conclusion.to_string(), "conclusion: realm = genesyscloud.test;tenant=acme");
        let world = world.borrow();
        let granted = investigation.rows().iter().filter(|row| row.observation.is_granted()).count();
        assert_eq!(world.begun.len(), investigation.rows().len() + granted, "each binding is removed once");
        let gap = Duration::from_secs_f64(1.0 / rate);
        assert!(world.begun.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= gap), "{rate}");
        // One phone: one Call-ID, and a sequence that only rises (RFC 3261 §10.2).
        let calls: Vec<&str> = world.begun.iter().map(|(_, text)| header(text, "Call-ID: ")).collect();
        assert!(calls.windows(2).all(|pair| pair[0] == pair[1]));
        let sequence: Vec<u32> = world
            .begun
            .iter()
            .map(|(_, text)| header(text, "CSeq: ").split(' ').next().expect("a number").parse().expect("a number"))
            .collect();
        assert!(sequence.windows(2).all(|pair| pair[0] < pair[1]), "{sequence:?}");
    }
}

#[test]
fn each_change_changes_what_it_says_and_nothing_else() {
    const REFUSE: &str = r#"
[[trunk]]
id = "nj"
registrar = "embedded"
domain = "genesyscloud.test"
source = ["127.0.0.3", "127.0.0.2"]
agents = { count = 3, user = "agent{n}", password = "secret" }
[[registrar.fault]]
kind = "refuse"
code = 403
reason = "Authentication Failed"
"#;
    let (conclusion, investigation, world) = investigate(&plan(REFUSE), 10.0);
    // A wrong password gets 401: the right one was checked, and so was its realm.
    assert_eq!(conclusion.to_string(), "conclusion: open: account, limit");
    let world = world.borrow();
    let common = |text: &str| {
        let changing = ["CSeq", "Via", "Call-ID", "From", "Expires", "Contact", "To", "REGISTER"];
        let kept = text.lines().filter(|line| !changing.iter().any(|name| line.starts_with(name)));
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    let baseline = &world.begun[0].1;
    for (row, (_, text)) in investigation.rows().iter().zip(&world.begun) {
        let Trial::Changed(change) = &row.trial else { continue };
        assert_eq!(common(text), common(baseline), "{change}");
        let differs = |name: &str| header(text, name) != header(baseline, name);
        assert_eq!(differs("Expires: "), matches!(change, Change::Expires(_)), "{change}");
        assert_eq!(differs("Call-ID: "), matches!(change, Change::CallId | Change::Agent(_)), "{change}");
        assert_eq!(differs("REGISTER "), matches!(change, Change::Domain(_)), "{change}");
        let moved = matches!(change, Change::Source(_) | Change::Port | Change::Agent(_));
        assert_eq!(differs("Contact: "), moved, "{change}");
    }
    let pause = investigation.rows().iter().position(|row| matches!(row.trial, Trial::Changed(Change::Pause(_))));
    let pause = pause.expect("a 403 may pass");
    assert!(world.begun[pause].0.since(world.begun[pause - 1].0) >= Duration::from_secs(1), "ten gaps");
}

#[test]
fn without_an_answer_to_credentials_the_binding_is_removed_as_well() {
    let plan = plan(
        r#"
[[trunk]]
id = "nj"
registrar = "embedded"
domain = "genesyscloud.test"
agents = { count = 1, user = "agent{n}", password = "secret" }
"#,
    );
    let granted = {
        let (conclusion, ..) = investigate(&plan, 1.0);
        conclusion
    };
    assert_eq!(granted, ExperimentConclusion::Healthy { agents: 1 });
    let unanswered = |place| {
        let step = crate::agent::probe::ProbeStep {
            place,
            credentials: None,
            retransmissions: 3,
            provisional: None,
            took: Duration::from_secs(5),
            answer: None,
        };
        let call = Call::new(Seed(1), 0);
        ProbeOutcome { steps: vec![step], end: ProbeEnd::TimedOut, asked_expires_s: 60, strays: 0, call }
    };
    assert!(may_be_bound(&unanswered(Place::AfterCredentials)));
    assert!(!may_be_bound(&unanswered(Place::Unchallenged)));
}
