//! What users are called in the profile: by their own names as far as these can be written, or by
//! others.

use super::group::ClientGroup;
use crate::observe::Trace;
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct WrittenNames {
    /// By phone.
    rows: Vec<NameRow>,
    pub(super) anonymous: bool,
    pub(super) remarks: Vec<String>,
}

/// A phone's row among the agents.
#[derive(Clone, Debug)]
pub(super) struct NameRow {
    pub(super) user: String,
    /// `None`: the user.
    pub(super) auth_user: Option<String>,
    /// Which of the user's rows in its trunk it is, from 1.
    pub(super) phone: u32,
}

impl WrittenNames {
    pub(super) fn of(trace: &Trace, groups: &[ClientGroup], anonymous: bool) -> WrittenNames {
        let mut aliases: HashMap<&str, String> = HashMap::new();
        if anonymous {
            // By first appearance, and an authentication name that is somebody's user is the same.
            let users = trace.phones.iter().map(|phone| phone.user.as_str());
            let others = trace.phones.iter().filter_map(|phone| phone.auth_user.as_deref());
            for name in users.chain(others) {
                let next = aliases.len() + 1;
                aliases.entry(name).or_insert_with(|| format!("user{next:05}"));
            }
        }
        let mut changed = 0;
        let rows = trace.phones.iter().enumerate().map(|(n, phone)| {
            let (user, auth_user) = match aliases.get(phone.user.as_str()) {
                Some(alias) => (alias.clone(), phone.auth_user.as_deref().and_then(|name| aliases.get(name)).cloned()),
                None => {
                    let user = written(&phone.user, n);
                    changed += usize::from(user != phone.user);
                    (user, phone.auth_user.clone().filter(|name| is_auth_user(name)))
                }
            };
            let auth_user = auth_user.filter(|name| *name != user);
            NameRow { user, auth_user, phone: 1 }
        });
        let rows: Vec<NameRow> = rows.collect();
        let mut names = WrittenNames { rows, anonymous, remarks: Vec::new() };
        names.number(groups);
        if changed > 0 {
            names
                .remarks
                .push(format!("{changed} users have names that no SIP address holds: they are written otherwise"));
        }
        if anonymous {
            names.remarks.push(
                "users have other names here; domains, addresses of registrars, user agents and headers are as they were"
                    .to_owned(),
            );
        }
        names
    }

    fn number(&mut self, groups: &[ClientGroup]) {
        for group in groups {
            let mut seen: HashMap<String, u32> = HashMap::new();
            for &phone in &group.phones {
                let row = &mut self.rows[phone];
                let times = seen.entry(row.user.clone()).or_default();
                *times += 1;
                row.phone = *times;
            }
        }
    }

    pub(super) fn row(&self, phone: usize) -> &NameRow {
        &self.rows[phone]
    }

    pub(super) fn any_auth_user(&self) -> bool {
        self.rows.iter().any(|row| row.auth_user.is_some())
    }
}

/// RFC 3261 §25.1: what may not stand in a user is escaped; what is too long or empty is numbered.
fn written(user: &str, n: usize) -> String {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&b);
    let mut out = String::new();
    for b in user.bytes() {
        if sound(b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    if out.is_empty() || out.len() > MOST_NAME { format!("phone{}", n + 1) } else { out }
}

/// What may stand in a quoted `username` (RFC 7616 §3.4.2).
fn is_auth_user(name: &str) -> bool {
    let sound = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | ':');
    !name.is_empty() && name.len() <= MOST_NAME && name.trim() == name && name.chars().all(sound)
}

const MOST_NAME: usize = 255;
