//! Why something reads as it does: who wrote it, what lost against it, and what of it does not count.

use super::history::value_at;
use super::policy::EntryInfo;
use super::{EditFault, Replica};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, OpIx};
use crate::crdt::{Register, Slot};
use crate::doc::{Body, ObjectIx};
use crate::event::{Sort, Value};
use crate::trust::{Policy, Standing};

/// A place in an object that somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spot<'a> {
    /// A key of a map.
    Key(&'a str),
    /// An element of a set.
    Element(&'a Value),
    /// A visible unit of a text, or element of a list.
    Index(u32),
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It shows.
    Shows,
    /// It is as good as the one that shows, and lost by the rule of slots.
    Lost,
    /// It does not count: a word of policy hides it.
    Hidden,
    /// It does not count before it passed the review.
    Waits,
    /// Its author took it back.
    Undone,
}

/// A write that bears on a place, or would.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The changeset; none while its batch is open.
    pub changeset: Option<ChangesetId>,
    /// Which op of it.
    pub index: u32,
    /// Who wrote it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// The value; none for a deletion, and where it is missing.
    pub value: Option<Value>,
    /// What it came to.
    pub bearing: Bearing,
    /// The words that were looked at, by rank.
    pub considered: Vec<EntryInfo>,
}

impl Replica {
    /// The writes that bear on a place: the one that shows, then what lost against it, then those that would bear on it if
    /// they counted, the latest first. Empty if nothing was written there. O(writes of the place), for texts and lists
    /// O(log n + ops of the changeset).
    pub fn why(&self, object: ObjectIx, spot: Spot<'_>) -> Result<Vec<Claim>, EditFault> {
        match (&self.fold.get(object).body, spot) {
            (Body::Map(map), Spot::Key(key)) => {
                let (slot, place) = self.slot_of(object, key);
                Ok(map.get(&slot).map_or_else(Vec::new, |register| self.claims(register, place)))
            }
            (Body::Set(set), Spot::Element(element)) => {
                let slot = Slot::Key(self.value_id(Sort::SetElement, element));
                Ok(set.get(&slot).map_or_else(Vec::new, |register| self.claims(register, None)))
            }
            (Body::Text(text), Spot::Index(index)) => {
                let made = text.maker(index, |changeset| self.fold.timeline().ops_of(changeset));
                made.ok_or(EditFault::Range).map(|op| vec![self.claim(op, None, Bearing::Shows)])
            }
            (Body::List(list), Spot::Index(index)) => {
                let made = list.maker(index, |changeset| self.fold.timeline().ops_of(changeset));
                let op = made.ok_or(EditFault::Range)?;
                Ok(vec![self.claim(op, list.get(index).cloned(), Bearing::Shows)])
            }
            _ => Err(EditFault::Kind),
        }
    }

    fn claims(&self, register: &Register, place: Option<usize>) -> Vec<Claim> {
        let value = |op| self.fold.written(op).and_then(|written| value_at(written, place)).cloned();
        let winners = register.winners().iter().enumerate().map(|(at, winner)| {
            let bearing = if at == 0 { Bearing::Shows } else { Bearing::Lost };
            self.claim(winner.op, value(winner.op), bearing)
        });
        let off = register.writes().rev().filter(|(_, _, active)| !active).map(|(op, ..)| {
            let mut claim = self.claim(op, value(op), Bearing::Undone);
            if self.fold.hidden().get(op.0) {
                claim.bearing = Bearing::Hidden;
                if self.standing_of(&self.policy, op, &mut |_| {}) == Standing::Waits {
                    claim.bearing = Bearing::Waits;
                }
            }
            claim
        });
        winners.chain(off).collect()
    }

    fn claim(&self, op: OpIx, value: Option<Value>, bearing: Bearing) -> Claim {
        let changeset = self.fold.timeline().changeset_of(op);
        if changeset == ChangesetIx::OPEN {
            let (member, actor) = (self.member(), self.acting());
            let time_ms = self.batch.begun_ms.unwrap_or(0);
            return Claim {
                changeset: None,
                index: 0,
                member,
                actor,
                time_ms,
                value,
                bearing,
                considered: Vec::new(),
            };
        }
        let mut considered = Vec::new();
        self.standing_of(&self.policy, op, &mut |number| considered.push(number));
        let at = self.authored(changeset, self.fold.timeline().stamp(changeset).ms);
        Claim {
            changeset: Some(at.id),
            index: op.0 - self.fold.timeline().ops_of(changeset).start,
            member: at.member,
            actor: at.actor,
            time_ms: at.time_ms,
            value,
            bearing,
            considered: considered.into_iter().map(|number| self.entry_info(number)).collect(),
        }
    }

    pub(super) fn standing_of(&self, policy: &Policy, op: OpIx, consider: &mut dyn FnMut(u32)) -> Standing {
        let changeset = self.fold.timeline().changeset_of(op);
        let at = self.authored(changeset, self.fold.timeline().stamp(changeset).ms);
        let index = op.0 - self.fold.timeline().ops_of(changeset).start;
        policy.judge(self.log.graph(), &at, Some(index), consider)
    }
}
