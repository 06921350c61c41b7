//! A chain of blocks that four validators make, without keys and without replicas: a graph, and what they say.
#![allow(dead_code, reason = "each test binary uses its part")]

use stemma::audit::{
    Beginning, BlockHeader, BlockId, BlockRules, Chain, Phase, Proposal, ValidatorSet, Vote,
};
use stemma::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, Hlc, MemberId};

pub struct Made {
    pub graph: CausalGraph,
    pub chain: Chain,
    /// The last attestation of each.
    pub named: Vec<ChangesetIx>,
}

impl Made {
    pub fn new() -> Self {
        let mut made = Self { graph: CausalGraph::default(), chain: Chain::default(), named: Vec::new() };
        let begins = Some(Beginning { height: 1, previous: BlockId([0; 32]) });
        let blocks = Some(BlockRules { max: u32::MAX, begins });
        let members = (1..=4).map(|n| (MemberId([n; 32]), 1)).collect();
        let first = made.write(9);
        made.chain.choose(first, 0, Hlc { ms: 1, counter: 0 }, ValidatorSet { pause_ms: 0, blocks, members });
        made.chain.advance(&made.graph);
        made
    }

    /// An actor adds a changeset on top of all.
    pub fn write(&mut self, actor: u8) -> ChangesetIx {
        let actor = ActorId([actor; 32]);
        let prev = self.graph.tips_of(&actor).first().and_then(|tip| self.graph.get(&tip.id));
        let deps: Vec<ChangesetIx> = self.graph.heads().filter(|head| Some(*head) != prev).collect();
        let mut id = [0; 32];
        id[..4].copy_from_slice(&self.graph.len().to_be_bytes());
        // Tables of ids go by the last word, which is as good as random in a hash.
        let word = u64::from(self.graph.len()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id[24..].copy_from_slice(&word.to_le_bytes());
        self.graph.add(ChangesetId(id), actor, prev, &deps)
    }

    /// Some actors add so many.
    pub fn write_more(&mut self, changesets: usize) {
        for n in 0..changesets {
            self.write(10 + (n % 8) as u8);
        }
    }

    /// Everybody attests what is there.
    pub fn attest(&mut self) {
        self.attest_by(&[1, 2, 3, 4]);
    }

    /// Some do.
    pub fn attest_by(&mut self, members: &[u8]) {
        self.named.clear();
        for n in members {
            let carrier = self.write(*n);
            self.chain.note_statement(carrier);
            self.chain.attest(carrier, MemberId([*n; 32]));
            self.named.push(carrier);
        }
        self.chain.advance(&self.graph);
    }

    /// A member votes for a block in a round of the height that is open.
    pub fn vote(&mut self, member: u8, phase: Phase, round: u32, block: Option<BlockId>) {
        let open = self.chain.open(&self.graph).expect("a height is open");
        let vote = Vote { height: open.height, round, phase, valid: None, set: open.digest, block };
        let carrier = self.write(member);
        self.chain.note_statement(carrier);
        self.chain.vote(carrier, MemberId([member; 32]), vote);
        self.chain.advance(&self.graph);
    }

    /// Who proposes in the next rounds of the height that is open.
    pub fn proposers(&self, rounds: u32) -> Vec<u8> {
        let open = self.chain.open(&self.graph).expect("a height is open");
        (0..rounds).map(|round| open.proposer(round) as u8 + 1).collect()
    }

    pub fn draft(&mut self) -> Option<BlockHeader> {
        self.chain.draft(&self.graph, &self.named)
    }

    /// The proposer proposes it: whoever hears of it looks whether it is right.
    pub fn propose(&mut self, header: &BlockHeader) {
        let proposer = self.chain.open(&self.graph).expect("a height is open").proposer(0) as u8 + 1;
        let carrier = self.write(proposer);
        self.chain.note_statement(carrier);
        let proposal = Proposal { round: 0, valid: None, header: header.clone() };
        self.chain.propose(carrier, MemberId([proposer; 32]), proposal);
        self.chain.advance(&self.graph);
    }

    /// Three of four vote for it.
    pub fn decide(&mut self, header: &BlockHeader) {
        for phase in [Phase::Prevote, Phase::Precommit] {
            for n in 1..=3 {
                let carrier = self.write(n);
                let (height, set, block) = (header.height, header.set, Some(header.id()));
                let vote = Vote { height, round: 0, phase, valid: None, set, block };
                self.chain.note_statement(carrier);
                self.chain.vote(carrier, MemberId([n; 32]), vote);
            }
        }
        self.chain.advance(&self.graph);
    }

    /// So much is written, attested and in a block.
    pub fn block_of(&mut self, changesets: usize) {
        self.block_by(changesets, &[1, 2, 3, 4]);
    }

    /// The same attested by some alone.
    pub fn block_by(&mut self, changesets: usize, members: &[u8]) {
        self.write_more(changesets);
        self.attest_by(members);
        let header = self.draft().expect("something was written");
        self.propose(&header);
        self.decide(&header);
    }

    pub fn blocks(&self) -> usize {
        self.chain.era(&self.graph).map_or(0, |era| era.blocks().len())
    }
}
