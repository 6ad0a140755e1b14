//! From TOML to a checked profile: what is written, then what is meant.
//!
//! `file` holds the keys as written, `overrides` applies `--set`, `places` remembers where
//! everything stands, `read` turns the tree into a [`file::ProfileFile`], `resolve` checks it and
//! fills in the defaults ([`Profile`]), `error` says what is wrong and where, `sipp_csv` reads
//! SIPp's injection files, `schema` shows the keys to editors, `lint` doubts credentials. Disk and
//! environment are reached only through the [`Source`] a caller gives; host names are not resolved
//! here, SIP URIs, thresholds and allowances are read by the plan.
//!
//! What is written and what is meant are two sets of types: in the one every key may be missing and
//! remembers its place for an error, in the other nothing is left out and nobody asks again.

mod error;
pub mod file;
pub mod lint;
mod listen;
mod meant;
mod overrides;
mod pattern;
mod places;
mod read;
mod resolve;
mod schema;
mod sipp_csv;
mod words;

pub(crate) use error::nearest;
pub use error::{Problem, ProblemPlace, ProfileError, writes_secrets};
pub use file::defaults::REGISTRAR_PASSWORD;
pub use listen::{ListenAddr, ListenError};
pub use meant::{
    AgentList, AgentSecret, Arrivals, ClientCertificate, FaultProfile, GeneratorProfile, HostTable, ListedAgent, Mix,
    PemFile, PlatformProfile, Profile, RegistrarProfile, ReplayProfile, Retry, RunProfile, Safety, ServerTlsProfile,
    StageProfile, TlsProfile, TrunkAgents, TrunkProfile, TruthProfile, Users, WsProfile,
};
pub use pattern::{NamePattern, PatternError};
pub use schema::schema;
pub use sipp_csv::InjectionOrder;
pub use words::{RetryMax, RetryPreset, Wrong};

use places::{Places, Texts};

/// What a profile may ask of the outside world.
pub trait Source {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read, as the system puts it.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The value of an environment variable, if it is set.
    fn env(&self, name: &str) -> Option<String>;
}

/// Loads the profile at `path` with the `--set` texts applied in turn.
///
/// # Errors
/// Everything that is wrong, as far as it can be found together: syntax first, then keys and types,
/// then meaning.
pub fn load(source: &dyn Source, path: &str, sets: &[String]) -> Result<Profile, ProfileError> {
    let bytes =
        source.read(path).map_err(|reason| ProfileError::whole(path, format!("cannot be read: {reason}"), None))?;
    let text = String::from_utf8(bytes).map_err(|_| ProfileError::whole(path, "is not UTF-8 text", None))?;
    let texts = Texts::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text), sets);
    let documents = overrides::value_documents(&texts);
    let mut tree = read::tree(&texts).map_err(ProfileError::new)?;
    overrides::apply(&mut tree, &texts, &documents).map_err(ProfileError::new)?;
    let places = Places::new(&texts, &tree);
    let file = read::file(tree, &places).map_err(ProfileError::new)?;
    resolve::resolve(file, places, source).map_err(ProfileError::new)
}

/// A profile with nothing written in it: what `regstorm registrar` runs without a file.
///
/// # Errors
/// As [`load`], for the `--set` texts.
pub fn empty(source: &dyn Source, sets: &[String]) -> Result<Profile, ProfileError> {
    struct NoFile<'a>(&'a dyn Source);
    impl Source for NoFile<'_> {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            if path == NO_FILE { Ok(Vec::new()) } else { self.0.read(path) }
        }
        fn env(&self, name: &str) -> Option<String> {
            self.0.env(name)
        }
    }
    load(&NoFile(source), NO_FILE, sets)
}

/// Stands for the path of a profile that is no file.
const NO_FILE: &str = "defaults";

/// A test's profile: the text that every file holds, and no environment.
#[cfg(test)]
pub(crate) struct InMemory<'a>(pub(crate) &'a str);

#[cfg(test)]
impl Source for InMemory<'_> {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}
