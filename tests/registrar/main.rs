//! The embedded registrar from outside, under virtual time: datagrams in, datagrams out.
//!
//! `trace` is the one helper that touches the interface; `rules` is RFC 3261 §10.3 and the digest, `faults` each kind of
//! fault, `any` generated input.

mod any;
mod faults;
mod rules;
mod trace;
