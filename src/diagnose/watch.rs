//! Go or no-go of a trunk from its canary's rounds, with hysteresis: a single lost packet changes
//! nothing.

/// What is shown of a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Light {
    /// Too few rounds so far.
    Undecided,
    Go,
    NoGo,
}

impl Light {
    pub const fn as_str(self) -> &'static str {
        match self {
            Light::Undecided => "undecided",
            Light::Go => "go",
            Light::NoGo => "no-go",
        }
    }
}

/// A trunk's light and how it came about.
///
/// ```text
///                 recover_after good rounds in a row
///   Undecided ─────────────────────────────────────▶ Go
///       │                                            │ ▲
///       │ fail_after bad rounds in a row             ▼ │
///       └─────────────────────────────────────────▶ NoGo
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hysteresis {
    fail_after: u32,
    recover_after: u32,
    light: Light,
    /// Whether the last round was good, and how many were like it in a row.
    streak: Option<(bool, u32)>,
}

impl Hysteresis {
    /// Bad rounds in a row to no-go, good ones in a row to go; at least one each.
    pub fn new(fail_after: u32, recover_after: u32) -> Self {
        let (fail_after, recover_after) = (fail_after.max(1), recover_after.max(1));
        Hysteresis { fail_after, recover_after, light: Light::Undecided, streak: None }
    }

    /// Takes the outcome of a round; returns the light if it changed.
    pub fn round(&mut self, good: bool) -> Option<Light> {
        let rounds = match self.streak {
            Some((last, rounds)) if last == good => rounds.saturating_add(1),
            _ => 1,
        };
        self.streak = Some((good, rounds));
        let (wanted, after) = if good { (Light::Go, self.recover_after) } else { (Light::NoGo, self.fail_after) };
        (rounds >= after && self.light != wanted).then(|| {
            self.light = wanted;
            wanted
        })
    }

    pub fn light(&self) -> Light {
        self.light
    }

    /// Rounds in a row like the last one.
    pub fn rounds(&self) -> u32 {
        self.streak.map_or(0, |(_, rounds)| rounds)
    }

    /// Whether the trunk may be used: its light, and before there is one its last round.
    pub fn is_go(&self) -> bool {
        match self.light {
            Light::Go => true,
            Light::NoGo => false,
            Light::Undecided => self.streak.is_some_and(|(good, _)| good),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `+` a good round, `.` a bad one; the changes as they come.
    fn changes(fail_after: u32, recover_after: u32, rounds: &str) -> Vec<(usize, &'static str)> {
        let mut hysteresis = Hysteresis::new(fail_after, recover_after);
        let change = |(n, c)| hysteresis.round(c == '+').map(|light| (n, light.as_str()));
        rounds.chars().enumerate().filter_map(change).collect()
    }

    #[test]
    fn only_so_many_in_a_row_change_the_light() {
        assert_eq!(changes(2, 2, "++.+.+..++"), [(1, "go"), (7, "no-go"), (9, "go")]);
        assert_eq!(changes(3, 1, "..+...+"), [(2, "go"), (5, "no-go"), (6, "go")]);
        assert_eq!(changes(1, 3, ".++.+++"), [(0, "no-go"), (6, "go")]);
        assert_eq!(changes(2, 2, "+.+.+."), []);
    }

    #[test]
    fn before_there_is_a_light_the_last_round_counts() {
        let mut hysteresis = Hysteresis::new(3, 3);
        assert!(!hysteresis.is_go());
        hysteresis.round(true);
        assert_eq!((hysteresis.light(), hysteresis.is_go()), (Light::Undecided, true));
        hysteresis.round(false);
        assert!(!hysteresis.is_go());
    }

    proptest! {
        #[test]
        fn the_light_is_what_the_last_long_enough_streak_says(
            fail_after in 1u32..5, recover_after in 1u32..5, rounds in proptest::collection::vec(any::<bool>(), 0..60)
        ) {
            let mut hysteresis = Hysteresis::new(fail_after, recover_after);
            let mut expected = Light::Undecided;
            for end in 1..=rounds.len() {
                let before = hysteresis.light();
                let change = hysteresis.round(rounds[end - 1]);
                let ends_with = |good: bool, n: u32| {
                    end >= n as usize && rounds[end - n as usize..end].iter().all(|round| *round == good)
                };
                if ends_with(true, recover_after) { expected = Light::Go }
                if ends_with(false, fail_after) { expected = Light::NoGo }
                prop_assert_eq!(hysteresis.light(), expected);
                prop_assert_eq!(change, (before != expected).then_some(expected));
            }
        }
    }
}
