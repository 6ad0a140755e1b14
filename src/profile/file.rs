//! The profile as written: every key of the TOML, all optional, unknown keys refused.
//!
//! Types here only say what a key looks like; whether its value makes sense is decided in
//! `resolve`. The defaults are stated once, in [`defaults`]: `resolve` uses them and the JSON
//! Schema shows them.

pub mod defaults;
pub mod platform;
pub mod truth;

use super::words::{RetryMax, RetryPreset, Wrong};
use crate::vocab::{
    AcceptFrom, ArrivalOrder, ContactHost, IntervalAlign, LimitScope, OfferedQop, OnIcmp, Platform, Process,
    RealmPolicy, Secret, ShownCertificate, SocketUse, WhenExhausted, Word, WsHost,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A regstorm profile.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "regstorm profile")]
pub struct ProfileFile {
    /// The run as a whole.
    pub run: Option<RunFile>,
    /// What may be reached, and how hard.
    pub safety: Option<SafetyFile>,
    /// Registrar targets with their agents and policy; at least one for a run.
    pub trunk: Option<Vec<TrunkFile>>,
    /// Load stages, one after another; all trunks share the arrivals by number of agents.
    pub load: Option<Vec<StageFile>>,
    /// How agents arrive.
    pub arrivals: Option<ArrivalsFile>,
    /// When our own schedule counts as broken.
    pub generator: Option<GeneratorFile>,
    /// Metric = comparison, like `success_ratio = ">= 0.999"`; quote names with a dot:
    /// `"register.p99" = "< 250ms"`. The first one written replaces the default.
    #[schemars(extend("default" = defaults::thresholds()))]
    pub thresholds: Option<BTreeMap<String, String>>,
    /// What `regstorm compare` looks at, and the change for the worse that is no regression yet:
    /// figure = change, like `"register.p99" = "+10% +1ms"` or `success_ratio = "-0.1%"`; "off"
    /// leaves a figure out. Keys override the defaults one by one.
    #[schemars(extend("default" = defaults::compare()))]
    pub compare: Option<BTreeMap<String, String>>,
    /// The embedded registrar.
    pub registrar: Option<RegistrarFile>,
    /// The servers' own counts of bindings, sampled beside ours.
    pub truth: Option<Vec<truth::TruthFile>>,
    /// Platforms that are asked what they know of the trunks.
    pub platform: Option<Vec<platform::PlatformFile>>,
    /// What the registrar's side is said to allow; `simulate` warns of what a run would pass.
    pub expect: Option<ExpectFile>,
}

/// `[run]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Names the result directory; the profile's file name without its extension when left out.
    pub name: Option<String>,
    /// Bucket of every time series.
    #[schemars(extend("default" = defaults::RUN_INTERVAL))]
    pub interval: Option<DurationText>,
    /// Where intervals end: `"start"`, counted from the run's start, or `"minute"`, on whole
    /// minutes of UTC, so that they line up with a platform's; the first one is short. The interval
    /// must then divide a minute, or be whole minutes.
    #[schemars(extend("default" = defaults::ALIGN))]
    pub align: Option<WordText<IntervalAlign>>,
    /// Same profile and seed: same identities, arrival times and random choices. Random, and
    /// recorded, when left out.
    pub seed: Option<u64>,
    /// Sender threads; 0 is as many as the planned rate needs, one for every 20 000
    /// registrations/s, at most one per core.
    #[schemars(extend("default" = defaults::RUN_WORKERS))]
    pub workers: Option<u32>,
    /// The beginning of the load, left out of thresholds and totals and marked in the time series;
    /// an attempt counts where it ended.
    #[schemars(extend("default" = defaults::RUN_WARMUP))]
    pub warmup: Option<DurationText>,
    /// Longest wait for open attempts at the end; it ends early when nothing is open.
    #[schemars(extend("default" = defaults::RUN_DRAIN))]
    pub drain: Option<DurationText>,
    /// Whether every agent un-REGISTERs afterwards, at the highest planned rate, at least 10/s.
    #[schemars(extend("default" = defaults::RUN_UNREGISTER))]
    pub unregister: Option<bool>,
    /// The name server to ask, `"10.0.0.2"` or `"127.0.0.1:5353"`; those of the system when left
    /// out.
    pub resolver: Option<String>,
    /// Names whose addresses nobody is asked for: `{ "edge.example.net" = ["10.0.0.5"] }`.
    pub hosts: Option<BTreeMap<String, Vec<String>>>,
}

/// `[safety]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetyFile {
    /// Networks that may be sent to; any other resolved address is refused before the first packet.
    #[schemars(extend("default" = defaults::ALLOW_TARGETS))]
    pub allow_targets: Option<Vec<String>>,
    /// Hard ceiling on SIP messages sent per second, over everything; it refuses and counts, it
    /// never shapes.
    #[schemars(extend("default" = defaults::MAX_MESSAGE_RATE))]
    pub max_message_rate: Option<u32>,
    /// Hard ceiling on connections begun per second, over all trunks, reconnects included; it
    /// refuses and counts, it never shapes. A tenth of it may begin at once.
    #[schemars(extend("default" = defaults::MAX_CONNECT_RATE))]
    pub max_connect_rate: Option<u32>,
    /// Conditions that end a run in good order, judged at the end of each interval of the load over
    /// all of it so far; written like thresholds: `{ success_ratio = "< 0.5", loops = "> 100" }`.
    /// Beyond this machine a run without any stops at many refusals of credentials; `{}` for none.
    pub abort_on: Option<BTreeMap<String, String>>,
    /// Whether one agent of each trunk beyond this machine registers before the load, which does
    /// not begin when it is refused.
    #[schemars(extend("default" = defaults::CANARY))]
    pub canary: Option<bool>,
    /// Whether `regstorm limits` may search beyond this machine: its owner agreed that the
    /// registrar is driven past what it takes.
    #[schemars(extend("default" = defaults::LIMITS_ALLOWED))]
    pub limits: Option<bool>,
    /// Who agreed that these networks are loaded, and when, in your own words; it stands in the
    /// report.
    pub authorised_by: Option<String>,
    /// Hosts of platforms that may be asked, by name: `["api.example.com"]`; none when left out.
    pub allow_platforms: Option<Vec<String>>,
}

/// `[expect]`: limits as somebody stated them, of a registrar, an edge or a line. Nothing is held
/// back because of them.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectFile {
    /// Bindings at once.
    pub registrations: Option<u32>,
    /// Attempts begun per second, refreshes and retries included; a handshake of two REGISTERs is
    /// one.
    pub registrations_per_second: Option<f64>,
    /// Requests per second from all agents together.
    pub messages_per_second: Option<u32>,
    /// Requests per second from one source address.
    pub messages_per_second_per_source: Option<u32>,
    /// Requests per second of one address of record.
    pub messages_per_second_per_aor: Option<u32>,
    /// Contacts of one address of record: agents of one user.
    pub contacts_per_aor: Option<u32>,
    /// Of the line in each direction, UDP and IP headers included: `"10Mbit"`, `"512kbit"`; powers
    /// of ten, per second.
    pub bandwidth: Option<BandwidthText>,
    /// Nobody else registers on these trunks, so that a limit found is the whole limit and not
    /// only what was left of it.
    pub exclusive: Option<bool>,
}

/// One `[[trunk]]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["id", "registrar", "domain", "agents"]))]
pub struct TrunkFile {
    /// Names the trunk in every result file; unique, no dots.
    pub id: Option<String>,
    /// `"embedded"`, or a SIP URI: `"sip:edge.example.net"`, `"sip:10.0.0.5:5060"`. A name without
    /// a port is looked up as RFC 3263 has it: NAPTR, SRV, then its addresses.
    pub registrar: Option<String>,
    /// The product that answers: `"kamailio"`, `"opensips"`, `"asterisk"`, `"freeswitch"`,
    /// `"genesys"`, `"oracle"` or `"other"`. The report keeps its advice to it; left out, it goes
    /// by the name that the answers bear in `Server`.
    pub platform: Option<WordText<Platform>>,
    /// A SIP URI every request goes through, `"sip:127.0.0.1:5060;lr"`.
    pub outbound_proxy: Option<String>,
    /// Host of the Request-URI and of every address of record.
    pub domain: Option<String>,
    /// The realm we expect the registrar to challenge with; proxies before it have realms of their
    /// own, which are answered as challenged.
    pub realm: Option<String>,
    /// `"expect"`: answer with the realm as challenged and compare; `"require"`: another realm is a
    /// `protocol_error`; `"force"`: header and HA1 use the configured realm.
    #[schemars(extend("default" = defaults::REALM_POLICY))]
    pub realm_policy: Option<WordText<RealmPolicy>>,
    /// Digest algorithms accepted: SHA-512-256, SHA-256, MD5, and each with "-sess", a name of its
    /// own; the first challenge that names one of them is answered (RFC 8760).
    #[schemars(extend("default" = defaults::TRUNK_ALGORITHMS))]
    pub algorithms: Option<Vec<String>>,
    /// Lifetime asked for, whole seconds.
    #[schemars(extend("default" = defaults::EXPIRES))]
    pub expires: Option<DurationText>,
    /// Share of the granted lifetime after which to refresh, between 0 and 1, with a little jitter.
    /// Written, it replaces the refresh time of a client preset.
    #[schemars(extend("default" = defaults::REFRESH_AT))]
    pub refresh_at: Option<f64>,
    /// Refreshes carry credentials at once, with the next nonce count, instead of waiting for a new
    /// 401. The retry presets `asterisk` and `pjsua` do not when this is left out.
    #[schemars(extend("default" = defaults::REUSE_NONCE))]
    pub reuse_nonce: Option<bool>,
    /// Local ports over UDP: one for all agents of a worker and source, or `"per-agent"`: one for
    /// each, as real phones have (the limit on descriptors is raised and checked first).
    #[schemars(extend("default" = defaults::SOCKETS))]
    pub sockets: Option<WordText<SocketUse>>,
    /// Whose answers are taken on a shared UDP socket: `"anywhere"`: whoever sends them, as RFC
    /// 3261 §18.1.2 has it, and it is told; `"target"`: only those from where the request went. A
    /// socket of one agent takes those only.
    #[schemars(extend("default" = defaults::ACCEPT_FROM))]
    pub accept_from: Option<WordText<AcceptFrom>>,
    /// Connections over TCP, TLS and WebSocket: `"per-agent"`: one for each agent, as phones have;
    /// `"shared"`: one for all agents of a worker and source, as a trunk has.
    #[schemars(extend("default" = defaults::CONNECTIONS))]
    pub connections: Option<WordText<SocketUse>>,
    /// How long opening a connection may take; a registration that waits for it fails then.
    #[schemars(extend("default" = defaults::CONNECT_TIMEOUT))]
    pub connect_timeout: Option<DurationText>,
    /// Local addresses to send from; agent n uses `source[n mod length]`. The kernel's choice when
    /// left out.
    pub source: Option<Vec<String>>,
    /// The longest time between two keep-alives of a flow, `"0s"` for none: an empty line that goes
    /// after 80 to 100 % of it (RFC 5626 §4.4.1), over WebSocket a ping. Over a connection it is
    /// answered within 10 s, or the connection is given up.
    #[schemars(extend("default" = defaults::KEEPALIVE))]
    pub keepalive: Option<DurationText>,
    /// The address of Contacts: `"own"`: the one agents send from; `"learnt"`: the one that answers
    /// say requests come from (`received` and `rport` of the Via), with which an agent registers
    /// again at once, as phones behind a NAT do.
    #[schemars(extend("default" = defaults::CONTACT))]
    pub contact: Option<WordText<ContactHost>>,
    /// How many Contacts each agent registers, 1 to 9; they differ in `;line=2`.
    #[schemars(extend("default" = defaults::CONTACTS))]
    pub contacts: Option<u32>,
    /// Agents name themselves as RFC 5626 has it: `+sip.instance` with a UUID of their own,
    /// `reg-id`, `Supported: path, outbound, gruu`.
    #[schemars(extend("default" = defaults::OUTBOUND))]
    pub outbound: Option<bool>,
    /// Share of the agents, 0 to 1, that ask for their bindings now and then while they are
    /// registered (a REGISTER without Contact): whether theirs is there, and for how long.
    #[schemars(extend("default" = defaults::AUDIT))]
    pub audit: Option<f64>,
    /// The time between two OPTIONS of an agent to its registrar, `"60s"`; `"0s"`: none.
    #[schemars(extend("default" = defaults::QUALIFY))]
    pub qualify: Option<DurationText>,
    /// The name server this trunk asks; `[run] resolver` when left out.
    pub resolver: Option<String>,
    /// Names whose addresses this trunk asks nobody for, before those of `[run] hosts`.
    pub hosts: Option<BTreeMap<String, Vec<String>>>,
    /// Who registers: a pattern with `count` and `user`, a `csv` file or a `sipp_csv` file. Rows
    /// with one user are several phones of that user: their Contacts differ in `;rinstance=…`.
    pub agents: Option<AgentsFile>,
    /// An account of its own that registers beside the load, again and again while the run goes on,
    /// and is in no count of it: `{ user = "canary", password = "…" }`. Its checks stand apart, as
    /// `canary_checks` and `canary_failed`.
    pub canary: Option<CanaryFile>,
    /// Extra headers on every REGISTER, `{ "X-Site" = "NJ" }`.
    pub headers: Option<BTreeMap<String, String>>,
    /// How an agent behaves after a failure.
    pub retry: Option<RetryFile>,
    /// How TLS is set up: `ca`, `cert`, `key`, `server_name`, `verify`, `resumption`.
    pub tls: Option<TlsFile>,
    /// What is asked for over WebSocket (`transport=ws` or `wss`): `path`, `headers`, `host`.
    pub ws: Option<WsFile>,
    /// Shares of the agents that differ from the others: wrong credentials, another client.
    pub mix: Option<Vec<MixFile>>,
}

/// `canary` of a trunk.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["user"]))]
pub struct CanaryFile {
    /// Its user, which is none of the agents'.
    pub user: Option<String>,
    /// Authentication name; the user when left out.
    pub auth_user: Option<String>,
    /// Its password.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretText>,
    /// Name of the environment variable that holds the password.
    pub password_env: Option<String>,
    /// Precomputed HA1 in hex, as of `agents`.
    #[schemars(with = "Option<String>")]
    pub ha1: Option<SecretText>,
}

/// One `[[trunk.mix]]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["share"]))]
pub struct MixFile {
    /// Share of the trunk's agents, above 0 up to 1; all shares of a trunk together at most 1.
    pub share: Option<f64>,
    /// What these agents get wrong on purpose: `"password"`; `"realm"`: header and HA1 use
    /// `wrong.<realm>`; `"user"`: user and authentication name begin with `unknown-`.
    pub wrong: Option<WordText<Wrong>>,
    /// How these agents behave after a failure; as the trunk's others when left out.
    pub retry: Option<RetryFile>,
}

/// `agents` of a trunk.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentsFile {
    /// How many agents the pattern makes.
    pub count: Option<u32>,
    /// User of agent n, counted from 0: `"agent{n}"` or, zero-padded, `"agent{n:05}"`.
    pub user: Option<String>,
    /// Authentication name, by the same kind of pattern; the user when left out.
    pub auth_user: Option<String>,
    /// Password of every agent (with `csv` or `sipp_csv`: of rows without one).
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretText>,
    /// Name of the environment variable that holds the password.
    pub password_env: Option<String>,
    /// Precomputed HA1 in hex, 32 digits for MD5 or 64 for SHA-256 and SHA-512-256.
    #[schemars(with = "Option<String>")]
    pub ha1: Option<SecretText>,
    /// A CSV file with columns
    /// `user[,auth_user][,password|password_env|ha1][,trunk_id][,tls_cert,tls_key]`; other columns
    /// are ignored. `tls_cert` and `tls_key` name PEM files (relative to the profile) with what an
    /// agent shows a server over TLS instead of its trunk's.
    pub csv: Option<String>,
    /// A SIPp injection file (`-inf`) as it is: `SEQUENTIAL`, `USER` (in the order of the file) or
    /// `RANDOM` (each row once, in an order drawn from the seed), fields between `;`, `#` comments,
    /// credentials as `[authentication username=… password=…]` in any field, `PRINTF=n` files too.
    /// Other fields are ignored, rows without credentials take those of `agents`.
    pub sipp_csv: Option<String>,
    /// With `sipp_csv`: the field that holds the user, counted from 0; 0 when left out.
    pub user_field: Option<u32>,
    /// With `csv` or `sipp_csv`: how many agents each row stands for, 1 when left out. The further
    /// ones are users of their own with the same secret: `alice`, `alice-2`, `alice-3`; a `replay`
    /// moves them together with `alice`.
    pub copies: Option<u32>,
}

/// `retry` of a trunk; keys other than `preset` override it.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryFile {
    /// `"rfc"`: 408, 5xx, timeouts and transport failures after min(1800 s, `interval`·2^k), 50 to
    /// 100 % of it (RFC 5626 §4.5), `Retry-After` wins, a second at least, other refusals never;
    /// `"pjsua"`, `"asterisk"`, `"baresip"`: as those clients do; `"hammer"`: after `interval`
    /// whatever the answer; `"none"`: one attempt.
    #[schemars(extend("default" = defaults::RETRY_PRESET))]
    pub preset: Option<WordText<RetryPreset>>,
    /// Wait before a retry, with rfc and baresip half of the longest before the first one; the
    /// preset decides when left out (rfc and baresip 30s, pjsua 300s, asterisk 60s, hammer 1s).
    pub interval: Option<DurationText>,
    /// Wait after a 403; `"0s"` never repeats one. `"0s"` when left out; with hammer its
    /// `interval`, with baresip the wait after any other failure.
    pub forbidden_interval: Option<DurationText>,
    /// Retries since the last 2xx, or `"unlimited"`; asterisk 10, others unlimited when left out.
    pub max: Option<RetryMax>,
    /// Spread of the waits as a share of them, 0 to 1; rfc and baresip 0.5, pjsua 10 s, others none
    /// when left out.
    pub jitter: Option<f64>,
    /// What becomes of a request over UDP that came back as undeliverable (ICMP): `"heed"`: it has
    /// failed; `"ignore"`: it is sent again until Timer F. The clients' presets ignore it when this
    /// is left out, the others heed it.
    pub icmp: Option<WordText<OnIcmp>>,
    /// The challenge that ends an attempt whose credentials are refused, 2 to 32: so many REGISTERs
    /// does a registrar draw that challenges without end. pjsua 6, baresip 16, others 2 when left
    /// out.
    pub challenges: Option<u32>,
    /// The same of challenges with `stale=true`; pjsua 4, baresip 16, asterisk 2, others 3 when
    /// left out.
    pub stales: Option<u32>,
}

/// `tls` of a trunk.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// Certificates that are trusted, as PEM; the system's when left out.
    pub ca: Option<String>,
    /// Our own certificate with its issuers behind it, as PEM.
    pub cert: Option<String>,
    /// Its private key, as PEM.
    pub key: Option<String>,
    /// What the server's certificate must be for; the registrar's host when left out.
    pub server_name: Option<String>,
    /// Whether the server's certificate is checked.
    #[schemars(extend("default" = defaults::VERIFY))]
    pub verify: Option<bool>,
    /// Whether an agent's next connection takes up the TLS session of its last one, which spares
    /// the server most of the handshake.
    #[schemars(extend("default" = defaults::RESUMPTION))]
    pub resumption: Option<bool>,
}

/// `ws` of a trunk.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WsFile {
    /// Path of the URL, with its query.
    #[schemars(extend("default" = defaults::WS_PATH))]
    pub path: Option<String>,
    /// Extra header fields of the request to upgrade, `{ "Origin" = "https://desk.example" }`.
    pub headers: Option<BTreeMap<String, String>>,
    /// What an agent calls its own host in Via and Contact: `"invalid"`: a name of its own under
    /// `.invalid`, as phones in browsers do (RFC 7118 §5.2), the same on its next connection;
    /// `"address"`: the address its connection comes from.
    #[schemars(extend("default" = defaults::WS_HOST))]
    pub host: Option<WordText<WsHost>>,
}

/// `tls` of the embedded registrar.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsFile {
    /// Its certificate with its issuers behind it, as PEM; one of its own making when left out.
    pub cert: Option<String>,
    /// Its private key, as PEM.
    pub key: Option<String>,
}

/// One `[[load]]` stage: exactly one of `ramp`, `rate`, `avalanche`, `hold`, `outage`, `replay`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageFile {
    /// Arrivals per second change linearly from the previous stage's rate (0 at first) to this one;
    /// needs `for`.
    pub ramp: Option<f64>,
    /// Constant arrivals per second; needs `for`.
    pub rate: Option<f64>,
    /// How long a `ramp`, `rate` or `outage` lasts.
    #[serde(rename = "for")]
    pub lasts: Option<DurationText>,
    /// No new arrivals for this long: refreshes and retries only.
    pub hold: Option<DurationText>,
    /// This share of all agents at once, above 0 up to 1: the next ones that have not arrived. It
    /// takes no time and leaves the rate as it was.
    pub avalanche: Option<f64>,
    /// This share of the agents, drawn by the seed, is without power, above 0 up to 1; needs `for`,
    /// and a further stage behind it. No new arrivals meanwhile; at its end those agents begin anew
    /// with the full handshake.
    pub outage: Option<f64>,
    /// A CSV file of what phones were recorded to do, as `regstorm learn` writes it, with columns
    /// `at_s[,trunk_id][,user[,phone]][,act]`: seconds since the start of the stage; whose row
    /// among the agents it is (`phone` counts the rows of one user from 1; without `user` each row
    /// is the next agent); `act` is `arrive` (when left out), `again` (its next refresh or retry,
    /// if by itself it would come at about that time), `leave` (un-REGISTER) or `vanish` (silent
    /// from then on). It lasts as long as its rows, and the other stages beside it are `hold`.
    pub replay: Option<String>,
    /// With `replay`: how many times as fast as recorded; 1 when left out. Lifetimes stay as they
    /// are.
    pub speed: Option<f64>,
}

/// `[arrivals]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivalsFile {
    /// Spacing of arrivals: `"uniform"` by the rate, or `"poisson"`: as many in each stage, at
    /// random times.
    #[schemars(extend("default" = defaults::PROCESS))]
    pub process: Option<WordText<Process>>,
    /// Who comes first: `"shuffled"`, an order drawn from `run.seed`, or `"listed"`, the order of
    /// each trunk's own list. In a drawn order a limit is not mistaken for agents missing from some
    /// line of the list onward, nor these for a limit.
    #[schemars(extend("default" = defaults::ORDER))]
    pub order: Option<WordText<ArrivalOrder>>,
    /// `"stop"`: each agent arrives once; `"reregister"`: arrival n is agent n mod agents, each
    /// time with the full handshake; one whose attempt is still open then is counted as `shed`.
    #[schemars(extend("default" = defaults::WHEN_EXHAUSTED))]
    pub when_exhausted: Option<WordText<WhenExhausted>>,
    /// Open attempts beyond which an arrival is counted as `shed`, never silently delayed.
    #[schemars(extend("default" = defaults::MAX_IN_FLIGHT))]
    pub max_in_flight: Option<u32>,
}

/// `[generator]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratorFile {
    /// A first REGISTER that left later than this after its plan is late.
    #[schemars(extend("default" = defaults::LATE))]
    pub late: Option<DurationText>,
    /// One turn of a sender thread longer than this is a stall.
    #[schemars(extend("default" = defaults::STALL))]
    pub stall: Option<DurationText>,
    /// More late arrivals than this share (of twenty or more), or any socket drop, send error or
    /// ceiling refusal: `suspect`.
    #[schemars(extend("default" = defaults::SUSPECT_LATE))]
    pub suspect_late: Option<f64>,
    /// More late arrivals than this share (of twenty or more), lag p99 above 100 ms, or more than
    /// 0.1 % of messages dropped or not sent: `invalid`.
    #[schemars(extend("default" = defaults::INVALID_LATE))]
    pub invalid_late: Option<f64>,
    /// Datagrams of one length that a sender may hand to the kernel as one (UDP GSO); they still
    /// arrive as so many. 1 sends each by itself, for the smoothest pacing; 64 is the most.
    #[schemars(extend("default" = defaults::SEGMENTS))]
    pub segments: Option<u32>,
    /// Up to 15 characters more in the Via branch (46 in all) bring each REGISTER to a multiple of
    /// 16 bytes, so that more of them have one length.
    #[schemars(extend("default" = defaults::PAD))]
    pub pad: Option<bool>,
}

/// `[registrar]`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrarFile {
    /// Where to listen: `udp://ADDRESS:PORT`, port 0 picks a free one; `tcp://…`, `tls://…`,
    /// `ws://…` and `wss://…` for connections. A trunk on the embedded registrar speaks to the
    /// first.
    #[schemars(extend("default" = defaults::LISTEN))]
    pub listen: Option<Vec<String>>,
    /// Its certificate for `tls://` and `wss://`: `cert`, `key`; one of its own making when left
    /// out.
    pub tls: Option<ServerTlsFile>,
    /// Threads that serve, 0 is one per core; bindings and limits are exact whatever their number.
    #[schemars(extend("default" = defaults::REGISTRAR_THREADS))]
    pub threads: Option<u32>,
    /// Realm of its challenges.
    #[schemars(extend("default" = defaults::REGISTRAR_REALM))]
    pub realm: Option<String>,
    /// Challenged in this order, one header each.
    #[schemars(extend("default" = defaults::REGISTRAR_ALGORITHMS))]
    pub algorithms: Option<Vec<String>>,
    /// What digests are to protect: `"auth"`; `"auth-int"`: the body too; `"auth,auth-int"`: as the
    /// phone likes (RFC 7616 §3.3).
    #[schemars(extend("default" = defaults::QOP))]
    pub qop: Option<WordText<OfferedQop>>,
    /// Whether challenges ask for user names that are hashed (RFC 7616 §3.4.4).
    #[schemars(extend("default" = defaults::USERHASH))]
    pub userhash: Option<bool>,
    /// Every user's password; with `users`, of those whose row has none. Without either, each
    /// trunk's own users and secrets are accepted.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretText>,
    /// A CSV file of the users it knows, with the columns of an agents file. Credentials of anybody
    /// else get 401, as from Kamailio.
    pub users: Option<String>,
    /// Shorter lifetimes are answered with 423.
    #[schemars(extend("default" = defaults::MIN_EXPIRES))]
    pub min_expires: Option<DurationText>,
    /// Longer lifetimes are shortened to this.
    #[schemars(extend("default" = defaults::MAX_EXPIRES))]
    pub max_expires: Option<DurationText>,
    /// How long a nonce is good for.
    #[schemars(extend("default" = defaults::NONCE_LIFETIME))]
    pub nonce_lifetime: Option<DurationText>,
    /// The most contacts of one address of record, 1 to 1000; one more is refused. Without it the
    /// eleventh pushes out the oldest.
    pub max_contacts: Option<u32>,
    /// The code of that refusal.
    #[schemars(extend("default" = defaults::MAX_CONTACTS_CODE))]
    pub max_contacts_code: Option<u16>,
    /// Faults; any number.
    pub fault: Option<Vec<FaultFile>>,
}

/// One `[[registrar.fault]]`; which keys apply depends on `kind`.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["kind"]))]
pub struct FaultFile {
    /// What goes wrong.
    #[schemars(extend("enum" = FAULT_KINDS.map(|(name, _)| name)))]
    pub kind: Option<String>,
    /// Active from this long after the start.
    #[schemars(extend("default" = defaults::FAULT_FROM))]
    pub from: Option<DurationText>,
    /// Until this long after the start; to the end when left out.
    pub until: Option<DurationText>,
    /// Share of agents hit, chosen by a hash of the user; of faults of connections, share of these.
    #[schemars(extend("default" = defaults::FAULT_SHARE))]
    pub share: Option<f64>,
    /// Only agents of this trunk; not of faults of connections, which come before anybody has said
    /// whose they are.
    pub trunk: Option<String>,
    /// Only requests from these addresses.
    #[serde(alias = "source")]
    pub sources: Option<Vec<String>>,
    /// Only requests to these addresses, of the several a trunk's name leads to in a rehearsal (its
    /// `hosts`); not of faults of connections.
    pub addresses: Option<Vec<String>>,
    /// limit: at most this many registered agents at once; transactions: this many open REGISTER
    /// transactions.
    pub concurrent: Option<u32>,
    /// limit: over what it counts, all agents the fault concerns (trunk), each name in the
    /// credentials (account), or each source address.
    #[schemars(extend("default" = defaults::LIMIT_SCOPE))]
    pub scope: Option<WordText<LimitScope>>,
    /// limit, rate, deny, refuse, oscillate, transactions: the refusal's code; 403 when left out,
    /// 503 of rate and transactions.
    pub code: Option<u16>,
    /// limit, rate, deny, refuse, oscillate, transactions: the refusal's reason phrase.
    pub reason: Option<String>,
    /// realm: the realm of the challenge.
    pub challenge: Option<String>,
    /// realm: the realm credentials are checked against.
    pub verify: Option<String>,
    /// delay: always this long.
    pub fixed: Option<DurationText>,
    /// delay: evenly between two durations.
    pub uniform: Option<Vec<DurationText>>,
    /// delay: a log-normal distribution.
    pub lognormal: Option<LognormalFile>,
    /// drop, duplicate, reorder, corrupt: probability that a datagram is hit; but for drop 1 when
    /// left out.
    pub probability: Option<f64>,
    /// reorder: the longest a datagram is held for others to overtake it, 20ms when left out;
    /// slow-accept: how long a connection waits until it is taken up, none when left out.
    pub delay: Option<DurationText>,
    /// rate: registrations per second, those beyond are refused; slow-accept: connections per
    /// second, those beyond wait.
    pub per_second: Option<f64>,
    /// rate: registrations that may come at once, one second's worth when left out.
    pub burst: Option<u32>,
    /// rate: Retry-After of the refusal in whole seconds, none when left out.
    pub retry_after: Option<DurationText>,
    /// oscillate: length of one up and down, counted from the start.
    pub period: Option<DurationText>,
    /// reset: the bytes of messages after which a connection is reset; at its first when left out.
    pub bytes: Option<u64>,
    /// half-open: how long after its beginning a connection is forgotten; at once when left out.
    pub after: Option<DurationText>,
    /// certificate: what is wrong with the one that is shown: expired, wrong-name or unknown-ca.
    pub shows: Option<WordText<ShownCertificate>>,
    /// restart: whether the bindings are lost too; false when left out.
    pub forget: Option<bool>,
    /// close-idle: a connection over which nothing came for so long is closed.
    pub idle: Option<DurationText>,
}

/// Each kind of fault with the keys that are its own; all take `from`, `until`, `share`, `trunk`,
/// `sources` and `addresses`.
pub const FAULT_KINDS: [(&str, &[&str]); 21] = [
    ("limit", &["concurrent", "scope", "code", "reason"]),
    ("rate", &["per_second", "burst", "code", "reason", "retry_after"]),
    ("deny", &["code", "reason"]),
    ("refuse", &["code", "reason"]),
    ("realm", &["challenge", "verify"]),
    ("stale", &[]),
    ("challenge-again", &[]),
    ("oscillate", &["period", "code", "reason"]),
    ("delay", &["fixed", "uniform", "lognormal"]),
    ("drop", &["probability"]),
    ("duplicate", &["probability"]),
    ("reorder", &["probability", "delay"]),
    ("corrupt", &["probability"]),
    ("freeze", &[]),
    ("transactions", &["concurrent", "code", "reason"]),
    ("reset", &["bytes"]),
    ("slow-accept", &["delay", "per_second"]),
    ("half-open", &["after"]),
    ("certificate", &["shows"]),
    ("restart", &["forget"]),
    ("close-idle", &["idle"]),
];

/// `lognormal` of a delay fault.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["median", "sigma"]))]
pub struct LognormalFile {
    /// Half of the delays are shorter.
    pub median: Option<DurationText>,
    /// Spread of the delay's logarithm.
    pub sigma: Option<f64>,
}

/// A password or HA1 as written, which even `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretText(pub Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| SecretText(Secret::new(text)))
    }
}

/// One of a few words as written; `resolve` reads it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct WordText<T>(pub String, #[serde(skip)] PhantomData<T>);

/// A duration as written; `resolve` reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DurationText(pub String);

/// A bandwidth as written; `resolve` reads it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct BandwidthText(pub String);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationWords;
        impl Visitor<'_> for DurationWords {
            type Value = DurationText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes with its unit, like \"10s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationText, E> {
                Ok(DurationText(text.to_owned()))
            }
        }
        deserializer.deserialize_str(DurationWords)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(us|µs|ms|s|m|min|h|d))+$" })
    }
}

impl<T: Word> JsonSchema for WordText<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": T::ALL })
    }
}

impl JsonSchema for BandwidthText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Bandwidth".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9.]+ ?([kKmMgG]?([bB]it(/s)?|bps))$" })
    }
}
