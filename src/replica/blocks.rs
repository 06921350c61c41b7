//! Blocks: a validator proposes and votes, and everybody sees what came of it.
//!
//! Invariant: nothing here delays or refuses a write. What is said is a changeset as any other, made between two batches, and
//! sent only once it is stored; what was said is read from there.

use super::{ChangesetSummary, Env, Replica};
use crate::audit::{
    Beginning, Block, BlockHeader, BlockId, BlockProof, Era, Halt, Open, Phase, Precommit, Proposal, Say,
    SignedProposal, SignedVote, Vote, Voting, Wait,
};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId};
use crate::crypto::{Digest, Signature, SigningKey};
use crate::event::{AuditKind, Class, Op};
use crate::sync::Status;

/// What this replica does about the height that is voted on.
#[derive(Default)]
pub(super) struct Making {
    /// The set and the height.
    place: Option<(Digest, u64)>,
    voting: Voting,
    /// What is waited for, in which round, and until when.
    wait: Option<(u32, Wait, u64)>,
    /// Whether there is something for a block; none: this was not looked at since more was attested.
    has_content: Option<bool>,
    /// When the height began here.
    since_ms: u64,
    /// From when on it votes: not before others could say what it has said and does not know.
    votes_from_ms: Option<u64>,
    /// When there may be something to do.
    due_ms: Option<u64>,
}

/// A block with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// What is in the chain.
    pub block: Block,
    /// Whose signature the proposal has.
    pub signer: ActorId,
    /// That signature, and what it is about.
    pub signed: SignedProposal,
    /// The precommits that are its certificate, with who signed them.
    pub certificate: Vec<(MemberId, ActorId, SignedVote)>,
    /// What it holds, in its order.
    pub changesets: Vec<ChangesetId>,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Worked out once more, there is another block, or none.
    #[error("the block does not follow from what validators said")]
    Differs(u64),
    /// A signature is not valid, or its changeset is gone.
    #[error("the certificate does not hold")]
    Certificate(u64),
}

/// What is to be said.
enum Act {
    Propose(Proposal),
    Vote(Say, Digest, u64),
}

/// Nobody waits longer, however late the round.
const WAIT_MS_MAX: u64 = 60_000;

/// Nor shorter, however short the time between two blocks.
const WAIT_MS_MIN: u64 = 100;

/// In one turn nothing more is said.
const SAID_MAX: usize = 16;

impl Replica {
    /// Something was said, or attested.
    pub(super) fn follow_blocks(&mut self) -> bool {
        let is_news = self.chain.advance(self.log.graph());
        self.making.has_content = None;
        self.making.due_ms = Some(0);
        is_news
    }

    /// Where a chain begins that goes on behind the last block that there is, whoever was asked before: for a choice of
    /// validators after which none of the old ones has to be heard.
    pub fn beginning(&self) -> Beginning {
        let last = self.chain.last(self.log.graph());
        let (height, previous) = last.unwrap_or((0, BlockId(self.space().0)));
        Beginning { height: height + 1, previous }
    }

    /// When something may have to be said; none while something is edited, while nobody asks, and while it is not known what is
    /// at the relay.
    pub(super) fn blocks_due(&self) -> Option<u64> {
        let due = self.making.due_ms.filter(|_| self.is_free_to_state())?;
        let is_abreast = self.links.is_without_relay() || self.sync_state().status == Status::Live;
        self.chain.open(self.log.graph())?.voter(&self.member())?;
        (is_abreast && self.memory_only.is_none()).then_some(due)
    }

    /// Proposes and votes, if it is time and nothing is being edited.
    pub(super) fn make_blocks(&mut self, env: &mut Env<'_>) {
        let now_ms = env.now_ms;
        // A clock that was set back.
        self.making.due_ms = self.making.due_ms.map(|due| due.min(now_ms + WAIT_MS_MAX));
        for _ in 0..SAID_MAX {
            if self.blocks_due().is_none_or(|due| due > now_ms) {
                return;
            }
            self.making.due_ms = None;
            let Some(act) = self.next_act(now_ms) else { continue };
            // There is more once it is counted.
            self.act(act, env);
        }
    }

    fn act(&mut self, act: Act, env: &mut Env<'_>) {
        let said = |replica: &mut Self| {
            let space = replica.space();
            match act {
                Act::Propose(proposal) => {
                    let payload = proposal.sign(replica.signing_key(), &space).encode();
                    Op::Audit { kind: AuditKind::Block, payload }
                }
                Act::Vote(Say { round, phase, block, valid }, set, height) => {
                    let vote = Vote { height, round, phase, valid, set, block };
                    let payload = vote.sign(replica.signing_key(), &space).encode();
                    Op::Audit { kind: AuditKind::Vote, payload }
                }
            }
        };
        self.state_alone(Class::Audit, said, env);
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        let actor = self.actor.expect("whoever says something has an actor");
        self.identity.actor_key(actor).expect("the key of the actor in use is here")
    }

    /// The next thing to say; if there is none, when to look again is noted.
    fn next_act(&mut self, now_ms: u64) -> Option<Act> {
        let graph = self.log.graph();
        let open = self.chain.open(graph)?;
        let me = open.voter(&self.member())?;
        let (set, height, pause_ms) = (open.digest, open.height, open.set.pause_ms);
        let (is_begun, making) = (open.is_begun(), &mut self.making);
        let from_ms = making.votes_from_ms.unwrap_or(now_ms + 2 * pause_ms).min(now_ms + 2 * pause_ms);
        making.votes_from_ms = Some(from_ms);
        making.since_ms = making.since_ms.min(now_ms);
        if making.place != Some((set, height)) {
            let since_ms = if making.place.is_some() { now_ms } else { 0 };
            (making.place, making.voting, making.since_ms) = (Some((set, height)), Voting::new(me), since_ms);
            (making.wait, making.has_content) = (None, None);
        }
        if from_ms > now_ms {
            making.due_ms = Some(from_ms);
            return None;
        }
        if !is_begun {
            if !self.has_news() {
                return None;
            }
            let begins_ms = self.making.since_ms + pause_ms;
            if begins_ms > now_ms {
                self.making.due_ms = Some(begins_ms);
                return None;
            }
        }
        let mut voting = self.making.voting;
        let act = self.proposal(&mut voting, me, now_ms).map(Act::Propose).or_else(|| {
            let open = self.chain.open(self.log.graph())?;
            let say = voting.next(&open.ballot, &open.seen_at(now_ms));
            say.or_else(|| {
                let wait = voting.waits(&open.ballot);
                let until_ms =
                    wait.map(|wait| self.making.waits_until(wait, voting.round(), pause_ms, now_ms));
                self.making.due_ms = until_ms;
                let wait = wait.filter(|_| until_ms <= Some(now_ms))?;
                voting.waited(&open.ballot, wait)
            })
            .map(|say| Act::Vote(say, set, height))
        });
        self.making.voting = voting;
        act
    }

    /// The block to propose, if it is this one's turn and it has not yet.
    fn proposal(&mut self, voting: &mut Voting, me: u16, now_ms: u64) -> Option<Proposal> {
        let open = self.chain.open(self.log.graph())?;
        voting.catch_up(&open.ballot);
        let round = voting.round();
        if open.proposer(round) != me || open.is_proposed(round) || voting.has_prevoted(&open.ballot) {
            return None;
        }
        let again = voting.proposes_again(&open.ballot, &open.seen_at(now_ms));
        if let Some((block, valid)) = again {
            let header = self.chain.header(open.carrier(&block)?, block)?.clone();
            return Some(Proposal { round, valid: Some(valid), header });
        }
        let mut header = self.draft_block()?;
        (header.round, header.time_ms) = (round, header.time_ms.max(now_ms));
        Some(Proposal { round, valid: None, header })
    }

    fn has_news(&mut self) -> bool {
        if let Some(known) = self.making.has_content {
            return known;
        }
        let found = self.draft_block().is_some();
        self.making.has_content = Some(found);
        found
    }

    /// The block that would be proposed now, made in round 0 at the first time that is right; none if nobody asks for one, or there
    /// is nothing that a quorum has attested and no block holds. O(k * validators * log n) for k changesets that are in no block.
    pub fn draft_block(&mut self) -> Option<BlockHeader> {
        let named: Vec<ChangesetIx> = self.finality.attested().iter().map(|one| one.changeset).collect();
        self.chain.draft(self.log.graph(), &named)
    }

    /// The height that is voted on in the chain that counts, with the votes that are here; none while nobody is asked to.
    pub fn open_height(&self) -> Option<&Open> {
        self.chain.open(self.log.graph())
    }

    /// How many blocks there are in the chain that counts.
    pub fn block_count(&self) -> usize {
        self.chain.era(self.log.graph()).map_or(0, |era| era.blocks().len())
    }

    /// Why no blocks follow: two are certified at one height, or one is.
    pub fn blocks_halt(&self) -> Option<&Halt> {
        self.chain.era(self.log.graph())?.halt()
    }

    /// A block of the chain that counts, the first one being number 0; none if there is no such one, or bytes of it are not
    /// here. O(what it holds).
    pub fn block(&self, at: usize) -> Option<BlockInfo> {
        let graph = self.log.graph();
        let era = self.chain.era(graph)?;
        let block = era.blocks().get(at)?;
        let signed = self.ops_of(block.carrier)?.into_iter().find_map(|op| match op {
            Op::Audit { kind: AuditKind::Block, payload } => SignedProposal::decode(&payload).ok(),
            _ => None,
        });
        let certificate = block.certificate.iter();
        let certificate = certificate.map(|(carrier, member)| {
            Some((*member, graph.actor(*carrier), self.precommit(block, *carrier)?))
        });
        Some(BlockInfo {
            block: block.clone(),
            signer: graph.actor(block.carrier),
            signed: signed?,
            certificate: certificate.collect::<Option<_>>()?,
            changesets: era.changesets(at).iter().map(|ix| graph.id(*ix)).collect(),
        })
    }

    /// The number of the block of a height in the chain that counts.
    pub fn block_at(&self, height: u64) -> Option<usize> {
        let blocks = self.chain.era(self.log.graph())?.blocks();
        let at = usize::try_from(height.checked_sub(blocks.first()?.header.height)?).ok()?;
        (at < blocks.len()).then_some(at)
    }

    /// That a block of the chain that counts is certified, for whoever has nothing of the space; none as of [`Replica::block`].
    pub fn block_proof(&self, at: usize) -> Option<BlockProof> {
        self.proof_of_block(self.chain.era(self.log.graph())?, at)
    }

    pub(super) fn proof_of_block(&self, era: &Era, at: usize) -> Option<BlockProof> {
        let block = era.blocks().get(at)?;
        let certificate = block.certificate.iter().map(|(carrier, _)| {
            let signature = self.precommit(block, *carrier)?.signature;
            let actor = self.log.graph().actor(*carrier);
            Some(Precommit { actor, signature, chain: self.chain_of(*carrier)? })
        });
        Some(BlockProof {
            header: block.header.clone(),
            round: block.round,
            era: era.id(),
            members: self.chain.set(era, at)?.members.clone(),
            certificate: certificate.collect::<Option<_>>()?,
        })
    }

    /// What a changeset says that is in the certificate of a block.
    fn precommit(&self, block: &Block, carrier: ChangesetIx) -> Option<SignedVote> {
        let fits = |vote: &SignedVote| {
            (vote.vote.phase, vote.vote.round, vote.vote.block)
                == (Phase::Precommit, block.round, Some(block.id))
        };
        self.ops_of(carrier)?.into_iter().find_map(|op| match op {
            Op::Audit { kind: AuditKind::Vote, payload } => SignedVote::decode(&payload).ok().filter(fits),
            _ => None,
        })
    }

    /// What a block holds of what is no statement of validators, in its order. O(what it holds).
    pub fn block_operations(&self, at: usize) -> Vec<ChangesetSummary> {
        let era = self.chain.era(self.log.graph()).filter(|era| at < era.blocks().len());
        let held = era.map_or(&[][..], |era| era.changesets(at));
        self.summaries(held.iter().copied().filter(|ix| !self.chain.is_statement(*ix)))
    }

    fn ops_of(&self, carrier: ChangesetIx) -> Option<Vec<Op>> {
        let changeset = self.log.entry(carrier).changeset()?;
        Some(changeset.open_skeleton(self.identity.keyring()).ok()?.ops)
    }

    /// Works the chain that counts out once more, from what was said: what each block holds, its hashes, who may propose and
    /// vote, and the votes. Their signatures were looked at when they came; here those of the last block and of each with which the
    /// validators change are looked at again, for they vouch for all before them. O(n log n).
    pub fn verify_blocks(&self) -> Result<usize, ChainFault> {
        let graph = self.log.graph();
        if let Some(height) = self.chain.verify(graph) {
            return Err(ChainFault::Differs(height));
        }
        let blocks = self.chain.era(graph).map_or(&[][..], |era| era.blocks());
        for (at, block) in blocks.iter().enumerate() {
            let vouches = at + 1 == blocks.len() || block.header.set != block.header.next_set;
            if vouches && !self.block(at).is_some_and(|block| self.holds(&block)) {
                return Err(ChainFault::Certificate(block.header.height));
            }
        }
        Ok(blocks.len())
    }

    fn holds(&self, info: &BlockInfo) -> bool {
        let space = self.space();
        info.signed.is_signed_by(&info.signer, &space)
            && info.certificate.iter().all(|(_, actor, vote)| vote.is_signed_by(actor, &space))
    }
}

impl Making {
    /// Of whoever begins.
    pub fn anew() -> Self {
        Self { due_ms: Some(0), ..Self::default() }
    }

    /// Until when it waits for something, which it has waited for since that began.
    fn waits_until(&mut self, wait: Wait, round: u32, pause_ms: u64, now_ms: u64) -> u64 {
        let wait_ms = pause_ms.max(WAIT_MS_MIN).saturating_mul(u64::from(round) + 1).min(WAIT_MS_MAX);
        let until_ms = match self.wait {
            Some((of, what, until_ms)) if (of, what) == (round, wait) => until_ms.min(now_ms + wait_ms),
            _ => now_ms + wait_ms,
        };
        self.wait = Some((round, wait, until_ms));
        until_ms
    }
}

impl BlockInfo {
    /// The proposer's signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signed.signature
    }
}
