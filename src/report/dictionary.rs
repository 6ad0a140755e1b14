//! The data dictionary: every column of every CSV file, in order, with its meaning.
//!
//! The writers in `csv` and `summary_csv` take their headers from here, and the README's file
//! reference is checked against it, so the three cannot differ. Columns are only ever added at the
//! end of a file.

/// One column of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub file: &'static str,
    pub name: &'static str,
    pub meaning: &'static str,
}

/// What a column holds, for programs that must not guess.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    /// A moment, RFC 3339.
    Time,
    Number,
    /// Names, words and sentences; also those that look like numbers.
    Text,
    /// Whatever the row is about.
    Mixed,
}

impl Column {
    pub fn kind(&self) -> ColumnKind {
        match self.name {
            "interval_start" | "first_seen" | "last_seen" | "first_registered" | "last_change" => ColumnKind::Time,
            "value" => ColumnKind::Mixed,
            "count"
            | "attempts"
            | "registered"
            | "agents"
            | "code"
            | "last_code"
            | "interval_s"
            | "mean_period_s"
            | "agents_planned"
            | "agents_registered"
            | "agent_minutes_planned"
            | "agent_minutes_available"
            | "availability_pct" => ColumnKind::Number,
            name if name.ends_with("_us") => ColumnKind::Number,
            _ => ColumnKind::Text,
        }
    }
}

/// The columns of `file`, in order.
pub fn columns(file: &str) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().chain(&AVALANCHE).filter(move |column| column.file == file)
}

/// The files of a run that are described here, in order.
pub fn files() -> Vec<&'static str> {
    let mut files: Vec<_> = COLUMNS.iter().map(|column| column.file).collect();
    files.dedup();
    files
}

const fn column(file: &'static str, name: &'static str, meaning: &'static str) -> Column {
    Column { file, name, meaning }
}

const INTERVAL_START: &str = "start of the interval, UTC, RFC 3339 with milliseconds";
const INTERVAL_S: &str = "length of the interval in seconds; the last of a stage may be shorter";
const TRUNK: &str = "id of the trunk in the profile";
const WARMUP: &str = "true in the warm-up, which no total and no threshold contains, else false";
const USER: &str = "user part of the agent's address of record";
const CODE: &str = "status code of the response; empty when there was none";
const REASON: &str = "reason phrase as received, or a word for what happened without a response";

/// Every column of a run's files, file by file.
pub const COLUMNS: [Column; 98] = [
    column("intervals.csv", "interval_start", INTERVAL_START),
    column("intervals.csv", "interval_s", INTERVAL_S),
    column("intervals.csv", "trunk_id", TRUNK),
    column("intervals.csv", "status", "outcome of the attempts counted in this row"),
    column("intervals.csv", "count", "attempts that ended this way in the interval; rows of 0 are left out"),
    column("intervals.csv", "warmup", WARMUP),
    column("latency.csv", "interval_start", INTERVAL_START),
    column("latency.csv", "interval_s", INTERVAL_S),
    column("latency.csv", "trunk_id", TRUNK),
    column(
        "latency.csv",
        "phase",
        "what was timed: register, register_service, register_failed, challenge, authenticated, refresh, unregister, options, connect",
    ),
    column("latency.csv", "count", "values in the interval; rows of 0 are left out"),
    column("latency.csv", "min_us", "smallest value, microseconds"),
    column("latency.csv", "mean_us", "mean, microseconds"),
    column("latency.csv", "p50_us", "median, microseconds"),
    column("latency.csv", "p90_us", "90th percentile, microseconds"),
    column("latency.csv", "p95_us", "95th percentile, microseconds"),
    column("latency.csv", "p99_us", "99th percentile, microseconds"),
    column("latency.csv", "p999_us", "99.9th percentile, microseconds"),
    column("latency.csv", "max_us", "largest value, microseconds"),
    column("latency.csv", "warmup", WARMUP),
    column("responses.csv", "trunk_id", TRUNK),
    column("responses.csv", "kind", "what the response answers: initial, refresh, retry, unregister"),
    column("responses.csv", "code", "status code of the response"),
    column("responses.csv", "reason", "reason phrase as received"),
    column("responses.csv", "count", "responses of this kind over the run"),
    column("responses.csv", "first_seen", "when the first one arrived, UTC"),
    column("responses.csv", "last_seen", "when the last one arrived, UTC"),
    column(
        "responses.csv",
        "role",
        "final, or challenge for a 401/407 or 423 that the agent answered within the attempt",
    ),
    column("agents.csv", "trunk_id", TRUNK),
    column("agents.csv", "user", USER),
    column("agents.csv", "final_status", "outcome of the agent's last attempt; empty when it never arrived"),
    column("agents.csv", "attempts", "attempts of this agent"),
    column("agents.csv", "registered", "attempts of this agent that ended registered"),
    column("agents.csv", "last_code", CODE),
    column("agents.csv", "last_reason", REASON),
    column("agents.csv", "loop_kind", "kind of the loop the agent is in or was last in; empty when it never looped"),
    column("agents.csv", "first_registered", "when the agent was registered first, UTC; empty when never"),
    column("agents.csv", "last_change", "when this row changed last, UTC; empty when the agent never arrived"),
    column(
        "agents.csv",
        "last_address",
        "address to which the agent's last attempt went, after any failover or redirection; empty when nothing was sent",
    ),
    column("loops.csv", "trunk_id", TRUNK),
    column("loops.csv", "user", USER),
    column(
        "loops.csv",
        "loop_kind",
        "403-unchallenged, 403-after-auth, 401, stale, 423, 3xx, 4xx, 5xx, 6xx, timeout or transport",
    ),
    column("loops.csv", "code", CODE),
    column("loops.csv", "reason", REASON),
    column("loops.csv", "attempts", "consecutive attempts with the same refusal"),
    column("loops.csv", "first_seen", "end of the first of them, UTC"),
    column("loops.csv", "last_seen", "end of the last of them, UTC"),
    column("loops.csv", "mean_period_s", "mean time between two of them, seconds"),
    column("availability.csv", "interval_start", INTERVAL_START),
    column("availability.csv", "interval_s", INTERVAL_S),
    column("availability.csv", "trunk_id", TRUNK),
    column("availability.csv", "agents_planned", "agents that should be registered at the interval's end"),
    column("availability.csv", "agents_registered", "agents registered at the interval's end"),
    column("availability.csv", "agent_minutes_planned", "planned agents over the interval, agents × minutes"),
    column("availability.csv", "agent_minutes_available", "registered agents over the interval, agents × minutes"),
    column(
        "availability.csv",
        "availability_pct",
        "available of planned agent-minutes, per cent; empty when none were planned",
    ),
    column("availability.csv", "warmup", WARMUP),
    column(
        "availability.csv",
        "agents_reachable",
        "of those registered at the interval's end, agents whose connection is still there; over UDP all of them",
    ),
    column("availability.csv", "agent_minutes_reachable", "the same over the interval, agents × minutes"),
    column("availability.csv", "canary_checks", "registrations of the trunk's canary, which is in no other column"),
    column("availability.csv", "canary_failed", "of these, refused or not answered"),
    column(
        "availability.csv",
        "server_registered",
        "bindings the server itself said it holds, last in the interval ([[truth]]); with those of others; empty when it is not known",
    ),
    column("generator.csv", "interval_start", INTERVAL_START),
    column("generator.csv", "interval_s", INTERVAL_S),
    column(
        "generator.csv",
        "agents_planned",
        "agents that have arrived and were not told to un-REGISTER, at the interval's end, over all trunks",
    ),
    column("generator.csv", "agents_active", "of these, agents with a binding; a load that decays shows here"),
    column("generator.csv", "attempts", "attempts begun"),
    column("generator.csv", "late", "attempts that left later than generator.late after their plan"),
    column(
        "generator.csv",
        "lag_p99_us",
        "99th percentile of the schedule lag, microseconds; empty when nothing was sent",
    ),
    column("generator.csv", "lag_max_us", "largest schedule lag, microseconds"),
    column(
        "generator.csv",
        "longest_turn_ms",
        "longest turn of a sender thread, milliseconds: a process that was stopped shows here",
    ),
    column("generator.csv", "cpu_s", "CPU time of the sender threads, seconds"),
    column(
        "generator.csv",
        "memory_bytes",
        "memory regstorm held at the interval's end (resident set); empty in a rehearsal",
    ),
    column("generator.csv", "socket_drops", "datagrams the kernel dropped at regstorm's own sockets"),
    column("generator.csv", "send_errors", "messages this machine could not send"),
    column("generator.csv", "requests_answered", "requests of others (OPTIONS, NOTIFY) that were answered"),
    column("generator.csv", "requests_unanswered", "requests of others that came too fast to be answered"),
    column("generator.csv", "suspended_s", "how long the machine was suspended, seconds"),
    column("generator.csv", "warmup", WARMUP),
    column("findings.csv", "id", "what was found, by name; `regstorm explain ID` says more"),
    column("findings.csv", "severity", "info, warning or critical"),
    column("findings.csv", "trunk_id", "id of the trunk in the profile; empty when it concerns the run as a whole"),
    column("findings.csv", "agents", "agents hit"),
    column("findings.csv", "attempts", "attempts hit"),
    column("findings.csv", "first_seen", "when it was seen first, UTC"),
    column("findings.csv", "last_seen", "when it was seen last, UTC"),
    column("findings.csv", "confidence", "high, medium, low, or open when another explanation fits as well"),
    column("findings.csv", "summary", "one sentence"),
    column("findings.csv", "evidence", "what was counted and seen, with agents and Call-IDs to look for"),
    column("findings.csv", "advice", "where to look, system by system"),
    column("findings.csv", "rejected", "explanations that were ruled out, each with the observation that did it"),
    column("findings.csv", "cost", "what it costs in messages and agent-minutes; empty where that is not known"),
    column("summary.csv", "metric", "what was looked at, in plain words"),
    column("summary.csv", "value", "what was found; empty when nothing was measured"),
    column("summary.csv", "unit", "unit of the value"),
    column("summary.csv", "target", "the target set for it in the profile; empty when there is none"),
    column("summary.csv", "result", "met or missed; empty without a target"),
    column("summary.csv", "meaning", "what the value says"),
];

/// What an avalanche rehearsal writes instead.
pub const AVALANCHE: [Column; 15] = [
    column("avalanche.csv", "preset", "how the agents behave after a failure"),
    column("avalanche.csv", "refresh_jitter", "on: refreshes are spread; off: at the same moment of each lifetime"),
    column("avalanche.csv", "agents", "agents that the outage hit"),
    column("avalanche.csv", "returned", "agents registered again before the rehearsal ended"),
    column("avalanche.csv", "registered_50_s", "seconds after the outage until half of them were"),
    column("avalanche.csv", "registered_90_s", "the same for 90 %"),
    column("avalanche.csv", "registered_99_s", "the same for 99 %"),
    column("avalanche.csv", "registered_100_s", "the same for all of them; empty when some never were"),
    column("avalanche.csv", "before_per_s", "requests in the busiest second of the lifetime before the outage"),
    column("avalanche.csv", "peak_per_s", "requests in the busiest second of the first half lifetime after it"),
    column("avalanche.csv", "peak_at_s", "when that was, seconds after the outage"),
    column("avalanche.csv", "echo_per_s", "requests in the busiest second from then on"),
    column("avalanche.csv", "echo_at_s", "when that was, seconds after the outage"),
    column("avalanche.csv", "requests", "requests from the end of the outage on"),
    column("avalanche.csv", "failed", "failed attempts from the end of the outage on"),
];
