//! A fleet of one worker without sockets, for the benches that drive one: one trunk, one flow,
//! agents that share a password and arrive evenly.

use regstorm::agent::{Credential, IdentityBook, TrunkPolicy};
use regstorm::fleet::{Fleet, FleetConfig, Flow, Flows};
use regstorm::load::{LoadConfig, LoadStage, Process, Schedule, Stripe, WhenExhausted};
use regstorm::measure::{Tally, TallyConfig};
use regstorm::seed::Seed;
use regstorm::sip::emit::{RegisterTemplate, TemplateParts};
use regstorm::sip::{Algorithm, AlgorithmSet};
use regstorm::vocab::{FlowId, RunTag, Secret, Time, Transport, TrunkId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// When the load begins.
pub const START: Time = Time::from_secs(1);

/// The registrar's address.
pub fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5060))
}

/// `agents` agents that accept `algorithm`, `per_second` of them arriving. The run tag, the seed
/// and so every byte they send are the same each time: replies made once fit every fleet of these
/// parameters.
pub fn fleet(agents: u32, algorithm: Algorithm, per_second: f64) -> Fleet {
    let policy =
        TrunkPolicy { algorithms: AlgorithmSet::EMPTY.with(algorithm), ..TrunkPolicy::plain("genesyscloud.test") };
    let load = LoadConfig {
        stages: vec![LoadStage::Rate { per_second, lasts: Duration::from_secs(60) }],
        agents,
        replay: None,
        max_in_flight: 20_000,
        max_message_rate: 10_000_000,
        max_connect_rate: 10_000_000,
        process: Process::Uniform,
        when_exhausted: WhenExhausted::Stop,
    };
    let local = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let template = RegisterTemplate::new(&TemplateParts {
        domain: "genesyscloud.test",
        transport: Transport::Udp,
        sent_by: "127.0.0.1:40000",
        route: None,
        user_agent: "regstorm",
        headers: &[],
    })
    .padded();
    let mut flows = Flows::default();
    flows.add(Flow { trunk: TrunkId(0), source: 0, local, remote: peer(), template, stream: None, keepalive: None });
    let config = FleetConfig {
        stripe: Stripe::WHOLE,
        identities: Arc::new(identities(agents)),
        policies: Arc::from([policy]),
        flows: flows.with_agents(vec![FlowId(0); agents as usize]),
        schedule: Arc::new(Schedule::new(&load, Seed(7))),
        start: START,
        seed: Seed(7),
        run: RunTag(7),
        max_in_flight: load.max_in_flight,
        max_message_rate: load.max_message_rate,
        capture_secrets: false,
    };
    Fleet::new(config, tally(agents))
}

fn identities(agents: u32) -> IdentityBook {
    let mut identities = IdentityBook::default();
    let password = identities.credential(Credential::Password(Secret::new("secret")));
    for n in 0..agents {
        let user = format!("agent{n:05}");
        identities.push(TrunkId(0), n, &user, &user, password);
    }
    identities.settle();
    identities
}

fn tally(agents: u32) -> Tally {
    Tally::new(TallyConfig {
        trunks: 1,
        agents: agents as usize,
        worker: 0,
        workers: 1,
        interval: Duration::from_secs(60),
        start: START,
        late: Duration::from_millis(5),
        stall: Duration::from_millis(10),
        passed: Duration::ZERO,
        warmup: Duration::ZERO,
    })
}
