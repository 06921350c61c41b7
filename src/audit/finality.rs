//! What a quorum of validators has seen. A changeset is final once so many have attested a past that it is in, so what is final
//! is closed towards the past, and grows.

use super::attestation::Attestation;
use super::validators::ValidatorSet;
use crate::causal::{CausalGraph, ChangesetIx, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::sorted::sort;

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

/// What each member has attested. Who of them is asked is known to the chains of blocks.
#[derive(Clone, Debug, Default)]
pub struct Finality {
    /// Of each member those that no other one of its own has in its past.
    attested: Vec<Attested>,
}

impl Finality {
    /// A member attested the past of a changeset.
    pub fn attest(&mut self, graph: &CausalGraph, attested: Attested) {
        let Attested { changeset, member, .. } = attested;
        self.attested.retain(|old| old.member != member || !graph.contains(changeset, old.changeset));
        self.attested.push(attested);
    }

    /// The latest attestations: one of each member, several where its chains parted.
    pub fn attested(&self) -> &[Attested] {
        &self.attested
    }

    /// The weight of those in a set who have attested a changeset.
    pub fn weight(&self, graph: &CausalGraph, set: &ValidatorSet, ix: ChangesetIx) -> u64 {
        let asked = |one: &&Attested| set.weight(&one.member) > 0;
        let seen = seen_by(graph, ix, self.attested.iter().filter(asked));
        seen.iter().map(|member| u64::from(set.weight(member))).sum()
    }

    /// Who has attested a changeset, ascending.
    pub fn seen_by(&self, graph: &CausalGraph, ix: ChangesetIx) -> Vec<MemberId> {
        seen_by(graph, ix, self.attested.iter())
    }

    /// Whether a quorum of a set has attested a changeset. O(validators * log n).
    pub fn is_final(&self, graph: &CausalGraph, set: &ValidatorSet, ix: ChangesetIx) -> bool {
        self.weight(graph, set, ix) >= set.quorum()
    }

    /// Whether a member has attested everything in the graph but what carries its own attestations.
    pub fn has_attested_all(&self, graph: &CausalGraph, member: MemberId) -> bool {
        let own = self.attested.iter().filter(|one| one.member == member);
        let within = graph.within(&own.map(|one| one.changeset).collect::<Vec<_>>());
        within.into_iter().all(|is_within| is_within)
    }

    /// Whether it is about none but the first so many changesets.
    pub fn is_within(&self, changesets: u32) -> bool {
        self.attested.iter().all(|one| one.changeset.0 < changesets)
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
        out.varint(self.attested.len() as u64);
        for Attested { changeset, member, attestation } in &self.attested {
            out.varint(u64::from(changeset.0)).raw(&member.0).bytes(&attestation.encode());
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut finality = Self::default();
        for _ in 0..from.count("attestations", u32::MAX as usize, 33)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let member = MemberId(from.array("member")?);
            let attestation = Attestation::decode(from.bytes("attestation", usize::MAX)?)?;
            finality.attested.push(Attested { changeset, member, attestation });
        }
        Ok(finality)
    }
}
