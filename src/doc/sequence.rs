//! What texts and lists have in common: they keep open edits of their own, of which the batch only knows how many there are.

use super::{Body, Past};
use crate::causal::{ChangesetIx, OpIx};
use crate::crdt::{Invalid, List, Mark, Text, UnitOp};

/// An object that is made of units.
pub(super) trait Sequence {
    fn check(&self, past: &Past<'_>, changeset: ChangesetIx, ops: &[UnitOp]) -> Result<(), Invalid>;
    fn mark(&self) -> Mark;
    fn rollback(&mut self, past: &Past<'_>, to: Mark);
    fn pending_ops(&self) -> Vec<UnitOp>;
    fn pending_len(&self) -> usize;
    fn seal(&mut self, changeset: ChangesetIx, ops: &[OpIx]);
}

impl Body {
    /// Its units.
    ///
    /// # Panics
    /// If it has none: only ops on units are asked about here, and their kind was compared.
    pub(super) fn sequence(&self) -> &dyn Sequence {
        match self {
            Self::Text(text) => &**text,
            Self::List(list) => &**list,
            _ => unreachable!("only texts and lists are made of units"),
        }
    }

    /// The same, to be changed.
    pub(super) fn sequence_mut(&mut self) -> &mut dyn Sequence {
        match self {
            Self::Text(text) => &mut **text,
            Self::List(list) => &mut **list,
            _ => unreachable!("only texts and lists are made of units"),
        }
    }
}

impl Sequence for Text {
    fn check(&self, past: &Past<'_>, changeset: ChangesetIx, ops: &[UnitOp]) -> Result<(), Invalid> {
        Text::check(self, past, changeset, ops)
    }

    fn mark(&self) -> Mark {
        Text::mark(self)
    }

    fn rollback(&mut self, past: &Past<'_>, to: Mark) {
        Text::rollback_marks(self, past, &to);
        Text::rollback(self, to);
    }

    fn pending_ops(&self) -> Vec<UnitOp> {
        Text::pending_ops(self)
    }

    fn pending_len(&self) -> usize {
        Text::pending_len(self)
    }

    fn seal(&mut self, changeset: ChangesetIx, ops: &[OpIx]) {
        Text::seal(self, changeset, ops);
    }
}

impl Sequence for List {
    fn check(&self, past: &Past<'_>, changeset: ChangesetIx, ops: &[UnitOp]) -> Result<(), Invalid> {
        List::check(self, past, changeset, ops)
    }

    fn mark(&self) -> Mark {
        List::mark(self)
    }

    fn rollback(&mut self, past: &Past<'_>, to: Mark) {
        List::rollback(self, past, to);
    }

    fn pending_ops(&self) -> Vec<UnitOp> {
        List::pending_ops(self)
    }

    fn pending_len(&self) -> usize {
        List::pending_len(self)
    }

    fn seal(&mut self, changeset: ChangesetIx, ops: &[OpIx]) {
        List::seal(self, changeset, ops);
    }
}
