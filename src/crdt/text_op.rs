//! The ops of a text, as others see them: neighbours and targets are named by (changeset, offset), never by position.

use super::anchor::Anchor;
use crate::causal::{ChangesetIx, NameId};
use thiserror::Error;

/// One UTF-16 unit: the one with number `offset` among those that `changeset` inserted into this text, counted over all
/// its inserts in op order.
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

/// An op on a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextOp {
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
    /// Marks what lies between two places, now and later; the content says with which value.
    Mark {
        /// Where it begins.
        start: Anchor,
        /// Where it ends.
        end: Anchor,
        /// What it is about.
        key: NameId,
    },
}

/// Why a changeset's ops on a text mean nothing. Depends on the changeset and its causal past only, so that all
/// replicas agree; the exception is `Full`, which no device reaches within its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// An insert of nothing, a delete without or with an empty span, or a mark of nothing.
    #[error("an op without any unit")]
    Empty,
    /// A unit that its changeset did not insert, or not before this op.
    #[error("unit {offset} of a changeset does not exist in this text")]
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
    /// More units in one text than can be numbered.
    #[error("a text has more than {UNITS_MAX} units")]
    Full,
}

/// Why an edit or a read was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// A position past the end.
    #[error("position {position} is outside a text of {len} units")]
    OutOfRange {
        /// The position that was asked for.
        position: u64,
        /// The length of the text.
        len: u32,
    },
    /// A mark of nothing.
    #[error("a mark over an empty range")]
    EmptyRange,
    /// The text would have more units than can be numbered.
    #[error("a text has at most {UNITS_MAX} units, deleted ones included")]
    Full,
}

/// The most units one changeset may insert into a text: its content segment has at most as many bytes.
pub const CHANGESET_UNITS_MAX: u32 = 256 * 1024;

/// The most units one text may ever hold, deleted ones included.
pub const UNITS_MAX: u32 = i32::MAX as u32;
