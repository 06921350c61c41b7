//! Proofs that need no authority and no key.
//!
//! - [`MerkleTree`]: hashes over a list that grows, proofs that something is in it and that it only grew.
//! - [`CanonicalTree`]: that tree over the changesets of a graph, in an order that everybody has.
//! - [`ValidatorSet`], [`Attestation`]: who is asked to sign what they have seen, and what they sign.
//! - [`Redactions`]: what was erased, by whom.
//! - [`BlockHeader`], [`Proposal`], [`Vote`]: what they say when they make a chain of blocks, and how two of these contradict.
//! - [`Finality`]: what so many of them have seen that it counts as settled.

mod attestation;
mod block;
mod canonical;
mod finality;
mod merkle;
mod redaction;
mod validators;
mod vote;

pub use attestation::Attestation;
pub use block::{BlockHeader, BlockId, HEIGHT_MAX, NAMED_MAX, Proposal, ROUND_MAX, SignedProposal};
pub use canonical::CanonicalTree;
pub use finality::{Attested, Finality};
pub use merkle::{MerkleTree, verify_consistency, verify_inclusion};
pub use redaction::{
    Erased, REDACTION_PAYLOAD, Redaction, Redactions, STORE_BROWSER, STORE_FOLDER, STORE_OTHER,
};
pub use validators::{VALIDATORS_MAX, ValidatorSet};
pub use vote::{Contradiction, Phase, SignedVote, Vote};
