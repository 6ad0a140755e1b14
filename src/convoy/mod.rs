//! Several machines under one command: the workers of a fleet and its coordinator.
//!
//! They never speak to each other. Each leaves notes on a board that all can read ([`Board`], a
//! NATS server), and looks at it some times a second: an offer of a run, a mark of each worker that
//! is ready, the assignment of shares, orders, beats. What a worker records goes there as well,
//! frame by frame and in order, so whatever was missed in between is read again from where one was.
//!
//! `note` holds what is written, `offset` how far two clocks are apart, `parts` cuts frames into
//! messages and puts them together again. `coordinator` and `duty` decide: what to order, when a
//! worker is lost, when a worker is alone and must stop by itself. They are told the time and do no
//! I/O. `nats` is the board.
//!
//! Every note is a stranger's until it has been checked: its size and version here, what it would
//! have a worker do by that worker's own limits, which are `command`'s.

mod board;
mod coordinator;
mod duty;
#[cfg(feature = "fleet")]
mod nats;
mod note;
mod offset;
mod parts;

pub use board::{Board, BoardError, BoardNote};
pub use coordinator::{Coordinator, CoordinatorAction, FleetRules, OnLoss, WorkerStanding};
pub use duty::{DutyAction, WorkerDuty};
#[cfg(feature = "fleet")]
pub use nats::{NatsAccess, NatsBoard, without_credentials};
pub use note::{
    AssignedWorker, BadNote, CoordinatorBeat, FleetAssignment, FleetOffer, FleetOrder, FleetOrders, LONGEST_PROFILE,
    LeftBound, MOST_WORKERS, PROTOCOL, ReadyMark, WorkerBeat, WorkerStage, key, read_note, valid_name, written_note,
};
pub use offset::{ClockOffset, ClockReading};
pub use parts::{FrameAssembly, LONGEST_FRAME, PART_BYTES, PartHead, parts_of};
