//! The command line: what can be typed, and its help. No logic.

mod common;
mod fleet;
mod help;
mod platform;

pub use common::{MetricsArgs, ShownArgs};
pub use fleet::{FleetArgs, FleetCommand, FleetMergeArgs};
#[cfg(feature = "fleet")]
pub use fleet::{FleetRunArgs, FleetSweepArgs, FleetWorkerArgs, NatsArgs, OnLossArg};
pub use help::START;
pub use platform::{
    PlatformArgs, PlatformCheckArgs, PlatformChoice, PlatformCommand, PlatformCredentialsArgs, PlatformPullArgs,
    PlatformWatchArgs, ReconcileArgs,
};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

/// SIP registration load and soak tester: agents, not calls.
#[derive(Debug, Parser)]
#[command(
    name = "regstorm",
    version,
    about,
    long_about = "Registers thousands of simulated SIP agents at a controlled rate, keeps them registered, and says \
                  whether the registrar held up.\n\nA run is described by a TOML profile. Unless the profile's \
                  [safety] allow_targets says otherwise, packets go to this machine only.",
    after_help = help::EXAMPLES,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first profile; asks what it needs to know
    Init(InitArgs),
    /// Show what a profile means and what may be wrong with it; sends nothing
    Check(CheckArgs),
    /// List the profiles that come with regstorm, or print one
    Profiles(ProfilesArgs),
    /// Run a profile and write a result directory
    Run(RunArgs),
    /// Serve the embedded registrar on its own, with its faults
    Registrar(RegistrarArgs),
    /// Look at every trunk with one agent each, without load
    Preflight(PreflightArgs),
    /// Register one canary agent per trunk again and again, and say go or no-go
    Watch(WatchArgs),
    /// Find out why an agent is refused, by changing one thing at a time
    Diagnose(DiagnoseArgs),
    /// Rehearse a profile in virtual time against the embedded registrar: no packet is sent
    Simulate(SimulateArgs),
    /// Search the registrar's limits: how many at once, how fast, over what they are counted
    Limits(LimitsArgs),
    /// Rebuild every derived file of a run from its raw record
    Report(ReportArgs),
    /// Remove the bindings that an earlier run left at its registrars
    Sweep(SweepArgs),
    /// One run on many machines
    Fleet(FleetArgs),
    /// Hold one run against another: what changed by more than chance
    Compare(CompareArgs),
    /// Ask a contact-centre cloud what it knows of the trunks; nothing there is changed
    Platform(PlatformArgs),
    /// Hold a run against what the platform says of the same time, minute by minute
    Reconcile(ReconcileArgs),
    /// Follow the runs of a name over time: what changed, when, and what came and went
    Trend(TrendArgs),
    /// Make a profile of what real phones did, from a capture or an event log
    Learn(LearnArgs),
    /// Say what a response code or a finding means and where to look
    Explain(ExplainArgs),
    /// Print the JSON Schema of the profile, for editors
    #[command(after_help = help::SCHEMA_HELP)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Print the manual page, in roff
    #[command(after_help = help::MAN_HELP)]
    Man(ManArgs),
}

/// `regstorm man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this directory, instead of all of them on stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `regstorm completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = help::INIT_HELP)]
pub struct InitArgs {
    /// Where to write the profile; "-" is standard output
    #[arg(value_name = "FILE", default_value = "regstorm.toml")]
    pub file: PathBuf,

    /// Host, host:port or SIP URI of the registrar, or embedded
    #[arg(long, value_name = "HOST|URI")]
    pub registrar: Option<String>,

    #[arg(long, help = "The host part of the users' addresses [default: the registrar's host]")]
    pub domain: Option<String>,

    /// A pattern like agent{n:05}, or a CSV file with a column "user"
    #[arg(long, value_name = "PATTERN|FILE")]
    pub users: Option<String>,

    /// How many agents; with a CSV file all of its rows are used
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// What carries the messages
    #[arg(long, value_enum)]
    pub transport: Option<TransportWish>,

    /// The environment variable that holds the password of all agents
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,

    /// Ask nothing: take the default of what is not given
    #[arg(long)]
    pub yes: bool,

    /// Replace a file that is already there
    #[arg(long)]
    pub force: bool,
}

/// What carries messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum TransportWish {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

#[derive(Debug, Args)]
#[command(after_help = help::CHECK_HELP)]
pub struct CheckArgs {
    /// The profile (TOML), @NAME for one that comes with regstorm, or - for standard input
    pub profile: PathBuf,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Print JSON on stdout instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::PROFILES_HELP)]
pub struct ProfilesArgs {
    /// Print the text of this one
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Print the list as JSON
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::RUN_HELP)]
pub struct RunArgs {
    /// The profile (TOML), @NAME for one that comes with regstorm, or - for standard input
    pub profile: PathBuf,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Begin beyond this machine without asking: the registrar's owner agreed
    #[arg(long)]
    pub yes: bool,

    /// What to show on stderr while it runs
    #[arg(long, value_enum, default_value_t = Live::Auto, value_name = "MODE")]
    pub live: Live,

    #[command(flatten)]
    pub metrics: MetricsArgs,

    /// Afterwards remove older results of the same name in results/, so that N remain, and the last
    /// that passed
    #[arg(long, value_name = "N", conflicts_with = "out", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,

    #[command(flatten)]
    pub shown: ShownArgs,

    /// Leave digests in failures.pcapng as they were sent, instead of overwriting them
    #[arg(long)]
    pub capture_secrets: bool,

    /// Carry out part K of N equal parts (or K-L of N), as one of several machines that have the
    /// same profile; `regstorm fleet merge` makes one run of their records
    #[arg(long, value_name = "K/N", requires = "start_at", conflicts_with_all = ["json", "line", "keep"])]
    pub share: Option<String>,

    /// Begin at this time of UTC, like 2026-11-30T10:00:00Z; every part of a run has the same
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = help::SIMULATE_HELP)]
pub struct SimulateArgs {
    /// The profile (TOML), @NAME for one that comes with regstorm, or - for standard input
    pub profile: PathBuf,

    #[arg(long = "for", value_name = "DURATION", help = "How long the load lasts [default: as the profile says]")]
    pub lasts: Option<String>,

    /// Compare how clients come back from an outage: four presets, with and without refresh jitter
    #[arg(long, conflicts_with = "lasts")]
    pub avalanche: bool,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-rehearsal-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// What is shown while a run goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Live {
    /// Bars on a terminal, plain elsewhere
    Auto,
    /// A full screen with keys: pause, rate, stop; ? lists them
    Tui,
    /// One line per interval
    Plain,
    /// Nothing
    Off,
}

#[derive(Debug, Args)]
#[command(after_help = help::REGISTRAR_HELP)]
pub struct RegistrarArgs {
    #[arg(help = "A profile whose [registrar] section to serve [default: the defaults of that section]")]
    pub profile: Option<PathBuf>,

    /// Listen here instead of where the profile says; may be repeated
    #[arg(long, value_name = "udp://ADDRESS:PORT")]
    pub listen: Vec<String>,

    /// Threads that serve; 0 is one per core [default: the profile's registrar.threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1024))]
    pub threads: Option<u32>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = help::DIAGNOSE_HELP)]
pub struct DiagnoseArgs {
    /// A result directory, a capture (pcap, pcapng), or a platform's SIP event log (JSON)
    #[arg(
        value_name = "DIR|FILE",
        required_unless_present = "live",
        conflicts_with_all = ["live", "agent", "rate", "timeout", "sets"]
    )]
    pub sources: Vec<PathBuf>,

    /// Name of a key in an event log, such as user=sip_from; may be repeated
    #[arg(long = "field", value_name = "FIELD=KEY", conflicts_with = "live")]
    pub fields: Vec<String>,

    /// Experiment on one failing agent of this profile instead
    #[arg(long, value_name = "PROFILE")]
    pub live: Option<PathBuf>,

    #[arg(long, value_name = "USER", help = "The agent [default: the first of up to 20 that is refused]")]
    pub agent: Option<String>,

    /// Attempts per second, at most 20
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub rate: f64,

    /// How long an unanswered request is waited for
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub timeout: String,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::LIMITS_HELP)]
pub struct LimitsArgs {
    /// The profile (TOML); its load stages are not used
    pub profile: PathBuf,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-limits-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Begin beyond this machine without asking: the registrar's owner agreed
    #[arg(long)]
    pub yes: bool,

    /// How the rate is searched
    #[arg(long, value_enum, default_value_t = MethodArg::Bisect)]
    pub method: MethodArg,

    /// Search only one of the two
    #[arg(long, value_enum)]
    pub only: Option<Only>,

    /// A rate also fails when fewer than 99 of 100 register within this time, like 250ms
    #[arg(long, value_name = "DURATION")]
    pub objective: Option<String>,

    /// Pause after refusals and between probes, unless Retry-After says more
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub settle: String,

    /// The first rate tried, per second [default: 10 by bisection, 100 by RFC 7502]
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub start_rate: Option<u32>,

    #[arg(long, value_name = "ID", help = "The trunk whose limits are searched [default: the first]")]
    pub trunk: Option<String>,

    /// What to show on stderr meanwhile
    #[arg(long, value_enum, default_value_t = Live::Auto, value_name = "MODE")]
    pub live: Live,

    /// Print limits.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,
}

/// How a rate limit is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum MethodArg {
    /// At most twelve probes, to within 5 %
    Bisect,
    /// RFC 7502 section 4.10, strictly: 50 000 agents in each iteration; takes hours
    Rfc7502,
}

/// One of the two searches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Only {
    /// Registrations at the same time, and contacts of one user
    Concurrent,
    /// Registrations per second
    Rate,
}

#[derive(Debug, Args)]
#[command(after_help = help::REPORT_HELP)]
pub struct ReportArgs {
    /// A result directory
    pub dir: PathBuf,

    #[command(flatten)]
    pub shown: ShownArgs,

    /// Also print report.html to report.pdf, with the Chromium of this machine
    #[arg(long)]
    pub pdf: bool,

    /// Also write report.xlsx: the tables as a workbook, with charts
    #[arg(long)]
    pub xlsx: bool,

    /// The paper of report.pdf
    #[arg(long, value_enum, default_value_t = Paper::A4, requires = "pdf")]
    pub paper: Paper,
}

/// The size of a printed page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Paper {
    /// 210 mm × 297 mm
    A4,
    /// 8.5 in × 11 in
    Letter,
}

#[derive(Debug, Args)]
#[command(
    after_help = help::COMPARE_HELP,
    override_usage = "regstorm compare [OPTIONS] <BASE> <NEW>\n       regstorm compare [OPTIONS] --against <DIR> [NEW]"
)]
pub struct CompareArgs {
    /// The result directory to compare with; with --against, the one to be compared
    #[arg(value_name = "BASE", required_unless_present = "against")]
    pub first: Option<PathBuf>,

    #[arg(
        value_name = "NEW",
        required_unless_present = "against",
        conflicts_with = "against",
        help = "The result directory to be compared [default with --against: DIR/latest]"
    )]
    pub second: Option<PathBuf>,

    /// Compare with the last run of the same name in this directory that passed
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,

    /// Write a self-contained page instead of the table
    #[arg(long, conflicts_with = "json")]
    pub html: bool,

    /// Write one JSON object instead of the table
    #[arg(long)]
    pub json: bool,

    /// Write to this file, and only the line for a chat to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = help::SWEEP_HELP)]
pub struct SweepArgs {
    /// A result directory
    pub dir: PathBuf,

    /// The profile the run was made with, when it is not where it was
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,

    /// Override a key of the profile as the run did; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Ask the registrar also when the run says that it left nothing
    #[arg(long)]
    pub all: bool,

    /// Print JSON on stdout instead of the lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::PREFLIGHT_HELP)]
pub struct PreflightArgs {
    /// The profile (TOML); it needs no load
    pub profile: PathBuf,

    /// Also measure what this machine can send by itself, and keep it in results/baseline.json
    #[arg(long)]
    pub baseline: bool,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Print JSON on stdout instead of the table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::WATCH_HELP)]
pub struct WatchArgs {
    /// The profile (TOML); it needs no load
    pub profile: PathBuf,

    /// Time from round to round, like 30s
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub every: String,

    /// Run this at each change (sh -c), with REGSTORM_TRUNK, _STATE, _REASON, _CODE and _TIME in
    /// its environment
    #[arg(long, value_name = "COMMAND")]
    pub hook: Option<String>,

    /// Write each trunk's state to this file after each round, in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    pub metric_file: Option<PathBuf>,

    /// Answer GET /go/TRUNK, /go, /healthz and /metrics here: 200 is go, 503 no go, with why and
    /// since when as JSON; a port alone is one of this machine. The canary, the platforms of the
    /// profile and the servers that are asked for their counts must all say go
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// How long nothing may have changed before the gate of --listen says go again
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub steady: String,

    /// The share of the profile's agents that the server itself must hold (truth in the profile)
    /// for go [default: one binding]
    #[arg(long, value_name = "SHARE")]
    pub least: Option<f64>,

    /// Failed rounds in a row that make a trunk no-go
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_after: u32,

    /// Good rounds in a row that make it go
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub recover_after: u32,

    /// End after this time, like 8h [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION")]
    pub lasts: Option<String>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Print one JSON object per change instead of a line of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::TREND_HELP)]
pub struct TrendArgs {
    /// A folder of result directories
    pub dir: PathBuf,

    #[arg(long, value_name = "NAME", help = "The run.name to follow [default: that of the newest run]")]
    pub name: Option<String>,

    /// Write a self-contained page instead of the text
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub html: bool,

    /// Write one row per run instead of the text
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    /// Write one JSON object instead of the text
    #[arg(long)]
    pub json: bool,

    /// Write to this file, and only the one sentence to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = help::LEARN_HELP)]
pub struct LearnArgs {
    /// A capture (pcap, pcapng), or a platform's SIP event log (JSON)
    #[arg(value_name = "CAPTURE|EVENT-LOG")]
    pub source: PathBuf,

    /// Where the profile and its files go; what is there is never replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Give every user another name, the same wherever it stands
    #[arg(long)]
    pub anonymise: bool,

    /// Name of a key in an event log, such as user=sip_from; may be repeated
    #[arg(long = "field", value_name = "FIELD=KEY")]
    pub fields: Vec<String>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help::EXPLAIN_HELP)]
pub struct ExplainArgs {
    /// A response code, "timeout", or the id of a finding, a loop kind or a status
    #[arg(value_name = "CODE|FINDING")]
    pub name: String,

    /// Print JSON on stdout: a list, as a name may stand for several things
    #[arg(long)]
    pub json: bool,
}

/// A mistyped command is answered with what does no harm: a search for limits is never proposed, as
/// it goes beyond them.
pub fn kinder(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let harmless = |name: &String| !HARMFUL.contains(&name.as_str());
    let proposed = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => vec![name],
        Some(ContextValue::Strings(names)) => names,
        _ => Vec::new(),
    };
    let proposed: Vec<String> = proposed.into_iter().filter(harmless).collect();
    if !proposed.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(proposed));
    }
    error
}

/// Commands that nobody should run by mistake.
const HARMFUL: [&str; 1] = ["limits"];

/// What may be typed beyond commands and options.
#[derive(Debug)]
pub struct Vocabulary {
    /// What `explain` knows.
    pub names: Vec<String>,
    /// Profiles that come with the program, without `@`.
    pub shipped: Vec<String>,
    /// Dotted paths into a profile, for `--set`.
    pub keys: Vec<String>,
}

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell, known: &Vocabulary) -> Vec<u8> {
    let one_of = |names: &[String]| clap::builder::PossibleValuesParser::new(names.to_vec());
    let mut command = Cli::command()
        .mut_subcommand("explain", |explain| explain.mut_arg("name", |name| name.value_parser(one_of(&known.names))))
        .mut_subcommand("profiles", |shown| shown.mut_arg("name", |name| name.value_parser(one_of(&known.shipped))));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "regstorm", &mut script);
    if shell == clap_complete::Shell::Bash {
        script.extend_from_slice(bash_values(known).as_bytes());
    }
    script
}

/// The generated function of bash completes commands and options only; this one, behind it, has
/// files, directories, profiles, names, trunks and keys.
fn bash_values(known: &Vocabulary) -> String {
    let at: Vec<String> = known.shipped.iter().map(|name| format!("@{name}")).collect();
    BASH_VALUES
        .replace("{NAMES}", &known.names.join(" "))
        .replace("{SHIPPED}", &known.shipped.join(" "))
        .replace("{AT}", &at.join(" "))
        .replace("{KEYS}", &known.keys.iter().map(|key| format!("{key}=")).collect::<Vec<_>>().join(" "))
}

const BASH_VALUES: &str = include_str!("cli/completions.bash");

/// The manual: one page for the program, then one for each command, as `man` prints them in a row.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn manual() -> std::io::Result<Vec<u8>> {
    let command = Cli::command();
    let mut pages = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    for sub in command.get_subcommands() {
        let name = format!("regstorm-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().name(name)).render(&mut pages)?;
    }
    Ok(pages)
}

/// The same, a file for each command: `regstorm-run.1`, `regstorm-fleet-merge.1`.
///
/// # Errors
/// When a file cannot be written.
pub fn manual_pages(directory: &Path) -> std::io::Result<()> {
    clap_mangen::generate_to(Cli::command(), directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_and_the_completions_know_every_command() {
        let known = Vocabulary { names: vec!["403".into()], shipped: vec!["pilot".into()], keys: Vec::new() };
        let manual = String::from_utf8(manual().expect("memory")).expect("UTF-8");
        let script = String::from_utf8(completions(clap_complete::Shell::Bash, &known)).expect("UTF-8");
        for command in Cli::command().get_subcommands() {
            assert!(manual.contains(&format!("regstorm\\-{}", command.get_name())), "{}", command.get_name());
            assert!(script.contains(command.get_name()), "{}", command.get_name());
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    /// clap breaks lines by itself: those of prose must not be broken before, and those of tables
    /// are narrow enough for any terminal.
    #[test]
    fn help_is_broken_into_lines_once() {
        for command in Cli::command().get_subcommands() {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let wide = lines.iter().find(|line| line.starts_with(' ') && line.chars().count() > 79);
            assert_eq!(wide, None, "{}", command.get_name());
            let prose = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
            let broken = lines.windows(2).find(|pair| prose(pair[0]) && prose(pair[1]));
            assert_eq!(broken, None, "{}", command.get_name());
        }
    }

    #[test]
    fn a_typo_never_leads_to_a_search_for_limits() {
        let said = |typed| kinder(Cli::try_parse_from(["regstorm", typed]).expect_err("no command")).to_string();
        for typed in ["limit", "lim", "limts", "limitz"] {
            assert!(!said(typed).contains("limits"), "{}", said(typed));
        }
        assert!(said("simulat").contains("'simulate'"), "{}", said("simulat"));
    }

    #[test]
    fn what_goes_with_an_experiment_only_is_refused_elsewhere() {
        for option in ["--agent a", "--rate 3", "--timeout 2s", "--set run.seed=1"] {
            let line = format!("regstorm diagnose results/latest {option}");
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{option}");
        }
    }

    #[test]
    fn what_the_contract_shows_can_be_typed() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        let run =
            parse("regstorm run p.toml --out d --set run.seed=9 --set trunk.0.agents.count=200 --live off --json");
        let Ok(Command::Run(run)) = run else { panic!("{run:?}") };
        assert_eq!(run.sets, ["run.seed=9", "trunk.0.agents.count=200"]);
        assert_eq!((run.live, run.shown.json), (Live::Off, true));
        let registrar = parse("regstorm registrar --listen udp://127.0.0.1:5060 --listen udp://[::1]:0 --threads 2");
        let Ok(Command::Registrar(registrar)) = registrar else { panic!("{registrar:?}") };
        assert_eq!((registrar.listen.len(), registrar.threads), (2, Some(2)));
        assert!(matches!(parse("regstorm report results/latest"), Ok(Command::Report(_))));
        let diagnose = parse("regstorm diagnose --live p.toml --agent agent00017 --rate 5 --json");
        let Ok(Command::Diagnose(diagnose)) = diagnose else { panic!("{diagnose:?}") };
        assert_eq!((diagnose.agent.as_deref(), diagnose.rate, diagnose.json), (Some("agent00017"), 5.0, true));
        let files = parse("regstorm diagnose results/latest edge.pcapng --field user=from");
        let Ok(Command::Diagnose(files)) = files else { panic!("{files:?}") };
        assert_eq!((files.sources.len(), files.fields.as_slice()), (2, &["user=from".to_owned()][..]));
        assert!(parse("regstorm diagnose").is_err());
        assert!(parse("regstorm diagnose edge.pcapng --live p.toml").is_err());
        assert!(matches!(parse("regstorm schema"), Ok(Command::Schema)));
        assert!(parse("regstorm run").is_err());
    }
}
