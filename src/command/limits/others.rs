//! Who else is registered on the trunk of a search, by the server's own count (`[[truth]]`).

use crate::command::failure::Failure;
use crate::command::output::say;
use crate::command::truths;
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::record::limits::{Concurrent, OthersCount};
use crate::truth::{TruthSource, ask_once};
use crate::vocab::{Confidence, TrunkId};

/// A server that counts this trunk, asked before the first phone.
pub(super) struct Others {
    server: TruthSource,
    named: String,
    before: u64,
    clock: Clock,
}

impl Others {
    /// Asks; `None` where no server counts this trunk alone, or where it does not say, which is
    /// told.
    ///
    /// # Errors
    /// When a server may not be asked.
    pub(super) fn ask(plan: &Plan, trunk: TrunkId, clock: Clock) -> Result<Option<Others>, Failure> {
        let servers = truths::servers(plan)?;
        let known = truths::before(plan, servers.clone(), Vec::new(), (clock, true));
        let own = known.headers.iter().zip(servers).find(|(header, _)| header.trunk == Some(trunk.0));
        Ok(own
            .and_then(|(header, server)| Some(Others { server, named: header.named(), before: header.before?, clock })))
    }

    /// Asks once more, now that no phone of the search is registered.
    pub(super) fn again(self) -> OthersCount {
        let after = ask_once(0, &self.server, self.clock).count;
        if let Err(why) = &after {
            say(&format!("warning: what {} holds after the search is not known: {why}", self.named));
        }
        OthersCount { server: self.named, before: self.before, after: after.ok() }
    }
}

/// What a limit is worth when this is known of others: as many before as after, and it is the whole
/// limit; otherwise somebody came or went meanwhile, and it may be a few more or fewer.
pub(super) fn weigh(concurrent: &mut Concurrent, others: Option<OthersCount>, stated: bool) {
    concurrent.exclusive = stated;
    let Some(others) = others.filter(|_| concurrent.limit.is_some()) else { return };
    if !others.is_steady() && !stated {
        let least = concurrent.confidence == Confidence::Low.as_str();
        concurrent.confidence = if least { Confidence::Low } else { Confidence::Medium }.as_str();
    }
    let after = others.after.map_or_else(|| "an unknown number".to_owned(), |after| after.to_string());
    concurrent.confidence_because +=
        &format!("; {} held {} before the first phone and {after} after the last", others.server, others.before);
    concurrent.others = Some(others);
}
