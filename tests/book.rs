//! The book in `docs/` and the README are held against the program: every link leads somewhere,
//! every page is in the summary, the help is the program's own, every shell block runs, and every
//! command line of one that cannot run here is at least one that the program understands.
//!
//! A block that begins with "```sh,ignore" is not run: it needs another machine, a person, root, or
//! hours. With `UPDATE_EXPECT=1` in the environment the generated parts are written anew.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::program::{Regstorm, command};

const LIMIT: Duration = Duration::from_secs(300);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that people read, relative to the root.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(PathBuf::from).into();
    for folder in ["docs", "docs/guide", "docs/reference", "docs/background"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder of the book") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root()).expect("within").to_path_buf());
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

fn text(page: &Path) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .collect::<String>();
            kept.replace(' ', "-")
        })
        .collect()
}

/// Targets of `[…](…)`, pictures included.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 2..];
            found.extend(target.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        let own = text(&page);
        for link in links(&own).into_iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let folder = page.parent().expect("a folder");
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(root().join(&target).exists(), "{}: {link} leads nowhere", page.display());
            if let Some(anchor) = anchor {
                let there = anchors(&text(&target));
                assert!(there.contains(anchor), "{}: {link}: no such heading among {there:?}", page.display());
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count} links: the search is broken");
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let listed: BTreeSet<PathBuf> =
        links(&text(Path::new("docs/SUMMARY.md"))).into_iter().map(|link| Path::new("docs").join(link)).collect();
    let there: BTreeSet<PathBuf> =
        pages().into_iter().filter(|page| page.starts_with("docs") && !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, there);
}

#[test]
fn the_readme_stays_short() {
    assert!(text(Path::new("README.md")).lines().count() <= 160, "what is longer belongs to the book");
}

/// What `--help` prints, command by command.
fn help() -> String {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let of = |args: &[&str]| Regstorm::run(dir.path(), &[args, &["--help"]].concat(), LIMIT).stdout();
    let all = of(&[]);
    let listed =
        all.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| line.starts_with("  "));
    let names = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let block = |title: &str, text: &str| {
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        format!("## {title}\n\n```text\n{}\n```\n", lines.join("\n"))
    };
    let mut parts = vec![block("regstorm", &all)];
    parts.extend(names.filter(|name| *name != "help").map(|name| block(name, &of(&[name]))));
    parts.join("\n")
}

#[test]
fn the_help_in_the_book_is_the_programs_own() {
    let page = Path::new("docs/reference/help.md");
    let own = text(page);
    let (begin, end) = ("<!-- help: begin -->\n", "<!-- help: end -->");
    let (before, rest) = own.split_once(begin).expect("a mark");
    let (_, after) = rest.split_once(end).expect("a mark");
    let meant = format!("{before}{begin}\n{}\n{end}{after}", help());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(root().join(page), meant).expect("writable");
    } else if let Some((ours, program)) = own.lines().zip(meant.lines()).find(|(ours, program)| ours != program) {
        panic!("the book says\n{ours}\nand the program\n{program}\nUPDATE_EXPECT=1 writes it anew");
    } else {
        assert_eq!(own.len(), meant.len());
    }
}

/// A fenced block of shell commands.
struct Block {
    runs: bool,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside: Option<bool> = None;
    for line in text.lines() {
        match (inside, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let shell = kind == "sh" || kind == "sh,ignore";
                if shell {
                    found.push(Block { runs: kind == "sh", lines: Vec::new() });
                }
                inside = Some(shell);
            }
            (Some(_), Some(_)) => inside = None,
            (Some(true), None) => found.last_mut().expect("just begun").lines.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// A directory in which `regstorm`, and `cargo run` in its place, are the program under test.
fn workshop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let bin = dir.path().join(".bin");
    fs::create_dir(&bin).expect("the test's own");
    let script = |name: &str, text: &str| {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the test's own");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the test's own");
    };
    // What a busy machine makes of a run is not the page's doing.
    let program = env!("CARGO_BIN_EXE_regstorm");
    script(
        "regstorm",
        &format!("\"{program}\" \"$@\"; code=$?; case \"$1 $code\" in 'run 1'|'run 3') exit 0;; esac; exit $code"),
    );
    script("cargo", "while [ \"$1\" != -- ]; do shift; done; shift; exec regstorm \"$@\"");
    script("xdg-open", "test -s \"$1\"");
    dir
}

/// Runs every block of a page in its order, in one directory.
fn run_blocks(page: &str) {
    let dir = workshop();
    let path = format!("{}:{}", dir.path().join(".bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for block in blocks(&text(Path::new(page))).iter().filter(|block| block.runs) {
        let script = block.lines.join("\n");
        let done = Command::new("bash").args(["-euc", &script]).current_dir(dir.path()).env("PATH", &path).output();
        let done = done.expect("bash is there");
        assert!(
            done.status.success(),
            "{page}: {}\n{script}\n{}{}",
            done.status,
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        ran += 1;
    }
    assert!(ran > 0, "{page} has no block that runs");
}

#[test]
fn the_readme_can_be_typed_as_it_is() {
    run_blocks("README.md");
}

#[test]
fn the_first_day_can_be_typed_as_it_is() {
    run_blocks("docs/guide/first-day.md");
}

#[test]
fn spreadsheets_can_be_typed_as_they_are() {
    run_blocks("docs/guide/spreadsheets.md");
}

#[test]
fn nights_and_refusals_can_be_typed_as_they_are() {
    run_blocks("docs/guide/nightly.md");
    run_blocks("docs/guide/refused.md");
}

/// Behind its other arguments `--help` prints help only if the program knows all that stood before.
#[test]
fn every_command_line_is_one_the_program_understands() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let mut known = 0;
    for page in pages().into_iter().filter(|page| !page.ends_with("help.md")) {
        let typed = blocks(&text(&page)).into_iter().flat_map(|block| block.lines);
        for line in typed {
            let line = line.split(" #").next().unwrap_or_default();
            let line = line.replace("cargo run --release -- ", "regstorm ");
            for part in line.split("&&").map(str::trim) {
                let words = part.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with("--"));
                let mut words = words.filter(|word| !matches!(*word, "&" | "|")).peekable();
                if words.next_if_eq(&"regstorm").is_none() {
                    continue;
                }
                let args: Vec<&str> = words.take_while(|word| !matches!(*word, ">" | "||" | "man")).collect();
                let asked = command(dir.path(), &[args.as_slice(), &["--help"]].concat());
                let finished = Regstorm::start_with(asked).wait(LIMIT);
                assert!(finished.status.success(), "{}: {line}\n{}", page.display(), finished.stderr());
                known += 1;
            }
        }
    }
    assert!(known > 25, "{known} command lines: the search is broken");
}
