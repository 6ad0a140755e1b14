//! Disk and environment as the profile room asks for them.

use crate::profile::Source;

/// The real file system and the process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSource;

impl Source for DiskSource {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        })
    }

    fn env(&self, name: &str) -> Option<String> {
        // An empty or malformed name makes `var` fail, never panic, except for NUL and "=", which
        // no variable has.
        if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var(name).ok() }
    }
}
