//! What a finished interval contributes to the screen: percentiles and the generator's counts,
//! without its histograms.

use crate::measure::{GeneratorCounts, Interval, Spread};
use crate::vocab::Phase;

/// One interval in a few numbers.
#[derive(Clone, Default, Debug)]
pub struct Digest {
    pub start_ns: u64,
    pub end_ns: u64,
    /// Phases with a value, in their own order.
    pub phases: Vec<(Phase, Spread)>,
    /// By trunk: p99 of what its attempts took that succeeded, microseconds.
    pub trunk_p99_us: Vec<Option<u64>>,
    /// How late first REGISTERs left, microseconds.
    pub lag_p99_us: Option<u64>,
    pub generator: GeneratorCounts,
}

/// The phases that tell how long an agent waits; what they consist of is for the report.
const SHOWN: [Phase; 4] = [Phase::Register, Phase::Refresh, Phase::RegisterFailed, Phase::Unregister];

impl Digest {
    pub fn of(interval: &Interval) -> Digest {
        let whole = |phase: Phase| {
            let trunks = interval.trunks.iter().map(|trunk| &trunk.latency_us[phase.index()]);
            Some((phase, Spread::of_all(trunks)?))
        };
        let success = [Phase::Register, Phase::Refresh];
        Digest {
            start_ns: interval.start_ns,
            end_ns: interval.end_ns,
            phases: SHOWN.into_iter().filter_map(whole).collect(),
            trunk_p99_us: interval
                .trunks
                .iter()
                .map(|trunk| success.into_iter().find_map(|phase| trunk.latency_us[phase.index()].as_ref()))
                .map(|histogram| histogram.map(|histogram| histogram.value_at_quantile(0.99)))
                .collect(),
            lag_p99_us: interval.lag_us.as_ref().map(|lag| lag.value_at_quantile(0.99)),
            generator: interval.generator,
        }
    }

    /// The distribution a chart of the run follows: registrations, else refreshes.
    pub fn leading(&self) -> Option<&(Phase, Spread)> {
        self.phases.iter().find(|(phase, _)| matches!(phase, Phase::Register | Phase::Refresh))
    }
}
