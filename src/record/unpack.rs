//! An interval of a record as its worker handed it over, to be merged with those of others.

use super::schema::{self, AgentFrame, IntervalFrame, LatencyFrame};
use crate::measure::{AgentRow, Interval};
use std::sync::Arc;

impl IntervalFrame {
    /// The interval that was packed.
    ///
    /// # Errors
    /// When it names what does not exist, or holds a histogram of other bounds.
    pub fn unpack(self) -> Result<Interval, String> {
        let index = self.index;
        let no_histogram = |what: &str| format!("interval {index} holds {what} that is no histogram of this version");
        let registered_samples = self.samples().collect();
        let reasons: Vec<Arc<str>> = self.reasons.iter().map(|reason| Arc::from(reason.as_str())).collect();
        let mut trunks = self.trunks;
        for LatencyFrame { trunk, phase, v2 } in &self.latency {
            let histogram = schema::of_v2(v2).ok_or_else(|| no_histogram(phase.as_str()))?;
            let trunk = trunks.get_mut(usize::from(*trunk));
            let trunk = trunk.ok_or_else(|| format!("interval {index} names a trunk that does not exist"))?;
            trunk.latency_us[phase.index()] = Some(histogram);
        }
        let lag = (!self.lag.is_empty()).then_some(&self.lag);
        let lag_us = lag.map(|lag| schema::of_v2(lag).ok_or_else(|| no_histogram("a schedule lag"))).transpose()?;
        let agents = self.agents.into_iter().map(|row| unpack_agent(row, &reasons));
        let agents: Option<Vec<AgentRow>> = agents.collect();
        Ok(Interval {
            index,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            stage: self.stage,
            trunks,
            lag_us,
            generator: self.generator,
            agents: agents.ok_or_else(|| format!("interval {index} names a reason that does not exist"))?,
            loops: self.loops,
            responses: self.responses,
            registered_samples,
            evidence: self.evidence,
            imbalances: Vec::new(),
        })
    }
}

fn unpack_agent(row: AgentFrame, reasons: &[Arc<str>]) -> Option<AgentRow> {
    Some(AgentRow {
        agent: row.agent,
        trunk: row.trunk,
        status: row.status,
        attempts: row.attempts,
        registered: row.registered,
        last_code: row.last_code,
        last_reason: Arc::clone(reasons.get(row.last_reason as usize)?),
        loop_kind: row.loop_kind,
        first_registered_ns: row.first_registered_ns,
        last_change_ns: row.last_change_ns,
        open: row.open,
        met: row.met,
    })
}
