//! Registrations out of a platform's event log, which shows neither credentials nor requests of
//! their own.
//!
//! What is assumed, since a log does not say it:
//!
//! * A record with a code is a REGISTER and its answer, both at the record's time. A record without
//!   one, or with a provisional one, is a REGISTER; the user's next record within 32 s (Timer F)
//!   with a code is its answer.
//! * A 401 or 407 followed within five seconds by another REGISTER of the same user was its
//!   challenge: the two are one attempt, and the second carried credentials. Any other 401 or 407
//!   is a final answer.
//! * A granted lifetime is not shown, so no binding is said to have lapsed.
//! * Records stand in order of time, or the newest first; both are put right.

use super::roster::TrunkKey;
use super::trace::Trace;
use super::watch::{Ask, AskContact, Carried, Reply, SeenChallenge, Watch, print_of};
use super::wire::stored;
use super::{Observation, ObserveError, Watched};
use crate::record::Observed;
use crate::record::eventlog::{EventLog, LogRecord};
use crate::sip::contact;
use crate::sip::timers::TIMER_F_NS;
use std::collections::HashMap;

/// Lays out a log; `name` is what the results call it.
///
/// # Errors
/// When it shows no registration, or its times span years.
pub fn of_log(log: EventLog, name: &str) -> Result<Observation, ObserveError> {
    let (seen, remarks) = watched(log, name)?;
    Observation::of(seen, remarks)
}

/// The same, phone by phone.
///
/// # Errors
/// As [`of_log`].
pub fn trace_log(log: EventLog, name: &str) -> Result<Trace, ObserveError> {
    let (seen, remarks) = watched(log, name)?;
    super::traced(seen, remarks)
}

fn watched(log: EventLog, name: &str) -> Result<Watched, ObserveError> {
    let EventLog { mut records, others, messages } = log;
    // What was kept whole says more than a record of it.
    if records.is_empty() && !messages.is_empty() {
        return stored(&messages, name);
    }
    put_in_order(&mut records);
    let mut remarks = remarks(&records, others);
    let mut reading = LogWatch { watch: Watch::new(), unanswered: HashMap::new() };
    let end = records.last().map_or(0, |record| record.at_ns);
    // Each is let go once it has been read: what is made of it takes as much room.
    for record in records {
        reading.record(&record)?;
    }
    let (mut seen, gaps) = reading.watch.finish(name.to_owned(), Observed::EventLog, end);
    if gaps.silent {
        seen.answers_missing = true;
        remarks.push("no record has a response code: nothing is known of any answer".to_owned());
    }
    Ok((seen, remarks))
}

/// A log that goes backwards is turned round, so that records of one second keep their order.
fn put_in_order(records: &mut [LogRecord]) {
    let steps = || records.windows(2).map(|pair| pair[0].at_ns.cmp(&pair[1].at_ns));
    let (up, down) = (steps().filter(|step| step.is_lt()).count(), steps().filter(|step| step.is_gt()).count());
    if down > up {
        records.reverse();
    }
    records.sort_by_key(|record| record.at_ns);
}

fn remarks(records: &[LogRecord], others: u64) -> Vec<String> {
    let mut remarks = Vec::new();
    if others > 0 {
        remarks.push(format!("{others} records are of other methods than REGISTER"));
    }
    let has = |codes: &[u16]| records.iter().any(|record| record.code.is_some_and(|code| codes.contains(&code)));
    if has(&[403]) && !has(&[401, 407]) {
        remarks.push(
            "no challenge is in the log, and a platform may leave them out: whether a 403 came before or after \
             credentials cannot be told from it; a capture shows it"
                .to_owned(),
        );
    }
    remarks
}

struct LogWatch {
    watch: Watch,
    /// By user and trunk: the transaction of a REGISTER that has no answer yet, and its time.
    unanswered: HashMap<(TrunkKey, String), (u64, u64)>,
}

impl LogWatch {
    fn record(&mut self, record: &LogRecord) -> Result<(), ObserveError> {
        let (user, domain) = address(&record.from);
        // A `To` without a user names the registrar's domain; a `From` without a domain is on it.
        let domain = if domain.is_empty() { address(&record.to).1 } else { domain };
        let trunk = TrunkKey { registrar: record.trunk.as_ref().to_owned(), domain: domain.to_ascii_lowercase() };
        let key = (trunk, user);
        let waiting = self.unanswered.remove(&key);
        let waiting = waiting.filter(|&(_, at)| record.code.is_some() && record.at_ns.saturating_sub(at) < TIMER_F_NS);
        let transaction = match waiting {
            Some((transaction, _)) => transaction,
            None => {
                let transaction = print_of(&[&record.number.to_be_bytes()]);
                self.watch.ask(&ask(record, &key, transaction))?;
                transaction
            }
        };
        if let Some(code) = record.code {
            self.watch.reply(&reply(record, transaction, code));
        }
        // A 100 says that there is an answer to come.
        if record.code.is_none_or(|code| code < 200) {
            self.unanswered.insert(key, (transaction, waiting.map_or(record.at_ns, |(_, at)| at)));
        }
        Ok(())
    }
}

fn ask<'a>(record: &'a LogRecord, (trunk, user): &'a (TrunkKey, String), transaction: u64) -> Ask<'a> {
    Ask {
        at: record.at_ns,
        bytes: 0,
        trunk: trunk.clone(),
        transport: None,
        user,
        source: None,
        call_id: record.call_id.as_bytes(),
        transaction,
        carried: Carried::Unknown,
        asked_s: None,
        removes: false,
        contact: AskContact::default(),
        sent_by: b"",
        request: None,
    }
}

fn reply(record: &LogRecord, transaction: u64, code: u16) -> Reply<'_> {
    Reply {
        at: record.at_ns,
        bytes: 0,
        transaction,
        code,
        reason: record.reason.as_bytes(),
        challenge: SeenChallenge::default(),
        min_expires: None,
        retry_after: None,
        response: None,
    }
}

/// User and host of an address as a log writes it: `<sip:agent@example.com>`, `agent@example.com`
/// or `agent`.
fn address(text: &str) -> (String, String) {
    let parts = contact::address_of_record(text.as_bytes());
    if let Some((user, host)) = parts {
        let owned = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        return (owned(user), owned(host));
    }
    let bare = text.trim().trim_matches(['<', '>']);
    let (user, host) = bare.split_once('@').unwrap_or((bare, ""));
    (user.to_owned(), host.to_owned())
}
