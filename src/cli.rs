//! The command line: what can be typed, and its help. No logic.

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// SIP registration load and soak tester: agents, not calls.
#[derive(Debug, Parser)]
#[command(
    name = "regstorm",
    version,
    about,
    long_about = "Registers thousands of simulated SIP agents at a controlled rate, keeps them registered, and says \
                  whether the registrar held up.\n\nA run is described by a TOML profile. Unless the profile's \
                  [safety] allow_targets says otherwise, packets go to this machine only.",
    after_help = EXAMPLES,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
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
    /// Hold one run against another: what changed by more than chance
    Compare(CompareArgs),
    /// Say what a response code or a finding means and where to look
    Explain(ExplainArgs),
    /// Print the JSON Schema of the profile, for editors
    #[command(after_help = SCHEMA_HELP)]
    Schema,
    /// Prints a completion script for a shell.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Prints the manual page, in roff.
    #[command(after_help = MAN_HELP)]
    Man,
}

/// `regstorm completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// The profile (TOML)
    pub profile: PathBuf,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// What to show on stderr while it runs
    #[arg(long, value_enum, default_value_t = Live::Auto, value_name = "MODE")]
    pub live: Live,

    /// Serve the run's metrics for Prometheus at http://ADDR/metrics; a port alone is one of
    /// 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,

    /// How long the last metrics wait for those who read them; 0s does not wait
    #[arg(long, value_name = "DURATION", default_value = "90s", requires = "metrics")]
    pub metrics_linger: String,

    /// Afterwards remove older results of the same name in results/, so that N remain, and the last
    /// that passed
    #[arg(long, value_name = "N", conflicts_with = "out", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,

    /// Print run.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,

    /// Leave digests in failures.pcapng as they were sent, instead of overwriting them
    #[arg(long)]
    pub capture_secrets: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct SimulateArgs {
    /// The profile (TOML)
    pub profile: PathBuf,

    #[arg(long = "for", value_name = "DURATION", help = "How long the load lasts [default: as the profile says]")]
    pub lasts: Option<String>,

    /// Compare how clients come back from an outage: four presets, with and without refresh jitter
    #[arg(long, conflicts_with = "lasts")]
    pub avalanche: bool,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

    /// Print run.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,
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
#[command(after_help = REGISTRAR_HELP)]
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
#[command(after_help = DIAGNOSE_HELP)]
pub struct DiagnoseArgs {
    /// A result directory, a capture (pcap, pcapng), or a platform's SIP event log (JSON)
    #[arg(value_name = "DIR|FILE", required_unless_present = "live", conflicts_with = "live")]
    pub sources: Vec<PathBuf>,

    /// Name of a key in an event log, such as user=sip_from; may be repeated
    #[arg(long = "field", value_name = "FIELD=KEY", conflicts_with = "live")]
    pub fields: Vec<String>,

    /// Experiment on one failing agent of this profile instead
    #[arg(long, value_name = "PROFILE")]
    pub live: Option<PathBuf>,

    #[arg(
        long,
        value_name = "USER",
        requires = "live",
        help = "The agent [default: the first of up to 20 that is refused]"
    )]
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
#[command(after_help = LIMITS_HELP)]
pub struct LimitsArgs {
    /// The profile (TOML); its load stages are not used
    pub profile: PathBuf,

    #[arg(long, value_name = "DIR", help = "Result directory [default: results/<run.name>-limits-<UTC start>]")]
    pub out: Option<PathBuf>,

    /// Override a key of the profile: a dotted path and a TOML value; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,

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
#[command(after_help = REPORT_HELP)]
pub struct ReportArgs {
    /// A result directory
    pub dir: PathBuf,

    /// Print run.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,

    /// Also print report.html to report.pdf, with the Chromium of this machine
    #[arg(long)]
    pub pdf: bool,

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
    after_help = COMPARE_HELP,
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
#[command(after_help = SWEEP_HELP)]
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
#[command(after_help = PREFLIGHT_HELP)]
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
#[command(after_help = WATCH_HELP)]
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
#[command(after_help = EXPLAIN_HELP)]
pub struct ExplainArgs {
    /// A response code, "timeout", or the id of a finding, a loop kind or a status
    #[arg(value_name = "CODE|FINDING")]
    pub name: String,

    /// Print JSON on stdout: a list, as a name may stand for several things
    #[arg(long)]
    pub json: bool,
}

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "regstorm", &mut script);
    script
}

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

const EXAMPLES: &str = "\
Examples:
  regstorm run profiles/pilot.toml
  regstorm run profiles/kamailio.toml --set trunk.0.registrar=sip:127.0.0.1:5070
  regstorm registrar --listen udp://127.0.0.1:5060
  regstorm report results/latest";

const RUN_HELP: &str = "\
Examples:
  regstorm run profiles/pilot.toml
  regstorm run profiles/go-live.toml --out /tmp/go-live --live off
  regstorm run profiles/pilot.toml --set run.seed=9 --set trunk.trunk_nj_01.expires=30s
  regstorm run profiles/pilot.toml --set 'thresholds.register.p99=< 100ms' --json
  regstorm run profiles/limit-403.toml --capture-secrets   # digests in failures.pcapng stay as sent
  regstorm run profiles/nightly-soak.toml --metrics 127.0.0.1:9464 --keep 30

Ctrl-C once stops arrivals, drains, un-registers and writes everything; twice stops at once and still writes.

Exit status:
  0        all thresholds hold; a profile without any has one: findings.critical == 0
  1        the run completed and a threshold failed
  2        bad usage or profile, a forbidden target, a missing file or secret: nothing was sent
  3        the run is invalid: a name did not resolve, no socket, or the generator fell behind its schedule;
           or the address of --metrics is in use
  130/143  interrupted; results so far are written";

const REGISTRAR_HELP: &str = "\
Prints one \"listening udp://ADDRESS:PORT\" line per socket when it is ready; Ctrl-C ends it.

Examples:
  regstorm registrar --listen udp://127.0.0.1:5060
  regstorm registrar profiles/limit-403.toml --listen udp://127.0.0.1:5060
  regstorm registrar --set registrar.min_expires=60s

Exit status:
  0  ended by Ctrl-C
  2  bad usage or profile
  3  an address could not be listened on";

const DIAGNOSE_HELP: &str = "\
Of results, captures and logs: one line per finding, \"ID severity trunk users... summary\", one per kind of loop with the
step of the handshake that is missing, and a last line that says healthy, explained or open.

The fields of a log are method, user, to, code, reason, time, trunk and call_id; nested keys are written with dots.

With --live every attempt differs from the agent's own by one thing; what helps must help twice, with a refusal in between.
Bindings are removed again. The last line is \"conclusion: CHANGE = VALUE\" or \"conclusion: open: CAUSES\".

Examples:
  regstorm diagnose results/latest
  regstorm diagnose edge.pcapng --json
  regstorm diagnose sip-events.json --field user=from.uri --field time=@timestamp
  regstorm diagnose --live profiles/pilot.toml
  regstorm diagnose --live lab.toml --agent agent00017 --rate 5
  regstorm diagnose --live lab.toml --json

Exit status:
  0        explained, or nobody is refused
  1        causes are still open
  2        bad usage or profile, a forbidden target, a missing file or secret: nothing was sent
  3        a file that cannot be read, or could not run: a name did not resolve, or no socket
  130/143  interrupted; nothing is concluded";

const SIMULATE_HELP: &str = "\
Examples:
  regstorm simulate profiles/nightly-soak.toml
  regstorm simulate profiles/go-live.toml --for 24h --set run.seed=7
  regstorm simulate profiles/avalanche.toml --avalanche --set expect.registrations_per_second=100

All trunks register with the embedded registrar and its faults, whatever their
registrar is. The same seed gives the same files. Behind the summary stands what a
run would ask of the registrar, the line and this machine, with a warning for each
limit of [expect], max_message_rate and ulimit -n that it would pass (dry-run.json).

Exit status: as of run.";

const LIMITS_HELP: &str = "\
The search goes beyond the registrar's limits on purpose: ask whoever runs it first. It stops by itself when what worked
before is refused or silent as well, and un-REGISTERs everything it registered, also after Ctrl-C.

Examples:
  regstorm limits profiles/limits.toml
  regstorm limits profiles/kamailio.toml --only rate --objective 250ms
  regstorm limits profiles/limits.toml --only concurrent --json

Exit status:
  0        the search ended, whether limits were met or not
  2        bad usage or profile, a forbidden target, a missing file or secret: nothing was sent
  3        it could not run: no socket, nobody could register, or signs of a ban
  130/143  interrupted; what was found so far is written";

const REPORT_HELP: &str = "\
Examples:
  regstorm report results/latest
  regstorm report results/pilot-20260101T120000Z --json
  regstorm report results/latest --pdf --paper letter

Exit status:
  0  the files were rebuilt, whatever the run's verdict
  2  bad usage, or no such directory
  3  there is no record that can be read, or with --pdf no Chromium that prints";

const SWEEP_HELP: &str = "\
For a run that was killed, or whose un-REGISTERs were not answered. Each agent asks the registrar what is bound for its
user, and removes what is bound to an address of this machine. Run it where the run was made, against the same allowed
targets. No record holds a secret: the profile of the run is read again.

Examples:
  regstorm sweep results/latest
  regstorm sweep results/pilot-20260101T120000Z --profile pilot.toml --set trunk.0.agents.count=200

Exit status:
  0        nothing of the run is left
  1        a binding could not be removed, or a registrar did not answer for every agent
  2        bad usage or profile, a target that is not allowed, or a profile that means other agents: nothing was sent
  3        there is no record that can be read, a name does not resolve, or no socket could be opened
  130/143  interrupted; the bindings that were found are removed";

const COMPARE_HELP: &str = "\
A regression is a change for the worse that is both more than chance and beyond its line in the [compare]
section of NEW's profile. The last line of the output is meant for a chat. A run that is invalid or was
interrupted is shown, but there is no verdict.

Examples:
  regstorm compare results/pilot-20260101T120000Z results/latest
  regstorm compare --against results/
  regstorm compare --against results/ results/pilot-20260108T120000Z --html --out compare.html

Exit status:
  0  no regression
  1  a significant regression
  2  bad usage, no such directory, or no run to compare with
  3  a record cannot be read, or the runs allow no verdict";

const PREFLIGHT_HELP: &str = "\
About ten seconds, at most 20 messages a second: resolves, sends OPTIONS, registers one agent of each
trunk from each of its source addresses, removes the binding, and doubts credentials.

Examples:
  regstorm preflight profiles/kamailio.toml
  regstorm preflight lab.toml --set trunk.0.realm=lab.example.net --json
  regstorm preflight lab.toml --baseline

Exit status:
  0        every trunk is ready
  1        a trunk is not ready
  2        bad usage or profile, a forbidden target, a missing file or secret: nothing was sent
  3        it could not be carried out
  130/143  interrupted; what was bound is removed";

const WATCH_HELP: &str = "\
One line on stdout at each change: UTC time, trunk, go or no-go, why. At most 20 messages a second
are sent. Ctrl-C ends it; the canaries' bindings are removed.

Examples:
  regstorm watch lab.toml --every 30s
  regstorm watch lab.toml --every 10s --fail-after 3 --recover-after 5 --for 8h --json
  regstorm watch lab.toml --hook 'logger \"$REGSTORM_TRUNK is $REGSTORM_STATE: $REGSTORM_REASON\"'

Exit status:
  0  it ended with every trunk go
  1  it ended with a trunk that is no-go
  2  bad usage or profile, a forbidden target, a missing file or secret: nothing was sent
  3  it could not be carried out";

const EXPLAIN_HELP: &str = "\
Examples:
  regstorm explain 403
  regstorm explain limit.concurrent
  regstorm explain request_timeout --json

Exit status:
  0  explained
  2  nothing is known of this name; the nearest ones are listed";

const SCHEMA_HELP: &str = "\
Examples:
  regstorm schema > regstorm.schema.json

and at the top of a profile, for editors that know it:
  #:schema ./regstorm.schema.json";

const COMPLETIONS_HELP: &str = "\
Examples:
  regstorm completions bash > /etc/bash_completion.d/regstorm
  regstorm completions zsh > \"${fpath[1]}/_regstorm\"";

const MAN_HELP: &str = "\
Examples:
  regstorm man > /usr/local/share/man/man1/regstorm.1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_and_the_completions_know_every_command() {
        let manual = String::from_utf8(manual().expect("memory")).expect("UTF-8");
        let script = String::from_utf8(completions(clap_complete::Shell::Bash)).expect("UTF-8");
        for command in Cli::command().get_subcommands() {
            assert!(manual.contains(&format!("regstorm\\-{}", command.get_name())), "{}", command.get_name());
            assert!(script.contains(command.get_name()), "{}", command.get_name());
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_contract_shows_can_be_typed() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        let run =
            parse("regstorm run p.toml --out d --set run.seed=9 --set trunk.0.agents.count=200 --live off --json");
        let Ok(Command::Run(run)) = run else { panic!("{run:?}") };
        assert_eq!(run.sets, ["run.seed=9", "trunk.0.agents.count=200"]);
        assert_eq!((run.live, run.json), (Live::Off, true));
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
