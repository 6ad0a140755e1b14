//! (room: live)
