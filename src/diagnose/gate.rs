//! May a dialler use a trunk now? What the canary, the server and the platform say of it, made one
//! answer.
//!
//! Go only when everybody who is asked says go and nobody has changed their mind for a while.
//! Whoever does not know, or has not been heard of for too long, is no go.

use crate::vocab::{Time, format_duration};
use std::time::Duration;

/// Who has a say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voice {
    Canary,
    Platform,
    Truth,
}

impl Voice {
    pub const fn as_str(self) -> &'static str {
        match self {
            Voice::Canary => "canary",
            Voice::Platform => "platform",
            Voice::Truth => "truth",
        }
    }
}

/// What somebody says of a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opinion {
    Go,
    NoGo,
    Unknown,
}

impl Opinion {
    pub const fn as_str(self) -> &'static str {
        match self {
            Opinion::Go => "go",
            Opinion::NoGo => "no-go",
            Opinion::Unknown => "unknown",
        }
    }
}

/// One voice over time.
#[derive(Clone, Debug)]
pub struct GateInput {
    pub voice: Voice,
    pub opinion: Opinion,
    pub why: String,
    /// Since when it is of this opinion.
    pub since: Time,
    /// When it is taken for unknown unless it is heard of again.
    pub until: Time,
    /// When it last turned from go to something else, or back, or to no-go.
    flipped: Option<Time>,
}

/// One trunk's gate.
#[derive(Clone, Debug)]
pub struct TrunkGate {
    inputs: Vec<GateInput>,
    /// How long nobody may have changed their mind.
    steady: Duration,
}

/// What a gate says at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateState {
    pub go: bool,
    pub since: Time,
    /// What speaks against go, or that nothing does.
    pub why: Vec<String>,
}

impl TrunkGate {
    /// Nobody has said anything so far.
    pub fn new(voices: &[Voice], steady: Duration, now: Time) -> TrunkGate {
        let input = |voice: &Voice| GateInput {
            voice: *voice,
            opinion: Opinion::Unknown,
            why: "nothing is known so far".to_owned(),
            since: now,
            until: Time::NEVER,
            flipped: None,
        };
        TrunkGate { inputs: voices.iter().map(input).collect(), steady }
    }

    /// Somebody says something, which is good until a time. A voice that nobody expects has no say.
    pub fn says(&mut self, now: Time, voice: Voice, (opinion, why): (Opinion, String), until: Time) {
        let Some(input) = self.inputs.iter_mut().find(|input| input.voice == voice) else { return };
        let before = input.at(now);
        if before.opinion != opinion {
            let flips = (before.opinion == Opinion::Go) != (opinion == Opinion::Go) || opinion == Opinion::NoGo;
            // The first go of all is no change of mind.
            let first = opinion == Opinion::Go && before.flipped.is_none() && before.opinion == Opinion::Unknown;
            input.flipped = if flips && !first { Some(now) } else { before.flipped };
            input.since = now;
        }
        (input.opinion, input.why, input.until) = (opinion, why, until);
    }

    /// Every voice as it stands.
    pub fn inputs(&self, now: Time) -> Vec<GateInput> {
        self.inputs.iter().map(|input| input.at(now)).collect()
    }

    /// The answer of this moment.
    pub fn state(&self, now: Time) -> GateState {
        let inputs = self.inputs(now);
        let against: Vec<&GateInput> = inputs.iter().filter(|input| input.opinion != Opinion::Go).collect();
        let said = |input: &GateInput| format!("{}: {}, {}", input.voice.as_str(), input.opinion.as_str(), input.why);
        if inputs.is_empty() || !against.is_empty() {
            let since = against.iter().map(|input| input.since).min().unwrap_or(now);
            let why = if inputs.is_empty() {
                vec!["nobody is asked".to_owned()]
            } else {
                against.into_iter().map(said).collect()
            };
            return GateState { go: false, since, why };
        }
        let agreed = inputs.iter().map(|input| input.since).max().unwrap_or(now);
        let flipped = inputs.iter().filter_map(|input| Some((input.flipped?, input.voice))).max_by_key(|(at, _)| *at);
        match flipped {
            Some((at, voice)) if now < at + self.steady => {
                let left = Duration::from_secs((at + self.steady).since(now).as_secs() + 1);
                let why = format!(
                    "{} changed {} s ago; go in {} unless anything changes",
                    voice.as_str(),
                    now.since(at).as_secs(),
                    format_duration(left)
                );
                GateState { go: false, since: at, why: vec![why] }
            }
            flipped => {
                let opened = flipped.map_or(agreed, |(at, _)| agreed.max(at + self.steady));
                GateState { go: true, since: opened, why: inputs.iter().map(said).collect() }
            }
        }
    }
}

impl GateInput {
    /// As it is to be taken at a moment.
    fn at(&self, now: Time) -> GateInput {
        if now < self.until {
            return self.clone();
        }
        let why = format!("not heard of for too long; last it was {}, {}", self.opinion.as_str(), self.why);
        let flipped = if self.opinion == Opinion::Go { Some(self.until) } else { self.flipped };
        GateInput { opinion: Opinion::Unknown, why, since: self.until, flipped, until: Time::NEVER, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Time {
        Time::from_nanos((1_000 + seconds) * 1_000_000_000)
    }

    fn gate(voices: &[Voice]) -> TrunkGate {
        TrunkGate::new(voices, Duration::from_secs(60), at(0))
    }

    fn says(gate: &mut TrunkGate, now: u64, voice: Voice, opinion: Opinion) {
        gate.says(at(now), voice, (opinion, "so".to_owned()), at(now + 30));
    }

    #[test]
    fn everybody_must_say_go() {
        let mut gate = gate(&[Voice::Canary, Voice::Truth]);
        assert!(!gate.state(at(1)).go, "nobody has said anything");
        says(&mut gate, 1, Voice::Canary, Opinion::Go);
        let state = gate.state(at(2));
        assert_eq!((state.go, state.why), (false, vec!["truth: unknown, nothing is known so far".to_owned()]));
        says(&mut gate, 3, Voice::Truth, Opinion::Go);
        let state = gate.state(at(4));
        assert_eq!((state.go, state.since), (true, at(3)), "the first go of each is no change of mind");
        // Whom nobody asked has no say.
        says(&mut gate, 5, Voice::Platform, Opinion::NoGo);
        assert!(gate.state(at(6)).go);
    }

    #[test]
    fn whoever_changed_their_mind_is_waited_for() {
        let mut gate = gate(&[Voice::Canary]);
        says(&mut gate, 1, Voice::Canary, Opinion::Go);
        says(&mut gate, 10, Voice::Canary, Opinion::NoGo);
        assert_eq!(gate.state(at(11)).why, ["canary: no-go, so"]);
        says(&mut gate, 20, Voice::Canary, Opinion::Go);
        let state = gate.state(at(30));
        assert!(!state.go && state.why[0].starts_with("canary changed 10 s ago; go in 51s"), "{state:?}");
        for heard in [40, 60, 79] {
            says(&mut gate, heard, Voice::Canary, Opinion::Go);
        }
        assert!(!gate.state(at(79)).go);
        let state = gate.state(at(80));
        assert_eq!((state.go, state.since), (true, at(80)));
    }

    #[test]
    fn whoever_is_not_heard_of_does_not_know() {
        let mut gate = gate(&[Voice::Canary]);
        says(&mut gate, 1, Voice::Canary, Opinion::Go);
        assert!(gate.state(at(30)).go);
        let state = gate.state(at(31));
        assert_eq!((state.go, state.since), (false, at(31)));
        assert!(state.why[0].contains("not heard of"), "{state:?}");
        // It was away, which is a change.
        says(&mut gate, 100, Voice::Canary, Opinion::Go);
        assert!(!gate.state(at(101)).go);
    }

    #[test]
    fn nobody_to_ask_is_no_go() {
        assert!(!gate(&[]).state(at(1)).go);
    }

    proptest! {
        /// Go is never said while anybody does not say go, or did not within the steady time.
        #[test]
        fn go_needs_everybody_for_a_while(
            said in proptest::collection::vec((0u64..200, 0usize..2, 0usize..3), 0..40), now in 0u64..400,
        ) {
            let voices = [Voice::Canary, Voice::Truth];
            let opinions = [Opinion::Go, Opinion::NoGo, Opinion::Unknown];
            let mut said: Vec<_> = said.into_iter().filter(|(when, ..)| *when <= now).collect();
            said.sort_by_key(|(when, ..)| *when);
            let mut gate = gate(&voices);
            for (when, voice, opinion) in &said {
                says(&mut gate, *when, voices[*voice], opinions[*opinion]);
            }
            if gate.state(at(now)).go {
                for voice in 0..2 {
                    let own: Vec<_> = said.iter().filter(|(_, who, _)| *who == voice).collect();
                    let last = own.last().expect("go needs a word of everybody");
                    prop_assert!(last.2 == 0 && now < last.0 + 30);
                    let lately = own.iter().filter(|(when, ..)| *when + 60 > now);
                    prop_assert!(lately.filter(|(_, _, opinion)| *opinion == 1).count() == 0 || own.iter().all(|one| one.2 != 0));
                }
            }
        }
    }
}
