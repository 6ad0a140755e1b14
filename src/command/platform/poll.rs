//! A platform that is asked again and again how its trunks stand, on a thread of its own: one that
//! is down or slow holds up nobody.

use super::super::failure::Failure;
use super::super::output::say;
use super::PlatformAsking;
use crate::diagnose::gate::Opinion;
use crate::net::clock::Clock;
use crate::platform::dialect;
use crate::platform::pull::{Pulled, questions_for_states};
use crate::profile::PlatformProfile;
use crate::record::platform::SeenState;
use crate::vocab::{Time, format_duration, printable};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A platform that was not heard of for so many of its turns, and a little, is not known any more.
const TURNS: u32 = 3;
const A_LITTLE: Duration = Duration::from_secs(10);
/// Questions a minute that are left to others of ours, of the budget's 120.
const SPARE: f64 = 0.8 * 120.0;

/// What one question brought.
#[derive(Clone, Debug)]
pub(in crate::command) struct PlatformPoll {
    /// When it was answered, or given up.
    pub at: Time,
    /// Until when it holds.
    pub until: Time,
    /// By our id of the trunk: what is said, and in which words.
    pub trunks: Vec<(String, Opinion, String)>,
}

/// Asks until it is dropped.
#[derive(Debug)]
pub(in crate::command) struct PlatformPoller {
    polls: UnboundedReceiver<PlatformPoll>,
    /// Its end ends the thread, once it is not waiting for an answer.
    _while_it_lasts: Sender<()>,
}

impl PlatformPoller {
    /// Begins to ask.
    ///
    /// # Errors
    /// When a secret is not at hand, its certificates cannot be used, or there is no thread;
    /// nothing was sent.
    pub(in crate::command) fn begin(
        platform: &PlatformProfile,
        every: Duration,
        clock: Clock,
    ) -> Result<PlatformPoller, Failure> {
        PlatformPoller::check(platform)?;
        let questions = questions_for_states(dialect(platform.kind), platform.trunks.len());
        let least = Duration::from_secs_f64(60.0 * questions as f64 / SPARE);
        if every < least && questions > 1 {
            say(&format!(
                "warning: {}: {questions} questions every {} are more than its budget allows; a round takes about {}",
                platform.id,
                format_duration(every),
                format_duration(Duration::from_secs(least.as_secs() + 1)),
            ));
        }
        let (answered, polls) = unbounded_channel();
        let (alive, over) = channel();
        let platform = platform.clone();
        let turn = every.max(least);
        let ask = move || {
            let Ok(mut asking) = PlatformAsking::new(&platform) else { return };
            let mut next = clock.now();
            loop {
                let pulled = asking.states().map_err(|error| error.to_string());
                let at = clock.now();
                let trunks = opinions(&platform, &pulled);
                if answered.send(PlatformPoll { at, until: at + turn * TURNS + A_LITTLE, trunks }).is_err() {
                    return;
                }
                // Questions that were due while one was waited for are not made up for.
                while next <= clock.now() {
                    next += every;
                }
                if over.recv_timeout(next.since(clock.now())) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("platform".to_owned()).spawn(ask);
        thread.map_err(|error| Failure::could_not(format!("the thread that asks a platform: {error}")))?;
        Ok(PlatformPoller { polls, _while_it_lasts: alive })
    }

    /// Whether it can be asked at all; nothing is sent.
    ///
    /// # Errors
    /// When a secret is not at hand, or its certificates cannot be used.
    pub(in crate::command) fn check(platform: &PlatformProfile) -> Result<(), Failure> {
        PlatformAsking::new(platform).map(drop)
    }

    /// What was learnt since the last time.
    pub(in crate::command) fn take(&mut self) -> Vec<PlatformPoll> {
        std::iter::from_fn(|| self.polls.try_recv().ok()).collect()
    }

    /// The next one; `None`: the thread is gone.
    pub(super) async fn next(&mut self) -> Option<PlatformPoll> {
        self.polls.recv().await
    }
}

/// What it says of each trunk; whatever is not said is unknown.
fn opinions(platform: &PlatformProfile, pulled: &Result<Pulled, String>) -> Vec<(String, Opinion, String)> {
    let of = |id: &String| match pulled {
        Err(why) => (Opinion::Unknown, why.clone()),
        Ok(pulled) => match pulled.states.iter().find(|state| state.trunk_id == *id) {
            Some(state) => opinion(state),
            None => (Opinion::Unknown, why_unknown(pulled, id)),
        },
    };
    platform
        .trunks
        .iter()
        .map(|(id, _)| {
            let (opinion, why) = of(id);
            (id.clone(), opinion, printable(&why).into_owned())
        })
        .collect()
}

fn opinion(state: &SeenState) -> (Opinion, String) {
    let (opinion, word) = match state.registered {
        Some(true) => (Opinion::Go, "registered"),
        Some(false) => (Opinion::NoGo, "not registered"),
        None => (Opinion::Unknown, "registered or not: it does not say"),
    };
    let since = if state.since.is_empty() { String::new() } else { format!(" since {}", state.since) };
    let detail = if state.detail.is_empty() { String::new() } else { format!("; {}", state.detail) };
    (opinion, format!("{}, {word}{since}{detail}", state.state))
}

fn why_unknown(pulled: &Pulled, id: &str) -> String {
    let seen = pulled.sources.iter().find(|seen| seen.trunk.is_empty() || seen.trunk == id);
    match seen {
        Some(seen) if !seen.said.is_empty() => seen.said.clone(),
        Some(seen) if seen.rows > 0 => "it shows other trunks, and not this one".to_owned(),
        _ => "an empty answer, as of nothing that is there or of a permission that is missing".to_owned(),
    }
}
