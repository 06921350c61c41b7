//! Proofs that need no authority and no key.
//!
//! - [`MerkleTree`]: hashes over a list that grows, proofs that something is in it and that it only grew.
//! - [`CanonicalTree`]: that tree over the changesets of a graph, in an order that everybody has.
//! - [`Statements`], [`OpTree`]: one event of a changeset, shown without its key.
//! - [`ValidatorSet`], [`Attestation`]: who is asked to sign what they have seen, and what they sign.
//! - [`Redactions`]: what was erased, by whom.
//! - [`Consent`], [`Consents`]: whether a person lets something be done with what is about them.
//! - [`DataSubject`], [`Subjects`]: people that data is about, and the keys it is sealed under; [`Requests`]: what they ask for.
//! - [`BlockHeader`], [`Proposal`], [`Vote`]: what they say when they make a chain of blocks, and how two of these contradict.
//! - [`Ballot`], [`Voting`]: what votes come to, and how one validator votes.
//! - [`Chain`]: the chains of blocks that follow from all that was said; [`BlockProof`]: one block of them, for whoever has nothing of the space.
//! - [`Finality`]: what so many of them have seen that it counts as settled.
//! - [`Evidence`]: two things that somebody signed and that contradict each other; [`Cases`]: all of it, and what follows.
//! - [`JournalEntry`]: what happened on a device, in a chain of hashes whose details can be dropped.

mod attestation;
mod ballot;
mod block;
mod canonical;
mod cases;
mod certified;
mod chain;
mod consent;
mod disclosure;
mod era;
mod evidence;
mod finality;
mod journal;
mod merkle;
mod open;
mod redaction;
mod request;
mod statement;
mod subject;
mod validators;
mod vote;
mod voting;

pub use attestation::Attestation;
pub use ballot::{Ballot, Cast};
pub use block::{BlockHeader, BlockId, HEIGHT_MAX, NAMED_MAX, Proposal, ROUND_MAX, SignedProposal};
pub use canonical::CanonicalTree;
pub use cases::{Case, Cases, Resolution};
pub use certified::{BlockProof, BlockProofFault, Precommit, ProvenBlock};
pub use chain::Chain;
pub use consent::{Consent, Consented, Consents};
pub use disclosure::{Disclosure, OpTree};
pub use era::{Block, Era, Halt};
pub use evidence::{Accused, Evidence, EvidenceFault, EvidenceId, RUN_MAX, Said, SignedRun};
pub use finality::{Attested, Finality};
pub use journal::{
    Checkpoint, Detail, JournalEntry, JournalFilter, JournalHead, NoteKind, decode_entries, encode_entries,
};
pub use merkle::{MerkleTree, verify_consistency, verify_inclusion};
pub use open::{Open, Seen};
pub use redaction::{
    Erased, REDACTION_PAYLOAD, Redaction, Redactions, STORE_BROWSER, STORE_FOLDER, STORE_OTHER,
};
pub use request::{Request, RequestKind, Requests, Step, Stepped, Verdict};
pub use statement::Statements;
pub use subject::{DataSubject, Held, Registered, Subjects};
pub use validators::{Beginning, BlockRules, VALIDATORS_MAX, ValidatorSet};
pub use vote::{Contradiction, Phase, SignedVote, Vote};
pub use voting::{Floor, Offer, Say, Voting, Wait};
