//! Datagrams nobody expected from their sender: answers to our requests from another address than
//! the one that was asked, and what belongs to no agent at all. A few senders each; whoever floods
//! us is not kept in full.

use super::rows::{MAX_TEXT, note};
use crate::vocab::{Time, said};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What one sender sent to a trunk's agents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnaskedRow {
    pub trunk: u16,
    /// Address and port.
    pub from: String,
    /// It is not where the trunk's requests go.
    pub elsewhere: bool,
    /// Answers to requests of ours.
    pub answers: u64,
    /// What belongs to no agent, or is no SIP.
    pub strays: u64,
    /// What strays look like: their first lines.
    pub examples: Vec<String>,
    pub first_ns: u64,
    pub last_ns: u64,
}

/// One datagram of those.
#[derive(Clone, Copy, Debug)]
pub struct Unasked<'a> {
    pub at: Time,
    pub from: SocketAddr,
    pub elsewhere: bool,
    /// It answers a request of ours.
    pub answers: bool,
    pub bytes: &'a [u8],
}

/// Senders of a trunk that are told apart.
const MOST: usize = 8;

/// Counts a datagram; `start` is the run's.
pub(super) fn count(rows: &mut Vec<UnaskedRow>, trunk: u16, start: Time, one: &Unasked<'_>) {
    let from = one.from.to_string();
    let at = one.at.nanos_since(start);
    let place = match rows.iter().position(|row| row.trunk == trunk && row.from == from) {
        Some(place) => place,
        None if rows.iter().filter(|row| row.trunk == trunk).count() < MOST => {
            let (answers, strays, examples) = (0, 0, Vec::new());
            let elsewhere = one.elsewhere;
            rows.push(UnaskedRow { trunk, from, elsewhere, answers, strays, examples, first_ns: at, last_ns: at });
            rows.len() - 1
        }
        None => return,
    };
    let row = &mut rows[place];
    row.last_ns = row.last_ns.max(at);
    if one.answers {
        row.answers += 1;
    } else {
        row.strays += 1;
        let line = one.bytes.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
        note(&mut row.examples, said(&line[..line.len().min(MAX_TEXT)]).as_bytes());
    }
}

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<UnaskedRow>, other: &UnaskedRow) {
    let Some(mine) = rows.iter_mut().find(|row| row.trunk == other.trunk && row.from == other.from) else {
        if rows.iter().filter(|row| row.trunk == other.trunk).count() < MOST {
            rows.push(other.clone());
        }
        return;
    };
    mine.answers += other.answers;
    mine.strays += other.strays;
    mine.first_ns = mine.first_ns.min(other.first_ns);
    mine.last_ns = mine.last_ns.max(other.last_ns);
    other.examples.iter().for_each(|text| note(&mut mine.examples, text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_senders_are_told_apart() {
        let mut rows = Vec::new();
        for n in 0..100u16 {
            let from = SocketAddr::from(([127, 0, 0, 1], 5000 + n % 20));
            let bytes = b"SIP/2.0 200 OK\r\nVia: x";
            let one = Unasked { at: Time::from_secs(2), from, elsewhere: true, answers: n % 2 == 0, bytes };
            count(&mut rows, 3, Time::from_secs(1), &one);
        }
        assert_eq!(rows.len(), MOST);
        assert_eq!((rows[0].answers, rows[0].strays, rows[1].answers, rows[1].strays), (5, 0, 0, 5));
        assert_eq!(
            (rows[1].examples.as_slice(), rows[1].first_ns),
            (&["SIP/2.0 200 OK".to_owned()][..], 1_000_000_000)
        );
        let mut all = rows.clone();
        rows.iter().for_each(|row| merge(&mut all, row));
        assert_eq!((all.len(), all[1].strays), (MOST, 10));
    }
}
