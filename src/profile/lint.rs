//! Doubts about credentials: what a registrar may well refuse, or what common configuration files
//! would mangle.
//!
//! Everything here is legal in a profile; what is not has been refused before. A lint names the
//! user and what is wrong, never the secret, not even the character at fault: words stand for it.

use super::meant::{AgentSecret, CredentialRules, Profile, TrunkAgents, TrunkProfile};
use crate::vocab::UserForm;
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One doubt, about one agent or several of a trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lint {
    pub trunk_id: String,
    /// The first agent it is about.
    pub user: String,
    /// How many agents of the trunk it is about.
    pub agents: usize,
    pub field: CredentialPart,
    /// What is wrong, as the end of a sentence that begins with the field.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Which part of the credentials.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialPart {
    User,
    AuthUser,
    Password,
    Ha1,
}

impl CredentialPart {
    /// The key of the profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            CredentialPart::User => "user",
            CredentialPart::AuthUser => "auth_user",
            CredentialPart::Password => "password",
            CredentialPart::Ha1 => "ha1",
        }
    }
}

/// What is wrong and what helps; static, so that no text of a credential can get in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct CredentialDoubt {
    field: CredentialPart,
    what: &'static str,
    remedy: &'static str,
}

/// All doubts about the credentials of a profile, by trunk; agents with the same doubt together.
pub fn lint(profile: &Profile) -> Vec<Lint> {
    profile.trunks.iter().flat_map(of_trunk).collect()
}

/// The doubts about one agent of a trunk, by its number.
pub fn of_agent(trunk: &TrunkProfile, n: u32) -> Vec<Lint> {
    about_agent(trunk, n, doubts)
}

/// What of one agent's credentials goes against what a platform says that it takes.
pub fn against(rules: &CredentialRules, trunk: &TrunkProfile, n: u32) -> Vec<Lint> {
    about_agent(trunk, n, |_, auth_user, credential| broken(rules, auth_user, credential))
}

fn about_agent(
    trunk: &TrunkProfile,
    n: u32,
    judge: impl Fn(&str, &str, &AgentSecret) -> Vec<CredentialDoubt>,
) -> Vec<Lint> {
    let mut found = DoubtsFound::default();
    let mut add = |user: &str, auth_user: &str, credential: &AgentSecret| {
        judge(user, auth_user, credential).into_iter().for_each(|doubt| found.add(doubt, user, 1));
    };
    match &trunk.agents {
        TrunkAgents::Pattern { user, auth_user, credential, .. } => add(&user.name(n), &auth_user.name(n), credential),
        TrunkAgents::Listed { rows, .. } => {
            if let Some(row) = rows.get(n as usize) {
                add(&row.user, row.auth_user(), &row.credential);
            }
        }
    }
    found.lints(&trunk.id)
}

fn broken(rules: &CredentialRules, user: &str, credential: &AgentSecret) -> Vec<CredentialDoubt> {
    let mut broken = Vec::new();
    let mut add = |field, what, remedy| broken.push(CredentialDoubt { field, what, remedy });
    let longer = |text: &str, most: Option<u32>| most.is_some_and(|most| text.chars().count() > most as usize);
    let field = CredentialPart::AuthUser;
    if longer(user, rules.user_max) {
        add(field, "is longer than the platform takes", "ask the carrier for a shorter one");
    }
    match rules.user {
        Some(UserForm::Bare) if user.contains('@') => {
            add(field, "has a domain, and the platform takes none", "submit what stands before the at sign");
        }
        Some(UserForm::WithDomain) if !user.contains('@') => {
            add(field, "has no domain, and the platform wants one", "submit user@domain, if the carrier takes that");
        }
        _ => {}
    }
    let AgentSecret::Password(secret) = credential else {
        add(CredentialPart::Ha1, "is no password, which the platform wants", "ask the carrier for the password itself");
        return broken;
    };
    let (text, field) = (secret.reveal(), CredentialPart::Password);
    let other = "have the carrier set another password";
    if longer(text, rules.password_max) {
        add(field, "is longer than the platform takes", other);
    }
    if rules.password_min.is_some_and(|least| text.chars().count() < least as usize) {
        add(field, "is shorter than the platform takes", other);
    }
    if text.chars().any(|c| rules.password_without.contains(c)) {
        add(field, "has a character that the platform does not take", other);
    }
    broken
}

fn of_trunk(trunk: &TrunkProfile) -> Vec<Lint> {
    let mut found = DoubtsFound::default();
    match &trunk.agents {
        TrunkAgents::Pattern { count, user, auth_user, credential } => {
            // Agents of a pattern differ in digits only, so what holds for one holds for all.
            let agents = *count as usize;
            for doubt in doubts(&user.name(0), &auth_user.name(0), credential) {
                found.add(doubt, &user.name(0), agents);
            }
            if agents > 1 && !auth_user.has_number() {
                found.add(SHARED_AUTH_USER, &user.name(0), agents);
            }
        }
        TrunkAgents::Listed { rows, .. } => {
            let mut seen = NamesSeen::default();
            for row in rows {
                for doubt in doubts(&row.user, row.auth_user(), &row.credential) {
                    found.add(doubt, &row.user, 1);
                }
                seen.note(&row.user, row.auth_user());
            }
            found.repeats(&seen);
        }
    }
    found.lints(&trunk.id)
}

fn doubts(user: &str, auth_user: &str, credential: &AgentSecret) -> Vec<CredentialDoubt> {
    let mut doubts = Vec::new();
    name(&mut doubts, CredentialPart::User, user);
    if auth_user != user {
        name(&mut doubts, CredentialPart::AuthUser, auth_user);
    }
    match credential {
        AgentSecret::Password(secret) => password(&mut doubts, secret.reveal()),
        AgentSecret::Ha1(secret) => ha1(&mut doubts, secret.reveal()),
    }
    doubts
}

fn name(doubts: &mut Vec<CredentialDoubt>, field: CredentialPart, text: &str) {
    characters(doubts, field, text);
    // RFC 3261 §19.1.2: an escaped at sign within a user is still one.
    if text.contains('@') || text.to_ascii_lowercase().contains("%40") {
        let (what, remedy) = match field {
            CredentialPart::User => ("has a domain inside", "leave it out: the domain is the trunk's"),
            _ => ("has a domain inside", "some servers want user@domain here, most the bare name; ask which"),
        };
        doubts.push(CredentialDoubt { field, what, remedy });
    }
}

fn password(doubts: &mut Vec<CredentialDoubt>, text: &str) {
    let field = CredentialPart::Password;
    if text.is_empty() {
        doubts.push(CredentialDoubt {
            field,
            what: "is empty",
            remedy: "give the account a password, or see why it has none",
        });
    }
    characters(doubts, field, text);
    if is_ha1(text) {
        doubts.push(CredentialDoubt {
            field,
            what: "looks like an HA1",
            remedy: "if it is one, write it under ha1; it would be hashed once more as a password",
        });
    }
}

fn ha1(doubts: &mut Vec<CredentialDoubt>, text: &str) {
    let field = CredentialPart::Ha1;
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let remedy = "an HA1 is the hash of user:realm:password in hex; a password belongs under password";
        doubts.push(CredentialDoubt { field, what: "is not hex", remedy });
    } else if !is_ha1(text) {
        let remedy = "MD5 has 32 hex digits, SHA-256 and SHA-512-256 have 64";
        doubts.push(CredentialDoubt { field, what: "has the wrong length", remedy });
    }
}

fn is_ha1(text: &str) -> bool {
    matches!(text.len(), 32 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn characters(doubts: &mut Vec<CredentialDoubt>, field: CredentialPart, text: &str) {
    let mut doubt = |what, remedy| doubts.push(CredentialDoubt { field, what, remedy });
    if text.trim() != text {
        doubt("begins or ends with a blank", "mostly copied along by mistake; some servers trim it, some do not");
    }
    for (is, what, remedy) in CHARACTERS {
        if text.chars().any(is) {
            doubt(what, remedy);
        }
    }
}

/// A kind of character, what it is called, and what to do about it.
type Suspect = (fn(char) -> bool, &'static str, &'static str);

/// Characters that configuration files take for something else.
const CHARACTERS: [Suspect; 7] = [
    (
        |c| c == ';',
        "has a semicolon inside",
        "it starts a comment in Asterisk's files (write \\; there) and separates fields in SIPp's",
    ),
    (
        |c| c == '#',
        "has a number sign inside",
        "it starts a comment in Kamailio's and many other files: quote it there",
    ),
    (
        |c| c == '"',
        "has a double quote inside",
        "it must be escaped in SIP headers, doubled in CSV, and quoted elsewhere",
    ),
    (|c| c == '\\', "has a backslash inside", "it escapes the next character in many files: double it there"),
    (
        |c| matches!(c, '\r' | '\n'),
        "has a line end inside",
        "mostly read from a file together with the end of its line: leave that out",
    ),
    (
        |c| c.is_control() && !matches!(c, '\r' | '\n'),
        "has a control character inside",
        "mostly a tab copied along: type it anew",
    ),
    (
        |c| !c.is_ascii(),
        "has a character outside ASCII inside",
        "its bytes depend on the encoding, and so does the hash: use ASCII, or make sure that both sides use UTF-8",
    ),
];

const REPEATED_USER: CredentialDoubt = CredentialDoubt {
    field: CredentialPart::User,
    what: "stands there more than once",
    remedy: "agents of one user share its address of record and count against its contacts: is that intended?",
};

const SHARED_AUTH_USER: CredentialDoubt = CredentialDoubt {
    field: CredentialPart::AuthUser,
    what: "is that of several agents",
    remedy: "one account then bears them all, with its limits and lock-outs: is that intended?",
};

/// Names seen so far, by how often.
#[derive(Default)]
struct NamesSeen<'a> {
    users: HashMap<&'a str, usize>,
    /// First user and number of different users, by authentication name.
    auth_users: HashMap<&'a str, (&'a str, usize)>,
    order: Vec<(&'a str, &'a str)>,
}

impl<'a> NamesSeen<'a> {
    fn note(&mut self, user: &'a str, auth_user: &'a str) {
        let times = self.users.entry(user).or_insert(0);
        *times += 1;
        if *times > 1 {
            return;
        }
        self.order.push((user, auth_user));
        match self.auth_users.entry(auth_user) {
            Entry::Vacant(place) => _ = place.insert((user, 1)),
            Entry::Occupied(mut place) => place.get_mut().1 += 1,
        }
    }
}

/// Doubts with the first user and the number of agents, in the order they came up.
#[derive(Default)]
struct DoubtsFound {
    order: Vec<CredentialDoubt>,
    about: HashMap<CredentialDoubt, (String, usize)>,
}

impl DoubtsFound {
    fn add(&mut self, doubt: CredentialDoubt, user: &str, agents: usize) {
        match self.about.entry(doubt) {
            Entry::Vacant(place) => {
                place.insert((user.to_owned(), agents));
                self.order.push(doubt);
            }
            Entry::Occupied(mut place) => place.get_mut().1 += agents,
        }
    }

    fn repeats(&mut self, seen: &NamesSeen<'_>) {
        for (user, auth_user) in &seen.order {
            let times = seen.users[user];
            if times > 1 {
                self.add(REPEATED_USER, user, times);
            }
            let (first, users) = seen.auth_users[auth_user];
            if users > 1 && first == *user {
                self.add(SHARED_AUTH_USER, user, users);
            }
        }
    }

    fn lints(mut self, trunk_id: &str) -> Vec<Lint> {
        self.order.sort_by_key(|doubt| doubt.field);
        let about = self.about;
        let lint = |doubt: CredentialDoubt| {
            let (user, agents) = about[&doubt].clone();
            let CredentialDoubt { field, what, remedy } = doubt;
            Lint { trunk_id: trunk_id.to_owned(), user, agents, field, what, remedy }
        };
        self.order.into_iter().map(lint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{AgentList, InMemory, ListedAgent, load};
    use crate::vocab::Secret;
    use proptest::prelude::*;

    /// A profile of one trunk with these agents, put in behind the checks, so that every lint can
    /// be reached.
    fn profile(rows: Vec<ListedAgent>) -> Profile {
        let text = "[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"d.test\"\n\
                    agents = { count = 1, user = \"a\", password = \"x\" }\n";
        let mut profile = load(&InMemory(text), "p.toml", &[]).expect("a sound profile");
        let list = AgentList::Csv { csv: "agents.csv".to_owned(), copies: 1 };
        profile.trunks[0].agents = TrunkAgents::Listed { list, rows };
        profile
    }

    fn row(user: &str, auth_user: &str, credential: AgentSecret) -> ListedAgent {
        ListedAgent::new(user, auth_user, credential)
    }

    fn with_password(user: &str, password: &str) -> ListedAgent {
        row(user, user, AgentSecret::Password(Secret::new(password)))
    }

    fn said(rows: Vec<ListedAgent>) -> Vec<String> {
        let lints = lint(&profile(rows));
        lints
            .iter()
            .map(|lint| format!("{} {} {} x{}", lint.user, lint.field.as_str(), lint.what, lint.agents))
            .collect()
    }

    #[test]
    fn sound_credentials_raise_no_doubt() {
        assert!(said(vec![with_password("a1", "s3cret-_!"), with_password("a2", "s3cret-_!")]).is_empty());
    }

    #[test]
    fn each_doubt_is_raised_where_it_belongs() {
        let ha1 = |text: &str| vec![row("a", "a", AgentSecret::Ha1(Secret::new(text)))];
        for (rows, expected) in [
            (vec![with_password("a", "secret ")], "a password begins or ends with a blank x1"),
            (vec![with_password("a", "s;t")], "a password has a semicolon inside x1"),
            (vec![with_password("a", "s#t")], "a password has a number sign inside x1"),
            (vec![with_password("a", "s\"t")], "a password has a double quote inside x1"),
            (vec![with_password("a", "s\\t")], "a password has a backslash inside x1"),
            (vec![with_password("a", "s\u{7}t")], "a password has a control character inside x1"),
            (vec![with_password("a", "s\r\nt")], "a password has a line end inside x1"),
            (vec![with_password("a", "sät")], "a password has a character outside ASCII inside x1"),
            (vec![with_password("a", "")], "a password is empty x1"),
            (vec![with_password("a", &"0a".repeat(16))], "a password looks like an HA1 x1"),
            (vec![with_password("a%40d", "s")], "a%40d user has a domain inside x1"),
            (vec![row("a", "a@d", AgentSecret::Password(Secret::new("s")))], "a auth_user has a domain inside x1"),
            (ha1("0a0a"), "a ha1 has the wrong length x1"),
            (ha1(&"zz".repeat(16)), "a ha1 is not hex x1"),
        ] {
            assert_eq!(said(rows), [expected]);
        }
    }

    #[test]
    fn agents_with_the_same_doubt_stand_together() {
        let rows = vec![with_password("a", "s "), with_password("b", "t "), with_password("c", "u")];
        assert_eq!(said(rows), ["a password begins or ends with a blank x2"]);
    }

    #[test]
    fn repeated_users_and_shared_accounts_are_named_once() {
        let rows = vec![with_password("a", "s"), with_password("b", "s"), with_password("a", "s")];
        assert_eq!(said(rows), ["a user stands there more than once x2"]);
        let shared = |user| row(user, "account", AgentSecret::Password(Secret::new("s")));
        assert_eq!(said(vec![shared("a"), shared("b"), shared("c")]), ["a auth_user is that of several agents x3"]);
    }

    #[test]
    fn a_pattern_is_judged_once_for_all_its_agents() {
        let text = "[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"d.test\"\n\
                    agents = { count = 9, user = \"a{n}\", auth_user = \"all\", password = \"x;y\" }\n";
        let profile = load(&InMemory(text), "p.toml", &[]).expect("a sound profile");
        let lints = lint(&profile);
        let parts: Vec<_> = lints.iter().map(|lint| (lint.field, lint.agents, lint.user.as_str())).collect();
        assert_eq!(parts, [(CredentialPart::AuthUser, 9, "a0"), (CredentialPart::Password, 9, "a0")]);
    }

    proptest! {
        #[test]
        fn no_secret_appears_in_a_lint(secret in "\\PC{0,3}[;#\"\\\\äé\t]{1,3}[0-9A-Z]{6,60}[ ;]?", hashed: bool) {
            let credential = if hashed { AgentSecret::Ha1 } else { AgentSecret::Password };
            let lints = lint(&profile(vec![row("user", "auth", credential(Secret::new(secret.as_str())))]));
            prop_assert!(!lints.is_empty());
            let shown = format!("{lints:?} {}", serde_json::to_string(&lints).expect("plain texts"));
            prop_assert!(!shown.contains(&secret) && !shown.contains(secret.trim()), "{}", shown);
        }
    }
}
