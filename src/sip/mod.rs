//! SIP as bytes and meaning, without agents, sockets or clocks.
//!
//! `scan` gives views over received bytes (liberal in), `challenge` and `contact` parse what a
//! registration needs out of them, `digest` computes RFC 7616 responses, `emit` writes REGISTER
//! requests and responses into a caller's buffer (strict out), `framing` cuts messages off a
//! stream, `uri` reads SIP URIs, `branch` is the token that leads an answer back to its agent,
//! `locate` finds out where requests to one go (RFC 3263), `redirect` where a 3xx sends them,
//! `timers` says how long an exchange may last, `code` holds default reason phrases, `mask` makes a
//! message fit to be shown. `fields` is the lexical ground the parsers stand on, `search` finds
//! where lines and values end, `short` copies short texts.
//!
//! Invariant one cannot see in the types: no function here allocates per message (but for
//! `Credentials::plain_username` of a name with escapes), none panics on any bytes, and values are
//! hashed and echoed exactly as they were received.
//!
//! `rsip` is used here and nowhere else: as a second opinion on where load goes (`uri`), and in
//! tests on messages. None of its types leave this room.
//!
//! # Fast paths
//!
//! What phones and registrars mostly write is read and written by a fast path; anything else goes
//! to its slow twin, which does the same for any bytes, and tests hold the two against each other.
//! What each saves of the 13 900 instructions of a challenged registration, found by switching it
//! off (`cargo bench --bench instructions`):
//!
//! | fast path | slow twin | saves |
//! |---|---|---|
//! | `emit::laid_out`: a request like one before is copied and written over | `RegisterTemplate::write_pieces` | 2 090 |
//! | `scan::head`, `fast_lines`: no folded lines | `any_lines` | 2 020 |
//! | `contact::as_sent`: our Contact comes back letter by letter | the loop of `binding` | 1 840 |
//! | `scan::branch`: a branch of ours | `any_branch` | 1 220 |
//! | `Response::via_is_ours`: our Via comes back | `topmost_via` | 1 210 |
//! | `challenge::familiar`: a challenge like the first but for the nonce | `survey` | 1 040 |
//! | `search`: sixteen bytes at a time | byte by byte | 790 |
//! | `Head::cseq`: our CSeq comes back | `any_cseq` | 360 |
//! | `scan::fast_status_line` | `status_line` | 260 |
//! | `scan::head`, `trim_line`: one blank before a value | `fields::trim` | 190 |
//! | `short`: copies of 8 to 32 bytes without a call | `copy_from_slice` | 70 |
//! | `DigestSet::fast_place`, `scheme`, `protection` | `put`, their loops | 0; 640 where `familiar` does not apply, as with two challenges in one answer, and in what a registrar reads |
//!
//! Read first: RFC 3261 §7, §10, §20, §25; RFC 7616 §3; RFC 8760 §2.4; RFC 4475 for what arrives in
//! practice.

pub mod branch;
pub mod challenge;
pub mod code;
pub mod contact;
pub mod digest;
pub mod emit;
mod fields;
pub mod framing;
pub mod locate;
pub mod mask;
mod overload;
pub mod redirect;
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
