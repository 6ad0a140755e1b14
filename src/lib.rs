//! regstorm: a SIP registration load and soak tester.

pub mod agent;
pub mod cli;
pub mod command;
pub mod diagnose;
pub mod engine;
pub mod fleet;
pub mod link;
pub mod live;
pub mod load;
pub mod measure;
pub mod net;
pub mod plan;
pub mod profile;
pub mod record;
pub mod registrar;
pub mod report;
pub mod seed;
pub mod sim;
pub mod sip;
pub mod vocab;
