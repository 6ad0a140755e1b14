//! Options that several commands have.

use clap::Args;

/// What is printed of a run.
#[derive(Clone, Copy, Default, Debug, Args)]
pub struct ShownArgs {
    /// Print run.json on stdout instead of the summary
    #[arg(long)]
    pub json: bool,

    /// Print one sentence on stdout, for a chat
    #[arg(long, conflicts_with = "json")]
    pub line: bool,
}

/// A run's metrics for Prometheus.
#[derive(Clone, Default, Debug, Args)]
pub struct MetricsArgs {
    /// Serve the run's metrics for Prometheus at http://ADDR/metrics; a port alone is one of
    /// 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,

    /// How long the last metrics wait for those who read them; 0s does not wait
    #[arg(long, value_name = "DURATION", default_value = "90s", requires = "metrics")]
    pub metrics_linger: String,
}
