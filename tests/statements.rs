//! What validators sign about blocks: the bytes, and which two statements show that whoever signed both keeps to no rule.

use stemma::audit::{
    BlockHeader, BlockId, Contradiction, HEIGHT_MAX, Phase, Proposal, ROUND_MAX, SignedProposal, SignedVote,
    Vote,
};
use stemma::causal::{ActorId, ChangesetId, SpaceId};
use stemma::crypto::{Digest, SigningKey};

const SPACE: SpaceId = SpaceId([7; 32]);
const A: Option<BlockId> = Some(BlockId([0xa; 32]));
const B: Option<BlockId> = Some(BlockId([0xb; 32]));

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn header(round: u32) -> BlockHeader {
    BlockHeader {
        height: 3,
        round,
        time_ms: 1_700_000_000_000,
        previous: BlockId([2; 32]),
        size: 10,
        root: Digest([3; 32]),
        frontier: Digest([4; 32]),
        set: Digest([5; 32]),
        next_set: Digest([6; 32]),
        attestations: vec![ChangesetId([1; 32]), ChangesetId([9; 32])],
    }
}

fn proposal(round: u32, valid: Option<u32>, made: u32) -> Proposal {
    Proposal { round, valid, header: header(made) }
}

fn vote(round: u32, phase: Phase, block: Option<BlockId>, valid: Option<u32>) -> Vote {
    Vote { height: 3, round, phase, valid, set: Digest([5; 32]), block }
}

#[test]
fn votes_and_proposals_are_read_as_they_were_written() {
    let votes = [
        vote(0, Phase::Prevote, None, None),
        vote(ROUND_MAX, Phase::Prevote, A, Some(ROUND_MAX - 1)),
        Vote { height: HEIGHT_MAX, ..vote(1, Phase::Precommit, B, None) },
    ];
    for vote in votes {
        let signed = vote.sign(&key(), &SPACE);
        assert_eq!(SignedVote::decode(&signed.encode()), Ok(signed));
    }
    for proposal in [proposal(0, None, 0), proposal(5, Some(4), 2)] {
        let signed = proposal.sign(&key(), &SPACE);
        assert_eq!(SignedProposal::decode(&signed.encode()), Ok(signed));
    }
}

#[test]
fn every_bit_of_a_statement_is_signed() {
    let actor = ActorId(key().public());
    let vote = vote(2, Phase::Prevote, A, Some(1)).sign(&key(), &SPACE);
    let proposal = proposal(2, Some(1), 1).sign(&key(), &SPACE);
    assert!(vote.is_signed_by(&actor, &SPACE) && proposal.is_signed_by(&actor, &SPACE));
    assert!(
        !vote.is_signed_by(&actor, &SpaceId([8; 32])) && !proposal.is_signed_by(&actor, &SpaceId([8; 32]))
    );
    assert!(!vote.is_signed_by(&ActorId([1; 32]), &SPACE), "no key");
    let flips = |payload: Vec<u8>| {
        (0..8 * payload.len()).map(move |bit| {
            let mut altered = payload.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            altered
        })
    };
    let mut read = 0;
    for altered in flips(vote.encode()) {
        let Ok(altered) = SignedVote::decode(&altered) else { continue };
        assert!(!altered.is_signed_by(&actor, &SPACE));
        read += 1;
    }
    for altered in flips(proposal.encode()) {
        let Ok(altered) = SignedProposal::decode(&altered) else { continue };
        assert!(!altered.is_signed_by(&actor, &SPACE));
        read += 1;
    }
    assert!(read > 2_000, "most of it is hashes");
}

#[test]
fn what_does_not_lie_as_drawn_is_not_read() {
    let good = vote(2, Phase::Prevote, A, Some(1)).sign(&key(), &SPACE).encode();
    let block = proposal(2, Some(1), 1).sign(&key(), &SPACE).encode();
    for len in 0..good.len() {
        assert!(SignedVote::decode(&good[..len]).is_err());
    }
    for len in 0..block.len() {
        assert!(SignedProposal::decode(&block[..len]).is_err());
    }
    assert!(SignedVote::decode(&[&good[..], &[0]].concat()).is_err());
    assert!(SignedProposal::decode(&[&block[..], &[0]].concat()).is_err());
    // version, height, round, phase, valid
    assert_eq!(good[..5], [1, 3, 2, 0, 2]);
    for (at, byte) in [(0, 2), (3, 2), (3, 1), (4, 3)] {
        let mut altered = good.clone();
        altered[at] = byte;
        assert!(SignedVote::decode(&altered).is_err(), "{byte} at {at}");
    }
    // A proposal is not of a round before the one that it was made in, nor of a polka in its own.
    assert!(SignedProposal::decode(&proposal(0, None, 1).sign(&key(), &SPACE).encode()).is_err());
    assert!(SignedProposal::decode(&proposal(2, Some(2), 1).sign(&key(), &SPACE).encode()).is_err());
    let named =
        |attestations| Proposal { header: BlockHeader { attestations, ..header(0) }, ..proposal(0, None, 0) };
    for attestations in
        [vec![], vec![ChangesetId([2; 32]); 2], vec![ChangesetId([3; 32]), ChangesetId([2; 32])]]
    {
        assert!(SignedProposal::decode(&named(attestations).sign(&key(), &SPACE).encode()).is_err());
    }
}

#[test]
fn a_vote_is_no_proposal_and_no_other_vote() {
    let one = vote(2, Phase::Precommit, A, None);
    let signature = one.sign(&key(), &SPACE).signature;
    let actor = ActorId(key().public());
    let others = [
        Vote { phase: Phase::Prevote, ..one },
        Vote { block: B, ..one },
        Vote { block: None, ..one },
        Vote { round: 1, ..one },
        Vote { height: 4, ..one },
        Vote { set: Digest([6; 32]), ..one },
    ];
    for vote in others {
        assert!(!SignedVote { vote, signature }.is_signed_by(&actor, &SPACE));
    }
    let proposal = proposal(2, None, 2);
    assert!(!SignedProposal { proposal, signature }.is_signed_by(&actor, &SPACE));
}

#[test]
fn two_statements_contradict_that_nobody_signs_who_keeps_to_the_rules() {
    use Contradiction::{BrokenLock, DoubleBlock, DoubleVote};
    use Phase::{Precommit, Prevote};
    let pairs = [
        (vote(1, Prevote, A, None), vote(1, Prevote, B, None), Some(DoubleVote)),
        (vote(1, Prevote, A, None), vote(1, Prevote, None, None), Some(DoubleVote)),
        (vote(1, Precommit, A, None), vote(1, Precommit, None, None), Some(DoubleVote)),
        // The same said twice, and what is said at another time.
        (vote(1, Prevote, A, None), vote(1, Prevote, A, Some(0)), None),
        (vote(1, Prevote, A, None), vote(1, Precommit, B, None), None),
        (vote(1, Prevote, A, None), vote(2, Prevote, B, None), None),
        (vote(1, Precommit, A, None), vote(2, Precommit, B, None), None),
        // Locks.
        (vote(1, Precommit, A, None), vote(2, Prevote, B, None), Some(BrokenLock)),
        (vote(1, Precommit, A, None), vote(3, Prevote, B, Some(0)), Some(BrokenLock)),
        (vote(1, Precommit, A, None), vote(3, Prevote, B, Some(1)), None),
        (vote(1, Precommit, A, None), vote(3, Prevote, B, Some(2)), None),
        (vote(1, Precommit, A, None), vote(2, Prevote, None, None), None),
        (vote(1, Precommit, None, None), vote(2, Prevote, B, None), None),
        (vote(2, Precommit, A, None), vote(1, Prevote, B, None), None),
        // Elsewhere.
        (vote(1, Prevote, A, None), Vote { height: 4, ..vote(1, Prevote, B, None) }, None),
        (vote(1, Prevote, A, None), Vote { set: Digest([9; 32]), ..vote(1, Prevote, B, None) }, None),
    ];
    for (one, other, expected) in pairs {
        assert_eq!(one.contradicts(&other), expected, "{one:?} {other:?}");
        assert_eq!(other.contradicts(&one), expected, "{other:?} {one:?}");
    }
    let blocks = [
        (proposal(2, None, 2), proposal(2, None, 1), Some(DoubleBlock)),
        (proposal(2, None, 1), proposal(2, Some(1), 1), None),
        (proposal(2, None, 2), proposal(3, None, 3), None),
    ];
    for (one, other, expected) in blocks {
        assert_eq!((one.contradicts(&other), other.contradicts(&one)), (expected, expected));
    }
}
