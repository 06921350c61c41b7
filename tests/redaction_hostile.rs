//! Redactions that somebody signs who keeps to no rule, and what was redacted and is offered again. The numbers are those of the list
//! of hostile inputs.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;

use attacker::{Lane, World, encoded, read};
use common::{Node, assert_same, sync};
use erasing::{contents, erase, holds, pair, put, sealed};
use stemma::causal::{ActorId, ChangesetId};
use stemma::event::{
    AuditKind, Changeset, ChangesetRef, Class, Content, ControlKind, Draft, Fate, Op, Role, Skeleton, Value,
};

/// A redaction as somebody signs it who keeps to no rule.
fn signed(world: &World, lane: &mut Lane, deps: &[ChangesetId], redaction: Forged) -> Changeset {
    let Forged { payload, refs, targets, class } = redaction;
    let refs = refs.iter().map(|id| ChangesetRef::Id(*id)).collect();
    let ops = vec![Op::Control { kind: ControlKind::Redact, payload: payload.clone() }];
    let skeleton =
        Skeleton { refs, ops: if payload == [0xff] { Vec::new() } else { ops }, ..Skeleton::default() };
    let content = Content { values: vec![Value::Null; skeleton.ops.len()], ..Content::default() };
    let (skeleton, content) = (skeleton.encode(deps.len()), content.encode());
    let draft = Draft {
        space: world.attacker.invite.genesis().id(),
        class,
        seq: lane.seq,
        prev: lane.prev,
        deps,
        chain: (lane.seq == 0).then_some(&lane.chain),
        redacts: &targets,
        ops_root: None,
        skeleton: &skeleton,
        content: Some(&content),
    };
    let epoch = world.attacker.invite.keys().current().expect("an epoch");
    let changeset = draft.seal(&lane.key, epoch, &[9; 32]).expect("small");
    (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
    changeset
}

#[derive(Clone)]
struct Forged {
    payload: Vec<u8>,
    refs: Vec<ChangesetId>,
    targets: Vec<(ChangesetId, (ActorId, u32))>,
    class: Class,
}

/// Hostile input 71 of the threat list, and all that comes near it.
#[test]
fn redactions_by_strangers_of_control_of_nothing_and_of_what_is_not_there_are_inert() {
    let mut world = World::new();
    let first = world.first;
    let actor_of = |node: &Node| node.replica.actor().expect("an actor");
    let owners = (first, (actor_of(&world.a), 0));
    let word = world.a.with(|replica, env| {
        replica
            .say(vec![Op::PolicyThreshold { weight: 2 }], None, true, env)
            .expect("it may")
            .expect("a word")
    });
    common::sync(&mut world.a, &mut world.b);
    let mut mine = world.attacker.lane(1);
    let own = world.attacker.next(&mut mine, &[first], &world.attacker.set("mine", "x", 5));
    let place = |lane: &Lane, seq| (ActorId(lane.key.public()), seq);
    let own_at = (own.id(), place(&mine, 0));
    let good =
        Forged { payload: vec![1], refs: vec![own.id()], targets: vec![own_at], class: Class::Control };
    let mut lane = 1;
    let mut sign = |deps: &[ChangesetId], redaction| {
        lane += 1;
        signed(&world, &mut world.attacker.lane(lane), deps, redaction)
    };
    let deps = [own.id()];
    let with_word = {
        let mut deps = [own.id(), word];
        deps.sort();
        deps
    };
    let inert = [
        // The owner's, by a writer.
        sign(&deps, Forged { refs: vec![first], targets: vec![owners], ..good.clone() }),
        // What it does not know of, though it is there: the header names it, its past does not.
        sign(&[first], Forged { refs: vec![], ..good.clone() }),
        sign(&[first], good.clone()),
        // A word of policy.
        sign(
            &with_word,
            Forged { refs: vec![word], targets: vec![(word, (actor_of(&world.a), 1))], ..good.clone() },
        ),
        // The header says another thing than the op, another place, or no place that is there.
        sign(&deps, Forged { targets: vec![owners], ..good.clone() }),
        sign(&deps, Forged { targets: vec![(own.id(), place(&mine, 1))], ..good.clone() }),
        sign(&deps, Forged { refs: vec![own.id(), first], ..good.clone() }),
        // Nothing at all; more than a payload; an op of another class; a header without an op.
        sign(&deps, Forged { refs: vec![], targets: vec![], ..good.clone() }),
        sign(&deps, Forged { payload: vec![1, 0], ..good.clone() }),
        sign(&deps, Forged { targets: vec![], class: Class::Data, ..good.clone() }),
        sign(&deps, Forged { payload: vec![0xff], ..good.clone() }),
    ];
    let newer = sign(&deps, Forged { payload: vec![2], ..good.clone() });
    let right = sign(&deps, good.clone());
    // One of a redaction, which is control.
    let again = {
        let of = Forged {
            refs: vec![right.id()],
            targets: vec![(right.id(), (right.header().actor(), 0))],
            ..good.clone()
        };
        sign(&[right.id()], of)
    };
    let mut rows = vec![encoded(&own)];
    rows.extend(inert.iter().map(encoded));
    rows.extend([&newer, &right, &again].map(encoded));
    let mut world = world.agree(&rows);
    for (at, changeset) in inert.iter().chain([&again]).enumerate() {
        assert_eq!(world.fate(changeset.id()), Some(Fate::Inert), "number {at}");
    }
    assert_eq!(world.fate(right.id()), Some(Fate::Integrated));
    assert!(world.held(newer.id()).is_some(), "a later version may know it");
    assert_eq!(attacker::notes(&mut world.a), "hello");
    assert_eq!(read(&mut world.a, "mine"), None);
    let redacted: Vec<ChangesetId> =
        [own.id(), first, word].into_iter().filter(|id| world.a.replica.is_redacted(id)).collect();
    assert_eq!(redacted, [own.id()]);
}

/// Hostile input 70.
#[test]
fn a_body_that_is_offered_again_is_not_taken() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    sync(&mut owner, &mut writer);
    let bytes = sealed(&owner, id);
    let export = owner.replica.export_space();
    let record = owner.disk.tail.iter().find(|record| record.windows(9).any(|w| w == &bytes[..9])).cloned();
    let record = record.expect("it is stored");
    erase(&mut owner, id);
    for _ in 0..2 {
        // In an export, and in a row of another tab.
        let report = owner.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        assert_eq!((report.added, report.refused), (0, 0));
        owner.replica.load_tail(&record);
        while owner.with(|replica, env| replica.finish_load(env)) {}
        assert_eq!(read(&mut owner, "k"), None);
        assert!(!holds(&owner, &bytes));
        assert_eq!(contents(&owner, &[id]), 0);
    }
    // By a peer that has not heard of it, which hears of it then.
    sync(&mut owner, &mut writer);
    assert!(!holds(&owner, &bytes) && !holds(&writer, &bytes));
    assert_eq!(read(&mut writer, "k"), None);
    assert_same(&owner, &writer);
    // And whoever begins with it in the wrong order ends without it.
    let mut late = Node::join(3, &owner.invite(Role::Writer));
    let without = owner.replica.export_space();
    for bytes in [&without, &export] {
        late.with(|replica, env| replica.import_space(bytes, env)).expect("an export");
        late.settle();
    }
    assert!(!holds(&late, &bytes));
    assert_same(&owner, &late);
    assert!(!without.windows(bytes.len()).any(|window| window == bytes), "an export has none of it");
}

/// Hostile input 51.
#[test]
fn a_broken_content_that_is_redacted_is_the_same_for_who_had_it_and_for_who_never_did() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let (skeleton, _) = world.attacker.set("k", "v", 5);
    let broken = world.attacker.seal(&lane, &[world.first], &skeleton.encode(1), Some(b"no content"));
    (lane.seq, lane.prev) = (1, Some(broken.id()));
    let mut bare = broken.signed().clone();
    bare.drop_content();
    let targets = [(broken.id(), (broken.header().actor(), 0))];
    let refs = [broken.id()];
    let redaction =
        Forged { payload: vec![1], refs: refs.to_vec(), targets: targets.to_vec(), class: Class::Control };
    let redaction = signed(&world, &mut lane, &[], redaction);
    let (mut a, mut b) = (world.a, world.b);
    world.attacker.give(&mut a, &[encoded(&broken), encoded(&redaction)]);
    world.attacker.give(&mut b, &[bare.encode(), encoded(&redaction)]);
    // What they say of it themselves goes to and fro until each has heard the other.
    for _ in 0..4 {
        sync(&mut a, &mut b);
    }
    assert_same(&a, &b);
    assert_same(&a.reopen(), &b);
}

/// Hostile input 72: both branches stay for everybody to see, whatever is gone of them.
#[test]
fn who_redacts_its_own_fork_leaves_the_evidence() {
    let world = World::new();
    let lane = world.attacker.lane(1);
    let fork =
        |value| world.attacker.next(&mut lane.clone(), &[world.first], &world.attacker.set("k", value, 5));
    let (one, other) = (fork("one"), fork("other"));
    let mut rest = world.attacker.lane(2);
    let place = (one.header().actor(), 0);
    let mut ids = [one.id(), other.id()];
    ids.sort();
    let targets = ids.map(|id| (id, place));
    let redaction =
        Forged { payload: vec![1], refs: ids.to_vec(), targets: targets.to_vec(), class: Class::Control };
    let redaction = signed(&world, &mut rest, &ids, redaction);
    let mut world = world.agree(&[&one, &other, &redaction].map(encoded));
    assert_eq!(read(&mut world.a, "k"), None);
    assert_eq!(world.a.replica.stats().forks, 1);
    assert_eq!(
        world.a.replica.audit_proof(&one.id()).map(|proof| proof.signature),
        Ok(one.signed().signature().0)
    );
}

#[test]
fn lies_about_deletions_are_inert_or_believed_of_the_liar_alone() {
    let mut world = World::new();
    let id = put(&mut world.a, "k", "secret");
    let redacted = erase(&mut world.a, id);
    let redaction = redacted.redactions[0];
    let said = |n: u8, payload: &[u8], refs: &[ChangesetId], more: bool| {
        let mut lane = world.attacker.lane(n);
        let op = Op::Audit { kind: AuditKind::Erased, payload: payload.to_vec() };
        let ops = if more { vec![op.clone(), op] } else { vec![op] };
        let refs = refs.iter().map(|id| ChangesetRef::Id(*id)).collect();
        let skeleton = Skeleton { refs, ops, ..Skeleton::default() };
        let content = Content { values: vec![Value::Null; skeleton.ops.len()], ..Content::default() };
        let (skeleton, content) = (skeleton.encode(1), content.encode());
        let changeset = world.attacker.seal_as(Class::Audit, &lane, &[redaction], &skeleton, Some(&content));
        lane.seq += 1;
        changeset
    };
    let inert = [
        said(1, &[1, 8], &[redaction], false),
        said(2, &[1], &[redaction], false),
        said(3, &[1, 1], &[], false),
        said(4, &[1, 1], &[id], false),
        said(5, &[1, 1], &[redaction], true),
        said(6, &[1, 1], &[ChangesetId([9; 32])], false),
    ];
    let newer = said(7, &[2], &[redaction], false);
    let right = said(8, &[1, 1], &[redaction], false);
    common::sync(&mut world.a, &mut world.b);
    let mut rows: Vec<Vec<u8>> = inert.iter().map(encoded).collect();
    rows.extend([&newer, &right].map(encoded));
    let world = world.agree(&rows);
    for (at, changeset) in inert.iter().enumerate() {
        assert_eq!(world.fate(changeset.id()), Some(Fate::Inert), "number {at}");
    }
    assert!(world.held(newer.id()).is_some());
    let (_, erased, _) = world.a.replica.redaction_standing(&redaction).expect("it is known");
    let by = erased.iter().filter(|one| one.member == world.attacker.member());
    assert_eq!(by.map(|one| one.stores).collect::<Vec<_>>(), [1]);
}
