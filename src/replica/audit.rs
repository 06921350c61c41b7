//! Proofs over all changesets that are here, for whoever has nothing of them.

use super::Replica;
use crate::audit::CanonicalTree;
use crate::causal::ChangesetId;
use crate::crypto::Digest;

/// The tree, which is of one numbering of changesets.
#[derive(Default)]
pub(super) struct Witness {
    tree: CanonicalTree,
    numbering: u64,
}

/// What a tree over changesets comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// How many changesets are in it.
    pub size: u64,
    /// Their Merkle root: the same for everybody who has the same heads.
    pub root: Digest,
}

/// That a changeset is in a tree, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The tree.
    pub head: AuditHead,
    /// Where in it the changeset stands.
    pub index: u64,
    /// The hashes beside the way up, the lowest first.
    pub path: Vec<Digest>,
    /// The signed header, whose hash is the id.
    pub header: Vec<u8>,
    /// Its signature, checked.
    pub signature: [u8; 64],
}

/// Why there is no proof of a changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It is not among the changesets that count or are inert.
    #[error("this changeset is not known here")]
    Unknown,
    /// Its bytes are in rows that were not supplied yet.
    #[error("the bytes of this changeset are not loaded")]
    Absent,
    /// It came with a signature that is not valid; a later one vouches for it.
    #[error("the signature of this changeset was spoilt on its way")]
    Signature,
}

impl Replica {
    /// The tree over everything that is here. O(log n) for each changeset that is new since it was asked for last.
    pub fn audit_head(&mut self) -> AuditHead {
        self.witness_all();
        let (tree, graph) = (&self.witness.tree, self.log.graph());
        AuditHead { size: tree.size(), root: tree.root(graph, tree.size()) }
    }

    /// That a changeset is in that tree. O(log n), and one check of a signature.
    pub fn audit_proof(&mut self, id: &ChangesetId) -> Result<InclusionProof, ProofFault> {
        let head = self.audit_head();
        let ix = self.log.graph().get(id).ok_or(ProofFault::Unknown)?;
        if self.log.entry(ix).changeset().is_some() && !self.log.check(id) {
            return Err(ProofFault::Signature);
        }
        let graph = self.log.graph();
        let signed = self.log.entry(ix).changeset().ok_or(ProofFault::Absent)?.signed();
        let (index, path) = self.witness.tree.inclusion(graph, id).ok_or(ProofFault::Unknown)?;
        let header = signed.header().as_bytes().to_vec();
        Ok(InclusionProof { head, index, path, header, signature: signed.signature().0 })
    }

    /// That the tree begins with an earlier one of its own; none if it does not: something that came since belongs before what
    /// was the end. O(log n).
    pub fn audit_consistency(&mut self, earlier: AuditHead) -> Option<Vec<Digest>> {
        self.witness_all();
        let (tree, graph) = (&self.witness.tree, self.log.graph());
        if earlier.size > tree.size() || tree.root(graph, earlier.size) != earlier.root {
            return None;
        }
        match earlier.size {
            0 => Some(Vec::new()),
            size => tree.consistency(graph, size),
        }
    }

    fn witness_all(&mut self) {
        if self.witness.numbering != self.refolds {
            self.witness = Witness { numbering: self.refolds, ..Witness::default() };
        }
        self.witness.tree.follow(self.log.graph());
    }
}
