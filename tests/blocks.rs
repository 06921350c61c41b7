//! Blocks through the public API of a replica: validators who are silent, cut off from each other, replaced, back with an old store, or in two
//! places at once. Whatever they do, everybody writes on, and in the end all have the same chain.

mod common;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use std::collections::BTreeSet;
use stemma::ObjectKind;
use stemma::audit::{BlockProof, BlockRules, ValidatorSet, verify_inclusion};
use stemma::causal::{ChangesetId, MemberId};
use stemma::event::{Role, Value};
use stemma::replica::{HistoryFilter, ViewFilter};

const PAUSE_MS: u64 = 1_000;
const STEP_MS: u64 = 250;

/// Replicas, and who hears whom: those on the same side.
struct Crowd {
    nodes: Vec<Node>,
    sides: Vec<u32>,
    /// How far each one's clock is off.
    off_ms: Vec<i64>,
    now_ms: u64,
}

impl Crowd {
    /// An owner and others, who all know each other's first words.
    fn new(count: usize) -> Self {
        let mut nodes = vec![Node::create(1)];
        for seed in 2..=count as u64 {
            let token = nodes[0].invite(Role::Writer);
            nodes.push(Node::join(seed, &token));
        }
        let (sides, off_ms) = (vec![0; count], vec![0; count]);
        let mut crowd = Self { nodes, sides, off_ms, now_ms: 1_000_000 };
        for at in 0..count {
            crowd.write(at, &format!("first {at}"));
        }
        crowd.meet();
        crowd
    }

    /// All of them make blocks.
    fn at_work(count: usize) -> Self {
        let mut crowd = Self::new(count);
        let all: Vec<usize> = (0..count).collect();
        crowd.choose(&all);
        crowd.validate(&all);
        crowd.meet();
        crowd
    }

    fn set(&self, of: &[usize]) -> ValidatorSet {
        let members: BTreeSet<MemberId> = of.iter().map(|at| self.nodes[*at].replica.member()).collect();
        ValidatorSet {
            pause_ms: PAUSE_MS,
            blocks: Some(BlockRules { max: 1_000, begins: None }),
            members: members.into_iter().map(|member| (member, 1)).collect(),
        }
    }

    fn choose(&mut self, of: &[usize]) {
        let set = self.set(of);
        self.nodes[0]
            .with(|replica, env| replica.choose_validators(&set, env))
            .expect("the owner may choose");
    }

    fn validate(&mut self, of: &[usize]) {
        of.iter().for_each(|at| self.nodes[*at].replica.validate(true));
    }

    fn stop(&mut self, of: &[usize]) {
        of.iter().for_each(|at| self.nodes[*at].replica.validate(false));
    }

    /// Everybody hears of everything on their side.
    fn meet(&mut self) {
        for _ in 0..2 {
            for at in 1..self.nodes.len() {
                let (first, rest) = self.nodes.split_at_mut(at);
                let near = (0..at).find(|other| self.sides[*other] == self.sides[at]);
                near.into_iter().for_each(|other| sync(&mut first[other], &mut rest[0]));
            }
        }
    }

    /// Time passes, and messages.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.now_ms += STEP_MS;
            for (node, off_ms) in self.nodes.iter_mut().zip(&self.off_ms) {
                node.now_ms = self.now_ms.saturating_add_signed(*off_ms);
                node.settle();
            }
            self.meet();
        }
    }

    fn write(&mut self, at: usize, key: &str) -> ChangesetId {
        let node = &mut self.nodes[at];
        let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
        node.with(|replica, env| replica.map_set(facts, key, Value::from("here"), env)).expect("a writer");
        node.with(|replica, env| replica.flush(env)).expect("it was written")
    }

    fn is_final(&self, at: usize, id: ChangesetId) -> bool {
        self.nodes[at].replica.is_final(&id) == Some(true)
    }

    fn blocks(&self, at: usize) -> usize {
        self.nodes[at].replica.block_count()
    }

    /// The ids of all blocks, and what each holds.
    fn chain(&self, at: usize) -> Vec<(String, Vec<ChangesetId>)> {
        let replica = &self.nodes[at].replica;
        let block = |number| replica.block(number).expect("its bytes are here");
        (0..replica.block_count())
            .map(block)
            .map(|info| (info.block.id.to_string(), info.changesets))
            .collect()
    }

    /// Everybody writes, meets, and has the same: chain, state, what is final. Writing never fails.
    fn agree(&mut self) {
        self.sides.fill(0);
        for at in 0..self.nodes.len() {
            self.write(at, &format!("in the end {at}"));
        }
        self.meet();
        self.meet();
        let halt = self.nodes[0].replica.blocks_halt().cloned();
        for at in 0..self.nodes.len() {
            assert_same(&self.nodes[0], &self.nodes[at]);
            assert_eq!(self.chain(at), self.chain(0), "of {at}");
            assert_eq!(self.nodes[at].replica.blocks_halt(), halt.as_ref());
            self.nodes[at].replica.verify_blocks().expect("the chain holds");
        }
        let all =
            self.nodes[0].replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
        let finals = |at: usize| all.iter().map(|one| self.is_final(at, one.id)).collect::<Vec<_>>();
        (1..self.nodes.len()).for_each(|at| assert_eq!(finals(at), finals(0)));
        self.show_to_outsiders(&all.iter().map(|one| one.id).collect::<Vec<_>>());
        // Whoever hears of everything in another order has the same.
        let mut twin = self.nodes[0].twin(99);
        twin.settle();
        let blocks = |node: &Node| {
            let block = |number| node.replica.block(number).expect("its bytes are here").block.id;
            (0..node.replica.block_count()).map(block).collect::<Vec<_>>()
        };
        assert_eq!(blocks(&twin), blocks(&self.nodes[0]));
        assert_eq!(twin.replica.blocks_halt(), halt.as_ref());
    }
}

impl Crowd {
    /// Whoever has nothing of the space sees of each block who certified it, of each set that the one before names it, and of what is final in which block it is.
    fn show_to_outsiders(&mut self, all: &[ChangesetId]) {
        let replica = &mut self.nodes[0].replica;
        let genesis = replica.genesis().clone();
        let proofs: Vec<_> = (0..replica.block_count())
            .map(|at| replica.block_proof(at).expect("its bytes are here"))
            .collect();
        for (at, proof) in proofs.iter().enumerate() {
            let (info, shown) = (replica.block(at).expect("here"), proof.check(&genesis).expect("it holds"));
            let certificate: Vec<MemberId> = info.certificate.iter().map(|(member, ..)| *member).collect();
            assert_eq!(shown.id, info.block.id);
            assert_eq!(shown.signers.iter().map(|(member, _)| *member).collect::<Vec<_>>(), certificate);
            assert_eq!(replica.block_at(proof.header.height), Some(at));
            assert!(at == 0 || proofs[at - 1].header.next_set == proof.header.set);
            let short = BlockProof { certificate: proof.certificate[..1].to_vec(), ..proof.clone() };
            assert_eq!(short.check(&genesis).is_ok(), u64::from(shown.signers[0].1) >= shown.quorum);
        }
        for id in all {
            let Ok((held, block)) = replica.audit_in_block(id) else {
                assert_eq!(replica.is_final(id), Some(false));
                continue;
            };
            assert_eq!(replica.is_final(id), Some(true));
            block.check(&genesis).expect("it holds");
            assert_eq!((held.head.size, held.head.root), (block.header.size, block.header.root));
            assert!(verify_inclusion(&id.0, held.index, held.head.size, &held.path, &held.head.root));
        }
    }
}

#[test]
fn what_is_written_is_in_a_block_of_all() {
    let mut crowd = Crowd::at_work(4);
    let id = crowd.write(2, "k");
    assert!(!crowd.is_final(2, id));
    crowd.pass(8_000);
    for at in 0..4 {
        assert!(crowd.is_final(at, id), "for {at}");
    }
    let info = crowd.nodes[3].replica.block(0).expect("a first block");
    assert_eq!((info.block.header.height, info.certificate.len() >= 3), (1, true));
    assert!(info.changesets.contains(&id) || crowd.blocks(3) > 1);
    crowd.agree();
}

#[test]
fn no_block_comes_of_what_is_said_about_blocks() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(10_000);
    let (blocks, said) = (crowd.blocks(0), crowd.nodes[0].replica.stats().changesets);
    assert!(blocks > 0);
    crowd.pass(20_000);
    assert_eq!((crowd.blocks(0), crowd.nodes[0].replica.stats().changesets), (blocks, said));
    crowd.write(1, "more");
    crowd.pass(8_000);
    assert!(crowd.blocks(0) > blocks);
    crowd.agree();
}

#[test]
fn blocks_hold_everything_once_and_in_order() {
    let mut crowd = Crowd::at_work(4);
    let mut written = BTreeSet::new();
    for n in 0..30 {
        written.insert(crowd.write(n % 4, &format!("k{n}")));
        crowd.pass(500);
    }
    crowd.pass(10_000);
    let chain = crowd.chain(1);
    assert!(chain.len() > 5, "{} blocks", chain.len());
    let all: Vec<ChangesetId> = chain.iter().flat_map(|(_, held)| held.clone()).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "nothing twice");
    assert!(written.iter().all(|id| all.contains(id)));
    let mut seen = BTreeSet::new();
    let history =
        crowd.nodes[1].replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
    for id in all {
        let one = history.iter().find(|one| one.id == id).expect("it is here");
        assert!(one.prev.iter().chain(&one.deps).all(|parent| seen.contains(parent)), "behind its past");
        seen.insert(id);
    }
    crowd.agree();
}

#[test]
fn one_of_four_may_be_silent() {
    let mut crowd = Crowd::at_work(4);
    crowd.stop(&[3]);
    let mut blocks = 0;
    for n in 0..6 {
        let id = crowd.write(3, &format!("k{n}"));
        crowd.pass(20_000);
        assert!(crowd.is_final(0, id), "{n}");
        assert!(crowd.blocks(0) > blocks);
        blocks = crowd.blocks(0);
    }
    crowd.agree();
}

#[test]
fn while_two_of_four_are_silent_nothing_becomes_final_and_then_everything() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    crowd.stop(&[2, 3]);
    let before = crowd.blocks(0);
    let ids: Vec<ChangesetId> = (0..4).map(|at| crowd.write(at, "meanwhile")).collect();
    let said = crowd.nodes[0].replica.stats().changesets;
    crowd.pass(60_000);
    assert_eq!(crowd.blocks(0), before);
    assert!(crowd.nodes[0].replica.stats().changesets < said + 20, "who waits says nothing again and again");
    crowd.validate(&[2, 3]);
    crowd.pass(30_000);
    for at in 0..4 {
        assert!(ids.iter().all(|id| crowd.is_final(at, *id)), "for {at}");
    }
    crowd.agree();
}

#[test]
fn on_the_side_with_a_quorum_blocks_go_on_and_on_the_other_one_they_are_taken_over() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    crowd.sides = vec![0, 0, 0, 1];
    let (near, far) = (crowd.write(0, "near"), crowd.write(3, "far"));
    crowd.pass(20_000);
    assert!(crowd.is_final(1, near) && !crowd.is_final(3, far));
    crowd.sides.fill(0);
    crowd.pass(20_000);
    assert!(crowd.is_final(3, near) && crowd.is_final(1, far));
    crowd.agree();
}

#[test]
fn without_a_quorum_on_any_side_there_is_no_block_until_they_meet() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    let before = crowd.blocks(0);
    crowd.sides = vec![0, 0, 1, 1];
    let (near, far) = (crowd.write(0, "near"), crowd.write(3, "far"));
    crowd.pass(30_000);
    assert_eq!((crowd.blocks(0), crowd.blocks(3)), (before, before));
    crowd.sides.fill(0);
    crowd.pass(60_000);
    assert!(crowd.is_final(2, near) && crowd.is_final(2, far));
    crowd.agree();
}

/// The old ones certify the block that names the new ones, and these go on.
#[test]
fn validators_change_with_a_block_also_while_some_are_cut_off() {
    let mut crowd = Crowd::new(6);
    crowd.choose(&[0, 1, 2, 3]);
    crowd.validate(&[0, 1, 2, 3, 4, 5]);
    crowd.pass(8_000);
    assert!(crowd.blocks(5) > 0);
    crowd.sides = vec![0, 0, 0, 1, 0, 1];
    crowd.choose(&[2, 3, 4, 5]);
    let (near, far) = (crowd.write(0, "near"), crowd.write(3, "far"));
    crowd.pass(20_000);
    assert!(crowd.is_final(0, near), "the old ones decide");
    let digests = |crowd: &Crowd| {
        let block = |number| crowd.nodes[0].replica.block(number).expect("its bytes are here").block;
        (0..crowd.blocks(0)).map(block).map(|block| block.header.set).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(digests(&crowd), 1, "two of the new ones are away");
    crowd.sides.fill(0);
    crowd.pass(60_000);
    let later = crowd.write(1, "later");
    crowd.pass(30_000);
    assert!(crowd.is_final(1, far) && crowd.is_final(5, later));
    assert_eq!(digests(&crowd), 2);
    crowd.agree();
}

/// The twin has the same keys and votes elsewhere: what one and the other say contradicts.
#[test]
fn one_of_four_in_two_places_gets_no_second_block() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    let twin = crowd.nodes[3].twin(7);
    crowd.nodes.push(twin);
    crowd.off_ms.push(0);
    crowd.sides = vec![0, 0, 1, 0, 1];
    crowd.validate(&[4]);
    let ids = [crowd.write(0, "near"), crowd.write(2, "far")];
    crowd.pass(20_000);
    crowd.sides.fill(0);
    crowd.pass(40_000);
    assert!(ids.iter().all(|id| crowd.is_final(0, *id)));
    assert_eq!(crowd.nodes[0].replica.blocks_halt(), None);
    crowd.agree();
}

#[test]
fn more_liars_than_a_third_are_named_and_the_owner_begins_anew_without_them() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    let common = crowd.blocks(0);
    let old = crowd.chain(0)[0].1[0];
    let liars: BTreeSet<MemberId> = [2, 3].map(|at| crowd.nodes[at].replica.member()).into();
    for at in [2, 3] {
        let twin = crowd.nodes[at].twin(7 + at as u64);
        crowd.nodes.push(twin);
        crowd.off_ms.push(0);
    }
    crowd.sides = vec![0, 1, 0, 0, 1, 1];
    crowd.validate(&[4, 5]);
    let (near, far) = (crowd.write(0, "near"), crowd.write(1, "far"));
    crowd.pass(30_000);
    assert!(crowd.is_final(0, near) && crowd.is_final(1, far), "each side has a quorum");
    crowd.sides.fill(0);
    crowd.stop(&[2, 3, 4, 5]);
    crowd.pass(10_000);
    let halt = crowd.nodes[0].replica.blocks_halt().expect("two blocks at one height").clone();
    assert_eq!((halt.height, halt.blocks.len()), (common as u64 + 1, 2));
    assert_eq!(halt.liars.into_iter().collect::<BTreeSet<_>>(), liars, "and nobody else");
    for node in &crowd.nodes[..2] {
        let about_votes = node.replica.evidence().filter(|one| one.case.evidence.is_about_votes());
        let accused = about_votes.map(|one| {
            assert!(one.is_proven);
            one.member.expect("whose it is is known")
        });
        assert_eq!(
            accused.collect::<BTreeSet<_>>(),
            liars,
            "everybody tells everybody, with both statements"
        );
        let score = |at: usize| {
            let actor = crowd.nodes[at].replica.actor().expect("it signs");
            node.replica.reputation(actor, 0).validator
        };
        assert_eq!((score(2), score(3)), (Some(0), Some(0)));
        assert!(score(0) > Some(0) && score(1) > Some(0));
    }
    assert_eq!(crowd.blocks(1), common);
    assert!(!crowd.is_final(0, near) && !crowd.is_final(0, far) && crowd.is_final(0, old));
    let during = crowd.write(1, "during");
    crowd.agree();
    crowd.choose(&[0, 1]);
    crowd.pass(20_000);
    assert!([near, far, during, old].iter().all(|id| crowd.is_final(1, *id)));
    let first = crowd.nodes[1].replica.block(0).expect("a first block").block.header;
    assert_eq!(first.height, common as u64 + 1);
    crowd.agree();
}

#[test]
fn clocks_that_are_a_year_off_hold_nobody_up() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    for (who, off_ms) in [(1, YEAR_MS), (2, -YEAR_MS / 1_000_000)] {
        let mut crowd = Crowd::at_work(4);
        crowd.off_ms[who] = off_ms;
        for n in 0..5 {
            let id = crowd.write(n % 4, &format!("k{n}"));
            crowd.pass(30_000);
            assert!(crowd.is_final(0, id), "{n}");
        }
        let mut time_ms = 0;
        for number in 0..crowd.blocks(0) {
            let header = crowd.nodes[0].replica.block(number).expect("its bytes are here").block.header;
            assert!(header.time_ms > time_ms && header.time_ms < 1_000_000 + 600_000 + 200_000);
            time_ms = header.time_ms;
        }
        crowd.off_ms[who] = 0;
        crowd.agree();
    }
}

/// A store that was put back: it votes on nothing before it has heard what it said.
#[test]
fn who_comes_back_with_an_old_store_says_nothing_twice() {
    let mut crowd = Crowd::at_work(4);
    crowd.pass(8_000);
    let old = crowd.nodes[3].disk.clone();
    for n in 0..4 {
        crowd.write(n, "since");
        crowd.pass(2_250);
    }
    crowd.write(0, "in the middle");
    crowd.pass(750);
    let mut again = crowd.nodes.remove(3);
    again.disk = old;
    crowd.nodes.insert(3, again.reopen());
    crowd.validate(&[3]);
    crowd.pass(20_000);
    let id = crowd.write(3, "again");
    crowd.pass(20_000);
    assert!(crowd.is_final(0, id));
    let open = crowd.nodes[0].replica.open_height().expect("somebody is asked");
    assert_eq!(open.ballot.liars(), [0_u16; 0]);
    for number in 0..crowd.blocks(0) {
        let info = crowd.nodes[0].replica.block(number).expect("its bytes are here");
        let members: BTreeSet<MemberId> = info.certificate.iter().map(|(member, ..)| *member).collect();
        assert_eq!(members.len(), info.certificate.len());
    }
    assert_eq!(crowd.nodes[0].replica.blocks_halt(), None);
    crowd.agree();
}

#[test]
fn a_chain_is_the_same_after_a_restart_with_a_snapshot_and_without() {
    let mut crowd = Crowd::at_work(4);
    for n in 0..3 {
        crowd.write(n, "k");
        crowd.pass(3_000);
    }
    crowd.pass(8_000);
    let chain = crowd.chain(0);
    let first = crowd.nodes.remove(0).reopen();
    crowd.nodes.insert(0, first);
    assert_eq!(crowd.chain(0), chain);
    assert!(crowd.nodes[0].snapshot());
    let first = crowd.nodes.remove(0).reopen();
    crowd.nodes.insert(0, first);
    assert_eq!(crowd.chain(0), chain);
    crowd.validate(&[0]);
    let id = crowd.write(1, "later");
    crowd.pass(10_000);
    assert!(crowd.is_final(0, id));
    crowd.agree();
}

#[test]
fn a_view_of_what_is_final_shows_what_is_in_blocks() {
    let mut crowd = Crowd::at_work(4);
    crowd.write(1, "k");
    crowd.pass(10_000);
    crowd.write(1, "fresh");
    let filter = ViewFilter { final_only: true, ..ViewFilter::default() };
    let node = &mut crowd.nodes[1];
    let view = node.with(|replica, env| replica.view(&filter, env)).expect("a view");
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    let shown = node.replica.object_in(view, facts).expect("it is open");
    assert_eq!(node.replica.map_get(shown, "k"), Some(&Value::from("here")));
    assert_eq!(node.replica.map_get(shown, "fresh"), None);
}

#[test]
fn a_validator_that_lost_its_key_is_replaced() {
    let mut crowd = Crowd::at_work(3);
    crowd.pass(8_000);
    let blocks = crowd.blocks(0);
    // All of three are needed.
    crowd.stop(&[2]);
    let id = crowd.write(1, "k");
    crowd.pass(20_000);
    assert!(!crowd.is_final(0, id));
    crowd.choose(&[0, 1]);
    crowd.pass(20_000);
    assert_eq!(crowd.blocks(0), blocks, "the change too takes a block that the old ones certify");
    let mut set = crowd.set(&[0, 1]);
    let begins = Some(crowd.nodes[0].replica.beginning());
    set.blocks = Some(BlockRules { max: 1_000, begins });
    crowd.nodes[0].with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may choose");
    crowd.pass(20_000);
    assert!(crowd.is_final(1, id));
    let first = crowd.nodes[1].replica.block(0).expect("a first block").block.header;
    assert_eq!(first.height, blocks as u64 + 1);
    crowd.agree();
}

#[test]
fn weights_decide() {
    let mut crowd = Crowd::new(3);
    let mut set = crowd.set(&[0, 1, 2]);
    let heavy = crowd.nodes[1].replica.member();
    set.members.iter_mut().filter(|(member, _)| *member == heavy).for_each(|(_, weight)| *weight = 7);
    crowd.nodes[0].with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may choose");
    crowd.meet();
    crowd.validate(&[0, 2]);
    let id = crowd.write(0, "k");
    crowd.pass(20_000);
    assert!(!crowd.is_final(0, id), "two of nine");
    crowd.validate(&[1]);
    crowd.pass(30_000);
    assert!(crowd.is_final(2, id));
    crowd.agree();
}

#[test]
fn whatever_happens_in_whatever_order_all_have_one_chain() {
    rng::fuzz(6, |seed| {
        let mut rng = rng::Rng::new(seed);
        let mut crowd = Crowd::at_work(4);
        for n in 0..30 {
            let at = rng.below(4);
            match rng.below(8) {
                0..=2 => {
                    crowd.write(at, &format!("k{n}"));
                }
                3 => crowd.stop(&[at]),
                4 => crowd.validate(&[at]),
                5 => crowd.sides[at] = rng.below(2) as u32,
                6 => crowd.sides.fill(0),
                _ => {
                    let again = crowd.nodes.remove(at).reopen();
                    crowd.nodes.insert(at, again);
                    crowd.validate(&[at]);
                }
            }
            crowd.pass(250 * rng.below(8) as u64);
        }
        let ids: Vec<ChangesetId> = (0..4).map(|at| crowd.write(at, "at last")).collect();
        crowd.sides.fill(0);
        crowd.validate(&[0, 1, 2, 3]);
        crowd.pass(120_000);
        assert!(ids.iter().all(|id| crowd.is_final(0, *id)), "seed {seed}");
        assert_eq!(crowd.nodes[0].replica.blocks_halt(), None, "seed {seed}");
        crowd.agree();
    });
}
