//! The embedded registrar from outside, under virtual time: datagrams in, datagrams out.
//!
//! `trace` is the one helper that touches the interface; `rules` is RFC 3261 §10.3 and the digest,
//! `users` whom it knows and how many contacts each may have, `faults` each kind of fault that
//! answers or holds, `wire` those that duplicate, reorder and corrupt, `any` generated input.

mod any;
mod faults;
mod rules;
mod trace;
mod users;
mod wire;
