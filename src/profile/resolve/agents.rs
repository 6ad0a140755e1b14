//! `agents` of a trunk: a pattern, or the rows of a CSV file, with their secrets. SIPp's files:
//! `injection`.

use super::check::Checker;
use super::injection::injected;
use super::rows::{MAX_AGENTS, Rows, beside, is_auth_user, is_user, name};
use super::tls;
use crate::profile::error::nearest;
use crate::profile::file::defaults::REGISTRAR_PASSWORD;
use crate::profile::file::{AgentsFile, CanaryFile};
use crate::profile::meant::{AgentList, AgentSecret, ClientCertificate, ListedAgent, TrunkAgents, Users};
use crate::profile::pattern::{NamePattern, PatternError};
use crate::profile::places::Path;
use crate::vocab::Secret;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Who registers; `None` when that could not be read.
pub(super) fn agents(
    check: &mut Checker,
    at: &Path,
    file: AgentsFile,
    algorithms: &[&'static str],
    trunk_id: &str,
    trunk_ids: &[String],
) -> Option<TrunkAgents> {
    let copies = file.copies;
    let agents = written(check, at, file, algorithms, trunk_id, trunk_ids)?;
    match copies {
        None => Some(agents),
        Some(copies) => copied(check, &at.key("copies"), agents, copies),
    }
}

/// The one agent of a `canary`.
pub(super) fn canary(
    check: &mut Checker,
    at: &Path,
    file: CanaryFile,
    algorithms: &[&'static str],
    trunk_id: &str,
) -> Option<TrunkAgents> {
    let CanaryFile { user, auth_user, password, password_env, ha1 } = file;
    let one = AgentsFile { count: Some(1), user, auth_user, password, password_env, ha1, ..AgentsFile::default() };
    written(check, at, one, algorithms, trunk_id, &[])
}

/// The agents with so many of each row: `alice`, `alice-2`, `alice-3`.
fn copied(check: &mut Checker, path: &Path, agents: TrunkAgents, copies: u32) -> Option<TrunkAgents> {
    let TrunkAgents::Listed { mut list, rows } = agents else {
        check.bad_key(path, "goes with csv and sipp_csv only", "a pattern makes as many agents as count says");
        return None;
    };
    if copies == 0 || rows.len() as u64 * u64::from(copies) > u64::from(MAX_AGENTS) {
        check.bad(path, format!("must be at least 1, and make at most {MAX_AGENTS} agents, not {copies} of each row"));
        return None;
    }
    if let Some(row) = rows.iter().find(|_| copies > 1).filter(|row| matches!(row.credential, AgentSecret::Ha1(_))) {
        let message = format!("\"{}\" has an HA1, which belongs to one name", row.user);
        check.advise(path, message, "give the rows passwords, or write all users into the file");
        return None;
    }
    let users: HashSet<&str> = rows.iter().map(|row| &*row.user).collect();
    let taken = rows.iter().find_map(|row| {
        let mut names = (2..=copies).map(|n| format!("{}-{n}", row.user));
        names.find(|name| users.contains(name.as_str()))
    });
    if let Some(name) = taken {
        check.bad(path, format!("would make \"{name}\", which is a user of the file itself"));
        return None;
    }
    match &mut list {
        AgentList::Csv { copies: written, .. } | AgentList::Sipp { copies: written, .. } => *written = copies,
    }
    let copy = |row: &ListedAgent, n: u32| {
        let named = |name: &str| if n == 1 { name.to_owned() } else { format!("{name}-{n}") };
        let copy = ListedAgent::new(&named(&row.user), &named(row.auth_user()), row.credential.clone());
        copy.showing(row.certificate.clone())
    };
    let rows = rows.iter().flat_map(|row| (1..=copies).map(|n| copy(row, n))).collect();
    Some(TrunkAgents::Listed { list, rows })
}

fn written(
    check: &mut Checker,
    at: &Path,
    file: AgentsFile,
    algorithms: &[&'static str],
    trunk_id: &str,
    trunk_ids: &[String],
) -> Option<TrunkAgents> {
    let credential = shared_credential(check, at, &file, algorithms);
    if let Some(sipp_csv) = &file.sipp_csv {
        if file.csv.is_some() || file.user.is_some() || file.count.is_some() || file.auth_user.is_some() {
            check.bad_key(
                &at.key("sipp_csv"),
                "does not go with csv, count, user and auth_user",
                "a SIPp injection file names the users itself",
            );
            return None;
        }
        let user_field = file.user_field.unwrap_or(0);
        return injected(check, &at.key("sipp_csv"), sipp_csv, user_field, credential.ok()?.as_ref());
    }
    if file.user_field.is_some() {
        check.bad_key(&at.key("user_field"), "goes with sipp_csv only", "leave it out");
    }
    match (&file.csv, &file.user, file.count) {
        (Some(csv), None, None) if file.auth_user.is_none() => {
            let mut list = List {
                path: at.key("csv"),
                file: csv,
                fallback: credential.ok()?,
                algorithms,
                trunk: Some((trunk_id, trunk_ids)),
                env: HashMap::new(),
                certificates: HashMap::new(),
            };
            let rows = list.read(check)?;
            Some(TrunkAgents::Listed { list: AgentList::Csv { csv: csv.clone(), copies: 1 }, rows })
        }
        (Some(_), _, _) => {
            check.bad_key(
                &at.key("csv"),
                "does not go with count, user and auth_user",
                "a CSV file names the users itself",
            );
            None
        }
        (None, Some(user), Some(count)) => {
            let user = pattern(check, &at.key("user"), user, is_user);
            let auth_user = match &file.auth_user {
                Some(text) => pattern(check, &at.key("auth_user"), text, is_auth_user),
                None => user.clone(),
            };
            pattern_agents(check, at, count, user?, auth_user?, credential.ok()?)
        }
        (None, None, _) => {
            check.missing(&at.key("user"), "write a pattern, like user = \"agent{n:05}\", or csv = \"agents.csv\"");
            None
        }
        (None, _, None) => {
            check.missing(&at.key("count"), "say how many agents there are: count = 500");
            None
        }
    }
}

/// The users of the embedded registrar: every row, whatever trunk it names; one without a secret
/// has `password`, or the default one.
pub(super) fn users(
    check: &mut Checker,
    path: &Path,
    csv: &str,
    password: Option<&Secret>,
    algorithms: &[&'static str],
) -> Option<Users> {
    let password = password.cloned().unwrap_or_else(|| Secret::new(REGISTRAR_PASSWORD));
    let fallback = Some(AgentSecret::Password(password));
    let (env, certificates) = (HashMap::new(), HashMap::new());
    let mut list = List { path: path.clone(), file: csv, fallback, algorithms, trunk: None, env, certificates };
    let rows = list.read(check)?;
    let mut secrets = HashMap::new();
    for row in &rows {
        if *secrets.entry(row.auth_user()).or_insert(&row.credential) != &row.credential {
            check.bad(path, format!("{csv}: \"{}\" has two different secrets", row.auth_user()));
            return None;
        }
    }
    Some(Users { csv: csv.to_owned(), rows })
}

fn pattern_agents(
    check: &mut Checker,
    at: &Path,
    count: u32,
    user: NamePattern,
    auth_user: NamePattern,
    credential: Option<AgentSecret>,
) -> Option<TrunkAgents> {
    if !(1..=MAX_AGENTS).contains(&count) {
        check.bad(&at.key("count"), format!("must be from 1 to {MAX_AGENTS}, not {count}"));
    }
    if count > 1 && !user.has_number() {
        check.advise(
            &at.key("user"),
            format!("would make {count} agents with the same user"),
            format!("put the number in: \"{}{{n}}\"", user.as_str()),
        );
    }
    let Some(credential) = credential else {
        check.missing(&at.key("password"), "write password, password_env or ha1");
        return None;
    };
    if matches!(credential, AgentSecret::Ha1(_)) && count > 1 && auth_user.has_number() {
        check.advise(
            &at.key("ha1"),
            "belongs to one authentication name, these agents have one each",
            "write auth_user without {n}, or give each its own in a csv",
        );
    }
    Some(TrunkAgents::Pattern { count, user, auth_user, credential })
}

fn pattern(check: &mut Checker, path: &Path, text: &str, sound: fn(char) -> bool) -> Option<NamePattern> {
    let pattern = match NamePattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error @ PatternError::Empty) => {
            check.bad(path, error.to_string());
            return None;
        }
        Err(error) => {
            check.advise(path, error.to_string(), "a number's place is {n}, or {n:05} for five digits");
            return None;
        }
    };
    // The longest name is that of the largest number.
    let longest = pattern.name(u32::MAX);
    if let Err(message) = name(&longest, sound) {
        check.bad(path, message);
    }
    Some(pattern)
}

/// The credential that the `agents` table itself names, if any.
fn shared_credential(
    check: &mut Checker,
    at: &Path,
    file: &AgentsFile,
    algorithms: &[&str],
) -> Result<Option<AgentSecret>, ()> {
    match (&file.password, &file.password_env, &file.ha1) {
        (None, None, None) => Ok(None),
        (Some(password), None, None) => Ok(Some(AgentSecret::Password(password.0.clone()))),
        (None, Some(name), None) => match check.source.env(name).filter(|value| !value.is_empty()) {
            Some(value) => Ok(Some(AgentSecret::Password(Secret::new(value)))),
            None => {
                check.advise(
                    &at.key("password_env"),
                    format!("the environment variable {name} is not set"),
                    format!("set it before the run: export {name}=…"),
                );
                Err(())
            }
        },
        (None, None, Some(ha1)) => match ha1_credential(ha1.0.reveal(), algorithms) {
            Ok(credential) => Ok(Some(credential)),
            Err(message) => {
                check.bad(&at.key("ha1"), message);
                Err(())
            }
        },
        _ => {
            check.bad(at, "password, password_env and ha1 exclude each other");
            Err(())
        }
    }
}

/// Checks an HA1 against the algorithms it could serve: 32 hex digits are MD5, 64 SHA-256 or
/// SHA-512-256.
fn ha1_credential(text: &str, algorithms: &[&str]) -> Result<AgentSecret, String> {
    if !matches!(text.len(), 32 | 64) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("must be 32 hex digits (MD5) or 64 (SHA-256, SHA-512-256)".to_owned());
    }
    if !algorithms.iter().any(|name| name.starts_with("MD5") == (text.len() == 32)) {
        return Err(format!("of {} hex digits fits none of the algorithms {}", text.len(), algorithms.join(", ")));
    }
    Ok(AgentSecret::Ha1(Secret::new(text)))
}

/// A CSV file being read for one trunk, or for the registrar.
struct List<'a> {
    path: Path,
    file: &'a str,
    /// For rows without a secret of their own.
    fallback: Option<AgentSecret>,
    algorithms: &'a [&'static str],
    /// Whose rows are read, and the trunks there are; `None`: all rows.
    trunk: Option<(&'a str, &'a [String])>,
    /// Environment variables already read.
    env: HashMap<String, Option<Secret>>,
    /// Certificates already read, by the files of certificate and key.
    certificates: HashMap<[String; 2], Arc<ClientCertificate>>,
}

/// Where the columns stand.
struct Columns {
    user: usize,
    auth_user: Option<usize>,
    password: Option<usize>,
    password_env: Option<usize>,
    ha1: Option<usize>,
    trunk_id: Option<usize>,
    tls_cert: Option<usize>,
    tls_key: Option<usize>,
}

/// The columns of a list of agents, as advice has them.
const COLUMNS: &str = "columns: user[,auth_user][,password|password_env|ha1][,trunk_id][,tls_cert,tls_key]";

impl List<'_> {
    fn read(&mut self, check: &mut Checker) -> Option<Vec<ListedAgent>> {
        let full = beside(&check.places.texts.name, self.file);
        let bytes = match check.source.read(&full) {
            Ok(bytes) => bytes,
            Err(reason) => {
                check.bad(&self.path, format!("{full} cannot be read: {reason}"));
                return None;
            }
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(separator(bytes)).from_reader(bytes);
        let columns = match reader.headers() {
            Ok(header) => self.columns(check, &header.clone())?,
            Err(error) => {
                check.bad(&self.path, format!("{}: {}", self.file, csv_message(&error)));
                return None;
            }
        };
        self.rows(check, &mut reader, &columns)
    }

    fn columns(&self, check: &mut Checker, header: &csv::StringRecord) -> Option<Columns> {
        let at = |name: &str| header.iter().position(|column| column == name);
        let Some(user) = at("user") else {
            let first = header.iter().find_map(|column| nearest("user", [column]));
            let remedy = match first {
                Some(near) => format!("the column is called \"{near}\": rename it to \"user\""),
                None => COLUMNS.to_owned(),
            };
            check.advise(&self.path, format!("{} has no column \"user\"", self.file), remedy);
            return None;
        };
        let known = ["user", "auth_user", "password", "password_env", "ha1", "trunk_id", "tls_cert", "tls_key"];
        if let Some(twice) = known.into_iter().find(|name| header.iter().filter(|column| column == name).count() > 1) {
            check.bad(&self.path, format!("{} has the column \"{twice}\" twice", self.file));
        }
        Some(Columns {
            user,
            auth_user: at("auth_user"),
            password: at("password"),
            password_env: at("password_env"),
            ha1: at("ha1"),
            trunk_id: at("trunk_id"),
            tls_cert: at("tls_cert"),
            tls_key: at("tls_key"),
        })
    }

    fn rows(
        &mut self,
        check: &mut Checker,
        reader: &mut csv::Reader<&[u8]>,
        columns: &Columns,
    ) -> Option<Vec<ListedAgent>> {
        let path = self.path.clone();
        let mut rows = Rows::of(&path, self.file);
        let mut strangers = Vec::new();
        for record in reader.records() {
            let row = match &record {
                Ok(record) => self.row(check, record, columns, &mut strangers).transpose(),
                Err(error) => Some(Err(csv_message(error))),
            };
            let line = record.ok().and_then(|record| usize::try_from(record.position()?.line()).ok());
            if let Some(row) = row {
                rows.add(check, line, row);
            }
        }
        self.sum_up(check, &rows, &strangers);
        rows.finish(check)
    }

    fn sum_up(&self, check: &mut Checker, rows: &Rows<'_>, strangers: &[String]) {
        if rows.are_none() {
            check.bad(
                &self.path,
                match self.trunk {
                    Some((trunk_id, _)) => format!("{} has no agent for trunk \"{trunk_id}\"", self.file),
                    None => format!("{} has no user", self.file),
                },
            );
        } else if rows.len() > MAX_AGENTS as usize {
            check.bad(&self.path, format!("{} has more than {MAX_AGENTS} agents", self.file));
        }
        if let Some(first) = strangers.first() {
            let count = strangers.len();
            check.warnings.push(format!(
                "{}: {count} rows name a trunk_id that is no trunk of this profile (\"{first}\"); they are left out",
                self.file
            ));
        }
    }

    /// One row; `None` when it belongs to another trunk.
    fn row(
        &mut self,
        check: &Checker,
        record: &csv::StringRecord,
        columns: &Columns,
        strangers: &mut Vec<String>,
    ) -> Result<Option<ListedAgent>, String> {
        let cell = |column: Option<usize>| column.and_then(|n| record.get(n)).filter(|text| !text.is_empty());
        if let (Some(id), Some((trunk_id, trunk_ids))) = (cell(columns.trunk_id), self.trunk)
            && id != trunk_id
        {
            if !trunk_ids.iter().any(|known| known == id) {
                strangers.push(id.to_owned());
            }
            return Ok(None);
        }
        let user = cell(Some(columns.user)).unwrap_or_default();
        name(user, is_user).map_err(|message| format!("user {message}"))?;
        let auth_user = cell(columns.auth_user).unwrap_or(user);
        name(auth_user, is_auth_user).map_err(|message| format!("auth_user {message}"))?;
        let credential = match (cell(columns.password), cell(columns.password_env), cell(columns.ha1)) {
            (Some(password), None, None) => AgentSecret::Password(Secret::new(password)),
            (None, Some(name), None) => AgentSecret::Password(self.variable(check, name)?),
            (None, None, Some(ha1)) => {
                ha1_credential(ha1, self.algorithms).map_err(|message| format!("ha1 {message}"))?
            }
            (None, None, None) => self
                .fallback
                .clone()
                .ok_or_else(|| format!("\"{user}\" has no password, and agents names none for all"))?,
            _ => return Err(format!("\"{user}\" has more than one of password, password_env, ha1")),
        };
        let line = record.position().map_or(0, csv::Position::line);
        let certificate = match (cell(columns.tls_cert), cell(columns.tls_key)) {
            // The users of a registrar are not those who show certificates.
            _ if self.trunk.is_none() => None,
            (None, None) => None,
            (Some(cert), Some(key)) => Some(self.certificate(check, line, [cert, key])?),
            (Some(_), None) => return Err(format!("\"{user}\" has a tls_cert and no tls_key")),
            (None, Some(_)) => return Err(format!("\"{user}\" has a tls_key and no tls_cert")),
        };
        Ok(Some(ListedAgent::new(user, auth_user, credential).showing(certificate)))
    }

    /// A certificate with its key; rows that name the same files share one.
    fn certificate(
        &mut self,
        check: &Checker,
        line: u64,
        [cert, key]: [&str; 2],
    ) -> Result<Arc<ClientCertificate>, String> {
        let files = [cert, key].map(str::to_owned);
        if let Some(known) = self.certificates.get(&files) {
            return Ok(known.clone());
        }
        let called = |column: &str, path: &str| format!("{} line {line}: {column} {path}", self.file);
        let read = |column: &str, path: &str| {
            let file = tls::read(check, &self.path, path, called(column, path));
            file.map_err(|message| format!("{column} {message}"))
        };
        let certificate = Arc::new(ClientCertificate { cert: read("tls_cert", cert)?, key: read("tls_key", key)? });
        self.certificates.insert(files, certificate.clone());
        Ok(certificate)
    }

    fn variable(&mut self, check: &Checker, name: &str) -> Result<Secret, String> {
        let value = self
            .env
            .entry(name.to_owned())
            .or_insert_with(|| check.source.env(name).filter(|value| !value.is_empty()).map(Secret::new));
        value.clone().ok_or_else(|| format!("the environment variable {name} is not set"))
    }
}

/// What separates the cells: spreadsheets write semicolons or tabs where the comma is the decimal
/// sign. The header decides, as no name of a column holds any of the three.
pub(super) fn separator(bytes: &[u8]) -> u8 {
    let header = bytes.split(|&octet| octet == b'\n').next().unwrap_or_default();
    let separates = |octet: &u8| matches!(octet, b',' | b';' | b'\t');
    header.iter().copied().find(separates).unwrap_or(b',')
}

/// A CSV error without the cells of the row: they may hold a password.
pub(super) fn csv_message(error: &csv::Error) -> String {
    let line = error.position().map_or_else(String::new, |position| format!("line {}: ", position.line()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}the row has {len} fields, the header {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}is not UTF-8 text"),
        _ => format!("{line}is not CSV"),
    }
}
