//! The profiles that are part of the program, and `regstorm profiles`, which shows them.

use super::failure::{Exit, Failure};
use super::output::{print, width};
use crate::cli::ProfilesArgs;
use crate::profile::nearest;
use crate::report::explanation::wrap;
use serde_json::json;

/// Name and text of each.
const PROFILES: [(&str, &str); 10] = [
    ("apac-byoc", include_str!("../../profiles/apac-byoc.toml")),
    ("avalanche", include_str!("../../profiles/avalanche.toml")),
    ("go-live", include_str!("../../profiles/go-live.toml")),
    ("kamailio", include_str!("../../profiles/kamailio.toml")),
    ("limit-403", include_str!("../../profiles/limit-403.toml")),
    ("limits", include_str!("../../profiles/limits.toml")),
    ("loop-403", include_str!("../../profiles/loop-403.toml")),
    ("nightly-soak", include_str!("../../profiles/nightly-soak.toml")),
    ("pilot", include_str!("../../profiles/pilot.toml")),
    ("rehearsal", include_str!("../../profiles/rehearsal.toml")),
];

/// The names of all.
pub(super) fn names() -> Vec<String> {
    PROFILES.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// `regstorm profiles`: the list, or the text of one.
pub(super) fn execute(args: &ProfilesArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        let text = text(name.trim_start_matches('@')).map_err(Failure::usage)?;
        print(text)?;
        return Ok(Exit::Success);
    }
    if args.json {
        let all = PROFILES.map(|(name, text)| json!({ "name": name, "about": about(text) }));
        print(&format!("{:#}\n", json!(all)))?;
        return Ok(Exit::Success);
    }
    let longest = PROFILES.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let row = |(name, text): &(&str, &str)| {
        wrap(&about(text), &format!("@{name:longest$}  "), &" ".repeat(longest + 3), width())
    };
    let mut text: String = PROFILES.iter().map(row).collect();
    text += "\nregstorm run @NAME runs one, regstorm profiles NAME prints its text to be changed.\n";
    print(&text)?;
    Ok(Exit::Success)
}

/// The text of a profile.
///
/// # Errors
/// When there is none of this name; the nearest is named.
pub(super) fn text(name: &str) -> Result<&'static str, String> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text).ok_or_else(|| {
        let names = PROFILES.map(|(known, _)| known);
        match nearest(name, names) {
            Some(near) => format!("no profile @{name} comes with regstorm; did you mean @{near}?"),
            None => format!("no profile @{name} comes with regstorm; there are @{}", names.join(", @")),
        }
    })
}

/// What a profile is for: the comment it begins with.
fn about(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix("# "));
    comment.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_folder_is_part_of_the_program() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder of this repository")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
            .collect();
        names.sort();
        assert_eq!(names, PROFILES.map(|(name, _)| name));
        for (name, text) in PROFILES {
            assert!(!about(text).is_empty(), "{name}");
        }
        assert!(super::text("pilto").expect_err("misspelt").ends_with("did you mean @pilot?"));
    }
}
