//! From a checked profile to one small config struct per room; the profile stops here.
//!
//! Read here, because they need the rooms' own words: SIP URIs, thresholds, digest algorithms.
//! Agents get their arrival order here. Host names are not resolved: that is `command`'s, before
//! the first packet.

mod account;
mod doubts;
mod idle;
mod mix;
mod outlook;
mod policy;
mod replay;
mod trunk;
mod unmeasured;

use crate::agent::{IdentityBook, TrunkPolicy};
use crate::diagnose::compare::AllowedChange;
use crate::diagnose::{AbortCondition, Threshold, ThresholdError};
use crate::load::{self, Share};
use crate::profile::{
    self, AgentList, AgentSecret, InjectionOrder, Problem, Profile, ProfileError, TrunkAgents, Wrong,
};
use crate::record::results::GeneratorLimits;
use crate::registrar;
use crate::seed::Seed;
use crate::sip::uri::{Target, parse_target};
use crate::sip::{self, Algorithm, Ha1};
use crate::vocab::{
    ArrivalOrder, Expectation, IntervalAlign, LoadStage, Secret, SocketUse, Transport, TrunkId, floor_u32,
    saturating_u16, saturating_u32,
};
use mix::{Deviation, Mixture, TrunkMix, UNKNOWN};
use policy::policy;
use replay::Casting;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use crate::profile::{ClientCertificate, HostTable, ListenAddr, PemFile, TlsProfile, TruthProfile, WsProfile};
pub use account::AgentAccount;
pub use trunk::{ProxyPlan, RegistrarChoice, TrunkPlan};

/// A run, ready to be wired together.
#[derive(Debug)]
pub struct Plan {
    /// The profile's path, for messages.
    pub profile_path: String,
    pub name: String,
    /// `None`: drawn when the run starts.
    pub seed: Option<u64>,
    pub interval: Duration,
    pub align: IntervalAlign,
    /// The beginning of the load that no total contains.
    pub warmup: Duration,
    /// 0: as many as the planned rate needs.
    pub workers: usize,
    /// The longest wait for open attempts at the end.
    pub drain: Duration,
    /// Whether every agent un-REGISTERs afterwards.
    pub unregister: bool,
    pub allow_targets: Vec<ipnet::IpNet>,
    /// What ends the load before its time.
    pub abort_on: Vec<AbortCondition>,
    /// What the profile says of first contact with somebody else's machine.
    pub contact: ContactRules,
    /// Limits that somebody stated.
    pub expect: Expectation,
    /// Who is asked for registrars' own counts.
    pub truths: Vec<TruthProfile>,
    /// By [`TrunkId`].
    pub trunks: Vec<TrunkPlan>,
    /// Policies of agents that deviate from their trunk's, after those of the trunks.
    pub variants: Vec<TrunkPolicy>,
    /// In arrival order: the trunks' agents evenly interleaved.
    pub identities: Arc<IdentityBook>,
    pub load: load::LoadConfig,
    pub generator: GeneratorLimits,
    /// Datagrams of one length that may leave as one.
    pub segments: usize,
    /// Whether requests are brought to a multiple of [`PADDED`](crate::sip::emit::PADDED) bytes.
    pub pad: bool,
    pub thresholds: Vec<Threshold>,
    /// What a comparison with another run tolerates.
    pub compare: Vec<AllowedChange>,
    pub registrar: registrar::Config,
    /// Where the embedded registrar listens.
    pub listen: Vec<ListenAddr>,
    /// Its certificate and key; `None`: it makes its own.
    pub registrar_tls: Option<(PemFile, PemFile)>,
    /// Threads of the embedded registrar; 0: one per core.
    pub registrar_threads: usize,
    /// The resolved profile, secrets as `***`.
    pub profile_json: String,
    /// Doubts about the profile, one line each.
    pub warnings: Vec<String>,
}

/// How a registrar beyond this machine is approached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContactRules {
    /// One agent of each trunk registers before the load.
    pub canary: bool,
    /// A search for limits may go beyond what the registrar takes.
    pub limits: bool,
    /// Whether the profile has conditions of its own, or wants none.
    pub abort_on_written: bool,
    /// Who agreed to it, as the profile says.
    pub authorised_by: Option<String>,
}

impl ContactRules {
    fn of(profile: &Profile) -> ContactRules {
        let profile::Safety { canary, limits, abort_on_written, ref authorised_by, .. } = profile.safety;
        ContactRules { canary, limits, abort_on_written, authorised_by: authorised_by.clone() }
    }
}

impl Plan {
    /// Plans a profile.
    ///
    /// # Errors
    /// URIs, thresholds and numbers of agents or arrivals that cannot be used, all together.
    pub fn new(profile: &Profile) -> Result<Plan, ProfileError> {
        let mut problems = Vec::new();
        let casting = Casting::of(profile, &mut problems);
        let mut trunks = trunks(profile, casting.as_ref(), &mut problems);
        let thresholds = comparisons(profile, &["thresholds"], &profile.thresholds, &mut problems, Threshold::parse);
        let abort_on = &profile.safety.abort_on;
        let abort_on = comparisons(profile, &["safety", "abort_on"], abort_on, &mut problems, AbortCondition::parse);
        let compare = comparisons(profile, &["compare"], &profile.compare, &mut problems, AllowedChange::parse);
        let registrar = registrar_config(profile, &mut problems);
        let agents = agent_count(profile, &mut problems);
        let stages: Vec<LoadStage> =
            profile.load.iter().map(|stage| stage_of(stage, agents, casting.as_ref())).collect();
        let arrivals = planned_arrivals(&stages);
        check_numbers(profile, arrivals, &mut problems);
        if !problems.is_empty() {
            return Err(ProfileError::new(problems));
        }
        let mut warnings = profile.warnings.clone();
        warnings.extend(doubts::of_load(profile, &stages, arrivals, agents));
        warnings.extend(idle::doubts(profile, &trunks));
        let Mixture { mut variants, trunks: mixes } = mix::mixture(profile);
        let identities = identities(profile, &mixes);
        let replay = casting.map(|casting| Arc::new(casting.steps(&identities, &mut warnings)));
        if replay.is_some() {
            begin_at_once(&mut trunks, &mut variants);
        }
        let mut plan = Plan {
            profile_path: profile.path().to_owned(),
            name: profile.run.name.clone(),
            seed: profile.run.seed,
            interval: profile.run.interval,
            align: profile.run.align,
            warmup: profile.run.warmup,
            workers: profile.run.workers as usize,
            drain: profile.run.drain,
            unregister: profile.run.unregister,
            allow_targets: profile.safety.allow_targets.clone(),
            abort_on,
            contact: ContactRules::of(profile),
            expect: profile.expect,
            truths: profile.truths.clone(),
            trunks,
            variants,
            identities: Arc::new(identities),
            load: load_config(profile, stages, replay, agents),
            generator: generator_limits(profile),
            segments: profile.generator.segments as usize,
            pad: profile.generator.pad,
            thresholds,
            compare,
            registrar,
            listen: profile.registrar.listen.clone(),
            registrar_tls: profile.registrar.tls.clone().and_then(|tls| tls.cert.zip(tls.key)),
            registrar_threads: profile.registrar.threads as usize,
            profile_json: profile_json(profile),
            warnings,
        };
        // Without a load nothing runs, and nothing is measured on purpose.
        if !plan.load.stages.is_empty() {
            plan.warnings.extend(unmeasured::doubts(&plan));
        }
        Ok(plan)
    }

    /// The resolved profile as a profile, every default filled in, secrets as `***`.
    pub fn profile_toml(&self) -> String {
        let mut resolved: serde_json::Value = serde_json::from_str(&self.profile_json).unwrap_or_default();
        drop_nulls(&mut resolved);
        toml::to_string_pretty(&resolved).unwrap_or_default()
    }

    /// Fixes what depends on the run's seed: the order in which agents arrive. Once, before
    /// anything is built from [`Plan::identities`].
    pub fn draw(&mut self, seed: Seed) {
        for (n, trunk) in self.trunks.iter().enumerate() {
            if trunk.drawn_order {
                Arc::make_mut(&mut self.identities).shuffle(TrunkId(saturating_u16(n)), seed);
            }
        }
    }

    /// Sockets of a process with this share of the run, by local address; `None`: the kernel's
    /// choice.
    pub fn sockets(&self, share: Share) -> BTreeMap<Option<IpAddr>, u64> {
        let mut sockets = BTreeMap::new();
        let agents = self.agents_by_source(share);
        for (trunk, by_source) in self.trunks.iter().zip(agents) {
            for (position, agents) in by_source.into_iter().enumerate().filter(|(_, agents)| *agents > 0) {
                let own = match trunk.sharing() {
                    SocketUse::PerAgent => agents,
                    SocketUse::Shared => u64::from(share.own) * trunk.places.max(1) as u64,
                };
                *sockets.entry(trunk.source.get(position).copied()).or_default() += own;
            }
        }
        sockets
    }

    /// By trunk, and by its source addresses (one where it names none): how many of a share's
    /// agents have it. Agent n of a trunk has the (n mod addresses)-th.
    pub fn agents_by_source(&self, share: Share) -> Vec<Vec<u64>> {
        let mut agents: Vec<Vec<u64>> = self.trunks.iter().map(|trunk| vec![0; trunk.source.len().max(1)]).collect();
        let owned = (0..).zip(self.identities.iter()).filter(|(id, _)| share.owns(*id));
        for (_, identity) in owned {
            let by_source = &mut agents[identity.trunk.index()];
            let position = identity.number as usize % by_source.len();
            by_source[position] += 1;
        }
        agents
    }

    /// Whether there is something to run.
    ///
    /// # Errors
    /// When the profile has no trunk or no load stage.
    pub fn require_load(&self) -> Result<(), ProfileError> {
        let missing = |what: &str, remedy: &str| {
            ProfileError::whole(&self.profile_path, format!("run needs at least one {what}"), Some(remedy.to_owned()))
        };
        if self.trunks.is_empty() {
            return Err(missing("[[trunk]]", "add one with id, registrar, domain and agents"));
        }
        if self.load.stages.is_empty() {
            return Err(missing("[[load]]", "add one, like rate = 50, for = \"10s\""));
        }
        Ok(())
    }
}

fn load_config(
    profile: &Profile,
    stages: Vec<LoadStage>,
    replay: Option<Arc<load::Replay>>,
    agents: u32,
) -> load::LoadConfig {
    load::LoadConfig {
        stages,
        replay,
        process: profile.arrivals.process,
        when_exhausted: profile.arrivals.when_exhausted,
        agents,
        max_in_flight: profile.arrivals.max_in_flight,
        max_message_rate: profile.safety.max_message_rate,
        max_connect_rate: profile.safety.max_connect_rate,
    }
}

/// What is not set is not written: TOML has no word for nothing.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(keys) => {
            keys.retain(|_, value| !value.is_null());
            keys.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The resolved profile as JSON, secrets as `***`.
fn profile_json(profile: &Profile) -> String {
    // Strings, numbers, lists and maps with string keys: nothing in a profile can fail to
    // serialise.
    serde_json::to_string(profile).unwrap_or_default()
}

/// How a trunk names the embedded registrar.
const EMBEDDED: &str = "embedded";

/// What somebody meant who wrote no SIP URI: the embedded registrar misspelt, or a URI without its
/// scheme.
fn meant_registrar(key: &str, text: &str) -> Option<String> {
    if key == "registrar" && profile::nearest(text, [EMBEDDED]).is_some() {
        return Some(format!("did you mean \"{EMBEDDED}\"?"));
    }
    let whole = format!("sip:{text}");
    let bare = text.contains(['.', ':']) || text == "localhost";
    (bare && parse_target(&whole).is_ok()).then(|| format!("did you mean \"{whole}\"?"))
}

fn trunks(profile: &Profile, casting: Option<&Casting<'_>>, problems: &mut Vec<Problem>) -> Vec<TrunkPlan> {
    let names_agents = casting.is_some_and(Casting::names_agents);
    let mut plans = Vec::with_capacity(profile.trunks.len());
    for (n, trunk) in profile.trunks.iter().enumerate() {
        let n = n.to_string();
        let mut target = |key: &str, text: &str| {
            let at = ["trunk", &n, key];
            let wrong = |message| {
                let problem = profile.problem(&at, message);
                match meant_registrar(key, text) {
                    Some(remedy) => problem.remedy(remedy),
                    None => problem,
                }
            };
            parse_target(text).map_err(|error| problems.push(wrong(error.to_string()))).ok()
        };
        let registrar = match trunk.registrar.as_str() {
            EMBEDDED => Some(RegistrarChoice::Embedded),
            text => target("registrar", text).map(RegistrarChoice::Target),
        };
        let proxy = trunk
            .outbound_proxy
            .as_deref()
            .map(|text| target("outbound_proxy", text).map(|target| ProxyPlan { route: route(text, &target), target }));
        let (user_agent, mut headers) = split_user_agent(&trunk.headers);
        if trunk.outbound && !headers.iter().any(|(name, _)| says_supported(name)) {
            headers.push(("Supported".to_owned(), "path, outbound, gruu".to_owned()));
        }
        if proxy.is_some() && !headers.iter().any(|(name, _)| says_supported(name)) {
            headers.push(("Supported".to_owned(), "path".to_owned()));
        }
        // What could not be read has left a problem, and the plan is thrown away.
        let Some(registrar) = registrar else { continue };
        plans.push(TrunkPlan {
            id: trunk.id.clone(),
            registrar,
            registrar_text: trunk.registrar.clone(),
            platform: trunk.platform,
            outbound_proxy: proxy.flatten(),
            policy: policy(trunk, &trunk.retry),
            headers,
            user_agent,
            source: trunk.source.clone(),
            sockets: trunk.sockets,
            accept_from: trunk.accept_from,
            contact: trunk.contact,
            contacts: u8::try_from(trunk.contacts).unwrap_or(u8::MAX),
            outbound: trunk.outbound,
            places: 1,
            resolver: trunk.resolver.or(profile.run.resolver),
            hosts: profile.run.hosts.clone().into_iter().chain(trunk.hosts.clone()).collect(),
            connections: trunk.connections,
            connect_timeout: trunk.connect_timeout,
            keepalive: (!trunk.keepalive.is_zero()).then_some(trunk.keepalive),
            tls: trunk.tls.clone(),
            certificates: trunk.agents.certificates().into(),
            ws: trunk.ws.clone().unwrap_or_default(),
            embedded_over: profile.registrar.listen.first().map_or(Transport::Udp, |listen| listen.transport),
            agents: saturating_u32(trunk.agents.count()),
            shares_users: trunk.agents.share_users(),
            drawn_order: !names_agents && is_drawn(profile.arrivals.order, &trunk.agents),
        });
    }
    plans
}

/// A list may ask by itself for the order that is the default.
fn is_drawn(order: ArrivalOrder, agents: &TrunkAgents) -> bool {
    let random = InjectionOrder::Random;
    let asks = matches!(agents, TrunkAgents::Listed { list: AgentList::Sipp { order, .. }, .. } if *order == random);
    order == ArrivalOrder::Shuffled || asks
}

/// The `Route` value of an outbound proxy; always a loose one, strict routing died with RFC 2543.
fn route(text: &str, target: &Target) -> String {
    if target.loose_route { format!("<{text}>") } else { format!("<{text};lr>") }
}

/// RFC 3327 §5.1: a proxy that wants to stay on the way needs to hear that its Path is understood.
fn says_supported(name: &str) -> bool {
    name.eq_ignore_ascii_case("Supported") || name.eq_ignore_ascii_case("k")
}

fn split_user_agent(headers: &[(String, String)]) -> (Option<String>, Vec<(String, String)>) {
    let (named, others): (Vec<_>, Vec<_>) =
        headers.iter().cloned().partition(|(name, _)| name.eq_ignore_ascii_case("User-Agent"));
    (named.into_iter().next().map(|(_, value)| value), others)
}

/// The profile's names are checked, every one of them is known here.
fn algorithms(names: &[&str]) -> Vec<Algorithm> {
    names.iter().filter_map(|name| Algorithm::parse(name.as_bytes())).collect()
}

/// Whole seconds; the profile has checked that they fit.
fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Reads the names and comparisons of the table at `steps`.
fn comparisons<T>(
    profile: &Profile,
    steps: &[&str],
    written: &[(String, String)],
    problems: &mut Vec<Problem>,
    parse: fn(&str, &str, &[&str]) -> Result<T, ThresholdError>,
) -> Vec<T> {
    let ids: Vec<&str> = profile.trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    let mut read = Vec::new();
    for (name, expr) in written {
        match parse(name, expr, &ids) {
            Ok(comparison) => read.push(comparison),
            Err(error) => {
                let at = [steps, &[name.as_str()]].concat();
                // The message says the nearest name itself.
                problems.push(if error.in_name {
                    profile.key_problem(&at, error.message)
                } else {
                    profile.problem(&at, error.message)
                });
            }
        }
    }
    read
}

fn registrar_config(profile: &Profile, problems: &mut Vec<Problem>) -> registrar::Config {
    let registrar = &profile.registrar;
    let mut faults = Vec::new();
    for (n, fault) in registrar.faults.iter().enumerate() {
        let domain = fault.trunk.as_deref().and_then(|id| domain_of(profile, n, id, problems));
        faults.push(registrar::Fault {
            kind: fault.kind.clone(),
            from: fault.from,
            until: fault.until,
            share: fault.share,
            sources: fault.sources.clone(),
            addresses: fault.addresses.clone(),
            domain,
        });
    }
    registrar::Config {
        realm: registrar.realm.clone(),
        algorithms: algorithms(&registrar.algorithms),
        qop: registrar.qop,
        userhash: registrar.userhash,
        users: account::known_users(profile),
        max_contacts: registrar
            .max_contacts
            .map(|contacts| registrar::MaxContacts { contacts, code: registrar.max_contacts_code }),
        min_expires_s: seconds(registrar.min_expires),
        max_expires_s: seconds(registrar.max_expires),
        nonce_lifetime: registrar.nonce_lifetime,
        faults,
    }
}

/// A registrar sees domains, not trunks: a fault for one trunk is one for its domain.
fn domain_of(profile: &Profile, fault: usize, id: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let domain = &profile.trunks.iter().find(|trunk| trunk.id == id)?.domain;
    let other = profile.trunks.iter().find(|trunk| trunk.id != id && trunk.domain == *domain);
    if let Some(other) = other {
        let message = format!("the trunk \"{}\" has the same domain; a registrar cannot tell them apart", other.id);
        let at = ["registrar", "fault", &fault.to_string(), "trunk"];
        problems.push(profile.problem(&at, message).remedy("give the trunks different domains"));
    }
    Some(domain.clone())
}

fn stage_of(stage: &profile::StageProfile, agents: u32, casting: Option<&Casting<'_>>) -> LoadStage {
    match *stage {
        profile::StageProfile::Ramp { ramp, lasts } => LoadStage::Ramp { to: ramp, lasts },
        profile::StageProfile::Rate { rate, lasts } => LoadStage::Rate { per_second: rate, lasts },
        profile::StageProfile::Avalanche { avalanche } => {
            LoadStage::Avalanche { agents: floor_u32((avalanche * f64::from(agents)).round()) }
        }
        profile::StageProfile::Hold { hold } => LoadStage::Hold { lasts: hold },
        profile::StageProfile::Outage { outage, lasts } => LoadStage::Outage { share: outage, lasts },
        profile::StageProfile::Replay(_) => {
            LoadStage::Replay { arrivals: casting.map_or(0, Casting::arrivals), lasts: stage.lasts() }
        }
    }
}

/// A record says when the first REGISTER left: a pause before it is in there already.
fn begin_at_once(trunks: &mut [TrunkPlan], variants: &mut [TrunkPolicy]) {
    let policies = trunks.iter_mut().map(|trunk| &mut trunk.policy).chain(variants);
    policies.for_each(|policy| policy.retry.start = None);
}

/// Arrivals and policies must be few enough to be numbered.
fn check_numbers(profile: &Profile, arrivals: f64, problems: &mut Vec<Problem>) {
    if arrivals > f64::from(u32::MAX) {
        let message = format!("the stages plan {arrivals:.0} arrivals, more than {} can be numbered", u32::MAX);
        problems.push(profile.problem(&["load"], message));
    }
    let policies = profile.trunks.iter().map(|trunk| 1 + trunk.mix.len()).sum::<usize>();
    if policies > usize::from(u16::MAX) {
        let message = format!("{policies} trunks and mixes are more than {}", u16::MAX);
        problems.push(profile.key_problem(&["trunk"], message));
    }
}

/// The integral of the rate over all stages: how many arrivals come due, the number of agents
/// aside.
fn planned_arrivals(stages: &[LoadStage]) -> f64 {
    let mut rate = 0.0;
    let mut sum = 0.0;
    for stage in stages {
        sum += stage.arrivals(rate);
        rate = stage.rates(rate).1;
    }
    // Arrival n is due when the integral reaches n, from 0: a fraction at the end is one arrival
    // more. A whole number that the sums missed by a hair is meant as one.
    if (sum - sum.round()).abs() < 1e-6 { sum.round() } else { sum.ceil() }
}

/// User and authentication name of a trunk's agent.
fn user_of(agents: &TrunkAgents, number: usize) -> (String, String) {
    match agents {
        TrunkAgents::Pattern { user, auth_user, .. } => {
            (user.name(saturating_u32(number)), auth_user.name(saturating_u32(number)))
        }
        TrunkAgents::Listed { rows, .. } => (rows[number].user.to_string(), rows[number].auth_user().to_owned()),
    }
}

/// The number of agents; all their names together must fit into the book's 32-bit offsets.
fn agent_count(profile: &Profile, problems: &mut Vec<Problem>) -> u32 {
    let agents: usize = profile.trunks.iter().map(|trunk| trunk.agents.count()).sum();
    if agents > MAX_AGENTS {
        problems.push(profile.key_problem(&["trunk"], format!("{agents} agents are more than {MAX_AGENTS}")));
    }
    saturating_u32(agents.min(MAX_AGENTS))
}

/// Agents of one run: ten times what one machine is meant for.
const MAX_AGENTS: usize = 10_000_000;
// A name and an authentication name of 200 bytes each for every agent still fit into the book's
// offsets.
const _: () = assert!(MAX_AGENTS * 400 < u32::MAX as usize);

/// The agents in arrival order. Agent k of a trunk with c agents stands at (2k+1)/2c of the way, so
/// that every stretch of arrivals holds each trunk by its share.
fn identities(profile: &Profile, mixes: &[TrunkMix]) -> IdentityBook {
    let mut book = IdentityBook::default();
    let mut handles = Handles::default();
    let mut next: BinaryHeap<Reverse<Turn>> = (0..profile.trunks.len())
        .map(|trunk| Turn { trunk, number: 0, agents: profile.trunks[trunk].agents.count() as u64 })
        .filter(|turn| turn.agents > 0)
        .map(Reverse)
        .collect();
    let (mut user, mut auth_user) = (String::new(), String::new());
    while let Some(Reverse(turn)) = next.pop() {
        let number = u32::try_from(turn.number).unwrap_or(u32::MAX);
        let id = TrunkId(saturating_u16(turn.trunk));
        match &profile.trunks[turn.trunk].agents {
            TrunkAgents::Pattern { user: pattern, auth_user: auth, credential, .. } => {
                user.clear();
                auth_user.clear();
                pattern.write(number, &mut user);
                auth.write(number, &mut auth_user);
                push(&mut book, &mut handles, (id, number), [&user, &auth_user], credential, &mixes[turn.trunk]);
            }
            TrunkAgents::Listed { rows, .. } => {
                let row = &rows[usize::try_from(turn.number).unwrap_or(usize::MAX)];
                let names = [&*row.user, row.auth_user()];
                push(&mut book, &mut handles, (id, number), names, &row.credential, &mixes[turn.trunk]);
            }
        }
        if turn.number + 1 < turn.agents {
            next.push(Reverse(Turn { number: turn.number + 1, ..turn }));
        }
    }
    book.settle();
    book
}

/// Adds one agent, with what the mix changes about it.
fn push<'p>(
    book: &mut IdentityBook,
    handles: &mut Handles<'p>,
    (trunk, number): (TrunkId, u32),
    [user, auth_user]: [&str; 2],
    credential: &'p AgentSecret,
    mix: &TrunkMix,
) {
    let Deviation { wrong, policy } = mix.of(number);
    let handle = handles.of(book, credential, wrong == Some(Wrong::Password));
    if wrong == Some(Wrong::User) {
        let unknown = |name: &str| format!("{UNKNOWN}{name}");
        book.push(trunk, number, &unknown(user), &unknown(auth_user), handle);
    } else {
        book.push(trunk, number, user, auth_user, handle);
    }
    if let Some(policy) = policy {
        book.deviate(policy);
    }
}

/// A trunk's next agent on the way to arrival.
#[derive(PartialEq, Eq)]
struct Turn {
    trunk: usize,
    number: u64,
    agents: u64,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // (2k+1)/2c against (2l+1)/2d, without fractions.
        let ours = (2 * self.number + 1) * other.agents;
        let theirs = (2 * other.number + 1) * self.agents;
        ours.cmp(&theirs).then(self.trunk.cmp(&other.trunk))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Credentials already in the book: agents with the same secret share one.
#[derive(Default)]
struct Handles<'p> {
    /// By kind, secret, and whether it is to be wrong.
    known: HashMap<(bool, &'p str, bool), u32>,
}

impl<'p> Handles<'p> {
    fn of(&mut self, book: &mut IdentityBook, credential: &'p AgentSecret, wrong: bool) -> u32 {
        let (is_ha1, secret) = credential.parts();
        *self.known.entry((is_ha1, secret.reveal(), wrong)).or_insert_with(|| {
            let spoilt = wrong.then(|| mix::spoilt(is_ha1, secret));
            book.credential(credential_of(is_ha1, spoilt.as_ref().unwrap_or(secret)))
        })
    }
}

/// A secret as those who compute digests take it.
fn credential_of(is_ha1: bool, secret: &Secret) -> sip::Credential {
    // The profile has checked the digits; were it wrong, the text would only be a wrong password.
    match Ha1::from_hex(secret.reveal()).filter(|_| is_ha1) {
        Some(ha1) => sip::Credential::Ha1(Box::new(ha1)),
        None => sip::Credential::Password(secret.clone()),
    }
}

fn generator_limits(profile: &Profile) -> GeneratorLimits {
    let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let generator = &profile.generator;
    GeneratorLimits {
        late_ns: nanos(generator.late),
        stall_ns: nanos(generator.stall),
        suspect_late: generator.suspect_late,
        invalid_late: generator.invalid_late,
    }
}
