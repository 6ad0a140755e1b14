//! What a search for limits found, as `limits.json` has it: plain numbers and words, with the
//! counts each rests on.
//!
//! Unknown or not met is `null`, never 0. Times are seconds since the search began.

use crate::vocab::Transport;
use serde::Serialize;

/// The schema's name and version.
pub const SCHEMA: &str = "regstorm.limits/1";

/// A search, ended or stopped.
#[derive(Clone, Serialize, Debug)]
pub struct Limits {
    pub schema: &'static str,
    pub tool: Tool,
    pub name: String,
    /// UTC, RFC 3339.
    pub started: String,
    pub duration_s: f64,
    pub seed: u64,
    pub setup: Setup,
    /// `bisect` or `rfc7502`.
    pub method: &'static str,
    /// Ids of the limits that were met: `limit.concurrent`, `limit.contacts`, `limit.rate`,
    /// `limit.transactions`, `overload`.
    pub found: Vec<&'static str>,
    /// `null`: not searched, or stopped before it was.
    pub concurrent: Option<Concurrent>,
    pub contacts: Option<Contacts>,
    pub rate: Option<Rate>,
    /// The form of RFC 7502 §5, of a search by that method.
    pub rfc7502: Option<Rfc7502>,
    /// Why the search ended early.
    pub stopped: Option<String>,
    /// Phones that may be registered still, though un-REGISTERs were tried again and again.
    pub left_bound: u32,
    /// Datagrams the kernel dropped at our sockets.
    pub socket_drops: u64,
    pub steps: Vec<Step>,
    /// Where the trunk's name leads to several addresses: what became of attempts at each.
    pub addresses: Vec<AddressCounts>,
}

/// One address of a trunk's name.
#[derive(Clone, Serialize, Debug)]
pub struct AddressCounts {
    pub address: String,
    pub registered: u64,
    pub failed: u64,
    /// Attempts that went on to another address.
    pub went_on: u64,
}

#[derive(Clone, Serialize, Debug)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

/// Whom was searched, and with whom.
#[derive(Clone, Serialize, Debug)]
pub struct Setup {
    pub trunk_id: String,
    pub registrar: String,
    pub target: String,
    pub transport: Transport,
    pub domain: String,
    pub agents: u32,
    pub expires_s: u32,
    /// The address phones register from, and the one the experiment on sources used.
    pub source: String,
    pub other_source: Option<String>,
    /// A trunk of the same registrar that can be asked as well.
    pub other_trunk: Option<String>,
    pub objective_ms: Option<f64>,
    /// Nobody else registers on the trunk, as somebody stated.
    pub exclusive: bool,
}

/// Registrations at the same time.
#[derive(Clone, Serialize, Debug)]
pub struct Concurrent {
    pub limit: Option<u32>,
    pub at_least: u32,
    pub code: Option<u16>,
    pub reason: Option<String>,
    pub retry_after_s: Option<u32>,
    /// `trunk`, `registrar`, `account` or `source`.
    pub scope: Option<&'static str>,
    /// `high`, `medium` or `low`, and the rule and counts behind the word.
    pub confidence: &'static str,
    pub confidence_because: String,
    /// Never exceeded.
    pub hard: Option<bool>,
    /// One more contact of a registered user is refused too.
    pub counts_contacts: Option<bool>,
    pub refreshes_accepted: Option<u32>,
    pub refreshes_asked: Option<u32>,
    /// Nobody else registers on this trunk, as somebody stated; otherwise the limit is so many more
    /// than were there already.
    pub exclusive: bool,
    /// How many those were, where a server was asked (`[[truth]]`).
    pub others: Option<OthersCount>,
    pub refused_for_themselves: u32,
    pub refused: u32,
    pub released: u32,
    pub taken_again: u32,
}

/// Bindings on the trunk that are not of this search, by a server's own count.
#[derive(Clone, Serialize, Debug)]
pub struct OthersCount {
    /// Who said so.
    pub server: String,
    pub before: u64,
    /// When all phones of the search had left; `None`: it did not say.
    pub after: Option<u64>,
}

impl OthersCount {
    /// As many before as after.
    pub fn is_steady(&self) -> bool {
        self.after == Some(self.before)
    }
}

/// Contacts of one address of record.
#[derive(Clone, Serialize, Debug)]
pub struct Contacts {
    pub limit: Option<u32>,
    pub at_least: u32,
    pub code: Option<u16>,
    pub reason: Option<String>,
    /// From this many on, a new contact pushes out the oldest.
    pub pushes_out_at: Option<u32>,
    pub confidence: &'static str,
    pub confidence_because: String,
}

/// Registrations per second.
#[derive(Clone, Serialize, Debug)]
pub struct Rate {
    pub limit_per_s: Option<f64>,
    /// The highest rate that held.
    pub at_least_per_s: f64,
    pub burst: Option<u32>,
    pub code: Option<u16>,
    pub reason: Option<String>,
    pub retry_after_s: Option<u32>,
    pub confidence: &'static str,
    pub confidence_because: String,
    /// `rate`, `transactions`, `latency`, `silence` or `overload`.
    pub kind: &'static str,
    /// Of the kind `overload`: how far from the limit the rate that is carried may lie.
    pub uncertainty_per_s: Option<f64>,
    /// Where it fits: how response times go with the rate.
    pub law: Option<FittedLaw>,
    /// Of the kind `transactions`: so many may be open at once.
    pub transactions: Option<u32>,
    /// The lowest rate that did not hold.
    pub failed_per_s: Option<f64>,
    pub probes: u32,
    pub p99_ms: Option<f64>,
    /// Why no further rate was tried.
    pub ended: &'static str,
}

/// Kingman's law: response time is `leisure_ms` + `waiting_ms` · ρ/(1 - ρ), where ρ is the rate
/// over what is carried.
#[derive(Clone, Serialize, Debug)]
pub struct FittedLaw {
    pub name: &'static str,
    pub leisure_ms: f64,
    pub waiting_ms: f64,
    /// The median relative error over the rates it was fitted to.
    pub residual: f64,
    pub rates: usize,
}

/// RFC 7502 §5.1 and §5.3.
#[derive(Clone, Serialize, Debug)]
pub struct Rfc7502 {
    pub sip_transport: Transport,
    pub connection_strategy: &'static str,
    pub initial_attempt_rate: u32,
    pub registrations_per_iteration: u32,
    pub expires_s: u32,
    pub establishment_threshold_s: f64,
    pub media_streams: u32,
    pub tls_cipher_suite: Option<String>,
    pub ipsec_profile: Option<String>,
    pub registration_rate: Option<u32>,
    pub iterations: u32,
    pub iterations_failed: u32,
    pub converged: bool,
    pub notes: String,
}

/// One step tried.
#[derive(Clone, Serialize, Debug)]
pub struct Step {
    pub step: u32,
    pub at_s: f64,
    pub lasted_s: f64,
    pub part: &'static str,
    pub action: &'static str,
    pub purpose: &'static str,
    pub per_second: Option<f64>,
    pub offered: u32,
    pub accepted: u32,
    pub refused: u32,
    pub silent: u32,
    pub unsent: u32,
    pub late: u32,
    pub code: Option<u16>,
    pub reason: Option<String>,
    pub retry_after_s: Option<u32>,
    /// Phones registered after it.
    pub registered: u32,
    /// Of a rate probe: whether the rate held.
    pub held: Option<bool>,
    /// Of a rate probe: accepted per second, and response times of those accepted.
    pub answered_per_s: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}
