//! `regstorm schema`: the JSON Schema of the profile, for editors.

use super::failure::{Exit, Failure};
use super::output::print;

pub fn execute() -> Result<Exit, Failure> {
    print(&crate::profile::schema::json())?;
    Ok(Exit::Success)
}
