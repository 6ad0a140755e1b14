//! Yesterday's traffic as tomorrow's test: what a replay does, and what `learn` makes of captures
//! of which the truth is known.
//!
//! Most captures are of virtual time, written down by a registrar that keeps a tape; those of SIPp
//! and Kamailio are in `taken`.

#[path = "../captures/packets.rs"]
#[expect(dead_code, reason = "the suite of captures needs all of it")]
mod packets;
#[path = "../support/mod.rs"]
mod support;

mod any;
mod command;
mod files;
mod habits;
mod replay;
mod tape;
