//! Entries in, acts out: what was seen, taken apart by phones.

use super::entry::{Entry, SeenEnd, What};
use super::replay::Seen;
use super::trace::{PhoneAct, PhoneTrace, Trace};
use crate::vocab::{Kind, Status};
use std::collections::BTreeMap;

/// Takes what was seen apart by phones.
pub(super) fn trace(mut seen: Seen, remarks: Vec<String>) -> Trace {
    seen.entries.sort_by_key(|entry| entry.at);
    let start = seen.entries.first().map_or(seen.end, |entry| entry.at) / SECOND_NS * SECOND_NS;
    let end = seen.end.max(seen.entries.last().map_or(start, |entry| entry.at));
    let mut acts = Acts { start, done: vec![Vec::new(); seen.roster.len()], open: vec![None; seen.roster.len()] };
    let mut trunks = seen.roster.traced();
    let mut realms = vec![BTreeMap::<Vec<u8>, u64>::new(); trunks.len()];
    let mut messages = Vec::new();
    for entry in &seen.entries {
        match entry.what {
            What::Request { .. } | What::Retransmitted { .. } | What::Received { .. } => {
                count(&mut messages, entry.at.saturating_sub(start));
            }
            What::Offered { realm, offered, answered, .. } => {
                let trunk = usize::from(seen.roster.agents[entry.agent as usize].trunk);
                trunks[trunk].offered |= offered;
                trunks[trunk].answered |= answered.map_or(0, |place| 1 << place);
                *realms[trunk].entry(seen.words.text(realm).to_vec()).or_default() += 1;
            }
            _ => {}
        }
        acts.tell(entry);
    }
    for (trunk, realms) in trunks.iter_mut().zip(realms) {
        let most = realms.into_iter().filter(|(realm, _)| !realm.is_empty()).max_by_key(|(_, times)| *times);
        trunk.realm = most.map(|(realm, _)| String::from_utf8_lossy(&realm).into_owned());
    }
    let Acts { done, open, .. } = acts;
    let phones = seen.roster.agents.iter().zip(done.into_iter().zip(open)).map(|(agent, (mut acts, open))| {
        acts.extend(open.map(|act| PhoneAct { ended_ns: end - start, ..act }));
        let text = |word| String::from_utf8_lossy(seen.words.text(word)).into_owned();
        PhoneTrace {
            trunk: agent.trunk,
            user: agent.user.clone(),
            auth_user: agent.auth_user.clone(),
            user_agent: agent.user_agent.map(text),
            asked_s: agent.asked_s,
            acts,
        }
    });
    Trace {
        name: seen.name,
        source: seen.observed,
        start_ns: start,
        lasts_ns: end - start,
        trunks,
        phones: phones.collect(),
        messages,
        answers_missing: seen.answers_missing,
        remarks,
    }
}

fn count(messages: &mut Vec<u32>, at: u64) {
    let second = usize::try_from(at / SECOND_NS).unwrap_or(usize::MAX).min(MOST_SECONDS);
    if messages.len() <= second {
        messages.resize(second + 1, 0);
    }
    messages[second] += 1;
}

/// The acts of all phones as their entries are told.
struct Acts {
    start: u64,
    done: Vec<Vec<PhoneAct>>,
    open: Vec<Option<PhoneAct>>,
}

impl Acts {
    fn tell(&mut self, entry: &Entry) {
        let at = entry.at.saturating_sub(self.start);
        let agent = entry.agent as usize;
        match entry.what {
            What::Started { kind } => self.open[agent] = Some(PhoneAct::new(kind, at)),
            What::Retired => self.open[agent] = Some(PhoneAct::new(Kind::Unregister, at)),
            _ => {}
        }
        let Some(act) = &mut self.open[agent] else { return };
        match entry.what {
            What::Request { proved, .. } => {
                act.proved_at_once |= proved && act.messages == 0;
                act.messages = act.messages.saturating_add(1);
            }
            What::Retransmitted { .. } | What::Received { .. } => act.messages = act.messages.saturating_add(1),
            What::Challenged { .. } => act.challenges = act.challenges.saturating_add(1),
            What::Offered { stale, .. } => act.stale |= stale,
            What::Granted { asked_s, granted_s, .. } => act.granted = Some((asked_s, granted_s)),
            What::Ended(ref end) => {
                let SeenEnd { status, code, retry_after, .. } = **end;
                act.status = (status != Status::Abandoned).then_some(status);
                (act.code, act.retry_after_s) = (code, retry_after);
                self.close(agent, at);
            }
            What::UnregisterEnded { code, ok, .. } => {
                act.status = Some(if ok { Status::Registered } else { Status::RegistrationRejected });
                act.code = code;
                self.close(agent, at);
            }
            _ => {}
        }
    }

    fn close(&mut self, agent: usize, at: u64) {
        let act = self.open[agent].take();
        self.done[agent].extend(act.map(|act| PhoneAct { ended_ns: at, ..act }));
    }
}

const SECOND_NS: u64 = 1_000_000_000;
/// 400 days, as long as an observation may be.
const MOST_SECONDS: usize = 400 * 86_400;
