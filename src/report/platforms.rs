//! Which product answers on a trunk, and the advice that fits it.
//!
//! The profile's word comes first, then what the answers called themselves. Where neither is known
//! the advice for every product stays, folded.

use super::text::printable;
use crate::diagnose::explain::LookAt;
use crate::record::{RegistrarHeader, Results};
use crate::vocab::Platform;
use std::collections::BTreeSet;

/// What is known of the products on a trunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum InUse {
    /// The registrar built into regstorm: no product's advice fits.
    Embedded,
    /// Said by the profile, or by the answers themselves.
    Known(BTreeSet<Platform>),
    Unknown,
}

impl InUse {
    /// Of a trunk by its id; of the whole run where there is none.
    pub(super) fn on(results: &Results, trunk_id: &str) -> InUse {
        let trunks = results.header.trunks.iter().enumerate();
        let meant = trunks.filter(|(_, trunk)| trunk_id.is_empty() || trunk.id == trunk_id);
        let (mut known, mut embedded) = (BTreeSet::new(), true);
        for (index, trunk) in meant {
            embedded &= trunk.registrar == RegistrarHeader::Embedded && trunk.platform.is_none();
            match trunk.platform {
                Some(platform) => _ = known.insert(platform),
                None => known.extend(guessed(results, index)),
            }
        }
        match known.is_empty() {
            false => InUse::Known(known),
            true if embedded => InUse::Embedded,
            true => InUse::Unknown,
        }
    }

    /// Advice in two lots: what fits here, and what is for products that may be in use.
    pub(super) fn sort(&self, places: &[LookAt]) -> (Vec<String>, Vec<String>) {
        let fits = |place: &LookAt| match self {
            InUse::Known(known) => known.iter().any(|platform| platform.system() == place.system),
            InUse::Embedded | InUse::Unknown => false,
        };
        let (here, others): (Vec<&LookAt>, Vec<&LookAt>) =
            places.iter().partition(|place| place.is_general() || fits(place));
        let text = |places: Vec<&LookAt>| places.into_iter().map(|place| printable(&place.to_string())).collect();
        (text(here), if *self == InUse::Unknown { text(others) } else { Vec::new() })
    }
}

/// The products that the answers on a trunk named.
fn guessed(results: &Results, trunk: usize) -> impl Iterator<Item = Platform> {
    let rows = results.evidence.answerers.iter().filter(move |row| usize::from(row.trunk) == trunk);
    rows.filter_map(|row| Platform::of_software(&row.software))
}
