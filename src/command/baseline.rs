//! What this machine can send by itself (RFC 7502 §6.1): short runs against the embedded registrar
//! on loopback at rising rates. Where the outcome is kept: `kept_baseline`.

use super::assemble::{AssembledRun, RunFrame, assemble};
use super::failure::Failure;
use super::kept_baseline;
use super::registrar::{address_of, embedded};
use super::run::{HEAD_START, HEAD_START_PER_AGENT, end, header, hung};
use super::targets::resolve_all;
use super::threads::sender_threads;
use crate::diagnose::{GeneratorVerdict, judge};
use crate::engine::{Carrier, Conduct, Decision, Observer, Pacing, RunPosition, conduct};
use crate::load::{Schedule, Share, baseline::next_rate};
use crate::measure::Interval;
use crate::net::clock::Clock;
use crate::net::priority::prefer_promptness;
use crate::net::usage;
use crate::plan::Plan;
use crate::profile::{self, Source};
use crate::record::{self, Baseline, BaselineStep, Results, Writer};
use crate::seed::Seed;
use crate::vocab::{FailedAttempt, Intervention, RunTag, Stage, Status, saturating_u32};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// After this no further rate is tried; a step takes less than two seconds.
const WHOLE: Duration = Duration::from_secs(8);

/// Measures, keeps the outcome in `results/baseline.json` and returns it.
///
/// # Errors
/// When the embedded registrar or a sender could not be started, it was interrupted, or the file
/// cannot be written.
pub(super) fn measure_and_keep(clock: Clock) -> Result<Baseline, Failure> {
    // Before any thread is started: they inherit it.
    prefer_promptness();
    let until = clock.now() + WHOLE;
    let mut steps: Vec<BaselineStep> = Vec::new();
    let (mut kept, mut lost) = (None, None);
    let mut threads = 0;
    while let Some(rate) = next_rate(kept, lost).filter(|_| clock.now() < until) {
        let tried = step(clock, rate)?;
        threads = tried.header.workers;
        let step = outcome(rate, &tried);
        let whole = step.registered * 1_000 >= step.attempts * 999;
        let side = if step.generator == GeneratorVerdict::Valid.as_str() && whole { &mut kept } else { &mut lost };
        *side = Some(rate);
        steps.push(step);
    }
    let host = usage::host();
    let baseline = Baseline {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        measured: record::results::utc(clock.unix_ns().into(), 0),
        host: host.name,
        kernel: host.kernel,
        cpus: host.cpus,
        workers: threads,
        valid_rate_per_s: kept.unwrap_or(0),
        first_invalid_rate_per_s: lost,
        steps,
    };
    kept_baseline::write(&baseline)?;
    Ok(baseline)
}

fn outcome(rate: u32, results: &Results) -> BaselineStep {
    let judgement = judge(results, &[], &[]);
    BaselineStep {
        rate_per_s: rate,
        generator: judgement.generator.as_str().to_owned(),
        attempts: results.totals.attempts,
        registered: results.totals.sums.status[Status::Registered.index()],
        lag_p99_us: results.lag_us.value_at_quantile(0.99),
    }
}

/// One second at a rate, every registration challenged and of an address of record of its own (RFC
/// 7502 §6.7).
fn step(clock: Clock, rate: u32) -> Result<Results, Failure> {
    let mut plan = Plan::new(&profile::load(&Loopback { rate }, NAME, &[])?)?;
    let seed = Seed(1);
    let schedule = Arc::new(Schedule::new(&plan.load, seed));
    let start = clock.now() + HEAD_START + HEAD_START_PER_AGENT * rate;
    let server = embedded(&plan, seed, clock, clock.now())?;
    let at = address_of(&plan, server.as_ref());
    let targets = resolve_all(&mut plan, at)?;
    let frame = RunFrame {
        seed,
        run: RunTag(super::random_word()),
        start,
        passed: Duration::ZERO,
        share: Share::whole(sender_threads(&plan)),
        schedule,
        capture_secrets: false,
    };
    let AssembledRun { workers, features } = assemble(&plan, (&targets, &[Carrier::Datagrams]), &frame)?;
    let mut bytes = Vec::new();
    let mut keep = Keep(Writer::new(&mut bytes));
    let unwritable = |error: io::Error| Failure::could_not(format!("the baseline cannot be kept: {error}"));
    keep.0.header(&header(&plan, &targets, &frame, features, 0)).map_err(unwritable)?;
    let run = Conduct {
        workers,
        clock,
        start,
        load_lasts: frame.schedule.lasts(),
        timeline: frame.schedule.timeline(),
        wishes: None,
        name_news: None,
        questions: None,
        canaries: None,
        glances: false,
        pacing: Pacing::Idle,
        drain: plan.drain,
        unregister_rate: None,
        agents: saturating_u32(plan.identities.len()),
        patience: Duration::ZERO,
        hung,
    };
    let ended = conduct(run, &mut keep).map_err(Failure::could_not)?;
    if ended.interrupted_by.is_some() {
        return Err(Failure::could_not("the baseline was interrupted"));
    }
    keep.0.end(&end(&ended, &frame, None)).map_err(unwritable)?;
    record::read(bytes.as_slice()).map_err(|error| Failure::could_not(format!("the baseline cannot be read: {error}")))
}

/// Keeps the record in memory, and says nothing.
struct Keep<'a>(Writer<&'a mut Vec<u8>>);

impl Observer for Keep<'_> {
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision> {
        self.0.interval(interval).map(|()| Decision::GoOn)
    }

    fn failures(&mut self, _: &[FailedAttempt]) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: RunPosition) {}

    fn intervened(&mut self, _: &Intervention) -> io::Result<()> {
        Ok(())
    }

    fn stage(&mut self, _: Stage, _: Option<i32>) {}
}

const NAME: &str = "baseline";

/// The profile of a step.
struct Loopback {
    rate: u32,
}

impl Source for Loopback {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        let rate = self.rate;
        let text = format!(
            "[run]\nname = \"{NAME}\"\ninterval = \"1s\"\ndrain = \"500ms\"\nunregister = false\n\
             [safety]\nmax_message_rate = 1000000\n\
             [[trunk]]\nid = \"loopback\"\nregistrar = \"embedded\"\ndomain = \"{NAME}.test\"\nalgorithms = [\"MD5\"]\n\
             agents = {{ count = {rate}, user = \"agent{{n:06}}\", password = \"{NAME}\" }}\n\
             [[load]]\nrate = {rate}\nfor = \"1s\"\n\
             [arrivals]\nmax_in_flight = 200000\n\
             [registrar]\nrealm = \"{NAME}.test\"\npassword = \"{NAME}\"\nalgorithms = [\"MD5\"]\n\
             listen = [\"udp://127.0.0.1:0\"]\n"
        );
        Ok(text.into_bytes())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}
