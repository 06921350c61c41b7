//! What others did to a list, and switching ops: by id, in any causal order.

use super::adjacency::Checker;
use super::list::List;
use super::order;
use super::piece::{NONE, Piece};
use super::unit_log::{Effect, Span};
use super::unit_op::{Invalid, UnitOp, UnitRef, UnitSpan};
use super::{History, Recency};
use crate::causal::{ChangesetIx, OpIx};
use crate::event::Value;
use std::cmp::Ordering;

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// Checks all ops of a changeset on this list before any is applied. The changeset's causal past is applied, the
    /// changeset itself is not. For a self-check give `ChangesetIx::OPEN` and [`Self::pending_ops`].
    ///
    /// # Errors
    /// If an honest replica cannot have made them.
    pub fn check(
        &self,
        history: &impl History,
        changeset: ChangesetIx,
        ops: &[UnitOp],
    ) -> Result<(), Invalid> {
        Checker::new(&self.list, &self.log, history, changeset).check(ops)
    }

    /// Applies the ops of a changeset. Without content, or with content that has not exactly the values that its inserts
    /// state, their value is absent: they take their place and do not show.
    ///
    /// # Panics
    /// If a batch is open, if the ops did not pass [`Self::check`], or if they are not later than all before.
    pub fn apply(
        &mut self,
        history: &impl Recency,
        changeset: ChangesetIx,
        ops: &[(OpIx, UnitOp)],
        content: Option<Vec<Value>>,
        active: impl Fn(OpIx) -> bool,
    ) {
        assert!(
            self.batch.is_empty(),
            "a batch is sealed before anything arrives, or its ops would not be adjacent"
        );
        let stated = ops.iter().map(|(_, op)| op.stated()).sum::<u32>();
        let content = content.filter(|values| values.len() == stated as usize);
        let absent = stated > 0 && content.is_none();
        if ops.iter().any(|(_, op)| op.units() > 0) {
            self.log.begin(changeset, absent);
        }
        let mut values = content.into_iter().flatten();
        for (op, what) in ops {
            let on = active(*op);
            match what {
                UnitOp::Insert { left, right, len } => {
                    let (left, right) = self.neighbours(left, right);
                    let hide = u32::from(!on) + u32::from(absent);
                    let first = self.log.units();
                    for _ in 0..*len {
                        match values.next() {
                            Some(value) => self.cells.push_value(value),
                            None => self.cells.push_absent(),
                        }
                    }
                    self.integrate(history, changeset, Piece { first, len: *len, left, right, hide });
                    self.log.push_insert(*op, *len, on);
                }
                UnitOp::Delete { spans } => {
                    let elements: Vec<Span> = spans.iter().flat_map(|span| self.elements(span)).collect();
                    if on {
                        elements.iter().for_each(|span| self.bump_elements(*span, 1, false));
                    }
                    self.log.push_delete(*op, elements, on);
                }
                UnitOp::Move { element, left, right } => {
                    let element = self.cells.element(self.unit(*element));
                    let (left, right) = self.neighbours(left, right);
                    let first = self.log.units();
                    self.cells.push_slot(element);
                    self.integrate(history, changeset, Piece { first, len: 1, left, right, hide: 1 });
                    self.log.push_move(*op, on);
                    self.moves.add(history, element, *op, first, on);
                }
                UnitOp::Mark { .. } => unreachable!("ops are compared with the kind of their object"),
            }
        }
        self.settle_moves(history, false);
    }

    fn unit(&self, unit: UnitRef) -> u32 {
        self.log.resolve(unit, 1).expect("the ops were checked")
    }

    fn neighbours(&self, left: &Option<UnitRef>, right: &Option<UnitRef>) -> (u32, u32) {
        let unit = |neighbour: &Option<UnitRef>| neighbour.map_or(NONE, |unit| self.unit(unit));
        (unit(left), unit(right))
    }

    /// The elements that units belong to.
    fn elements(&self, span: &UnitSpan) -> Vec<Span> {
        let first = self.unit(UnitRef { changeset: span.changeset, offset: span.offset });
        let mut elements: Vec<Span> = Vec::new();
        for unit in first..first + span.len {
            let element = self.cells.element(unit);
            match elements.last_mut() {
                Some(last) if last.end() == element => last.len += 1,
                _ => elements.push(Span { first: element, len: 1 }),
            }
        }
        elements
    }

    fn integrate(&mut self, history: &impl History, changeset: ChangesetIx, new: Piece) {
        let goes_before = |unit| history.order(changeset, self.log.changeset_of(unit)) == Ordering::Less;
        let gap = order::gap(&mut self.list, new.left, new.right, goes_before);
        if new.hide == 0 && self.deltas.recording() {
            self.deltas.insert(self.list.visible_before(gap), new.first, new.len, false);
        }
        self.list.place(gap, new);
    }

    /// Switches an op; does nothing if it is so already, or is not an op of this list. Call [`Self::settle`] before
    /// reading.
    pub fn set_active(&mut self, history: &impl Recency, op: OpIx, on: bool) {
        let Some(effect) = self.log.set_active(op, on) else { return };
        self.batch.disturb();
        match effect {
            Effect::Insert(span) => self.bump_elements(span, if on { -1 } else { 1 }, false),
            Effect::Delete(spans) => {
                let spans = spans.to_vec();
                for span in spans {
                    self.bump_elements(span, if on { 1 } else { -1 }, false);
                }
            }
            Effect::Move(slot) => self.moves.set_active(history, self.cells.element(slot), op, on),
        }
    }

    /// Puts elements where the moves say that count now. O(moves of the elements whose moves were switched).
    pub fn settle(&mut self, history: &impl Recency) {
        self.settle_moves(history, false);
    }

    /// Supplies the absent content of a changeset. Returns whether it fits and was missing.
    pub fn fill(&mut self, changeset: ChangesetIx, content: Vec<Value>) -> bool {
        let Some(inserted) = self.inserted_by(changeset) else { return false };
        if inserted.iter().map(|span| span.len as usize).sum::<usize>() != content.len()
            || self.log.set_absent(changeset, false).is_none()
        {
            return false;
        }
        self.batch.disturb();
        let mut content = content.into_iter();
        for span in inserted {
            span.range().zip(content.by_ref()).for_each(|(unit, value)| self.cells.fill(unit, value));
            self.bump_elements(span, -1, false);
        }
        true
    }

    /// Wipes the content of a changeset: from now on it is absent. Returns whether there was any.
    pub fn wipe(&mut self, changeset: ChangesetIx) -> bool {
        let inserted = self.inserted_by(changeset).filter(|spans| !spans.is_empty());
        let Some(inserted) = inserted.filter(|_| self.log.set_absent(changeset, true).is_some()) else {
            return false;
        };
        self.batch.disturb();
        self.deltas.settle(|out, units| self.cells.copy(out, units));
        for span in inserted {
            self.bump_elements(span, 1, false);
            span.range().for_each(|unit| self.cells.wipe(unit));
        }
        true
    }

    /// The elements that a changeset inserted.
    fn inserted_by(&self, changeset: ChangesetIx) -> Option<Vec<Span>> {
        let mut inserted: Vec<Span> = Vec::new();
        for unit in self.log.units_of(changeset)?.range() {
            match inserted.last_mut() {
                _ if self.cells.is_slot(unit) => {}
                Some(last) if last.end() == unit => last.len += 1,
                _ => inserted.push(Span { first: unit, len: 1 }),
            }
        }
        Some(inserted)
    }
}
