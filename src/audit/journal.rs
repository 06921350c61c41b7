//! The audit log of a device: what happened there, one actor's entries in a chain of hashes.
//!
//! ```text
//! hash of an entry = H(tag(journal) | hash of the one before | kind | time | count | span | hash of its detail)
//! ```
//!
//! Invariant: what an entry is about (who, which, why) is its *detail*, of which only a salted hash is in the chain. It can be dropped
//! and the chain stays whole; without the salt nobody can try what it said. Sealing and storing is not done here.

use crate::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer};
use crate::crypto::{Digest, Signature, SigningKey, Tag, VerifyingKey, hash};

/// Entries in one record.
pub const RECORD_ENTRIES_MAX: usize = 65_536;

/// Bytes of a text in a detail; what is longer is cut.
const TEXT_BYTES_MAX: usize = 512;

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NoteKind {
    /// A changeset was refused: whoever delivered it is to blame, not whoever it names.
    Refused = 1,
    /// A changeset waits for something.
    Pending = 2,
    /// A changeset is against the rules of the space.
    Inert = 3,
    /// A session with a relay or a peer began or ended.
    Session = 4,
    /// Somebody said what should count.
    Policy = 5,
    /// A key was admitted or made, or somebody was invited.
    Key = 6,
    /// Somebody showed that an actor signed what contradicts itself, or that was repaired.
    Evidence = 7,
    /// A block is certified, or there are two at one height.
    Block = 8,
    /// Something was redacted, or is gone from the stores of this device.
    Redaction = 9,
    /// Something was given out as bytes.
    Export = 10,
    /// Personal data was read.
    Read = 11,
    /// The space was ordered: validators, for one.
    Control = 12,
    /// A consent was given or withdrawn here.
    Consent = 13,
}

impl NoteKind {
    /// All of them with their names, in the order of their numbers.
    pub const NAMES: [(Self, &'static str); 13] = [
        (Self::Refused, "refused"),
        (Self::Pending, "pending"),
        (Self::Inert, "inert"),
        (Self::Session, "session"),
        (Self::Policy, "policy"),
        (Self::Key, "key"),
        (Self::Evidence, "evidence"),
        (Self::Block, "block"),
        (Self::Redaction, "redaction"),
        (Self::Export, "export"),
        (Self::Read, "read"),
        (Self::Control, "control"),
        (Self::Consent, "consent"),
    ];

    /// How it is called.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize - 1].1
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, of)| *of == name).map(|(kind, _)| kind)
    }

    fn of(number: u8) -> Option<Self> {
        Self::NAMES.get(usize::from(number).checked_sub(1)?).map(|(kind, _)| *kind)
    }
}

/// What an entry is about. It can be dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// A block.
    pub block: Option<Digest>,
    /// A changeset.
    pub changeset: Option<ChangesetId>,
    /// An actor, as far as it is proven that it is about it.
    pub actor: Option<ActorId>,
    /// A member, likewise.
    pub member: Option<MemberId>,
    /// An object, by its id or that of its name.
    pub object: Option<[u8; 16]>,
    /// With whom: the address of a relay, or a session with a peer.
    pub peer: String,
    /// What or why, in words.
    pub text: String,
}

impl Detail {
    fn encode(&self, salt: &[u8; 16]) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(salt);
        let fixed: [Option<&[u8]>; 5] = [
            self.block.as_ref().map(|id| &id.0[..]),
            self.changeset.as_ref().map(|id| &id.0[..]),
            self.actor.as_ref().map(|id| &id.0[..]),
            self.member.as_ref().map(|id| &id.0[..]),
            self.object.as_ref().map(|id| &id[..]),
        ];
        out.u8(fixed.iter().zip(0..).map(|(field, bit)| u8::from(field.is_some()) << bit).sum());
        fixed.into_iter().flatten().for_each(|field| {
            out.raw(field);
        });
        out.string(cut(&self.peer)).string(cut(&self.text));
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        from.array::<16>("salt")?;
        let at = from.position();
        let present = from.u8("fields")?;
        if present >= 1 << 5 {
            return Err(DecodeError::Unknown { what: "fields", at, found: present.into() });
        }
        let has = |bit: u8| present & 1 << bit != 0;
        let mut id = |bit: u8| if has(bit) { from.array::<32>("id").map(Some) } else { Ok(None) };
        let (block, changeset, actor, member) = (id(0)?, id(1)?, id(2)?, id(3)?);
        let object = if has(4) { Some(from.array("object")?) } else { None };
        let peer = from.string("peer", TEXT_BYTES_MAX)?.to_owned();
        let text = from.string("text", TEXT_BYTES_MAX)?.to_owned();
        from.finish("detail")?;
        let (block, changeset) = (block.map(Digest), changeset.map(ChangesetId));
        Ok(Self {
            block,
            changeset,
            actor: actor.map(ActorId),
            member: member.map(MemberId),
            object,
            peer,
            text,
        })
    }
}

/// Which entries somebody asks for. Everything is optional and combines with "and"; of an entry without its detail only the kind and the
/// time are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// Of this kind.
    pub kind: Option<NoteKind>,
    /// About this block.
    pub block: Option<Digest>,
    /// About this changeset.
    pub changeset: Option<ChangesetId>,
    /// About this actor.
    pub actor: Option<ActorId>,
    /// About this member.
    pub member: Option<MemberId>,
    /// About this object.
    pub object: Option<[u8; 16]>,
    /// At or after, in ms since 1970.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place in the chain.
    pub index: u64,
    /// The hash of the one before it.
    pub previous: Digest,
    /// The number of its kind: one that is not known here is of a later version.
    pub kind: u8,
    /// When, by the clock of this device, in ms since 1970.
    pub time_ms: u64,
    /// How often.
    pub count: u64,
    /// For how long after `time_ms` it went on.
    pub span_ms: u64,
    detail_hash: Digest,
    /// With its salt.
    detail: Option<Vec<u8>>,
}

impl JournalEntry {
    /// Its own hash.
    pub fn hash(&self) -> Digest {
        let Self { previous, kind, time_ms, count, span_ms, detail_hash, .. } = self;
        let numbers = [time_ms, count, span_ms].map(|number| number.to_le_bytes());
        let [time, count, span] = &numbers;
        hash(Tag::JOURNAL, &[&previous.0, &[*kind], time, count, span, &detail_hash.0])
    }

    /// What sort of thing it tells of, if this version knows it.
    pub fn kind(&self) -> Option<NoteKind> {
        NoteKind::of(self.kind)
    }

    /// What it is about; none once that was dropped.
    pub fn detail(&self) -> Option<Detail> {
        self.detail.as_ref().and_then(|bytes| Detail::decode(bytes).ok())
    }

    /// Drops what it is about. Whether there was something.
    pub fn forget(&mut self) -> bool {
        self.detail.take().is_some()
    }

    /// Whether somebody who asks for these is told of it.
    pub fn passes(&self, filter: &JournalFilter) -> bool {
        let JournalFilter { kind, block, changeset, actor, member, object, since_ms, until_ms } = filter;
        let in_time = since_ms.is_none_or(|since| self.time_ms + self.span_ms >= since)
            && until_ms.is_none_or(|until| self.time_ms < until);
        if !in_time || kind.is_some_and(|kind| kind as u8 != self.kind) {
            return false;
        }
        if (block, changeset, actor, member, object) == (&None, &None, &None, &None, &None) {
            return true;
        }
        self.detail().is_some_and(|of| {
            (block.is_none() || *block == of.block)
                && (changeset.is_none() || *changeset == of.changeset)
                && (actor.is_none() || *actor == of.actor)
                && (member.is_none() || *member == of.member)
                && (object.is_none() || *object == of.object)
        })
    }
}

/// Where the next entry of an actor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// How many entries there were.
    pub size: u64,
    /// The hash of the last one.
    pub hash: Digest,
}

impl JournalHead {
    /// That of a chain without entries.
    pub fn empty(space: &SpaceId, actor: &ActorId) -> Self {
        Self { size: 0, hash: hash(Tag::JOURNAL, &[&space.0, &actor.0]) }
    }

    /// Adds an entry about something that happened `count` times. `salt` has to be one that nobody can guess.
    pub fn add(
        &mut self,
        kind: NoteKind,
        (time_ms, span_ms): (u64, u64),
        count: u64,
        detail: &Detail,
        salt: &[u8; 16],
    ) -> JournalEntry {
        let detail = detail.encode(salt);
        let entry = JournalEntry {
            index: self.size,
            previous: self.hash,
            kind: kind as u8,
            time_ms,
            count,
            span_ms,
            detail_hash: hash(Tag::JOURNAL_DETAIL, &[&detail]),
            detail: Some(detail),
        };
        *self = Self { size: self.size + 1, hash: entry.hash() };
        entry
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.size).raw(&self.hash.0);
        out.into_bytes()
    }

    /// Reads it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        let head =
            Self { size: from.varint("size", u64::from(u32::MAX))?, hash: Digest(from.array("hash")?) };
        from.finish("journal head")?;
        Ok(head)
    }
}

/// What stands for entries that were dropped: how many, and the hash of the last, signed by an actor of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain up to there.
    pub head: JournalHead,
    /// Who dropped them.
    pub signer: ActorId,
    signature: Signature,
}

impl Checkpoint {
    /// Signs for a beginning of the chain of `of`.
    pub fn sign(key: &SigningKey, space: &SpaceId, of: &ActorId, head: JournalHead) -> Self {
        let signature =
            key.sign(Tag::JOURNAL_CHECKPOINT, &[&space.0, &of.0, &head.size.to_le_bytes(), &head.hash.0]);
        Self { head, signer: ActorId(key.public()), signature }
    }

    /// Whether its signer signed it for that chain.
    pub fn is_signed(&self, space: &SpaceId, of: &ActorId) -> bool {
        let size = self.head.size.to_le_bytes();
        let parts: [&[u8]; 4] = [&space.0, &of.0, &size, &self.head.hash.0];
        VerifyingKey::parse(&self.signer.0)
            .is_some_and(|key| key.verify(Tag::JOURNAL_CHECKPOINT, &parts, &self.signature).is_ok())
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).bytes(&self.head.encode()).raw(&self.signer.0).raw(&self.signature.0);
        out.into_bytes()
    }

    /// Reads it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        from.expect_u8("version", VERSION)?;
        let head = JournalHead::decode(from.bytes("head", 64)?)?;
        let (signer, signature) = (ActorId(from.array("signer")?), Signature(from.array("signature")?));
        from.finish("checkpoint")?;
        Ok(Self { head, signer, signature })
    }
}

/// Writes entries that follow each other, as they are sealed together.
pub fn encode_entries(entries: &[JournalEntry]) -> Vec<u8> {
    let mut out = Writer::new();
    out.varint(entries.first().map_or(0, |first| first.index));
    out.raw(&entries.first().map_or([0; 32], |first| first.previous.0));
    out.varint(entries.len() as u64);
    for entry in entries {
        out.u8(entry.kind).varint(entry.time_ms).varint(entry.count).varint(entry.span_ms);
        out.raw(&entry.detail_hash.0).bytes(entry.detail.as_deref().unwrap_or_default());
    }
    out.into_bytes()
}

/// Reads them; what they are about has to be what the chain says, or gone.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<JournalEntry>, DecodeError> {
    let mut from = Reader::new(bytes);
    let first = from.varint("index", u64::from(u32::MAX))?;
    let mut previous = Digest(from.array("hash")?);
    let count = from.count("entries", RECORD_ENTRIES_MAX, 37)?;
    let mut entries = Vec::with_capacity(count);
    for index in (first..).take(count) {
        let kind = from.u8("kind")?;
        let number = |from: &mut Reader<'_>| from.varint("number", u64::MAX >> 8);
        let (time_ms, count, span_ms) = (number(&mut from)?, number(&mut from)?, number(&mut from)?);
        let detail_hash = Digest(from.array("hash of the detail")?);
        let at = from.position();
        let detail = from.bytes("detail", DETAIL_BYTES_MAX)?;
        let detail = (!detail.is_empty()).then(|| detail.to_vec());
        if detail.as_ref().is_some_and(|detail| hash(Tag::JOURNAL_DETAIL, &[detail]) != detail_hash) {
            return Err(DecodeError::Invalid { what: "detail", at, rule: "it is what was noted" });
        }
        let entry = JournalEntry { index, previous, kind, time_ms, count, span_ms, detail_hash, detail };
        previous = entry.hash();
        entries.push(entry);
    }
    from.finish("entries")?;
    Ok(entries)
}

/// At most so much of a text, cut between two characters.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

const VERSION: u8 = 1;
const DETAIL_BYTES_MAX: usize = 2 * TEXT_BYTES_MAX + 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(count: u64) -> (Vec<JournalEntry>, JournalHead) {
        let mut head = JournalHead::empty(&SpaceId([1; 32]), &ActorId([2; 32]));
        let entry = |at: u64| {
            let detail = Detail {
                text: format!("text {at}"),
                actor: Some(ActorId([at as u8; 32])),
                ..Detail::default()
            };
            head.add(NoteKind::Inert, (1_000 + at, 5), at + 1, &detail, &[at as u8; 16])
        };
        let entries = (0..count).map(entry).collect();
        (entries, head)
    }

    #[test]
    fn entries_are_read_as_they_were_written_with_or_without_what_they_are_about() {
        let (mut entries, head) = chain(5);
        assert_eq!(decode_entries(&encode_entries(&entries)).as_ref(), Ok(&entries));
        assert!(entries[2].forget() && !entries[2].forget());
        let read = decode_entries(&encode_entries(&entries)).expect("it decodes");
        assert_eq!(read, entries);
        assert_eq!((read[4].hash(), read.len() as u64), (head.hash, head.size), "the chain is the same");
        assert_eq!(read[2].detail(), None);
        assert_eq!(read[3].detail().expect("it is there").text, "text 3");
    }

    #[test]
    fn whatever_is_changed_changes_the_chain_or_does_not_decode() {
        let (entries, head) = chain(3);
        let bytes = encode_entries(&entries);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let end = decode_entries(&other).ok().and_then(|read| {
                let last = read.last()?;
                Some((last.hash(), last.index + 1, read.first()?.previous))
            });
            assert_ne!(end, Some((head.hash, head.size, entries[0].previous)), "byte {at}");
            assert!(decode_entries(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn a_checkpoint_is_of_one_chain_and_one_place() {
        let (_, head) = chain(3);
        let key = SigningKey::from_seed(&[7; 32]);
        let (space, of) = (SpaceId([1; 32]), ActorId([2; 32]));
        let signed = Checkpoint::sign(&key, &space, &of, head);
        assert_eq!(Checkpoint::decode(&signed.encode()), Ok(signed));
        assert!(signed.is_signed(&space, &of));
        assert!(!signed.is_signed(&space, &ActorId([3; 32])) && !signed.is_signed(&SpaceId([4; 32]), &of));
        let other = Checkpoint { head: JournalHead { size: 2, ..head }, ..signed };
        assert!(!other.is_signed(&space, &of));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut head = JournalHead::empty(&SpaceId([1; 32]), &ActorId([2; 32]));
        let detail = Detail { text: "ä".repeat(400), ..Detail::default() };
        let entry = head.add(NoteKind::Read, (0, 0), 1, &detail, &[0; 16]);
        assert_eq!(entry.detail().expect("it is there").text, "ä".repeat(256));
    }

    #[test]
    fn every_kind_has_its_name_and_number() {
        for (kind, name) in NoteKind::NAMES {
            assert_eq!(
                (NoteKind::named(name), NoteKind::of(kind as u8), kind.name()),
                (Some(kind), Some(kind), name)
            );
        }
        assert_eq!((NoteKind::of(0), NoteKind::of(14), NoteKind::named("")), (None, None, None));
    }
}
