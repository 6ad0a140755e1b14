//! What a person sees while a run goes on. Reads published intervals and slows no worker down.

pub mod plain;

pub use plain::Plain;
