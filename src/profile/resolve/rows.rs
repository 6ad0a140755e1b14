//! Rows of a list of agents, whatever file they stand in: what their names may hold, and which of
//! them are wrong or come twice.

use super::check::Checker;
use crate::profile::meant::ListedAgent;
use crate::profile::places::Path;
use crate::vocab::saturating_u32;

/// The most agents of one trunk: ten times what one machine is meant for.
pub(crate) const MAX_AGENTS: u32 = 10_000_000;
/// The longest user or authentication name.
const MAX_NAME: usize = 255;
/// The most wrong rows of a CSV file reported at once.
pub(super) const MAX_ROW_PROBLEMS: usize = 5;
/// The most users that come twice named in a warning.
const MAX_REPEATS_NAMED: usize = 3;

/// The rows of one file as they are read.
pub(super) struct Rows<'a> {
    /// The key that names the file, and its value.
    path: &'a Path,
    file: &'a str,
    sound: Vec<ListedAgent>,
    /// Where each of them stands.
    lines: Vec<usize>,
    wrong: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of(path: &'a Path, file: &'a str) -> Self {
        Rows { path, file, sound: Vec::new(), lines: Vec::new(), wrong: 0 }
    }

    /// Takes up the row of a line, where that is known, or says what is wrong with it.
    pub(super) fn add(&mut self, check: &mut Checker, line: Option<usize>, row: Result<ListedAgent, String>) {
        match row {
            Ok(row) => {
                self.sound.push(row);
                self.lines.push(line.unwrap_or_default());
            }
            Err(message) => {
                self.wrong += 1;
                if self.wrong <= MAX_ROW_PROBLEMS {
                    let place = line.map_or_else(String::new, |line| format!(" line {line}"));
                    check.bad(self.path, format!("{}{place}: {message}", self.file));
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sound.len()
    }

    pub(super) fn any_wrong(&self) -> bool {
        self.wrong > 0
    }

    /// Whether there was no row at all, not even a wrong one.
    pub(super) fn are_none(&self) -> bool {
        self.sound.is_empty() && self.wrong == 0
    }

    /// The agents; `None` when any row is wrong.
    pub(super) fn finish(self, check: &mut Checker) -> Option<Vec<ListedAgent>> {
        if self.wrong > MAX_ROW_PROBLEMS {
            let more = self.wrong - MAX_ROW_PROBLEMS;
            check.bad(self.path, format!("{}: further rows that are wrong: {more}", self.file));
        }
        warn_of_repeats(check, self.file, &self.sound, &self.lines);
        (self.wrong == 0).then_some(self.sound)
    }
}

/// Whether a text can be a user or authentication name.
pub(super) fn name(text: &str, sound: fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > MAX_NAME {
        return Err(format!("is longer than {MAX_NAME} bytes"));
    }
    match text.chars().find(|c| !sound(*c)) {
        // RFC 3261 §25.1: what is no ASCII is escaped, octet by octet.
        Some(c) if !c.is_ascii() && !c.is_control() => {
            let escaped: String = c.to_string().bytes().map(|octet| format!("%{octet:02X}")).collect();
            Err(format!("must not contain {c:?}: percent-encode it as {escaped}; auth_user takes it as it is"))
        }
        Some(c) => Err(format!("must not contain {c:?}")),
        None => Ok(()),
    }
}

/// RFC 3261 §25.1 `user`: unreserved, escaped or user-unreserved characters.
pub(super) fn is_user(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%".contains(c)
}

/// What may stand in a quoted `username` without an escape; the digest separates with colons (RFC
/// 7616 §3.4.2).
pub(super) fn is_auth_user(c: char) -> bool {
    !c.is_control() && !matches!(c, '"' | '\\' | ':')
}

/// Warns of users that stand in more than one row of a list; `lines` are those the rows came from.
/// That may be meant, for one user with several phones, but mostly it is not: such agents share an
/// address of record, where they bind the same contact unless each has a port of its own.
fn warn_of_repeats(check: &mut Checker, file: &str, rows: &[ListedAgent], lines: &[usize]) {
    // Sorted places of a million users take a fraction of a table of their names.
    let mut places: Vec<u32> = (0..saturating_u32(rows.len())).collect();
    let user = |place: u32| &*rows[place as usize].user;
    places.sort_unstable_by_key(|&place| (user(place), place));
    let groups = places.chunk_by(|&one, &other| user(one) == user(other)).filter(|group| group.len() > 1);
    // Named in the order in which they are noticed by somebody who reads the file.
    let mut repeated: Vec<&[u32]> = groups.collect();
    repeated.sort_unstable_by_key(|group| group[1]);
    let count: usize = repeated.iter().map(|group| group.len() - 1).sum();
    if count == 0 {
        return;
    }
    let named = repeated.iter().take(MAX_REPEATS_NAMED).map(|group| {
        let [first, again] = [group[0], group[1]].map(|place| lines[place as usize]);
        format!("\"{}\" (lines {first} and {again})", user(group[0]))
    });
    let named: Vec<_> = named.collect();
    let more = if count > named.len() { ", …" } else { "" };
    check.warnings.push(format!(
        "{file}: {count} rows repeat a user: {}{more}; agents of one user share its address of record",
        named.join(", ")
    ));
}

/// `file` as seen from the directory of `profile`.
pub(super) fn beside(profile: &str, file: &str) -> String {
    let directory = std::path::Path::new(profile).parent().unwrap_or_else(|| std::path::Path::new(""));
    directory.join(file).to_string_lossy().into_owned()
}
