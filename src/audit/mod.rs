//! Proofs that need no authority and no key.
//!
//! - [`MerkleTree`]: hashes over a list that grows, proofs that something is in it and that it only grew.
//! - [`CanonicalTree`]: that tree over the changesets of a graph, in an order that everybody has.
//! - [`ValidatorSet`], [`Attestation`]: who is asked to sign what they have seen, and what they sign.
//! - [`Redactions`]: what was erased, by whom.
//! - [`Finality`]: what so many of them have seen that it counts as settled.

mod attestation;
mod canonical;
mod finality;
mod merkle;
mod redaction;
mod validators;

pub use attestation::Attestation;
pub use canonical::CanonicalTree;
pub use finality::{Attested, Finality};
pub use merkle::{MerkleTree, verify_consistency, verify_inclusion};
pub use redaction::{REDACTION_PAYLOAD, Redaction, Redactions};
pub use validators::{VALIDATORS_MAX, ValidatorSet};
