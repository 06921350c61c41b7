//! The local edits of a text or a list since the last seal, joined into as few ops as they are.
//!
//! Typing on is one insert; deleting on, forwards or backwards, is one delete. Only the last op is ever joined with,
//! and the units of the batch are consecutive, in op order.

use super::piece::NONE;
use super::unit_log::{Span, UnitLog};
use super::unit_op::UnitOp;

#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    ops: Vec<BatchOp>,
    spans: Vec<Span>,
    /// The size of the last insert.
    last_size: u32,
    /// At most how many changesets the last delete names, counting repetitions.
    last_names: u32,
    /// Where the last delete happened, while a delete right there would go on with it.
    last_delete: Option<u32>,
    seals: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum BatchOp {
    Insert {
        span: Span,
        left: u32,
        right: u32,
    },
    /// The spans up to the next delete.
    Delete {
        first_span: usize,
    },
    /// A row of the text's marks.
    Mark {
        row: u32,
    },
    /// One unit, which becomes a slot of an element.
    Move {
        element: u32,
        left: u32,
        right: u32,
    },
}

/// A point in the open batch to go back to; good until the next seal.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub(super) units: u32,
    ops: usize,
    spans: usize,
    last_span: Option<Span>,
    last_size: u32,
    last_names: u32,
    last_delete: Option<u32>,
    seals: u32,
}

impl Batch {
    /// Inserts units of this size together, at most [`OP_SIZE_MAX`] unless it is one unit.
    pub fn insert(&mut self, span: Span, left: u32, right: u32, size: u32) {
        self.last_delete = None;
        if let Some(BatchOp::Insert { span: last, right: last_right, .. }) = self.ops.last_mut() {
            let goes_on =
                left != NONE && left + 1 == span.first && last.end() == span.first && *last_right == right;
            if goes_on && self.last_size.saturating_add(size) <= OP_SIZE_MAX {
                last.len += span.len;
                self.last_size += size;
                return;
            }
        }
        self.ops.push(BatchOp::Insert { span, left, right });
        self.last_size = size;
    }

    /// Moves an element to where one more unit is.
    pub fn relocate(&mut self, element: u32, left: u32, right: u32) {
        self.last_delete = None;
        self.ops.push(BatchOp::Move { element, left, right });
    }

    /// Whether deleting visible units `pos .. pos + len` goes on with the last op.
    pub fn delete_goes_on(&self, pos: u32, len: u32) -> bool {
        self.last_delete.is_some_and(|last| (pos..=pos + len).contains(&last))
    }

    /// Deletes units of one changeset. `goes_on` if this belongs to the last op.
    pub fn delete(&mut self, span: Span, goes_on: bool) {
        if !goes_on || self.last_names == OP_SPANS_MAX {
            self.ops.push(BatchOp::Delete { first_span: self.spans.len() });
            self.last_names = 1;
            return self.spans.push(span);
        }
        self.last_names += 1;
        match self.spans.last_mut() {
            Some(last) if last.end() == span.first => last.len += span.len,
            Some(last) if span.end() == last.first => {
                *last = Span { first: span.first, len: span.len + last.len }
            }
            _ => self.spans.push(span),
        }
    }

    /// The delete at this position is complete.
    pub fn deleted_at(&mut self, pos: u32) {
        self.last_delete = Some(pos);
    }

    /// Marks text.
    pub fn mark_text(&mut self, row: u32) {
        self.last_delete = None;
        self.ops.push(BatchOp::Mark { row });
    }

    /// Takes out the marks since a point; says how many there were.
    pub fn take_marks_back(&mut self, to: &Mark) -> usize {
        assert!(self.seals == to.seals && self.ops.len() >= to.ops, "a mark is good until the next seal");
        let before = self.ops.len();
        let mut at = 0;
        self.ops.retain(|op| {
            at += 1;
            at <= to.ops || !matches!(op, BatchOp::Mark { .. })
        });
        before - self.ops.len()
    }

    pub fn ops(&self) -> &[BatchOp] {
        &self.ops
    }

    /// Positions have changed under the batch: no delete goes on with an earlier one.
    pub fn disturb(&mut self) {
        self.last_delete = None;
    }

    pub fn mark(&self, units: u32) -> Mark {
        Mark {
            units,
            ops: self.ops.len(),
            spans: self.spans.len(),
            last_span: self.spans.last().copied(),
            last_size: self.last_size,
            last_names: self.last_names,
            last_delete: self.last_delete,
            seals: self.seals,
        }
    }

    /// Goes back to a mark; returns the units from before it that were deleted since.
    pub fn rollback(&mut self, to: &Mark) -> Vec<Span> {
        assert!(self.seals == to.seals && self.ops.len() >= to.ops, "a mark is good until the next seal");
        debug_assert!(self.ops[to.ops..].iter().all(|op| !matches!(op, BatchOp::Mark { .. })));
        let mut deleted = self.spans.split_off(to.spans);
        if let (Some(then), Some(now)) = (to.last_span, self.spans.last_mut()) {
            deleted.push(Span { first: now.first, len: then.first - now.first });
            deleted.push(Span { first: then.end(), len: now.end() - then.end() });
            *now = then;
        }
        self.ops.truncate(to.ops);
        if let Some(BatchOp::Insert { span, .. }) = self.ops.last_mut() {
            span.len = to.units - span.first;
        }
        (self.last_size, self.last_names, self.last_delete) = (to.last_size, to.last_names, to.last_delete);
        for span in &mut deleted {
            span.len = span.len.min(to.units.saturating_sub(span.first));
        }
        deleted.retain(|span| span.len > 0);
        deleted
    }

    /// Takes the first ops out; what they hold goes to `each`.
    pub fn take(&mut self, ops: usize, mut each: impl FnMut(usize, BatchOp, &[Span])) {
        for at in 0..ops {
            each(at, self.ops[at], self.spans_of(at));
        }
        let spans = self.ops[ops..].iter().find_map(BatchOp::first_span).unwrap_or(self.spans.len());
        self.ops.drain(..ops);
        self.spans.drain(..spans);
        for op in &mut self.ops {
            if let BatchOp::Delete { first_span } = op {
                *first_span -= spans;
            }
        }
        self.seals = self.seals.wrapping_add(1);
        if self.ops.is_empty() {
            self.last_delete = None;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many units the first ops make.
    pub fn units_of_first(&self, ops: usize) -> u32 {
        let units = |op: &BatchOp| match op {
            BatchOp::Insert { span, .. } => span.len,
            BatchOp::Delete { .. } | BatchOp::Mark { .. } => 0,
            BatchOp::Move { .. } => 1,
        };
        self.ops[..ops].iter().map(units).sum()
    }

    /// The elements that were moved since a mark, in order.
    pub fn moved_since(&self, mark: &Mark) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let element =
            |op: &BatchOp| if let BatchOp::Move { element, .. } = op { Some(*element) } else { None };
        self.ops[mark.ops..].iter().filter_map(element)
    }

    /// The ops as others will see them; `mark` gives those that are marks.
    pub fn to_ops(&self, log: &UnitLog, mark: impl Fn(u32) -> UnitOp) -> Vec<UnitOp> {
        let unit_ref = |unit| (unit != NONE).then(|| log.unit_ref(unit));
        let op = |(at, op): (usize, &BatchOp)| match *op {
            BatchOp::Insert { span, left, right } => {
                UnitOp::Insert { left: unit_ref(left), right: unit_ref(right), len: span.len }
            }
            BatchOp::Delete { .. } => UnitOp::Delete {
                spans: self.spans_of(at).iter().flat_map(|&span| log.unit_spans(span)).collect(),
            },
            BatchOp::Mark { row } => mark(row),
            BatchOp::Move { element, left, right } => {
                UnitOp::Move { element: log.unit_ref(element), left: unit_ref(left), right: unit_ref(right) }
            }
        };
        self.ops.iter().enumerate().map(op).collect()
    }

    fn spans_of(&self, at: usize) -> &[Span] {
        let Some(start) = self.ops[at].first_span() else { return &[] };
        let end = self.ops[at + 1..].iter().find_map(BatchOp::first_span).unwrap_or(self.spans.len());
        &self.spans[start..end]
    }
}

impl BatchOp {
    fn first_span(&self) -> Option<usize> {
        match *self {
            BatchOp::Insert { .. } | BatchOp::Move { .. } | BatchOp::Mark { .. } => None,
            BatchOp::Delete { first_span } => Some(first_span),
        }
    }
}

/// The size of one local insert: so many units of text, three bytes each at most, or so many bytes of values. It fits into
/// a changeset, and so does one value beyond it.
pub(super) const OP_SIZE_MAX: u32 = 64 * 1024;

/// The most spans of one local delete: 42 bytes each at most, with the id of a changeset, it fits into a changeset.
const OP_SPANS_MAX: u32 = 4 * 1024;
