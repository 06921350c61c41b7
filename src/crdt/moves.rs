//! Where the moved elements of a list are. A move adds a slot to its element; of the moves that count, the register's rule
//! picks one, and without any the element is where it was inserted.

use super::unit_log::Span;
use super::{Recency, Register};
use crate::causal::OpIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    /// By the unit of the insert; only elements that were ever moved.
    elements: BTreeMap<u32, Moved>,
    unsettled: Vec<u32>,
}

/// An element with more than one slot.
#[derive(Clone, Debug)]
struct Moved {
    register: Register,
    /// By move, both rising.
    slots: Vec<(OpIx, u32)>,
    /// The unit in which it is.
    place: u32,
}

/// An element is in another unit now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub from: u32,
    pub to: u32,
}

impl Moved {
    /// The slot of the move that wins.
    fn winner(&self) -> Option<u32> {
        self.register.winners().first().map(|winner| self.slot(winner.op))
    }

    fn slot(&self, op: OpIx) -> u32 {
        let at = self.slots.binary_search_by_key(&op, |slot| slot.0);
        self.slots[at.expect("each move has a slot")].1
    }
}

impl Moves {
    /// Adds a move whose op and slot exceed all before. Call [`Moves::settle`] then.
    pub fn add(&mut self, history: &impl Recency, element: u32, op: OpIx, slot: u32, active: bool) {
        let moved = self.elements.entry(element).or_insert_with(|| Moved {
            register: Register::default(),
            slots: Vec::new(),
            place: element,
        });
        moved.register.apply(history, op, false, active);
        moved.slots.push((op, slot));
        self.unsettled.push(element);
    }

    /// Takes the last move of an element back. Call [`Moves::settle`] then; it tells nothing of an element without moves.
    pub fn retract(&mut self, element: u32) {
        let moved = self.elements.get_mut(&element).expect("it was moved");
        moved.register.retract();
        moved.slots.pop();
        self.unsettled.push(element);
    }

    /// Switches a move. Call [`Moves::settle`] then.
    pub fn set_active(&mut self, history: &impl Recency, element: u32, op: OpIx, on: bool) {
        let moved = self.elements.get_mut(&element).expect("it was moved");
        if moved.register.set_active(history, op, on) {
            self.unsettled.push(element);
        }
    }

    /// Finds where elements are whose moves changed. O(their moves).
    pub fn settle(&mut self, history: &impl Recency) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for element in std::mem::take(&mut self.unsettled) {
            let Some(moved) = self.elements.get_mut(&element) else { continue };
            moved.register.settle(history);
            let to = moved.winner().unwrap_or(element);
            let from = std::mem::replace(&mut moved.place, to);
            if from != to {
                shifts.push(Shift { from, to });
            }
            if moved.slots.is_empty() {
                self.elements.remove(&element);
            }
        }
        shifts
    }

    /// The unit in which an element is.
    pub fn place(&self, element: u32) -> u32 {
        self.elements.get(&element).map_or(element, |moved| moved.place)
    }

    /// Those of consecutive elements that are not where they were inserted, and where they are.
    pub fn elsewhere(&self, elements: Span) -> impl Iterator<Item = (u32, u32)> + '_ {
        let places = self.elements.range(elements.range()).map(|(element, moved)| (*element, moved.place));
        places.filter(|(element, place)| element != place)
    }

    /// The moved elements of the first units, and where each is if the selected moves count that are among them.
    /// O(moves · winners).
    pub fn places_at(
        &self,
        history: &impl Recency,
        units: u32,
        selected: impl Fn(OpIx) -> bool,
    ) -> impl Iterator<Item = (u32, u32)> {
        self.elements.range(..units).map(move |(element, moved)| {
            let counts = |op| selected(op) && moved.slot(op) < units;
            let winners = moved.register.winners_at(history, counts);
            (*element, winners.first().map_or(*element, |winner| moved.slot(winner.op)))
        })
    }

    /// Writes down who wins; the rest is in the log.
    pub fn save(&self, out: &mut Writer) {
        debug_assert!(self.unsettled.is_empty(), "toggles are settled before saving");
        self.elements.values().for_each(|moved| moved.register.save(out));
    }

    /// Reads that back; `moves` are (element, op, slot) in the order of the ops.
    pub fn load(
        from: &mut Reader<'_>,
        moves: impl Iterator<Item = (u32, OpIx, u32)>,
    ) -> Result<Self, DecodeError> {
        let mut slots: BTreeMap<u32, Vec<(OpIx, u32)>> = BTreeMap::new();
        moves.for_each(|(element, op, slot)| slots.entry(element).or_default().push((op, slot)));
        let mut elements = BTreeMap::new();
        for (element, slots) in slots {
            let register = Register::load(from)?;
            let same = register.writes().map(|(op, ..)| op).eq(slots.iter().map(|slot| slot.0));
            saved::check(same, from, "moves", "an element has a slot for each move")?;
            let mut moved = Moved { register, slots, place: element };
            moved.place = moved.winner().unwrap_or(element);
            elements.insert(element, moved);
        }
        Ok(Self { elements, unsettled: Vec::new() })
    }

    pub fn dbg_check(&self, history: &impl Recency) {
        for (element, moved) in &self.elements {
            moved.register.dbg_check(history);
            assert!(!moved.slots.is_empty() && moved.slots.is_sorted() && moved.slots[0].1 > *element);
            if self.unsettled.is_empty() {
                assert_eq!(moved.place, moved.winner().unwrap_or(*element));
            }
        }
    }
}
