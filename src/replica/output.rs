//! What the façade asks its edge to do. Outputs are drained after every call.

use crate::causal::{ActorId, ChangesetId, MemberId};
use crate::doc::{ObjectIx, PatchBody};
use crate::store::StoreBatch;
use std::collections::HashSet;

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
    /// Own changesets reached a tier.
    Saved {
        /// How safe they are now.
        tier: Tier,
        /// Which.
        ids: Vec<ChangesetId>,
    },
    /// The sync state changed.
    Sync,
    /// Something went wrong that the application should hear of.
    Trouble(Trouble),
    /// The visible state changed.
    Change(Vec<Change>),
    /// New changesets are in the store: other tabs may read on.
    Rows,
}

/// How safe a changeset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// On this device's medium.
    Local,
    /// At a relay, durably.
    Relay,
}

/// Where a change came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An edit made here.
    Local,
    /// A changeset of somebody else, or of another tab.
    Remote,
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

impl Change {
    /// Takes in the change that came next, or gives it back. Edits of one object in one open batch are told as one:
    /// typing makes a change per drain, not one per key.
    pub(super) fn join(&mut self, next: Self) -> Option<Self> {
        let own = |change: &Self| change.source == Source::Local && change.changeset.is_none();
        if !own(self) || !own(&next) || self.object != next.object || self.actor != next.actor {
            return Some(next);
        }
        match (&mut self.body, next.body) {
            (PatchBody::Text { splices, inserted }, PatchBody::Text { splices: more, inserted: text }) => {
                more.into_iter().for_each(|splice| join_splice(splices, splice));
                inserted.push_str(&text);
                None
            }
            (PatchBody::Map(keys), PatchBody::Map(more)) => {
                keys.extend(more);
                None
            }
            (_, body) => Some(Self { body, ..next }),
        }
    }

    /// Names each key once, in the order of their first writes.
    pub(super) fn tidy(&mut self) {
        if let PatchBody::Map(keys) = &mut self.body
            && keys.len() > 1
        {
            let mut seen = HashSet::with_capacity(keys.len());
            keys.retain(|key| seen.insert(*key));
        }
    }
}

/// Adds a splice to those before it; typing on and deleting on make the last one longer.
fn join_splice(splices: &mut Vec<[u32; 3]>, next: [u32; 3]) {
    let [position, removed, inserted] = next;
    let Some([at, gone, come]) = splices.last_mut() else { return splices.push(next) };
    if removed == 0 && position == *at + *come {
        *come += inserted;
    } else if *come == 0 && inserted == 0 && (position == *at || position + removed == *at) {
        *at = position;
        *gone += removed;
    } else {
        splices.push(next);
    }
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
    /// The relay refused rows or the login; the code.
    Relay(String),
}
