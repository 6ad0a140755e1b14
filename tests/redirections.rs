//! Redirections to a host name, told to a fleet without sockets: a name is asked for once, waited
//! for so long and no longer, and leads nowhere else than it may; only so many are asked for.

use regstorm::agent::{Credential, IdentityBook, RetryPolicy, TrunkPolicy};
use regstorm::fleet::{Fleet, FleetConfig, Flow, Flows, FoundName, NameQuestion, Ways};
use regstorm::load::{LoadConfig, LoadStage, Process, Schedule, Stripe, WhenExhausted};
use regstorm::measure::{Interval, RoutingWord, Tally, TallyConfig};
use regstorm::seed::Seed;
use regstorm::sip::emit::{RegisterTemplate, TemplateParts, write_response};
use regstorm::sip::locate::Destination;
use regstorm::sip::scan;
use regstorm::vocab::{FlowId, RunTag, Secret, Status, Time, Transport, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const START: Time = Time::from_secs(1);

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

/// Where agents send to, and whom they ask for names.
#[derive(Default)]
struct Desk {
    sent: Vec<(FlowId, Vec<u8>)>,
    /// The flows there are, beside the first.
    opened: Vec<SocketAddr>,
    asked: Vec<NameQuestion>,
}

impl Ways for Desk {
    fn put(&mut self, flow: FlowId, _tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let mut buffer = vec![0; 4096];
        let length = write(&mut buffer);
        buffer.truncate(length);
        self.sent.push((flow, buffer));
    }

    fn another(&mut self, _like: FlowId, to: SocketAddr) -> Option<SocketAddr> {
        self.opened.push(to);
        Some(at("127.0.0.1:40001"))
    }

    fn ask_name(&mut self, question: NameQuestion) -> bool {
        self.asked.push(question);
        true
    }
}

/// Agents that try once, all at the start.
fn fleet(agents: u32) -> Fleet {
    let mut identities = IdentityBook::default();
    let password = identities.credential(Credential::Password(Secret::new("secret")));
    for n in 0..agents {
        let user = format!("a{n}");
        identities.push(TrunkId(0), n, &user, &user, password);
    }
    let load = LoadConfig {
        stages: vec![LoadStage::Avalanche { agents }, LoadStage::Hold { lasts: Duration::from_secs(60) }],
        agents,
        replay: None,
        max_in_flight: 20_000,
        max_message_rate: 10_000_000,
        max_connect_rate: 10_000_000,
        process: Process::Uniform,
        when_exhausted: WhenExhausted::Stop,
    };
    let template = RegisterTemplate::new(&TemplateParts {
        domain: "d.test",
        transport: Transport::Udp,
        sent_by: "127.0.0.1:40000",
        route: None,
        user_agent: "regstorm",
        headers: &[],
    });
    let mut flows = Flows::default();
    let (local, remote) = (at("127.0.0.1:40000"), at("127.0.0.1:5060"));
    flows.add_line([Flow { trunk: TrunkId(0), source: 0, local, remote, template, stream: None, keepalive: None }]);
    let allowed = Arc::from(["127.0.0.0/8".parse().expect("a network")]);
    let config = FleetConfig {
        stripe: Stripe::WHOLE,
        identities: Arc::new(identities),
        policies: Arc::from([TrunkPolicy { retry: RetryPolicy::NONE, ..TrunkPolicy::plain("d.test") }]),
        flows: flows.with_agents(vec![FlowId(0); agents as usize]).allowing(allowed),
        schedule: Arc::new(Schedule::new(&load, Seed(7))),
        start: START,
        seed: Seed(7),
        run: RunTag(7),
        max_in_flight: load.max_in_flight,
        max_message_rate: load.max_message_rate,
        capture_secrets: false,
    };
    let tally = Tally::new(TallyConfig {
        trunks: 1,
        agents: agents as usize,
        worker: 0,
        workers: 1,
        interval: Duration::from_secs(3_600),
        start: START,
        late: Duration::from_secs(1),
        stall: Duration::from_secs(1),
        passed: Duration::ZERO,
        warmup: Duration::ZERO,
    });
    Fleet::new(config, tally)
}

/// Everything that is due by then.
fn pass(fleet: &mut Fleet, desk: &mut Desk, now: Time) {
    while fleet.turn(now, desk) {}
}

/// Answers every request that was sent to the first address: it is redirected there.
fn redirect(fleet: &mut Fleet, desk: &mut Desk, now: Time, contact: impl Fn(usize) -> String) {
    for (n, (flow, bytes)) in std::mem::take(&mut desk.sent).into_iter().enumerate() {
        let request = scan::request(&bytes).expect("a request of ours");
        let extra = format!("Contact: <{}>\r\n", contact(n));
        let mut answer = [0; 4096];
        let length =
            write_response(&request, 302, "Moved", at("127.0.0.1:40000"), b"tag", extra.as_bytes(), &mut answer);
        let answer = &answer[..length.expect("room")];
        fleet.driver().receive(now, now, flow, at("127.0.0.1:5060"), answer, desk);
    }
}

fn words(interval: &Interval) -> Vec<(RoutingWord, u64)> {
    let mut words: Vec<(RoutingWord, u64)> = Vec::new();
    for row in &interval.evidence.routing {
        match words.iter_mut().find(|(word, _)| *word == row.word) {
            Some((_, count)) => *count += row.count,
            None => words.push((row.word, row.count)),
        }
    }
    words
}

fn found(question: &NameQuestion, addresses: &[&str], holds: Duration) -> FoundName {
    let place = |address: &&str| Destination { address: at(address), priority: 0, weight: 0, host: 0 };
    FoundName { question: question.clone(), places: addresses.iter().map(place).collect(), holds: Some(holds) }
}

#[test]
fn a_name_is_asked_for_once_and_everybody_who_waits_goes_there() {
    let (mut fleet, mut desk) = (fleet(50), Desk::default());
    pass(&mut fleet, &mut desk, START);
    assert_eq!(desk.sent.len(), 50);
    redirect(&mut fleet, &mut desk, START, |_| "sip:edge.test".to_owned());
    pass(&mut fleet, &mut desk, START + Duration::from_secs(3));
    assert_eq!((desk.asked.len(), desk.sent.len()), (1, 0), "asked once; nothing is sent meanwhile, nor repeated");
    let now = START + Duration::from_secs(4);
    // One that may not be spoken to is as good as not there.
    fleet.found(now, &found(&desk.asked[0], &["10.0.0.9:5060", "127.0.0.9:5080"], Duration::from_secs(60)));
    pass(&mut fleet, &mut desk, now);
    assert_eq!((desk.sent.len(), &desk.opened[..]), (50, &[at("127.0.0.9:5080")][..]));
    let interval = fleet.finish(now);
    assert_eq!(words(&interval), [(RoutingWord::Followed, 50)]);
}

#[test]
fn a_name_that_may_not_be_spoken_to_ends_the_attempt_with_what_redirected_it() {
    for (addresses, word) in [(&["10.0.0.9:5060"][..], RoutingWord::NotAllowed), (&[], RoutingWord::NameUnknown)] {
        let (mut fleet, mut desk) = (fleet(3), Desk::default());
        pass(&mut fleet, &mut desk, START);
        redirect(&mut fleet, &mut desk, START, |_| "sip:edge.test".to_owned());
        fleet.found(START, &found(&desk.asked[0], addresses, Duration::from_secs(60)));
        pass(&mut fleet, &mut desk, START);
        assert!(desk.sent.is_empty() && desk.opened.is_empty(), "nothing goes there");
        let interval = fleet.finish(START);
        assert_eq!(words(&interval), [(word, 3)]);
        assert_eq!(interval.trunks[0].status[Status::RegistrationRejected.index()], 3);
    }
}

#[test]
fn nobody_waits_for_a_name_longer_than_ten_seconds() {
    let (mut fleet, mut desk) = (fleet(200), Desk::default());
    pass(&mut fleet, &mut desk, START);
    redirect(&mut fleet, &mut desk, START, |_| "sip:edge.test".to_owned());
    pass(&mut fleet, &mut desk, START + Duration::from_millis(9_999));
    assert!(fleet.is_busy());
    let end = START + Duration::from_secs(10);
    pass(&mut fleet, &mut desk, end);
    assert!(!fleet.is_busy(), "all have given up");
    // What comes now comes too late for them.
    fleet.found(end, &found(&desk.asked[0], &["127.0.0.9:5080"], Duration::from_secs(60)));
    pass(&mut fleet, &mut desk, end);
    assert!(desk.sent.is_empty());
    let interval = fleet.finish(end);
    assert_eq!(words(&interval), [(RoutingWord::NameSlow, 200)]);
    assert_eq!(interval.trunks[0].status[Status::RegistrationRejected.index()], 200);
}

/// A server that makes up a name for each answer.
#[test]
fn only_so_many_names_are_asked_for_at_a_time() {
    let (mut fleet, mut desk) = (fleet(100), Desk::default());
    pass(&mut fleet, &mut desk, START);
    redirect(&mut fleet, &mut desk, START, |n| format!("sip:edge{n}.test"));
    assert_eq!(desk.asked.len(), 16);
    let end = START + Duration::from_secs(10);
    pass(&mut fleet, &mut desk, end);
    let interval = fleet.finish(end);
    assert_eq!(words(&interval), [(RoutingWord::ByName, 8), (RoutingWord::NameSlow, 8)], "a few texts of each");
    assert_eq!(interval.trunks[0].status[Status::RegistrationRejected.index()], 100);
}

/// An un-REGISTER or the end of a run does not wait for a name, and what comes then changes
/// nothing.
#[test]
fn an_attempt_that_was_abandoned_goes_nowhere() {
    let (mut fleet, mut desk) = (fleet(5), Desk::default());
    pass(&mut fleet, &mut desk, START);
    redirect(&mut fleet, &mut desk, START, |_| "sip:edge.test".to_owned());
    let now = START + Duration::from_secs(1);
    let interval = fleet.begin_unregister(now, 1_000.0);
    assert_eq!(interval.trunks[0].status[Status::Abandoned.index()], 5);
    fleet.found(now, &found(&desk.asked[0], &["127.0.0.9:5080"], Duration::from_secs(60)));
    pass(&mut fleet, &mut desk, now + Duration::from_secs(1));
    assert!(desk.opened.is_empty() && words(&fleet.finish(now)).is_empty());
}
