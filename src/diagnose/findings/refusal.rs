//! Refusals and what is behind them: a limit, a ban, a trunk that comes and goes, an address that
//! is not welcome, or plainly the credentials.
//!
//! Refusals that were worded alike are explained together. The patterns are tried from the most
//! particular to the most general; each one passed over leaves the observation that contradicts it,
//! so that a reader can follow the choice.

mod heard;
mod limits;
mod machines;
mod requests;
mod same;

use super::cost::Cost;
use super::draft::{BY_CHANCE, Draft, SOME, confidence};
use super::nodes::{self, MachinesApart};
use super::pattern::{self, BindingCap, Cut, ForAgainst, RateCap, Reach, Wave};
use super::phrase::{self, Speaks};
use super::rivals::Rival;
use super::view::{Group, View};
use super::wording::counted;
use crate::vocab::{Class, Confidence, Kind, Place, Severity, format_duration, millis};
use std::time::Duration;

/// The findings of a trunk's refusals; those of the groups in `explained` have their finding
/// already.
pub(super) fn find(view: &View<'_>, explained: &[u16]) -> Vec<Draft> {
    let open = view.groups.iter().filter(|group| !explained.contains(&group.key));
    // An unusable challenge is no refusal of ours to explain, and a 408 speaks of silence further
    // on.
    let ours = open.filter(|group| !matches!(group.class, Class::Unusable | Class::AnsweredTimeout));
    let mut drafts: Vec<Draft> = Vec::new();
    // Which of the drafts are about a group.
    let mut about: Vec<(u16, usize)> = Vec::new();
    for group in ours {
        if let Some(main) = goes_along(view, group).filter(|main| about.iter().any(|(key, _)| *key == main.key)) {
            let case = Case::new(view, group);
            let fact = format!("{} more were answered {} {}", group.seen.count, case.answer(), case.place());
            for (_, draft) in about.iter().filter(|(key, _)| *key == main.key) {
                drafts[*draft].attempts += group.seen.count;
                drafts[*draft].evidence.push(fact.clone());
            }
            continue;
        }
        for draft in Case::new(view, group).explain() {
            // The same trouble in two wordings is one finding.
            let known = drafts.iter().position(|known| known.id == draft.id && is_plain(known) && is_plain(&draft));
            about.push((group.key, known.unwrap_or(drafts.len())));
            match known {
                Some(known) => merge(&mut drafts[known], draft),
                None => drafts.push(draft),
            }
        }
    }
    drafts
}

/// The same words at the other place, of which these refusals are a part: the few that met it
/// elsewhere, or those of whoever refuses any request.
fn goes_along<'v, 'a>(view: &'v View<'a>, group: &Group<'a>) -> Option<&'v Group<'a>> {
    let main = nodes::sibling(view, group)?;
    let few = group.seen.count * FEW <= main.seen.count;
    let of_requests = || nodes::in_turn(view, main).is_some_and(|turns| turns.of_requests);
    (main.seen.count >= group.seen.count && (few || of_requests())).then_some(main)
}

/// One in so many is the exception.
const FEW: u64 = 20;

/// Whether a finding carries no number or time of its own, so that two of the same id can be
/// merged.
fn is_plain(draft: &Draft) -> bool {
    !matches!(draft.id, "limit.concurrent" | "limit.rate" | "limit.contacts" | "oscillation" | "ban")
}

fn merge(known: &mut Draft, other: Draft) {
    known.attempts += other.attempts;
    known.agents = known.agents.max(other.agents);
    known.first_ns = known.first_ns.min(other.first_ns);
    known.last_ns = known.last_ns.max(other.last_ns);
    known.severity = known.severity.max(other.severity);
    known.evidence.push(other.summary);
    known.evidence.extend(other.evidence);
}

/// Whom plain refusals hit; that decides which rivals are out of the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RefusalShape {
    /// Everybody, from the first attempt on.
    Everybody,
    /// Everybody from a moment on, or for a time.
    Moment,
    /// Everybody at some addresses, nobody at the others.
    Address,
    /// Always the same agents.
    Same,
    /// None of these: nothing is out of the question.
    Anybody,
}

/// One group of refusals, with all patterns tried on it.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    group: &'v Group<'a>,
    reach: Reach,
    sources: Option<(Vec<u8>, Vec<u8>, ForAgainst)>,
    per_user: Option<(u64, ForAgainst)>,
    wave: Option<Wave>,
    cut: Option<Cut>,
    binding_cap: Option<BindingCap>,
    rate_cap: Option<RateCap>,
    told: Option<MachinesApart>,
    /// Un-REGISTERs that were answered 2xx, and with this very code.
    removed: u64,
    removal_refused: u64,
    rejected: Vec<String>,
}

impl<'v, 'a> Case<'v, 'a> {
    fn new(view: &'v View<'a>, group: &'v Group<'a>) -> Self {
        let removals = view.results.responses.iter();
        let removals = removals.filter(|row| row.trunk == view.trunk && row.kind == Kind::Unregister && !row.challenge);
        let answered =
            |of: &dyn Fn(u16) -> bool| removals.clone().filter(|row| of(row.code)).map(|row| row.count).sum();
        Case {
            view,
            group,
            reach: pattern::reach(view, group),
            sources: pattern::sources(view, group),
            per_user: pattern::per_user(view, group),
            wave: pattern::wave(view, group),
            cut: pattern::cut(view, group),
            binding_cap: pattern::binding_cap(view, group),
            rate_cap: pattern::rate_cap(view, group),
            told: nodes::told_apart(view, group),
            removed: answered(&|code| code / 100 == 2),
            removal_refused: answered(&|code| code == group.code),
            rejected: Vec::new(),
        }
    }

    fn explain(mut self) -> Vec<Draft> {
        let drafts = self.by_pattern();
        self.with_the_servers_word(drafts)
    }

    fn by_pattern(&mut self) -> Vec<Draft> {
        if self.reach.is_everybody() {
            return self.everybody();
        }
        if let Some(drafts) = self.by_machine() {
            return drafts;
        }
        if let Some(drafts) = self.by_source() {
            return drafts;
        }
        if let Some(draft) = self.by_contacts().or_else(|| self.by_wave()) {
            return vec![draft];
        }
        if let Some(drafts) = self.by_binding_cap() {
            return drafts;
        }
        // A rate lets some pass at any time; a moment from which on everybody is refused lets
        // nobody pass.
        if let Some(drafts) = self.by_rate_cap() {
            return drafts;
        }
        if let Some(drafts) = self.by_cut() {
            return drafts;
        }
        self.residual()
    }

    /// Whether we know which agents this group hit: agents keep classes, not groups, so only if no
    /// other group has this class.
    fn knows_its_agents(&self) -> bool {
        self.view.groups.iter().filter(|group| group.class == self.group.class).count() == 1
    }

    /// Nobody was ever accepted.
    fn everybody(&self) -> Vec<Draft> {
        // A capture may be a selection.
        let observed = self.view.results.header.observed.is_some();
        let whom = if observed { "every attempt that is seen" } else { "everybody, from the first attempt on" };
        if self.refuses_any_request() {
            // Some first requests were let through to the challenge.
            let plain = Draft { confidence: Confidence::Open, ..self.plain(whom, RefusalShape::Anybody) };
            return std::iter::once(plain).chain(self.maybe_counts_requests()).collect();
        }
        let plain = self.plain(whom, RefusalShape::Everybody);
        match self.group.class {
            Class::Unauthorized | Class::Stale => self.nobody_with_credentials(plain),
            _ => vec![plain],
        }
    }

    /// What every finding about this group says.
    fn draft(&self, id: &'static str, severity: Severity) -> Draft {
        let group = self.group;
        let mut draft = Draft::new(id, severity, Some(self.view.trunk));
        draft.agents = self.reach.hit;
        draft.saw(group.seen.clone());
        draft.rejected.clone_from(&self.rejected);
        draft.cost = Some(Cost::new(self.view, group.class, self.reach.hit, group.seen.count));
        draft.evidence.push(format!(
            "{} of {} attempts and {} of {} agents were answered {} {}",
            group.seen.count,
            self.view.attempts(),
            self.reach.hit,
            self.view.agents.len(),
            self.answer(),
            self.place()
        ));
        draft.evidence.extend(self.retry_after());
        if let Some((speaks, words)) = self.words() {
            draft.evidence.push(format!("the registrar's own words speak of {}: \"{words}\"", speaks.as_str()));
        }
        let unread: Vec<&str> = self.group.words.iter().copied().filter(|text| phrase::read(text).is_none()).collect();
        if !unread.is_empty() {
            draft.evidence.push(format!("the registrar adds: \"{}\"", unread.join("\", \"")));
        }
        if let Some(told) =
            self.told.as_ref().filter(|told| told.elsewhere * 50 <= told.refused && id != "node.failing")
        {
            let (refusing, accepting) = (machines::list(&told.refusing), machines::list(&told.accepting));
            draft.evidence.push(format!("the refusals come from {refusing}, the acceptances from {accepting}"));
        }
        draft
    }

    /// What the registrar's own words speak of, and which words: its reason phrase, or what it
    /// adds.
    fn words(&self) -> Option<(Speaks, &str)> {
        let texts = std::iter::once(self.group.reason).chain(self.group.words.iter().copied());
        texts.into_iter().find_map(|text| phrase::read(text).map(|speaks| (speaks, text)))
    }

    fn speaks(&self) -> Option<Speaks> {
        self.words().map(|(speaks, _)| speaks)
    }

    fn answer(&self) -> String {
        format!("{} {}", self.group.code, self.group.reason).trim_end().to_owned()
    }

    fn place(&self) -> &'static str {
        match self.group.place {
            Place::Unchallenged => "before any challenge",
            Place::AfterCredentials => "after credentials",
        }
    }

    fn retry_after(&self) -> Option<String> {
        let (least, most) = self.group.retry_after_s?;
        let span = if least == most { format!("{least} s") } else { format!("{least} to {most} s") };
        Some(format!("the answer asked to wait {span} (Retry-After)"))
    }

    fn reject(&mut self, what: &str, why: String) {
        self.rejected.push(format!("{what}: {why}"));
    }

    fn by_source(&mut self) -> Option<Vec<Draft>> {
        let Some((refused, accepted, tally)) = self.sources.clone() else {
            if self.view.results.header.trunks[usize::from(self.view.trunk)].sources.len() > 1 {
                self.reject("source address", "the same answers came at every source address".to_owned());
            }
            return None;
        };
        if !tally.holds(0.01) {
            let why = format!("{} attempts went against the division by address", tally.against);
            self.reject("source address", why);
            return None;
        }
        let name = |list: &[u8]| list.iter().map(|source| self.view.source(*source)).collect::<Vec<_>>().join(", ");
        let (refused, accepted) = (name(&refused), name(&accepted));
        let mut draft = self.draft(plain_id(self.group.class), Severity::Critical);
        draft.confidence = confidence(tally.pro, tally.against);
        draft.summary = format!(
            "everything from {refused} is refused with {} {}, while {accepted} is accepted",
            self.answer(),
            self.place()
        );
        draft.evidence.push(format!("{} refusals from {refused}, none from {accepted}", tally.pro));
        draft.rejected.push("credentials: the same kind of credentials is accepted from the other address".to_owned());
        self.exclude(&mut draft, RefusalShape::Address);
        draft.advice.push(format!("have {refused} added to the addresses the trunk accepts (access list, whitelist)"));
        // Where they were accepted before, it may be a ban just as well.
        if self.reach.only_refused * 2 > self.reach.hit || !self.may_be_a_ban() {
            return Some(vec![draft]);
        }
        draft.confidence = Confidence::Open;
        draft.summary.push_str(&format!(" since {} after the start", span(self.group.seen.first_ns)));
        let mut ban = self.draft("ban", Severity::Critical);
        ban.confidence = Confidence::Open;
        ban.summary.clone_from(&draft.summary);
        ban.excludes(Rival::Limit, "limit on registrations: agents of the other address got in all the time");
        Some(vec![draft, ban])
    }

    fn by_contacts(&mut self) -> Option<Draft> {
        let (limit, tally) = self.per_user?;
        // One agent for each user is the normal case, and no statement about contacts.
        if tally.pro == 0 || !tally.holds(0.02) {
            return None;
        }
        let mut draft = self.draft("limit.contacts", Severity::Critical);
        draft.confidence = confidence(tally.pro, tally.against);
        draft.summary =
            format!("an address of record may have {limit} contacts: one more is refused with {}", self.answer());
        draft.evidence.push(format!(
            "{} agents were refused, each of a user with exactly {limit} others registered; nobody else was",
            tally.pro
        ));
        draft.excludes(Rival::Accounts, "credentials: no user without other contacts was refused");
        draft.excludes(Rival::Limit, "limit on registrations: users with fewer contacts were let in all the time");
        draft
            .advice
            .push("raise the contacts allowed per address of record, or give each agent a user of its own".to_owned());
        Some(draft)
    }

    fn by_wave(&mut self) -> Option<Draft> {
        let Some(wave) = self.wave.clone().filter(|wave| wave.tally.holds(0.05)) else {
            self.reject("oscillation", "refusals do not come and go with a period for everybody".to_owned());
            return None;
        };
        let mut draft = self.draft("oscillation", Severity::Critical);
        draft.confidence = confidence(wave.tally.pro, wave.tally.against);
        if wave.downs < 3 && draft.confidence == Confidence::High {
            draft.confidence = Confidence::Medium;
        }
        draft.summary = format!(
            "the trunk comes and goes with a period of {}: for {} of it everything is refused with {}",
            span(wave.period_ns),
            span(wave.down_ns),
            self.answer()
        );
        draft.evidence.push(format!(
            "refused {} times, first {} after the start (less whole periods), each border known to {}; {} answers fit the \
             wave, {} do not",
            wave.downs,
            span(wave.phase_ns),
            span(wave.blur_ns),
            wave.tally.pro,
            wave.tally.against
        ));
        let in_phase = self.reach.hit - self.reach.only_refused;
        draft.evidence.push(format!("{in_phase} of the {} agents hit were accepted in between", self.reach.hit));
        draft.excludes(Rival::Accounts, "credentials: the same agents are accepted in the other half of the period");
        let others: u64 =
            self.view.ticks.iter().map(|tick| tick.answered() - tick.accepted() - tick.of(self.group.key)).sum();
        if others == 0 {
            draft.excludes(Rival::Ban, "ban: nobody had failed before the refusals began, each time");
        }
        // Phones that are refused with each refresh and come back once they have lapsed make a wave
        // as well, with the period of their own habits.
        let new = self.refused_without_a_binding();
        let refreshed: u64 = self.view.ticks.iter().map(|tick| tick.refreshed).sum();
        if new >= SOME || refreshed >= SOME {
            draft.excludes(
                Rival::Renewals,
                format!("refreshes that fail: {new} attempts to gain a binding were refused too, and {refreshed} refreshes taken"),
            );
        }
        draft.advice.push("look for what happens with that period on the registrar's side: a health check that flaps, a failover pair, a provisioning job".to_owned());
        Some(draft)
    }

    fn by_cut(&mut self) -> Option<Vec<Draft>> {
        let cut = self.cut.clone().filter(|cut| cut.tally.holds(0.02) && cut.before >= SOME)?;
        let hits_the_accepted = cut.refreshes > 0
            || cut.below_peak > 0
            || self.removal_refused > 0
            || self.reach.hit > self.reach.only_refused;
        if !hits_the_accepted && cut.until_ns.is_none() {
            self.reject("ban", "nobody who was accepted once was refused later".to_owned());
            return None;
        }
        if let Some(until) = cut.until_ns {
            return Some(self.for_a_time(&cut, until, hits_the_accepted));
        }
        let whom = format!("everybody from {} after the start on", span(cut.at_ns));
        let mut plain = self.plain(&whom, RefusalShape::Moment);
        let refreshes = (self.refused_without_a_binding() == 0).then(|| {
            let unseen = "all of them held a binding: whether a new registration would be taken was not seen";
            plain.evidence.push(unseen.to_owned());
            plain.confidence = Confidence::Open;
            self.maybe_refreshes_alone(&cut, unseen)
        });
        let mut drafts = if self.may_be_a_ban() { self.ban_or_accounts(&cut, plain) } else { vec![plain] };
        drafts.extend(refreshes);
        Some(drafts)
    }

    /// Nobody new came while refreshes were refused: they alone may be.
    fn maybe_refreshes_alone(&self, cut: &Cut, unseen: &str) -> Draft {
        let mut draft = self.draft("refresh.failing", Severity::Critical);
        draft.confidence = Confidence::Open;
        draft.summary = format!(
            "every refresh from {} after the start on is answered {}: it may be for refreshing, and not for who asks",
            span(cut.at_ns),
            self.answer()
        );
        draft.evidence.push(unseen.to_owned());
        draft.advice.push("register a new agent, or one of these from anew, while refreshes are refused".to_owned());
        draft
    }

    /// Whether an address that is shut out would be answered so: with 403, or with a code that says
    /// nothing of its own.
    fn may_be_a_ban(&self) -> bool {
        match self.group.class {
            Class::Forbidden | Class::ForbiddenAfterAuth => true,
            // RFC 3261 §21.4.18: unavailable for a time.
            Class::Refused if self.group.code == 480 => false,
            Class::Refused => self.speaks().is_none_or(|speaks| speaks == Speaks::Ban),
            _ => false,
        }
    }

    /// Everybody is refused for a time. Where nobody came twice, and agents came in the order of
    /// their list, accounts that are missing from its middle look the same.
    fn for_a_time(&self, cut: &Cut, until: u64, hits_the_accepted: bool) -> Vec<Draft> {
        let whom = format!("everybody from {} to {} after the start", span(cut.at_ns), span(until));
        let mut plain = self.plain(&whom, RefusalShape::Moment);
        if !self.may_be_a_ban() {
            return vec![plain];
        }
        if !hits_the_accepted && !self.view.results.header.order_drawn {
            plain.confidence = Confidence::Open;
            plain.evidence.push(
                "nobody of them came back later: certain agents, one after another in the list, or a stretch of time"
                    .to_owned(),
            );
        }
        let mut ban = Draft { confidence: Confidence::Open, ..self.ban(cut) };
        ban.summary = format!("{whom} is refused with {} {}, and was accepted before", self.answer(), self.place());
        let banned = self.speaks() == Some(Speaks::Ban);
        plain.confidence = Confidence::Open;
        if banned { vec![ban, plain] } else { vec![plain, ban] }
    }

    /// Everybody is refused from a moment on. A ban does that; so do passwords that were replaced,
    /// accounts that were disabled, a trunk that was switched off. Nothing that was counted here
    /// excludes any of them.
    fn ban_or_accounts(&self, cut: &Cut, plain: Draft) -> Vec<Draft> {
        let mut ban = Draft { confidence: Confidence::Open, ..self.ban(cut) };
        let mut accounts = Draft { confidence: Confidence::Open, ..plain };
        let (likelier, why) = match (self.group.place, self.speaks()) {
            (_, Some(Speaks::Ban)) => (true, "the registrar's own words speak of a ban"),
            (_, Some(_)) => {
                ban.severity = Severity::Warning;
                (false, "the registrar's own words speak of something else than a ban")
            }
            (Place::Unchallenged, None) => {
                (true, "the refusal comes before any challenge: it does not look at credentials")
            }
            (Place::AfterCredentials, None) => {
                (false, "the registrar goes on challenging, and refuses what is answered: it looks at credentials")
            }
        };
        for draft in [&mut ban, &mut accounts] {
            draft.evidence.push(why.to_owned());
        }
        accounts.summary.push_str(": passwords or accounts that were changed, or a ban");
        ban.advice.push(
            "register one agent from another address with the same credentials: if it is accepted, this address is banned".to_owned(),
        );
        let mut drafts = if likelier { vec![ban, accounts] } else { vec![accounts, ban] };
        drafts.extend(self.another_machine());
        drafts
    }

    /// Refusals of agents that held no binding.
    fn refused_without_a_binding(&self) -> u64 {
        let refused = self.view.ticks.iter().filter_map(|tick| tick.refused.get(&self.group.key));
        refused.map(|refused| refused.new).sum()
    }

    fn ban(&self, cut: &Cut) -> Draft {
        let mut draft = self.draft("ban", Severity::Critical);
        draft.confidence = confidence(cut.tally.pro, cut.tally.against);
        draft.summary = format!(
            "everybody is refused with {} {} from {} after the start on, and was accepted before",
            self.answer(),
            self.place(),
            span(cut.at_ns)
        );
        draft.evidence.push(format!(
            "{} answers before were 2xx, {} after were refusals, {} do not fit",
            cut.before, cut.tally.pro, cut.tally.against
        ));
        if cut.refreshes > 0 {
            draft.evidence.push(format!("{} refreshes of registered agents were refused too", cut.refreshes));
        }
        if cut.below_peak > 0 {
            draft.evidence.push(format!("{} refusals came when fewer were registered than before", cut.below_peak));
        }
        if self.removal_refused > 0 {
            draft
                .evidence
                .push(format!("{} un-REGISTERs were refused with {} as well", self.removal_refused, self.group.code));
        }
        if cut.refreshes > 0 || cut.below_peak > 0 || self.removal_refused > 0 {
            draft.excludes(Rival::Limit, "limit on registrations: what was bound already was refused as well");
        }
        draft.advice.push("look for this address in the registrar's ban list (fail2ban, pike, dynamic access list); wait for the ban to end before the next test, and keep the rate lower".to_owned());
        draft
    }

    /// No pattern in time: always the same agents, or anybody.
    fn residual(&mut self) -> Vec<Draft> {
        if let Some(draft) = self.dropped() {
            return vec![draft];
        }
        if let Some(turns) = nodes::in_turn(self.view, self.group) {
            return self.by_node(turns);
        }
        if let Some(draft) = self.nonces_by_turns() {
            return vec![draft];
        }
        if self.reach.is_subset() {
            let refused = counted(self.reach.only_refused, "agent");
            let (others, spared) = match self.reach.only_accepted {
                1 => ("while one other is never refused".to_owned(), "1 agent was".to_owned()),
                n => (format!("while {n} others are never refused"), format!("{n} agents were")),
            };
            // Of an agent that gave up at once nobody knows how it would have fared again.
            let how = match (self.group.seen.count > self.reach.hit, self.reach.only_refused) {
                (true, _) => "always the same",
                (false, 1) => "at its only attempt",
                (false, _) => "each at its only attempt",
            };
            let whom = format!("{refused}, {how}, {others}");
            self.reject("everybody", format!("{spared} accepted and never refused"));
            let mut drafts = vec![self.plain(&whom, RefusalShape::Same)];
            drafts.extend(self.one_machines_agents());
            return drafts;
        }
        let spells = pattern::stretches(self.view, self.group).filter(|(_, tally)| tally.holds(0.05));
        if let Some((&[(_, until)], _)) = spells.as_ref().map(|(windows, tally)| (windows.as_slice(), tally)) {
            let whom = format!("everybody until {} after the start", span(until));
            return vec![self.plain(&whom, RefusalShape::Moment)];
        }
        if let Some((windows, _)) = spells {
            let [first, last] = [windows[0], windows[windows.len() - 1]].map(|(from, until)| [span(from), span(until)]);
            let whom = format!(
                "everybody, in {} stretches of time, the first from {} to {} after the start, the last from {} to {}",
                windows.len(),
                first[0],
                first[1],
                last[0],
                last[1]
            );
            return vec![self.plain(&whom, RefusalShape::Moment)];
        }
        self.scattered()
    }

    /// Neither time nor agents set the refusals apart: what they may be for all that.
    fn scattered(&self) -> Vec<Draft> {
        let share = 100.0 * self.group.seen.count as f64 / self.view.attempts().max(1) as f64;
        let whom = format!("{share:.1} % of all attempts, without a pattern in time or among agents");
        let plain = self.plain(&whom, RefusalShape::Anybody);
        let rate = if self.refuses_any_request() && nodes::follows_time_or_load(self.view, self.group) == Some(true) {
            self.maybe_counts_requests()
        } else {
            None
        };
        let mut drafts = vec![plain];
        drafts.extend(rate);
        drafts.extend(self.maybe_one_machine());
        if drafts.len() > 1 {
            drafts[0].confidence = Confidence::Open;
        }
        drafts
    }

    /// Agents that had been in are refused from some moment on and stay out, while others go on as
    /// ever, after the last of these refusals too.
    fn dropped(&self) -> Option<Draft> {
        let Reach { hit, only_refused, only_accepted, out } = self.reach;
        let stay_out = out >= SOME && out * 50 >= hit * 49 && only_refused * 2 <= hit;
        if !stay_out || only_accepted < SOME || !self.knows_its_agents() {
            return None;
        }
        let (first, last) = (self.group.seen.first_ns, self.group.seen.last_ns);
        let accepted = |from: u64, until: u64| -> u64 {
            let inside = self.view.ticks.iter().filter(|tick| (from..until).contains(&tick.start_ns));
            inside.map(|tick| tick.accepted()).sum()
        };
        // Were anybody refused by chance, others would have been refused later on.
        let (during, afterwards) = (accepted(first, last), accepted(last, u64::MAX));
        let share = self.group.seen.count as f64 / (self.group.seen.count + during) as f64;
        let once = self.group.seen.count < 2 * hit;
        if once && (1.0 - share).powf(afterwards as f64) >= BY_CHANCE {
            return None;
        }
        let whom = format!(
            "{out} agents that had been registered, from {} after the start on, while {only_accepted} others are never refused",
            span(first)
        );
        let mut draft = self.plain(&whom, RefusalShape::Same);
        if once {
            draft.confidence = Confidence::Open;
            draft.evidence.push("they do not try again: whether they would be refused later was not seen".to_owned());
        }
        Some(draft)
    }

    /// A refusal that is what it says.
    fn plain(&self, whom: &str, shape: RefusalShape) -> Draft {
        let mut draft = self.draft(plain_id(self.group.class), Severity::Warning);
        // Agents that never got in, or were turned out and do not come again.
        let given_up = draft.cost.and_then(|cost| cost.give_up).unwrap_or(0);
        let stay_out = self.reach.only_refused.max(self.reach.out.min(given_up));
        let loops = self.loops();
        let agents = self.view.agents.len() as u64;
        let far_from_back = self.reach.out * 10 >= agents && self.reach.out >= SOME;
        if loops > 0 || (stay_out > 0 && stay_out * 100 >= agents) || far_from_back {
            draft.severity = Severity::Critical;
        }
        draft.confidence = confidence(self.group.seen.count, 0);
        draft.summary = format!("{} {}: {whom}", self.answer(), self.place());
        if loops > 0 {
            draft.evidence.push(format!("{loops} agents loop: three times or more the same refusal in a row"));
        }
        let user = self.group.seen.agents.first().and_then(|agent| self.view.results.header.users.get(*agent as usize));
        if let Some(user) = user {
            draft.advice.push(format!(
                "`regstorm diagnose --live PROFILE --agent {user}` changes one thing at a time until the refusal becomes a 200"
            ));
        }
        if self.group.class == Class::Stale {
            draft.evidence.push("the answer to a fresh nonce was called stale each time".to_owned());
        }
        self.exclude(&mut draft, shape);
        draft
    }

    fn loops(&self) -> u64 {
        let ours = |row: &&crate::measure::LoopRow| {
            row.trunk == self.view.trunk && row.code == self.group.code && row.place == self.group.place
        };
        let mut agents: Vec<u32> = self.view.results.loops.iter().filter(ours).map(|row| row.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        agents.len() as u64
    }
}

/// The finding that says no more than the refusal itself.
fn plain_id(class: Class) -> &'static str {
    match class {
        Class::Forbidden => "loop.403.unchallenged",
        Class::ForbiddenAfterAuth => "loop.403.after-auth",
        Class::Unauthorized => "loop.401",
        Class::Stale => "loop.stale-nonce",
        Class::NotFound => "not-found",
        Class::TooBrief => "loop.423",
        Class::ServerError => "server-error",
        _ => "refused",
    }
}

fn span(ns: u64) -> String {
    let precise = Duration::from_nanos(ns);
    // What is longer than a minute is not known to the millisecond.
    let rounded = if ns >= 60_000_000_000 {
        Duration::from_secs(precise.as_secs())
    } else {
        Duration::from_millis(millis(precise))
    };
    format_duration(rounded)
}
