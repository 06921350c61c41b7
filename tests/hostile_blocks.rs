//! Blocks and votes that nobody signs who keeps to the rules: they have no effect, and everybody writes on.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{Attacker, Lane, encoded, write};
use common::{Node, assert_same, sync};
use stemma::audit::{Attestation, BlockHeader, BlockId, BlockRules, Phase, Proposal, ValidatorSet, Vote};
use stemma::causal::{ChangesetId, MemberId};
use stemma::crypto::{Digest, SigningKey};
use stemma::event::{AuditKind, Changeset, Class, Fate, Op, Role};
use stemma::replica::HistoryFilter;

/// An owner who asks some to make blocks, and one of them who signs what it likes.
struct Court {
    owner: Node,
    attacker: Attacker,
    lane: Lane,
    rows: Vec<Vec<u8>>,
    heads: Vec<ChangesetId>,
}

impl Court {
    /// The attacker alone is asked, or beside others who never say anything.
    fn new(others: usize) -> Self {
        let mut owner = Node::create(1);
        let attacker = Attacker::join(&owner.invite(Role::Writer));
        let lane = attacker.lane(1);
        let mut members: Vec<(MemberId, u32)> = vec![(attacker.member(), 1)];
        for seed in 0..others as u64 {
            let token = owner.invite(Role::Writer);
            members.push((Node::join(50 + seed, &token).replica.member(), 1));
        }
        members.sort_unstable();
        let blocks = Some(BlockRules { max: 2, begins: None });
        let set = ValidatorSet { pause_ms: 0, blocks, members };
        owner.with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may choose");
        write(&mut owner, "k");
        let heads = owner.replica.heads();
        Self { owner, attacker, lane, rows: Vec::new(), heads }
    }

    fn say(&mut self, kind: AuditKind, payload: Vec<u8>) -> ChangesetId {
        let heads = std::mem::take(&mut self.heads);
        let op = Op::Audit { kind, payload };
        let said = self.attacker.say(Class::Audit, &mut self.lane, &heads, vec![op]);
        self.give(&said)
    }

    fn give(&mut self, said: &Changeset) -> ChangesetId {
        let row = encoded(said);
        self.attacker.give(&mut self.owner, std::slice::from_ref(&row));
        self.rows.push(row);
        said.id()
    }

    fn attest(&mut self) {
        self.heads =
            self.owner.replica.heads().into_iter().filter(|head| Some(*head) != self.lane.prev).collect();
        let head = self.owner.replica.audit_head();
        let space = self.owner.replica.space();
        let attestation = Attestation::sign(&self.lane.key, &space, head.size, head.root);
        self.say(AuditKind::Attest, attestation.encode());
    }

    /// The block that is right now.
    fn right(&mut self) -> BlockHeader {
        let header = self.owner.replica.draft_block().expect("there is something for a block");
        BlockHeader { time_ms: header.time_ms.max(self.owner.now_ms), ..header }
    }

    fn propose(&mut self, header: &BlockHeader, round: u32) -> ChangesetId {
        let space = self.owner.replica.space();
        let proposal = Proposal { round, valid: None, header: header.clone() };
        self.say(AuditKind::Block, proposal.sign(&self.lane.key, &space).encode())
    }

    fn vote(&mut self, header: &BlockHeader, round: u32, phase: Phase, block: BlockId) -> ChangesetId {
        let (space, set) = (self.owner.replica.space(), header.set);
        let vote = Vote { height: header.height, round, phase, valid: None, set, block: Some(block) };
        self.say(AuditKind::Vote, vote.sign(&self.lane.key, &space).encode())
    }

    /// Proposes it and votes for it: says whether that made it a block.
    fn decides(&mut self, header: &BlockHeader, round: u32) -> bool {
        let before = self.owner.replica.block_count();
        self.propose(header, round);
        self.vote(header, round, Phase::Prevote, header.id());
        self.vote(header, round, Phase::Precommit, header.id());
        self.owner.replica.block_count() > before
    }

    fn fate(&self, id: ChangesetId) -> Fate {
        let all = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
        self.owner.replica.history(&all).into_iter().find(|one| one.id == id).expect("it is here").fate
    }

    /// Whoever hears of all this the other way round has the same; and everybody writes on.
    fn agree(mut self) {
        let mut other = Node::join(9, &self.owner.invite(Role::Writer));
        sync(&mut self.owner, &mut other);
        let mut twin = self.owner.twin(77);
        write(&mut self.owner, "still");
        write(&mut other, "there");
        sync(&mut self.owner, &mut other);
        sync(&mut self.owner, &mut twin);
        for node in [&other, &twin] {
            assert_same(&self.owner, node);
            assert_eq!(node.replica.block_count(), self.owner.replica.block_count());
            assert_eq!(node.replica.blocks_halt(), self.owner.replica.blocks_halt());
        }
        self.owner.replica.verify_blocks().expect("what is there holds");
    }
}

#[test]
fn a_block_that_is_wrong_in_anything_is_none() {
    let mut court = Court::new(0);
    court.attest();
    let right = court.right();
    let written = court.owner.replica.last_write().expect("it wrote");
    let wrong = [
        BlockHeader { height: 2, ..right.clone() },
        BlockHeader { previous: BlockId([1; 32]), ..right.clone() },
        BlockHeader { time_ms: 0, ..right.clone() },
        BlockHeader { size: right.size + 1, ..right.clone() },
        BlockHeader { size: right.size - 1, ..right.clone() },
        BlockHeader { root: Digest([1; 32]), ..right.clone() },
        BlockHeader { frontier: Digest([1; 32]), ..right.clone() },
        BlockHeader { set: Digest([1; 32]), ..right.clone() },
        BlockHeader { next_set: Digest([1; 32]), ..right.clone() },
        BlockHeader { attestations: vec![ChangesetId([9; 32])], ..right.clone() },
        BlockHeader { attestations: vec![written], ..right.clone() },
    ];
    for (round, header) in (0..).zip(&wrong) {
        assert!(!court.decides(&BlockHeader { round, ..header.clone() }, round), "{header:?}");
    }
    let round = wrong.len() as u32;
    assert!(court.decides(&BlockHeader { round, ..right }, round), "and the right one is");
    court.agree();
}

#[test]
fn a_block_holds_no_more_than_it_may_and_none_is_empty() {
    let mut court = Court::new(0);
    for n in 0..7 {
        write(&mut court.owner, &format!("k{n}"));
    }
    court.attest();
    let first = court.right();
    assert!(court.decides(&first, 0));
    assert!(first.size > 7, "the first one holds what there was");
    court.attest();
    assert_eq!(court.owner.replica.draft_block(), None, "only statements");
    for n in 0..3 {
        write(&mut court.owner, &format!("later{n}"));
    }
    court.attest();
    let second = court.right();
    // As much as there is: one more than two that are no statements.
    let mut more = second.clone();
    more.size += 1;
    assert!(!court.decides(&more, 0));
    assert!(court.decides(&BlockHeader { round: 1, ..second }, 1));
    let mut third = court.right();
    assert!(third.time_ms > 0);
    third.time_ms = first.time_ms;
    assert!(!court.decides(&third, 0), "not after the one before");
    third.time_ms = court.owner.now_ms + 9;
    third.round = 1;
    assert!(court.decides(&third, 1));
    assert_eq!(court.owner.replica.draft_block(), None);
    court.agree();
}

#[test]
fn a_certificate_of_one_that_votes_often_or_of_strangers_is_none() {
    let mut court = Court::new(2);
    court.attest();
    // Two of three have not attested it: there is no block to propose, and whatever is proposed is wrong.
    assert_eq!(court.owner.replica.draft_block(), None);
    let open = court.owner.replica.open_height().expect("somebody is asked");
    let set = open.digest;
    let attestations = court.owner.replica.attestations().map(|(id, _)| id).collect();
    let header = BlockHeader {
        height: 1,
        round: 0,
        time_ms: court.owner.now_ms,
        previous: BlockId(court.owner.replica.space().0),
        size: 1,
        root: Digest([1; 32]),
        frontier: Digest([2; 32]),
        set,
        next_set: set,
        attestations,
    };
    for n in 2..6 {
        court.lane = court.attacker.lane(n);
        court.heads = court.owner.replica.heads();
        assert!(!court.decides(&header, 0), "the same member with another key");
    }
    let open = court.owner.replica.open_height().expect("somebody is asked");
    assert_eq!(open.ballot.certified(), []);
    assert!(!open.ballot.is_full(0, Phase::Precommit), "one of three, however often");
    let votes = open.ballot.casts().len();
    let stranger = Attacker::join_as(court.attacker.invite.clone(), [0xb7; 32]);
    let (mut lane, space) = (stranger.lane(9), court.owner.replica.space());
    for phase in [Phase::Prevote, Phase::Precommit] {
        let vote = Vote { height: 1, round: 0, phase, valid: None, set, block: Some(header.id()) };
        let op = Op::Audit { kind: AuditKind::Vote, payload: vote.sign(&lane.key, &space).encode() };
        let said = stranger.say(Class::Audit, &mut lane, &[], vec![op]);
        court.give(&said);
    }
    let open = court.owner.replica.open_height().expect("somebody is asked");
    assert_eq!(open.ballot.casts().len(), votes, "who is not asked does not count");
    court.agree();
}

#[test]
fn what_its_actor_did_not_sign_is_inert_and_what_a_later_version_says_waits() {
    let mut court = Court::new(0);
    court.attest();
    let header = court.right();
    let (space, foreign) = (court.owner.replica.space(), SigningKey::from_seed(&[3; 32]));
    let vote = Vote {
        height: 1,
        round: 0,
        phase: Phase::Prevote,
        valid: None,
        set: header.set,
        block: Some(header.id()),
    };
    let proposal = Proposal { round: 0, valid: None, header };
    let forged = [
        (AuditKind::Vote, vote.sign(&foreign, &space).encode()),
        (AuditKind::Block, proposal.clone().sign(&foreign, &space).encode()),
        (AuditKind::Vote, proposal.clone().sign(&court.lane.key, &space).encode()),
        (AuditKind::Block, vote.sign(&court.lane.key, &space).encode()),
        (AuditKind::Vote, vec![1]),
        (AuditKind::Block, vec![1]),
    ];
    for (kind, payload) in forged {
        let id = court.say(kind, payload);
        assert_eq!(court.fate(id), Fate::Inert);
    }
    let later = court.say(AuditKind::Vote, vec![2, 1, 2, 3]);
    assert!(court.owner.replica.pending().iter().any(|(id, _)| *id == later));
    assert_eq!(court.owner.replica.open_height().expect("somebody is asked").ballot.casts(), []);
    court.lane = court.attacker.lane(8);
    court.heads = Vec::new();
    let good = court.say(AuditKind::Vote, vote.sign(&court.lane.key, &space).encode());
    assert_eq!(court.fate(good), Fate::Integrated);
    court.agree();
}

/// Rounds and heights as far away as they can be written.
#[test]
fn votes_far_away_cost_nothing_and_lead_nowhere() {
    let mut court = Court::new(3);
    court.attest();
    let (space, set) =
        (court.owner.replica.space(), court.owner.replica.open_height().expect("asked").digest);
    for (height, round) in [(1, u32::MAX - 2), ((1 << 53) - 1, 0), (2, 7)] {
        let vote = Vote { height, round, phase: Phase::Prevote, valid: None, set, block: None };
        let id = court.say(AuditKind::Vote, vote.sign(&court.lane.key, &space).encode());
        assert_eq!(court.fate(id), Fate::Integrated);
    }
    assert_eq!(court.owner.replica.block_count(), 0);
    court.agree();
}
