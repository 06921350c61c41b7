//! Proofs over all changesets that are here, for whoever has nothing of them.

use super::Replica;
use crate::audit::{Attestation, Attested, BlockProof, CanonicalTree, Disclosure, OpTree, Statements};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::crypto::Digest;
use crate::doc::resolve;
use crate::event::Genesis;

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

/// What a validator signed about a tree, and who it is, for whoever knows the id of the space alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Whose signature it is.
    pub actor: ActorId,
    /// That of the attestation.
    pub signature: [u8; 64],
    /// What the space began with: its hash is the id of the space.
    pub genesis: Vec<u8>,
    /// From its root to the actor.
    pub chain: Vec<u8>,
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
    /// The member has not attested it.
    #[error("this member has not attested this changeset")]
    Unattested,
    /// It is in no block.
    #[error("this changeset is in no block")]
    NoBlock,
    /// Its author did not make it so that its ops can be shown, or its content is gone.
    #[error("the ops of this changeset cannot be shown one by one")]
    Undisclosable,
    /// Its content was erased, and the seed that its salts come from is in there.
    #[error("the content of this changeset was erased")]
    Erased,
    /// It has fewer ops.
    #[error("this changeset has no such op")]
    NoOp,
    /// What its author signed is not the root over its ops: nothing leads there.
    #[error("what the author signed is not the root over the ops")]
    OpsRoot,
    /// What the member signed is not the root over what it had seen: nothing leads there.
    #[error("what this member signed is not the root over what it had seen")]
    Root,
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
        let (header, signature) = self.signed_header(id)?;
        let (index, path) = self.witness.tree.inclusion(self.log.graph(), id).ok_or(ProofFault::Unknown)?;
        Ok(InclusionProof { head, index, path, header, signature })
    }

    /// That a changeset is in the tree that a member attested last with the changeset in it. O(n log n): that tree is made for it.
    pub fn audit_attested(
        &mut self,
        id: &ChangesetId,
        member: MemberId,
    ) -> Result<(InclusionProof, Vouched), ProofFault> {
        let (header, signature) = self.signed_header(id)?;
        let graph = self.log.graph();
        let ix = graph.get(id).ok_or(ProofFault::Unknown)?;
        let has_seen = |one: &&Attested| {
            one.member == member && one.changeset != ix && graph.contains(one.changeset, ix)
        };
        let attested = self.finality.attested().iter().filter(has_seen);
        let attested = attested.max_by_key(|one| one.attestation.size).ok_or(ProofFault::Unattested)?;
        let mut past = graph.within(&[attested.changeset]);
        past[attested.changeset.0 as usize] = false;
        let tree = CanonicalTree::over(graph, &past);
        let Attestation { size, root, signature: vouched, .. } = attested.attestation;
        if (tree.size(), tree.root(graph, size)) != (size, root) {
            return Err(ProofFault::Root);
        }
        let (index, path) = tree.inclusion(graph, id).ok_or(ProofFault::Unknown)?;
        let actor = graph.actor(attested.changeset);
        let chain = self.chain_of(attested.changeset).ok_or(ProofFault::Absent)?;
        let genesis = self.identity.genesis().as_bytes().to_vec();
        let vouched = Vouched { actor, signature: vouched.0, genesis, chain };
        Ok((InclusionProof { head: AuditHead { size, root }, index, path, header, signature }, vouched))
    }

    /// The same for the tree of the block that holds it, with what shows that it is certified. O(log n), and what the block takes.
    pub fn audit_in_block(&mut self, id: &ChangesetId) -> Result<(InclusionProof, BlockProof), ProofFault> {
        let (header, signature) = self.signed_header(id)?;
        let graph = self.log.graph();
        let ix = graph.get(id).ok_or(ProofFault::Unknown)?;
        let (era, at) = self.chain.block_of(graph, ix).ok_or(ProofFault::NoBlock)?;
        let (index, path) = era.inclusion(graph, at, ix).ok_or(ProofFault::NoBlock)?;
        let block = self.proof_of_block(era, at).ok_or(ProofFault::Absent)?;
        let head = AuditHead { size: block.header.size, root: block.header.root };
        Ok((InclusionProof { head, index, path, header, signature }, block))
    }

    /// What the space began with: its hash is the id of the space, and its root signs the first certificates.
    pub fn genesis(&self) -> &Genesis {
        self.identity.genesis()
    }

    /// The certificates of who signed a changeset, encoded; none where the bytes with them are not loaded.
    pub(super) fn chain_of(&self, ix: ChangesetIx) -> Option<Vec<u8>> {
        let graph = self.log.graph();
        let first = graph.nth_prev(ix, graph.seq(ix))?;
        Some(self.log.entry(first).changeset()?.header().chain()?.encode())
    }

    /// One op of a changeset for whoever has no key, of one that was made to be shown. O(ops of it).
    pub fn audit_disclose(&self, id: &ChangesetId, index: u32) -> Result<Disclosure, ProofFault> {
        let (graph, keys) = (self.log.graph(), self.identity.keyring());
        let ix = graph.get(id).ok_or(ProofFault::Unknown)?;
        let changeset = self.log.entry(ix).changeset().ok_or(ProofFault::Absent)?;
        let root = changeset.header().ops_root().ok_or(ProofFault::Undisclosable)?;
        let skeleton = changeset.open_skeleton(keys).map_err(|_| ProofFault::Undisclosable)?;
        if self.redactions.contains(ix) {
            return Err(ProofFault::Erased);
        }
        let content = changeset.open_content(keys, &skeleton).ok().flatten();
        let content = content.ok_or(ProofFault::Undisclosable)?;
        let seed = content.meta.seed.ok_or(ProofFault::Undisclosable)?;
        let refs = resolve(graph, graph.prev(ix), graph.deps(ix), &skeleton.refs);
        let refs = refs.ok_or(ProofFault::Undisclosable)?.into_iter().map(|at| graph.id(at)).collect();
        let statements = Statements::new(&skeleton, &content, refs, keys.names());
        let tree = OpTree::new(seed, &statements);
        let shown = tree.disclose(index, &statements).ok_or(ProofFault::NoOp)?;
        if tree.root() == root { Ok(shown) } else { Err(ProofFault::OpsRoot) }
    }

    /// The header of a changeset and its signature, which is looked at first.
    fn signed_header(&mut self, id: &ChangesetId) -> Result<(Vec<u8>, [u8; 64]), ProofFault> {
        let ix = self.log.graph().get(id).ok_or(ProofFault::Unknown)?;
        if self.log.entry(ix).changeset().is_some() && !self.log.check(id) {
            return Err(ProofFault::Signature);
        }
        let signed = self.log.entry(ix).changeset().ok_or(ProofFault::Absent)?.signed();
        Ok((signed.header().as_bytes().to_vec(), signed.signature().0))
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
