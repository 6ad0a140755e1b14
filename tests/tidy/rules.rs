//! The house rules as functions of one source file. What each room may use, and which crate lives
//! where, are the tables at the top; a change of the architecture is a change of a table, made on
//! purpose.

use super::lex::{Path, Source, behind_bracket, punct, word};

/// Which rooms a room may use besides itself. `*` is everything.
pub const ROOMS: [(&str, &[&str]); 27] = [
    ("vocab", &[]),
    ("seed", &["vocab"]),
    ("sip", &["vocab"]),
    ("link", &["vocab", "seed"]),
    ("load", &["vocab", "seed"]),
    ("measure", &["vocab", "seed"]),
    // An agent says what happened to it in the words of `measure::Event`; it counts nothing itself.
    ("agent", &["vocab", "seed", "sip", "measure"]),
    ("registrar", &["vocab", "seed", "sip", "link"]),
    ("fleet", &["vocab", "seed", "sip", "agent", "load", "measure"]),
    // A fleet sends from templates, and whoever drives it makes them, as the engine does.
    ("sim", &["vocab", "seed", "sip", "agent", "registrar", "link", "load", "measure", "fleet"]),
    ("net", &["vocab"]),
    // Connections of the embedded registrar wait for their time in the queue that its replies have.
    ("engine", &["vocab", "seed", "agent", "registrar", "link", "load", "net", "sip", "measure", "fleet"]),
    // Where a message begins and ends on a stream is for SIP to say; a capture only looks for it.
    ("record", &["vocab", "sip", "measure"]),
    // What others did on a wire is counted like what our agents do, and a loop is a loop by the
    // same rule.
    ("observe", &["vocab", "sip", "agent", "measure", "record"]),
    // A habit is held against what agents of a preset would do.
    ("learn", &["vocab", "sip", "agent", "record", "observe"]),
    // A finding names examples by the Call-IDs that agents draw from the seed; what a probe saw is
    // evidence too.
    ("diagnose", &["vocab", "seed", "sip", "measure", "agent", "record"]),
    ("report", &["vocab", "sip", "measure", "record", "diagnose"]),
    // Servers are asked by blocking calls, on threads of their own.
    ("truth", &["vocab", "net"]),
    // What a platform said is kept as a record, and its messages of SIP are masked as ours are.
    ("platform", &["vocab", "sip", "net", "record"]),
    ("live", &["vocab", "measure"]),
    // Members of a convoy carry the bytes of a record without looking into them.
    ("convoy", &["vocab"]),
    ("profile", &["vocab"]),
    // The rooms whose config types a plan fills in.
    (
        "plan",
        &["vocab", "seed", "profile", "sip", "agent", "registrar", "load", "fleet", "engine", "record", "diagnose"],
    ),
    // An argument may be of a type the profile has for the same thing.
    ("cli", &["profile"]),
    ("command", &["*"]),
    ("main", &["cli", "command"]),
    ("lib", &["*"]),
];

/// Rooms without clock, socket, file, thread or global.
pub const PURE: [&str; 16] = [
    "vocab",
    "seed",
    "sip",
    "link",
    "agent",
    "registrar",
    "load",
    "sim",
    "measure",
    "diagnose",
    "observe",
    "learn",
    "report",
    "profile",
    "plan",
    "fleet",
];

/// The rooms a crate may be named in. Crates that are not listed may be used anywhere.
pub const CRATES: [(&str, &[&str]); 37] = [
    ("prometheus_client", &["live", "report"]),
    ("hickory_resolver", &["command"]),
    ("hyper", &["live"]),
    ("hyper_util", &["live"]),
    ("http_body_util", &["live"]),
    ("rsip", &["sip"]),
    ("md5", &["sip"]),
    // Digests of a profile and of lists tell machines whether they run the same.
    ("sha2", &["sip", "command"]),
    ("wide", &["seed", "sip"]),
    ("governor", &["load", "registrar"]),
    ("hdrhistogram", &["measure", "record", "diagnose", "report"]),
    ("postcard", &["record"]),
    ("crc32fast", &["record"]),
    ("pcap_file", &["record"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["live"]),
    ("ratatui", &["live"]),
    ("socket2", &["net"]),
    ("rustls", &["net"]),
    ("rustls_native_certs", &["net"]),
    ("rcgen", &["net"]),
    ("tungstenite", &["net"]),
    ("httparse", &["net"]),
    ("ureq", &["net"]),
    ("base64", &["net"]),
    ("libc", &["net"]),
    ("terminal_size", &["command"]),
    ("tokio", &["engine", "live", "convoy", "command"]),
    ("async_nats", &["convoy"]),
    ("anyhow", &["command", "main"]),
    ("minijinja", &["report"]),
    ("rust_xlsxwriter", &["report"]),
    ("toml", &["profile", "plan", "diagnose"]),
    ("schemars", &["profile"]),
    ("strsim", &["profile", "diagnose"]),
];

/// What reaches outside the process, by path.
const IMPURE: [&[&str]; 11] = [
    &["std", "thread"],
    &["std", "fs"],
    &["std", "process"],
    &["std", "env"],
    &["std", "os"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "sync", "mpsc"],
    &["std", "io", "stdin"],
];

/// Functions that read a clock, by type and name.
const CLOCKS: [(&str, &str); 6] = [
    ("Instant", "now"),
    ("SystemTime", "now"),
    ("Timestamp", "now"),
    ("Zoned", "now"),
    ("libc", "clock_gettime"),
    ("libc", "gettimeofday"),
];
/// The one file that reads a clock.
const CLOCK_FILE: &str = "src/net/clock.rs";

pub const FUNCTION_LINES: usize = 70;
pub const FILE_LINES: usize = 800;

/// A broken rule, where and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub path: String,
    pub line: usize,
    pub what: String,
}

/// Judges one file.
pub type Rule = fn(&Source) -> Vec<Violation>;

/// Every rule that judges a file by itself; length has its ratchet in `tidy.rs`.
pub const RULES: [(&str, Rule); 10] = [
    ("room table", rooms),
    ("crates in their rooms", crates),
    ("one clock", clock),
    ("unsafe only in net", unsafe_code),
    ("pure rooms", pure),
    ("leftovers", leftovers),
    ("no unwrap", unwrap),
    ("a word at the top", top),
    ("self-contained", outside),
    ("prose is narrower than code", prose),
];

/// Columns of a line of prose, beside the 120 of code: what is read from end to end is narrower.
const PROSE_COLUMNS: usize = 100;

/// Drawings, in a fence, and tables may be as wide as code.
fn prose(source: &Source) -> Vec<Violation> {
    let mut drawn = false;
    let mut wide = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let Some(text) = line.trim_start().strip_prefix("//") else {
            drawn = false;
            continue;
        };
        drawn ^= text.trim_start_matches(['/', '!', ' ']).starts_with("```");
        let columns = line.chars().count();
        if columns > PROSE_COLUMNS && !drawn && !text.contains('|') {
            wide.push(at_line(source, number, format!("{columns} columns of prose, at most {PROSE_COLUMNS}")));
        }
    }
    wide
}

fn at_line(source: &Source, line: usize, what: impl Into<String>) -> Violation {
    Violation { path: source.path.clone(), line, what: what.into() }
}

fn is_pure(source: &Source) -> bool {
    PURE.contains(&source.room())
}

fn rooms(source: &Source) -> Vec<Violation> {
    let room = source.room();
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![at_line(source, 1, format!("`{room}` is no room of the table"))];
    };
    let may = |other: &str| other == room || allowed.contains(&"*") || allowed.contains(&other);
    let judge = |path: Path| {
        let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
        // Inside the crate its root is `crate`; from main.rs it is the library's name.
        let used = match path.segments.first()?.as_str() {
            "crate" | "regstorm" => path.segments.get(1)?,
            "super" if supers >= source.depth() => path.segments.get(supers)?,
            _ => return None,
        };
        (!may(used)).then(|| at_line(source, path.line, format!("`{room}` may not use `{used}`")))
    };
    let mut found: Vec<Violation> = source.paths().into_iter().filter_map(judge).collect();
    found.dedup();
    found
}

fn crates(source: &Source) -> Vec<Violation> {
    let judge = |path: Path| {
        let (name, homes) = CRATES.iter().find(|(name, _)| path.segments[0] == *name)?;
        let at_home = homes.contains(&source.room());
        (!at_home).then(|| at_line(source, path.line, format!("`{name}` lives in {homes:?}")))
    };
    let mut found: Vec<Violation> = source.paths().into_iter().filter_map(judge).collect();
    found.dedup();
    found
}

fn clock(source: &Source) -> Vec<Violation> {
    if source.path == CLOCK_FILE {
        return Vec::new();
    }
    let reads = |path: &Path| {
        let last = &path.segments[path.segments.len().saturating_sub(2)..];
        CLOCKS.iter().any(|(of, name)| last == [*of, *name])
            || path.segments.last().is_some_and(|s| s == "clock_gettime")
    };
    let named = source.paths().into_iter().filter(reads);
    let mut found: Vec<_> =
        named.map(|path| at_line(source, path.line, format!("`{}` reads a clock", path.segments.join("::")))).collect();
    let elapsed = (0..source.tokens.len())
        .filter(|&at| source.punct(at) == Some('.') && source.word(at + 1) == Some("elapsed"))
        .filter(|&at| source.punct(at + 2) == Some('(') && source.punct(at + 3) == Some(')'));
    found.extend(elapsed.map(|at| at_line(source, source.tokens[at].line, "`elapsed()` reads a clock")));
    found
}

fn unsafe_code(source: &Source) -> Vec<Violation> {
    if source.room() == "net" {
        return Vec::new();
    }
    words(source, "unsafe").map(|line| at_line(source, line, "`unsafe` outside src/net")).collect()
}

fn pure(source: &Source) -> Vec<Violation> {
    if !is_pure(source) {
        return Vec::new();
    }
    let reaches = |path: &Path| IMPURE.iter().any(|outside| path.segments.starts_with(&strings(outside)));
    let named = source.paths().into_iter().filter(reaches);
    let mut found: Vec<_> = named
        .map(|path| at_line(source, path.line, format!("a pure room names `{}`", path.segments.join("::"))))
        .collect();
    found.extend(macros(source, "thread_local").map(|line| at_line(source, line, "a pure room calls `thread_local!`")));
    // `'static` is a lifetime to the lexer; what is left are items.
    found.extend(
        words(source, "static").map(|line| at_line(source, line, "a pure room has a global; make it a `const`")),
    );
    found
}

fn leftovers(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for name in ["todo", "unimplemented", "dbg"] {
        found.extend(macros(source, name).map(|line| at_line(source, line, format!("`{name}!` is left over"))));
    }
    // They panic when whoever reads is gone, and pass on what steers a terminal.
    for name in ["println", "print", "eprintln", "eprint"] {
        let call = |line| at_line(source, line, format!("`{name}!` instead of `command::output`"));
        found.extend(macros(source, name).map(call));
    }
    for (comment, line) in &source.comments {
        let marks = ["FIXME", "XXX", "TODO"].into_iter().filter(|mark| comment.contains(mark));
        found.extend(marks.map(|mark| at_line(source, *line, format!("{mark} is left over"))));
    }
    found
}

fn unwrap(source: &Source) -> Vec<Violation> {
    let calls = (0..source.tokens.len())
        .filter(|&at| source.punct(at) == Some('.') && source.word(at + 1) == Some("unwrap"))
        .filter(|&at| source.punct(at + 2) == Some('('));
    calls.map(|at| at_line(source, source.tokens[at + 1].line, "`unwrap()` says nothing when it fails")).collect()
}

fn top(source: &Source) -> Vec<Violation> {
    let said = source.text.starts_with("//! ");
    if said {
        Vec::new()
    } else {
        vec![at_line(source, 1, "the file does not begin with what lives in it (`//! …`)")]
    }
}

/// The package stands alone: it names nothing beside it.
fn outside(source: &Source) -> Vec<Violation> {
    let lines = source.text.lines().zip(1..).filter(|(line, _)| line.contains("../shared"));
    lines.map(|(_, line)| at_line(source, line, "names a place outside the package")).collect()
}

/// Functions outside tests: name, first line, number of lines.
pub fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let (Some("fn"), Some(name)) = (word(tokens, at), word(tokens, at + 1)) else { continue };
        let mut body = at + 2;
        while body < tokens.len() && !matches!(punct(tokens, body), Some('{' | ';')) {
            let bracket = matches!(punct(tokens, body), Some('(' | '['));
            body = if bracket { behind_bracket(tokens, body) } else { body + 1 };
        }
        if punct(tokens, body) == Some('{') {
            let last = tokens[behind_bracket(tokens, body) - 1].line;
            found.push((name.to_owned(), tokens[at].line, last - tokens[at].line + 1));
        }
    }
    found
}

fn strings(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn words(source: &Source, name: &str) -> impl Iterator<Item = usize> {
    (0..source.tokens.len()).filter(move |&at| source.word(at) == Some(name)).map(|at| source.tokens[at].line)
}

fn macros(source: &Source, name: &str) -> impl Iterator<Item = usize> {
    (0..source.tokens.len())
        .filter(move |&at| source.word(at) == Some(name) && source.punct(at + 1) == Some('!'))
        .map(|at| source.tokens[at].line)
}
