//! Files and variables that exist only in memory.

use regstorm::plan::Plan;
use regstorm::profile::{self, ProfileError, Source};
use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub struct Files {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files {
    pub fn file(mut self, name: &str, text: &str) -> Files {
        self.files.insert(name.to_owned(), text.as_bytes().to_vec());
        self
    }

    pub fn plan(&self, sets: &[&str]) -> Result<Plan, ProfileError> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Plan::new(&profile::load(self, "profile.toml", &sets)?)
    }

    /// What the profile is refused with.
    pub fn refusal(&self, sets: &[&str]) -> String {
        self.plan(sets).expect_err("this profile is broken").to_string()
    }
}

impl Source for Files {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "there is no such file".to_owned())
    }

    fn env(&self, _name: &str) -> Option<String> {
        Some("stand-in".to_owned())
    }
}
