//! Disk and environment as the profile room asks for them.

use super::shipped;
use crate::profile::{REGISTRAR_PASSWORD, Source};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The path that stands for standard input.
const STDIN: &str = "-";
/// What stands before the name of a profile that is part of the program.
const SHIPPED: char = '@';

/// The real file system, the profiles in the program itself, standard input, and the process's
/// environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSource;

impl Source for DiskSource {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == STDIN {
            let mut bytes = Vec::new();
            return match io::stdin().lock().read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(why_unreadable(&error)),
            };
        }
        match path.strip_prefix(SHIPPED) {
            Some(name) => shipped::text(name).map(|text| text.as_bytes().to_vec()),
            None => std::fs::read(path).map_err(|error| why_unreadable(&error)),
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        // An empty or malformed name makes `var` fail, never panic, except for NUL and "=", which
        // no variable has.
        if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var(name).ok() }
    }
}

/// The same for what sends nothing: a secret that is not at hand is stood in for, and noted.
#[derive(Debug, Default)]
pub(super) struct RehearsalSource {
    missing: RefCell<BTreeSet<String>>,
}

/// What every secret is that is not at hand: the embedded registrar takes it as the agents' own.
pub(super) const STAND_IN: &str = REGISTRAR_PASSWORD;

impl RehearsalSource {
    /// A doubt for each secret that a run would miss.
    pub(super) fn doubts(&self) -> Vec<String> {
        let missing = self.missing.borrow();
        let doubt = |name: &String| {
            format!("the environment variable {name} is not set: a stand-in is used here, and a run will want it")
        };
        missing.iter().map(doubt).collect()
    }
}

impl Source for RehearsalSource {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        DiskSource.read(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        let set = DiskSource.env(name).filter(|value| !value.is_empty());
        if set.is_none() {
            self.missing.borrow_mut().insert(name.to_owned());
        }
        Some(set.unwrap_or_else(|| STAND_IN.to_owned()))
    }
}

/// The name under which the same profile can be read later, from any folder; `None` where there is
/// none: standard input, or a path that is no text.
pub(super) fn found_again(profile: &Path) -> Option<String> {
    let name = profile.to_str()?;
    match name {
        STDIN => None,
        _ if name.starts_with(SHIPPED) => Some(name.to_owned()),
        _ => std::path::absolute(profile).ok()?.into_os_string().into_string().ok(),
    }
}

/// Why a file cannot be read, in words instead of a number of the system.
pub(super) fn why_unreadable(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a directory, not a file".to_owned(),
        ErrorKind::NotADirectory => "a part of the path is a file, not a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_again_by_what_it_was() {
        let of = |name: &str| found_again(Path::new(name));
        assert_eq!(of("@pilot").as_deref(), Some("@pilot"));
        assert_eq!(of("-"), None);
        assert_eq!(of("/lab/a.toml").as_deref(), Some("/lab/a.toml"));
        let file = of("a.toml").expect("a path");
        assert!(Path::new(&file).is_absolute() && file.ends_with("/a.toml"), "{file}");
    }
}
