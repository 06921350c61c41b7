//! The parsed keys of actors: whoever sent one changeset sends more, and parsing a key takes a tenth of checking a signature.
//!
//! It decides nothing: what is forgotten is parsed again.

use super::changeset::{Changeset, SignedChangeset, VerifyError};
use crate::causal::ActorId;
use crate::crypto::VerifyingKey;
use foldhash::HashMap;

/// Keys that something was signed with.
#[derive(Clone, Debug, Default)]
pub(super) struct ActorKeys(HashMap<ActorId, VerifyingKey>);

impl ActorKeys {
    /// [`SignedChangeset::verify`], with the key that is known.
    pub fn verify(
        &mut self,
        signed: SignedChangeset,
    ) -> Result<Changeset, (Box<SignedChangeset>, VerifyError)> {
        let actor = signed.header().actor();
        if let Some(key) = self.0.get(&actor) {
            return signed.verify_by(Some(key));
        }
        let key = VerifyingKey::parse(&actor.0);
        let verified = signed.verify_by(key.as_ref());
        if let (Some(key), Ok(_)) = (key, &verified) {
            if self.0.len() == KEYS_MAX {
                self.0.clear();
            }
            self.0.insert(actor, key);
        }
        verified
    }
}

/// Anybody can make keys.
const KEYS_MAX: usize = 256;
