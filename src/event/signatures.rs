//! Signatures of changesets: the parsed keys of actors, for whoever sent one changeset sends more and parsing a key takes a tenth of
//! checking a signature; and which changesets have one that is not valid although a descendant vouches for them.
//!
//! Keys decide nothing: what is forgotten is parsed again.

use super::run::Verified;
use super::{Changeset, SignedChangeset};
use crate::causal::{ActorId, ChangesetId, Ids};
use crate::crypto::VerifyingKey;
use crate::steps;
use foldhash::HashMap;

/// A changeset, its actor, and where it is in the chain.
pub(super) type Place = (ChangesetId, ActorId, u32);

/// What is known of signatures.
#[derive(Clone, Debug, Default)]
pub(super) struct Signatures {
    keys: HashMap<ActorId, VerifyingKey>,
    spoilt: Ids,
    newly_spoilt: Vec<Place>,
}

impl Signatures {
    /// [`SignedChangeset::verify`], with the key that is known.
    pub fn verify(&mut self, signed: SignedChangeset) -> Verified {
        steps::count(1);
        let key = self.key(&signed.header().actor());
        signed.verify_by(key.as_ref())
    }

    /// Whether a signature is its actor's.
    pub fn is_valid(&mut self, signed: &SignedChangeset) -> bool {
        steps::count(1);
        self.key(&signed.header().actor()).is_some_and(|key| signed.is_signed_by(&key))
    }

    /// Whether the own signature of an authentic changeset is valid. It is looked at once.
    pub fn check(&mut self, changeset: &mut Changeset) -> bool {
        if !self.is_unchecked(changeset) {
            return changeset.is_checked();
        }
        let is_valid = self.is_valid(changeset.signed());
        match is_valid {
            true => changeset.set_checked(),
            false => self.note_spoilt(changeset),
        }
        is_valid
    }

    /// Whether the own signature of an authentic changeset was not looked at yet.
    pub fn is_unchecked(&self, changeset: &Changeset) -> bool {
        !changeset.is_checked() && !self.spoilt.contains(&changeset.id())
    }

    /// Whether a signature is known not to be valid.
    pub fn is_spoilt(&self, id: &ChangesetId) -> bool {
        self.spoilt.contains(id)
    }

    /// One is not valid.
    pub fn note_spoilt(&mut self, changeset: &Changeset) {
        let header = changeset.header();
        if self.spoilt.insert(header.id()) {
            self.newly_spoilt.push((header.id(), header.actor(), header.seq()));
        }
    }

    /// A good one came instead.
    pub fn mended(&mut self, id: &ChangesetId) {
        self.spoilt.remove(id);
    }

    /// Those that were found lately.
    pub fn take_spoilt(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.newly_spoilt)
    }

    /// What is to be known of a log that is put together anew.
    pub fn begun_again(&self) -> Self {
        Self { spoilt: self.spoilt.clone(), ..Self::default() }
    }

    fn key(&mut self, actor: &ActorId) -> Option<VerifyingKey> {
        if let Some(key) = self.keys.get(actor) {
            return Some(*key);
        }
        let key = VerifyingKey::parse(&actor.0)?;
        if self.keys.len() == KEYS_MAX {
            self.keys.clear();
        }
        self.keys.insert(*actor, key);
        Some(key)
    }
}

/// Anybody can make keys.
const KEYS_MAX: usize = 256;
