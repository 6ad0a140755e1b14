//! What happened, as numbers: outcomes, latency histograms, availability, schedule lag, the
//! generator's own health.
//!
//! A [`Tally`] belongs to one worker and is fed one [`Event`] at a time; at each interval's end it
//! yields an [`Interval`], and the intervals of all workers merge into one. Nothing here knows the
//! time or does I/O.

mod agents;
mod answerer;
mod answerers;
mod asked;
mod availability;
pub mod buckets;
mod changes;
mod checks;
pub mod event;
pub mod evidence;
mod glance;
pub mod interval;
pub mod latency;
pub mod merge;
mod phrases;
mod places;
mod remarks;
mod requests;
pub mod responses;
mod routing;
mod rows;
pub mod tally;
pub mod traffic;
mod unasked;

pub use answerer::{AnswerForm, Marks, Words, fold};
pub use answerers::AnswererRow;
pub use asked::{AskedOf, AskedRow};
pub use buckets::Buckets;
pub use checks::{CheckEnd, CheckKind, CheckOutcome, CheckRow};
pub use event::{AttemptEnd, BY_PROXY, Clues, Echo, Event, FlowChange, Granted, Left, Offer, RequestEnd, Subject};
pub use evidence::{Beat, Errand, Evidence, GrantRow, OfferRow, OutcomeRow, PulseCell, Sightings};
pub use glance::Glance;
pub use interval::{AgentRow, CanaryCounts, FlowCounts, GeneratorCounts, Imbalance, Interval, LoopRow, TrunkInterval};
pub use latency::Spread;
pub use places::{PlaceRow, PlaceTable};
pub use remarks::RemarkRow;
pub use requests::RequestRow;
pub use responses::ResponseRow;
pub use routing::{RoutingRow, RoutingWord};
pub use tally::{Tally, TallyConfig};
pub use traffic::Traffic;
pub use unasked::{Unasked, UnaskedRow};
