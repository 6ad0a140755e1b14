//! `agents = { sipp_csv = … }`: the rows of a SIPp injection file as agents.

use super::check::Checker;
use super::rows::{MAX_AGENTS, Rows, beside, is_auth_user, is_user, name};
use crate::profile::meant::{AgentList, AgentSecret, ListedAgent, TrunkAgents};
use crate::profile::places::Path;
use crate::profile::sipp_csv::{Injection, InjectionRow};

/// Reads the file named by the key at `path`; `fallback` is for rows without a password of their
/// own.
pub(super) fn injected(
    check: &mut Checker,
    path: &Path,
    file: &str,
    user_field: u32,
    fallback: Option<&AgentSecret>,
) -> Option<TrunkAgents> {
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
    let list = AgentList::Sipp { sipp_csv: file.to_owned(), user_field, order: injection.order, copies: 1 };
    Some(TrunkAgents::Listed { list, rows })
}

fn rows(
    check: &mut Checker,
    path: &Path,
    file: &str,
    injection: &Injection<'_>,
    user_field: u32,
    fallback: Option<&AgentSecret>,
) -> Option<Vec<ListedAgent>> {
    let mut rows = Rows::of(path, file);
    for n in 0..injection.len() {
        // Virtual rows would repeat what is wrong with those that are written.
        if n == injection.written() && rows.any_wrong() {
            break;
        }
        match injection.row(n, user_field as usize) {
            Ok((line, row)) => rows.add(check, Some(line), agent(row, fallback)),
            Err(problem) => rows.add(check, Some(problem.line), Err(problem.message)),
        }
    }
    rows.finish(check)
}

fn agent(row: InjectionRow, fallback: Option<&AgentSecret>) -> Result<ListedAgent, String> {
    let InjectionRow { user, auth_user, password } = row;
    name(&user, is_user).map_err(|message| format!("user {message}"))?;
    let auth_user = auth_user.as_deref().unwrap_or(&user);
    name(auth_user, is_auth_user).map_err(|message| format!("the authentication's username {message}"))?;
    let credential = password.map(AgentSecret::Password).or_else(|| fallback.cloned());
    let credential = credential.ok_or_else(|| {
        format!("\"{user}\" has no [authentication password=…], and agents names no password for all")
    })?;
    Ok(ListedAgent::new(&user, auth_user, credential))
}
