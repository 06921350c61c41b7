//! The part of a changeset that is in clear and signed:
//!
//! ```text
//! ver 1 | suite | class | flags | space 32 | actor 32 | seq | prev 32 | deps: list of 32 | kid 16
//! | skeleton_len | skeleton_hash 32 | content_len | content_hash 32 | ext tlv
//! ```
//! Invariant: the fields are those of the bytes, and the id is their hash. A header of a later suite, class, flag or
//! critical extension is one too, but says that it is [`Unsupported`]. Says nothing about its signature.

use super::{Chain, ReadError, Unsupported};
use crate::causal::{ActorId, ChangesetId, SpaceId};
use crate::codec::limits::{CHANGESET_BYTES_MAX, DEPS_MAX, EXT_BYTES_MAX, SEGMENT_OVERHEAD_BYTES, SEQ_MAX};
use crate::codec::{DecodeError, Reader, Tlv, TlvEntry, Writer};
use crate::crypto::{Digest, Kid, SegmentContext, SegmentKind, Tag, hash};

/// What the ops of a changeset are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Epochs, cuts, redactions.
    Control = 0,
    /// Ops of data types.
    Data = 1,
    /// Published policy entries.
    Policy = 2,
    /// Attestations, blocks, votes.
    Audit = 3,
    /// References to snapshots.
    Snapshot = 4,
    /// Policy entries for the member's own devices.
    Private = 5,
}

impl Class {
    /// The class of a byte.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Control, Self::Data, Self::Policy, Self::Audit, Self::Snapshot, Self::Private]
            .get(usize::from(code))
            .copied()
    }
}

/// What a header says about one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its bytes.
    pub len: u32,
    /// Its hash.
    pub hash: Digest,
}

/// A header that decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    id: ChangesetId,
    prefix_len: usize,
    class: Result<Class, Unsupported>,
    space: SpaceId,
    actor: ActorId,
    seq: u32,
    prev: [u8; 32],
    deps: Vec<ChangesetId>,
    kid: Kid,
    skeleton: SegmentRef,
    content: Option<SegmentRef>,
    ext: Ext,
}

/// The fields up to and including the kid, which the segments are bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix<'a> {
    pub class: Class,
    pub space: SpaceId,
    pub actor: ActorId,
    pub seq: u32,
    pub prev: &'a [u8; 32],
    pub deps: &'a [ChangesetId],
    pub kid: Kid,
}

impl Prefix<'_> {
    pub fn encode(&self, out: &mut Writer) {
        out.u8(VERSION).u8(SUITE).u8(self.class as u8).u8(0).raw(&self.space.0).raw(&self.actor.0);
        out.varint(self.seq.into()).raw(self.prev).varint(self.deps.len() as u64);
        self.deps.iter().for_each(|dep| {
            out.raw(&dep.0);
        });
        out.raw(&self.kid.0);
    }
}

impl Header {
    /// Reads a header that fills the input.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.expect_u8("header version", VERSION)?;
        let suite = reader.u8("header suite")?;
        let class = reader.u8("header class")?;
        let flags = reader.u8("header flags")?;
        let space = SpaceId(reader.array("header space")?);
        let actor = ActorId(reader.array("header actor")?);
        let seq = reader.varint_u32("header seq", u32::try_from(SEQ_MAX).expect("below 2^32"))?;
        let prev_at = reader.position();
        let prev = reader.array("header prev")?;
        if seq == 0 && prev != space.0 {
            let rule = "at seq 0 prev is the space";
            return Err(DecodeError::Invalid { what: "header prev", at: prev_at, rule });
        }
        let deps = reader.sorted_arrays("header deps", DEPS_MAX)?.into_iter().map(ChangesetId).collect();
        let kid = Kid(reader.array("header kid")?);
        let prefix_len = reader.position();
        let skeleton = SegmentRef::decode(&mut reader, "header skeleton")?.ok_or(DecodeError::Invalid {
            what: "header skeleton",
            at: prefix_len,
            rule: "every changeset has a skeleton",
        })?;
        let content = SegmentRef::decode(&mut reader, "header content")?;
        let tlv = Tlv::decode(&mut reader, "header ext", EXT_BYTES_MAX)?;
        reader.finish("header")?;

        let segments = skeleton.len as usize + content.map_or(0, |content| content.len as usize);
        if bytes.len() + SIGNATURE_BYTES + segments > CHANGESET_BYTES_MAX {
            let limit = CHANGESET_BYTES_MAX as u64;
            return Err(DecodeError::OverLimit { what: "changeset", at: prefix_len, limit });
        }
        let class = support(suite, class, flags, &tlv);
        let (class, ext) = match class {
            Ok(class) => Ext::decode(&tlv, class, seq, &actor)?,
            Err(unsupported) => (Err(unsupported), Ext::default()),
        };
        let id = ChangesetId(hash(Tag::CHANGESET_ID, &[bytes]).0);
        Ok(Self {
            bytes: bytes.to_vec(),
            id,
            prefix_len,
            class,
            space,
            actor,
            seq,
            prev,
            deps,
            kid,
            skeleton,
            content,
            ext,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the changeset: the hash of the header.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.id
    }

    /// What the ops are about, or what this version does not know in the header.
    pub fn class(&self) -> Result<Class, Unsupported> {
        self.class
    }

    /// The space it belongs to.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Who wrote it.
    #[must_use]
    pub fn actor(&self) -> ActorId {
        self.actor
    }

    /// Its place in the actor's chain.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// The actor's changeset before it; none at `seq` 0.
    #[must_use]
    pub fn prev(&self) -> Option<ChangesetId> {
        (self.seq > 0).then_some(ChangesetId(self.prev))
    }

    /// The other heads its author had seen, ascending.
    #[must_use]
    pub fn deps(&self) -> &[ChangesetId] {
        &self.deps
    }

    /// The epoch its segments are sealed under.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// What it says about the skeleton.
    #[must_use]
    pub fn skeleton(&self) -> SegmentRef {
        self.skeleton
    }

    /// What it says about the content, if there ever was one.
    #[must_use]
    pub fn content(&self) -> Option<SegmentRef> {
        self.content
    }

    /// Who the actor is; at `seq` 0 only. Not verified.
    #[must_use]
    pub fn chain(&self) -> Option<&Chain> {
        self.ext.chain.as_deref()
    }

    /// The changesets whose content it redacts, ascending.
    #[must_use]
    pub fn redacts(&self) -> &[ChangesetId] {
        &self.ext.redacts
    }

    /// Where those are in the chains of their actors, one each; none if the header does not say.
    #[must_use]
    pub fn redacts_at(&self) -> &[(ActorId, u32)] {
        &self.ext.places
    }

    /// The Merkle root over its salted ops.
    #[must_use]
    pub fn ops_root(&self) -> Option<Digest> {
        self.ext.ops_root
    }

    /// Where one of its segments stands.
    #[must_use]
    pub fn segment_context(&self, kind: SegmentKind) -> SegmentContext<'_> {
        SegmentContext {
            space: &self.space.0,
            actor: &self.actor.0,
            seq: self.seq.into(),
            kind,
            header_prefix: &self.bytes[..self.prefix_len],
        }
    }
}

impl SegmentRef {
    fn decode(reader: &mut Reader<'_>, what: &'static str) -> Result<Option<Self>, DecodeError> {
        let at = reader.position();
        let len = reader.varint_u32(what, CHANGESET_BYTES_MAX as u32)?;
        let hash = Digest(reader.array(what)?);
        let rule = match len as usize {
            0 if hash.0 == [0; 32] => return Ok(None),
            0 => "an absent segment has a hash of zeros",
            1..SEGMENT_OVERHEAD_BYTES => "a segment has 32 bytes at least",
            _ => return Ok(Some(Self { len, hash })),
        };
        Err(DecodeError::Invalid { what, at, rule })
    }

    pub(super) fn encode(this: Option<Self>, out: &mut Writer) {
        let Self { len, hash } = this.unwrap_or(Self { len: 0, hash: Digest([0; 32]) });
        out.varint(len.into()).raw(&hash.0);
    }
}

/// The extensions this version knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ext {
    chain: Option<Box<Chain>>,
    redacts: Vec<ChangesetId>,
    places: Vec<(ActorId, u32)>,
    ops_root: Option<Digest>,
}

impl Ext {
    /// Reads them under the rules of a supported header. A chain may turn out to be of a later version.
    fn decode(
        tlv: &Tlv<'_>,
        class: Class,
        seq: u32,
        actor: &ActorId,
    ) -> Result<(Result<Class, Unsupported>, Self), DecodeError> {
        let mut ext = Self::default();
        for entry in tlv.iter() {
            let rule = |rule| DecodeError::Invalid { what: "header ext", at: entry.at, rule };
            match entry.tag {
                EXT_CHAIN if seq > 0 => return Err(rule("only seq 0 carries a certificate chain")),
                EXT_CHAIN => match Chain::decode(entry.value) {
                    Ok(chain)
                        if chain.certificates().last().is_none_or(|last| *last.subject() != actor.0) =>
                    {
                        return Err(rule("the chain ends at the actor"));
                    }
                    Ok(chain) => ext.chain = Some(Box::new(chain)),
                    Err(ReadError::Malformed(error)) => return Err(error),
                    Err(ReadError::Unsupported(unsupported)) => {
                        return Ok((Err(unsupported), Self::default()));
                    }
                },
                EXT_REDACTS if class != Class::Control => {
                    return Err(rule("only control changesets redact"));
                }
                EXT_REDACTS => ext.redacts = redaction_targets(entry)?,
                EXT_PLACES => {
                    ext.places = redaction_places(entry)?;
                    if ext.places.len() != ext.redacts.len() {
                        return Err(rule("each redaction target has a place"));
                    }
                }
                EXT_OPS_ROOT => {
                    let root = entry.value.try_into().map_err(|_| rule("an ops root has 32 bytes"))?;
                    ext.ops_root = Some(Digest(root));
                }
                tag if KNOWN_EXT.contains(&(tag ^ 1)) => {
                    return Err(rule("a known entry with the wrong critical bit"));
                }
                _ => {}
            }
        }
        if seq == 0 && ext.chain.is_none() {
            return Err(DecodeError::Invalid {
                what: "header ext",
                at: 0,
                rule: "seq 0 carries a certificate chain",
            });
        }
        Ok((Ok(class), ext))
    }
}

fn redaction_targets(entry: &TlvEntry<'_>) -> Result<Vec<ChangesetId>, DecodeError> {
    let what = "redaction targets";
    let mut reader = Reader::new(entry.value);
    let targets = reader.sorted_arrays(what, EXT_BYTES_MAX)?;
    reader.finish(what)?;
    if targets.is_empty() {
        return Err(DecodeError::Invalid { what, at: entry.at, rule: "a redaction has a target" });
    }
    Ok(targets.into_iter().map(ChangesetId).collect())
}

fn redaction_places(entry: &TlvEntry<'_>) -> Result<Vec<(ActorId, u32)>, DecodeError> {
    let what = "redaction places";
    let mut reader = Reader::new(entry.value);
    let count = reader.count(what, EXT_BYTES_MAX, 33)?;
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push((ActorId(reader.array(what)?), reader.varint_u32(what, u32::MAX)?));
    }
    reader.finish(what)?;
    Ok(places)
}

fn support(suite: u8, class: u8, flags: u8, ext: &Tlv<'_>) -> Result<Class, Unsupported> {
    if suite != SUITE {
        return Err(Unsupported { what: "header suite", found: suite.into() });
    }
    if flags != 0 {
        return Err(Unsupported { what: "header flags", found: flags.into() });
    }
    let class = Class::from_code(class).ok_or(Unsupported { what: "header class", found: class.into() })?;
    // A known type with the wrong critical bit is no news from a later version, but malformed.
    let known: Vec<u64> = KNOWN_EXT.iter().flat_map(|tag| [*tag, tag ^ 1]).collect();
    match ext.unknown_critical(&known) {
        Some(found) => Err(Unsupported { what: "header ext", found }),
        None => Ok(class),
    }
}

pub(super) const EXT_CHAIN: u64 = 1 << 1 | 1;
pub(super) const EXT_REDACTS: u64 = 2 << 1 | 1;
pub(super) const EXT_OPS_ROOT: u64 = 3 << 1;
pub(super) const EXT_PLACES: u64 = 4 << 1;
const KNOWN_EXT: [u64; 4] = [EXT_CHAIN, EXT_REDACTS, EXT_OPS_ROOT, EXT_PLACES];

pub(super) const SIGNATURE_BYTES: usize = 64;
const VERSION: u8 = 1;
pub(super) const SUITE: u8 = 1;
