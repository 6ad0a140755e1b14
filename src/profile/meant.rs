//! The profile as meant: checked, every default filled in. Made once by `resolve`, then only read.
//!
//! It serialises under the names of the TOML file, durations as text and secrets as `***`: that is
//! the `profile` of `run.json`.

use super::error::{Problem, ProfileError};
use super::file::defaults;
use super::listen::ListenAddr;
use super::pattern::NamePattern;
use super::places::{Path, Places};
use super::sipp_csv::InjectionOrder;
use super::words::{RetryMax, RetryPreset, Wrong};
use crate::vocab::{
    AcceptFrom, ArrivalOrder, ContactHost, Expectation, FaultKind, IntervalAlign, OfferedQop, OnIcmp, Platform,
    PlatformKind, Process, RealmPolicy, ReplayAct, Secret, SocketUse, TruthAddress, TruthKind, UserForm, WhenExhausted,
    WsHost, as_text, format_duration,
};
use ipnet::IpNet;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A checked profile.
#[derive(Debug, serde::Serialize)]
pub struct Profile {
    #[serde(skip)]
    pub(super) places: Places,
    pub run: RunProfile,
    pub safety: Safety,
    #[serde(rename = "trunk")]
    pub trunks: Vec<TrunkProfile>,
    pub load: Vec<StageProfile>,
    pub arrivals: Arrivals,
    pub generator: GeneratorProfile,
    /// Name and expression as written, in the order of the file.
    #[serde(serialize_with = "as_map")]
    pub thresholds: Vec<(String, String)>,
    /// Figure and change as written, the defaults first.
    #[serde(serialize_with = "as_map")]
    pub compare: Vec<(String, String)>,
    pub registrar: RegistrarProfile,
    #[serde(rename = "truth", skip_serializing_if = "Vec::is_empty")]
    pub truths: Vec<TruthProfile>,
    #[serde(rename = "platform", skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformProfile>,
    pub expect: Expectation,
    /// Doubts that refuse nothing.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
pub struct RunProfile {
    pub name: String,
    #[serde(serialize_with = "as_text")]
    pub interval: Duration,
    pub align: IntervalAlign,
    /// `None`: drawn when the run starts.
    pub seed: Option<u64>,
    /// 0: as many as the planned rate needs.
    pub workers: u32,
    #[serde(serialize_with = "as_text")]
    pub warmup: Duration,
    #[serde(serialize_with = "as_text")]
    pub drain: Duration,
    pub unregister: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: HostTable,
}

/// The addresses of names that nobody is asked for; names in small letters.
pub type HostTable = BTreeMap<String, Vec<IpAddr>>;

#[derive(Debug, serde::Serialize)]
pub struct Safety {
    #[serde(serialize_with = "as_texts")]
    pub allow_targets: Vec<IpNet>,
    pub max_message_rate: u32,
    pub max_connect_rate: u32,
    /// Name and expression as written, in the order of the file.
    #[serde(serialize_with = "as_map")]
    pub abort_on: Vec<(String, String)>,
    /// Whether it was written at all: nothing written is not the same as none wanted.
    #[serde(skip)]
    pub abort_on_written: bool,
    pub canary: bool,
    pub limits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorised_by: Option<String>,
    /// In small letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_platforms: Vec<String>,
}

/// A platform that is asked what it knows of the trunks. Which secrets it takes is known, and not
/// the secrets themselves: only who asks it reads them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PlatformProfile {
    pub id: String,
    pub kind: PlatformKind,
    #[serde(skip)]
    pub of_region: bool,
    /// Scheme and host, without a slash at the end.
    #[serde(rename = "base_url")]
    pub api_url: String,
    /// Where tokens are given out.
    #[serde(skip)]
    pub login_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PemFile>,
    /// Our ids and its own.
    #[serde(serialize_with = "as_map")]
    pub trunks: Vec<(String, String)>,
    #[serde(skip_serializing_if = "CredentialRules::are_none")]
    pub rules: CredentialRules,
}

/// What a platform takes as credentials; what is not said is not held against anything.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct CredentialRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_max: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_without: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserForm>,
}

impl CredentialRules {
    fn are_none(&self) -> bool {
        *self == CredentialRules::default()
    }
}

impl PlatformProfile {
    /// The hosts that are asked, in small letters.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![host_of(&self.api_url)];
        let login = host_of(&self.login_url);
        if !hosts.contains(&login) {
            hosts.push(login);
        }
        hosts
    }
}

/// The host in a URL that was checked, in small letters.
pub(super) fn host_of(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

#[derive(Debug, serde::Serialize)]
pub struct TrunkProfile {
    pub id: String,
    /// `embedded` or a SIP URI, as written.
    pub registrar: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_proxy: Option<String>,
    pub domain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    pub realm_policy: RealmPolicy,
    /// Registered names, like `SHA-256` or `MD5-sess`.
    pub algorithms: Vec<&'static str>,
    /// Whole seconds.
    #[serde(serialize_with = "as_text")]
    pub expires: Duration,
    /// In (0, 1).
    pub refresh_at: f64,
    /// Whether `refresh_at` was written; then it overrides what the preset does by itself.
    #[serde(skip)]
    pub refresh_at_written: bool,
    pub reuse_nonce: bool,
    /// Whether `reuse_nonce` was written; else it is what the preset does by itself.
    #[serde(skip)]
    pub reuse_nonce_written: bool,
    pub sockets: SocketUse,
    pub accept_from: AcceptFrom,
    pub connections: SocketUse,
    #[serde(serialize_with = "as_text")]
    pub connect_timeout: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsProfile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ws: Option<WsProfile>,
    /// Empty: the kernel's choice.
    pub source: Vec<IpAddr>,
    #[serde(serialize_with = "as_text")]
    pub keepalive: Duration,
    pub contact: ContactHost,
    pub contacts: u32,
    pub outbound: bool,
    pub audit: f64,
    #[serde(serialize_with = "as_text")]
    pub qualify: Duration,
    /// Its own name server, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: HostTable,
    pub agents: TrunkAgents,
    /// One agent beside these, in no count of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<TrunkAgents>,
    /// In the order of the file.
    #[serde(serialize_with = "as_map")]
    pub headers: Vec<(String, String)>,
    pub retry: Retry,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<Mix>,
}

/// How a trunk's connections are secured.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct TlsProfile {
    /// `None`: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PemFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PemFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PemFile>,
    /// `None`: the host of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    pub verify: bool,
    pub resumption: bool,
}

/// What a trunk's agents ask for over WebSocket.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct WsProfile {
    pub path: String,
    /// In the order of the file. Some are credentials.
    #[serde(serialize_with = "without_credentials")]
    pub headers: Vec<(String, String)>,
    pub host: WsHost,
}

impl Default for WsProfile {
    fn default() -> Self {
        WsProfile { path: defaults::WS_PATH.to_owned(), headers: Vec::new(), host: defaults::WS_HOST }
    }
}

/// Header fields as a map, the values of those that let somebody in as `***`.
fn without_credentials<S: serde::Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let shown: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let secret = ["authorization", "cookie", "token", "key", "secret"].iter().any(|word| lower.contains(word));
            (name.clone(), if secret { "***".to_owned() } else { value.clone() })
        })
        .collect();
    as_map(&shown, serializer)
}

/// How connections to the embedded registrar are secured; `None`: by a certificate of its own.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct ServerTlsProfile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PemFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PemFile>,
}

/// A server that is asked how many bindings it holds.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct TruthProfile {
    pub kind: TruthKind,
    /// Of all kinds but `exec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<TruthAddress>,
    /// Of `exec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// `None`: all trunks together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    #[serde(serialize_with = "as_text")]
    pub every: Duration,
    #[serde(serialize_with = "as_text")]
    pub sweep: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    #[serde(skip)]
    pub secret: Secret,
}

/// A PEM file that a profile names, and what is in it.
#[derive(Clone, PartialEq, Debug)]
pub struct PemFile {
    /// As messages call it.
    pub path: String,
    pub pem: Secret,
    /// Where it is named, for whoever finds out that it is unusable.
    pub place: Problem,
}

impl PemFile {
    /// What is wrong with the file, and what to do instead.
    pub fn problem(&self, message: &str, remedy: Option<&str>) -> Problem {
        let remedy = remedy.map(str::to_owned);
        Problem { message: format!("{}: {message}", self.path), remedy, ..self.place.clone() }
    }
}

impl serde::Serialize for PemFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

/// A share of a trunk's agents that differs from the others.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Mix {
    /// In (0, 1]; all shares of a trunk together at most 1.
    pub share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Wrong>,
    /// `None`: as the trunk's others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Who registers on a trunk.
#[derive(Debug)]
pub enum TrunkAgents {
    Pattern { count: u32, user: NamePattern, auth_user: NamePattern, credential: AgentSecret },
    Listed { list: AgentList, rows: Vec<ListedAgent> },
}

/// The file that lists the agents of a trunk, by its path as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentList {
    Csv { csv: String, copies: u32 },
    Sipp { sipp_csv: String, user_field: u32, order: InjectionOrder, copies: u32 },
}

/// One agent of a list. A list may have a million of them, so they are kept small.
#[derive(Debug)]
pub struct ListedAgent {
    pub user: Box<str>,
    /// `None`: the user.
    auth_user: Option<Box<str>>,
    pub credential: AgentSecret,
    /// What it shows a server over TLS; `None`: what its trunk's agents do.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A client's certificate and its key, of one agent or of several.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientCertificate {
    pub cert: PemFile,
    pub key: PemFile,
}

impl TrunkAgents {
    /// Whether some of them show a certificate of their own.
    pub fn show_certificates(&self) -> bool {
        matches!(self, TrunkAgents::Listed { rows, .. } if rows.iter().any(|row| row.certificate.is_some()))
    }

    /// Those certificates, by the agents' numbers; empty where there is none.
    pub fn certificates(&self) -> Vec<Option<Arc<ClientCertificate>>> {
        match self {
            TrunkAgents::Listed { rows, .. } if self.show_certificates() => {
                rows.iter().map(|row| row.certificate.clone()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl ListedAgent {
    pub fn new(user: &str, auth_user: &str, credential: AgentSecret) -> Self {
        let auth_user = (auth_user != user).then(|| auth_user.into());
        ListedAgent { user: user.into(), auth_user, credential, certificate: None }
    }

    /// The same with a certificate of its own, or with none.
    pub fn showing(self, certificate: Option<Arc<ClientCertificate>>) -> Self {
        ListedAgent { certificate, ..self }
    }

    /// The name that goes with the secret.
    pub fn auth_user(&self) -> &str {
        self.auth_user.as_deref().unwrap_or(&self.user)
    }
}

/// What proves an identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentSecret {
    Password(Secret),
    /// 32 or 64 hex digits.
    Ha1(Secret),
}

impl AgentSecret {
    /// Whether it is an HA1, and the secret.
    pub fn parts(&self) -> (bool, &Secret) {
        match self {
            AgentSecret::Password(secret) => (false, secret),
            AgentSecret::Ha1(secret) => (true, secret),
        }
    }
}

/// How agents of a trunk behave after a failure, with the preset's values filled in.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Retry {
    pub preset: RetryPreset,
    #[serde(serialize_with = "as_text")]
    pub interval: Duration,
    /// Zero: a 403 is never repeated.
    #[serde(serialize_with = "as_text")]
    pub forbidden_interval: Duration,
    pub max: RetryMax,
    /// Spread of the waits after recoverable failures, in [0, 1].
    pub jitter: f64,
    /// Spread of the wait after a 403: `jitter` when it was written, else none.
    #[serde(skip)]
    pub forbidden_jitter: f64,
    /// Whether the wait after a 403 was written; else it may be that after any failure.
    #[serde(skip)]
    pub forbidden_written: bool,
    pub icmp: OnIcmp,
    /// In 2..=32.
    pub challenges: u8,
    pub stales: u8,
}

/// One load stage; rates are arrivals per second.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[serde(untagged)]
pub enum StageProfile {
    Ramp {
        ramp: f64,
        #[serde(rename = "for", serialize_with = "as_text")]
        lasts: Duration,
    },
    Rate {
        rate: f64,
        #[serde(rename = "for", serialize_with = "as_text")]
        lasts: Duration,
    },
    Avalanche {
        /// In (0, 1].
        avalanche: f64,
    },
    Hold {
        #[serde(serialize_with = "as_text")]
        hold: Duration,
    },
    Outage {
        /// In (0, 1].
        outage: f64,
        #[serde(rename = "for", serialize_with = "as_text")]
        lasts: Duration,
    },
    Replay(ReplayProfile),
}

/// What a stage replays.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct ReplayProfile {
    /// The file, as written.
    pub replay: String,
    /// Above 0.
    pub speed: f64,
    /// In the order of the file.
    #[serde(skip)]
    pub rows: Vec<ReplayRow>,
}

/// One row of a replay.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayRow {
    /// Since the start of the stage, as recorded.
    pub at: Duration,
    /// Where it stands in its file.
    pub line: u32,
    pub trunk: Option<Box<str>>,
    /// `None` in every row, or in none.
    pub user: Option<Box<str>>,
    /// Which of the user's agents, from 1.
    pub phone: u32,
    pub act: ReplayAct,
}

#[derive(Debug, serde::Serialize)]
pub struct Arrivals {
    pub process: Process,
    pub order: ArrivalOrder,
    pub when_exhausted: WhenExhausted,
    pub max_in_flight: u32,
}

#[derive(Debug, serde::Serialize)]
pub struct GeneratorProfile {
    #[serde(serialize_with = "as_text")]
    pub late: Duration,
    #[serde(serialize_with = "as_text")]
    pub stall: Duration,
    pub suspect_late: f64,
    pub invalid_late: f64,
    pub segments: u32,
    pub pad: bool,
}

#[derive(Debug, serde::Serialize)]
pub struct RegistrarProfile {
    pub listen: Vec<ListenAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTlsProfile>,
    /// 0: one per core.
    pub threads: u32,
    pub realm: String,
    pub algorithms: Vec<&'static str>,
    pub qop: OfferedQop,
    pub userhash: bool,
    /// `None`, and no `users`: each trunk's own users and secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    #[serde(serialize_with = "as_text")]
    pub min_expires: Duration,
    #[serde(serialize_with = "as_text")]
    pub max_expires: Duration,
    #[serde(serialize_with = "as_text")]
    pub nonce_lifetime: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_contacts: Option<u32>,
    pub max_contacts_code: u16,
    #[serde(rename = "fault")]
    pub faults: Vec<FaultProfile>,
}

/// Whom the embedded registrar knows. It serialises as the file's name.
#[derive(Debug)]
pub struct Users {
    pub csv: String,
    pub rows: Vec<ListedAgent>,
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.csv.serialize(serializer)
    }
}

#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct FaultProfile {
    #[serde(flatten)]
    pub kind: FaultKind,
    #[serde(serialize_with = "as_text")]
    pub from: Duration,
    /// `None`: to the end.
    #[serde(serialize_with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub until: Option<Duration>,
    pub share: f64,
    /// The id of a trunk of this profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

impl StageProfile {
    pub fn lasts(&self) -> Duration {
        match self {
            StageProfile::Ramp { lasts, .. } | StageProfile::Rate { lasts, .. } => *lasts,
            StageProfile::Avalanche { .. } => Duration::ZERO,
            StageProfile::Hold { hold } => *hold,
            StageProfile::Outage { lasts, .. } => *lasts,
            StageProfile::Replay(replay) => replay.lasts(),
        }
    }
}

impl ReplayProfile {
    /// When a row's turn comes, at the stage's speed.
    pub fn due(&self, row: &ReplayRow) -> Duration {
        row.at.div_f64(self.speed)
    }

    /// To the second behind its last row.
    fn lasts(&self) -> Duration {
        let last = self.rows.iter().map(|row| self.due(row)).max().unwrap_or_default();
        Duration::from_secs(last.as_secs() + 1)
    }
}

impl Profile {
    /// The path the profile was loaded from.
    pub fn path(&self) -> &str {
        &self.places.texts.name
    }

    /// A problem with the value of a key, for checks that need more than this room knows; `steps`
    /// as in `["trunk", "0", "registrar"]`.
    pub fn problem(&self, steps: &[&str], message: impl Into<String>) -> Problem {
        Problem::with_value(&self.places, &path_of(steps), message.into())
    }

    /// A problem with a key itself.
    pub fn key_problem(&self, steps: &[&str], message: impl Into<String>) -> Problem {
        Problem::with_key(&self.places, &path_of(steps), message.into())
    }

    /// A problem of the file as a whole.
    pub fn whole_problem(&self, message: impl Into<String>, remedy: &str) -> ProfileError {
        ProfileError::whole(self.path(), message, Some(remedy.to_owned()))
    }
}

impl AgentList {
    /// How many agents each of its rows stands for: one after another, the row's own first.
    pub fn copies(&self) -> u32 {
        match self {
            AgentList::Csv { copies, .. } | AgentList::Sipp { copies, .. } => *copies,
        }
    }
}

impl TrunkAgents {
    pub fn count(&self) -> usize {
        match self {
            TrunkAgents::Pattern { count, .. } => *count as usize,
            TrunkAgents::Listed { rows, .. } => rows.len(),
        }
    }

    /// Whether several agents are phones of one user. A pattern numbers its users.
    pub fn share_users(&self) -> bool {
        let TrunkAgents::Listed { rows, .. } = self else { return false };
        let mut known = HashSet::with_capacity(rows.len());
        rows.iter().any(|row| !known.insert(&*row.user))
    }
}

impl Serialize for TrunkAgents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("count", &self.count())?;
        match self {
            TrunkAgents::Pattern { user, auth_user, credential, .. } => {
                map.serialize_entry("user", user.as_str())?;
                map.serialize_entry("auth_user", auth_user.as_str())?;
                match credential {
                    AgentSecret::Password(secret) => map.serialize_entry("password", secret)?,
                    AgentSecret::Ha1(secret) => map.serialize_entry("ha1", secret)?,
                }
            }
            TrunkAgents::Listed { list: AgentList::Csv { csv, copies }, .. } => {
                map.serialize_entry("csv", csv)?;
                if *copies > 1 {
                    map.serialize_entry("copies", copies)?;
                }
            }
            TrunkAgents::Listed { list: AgentList::Sipp { sipp_csv, user_field, order, copies }, .. } => {
                if *copies > 1 {
                    map.serialize_entry("copies", copies)?;
                }
                map.serialize_entry("sipp_csv", sipp_csv)?;
                map.serialize_entry("user_field", user_field)?;
                map.serialize_entry("order", order)?;
            }
        }
        map.end()
    }
}

fn path_of(steps: &[&str]) -> Path {
    steps.iter().fold(Path::default(), |path, step| match step.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(step),
    })
}

fn as_texts<S: Serializer>(nets: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nets.iter().map(IpNet::to_string))
}

fn as_optional_text<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(format_duration).serialize(serializer)
}

fn as_map<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
