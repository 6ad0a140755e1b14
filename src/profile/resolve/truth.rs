//! `[[truth]]`: which keys each kind of server takes, and who may be asked.

use super::check::{Checker, list};
use crate::profile::file::defaults;
use crate::profile::file::truth::TruthFile;
use crate::profile::meant::TruthProfile;
use crate::profile::places::Path;
use crate::vocab::{Secret, TruthAddress, TruthKind, Word};
use std::time::Duration;

/// Nobody is asked more often.
const SHORTEST: Duration = Duration::from_millis(100);

pub(super) fn truths(check: &mut Checker, files: Vec<TruthFile>, trunk_ids: &[&str]) -> Vec<TruthProfile> {
    let files = files.into_iter().enumerate();
    files.filter_map(|(n, file)| truth(check, &Path::root("truth").index(n), file, trunk_ids)).collect()
}

fn truth(check: &mut Checker, at: &Path, file: TruthFile, trunk_ids: &[&str]) -> Option<TruthProfile> {
    let names: Vec<&str> = TruthKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let Some(written) = &file.kind else {
        check.missing(&at.key("kind"), format!("use {}", list(&names)));
        return None;
    };
    let kind = TruthKind::ALL[check.one_of(&at.key("kind"), &written.0, &names)?];
    let every = check.duration(&at.key("every"), file.every.as_ref(), defaults::TRUTH_EVERY);
    if every < SHORTEST {
        check.bad(&at.key("every"), "must be at least 100ms");
    }
    let sweep = check.duration(&at.key("sweep"), file.sweep.as_ref(), defaults::TRUTH_SWEEP);
    let trunk = file.trunk.as_deref().and_then(|id| {
        let known = check.one_of(&at.key("trunk"), id, trunk_ids)?;
        Some(trunk_ids[known].to_owned())
    });
    let place = place(check, at, kind, &file);
    own_keys(check, at, kind, &file);
    let secret = secret(check, at, kind, file.secret_env.as_deref());
    let (address, command) = place?;
    Some(TruthProfile {
        kind,
        address,
        command,
        trunk,
        every,
        sweep,
        pointer: file.pointer,
        username: file.username,
        secret_env: file.secret_env,
        secret,
    })
}

/// Address or command, whichever the kind has.
fn place(
    check: &mut Checker,
    at: &Path,
    kind: TruthKind,
    file: &TruthFile,
) -> Option<(Option<TruthAddress>, Option<String>)> {
    let name = kind.as_str();
    if kind == TruthKind::Exec {
        if file.address.is_some() {
            check.bad_key(&at.key("address"), "does not go with exec", "leave it out: a command needs no address");
        }
        if file.command.as_deref().is_none_or(|command| command.trim().is_empty()) {
            check.missing(&at.key("command"), "write what prints the number: command = \"…\"");
            return None;
        }
        return Some((None, file.command.clone()));
    }
    if file.command.is_some() {
        check.bad_key(&at.key("command"), format!("does not go with {name}"), "leave it out, or write kind = \"exec\"");
    }
    let example = format!("write address = \"{}\"", kind.example());
    let Some(text) = &file.address else {
        check.missing(&at.key("address"), example);
        return None;
    };
    match text.parse::<TruthAddress>() {
        Err(why) => check.advise(&at.key("address"), format!("\"{text}\" {why}"), example),
        Ok(address) if !kind.schemes().contains(&address.scheme()) => {
            let message = format!("{name} is not asked over {}", address.scheme());
            check.advise(
                &at.key("address"),
                message,
                format!("use {}, like \"{}\"", list(kind.schemes()), kind.example()),
            );
        }
        Ok(address) => return Some((Some(address), None)),
    }
    None
}

/// Keys that only some kinds have.
fn own_keys(check: &mut Checker, at: &Path, kind: TruthKind, file: &TruthFile) {
    let name = kind.as_str();
    let mut only = |key: &str, written: Option<&String>, kinds: &[TruthKind]| {
        let Some(text) = written else { return };
        if !kinds.contains(&kind) {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            check.bad_key(&at.key(key), format!("does not go with {name}"), format!("it is a key of {}", list(&names)));
        }
        check.one_line(&at.key(key), text);
    };
    only("pointer", file.pointer.as_ref(), &[TruthKind::HttpJson]);
    only("username", file.username.as_ref(), &[TruthKind::AsteriskAmi, TruthKind::HttpJson]);
    let takes_secrets = [TruthKind::AsteriskAmi, TruthKind::FreeswitchEsl, TruthKind::HttpJson, TruthKind::Exec];
    only("secret_env", file.secret_env.as_ref(), &takes_secrets);
    if let Some(pointer) = file.pointer.as_ref().filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
        let message = format!("\"{pointer}\" is no JSON pointer");
        check.advise(&at.key("pointer"), message, "write one that begins with a slash, like \"/sip/bindings\"");
    }
    if kind == TruthKind::AsteriskAmi && file.username.is_none() {
        check.missing(&at.key("username"), "write the manager user: username = \"regstorm\"");
    }
}

fn secret(check: &mut Checker, at: &Path, kind: TruthKind, variable: Option<&str>) -> Secret {
    match variable {
        None if matches!(kind, TruthKind::AsteriskAmi | TruthKind::FreeswitchEsl) => {
            check.missing(&at.key("secret_env"), "name the environment variable that holds its password");
            Secret::default()
        }
        None => Secret::default(),
        Some(name) => match check.source.env(name).filter(|value| !value.is_empty()) {
            Some(value) if value.chars().any(char::is_control) => {
                check.bad(&at.key("secret_env"), format!("{name} holds control characters, which no password has"));
                Secret::default()
            }
            Some(value) => Secret::new(value),
            None => {
                let message = format!("the environment variable {name} is not set");
                check.advise(&at.key("secret_env"), message, format!("set it before the run: export {name}=…"));
                Secret::default()
            }
        },
    }
}
