//! Validators through the public API of a replica: who may choose them, what they sign, and what a quorum of them makes final,
//! against the slow way to say the same, and against members who lie.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "reference/rng.rs"]
mod rng;

use attacker::{World, encoded, read, write};
use common::{Node, assert_same, sync};
use std::collections::{BTreeMap, BTreeSet};
use stemma::audit::{Attestation, ValidatorSet};
use stemma::causal::{ChangesetId, MemberId};
use stemma::crypto::Digest;
use stemma::event::{AuditKind, BanScope, BanSubject, Class, ControlKind, Fate, Op, Role, Value};
use stemma::replica::{ChoiceFault, HistoryFilter, Obstacle, ProofFault, Tier, ViewFilter};

const PAUSE_MS: u64 = 1_000;

/// An owner and others, who all know each other's first words.
fn group(count: usize) -> Vec<Node> {
    let mut nodes = vec![Node::create(1)];
    for seed in 2..=count as u64 {
        let token = nodes[0].invite(Role::Writer);
        nodes.push(Node::join(seed, &token));
    }
    meet(&mut nodes);
    nodes
}

/// Everybody hears of everything.
fn meet(nodes: &mut [Node]) {
    for _ in 0..2 {
        for at in 1..nodes.len() {
            let (first, rest) = nodes.split_at_mut(at);
            sync(&mut first[0], &mut rest[0]);
        }
    }
}

fn set(nodes: &[&Node]) -> ValidatorSet {
    let members: BTreeSet<MemberId> = nodes.iter().map(|node| node.replica.member()).collect();
    let members = members.into_iter().map(|member| (member, 1)).collect();
    ValidatorSet { pause_ms: PAUSE_MS, members, ..ValidatorSet::default() }
}

fn choose(node: &mut Node, set: &ValidatorSet) -> ChangesetId {
    node.with(|replica, env| replica.choose_validators(set, env)).expect("the owner may choose")
}

/// An owner who asks the other one and writes something, of which both know.
fn pair() -> (Vec<Node>, ValidatorSet, ChangesetId) {
    let mut nodes = group(2);
    let chosen = set(&[&nodes[1]]);
    choose(&mut nodes[0], &chosen);
    write(&mut nodes[0], "k");
    let id = last(&nodes[0]);
    meet(&mut nodes);
    (nodes, chosen, id)
}

/// The second one of them attests what it has, and both know.
fn attest(nodes: &mut [Node]) {
    nodes[1].replica.validate(true);
    pause(&mut nodes[1]);
    meet(nodes);
}

/// Time passes until the next attestation is due.
fn pause(node: &mut Node) {
    node.now_ms += PAUSE_MS;
    node.settle();
}

fn last(node: &Node) -> ChangesetId {
    node.replica.last_write().expect("something was written")
}

fn is_final(node: &Node, id: ChangesetId) -> bool {
    node.replica.is_final(&id).expect("it is in the graph")
}

fn history(node: &Node) -> Vec<stemma::replica::ChangesetSummary> {
    node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() })
}

#[test]
fn what_a_quorum_attested_is_final_for_everybody_and_nothing_else_is() {
    let mut nodes = group(4);
    let chosen = set(&nodes.iter().collect::<Vec<_>>());
    assert_eq!((chosen.total(), chosen.quorum()), (4, 3));
    choose(&mut nodes[0], &chosen);
    write(&mut nodes[0], "k");
    let id = last(&nodes[0]);
    meet(&mut nodes);
    for validators in 1..=3 {
        let node = &mut nodes[validators];
        node.replica.validate(true);
        pause(node);
        meet(&mut nodes);
        for node in &nodes {
            assert_eq!(node.replica.attested_by(&id).len(), validators);
            assert_eq!(is_final(node, id), validators == 3, "{validators} of 4");
        }
    }
    write(&mut nodes[0], "later");
    let later = last(&nodes[0]);
    meet(&mut nodes);
    assert!(is_final(&nodes[1], id) && !is_final(&nodes[1], later));
}

#[test]
fn a_write_is_saved_for_good_when_it_is_final() {
    let mut nodes = group(2);
    write(&mut nodes[1], "before");
    let id = last(&nodes[1]);
    assert_eq!(nodes[1].replica.obstacle(id, Tier::Final), Some(Obstacle::Validators));
    let both = set(&[&nodes[0], &nodes[1]]);
    choose(&mut nodes[0], &both);
    meet(&mut nodes);
    assert_eq!(nodes[1].replica.obstacle(id, Tier::Final), None);
    for node in &mut nodes {
        node.replica.validate(true);
        pause(node);
    }
    assert!(!nodes[1].replica.is_saved(id, Tier::Final), "two of two are needed");
    meet(&mut nodes);
    assert!(nodes[1].replica.is_saved(id, Tier::Final));
    assert!(!nodes[1].replica.is_saved(id, Tier::Relay), "no relay has it");
}

#[test]
fn attestations_come_once_for_what_is_new_and_never_for_each_other() {
    let mut nodes = group(3);
    let chosen = set(&[&nodes[0], &nodes[1], &nodes[2]]);
    choose(&mut nodes[0], &chosen);
    meet(&mut nodes);
    nodes.iter_mut().for_each(|node| node.replica.validate(true));
    let audits = |node: &Node| node.replica.attestations().count();
    for _ in 0..5 {
        nodes.iter_mut().for_each(pause);
        meet(&mut nodes);
    }
    assert_eq!(audits(&nodes[0]), 3);
    let count = history(&nodes[0]).len();
    for _ in 0..5 {
        nodes.iter_mut().for_each(pause);
        meet(&mut nodes);
    }
    assert_eq!(history(&nodes[0]).len(), count, "nothing was written, nothing is attested");
    // Not before the pause is over, whatever comes meanwhile.
    for n in 0..10 {
        write(&mut nodes[0], &format!("k{n}"));
        nodes[0].settle();
    }
    meet(&mut nodes);
    assert_eq!(
        history(&nodes[0]).len(),
        count + 10 + 3,
        "one each, for all had waited long enough, and no second one"
    );
    nodes.iter_mut().for_each(|node| node.replica.validate(false));
    nodes.iter_mut().for_each(pause);
    meet(&mut nodes);
    assert_eq!(history(&nodes[0]).len(), count + 13, "who was told to stop stops");
}

#[test]
fn only_who_administers_chooses_and_only_in_order() {
    let mut nodes = group(2);
    let chosen = set(&[&nodes[0]]);
    let by_writer = nodes[1].with(|replica, env| replica.choose_validators(&chosen, env));
    assert_eq!(by_writer, Err(ChoiceFault::Role));
    let world = World::new();
    let all = |payload: Vec<u8>| Op::Control { kind: ControlKind::Validators, payload };
    let said =
        world.attacker.say(Class::Control, &mut world.attacker.lane(1), &[], vec![all(chosen.encode())]);
    let smuggled =
        world.attacker.say(Class::Data, &mut world.attacker.lane(2), &[], vec![all(chosen.encode())]);
    let newer = world.attacker.say(Class::Control, &mut world.attacker.lane(3), &[], vec![all(vec![3, 7])]);
    let world = world.agree(&[&said, &smuggled, &newer].map(encoded));
    assert_eq!(world.fate(said.id()), Some(Fate::Inert), "a writer has no right to");
    assert_eq!(world.fate(smuggled.id()), Some(Fate::Inert));
    assert!(world.held(newer.id()).is_some(), "a later version may know it");
    assert_eq!(world.a.replica.validators(), None);
}

#[test]
fn a_lie_about_an_attestation_is_inert_and_one_about_the_root_proves_itself() {
    let mut world = World::new();
    let attacker = world.attacker.member();
    let chosen = ValidatorSet { members: vec![(attacker, 1)], ..ValidatorSet::default() };
    choose(&mut world.a, &chosen);
    let first = world.first;
    let space = world.a.replica.space();
    let said = |payload: Vec<u8>| Op::Audit { kind: AuditKind::Attest, payload };
    let signed = |lane: &attacker::Lane| Attestation::sign(&lane.key, &space, 1, Digest([7; 32]));
    let (mut good, mut other, mut cut, mut of_space) = (1, 2, 3, 4);
    let lane = |n: &mut u8| world.attacker.lane(*n);
    let (mut good, mut other, mut cut, mut of_space) =
        (lane(&mut good), lane(&mut other), lane(&mut cut), lane(&mut of_space));
    let by_another = signed(&good);
    let elsewhere = Attestation::sign(&of_space.key, &stemma::causal::SpaceId([3; 32]), 1, Digest([7; 32]));
    let mut short = signed(&cut).encode();
    short.pop();
    let honest = signed(&good).encode();
    let rows = [
        world.attacker.say(Class::Audit, &mut good, &[first], vec![said(honest)]),
        world.attacker.say(Class::Audit, &mut other, &[first], vec![said(by_another.encode())]),
        world.attacker.say(Class::Audit, &mut cut, &[first], vec![said(short)]),
        world.attacker.say(Class::Audit, &mut of_space, &[first], vec![said(elsewhere.encode())]),
    ];
    let world = world.agree(&rows.each_ref().map(encoded));
    let fates = rows.each_ref().map(|row| world.fate(row.id()));
    let inert = Some(Fate::Inert);
    // What it says of the root is wrong, and signed by whoever said it: no proof leads there. What it has seen is what it names.
    assert_eq!(fates, [Some(Fate::Integrated), inert, inert, inert]);
    assert_eq!(world.a.replica.attested_by(&first), [attacker]);
    assert!(is_final(&world.a, first));
    let mut world = world;
    assert_eq!(world.a.replica.audit_attested(&first, attacker).err(), Some(ProofFault::Root));
}

#[test]
fn the_root_that_is_attested_is_that_of_everything_before_it() {
    let (mut nodes, ..) = pair();
    let before = nodes[0].replica.audit_head();
    attest(&mut nodes);
    let (id, attested) = nodes[0].replica.attestations().next().expect("one attestation");
    assert_eq!((attested.attestation.size, attested.attestation.root), (before.size, before.root));
    assert_eq!(attested.member, nodes[1].replica.member());
    assert!(!is_final(&nodes[0], id), "what carries an attestation is not in what it attests");
}

#[test]
fn choices_made_apart_are_one_choice_when_they_meet() {
    let mut owner = Node::create(1);
    let mut away = owner.twin(9);
    let mut other = Node::join(2, &owner.invite(Role::Writer));
    sync(&mut owner, &mut other);
    let (here, there) = (set(&[&owner]), set(&[&owner, &other]));
    choose(&mut owner, &here);
    away.now_ms += 60_000;
    choose(&mut away, &there);
    sync(&mut owner, &mut away);
    assert_eq!(owner.replica.validators(), Some(&there));
    assert_eq!(away.replica.validators(), Some(&there));
    let nobody = ValidatorSet::default();
    choose(&mut owner, &nobody);
    sync(&mut owner, &mut away);
    assert_eq!((owner.replica.validators(), away.replica.validators()), (None, None));
}

#[test]
fn validators_are_known_after_a_restart_with_a_snapshot_and_without() {
    let (mut nodes, chosen, id) = pair();
    attest(&mut nodes);
    let first = nodes.remove(0).reopen();
    assert!(is_final(&first, id));
    let mut first = first;
    assert!(first.snapshot());
    let first = first.reopen();
    assert!(is_final(&first, id));
    assert_eq!(first.replica.validators(), Some(&chosen));
    assert_eq!(first.replica.attestations().count(), 1);
    first.replica.dbg_check();
}

#[test]
fn a_validator_that_comes_back_attests_what_it_missed_and_nothing_twice() {
    let (mut nodes, ..) = pair();
    attest(&mut nodes);
    let count = history(&nodes[1]).len();
    let again = nodes.remove(1).reopen();
    nodes.push(again);
    nodes[1].replica.validate(true);
    pause(&mut nodes[1]);
    assert_eq!(history(&nodes[1]).len(), count, "everything was attested before");
    write(&mut nodes[0], "missed");
    let id = last(&nodes[0]);
    meet(&mut nodes);
    let again = nodes.remove(1).reopen();
    nodes.push(again);
    nodes[1].replica.validate(true);
    pause(&mut nodes[1]);
    assert!(is_final(&nodes[1], id));
}

#[test]
fn an_attestation_that_could_not_be_stored_is_made_anew() {
    let (mut nodes, _, id) = pair();
    nodes[1].disk.broken = Some("E_STORAGE_QUOTA");
    nodes[1].replica.validate(true);
    pause(&mut nodes[1]);
    pause(&mut nodes[1]);
    meet(&mut nodes);
    assert!(is_final(&nodes[0], id));
    assert_same(&nodes[0], &nodes[1]);
    assert_eq!(history(&nodes[0]).iter().filter(|one| one.fate == Fate::Inert).count(), 0);
}

#[test]
fn an_edit_is_never_held_up_by_an_attestation() {
    let mut node = Node::create(1);
    let chosen = set(&[&node]);
    choose(&mut node, &chosen);
    node.replica.validate(true);
    let facts = node.replica.object("facts", stemma::ObjectKind::Map).expect("a map");
    node.with(|replica, env| replica.map_set(facts, "open", Value::from("here"), env)).expect("a writer");
    let count = history(&node).len();
    node.now_ms += 1;
    node.settle();
    assert_eq!(history(&node).len(), count, "while a batch is open nothing is signed");
    assert_eq!(read(&mut node, "open"), Some(Value::from("here")));
    pause(&mut node);
    pause(&mut node);
    assert!(is_final(&node, last(&node)));
}

/// Attestations are what they are, whatever anybody believes of what their authors write.
#[test]
fn policy_hides_no_attestation_and_none_waits_for_review() {
    let (mut nodes, _, id) = pair();
    let member = nodes[1].replica.member();
    let ban = Op::PolicyBan { subject: BanSubject::Member(member), scope: BanScope::All };
    let words = vec![Op::PolicyMode { review: true }, ban];
    nodes[0].with(|replica, env| replica.say(words, None, true, env)).expect("it can be said");
    meet(&mut nodes);
    attest(&mut nodes);
    assert!(is_final(&nodes[0], id));
    assert_eq!(nodes[0].replica.inbox(), []);
    assert!(history(&nodes[0]).iter().all(|one| one.hidden == 0));
    assert_eq!(nodes[0].replica.view_digest(), nodes[1].replica.view_digest(), "nothing of data is hidden");
}

/// Too many heads are gathered first, and attested with the rest: once.
#[test]
fn more_heads_than_a_changeset_can_name_are_attested_at_once() {
    let mut world = World::new();
    let me = world.a.replica.member();
    choose(&mut world.a, &ValidatorSet { members: vec![(me, 1)], ..ValidatorSet::default() });
    let one = |n: u8| world.attacker.next(&mut world.attacker.lane(n), &[], &world.attacker.set("k", "v", 5));
    let rows: Vec<Vec<u8>> = (1..=40).map(|n| encoded(&one(n))).collect();
    world.attacker.give(&mut world.a, &rows);
    world.a.replica.validate(true);
    world.a.settle();
    assert_eq!(world.a.replica.attestations().count(), 1);
    let (id, attested) = world.a.replica.attestations().next().expect("one attestation");
    assert_eq!(attested.attestation.size as usize + 1, history(&world.a).len(), "all but itself");
    assert_eq!(world.a.replica.heads(), [id]);
}

#[test]
fn a_view_of_what_is_final_shows_nothing_else() {
    let (mut nodes, ..) = pair();
    attest(&mut nodes);
    write(&mut nodes[0], "fresh");
    let filter = ViewFilter { final_only: true, ..ViewFilter::default() };
    let node = &mut nodes[0];
    let view = node.with(|replica, env| replica.view(&filter, env)).expect("a view");
    let facts = node.replica.object("facts", stemma::ObjectKind::Map).expect("a map");
    let shown = node.replica.object_in(view, facts).expect("it is open");
    assert_eq!(node.replica.map_get(shown, "k"), Some(&Value::from("here")));
    assert_eq!(node.replica.map_get(shown, "fresh"), None);
}

/// Final is what so much weight of those who are chosen has in the past of something they attested, by walking over parents.
fn finals_by_hand(node: &Node, set: &ValidatorSet) -> BTreeSet<ChangesetId> {
    let all = history(node);
    let parents: BTreeMap<ChangesetId, Vec<ChangesetId>> = all
        .iter()
        .map(|one| (one.id, one.prev.into_iter().chain(one.deps.iter().copied()).collect()))
        .collect();
    let mut weights: BTreeMap<ChangesetId, BTreeMap<MemberId, u64>> = BTreeMap::new();
    for (id, attested) in node.replica.attestations() {
        let mut open = parents[&id].clone();
        while let Some(next) = open.pop() {
            let weight = u64::from(set.weight(&attested.member));
            if weights.entry(next).or_default().insert(attested.member, weight).is_none() {
                open.extend(&parents[&next]);
            }
        }
    }
    let is_enough = |by: &BTreeMap<MemberId, u64>| 3 * by.values().sum::<u64>() > 2 * set.total();
    weights.into_iter().filter(|(_, by)| is_enough(by)).map(|(id, _)| id).collect()
}

#[test]
fn finality_is_what_it_is_by_hand_and_the_same_for_all_and_only_grows() {
    rng::fuzz(12, |seed| {
        let mut rng = rng::Rng::new(seed);
        let mut nodes = group(2 + rng.below(4));
        let mut chosen = set(&nodes.iter().collect::<Vec<_>>());
        chosen.members.iter_mut().for_each(|(_, weight)| *weight = 1 + rng.below(3) as u32);
        choose(&mut nodes[0], &chosen);
        meet(&mut nodes);
        let mut before: Vec<BTreeSet<ChangesetId>> = vec![BTreeSet::new(); nodes.len()];
        for _ in 0..25 {
            let at = rng.below(nodes.len());
            match rng.below(5) {
                0 | 1 => write(&mut nodes[at], &format!("k{}", rng.below(9))),
                2 => {
                    nodes[at].replica.validate(true);
                    pause(&mut nodes[at]);
                }
                3 => nodes[at].replica.validate(false),
                _ => {
                    let other = rng.below(nodes.len());
                    if at != other {
                        let (low, high) = nodes.split_at_mut(at.max(other));
                        sync(&mut low[at.min(other)], &mut high[0]);
                    }
                }
            }
            for (node, before) in nodes.iter().zip(&mut before) {
                let expected = finals_by_hand(node, &chosen);
                let found = history(node).into_iter().map(|one| one.id).filter(|id| is_final(node, *id));
                assert_eq!(found.collect::<BTreeSet<_>>(), expected, "seed {seed}");
                assert!(before.is_subset(&expected), "seed {seed}: what is final stays final");
                *before = expected;
            }
        }
        meet(&mut nodes);
        for node in &nodes[1..] {
            assert_same(&nodes[0], node);
            assert_eq!(finals_by_hand(&nodes[0], &chosen), finals_by_hand(node, &chosen), "seed {seed}");
        }
    });
}
