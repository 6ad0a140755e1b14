//! The signals that ask a command to end: SIGINT, SIGTERM and, where whoever started it has not
//! chosen to ignore it (`nohup`), SIGHUP.
//!
//! One rule for every command. The first asks for an end in good order; a further one, at least
//! `APART` later, for an end at once. One that comes sooner counts as the same request: `timeout`
//! signals its child and then its group, microseconds apart, and a terminal that is closed sends
//! SIGHUP and then SIGTERM.

use crate::net::clock::Clock;
use crate::net::usage::ignores_signal;
use crate::vocab::Time;
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals this close together are one.
const APART: Duration = Duration::from_secs(1);

/// Whoever listens here is asked to end.
pub struct Signals {
    clock: Clock,
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    last: Option<Time>,
}

impl Signals {
    /// Listens from now on, within a runtime.
    ///
    /// # Errors
    /// When the signals cannot be had.
    pub fn listen(clock: Clock) -> io::Result<Signals> {
        let hangup = SignalKind::hangup();
        Ok(Signals {
            clock,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: (!ignores_signal(hangup.as_raw_value())).then(|| signal(hangup)).transpose()?,
            last: None,
        })
    }

    /// The number of the next signal that counts. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> i32 {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => pending().await,
                }
            };
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = hangup => SignalKind::hangup(),
            };
            if counts(&mut self.last, self.clock.now()) {
                return kind.as_raw_value();
            }
        }
    }
}

fn counts(last: &mut Option<Time>, now: Time) -> bool {
    let counts = last.is_none_or(|last| now.since(last) >= APART);
    if counts {
        *last = Some(now);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_within_a_second_is_the_same_wish() {
        let mut last = None;
        let at = |ms: u64| Time::from_millis(5_000 + ms);
        let counted = [0, 0, 1, 999, 1_000, 1_001, 1_999, 2_000].map(|ms| counts(&mut last, at(ms)));
        assert_eq!(counted, [true, false, false, false, true, false, false, true]);
    }
}
