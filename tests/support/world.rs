//! A small world in virtual time: agents of one trunk, a perfect link of 5 ms each way, a registrar
//! without faults. Tests change what they are about.

use regstorm::agent::{Backoff, Credential, IdentityBook, RetryPolicy, TrunkPolicy};
use regstorm::link::LinkConfig;
use regstorm::load::{LoadConfig, LoadStage, Process, WhenExhausted};
use regstorm::registrar::{Config, Delay, Fault, FaultKind};
use regstorm::seed::Seed;
use regstorm::sim::{SimOutcome, WorldConfig};
use regstorm::vocab::{RunTag, Secret, Status, TrunkId};
use std::time::Duration;

pub const DOMAIN: &str = "genesyscloud.test";
pub const PASSWORD: &str = "secret";

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Every agent alike, none of which tries a second time.
pub fn world(agents: u32, stages: Vec<LoadStage>) -> WorldConfig {
    let mut identities = IdentityBook::default();
    let password = identities.credential(Credential::Password(Secret::new(PASSWORD)));
    for n in 0..agents {
        let user = format!("agent{n:05}");
        identities.push(TrunkId(0), n, &user, &user, password);
    }
    WorldConfig {
        seed: Seed(7),
        identities: identities.into(),
        policies: vec![policy(RetryPolicy::NONE)],
        load: LoadConfig {
            stages,
            process: Process::Uniform,
            when_exhausted: WhenExhausted::Stop,
            agents,
            replay: None,
            max_in_flight: 20_000,
            max_message_rate: 1_000_000,
            max_connect_rate: 1_000_000,
        },
        workers: 2,
        sources: Vec::new(),
        places: Vec::new(),
        wordings: Vec::new(),
        warmup: Duration::ZERO,
        run: RunTag(7),
        interval: seconds(60),
        drain: seconds(35),
        unregister_rate: Some(1000.0),
        link: LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(5))), drop: 0.0 },
        registrar: Config::open(DOMAIN, PASSWORD),
    }
}

pub fn policy(retry: RetryPolicy) -> TrunkPolicy {
    TrunkPolicy { realm: Some(DOMAIN.into()), expires_s: 600, retry, ..TrunkPolicy::plain(DOMAIN) }
}

/// Again after `interval`, whatever the answer.
pub fn hammer(interval: Duration) -> RetryPolicy {
    let again = Backoff::Fixed { interval, jitter: 0.0 };
    RetryPolicy { recoverable: again, forbidden: again, refused: again, ..RetryPolicy::HAMMER }
}

/// A constant rate of arrivals.
pub fn rate(per_second: f64, secs: u64) -> LoadStage {
    LoadStage::Rate { per_second, lasts: seconds(secs) }
}

/// No arrivals.
pub fn hold(secs: u64) -> LoadStage {
    LoadStage::Hold { lasts: seconds(secs) }
}

/// One more fault at the registrar, from the start to the end and for every agent.
pub fn with_fault(mut config: WorldConfig, kind: FaultKind) -> WorldConfig {
    let (from, until) = (Duration::ZERO, None);
    config.registrar.faults.push(Fault {
        kind,
        from,
        until,
        share: 1.0,
        sources: Vec::new(),
        addresses: Vec::new(),
        domain: None,
    });
    config
}

/// Attempts by status, after checking that every one is accounted for in every interval, and none
/// is open in the end.
#[track_caller]
pub fn statuses(outcome: &SimOutcome) -> [u64; Status::COUNT] {
    let mut ended = [0; Status::COUNT];
    let mut started = 0;
    let mut open = 0;
    for interval in &outcome.intervals {
        for trunk in &interval.trunks {
            started += trunk.attempts_started();
            for (sum, count) in ended.iter_mut().zip(trunk.status) {
                *sum += count;
            }
        }
        open = interval.trunks.iter().map(|trunk| trunk.open).sum();
        assert_eq!(started, ended.iter().sum::<u64>() + open, "interval {}", interval.index);
    }
    assert_eq!(open, 0, "open when the world ended");
    ended
}

/// Attempts that ended so.
#[track_caller]
pub fn count(outcome: &SimOutcome, status: Status) -> u64 {
    statuses(outcome)[status.index()]
}
