//! Showing one op of a changeset to somebody who has no key: `docs/format.md` §12.
//!
//! The author signs a root over all ops, each with a salt of its own. Whoever is shown one of them with its salt learns
//! nothing of the others, not even by guessing, and the salts go with the content when that is redacted.

use super::merkle::MerkleTree;
use super::statement::Statements;
use crate::crypto::{Digest, Tag, hash};

/// One op as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// Which op it is.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// What keeps the leaf from being guessed.
    pub salt: [u8; 16],
    /// An encoded value that says what the op says.
    pub statement: Vec<u8>,
    /// The hashes beside the way to the ops root, the lowest first.
    pub path: Vec<Digest>,
}

/// The tree over the ops of one changeset.
#[derive(Clone, Debug)]
pub struct OpTree {
    tree: MerkleTree,
    leaves: Vec<Digest>,
    seed: [u8; 16],
}

impl OpTree {
    /// Over these ops. O(n).
    #[must_use]
    pub fn new(seed: [u8; 16], statements: &Statements<'_>) -> Self {
        let mut made = Self { tree: MerkleTree::default(), leaves: Vec::new(), seed };
        for (statement, index) in statements.iter().zip(0..) {
            let leaf = hash(Tag::OP_LEAF, &[&made.salt(index), &statement.to_bytes()]);
            made.tree.push(&leaf.0);
            made.leaves.push(leaf);
        }
        made
    }

    /// What the header of the changeset says, if its author kept to the rule.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root(self.tree.size(), |at| self.leaves[at as usize].0)
    }

    /// One of these ops, which are those that the tree was made of; none if there are fewer. O(n).
    #[must_use]
    pub fn disclose(&self, index: u32, statements: &Statements<'_>) -> Option<Disclosure> {
        let path = self.tree.inclusion(index.into(), self.tree.size(), |at| self.leaves[at as usize].0)?;
        let statement = statements.iter().nth(index as usize)?.to_bytes();
        let count = self.leaves.len() as u32;
        Some(Disclosure { index, count, salt: self.salt(index), statement, path })
    }

    fn salt(&self, index: u32) -> [u8; 16] {
        let salt = hash(Tag::OP_SALT, &[&self.seed, &index.to_le_bytes()]);
        *salt.0.first_chunk().expect("32 bytes have a first half")
    }
}
