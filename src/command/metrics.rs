//! `--metrics`: a run's values for Prometheus, from before the first packet until somebody has read
//! the last ones.

use super::failure::{Failure, span_of};
use super::output::say;
use crate::cli::{Live, MetricsArgs};
use crate::engine::Signals;
use crate::live::{Endpoint, Metrics, RunFacts};
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::seed::Seed;
use crate::vocab::format_duration;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// An address that is bound, and how long the last values are to be had there.
pub(super) struct Port {
    listener: TcpListener,
    address: SocketAddr,
    linger: Duration,
}

/// A run's values and where they are read.
pub(super) struct Publication {
    pub metrics: Metrics,
    endpoint: Endpoint,
    linger: Duration,
}

/// Binds the address of `--metrics`, so that one that cannot be had is known before anything is
/// sent.
///
/// # Errors
/// When the options make no sense, or the address cannot be had.
pub(super) fn bind(args: &MetricsArgs) -> Result<Option<Port>, Failure> {
    let Some(wanted) = args.metrics.as_deref() else { return Ok(None) };
    let linger = span_of("--metrics-linger", &args.metrics_linger)?;
    let (listener, address) = bind_to("--metrics", wanted)?;
    Ok(Some(Port { listener, address, linger }))
}

/// Binds the address of an option, and warns of one that others reach.
///
/// # Errors
/// When it is none, or cannot be had.
pub(super) fn bind_to(option: &str, wanted: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let address = address(option, wanted)?;
    let listener = TcpListener::bind(address).map_err(|error| refused(option, address, &error))?;
    let address = listener.local_addr().map_err(|error| refused(option, address, &error))?;
    if let Some(warning) = openness(option, address) {
        // Nobody should learn this afterwards, so it is said whatever --live is.
        say(&warning);
    }
    Ok((listener, address))
}

/// An address with its port, or a port of this machine alone.
fn address(option: &str, wanted: &str) -> Result<SocketAddr, Failure> {
    if let Ok(port) = wanted.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    wanted.parse().map_err(|_| {
        Failure::usage(format!(
            "{option} {wanted}: no address with a port; write 127.0.0.1:9464 or [::1]:9464 (9464 alone is 127.0.0.1:9464), \
             or 0.0.0.0:9464 if other machines are to read it"
        ))
    })
}

/// What to say of an address that others reach.
fn openness(option: &str, address: SocketAddr) -> Option<String> {
    let open = !address.ip().to_canonical().is_loopback();
    open.then(|| {
        format!(
            "warning: {option} {address} is open to other machines, without password or encryption; \
             127.0.0.1:{} keeps it to this one",
            address.port()
        )
    })
}

fn refused(option: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "; is another run going on? Choose another port, or port 0 for a free one, which the run then names"
        }
        ErrorKind::AddrNotAvailable => "; this machine has no such address",
        ErrorKind::PermissionDenied => "; choose a port above 1023",
        _ => "",
    };
    Failure::could_not(format!("{option} {address}: {error}; nothing was sent{remedy}"))
}

impl Port {
    /// Begins to answer.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub(super) fn serve(self, facts: RunFacts) -> Result<Publication, Failure> {
        let metrics = Metrics::new(facts);
        let endpoint = Endpoint::serve(self.listener, metrics.clone())
            .map_err(|error| Failure::could_not(format!("--metrics {}: {error}; nothing was sent", self.address)))?;
        Ok(Publication { metrics, endpoint, linger: self.linger })
    }
}

impl Publication {
    /// Where the values are, for a person or a browser.
    pub(super) fn place(&self) -> String {
        format!("http://{}/metrics", self.endpoint.address())
    }

    /// Leaves the last values there until they were read, as long as that may take; Ctrl-C shortens
    /// it.
    ///
    /// # Errors
    /// When signals cannot be received.
    fn linger(self, aloud: bool) -> Result<(), Failure> {
        if self.linger.is_zero() {
            return Ok(());
        }
        if aloud {
            let (place, most) = (self.place(), format_duration(self.linger));
            say(&format!("{place} keeps the last values until they are read, for {most} at most (Ctrl-C ends this)"));
        }
        super::runtime()?.block_on(async {
            let mut signals = Signals::listen(Clock::new()).map_err(Failure::could_not)?;
            tokio::select! {
                () = self.endpoint.last_values_read() => {}
                () = tokio::time::sleep(self.linger) => {}
                _ = signals.next() => {}
            }
            Ok(())
        })
    }
}

/// Publishes what came of a run a little longer; somebody who interrupted it is not kept waiting.
///
/// # Errors
/// As for [`Publication::linger`].
pub(super) fn linger(published: Option<Publication>, interrupted_by: Option<i32>, live: Live) -> Result<(), Failure> {
    let wanted = published.filter(|_| interrupted_by.is_none());
    wanted.map_or(Ok(()), |publication| publication.linger(live != Live::Off))
}

/// What readers of the metrics are told of a run.
pub(super) fn facts(plan: &Plan, seed: Seed, load_lasts: Duration, started_unix_ns: i64) -> RunFacts {
    RunFacts {
        name: plan.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        seed: seed.0,
        started_unix_ns,
        interval: plan.interval,
        warmup: plan.warmup,
        load_lasts,
        trunks: plan.trunks.iter().map(|trunk| (trunk.id.clone(), trunk.agents)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_an_address_that_says_so_is_open_to_others() {
        let is = |text: &str, expected: &str| assert_eq!(address("--metrics", text).expect(text).to_string(), expected);
        is("9464", "127.0.0.1:9464");
        is("127.0.0.1:0", "127.0.0.1:0");
        is("[::1]:9464", "[::1]:9464");
        is("0.0.0.0:9464", "0.0.0.0:9464");
        for text in ["", ":9464", "localhost:9464", "127.0.0.1", "70000", "127.0.0.1:9464/metrics"] {
            let refused = address("--metrics", text).expect_err(text).to_string();
            assert!(refused.contains("127.0.0.1:9464"), "{refused}");
        }
    }

    #[test]
    fn an_address_that_others_reach_is_warned_of() {
        let said = |text: &str| openness("--metrics", address("--metrics", text).expect(text));
        for own in ["9464", "127.0.0.2:1", "[::1]:9464", "[::ffff:127.0.0.1]:9464"] {
            assert_eq!(said(own), None, "{own}");
        }
        for open in ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "[::ffff:10.0.0.1]:9464"] {
            let warning = said(open).expect(open);
            assert!(warning.contains("open to other machines") && warning.contains("127.0.0.1:9464"), "{warning}");
        }
    }

    #[test]
    fn a_port_in_use_is_refused_with_a_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let error = TcpListener::bind(address).expect_err("taken");
        let failure = refused("--metrics", address, &error);
        assert!(matches!(failure, Failure::CouldNotRun(_)));
        assert!(failure.to_string().contains("Choose another port"), "{failure}");
    }

    proptest! {
        /// Whatever is typed, only something with a colon in it reaches others.
        #[test]
        fn what_names_no_address_stays_on_this_machine(text in "[0-9a-z:]{0,12}") {
            if let Ok(address) = address("--metrics", &text) {
                prop_assert!(openness("--metrics", address).is_none() || text.contains(':'), "{text} is {address}");
            }
        }
    }
}
