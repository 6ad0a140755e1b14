//! One simulated phone, without I/O: its registration, its transactions, its retries, its loops.

pub mod identity;
pub mod policy;

pub use identity::{Credential, Identity, IdentityBook};
pub use policy::{Backoff, RealmPolicy, RetryPolicy, Timers, TrunkPolicy};
