//! (room: fleet)

pub mod wheel;
