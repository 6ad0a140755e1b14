//! `agents = { sipp_csv = … }`: the rows of a SIPp injection file as agents.

use super::agents::{MAX_AGENTS, MAX_ROW_PROBLEMS, beside, is_auth_user, is_user, name, warn_of_repeats};
use super::check::Check;
use crate::profile::meant::{AgentList, AgentRow, Agents, Credential};
use crate::profile::places::Path;
use crate::profile::sipp_csv::{Injection, Row, Wrong};

/// Reads the file named by the key at `path`; `fallback` is for rows without a password of their own.
pub(super) fn injected(
    check: &mut Check,
    path: &Path,
    file: &str,
    user_field: u32,
    fallback: Option<&Credential>,
) -> Option<Agents> {
    let full = beside(&check.places.texts.name, file);
    let bytes = match check.source.read(&full) {
        Ok(bytes) => bytes,
        Err(reason) => {
            check.bad(path, format!("{full} cannot be read: {reason}"));
            return None;
        }
    };
    let injection = match Injection::open(&bytes) {
        Ok(injection) => injection,
        Err(wrong) => {
            let remedy = "see SIPp's -inf; other files with columns are read by csv = \"agents.csv\"";
            check.advise(path, format!("{file} line {}: {}", wrong.line, wrong.message), remedy);
            return None;
        }
    };
    if injection.len() > MAX_AGENTS as usize {
        check.bad(path, format!("{file} has more than {MAX_AGENTS} agents"));
        return None;
    }
    let rows = rows(check, path, file, &injection, user_field, fallback)?;
    if let Some(line) = injection.gap {
        check
            .warnings
            .push(format!("{file} line {line} is empty: SIPp stops reading there, the rows behind it count here"));
    }
    let list = AgentList::Sipp { sipp_csv: file.to_owned(), user_field, order: injection.order };
    Some(Agents::Listed { list, rows })
}

fn rows(
    check: &mut Check,
    path: &Path,
    file: &str,
    injection: &Injection<'_>,
    user_field: u32,
    fallback: Option<&Credential>,
) -> Option<Vec<AgentRow>> {
    let mut rows = Vec::with_capacity(injection.len());
    let mut lines = Vec::with_capacity(injection.len());
    let mut wrong = 0;
    for n in 0..injection.len() {
        // Virtual rows would repeat what is wrong with those that are written.
        if n == injection.written() && wrong > 0 {
            break;
        }
        let row = injection.row(n, user_field as usize).and_then(|(line, row)| {
            agent(row, fallback).map(|row| (line, row)).map_err(|message| Wrong { line, message })
        });
        match row {
            Ok((line, row)) => {
                rows.push(row);
                lines.push(line);
            }
            Err(problem) => {
                wrong += 1;
                if wrong <= MAX_ROW_PROBLEMS {
                    check.bad(path, format!("{file} line {}: {}", problem.line, problem.message));
                }
            }
        }
    }
    if wrong > MAX_ROW_PROBLEMS {
        check.bad(path, format!("{file}: further rows that are wrong: {}", wrong - MAX_ROW_PROBLEMS));
    }
    warn_of_repeats(check, file, &rows, &lines);
    (wrong == 0).then_some(rows)
}

fn agent(row: Row, fallback: Option<&Credential>) -> Result<AgentRow, String> {
    let Row { user, auth_user, password } = row;
    name(&user, is_user).map_err(|message| format!("user {message}"))?;
    let auth_user = auth_user.as_deref().unwrap_or(&user);
    name(auth_user, is_auth_user).map_err(|message| format!("the authentication's username {message}"))?;
    let credential = password.map(Credential::Password).or_else(|| fallback.cloned());
    let credential = credential.ok_or_else(|| {
        format!("\"{user}\" has no [authentication password=…], and agents names no password for all")
    })?;
    Ok(AgentRow::new(&user, auth_user, credential))
}
