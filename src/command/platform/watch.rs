//! `regstorm platform watch`: how a platform says that trunks stand, from question to question.

use super::super::failure::{Exit, Failure};
use super::super::hook::Hook;
use super::super::output::{print, say, write_files};
use super::super::watch::{SHORTEST, duration};
use super::chosen;
use super::poll::{PlatformPoll, PlatformPoller};
use crate::cli::PlatformWatchArgs;
use crate::diagnose::findings::counted;
use crate::diagnose::flips::TrunkFlips;
use crate::diagnose::gate::Opinion;
use crate::engine::Signals;
use crate::net::clock::Clock;
use crate::record::results;
use crate::report::watch::{PlatformChange, PlatformTrunk, platform_exposition};
use crate::vocab::{Time, format_duration};
use std::path::{Path, PathBuf};

pub(super) fn execute(args: &PlatformWatchArgs) -> Result<Exit, Failure> {
    let every = duration("--every", &args.every)?.max(SHORTEST);
    let lasts = args.lasts.as_deref().map(|text| duration("--for", text)).transpose()?;
    let (_, platform) = chosen(&args.of)?;
    let clock = Clock::new();
    let poller = PlatformPoller::begin(&platform, every, clock)?;
    let hook = args.hook.as_deref().map(|command| Hook::new(command, clock)).transpose();
    let hook = hook.map_err(|error| Failure::could_not(format!("the hook's thread: {error}")))?;
    let now = clock.now();
    let row = |(id, _): &(String, String)| WatchedTrunk { id: id.clone(), flips: TrunkFlips::new(now), told: false };
    let trunks: Vec<WatchedTrunk> = platform.trunks.iter().map(row).collect();
    say(&format!(
        "asking {} about {} every {}; a line at each change",
        platform.id,
        counted(trunks.len() as u64, "trunk"),
        format_duration(every)
    ));
    let until = lasts.map_or(Time::NEVER, |lasts| now + lasts);
    let (json, metric) = (args.json, args.metric_file.clone());
    let mut watch = StateWatch { platform: platform.id.clone(), trunks, clock, hook, json, metric };
    super::super::runtime()?.block_on(watch.keep(poller, until))?;
    let go = watch.trunks.iter().all(|trunk| trunk.flips.opinion() == Opinion::Go);
    Ok(if go { Exit::Success } else { Exit::ThresholdFailed })
}

struct StateWatch {
    platform: String,
    trunks: Vec<WatchedTrunk>,
    clock: Clock,
    hook: Option<Hook>,
    json: bool,
    /// Rewritten whole after each answer.
    metric: Option<PathBuf>,
}

struct WatchedTrunk {
    id: String,
    flips: TrunkFlips,
    /// Something was said of it already.
    told: bool,
}

impl StateWatch {
    /// From answer to answer, until a time or a signal.
    async fn keep(&mut self, poller: PlatformPoller, until: Time) -> Result<(), Failure> {
        let mut signals = Signals::listen(self.clock).map_err(Failure::could_not)?;
        self.listen(poller, until, &mut signals).await?;
        if let Some(hook) = self.hook.take() {
            hook.end(&mut signals).await;
        }
        Ok(())
    }

    async fn listen(&mut self, mut poller: PlatformPoller, until: Time, signals: &mut Signals) -> Result<(), Failure> {
        // Until when what was said last holds.
        let mut stale = Time::NEVER;
        loop {
            let rest = until.min(stale).since(self.clock.now());
            tokio::select! {
                poll = poller.next() => {
                    let Some(poll) = poll else {
                        return Err(Failure::could_not("the thread that asks the platform ended"));
                    };
                    stale = poll.until;
                    self.hear(&poll)?;
                }
                () = tokio::time::sleep(rest) => {
                    if self.clock.now() >= until {
                        return Ok(());
                    }
                    stale = Time::NEVER;
                    self.lose()?;
                }
                _ = signals.next() => return Ok(()),
            }
        }
    }

    /// Takes an answer.
    fn hear(&mut self, poll: &PlatformPoll) -> Result<(), Failure> {
        for (id, opinion, why) in &poll.trunks {
            self.say(id, poll.at, *opinion, why)?;
        }
        self.write()
    }

    /// Nothing was heard for too long.
    fn lose(&mut self) -> Result<(), Failure> {
        let ids: Vec<String> = self.trunks.iter().map(|trunk| trunk.id.clone()).collect();
        for id in ids {
            self.say(&id, self.clock.now(), Opinion::Unknown, "the platform has not answered for too long")?;
        }
        self.write()
    }

    fn say(&mut self, id: &str, at: Time, opinion: Opinion, why: &str) -> Result<(), Failure> {
        let Some(trunk) = self.trunks.iter_mut().find(|trunk| trunk.id == id) else { return Ok(()) };
        let changed = trunk.flips.hear(at, opinion);
        if !changed && trunk.told {
            return Ok(());
        }
        trunk.told = true;
        let flips = trunk.flips.clone();
        let change = self.change(id, &flips, (at, opinion), why);
        print(&if self.json { change.json() } else { change.line() })?;
        if let Some(hook) = &self.hook {
            hook.tell(change.variables());
        }
        Ok(())
    }

    fn change(&self, id: &str, flips: &TrunkFlips, (at, opinion): (Time, Opinion), why: &str) -> PlatformChange {
        let found = flips.rhythm();
        let seconds = |ns: u64| ns as f64 / 1e9;
        PlatformChange {
            time: self.utc(at),
            platform: self.platform.clone(),
            trunk_id: id.to_owned(),
            state: opinion.as_str(),
            reason: why.to_owned(),
            flips: flips.count(),
            period_s: found.map(|found| seconds(found.period_ns)),
            down_s: found.map(|found| seconds(found.down_ns)),
            next: flips.next(at).map(|next| self.utc(next)),
        }
    }

    /// A moment in UTC, whole seconds.
    fn utc(&self, at: Time) -> String {
        let moment = self.clock.sample();
        let ahead = i128::from(at.nanos_since(moment.now)) - i128::from(moment.now.nanos_since(at));
        results::utc(i128::from(moment.unix_ns) + ahead, 0)
    }

    fn write(&self) -> Result<(), Failure> {
        let Some(path) = &self.metric else { return Ok(()) };
        let rows = self.trunks.iter().map(|trunk| PlatformTrunk {
            trunk_id: trunk.id.clone(),
            registered: match trunk.flips.opinion() {
                Opinion::Go => Some(true),
                Opinion::NoGo => Some(false),
                Opinion::Unknown => None,
            },
            flips: trunk.flips.count(),
            period_s: trunk.flips.rhythm().map(|found| found.period_ns as f64 / 1e9),
        });
        let unix_s = i64::try_from(self.clock.unix_ns() / 1_000_000_000).unwrap_or(i64::MAX);
        let text = platform_exposition(&self.platform, &rows.collect::<Vec<_>>(), unix_s);
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        write_files(folder, &[(&name.to_string_lossy(), text.into_bytes())])
    }
}
