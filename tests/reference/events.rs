//! What events make of objects, the slow and obvious way: which of them count, and in which order, is found anew each time by
//! what docs/format.md says.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{ChangesetId, MemberId};
use stemma::replica::ChangesetSummary;

/// A changeset and the index of an op in it.
pub type OpId = (ChangesetId, u32);

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Event { creates: bool, of_type: String, concerns: Vec<String> },
    Revoke(Vec<OpId>),
}

/// What was said in the whole world.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub ops: BTreeMap<OpId, Op>,
    /// For which commands changesets were made, by whom.
    pub commands: BTreeMap<ChangesetId, (MemberId, String)>,
    /// Changesets that only their authors read.
    pub private: BTreeSet<ChangesetId>,
}

/// What of it is known somewhere, in an order in which each stands after what it builds on.
pub struct Model<'a> {
    world: &'a World,
    /// What is known to be in the past of what, whatever is looked at.
    graph: &'a [ChangesetSummary],
    history: Vec<&'a ChangesetSummary>,
    ranks: BTreeMap<ChangesetId, (u64, u32)>,
    counting: BTreeSet<OpId>,
}

impl<'a> Model<'a> {
    pub fn new(
        world: &'a World,
        history: &'a [ChangesetSummary],
        knows: impl Fn(&ChangesetSummary) -> bool,
        is_hidden: impl Fn(OpId) -> bool,
    ) -> Self {
        // Ranks are those of all changesets: they do not depend on what is looked at.
        let mut ranks: BTreeMap<ChangesetId, (u64, u32)> = BTreeMap::new();
        for one in history {
            let known = one.prev.iter().chain(&one.deps).map(|parent| ranks[parent]).max();
            let own = (one.time_ms, u32::from(one.counter));
            let rank = match known {
                None if world.private.contains(&one.id) => (0, 0),
                None => own,
                Some(known) if world.private.contains(&one.id) => known,
                Some(known) if own > known => own,
                Some((ms, counter)) => (ms, counter + 1),
            };
            ranks.insert(one.id, rank);
        }
        let graph = history;
        let history: Vec<&ChangesetSummary> = history.iter().filter(|one| knows(one)).collect();
        let here: BTreeSet<ChangesetId> = history.iter().map(|one| one.id).collect();
        let mut left: BTreeSet<OpId> =
            world.ops.keys().filter(|op| here.contains(&op.0) && !is_hidden(**op)).copied().collect();
        // A revoke names what is in its past: the last ones are settled first.
        for one in history.iter().rev() {
            for index in 0..one.ops {
                let op = (one.id, index);
                if let (true, Some(Op::Revoke(targets))) = (left.contains(&op), world.ops.get(&op)) {
                    left.retain(|op| !targets.contains(op));
                }
            }
        }
        Self { world, graph, history, ranks, counting: left }
    }

    pub fn counts(&self, op: OpId) -> bool {
        self.counting.contains(&op)
    }

    /// Whether a changeset has no command, or is the first with it of its author that has an event which was not switched off:
    /// of those that none of them knew the one with the smallest id.
    fn is_first(&self, one: ChangesetId) -> bool {
        let Some(command) = self.world.commands.get(&one) else { return true };
        let is_event = |op: &&OpId| matches!(self.world.ops[op], Op::Event { .. });
        let left: BTreeSet<ChangesetId> = self.counting.iter().filter(is_event).map(|op| op.0).collect();
        let of_command = |id: &&ChangesetId| self.world.commands.get(id) == Some(command);
        let rivals: Vec<ChangesetId> = left.iter().filter(of_command).copied().collect();
        let is_early = |id: &&ChangesetId| !rivals.iter().any(|other| self.knew(**id, *other));
        rivals.iter().filter(is_early).min() == Some(&one)
    }

    /// The first changeset of its author for the command of a changeset, if it is another one, whatever was switched off.
    pub fn repeats(&self, one: ChangesetId) -> Option<ChangesetId> {
        let command = self.world.commands.get(&one)?;
        let rivals: Vec<ChangesetId> = self
            .history
            .iter()
            .map(|one| one.id)
            .filter(|id| self.world.commands.get(id) == Some(command))
            .collect();
        let is_early = |id: &&ChangesetId| !rivals.iter().any(|other| self.knew(**id, *other));
        rivals.iter().filter(is_early).min().copied().filter(|first| *first != one)
    }

    /// The events of an object that count, in their order.
    pub fn events(&self, id: &str) -> Vec<OpId> {
        let is_of = |op: &OpId| match &self.world.ops[op] {
            Op::Event { concerns, .. } => concerns.iter().any(|one| one == id),
            Op::Revoke(_) => false,
        };
        let of_first = |op: &&OpId| is_of(op) && self.is_first(op.0);
        let mut events: Vec<OpId> = self.counting.iter().filter(of_first).copied().collect();
        events.sort_by_key(|op| (self.ranks[&op.0], op.0, op.1));
        for (at, event) in events.iter().enumerate() {
            let later = &events[at + 1..];
            assert!(later.iter().all(|later| !self.knew(event.0, later.0)), "what was known comes first");
        }
        events
    }

    /// What makes an object, and its type.
    pub fn maker(&self, id: &str) -> Option<(OpId, &'a str)> {
        self.events(id).into_iter().find_map(|op| match &self.world.ops[&op] {
            Op::Event { creates: true, of_type, .. } => Some((op, of_type.as_str())),
            _ => None,
        })
    }

    /// The objects of a type, in the order in which they were made.
    pub fn of_type(&self, of_type: &str) -> Vec<String> {
        let mut ids: BTreeSet<&String> = BTreeSet::new();
        for op in self.world.ops.values() {
            if let Op::Event { concerns, .. } = op {
                ids.extend(concerns);
            }
        }
        let made = ids.into_iter().filter_map(|id| Some((self.maker(id)?, id)));
        let mut made: Vec<_> = made.filter(|((_, made), _)| *made == of_type).collect();
        made.sort_by_key(|((op, _), _)| (self.ranks[&op.0], op.0, op.1));
        made.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Whether a changeset builds on another one.
    fn knew(&self, later: ChangesetId, earlier: ChangesetId) -> bool {
        let mut past = BTreeSet::from([later]);
        for one in self.graph.iter().rev() {
            if past.contains(&one.id) {
                past.extend(one.prev.iter().chain(&one.deps));
            }
        }
        later != earlier && past.contains(&earlier)
    }
}
