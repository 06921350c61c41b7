//! A header, a signature and two sealed segments, and how they come to be trusted.
//!
//! ```text
//! row = present u8 (bit 0 content, bit 1 skeleton) | header bytes | signature [64] | skeleton? | content?
//! ```
//! [`SignedChangeset`] is what arrives: it can be routed, stored and sent on, not opened. [`Changeset`] is authentic: its
//! actor's signature covers it, or a descendant of it in the actor's own chain. A segment that does not match its hash
//! counts as missing: the deliverer is to blame, not the author. Who the actor is, the chain of its first changeset tells
//! whoever knows the genesis: [`Chain::verify_actor`](super::Chain::verify_actor).

use super::header::{Header, SIGNATURE_BYTES, SegmentRef};
use super::{Content, ReadError, Skeleton, Unsupported};
use crate::causal::ChangesetId;
use crate::codec::limits::CHANGESET_BYTES_MAX;
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{
    Keyring, Kid, OpenError, SegmentKind, Signature, SigningKey, Tag, VerifyingKey, open, segment_hash,
};

/// A changeset that decodes. Its signature was not checked, so its segments cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedChangeset {
    header: Header,
    signature: Signature,
    skeleton: Option<Vec<u8>>,
    content: Option<Vec<u8>>,
    damaged: bool,
}

impl SignedChangeset {
    /// Reads a row.
    pub fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let present = reader.u8("row presence")?;
        let header = Header::decode(reader.bytes("row header", CHANGESET_BYTES_MAX)?)?;
        let known =
            if header.content().is_some() { PRESENT_CONTENT | PRESENT_SKELETON } else { PRESENT_SKELETON };
        if present & !known != 0 {
            return Err(DecodeError::Unknown { what: "row presence", at: 0, found: present.into() });
        }
        let signature = Signature(reader.array("row signature")?);
        let mut damaged = false;
        let mut segment = |bit, what, kind, expected: Option<SegmentRef>| match expected {
            Some(expected) if present & bit != 0 => {
                let bytes = reader.raw(what, expected.len as usize)?;
                let intact = segment_hash(kind, bytes) == expected.hash;
                damaged |= !intact;
                Ok(intact.then(|| bytes.to_vec()))
            }
            _ => Ok(None),
        };
        let skeleton =
            segment(PRESENT_SKELETON, "row skeleton", SegmentKind::Skeleton, Some(header.skeleton()))?;
        let content = segment(PRESENT_CONTENT, "row content", SegmentKind::Content, header.content())?;
        reader.finish("row")?;
        Ok(Self { header, signature, skeleton, content, damaged })
    }

    /// Puts a row together from its parts, as they travel. A segment that does not fit its hash counts as missing.
    pub fn from_parts(
        header: &[u8],
        signature: [u8; SIGNATURE_BYTES],
        skeleton: Option<&[u8]>,
        content: Option<&[u8]>,
    ) -> Result<Self, DecodeError> {
        let header = Header::decode(header)?;
        let fits = |kind, bytes: &[u8], expected: Option<SegmentRef>| {
            expected.is_some_and(|expected| segment_hash(kind, bytes) == expected.hash)
        };
        let sound_skeleton =
            skeleton.filter(|bytes| fits(SegmentKind::Skeleton, bytes, Some(header.skeleton())));
        let sound_content = content.filter(|bytes| fits(SegmentKind::Content, bytes, header.content()));
        let damaged =
            sound_skeleton.is_some() != skeleton.is_some() || sound_content.is_some() != content.is_some();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Ok(Self {
            signature: Signature(signature),
            skeleton: owned(sound_skeleton),
            content: owned(sound_content),
            header,
            damaged,
        })
    }

    /// The sealed skeleton.
    #[must_use]
    pub fn skeleton(&self) -> Option<&[u8]> {
        self.skeleton.as_deref()
    }

    /// The sealed content.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Writes the row. Segments that were damaged are not in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.size());
        let present = self.content.as_ref().map_or(0, |_| PRESENT_CONTENT)
            | self.skeleton.as_ref().map_or(0, |_| PRESENT_SKELETON);
        out.u8(present).bytes(self.header.as_bytes()).raw(&self.signature.0);
        [&self.skeleton, &self.content].into_iter().flatten().for_each(|segment| {
            out.raw(segment);
        });
        out.into_bytes()
    }

    /// Makes it authentic by its own signature. Gives it back otherwise: a descendant may still vouch for it.
    pub fn verify(self) -> Result<Changeset, (Box<Self>, VerifyError)> {
        let key = VerifyingKey::parse(&self.header.actor().0);
        self.verify_by(key.as_ref())
    }

    /// The same with the parsed key of its actor; with none, or with another one, it is not authentic.
    pub fn verify_by(self, key: Option<&VerifyingKey>) -> Result<Changeset, (Box<Self>, VerifyError)> {
        if let Err(unsupported) = self.header.class() {
            return Err((Box::new(self), unsupported.into()));
        }
        match key.is_some_and(|key| self.is_signed_by(key)) {
            true => Ok(Changeset { signed: self, is_checked: true }),
            false => Err((Box::new(self), VerifyError::Signature)),
        }
    }

    /// Whether this is the key of its actor, and the signature is valid.
    pub(super) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let parts: [&[u8]; 1] = [&self.header.id().0];
        key.to_bytes() == self.header.actor().0
            && key.verify(Tag::CHANGESET_SIGNATURE, &parts, &self.signature).is_ok()
    }

    /// Makes it authentic because an authentic changeset of the same actor names it as its predecessor: a signature
    /// covers everything that its hash covers. One check of the newest changeset so vouches for a whole chain.
    pub fn trust_by_descendant(self, descendant: &Changeset) -> Result<Changeset, (Box<Self>, VerifyError)> {
        let next = descendant.header();
        let named = next.prev() == Some(self.header.id())
            && next.actor() == self.header.actor()
            && next.seq().checked_sub(1) == Some(self.header.seq());
        match self.header.class() {
            Err(unsupported) => Err((Box::new(self), unsupported.into())),
            Ok(_) if !named => Err((Box::new(self), VerifyError::Unrelated)),
            Ok(_) => Ok(Changeset { signed: self, is_checked: false }),
        }
    }

    /// Makes it authentic because this device found it so before and kept its id in a place that nobody else can write to.
    pub(super) fn trust_by_id(self, id: ChangesetId) -> Option<Changeset> {
        (self.id() == id).then_some(Changeset { signed: self, is_checked: false })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.header.id()
    }

    /// The signature it came with.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether the skeleton is there.
    #[must_use]
    pub fn has_skeleton(&self) -> bool {
        self.skeleton.is_some()
    }

    /// Whether the content is there. There may never have been one: see [`Header::content`].
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.content.is_some()
    }

    /// Whether a segment came that does not match its hash and was dropped.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Whether a segment that its header names is not here.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.has_skeleton() || self.header.content().is_some() && !self.has_content()
    }

    /// Takes segments that are missing here from another copy of the same changeset, and says whether any was.
    pub fn complete_from(&mut self, copy: Self) -> bool {
        if copy.id() != self.id() {
            return false;
        }
        let before = (self.has_skeleton(), self.has_content());
        self.skeleton = self.skeleton.take().or(copy.skeleton);
        self.content = self.content.take().or(copy.content);
        before != (self.has_skeleton(), self.has_content())
    }

    /// Drops the content: what a redaction does. Id, signature and skeleton stay valid.
    pub fn drop_content(&mut self) {
        self.content = None;
    }

    /// Bytes of the row, a few more than it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let segments = [&self.skeleton, &self.content].into_iter().flatten().map(Vec::len).sum::<usize>();
        1 + 3 + self.header.as_bytes().len() + SIGNATURE_BYTES + segments
    }
}

/// An authentic changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changeset {
    signed: SignedChangeset,
    is_checked: bool,
}

impl Changeset {
    /// Signs what was just sealed.
    pub(super) fn sign(
        header: Header,
        actor: &SigningKey,
        skeleton: Vec<u8>,
        content: Option<Vec<u8>>,
    ) -> Self {
        let signature = actor.sign(Tag::CHANGESET_SIGNATURE, &[&header.id().0]);
        let skeleton = Some(skeleton);
        let signed = SignedChangeset { header, signature, skeleton, content, damaged: false };
        Self { signed, is_checked: true }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.signed.header
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.signed.id()
    }

    /// The changeset as it is stored and sent.
    #[must_use]
    pub fn signed(&self) -> &SignedChangeset {
        &self.signed
    }

    /// The same, as what arrives.
    pub(super) fn into_signed(self) -> SignedChangeset {
        self.signed
    }

    /// Whether its own signature was found valid, and not only that of a descendant. See [`Log::check`](super::Log::check).
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// Its own signature was found valid.
    pub(super) fn set_checked(&mut self) {
        self.is_checked = true;
    }

    /// Takes segments that are missing here from another copy, and says whether any was.
    pub fn complete_from(&mut self, copy: SignedChangeset) -> bool {
        self.signed.complete_from(copy)
    }

    /// Takes the signature of another copy, which was found valid.
    pub(super) fn resign_from(&mut self, copy: &SignedChangeset) {
        if copy.id() == self.id() {
            (self.signed.signature, self.is_checked) = (copy.signature, true);
        }
    }

    /// Drops the content: what a redaction does.
    pub fn drop_content(&mut self) {
        self.signed.drop_content();
    }

    /// Opens and reads the skeleton.
    pub fn open_skeleton(&self, keys: &Keyring) -> Result<Skeleton, BodyError> {
        let body = self.open_segment(SegmentKind::Skeleton, keys)?;
        let class = self.header().class().expect("authentic changesets are supported");
        Ok(Skeleton::decode(&body, class, self.header().deps().len())?)
    }

    /// Opens and reads the content that belongs to the skeleton. `None` if there never was one.
    pub fn open_content(&self, keys: &Keyring, skeleton: &Skeleton) -> Result<Option<Content>, BodyError> {
        if self.header().content().is_none() {
            return Ok(None);
        }
        let body = self.open_segment(SegmentKind::Content, keys)?;
        Ok(Some(Content::decode(&body, skeleton)?))
    }

    /// Opens one segment.
    pub fn open_segment(&self, kind: SegmentKind, keys: &Keyring) -> Result<Vec<u8>, SegmentError> {
        let segment = match kind {
            SegmentKind::Skeleton => &self.signed.skeleton,
            SegmentKind::Content => &self.signed.content,
        };
        let segment = segment.as_ref().ok_or(SegmentError::Missing)?;
        let kid = self.header().kid();
        let key = keys.get(kid).ok_or(SegmentError::NoKey(kid))?;
        Ok(open(key, &self.header().segment_context(kind), segment)?)
    }
}

/// Why a changeset is not authentic, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The actor did not sign it.
    #[error("the signature is not valid")]
    Signature,
    /// The other changeset does not name it as its predecessor.
    #[error("not the predecessor of that changeset")]
    Unrelated,
    /// It is to be kept for a later version.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

/// Why a segment of an authentic changeset gives no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// It is not here.
    #[error("the segment is missing")]
    Missing,
    /// The key of its epoch is not here.
    #[error("no key for {0:?}")]
    NoKey(Kid),
    /// It is here, and so is the key.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why an authentic changeset cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The segment gives no body.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The body cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BodyError {
    /// Whether a delivery, a key or a later version may change it. For a skeleton that is pending, and inert otherwise.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self {
            Self::Segment(SegmentError::Missing | SegmentError::NoKey(_)) => true,
            Self::Segment(SegmentError::Open(error)) => matches!(error, OpenError::Codec(_)),
            Self::Read(error) => matches!(error, ReadError::Unsupported(_)),
        }
    }

    /// The class of the fault, as written in `tests/vectors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Segment(SegmentError::Missing) => "missing",
            Self::Segment(SegmentError::NoKey(_)) => "no-key",
            Self::Segment(SegmentError::Open(OpenError::Sealed)) => "sealed",
            Self::Segment(SegmentError::Open(OpenError::Codec(_))) => "unsupported",
            Self::Segment(SegmentError::Open(OpenError::Malformed(error))) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}

const PRESENT_CONTENT: u8 = 1;
const PRESENT_SKELETON: u8 = 2;
