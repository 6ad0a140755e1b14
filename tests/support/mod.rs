//! What the tests of the whole program share: the program itself as a child process, the files it
//! leaves behind, a registrar whose delay is known, a real Kamailio and a real name server, and the
//! only clock the tests read; and the small world of tests in virtual time.
//!
//! No assertion about regstorm lives here beyond what every run owes (its books balance); those are
//! in the tests.

#![allow(dead_code, reason = "each test binary includes this module and uses its own part of it")]

pub mod capture;
pub mod clock;
pub mod dns;
pub mod kamailio;
pub mod known;
pub mod memory_limit;
pub mod nats;
pub mod platform;
pub mod program;
pub mod redirecting;
pub mod results;
pub mod secured;
pub mod shim;
pub mod world;
