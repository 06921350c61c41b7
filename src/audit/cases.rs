//! All evidence that members gave, what was said to it, and what follows: whose changesets are in doubt, and from where on.
//!
//! Invariant: what follows is decided by the changesets that are here alone, in whatever order they came. Evidence that shows nothing never gets
//! here.

use super::evidence::{Accused, Evidence, EvidenceId};
use crate::causal::{ActorId, ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use std::collections::BTreeMap;

/// Evidence, as it was given first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is claimed.
    pub id: EvidenceId,
    /// What shows it.
    pub evidence: Evidence,
    /// Whom it is against.
    pub accused: Accused,
    /// The changeset that carries it, and whose it is.
    pub changeset: ChangesetIx,
    /// Who gave it.
    pub reporter: MemberId,
}

/// Somebody said that a piece of evidence is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The changeset that says so.
    pub changeset: ChangesetIx,
    /// Who says so, and with which key.
    pub actor: ActorId,
    /// For whom.
    pub member: MemberId,
    /// Whether they administer the space.
    pub is_admin: bool,
}

/// Whatever was given and said.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    cases: BTreeMap<EvidenceId, Case>,
    resolutions: BTreeMap<EvidenceId, Vec<Resolution>>,
}

impl Cases {
    /// Takes evidence in that was checked; whether it is new.
    pub fn add(&mut self, case: Case) -> bool {
        let is_new = !self.cases.contains_key(&case.id);
        self.cases.entry(case.id).or_insert(case);
        is_new
    }

    /// Takes in that somebody says that it is settled.
    pub fn resolve(&mut self, id: EvidenceId, resolution: Resolution) {
        self.resolutions.entry(id).or_default().push(resolution);
    }

    /// All evidence, by id.
    pub fn all(&self) -> impl Iterator<Item = &Case> + '_ {
        self.cases.values()
    }

    /// One of them.
    pub fn get(&self, id: &EvidenceId) -> Option<&Case> {
        self.cases.get(id)
    }

    /// The changeset with which a piece of evidence was settled, by somebody who may: who administers the space, or the member whose actor is accused
    /// with another one. `member_of` knows the actors that are here. O(what was said to it).
    pub fn settled(
        &self,
        case: &Case,
        member_of: impl Fn(ActorId) -> Option<MemberId>,
    ) -> Option<ChangesetIx> {
        let may = |said: &&Resolution| match case.accused {
            _ if said.is_admin && Accused::Member(said.member) != case.accused => {
                Accused::Actor(said.actor) != case.accused
            }
            Accused::Actor(actor) => said.actor != actor && member_of(actor) == Some(said.member),
            Accused::Member(_) | Accused::Relay(_) => false,
        };
        let said = self.resolutions.get(&case.id)?;
        said.iter().filter(may).map(|said| said.changeset).min()
    }

    /// From which number on the changesets of actors are in doubt: proven, and not settled. Of those that stand in `within`, or of all.
    pub fn doubted(
        &self,
        within: Option<&[bool]>,
        member_of: impl Fn(ActorId) -> Option<MemberId>,
    ) -> BTreeMap<ActorId, u32> {
        let is_within = |at: ChangesetIx| within.is_none_or(|within| within[at.0 as usize]);
        let mut doubted: BTreeMap<ActorId, u32> = BTreeMap::new();
        for case in self.all().filter(|case| case.evidence.is_proof() && is_within(case.changeset)) {
            let Some((actor, seq)) = case.evidence.doubts() else { continue };
            if self.settled(case, &member_of).is_none_or(|at| !is_within(at)) {
                doubted.entry(actor).and_modify(|from| *from = seq.min(*from)).or_insert(seq);
            }
        }
        doubted
    }

    /// Whether it is about none but the first so many changesets.
    pub fn is_within(&self, changesets: u32) -> bool {
        let said = self.resolutions.values().flatten().map(|said| said.changeset);
        self.all().map(|case| case.changeset).chain(said).all(|at| at.0 < changesets)
    }
}

impl Saved for Cases {
    fn save(&self, out: &mut Writer) {
        out.varint(self.cases.len() as u64);
        for Case { id, evidence, accused, changeset, reporter } in self.all() {
            out.raw(&id.0).bytes(&evidence.encode());
            match accused {
                Accused::Actor(actor) => out.u8(0).raw(&actor.0),
                Accused::Member(member) => out.u8(1).raw(&member.0),
                Accused::Relay(relay) => out.u8(2).raw(relay),
            };
            out.varint(u64::from(changeset.0)).raw(&reporter.0);
        }
        out.varint(self.resolutions.values().map(Vec::len).sum::<usize>() as u64);
        for (id, said) in &self.resolutions {
            for Resolution { changeset, actor, member, is_admin } in said {
                out.raw(&id.0).varint(u64::from(changeset.0)).raw(&actor.0).raw(&member.0);
                is_admin.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut cases = Self::default();
        for _ in 0..from.count("evidence", u32::MAX as usize, 98)? {
            let id = EvidenceId(from.array("id")?);
            let evidence = Evidence::decode(from.bytes("evidence", usize::MAX)?)?;
            let accused = match from.number("accused", 2)? {
                0 => Accused::Actor(ActorId(from.array("actor")?)),
                1 => Accused::Member(MemberId(from.array("member")?)),
                _ => Accused::Relay(from.array("relay")?),
            };
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            cases.add(Case { id, evidence, accused, changeset, reporter: MemberId(from.array("reporter")?) });
        }
        for _ in 0..from.count("resolutions", u32::MAX as usize, 98)? {
            let id = EvidenceId(from.array("id")?);
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let (actor, member) = (ActorId(from.array("actor")?), MemberId(from.array("member")?));
            cases.resolve(id, Resolution { changeset, actor, member, is_admin: bool::load(from)? });
        }
        Ok(cases)
    }
}
