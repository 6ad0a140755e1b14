//! `regstorm fleet`: what can be typed.

#[cfg(feature = "fleet")]
use super::{Live, MetricsArgs};
use super::{ShownArgs, help};
#[cfg(feature = "fleet")]
use clap::ValueEnum;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = help::FLEET_HELP)]
pub struct FleetArgs {
    #[command(subcommand)]
    pub what: FleetCommand,
}

#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Wait for runs at a NATS server, and carry out a part of each
    #[cfg(feature = "fleet")]
    Worker(FleetWorkerArgs),
    /// Run a profile on several workers at once, and judge what they did together
    #[cfg(feature = "fleet")]
    Run(FleetRunArgs),
    /// Remove the bindings that lost workers of a run left at its registrars
    #[cfg(feature = "fleet")]
    Sweep(FleetSweepArgs),
    /// Make one run of the records of all machines, and judge it
    Merge(FleetMergeArgs),
}

#[derive(Debug, Args)]
pub struct FleetMergeArgs {
    /// The result directories of all machines, in any order
    #[arg(value_name = "DIR", required = true)]
    pub dirs: Vec<PathBuf>,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// Where a fleet's members leave notes for each other.
#[cfg(feature = "fleet")]
#[derive(Debug, Args)]
pub struct NatsArgs {
    /// The NATS server, with JetStream: nats://HOST:PORT or tls://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub nats: String,

    /// A file with a NATS user's credentials (JWT and key)
    #[arg(long, value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,

    /// A file with the seed of an nkey
    #[arg(long, value_name = "FILE", conflicts_with = "nats_creds")]
    pub nats_nkey: Option<PathBuf>,

    /// Certificates (PEM) that the server's is checked against; the connection is then over TLS
    #[arg(long, value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,

    /// A certificate (PEM) to show the server, with --nats-key
    #[arg(long, value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,

    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
}

#[cfg(feature = "fleet")]
#[derive(Debug, Args)]
#[command(after_help = help::FLEET_WORKER_HELP)]
pub struct FleetWorkerArgs {
    #[command(flatten)]
    pub nats: NatsArgs,

    #[arg(long, value_name = "NAME", help = "What this worker is called [default: the machine's name]")]
    pub name: Option<String>,

    /// Networks that a run may send to from here; it may say less, never more
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', default_value = "127.0.0.0/8,::1/128")]
    pub allow_targets: Vec<String>,

    /// The most agents a run may have here
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub max_agents: u32,

    /// The most SIP messages per second a run may send from here
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub max_message_rate: u32,

    /// End after one run
    #[arg(long)]
    pub once: bool,

    #[arg(long, value_name = "DURATION", help = "How long to wait for a run [default: for ever]")]
    pub wait: Option<String>,

    /// How long a run goes on without NATS server or coordinator
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub patience: String,

    #[arg(long, value_name = "DIR", help = "Where records are kept [default: results]")]
    pub out: Option<PathBuf>,
}

#[cfg(feature = "fleet")]
#[derive(Debug, Args)]
#[command(after_help = help::FLEET_RUN_HELP)]
pub struct FleetRunArgs {
    /// The profile (TOML), or @NAME for one that comes with regstorm
    pub profile: PathBuf,

    #[command(flatten)]
    pub nats: NatsArgs,

    /// How many workers the run has; it begins when so many are ready
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: u32,

    /// What becomes of the run when a worker is lost
    #[arg(long, value_enum, default_value_t = OnLossArg::Abort)]
    pub on_loss: OnLossArg,

    /// How long workers are waited for
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub gather: String,

    /// A worker that says nothing for so long is lost
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub patience: String,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Begin beyond this machine without asking: the registrar's owner agreed
    #[arg(long)]
    pub yes: bool,

    /// What to show on stderr while it runs; the full screen is for one machine
    #[arg(long, value_enum, default_value_t = Live::Auto, value_name = "MODE")]
    pub live: Live,

    #[command(flatten)]
    pub metrics: MetricsArgs,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// What becomes of a run when a worker is lost.
#[cfg(feature = "fleet")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OnLossArg {
    /// The load ends for all, and bindings are removed
    Abort,
    /// The others go on, and what is missing is said
    Continue,
}

#[cfg(feature = "fleet")]
#[derive(Debug, Args)]
#[command(after_help = help::FLEET_SWEEP_HELP)]
pub struct FleetSweepArgs {
    /// The result directory of fleet run
    pub dir: PathBuf,

    #[arg(long, value_name = "NAME", help = "Sweep after this worker alone [default: all that left something]")]
    pub worker: Option<String>,

    /// The profile the run was made with, when it is not where it was
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,

    /// Override a key of the profile as the run did; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Ask the registrar also about workers that say they left nothing
    #[arg(long)]
    pub all: bool,

    /// Print JSON on stdout instead of the lines, an object for each worker
    #[arg(long)]
    pub json: bool,
}
