//! Proofs that need no authority and no key.
//!
//! - [`MerkleTree`]: hashes over a list that grows, proofs that something is in it and that it only grew.
//! - [`CanonicalTree`]: that tree over the changesets of a graph, in an order that everybody has.

mod canonical;
mod merkle;

pub use canonical::CanonicalTree;
pub use merkle::{MerkleTree, verify_consistency, verify_inclusion};
