//! What is offered to the log, from outside and from the own store: what of it is authentic.
//!
//! A delivery is looked at by its runs (`run`): the last valid signature of each vouches for what is before it, whose own signatures
//! are looked at before they go on to anybody ([`Log::check`]). A bad signature means "not yet", never "never": the changeset is
//! kept aside for a while, and taken back when an authentic successor names it.

use super::log::{Log, Offer, Refusal};
use super::run::{self, Verified};
use super::stored::{Authenticated, authenticate};
use super::{Changeset, SignedChangeset, VerifyError};
use crate::causal::ChangesetId;
use foldhash::HashMap;

/// Changesets with a bad signature that are kept for an authentic successor.
const UNPROVEN_MAX: usize = 256;
/// Changesets that a newer version may read.
const UNSUPPORTED_MAX: usize = 1_000;

impl Log {
    /// Offers a changeset that came from outside. O(1) and one signature check. What it proves of those that were put aside
    /// comes out of [`Log::take_proven`].
    pub fn offer(&mut self, signed: SignedChangeset, received_ms: u64) -> Offer {
        let id = signed.id();
        if self.knows(&id) {
            return self.take_copy(signed);
        }
        if signed.header().space() != self.space {
            return Offer::Refused(Refusal::Space);
        }
        let verified = self.signatures.verify(signed);
        self.settle(id, verified, received_ms)
    }

    /// Offers what one delivery brought, and says of each in its order what became of it. The log holds the changesets
    /// that it would hold had they been offered one by one, but of each run only the last signature was checked, if that is valid. O(rows).
    pub fn offer_all(&mut self, rows: Vec<SignedChangeset>, received_ms: u64) -> Vec<Offer> {
        let mut at: HashMap<ChangesetId, usize> = HashMap::default();
        let (mut new, mut others) = (Vec::new(), Vec::new());
        let mut is_new = Vec::with_capacity(rows.len());
        for signed in rows {
            let id = signed.id();
            let fits = signed.header().space() == self.space && !self.knows(&id) && !at.contains_key(&id);
            if fits {
                at.insert(id, new.len());
                new.push(signed);
            } else {
                others.push(signed);
            }
            is_new.push((fits, id));
        }
        let mut new = run::authenticate(new, &at, |signed| self.signatures.verify(signed)).into_iter();
        let mut others = others.into_iter();
        let mut offer = |(is_new, id)| match is_new {
            true => self.settle(id, new.next().expect("each was looked at"), received_ms),
            false => self.offer(others.next().expect("each was put there"), received_ms),
        };
        is_new.into_iter().map(&mut offer).collect()
    }

    /// Rows that were refused for their signature and that an authentic successor has proven since: to be stored.
    pub fn take_proven(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.proven)
    }

    /// Offers a changeset that was found authentic before.
    pub fn offer_authentic(&mut self, changeset: Changeset, received_ms: u64) -> Offer {
        if self.knows(&changeset.id()) { Offer::Known } else { self.accept(changeset, received_ms) }
    }

    /// Offers a changeset from this device's own store; [`Log::prove_stored`] follows after the last one.
    pub fn offer_stored(&mut self, signed: SignedChangeset, received_ms: u64) {
        let known = self.graph.get(&signed.id());
        match known.filter(|ix| self.entry(*ix).changeset.is_none()) {
            Some(_) => {
                self.supply(signed);
            }
            None => self.stored.push((signed, received_ms)),
        }
    }

    /// Authenticates what was loaded, from the ends of the chains: one signature check per chain that is intact.
    /// Returns the ids of those that nothing vouches for; they are dropped.
    pub fn prove_stored(&mut self) -> Vec<ChangesetId> {
        let stored = std::mem::take(&mut self.stored);
        let Authenticated { rows, unsupported, mut dropped } = authenticate(stored, &mut self.signatures);
        for id in unsupported {
            self.note_unsupported(id);
        }
        for (changeset, received_ms) in rows {
            let id = changeset.id();
            let fits = changeset.header().space() == self.space;
            if self.knows(&id) {
                // It was stored twice because the signature was spoilt at first.
                self.resign(changeset.signed());
                // Another tab may have got a segment that is missing here.
                let is_partial = self.find(&id).is_some_and(|held| held.signed().is_partial());
                if is_partial && self.complete(changeset.signed().clone()) {
                    self.completed.push(id);
                }
            } else if !fits || matches!(self.accept(changeset, received_ms), Offer::Refused(_)) {
                dropped.push(id);
            }
        }
        dropped.retain(|id| !self.knows(id));
        dropped
    }

    /// Changesets to which the store brought a segment that was missing here.
    pub fn take_completed(&mut self) -> Vec<ChangesetId> {
        std::mem::take(&mut self.completed)
    }

    /// What a copy of one that is here brings.
    fn take_copy(&mut self, copy: SignedChangeset) -> Offer {
        let resigned = self.resign(&copy);
        match self.complete(copy) {
            true => Offer::Completed,
            false if resigned => Offer::Resigned,
            false => Offer::Known,
        }
    }

    /// What becomes of one that was not here, once its signature or its run was looked at.
    fn settle(&mut self, id: ChangesetId, verified: Verified, received_ms: u64) -> Offer {
        if self.knows(&id) {
            // What came before it in the same delivery proved an earlier copy.
            return self.take_copy(verified.map_or_else(|(signed, _)| *signed, Changeset::into_signed));
        }
        let (mut is_spoilt, mut authentic) = (false, verified);
        if let Err((signed, error @ VerifyError::Signature)) = authentic {
            is_spoilt = true;
            authentic = match self.successor_of(&id) {
                Some(successor) => signed.trust_by_descendant(successor),
                None => Err((signed, error)),
            };
        }
        match authentic {
            Ok(changeset) => {
                if is_spoilt {
                    self.signatures.note_spoilt(&changeset);
                }
                self.prove_before(&changeset);
                self.accept(changeset, received_ms)
            }
            Err((_, VerifyError::Unsupported(_))) => self.note_unsupported(id),
            Err((signed, _)) => {
                if self.unproven.len() == UNPROVEN_MAX {
                    self.unproven.pop_front();
                }
                self.unproven.push_back((*signed, received_ms));
                Offer::Refused(Refusal::Signature)
            }
        }
    }

    /// The changeset that waits for this one as its predecessor.
    fn successor_of(&self, id: &ChangesetId) -> Option<&Changeset> {
        let waiting = self.waited_for.get(id)?.iter().filter_map(|child| self.waiting.get(child));
        waiting.map(|waiting| &waiting.changeset).find(|changeset| changeset.header().prev() == Some(*id))
    }

    /// An authentic changeset proves those before it in its chain that were put aside for a bad signature.
    fn prove_before(&mut self, changeset: &Changeset) {
        let mut proven: Option<Changeset> = None;
        loop {
            let next = proven.as_ref().unwrap_or(changeset);
            let (prev, actor) = (next.header().prev(), next.header().actor());
            let is_before = |(signed, _): &(SignedChangeset, u64)| {
                Some(signed.id()) == prev && signed.header().actor() == actor
            };
            let Some(at) = self.unproven.iter().position(is_before) else { return };
            let (signed, received_ms) = self.unproven.remove(at).expect("position was just found");
            let Ok(earlier) = signed.trust_by_descendant(next) else { return };
            // Another copy may have come with its signature meanwhile.
            let is_new = !self.knows(&earlier.id());
            if is_new && !matches!(self.accept(earlier.clone(), received_ms), Offer::Refused(_)) {
                self.proven.push(earlier.signed().encode());
                self.signatures.note_spoilt(&earlier);
            }
            proven = Some(earlier);
        }
    }

    /// What this version cannot check waits outside the log, with all its descendants; it is offered again at the next
    /// opening, perhaps to a newer version.
    fn note_unsupported(&mut self, id: ChangesetId) -> Offer {
        if self.unsupported.len() >= UNSUPPORTED_MAX {
            return Offer::Refused(Refusal::Unsupported);
        }
        if self.unsupported.insert(id) { Offer::Accepted } else { Offer::Known }
    }
}
