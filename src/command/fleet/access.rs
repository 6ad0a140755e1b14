//! The board of a fleet as a command line names it, and how far this machine's clock is from it.

use crate::cli::NatsArgs;
use crate::command::failure::Failure;
use crate::command::source::why_unreadable;
use crate::convoy::{Board, BoardError, ClockOffset, ClockReading, NatsAccess, NatsBoard, key, without_credentials};
use crate::net::clock::Clock;
use crate::vocab::{Secret, Time};

/// Exchanges of which the shortest is believed.
const EXCHANGES: usize = 30;

/// Connects to the board.
///
/// # Errors
/// When it is not reached, or a file of the access cannot be read.
pub(super) fn open(args: &NatsArgs, name: &str) -> Result<NatsBoard, Failure> {
    let files = [&args.nats_creds, &args.nats_nkey, &args.nats_ca, &args.nats_cert, &args.nats_key];
    for file in files.into_iter().flatten() {
        std::fs::File::open(file)
            .map_err(|error| Failure::usage(format!("{}: {}", file.display(), why_unreadable(&error))))?;
    }
    let access = NatsAccess {
        url: Secret::new(args.nats.as_str()),
        credentials: args.nats_creds.clone(),
        nkey: args.nats_nkey.clone(),
        ca: args.nats_ca.clone(),
        certificate: args.nats_cert.clone().zip(args.nats_key.clone()),
        name: format!("regstorm {name}"),
    };
    NatsBoard::open(&access)
        .map_err(|error| Failure::could_not(format!("the NATS server {}: {error}", without_credentials(&args.nats))))
}

/// How far this machine's clock is from the board's; `None` when its clock was set meanwhile.
///
/// # Errors
/// When the board is not reached.
pub(super) fn measured(
    board: &mut impl Board,
    clock: Clock,
    name: &str,
    exchanges: usize,
) -> Result<Option<ClockOffset>, BoardError> {
    let key = key::clock(name);
    let mut readings = Vec::with_capacity(exchanges);
    for _ in 0..exchanges {
        let sent_unix_ns = unix_ns(clock);
        let number = board.pin(&key, Vec::new())?;
        let acknowledged_unix_ns = unix_ns(clock);
        let Some(note) = board.read(&key)?.filter(|note| note.number == number) else { continue };
        readings.push(ClockReading { sent_unix_ns, acknowledged_unix_ns, stamped_unix_ns: note.left_unix_ns });
    }
    Ok(ClockOffset::best(&readings))
}

/// The first measurement of a run, as exact as it gets.
///
/// # Errors
/// As [`measured`].
pub(super) fn measured_well(
    board: &mut impl Board,
    clock: Clock,
    name: &str,
) -> Result<Option<ClockOffset>, BoardError> {
    measured(board, clock, name, EXCHANGES)
}

/// Now, as this machine's calendar has it.
pub(super) fn unix_ns(clock: Clock) -> i64 {
    i64::try_from(clock.unix_ns()).unwrap_or(i64::MAX)
}

/// A moment of the board's clock by this machine's; one that is past is now.
pub(super) fn time_of(clock: Clock, offset: ClockOffset, board_unix_ns: i64) -> Time {
    let moment = clock.sample();
    let now = i64::try_from(moment.unix_ns).unwrap_or(i64::MAX);
    let ahead = offset.local_unix_ns(board_unix_ns).saturating_sub(now);
    moment.now + std::time::Duration::from_nanos(u64::try_from(ahead).unwrap_or(0))
}
