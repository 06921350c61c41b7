//! The voting on blocks, explored whole for four validators: the machine that replicas run, every order of delivery, every loss,
//! every crash, and liars who say anything to anybody at any time.
//!
//! A validator remembers nothing but its round and what it has said, so between two steps it is given nothing; before one it is given whatever
//! makes a difference: a proposal, the votes that make up a polka, or time. Votes that make none change nothing, and can be late or lost. Any run has
//! the same votes as one of these. Proposals come from liars alone, who propose to each what they like; the honest ones propose less.

use std::collections::{HashSet, VecDeque};
use stemma::audit::{Ballot, BlockId, Cast, Floor, Offer, Phase, Say, Voting, Wait};
use stemma::causal::ChangesetIx;

const A: BlockId = BlockId([0xa; 32]);
const B: BlockId = BlockId([0xb; 32]);
const VOTERS: u16 = 4;

/// A vote for the visited set: round, phase, block, round of the polka and 1.
type Said = (u8, Phase, Option<bool>, u8);

/// An honest validator: its round, and what it has said, ascending.
type Honest = (u8, Vec<Said>);

/// All honest ones, ascending: they are all alike.
type State = Vec<Honest>;

fn block(which: bool) -> BlockId {
    if which { B } else { A }
}

fn cast(by: u16, (round, phase, which, valid): Said) -> Cast {
    let valid = valid.checked_sub(1).map(u32::from);
    Cast { by, round: round.into(), phase, block: which.map(block), valid, carrier: ChangesetIx(0) }
}

fn said(say: Say) -> Said {
    let which = say.block.map(|block| block == B);
    (say.round as u8, say.phase, which, say.valid.map_or(0, |valid| valid as u8 + 1))
}

/// What is shown to a validator besides votes.
struct Shown(Option<Offer>);

impl Floor for Shown {
    fn offer(&self, _: u32) -> Option<Offer> {
        self.0
    }

    fn is_right(&self, _: &BlockId) -> bool {
        true
    }
}

/// Some votes of everybody: the honest ones that said such a thing, and all the liars.
fn give(ballot: &mut Ballot, state: &State, rounds: impl Iterator<Item = u8>, which: Option<bool>) {
    for round in rounds {
        for (by, (_, said)) in (0..).zip(state) {
            let fits = |one: &&Said| (one.0, one.1, one.2) == (round, Phase::Prevote, which);
            said.iter().filter(fits).for_each(|one| ballot.cast(cast(by, *one)));
        }
        for liar in state.len() as u16..VOTERS {
            ballot.cast(cast(liar, (round, Phase::Prevote, which, 0)));
        }
    }
}

/// The states that follow from what one validator can be made to do.
fn steps(state: &State, me: usize, rounds: u8, mut found: impl FnMut(State)) {
    let (round, own) = &state[me];
    let mut alone = Ballot::new(vec![1; VOTERS.into()]);
    own.iter().for_each(|one| alone.cast(cast(me as u16, *one)));
    let machine = || {
        let mut machine = Voting::new(me as u16);
        (0..*round).for_each(|_| assert_eq!(machine.waited(&alone, Wait::Precommits), None));
        machine
    };
    let mut then = |machine: Voting, say: Option<Say>| {
        // Whoever precommits no block can do nothing in this round that it could not do in the next one.
        if say.is_some_and(|say| say.phase == Phase::Precommit && say.block.is_none()) {
            return;
        }
        let mut next = state.clone();
        next[me].0 = machine.round() as u8;
        // That it was for no block in a round that is over helps none.
        next[me].1.retain(|(at, _, which, _)| u32::from(*at) == machine.round() || which.is_some());
        next[me].1.extend(say.map(said));
        next[me].1.sort_unstable();
        if next[me] != state[me] && next[me].0 < rounds {
            next.sort_unstable();
            found(next);
        }
    };
    for which in [false, true] {
        for valid in 0..=*round {
            let valid = valid.checked_sub(1);
            let mut ballot = alone.clone();
            give(&mut ballot, state, 0..valid.map_or(0, |valid| valid + 1), Some(which));
            let offer =
                Offer { block: block(which), valid: valid.map(u32::from), is_right: true, is_timely: true };
            let mut machine = machine();
            let say = machine.next(&ballot, &Shown(Some(offer)));
            then(machine, say);
        }
    }
    for which in [None, Some(false), Some(true)] {
        let mut ballot = alone.clone();
        give(&mut ballot, state, 0..*round + 1, which);
        let mut machine = machine();
        let say = machine.next(&ballot, &Shown(None));
        then(machine, say);
    }
    for wait in [Wait::Proposal, Wait::Prevotes, Wait::Precommits] {
        let mut machine = machine();
        let say = machine.waited(&alone, wait);
        then(machine, say);
    }
}

/// Every state that can be reached, each shown once.
fn explore(honest: usize, rounds: u8, mut look: impl FnMut(&State)) -> usize {
    let first = packed(&vec![(0, Vec::new()); honest]);
    let (mut visited, mut open) = (HashSet::from([first]), VecDeque::from([first]));
    while let Some(state) = open.pop_front() {
        let state = unpacked(state, honest);
        look(&state);
        for me in 0..honest {
            if me > 0 && state[me] == state[me - 1] {
                continue; // what one does the other can
            }
            steps(&state, me, rounds, |next| {
                // The blocks are alike too.
                let mut other = next.clone();
                for (_, own) in &mut other {
                    own.iter_mut().for_each(|one| one.2 = one.2.map(|which| !which));
                    own.sort_unstable();
                }
                other.sort_unstable();
                let next = packed(&next).min(packed(&other));
                if visited.insert(next) {
                    open.push_back(next);
                }
            });
        }
    }
    visited.len()
}

/// A state in few bytes: of each validator its round, and of each round 4 bits for the prevote and 2 for the precommit.
fn packed(state: &State) -> u128 {
    let of = |(round, own): &Honest| {
        let code = |(at, phase, which, valid): &Said| {
            let which = u128::from(which.map_or(1, |which| 2 + u8::from(which)));
            let code = if *phase == Phase::Prevote { which | u128::from(*valid) << 2 } else { which << 4 };
            code << (6 * at)
        };
        u128::from(*round) << 30 | own.iter().map(code).fold(0, |all, code| all | code)
    };
    state.iter().map(of).fold(0, |all, one| all << 32 | one)
}

fn unpacked(state: u128, honest: usize) -> State {
    let of = |bits: u128| {
        let mut own = Vec::new();
        for round in 0..5 {
            let code = (bits >> (6 * round) & 63) as u8;
            let which = |code: u8| (code > 1).then_some(code == 3);
            if code & 15 > 0 {
                own.push((round, Phase::Prevote, which(code & 3), code >> 2 & 3));
            }
            if code >> 4 > 0 {
                own.push((round, Phase::Precommit, which(code >> 4), 0));
            }
        }
        ((bits >> 30 & 3) as u8, own)
    };
    (0..honest).rev().map(|at| of(state >> (32 * at))).collect()
}

/// All honest votes.
fn honest_votes(state: &State) -> Ballot {
    let mut ballot = Ballot::new(vec![1; VOTERS.into()]);
    for (by, (_, own)) in (0..).zip(state) {
        own.iter().for_each(|one| ballot.cast(cast(by, *one)));
    }
    ballot
}

/// The same, and everything that liars can add.
fn all_votes(state: &State, rounds: u8) -> Ballot {
    let mut ballot = honest_votes(state);
    for liar in state.len() as u16..VOTERS {
        for (round, phase) in
            (0..rounds).flat_map(|round| [(round, Phase::Prevote), (round, Phase::Precommit)])
        {
            for which in [false, true] {
                ballot.cast(cast(liar, (round, phase, Some(which), 0)));
            }
        }
    }
    ballot
}

#[test]
fn one_liar_of_four_never_gets_two_blocks_certified() {
    let rounds = 3;
    let mut certified = 0;
    let states = explore(3, rounds, |state: &State| {
        let ballot = all_votes(state, rounds);
        let blocks = ballot.certified();
        assert!(blocks.len() < 2, "{state:?}");
        assert!(ballot.liars().iter().all(|liar| *liar == 3), "no honest one is ever named: {state:?}");
        certified += usize::from(blocks.len() == 1);
    });
    assert!(states > 10_000 && certified > 1_000, "{states} states, {certified} with a block");
}

/// From every state, once the liar is silent and messages arrive, there is a block.
#[test]
fn three_honest_ones_come_to_a_block_from_wherever_they_are() {
    let mut at = 0;
    explore(3, 2, |state| {
        at += 1;
        if at % 7 == 0 {
            assert!(comes_to_a_block(state), "{state:?}");
        }
    });
    assert!(at > 100);
}

fn comes_to_a_block(state: &State) -> bool {
    let mut ballot = honest_votes(state);
    // The polkas that somebody went by are in the past of what they said: all hear of them.
    for (round, phase, which, valid) in state.iter().flat_map(|(_, own)| own) {
        let polka = if *phase == Phase::Precommit { Some(*round) } else { valid.checked_sub(1) };
        polka.into_iter().for_each(|round| ballot.cast(cast(3, (round, Phase::Prevote, *which, 0))));
    }
    let mut machines: Vec<Voting> = (0..3).map(Voting::new).collect();
    let furthest = state.iter().map(|(round, _)| *round).max().expect("three of them");
    for machine in &mut machines {
        (0..furthest).for_each(|_| assert_eq!(machine.waited(&ballot, Wait::Precommits), None));
    }
    for _ in 0..8 {
        let round = machines.iter().map(Voting::round).max().expect("three of them");
        // The fourth one's turn passes.
        let proposer = machines.iter().find(|_| round % 4 != 3).map(|_| machines[round as usize % 4]);
        let offer = proposer.map(|proposer| {
            let again = proposer.proposes_again(&ballot, &Shown(None));
            let (block, valid) = again.map_or((A, None), |(block, round)| (block, Some(round)));
            Offer { block, valid, is_right: true, is_timely: true }
        });
        for step in 0..3 {
            let mut is_news = true;
            while std::mem::take(&mut is_news) {
                for (by, machine) in (0..).zip(&mut machines) {
                    let shown = Shown(offer.filter(|_| machine.round() == round));
                    if let Some(say) = machine.next(&ballot, &shown) {
                        ballot.cast(cast(by, said(say)));
                        is_news = true;
                    }
                }
            }
            if !ballot.certified().is_empty() {
                return true;
            }
            let wait = [Wait::Proposal, Wait::Prevotes, Wait::Precommits][step];
            for (by, machine) in (0..).zip(&mut machines) {
                if machine.waits(&ballot) == Some(wait)
                    && let Some(say) = machine.waited(&ballot, wait)
                {
                    ballot.cast(cast(by, said(say)));
                }
            }
        }
    }
    false
}

/// Which liars say something, and what they appeal to.
#[test]
fn two_liars_of_four_can_and_are_both_named_and_nobody_else() {
    let rounds = 2;
    let (mut broken, mut lies) = (0, 0);
    explore(2, rounds, |state| {
        if all_votes(state, rounds).certified().len() < 2 {
            return;
        }
        broken += 1;
        for a in 0..rounds {
            for b in 0..rounds {
                with_lies(honest_votes(state), &needed(a, b), &mut |ballot| {
                    if ballot.certified().len() < 2 {
                        return;
                    }
                    lies += 1;
                    assert_eq!(ballot.liars(), [2, 3], "{state:?} {:?}", ballot.casts());
                });
            }
        }
    });
    assert!(broken > 10 && lies > 100, "{broken} states, {lies} ways to lie there");
}

/// What it takes to certify A in one round and B in another: the polka that is appealed to, if any, the polka, and precommits.
fn needed(a: u8, b: u8) -> Vec<(u8, Phase, bool)> {
    let of = |round: u8, which: bool| {
        let before = (0..round).map(move |round| (round, Phase::Prevote, which));
        before.chain([(round, Phase::Prevote, which), (round, Phase::Precommit, which)])
    };
    of(a, false).chain(of(b, true)).collect()
}

/// Each way in which the two liars can take part in these: neither, one, the other, both; and appeal to any round before.
fn with_lies(ballot: Ballot, needed: &[(u8, Phase, bool)], found: &mut impl FnMut(&Ballot)) {
    let Some(((round, phase, which), rest)) = needed.split_first() else { return found(&ballot) };
    for (second, third) in [(false, false), (true, false), (false, true), (true, true)] {
        let appeals = if *phase == Phase::Prevote && (second || third) { *round } else { 0 };
        for valid in 0..=appeals {
            let mut ballot = ballot.clone();
            for (by, _) in [(2, second), (3, third)].into_iter().filter(|(_, takes_part)| *takes_part) {
                ballot.cast(cast(by, (*round, *phase, Some(*which), valid)));
            }
            with_lies(ballot, rest, found);
        }
    }
}
