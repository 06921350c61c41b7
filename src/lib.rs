//! Stemma: signed, end-to-end encrypted, mergeable data for local-first apps.
//!
//! ```text
//! web                              the JS edge (wasm32 only)
//! replica                          the only file where the two halves meet
//! store    sync      |  doc  trust  left: MOVE changesets, never look inside
//!                    |     crdt    right: FOLD changesets, never look outside
//! audit              |              proofs about changesets, which need neither
//! event                            MAKE changesets: the one thing everybody shares
//! causal             |     crypto  who and when | secrets
//! codec                            bytes
//! sorted | steps                   order in little code | counted by tests of growth
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![deny(rustdoc::broken_intra_doc_links)]

mod sorted;
#[doc(hidden)]
pub mod steps;

// Bytes, secrets, who and when.
pub mod codec;
pub mod crypto;

pub mod causal;

// What everybody shares.
pub mod event;

// Proofs over what everybody shares.
pub mod audit;

// Moved by the left, folded by the right.
pub mod store;
pub mod sync;

pub mod crdt;
pub mod doc;
pub mod trust;

// Where they meet.
pub mod replica;

// The browser; public for tests/web alone.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod web;

// What an application or an edge names, without knowing the modules.
pub use audit::{
    Accused, Attested, BlockProof, BlockRules, DataSubject, Detail, EvidenceId, JournalFilter, NoteKind,
    Precommit, RequestKind, ValidatorSet, Verdict,
};
pub use causal::{ActorId, ChangesetId, MemberId, NameId, SpaceId};
pub use codec::{BigInt, limits};
pub use crdt::{AccountId, Bias, Flaw, List, MarkDelta, Part, Slot, Text};
pub use crypto::Digest;
pub use doc::{ObjectIx, PatchBody};
pub use event::{
    BanScope, BanSubject, Expand, Fate, Invite, Number, ObjectKind, Op, Options, PresenceSession, Role,
    Target, Value,
};
pub use store::{Segment, StoreBatch};
pub use trust::{Standing, Subject, Word, phrase};
