//! What an actor signs to enter a relay:
//! `Ed25519(actor, tag(login) | relay key [32] | nonce [32] | client nonce [16] | proofs [32])` with
//! `proofs = H(tag(login) | for each proof: genesis bytes, chain bytes)`.
//!
//! The nonce is the relay's, so an answer fits one connection; the relay's key is in it, so no relay can pass an answer
//! on to another. Which chains suffice is the relay's business.

use crate::causal::ActorId;
use crate::codec::Writer;
use crate::crypto::{BadSignature, Signature, SigningKey, Tag, VerifyingKey, hash};

/// Everything a login signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The relay's public key.
    pub relay: &'a [u8; 32],
    /// The relay's challenge.
    pub nonce: &'a [u8; 32],
    /// The client's own challenge.
    pub client_nonce: &'a [u8; 16],
    /// What the client shows.
    pub proofs: &'a [LoginProof<'a>],
}

/// A space, and a certificate chain in it.
#[derive(Clone, Copy, Debug)]
pub struct LoginProof<'a> {
    /// Bytes of the genesis.
    pub genesis: &'a [u8],
    /// Bytes of the chain.
    pub chain: &'a [u8],
}

impl Login<'_> {
    /// Signs it.
    #[must_use]
    pub fn sign(&self, actor: &SigningKey) -> Signature {
        actor.sign(Tag::LOGIN, &[self.relay, self.nonce, self.client_nonce, &self.proofs_hash()])
    }

    /// Checks the signature of an actor.
    pub fn verify(&self, actor: ActorId, signature: &Signature) -> Result<(), BadSignature> {
        let key = VerifyingKey::parse(&actor.0).ok_or(BadSignature)?;
        key.verify(Tag::LOGIN, &[self.relay, self.nonce, self.client_nonce, &self.proofs_hash()], signature)
    }

    fn proofs_hash(&self) -> [u8; 32] {
        let mut out = Writer::new();
        for proof in self.proofs {
            out.bytes(proof.genesis).bytes(proof.chain);
        }
        hash(Tag::LOGIN, &[out.as_slice()]).0
    }
}
