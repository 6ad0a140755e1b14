//! The house rules as a test: who may use whom, one clock, `unsafe` in one room, nothing left over,
//! nothing too long.
//!
//! The rules themselves stand in `tidy/rules.rs`, and each is shown here a snippet it must refuse
//! and one it must let pass, so that a rule cannot fail to fail.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/rules.rs"]
mod rules;

use lex::{Kind, Source};
use rules::{FILE_LINES, FUNCTION_LINES, ROOMS, RULES, Violation};

/// Functions longer than [`FUNCTION_LINES`]: file, name, lines at most, why. Entries only leave or
/// shrink.
const LONG_FUNCTIONS: [(&str, &str, usize, &str); 0] = [];
/// Files longer than [`FILE_LINES`]: file, lines at most, why. Entries only leave or shrink.
const LONG_FILES: [(&str, usize, &str); 0] = [];

// ---- The sources ----

#[test]
fn the_sources_keep_the_rules() {
    let sources = Source::all();
    assert!(sources.len() > 40, "only {} files found: the walk is broken", sources.len());
    let mut broken = Vec::new();
    for source in &sources {
        for (rule, check) in RULES {
            broken.extend(check(source).iter().map(|v| format!("{}:{}: {} ({rule})", v.path, v.line, v.what)));
        }
    }
    assert!(broken.is_empty(), "{} broken rules:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_room_of_the_table_exists() {
    let sources = Source::all();
    for (room, _) in ROOMS {
        assert!(sources.iter().any(|source| source.room() == room), "no file belongs to `{room}`");
    }
}

#[test]
fn nothing_grows_too_long() {
    let sources = Source::all();
    let mut broken: Vec<String> =
        sources.iter().flat_map(|source| too_long(source, &LONG_FUNCTIONS, &LONG_FILES)).collect();
    broken.extend(unused(&sources, &LONG_FUNCTIONS, &LONG_FILES));
    assert!(broken.is_empty(), "look for the second job in:\n{}", broken.join("\n"));
}

#[test]
fn files_of_a_room_do_not_use_each_other_in_a_circle() {
    let found = circles::circles(&Source::all());
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_name_stands_for_one_type() {
    let found = names::twice(&Source::all());
    assert!(found.is_empty(), "{} names of several types; call each by what it is:\n{}", found.len(), found.join("\n"));
}

/// Functions and files over their limit, and exceptions that are no longer needed.
fn too_long(source: &Source, functions: &[(&str, &str, usize, &str)], files: &[(&str, usize, &str)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, line, lines) in rules::functions(source) {
        let exception = functions.iter().find(|(path, function, ..)| *path == source.path && *function == name);
        let limit = exception.map_or(FUNCTION_LINES, |(_, _, limit, _)| *limit);
        if lines > limit {
            broken.push(format!("{}:{line}: `{name}` has {lines} lines, at most {limit}", source.path));
        } else if exception.is_some() && lines < limit {
            broken.push(format!("{}:{line}: `{name}` has shrunk to {lines} lines; lower its limit", source.path));
        }
    }
    let lines = source.text.lines().count();
    let exception = files.iter().find(|(path, ..)| *path == source.path);
    let limit = exception.map_or(FILE_LINES, |(_, limit, _)| *limit);
    if lines > limit {
        broken.push(format!("{}: {lines} lines, at most {limit}", source.path));
    } else if exception.is_some() && lines < limit {
        broken.push(format!("{}: shrunk to {lines} lines; lower its limit", source.path));
    }
    broken
}

/// Exceptions that name a file or function that is no more.
fn unused(sources: &[Source], functions: &[(&str, &str, usize, &str)], files: &[(&str, usize, &str)]) -> Vec<String> {
    let named = |path: &str| sources.iter().find(|source| source.path == path);
    let has =
        |path: &str, name: &str| named(path).is_some_and(|s| rules::functions(s).iter().any(|(own, ..)| own == name));
    let functions =
        functions.iter().filter(|(path, name, ..)| !has(path, name)).map(|(path, name, ..)| format!("{path}: {name}"));
    let files = files.iter().filter(|(path, ..)| named(path).is_none()).map(|(path, ..)| (*path).to_owned());
    functions.chain(files).map(|gone| format!("{gone} is an exception for nothing")).collect()
}

// ---- The rules refuse what they should ----

/// What all rules say of a snippet that stands in a file, below the line every file begins with.
fn judged(path: &str, code: &str) -> Vec<Violation> {
    let source = Source::new(path, &format!("//! A snippet.\n{code}"));
    RULES.iter().flat_map(|(_, check)| check(&source)).collect()
}

#[track_caller]
fn refused(path: &str, code: &str, why: &str) {
    let found = judged(path, code);
    assert_eq!(found.len(), 1, "one violation in {path}: {code}\n{found:?}");
    assert!(found[0].what.contains(why), "`{why}` in {found:?}");
    assert_eq!(found[0].line, 2, "{found:?}");
}

#[track_caller]
fn passed(path: &str, code: &str) {
    assert_eq!(judged(path, code), [], "{path}: {code}");
}

#[test]
fn a_room_may_not_use_what_the_table_does_not_give_it() {
    refused("src/agent/mod.rs", "use crate::net::udp::Socket;", "may not use `net`");
    refused("src/agent/retry.rs", "use crate::{vocab::Time, net::udp::{Socket, Batch}};", "may not use `net`");
    refused("src/sip/scan.rs", "fn f() { crate::agent::step(); }", "may not use `agent`");
    refused("src/sip/scan.rs", "use super::super::agent::Agent;", "may not use `agent`");
    refused("src/sip/mod.rs", "use super::agent::Agent;", "may not use `agent`");
    refused("src/seed.rs", "use super::sip::Uri;", "may not use `sip`");
    refused("src/link/mod.rs", "pub use ::regstorm::agent::Agent as A;", "may not use `agent`");
    refused("src/link/mod.rs", "use crate::*;", "may not use `*`");
    refused("src/engine/worker.rs", "use crate::profile::Profile;", "may not use `profile`");
    refused("src/report/html.rs", "macro_rules! m { () => { $crate::engine::run() } }", "may not use `engine`");
    refused("src/main.rs", "use regstorm::engine::run;", "may not use `engine`");
    let homeless = judged("src/basement/mod.rs", "");
    assert!(homeless.len() == 1 && homeless[0].what.contains("no room"), "{homeless:?}");
}

#[test]
fn a_room_may_use_what_the_table_gives_it() {
    passed("src/agent/mod.rs", "use crate::{sip::{self, Uri}, vocab::*};\nuse self::retry::Retry;");
    passed("src/agent/retry.rs", "use super::Input; use crate::agent::Output;");
    passed("src/net/udp/mmsg.rs", "use super::super::poll::Poll;");
    passed("src/main.rs", "use regstorm::{cli, command};\nuse clap::Parser;");
    passed("src/sip/scan.rs", "#[cfg(test)] mod tests { use crate::agent::Agent; fn f() { x.unwrap() } }");
    passed("src/sip/scan.rs", "fn f(&self) -> impl Iterator<Item = u8> + use<'_> { self.0 }");
    passed("src/sip/scan.rs", "/// See [`crate::agent::Agent`].\nconst S: &str = \"use crate::agent::Agent;\";");
}

#[test]
fn a_crate_stays_in_its_room() {
    refused("src/agent/mod.rs", "use rsip::Uri;", "`rsip` lives in");
    refused("src/engine/worker.rs", "fn f() -> libc::c_int { 0 }", "`libc` lives in");
    refused("src/load/schedule.rs", "use tokio::{time, net};", "`tokio` lives in");
    refused("src/plan.rs", "#[derive(clap::Parser)] struct S;", "`clap` lives in");
    refused("src/net/resolve.rs", "pub fn f() -> anyhow::Result<()> { Ok(()) }", "`anyhow` lives in");
    passed("src/sip/uri.rs", "use rsip::Uri;");
    passed("src/load/admission.rs", "use governor::clock::Clock;");
    passed("src/agent/mod.rs", "fn f(governor: u32) -> u32 { governor }");
    passed("src/agent/mod.rs", "#[cfg(test)]\nfn second_opinion() { rsip::parse() }");
}

#[test]
fn only_one_file_reads_a_clock() {
    refused("src/engine/worker.rs", "fn f() { let now = Instant::now(); }", "reads a clock");
    refused("src/engine/worker.rs", "fn f() { let now = std::time::SystemTime::now(); }", "reads a clock");
    refused("src/record/writer.rs", "fn f() { jiff::Timestamp::now() }", "reads a clock");
    refused("src/net/udp/mmsg.rs", "fn f() { libc::clock_gettime(0, p) }", "reads a clock");
    refused("src/engine/worker.rs", "fn f(t: Instant) { t.elapsed() }", "reads a clock");
    passed("src/net/clock.rs", "fn f() { Instant::now().elapsed() }");
    passed("src/engine/worker.rs", "use std::time::Instant; fn f(s: S) { s.elapsed_ns; s.now() }");
}

#[test]
fn unsafe_code_lives_in_net() {
    refused("src/engine/worker.rs", "fn f() { unsafe { g() } }", "`unsafe`");
    refused("src/sip/scan.rs", "unsafe impl Send for S {}", "`unsafe`");
    passed("src/net/udp/mmsg.rs", "fn f() { unsafe { g() } }");
    passed("src/sip/scan.rs", "// unsafe\nconst S: &str = r#\"unsafe \"quoted\"\"#; /* unsafe /* nested */ unsafe */");
}

#[test]
fn pure_rooms_reach_for_nothing_outside() {
    refused("src/agent/mod.rs", "use std::thread;", "std::thread");
    refused("src/profile/agents.rs", "fn f() { std::fs::read(p) }", "std::fs");
    refused("src/report/csv.rs", "use std::{fmt, fs::File};", "std::fs::File");
    refused("src/registrar/mod.rs", "use std::net::{IpAddr, UdpSocket};", "UdpSocket");
    refused("src/sim/mod.rs", "static COUNT: AtomicU64 = AtomicU64::new(0);", "global");
    refused("src/load/mod.rs", "thread_local! { const N: u32 = 0 }", "thread_local!");
    refused("src/diagnose/verdict.rs", "fn f() { println!(\"so\") }", "println!");
    passed("src/registrar/mod.rs", "use std::net::{IpAddr, SocketAddr}; fn f(s: &'static str) -> char { '\\'' }");
    passed("src/engine/worker.rs", "use std::thread; static N: u32 = 0;");
}

#[test]
fn prose_is_narrower_than_code() {
    let long = "word ".repeat(21);
    refused("src/net/mod.rs", &format!("/// {long}\nfn f() {{}}"), "columns of prose");
    let behind = judged("src/net/mod.rs", &format!("// ```\n// a drawing\n// ```\n// {long}"));
    assert_eq!(behind.iter().map(|found| found.line).collect::<Vec<_>>(), [5], "a drawing ends with its fence");
    passed("src/net/mod.rs", &format!("//! ```text\n//! {long}\n//! ```"));
    passed("src/net/mod.rs", &format!("//! | {long} | a cell |"));
    passed("src/net/mod.rs", &format!("const S: &str = \"{long}\";"));
}

#[test]
fn nothing_is_left_over() {
    refused("src/net/mod.rs", "fn f() { todo!() }", "todo!");
    refused("src/net/mod.rs", "fn f() { unimplemented!(\"later\") }", "unimplemented!");
    refused("src/net/mod.rs", "fn f() { dbg!(1); }", "dbg!");
    refused("src/net/mod.rs", "fn f() {} // FIXME: later", "FIXME");
    refused("src/net/mod.rs", "/* XXX */", "XXX");
    refused("src/net/mod.rs", "fn f() { x.unwrap(); }", "unwrap()");
    refused("src/net/mod.rs", "const S: &str = include_str!(\"../../shared/x\"); // ../shared", "outside the package");
    passed("src/net/mod.rs", "fn f() { x.unwrap_or(0); x.expect(\"bound above\"); }");
    passed("src/net/mod.rs", "#[test]\nfn f() { x.unwrap(); }");
    assert_eq!(RULES.iter().flat_map(|(_, check)| check(&Source::new("src/net/a.rs", "fn f() {}"))).count(), 1);
}

#[test]
fn lengths_are_counted_and_exceptions_only_shrink() {
    let body = "    step();\n".repeat(FUNCTION_LINES - 2);
    let fits = Source::new(
        "src/net/a.rs",
        &format!("//! A.\nfn f<T>(x: [T; 2])\nwhere\n{{\n{}}}\n", &body[..body.len() - 24]),
    );
    assert_eq!(rules::functions(&fits), [("f".to_owned(), 2, FUNCTION_LINES)]);
    assert!(too_long(&fits, &[], &[]).is_empty());

    let long = Source::new("src/net/a.rs", &format!("//! A.\nfn f() {{\n{body}    step();\n}}\n"));
    assert_eq!(too_long(&long, &[], &[]).len(), 1);
    assert!(too_long(&long, &[("src/net/a.rs", "f", FUNCTION_LINES + 1, "a table")], &[]).is_empty());
    assert_eq!(too_long(&long, &[("src/net/a.rs", "f", FUNCTION_LINES + 2, "a table")], &[]).len(), 1, "a stale limit");
    assert_eq!(too_long(&long, &[("src/net/b.rs", "f", 900, "another file")], &[]).len(), 1);

    let tests =
        Source::new("src/net/a.rs", &format!("//! A.\n#[cfg(test)]\nmod tests {{ fn f() {{\n{body}\n\n}} }}\n"));
    assert!(too_long(&tests, &[], &[]).is_empty(), "test code may be as long as a trace is");

    let file = Source::new("src/net/a.rs", &"//! A.\n".repeat(FILE_LINES + 1));
    assert_eq!(too_long(&file, &[], &[]).len(), 1);
    assert!(too_long(&file, &[], &[("src/net/a.rs", FILE_LINES + 1, "a table")]).is_empty());
}

#[test]
fn a_circle_of_files_is_found_however_long_it_is() {
    let found = |files: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(path, code)| Source::new(path, code)).collect();
        circles::circles(&sources)
    };
    let two = [("src/net/a.rs", "use super::b::B;"), ("src/net/b.rs", "fn f() { super::a::g(); }")];
    assert_eq!(found(&two), ["src/net/a.rs uses src/net/b.rs; src/net/b.rs uses src/net/a.rs"]);
    // Through the door of the room, and through a third file.
    let door = ("src/net/mod.rs", "mod a; mod b; mod c; pub use a::A; pub use b::B; pub(crate) use c::C;");
    let around = [
        door,
        ("src/net/a.rs", "use super::B;"),
        ("src/net/b.rs", "use crate::net::{C, D};"),
        ("src/net/c.rs", "use super::A;"),
    ];
    assert_eq!(found(&around).len(), 1, "{:?}", found(&around));
    assert_eq!(found(&around[..3]), [""; 0], "no way back");
    // By a child: `a` uses `b`, a child of which uses `a`, which `b` itself does not.
    let child = [
        ("src/net/a.rs", "use super::b::B;"),
        ("src/net/b/mod.rs", "mod c; use c::C;"),
        ("src/net/b/c.rs", "use crate::net::a::A;"),
    ];
    assert_eq!(found(&child).len(), 1);
    // A parent and its child, tests, other rooms, and files of the same name elsewhere.
    let parent = [("src/net/mod.rs", "mod a; struct N; fn f(of: a::A) {}"), ("src/net/a.rs", "use super::N;")];
    assert_eq!(found(&parent), [""; 0]);
    let tests =
        [("src/net/a.rs", "use super::b::B;"), ("src/net/b.rs", "#[cfg(test)]\nmod tests { use super::super::a; }")];
    assert_eq!(found(&tests), [""; 0]);
    let rooms = [("src/net/a.rs", "use crate::sip::b;"), ("src/sip/b.rs", "use crate::net::a; use std::a::b;")];
    assert_eq!(found(&rooms), [""; 0]);
}

#[test]
fn a_name_that_stands_twice_is_found() {
    let found = |files: &[(&str, &str)]| {
        names::twice(&files.iter().map(|(path, code)| Source::new(path, code)).collect::<Vec<_>>())
    };
    let twice = [("src/net/a.rs", "struct Seen;"), ("src/sip/b.rs", "//! B.\nfn f() { enum Seen {} }")];
    assert_eq!(found(&twice), ["`Seen` is src/net/a.rs:1 and src/sip/b.rs:2"]);
    assert_eq!(found(&[("src/net/a.rs", "type Row = u8; mod m { trait Row {} }")]).len(), 1);
    // What implements a trait names its types, and tests name theirs.
    let apart = [
        ("src/net/a.rs", "struct A; impl Iterator for A { type Item = u8; fn next(&mut self) -> Option<u8> { None } }"),
        ("src/net/b.rs", "struct B; impl Iterator for B { type Item = u8; }\ntrait T { type Item; }"),
        ("src/sip/c.rs", "#[cfg(test)]\nmod tests { struct A; }"),
        ("src/sip/d.rs", "fn f() -> impl Fn() { || {} }"),
    ];
    assert_eq!(found(&apart), [""; 0]);
}

#[test]
fn the_lexer_tells_code_from_what_looks_like_it() {
    let words = |code: &str| -> Vec<String> {
        let tokens = Source::new("src/net/a.rs", code).tokens;
        let word = |kind: Kind| if let Kind::Word(word) = kind { Some(word) } else { None };
        tokens.into_iter().filter_map(|token| word(token.kind)).collect()
    };
    assert_eq!(words("'a' 'b: '\\'' '\"' b'\\'' \"\\\" x\" y"), ["y"]);
    assert_eq!(words("r\"a\" br##\"b\"# c\"## d c\"e\" r#type b\"f\""), ["d", "type"]);
    assert_eq!(words("/* a /* b */ c */ d // e\nf"), ["d", "f"]);
    assert_eq!(words("0x1f..=1.5e3f64 'static g"), ["g"]);
    assert_eq!(
        words("#[cfg(test)] mod a { fn b() {} } #[cfg(not(test))] c #[cfg(all(test, unix))] use d; e"),
        ["cfg", "not", "test", "c", "e"]
    );
}

#[test]
fn test_modules_in_files_of_their_own_are_no_sources() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let room = dir.path().join("src/sip");
    std::fs::create_dir_all(&room).expect("our own directory");
    let write = |name: &str, text: &str| std::fs::write(room.join(name), text).expect("our own directory");
    write("mod.rs", "//! M.\nmod scan;\nmod kept;\n#[cfg(test)]\nmod inline { }\n#[cfg(test)]\nmod vectors;\n");
    write("scan.rs", "//! S.\n#[cfg(test)]\n#[path = \"scan_tests.rs\"]\nmod tests;\n");
    write("scan_tests.rs", "fn f() { x.unwrap() }");
    write("vectors.rs", "fn f() { x.unwrap() }");
    write("kept.rs", "//! K.\n#[path = \"far.rs\"]\nmod far;\n");
    write("far.rs", "//! F.\n");
    let found: Vec<String> = Source::below(dir.path()).into_iter().map(|source| source.path).collect();
    assert_eq!(found, ["src/sip/far.rs", "src/sip/kept.rs", "src/sip/mod.rs", "src/sip/scan.rs"]);
}
