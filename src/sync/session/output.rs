//! What a session says to its caller.

use prost::bytes::Bytes;

use super::Challenge;
use crate::causal::{ActorId, ChangesetId, LogId, Tip};
use crate::sync::error::Code;
use crate::sync::message::{Delivery, Position, Resync, Row, Said, Snap, Verdict};

/// What the caller has to do or to know.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionOutput {
    /// Send this frame.
    Send(Bytes),
    /// Sign the challenge and answer with [`Session::login`].
    Login(Challenge),
    /// The relay has answered. With a resync the position starts over: after catching up, push every row that the relay
    /// did not deliver. Without one, push on from `tips`.
    Subscribed {
        /// Why the relay starts over, if it does.
        resync: Option<Resync>,
        /// Another log which holds just what is held here: reading goes on from this place, which is to be stored.
        place: Option<Position>,
        /// The life of its log.
        log_id: LogId,
        /// How far the log goes.
        head: u64,
        /// What it holds of the own actors.
        tips: Vec<Tip>,
    },
    /// The relay signed that it holds the ends of these rows, which were pushed: a receipt.
    Receipt {
        /// Those that it accepted, or had, in the order in which they were pushed.
        ids: Vec<ChangesetId>,
        /// Its word.
        said: Said,
    },
    /// The relay signed what it holds of actors; before [`SessionOutput::Subscribed`].
    Holds {
        /// Of whom it was asked.
        asked: Vec<ActorId>,
        /// All ends of their chains that it has.
        tips: Vec<Tip>,
        /// Its word.
        said: Said,
    },
    /// Store these rows and the position in one transaction, then call [`Session::stored`].
    Rows {
        /// The rows, in the relay's order.
        rows: Vec<Delivery>,
        /// The position after them.
        position: Position,
    },
    /// The log is another one, and holds something else: work out the sums of the heads held here, for [`Session::compare`].
    Compare {
        /// The end of that log. Once everything up to there is stored, it is for [`Session::resume`].
        place: Position,
    },
    /// The heads of the relay in ranges where they are others.
    Differ {
        /// Those ranges.
        ranges: Vec<u32>,
        /// All its heads in them.
        tips: Vec<Tip>,
        /// They were too many to be told.
        too_many: bool,
    },
    /// Rows that were asked for with [`Session::get_chain`]: store them.
    Chain {
        /// The rows.
        rows: Vec<Row>,
        /// Where to ask on, 0 if that was all; none while more of this answer follows.
        next: Option<u64>,
    },
    /// What became of pushed rows, in the order they were pushed.
    Acked {
        /// One per row.
        results: Vec<(ChangesetId, Verdict)>,
    },
    /// Somebody said this to whoever is there.
    Ephemeral(Bytes),
    /// The relay says this of a snapshot.
    Snap {
        /// What.
        snap: Snap,
        /// It comes before rows, which come after [`Session::end_look`].
        looks: bool,
    },
    /// The status changed.
    Status(Status),
    /// The relay, or this side, found something wrong.
    Refused {
        /// What.
        code: Code,
        /// For people who debug.
        message: String,
    },
    /// Close the connection; then call [`Session::disconnected`].
    Close {
        /// When to connect again.
        retry: Retry,
    },
}

/// The state of the connection as an app shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No connection.
    Offline,
    /// A connection without a subscription.
    Connecting,
    /// Rows are coming in.
    CatchingUp,
    /// Everything the relay has is here.
    Live,
    /// The relay lets this member not in, or speaks no version that is known here.
    Denied,
    /// The relay's log is not the one that was read: it comes again from the start.
    Reset,
}

/// When to connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As [`super::Backoff`] says.
    Backoff,
    /// At a random time within these bounds.
    Within {
        /// Not earlier.
        min_ms: u64,
        /// Not later.
        max_ms: u64,
    },
    /// Not before something changes: another invite, another version.
    Never,
}
