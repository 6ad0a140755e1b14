//! The server's own reasons for refusals, where it tells them: security events of Asterisk's
//! manager interface, sampled beside our count (`[[truth]]`).
//!
//! A server that says why it refuses is the best witness there is, of its own refusals. Whether
//! they are ours is shown by number and time: as many events of a reason as refusals of ours, and
//! hardly any when none of ours were. Without that the events are told and decide nothing: other
//! phones are refused by the same server.

use super::super::draft::{Draft, SOME, confidence};
use super::super::rivals::Rival;
use super::super::wording::counted;
use super::{Case, RefusalShape};
use crate::record::TruthSample;
use crate::vocab::Confidence;

/// What a server's event says of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ServerReason {
    /// Its access list refuses the address.
    AccessList,
    /// The account is there, and what it was shown is wrong.
    Proof,
    /// There is no such account.
    Account,
    /// It is too busy.
    Load,
}

/// Events of refusals, by name.
const REASONS: [(&str, ServerReason); 5] = [
    ("FailedACL", ServerReason::AccessList),
    ("InvalidPassword", ServerReason::Proof),
    ("ChallengeResponseFailed", ServerReason::Proof),
    ("InvalidAccountID", ServerReason::Account),
    ("LoadAverageLimit", ServerReason::Load),
];
/// The event of somebody who was let in.
const ACCEPTED: &str = "SuccessfulAuth";
/// Events that are ours come within this of our refusals: they are told with the next sample.
const SLACK_NS: u64 = 2_000_000_000;

/// What a server told of refusals while ours came.
pub(super) struct ServerWord {
    server: String,
    name: &'static str,
    reason: ServerReason,
    events: u64,
    /// As many as ours, and when ours came.
    agrees: bool,
    /// Of those let in as many as ours too: it answers for everybody.
    answers_all: bool,
}

impl Case<'_, '_> {
    /// The event that the trunk's server told most often meanwhile; one that agrees with our
    /// refusals before any other.
    fn word_of_the_server(&self) -> Option<ServerWord> {
        let results = self.view.results;
        let alone = results.header.trunks.len() == 1;
        let own = |trunk: Option<u16>| trunk == Some(self.view.trunk) || trunk.is_none() && alone;
        let servers = results.header.truths.iter().enumerate().filter(|(_, server)| own(server.trunk));
        let mut words: Vec<ServerWord> = Vec::new();
        for (n, server) in servers {
            let samples: Vec<&TruthSample> =
                results.truth.iter().filter(|sample| usize::from(sample.server) == n).collect();
            let accepted = told(&samples, ACCEPTED, |_| true);
            let ours = self.view.ticks.iter().map(super::super::view::Tick::accepted).sum::<u64>();
            for (name, reason) in REASONS {
                let events = told(&samples, name, |_| true);
                if events == 0 {
                    continue;
                }
                let stray = told(&samples, name, |window| !self.refused_within(window));
                let agrees = is_near(events, self.group.seen.count) && stray * 20 <= events;
                let answers_all = ours > 0 && is_near(accepted, ours);
                let server = server.named();
                words.push(ServerWord { server, name, reason, events, agrees, answers_all });
            }
        }
        // Two reasons that fit as well as each other say nothing.
        let fitting: Vec<ServerReason> = words.iter().filter(|word| word.agrees).map(|word| word.reason).collect();
        if fitting.iter().any(|reason| *reason != fitting[0]) {
            words.iter_mut().for_each(|word| word.agrees = false);
        }
        words.into_iter().max_by_key(|word| (word.agrees, word.events))
    }

    fn refused_within(&self, (from, until): (u64, u64)) -> bool {
        let inside =
            self.view.ticks.iter().filter(|tick| {
                tick.start_ns + self.view.tick_ns + SLACK_NS >= from && tick.start_ns <= until + SLACK_NS
            });
        inside.map(|tick| tick.of(self.group.key)).any(|refused| refused > 0)
    }

    /// The drafts as the server's own word leaves them.
    pub(super) fn with_the_servers_word(&self, mut drafts: Vec<Draft>) -> Vec<Draft> {
        let Some(word) = self.word_of_the_server() else { return drafts };
        let refusals = counted(self.group.seen.count, "refusal");
        let told = format!("{} told {} of {} meanwhile", word.server, counted(word.events, "event"), word.name);
        if !word.agrees {
            for draft in &mut drafts {
                draft.evidence.push(format!("{told}, which do not match these {refusals} in number and time"));
            }
            return drafts;
        }
        let (means, out) = match word.reason {
            ServerReason::AccessList => ("its access list refuses the address", &ADDRESS[..]),
            ServerReason::Proof => ("what these accounts answered was wrong", &CREDENTIALS[..]),
            ServerReason::Account => ("it has no such accounts", &ACCOUNTS[..]),
            ServerReason::Load => {
                for draft in &mut drafts {
                    draft.evidence.push(format!("{told}: it was too busy"));
                }
                return drafts;
            }
        };
        // What the server's own reason contradicts is not told beside it.
        let contradicted = |draft: &Draft| out.iter().any(|rival| rival.name() == draft.id);
        let left_out: Vec<&str> = drafts.iter().filter(|draft| contradicted(draft)).map(|draft| draft.id).collect();
        if !left_out.is_empty() {
            drafts.retain(|draft| !contradicted(draft));
            if drafts.is_empty() {
                drafts.push(self.plain(&counted(self.reach.hit, "agent"), RefusalShape::Anybody));
            }
        }
        let plain = super::plain_id(self.group.class);
        for draft in &mut drafts {
            draft.evidence.push(format!("{told}, as many as these {refusals} and when they came: {means}"));
            if draft.id != plain {
                continue;
            }
            draft.summary.push_str(&format!("; the server's own reason is {}: {means}", word.name));
            let why = format!("{}: the server's own reason is {}", in_words(out), word.name);
            draft.excludes_all(out, why);
            if word.answers_all {
                let why = "a single machine of several: the server that told it let in as many as were let in at all";
                draft.excludes(Rival::Node, why);
            }
            // What was open between causes of which the server names one is so no more.
            if draft.confidence == Confidence::Open {
                draft.confidence = confidence(self.group.seen.count, 0);
            }
        }
        drafts
    }
}

const ADDRESS: [Rival; 6] =
    [Rival::Limit, Rival::Rate, Rival::Realm, Rival::Overload, Rival::Accounts, Rival::AllAccounts];
const CREDENTIALS: [Rival; 4] = [Rival::Limit, Rival::Rate, Rival::Ban, Rival::Overload];
const ACCOUNTS: [Rival; 5] = [Rival::Limit, Rival::Rate, Rival::Ban, Rival::Overload, Rival::Realm];

fn in_words(rivals: &[Rival]) -> String {
    rivals.iter().map(|rival| rival.name()).collect::<Vec<_>>().join(", ")
}

/// Events of a name, told by samples whose time since the one before is wanted.
fn told(samples: &[&TruthSample], name: &str, wanted: impl Fn((u64, u64)) -> bool) -> u64 {
    let mut before = 0;
    let mut sum = 0;
    for sample in samples {
        let window = (before, sample.answered_ns());
        before = sample.answered_ns();
        let events = sample.heard.iter().filter(|(event, _)| event == name).map(|(_, count)| count).sum::<u64>();
        if events > 0 && wanted(window) {
            sum += events;
        }
    }
    sum
}

/// Within one in ten, and enough of them.
fn is_near(events: u64, ours: u64) -> bool {
    ours >= SOME && events.abs_diff(ours) * 10 <= ours
}
