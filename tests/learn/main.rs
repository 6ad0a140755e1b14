//! Yesterday's traffic as tomorrow's test: what a replay does.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod replay;
