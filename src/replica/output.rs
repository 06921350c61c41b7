//! What the façade asks its edge to do. Outputs are drained after every call.

use crate::causal::{ActorId, ChangesetId, MemberId};
use crate::doc::{ObjectIx, PatchBody};
use crate::store::StoreBatch;

/// One thing to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write a batch to the store and answer with the same number. Batches are written and answered in order.
    Commit {
        /// Rising by one.
        id: u64,
        /// What to write, all or nothing.
        batch: StoreBatch,
        /// Whether the answer must wait until the bytes are on the medium.
        strict: bool,
    },
    /// Keep a draft of the open batch, in place of the one before: written whenever there is time, behind all commits so far; one
    /// that a later commit deletes need not be written.
    Draft {
        /// Under which key.
        actor: ActorId,
        /// The record; none to let go of it.
        record: Option<Vec<u8>>,
    },
    /// Open a connection to a relay.
    Dial {
        /// The session it is for.
        session: u32,
        /// Where.
        url: String,
    },
    /// Send a frame.
    Send {
        /// Over which session's connection.
        session: u32,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Close a session's connection.
    Close {
        /// Which.
        session: u32,
    },
    /// Tell the other tabs what sessions show.
    Tabs {
        /// What goes to [`Replica::heard_from_tab`](super::Replica::heard_from_tab).
        payload: Vec<u8>,
        /// Whether it is said here, and not heard from a relay.
        is_said: bool,
    },
    /// Own changesets reached a tier.
    Saved {
        /// How safe they are now.
        tier: Tier,
        /// Which.
        ids: Vec<ChangesetId>,
    },
    /// The sync state changed.
    Sync,
    /// Objects that events define may read differently: see [`super::Replica::event_changes`].
    Events,
    /// Somebody said something about what counts, or something more waits for review.
    Policy,
    /// Somebody gave or withdrew consent.
    Consent,
    /// There is more evidence, or something of it is settled, or was worked out here.
    Evidence,
    /// Somebody got or lost a key, or asked or was answered something about people.
    Subjects,
    /// Somebody who is here gave a sign of life, or is gone.
    Presence,
    /// Something went wrong that the application should hear of.
    Trouble(Trouble),
    /// The visible state changed.
    Change(Vec<Change>),
    /// Something needs the bytes that a snapshot stands for: [`Replica::supply`](super::Replica::supply).
    Supply,
    /// Content is to be erased from the store: its snapshots go, and each record of its tail is what
    /// [`Replica::erased`](super::Replica::erased) makes of it; then [`Replica::finish_erasing`](super::Replica::finish_erasing).
    Erase,
    /// There is a first look, for [`Replica::take_look`](super::Replica::take_look), or it is over.
    Look,
    /// New changesets are in the store: other tabs may read on.
    Rows,
    /// There is more in the audit log, as somebody asked to be told: [`Replica::watch_noted`](super::Replica::watch_noted).
    Noted,
    /// The audit log is longer than it may be: its records are wanted by [`Replica::trim_noted`](super::Replica::trim_noted), from one tab at
    /// a time.
    Trim,
    /// The log has more changesets, as somebody asked to be told: [`Replica::tell_growth`](super::Replica::tell_growth).
    Grown,
}

/// How safe a changeset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// On this device's medium.
    Local,
    /// At a relay, durably.
    Relay,
    /// A quorum of validators has attested it.
    Final,
}

/// Where a change came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An edit made here.
    Local,
    /// A changeset of somebody else, or of another tab.
    Remote,
    /// Undo or redo here.
    Undo,
    /// A word about what counts, of this member or of one whom it trusts.
    Policy,
}

/// A change of one object's visible value.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it came from.
    pub source: Source,
    /// Who made it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// The changeset; none while its batch is open.
    pub changeset: Option<ChangesetId>,
    /// The object.
    pub object: ObjectIx,
    /// What changed.
    pub body: PatchBody,
}

/// Something the application should hear of. Nothing is lost by it unless it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A commit failed; the code is the store's. Unsaved edits were moved to an actor that lives in memory only.
    Storage(String),
    /// A changeset was refused; the reason.
    Refused(ChangesetId, String),
    /// A changeset waits: the reason.
    Pending(ChangesetId, String),
    /// An actor signed two changesets with one seq.
    Fork(ActorId),
    /// A snapshot could not be used: the code says why. Everything is folded anew.
    Snapshot(&'static str),
    /// The relay refused rows or the login; the code.
    Relay(String),
    /// A snapshot that members shared is not what the log says, and by whom it is.
    SharedSnapshot(String),
}
