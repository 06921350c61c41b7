//! The data types. Each folds ops into a value, can switch any op off and on again, and can be read at any selection
//! of ops. They see local numbers only ([`ChangesetIx`], [`OpIx`]): no hash, no key, no byte format.

mod adjacency;
mod anchor;
mod batch;
mod bits;
mod bound;
mod cart;
mod cells;
mod command;
mod crowd;
mod deltas;
mod events;
mod first;
mod inside;
mod intervals;
mod leaf_order;
mod ledger;
mod ledger_op;
mod ledger_read;
mod ledger_saved;
mod ledger_settle;
mod list;
mod list_edit;
mod list_merge;
mod list_selection;
mod map;
mod mark_check;
mod mark_runs;
mod mark_saved;
mod mark_sweep;
mod mark_told;
mod mark_track;
mod marks;
mod moves;
mod order;
mod piece;
mod piece_list;
mod register;
mod selection;
mod tally;
mod text;
mod text_edit;
mod text_marks;
mod text_merge;
mod title;
mod unit_index;
mod unit_log;
mod unit_op;
mod unit_saved;
mod units;

pub use anchor::{Anchor, Bias};
pub use batch::Mark;
pub use bits::Bits;
pub use cart::Cart;
pub use deltas::{Delta, Deltas, MarkDelta};
pub use events::{Choice, Emission, Event, Events, Ops, Sequence};
pub use ledger::{Ledger, Row, What};
pub use ledger_op::{AccountId, LedgerOp, Part, SignedOp};
pub use ledger_settle::Flaw;
pub use list::List;
pub use map::{KeyIx, Map, Slot};
pub use mark_runs::{Run, mark_deltas};
pub use register::{Register, Winner};
pub use tally::{Tally, Totals};
pub use text::Text;
pub use unit_op::{CHANGESET_UNITS_MAX, Invalid, UNITS_MAX, UnitError, UnitOp, UnitRef, UnitSpan};
pub use units::Units;

use crate::causal::{ChangesetIx, OpIx};
use std::cmp::Ordering;

/// What a data type asks of the causal graph.
pub trait History {
    /// Whether `past` is `of` itself or in its causal past. `ChangesetIx::OPEN` has everything in its past.
    fn contains(&self, of: ChangesetIx, past: ChangesetIx) -> bool;
    /// A changeset besides `of` such that no later one is in the past of `of`, if it has a past. Spares questions after
    /// [`History::contains`]; too late a one is never wrong.
    fn newest_known(&self, of: ChangesetIx) -> Option<ChangesetIx> {
        Some(of)
    }
    /// A total order that is the same for all replicas: (actor key, seq, changeset id). `OPEN` is never compared.
    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering;
    /// A total order that is the same for all replicas, by changeset id where there are ids. `OPEN` is never compared.
    fn by_id(&self, a: ChangesetIx, b: ChangesetIx) -> Ordering {
        self.order(a, b)
    }
    /// The changeset an op belongs to.
    fn changeset_of(&self, op: OpIx) -> ChangesetIx;
}

/// What registers ask besides: which of two concurrent writes is the newer one.
pub trait Recency: History {
    /// Compares by (HLC, changeset id, index of the op). Ops of the open batch are newer than all others.
    fn newer(&self, a: OpIx, b: OpIx) -> Ordering;
}
