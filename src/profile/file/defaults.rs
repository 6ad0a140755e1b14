//! The value of every key that may be left out, as a person would write it.

use crate::profile::words::RetryPreset;
use crate::vocab::{
    AcceptFrom, ArrivalOrder, ContactHost, IntervalAlign, LimitScope, OfferedQop, Process, RealmPolicy, SocketUse,
    WhenExhausted, WsHost,
};

pub const RUN_INTERVAL: &str = "60s";
pub const ALIGN: IntervalAlign = IntervalAlign::Start;
pub const RUN_WORKERS: u32 = 0;
pub const RUN_WARMUP: &str = "0s";
pub const RUN_DRAIN: &str = "35s";
pub const RUN_UNREGISTER: bool = true;

pub const ALLOW_TARGETS: [&str; 2] = ["127.0.0.0/8", "::1/128"];
pub const MAX_MESSAGE_RATE: u32 = 50_000;
pub const MAX_CONNECT_RATE: u32 = 50_000;

pub const REALM_POLICY: RealmPolicy = RealmPolicy::Expect;
pub const TRUNK_ALGORITHMS: [&str; 3] = ["SHA-512-256", "SHA-256", "MD5"];
pub const EXPIRES: &str = "1h";
pub const REFRESH_AT: f64 = 0.9;
pub const REUSE_NONCE: bool = true;
pub const SOCKETS: SocketUse = SocketUse::Shared;
pub const ACCEPT_FROM: AcceptFrom = AcceptFrom::Anywhere;
pub const CONNECTIONS: SocketUse = SocketUse::PerAgent;
pub const CONNECT_TIMEOUT: &str = "10s";
pub const VERIFY: bool = true;
pub const RESUMPTION: bool = false;
pub const WS_PATH: &str = "/";
pub const WS_HOST: WsHost = WsHost::Invalid;
pub const KEEPALIVE: &str = "0s";
pub const AUDIT: f64 = 0.0;
pub const CONTACT: ContactHost = ContactHost::Own;
pub const CONTACTS: u32 = 1;
pub const OUTBOUND: bool = false;
pub const QUALIFY: &str = "0s";
pub const RETRY_PRESET: RetryPreset = RetryPreset::Rfc;

pub const PROCESS: Process = Process::Uniform;
pub const ORDER: ArrivalOrder = ArrivalOrder::Shuffled;
pub const WHEN_EXHAUSTED: WhenExhausted = WhenExhausted::Stop;
pub const MAX_IN_FLIGHT: u32 = 20_000;

pub const LATE: &str = "5ms";
pub const STALL: &str = "10ms";
pub const SUSPECT_LATE: f64 = 0.001;
pub const SEGMENTS: u32 = 64;
pub const PAD: bool = true;
pub const INVALID_LATE: f64 = 0.05;

pub const LISTEN: [&str; 1] = ["udp://127.0.0.1:0"];
pub const REGISTRAR_REALM: &str = "genesyscloud.test";
pub const REGISTRAR_ALGORITHMS: [&str; 2] = ["SHA-256", "MD5"];
pub const QOP: OfferedQop = OfferedQop::Auth;
pub const USERHASH: bool = false;
pub const CANARY: bool = true;
pub const LIMITS_ALLOWED: bool = false;
pub const REGISTRAR_PASSWORD: &str = "secret";
pub const MIN_EXPIRES: &str = "5s";
pub const MAX_EXPIRES: &str = "1h";
pub const NONCE_LIFETIME: &str = "300s";
pub const MAX_CONTACTS_CODE: u16 = 403;
pub const REGISTRAR_THREADS: u32 = 1;

pub const TRUTH_EVERY: &str = "1s";
pub const TRUTH_SWEEP: &str = "60s";

pub const FAULT_FROM: &str = "0s";
pub const FAULT_SHARE: f64 = 1.0;
pub const LIMIT_SCOPE: LimitScope = LimitScope::Trunk;

/// What is asked of a run whose profile asks for nothing: one in which everybody is refused
/// fails.
pub const THRESHOLDS: [(&str, &str); 1] = [("findings.critical", "== 0")];

/// The same as a table.
pub fn thresholds() -> std::collections::BTreeMap<&'static str, &'static str> {
    THRESHOLDS.into()
}

/// What two runs are compared by, and the change for the worse that is no regression yet.
/// Latencies have a time too: on a fast network ten per cent are less than a busy machine adds
/// to them.
pub const COMPARE: [(&str, &str); 6] = [
    ("success_ratio", "-0.1%"),
    ("loops", "+0.1%"),
    ("availability_pct", "-0.1%"),
    ("register.p50", "+5% +0.2ms"),
    ("register.p95", "+5% +0.5ms"),
    ("register.p99", "+10% +1ms"),
];

/// The same as a table.
pub fn compare() -> std::collections::BTreeMap<&'static str, &'static str> {
    COMPARE.into()
}
