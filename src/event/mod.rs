//! Changesets: the one thing everybody shares. Made, signed, verified, opened and read here.
//!
//! ```text
//! row bytes --decode--> SignedChangeset --verify----------------> Changeset --open--> Skeleton, Content
//!                        (segments hidden)  trust_by_descendant ->
//!                                           Draft::seal ---------->
//!                                           Log::supply ---------->  (its id is in a snapshot of this device)
//! ```
//! Invariant: what did not come through one of the arrows in the middle cannot be opened, by type. Nothing here
//! decides a fate that depends on other changesets, and nothing folds.

mod certificate;
mod chain;
mod changeset;
mod content;
pub mod digest;
mod draft;
mod draft_record;
mod genesis;
mod header;
mod holding;
mod invite;
mod log;
mod log_mend;
mod log_offer;
mod log_saved;
mod login;
mod manifest;
mod name;
mod op;
mod op_decode;
mod op_encode;
mod options;
mod presence;
mod relay_log;
mod run;
mod signatures;
mod skeleton;
mod stored;
mod value;

use crate::codec::DecodeError;

pub use certificate::{Certificate, CertificateKind, Role};
pub use chain::{Author, Chain, ChainError, ChainFault, Device, InviteTerms, VerifiedChain};
pub use changeset::{BodyError, Changeset, SegmentError, SignedChangeset, VerifyError};
pub use content::{Content, Meta, NameEntry, NamedId};
pub use digest::OpRuns;
pub use draft::{Draft, DraftError};
pub use draft_record::{DraftRecord, DraftRecordError};
pub use genesis::Genesis;
pub use header::{Class, Header, SegmentRef};
pub use holding::{HOLDING_APART_MS, Holding};
pub use invite::{Invite, InviteError};
pub use log::{Entry, Fate, Fork, Log, Offer, Ready, Refusal};
pub use login::{Login, LoginProof};
pub use manifest::{
    MANIFEST_BYTES_MAX, Manifest, SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SNAPSHOT_HEADS_MAX,
    SealedDigest, SnapshotId, Voice, snapshot_chunk_hash,
};
pub use name::{NO_OPTIONS, ObjectKind, Sort, child_id, name_id, object_id};
pub use op::{
    Accepted, Account, Anchor, AuditKind, BanScope, BanSubject, ChangesetAt, ControlKind, Expand, NameAt,
    ObjectAt, Op, OpContent, OpSpan, Span, Target, UnitAt, Verdict,
};
pub use options::{MONEY_END, Options};
pub use presence::{PresenceMessage, PresenceSession, ShownView};
pub use relay_log::{
    HEAD_RANGES_MAX, changeset_id, differing, heads_digest, next_chain, range_of, range_sums, ranges_for,
    start_chain,
};
pub use skeleton::{ChangesetRef, Skeleton};
pub use value::{Number, Value};

/// Well-formed, but of a version this one does not know. Kept, never folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found} is not supported by this version")]
pub struct Unsupported {
    /// What is unknown.
    pub what: &'static str,
    /// Its value.
    pub found: u64,
}

/// Why signed bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They break the format, for every version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A later version may read them.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

impl ReadError {
    /// The class of the fault, as written in `tests/vectors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.code(),
            Self::Unsupported(_) => "unsupported",
        }
    }
}
