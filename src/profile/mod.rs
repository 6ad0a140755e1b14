//! (room: profile)
