//! What was learnt as files: a profile with comments, its agents, its replay.

use super::group::ClientGroup;
use super::registrar::RegistrarHabits;
use super::{Learnt, RetryHabit};
use crate::observe::TrunkTrace;
use crate::sip::AlgorithmSet;
use crate::vocab::{ReplayAct, Transport, Word, format_duration, printable};
use std::fmt::Write;
use std::time::Duration;

/// A text as TOML has it in quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a string cannot fail, here and below.
            c if c.is_control() => out += &format!("\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// What the files are called.
pub struct LearntFiles<'a> {
    pub agents: &'a str,
    pub arrivals: &'a str,
    /// The environment variable with the agents' password.
    pub variable: &'a str,
}

impl Learnt<'_> {
    /// The profile; `name` becomes the run's.
    pub fn profile(&self, name: &str, files: &LearntFiles<'_>) -> String {
        let mut out = self.head(name);
        for group in &self.groups {
            out += &self.trunk(group, files);
        }
        out += &self.load(files);
        out += &registrar(&self.registrar);
        out
    }

    fn head(&self, name: &str) -> String {
        let trace = self.trace;
        let mut out = format!(
            "# What the phones of {} did, {} of them within {}.\n#\n",
            printable(&trace.name),
            trace.phones.len(),
            format_duration(Duration::from_secs(self.lasts().as_secs()))
        );
        for remark in &self.remarks {
            let _ = writeln!(out, "# * {}", printable(remark));
        }
        let (attempts, explained) = self.explained();
        let _ = write!(
            out,
            "# * {attempts} attempts were seen; the habits below explain {explained}, the others begin anew in the replay\n#\n# \
             As it stands it sends nothing beyond this machine. To try a registrar of yours, change two things on\n# purpose: \
             the trunk's registrar, and allow_targets. Ask the people who run it first.\n\n[run]\nname     = {}\ninterval = \
             \"{}\"\nseed     = 1\n\n[safety]\nallow_targets = [\"127.0.0.0/8\", \"::1/128\"]    # this machine; a registrar \
             of yours: its address, too\n",
            quoted(name),
            if self.lasts() >= TEN_MINUTES { "60s" } else { "10s" },
        );
        let ceiling = self.busiest_second().saturating_mul(40).clamp(50_000, 1_000_000);
        let _ = writeln!(
            out,
            "max_message_rate = {ceiling}\n\n[arrivals]\nmax_in_flight = {}\n",
            self.trace.phones.len().clamp(20_000, 10_000_000)
        );
        out
    }

    fn busiest_second(&self) -> u32 {
        self.trace.messages.iter().copied().max().unwrap_or(0)
    }

    fn trunk(&self, group: &ClientGroup, files: &LearntFiles<'_>) -> String {
        let trunk = &self.trace.trunks[group.trunk];
        let phones = group.phones.len();
        let mut out = format!("[[trunk]]\nid        = {}\n", quoted(&group.id));
        let agent = group.user_agent.as_deref().map_or_else(String::new, |agent| format!(", \"{}\"", printable(agent)));
        let of = |count: usize, what: &str, more: &str| format!("{count} {what}{}", if count == 1 { "" } else { more });
        let (phones, sources) = (of(phones, "phone", "s"), of(trunk.sources.max(1), "address", "es"));
        let _ = writeln!(out, "# {phones}{agent}, from {sources}");
        out += "registrar = \"embedded\"    # this program's own\n";
        if let Some(uri) = uri_of(trunk) {
            let _ = writeln!(out, "# registrar = {}    # where they registered", quoted(&uri));
        }
        match domain_of(trunk) {
            Some(domain) => out += &format!("domain    = {}\n", quoted(domain)),
            None => out += "domain    = \"learnt.test\"    # the source names none that can be written\n",
        }
        if let Some(realm) = trunk.realm.as_deref().filter(|realm| is_quotable(realm)) {
            let _ = writeln!(out, "realm     = {}    # as challenged", quoted(realm));
        }
        let answered: Vec<String> = crate::sip::Algorithm::ALL
            .into_iter()
            .filter(|one| AlgorithmSet::from_bits(trunk.answered).contains(*one))
            .map(|one| quoted(one.as_str()))
            .collect();
        if !answered.is_empty() {
            let _ = writeln!(out, "algorithms = [{}]    # those the phones answered with", answered.join(", "));
        }
        out += &habits(group);
        let _ = writeln!(
            out,
            "agents    = {{ csv = {}, password_env = {} }}    # a capture holds no passwords",
            quoted(files.agents),
            quoted(files.variable)
        );
        out += &self.headers(group, trunk);
        out += "\n";
        out
    }

    /// The headers that nearly every phone of the trunk sends with one value.
    fn headers(&self, group: &ClientGroup, trunk: &TrunkTrace) -> String {
        let all = self.trace.phones.iter().filter(|phone| usize::from(phone.trunk) == group.trunk).count();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut varying: Vec<&str> = Vec::new();
        let agent = group.user_agent.as_deref().filter(|agent| is_value(agent));
        pairs.extend(agent.map(|agent| ("User-Agent".to_owned(), agent.to_owned())));
        for (name, value, phones) in &trunk.headers {
            let telling = self.names.anonymous && (value.contains('@') || value.contains("sip:"));
            let new = pairs.iter().all(|(known, _)| !known.eq_ignore_ascii_case(name));
            if *phones as usize * 10 >= all * 9 && is_name(name) && is_value(value) && new && !telling {
                pairs.push((name.clone(), value.clone()));
            } else if !varying.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                varying.push(name);
            }
        }
        let mut out = String::new();
        if !pairs.is_empty() {
            let pairs: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
            let _ = writeln!(out, "headers   = {{ {} }}", pairs.join(", "));
        }
        varying.retain(|name| !pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        if !varying.is_empty() {
            let names: Vec<String> = varying.iter().take(MOST_NAMED).map(|name| printable(name).into_owned()).collect();
            let _ = writeln!(out, "# left out, for not all phones send it alike: {}", names.join(", "));
        }
        out
    }

    fn load(&self, files: &LearntFiles<'_>) -> String {
        let mut out = format!(
            "[[load]]\nreplay = {}    # {} arrivals, {} refreshes and retries, {} sign-offs, {} silences\nspeed  = 1                   # 2: \
             twice as fast; agents three times as many: copies = 3 beside csv, above\n\n",
            quoted(files.arrivals),
            self.rows(ReplayAct::Arrive),
            self.rows(ReplayAct::Again),
            self.rows(ReplayAct::Leave),
            self.rows(ReplayAct::Vanish)
        );
        let last = self.steps.last().map_or(0, |step| step.at_ns / SECOND_NS + 1);
        let rest = self.lasts().as_secs().saturating_sub(last);
        if rest > 0 {
            let _ = write!(
                out,
                "[[load]]\nhold = \"{}\"    # to the end of what was seen\n\n",
                format_duration(Duration::from_secs(rest))
            );
        }
        out
    }

    /// The agents, a row each.
    pub fn agents_csv(&self) -> String {
        let with_auth = self.names.any_auth_user();
        let mut out = format!("user{},trunk_id\n", if with_auth { ",auth_user" } else { "" });
        for group in &self.groups {
            for &phone in &group.phones {
                let row = self.names.row(phone);
                out += &in_csv(&row.user);
                if with_auth {
                    let _ = write!(out, ",{}", in_csv(row.auth_user.as_deref().unwrap_or(&row.user)));
                }
                let _ = writeln!(out, ",{}", group.id);
            }
        }
        out
    }

    /// The rows of the replay.
    pub fn arrivals_csv(&self) -> String {
        let mut group_of = vec![""; self.trace.phones.len()];
        for group in &self.groups {
            group.phones.iter().for_each(|&phone| group_of[phone] = &group.id);
        }
        let mut out = "at_s,trunk_id,user,phone,act\n".to_owned();
        for step in &self.steps {
            let row = self.names.row(step.phone);
            let _ = writeln!(
                out,
                "{}.{:06},{},{},{},{}",
                step.at_ns / SECOND_NS,
                step.at_ns % SECOND_NS / 1_000,
                group_of[step.phone],
                in_csv(&row.user),
                row.phone,
                step.act.as_str()
            );
        }
        out
    }
}

/// Lifetime, refresh, nonces and retries of a group.
fn habits(group: &ClientGroup) -> String {
    let why = match (&group.expires_why, group.granted_s) {
        (Some(why), _) => why.clone(),
        (None, Some(granted)) if granted == group.expires_s => "asked for and granted".to_owned(),
        (None, Some(granted)) => format!("asked for; granted: {granted} s"),
        (None, None) => "asked for; nothing was granted".to_owned(),
    };
    let mut out = format!("expires   = \"{}s\"    # {why}\n", group.expires_s);
    let RetryHabit { preset, refresh_at, refreshes, failures, .. } = group.retry;
    match refresh_at {
        Some(share) => out += &format!("refresh_at = {share}    # of the lifetime, by {refreshes} refreshes\n"),
        None if refreshes > 0 => {
            out += &format!("# refreshes: as {preset} does, or as the replay says; {refreshes} were seen\n")
        }
        None => {
            out += "# refreshes: none was seen, so they come at the usual 90 % of the lifetime, or as the preset does\n"
        }
    }
    match group.reuse_nonce {
        Some(reuse) => out += &format!("reuse_nonce = {reuse}    # whether a refresh carries credentials at once\n"),
        None => out += "# reuse_nonce: not seen\n",
    }
    let mut retry = format!("preset = \"{preset}\"");
    for (key, interval) in [("interval", group.retry.interval), ("forbidden_interval", group.retry.forbidden_interval)]
    {
        if let Some(interval) = interval {
            let _ = write!(retry, ", {key} = \"{}\"", format_duration(interval));
        }
    }
    let _ = writeln!(out, "retry     = {{ {retry} }}\n#   {}", group.retry.sentence(failures));
    out
}

impl RetryHabit {
    /// How well the preset fits, and by what.
    fn sentence(&self, failures: usize) -> String {
        let Some(residual) = self.residual else {
            return "no failure and no refresh was seen: how these phones try again is not known".to_owned();
        };
        let by = match (failures, self.refreshes) {
            (0, refreshes) => format!("by {refreshes} refreshes alone, for no failure was seen that says something"),
            (failures, 0) => format!("by what followed {failures} failures"),
            (failures, refreshes) => format!("by what followed {failures} failures, and {refreshes} refreshes"),
        };
        let rivals = match self.rivals.as_slice() {
            [] => String::new(),
            rivals => format!("; {} fits as well", rivals.join(", ")),
        };
        format!("nearest preset {by}; residual {residual:.2} (0 is exact, 1 is not at all){rivals}")
    }

    /// The same for a report.
    pub fn in_words(&self) -> String {
        self.sentence(self.failures)
    }
}

fn registrar(habits: &RegistrarHabits) -> String {
    let over = if habits.transport.is_stream() { "tcp" } else { "udp" };
    let mut out = format!(
        "# The embedded registrar, as far as it can do as the one that was seen.\n[registrar]\nlisten = [\"{over}://127.0.0.1:0\"]\n"
    );
    if let Some(realm) = habits.realm.as_deref().filter(|realm| is_quotable(realm)) {
        let _ = writeln!(out, "realm = {}", quoted(realm));
    }
    let algorithms: Vec<String> = habits.algorithms.iter().map(|one| quoted(one.as_str())).collect();
    if !algorithms.is_empty() {
        let _ = writeln!(out, "algorithms = [{}]", algorithms.join(", "));
    }
    let _ = writeln!(
        out,
        "min_expires = \"{}s\"\nmax_expires = \"{}s\"",
        habits.min_expires_s,
        habits.max_expires_s.max(habits.min_expires_s)
    );
    if let Some(lifetime) = habits.nonce_lifetime_s {
        let _ =
            writeln!(out, "nonce_lifetime = \"{lifetime}s\"    # by the age of nonces that were taken, and not taken");
    }
    for (code, times) in &habits.refusals {
        let what = if *code == 0 { "attempts had no answer".to_owned() } else { format!("attempts ended with {code}") };
        let _ = writeln!(out, "# {times} {what}: the embedded registrar does so only with a [[registrar.fault]]");
    }
    out
}

/// Where the phones registered, as a URI; `None` when the source names no address.
fn uri_of(trunk: &TrunkTrace) -> Option<String> {
    let address: std::net::SocketAddr = trunk.registrar.parse().ok()?;
    let transport = match trunk.transport {
        Some(Transport::Tcp) => ";transport=tcp",
        Some(Transport::Tls) => ";transport=tls",
        _ => "",
    };
    Some(format!("sip:{address}{transport}"))
}

/// The domain, where a profile can name it.
fn domain_of(trunk: &TrunkTrace) -> Option<&str> {
    let (host, port) = match trunk.domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (trunk.domain.as_str(), None),
    };
    let sound = match host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    (sound && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))).then_some(&trunk.domain)
}

fn is_quotable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '"' || c == '\\')
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c))
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(char::is_control)
}

/// RFC 4180: what would be taken for something else stands in quotes.
fn in_csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r', ';', '\t']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

const SECOND_NS: u64 = 1_000_000_000;
const TEN_MINUTES: Duration = Duration::from_secs(600);
const MOST_NAMED: usize = 8;
