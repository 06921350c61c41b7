//! Persons that data is about, and the keys under which it is sealed. `docs/format.md` §18.
//!
//! Invariant: a key is here as long as the content that holds it is not redacted, and no longer.

use crate::causal::{CausalGraph, ChangesetIx, Hlc, MemberId, NameId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::crypto::{EpochKey, EpochSecret, Kid, Tag, hmac};
use crate::sorted::SortedMap;

/// Whom something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataSubject {
    /// A member.
    Member(MemberId),
    /// Somebody outside, by what the application calls them.
    Outsider(NameId),
}

impl DataSubject {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        match self {
            Self::Member(member) => out.u8(0).raw(&member.0),
            Self::Outsider(name) => out.u8(1).raw(&name.0),
        };
    }

    /// Reads it.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.number("subject", 1)? {
            0 => Self::Member(MemberId(reader.array("member")?)),
            _ => Self::Outsider(NameId(reader.array("subject")?)),
        })
    }

    /// The payload of the op that gives it a key.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        payload.u8(VERSION);
        self.encode(&mut payload);
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn of_payload(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.expect_u8("subject version", VERSION)?;
        let subject = Self::decode(&mut reader)?;
        reader.finish("subject")?;
        Ok(subject)
    }
}

const VERSION: u8 = 1;

/// The key of a person, as it was signed.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Whose it is.
    pub subject: DataSubject,
    /// What says so.
    pub changeset: ChangesetIx,
    /// When, as is claimed.
    pub stamp: Hlc,
    /// Who made it.
    pub member: MemberId,
    /// The key, and what somebody outside is called in clear; none where the content is not here, is none, or was redacted.
    pub held: Option<Held>,
}

/// What the content of a registration holds.
#[derive(Clone, Debug)]
pub struct Held {
    secret: EpochSecret,
    key: EpochKey,
    /// What somebody outside is called.
    pub name: Option<String>,
}

impl Held {
    /// The key that a member made of random bytes for somebody. It is bound to both: whoever gives the same bytes to another person, or is
    /// another member, has another key, so nobody keeps a key that was erased by repeating it.
    #[must_use]
    pub fn new(
        random: &[u8; 32],
        subject: DataSubject,
        by: MemberId,
        space: &[u8; 32],
        name: Option<String>,
    ) -> Self {
        let secret = EpochSecret::new(hmac(random, Tag::PERSONAL, &[&by.0, &subject.payload()]));
        Self { key: secret.derive(space), secret, name }
    }

    /// What values are sealed under.
    #[must_use]
    pub fn key(&self) -> &EpochKey {
        &self.key
    }
}

/// Everybody who has or had a key, and what else was said about people.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// By what gave the key.
    keys: SortedMap<ChangesetIx, Registered>,
    /// What is said in audit about people.
    said: SortedMap<ChangesetIx, DataSubject>,
}

impl Subjects {
    /// Somebody got a key.
    pub fn register(&mut self, registered: Registered) {
        self.say(registered.changeset, registered.subject);
        self.keys.insert(registered.changeset, registered);
    }

    /// A changeset of audit is about somebody.
    pub fn say(&mut self, changeset: ChangesetIx, subject: DataSubject) {
        self.said.insert(changeset, subject);
    }

    /// The content of a registration came late. Whether there is one.
    pub fn fill(&mut self, changeset: ChangesetIx, held: Held) -> bool {
        self.keys.get_mut(&changeset).map(|one| one.held = Some(held)).is_some()
    }

    /// The content of a changeset is gone; whether a key went with it.
    pub fn forget(&mut self, changeset: ChangesetIx) -> bool {
        self.keys.get_mut(&changeset).is_some_and(|one| one.held.take().is_some())
    }

    /// Whom a changeset of audit is about. O(log n).
    #[must_use]
    pub fn of(&self, changeset: ChangesetIx) -> Option<DataSubject> {
        self.said.get(&changeset).copied()
    }

    /// Whether a changeset holds a key, or held one. O(log keys).
    #[must_use]
    pub fn is_key(&self, changeset: ChangesetIx) -> bool {
        self.keys.get(&changeset).is_some()
    }

    /// The key that a changeset holds or held. O(log keys).
    #[must_use]
    pub fn key(&self, changeset: ChangesetIx) -> Option<&Registered> {
        self.keys.get(&changeset)
    }

    /// The key to seal under: of those that are here, what wins as a write of a key would. O(keys).
    #[must_use]
    pub fn current(&self, graph: &CausalGraph, subject: DataSubject) -> Option<&Registered> {
        let held = self.keys.values().filter(|one| one.subject == subject && one.held.is_some());
        held.max_by_key(|one| (one.stamp, graph.id(one.changeset)))
    }

    /// The key of a name, and whose it is. O(keys).
    #[must_use]
    pub fn find(&self, kid: Kid) -> Option<(&EpochKey, DataSubject)> {
        let key = |one: &Registered| one.held.as_ref().is_some_and(|held| held.key.kid() == kid);
        let one = self.keys.values().find(|one| key(one))?;
        Some((one.held.as_ref()?.key(), one.subject))
    }

    /// The names of all keys of somebody that are here.
    pub fn kids(&self, subject: DataSubject) -> impl Iterator<Item = Kid> {
        let held = self.keys.values().filter(move |one| one.subject == subject);
        held.filter_map(|one| Some(one.held.as_ref()?.key.kid()))
    }

    /// All keys that there are, or were, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.keys.values()
    }

    /// What is said in audit about somebody. O(all that is said about anybody).
    pub fn about(&self, subject: DataSubject) -> impl Iterator<Item = ChangesetIx> {
        self.said.iter().filter(move |(_, of)| **of == subject).map(|(changeset, _)| *changeset)
    }

    /// Whether it is about none but the first so many changesets.
    #[must_use]
    pub fn is_within(&self, changesets: u32) -> bool {
        self.keys.keys().chain(self.said.keys()).all(|ix| ix.0 < changesets)
    }

    /// Writes them.
    pub fn save(&self, out: &mut Writer) {
        out.varint(self.keys.iter().len() as u64);
        for Registered { subject, changeset, stamp, member, held } in self.keys.values() {
            subject.encode(out);
            out.varint(changeset.0.into()).varint(stamp.ms).varint(stamp.counter.into()).raw(&member.0);
            let secret = held.as_ref().map(|held| Box::<[u8]>::from(&held.secret.as_bytes()[..]));
            secret.save(out);
            let name = held.as_ref().and_then(|held| held.name.as_deref());
            name.map(|name| Box::<[u8]>::from(name.as_bytes())).save(out);
        }
        out.varint(self.said.iter().len() as u64);
        for (changeset, subject) in self.said.iter() {
            out.varint(changeset.0.into());
            subject.encode(out);
        }
    }

    /// Reads them, of a space.
    pub fn load(from: &mut Reader<'_>, space: &[u8; 32]) -> Result<Self, DecodeError> {
        let mut subjects = Self::default();
        for _ in 0..from.count("keys of people", u32::MAX as usize, 54)? {
            let subject = DataSubject::decode(from)?;
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let ms = from.varint("stamp", u64::MAX)?;
            let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
            let member = MemberId(from.array("member")?);
            let secret = Option::<Box<[u8]>>::load(from)?;
            let name = Option::<Box<[u8]>>::load(from)?.and_then(|name| String::from_utf8(name.into()).ok());
            let secret = secret.and_then(|secret| Some(EpochSecret::new(secret.as_ref().try_into().ok()?)));
            let held = secret.map(|secret| Held { key: secret.derive(space), secret, name });
            let registered = Registered { subject, changeset, stamp: Hlc { ms, counter }, member, held };
            subjects.keys.insert(changeset, registered);
        }
        for _ in 0..from.count("words about people", u32::MAX as usize, 18)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            subjects.say(changeset, DataSubject::decode(from)?);
        }
        Ok(subjects)
    }
}
