//! The Debian package: built, looked into, installed below a directory of the test's own, used
//! there, and removed without a trace. Needs dpkg, as the package does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command prints; it must succeed.
fn ran(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn built(out: &Path) -> PathBuf {
    let mut command = Command::new(root().join("packaging/deb"));
    command
        .arg(env!("CARGO_BIN_EXE_regstorm"))
        .arg(out)
        .envs([("SOURCE_DATE_EPOCH", "1790000000"), ("COMPRESSION", "none")]);
    ran(&mut command);
    let mut packages =
        fs::read_dir(out).expect("the directory that was asked for").map(|entry| entry.expect("an entry").path());
    let package = packages.next().expect("a package");
    assert_eq!(packages.next(), None, "one package and nothing else");
    package
}

/// dpkg, with a database of its own below `place`.
fn dpkg(place: &Path) -> Command {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", place.display()));
    // Nobody's C library is installed there, and the test may be run by anybody.
    command.args(["--force-depends", "--force-not-root", "--log=/dev/null"]);
    command
}

/// Every file below a directory, relative to it.
fn files(below: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![below.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(below).expect("below it").to_owned());
            }
        }
    }
    found
}

#[test]
fn a_package_is_installed_used_and_removed() {
    let folder = tempfile::tempdir().expect("a directory under /tmp");
    let package = built(&folder.path().join("once"));
    let again = built(&folder.path().join("again"));
    assert!(fs::read(&package).expect("it") == fs::read(again).expect("it"), "the same bytes of the same input");

    let place = folder.path().join("root");
    for part in ["info", "updates", "triggers"] {
        fs::create_dir_all(place.join("var/lib/dpkg").join(part)).expect("the test's own");
    }
    for part in ["status", "available"] {
        fs::write(place.join("var/lib/dpkg").join(part), "").expect("the test's own");
    }
    ran(dpkg(&place).arg("--install").arg(&package));
    let installed = files(&place.join("usr"));
    for file in [
        "bin/regstorm",
        "share/man/man1/regstorm.1.gz",
        "share/man/man1/regstorm-run.1.gz",
        "share/man/man1/regstorm-fleet-merge.1.gz",
        "share/bash-completion/completions/regstorm",
        "share/zsh/vendor-completions/_regstorm",
        "share/fish/vendor_completions.d/regstorm.fish",
        "lib/systemd/system/regstorm@.service",
        "lib/systemd/system/regstorm@.timer",
        "share/doc/regstorm/copyright",
        "share/doc/regstorm/changelog.gz",
        "share/doc/regstorm/profiles/pilot.toml",
    ] {
        assert!(installed.contains(Path::new(file)), "{file} is not among {installed:?}");
    }
    let program = place.join("usr/bin/regstorm");
    assert_eq!(ran(Command::new(&program).arg("--version")), format!("regstorm {}\n", env!("CARGO_PKG_VERSION")));
    let profile = place.join("usr/share/doc/regstorm/profiles/pilot.toml");
    let checked = ran(Command::new(&program).arg("check").arg(&profile).current_dir(folder.path()));
    assert!(checked.contains("500 agents"), "{checked}");
    let page = ran(Command::new("gzip").arg("-dc").arg(place.join("usr/share/man/man1/regstorm-run.1.gz")));
    assert!(page.contains(".TH regstorm\\-run 1") || page.contains(".TH regstorm-run 1"), "{page}");
    // What the package says of itself is what lies in it.
    ran(Command::new("md5sum")
        .args(["--check", "--quiet"])
        .arg(place.join("var/lib/dpkg/info/regstorm.md5sums"))
        .current_dir(&place));

    ran(dpkg(&place).arg("--purge").arg("regstorm"));
    let left = if place.join("usr").is_dir() { files(&place.join("usr")) } else { BTreeSet::new() };
    assert!(left.is_empty(), "{left:?}");
}
