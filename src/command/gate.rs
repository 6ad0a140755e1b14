//! `watch --listen`: what canaries, platforms and servers say of each trunk, as a gate for a
//! dialler.

use super::failure::{Failure, span_of};
use super::metrics::bind_to;
use super::output::say;
use super::platform::poll::PlatformPoller;
use super::truths;
use crate::cli::WatchArgs;
use crate::diagnose::gate::{GateState, Opinion, TrunkGate, Voice};
use crate::diagnose::watch::Light;
use crate::live::Endpoint;
use crate::live::gate::{GateKeeper, open_gate};
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::profile::PlatformProfile;
use crate::record::results::utc;
use crate::report::watch::exposition;
use crate::truth::{PATIENCE, Sampler, TruthReading};
use crate::vocab::Time;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A voice that was not heard of for so many of its turns, and a little, is not known any more.
const TURNS: u32 = 3;
const A_LITTLE: Duration = Duration::from_secs(10);
/// The shortest time between two questions to a platform: it has others to answer.
const PLATFORM_EVERY: Duration = Duration::from_secs(1);

/// A gate that is open until it is dropped.
pub(super) struct DialGate {
    board: Arc<GateBoard>,
    _endpoint: Endpoint,
}

/// What a canary came to in a round.
pub(super) struct CanaryWord<'a> {
    pub trunk: &'a str,
    pub light: Light,
    /// Whether its trunk is go by itself.
    pub is_go: bool,
    /// What it was answered last.
    pub said: &'a str,
}

/// What was said of every trunk.
struct GateBoard {
    clock: Clock,
    /// Between two rounds of the canaries.
    every: Duration,
    /// Every trunk of the profile, in its order.
    ids: Vec<String>,
    trunks: Mutex<Vec<BoardRow>>,
    /// When the last round ended.
    round: Mutex<Option<Time>>,
    truth: Option<TruthVoice>,
    platform: PlatformVoice,
}

struct BoardRow {
    id: String,
    gate: TrunkGate,
    /// Of its canary alone.
    canary_go: bool,
}

/// Servers that are asked, by position: how often, which trunks they speak of, and how many
/// bindings are enough.
struct TruthVoice {
    sampler: Sampler,
    servers: Vec<(Duration, Vec<usize>, u64)>,
}

/// Platforms that are asked, each with the trunks that it speaks of.
struct PlatformVoice(Mutex<Vec<(PlatformPoller, Vec<String>)>>);

impl DialGate {
    /// Opens the gate that `--listen` asks for; `canaries` are the trunks that have one.
    ///
    /// # Errors
    /// When the options make no sense, a server may not be asked, or the address cannot be had.
    pub(super) fn open(
        args: &WatchArgs,
        (plan, platforms): (&Plan, &[PlatformProfile]),
        canaries: &[&str],
        every: Duration,
        clock: Clock,
    ) -> Result<Option<DialGate>, Failure> {
        let Some(wanted) = args.listen.as_deref() else { return Ok(None) };
        let steady = span_of("--steady", &args.steady)?;
        if args.least.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return Err(Failure::usage("--least: a share of the profile's agents from 0 to 1, like 0.95"));
        }
        // What is wrong with a platform is known before anything is sent to anybody.
        let ready = PlatformVoice::ready(platforms)?;
        let truth = TruthVoice::begin(plan, args.least, clock)?;
        let (listener, address) = bind_to("--listen", wanted)?;
        let platform = PlatformVoice::begin(ready, every, clock)?;
        let now = clock.now();
        let row = |id: &&str| {
            let number = plan.trunks.iter().position(|trunk| trunk.id == **id);
            let told =
                truth.iter().flat_map(|truth| &truth.servers).any(|(_, of, _)| number.is_some_and(|n| of.contains(&n)));
            let asked = [(Voice::Platform, platform.speaks_of(id)), (Voice::Truth, told)];
            let others = asked.into_iter().filter(|(_, is)| *is).map(|(voice, _)| voice);
            let voices: Vec<Voice> = std::iter::once(Voice::Canary).chain(others).collect();
            BoardRow { id: (*id).to_owned(), gate: TrunkGate::new(&voices, steady, now), canary_go: false }
        };
        let ids = plan.trunks.iter().map(|trunk| trunk.id.clone()).collect();
        let trunks = Mutex::new(canaries.iter().map(row).collect());
        let board = Arc::new(GateBoard { clock, every, ids, trunks, round: Mutex::new(None), truth, platform });
        let endpoint = open_gate(listener, board.clone())
            .map_err(|error| Failure::could_not(format!("--listen {address}: {error}; nothing was sent")))?;
        say(&format!("gate at http://{}/go", endpoint.address()));
        Ok(Some(DialGate { board, _endpoint: endpoint }))
    }

    /// Takes what a round came to.
    pub(super) fn round<'a>(&self, words: impl Iterator<Item = CanaryWord<'a>>) {
        let board = &self.board;
        board.hear_others();
        let now = board.clock.now();
        let until = now + board.every * TURNS + A_LITTLE;
        let mut trunks = board.trunks();
        for word in words {
            let Some(row) = trunks.iter_mut().find(|row| row.id == word.trunk) else { continue };
            let opinion = match word.light {
                Light::Go => Opinion::Go,
                Light::NoGo => Opinion::NoGo,
                Light::Undecided => Opinion::Unknown,
            };
            row.canary_go = word.is_go;
            row.gate.says(now, Voice::Canary, (opinion, word.said.to_owned()), until);
        }
        drop(trunks);
        *board.round.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl TruthVoice {
    fn begin(plan: &Plan, least: Option<f64>, clock: Clock) -> Result<Option<TruthVoice>, Failure> {
        let sources = truths::servers(plan)?;
        if sources.is_empty() {
            return Ok(None);
        }
        let servers = plan.truths.iter().map(|profile| {
            let own = truths::trunk_of(plan, profile);
            let of: Vec<usize> = own.map_or_else(|| (0..plan.trunks.len()).collect(), |own| vec![own]);
            let agents: u64 = of.iter().map(|n| u64::from(plan.trunks[*n].agents)).sum();
            // Without a share the canary's own binding is enough.
            let enough = least.map_or(1, |least| crate::vocab::floor_u64((agents as f64 * least).ceil())).max(1);
            (profile.every, of, enough)
        });
        let servers = servers.collect();
        let sampler = Sampler::begin(&sources, clock)
            .map_err(|error| Failure::could_not(format!("the thread that asks servers for their counts: {error}")))?;
        Ok(Some(TruthVoice { sampler, servers }))
    }
}

impl PlatformVoice {
    /// Who is to be asked about what; a trunk of several platforms is the first one's.
    ///
    /// # Errors
    /// When a platform cannot be asked.
    fn ready(platforms: &[PlatformProfile]) -> Result<Vec<(PlatformProfile, Vec<String>)>, Failure> {
        let mut taken: Vec<&str> = Vec::new();
        let mut ready = Vec::new();
        for platform in platforms {
            PlatformPoller::check(platform)?;
            let ids = platform.trunks.iter().map(|(id, _)| id.as_str());
            let (others, own): (Vec<&str>, Vec<&str>) = ids.partition(|id| taken.contains(id));
            for id in others {
                say(&format!("warning: the gate of trunk {id} hears an earlier platform, and not {}", platform.id));
            }
            taken.extend(&own);
            ready.push((platform.clone(), own.into_iter().map(str::to_owned).collect()));
        }
        Ok(ready)
    }

    fn begin(
        ready: Vec<(PlatformProfile, Vec<String>)>,
        every: Duration,
        clock: Clock,
    ) -> Result<PlatformVoice, Failure> {
        let begin = |(platform, ids): (PlatformProfile, Vec<String>)| {
            Ok((PlatformPoller::begin(&platform, every.max(PLATFORM_EVERY), clock)?, ids))
        };
        let pollers: Result<Vec<_>, Failure> = ready.into_iter().map(begin).collect();
        Ok(PlatformVoice(Mutex::new(pollers?)))
    }

    fn speaks_of(&self, id: &str) -> bool {
        let pollers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pollers.iter().any(|(_, of)| of.iter().any(|own| own == id))
    }
}

impl GateBoard {
    fn trunks(&self) -> MutexGuard<'_, Vec<BoardRow>> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What platforms and servers said since the last time.
    fn hear_others(&self) {
        self.hear_platforms();
        self.hear_servers();
    }

    fn hear_platforms(&self) {
        let mut trunks = self.trunks();
        let mut pollers = self.platform.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (poller, of) in pollers.iter_mut() {
            for poll in poller.take() {
                for (id, opinion, why) in poll.trunks.into_iter().filter(|(id, ..)| of.contains(id)) {
                    if let Some(row) = trunks.iter_mut().find(|row| row.id == id) {
                        row.gate.says(poll.at, Voice::Platform, (opinion, why), poll.until);
                    }
                }
            }
        }
    }

    fn hear_servers(&self) {
        let Some(truth) = &self.truth else { return };
        let mut trunks = self.trunks();
        for TruthReading { server, answered, count, .. } in truth.sampler.take() {
            let (every, of, enough) = &truth.servers[server];
            let (opinion, why) = match count {
                Ok(count) if count >= *enough => (Opinion::Go, format!("the server holds {count}")),
                Ok(count) => (Opinion::NoGo, format!("the server holds {count}, {enough} are wanted")),
                Err(why) => (Opinion::Unknown, why),
            };
            let until = answered + *every * TURNS + PATIENCE + A_LITTLE;
            for row in trunks.iter_mut().filter(|row| of.iter().any(|n| self.ids.get(*n) == Some(&row.id))) {
                row.gate.says(answered, Voice::Truth, (opinion, why.clone()), until);
            }
        }
    }

    /// A moment in UTC.
    fn utc(&self, at: Time) -> String {
        let moment = self.clock.sample();
        utc(i128::from(moment.unix_ns) - i128::from(moment.now.nanos_since(at)), 3)
    }

    fn document(&self, row: &BoardRow, now: Time) -> (bool, Value) {
        let GateState { go, since, why } = row.gate.state(now);
        let inputs = row.gate.inputs(now).into_iter().map(|input| {
            let told = json!({"state": input.opinion.as_str(), "since": self.utc(input.since), "why": input.why});
            (input.voice.as_str().to_owned(), told)
        });
        let inputs: serde_json::Map<String, Value> = inputs.collect();
        (go, json!({"trunk": row.id, "go": go, "since": self.utc(since), "why": why, "inputs": inputs}))
    }
}

impl GateKeeper for GateBoard {
    fn trunk(&self, id: &str) -> Option<(bool, String)> {
        self.hear_others();
        let now = self.clock.now();
        let trunks = self.trunks();
        let (go, document) = self.document(trunks.iter().find(|row| row.id == id)?, now);
        Some((go, format!("{document}\n")))
    }

    fn all(&self) -> (bool, String) {
        self.hear_others();
        let now = self.clock.now();
        let trunks = self.trunks();
        let documents: Vec<(bool, Value)> = trunks.iter().map(|row| self.document(row, now)).collect();
        let go = !documents.is_empty() && documents.iter().all(|(go, _)| *go);
        let documents: Vec<Value> = documents.into_iter().map(|(_, document)| document).collect();
        (go, format!("{}\n", json!({"go": go, "trunks": documents})))
    }

    fn health(&self) -> (bool, String) {
        let round = *self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let well = round.is_some_and(|round| now < round + self.every * TURNS + A_LITTLE);
        let last = round.map(|round| self.utc(round));
        (well, format!("{}\n", json!({"ok": well, "last_round": last})))
    }

    fn metrics(&self) -> String {
        // They are taken from whoever asks here too, where nobody asks for the gate.
        self.hear_others();
        let states: Vec<(String, bool)> = self.trunks().iter().map(|row| (row.id.clone(), row.canary_go)).collect();
        let round = *self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.sample();
        let ended = round.map_or(0, |round| now.unix_ns.saturating_sub(now.now.nanos_since(round)) / 1_000_000_000);
        exposition(&states, i64::try_from(ended).unwrap_or(i64::MAX))
    }
}
