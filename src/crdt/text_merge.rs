//! What others did to a text, and switching ops: by id, in any causal order.

use super::History;
use super::adjacency::Checker;
use super::order;
use super::piece::{NONE, Piece};
use super::text::Text;
use super::unit_log::{Effect, Span};
use super::unit_op::{Invalid, UnitOp, UnitRef, UnitSpan};
use super::units::utf16_len;
use crate::causal::{ChangesetIx, OpIx};
use std::cmp::Ordering;

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// Checks all ops of a changeset on this text before any is applied. The changeset's causal past is applied, the
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

    /// Applies the ops of a changeset; marks get their values with [`Self::fill_mark`], then [`Self::settle`]. Without content, or with content that has not exactly the units that its inserts
    /// state, their value is absent: they take their place with zero width.
    ///
    /// # Panics
    /// If a batch is open, if the ops did not pass [`Self::check`], or if they are not later than all before.
    pub fn apply(
        &mut self,
        history: &impl History,
        changeset: ChangesetIx,
        ops: &[(OpIx, UnitOp)],
        content: Option<&str>,
        active: impl Fn(OpIx) -> bool,
    ) {
        assert!(
            self.batch.is_empty(),
            "a batch is sealed before anything arrives, or its ops would not be adjacent"
        );
        let len = ops.iter().map(|(_, op)| op.stated()).sum::<u32>();
        let content = content.filter(|content| utf16_len(content) == len as usize);
        if len > 0 {
            self.log.begin(changeset, content.is_none());
            match content {
                Some(content) => self.units.push_str(content),
                None => self.units.push_blank(len),
            }
        }
        for (op, what) in ops {
            let on = active(*op);
            match what {
                UnitOp::Insert { left, right, len } => {
                    let unit = |neighbour: &Option<UnitRef>| neighbour.map_or(NONE, |unit| self.unit(unit));
                    let (left, right) = (unit(left), unit(right));
                    let hide = u32::from(!on) + u32::from(content.is_none());
                    let new = Piece { first: self.log.units(), len: *len, left, right, hide };
                    self.integrate(history, changeset, new);
                    self.log.push_insert(*op, *len, on);
                }
                UnitOp::Delete { spans } => {
                    let span = |&UnitSpan { changeset, offset, len }: &UnitSpan| Span {
                        first: self.unit(UnitRef { changeset, offset }),
                        len,
                    };
                    let spans: Vec<Span> = spans.iter().map(span).collect();
                    if on {
                        spans.iter().for_each(|&span| self.bump_span(span, 1, false));
                    }
                    self.log.push_delete(*op, spans, on);
                }
                UnitOp::Mark { start, end, key } => {
                    self.apply_mark((changeset, *op), (*start, *end), *key, on);
                }
                UnitOp::Move { .. } => unreachable!("ops are compared with the kind of their object"),
            }
        }
    }

    fn unit(&self, unit: UnitRef) -> u32 {
        self.log.resolve(unit, 1).expect("the ops were checked")
    }

    fn integrate(&mut self, history: &impl History, changeset: ChangesetIx, new: Piece) {
        let goes_before = |unit| history.order(changeset, self.log.changeset_of(unit)) == Ordering::Less;
        let gap = order::gap(&mut self.list, new.left, new.right, goes_before);
        let shows = new.hide == 0 && self.deltas.recording();
        let pos = if shows { self.list.visible_before(gap) } else { 0 };
        self.list.place(gap, new);
        if shows {
            self.show((pos, new.first, new.len), false, None);
        }
    }

    /// Switches an op; does nothing if it is so already, or is not an op of this text. Call [`Self::settle`] before reading.
    pub fn set_active(&mut self, op: OpIx, on: bool) {
        if let Some(marks) = &mut self.marks
            && let Some(row) = marks.row_of(op)
        {
            return marks.set_active(row, on);
        }
        let Some(effect) = self.log.set_active(op, on) else { return };
        self.batch.disturb();
        match effect {
            Effect::Insert(units) => self.bump_span(units, if on { -1 } else { 1 }, false),
            Effect::Delete(spans) => {
                let spans = spans.to_vec();
                for units in spans {
                    self.bump_span(units, if on { 1 } else { -1 }, false);
                }
            }
            Effect::Move(_) => unreachable!("a text moves nothing"),
        }
    }

    /// Supplies the absent content of a changeset. Returns whether it fits and was missing.
    pub fn fill(&mut self, changeset: ChangesetIx, content: &str) -> bool {
        let fits = self.log.units_of(changeset).is_some_and(|units| utf16_len(content) == units.len as usize);
        let Some(units) = fits.then(|| self.log.set_absent(changeset, false)).flatten() else { return false };
        self.units.overwrite(units.first, content);
        self.batch.disturb();
        self.bump_span(units, -1, false);
        true
    }

    /// Wipes the text of a changeset: from now on it is absent. Returns whether there was any.
    pub fn wipe(&mut self, changeset: ChangesetIx) -> bool {
        let Some(units) = self.log.set_absent(changeset, true) else { return false };
        self.batch.disturb();
        self.bump_span(units, 1, false);
        self.units.blank(units.range());
        true
    }

    /// Adds to the reasons to hide units.
    pub(super) fn bump_span(&mut self, span: Span, delta: i32, local: bool) {
        let mut unit = span.first;
        while unit < span.end() {
            let at = self.list.locate(unit);
            let len = (self.list.piece(at).len - at.offset).min(span.end() - unit);
            self.bump(at, len, delta, local);
            unit += len;
        }
    }
}
