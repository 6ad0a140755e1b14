//! What each phone did, one act after another: what a profile is learnt from, where results only
//! say how many did it.

use crate::record::Observed;
use crate::vocab::{Kind, OWN_HEADERS, Status, Transport};
use std::collections::BTreeMap;

/// Everything phones were seen to do. Times are nanoseconds since [`Trace::start_ns`].
#[derive(Debug)]
pub struct Trace {
    /// The source's name.
    pub name: String,
    pub source: Observed,
    /// Since the Unix epoch; a whole second.
    pub start_ns: u64,
    /// How long was watched.
    pub lasts_ns: u64,
    pub trunks: Vec<TrunkTrace>,
    pub phones: Vec<PhoneTrace>,
    /// Messages of registrations in each second, both ways.
    pub messages: Vec<u32>,
    /// The answers are missing: what became of requests is not known.
    pub answers_missing: bool,
    /// What a reader has to know of the source. A sentence each.
    pub remarks: Vec<String>,
}

/// A registrar and a domain.
#[derive(Clone, Debug, Default)]
pub struct TrunkTrace {
    /// `10.0.0.5:5060`, or the trunk's name in a log; empty when a log names none.
    pub registrar: String,
    pub domain: String,
    /// `None`: the source does not say.
    pub transport: Option<Transport>,
    /// Addresses that its phones sent from.
    pub sources: usize,
    /// Of the challenges, the most frequent one.
    pub realm: Option<String>,
    /// Algorithms on offer, as in `measure::Offer`.
    pub offered: u8,
    /// Those that were answered with, one bit each by position in `sip::Algorithm::ALL`.
    pub answered: u8,
    /// Headers of REGISTERs beyond those that each has: name, value, and how many phones sent it.
    pub headers: Vec<(String, String, u32)>,
}

/// One phone.
#[derive(Clone, Debug)]
pub struct PhoneTrace {
    pub trunk: u16,
    pub user: String,
    /// The name in its credentials, where it is another than the user.
    pub auth_user: Option<String>,
    pub user_agent: Option<String>,
    /// The lifetime it asked for last.
    pub asked_s: Option<u32>,
    /// In order of time; none overlaps the next.
    pub acts: Vec<PhoneAct>,
}

/// One attempt, or one un-REGISTER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhoneAct {
    pub kind: Kind,
    pub began_ns: u64,
    pub ended_ns: u64,
    /// `None`: it was still open when watching ended. Of an un-REGISTER, `Registered` when it was
    /// accepted.
    pub status: Option<Status>,
    /// 0: no answer.
    pub code: u16,
    pub retry_after_s: Option<u32>,
    /// The lifetimes asked for and granted, where the source shows them.
    pub granted: Option<(u32, u32)>,
    /// Its first request carried credentials.
    pub proved_at_once: bool,
    /// Challenges that were answered in it.
    pub challenges: u8,
    /// One of them called the nonce stale.
    pub stale: bool,
    pub messages: u16,
}

impl PhoneAct {
    pub(super) fn new(kind: Kind, at: u64) -> PhoneAct {
        PhoneAct {
            kind,
            began_ns: at,
            ended_ns: at,
            status: None,
            code: 0,
            retry_after_s: None,
            granted: None,
            proved_at_once: false,
            challenges: 0,
            stale: false,
            messages: 0,
        }
    }

    pub fn is_success(&self) -> bool {
        self.status == Some(Status::Registered)
    }
}

/// What most REGISTERs have besides [`OWN_HEADERS`], and what somebody on the way puts in (RFC 3261
/// §20, RFC 3327).
const ORDINARY: [&str; 5] = ["User-Agent", "Path", "Date", "Timestamp", "Content-Type"];

/// The headers of phones, each with how many phones sent it: at most [`MOST_HEADERS`] for a trunk.
#[derive(Debug, Default)]
pub(super) struct HeadersSeen(BTreeMap<(u16, String, String), u32>);

impl HeadersSeen {
    pub(super) fn add(&mut self, trunk: u16, name: &[u8], value: &[u8]) {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let (Some(name), Some(value)) = (text(name), text(value)) else { return };
        let ordinary = OWN_HEADERS.iter().chain(&ORDINARY).any(|own| own.eq_ignore_ascii_case(&name));
        if ordinary || value.len() > MOST_VALUE {
            return;
        }
        let key = (trunk, name, value);
        if self.0.len() < MOST_HEADERS || self.0.contains_key(&key) {
            *self.0.entry(key).or_default() += 1;
        }
    }

    pub(super) fn of(&self, trunk: u16) -> Vec<(String, String, u32)> {
        let own = self.0.iter().filter(|((of, ..), _)| *of == trunk);
        own.map(|((_, name, value), phones)| (name.clone(), value.clone(), *phones)).collect()
    }
}

const MOST_HEADERS: usize = 4_096;
const MOST_VALUE: usize = 200;
