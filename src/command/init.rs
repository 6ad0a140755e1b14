//! `regstorm init`: a first profile, from a few answers.
//!
//! Before the text is written it is loaded and planned like any other profile, so that whatever
//! init writes can be used.

use super::failure::{Exit, Failure};
use super::output::{print, say, write_file};
use super::source::DiskSource;
use crate::cli::{InitArgs, TransportWish};
use crate::learn::quoted;
use crate::net::resolve::resolve;
use crate::plan::Plan;
use crate::profile::{self, Source};
use crate::sip::uri::{Target, parse_target};
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::net::IpAddr;
use std::path::Path;

pub(super) fn execute(args: &InitArgs) -> Result<Exit, Failure> {
    let to_stdout = args.file == Path::new("-");
    if !to_stdout && args.file.exists() && !args.force {
        return Err(Failure::usage(format!(
            "{}: is already there; give another name, or --force to replace it",
            args.file.display()
        )));
    }
    let asks = !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    let answers = answers(args, asks)?;
    let name = args.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let text = text(if to_stdout { "first" } else { &name }, &answers, &addresses(&answers));
    check(&args.file, &text, &answers)?;
    if to_stdout {
        print(&text)?;
        return Ok(Exit::Success);
    }
    write_file(&args.file, text.into_bytes())?;
    say(&format!("wrote {}", args.file.display()));
    if let (InitSecrets::Variable(variable), true) = (&answers.credentials, answers.target.is_some()) {
        say(&format!("first: export {variable}=…, the password of the agents"));
    }
    print(&format!("next: regstorm preflight {}\n", args.file.display()))?;
    Ok(Exit::Success)
}

/// What a first profile has to know.
struct Answers {
    /// `None`: the embedded registrar.
    target: Option<Target>,
    registrar: String,
    domain: String,
    users: InitUsers,
    credentials: InitSecrets,
}

enum InitUsers {
    Pattern { pattern: String, count: u32 },
    Csv { file: String },
}

enum InitSecrets {
    /// Every agent has the password in this environment variable.
    Variable(String),
    /// The CSV file has a column for them.
    Listed,
}

fn answers(args: &InitArgs, asks: bool) -> Result<Answers, Failure> {
    let ask = |question: &str, given: Option<&str>, default: &str| match given {
        Some(given) => Ok(given.to_owned()),
        None if asks => ask(question, default),
        None => Ok(default.to_owned()),
    };
    if args.registrar.is_none() && !asks && !args.yes {
        return Err(Failure::usage(
            "--registrar is needed where nobody can be asked; --yes takes the embedded registrar",
        ));
    }
    let registrar = ask("registrar (host, host:port, SIP URI, or embedded)", args.registrar.as_deref(), EMBEDDED)?;
    let (target, registrar) = registrar_of(&registrar, args.transport)?;
    let host = target.as_ref().map_or("example.test", |target| &*target.host);
    let domain = ask("domain of the users", args.domain.as_deref(), host)?;
    let users = ask("users (a pattern, or a CSV file)", args.users.as_deref(), "agent{n:05}")?;
    let is_file = Path::new(&users).extension().is_some_and(|ending| ending == "csv") || Path::new(&users).is_file();
    let (users, has_secrets) = if is_file {
        let has_secrets = lists_secrets(&users);
        (InitUsers::Csv { file: users }, has_secrets)
    } else {
        let count = args.count.map(|count| count.to_string());
        let count = ask("how many agents", count.as_deref(), "10")?;
        let count = count.parse().map_err(|_| Failure::usage(format!("{count}: is no number of agents")))?;
        (InitUsers::Pattern { pattern: users, count }, false)
    };
    let credentials = if has_secrets && args.password_env.is_none() {
        InitSecrets::Listed
    } else {
        InitSecrets::Variable(ask(
            "environment variable with the password",
            args.password_env.as_deref(),
            "SIP_PASSWORD",
        )?)
    };
    Ok(Answers { target, registrar, domain, users, credentials })
}

/// Whether a list has a column of passwords.
fn lists_secrets(path: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let header = text.lines().next().unwrap_or_default();
    header.split([',', ';', '\t']).any(|column| matches!(column.trim(), "password" | "password_env" | "ha1"))
}

fn ask(question: &str, default: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::could_not(format!("standard input: {error}"));
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question} [{default}]: ").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    let answer = line.trim();
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}

/// The registrar as a URI of the profile; a bare host gets its scheme.
fn registrar_of(text: &str, transport: Option<TransportWish>) -> Result<(Option<Target>, String), Failure> {
    if text == EMBEDDED {
        return Ok((None, text.to_owned()));
    }
    let has_scheme = text.starts_with("sip:") || text.starts_with("sips:");
    let mut uri = if has_scheme { text.to_owned() } else { format!("sip:{text}") };
    match transport {
        Some(_) if uri.contains("transport=") => {}
        Some(TransportWish::Tcp) => uri.push_str(";transport=tcp"),
        Some(TransportWish::Tls) => uri.push_str(";transport=tls"),
        Some(TransportWish::Ws) => uri.push_str(";transport=ws"),
        Some(TransportWish::Wss) => uri.push_str(";transport=wss"),
        Some(TransportWish::Udp) | None => {}
    }
    let target = parse_target(&uri).map_err(|error| Failure::usage(format!("--registrar: {error}")))?;
    Ok((Some(target), uri))
}

/// The registrar's addresses, which the profile allows packets to; none when it does not resolve
/// here and now.
fn addresses(answers: &Answers) -> Vec<IpAddr> {
    let Some(target) = &answers.target else { return Vec::new() };
    resolve(&target.host, target.port, None).unwrap_or_default().into_iter().map(|address| address.ip()).collect()
}

/// The profile, with comments.
fn text(name: &str, answers: &Answers, addresses: &[IpAddr]) -> String {
    let count = match &answers.users {
        InitUsers::Pattern { count, .. } => *count,
        InitUsers::Csv { file } => {
            let rows = std::fs::read_to_string(file).unwrap_or_default().lines().count();
            u32::try_from(rows.saturating_sub(1).max(1)).unwrap_or(u32::MAX)
        }
    };
    // Gentle, and over within minutes for a few agents.
    let rate = (count / 60).clamp(1, 10);
    let seconds = count.div_ceil(rate);
    let mut out = format!(
        "# A first test of {}. Ask the people who run it first.\n#\n#   regstorm check      shows what this means; sends \
         nothing\n#   regstorm preflight  registers one agent\n#   regstorm run        the test itself\n\n",
        if answers.target.is_some() { answers.registrar.as_str() } else { "the embedded registrar" }
    );
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "[run]\nname     = {}\ninterval = \"5s\"          # one row per five seconds in every time series\n\n",
        quoted(name)
    );
    out += &safety(answers, addresses);
    let _ = write!(
        out,
        "[[trunk]]\nid        = \"trunk_1\"\nregistrar = {}\ndomain    = {}    # the host part of the users' addresses\n",
        quoted(&answers.registrar),
        quoted(&answers.domain)
    );
    let password = match &answers.credentials {
        InitSecrets::Variable(_) if answers.target.is_none() => ", password = \"secret\"".to_owned(),
        InitSecrets::Variable(name) => format!(", password_env = {}", quoted(name)),
        InitSecrets::Listed => String::new(),
    };
    let _ = match &answers.users {
        InitUsers::Pattern { pattern, count } => {
            writeln!(out, "agents    = {{ count = {count}, user = {}{password} }}", quoted(pattern))
        }
        InitUsers::Csv { file } => writeln!(out, "agents    = {{ csv = {}{password} }}", quoted(file)),
    };
    let _ = write!(
        out,
        "expires   = \"1h\"          # the lifetime that is asked for\n\n[[load]]\nrate = {rate}                  # agents \
         that begin to register each second …\nfor  = \"{seconds}s\"               # … until each has come once\n\n[[load]]\n\
         hold = \"30s\"              # then watch them\n\n[thresholds]\nsuccess_ratio  = \">= 0.999\"   # of all attempts\n\
         \"register.p99\" = \"< 500ms\"    # the slowest one in a hundred\nloops          = \"== 0\"       # agents that are \
         refused over and over\n"
    );
    out
}

fn safety(answers: &Answers, addresses: &[IpAddr]) -> String {
    let mut nets: Vec<String> = addresses.iter().map(|address| quoted(&address.to_string())).collect();
    let unresolved = answers.target.is_some() && nets.is_empty();
    if answers.target.is_none() || unresolved {
        nets = vec![quoted("127.0.0.0/8"), quoted("::1/128")];
    }
    let remark = if unresolved {
        "# its name did not resolve when this was written: put its address here"
    } else {
        "# packets go to these addresses and nowhere else"
    };
    format!(
        "[safety]\nallow_targets    = [{}]    {remark}\nmax_message_rate = 200             # SIP messages per second that are \
         never passed\nabort_on         = {{ authentication_failed = \"> 3\", registration_rejected = \"> 20\" }}   # a wrong \
         password locks accounts\n\n",
        nets.join(", ")
    )
}

/// Reads the text as a profile at its place, with the password that is still to be set.
fn check(path: &Path, text: &str, answers: &Answers) -> Result<(), Failure> {
    struct Fresh<'a> {
        path: String,
        text: &'a str,
        variable: Option<&'a str>,
    }
    impl Source for Fresh<'_> {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { DiskSource.read(path) }
        }
        fn env(&self, name: &str) -> Option<String> {
            DiskSource.env(name).or_else(|| (Some(name) == self.variable).then(|| "to be set".to_owned()))
        }
    }
    let variable = match &answers.credentials {
        InitSecrets::Variable(name) => Some(name.as_str()),
        InitSecrets::Listed => None,
    };
    let path = path.to_string_lossy().into_owned();
    let source = Fresh { path: path.clone(), text, variable };
    Plan::new(&profile::load(&source, &path, &[])?)?;
    Ok(())
}

/// How the registrar within regstorm is called.
const EMBEDDED: &str = "embedded";
