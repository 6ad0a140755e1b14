//! `restart`: nobody is there in the window. Its connections are broken by whoever has them
//! (`connections`); here requests are lost, and perhaps every binding.

use super::FaultScope;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Absence {
    scope: FaultScope,
    /// The bindings are yet to be lost.
    forgets: bool,
}

impl Absence {
    pub(super) fn new(scope: FaultScope, forgets: bool) -> Self {
        Absence { scope, forgets }
    }

    pub(super) fn is_away(&self, elapsed: Duration) -> bool {
        self.scope.is_open(elapsed)
    }

    /// True once, when it has begun.
    pub(super) fn forgets(&mut self, elapsed: Duration) -> bool {
        let begun = elapsed >= self.scope.from;
        begun && std::mem::take(&mut self.forgets)
    }
}
