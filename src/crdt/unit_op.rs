//! The ops of a text or a list, as others see them: neighbours and targets are named by (changeset, offset), never by
//! position.

use super::anchor::Anchor;
use crate::causal::{ChangesetIx, NameId};
use thiserror::Error;

/// One unit: the one with number `offset` among those that `changeset` made in this object, counted over all its inserts
/// and moves in op order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitRef {
    /// Who inserted it; `ChangesetIx::OPEN` for the batch that is not sealed yet.
    pub changeset: ChangesetIx,
    /// Which of its units.
    pub offset: u32,
}

/// Consecutive units of one changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitSpan {
    /// Who inserted them.
    pub changeset: ChangesetIx,
    /// The first of them.
    pub offset: u32,
    /// How many there are.
    pub len: u32,
}

/// An op on a sequence of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitOp {
    /// Inserts units between two that were neighbours in the author's list, hidden units counted.
    Insert {
        /// The unit before; none at the start of the list.
        left: Option<UnitRef>,
        /// The unit behind; none at the end of the list.
        right: Option<UnitRef>,
        /// How many units; the content says which.
        len: u32,
    },
    /// Deletes units.
    Delete {
        /// Which ones; no unit twice in one changeset.
        spans: Vec<UnitSpan>,
    },
    /// Marks what lies between two places of a text, now and later; the content says with which value. A list has no such op.
    Mark {
        /// Where it begins.
        start: Anchor,
        /// Where it ends.
        end: Anchor,
        /// What it is about.
        key: NameId,
    },
    /// Gives an element of a list one more slot, which is a unit too. A text has no such op.
    Move {
        /// The element, by any of its units.
        element: UnitRef,
        /// The unit before the slot.
        left: Option<UnitRef>,
        /// The unit behind it.
        right: Option<UnitRef>,
    },
}

impl UnitOp {
    /// How many units it makes.
    pub fn units(&self) -> u32 {
        match self {
            Self::Insert { len, .. } => *len,
            Self::Delete { .. } | Self::Mark { .. } => 0,
            Self::Move { .. } => 1,
        }
    }

    /// How many units it takes from the content.
    pub fn stated(&self) -> u32 {
        if let Self::Insert { len, .. } = self { *len } else { 0 }
    }
}

/// Why a changeset's ops on a sequence mean nothing. Depends on the changeset and its causal past only, so that all
/// replicas agree; the exception is `Full`, which no device reaches within its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// An insert of nothing, a delete without or with an empty span, or a mark of nothing.
    #[error("an op without any unit")]
    Empty,
    /// A unit that its changeset did not insert, or not before this op.
    #[error("unit {offset} of a changeset does not exist here")]
    UnknownUnit {
        /// The offset that was named.
        offset: u32,
    },
    /// A unit of a changeset that the author cannot have seen.
    #[error("an op refers to a changeset outside its causal past")]
    NotInPast,
    /// The two neighbours were no neighbours in the author's list.
    #[error("an insert between two units that are not adjacent in its causal past")]
    NotAdjacent,
    /// A unit is deleted twice by the same changeset.
    #[error("a changeset deletes a unit twice")]
    DeletedTwice,
    /// A mark ends before it begins.
    #[error("a mark ends before it begins")]
    Backwards,
    /// More units in one changeset than its content can hold.
    #[error("a changeset inserts more than {CHANGESET_UNITS_MAX} units")]
    TooLong,
    /// More units in one object than can be numbered.
    #[error("an object has more than {UNITS_MAX} units")]
    Full,
}

/// Why an edit or a read was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// A position past the end.
    #[error("position {position} is outside {len} units")]
    OutOfRange {
        /// The position that was asked for.
        position: u64,
        /// How many there are.
        len: u32,
    },
    /// A mark of nothing.
    #[error("a mark over an empty range")]
    EmptyRange,
    /// There would be more units than can be numbered.
    #[error("an object has at most {UNITS_MAX} units, deleted ones included")]
    Full,
}

/// The most units one changeset may insert into an object: its content segment has at most as many bytes.
pub const CHANGESET_UNITS_MAX: u32 = 256 * 1024;

/// The most units one object may ever hold, deleted ones included.
pub const UNITS_MAX: u32 = i32::MAX as u32;
