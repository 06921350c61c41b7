//! One op of a changeset shown to somebody without a key, against the tree by its definition, and against authors who lie.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;
#[path = "reference/merkle.rs"]
#[allow(dead_code, reason = "what it knows of whole trees is for tests/merkle.rs")]
mod reference;

use attacker::{World, encoded};
use common::{Node, assert_same, sync};
use erasing::{erase, newcomer};
use sha2::{Digest as _, Sha256};
use stemma::audit::{Disclosure, verify_inclusion};
use stemma::causal::ChangesetId;
use stemma::crypto::Digest;
use stemma::event::{Class, Draft, Fate, Header, ObjectKind, Role, Value};
use stemma::replica::ProofFault;

fn padded(tag: &str) -> Vec<u8> {
    let mut tag = format!("stemma/1{tag}").into_bytes();
    tag.resize(16, 0);
    tag
}

/// The leaf of what is shown, by the words of the format.
fn leaf(shown: &Disclosure) -> Vec<u8> {
    Sha256::digest([padded("op-leaf"), shown.salt.to_vec(), shown.statement.clone()].concat()).to_vec()
}

/// Writes to many objects in one transaction whose ops can be shown.
fn written(node: &mut Node) -> ChangesetId {
    node.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.make_disclosable();
        for at in 0..9 {
            let map = replica.object(&format!("map {at}"), ObjectKind::Map).expect("a map");
            replica.map_set(map, "key", Value::from(at), env).expect("small");
        }
        let text = replica.object("page", ObjectKind::Text).expect("a text");
        replica.text_insert(text, 0, "abc", env).expect("in range");
        replica.end_transact(env).expect("something was written")
    })
}

fn disclose(node: &Node, id: &ChangesetId, index: u32) -> Result<Disclosure, ProofFault> {
    node.replica.audit_disclose(id, index)
}

#[test]
fn every_op_leads_to_the_root_that_its_author_signed() {
    let mut node = Node::create(1);
    let id = written(&mut node);
    let token = node.invite(Role::Writer);
    let mut other = Node::join(2, &token);
    sync(&mut node, &mut other);
    let shown: Vec<Disclosure> =
        (0..10).map(|index| disclose(&node, &id, index).expect("it can be shown")).collect();
    let leaves: Vec<Vec<u8>> = shown.iter().map(leaf).collect();
    let root = reference::root(&leaves);
    for (shown, index) in shown.iter().zip(0_u32..) {
        assert_eq!((shown.index, shown.count), (index, 10));
        assert_eq!(shown.path, reference::inclusion(index as usize, &leaves));
        assert!(verify_inclusion(&leaves[index as usize], index.into(), 10, &shown.path, &root));
        let Ok(Value::Object(fields)) = Value::decode(&shown.statement) else {
            panic!("a statement is an object")
        };
        assert_eq!(fields["index"], Value::from(index as i32));
        assert_eq!(disclose(&other, &id, index).as_ref(), Ok(shown), "whoever has the key shows the same");
    }
    assert_eq!(disclose(&node, &id, 10), Err(ProofFault::NoOp));
    let mut salts: Vec<[u8; 16]> = shown.iter().map(|shown| shown.salt).collect();
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), 10, "no salt tells of another");
}

#[test]
fn what_is_shown_is_the_same_after_reopening_and_nothing_else_is_shown() {
    let mut node = Node::create(1);
    let id = written(&mut node);
    attacker::write(&mut node, "plain");
    let plain = node.replica.last_write().expect("something was written");
    let before = disclose(&node, &id, 3).expect("it can be shown");
    let mut node = node.reopen();
    node.supply();
    assert_eq!(disclose(&node, &id, 3), Ok(before));
    assert_eq!(disclose(&node, &plain, 0), Err(ProofFault::Undisclosable));
    assert_eq!(disclose(&node, &ChangesetId([7; 32]), 0), Err(ProofFault::Unknown));
}

/// The seed of the salts is in the content: without it nobody can try whether a guess is what was said.
#[test]
fn what_was_erased_is_shown_by_nobody_any_more_and_what_was_shown_before_still_holds() {
    let mut node = Node::create(1);
    let id = written(&mut node);
    let mut other = Node::join(2, &node.invite(Role::Writer));
    sync(&mut node, &mut other);
    let before = disclose(&node, &id, 3).expect("it can be shown");
    let shown = |node: &Node| disclose(node, &id, 3).map(drop);
    erase(&mut node, id);
    // At once, with the bytes still there, and after they are gone, also for whoever never had them.
    assert_eq!(shown(&node), Err(ProofFault::Erased));
    assert_eq!(shown(&other), Ok(()), "it has not heard of it");
    node.settle();
    sync(&mut node, &mut other);
    assert_same(&node, &other);
    let mut late = newcomer(3, &mut node);
    for node in [&node, &other, &late] {
        assert_eq!(shown(node), Err(ProofFault::Erased));
    }
    let node = node.reopen();
    assert_eq!(shown(&node), Err(ProofFault::Erased));
    // The header stays, and with it the root that the proof leads to.
    let header = late.replica.audit_proof(&id).expect("it is there").header;
    let root = Header::decode(&header).expect("a header").ops_root().expect("it was made to be shown");
    assert!(verify_inclusion(&leaf(&before), 3, before.count.into(), &before.path, &root));
}

#[test]
fn a_root_that_is_none_of_the_ops_is_shown_by_nobody_and_harms_nothing() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let mut body = world.attacker.set("k", "v", 5);
    let mut rows = Vec::new();
    for seed in [None, Some([1; 16])] {
        body.1.meta.seed = seed;
        let (skeleton, content) = (body.0.encode(0), body.1.encode());
        let draft = Draft {
            space: world.attacker.invite.genesis().id(),
            class: Class::Data,
            seq: lane.seq,
            prev: lane.prev,
            deps: &[],
            chain: (lane.seq == 0).then_some(&lane.chain),
            redacts: &[],
            ops_root: Some(Digest([7; 32])),
            skeleton: &skeleton,
            content: Some(&content),
        };
        let key = world.attacker.invite.keys().current().expect("an epoch");
        let changeset = draft.seal(&lane.key, key, &[9; 32]).expect("small");
        (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
        rows.push(encoded(&changeset));
    }
    // A seed of another length is none, and its content is read all the same.
    (body.1.meta.seed, body.1.meta.others) = (None, vec![(4 << 1, vec![1, 2])]);
    rows.push(encoded(&world.attacker.next(&mut lane, &[], &body)));
    let ids: Vec<ChangesetId> = rows.iter().map(|row| attacker::id_of(row)).collect();
    let mut world = world.agree(&rows);
    let fates: Vec<Option<Fate>> = ids.iter().map(|id| world.fate(*id)).collect();
    assert_eq!(fates, [Some(Fate::Integrated); 3]);
    let node = &mut world.a;
    let faults: Vec<ProofFault> = ids.iter().filter_map(|id| disclose(node, id, 0).err()).collect();
    assert_eq!(faults, [ProofFault::Undisclosable, ProofFault::OpsRoot, ProofFault::Undisclosable]);
    assert_eq!(attacker::read(node, "k"), Some(Value::from("v")));
}
