//! Packets of an attempt that failed, as a run keeps some of them for a person to look at.

use super::{AgentId, Kind, Place, Status, Time, TrunkId};
use std::net::SocketAddr;

/// Which way a packet went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Sent,
    Received,
}

/// One message of an attempt: a datagram, or what was cut off a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// When it was handed to the socket, or reached the machine.
    pub at: Time,
    pub direction: Direction,
    /// The agent's address.
    pub local: SocketAddr,
    /// The registrar's address.
    pub remote: SocketAddr,
    /// The message itself.
    pub bytes: Vec<u8>,
}

/// An attempt that failed, with its packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedAttempt {
    pub agent: AgentId,
    pub trunk: TrunkId,
    pub kind: Kind,
    /// Which attempt of its agent it is, counted from 1.
    pub number: u32,
    pub status: Status,
    /// Final response code; 0 when there was none.
    pub code: u16,
    /// Reason phrase of that response, or a word for what happened without one.
    pub reason: Vec<u8>,
    pub place: Place,
    /// In the order in which they were sent and received.
    pub packets: Vec<Packet>,
    /// Further packets of the attempt for which there was no room.
    pub left_out: u32,
}
