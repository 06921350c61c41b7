//! What was said about validators and blocks, and the chains that follow from it.
//!
//! Invariant: what is kept is what was said, in the order in which it came; everything else is worked out from that, and is the
//! same whatever the order was, but for which of two proposals of a liar came first.

use super::block::{BlockHeader, BlockId, Proposal};
use super::canonical::Depths;
use super::era::{Block, Era, SILENT};
use super::open::Open;
use super::validators::ValidatorSet;
use super::vote::Vote;
use crate::causal::{CausalGraph, ChangesetId, ChangesetIx, Hlc, MemberId};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::crypto::{Digest, Signature};
use foldhash::HashMap;

/// Blocks that say how diligent a validator is.
const COUNTED: usize = 100;

/// A choice of validators as it was signed.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub changeset: ChangesetIx,
    pub index: u32,
    pub stamp: Hlc,
    pub set: ValidatorSet,
}

/// Something that a validator, or somebody who would be one, said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub carrier: ChangesetIx,
    pub member: MemberId,
    pub what: What,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Attested,
    Vote(Vote),
    Block(Box<Proposal>),
}

/// All of it, by what it is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    pub choices: Vec<Choice>,
    pub said: Vec<Said>,
    /// The changesets all whose ops are statements, ascending.
    alone: Vec<ChangesetIx>,
    about: HashMap<(Digest, u64), Vec<u32>>,
}

/// All chains of a space.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    statements: Statements,
    depths: Depths,
    /// The choices that no other one has in its past.
    standing: Vec<usize>,
    /// One for each choice that begins one.
    eras: Vec<Era>,
    /// How many choices and statements were looked at.
    begun: usize,
    followed: usize,
}

impl Choice {
    /// The greatest one wins.
    pub fn key(&self, graph: &CausalGraph) -> (Hlc, ChangesetId, u32) {
        (self.stamp, graph.id(self.changeset), self.index)
    }

    fn begins(&self) -> bool {
        self.set.blocks.is_some_and(|rules| rules.begins.is_some())
    }
}

impl Said {
    /// The set, the height and the block that it is about.
    pub fn of(&self) -> Option<(Digest, u64, Option<BlockId>)> {
        match &self.what {
            What::Attested => None,
            What::Vote(vote) => Some((vote.set, vote.height, vote.block)),
            What::Block(one) => Some((one.header.set, one.header.height, Some(one.header.id()))),
        }
    }

    pub fn contradicts(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::Vote(one), What::Vote(other)) => one.contradicts(other).is_some(),
            (What::Block(one), What::Block(other)) => one.contradicts(other).is_some(),
            _ => false,
        }
    }
}

impl Statements {
    /// What was said about a height, as it came.
    pub fn about(&self, set: Digest, height: u64) -> &[u32] {
        self.about.get(&(set, height)).map_or(&[], Vec::as_slice)
    }

    /// Whether all ops of a changeset are statements.
    pub fn is_statement(&self, ix: ChangesetIx) -> bool {
        self.alone.binary_search(&ix).is_ok()
    }

    /// What a changeset carries.
    pub fn by(&self, carrier: ChangesetIx) -> std::ops::Range<usize> {
        let first = self.said.partition_point(|said| said.carrier < carrier);
        first..first + self.said[first..].partition_point(|said| said.carrier == carrier)
    }

    /// Whose a changeset is that carries something.
    pub fn member(&self, carrier: ChangesetIx) -> Option<MemberId> {
        self.said[self.by(carrier)].first().map(|said| said.member)
    }

    /// Who attests something there.
    pub fn attester(&self, carrier: ChangesetIx) -> Option<MemberId> {
        let attested = |said: &&Said| matches!(said.what, What::Attested);
        self.said[self.by(carrier)].iter().find(attested).map(|said| said.member)
    }

    /// The header of a block that is proposed there.
    pub fn proposed(&self, carrier: ChangesetIx, block: BlockId) -> Option<&BlockHeader> {
        self.said[self.by(carrier)].iter().find_map(|said| match &said.what {
            What::Block(one) if one.header.id() == block => Some(&one.header),
            _ => None,
        })
    }

    fn push(&mut self, said: Said) {
        if let Some((set, height, _)) = said.of() {
            self.about.entry((set, height)).or_default().push(self.said.len() as u32);
        }
        self.said.push(said);
    }
}

impl Chain {
    /// Somebody who may chooses these validators.
    pub fn choose(&mut self, changeset: ChangesetIx, index: u32, stamp: Hlc, set: ValidatorSet) {
        self.statements.choices.push(Choice { changeset, index, stamp, set });
    }

    /// A changeset has no other ops than attestations, blocks and votes.
    pub fn note_statement(&mut self, changeset: ChangesetIx) {
        self.statements.alone.push(changeset);
    }

    /// A member attests what is in the past of a changeset. What is said comes in the order of the changesets.
    pub fn attest(&mut self, carrier: ChangesetIx, member: MemberId) {
        self.statements.push(Said { carrier, member, what: What::Attested });
    }

    /// A member votes.
    pub fn vote(&mut self, carrier: ChangesetIx, member: MemberId, vote: Vote) {
        self.statements.push(Said { carrier, member, what: What::Vote(vote) });
    }

    /// What the same member said elsewhere that contradicts what a changeset carries, if anything does: the changeset that carries it. O(what it said about
    /// the same height).
    #[must_use]
    pub fn contrary(&self, carrier: ChangesetIx) -> Option<ChangesetIx> {
        let statements = &self.statements;
        statements.said[statements.by(carrier)].iter().find_map(|one| {
            let (set, height, _) = one.of()?;
            let others = statements.about(set, height).iter().map(|at| &statements.said[*at as usize]);
            let is_contrary = |other: &&Said| other.member == one.member && one.contradicts(other);
            others.into_iter().find(is_contrary).map(|other| other.carrier)
        })
    }

    /// How many of the last blocks of the chain that counts, a hundred at most, and one at least, came while a member was heard: one of the blocks before, eight at
    /// most, or they themselves name an attestation of it. In percent; none without blocks. It is the same for everybody. O(what these blocks name).
    #[must_use]
    pub fn heard(&self, graph: &CausalGraph, member: MemberId) -> Option<u32> {
        let blocks = self.era(graph)?.blocks();
        let counted = blocks.len().saturating_sub(COUNTED);
        let names =
            |id: &ChangesetId| graph.get(id).is_some_and(|ix| self.statements.attester(ix) == Some(member));
        let (mut last, mut heard) = (None, 0);
        for (at, block) in blocks.iter().enumerate().skip(counted.saturating_sub(SILENT)) {
            if block.header.attestations.iter().any(names) {
                last = Some(at);
            }
            if at >= counted && last.is_some_and(|last| last + SILENT > at) {
                heard += 1;
            }
        }
        let total = blocks.len() - counted;
        (total > 0).then(|| (100 * heard / total) as u32)
    }

    /// A member proposes a block.
    pub fn propose(&mut self, carrier: ChangesetIx, member: MemberId, proposal: Proposal) {
        self.statements.push(Said { carrier, member, what: What::Block(Box::new(proposal)) });
    }

    /// Follows what was said since the last time. Says whether blocks came, or went because there were two.
    pub fn advance(&mut self, graph: &CausalGraph) -> bool {
        self.depths.follow(graph);
        for at in self.begun..self.statements.choices.len() {
            let choices = &self.statements.choices;
            let changeset = choices[at].changeset;
            let stands = |other: ChangesetIx| other != changeset && !graph.contains(changeset, other);
            self.standing.retain(|other| stands(choices[*other].changeset));
            self.standing.push(at);
            if choices[at].begins() {
                self.eras.push(Era::new(at, &self.statements, graph));
            }
        }
        self.begun = self.statements.choices.len();
        let (statements, depths, mut is_news) = (&self.statements, &self.depths, false);
        for era in &mut self.eras {
            is_news |= era.advance(statements, graph, depths);
            let mut late = self.followed..statements.said.len();
            if era.halt().is_none() && late.any(|at| era.is_doubted_by(at, statements)) {
                *era = Era::new(era.choice, statements, graph);
                era.advance(statements, graph, depths);
                is_news = true;
            }
        }
        self.followed = statements.said.len();
        is_news
    }

    /// Who is asked to attest, as far as what was said is followed: of concurrent choices the one that wins as a write of a key would.
    #[must_use]
    pub fn validators(&self, graph: &CausalGraph) -> Option<&ValidatorSet> {
        let choices = self.standing.iter().map(|at| &self.statements.choices[*at]);
        let holds = choices.max_by_key(|choice| choice.key(graph))?;
        Some(&holds.set).filter(|set| !set.members.is_empty())
    }

    /// The chain that counts.
    #[must_use]
    pub fn era(&self, graph: &CausalGraph) -> Option<&Era> {
        self.current(graph).map(|at| &self.eras[at])
    }

    /// The height and the id of the last block that there is, to begin anew behind it.
    #[must_use]
    pub fn last(&self, graph: &CausalGraph) -> Option<(u64, BlockId)> {
        self.era(graph).map(|era| era.last(&self.statements))
    }

    /// Whether a changeset is in a block of the chain that counts, or of one that it goes on from, up to there. O(eras).
    #[must_use]
    pub fn is_final(&self, graph: &CausalGraph, ix: ChangesetIx) -> bool {
        self.block_of(graph, ix).is_some()
    }

    /// That block: its chain, and its number there from 0. O(eras + log n).
    #[must_use]
    pub fn block_of(&self, graph: &CausalGraph, ix: ChangesetIx) -> Option<(&Era, usize)> {
        let (mut era, mut end) = (self.era(graph)?, u32::MAX);
        for _ in 0..=self.eras.len() {
            if let Some(place) = era.place(ix).filter(|place| *place < end) {
                let is_before = |block: &Block| block.header.size <= u64::from(place);
                return Some((era, era.blocks().partition_point(is_before)));
            }
            (era, end) = self.begins_behind(era)?;
        }
        None
    }

    /// Who votes on a block of one of its chains.
    #[must_use]
    pub fn set(&self, era: &Era, block: usize) -> Option<&ValidatorSet> {
        era.set(block, &self.statements)
    }

    /// The chain that another one goes on from, and how many changesets its blocks hold up to there.
    fn begins_behind(&self, era: &Era) -> Option<(&Era, u32)> {
        let begins = self.statements.choices[era.choice].set.blocks?.begins?;
        self.eras.iter().find_map(|other| {
            let block = other.blocks().iter().find(|block| block.id == begins.previous)?;
            (other.choice != era.choice).then_some((other, block.header.size as u32))
        })
    }

    /// What is to be proposed at the height that is open, naming these attestations, with the first time that is right; none if
    /// there is nothing for a block.
    /// O(k * validators * log n) for k changesets that are in no block.
    pub fn draft(&mut self, graph: &CausalGraph, named: &[ChangesetIx]) -> Option<BlockHeader> {
        let at = self.current(graph)?;
        let (statements, depths, era) = (&self.statements, &self.depths, &mut self.eras[at]);
        era.draft(named, statements, graph, depths)
    }

    /// Works out the chain that counts once more; the height from which on it is another one, if it is.
    #[must_use]
    pub fn verify(&self, graph: &CausalGraph) -> Option<u64> {
        let era = self.era(graph)?;
        let mut again = Era::new(era.choice, &self.statements, graph);
        again.advance(&self.statements, graph, &self.depths);
        let mut both = era.blocks().iter().zip(again.blocks());
        let differs = both.find(|(one, other)| (one.id, one.from) != (other.id, other.from));
        let longer = era.blocks().get(again.blocks().len());
        differs.map(|(one, _)| one).or(longer).map(|block| block.header.height)
    }

    /// The header of a block that a changeset proposes.
    #[must_use]
    pub fn header(&self, carrier: ChangesetIx, block: BlockId) -> Option<&BlockHeader> {
        self.statements.proposed(carrier, block)
    }

    /// The height that is voted on in the chain that counts.
    #[must_use]
    pub fn open(&self, graph: &CausalGraph) -> Option<&Open> {
        self.era(graph)?.open()
    }

    /// Whether a changeset has no other ops than attestations, blocks and votes.
    #[must_use]
    pub fn is_statement(&self, ix: ChangesetIx) -> bool {
        self.statements.is_statement(ix)
    }

    /// Whether it is about none but the first so many changesets.
    #[must_use]
    pub fn is_within(&self, changesets: u32) -> bool {
        let Statements { choices, said, alone, .. } = &self.statements;
        let carriers = said.iter().map(|said| said.carrier);
        let all = choices.iter().map(|choice| choice.changeset).chain(carriers).chain(alone.iter().copied());
        let mut all = all;
        said.is_sorted_by_key(|said| said.carrier)
            && alone.is_sorted_by(|a, b| a < b)
            && all.all(|ix| ix.0 < changesets)
    }

    fn current(&self, graph: &CausalGraph) -> Option<usize> {
        let choice = |at: &usize| &self.statements.choices[self.eras[*at].choice];
        let is_over = |at: &usize| {
            let is_later = |other: usize| {
                choice(&other).changeset != choice(at).changeset
                    && graph.contains(choice(&other).changeset, choice(at).changeset)
            };
            (0..self.eras.len()).any(is_later)
        };
        let standing = (0..self.eras.len()).filter(|at| !is_over(at));
        standing.max_by_key(|at| choice(at).key(graph))
    }
}

impl Saved for Chain {
    fn save(&self, out: &mut Writer) {
        let Statements { choices, said, alone, .. } = &self.statements;
        out.varint(choices.len() as u64);
        for Choice { changeset, index, stamp, set } in choices {
            out.varint(u64::from(changeset.0)).varint(u64::from(*index));
            out.varint(stamp.ms).varint(u64::from(stamp.counter)).bytes(&set.encode());
        }
        out.varint(alone.len() as u64);
        for ix in alone {
            out.varint(u64::from(ix.0));
        }
        out.varint(said.len() as u64);
        for Said { carrier, member, what } in said {
            out.varint(u64::from(carrier.0)).raw(&member.0);
            let unsigned = Signature([0; 64]);
            match what {
                What::Attested => out.u8(0),
                What::Vote(vote) => {
                    let signed = super::vote::SignedVote { vote: *vote, signature: unsigned };
                    out.u8(1).bytes(&signed.encode())
                }
                What::Block(proposal) => {
                    let proposal = (**proposal).clone();
                    let signed = super::block::SignedProposal { proposal, signature: unsigned };
                    out.u8(2).bytes(&signed.encode())
                }
            };
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut chain = Self::default();
        for _ in 0..from.count("choices", u32::MAX as usize, 4)? {
            let changeset = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let index = from.varint_u32("index", u32::MAX)?;
            let ms = from.varint("stamp", u64::MAX)?;
            let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
            let set = ValidatorSet::decode(from.bytes("validators", usize::MAX)?)?;
            chain.choose(changeset, index, Hlc { ms, counter }, set);
        }
        for _ in 0..from.count("statements", u32::MAX as usize, 1)? {
            chain.note_statement(ChangesetIx(from.varint_u32("changeset", u32::MAX)?));
        }
        for _ in 0..from.count("said", u32::MAX as usize, 34)? {
            let carrier = ChangesetIx(from.varint_u32("changeset", u32::MAX)?);
            let member = MemberId(from.array("member")?);
            match from.u8("kind")? {
                0 => chain.attest(carrier, member),
                1 => {
                    let signed = super::vote::SignedVote::decode(from.bytes("vote", usize::MAX)?)?;
                    chain.vote(carrier, member, signed.vote);
                }
                2 => {
                    let signed = super::block::SignedProposal::decode(from.bytes("block", usize::MAX)?)?;
                    chain.propose(carrier, member, signed.proposal);
                }
                _ => {
                    let rule = "the kind is known";
                    return Err(DecodeError::Invalid { what: "statement", at: from.position(), rule });
                }
            }
        }
        Ok(chain)
    }
}
