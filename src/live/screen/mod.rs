//! The live screen: a run as a page of a terminal, redrawn some times a second.
//!
//! [`Scene`] is everything that can be shown, as values; `view` turns it into cells, and both know
//! no terminal. What a key means is in `keys`. [`Terminal`] is the only part that touches one, and
//! it gives it back whatever happens.

mod column;
mod digest;
mod keys;
mod number;
mod palette;
mod panels;
mod pieces;
mod scene;
mod terminal;
mod trunks;
mod view;

pub use column::TrunkColumn;
pub use digest::Digest;
pub use keys::{Act, act};
pub use palette::{Depth, Palette};
pub use scene::{FindingLine, Health, Moment, Opening, Scene, StageNow, StageProgress};
pub use terminal::Terminal;
pub use view::{LEAST_HEIGHT, LEAST_WIDTH, draw};

#[cfg(test)]
mod tests;
