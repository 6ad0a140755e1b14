//! `regstorm platform`: what can be typed.

use super::help;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = help::PLATFORM_HELP)]
pub struct PlatformArgs {
    #[command(subcommand)]
    pub what: PlatformCommand,
}

#[derive(Debug, Subcommand)]
pub enum PlatformCommand {
    /// Look at what the platform lets us ask: token, permissions, clock, and what each source shows
    Check(PlatformCheckArgs),
    /// Write what it tells of a window: states, counts by minute, events that diagnose reads
    Pull(PlatformPullArgs),
    /// Ask again and again how the trunks stand: a line and a hook at each change, and the period
    /// of one that comes and goes
    Watch(PlatformWatchArgs),
    /// Look at a trunk's credentials before they are submitted, or at why they were refused
    Credentials(PlatformCredentialsArgs),
}

#[derive(Debug, Args)]
pub struct PlatformChoice {
    /// The profile (TOML) with a platform; it needs no load
    pub profile: PathBuf,

    /// The id of the platform, where the profile has several
    #[arg(long, value_name = "ID")]
    pub platform: Option<String>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PlatformCheckArgs {
    #[command(flatten)]
    pub of: PlatformChoice,

    /// Print JSON on stdout instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PlatformPullArgs {
    #[command(flatten)]
    pub of: PlatformChoice,

    /// The beginning: a time like 2026-11-30T10:00:00Z, or how long ago, like 2h
    #[arg(long, value_name = "TIME")]
    pub from: String,

    /// The end, written the same way
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub to: String,

    /// Where to write
    #[arg(long, value_name = "DIR", default_value = "platform")]
    pub out: PathBuf,

    /// Print pull.json on stdout instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::PLATFORM_WATCH_HELP)]
pub struct PlatformWatchArgs {
    #[command(flatten)]
    pub of: PlatformChoice,

    /// Time from question to question, like 30s
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub every: String,

    /// Run this at each change (sh -c), with REGSTORM_TRUNK, _STATE, _REASON, _PLATFORM and _TIME
    /// in its environment
    #[arg(long, value_name = "COMMAND")]
    pub hook: Option<String>,

    /// Write each trunk's state to this file after each answer, in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    pub metric_file: Option<PathBuf>,

    /// End after this time, like 8h [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION")]
    pub lasts: Option<String>,

    /// Print one JSON object per change instead of a line of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::CREDENTIALS_HELP)]
pub struct PlatformCredentialsArgs {
    /// The profile with the trunk, and with a platform, where its rules are to be held against it
    #[command(flatten)]
    pub of: PlatformChoice,

    /// This trunk alone [default: those of the platform, or all]
    #[arg(long, value_name = "ID")]
    pub trunk: Option<String>,

    /// The user whose credentials they are [default: the first of each trunk]
    #[arg(long, value_name = "USER")]
    pub agent: Option<String>,

    /// What the platform answered when they were submitted: its JSON, as it was copied; - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub answer: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::RECONCILE_HELP)]
pub struct ReconcileArgs {
    /// The run's result directory
    pub run: PathBuf,

    /// What `regstorm platform pull` wrote
    #[arg(value_name = "PLATFORM_DIR")]
    pub platform: PathBuf,

    /// A self-contained page instead of text
    #[arg(long)]
    pub html: bool,

    /// A row for each minute and trunk
    #[arg(long, conflicts_with = "html")]
    pub csv: bool,

    /// One JSON object
    #[arg(long, conflicts_with_all = ["html", "csv"])]
    pub json: bool,

    /// One sentence, for a chat
    #[arg(long, conflicts_with_all = ["html", "csv", "json"])]
    pub line: bool,

    /// Write there; only the sentence goes to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
