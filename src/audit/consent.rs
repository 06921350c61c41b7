//! Consent: whether a person lets something be done with what is about them. `docs/format.md` §15.

use super::DataSubject;
use crate::causal::{CausalGraph, ChangesetIx, Hlc, MemberId, NameId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::event::Value;
use std::collections::BTreeMap;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// By whom, a member, who speaks for itself alone; or for whom outside, for whom members write it down.
    pub subject: DataSubject,
    /// What for.
    pub purpose: NameId,
    /// Or withdrawn.
    pub is_given: bool,
}

/// A consent as it was signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Consented {
    /// What is said.
    pub consent: Consent,
    /// What says so.
    pub changeset: ChangesetIx,
    /// Which op of it.
    pub index: u32,
    /// When, as is claimed.
    pub stamp: Hlc,
    /// Who signed it.
    pub member: MemberId,
    /// What its content says in clear: purpose, subject, terms. None where it is gone.
    pub clear: Option<Value>,
}

/// What everybody said about consent: a register for each person and purpose.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    /// Those that no other one of the same register has in its past.
    said: BTreeMap<(DataSubject, NameId), Vec<Consented>>,
}

impl Consent {
    /// The payload of the op that says so.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Writer::new();
        payload.u8(VERSION).u8(self.is_given.into());
        self.subject.encode(&mut payload);
        payload.raw(&self.purpose.0);
        payload.into_bytes()
    }

    /// Reads a payload of this version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.expect_u8("consent version", VERSION)?;
        let is_given = reader.number("consent", 1)? == 1;
        let subject = DataSubject::decode(&mut reader)?;
        let purpose = NameId(reader.array("purpose")?);
        reader.finish("consent")?;
        Ok(Self { subject, purpose, is_given })
    }
}

impl Consents {
    /// Somebody says something, in place of what it knows of that.
    pub fn say(&mut self, graph: &CausalGraph, said: Consented) {
        let register = self.said.entry((said.consent.subject, said.consent.purpose)).or_default();
        register
            .retain(|old| old.changeset != said.changeset && !graph.contains(said.changeset, old.changeset));
        register.push(said);
    }

    /// The content of a changeset came late.
    pub fn fill(&mut self, changeset: ChangesetIx, index: u32, clear: &Value) {
        let all = self.said.values_mut().flatten();
        for said in all.filter(|said| (said.changeset, said.index) == (changeset, index)) {
            said.clear = Some(clear.clone());
        }
    }

    /// The content of a changeset is gone.
    pub fn forget(&mut self, changeset: ChangesetIx) {
        let all = self.said.values_mut().flatten();
        all.filter(|said| said.changeset == changeset).for_each(|said| said.clear = None);
    }

    /// What holds for a person and a purpose: of what was said apart, what wins as a write of a key would.
    #[must_use]
    pub fn current(&self, graph: &CausalGraph, subject: DataSubject, purpose: NameId) -> Option<&Consented> {
        winner(graph, self.said.get(&(subject, purpose))?)
    }

    /// The same for every person and purpose.
    pub fn all<'a>(&'a self, graph: &'a CausalGraph) -> impl Iterator<Item = &'a Consented> {
        self.said.values().filter_map(|register| winner(graph, register))
    }

    /// Whether it is about none but the first so many changesets.
    #[must_use]
    pub fn is_within(&self, changesets: u32) -> bool {
        self.said.values().flatten().all(|said| said.changeset.0 < changesets)
    }
}

fn winner<'a>(graph: &CausalGraph, register: &'a [Consented]) -> Option<&'a Consented> {
    register.iter().max_by_key(|said| (said.stamp, graph.id(said.changeset), said.index))
}

impl Saved for Consents {
    fn save(&self, out: &mut Writer) {
        out.varint(self.said.values().map(Vec::len).sum::<usize>() as u64);
        for Consented { consent, changeset, index, stamp, member, clear } in self.said.values().flatten() {
            out.bytes(&consent.encode()).varint(changeset.0.into()).varint((*index).into());
            out.varint(stamp.ms).varint(stamp.counter.into()).raw(&member.0);
            out.bytes(&clear.as_ref().map(Value::to_bytes).unwrap_or_default());
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut consents = Self::default();
        for _ in 0..from.count("consents", u32::MAX as usize, 80)? {
            let consent = Consent::decode(from.bytes("consent", usize::MAX)?)?;
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let index = from.varint_u32("index", u32::MAX)?;
            let ms = from.varint("stamp", u64::MAX)?;
            let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
            let member = MemberId(from.array("member")?);
            let clear = from.bytes("clear", usize::MAX)?;
            let clear = if clear.is_empty() { None } else { Some(Value::decode(clear)?) };
            let said = Consented { consent, changeset, index, stamp: Hlc { ms, counter }, member, clear };
            consents.said.entry((consent.subject, consent.purpose)).or_default().push(said);
        }
        Ok(consents)
    }
}

const VERSION: u8 = 1;
