//! `[[truth]]` beside a run: servers are asked how many bindings they hold, and each answer is put
//! beside what we held at that moment.

use super::failure::Failure;
use super::output::say;
use super::side::side_by_side;
use super::targets::allowed;
use crate::engine::RunPosition;
use crate::measure::Glance;
use crate::net::clock::Clock;
use crate::net::resolve;
use crate::plan::{Plan, TruthProfile};
use crate::record::{OurBindings, TruthHeader, TruthSample};
use crate::truth::{Sampler, TruthPlace, TruthReading, TruthSource, ask_once};
use crate::vocab::{Time, TruthAddress, Word, nanos, saturating_u16};
use ipnet::IpNet;
use std::collections::VecDeque;
use std::time::Duration;

/// How far from a sample our own count may be that it is held against: positions come ten times a
/// second, an answer takes its time on the way, and seconds are the finest that a server counts a
/// lifetime in.
const SLACK: Duration = Duration::from_millis(1_200);
/// Our own counts are kept for so long: longer than an answer may take.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The servers of a profile, looked up and allowed.
///
/// # Errors
/// A name without an address could not run; an address outside the allowed ones is bad usage.
pub(super) fn servers(plan: &Plan) -> Result<Vec<TruthSource>, Failure> {
    let server = |(n, profile): (usize, &TruthProfile)| {
        Ok(TruthSource {
            kind: profile.kind,
            place: place(&plan.allow_targets, n, profile)?,
            every: profile.every,
            pointer: profile.pointer.clone().unwrap_or_default(),
            username: profile.username.clone().unwrap_or_default(),
            secret: profile.secret.clone(),
        })
    };
    plan.truths.iter().enumerate().map(server).collect()
}

fn place(nets: &[IpNet], n: usize, profile: &TruthProfile) -> Result<TruthPlace, Failure> {
    let Some(address) = &profile.address else {
        return Ok(TruthPlace::Command(profile.command.clone().unwrap_or_default()));
    };
    let Some(host) = address.host() else {
        let TruthAddress::Unix(path) = address else {
            return Err(Failure::could_not(format!("truth {n}: {address} names no machine")));
        };
        return Ok(TruthPlace::Unix(path.clone()));
    };
    let found = resolve(&host.host, host.port, None)
        .map_err(|error| Failure::could_not(format!("truth {n}: the name {} does not resolve: {error}", host.host)))?;
    if let Some(refused) = found.iter().find(|found| !allowed(nets, found.ip())) {
        let refused = refused.ip();
        return Err(Failure::usage(format!(
            "truth {n}: {refused} ({address}) is not among the allowed targets; nothing was sent.\n\
             If this server is yours to ask, add its address to [safety] allow_targets, for example \
             allow_targets = [\"{refused}\"]"
        )));
    }
    let Some(at) = found.first().copied() else {
        return Err(Failure::could_not(format!("truth {n}: {} has no address", host.host)));
    };
    Ok(match address {
        TruthAddress::Udp(_) => TruthPlace::Udp(at),
        TruthAddress::Http { url, .. } => TruthPlace::Http { url: url.clone(), host: host.host.clone() },
        TruthAddress::Tcp(_) | TruthAddress::Unix(_) => TruthPlace::Tcp(at),
    })
}

/// Servers that were asked before the run.
pub(super) struct KnownServers {
    servers: Vec<TruthSource>,
    /// What they said.
    pub headers: Vec<TruthHeader>,
    /// By trunk: whether a canary registers beside its agents.
    canaries: Vec<bool>,
}

/// Asks every server once, before the first phone, and says which did not answer.
pub(super) fn before(
    plan: &Plan,
    servers: Vec<TruthSource>,
    canaries: Vec<bool>,
    (clock, aloud): (Clock, bool),
) -> KnownServers {
    let readings = side_by_side(&servers, |server| ask_once(0, server, clock));
    let headers: Vec<TruthHeader> =
        plan.truths.iter().zip(readings).map(|(profile, reading)| header(plan, profile, reading)).collect();
    for header in headers.iter().filter(|_| aloud) {
        if let Some(why) = &header.unknown {
            say(&format!("warning: what {} holds is not known: {why}", header.named()));
        }
    }
    KnownServers { servers, headers, canaries }
}

/// The trunk that a server counts, by position; `None`: all of several together.
pub(super) fn trunk_of(plan: &Plan, profile: &TruthProfile) -> Option<usize> {
    let named = profile.trunk.as_ref().and_then(|id| plan.trunks.iter().position(|trunk| trunk.id == *id));
    // Where there is one trunk it is that one.
    named.or((plan.trunks.len() == 1).then_some(0))
}

fn header(plan: &Plan, profile: &TruthProfile, reading: TruthReading) -> TruthHeader {
    let trunk = trunk_of(plan, profile);
    TruthHeader {
        kind: profile.kind.as_str().to_owned(),
        address: match &profile.address {
            Some(address) => address.to_string(),
            None => profile.command.clone().unwrap_or_default(),
        },
        trunk: trunk.map(saturating_u16),
        every_ns: nanos(profile.every),
        sweep_ns: nanos(profile.sweep),
        bindings_each: plan.trunks.iter().map(|trunk| trunk.contacts.into()).max().unwrap_or(1),
        before: reading.count.as_ref().ok().copied(),
        unknown: reading.count.err(),
    }
}

/// What the servers say while a run goes on.
pub(super) struct TruthWatch {
    sampler: Sampler,
    servers: Vec<TruthSource>,
    headers: Vec<TruthHeader>,
    /// By trunk: the bindings of an agent, and those of its canary, which is no agent.
    bindings: Vec<(u64, u64)>,
    clock: Clock,
    start: Time,
    /// What we held, and when: nanoseconds since the start.
    held: VecDeque<(u64, Vec<Glance>)>,
    /// Answers whose moment is not long enough ago.
    waiting: Vec<TruthReading>,
    /// The last answer of each server that is known, and whether a person was told that it is not.
    last: Vec<Option<u64>>,
    silent: Vec<bool>,
}

impl TruthWatch {
    /// Begins to ask; `None` where nobody is to be asked.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub(super) fn begin(
        plan: &Plan,
        known: KnownServers,
        clock: Clock,
        start: Time,
    ) -> Result<Option<TruthWatch>, Failure> {
        let KnownServers { servers, headers, canaries } = known;
        if servers.is_empty() {
            return Ok(None);
        }
        let sampler = Sampler::begin(&servers, clock)
            .map_err(|error| Failure::could_not(format!("the thread that asks servers for their counts: {error}")))?;
        let trunks = plan.trunks.iter().zip(&canaries);
        let bindings = trunks.map(|(trunk, canary)| (trunk.contacts.into(), u64::from(*canary))).collect();
        let silent = headers.iter().map(|header| header.unknown.is_some()).collect();
        let last = headers.iter().map(|header| header.before).collect();
        let (held, waiting) = (VecDeque::new(), Vec::new());
        Ok(Some(TruthWatch { sampler, servers, headers, bindings, clock, start, held, waiting, last, silent }))
    }

    /// Takes note of what we hold.
    pub(super) fn position(&mut self, position: &RunPosition) {
        let now = nanos(position.elapsed);
        self.held.push_back((now, position.glances.clone()));
        while self.held.front().is_some_and(|(at, _)| *at + nanos(REMEMBERED) < now) {
            self.held.pop_front();
        }
    }

    /// The answers that can be held against our own count by now.
    pub(super) fn settled(&mut self) -> Vec<TruthSample> {
        let until = self.held.back().map_or(0, |(at, _)| *at);
        self.settle(|answered| answered + nanos(SLACK) <= until)
    }

    /// Asks each server a last time, after the run, and gives all that is left. `left_bound` agents
    /// are registered still, of whichever trunk.
    pub(super) fn end(mut self, left_bound: u64) -> Vec<TruthSample> {
        if left_bound == 0 {
            // The last position may be from before the last of them left.
            let elapsed = self.clock.now().since(self.start);
            let glances = vec![Glance::default(); self.bindings.len()];
            self.position(&RunPosition { elapsed, glances, ..RunPosition::default() });
        }
        let numbered: Vec<(usize, &TruthSource)> = self.servers.iter().enumerate().collect();
        let last = side_by_side(&numbered, |(n, server)| ask_once(*n, server, self.clock));
        let mut samples = self.settle(|_| true);
        self.waiting = last;
        samples.extend(self.settle(|_| true));
        samples
    }

    fn settle(&mut self, is_over: impl Fn(u64) -> bool) -> Vec<TruthSample> {
        self.waiting.append(&mut self.sampler.take());
        let (over, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|reading| is_over(reading.answered.nanos_since(self.start)));
        self.waiting = waiting;
        over.into_iter().map(|reading| self.sample(reading)).collect()
    }

    fn sample(&mut self, reading: TruthReading) -> TruthSample {
        let asked_ns = reading.asked.nanos_since(self.start);
        let answered_ns = reading.answered.nanos_since(self.start);
        let ours = self.ours(reading.server, asked_ns, answered_ns);
        let (count, unknown) = match reading.count {
            Ok(count) => (Some(count), None),
            Err(why) => (None, Some(why)),
        };
        self.last[reading.server] = count;
        TruthSample {
            server: saturating_u16(reading.server),
            asked_ns,
            took_ns: answered_ns.saturating_sub(asked_ns),
            count,
            unknown,
            ours,
            heard: reading.heard,
        }
    }

    /// What we held from shortly before the question until shortly after the answer.
    fn ours(&self, server: usize, asked_ns: u64, answered_ns: u64) -> Option<OurBindings> {
        let trunk = self.headers[server].trunk.map(usize::from);
        // Nobody has looked since: the last agents may have left meanwhile.
        self.held.back().filter(|(at, _)| *at + nanos(SLACK) >= asked_ns)?;
        let (from, until) = (asked_ns.saturating_sub(nanos(SLACK)), answered_ns + nanos(SLACK));
        // What stood before still stood then.
        let first = self.held.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        let inside = self.held.iter().skip(first).take_while(|(at, _)| *at <= until);
        let counts = inside.map(|(_, glances)| {
            let trunks = glances.iter().zip(&self.bindings).enumerate();
            let counted = trunks.filter(|(n, _)| trunk.is_none_or(|trunk| trunk == *n));
            counted.fold((0, 0, 0), |(held, canaries, open), (_, (glance, (each, canary)))| {
                (held + glance.registered * each, canaries + canary, open + glance.open * each)
            })
        });
        counts.fold(None, |ours: Option<OurBindings>, (held, canaries, open)| {
            let before = ours.unwrap_or(OurBindings { least: u64::MAX, most: 0, under_way: 0 });
            Some(OurBindings {
                least: before.least.min(held),
                most: before.most.max(held + canaries),
                under_way: before.under_way.max(open),
            })
        })
    }

    /// What to tell a person: a server that does not say any more, or does again.
    pub(super) fn news(&mut self, samples: &[TruthSample]) -> Vec<String> {
        let mut news = Vec::new();
        for sample in samples {
            let server = usize::from(sample.server);
            match (&sample.unknown, self.silent[server]) {
                (Some(why), false) => {
                    news.push(format!("what {} holds is not known: {why}", self.headers[server].named()))
                }
                (None, true) => news.push(format!("{} tells its count again", self.headers[server].named())),
                _ => continue,
            }
            self.silent[server] = sample.unknown.is_some();
        }
        news
    }

    /// What each server said last, with its trunk; `None` where that is not known.
    pub(super) fn latest(&self) -> Vec<(Option<usize>, Option<u64>)> {
        self.headers.iter().zip(&self.last).map(|(header, count)| (header.trunk.map(usize::from), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::{Secret, TruthKind};

    fn watch(trunk: Option<u16>, contacts: u64) -> TruthWatch {
        let header = TruthHeader { trunk, before: Some(0), ..TruthHeader::default() };
        let clock = Clock::new();
        TruthWatch {
            sampler: Sampler::begin(&[], clock).expect("no thread is needed"),
            servers: Vec::new(),
            headers: vec![header],
            bindings: vec![(contacts, 0), (contacts, 1)],
            clock,
            start: Time::from_nanos(1_000_000_000),
            held: VecDeque::new(),
            waiting: Vec::new(),
            last: vec![None],
            silent: vec![false],
        }
    }

    fn position(watch: &mut TruthWatch, ms: u64, registered: [u64; 2]) {
        let glances = registered.map(|registered| Glance { registered, open: 1, ..Glance::default() }).to_vec();
        watch.position(&RunPosition { elapsed: Duration::from_millis(ms), glances, ..RunPosition::default() });
    }

    fn answer(ms: u64, count: Result<u64, String>) -> TruthReading {
        let at = Time::from_nanos(1_000_000_000 + ms * 1_000_000);
        TruthReading { server: 0, asked: at, answered: at + Duration::from_millis(10), count, heard: Vec::new() }
    }

    #[test]
    fn an_answer_is_held_against_what_we_held_about_its_moment() {
        let mut watch = watch(None, 2);
        for step in 0..60 {
            position(&mut watch, step * 100, [step, 10]);
        }
        watch.waiting = vec![answer(3_000, Ok(70)), answer(5_500, Ok(1))];
        let samples = watch.settled();
        // The later one waits until its moment is over.
        assert_eq!((samples.len(), watch.waiting.len()), (1, 1));
        assert_eq!((samples[0].count, samples[0].asked_ns, samples[0].took_ns), (Some(70), 3_000_000_000, 10_000_000));
        let ours = samples[0].ours.expect("we looked");
        assert_eq!((ours.least, ours.most, ours.under_way), (2 * 18 + 20, 2 * 42 + 20 + 1, 4));
        assert_eq!(watch.latest(), [(None, Some(70))]);
        assert_eq!(watch.settle(|_| true).len(), 1);
    }

    #[test]
    fn only_its_own_trunk_counts() {
        let mut watch = watch(Some(0), 1);
        position(&mut watch, 900, [5, 10]);
        watch.waiting = vec![answer(1_000, Ok(5))];
        let ours = watch.settle(|_| true)[0].ours.expect("we looked");
        assert_eq!((ours.least, ours.most), (5, 5));
    }

    #[test]
    fn what_is_not_known_is_told_once() {
        let mut watch = watch(Some(0), 1);
        watch.waiting =
            vec![answer(0, Err("nobody".to_owned())), answer(1, Err("nobody".to_owned())), answer(2, Ok(0))];
        let samples = watch.settle(|_| true);
        assert_eq!(samples[0].ours, None, "nobody looked");
        let news = watch.news(&samples);
        assert_eq!(news.len(), 2, "{news:?}");
        assert!(news[0].contains("not known: nobody") && news[1].contains("again"), "{news:?}");
    }

    #[test]
    fn an_address_outside_the_allowed_ones_is_refused() {
        let nets: Vec<IpNet> = vec!["127.0.0.0/8".parse().expect("a network")];
        let profile = |address: &str| TruthProfile {
            kind: TruthKind::Kamailio,
            address: address.parse().ok(),
            command: None,
            trunk: None,
            every: Duration::from_secs(1),
            sweep: Duration::from_secs(60),
            pointer: None,
            username: None,
            secret_env: None,
            secret: Secret::default(),
        };
        let place = |address| place(&nets, 0, &profile(address));
        assert!(matches!(place("udp:127.0.0.1:9"), Ok(TruthPlace::Udp(_))));
        assert!(matches!(place("unix:/run/rpc"), Ok(TruthPlace::Unix(_))));
        for outside in ["udp:192.0.2.1:9", "tcp:[2001:db8::1]:9", "http://192.0.2.1/"] {
            let refused = place(outside).expect_err(outside);
            assert!(matches!(refused, Failure::Usage(_)), "{refused}");
        }
    }
}
