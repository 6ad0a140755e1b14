//! What the registrar counted: every datagram and every answer has a place here.
//!
//! Only numbers; nothing is judged. Two sums always hold:
//!
//! * `received` and `requests_duplicated` are the sum of `registers`, `options`, `other_methods`,
//!   `ignored`, `malformed`, `requests_dropped`, `frozen_overflow` and of what is frozen or held
//!   back now;
//! * `registered`, `options_answered`, `challenges`, all `refusals` and `replies_duplicated`
//!   together are the sum of `replies_sent`, `replies_dropped`, `replies_discarded` and of what is
//!   held now.

use std::collections::BTreeMap;

/// Totals since the registrar was made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Datagrams handed in.
    pub received: u64,
    /// REGISTER requests handled, retransmissions included.
    pub registers: u64,
    /// OPTIONS requests handled.
    pub options: u64,
    /// Requests of any other method, ACK excepted.
    pub other_methods: u64,
    /// Datagrams that need no answer: keep-alives, ACKs, stray responses.
    pub ignored: u64,
    /// Datagrams that are no readable SIP request; those with a Via, unless they are ACKs, are
    /// answered 400.
    pub malformed: u64,

    /// 200 to REGISTER.
    pub registered: u64,
    /// 200 to OPTIONS.
    pub options_answered: u64,
    /// 401 in all.
    pub challenges: u64,
    /// 401 that carried `stale=true`.
    pub stale_challenges: u64,
    /// 401 to credentials: wrong response, realm or algorithm, or a nonce that is not ours.
    pub rejected_credentials: u64,
    /// Final answers other than 2xx and 401, by status code.
    pub refusals: BTreeMap<u16, u64>,

    /// Addresses of record with at least one binding, when time was last told.
    pub bindings: u64,
    /// The most of them at any time.
    pub bindings_peak: u64,
    /// Bindings made, refreshed, removed on request, expired, and pushed out by newer ones of the
    /// same address of record.
    pub added: u64,
    pub refreshed: u64,
    pub removed: u64,
    pub expired: u64,
    pub replaced: u64,

    /// Requests and replies lost to a `drop` fault.
    pub requests_dropped: u64,
    pub replies_dropped: u64,
    /// Copies of requests and replies that a `duplicate` fault made.
    pub requests_duplicated: u64,
    pub replies_duplicated: u64,
    /// Requests held by a `reorder` fault.
    pub requests_reordered: u64,
    /// Replies spoilt by a `corrupt` fault.
    pub replies_corrupted: u64,
    /// Replies held back by a `delay`, `reorder` or `freeze` fault.
    pub replies_delayed: u64,
    /// Requests set aside by a `freeze` fault, and those beyond what it can hold.
    pub requests_frozen: u64,
    pub frozen_overflow: u64,
    /// Replies handed out, and replies given up: too many held, too long for the buffer, or frozen
    /// for good.
    pub replies_sent: u64,
    pub replies_discarded: u64,
}

impl Counts {
    /// Answers with this status code other than 2xx and 401.
    pub fn refused(&self, code: u16) -> u64 {
        self.refusals.get(&code).copied().unwrap_or(0)
    }
}
