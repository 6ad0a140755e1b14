//! The other side of a world: a registrar of known truth, written on its own. It shares no line
//! with the product: neither its parser nor its digest nor the faults of its embedded registrar.
//! Datagrams in with a time, datagrams out.
//!
//! It is a list of nodes with a queue each. A request waits its turn, then the primitives of
//! [`Spec`] are asked one after another: words for some requests, bans, limits, credentials,
//! bindings.

mod message;
pub mod spec;

use message::Message;
use spec::{Place, Reply, Spec, Spread};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Nanoseconds since the load began.
pub type Nanos = u64;

const SECOND: f64 = 1e9;

/// The registrar of a world at work.
pub struct Side {
    spec: Spec,
    seed: u64,
    draws: u64,
    nodes: Vec<Queue>,
    /// When each request that is worked on side by side will be done.
    working: VecDeque<Nanos>,
    /// When requests of the last second were answered.
    recent: VecDeque<Nanos>,
    turn: usize,
    /// The address that was asked last.
    asked: Option<IpAddr>,
    /// By address of record: contacts with the end of their lifetimes.
    bindings: BTreeMap<String, Vec<Binding>>,
    held: u32,
    ends: BinaryHeap<Reverse<(Nanos, String)>>,
    /// By nonce: its node and when it was made.
    nonces: HashMap<String, (usize, Nanos)>,
    failures: HashMap<String, u32>,
    banned: HashMap<String, Nanos>,
    buckets: HashMap<Option<IpAddr>, (f64, Nanos)>,
    restarts: Vec<Nanos>,
    rivals_at: Option<Nanos>,
    out: BinaryHeap<Reverse<(Nanos, u64, Outgoing)>>,
    sequence: u64,
}

#[derive(Default)]
struct Queue {
    /// When each server that has ever worked is free.
    free_at: Vec<Nanos>,
    /// When each request that waits will be done.
    waiting: VecDeque<Nanos>,
    seen: HashSet<String>,
}

#[derive(Clone, Debug)]
struct Binding {
    contact: String,
    until: Nanos,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Outgoing {
    /// A request whose turn has come.
    Request {
        node: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Answer {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
}

impl Side {
    pub fn new(spec: Spec, seed: u64) -> Self {
        let mut spec = spec;
        if spec.nodes.is_empty() {
            spec.nodes.push(spec::Node::default());
        }
        let nodes = spec.nodes.iter().map(|_| Queue::default()).collect();
        let restarts = spec.restarts.iter().map(|&at| nanos(at)).collect();
        Side {
            held: spec.foreign,
            rivals_at: spec.rival_every.map(nanos),
            spec,
            seed,
            draws: 0,
            nodes,
            working: VecDeque::new(),
            recent: VecDeque::new(),
            turn: 0,
            asked: None,
            bindings: BTreeMap::new(),
            ends: BinaryHeap::new(),
            nonces: HashMap::new(),
            failures: HashMap::new(),
            banned: HashMap::new(),
            buckets: HashMap::new(),
            restarts,
            out: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Contacts of ours that are held.
    pub fn bound(&self) -> usize {
        self.bindings.values().map(Vec::len).sum()
    }

    /// What comes next is sent to this one of its addresses.
    #[allow(dead_code, reason = "not every suite has a name that leads to several")]
    pub fn is_asked_at(&mut self, address: IpAddr) {
        self.asked = Some(address);
    }

    /// A datagram came.
    pub fn receive(&mut self, now: Nanos, from: SocketAddr, bytes: &[u8]) {
        let Some(message) = Message::parse(bytes) else { return };
        let node = self.node_of(&message, from);
        let now = self.thawed(now);
        if let Some(pool) = &self.spec.transactions {
            while self.working.front().is_some_and(|done| *done <= now) {
                self.working.pop_front();
            }
            if self.working.len() >= pool.most {
                let answer = message.answer(&pool.answer, "full", &self.spec, node, from);
                self.push(now + nanos(self.spec.latency_ms / 1e3), Outgoing::Answer { to: from, bytes: answer });
                return;
            }
            let done = now + nanos(pool.takes_ms / 1e3);
            self.working.push_back(done);
            self.push(done, Outgoing::Request { node, from, bytes: bytes.to_vec() });
            return;
        }
        let config = &self.spec.nodes[node];
        let queue = &mut self.nodes[node];
        let again = config.absorbs && !queue.seen.insert(message.branch.clone());
        if again {
            return;
        }
        while queue.waiting.front().is_some_and(|done| *done <= now) {
            queue.waiting.pop_front();
        }
        if config.queue.is_some_and(|most| queue.waiting.len() > most) {
            if let Some(reply) = config.full.clone() {
                let bytes = message.answer(&reply, "full", &self.spec, node, from);
                self.push(now + nanos(self.spec.latency_ms / 1e3), Outgoing::Answer { to: from, bytes });
            }
            return;
        }
        let takes = if message.authorization.is_some() { config.auth_ms } else { None };
        let takes = takes.unwrap_or(config.service_ms) / 1e3;
        let (servers, random) = (config.servers.max(1), config.random);
        let takes = nanos(if random { -takes * (1.0 - self.draw()).ln() } else { takes });
        let queue = &mut self.nodes[node];
        queue.free_at.resize(servers, 0);
        let server = queue.free_at.iter_mut().min().expect("one at least");
        let done = (*server).max(now) + takes;
        *server = done;
        queue.waiting.push_back(done);
        self.push(done, Outgoing::Request { node, from, bytes: bytes.to_vec() });
    }

    /// When [`Side::poll`] has something to do.
    pub fn next_wake(&self) -> Option<Nanos> {
        self.out.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next answer due by `now`.
    pub fn poll(&mut self, now: Nanos) -> Option<(Vec<u8>, SocketAddr)> {
        while self.out.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Reverse((at, _, what)) = self.out.pop()?;
            match what {
                Outgoing::Answer { to, bytes } => return Some((bytes, to)),
                Outgoing::Request { node, from, bytes } => {
                    if let Some((later, answer)) = self.handle(at, node, from, &bytes) {
                        self.push(at + later, Outgoing::Answer { to: from, bytes: answer });
                    }
                }
            }
        }
        None
    }

    fn push(&mut self, at: Nanos, what: Outgoing) {
        self.sequence += 1;
        self.out.push(Reverse((at, self.sequence, what)));
    }

    fn node_of(&mut self, message: &Message, from: SocketAddr) -> usize {
        let many = self.spec.nodes.len();
        match self.spec.spread {
            Spread::Turns => {
                self.turn += 1;
                self.turn % many
            }
            Spread::CallId => (self.hash(&message.call_id) % many as u64) as usize,
            Spread::Source => (self.hash(&from.to_string()) % many as u64) as usize,
            Spread::Chance => (self.draw() * many as f64) as usize % many,
            Spread::Address => {
                let own = self.spec.addresses.iter().position(|address| Some(*address) == self.asked);
                own.expect("an address of each node")
            }
        }
    }

    fn thawed(&self, now: Nanos) -> Nanos {
        let frozen = self.spec.frozen.iter().find(|[from, until]| (nanos(*from)..nanos(*until)).contains(&now));
        frozen.map_or(now, |[_, until]| nanos(*until))
    }

    /// The answer to a request whose turn has come, and how much later it leaves.
    fn handle(&mut self, now: Nanos, node: usize, from: SocketAddr, bytes: &[u8]) -> Option<(Nanos, Vec<u8>)> {
        self.pass(now);
        let message = Message::parse(bytes)?;
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| at + 1_000_000_000 < now) {
            self.recent.pop_front();
        }
        let held_up = self.held_up(now, node, from, &message, bytes.len());
        let (reply, own) = (self.decide(now, node, from, &message, bytes.len()), self.hash(&message.branch));
        if reply.code == 0 {
            return None;
        }
        self.account(now, from, &message, &reply);
        let stem = &self.spec.nodes[node].tags;
        let to_tag = if stem.is_empty() { format!("{own:x}") } else { format!("{stem}.{:x}", own & 0xffff) };
        let later = held_up
            + self.spec.latency_ms
            + self.spec.latency_per_binding_ms * f64::from(self.held)
            + self.spec.latency_per_hour_ms * now as f64 / SECOND / 3_600.0
            + self.spec.latency_per_rate_ms * self.recent.len() as f64;
        let mut answer = message.answer(&reply, &to_tag, &self.spec, node, from);
        if self.spec.changes_branch && message.authorization.is_some() {
            let text = String::from_utf8(answer).expect("an answer of ours");
            answer = text.replacen("branch=z9hG4bK", "branch=z9hG4bK-proxy-", 1).into_bytes();
        }
        Some((nanos(later / 1e3), answer))
    }

    /// Everything that happens by itself up to `now`.
    fn pass(&mut self, now: Nanos) {
        while self.restarts.first().is_some_and(|at| *at <= now) {
            self.restarts.remove(0);
            self.bindings.clear();
            self.nonces.clear();
            self.ends.clear();
            self.held = self.spec.foreign;
        }
        while let Some(at) = self.rivals_at.filter(|at| *at <= now) {
            self.rivals_at = self.spec.rival_every.map(|every| at + nanos(every));
            let bound: Vec<&String> = self.bindings.keys().collect();
            if bound.is_empty() {
                continue;
            }
            let whose = bound[(self.sequence as usize * 7_919 + at as usize / 1_000_000) % bound.len()].clone();
            self.bind(at, &whose, "<sip:rival@192.0.2.7:5060>".into(), 3_600);
        }
        while self.ends.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, aor))) = self.ends.pop() else { break };
            let Some(contacts) = self.bindings.get_mut(&aor) else { continue };
            let before = contacts.len();
            contacts.retain(|binding| binding.until > now);
            self.held -= (before - contacts.len()) as u32;
            if contacts.is_empty() {
                self.bindings.remove(&aor);
            }
        }
    }

    fn decide(&mut self, now: Nanos, node: usize, from: SocketAddr, message: &Message, size: usize) -> Reply {
        if message.method != "REGISTER" {
            return said(200, "OK");
        }
        if let Some(banned) = self.banned(now, from, message) {
            return banned;
        }
        if let Some(full) = self.over_rate(now, from, message) {
            return full;
        }
        // Rules that look at credentials come behind their check.
        if let Some(reply) = self.rule(now, node, from, message, size, false) {
            return reply;
        }
        match self.check(now, node, message) {
            Ok(()) => {}
            Err(refusal) => return refusal,
        }
        if let Some(reply) = self.rule(now, node, from, message, size, true) {
            return reply;
        }
        self.register(now, message)
    }

    fn rule(
        &mut self,
        now: Nanos,
        node: usize,
        from: SocketAddr,
        message: &Message,
        size: usize,
        checked: bool,
    ) -> Option<Reply> {
        let rules = self.spec.rules.clone();
        let decides = rules.iter().filter(|rule| rule.later_ms == 0.0);
        let rule = decides.into_iter().find(|rule| self.fits(rule, now, node, from, message, size, checked))?;
        if rule.chance.is_some_and(|chance| self.draw() >= chance) {
            return None;
        }
        Some(Reply {
            code: rule.code,
            reason: rule.reason.clone(),
            headers: rule.headers.clone(),
            body: rule.body.clone(),
            server: rule.server.clone(),
        })
    }

    #[allow(clippy::too_many_arguments, reason = "all that a rule may look at")]
    fn fits(
        &self,
        rule: &spec::Rule,
        now: Nanos,
        node: usize,
        from: SocketAddr,
        message: &Message,
        size: usize,
        checked: bool,
    ) -> bool {
        let bound = self.bindings.contains_key(&message.aor);
        let passed = now as f64 / SECOND;
        let number = message.number();
        let place = match rule.place {
            Place::Any => !checked,
            Place::First => !checked && message.authorization.is_none(),
            Place::Credentials => checked && !bound && !message.removes(),
            Place::Refresh => bound && !message.removes() && !checked,
            Place::Removal => message.removes() && !checked,
            Place::Register => !message.removes() && !checked,
        };
        place
            && passed >= rule.from
            && rule.until.is_none_or(|until| passed < until)
            && rule.agents.is_none_or(|[first, end]| (first..end).contains(&number))
            && rule.share.is_none_or(|share| unit(self.hash(&message.aor)) < share)
            && rule.node.is_none_or(|own| own == node)
            && rule.larger.is_none_or(|bytes| size > bytes)
            && (rule.sources.is_empty() || rule.sources.contains(&from.ip()))
            && rule.every.is_none_or(|[period, part]| (passed - rule.from).rem_euclid(period) < part)
    }

    /// How much later than others the answer to a request leaves, ms.
    fn held_up(&mut self, now: Nanos, node: usize, from: SocketAddr, message: &Message, size: usize) -> f64 {
        let rules = self.spec.rules.clone();
        let mut rules = rules.iter().filter(|rule| rule.later_ms > 0.0);
        let rule =
            rules.find(|rule| [false, true].iter().any(|&at| self.fits(rule, now, node, from, message, size, at)));
        let drawn = rule.filter(|rule| rule.chance.is_none_or(|chance| self.draw() < chance));
        drawn.map_or(0.0, |rule| rule.later_ms)
    }

    fn banned(&self, now: Nanos, from: SocketAddr, message: &Message) -> Option<Reply> {
        let ban = self.spec.ban.as_ref()?;
        let until = self.banned.get(&culprit(ban.by_source, from, message))?;
        (*until > now).then(|| ban.answer.clone())
    }

    /// Counts failures for bans.
    fn account(&mut self, now: Nanos, from: SocketAddr, message: &Message, reply: &Reply) {
        let Some(ban) = &self.spec.ban else { return };
        let who = culprit(ban.by_source, from, message);
        if (200..300).contains(&reply.code) {
            self.failures.remove(&who);
        } else if reply.code >= 400 && (message.authorization.is_some() || !matches!(reply.code, 401 | 407)) {
            let failures = self.failures.entry(who.clone()).or_default();
            *failures += 1;
            if *failures >= ban.after {
                *failures = 0;
                self.banned.insert(who, now + nanos(ban.lasts));
            }
        }
    }

    fn over_rate(&mut self, now: Nanos, from: SocketAddr, message: &Message) -> Option<Reply> {
        let rate = self.spec.rate.as_ref()?;
        if message.removes() || (message.authorization.is_some() && !rate.every_request) {
            return None;
        }
        let key = rate.per_source.then(|| from.ip());
        let (tokens, at) = self.buckets.entry(key).or_insert((rate.burst, now));
        *tokens = (*tokens + (now - *at) as f64 / SECOND * rate.per_second).min(rate.burst);
        *at = now;
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return None;
        }
        Some(rate.answer.clone())
    }

    /// Credentials, as a challenge or a refusal where they do not hold.
    fn check(&mut self, now: Nanos, node: usize, message: &Message) -> Result<(), Reply> {
        let changed = self.spec.passwords_change_at.is_some_and(|at| now >= nanos(at));
        let password = if changed { "another" } else { self.spec.password.as_str() };
        let Some(given) = &message.authorization else { return Err(self.challenge(now, node, false)) };
        let known = self.nonces.get(given.get("nonce").map_or("", String::as_str));
        let good = known.is_some_and(|(made_by, at)| {
            let mine = !self.spec.own_nonces || *made_by == node;
            mine && now.saturating_sub(*at) < nanos(self.spec.nonce_lifetime)
        });
        if !good {
            // A node that never saw the nonce cannot call it stale.
            let stale = self.spec.foreign_is_stale
                || known.is_some_and(|(made_by, _)| *made_by == node || !self.spec.own_nonces);
            return Err(self.challenge(now, node, stale));
        }
        let right = given.get("realm").is_some_and(|realm| *realm == self.spec.realm)
            && message::digest(&self.spec.algorithm, given, password, &message.method)
                == given.get("response").map_or("", String::as_str);
        match right {
            true => Ok(()),
            false if self.spec.challenges_again => Err(self.challenge(now, node, false)),
            false => Err(said(403, "Forbidden")),
        }
    }

    fn challenge(&mut self, now: Nanos, node: usize, stale: bool) -> Reply {
        self.draws += 1;
        let nonce = format!("{:016x}{:08x}", self.hash(&format!("nonce{}", self.draws)), self.draws);
        self.nonces.insert(nonce.clone(), (node, now));
        let stale = if stale { ", stale=true" } else { "" };
        let wrong = self.spec.wrong_realm.clone();
        let realm = wrong.filter(|_| self.draw() < 0.5).unwrap_or_else(|| self.spec.realm.clone());
        let header = |algorithm: &String| {
            format!(
                "WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}"
            )
        };
        let alone = std::slice::from_ref(&self.spec.algorithm);
        let offers = if self.spec.offers.is_empty() { alone } else { &self.spec.offers };
        Reply { headers: offers.iter().map(header).collect(), ..said(401, "Unauthorized") }
    }

    fn register(&mut self, now: Nanos, message: &Message) -> Reply {
        let bound = self.bindings.get(&message.aor).is_some_and(|list| {
            list.iter().any(|binding| message.contact.as_deref().is_some_and(|contact| contact == binding.contact))
        });
        if let Some(limit) = &self.spec.limit {
            let full = self.held >= limit.bindings;
            if full && (limit.all || (!bound && !message.removes())) {
                return limit.answer.clone();
            }
        }
        if message.removes() {
            self.unbind(&message.aor, message.contact.as_deref());
            return self.listed(now, &message.aor, said(200, "OK"));
        }
        let Some(contact) = message.contact.clone() else { return self.listed(now, &message.aor, said(200, "OK")) };
        let others = self.bindings.get(&message.aor).map_or(0, Vec::len) as u32 - u32::from(bound);
        if self.spec.contacts.is_some_and(|most| others >= most) && !self.spec.pushes_out {
            return said(403, "Too Many Contacts");
        }
        let granted = message.expires.min(self.spec.max_expires) - self.spec.one_less.min(message.expires);
        self.bind(now, &message.aor, contact, granted);
        self.listed(now, &message.aor, said(200, "OK"))
    }

    fn bind(&mut self, now: Nanos, aor: &str, contact: String, granted: u32) {
        let until = now + u64::from(granted) * 1_000_000_000;
        let list = self.bindings.entry(aor.to_owned()).or_default();
        let before = list.len();
        list.retain(|binding| binding.contact != contact);
        list.push(Binding { contact, until });
        if let Some(most) = self.spec.contacts.filter(|_| self.spec.pushes_out) {
            let over = list.len().saturating_sub(most as usize);
            list.drain(..over);
        }
        self.held = self.held + list.len() as u32 - before as u32;
        self.ends.push(Reverse((until, aor.to_owned())));
    }

    fn unbind(&mut self, aor: &str, contact: Option<&str>) {
        let Some(list) = self.bindings.get_mut(aor) else { return };
        let before = list.len();
        list.retain(|binding| contact.is_some_and(|contact| contact != binding.contact));
        self.held -= (before - list.len()) as u32;
        if list.is_empty() {
            self.bindings.remove(aor);
        }
    }

    /// A 2xx lists who is bound (RFC 3261 §10.3).
    fn listed(&self, now: Nanos, aor: &str, mut reply: Reply) -> Reply {
        reply.server.clone_from(&self.spec.accepts_as);
        if !self.spec.lists {
            return reply;
        }
        for binding in self.bindings.get(aor).into_iter().flatten() {
            let left = binding.until.saturating_sub(now) / 1_000_000_000;
            let contact = match (&self.spec.contact_host, binding.contact.split_once('@')) {
                (Some(host), Some((user, _))) => format!("{user}@{host}>"),
                _ => binding.contact.clone(),
            };
            let contact = self.spec.lists_instead.clone().unwrap_or(contact);
            reply.headers.push(format!("Contact: {contact};expires={left}"));
        }
        reply
    }

    fn hash(&self, text: &str) -> u64 {
        let start = self.seed ^ 0xcbf2_9ce4_8422_2325;
        let folded = text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        mixed(folded)
    }

    fn draw(&mut self) -> f64 {
        self.draws += 1;
        unit(mixed(self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }
}

fn culprit(by_source: bool, from: SocketAddr, message: &Message) -> String {
    if by_source { from.ip().to_string() } else { message.aor.clone() }
}

fn said(code: u16, reason: &str) -> Reply {
    Reply { code, reason: reason.to_owned(), ..Reply::default() }
}

fn nanos(seconds: f64) -> Nanos {
    (seconds * SECOND) as Nanos
}

fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

/// The finaliser of splitmix64.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
