//! Refusals and what is behind them: a limit, a ban, a trunk that comes and goes, an address that
//! is not welcome, or plainly the credentials.
//!
//! Refusals that were worded alike are explained together. The patterns are tried from the most
//! particular to the most general; each one passed over leaves the observation that contradicts it,
//! so that a reader can follow the choice.

use super::cost::Cost;
use super::draft::{Draft, SOME, confidence};
use super::nodes;
use super::pattern::{self, BindingCeiling, Cut, ForAgainst, RateCap, Reach, Wave};
use super::phrase::{self, Speaks};
use super::view::{Group, View};
use super::wording::counted;
use crate::vocab::{Class, Confidence, Kind, Phase, Place, Severity, Status, format_duration, millis};
use std::time::Duration;

/// The findings of a trunk's refusals; those of the groups in `explained` have their finding
/// already.
pub(super) fn find(view: &View<'_>, explained: &[u16]) -> Vec<Draft> {
    let open = view.groups.iter().filter(|group| !explained.contains(&group.key));
    // An unusable challenge is no refusal of ours to explain, and a 408 speaks of silence further
    // on.
    let ours = open.filter(|group| !matches!(group.class, Class::Unusable | Class::AnsweredTimeout));
    let mut drafts: Vec<Draft> = Vec::new();
    for group in ours {
        for draft in Case::new(view, group).explain() {
            // The same trouble in two wordings is one finding.
            match drafts.iter_mut().find(|known| known.id == draft.id && is_plain(known) && is_plain(&draft)) {
                Some(known) => merge(known, draft),
                None => drafts.push(draft),
            }
        }
    }
    drafts
}

/// Whether a finding names no number or time of its own that another one could differ in.
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

/// One group of refusals, with all patterns tried on it.
struct Case<'v, 'a> {
    view: &'v View<'a>,
    group: &'v Group<'a>,
    reach: Reach,
    sources: Option<(Vec<u8>, Vec<u8>, ForAgainst)>,
    per_user: Option<(u64, ForAgainst)>,
    wave: Option<Wave>,
    cut: Option<Cut>,
    ceiling: Option<BindingCeiling>,
    throttle: Option<RateCap>,
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
            ceiling: pattern::ceiling(view, group),
            throttle: pattern::throttle(view, group),
            removed: answered(&|code| code / 100 == 2),
            removal_refused: answered(&|code| code == group.code),
            rejected: Vec::new(),
        }
    }

    fn explain(mut self) -> Vec<Draft> {
        if self.reach.is_everybody() {
            return self.everybody();
        }
        if let Some(draft) = self.by_source().or_else(|| self.by_contacts()).or_else(|| self.by_wave()) {
            return vec![draft];
        }
        if let Some(drafts) = self.by_ceiling() {
            return drafts;
        }
        // A rate lets some pass at any time; a moment from which on everybody is refused lets
        // nobody pass.
        if let Some(draft) = self.by_throttle() {
            return vec![draft];
        }
        if let Some(drafts) = self.by_cut() {
            return drafts;
        }
        self.residual()
    }

    /// Nobody was ever accepted.
    fn everybody(&self) -> Vec<Draft> {
        // A capture may be a selection.
        let observed = self.view.results.header.observed.is_some();
        let plain =
            self.plain(if observed { "every attempt that is seen" } else { "everybody, from the first attempt on" });
        if self.group.class != Class::Unauthorized {
            return vec![plain];
        }
        // Machines that do not know each other's nonces answer right credentials just so, and
        // everybody's.
        if self.others_get_in() {
            let why = "machines that do not share their nonces: another trunk registers at the same address".to_owned();
            return vec![Draft { rejected: vec![why], ..plain }];
        }
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        node.summary = format!(
            "every answer to credentials is another {}: that fits machines behind the address that do not share their nonces",
            self.answer()
        );
        node.advice.push(
            "register one agent by hand at one machine: if it is accepted there, the credentials are right".to_owned(),
        );
        vec![Draft { confidence: Confidence::Open, ..plain }, node]
    }

    /// Whether agents of another trunk register at the same address.
    fn others_get_in(&self) -> bool {
        let trunks = &self.view.results.header.trunks;
        let here = &trunks[usize::from(self.view.trunk)].target;
        let totals = self.view.results.trunk_totals.iter().enumerate();
        let others = totals.filter(|(n, _)| *n != usize::from(self.view.trunk) && trunks[*n].target == *here);
        others.into_iter().any(|(_, totals)| totals.sums.status[Status::Registered.index()] > 0)
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
        if let Some(speaks) = self.speaks() {
            draft.evidence.push(format!("the registrar's own words speak of {}", speaks.as_str()));
        }
        draft
    }

    fn speaks(&self) -> Option<Speaks> {
        phrase::read(self.group.reason)
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

    fn by_source(&mut self) -> Option<Draft> {
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
        draft.advice.push(format!("have {refused} added to the addresses the trunk accepts (access list, whitelist)"));
        Some(draft)
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
        draft.rejected.push("credentials: the same agents are accepted in the other half of the period".to_owned());
        draft.advice.push("look for what happens with that period on the registrar's side: a health check that flaps, a failover pair, a provisioning job".to_owned());
        Some(draft)
    }

    fn by_ceiling(&mut self) -> Option<Vec<Draft>> {
        if !may_be_a_limit(self.group.class) {
            let why = format!("{} speaks of the agent, not of how many there are", self.group.code);
            self.reject("limit on registrations", why);
            return None;
        }
        let ceiling = self.ceiling.clone()?;
        if !ceiling.tally.holds(0.01) {
            let ForAgainst { pro, against } = ceiling.tally;
            let why =
                format!("{against} of {} refusals came with fewer than {} bindings", pro + against, ceiling.limit);
            self.reject("limit on registrations", why);
            return None;
        }
        let says_so = self.speaks() == Some(Speaks::Limit);
        if ceiling.refreshes_refused * 50 > ceiling.refreshed.max(1) && !says_so {
            let why = format!(
                "{} refreshes were refused too; a limit would have let them through",
                ceiling.refreshes_refused
            );
            self.reject("limit on registrations", why);
            return None;
        }
        if self.removal_refused > self.removed && !says_so {
            let why =
                format!("{} un-REGISTERs were refused too; a limit would have let them through", self.removal_refused);
            self.reject("limit on registrations", why);
            return None;
        }
        // The chance that so many were accepted before the first refusal if a fixed share of the
        // agents were refused.
        let share = self.reach.hit as f64 / (self.reach.hit + self.reach.only_accepted).max(1) as f64;
        let by_chance = (1.0 - share).powf(ceiling.accepted_before as f64);
        if ceiling.accepted_before < SOME || by_chance > 1e-3 {
            self.reject(
                "limit on registrations",
                format!("only {} were accepted before the first refusal", ceiling.accepted_before),
            );
            return None;
        }
        let refused_before = self.refused_otherwise();
        if refused_before * 2 > self.reach.hit {
            let why = format!("{refused_before} of the {} agents were refused with other words before", self.reach.hit);
            self.reject("limit on registrations", why);
            return None;
        }
        Some(self.limit_and_rivals(&ceiling))
    }

    /// Agents hit that were also refused in another way.
    fn refused_otherwise(&self) -> u64 {
        let others =
            REFUSALS.iter().filter(|class| **class != self.group.class).fold(0, |bits, class| bits | class.bit());
        self.view.met(&[self.group.class]).filter(|(_, agent)| agent.met & others != 0).count() as u64
    }

    /// The limit, and what else would look like it here.
    fn limit_and_rivals(&self, ceiling: &BindingCeiling) -> Vec<Draft> {
        let mut drafts = vec![self.limit(ceiling)];
        if let Some(ban) = self.undecided_ban(ceiling) {
            drafts[0].confidence = Confidence::Open;
            drafts.push(ban);
        }
        // Whoever is refused because there are too many is let in once there are fewer. Agents who
        // come in the order of their list and are refused from one of them on may just as well
        // never have been set up.
        let let_in_later = self.reach.hit - self.reach.only_refused;
        let drawn = self.view.results.header.order_drawn;
        if drawn {
            drafts[0].rejected.push(
                "accounts missing from some point in the list onward: the order of arrival was drawn at random"
                    .to_owned(),
            );
        } else if let_in_later == 0 && ceiling.refilled == 0 && self.speaks() != Some(Speaks::Limit) {
            drafts[0].confidence = Confidence::Open;
            drafts[0].advice.push(
                "run again with the list in another order: a limit then refuses others, a missing account the same ones".to_owned(),
            );
            let whom = format!("the last {} agents of the list, always the same ones", self.reach.only_refused);
            drafts.push(Draft { confidence: Confidence::Open, ..self.plain(&whom) });
        }
        drafts
    }

    fn limit(&self, ceiling: &BindingCeiling) -> Draft {
        let BindingCeiling { limit, tally, accepted_before, refilled, refreshed, .. } = *ceiling;
        let mut draft = self.draft("limit.concurrent", Severity::Critical);
        let exclusive = self.view.results.header.exclusive;
        draft.confidence = confidence(tally.pro, tally.against);
        draft.summary = if exclusive {
            format!(
                "the trunk takes {limit} registrations at a time: every further agent is refused with {} {}",
                self.answer(),
                self.place()
            )
        } else {
            // Who else is registered on the trunk cannot be seen from here.
            draft.confidence = draft.confidence.min(Confidence::Medium);
            format!(
                "the trunk takes {limit} registrations on top of those already there: every further agent is refused with {} {}",
                self.answer(),
                self.place()
            )
        };
        if ceiling.refreshes_refused * 50 > refreshed.max(1) {
            // What was bound is refused as well: only its words tell this from a ban.
            draft.confidence = Confidence::Open;
            draft
                .evidence
                .push(format!("{} refreshes of registered agents were refused too", ceiling.refreshes_refused));
        }
        draft.evidence.push(format!(
            "{} refusals came with {limit} agents registered, {} with fewer; {accepted_before} were accepted one after \
             another before the first",
            tally.pro, tally.against
        ));
        if refreshed > 0 {
            draft.evidence.push(format!("{refreshed} refreshes of registered agents passed meanwhile"));
        }
        if refilled > 0 {
            draft.evidence.push(format!("{refilled} were accepted again when bindings had ended"));
        }
        let retold = "nobody was refused while the trunk filled up, everybody new once it was full";
        draft.rejected.push(format!("credentials: {retold}"));
        draft.rejected.push("limit on the rate: nobody new was accepted at any rate once it was full".to_owned());
        draft
            .advice
            .push(format!("have the limit on simultaneous registrations raised above {limit}, or plan no more agents"));
        draft
    }

    /// A ban that began just when the most were registered, as far as nothing speaks against it.
    fn undecided_ban(&self, ceiling: &BindingCeiling) -> Option<Draft> {
        let cut = self.cut.clone().filter(|cut| cut.until_ns.is_none())?;
        let refreshes_pass = ceiling.refreshed > 0 && ceiling.refreshes_refused * 50 <= ceiling.refreshed;
        let passed = refreshes_pass || ceiling.refilled > 0 || self.removed > self.removal_refused;
        (!passed).then(|| {
            let mut ban = self.ban(&cut);
            ban.confidence = Confidence::Open;
            ban
        })
    }

    fn by_cut(&mut self) -> Option<Vec<Draft>> {
        let cut = self.cut.clone().filter(|cut| cut.tally.holds(0.02) && cut.before >= SOME)?;
        let hits_the_accepted = cut.refreshes > 0
            || cut.below_peak > 0
            || self.removal_refused > 0
            || self.reach.hit > self.reach.only_refused;
        if !hits_the_accepted {
            self.reject("ban", "nobody who was accepted once was refused later".to_owned());
            return None;
        }
        if let Some(until) = cut.until_ns {
            let whom = format!("everybody from {} to {} after the start", span(cut.at_ns), span(until));
            return Some(vec![self.plain(&whom)]);
        }
        let plain = self.plain(&format!("everybody from {} after the start on", span(cut.at_ns)));
        if !matches!(self.group.class, Class::Forbidden | Class::ForbiddenAfterAuth | Class::Refused) {
            return Some(vec![plain]);
        }
        Some(self.ban_or_accounts(&cut, plain))
    }

    /// Everybody is refused from a moment on. A ban does that; so do passwords that were replaced,
    /// accounts that were disabled, a trunk that was switched off. Nothing that was counted here
    /// excludes any of them.
    fn ban_or_accounts(&self, cut: &Cut, plain: Draft) -> Vec<Draft> {
        let mut ban = Draft { confidence: Confidence::Open, ..self.ban(cut) };
        let mut accounts = Draft { confidence: Confidence::Open, ..plain };
        let (likelier, why) = match (self.group.place, self.speaks()) {
            (_, Some(Speaks::Ban)) => (true, "the registrar's own words speak of a ban"),
            (_, Some(_)) => (false, "the registrar's own words speak of something else than a ban"),
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
        if likelier { vec![ban, accounts] } else { vec![accounts, ban] }
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
            draft.rejected.push("limit on registrations: what was bound already was refused as well".to_owned());
        }
        draft.advice.push("look for this address in the registrar's ban list (fail2ban, pike, dynamic access list); wait for the ban to end before the next test, and keep the rate lower".to_owned());
        draft
    }

    /// Why the refusals are those of certain agents, whenever they come: agents that arrive evenly
    /// are then refused at an even rate, and the others accepted at one.
    fn is_of_agents(&self) -> Option<String> {
        let code = self.group.code;
        if matches!(code, 401 | 404) {
            return Some(format!("{code} speaks of the agent, not of how many there are"));
        }
        let again = self.group.seen.count * 2 >= self.reach.hit * 3;
        let same = self.reach.only_refused * 50 >= self.reach.hit * 49;
        (again && same && self.reach.only_accepted > 0)
            .then(|| "it is always the same agents that are refused, however often they come".to_owned())
    }

    fn by_throttle(&mut self) -> Option<Draft> {
        let Some(throttle) = self.throttle.clone() else {
            self.reject("limit on the rate", "refusals were too few or too short for a rate".to_owned());
            return None;
        };
        if let Some(why) = self.is_of_agents() {
            self.reject("limit on the rate", why);
            return None;
        }
        let (steady, seconds) = throttle.steady;
        let varied = throttle.demand_range.1 as f64 >= 1.2 * throttle.demand_range.0 as f64;
        let even = throttle.scatter < 0.25 || (varied && throttle.scatter < 0.6);
        if !throttle.tally.holds(0.02) || steady * 10 < seconds * 8 || !even {
            let why = format!(
                "the number accepted per second follows the demand ({steady} of {seconds} seconds near {:.0}/s, scatter {:.2})",
                throttle.per_second, throttle.scatter
            );
            self.reject("limit on the rate", why);
            return None;
        }
        let left_out = self.reach.only_refused * 100 > self.view.agents.len() as u64;
        let severity = if left_out { Severity::Critical } else { Severity::Warning };
        let mut draft = self.draft("limit.rate", severity);
        draft.confidence = confidence(throttle.tally.pro, throttle.tally.against);
        if self.reach.only_refused == self.reach.hit {
            // Who came once and was refused may be refused whenever it comes.
            draft.confidence = draft.confidence.min(Confidence::Low);
        }
        if !varied && draft.confidence == Confidence::High {
            // Under a demand that never changed, a fixed share of it looks much like a rate.
            draft.confidence = Confidence::Medium;
        }
        draft.summary = format!(
            "the trunk accepts about {:.0} registrations a second: beyond that the answer is {}",
            throttle.per_second,
            self.answer()
        );
        draft.evidence.push(format!(
            "{steady} of {seconds} seconds of refusals saw {:.0} accepted within 15 %, under a demand of {} to {} a second; \
             about {} more were accepted before the first refusal",
            throttle.per_second, throttle.demand_range.0, throttle.demand_range.1, throttle.burst
        ));
        draft.rejected.push(format!(
            "refusals at random or of certain agents: the numbers accepted vary {:.2} times as much as pure chance would explain",
            throttle.scatter
        ));
        draft.rejected.push("limit on registrations: agents went on being accepted".to_owned());
        self.weigh_transactions(&throttle, &mut draft);
        draft.advice.push(format!(
            "keep arrivals below {:.0}/s (spread the start, add jitter to retries), or have the limit raised",
            throttle.per_second
        ));
        Some(draft)
    }

    /// A registrar that takes so many transactions at a time accepts a steady number per second as
    /// well, as long as each takes equally long. Few open at a time rule it out; otherwise only an
    /// experiment can.
    fn weigh_transactions(&self, throttle: &RateCap, draft: &mut Draft) {
        let totals = &self.view.results.trunk_totals[usize::from(self.view.trunk)];
        let service = totals.latency_us.iter().find(|(phase, _)| *phase == Phase::RegisterService);
        let open = service.map_or(0.0, |(_, histogram)| throttle.per_second * histogram.mean() / 1e6);
        if open < FEW_TRANSACTIONS {
            draft.rejected.push(format!("limit on open transactions: only {open:.1} were open at a time"));
        } else {
            draft.confidence = Confidence::Open;
            draft.evidence.push(format!(
                "about {open:.0} transactions were open at a time: a limit on those (limit.transactions) would look the same"
            ));
            draft
                .advice
                .push("run `regstorm limits`: it tells a limit on the rate from one on open transactions".to_owned());
        }
    }

    /// No pattern in time: always the same agents, or anybody.
    fn residual(&mut self) -> Vec<Draft> {
        if let Some(turns) = nodes::in_turn(self.view, self.group) {
            return self.by_node(turns);
        }
        if self.reach.is_subset() {
            let refused = counted(self.reach.only_refused, "agent");
            let (always, spared) = match self.reach.only_accepted {
                1 => ("always the same, while one other is never refused".to_owned(), "1 agent was".to_owned()),
                n => (format!("always the same, while {n} others are never refused"), format!("{n} agents were")),
            };
            let whom = format!("{refused}, {always}");
            self.reject("everybody", format!("{spared} accepted and never refused"));
            return vec![self.plain(&whom)];
        }
        let share = 100.0 * self.group.seen.count as f64 / self.view.attempts().max(1) as f64;
        vec![self.plain(&format!("{share:.1} % of all attempts, without a pattern in time or among agents"))]
    }

    /// The same agents are accepted and refused in turn: machines that differ, or one that fails by
    /// chance.
    fn by_node(&self, turns: nodes::InTurn) -> Vec<Draft> {
        let mut node = self.draft("node.failing", Severity::Critical);
        node.confidence = Confidence::Open;
        let fits =
            turns.one_of().map_or_else(String::new, |n| format!(", which fits one of {n} machines behind the address"));
        node.summary = format!(
            "{:.0} % of the answers are {} {}, to anybody at any time{fits}",
            100.0 * turns.share,
            self.answer(),
            self.place()
        );
        node.evidence.push(format!(
            "{} of the {} agents hit were accepted too, with the same credentials; over the seconds the refusals vary {:.1} times as much as pure chance would explain",
            turns.both, turns.hit, turns.scatter
        ));
        node.rejected.push("credentials: the same ones are accepted at other times".to_owned());
        node.rejected.push("the load, or a stretch of time: the share is the same in all seconds".to_owned());
        node.advice.push("ask for the machines behind the address and register with each by itself".to_owned());
        match self.group.class {
            // Whoever challenges does not know the nonce, or has other passwords: a realm or user
            // name is not to blame.
            Class::Unauthorized | Class::Stale => {
                node.advice.push("machines that do not share their nonces answer 401 to one another's: let them share them, or send each phone to one".to_owned());
                vec![node]
            }
            _ => {
                let whom = "anybody, at any time, accepted and refused in turn";
                vec![node, Draft { confidence: Confidence::Open, ..self.plain(whom) }]
            }
        }
    }

    /// A refusal that is what it says.
    fn plain(&self, whom: &str) -> Draft {
        let stay_out = self.reach.only_refused * 100 >= self.view.agents.len() as u64 && self.reach.only_refused > 0;
        let loops = self.loops();
        let severity = if stay_out || loops > 0 { Severity::Critical } else { Severity::Warning };
        let mut draft = self.draft(plain_id(self.group.class), severity);
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

/// Refusals that may be a limit: 401 and 404 speak of one agent, 423 of the lifetime asked for.
fn may_be_a_limit(class: Class) -> bool {
    !matches!(class, Class::Unauthorized | Class::Stale | Class::NotFound | Class::TooBrief)
}

/// Classes that say no to an agent.
const REFUSALS: [Class; 5] =
    [Class::Forbidden, Class::ForbiddenAfterAuth, Class::Unauthorized, Class::NotFound, Class::Refused];

/// A limit on open transactions below this would be none that anybody sets.
const FEW_TRANSACTIONS: f64 = 10.0;

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
