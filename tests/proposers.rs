//! Whose turn it is to propose a block: one after the other, without those who lie or say nothing, the same for everybody.

#[path = "common/chain.rs"]
mod chain;

use chain::Made;
use stemma::audit::{BlockHeader, BlockId, Phase};
use stemma::crypto::Digest;

const A: Option<BlockId> = Some(BlockId([0xa; 32]));
const B: Option<BlockId> = Some(BlockId([0xb; 32]));

#[test]
fn everybody_has_a_turn() {
    let mut made = Made::new();
    assert_eq!(made.proposers(6), [2, 3, 4, 1, 2, 3], "of height 1");
    made.block_of(1);
    assert_eq!(made.proposers(6), [3, 4, 1, 2, 3, 4]);
}

#[test]
fn who_contradicts_itself_has_none_once_that_is_in_a_block() {
    let mut made = Made::new();
    made.block_of(1);
    made.vote(4, Phase::Prevote, 7, A);
    made.vote(4, Phase::Prevote, 7, B);
    assert!(made.proposers(8).contains(&4), "not before all know");
    made.block_of(1);
    made.block_of(1);
    assert!(!made.proposers(8).contains(&4));
    assert_eq!(made.proposers(3).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(made.chain.verify(&made.graph), None, "it is the same worked out anew");
}

#[test]
fn a_lock_that_is_broken_is_a_contradiction_too() {
    let mut made = Made::new();
    made.block_of(1);
    made.vote(3, Phase::Precommit, 7, A);
    made.vote(3, Phase::Prevote, 8, B);
    made.block_of(1);
    made.block_of(1);
    assert!(!made.proposers(8).contains(&3));
}

#[test]
fn who_says_nothing_for_eight_blocks_has_none_until_it_does() {
    let mut made = Made::new();
    made.block_of(1);
    for _ in 0..7 {
        made.block_by(1, &[1, 2, 3]);
    }
    assert!(made.proposers(8).contains(&4), "one of eight names it");
    made.block_by(1, &[1, 2, 3]);
    assert!(!made.proposers(8).contains(&4));
    made.block_of(1);
    assert!(made.proposers(8).contains(&4));
}

#[test]
fn if_nobody_is_left_all_have_their_turns() {
    let mut made = Made::new();
    made.block_of(1);
    for member in 1..=4 {
        made.vote(member, Phase::Precommit, 7, A);
        made.vote(member, Phase::Precommit, 7, B);
    }
    made.block_of(1);
    made.block_of(1);
    assert_eq!(made.proposers(4).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

/// Two proposals of one proposer in one round: the first is voted on, whichever that is, and the pair shows who it was.
#[test]
fn of_two_blocks_in_one_round_one_can_be_certified() {
    let mut made = Made::new();
    made.block_of(1);
    made.write(10);
    made.attest();
    let header = made.draft().expect("something was written");
    let later = BlockHeader { time_ms: header.time_ms + 1, ..header.clone() };
    let wrong = BlockHeader { root: Digest([1; 32]), ..header.clone() };
    let proposer = made.proposers(1)[0];
    made.propose(&wrong);
    made.propose(&later);
    made.propose(&header);
    made.decide(&header);
    assert_eq!(made.blocks(), 2);
    made.block_of(1);
    made.block_of(1);
    assert!(!made.proposers(8).contains(&proposer));
}
