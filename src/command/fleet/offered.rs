//! A profile that came over the network, and what it may ask of this machine: files beside where
//! the worker was started, and variables of its environment.

use crate::command::source::DiskSource;
use crate::profile::Source;
use std::path::{Component, Path};

/// The profile of an offer.
pub(in crate::command) struct OfferedSource {
    name: String,
    text: String,
}

impl OfferedSource {
    /// Under the name it has where it was read, without its folder: files that it names are looked
    /// for where this process works.
    pub(super) fn new(name: &str, text: String) -> OfferedSource {
        OfferedSource { name: file_name(name), text }
    }

    /// What it is asked for by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The last part of a path; of a profile that comes with regstorm its name.
fn file_name(path: &str) -> String {
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or("profile.toml");
    let name = name.trim_start_matches(['@', '-']);
    if name.is_empty() { "profile.toml".to_owned() } else { name.to_owned() }
}

impl Source for OfferedSource {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == self.name {
            return Ok(self.text.clone().into_bytes());
        }
        let beside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !beside {
            return Err("a worker reads files below the folder it was started in, and no others".to_owned());
        }
        DiskSource.read(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        DiskSource.env(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_names_no_file_outside_the_workers_folder() {
        let source = OfferedSource::new("/somewhere/lab.toml", "text".to_owned());
        assert_eq!(source.name(), "lab.toml");
        assert_eq!(source.read("lab.toml"), Ok(b"text".to_vec()));
        for path in ["/etc/passwd", "../agents.csv", "lists/../../agents.csv"] {
            let said = source.read(path).expect_err(path);
            assert!(said.contains("below the folder"), "{said}");
        }
        assert!(source.read("not-there.csv").expect_err("nothing there").contains("no such file"));
        assert_eq!(OfferedSource::new("@pilot", String::new()).name(), "pilot");
        assert_eq!(OfferedSource::new("-", String::new()).name(), "profile.toml");
    }
}
