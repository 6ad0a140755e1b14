//! SIP as bytes and meaning, without agents, sockets or clocks.
//!
//! `scan` gives views over received bytes (liberal in), `challenge` and `contact` parse what a registration needs out
//! of them, `digest` computes RFC 7616 responses, `emit` writes REGISTER requests and responses into a caller's buffer
//! (strict out), `framing` cuts messages off a stream, `uri` reads SIP URIs, `branch` is the token that leads an answer
//! back to its agent, `timers` says how long an exchange may last, `code` holds default reason phrases, `mask` makes a
//! message fit to be shown. `fields` is the lexical ground the parsers stand on,
//! `search` finds where lines and values end, `short` copies short texts.
//!
//! Invariant one cannot see in the types: no function here allocates per message (but for `Credentials::plain_username` of
//! a name with escapes), none panics on any bytes, and values are hashed and echoed exactly as they were received.
//!
//! `rsip` is used here and nowhere else: as a second opinion on where load goes (`uri`), and in tests on messages. None
//! of its types leave this room.
//!
//! Read first: RFC 3261 §7, §10, §20, §25; RFC 7616 §3; RFC 8760 §2.4; RFC 4475 for what arrives in practice.

pub mod branch;
pub mod challenge;
pub mod code;
pub mod contact;
pub mod digest;
pub mod emit;
mod fields;
pub mod framing;
pub mod mask;
pub mod scan;
mod search;
mod short;
pub mod timers;
pub mod uri;

pub use branch::{Branch, Token};
pub use challenge::{Challenge, Role, choose};
pub use digest::{Algorithm, AlgorithmSet, Credential, Ha1, HexDigest, Protection, Qop};
pub use scan::{Malformed, Request, Response};
pub use timers::Timers;
