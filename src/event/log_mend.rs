//! What of the log came spoilt, and is filled in from other copies: segments that do not fit their hash, and signatures that are not
//! valid although a successor vouches for the changeset. Of most rows of a run the own signature is looked at only here.
//!
//! Invariant: nothing is replaced that is good. A segment fits its hash; a signature is checked before it is taken.

use super::{Changeset, Log, SignedChangeset};
use crate::causal::{ActorId, ChangesetId, ChangesetIx};

impl Log {
    /// Whether a changeset that is here has a signature of its own that is known not to be valid.
    pub fn is_spoilt(&self, id: &ChangesetId) -> bool {
        self.signatures.is_spoilt(id)
    }

    /// Whether something of a changeset is still to be got: it is not here, or without a segment, or spoilt.
    pub fn is_lacking(&self, id: &ChangesetId) -> bool {
        match self.find(id) {
            Some(changeset) => {
                let signed = changeset.signed();
                let is_partial =
                    if self.is_redacted(id) { !signed.has_skeleton() } else { signed.is_partial() };
                is_partial || self.is_spoilt(id)
            }
            None => !self.knows(id),
        }
    }

    /// Whether the content of a changeset in the graph is gone for good.
    pub fn is_redacted(&self, id: &ChangesetId) -> bool {
        self.graph.get(id).is_some_and(|ix| self.entry(ix).is_redacted)
    }

    /// Those of which it was found out lately that they are spoilt, and where they are in their chains.
    pub fn take_spoilt(&mut self) -> Vec<(ChangesetId, ActorId, u32)> {
        self.signatures.take_spoilt()
    }

    /// Whether the own signature of a changeset in the graph was looked at.
    pub fn is_checked(&self, ix: ChangesetIx) -> bool {
        self.entry(ix).changeset().is_some_and(|changeset| !self.signatures.is_unchecked(changeset))
    }

    /// Whether the own signature of a changeset is valid. It is looked at once, and has to be before the row goes on to anybody: so far
    /// a descendant may have vouched for it, or the own store.
    pub fn check(&mut self, id: &ChangesetId) -> bool {
        let mut signatures = std::mem::take(&mut self.signatures);
        let is_valid = self.find_mut(id).is_some_and(|held| signatures.check(held));
        self.signatures = signatures;
        is_valid
    }

    /// Takes the signature of a copy, if the one that is here is not valid and that one is.
    pub(super) fn resign(&mut self, copy: &SignedChangeset) -> bool {
        let id = copy.id();
        let differs = |held: &Changeset| held.signed().signature() != copy.signature();
        if !self.find(&id).is_some_and(differs) || self.check(&id) || !self.signatures.is_valid(copy) {
            return false;
        }
        let Some(held) = self.find_mut(&id) else { return false };
        held.resign_from(copy);
        self.signatures.mended(&id);
        true
    }

    /// Fills in segments that are missing here. The copy's signature is not looked at: a segment fits its hash.
    pub(super) fn complete(&mut self, mut copy: SignedChangeset) -> bool {
        let (id, actor) = (copy.id(), copy.header().actor());
        if self.is_redacted(&id) {
            copy.drop_content();
        }
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
