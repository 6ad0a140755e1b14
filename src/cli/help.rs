//! What stands below the options in the help of each command.
//!
//! Prose is one line for each paragraph, because clap breaks lines as wide as the terminal; lines
//! of examples and tables stay below 80 columns, so that nothing breaks them again.

/// What `regstorm` says that is called without anything.
pub const START: &str = "\
regstorm registers simulated SIP agents and says whether the registrar holds up.

Where to start, on this machine alone:
  regstorm simulate @pilot     a rehearsal in virtual time: no packet is sent
  regstorm run @pilot          500 agents against an embedded registrar
  regstorm profiles            all profiles that come with regstorm

With a registrar of your own:
  regstorm init                writes a first profile and says what comes next
  regstorm check PROFILE       shows what a profile means; sends nothing
  regstorm preflight PROFILE   registers one agent of each trunk
  regstorm run PROFILE         the test itself

  regstorm explain 403         what a code or a finding means

Usage: regstorm <COMMAND>, and regstorm --help for all commands";

pub(super) const EXAMPLES: &str = "\
Examples:
  regstorm run @pilot
  regstorm run lab.toml --set run.seed=7
  regstorm registrar --listen udp://127.0.0.1:5060
  regstorm report results/latest";

pub(super) const INIT_HELP: &str = "\
Asks on a terminal for what no option says. The profile has comments, allows packets to the registrar's address only, and \
ends a run by itself when credentials are refused.

Examples:
  regstorm init
  regstorm init lab.toml --registrar 10.0.0.5 --domain lab.example --count 10
  regstorm init lab.toml --registrar edge.lab.example --users users.csv --yes

Exit status:
  0  written
  2  bad usage, or the file is already there
  3  the file could not be written";

pub(super) const CHECK_HELP: &str = "\
Examples:
  regstorm check lab.toml
  regstorm check @pilot --set trunk.0.agents.count=50
  regstorm check lab.toml --json

Exit status:
  0  the profile can be used; doubts are listed
  2  bad usage or profile, a missing file or secret";

pub(super) const PROFILES_HELP: &str = "\
Examples:
  regstorm profiles
  regstorm run @pilot
  regstorm profiles kamailio > lab.toml

Exit status:
  0  listed or printed
  2  none of this name";

pub(super) const RUN_HELP: &str = "\
Examples:
  regstorm run profiles/pilot.toml
  regstorm run profiles/go-live.toml --out /tmp/go-live --live off
  regstorm run profiles/pilot.toml --set trunk.trunk_nj_01.expires=30s
  regstorm run profiles/pilot.toml --set 'thresholds.register.p99=< 100ms'
  regstorm run profiles/limit-403.toml --capture-secrets
  regstorm run profiles/nightly-soak.toml --metrics 127.0.0.1:9464 --keep 30

Ctrl-C once stops arrivals, drains, un-registers and writes everything; twice stops at once and still writes.

Exit status:
  0        all thresholds hold; a profile without any has one:
           findings.critical == 0
  1        the run completed and a threshold failed
  2        bad usage or profile, a forbidden target, a missing file or secret:
           nothing was sent
  3        the run is invalid: a name did not resolve, no socket, or the
           generator fell behind its schedule; or --metrics is in use
  130/143  interrupted; results so far are written";

pub(super) const REGISTRAR_HELP: &str = "\
Prints one \"listening udp://ADDRESS:PORT\" line per socket when it is ready; Ctrl-C ends it.

Examples:
  regstorm registrar --listen udp://127.0.0.1:5060
  regstorm registrar profiles/limit-403.toml --listen udp://127.0.0.1:5060
  regstorm registrar --set registrar.min_expires=60s

Exit status:
  0  ended by Ctrl-C
  2  bad usage or profile
  3  an address could not be listened on";

pub(super) const DIAGNOSE_HELP: &str = "\
Of results, captures and logs: one line per finding, \"ID severity trunk users... summary\", one per kind of loop with the \
step of the handshake that is missing, and a last line that says healthy, explained or open.

The fields of a log are method, user, to, code, reason, time, trunk and call_id; nested keys are written with dots.

With --live every attempt differs from the agent's own by one thing; what helps must help twice, with a refusal in between. \
Bindings are removed again. The last line is \"conclusion: CHANGE = VALUE\" or \"conclusion: open: CAUSES\".

Examples:
  regstorm diagnose results/latest
  regstorm diagnose edge.pcapng --json
  regstorm diagnose events.json --field user=from.uri --field time=@timestamp
  regstorm diagnose --live profiles/pilot.toml
  regstorm diagnose --live lab.toml --agent agent00017 --rate 5
  regstorm diagnose --live lab.toml --json

Exit status:
  0        explained, or nobody is refused
  1        causes are still open
  2        bad usage or profile, a forbidden target, a missing file or secret:
           nothing was sent
  3        a file that cannot be read, or could not run: a name did not
           resolve, or no socket
  130/143  interrupted; nothing is concluded";

pub(super) const SIMULATE_HELP: &str = "\
Examples:
  regstorm simulate profiles/nightly-soak.toml
  regstorm simulate profiles/go-live.toml --for 24h --set run.seed=7
  regstorm simulate profiles/avalanche.toml --avalanche

All trunks register with the embedded registrar and its faults, whatever their registrar is. The same seed gives the same \
files. Behind the summary stands what a run would ask of the registrar, the line and this machine, with a warning for \
each limit of [expect], max_message_rate and ulimit -n that it would pass (dry-run.json).

Exit status: as of run.";

pub(super) const LIMITS_HELP: &str = "\
The search goes beyond the registrar's limits on purpose: ask whoever runs it first. It stops by itself when what worked \
before is refused or silent as well, and un-REGISTERs everything it registered, also after Ctrl-C.

Examples:
  regstorm limits profiles/limits.toml
  regstorm limits profiles/kamailio.toml --only rate --objective 250ms
  regstorm limits profiles/limits.toml --only concurrent --json

Exit status:
  0        the search ended, whether limits were met or not
  2        bad usage or profile, a forbidden target, a missing file or secret:
           nothing was sent
  3        it could not run: no socket, nobody registered, or signs of a ban
  130/143  interrupted; what was found so far is written";

pub(super) const REPORT_HELP: &str = "\
Examples:
  regstorm report results/latest
  regstorm report results/pilot-20260101T120000Z --json
  regstorm report results/latest --pdf --paper letter

Exit status:
  0  the files were rebuilt, whatever the run's verdict
  2  bad usage, no such directory, or no record in it
  3  the record cannot be read, or with --pdf no Chromium that prints";

pub(super) const COMPARE_HELP: &str = "\
A regression is a change for the worse that is both more than chance and beyond its line in the [compare] section of \
NEW's profile. The last line of the output is meant for a chat. A run that is invalid or was interrupted is shown, but \
there is no verdict.

Examples:
  regstorm compare results/pilot-20260101T120000Z results/latest
  regstorm compare --against results/
  regstorm compare --against results/ --html --out compare.html

Exit status:
  0  no regression
  1  a significant regression
  2  bad usage, no such directory, or no run to compare with
  3  a record cannot be read, or the runs allow no verdict";

pub(super) const PREFLIGHT_HELP: &str = "\
About ten seconds, at most 20 messages a second: resolves, sends OPTIONS, registers one agent of each trunk from each of \
its source addresses, removes the binding, and doubts credentials.

Examples:
  regstorm preflight profiles/kamailio.toml
  regstorm preflight lab.toml --set trunk.0.realm=lab.example.net --json
  regstorm preflight lab.toml --baseline

Exit status:
  0        every trunk is ready
  1        a trunk is not ready
  2        bad usage or profile, a forbidden target, a missing file or secret:
           nothing was sent
  3        it could not be carried out
  130/143  interrupted; what was bound is removed";

pub(super) const WATCH_HELP: &str = "\
One line on stdout at each change: UTC time, trunk, go or no-go, why. At most 20 messages a second are sent. Ctrl-C ends \
it; the canaries' bindings are removed.

Examples:
  regstorm watch lab.toml --every 30s
  regstorm watch lab.toml --every 10s --recover-after 5 --for 8h --json
  regstorm watch lab.toml --hook 'logger \"$REGSTORM_TRUNK: $REGSTORM_STATE\"'

Exit status:
  0  it ended with every trunk go
  1  it ended with a trunk that is no-go
  2  bad usage or profile, a forbidden target, a missing file or secret:
     nothing was sent
  3  it could not be carried out";

pub(super) const PLATFORM_HELP: &str = "\
Only hosts of [safety] allow_platforms are asked, at most 120 times a minute, and nothing there is changed. An empty answer \
is unknown, never zero. Secrets come from the environment and are written nowhere.

Examples:
  regstorm platform check lab.toml
  regstorm platform pull lab.toml --from 2h
  regstorm platform pull lab.toml --from 2026-11-30T10:00:00Z \\
      --to 2026-11-30T11:00:00Z --out monday
  regstorm diagnose platform/events.jsonl

Exit status:
  0  it was carried out
  1  check: a source refuses, or answers with nothing
  2  bad usage or profile, a host that is not allowed, a missing secret:
     nothing was sent
  3  no token, no connection, or every source refused";

pub(super) const PLATFORM_WATCH_HELP: &str = "\
One line on stdout at each change: UTC time, trunk, go (registered), no-go or unknown, and what the platform says; from three \
changes on also their period, if they have one. A platform that is down, slow or says nothing makes its trunks unknown, never \
no-go, and ends nothing.

Examples:
  regstorm platform watch lab.toml
  regstorm platform watch lab.toml --every 60s --for 8h --json
  regstorm platform watch lab.toml --hook 'logger \"$REGSTORM_TRUNK: $REGSTORM_STATE\"'

Exit status:
  0  it ended with every trunk registered
  1  it ended with a trunk that is not, or not known to be
  2  bad usage or profile, a host that is not allowed, a missing secret:
     nothing was sent
  3  it could not be carried out";

pub(super) const CREDENTIALS_HELP: &str = "\
Nothing is submitted to the platform. The trunk's registrar is asked with one REGISTER for each of MD5 and SHA-256 that it \
offers, and never more, for accounts lock; they ask for no lifetime, so whoever is registered stays so. Targets must be \
allowed as for any run.

Examples:
  regstorm platform credentials lab.toml
  regstorm platform credentials lab.toml --trunk jkt --answer 400.json
  pbpaste | regstorm platform credentials lab.toml --answer -

Exit status:
  0  the carrier takes them, nothing of the platform's rules is broken, and
     an answer that was given is explained
  1  one of these does not hold, or is not known
  2  bad usage or profile, an answer that cannot be read, a forbidden target
  3  it could not be carried out";

pub(super) const RECONCILE_HELP: &str = "\
Minutes that the platform does not tell are missing or unknown, never zero. A shift between the clocks and what the platform \
counts as a failure are named where they stand out.

Examples:
  regstorm reconcile results/latest platform
  regstorm reconcile results/latest platform --html --out reconcile.html
  regstorm reconcile results/latest platform --csv --out reconcile.csv

Exit status:
  0  the two sides agree in every minute that both told
  1  they differ, or minutes are missing
  2  bad usage, no run, or nothing pulled
  3  it cannot be said: there is no minute that both told";

pub(super) const TREND_HELP: &str = "\
Follows the headline figures over the runs of a name: steps and drifts beyond the scatter from run to run, single runs \
that stand out, findings that came and went, and where the profile changed. Ten runs with figures are needed; the text \
says how changes are found. The last line is meant for a chat.

Examples:
  regstorm trend results/
  regstorm trend results/ --name nightly-soak --html --out trend.html
  regstorm trend results/ --csv > trend.csv

Exit status:
  0  told
  2  bad usage, no such directory, or no run of this name";

pub(super) const LEARN_HELP: &str = "\
Follows every phone of the capture: who registers, when, with which lifetime, how it refreshes and how it tries again \
after a refusal. What its habits explain becomes a trunk of the profile, with the nearest preset; every other attempt \
becomes a row of arrivals.csv, which [[load]] replays. The profile is rehearsed at once, and learn.html shows how near \
its messages come to those of the capture, minute by minute.

The profile registers with the embedded registrar, so nothing leaves this machine until two keys are changed on \
purpose. A capture holds no passwords: those of the agents come from the environment variable SIP_PASSWORD.

Examples:
  regstorm learn monday.pcapng --out monday
  regstorm learn monday.pcapng --out monday --anonymise
  regstorm simulate monday/profile.toml --set load.0.speed=2
  regstorm learn export.json --out platform --field user=from_address

Exit status:
  0  the profile is written
  2  bad usage, no such file, or a file that is there already
  3  the source cannot be read, or shows no registration";

pub(super) const EXPLAIN_HELP: &str = "\
Examples:
  regstorm explain 403
  regstorm explain limit.concurrent
  regstorm explain request_timeout --json

Exit status:
  0  explained
  2  nothing is known of this name; the nearest ones are listed";

pub(super) const SCHEMA_HELP: &str = "\
Examples:
  regstorm schema > regstorm.schema.json

and at the top of a profile, for editors that know it:
  #:schema ./regstorm.schema.json";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  regstorm completions bash > /etc/bash_completion.d/regstorm
  regstorm completions zsh > \"${fpath[1]}/_regstorm\"";

pub(super) const MAN_HELP: &str = "\
Examples:
  regstorm man | man -l -
  regstorm man --out /usr/local/share/man/man1";

pub(super) const SWEEP_HELP: &str = "\
For a run that was killed, or whose un-REGISTERs were not answered. Each agent asks the registrar what is bound for its \
user, and removes what is bound to an address of this machine. Run it where the run was made, against the same allowed \
targets. No record holds a secret: the profile of the run is read again.

Examples:
  regstorm sweep results/latest
  regstorm sweep results/pilot-20260101T120000Z --profile pilot.toml

Exit status:
  0        nothing of the run is left
  1        a binding could not be removed, or a registrar did not answer for
           every agent
  2        bad usage or profile, no record in the directory, a target that is
           not allowed, or a profile that means other agents: nothing was sent
  3        the record cannot be read, a name does not resolve, or no
           socket could be opened
  130/143  interrupted; the bindings that were found are removed";

#[cfg(feature = "fleet")]
pub(super) const FLEET_WORKER_HELP: &str = "\
A worker does what a run says that somebody offers at the NATS server, so it has limits of its own: --allow-targets, \
--max-agents, --max-message-rate. Lists and certificates that a profile names are read below the folder it was started in, and \
passwords from its environment. Without NATS server or coordinator it ends its load, removes its bindings and keeps its record.

Examples:
  regstorm fleet worker --nats nats://10.0.0.1:4222 --allow-targets 10.2.0.0/16
  regstorm fleet worker --nats nats://10.0.0.1:4222 --once --wait 10m

Exit status: of --once, 0 a part was carried out, 3 it could not be or its generator was invalid, or no run came in time; \
130/143 interrupted.";

#[cfg(feature = "fleet")]
pub(super) const FLEET_RUN_HELP: &str = "\
The profile goes to the workers without secrets: write password_env, or a CSV file that lies with every worker. The run begins \
when so many workers are ready and fit together: the same regstorm, profile and list, and clocks that are known well enough. The \
directory holds one run as regstorm run writes it, and each worker's record below workers/.

Examples:
  regstorm fleet run lab.toml --nats nats://10.0.0.1:4222 --workers 3

Exit status: as of run; 3 also when the workers do not fit together: nothing was sent.";

#[cfg(feature = "fleet")]
pub(super) const FLEET_SWEEP_HELP: &str = "\
Of each worker that was lost, or says that it left bindings, every agent of its part asks the registrar what is bound, and what is \
bound at an address of this machine goes. So sweep on the machine of that worker; bindings elsewhere are counted and left alone.

Examples:
  regstorm fleet sweep results/lab-20261130T100000Z --profile lab.toml

Exit status: as of sweep, the worst of all workers.";

pub(super) const FLEET_HELP: &str = "\
Each machine of a run has a part of its agents (run --share K/N --start-at TIME) and a record of its own. Their intervals \
are merged first and judged once: a limit that all machines meet looks like a smaller one to each.

Examples:
  regstorm fleet worker --nats nats://10.0.0.1:4222 --allow-targets 10.2.0.0/16
  regstorm fleet run lab.toml --nats nats://10.0.0.1:4222 --workers 3
  regstorm run lab.toml --share 1/3 --start-at 2026-11-30T10:00:00Z
  regstorm fleet merge part-1 part-2 part-3 --out merged

Exit status: as of run; 2 also for directories that are no parts of one run.";
