//! What runs in a page where script may run: uPlot, a charting library, and our own few lines that
//! drive it.
//!
//! Both are constants, and the page's policy names them by their hashes and allows nothing else: no
//! other script, no connection, no image. So nothing that came over the wire could ever run in it,
//! even if its escaping failed, and nothing can be fetched or sent. `tests/report/page.rs` holds
//! the hashes against the bytes.

use super::charts::{self, Chart};
use serde::Serialize;

/// The scripts of a page, and its numbers.
#[derive(Serialize)]
pub(super) struct Script {
    policy: &'static str,
    style: &'static str,
    library: &'static str,
    licence: &'static str,
    own: &'static str,
    /// Numbers of the charts, as JSON; empty: nothing to draw, and no script on the page.
    plots: String,
}

impl Script {
    /// The script that draws these charts.
    pub(super) fn drawing(charts: &[Chart]) -> Script {
        let plots = charts::plots(charts);
        let plots = if plots.is_empty() { String::new() } else { charts::json(&plots) };
        Script {
            policy: POLICY,
            style: include_str!("assets/uPlot.min.css"),
            library: include_str!("assets/uPlot.iife.min.js"),
            licence: include_str!("../../LICENSES/uPlot-1.6.32.txt"),
            own: include_str!("assets/report.js"),
            plots,
        }
    }
}

/// Content Security Policy of the page: these two scripts, styles within the page, and nothing from
/// anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src \
    'sha256-GcjUxq2Ikpp59K5J1vcWFWbf0Lo9FcxJXpdPeH63jx8=' 'sha256-XEeFRvawvA2CtbKAS5JQbigvb99kvAJJdXA/+nL0gLM='; base-uri 'none'; form-action 'none'";
