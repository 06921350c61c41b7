//! What of the log came spoilt, and is filled in from other copies: segments that do not fit their hash, and signatures that are not
//! valid although a successor vouches for the changeset.
//!
//! Invariant: nothing is replaced that is good. A segment fits its hash; a signature is checked before it is taken.

use super::{Changeset, Log, SignedChangeset};
use crate::causal::{ActorId, ChangesetId};

impl Log {
    /// Whether a changeset that is here has a signature of its own that is known not to be valid.
    pub fn is_spoilt(&self, id: &ChangesetId) -> bool {
        self.spoilt.contains(id)
    }

    /// Whether something of a changeset is still to be got: it is not here, or without a segment, or spoilt.
    pub fn is_lacking(&self, id: &ChangesetId) -> bool {
        match self.find(id) {
            Some(changeset) => changeset.signed().is_partial() || self.spoilt.contains(id),
            None => !self.knows(id),
        }
    }

    /// Those of which it was found out lately that they are spoilt, and where they are in their chains.
    pub fn take_spoilt(&mut self) -> Vec<(ChangesetId, ActorId, u32)> {
        std::mem::take(&mut self.newly_spoilt)
    }

    /// Somebody says that the signature of a changeset is not valid. One that came from the own store was not looked at.
    pub fn suspect(&mut self, id: &ChangesetId) {
        let Some(signed) = self.find(id).map(|changeset| changeset.signed().clone()) else { return };
        if let Err((signed, _)) = self.keys.verify(signed) {
            self.note_spoilt(&signed);
        }
    }

    /// What a successor vouches for has a signature that is not valid.
    pub(super) fn note_spoilt(&mut self, signed: &SignedChangeset) {
        let header = signed.header();
        if self.spoilt.insert(header.id()) {
            self.newly_spoilt.push((header.id(), header.actor(), header.seq()));
        }
    }

    /// Takes the signature of a copy, if the one that is here is spoilt and that one is valid.
    pub(super) fn resign(&mut self, copy: &SignedChangeset) -> bool {
        let id = copy.id();
        if !self.spoilt.contains(&id) {
            return false;
        }
        let Ok(good) = self.keys.verify(copy.clone()) else { return false };
        let Some(held) = self.find_mut(&id) else { return false };
        held.resign_from(&good);
        self.spoilt.remove(&id)
    }

    /// Fills in segments that are missing here. The copy's signature is not looked at: a segment fits its hash.
    pub(super) fn complete(&mut self, copy: SignedChangeset) -> bool {
        let (id, actor) = (copy.id(), copy.header().actor());
        let Some(held) = self.find_mut(&id) else { return false };
        let before = held.signed().size();
        let completed = held.complete_from(copy);
        let grown = held.signed().size() - before;
        if let Some(ix) = self.graph.get(&id) {
            self.entries[ix.0 as usize].size += grown as u32;
        } else if self.waiting.contains_key(&id) {
            self.waiting_bytes += grown;
            self.waiting_of.entry(actor).or_default().1 += grown;
        }
        completed
    }

    fn find_mut(&mut self, id: &ChangesetId) -> Option<&mut Changeset> {
        if let Some(ix) = self.graph.get(id) {
            return self.entries[ix.0 as usize].changeset.as_deref_mut();
        }
        if let Some(waiting) = self.waiting.get_mut(id) {
            return Some(&mut waiting.changeset);
        }
        let queued = self.queued.contains(id);
        let mut ready = self.ready.iter_mut().filter(|_| queued).map(|(changeset, _)| changeset);
        ready.find(|changeset| changeset.id() == *id)
    }
}
