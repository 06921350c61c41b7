//! What becomes a changeset when it is sealed and signed.

use super::header::{EXT_CHAIN, EXT_OPS_ROOT, EXT_PLACES, EXT_REDACTS, Header, Prefix, SegmentRef};
use super::{Chain, Changeset, Class};
use crate::causal::{ActorId, ChangesetId, SpaceId};
use crate::codec::limits::CHANGESET_BYTES_MAX;
use crate::codec::{DecodeError, TlvWriter, Writer};
use crate::crypto::{
    Digest, EpochKey, SegmentContext, SegmentKind, SigningKey, seal, segment_hash, segment_len,
};

/// The fields an author chooses.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The space.
    pub space: SpaceId,
    /// What the ops are about.
    pub class: Class,
    /// The place in the actor's chain.
    pub seq: u32,
    /// The actor's changeset before; none at `seq` 0.
    pub prev: Option<ChangesetId>,
    /// The other heads seen, strictly ascending, at most 32.
    pub deps: &'a [ChangesetId],
    /// Who the actor is; at `seq` 0 only.
    pub chain: Option<&'a Chain>,
    /// The changesets to redact, strictly ascending, each with its place in the chain of its actor; in class control only.
    pub redacts: &'a [(ChangesetId, (ActorId, u32))],
    /// The root over its ops, if they can be shown one by one.
    pub ops_root: Option<Digest>,
    /// The encoded skeleton.
    pub skeleton: &'a [u8],
    /// The encoded content, if there is any.
    pub content: Option<&'a [u8]>,
}

impl Draft<'_> {
    /// Seals the segments and signs the header. `random` should be fresh. Never signs what others would refuse.
    pub fn seal(
        &self,
        actor: &SigningKey,
        key: &EpochKey,
        random: &[u8; 32],
    ) -> Result<Changeset, DraftError> {
        // Before the work is done: a batch that outgrew a changeset is a thing that happens.
        let segments =
            segment_len(self.skeleton.len()) + self.content.map_or(0, |content| segment_len(content.len()));
        if segments > CHANGESET_BYTES_MAX {
            return Err(DraftError::TooLarge);
        }
        let actor_id = ActorId(actor.public());
        let mut out = Writer::new();
        let prefix = Prefix {
            class: self.class,
            space: self.space,
            actor: actor_id,
            seq: self.seq,
            prev: self.prev.as_ref().map_or(&self.space.0, |prev| &prev.0),
            deps: self.deps,
            kid: key.kid(),
        };
        prefix.encode(&mut out);
        let salt_key = actor.salt_key();
        let sealed = |kind, body: &[u8]| {
            let (space, actor_id) = (&self.space.0, &actor_id.0);
            let header_prefix = out.as_slice();
            let at = SegmentContext { space, actor: actor_id, seq: self.seq.into(), kind, header_prefix };
            seal(key, &at, &salt_key, random, body)
        };
        let skeleton = sealed(SegmentKind::Skeleton, self.skeleton);
        let content = self.content.map(|content| sealed(SegmentKind::Content, content));
        SegmentRef::encode(Some(reference(SegmentKind::Skeleton, &skeleton)), &mut out);
        SegmentRef::encode(
            content.as_ref().map(|content| reference(SegmentKind::Content, content)),
            &mut out,
        );
        self.ext().finish(&mut out);

        let header = Header::decode(out.as_slice()).map_err(|error| match error {
            DecodeError::OverLimit { what: "changeset", .. } => DraftError::TooLarge,
            error => DraftError::Header(error),
        })?;
        Ok(Changeset::sign(header, actor, skeleton, content))
    }

    fn ext(&self) -> TlvWriter {
        let mut ext = TlvWriter::new();
        if let Some(chain) = self.chain {
            ext.entry(EXT_CHAIN, &chain.encode());
        }
        if !self.redacts.is_empty() {
            let mut targets = Writer::new();
            targets.varint(self.redacts.len() as u64);
            self.redacts.iter().for_each(|(target, _)| {
                targets.raw(&target.0);
            });
            ext.entry(EXT_REDACTS, targets.as_slice());
        }
        if let Some(root) = &self.ops_root {
            ext.entry(EXT_OPS_ROOT, &root.0);
        }
        if !self.redacts.is_empty() {
            let mut places = Writer::new();
            places.varint(self.redacts.len() as u64);
            for (_, (actor, seq)) in self.redacts {
                places.raw(&actor.0).varint((*seq).into());
            }
            ext.entry(EXT_PLACES, places.as_slice());
        }
        ext
    }
}

fn reference(kind: SegmentKind, segment: &[u8]) -> SegmentRef {
    let len = u32::try_from(segment.len()).expect("segments are below the size of a changeset");
    SegmentRef { len, hash: segment_hash(kind, segment) }
}

/// Why a draft was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// It needs more bytes than a changeset may have.
    #[error("larger than a changeset may be")]
    TooLarge,
    /// The fields do not go together.
    #[error(transparent)]
    Header(DecodeError),
}
