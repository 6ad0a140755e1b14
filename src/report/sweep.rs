//! What `regstorm sweep` found at the registrars, and what it removed.

use super::json;
use super::text::{counted, printable};
use serde::Serialize;
use std::collections::BTreeMap;

/// A sweep, trunk by trunk; without a trunk there was nothing to look for.
#[derive(Default, Debug, Serialize)]
pub struct Sweep {
    pub trunks: Vec<SweptTrunk>,
}

/// One trunk of a sweep.
#[derive(Default, Debug, Serialize)]
pub struct SweptTrunk {
    pub trunk_id: String,
    /// Its registrar was the embedded one, which ended with the run and all its bindings.
    pub registrar_ended: bool,
    /// Agents whose bindings the registrar listed.
    pub asked: u64,
    /// Bindings of the run's agents at addresses of this machine.
    pub found: u64,
    pub removed: u64,
    /// Bindings of the same users at other addresses; they were left alone.
    pub elsewhere: u64,
    /// Agents that could not be asked, by why.
    pub unasked: BTreeMap<String, u64>,
}

impl SweptTrunk {
    pub fn unasked(&mut self, agents: u64, why: String) {
        *self.unasked.entry(why).or_default() += agents;
    }

    pub fn add(&mut self, other: SweptTrunk) {
        self.asked += other.asked;
        self.found += other.found;
        self.removed += other.removed;
        self.elsewhere += other.elsewhere;
        other.unasked.into_iter().for_each(|(why, agents)| self.unasked(agents, why));
    }
}

impl Sweep {
    pub fn removed(&self) -> u64 {
        self.trunks.iter().map(|trunk| trunk.removed).sum()
    }

    /// How many bindings may be left of agents that are known to have had so many. Nobody knows
    /// more where some could not be asked about.
    pub fn may_be_left(&self, known_bound: u64) -> u64 {
        let found: u64 = self.trunks.iter().map(|trunk| trunk.found).sum();
        let all_asked = self.trunks.iter().all(|trunk| trunk.unasked.is_empty());
        (if all_asked { found } else { found.max(known_bound) }) - self.removed()
    }

    /// Whether nothing of the run is left, as far as the registrars say.
    pub fn is_clean(&self) -> bool {
        self.trunks.iter().all(|trunk| trunk.removed == trunk.found && trunk.unasked.is_empty())
    }
}

/// The sweep as JSON, schema `regstorm.sweep/1`.
pub fn render_json(sweep: &Sweep) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        clean: bool,
        trunks: &'a [SweptTrunk],
    }
    let document = Document { schema: "regstorm.sweep/1", clean: sweep.is_clean(), trunks: &sweep.trunks };
    String::from_utf8_lossy(&json::pretty(&document)).into_owned()
}

/// The sweep for a terminal: a few lines for each trunk, and one for all.
pub fn render(sweep: &Sweep) -> String {
    let mut text: String = sweep.trunks.iter().map(trunk).collect();
    let removed = sweep.removed();
    let left: u64 = sweep.trunks.iter().map(|trunk| trunk.found - trunk.removed).sum();
    let unasked: u64 = sweep.trunks.iter().flat_map(|trunk| trunk.unasked.values()).sum();
    text += &match (removed, left, unasked) {
        (0, 0, 0) => "nothing of this run is left\n".to_owned(),
        (_, 0, 0) => format!("{} removed; nothing of this run is left\n", counted(removed, "binding")),
        (_, left, 0) => format!("{} removed, {left} could not be removed\n", counted(removed, "binding")),
        (_, left, unasked) => format!(
            "{} removed; {left} could not be removed, and {} could not be asked about: run the sweep again\n",
            counted(removed, "binding"),
            counted(unasked, "agent")
        ),
    };
    text
}

fn trunk(trunk: &SweptTrunk) -> String {
    let id = printable(&trunk.trunk_id);
    if trunk.registrar_ended {
        return format!("{id}: the embedded registrar ended with the run, and its bindings with it\n");
    }
    let asked = counted(trunk.asked, "agent");
    let mut text =
        format!("{id}: {asked} looked up, {} found, {} removed\n", counted(trunk.found, "binding"), trunk.removed);
    if trunk.elsewhere > 0 {
        let others = counted(trunk.elsewhere, "binding");
        text += &format!("{id}: {others} of the same users at other addresses left alone\n");
    }
    for (why, agents) in &trunk.unasked {
        text += &format!("{id}: {} could not be asked about: {}\n", counted(*agents, "agent"), printable(why));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_asked_is_not_called_clean() {
        let mut trunk = SweptTrunk { trunk_id: "nj".into(), asked: 3, found: 2, removed: 2, ..SweptTrunk::default() };
        let clean = render(&Sweep { trunks: vec![SweptTrunk { unasked: BTreeMap::new(), ..trunk_like(&trunk) }] });
        assert_eq!(
            clean,
            "nj: 3 agents looked up, 2 bindings found, 2 removed\n2 bindings removed; nothing of this run is left\n"
        );
        trunk.unasked(1, "403 Forbidden".into());
        let sweep = Sweep { trunks: vec![trunk] };
        assert!(!sweep.is_clean());
        assert!(render(&sweep).ends_with(
            "nj: 1 agent could not be asked about: 403 Forbidden\n\
             2 bindings removed; 0 could not be removed, and 1 agent could not be asked about: run the sweep again\n"
        ));
    }

    #[test]
    fn whoever_could_not_be_asked_about_may_be_left() {
        let mut trunk = SweptTrunk { asked: 20, found: 20, removed: 18, ..SweptTrunk::default() };
        let sweep = |trunk: &SweptTrunk| {
            let unasked = trunk.unasked.clone();
            Sweep { trunks: vec![SweptTrunk { unasked, ..trunk_like(trunk) }] }
        };
        assert_eq!(sweep(&trunk).may_be_left(25), 2, "all were asked: the registrar knows better than we do");
        trunk.unasked(5, "not answered".into());
        assert_eq!((sweep(&trunk).may_be_left(25), sweep(&trunk).may_be_left(3)), (7, 2));
    }

    fn trunk_like(trunk: &SweptTrunk) -> SweptTrunk {
        let SweptTrunk { ref trunk_id, asked, found, removed, .. } = *trunk;
        SweptTrunk { trunk_id: trunk_id.clone(), asked, found, removed, ..SweptTrunk::default() }
    }
}
