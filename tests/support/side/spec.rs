//! What a world's registrar is made of, as written in `tests/worlds/*.toml`.

use serde::Deserialize;

/// A registrar of known truth, composed of primitives. Times are seconds since the load began.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    pub realm: String,
    pub password: String,
    /// `MD5` or `SHA-256`.
    pub algorithm: String,
    /// What is on offer, where that is more than `algorithm`, the only one it can check.
    pub offers: Vec<String>,
    /// Half of the challenges name this realm, which no account was made for.
    pub wrong_realm: Option<String>,
    /// Wrong credentials are challenged again, not refused with 403.
    pub challenges_again: bool,
    pub max_expires: u32,
    /// Taken off every lifetime granted.
    pub one_less: u32,
    /// How long a nonce is good for.
    pub nonce_lifetime: f64,
    /// Answers as a clock with ticks of its own does: a delay in front of every answer, ms.
    pub latency_ms: f64,
    /// More for every binding held, ms.
    pub latency_per_binding_ms: f64,
    /// More for every hour of the run, ms.
    pub latency_per_hour_ms: f64,
    /// More for every request of the last second, ms.
    pub latency_per_rate_ms: f64,
    pub nodes: Vec<Node>,
    /// How requests find their node.
    pub spread: Spread,
    /// The address of each node, where its name leads to several.
    pub addresses: Vec<std::net::IpAddr>,
    /// Nodes do not know each other's nonces.
    pub own_nonces: bool,
    /// Bindings of phones that are not ours, held from the start.
    pub foreign: u32,
    /// Bindings of an address of record; more are refused with 403, or push out the oldest.
    pub contacts: Option<u32>,
    pub pushes_out: bool,
    /// Other phones bind each agent's address of record anew, one every so many seconds: it pushes
    /// ours out.
    pub rival_every: Option<f64>,
    pub limit: Option<Limit>,
    pub rate: Option<Rate>,
    pub ban: Option<Ban>,
    /// At this time all passwords are replaced.
    pub passwords_change_at: Option<f64>,
    /// The registrar is frozen in these windows: nothing is read, and all of it afterwards.
    pub frozen: Vec<[f64; 2]>,
    /// The registrar forgets every binding and nonce at these times.
    pub restarts: Vec<f64>,
    /// The first rule that fits a request decides.
    pub rules: Vec<Rule>,
    /// A `Server` header for nodes without their own.
    pub server: String,
    /// Who says 2xx, where it is an element behind the one that challenges.
    pub accepts_as: Option<String>,
    /// A node that never saw a nonce calls it stale.
    pub foreign_is_stale: bool,
    /// So many requests are worked on at a time; more are refused.
    pub transactions: Option<Transactions>,
    /// A 2xx lists the bindings.
    pub lists: bool,
    /// Instead of what was sent: this contact.
    pub lists_instead: Option<String>,
    /// Answers to credentials come back with another branch.
    pub changes_branch: bool,
    /// What stands between: the address requests seem to come from, and what it makes of Via and
    /// Contact.
    pub received: Option<std::net::IpAddr>,
    pub sent_by: Option<String>,
    pub contact_host: Option<String>,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            realm: "pbx.test".into(),
            password: "secret".into(),
            algorithm: "MD5".into(),
            offers: Vec::new(),
            wrong_realm: None,
            challenges_again: false,
            max_expires: 3_600,
            one_less: 0,
            nonce_lifetime: 3_600.0,
            latency_ms: 0.5,
            latency_per_binding_ms: 0.0,
            latency_per_hour_ms: 0.0,
            latency_per_rate_ms: 0.0,
            nodes: Vec::new(),
            spread: Spread::Turns,
            addresses: Vec::new(),
            own_nonces: false,
            foreign: 0,
            contacts: None,
            pushes_out: false,
            rival_every: None,
            limit: None,
            rate: None,
            ban: None,
            passwords_change_at: None,
            frozen: Vec::new(),
            restarts: Vec::new(),
            rules: Vec::new(),
            server: String::new(),
            accepts_as: None,
            foreign_is_stale: false,
            transactions: None,
            lists: true,
            lists_instead: None,
            changes_branch: false,
            received: None,
            sent_by: None,
            contact_host: None,
        }
    }
}

/// One machine behind the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// One request after another, this long each, ms; 0: no queue.
    pub service_ms: f64,
    /// What a request with credentials takes instead.
    pub auth_ms: Option<f64>,
    /// So many requests are served at a time, from one queue; 0 is one.
    pub servers: usize,
    /// Times of service are drawn, exponential with this mean.
    pub random: bool,
    /// Requests that may wait; more are lost, or refused with these words.
    pub queue: Option<usize>,
    pub full: Option<Reply>,
    /// A retransmission of a request that waits or was answered costs nothing.
    pub absorbs: bool,
    /// Its `Server` header.
    pub server: String,
    /// What all of its To tags begin with.
    pub tags: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Each request to the next node.
    Turns,
    /// Each Call-ID to one node.
    CallId,
    /// Each request to a node by chance.
    Chance,
    /// By source address and port.
    Source,
    /// By the address that is asked.
    Address,
}

/// So many bindings at a time, others' included.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub bindings: u32,
    #[serde(flatten)]
    pub answer: Reply,
    /// At the limit refreshes and removals are refused as well.
    #[serde(default)]
    pub all: bool,
}

/// So many REGISTER requests a second are let in, as a token bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
    /// Requests with credentials take a token too.
    #[serde(default)]
    pub every_request: bool,
    /// Whether the bucket is each source's own.
    #[serde(default)]
    pub per_source: bool,
    #[serde(flatten)]
    pub answer: Reply,
}

/// So many requests at a time, each for so long, side by side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transactions {
    pub most: usize,
    pub takes_ms: f64,
    #[serde(flatten)]
    pub answer: Reply,
}

/// Too many failures bring a ban.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    pub after: u32,
    /// Counted by source address, else by user.
    #[serde(default)]
    pub by_source: bool,
    pub lasts: f64,
    #[serde(flatten)]
    pub answer: Reply,
}

/// What is said; code 0 is silence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub code: u16,
    pub reason: String,
    /// Further header lines.
    pub headers: Vec<String>,
    /// A body of plain text.
    pub body: String,
    /// Stands for the node's `Server` header.
    pub server: Option<String>,
}

/// An answer of its own for some requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    pub from: f64,
    pub until: Option<f64>,
    /// Which agents, by number: from, up to (excluded).
    pub agents: Option<[u32; 2]>,
    /// This share of the agents, always the same.
    pub share: Option<f64>,
    /// This share of the requests, by chance.
    pub chance: Option<f64>,
    pub place: Place,
    /// Only this node.
    pub node: Option<usize>,
    /// Only requests with more bytes.
    pub larger: Option<usize>,
    /// Only requests from these addresses.
    pub sources: Vec<std::net::IpAddr>,
    /// Period and how much of it, in seconds.
    pub every: Option<[f64; 2]>,
    pub code: u16,
    pub reason: String,
    pub headers: Vec<String>,
    pub body: String,
    /// Who says so, where it is not the node.
    pub server: Option<String>,
    /// Nothing is decided: what is decided without this rule comes so much later, ms.
    pub later_ms: f64,
}

/// Where in a phone's life a request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    #[default]
    Any,
    /// Without credentials.
    First,
    /// With credentials that are right, before a binding exists.
    Credentials,
    /// For an address of record that has a binding.
    Refresh,
    Removal,
    /// Any but a removal.
    Register,
}
