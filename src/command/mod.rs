//! (room: command)

pub mod source;
