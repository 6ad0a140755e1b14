//! One simulated phone, without I/O: its registration, its transactions, its retries, its loops.
//!
//! Read first: RFC 3261 §10.2 (registering), §17.1.2 (the non-INVITE client transaction), RFC 7616
//! §3.4 and RFC 8760 §2.4 (answering a challenge), RFC 5626 §4.5 (waiting before a retry).
//!
//! One way in: [`Agent::handle`] takes an [`Input`] and the time, reports what happened as
//! [`crate::measure::Event`]s through a callback, and returns whether a request is to be sent now.
//! The caller asks the safety ceiling and then calls [`Agent::sent`] or [`Agent::refused`].
//! [`Agent::deadline`] is the one time at which it wants to be woken. There is no queue inside: a
//! million agents wait in a million small structs.

pub mod answer;
mod authentication;
pub mod check;
mod ending;
pub mod exchange;
pub mod identity;
pub mod looping;
pub mod policy;
pub mod probe;
mod registration;
#[cfg(test)]
mod registration_tests;
pub mod retry;
pub mod transaction;

pub use identity::{Credential, Identity, IdentityBook, call_id};
pub use policy::{
    AfterLoss, Backoff, CheckPolicy, Codes, OnIcmp, Patience, RealmPolicy, Refresh, RetryAfter, RetryPolicy,
    TrunkPolicy, WholeSeconds,
};
pub use registration::{Agent, Context, Input, MOST_OTHERS, Outgoing};
