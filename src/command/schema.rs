//! `regstorm schema`: the JSON Schema of the profile, for editors.

use super::failure::{Exit, Failure};
use super::output::print;

pub(super) fn execute() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&crate::profile::schema()).map_err(Failure::could_not)?;
    print(&format!("{text}\n"))?;
    Ok(Exit::Success)
}
