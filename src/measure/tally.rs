//! One worker's books: every event is counted here once, and each interval is handed over as it
//! ends.
//!
//! Which event feeds which counter and which latency is decided here and nowhere else. What is
//! remembered of single agents lives in `agents`, of responses in `responses`; adding the workers'
//! intervals in `merge`.
//!
//! RFC 6076 §4.1 and §4.2 (registration request delay, ineffective attempts) say what
//! `register_service` and `ineffective` mean.

use super::agents::{AgentState, AgentTable, LoopSeen, Standing};
use super::availability::AgentTime;
use super::checks::{CheckEnd, CheckKind, CheckOutcome};
use super::event::{AttemptEnd, Event, FlowChange, Subject};
use super::evidence::{Beat, Collector};
use super::glance::Glance;
use super::interval::{GeneratorCounts, Imbalance, Interval, TrunkInterval};
use super::latency::{self, FINE_DIGITS};
use super::phrases::Phrases;
use super::responses::{CountedResponse, Responses};
use super::unasked::Unasked;
use crate::vocab::{Class, FlowLoss, Kind, Phase, RequestKind, Secured, Stage, Status, Time, TrunkId};
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::Duration;

/// Time between two samples of the number of registered agents, the same on every worker.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// What a worker's books need to know.
#[derive(Clone, Debug)]
pub struct TallyConfig {
    pub trunks: usize,
    /// Agents of the whole run; rows are kept for this worker's stripe: agent id % `workers` ==
    /// `worker`.
    pub agents: usize,
    pub worker: u32,
    pub workers: u32,
    /// `run.interval`.
    pub interval: Duration,
    /// How much of the first interval had passed at the start (`run.align`).
    pub passed: Duration,
    /// `run.warmup`: an interval ends with it, so that none lies on both sides.
    pub warmup: Duration,
    /// The run's start: time 0 of everything handed over.
    pub start: Time,
    /// `[generator] late`.
    pub late: Duration,
    /// `[generator] stall`.
    pub stall: Duration,
}

/// The books of one worker.
///
/// In the steady state an event allocates nothing: rows of agents exist from the start, histograms
/// are created once per interval, reasons and responses once per run. Only the beginning of a loop
/// may enlarge a list.
#[derive(Clone, Debug)]
pub struct Tally {
    config: TallyConfig,
    digits: u8,
    index: u32,
    /// Start of the current interval.
    since: Time,
    stage: Stage,
    /// A stage that begins after the current interval's start.
    next_stage: Option<Stage>,
    next_sample: Time,
    sample_every: Duration,
    /// The current interval's numbers; `open`, `planned` and `registered` are filled in at its end.
    trunks: Vec<TrunkInterval>,
    books: Vec<Book>,
    lag_us: Option<Histogram<u32>>,
    generator: GeneratorCounts,
    samples: Vec<(u64, u32)>,
    agents: AgentTable,
    reasons: Phrases,
    responses: Responses,
    evidence: Collector,
    /// Open attempts of all trunks: each arrival asks for it.
    in_flight: u64,
}

/// One trunk over the run, as far as it outlives an interval.
#[derive(Clone, Debug)]
struct Book {
    started: u64,
    finished: u64,
    /// Agents with an open attempt, counted on its own so that the balance means something.
    open: u64,
    planned: AgentTime,
    registered: AgentTime,
    /// Of those registered: over a connection that is gone.
    cut_off: AgentTime,
    /// What was counted before the current interval.
    before: Glance,
    /// Of the trunk's connections: opened, ended, and those that are said to be open.
    flows: [u64; 3],
}

impl Tally {
    pub fn new(config: TallyConfig) -> Self {
        let start = config.start;
        let book = Book {
            started: 0,
            finished: 0,
            open: 0,
            planned: AgentTime::new(start),
            registered: AgentTime::new(start),
            cut_off: AgentTime::new(start),
            before: Glance::default(),
            flows: [0; 3],
        };
        Tally {
            digits: latency::digits(config.trunks),
            index: 0,
            since: start,
            stage: Stage::Load,
            next_stage: None,
            next_sample: start + SAMPLE_EVERY,
            sample_every: SAMPLE_EVERY,
            trunks: fresh(config.trunks),
            books: vec![book; config.trunks],
            lag_us: None,
            generator: GeneratorCounts::default(),
            samples: Vec::new(),
            agents: AgentTable::new(config.agents, config.worker, config.workers),
            reasons: Phrases::new(),
            responses: Responses::default(),
            evidence: Collector::new(start, config.interval, config.trunks),
            in_flight: 0,
            config,
        }
    }

    /// The same with so much time between two samples; every worker of a run has the same.
    pub fn sampled_every(self, every: Duration) -> Self {
        Tally { next_sample: self.config.start + every, sample_every: every, ..self }
    }

    /// Counts one event.
    ///
    /// # Panics
    /// When the agent is not of this worker's stripe or the trunk not of this run.
    #[inline]
    pub fn event(&mut self, subject: Subject, event: &Event<'_>) {
        let trunk = &mut self.trunks[subject.trunk.index()];
        match *event {
            Event::Request { kind: Kind::Unregister } | Event::LoopEnded => {}
            Event::Request { .. } => trunk.register_requests += 1,
            Event::Offered(ref offer) => self.evidence.offered(subject, offer),
            Event::Granted(ref grant) => self.evidence.granted(subject, grant),
            Event::Retransmitted { at, first_sent } => {
                trunk.retransmissions += 1;
                self.evidence.beat(subject.trunk.0, at, Beat::Retransmitted);
                if let Some(sent) = first_sent {
                    self.evidence.beat(subject.trunk.0, sent, Beat::Unanswered);
                }
            }
            Event::RequestEnded(ref end) => {
                self.evidence.requests.ended(subject.trunk.index(), end);
                if end.kind == RequestKind::First {
                    self.agents.touch(subject.agent, subject.trunk).met |= end.fate.bit();
                }
            }
            Event::LateResponse => trunk.late_responses += 1,
            Event::DuplicateResponse => trunk.duplicate_responses += 1,
            Event::RetryAfterIgnored => trunk.retry_after_ignored += 1,
            // Of the place that was left: [`Tally::at_place`].
            Event::WentOn { .. } => {}
            Event::Checked(ref end) => self.checked(subject, end),
            Event::Asked(ref one) => self.evidence.asked(subject, one),
            Event::Routing { word, text } => self.evidence.routing(subject.trunk.0, word, text),
            Event::CeilingRefused => trunk.ceiling_refused += 1,
            Event::Latency { phase, micros } => self.latency_us(subject.trunk, phase, micros),
            Event::Began { kind, planned, at } => self.began(subject, kind, planned, at),
            Event::Started { at } => self.evidence.beat(subject.trunk.0, at, Beat::Started),
            Event::Challenged { kind, code, reason, since, at } => {
                self.challenged(subject.trunk, kind, (code, reason), since, at);
            }
            Event::Ended(ref end) => self.ended(subject, end),
            Event::UnregisterEnded { code, reason, ok, sent, at } => {
                self.unregister_ended(subject.trunk, (code, reason.text()), ok, sent, at);
            }
            Event::LoopStarted { refusal, first_seen, attempts } => {
                let first =
                    self.agents.loop_started(subject.agent, subject.trunk, LoopSeen { refusal, first_seen, attempts });
                trunk.loop_attempts += u64::from(attempts);
                trunk.agents_began_looping += u64::from(first);
            }
            Event::LoopGrew => {
                trunk.loop_attempts += u64::from(self.agents.loop_grew(subject.agent, subject.trunk));
            }
            Event::Arrived { .. }
            | Event::Retired { .. }
            | Event::Registered { .. }
            | Event::Lapsed { .. }
            | Event::CutOff { .. }
            | Event::Unregistered { .. } => self.presence(subject, event),
        }
    }

    /// A message left.
    pub fn sent(&mut self, trunk: TrunkId, bytes: usize) {
        let trunk = &mut self.trunks[trunk.index()];
        trunk.messages_sent += 1;
        trunk.bytes_sent += bytes as u64;
    }

    /// A datagram came on a flow of this trunk; one that is stray is counted here too.
    pub fn received(&mut self, trunk: TrunkId, bytes: usize) {
        let trunk = &mut self.trunks[trunk.index()];
        trunk.messages_received += 1;
        trunk.bytes_received += bytes as u64;
    }

    /// A datagram came that belongs to no agent or is no SIP message.
    pub fn stray(&mut self) {
        self.generator.stray_datagrams += 1;
    }

    /// A datagram came on a flow of this trunk that nobody expected from its sender: an answer from
    /// another address than was asked, or one that belongs to nobody.
    pub fn unasked(&mut self, trunk: TrunkId, one: &Unasked<'_>) {
        self.evidence.unasked(trunk.0, one);
    }

    /// The same event, of an attempt at one of the several addresses of its trunk.
    pub fn at_place(&mut self, subject: Subject, address: SocketAddr, event: &Event<'_>) {
        self.evidence.at_place((subject.trunk.0, subject.agent.0), address, event);
    }

    /// A turn of the worker ended; one longer than `stall` counts.
    pub fn turn(&mut self, lasted: Duration) {
        self.generator.loop_stalls += u64::from(lasted > self.config.stall);
        let lasted_ns = u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX);
        self.generator.longest_turn_ns = self.generator.longest_turn_ns.max(lasted_ns);
    }

    /// A request of somebody else's was answered, or was not because such requests came too fast.
    pub fn asked(&mut self, answered: bool) {
        let counts = &mut self.generator;
        *if answered { &mut counts.asked_answered } else { &mut counts.asked_refused } += 1;
    }

    /// An answer bore a time before its request.
    pub fn stamp_refused(&mut self) {
        self.generator.stamps_refused += 1;
    }

    /// Datagrams the kernel dropped at our sockets since the last call.
    pub fn socket_drops(&mut self, datagrams: u64) {
        self.generator.socket_drops += datagrams;
    }

    /// Reads the kernel had no memory for since the last call.
    pub fn reads_refused(&mut self, reads: u64) {
        self.generator.reads_refused += reads;
    }

    /// Messages the kernel refused to send since the last call.
    pub fn send_errors(&mut self, messages: u64) {
        self.generator.send_errors += messages;
    }

    /// A connection of this trunk was opened or is gone; `open` of them are there now.
    pub fn flow_changed(&mut self, trunk: TrunkId, change: FlowChange, open: u64) {
        let [opened, ended, now_open] = &mut self.books[trunk.index()].flows;
        *now_open = open;
        let counts = self.trunks[trunk.index()].flows.get_or_insert_default();
        match change {
            FlowChange::Opened { took } => {
                *opened += 1;
                counts.opened += 1;
                let micros = u64::try_from(took.as_nanos()).map_or(u64::MAX, latency::micros);
                self.latency_us(trunk, Phase::Connect, micros);
            }
            FlowChange::Failed(why) => counts.failed[why.index()] += 1,
            FlowChange::Lost { why, quiet } => {
                *ended += 1;
                counts.lost[why.index()] += 1;
                if why != FlowLoss::Ours {
                    let quiet_ns = u64::try_from(quiet.as_nanos()).unwrap_or(u64::MAX);
                    counts.was_quiet(quiet_ns, quiet_ns);
                }
            }
        }
    }

    /// A connection of this trunk was not begun, because of `max_connect_rate`.
    pub fn flow_refused(&mut self, trunk: TrunkId) {
        self.trunks[trunk.index()].flows.get_or_insert_default().not_begun += 1;
    }

    /// A keep-alive was sent on a flow of this trunk.
    pub fn pinged(&mut self, trunk: TrunkId) {
        self.trunks[trunk.index()].flows.get_or_insert_default().pings += 1;
    }

    /// A keep-alive was answered.
    pub fn ponged(&mut self, trunk: TrunkId) {
        self.trunks[trunk.index()].flows.get_or_insert_default().pongs += 1;
    }

    /// A keep-alive was not answered.
    pub fn pong_missed(&mut self, trunk: TrunkId) {
        self.trunks[trunk.index()].flows.get_or_insert_default().pongs_missed += 1;
    }

    /// A connection of this trunk agreed on TLS.
    pub fn flow_secured(&mut self, trunk: TrunkId, secured: &Secured) {
        let counts = self.trunks[trunk.index()].flows.get_or_insert_default();
        counts.resumed += u64::from(secured.resumed);
        self.evidence.remark(trunk.0, None, &format!("{} {}", secured.version, secured.suite));
    }

    /// What there is to say of a connection that is lost, beyond why.
    pub fn flow_said(&mut self, trunk: TrunkId, why: FlowLoss, text: &str) {
        self.evidence.remark(trunk.0, Some(why), text);
    }

    /// Samples the number of registered agents if [`Tally::next_sample`] is due. Samples stand at
    /// whole multiples of [`SAMPLE_EVERY`], so that those of several workers add; a late call fills
    /// in the missed ones, for nothing was counted meanwhile.
    pub fn sample(&mut self, now: Time) {
        let registered = u32::try_from(self.registered()).unwrap_or(u32::MAX);
        while self.next_sample <= now {
            self.samples.push((self.next_sample.nanos_since(self.config.start), registered));
            self.next_sample += self.sample_every;
        }
    }

    pub fn next_sample(&self) -> Time {
        self.next_sample
    }

    /// When the current interval ends if no stage ends before: the next whole multiple of
    /// `run.interval`, counted from where the first one would have begun, or the end of the
    /// warm-up.
    pub fn next_close(&self) -> Time {
        let interval = u64::try_from(self.config.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let before = u64::try_from(self.config.passed.as_nanos()).unwrap_or(u64::MAX);
        let whole = self.since.nanos_since(self.config.start).saturating_add(before) / interval;
        let next = interval.saturating_mul(whole.saturating_add(1)).saturating_sub(before);
        let whole = self.config.start + Duration::from_nanos(next);
        let warm = self.config.start + self.config.warmup;
        if self.since < warm { whole.min(warm) } else { whole }
    }

    /// The run's stage from `at` on. An interval bears the stage it began in, so close one at `at`,
    /// before or after this call.
    pub fn set_stage(&mut self, stage: Stage, at: Time) {
        if at <= self.since {
            self.stage = stage;
        } else {
            self.next_stage = Some(stage);
        }
    }

    /// Ends the bindings that had run out by `end`. Whoever was held up for longer than an interval
    /// hears of that too late, and the intervals in between would show what was not there any more.
    pub fn lapse(&mut self, end: Time) {
        for (trunk, until) in self.agents.take_lapsed(end) {
            self.books[trunk.index()].registered.lose(until);
            self.evidence.beat(trunk.0, until, Beat::Unbound);
        }
    }

    /// Hands over the current interval and starts the next one at `end`.
    ///
    /// # Panics
    /// As [`Tally::cut`].
    pub fn close(&mut self, end: Time) -> Interval {
        let mut interval = self.cut(end);
        self.hand_over(&mut interval, usize::MAX);
        interval
    }

    /// Ends the current interval and starts the next one at `end`. The rows of agents and loops are
    /// left to
    /// [`Tally::hand_over`], for whoever may not be held up by hundreds of thousands of them.
    ///
    /// The numbers are handed over as they are, with a word about each trunk whose books do not
    /// balance: the run goes into the record whole, and its verdict is `invalid`.
    ///
    /// # Panics
    /// When the rows of the interval cut before have not been handed over.
    pub fn cut(&mut self, end: Time) -> Interval {
        let imbalances = self.imbalances().collect();
        self.sample(end);
        let start = self.config.start;
        let end_ns = end.nanos_since(start);
        let mut trunks = std::mem::replace(&mut self.trunks, fresh(self.config.trunks));
        for (trunk, book) in trunks.iter_mut().zip(&mut self.books) {
            book.before.count(trunk);
            book.fill(trunk, end);
        }
        // A turn that crossed the border may have sampled beyond it.
        let beyond = self.samples.split_off(self.samples.partition_point(|&(at, _)| at <= end_ns));
        let (rows, loops) = self.agents.cut();
        let interval = Interval {
            index: self.index,
            start_ns: self.since.nanos_since(start),
            end_ns,
            stage: self.stage,
            trunks,
            lag_us: self.lag_us.take(),
            generator: std::mem::take(&mut self.generator),
            agents: Vec::with_capacity(rows),
            loops: Vec::with_capacity(loops),
            responses: self.responses.take(&self.reasons, start),
            registered_samples: std::mem::replace(&mut self.samples, beyond),
            evidence: self.evidence.take(end, &self.reasons),
            imbalances,
        };
        self.index += 1;
        self.since = end;
        self.stage = self.next_stage.take().unwrap_or(self.stage);
        interval
    }

    /// Moves rows of agents and loops, at most about `limit` of each, into the interval that was
    /// cut last: each as it was at the cut. True when the interval is whole.
    pub fn hand_over(&mut self, interval: &mut Interval, limit: usize) -> bool {
        let start = self.config.start;
        self.agents.hand_over_rows(limit, &self.reasons, start, &mut interval.agents);
        self.agents.hand_over_loops(limit, &self.reasons, start, &mut interval.loops);
        self.agents.have_left()
    }

    /// Each trunk over the run so far, and where it is now.
    pub fn glances(&self) -> Vec<Glance> {
        let trunks = self.trunks.iter().zip(&self.books);
        trunks.map(|(trunk, book)| book.glance(trunk)).collect()
    }

    /// Open attempts.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Agents with a binding.
    pub fn registered(&self) -> u64 {
        self.books.iter().map(|book| book.registered.count()).sum()
    }

    /// Agents that arrived and were not told to un-REGISTER.
    pub fn planned(&self) -> u64 {
        self.books.iter().map(|book| book.planned.count()).sum()
    }

    /// Trunks whose books do not balance: started ≠ ended + open, for attempts or for connections.
    pub fn imbalances(&self) -> impl Iterator<Item = Imbalance> {
        let accounts = (0..).zip(&self.books).flat_map(|(trunk, book)| {
            let attempts = (trunk, [book.started, book.finished, book.open], false);
            [attempts, (trunk, book.flows, true)]
        });
        let wrong = accounts.filter(|(_, [started, finished, open], _)| *started != finished + open);
        wrong.map(|(trunk, [started, finished, open], of_flows)| Imbalance {
            interval: self.index,
            trunk,
            started,
            finished,
            open,
            of_flows,
        })
    }

    fn began(&mut self, subject: Subject, kind: Kind, planned: Time, at: Time) {
        let row = self.begin(subject, kind);
        if !std::mem::replace(&mut row.open, true) {
            self.books[subject.trunk.index()].open += 1;
            self.in_flight += 1;
        }
        let lag = at.since(planned);
        self.generator.arrivals_late += u64::from(lag > self.config.late);
        if !latency::observe(&mut self.lag_us, FINE_DIGITS, latency::micros(at.nanos_since(planned))) {
            self.trunks[subject.trunk.index()].out_of_range += 1;
        }
    }

    fn begin(&mut self, subject: Subject, kind: Kind) -> &mut AgentState {
        self.trunks[subject.trunk.index()].started[kind.index()] += 1;
        self.books[subject.trunk.index()].started += 1;
        self.generator.arrivals += 1;
        let row = self.agents.touch(subject.agent, subject.trunk);
        row.attempts += 1;
        row
    }

    fn checked(&mut self, subject: Subject, end: &CheckEnd) {
        self.evidence.checked(subject, end);
        if (end.kind, end.outcome) == (CheckKind::Qualify, CheckOutcome::Answered) {
            self.latency(subject.trunk, Phase::Options, end.sent, end.at);
        }
    }

    fn challenged(&mut self, trunk: TrunkId, kind: Kind, answer: (u16, &[u8]), since: Time, at: Time) {
        let reason = self.reasons.id(answer.1);
        self.responses.count(CountedResponse { trunk, kind, challenge: true, code: answer.0, reason, at });
        // A 423 that is answered within the attempt is a response to be listed, but no challenge.
        if kind != Kind::Unregister && matches!(answer.0, 401 | 407) {
            self.latency(trunk, Phase::Challenge, since, at);
        }
    }

    fn ended(&mut self, subject: Subject, end: &AttemptEnd<'_>) {
        // An attempt that sent nothing was never started; a shed arrival must not end the agent's
        // open attempt.
        let unsent = end.sent.is_none();
        let row = self.agents.touch(subject.agent, subject.trunk);
        let bound = row.until.is_some_and(|until| end.at < until);
        let open = row.open && !(unsent && end.status == Status::Shed);
        if open {
            row.open = false;
            self.books[subject.trunk.index()].open -= 1;
            self.in_flight -= 1;
        } else if unsent {
            // Booked as started and ended at once, so that the books balance.
            self.begin(subject, end.kind);
        }
        self.books[subject.trunk.index()].finished += 1;
        let trunk = &mut self.trunks[subject.trunk.index()];
        trunk.status[end.status.index()] += 1;
        trunk.ended[end.kind.index()] += 1;
        trunk.ineffective += u64::from(end.ineffective);

        let reason = self.reasons.id(end.reason.text());
        let class = self.evidence.ended(subject, end, bound, (reason, &self.reasons));
        let row = self.agents.touch(subject.agent, subject.trunk);
        row.met |= class.map_or(0, Class::bit);
        row.status = Some(end.status);
        row.registered += u32::from(end.status == Status::Registered);
        (row.last_code, row.last_reason, row.last_change) = (end.code, reason, Some(end.at));

        if end.code != 0 {
            let (trunk, kind, code, at) = (subject.trunk, end.kind, end.code, end.at);
            self.responses.count(CountedResponse { trunk, kind, challenge: false, code, reason, at });
        }
        self.attempt_latencies(subject.trunk, end);
    }

    fn attempt_latencies(&mut self, trunk: TrunkId, end: &AttemptEnd<'_>) {
        match (end.status, end.kind) {
            (Status::Shed | Status::Abandoned, _) => return,
            (Status::Registered, Kind::Refresh) => self.latency(trunk, Phase::Refresh, end.planned, end.at),
            (Status::Registered, _) => {
                self.latency(trunk, Phase::Register, end.planned, end.at);
                if let Some(sent) = end.sent {
                    self.latency(trunk, Phase::RegisterService, sent, end.at);
                }
            }
            _ => self.latency(trunk, Phase::RegisterFailed, end.planned, end.at),
        }
        if let (Some(sent), 1..) = (end.credentials_sent, end.code) {
            self.latency(trunk, Phase::Authenticated, sent, end.at);
        }
    }

    fn unregister_ended(&mut self, trunk: TrunkId, answer: (u16, &[u8]), ok: bool, sent: Time, at: Time) {
        let counters = &mut self.trunks[trunk.index()];
        counters.started[Kind::Unregister.index()] += 1;
        counters.unregistered += u64::from(ok);
        counters.unregister_failed += u64::from(!ok);
        if answer.0 != 0 {
            let (code, reason) = (answer.0, self.reasons.id(answer.1));
            self.responses.count(CountedResponse { trunk, kind: Kind::Unregister, challenge: false, code, reason, at });
        }
        if ok {
            self.latency(trunk, Phase::Unregister, sent, at);
        }
    }

    /// The events that make an agent planned or registered, or end it.
    fn presence(&mut self, subject: Subject, event: &Event<'_>) {
        let book = &mut self.books[subject.trunk.index()];
        let row = self.agents.touch(subject.agent, subject.trunk);
        let (evidence, trunk) = (&mut self.evidence, subject.trunk.0);
        match *event {
            Event::Arrived { planned } if row.standing.begin(Standing::PLANNED) => book.planned.gain(planned),
            Event::Retired { at } if row.standing.end(Standing::PLANNED) => book.planned.lose(at),
            Event::CutOff { at } if row.until.is_some() && row.standing.begin(Standing::CUT_OFF) => {
                book.cut_off.gain(at);
            }
            Event::Registered { at, until } => {
                match row.until {
                    None => {
                        book.registered.gain(at);
                        evidence.beat(trunk, at, Beat::Bound);
                    }
                    // The binding had run out before it was renewed, and nobody said so in time.
                    Some(before) if before < at => {
                        book.registered.lose(before);
                        book.registered.gain(at);
                        evidence.beat(trunk, before, Beat::Unbound);
                        evidence.beat(trunk, at, Beat::Bound);
                    }
                    Some(_) => {}
                }
                if row.standing.end(Standing::CUT_OFF) {
                    book.cut_off.lose(row.until.map_or(at, |before| before.min(at)));
                }
                row.until = Some(until);
                row.first_registered.get_or_insert(at);
                row.last_change = Some(at);
            }
            Event::Lapsed { at } | Event::Unregistered { at } => {
                // The timer may run later than the lifetime it watches.
                if let Some(until) = row.until.take() {
                    book.registered.lose(at.min(until));
                    if row.standing.end(Standing::CUT_OFF) {
                        book.cut_off.lose(at.min(until));
                    }
                    evidence.beat(trunk, at.min(until), Beat::Unbound);
                }
                row.last_change = Some(at);
            }
            _ => {}
        }
    }

    fn latency(&mut self, trunk: TrunkId, phase: Phase, from: Time, to: Time) {
        self.latency_us(trunk, phase, latency::micros(to.nanos_since(from)));
    }

    /// Records a latency; one below a microsecond counts as one, the shortest that is told apart.
    fn latency_us(&mut self, trunk: TrunkId, phase: Phase, micros: u64) {
        let trunk = &mut self.trunks[trunk.index()];
        let slot = &mut trunk.latency_us[phase.index()];
        if !latency::observe(slot, self.digits, micros.max(latency::LOWEST_US)) {
            trunk.out_of_range += 1;
        }
    }
}

impl Book {
    fn glance(&self, current: &TrunkInterval) -> Glance {
        let (open, planned, registered) = (self.open, self.planned.count(), self.registered.count());
        let mut glance = Glance { open, planned, registered, cut_off: self.cut_off.count(), ..self.before };
        glance.count(current);
        glance
    }

    /// Completes an interval that ends at `end` with what outlives it.
    fn fill(&mut self, trunk: &mut TrunkInterval, end: Time) {
        trunk.open = self.open;
        let [opened, _, open] = self.flows;
        if opened > 0 {
            trunk.flows.get_or_insert_default().open = open;
        }
        trunk.planned = self.planned.count();
        trunk.registered = self.registered.count();
        trunk.planned_agent_ns = self.planned.close(end);
        trunk.registered_agent_ns = self.registered.close(end);
        trunk.cut_off = self.cut_off.count();
        trunk.cut_off_agent_ns = self.cut_off.close(end);
    }
}

fn fresh(trunks: usize) -> Vec<TrunkInterval> {
    std::iter::repeat_with(TrunkInterval::default).take(trunks).collect()
}

#[cfg(test)]
mod tests;
