//! The embedded registrar: the mirror image of an agent, without I/O. Bindings, nonces, limits, faults.

pub mod config;

pub use config::{Config, Delay, Fault, FaultKind};
