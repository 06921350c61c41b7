//! What a quorum of validators has seen. A changeset is final once so many have attested a past that it is in, so what is final
//! is closed towards the past, and grows.

use super::attestation::Attestation;
use super::validators::ValidatorSet;
use crate::causal::{CausalGraph, ChangesetIx, Hlc, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::sorted::sort;

/// A choice of validators as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    changeset: ChangesetIx,
    index: u32,
    stamp: Hlc,
    set: ValidatorSet,
}

/// An attestation as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// What carries it: everything in its past is attested.
    pub changeset: ChangesetIx,
    /// Who says so.
    pub member: MemberId,
    /// What was signed.
    pub attestation: Attestation,
}

/// Validators, and what each has attested.
#[derive(Clone, Debug, Default)]
pub struct Finality {
    /// The choices that no other one has in its past.
    choices: Vec<Choice>,
    /// Of each member those that no other one of its own has in its past.
    attested: Vec<Attested>,
}

impl Finality {
    /// Somebody who may choose these validators, in place of the choices that it knows.
    pub fn choose(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        index: u32,
        stamp: Hlc,
        set: ValidatorSet,
    ) {
        self.choices
            .retain(|choice| choice.changeset != changeset && !graph.contains(changeset, choice.changeset));
        self.choices.push(Choice { changeset, index, stamp, set });
    }

    /// A member attested the past of a changeset.
    pub fn attest(&mut self, graph: &CausalGraph, attested: Attested) {
        let Attested { changeset, member, .. } = attested;
        self.attested.retain(|old| old.member != member || !graph.contains(changeset, old.changeset));
        self.attested.push(attested);
    }

    /// Who is asked now: of concurrent choices the one that wins as a write of a key would.
    pub fn validators<'a>(&'a self, graph: &CausalGraph) -> Option<&'a ValidatorSet> {
        let key = |choice: &&Choice| (choice.stamp, graph.id(choice.changeset), choice.index);
        self.choices.iter().max_by_key(key).map(|choice| &choice.set).filter(|set| !set.members.is_empty())
    }

    /// The latest attestations: one of each member, several where its chains parted.
    pub fn attested(&self) -> &[Attested] {
        &self.attested
    }

    /// The weight of those who have attested a changeset.
    pub fn weight(&self, graph: &CausalGraph, ix: ChangesetIx) -> u64 {
        let Some(set) = self.validators(graph) else { return 0 };
        let asked = |one: &&Attested| set.weight(&one.member) > 0;
        let seen = seen_by(graph, ix, self.attested.iter().filter(asked));
        seen.iter().map(|member| u64::from(set.weight(member))).sum()
    }

    /// Who has attested a changeset, ascending.
    pub fn seen_by(&self, graph: &CausalGraph, ix: ChangesetIx) -> Vec<MemberId> {
        seen_by(graph, ix, self.attested.iter())
    }

    /// Whether a quorum has attested a changeset. O(validators * log n).
    pub fn is_final(&self, graph: &CausalGraph, ix: ChangesetIx) -> bool {
        self.validators(graph).is_some_and(|set| self.weight(graph, ix) >= set.quorum())
    }

    /// Whether a member has attested everything in the graph but what carries its own attestations.
    pub fn has_attested_all(&self, graph: &CausalGraph, member: MemberId) -> bool {
        let own = self.attested.iter().filter(|one| one.member == member);
        let within = graph.within(&own.map(|one| one.changeset).collect::<Vec<_>>());
        within.into_iter().all(|is_within| is_within)
    }

    /// Whether it is about none but the first so many changesets.
    pub fn is_within(&self, changesets: u32) -> bool {
        let chosen = self.choices.iter().map(|choice| choice.changeset);
        chosen.chain(self.attested.iter().map(|one| one.changeset)).all(|ix| ix.0 < changesets)
    }
}

fn seen_by<'a>(
    graph: &CausalGraph,
    ix: ChangesetIx,
    attested: impl Iterator<Item = &'a Attested>,
) -> Vec<MemberId> {
    let has_seen = |one: &&Attested| one.changeset != ix && graph.contains(one.changeset, ix);
    let mut seen: Vec<MemberId> = attested.filter(has_seen).map(|one| one.member).collect();
    sort(&mut seen);
    seen.dedup();
    seen
}

impl Saved for Finality {
    fn save(&self, out: &mut Writer) {
        out.varint(self.choices.len() as u64);
        for Choice { changeset, index, stamp, set } in &self.choices {
            out.varint(u64::from(changeset.0)).varint(u64::from(*index));
            out.varint(stamp.ms).varint(u64::from(stamp.counter)).bytes(&set.encode());
        }
        out.varint(self.attested.len() as u64);
        for Attested { changeset, member, attestation } in &self.attested {
            out.varint(u64::from(changeset.0)).raw(&member.0).bytes(&attestation.encode());
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut finality = Self::default();
        for _ in 0..from.count("choices", u32::MAX as usize, 4)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let index = from.varint_u32("index", u32::MAX)?;
            let ms = from.varint("stamp", u64::MAX)?;
            let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
            let set = ValidatorSet::decode(from.bytes("validators", usize::MAX)?)?;
            finality.choices.push(Choice { changeset, index, stamp: Hlc { ms, counter }, set });
        }
        for _ in 0..from.count("attestations", u32::MAX as usize, 33)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let member = MemberId(from.array("member")?);
            let attestation = Attestation::decode(from.bytes("attestation", usize::MAX)?)?;
            finality.attested.push(Attested { changeset, member, attestation });
        }
        Ok(finality)
    }
}
