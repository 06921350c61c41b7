//! What a store keeps of redactions (`docs/protocol.md` §9), and dropping what they name.
//!
//! Invariant: what is dropped is a content alone; the row stays, with its cursor, its chain and everything that is signed.

use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use stemma::event::Class;

use super::StoreError;

/// Somebody asks for the content of a changeset to be dropped, whether or not it is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The changeset.
    pub target: ChangesetId,
    /// Who asks.
    pub by: MemberId,
    /// Whether that is an owner or an admin, who may ask for what others wrote.
    pub as_admin: bool,
}

/// What a relay keeps of redactions.
pub trait Redactions {
    /// Notes redactions for rows that come, drops the content of rows of class data that are at these places, and forgets all
    /// snapshots of the space: with those that come and stand for fewer rows than `until`. How many contents were dropped.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere here.
    fn redact(
        &self,
        space: SpaceId,
        noted: &[Redaction],
        places: &[(ActorId, u32, ChangesetId)],
        until: u64,
    ) -> Result<u64, StoreError>;

    /// The redactions that are noted of these changesets.
    ///
    /// # Errors
    /// [`StoreError`].
    fn redactions(&self, space: SpaceId, targets: &[ChangesetId]) -> Result<Vec<Redaction>, StoreError>;

    /// Those of these spaces in which something was redacted, each with how many rows a snapshot of it has to stand for.
    ///
    /// # Errors
    /// [`StoreError`].
    fn redacted(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, u64)>, StoreError>;
}

/// Whether a header is of a class whose content can be redacted. Which of audit is about people only those with keys see.
pub(crate) fn is_erasable(header: &[u8]) -> bool {
    [Class::Data, Class::Audit].iter().any(|class| header.get(CLASS) == Some(&(*class as u8)))
}

/// Where a header has its class.
pub(crate) const CLASS: usize = 2;
