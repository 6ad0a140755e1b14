//! Disk and environment as the profile room asks for them.

use super::shipped;
use crate::profile::Source;
use std::io::{self, ErrorKind, Read};

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
