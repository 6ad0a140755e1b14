//! How an attempt ends without a 2xx: what the books are told, and whether the registrar may have
//! bound the agent all the same.

use super::exchange::Failed;
use super::transaction::Transaction;
use crate::measure::Clues;
use crate::vocab::{Status, Trouble, Why};

/// How an attempt ends without a 2xx.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub failed: Failed,
    /// 0: no response.
    pub code: u16,
    pub reason: Why<&'a [u8]>,
    pub clues: Clues<'a>,
}

impl<'a> Ending<'a> {
    pub(super) fn refusal(failed: Failed, code: u16, reason: Why<&'a [u8]>) -> Self {
        Ending { failed, code, reason, clues: Clues::default() }
    }

    /// Without a response, or without one that is an answer.
    pub(super) fn trouble(failed: Failed, code: u16, trouble: Trouble) -> Self {
        Ending::refusal(failed, code, Why::Trouble(trouble))
    }

    pub(super) fn with(self, clues: Clues<'a>) -> Self {
        Ending { clues, ..self }
    }

    /// Whether the registrar may hold a binding all the same; `last` is the attempt's last
    /// transaction.
    ///
    /// Only a final refusal says that it does not, and only of a request that was sent once. Of
    /// several copies each may be judged by itself (by a proxy or registrar that keeps no
    /// transactions, against RFC 3261 §17.2.2), and the answer that granted one get lost.
    /// Credentials do not matter: a registrar that asks for none binds at the first request.
    pub(super) fn leaves_open(&self, last: Option<&Transaction>) -> bool {
        last.is_some_and(|last| {
            let doubtful = self.code < 300 || last.was_repeated();
            // What was on a connection that broke may have been read before.
            let broke = matches!(self.reason, Why::Trouble(Trouble::Connection(_)));
            doubtful && last.may_have_arrived(self.failed.status == Status::TransportError && !broke)
        })
    }
}
