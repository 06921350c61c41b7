//! Redaction through the public API of a replica: what it takes away and what stays, for those who had the bytes, those who get
//! them late and those who never do; who may redact what; and what is left of it in a store.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "reference/rng.rs"]
mod rng;

use attacker::{Lane, World, encoded, read, write};
use common::{Node, assert_same, sync};
use rng::{Rng, fuzz};
use stemma::causal::{ActorId, ChangesetId};
use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::doc::ObjectIx;
use stemma::event::{
    Changeset, ChangesetRef, Class, Content, ControlKind, Draft, Expand, Fate, ObjectKind, Op, Role,
    SignedChangeset, Skeleton, Target, Value,
};
use stemma::replica::{HistoryFilter, RedactFault, Redacted, Replica, Spot, ViewFilter, When};
use stemma::store::TailRecord;

fn last(node: &Node) -> ChangesetId {
    node.replica.last_write().expect("something was written")
}

fn redact(node: &mut Node, targets: &[Target]) -> Result<Redacted, RedactFault> {
    node.with(|replica, env| replica.redact(targets, "asked to", env))
}

fn erase(node: &mut Node, id: ChangesetId) -> Redacted {
    redact(node, &[Target::Changeset(id)]).expect("it may")
}

fn object(node: &mut Node, name: &str, kind: ObjectKind) -> ObjectIx {
    node.replica.object(name, kind).expect("an object")
}

fn text(node: &mut Node) -> String {
    let notes = object(node, "notes", ObjectKind::Text);
    node.replica.text(notes).expect("a text").to_string()
}

fn type_at(node: &mut Node, at: u32, what: &str) -> ChangesetId {
    let notes = object(node, "notes", ObjectKind::Text);
    node.with(|replica, env| replica.text_insert(notes, at, what, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

fn put(node: &mut Node, key: &str, value: &str) -> ChangesetId {
    let facts = object(node, "facts", ObjectKind::Map);
    node.with(|replica, env| replica.map_set(facts, key, Value::from(value), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

/// An owner and a writer who know of each other.
fn pair() -> (Node, Node) {
    let mut owner = Node::create(1);
    let mut writer = Node::join(2, &owner.invite(Role::Writer));
    write(&mut owner, "first");
    write(&mut writer, "second");
    sync(&mut owner, &mut writer);
    (owner, writer)
}

/// Somebody who comes now, and gets from a node what that has.
fn newcomer(seed: u64, node: &mut Node) -> Node {
    let mut newcomer = Node::join(seed, &node.invite(Role::Writer));
    let export = node.replica.export_space();
    newcomer.with(|replica, env| replica.import_space(&export, env)).expect("an export");
    newcomer.settle();
    newcomer
}

/// How many rows of a store have a content of one of these changesets.
fn contents(node: &Node, ids: &[ChangesetId]) -> usize {
    let rows = node.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    rows.filter(|row| ids.contains(&row.id()) && row.has_content()).count()
}

/// The content of a changeset as it is stored, sealed.
fn sealed(node: &Node, id: ChangesetId) -> Vec<u8> {
    let rows = node.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    let mut found = rows.filter(|row| row.id() == id).filter_map(|row| row.content().map(<[u8]>::to_vec));
    found.next().expect("it is stored")
}

fn holds(node: &Node, bytes: &[u8]) -> bool {
    let has = |record: &Vec<u8>| record.windows(bytes.len()).any(|window| window == bytes);
    let Node { disk, .. } = node;
    disk.tail.iter().chain(disk.keyed.values()).chain(disk.snapshot.values()).any(has)
}

#[test]
fn text_has_no_width_and_what_others_wrote_inside_of_it_stays() {
    let (mut owner, mut writer) = pair();
    let secret = type_at(&mut owner, 0, "secret");
    sync(&mut owner, &mut writer);
    type_at(&mut writer, 3, "[mine]");
    sync(&mut owner, &mut writer);
    assert_eq!(text(&mut owner), "sec[mine]ret");
    erase(&mut owner, secret);
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!(text(node), "[mine]");
    }
    let mut late = newcomer(3, &mut owner);
    assert_eq!(text(&mut late), "[mine]");
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    // What is typed now goes where it was typed.
    type_at(&mut writer, 0, "<");
    sync(&mut owner, &mut writer);
    assert_eq!(text(&mut owner), "<[mine]");
    [&owner, &writer, &late].map(|node| node.replica.dbg_check());
}

#[test]
fn a_key_reads_as_not_there_and_what_it_was_before_does_not_come_back() {
    let (mut owner, mut writer) = pair();
    put(&mut owner, "name", "old");
    let new = put(&mut owner, "name", "new");
    put(&mut owner, "other", "kept");
    sync(&mut owner, &mut writer);
    erase(&mut owner, new);
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!(read(node, "name"), None);
        assert_eq!(read(node, "other"), Some("kept".into()));
        let facts = object(node, "facts", ObjectKind::Map);
        assert!(node.replica.map_keys(facts).iter().all(|key| **key != *"name"));
        assert!(node.replica.map_conflicts(facts, "name").is_empty());
        // The older write is still there to be seen, as what it always was: one that lost.
        let history = node.replica.map_history(facts, "name");
        let values: Vec<Option<Value>> = history.iter().map(|write| write.value.clone()).collect();
        assert_eq!(values, [Some("old".into()), None]);
        assert!(history[1].live && !history[1].deleted);
        let claims = node.replica.why(facts, Spot::Key("name")).expect("a map");
        assert_eq!((claims[0].changeset, claims[0].value.clone()), (Some(new), None));
    }
    put(&mut writer, "name", "again");
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut owner, "name"), Some("again".into()));
    assert_same(&owner, &writer);
}

#[test]
fn lists_sets_sums_memos_and_events_keep_what_decides_and_lose_what_is_read() {
    let (mut owner, mut writer) = pair();
    let (list, set) = (object(&mut owner, "todo", ObjectKind::List), object(&mut owner, "tags", ObjectKind::Set));
    let (count, house) =
        (object(&mut owner, "count", ObjectKind::Counter), object(&mut owner, "house", ObjectKind::Ledger));
    let (me, you) = (owner.replica.member(), writer.replica.member());
    let erased = owner.with(|replica, env| {
        replica.begin_transact(Some("a message".to_owned()), None, Some("order 7".to_owned()), env).expect("small");
        replica.list_insert(list, 0, vec!["milk".into(), "eggs".into()], env).expect("in range");
        replica.set_add(set, &"urgent".into(), None, env).expect("a set");
        replica.counter_add(count, 5, env).expect("a counter");
        let accounts = (AccountId::Member(me), AccountId::Member(you));
        let memo = Some(Value::from("for the rent"));
        replica.ledger_transfer(house, accounts, &BigInt::from(9), memo, env).expect("it can be paid");
        replica.event_create("patient", "p1", Value::from("ill"), env).expect("an event");
        replica.end_transact(env).expect("it was written")
    });
    sync(&mut owner, &mut writer);
    let subject = owner.replica.event_subject("p1").expect("it is known");
    assert_eq!(owner.replica.events_of(subject, None).map(|events| events.len()), Ok(1));
    erase(&mut owner, erased);
    sync(&mut owner, &mut writer);
    let mut late = newcomer(3, &mut owner);
    for node in [&mut owner, &mut writer, &mut late] {
        let [list, set, count, house] = [
            ("todo", ObjectKind::List),
            ("tags", ObjectKind::Set),
            ("count", ObjectKind::Counter),
            ("house", ObjectKind::Ledger),
        ]
        .map(|(name, kind)| object(node, name, kind));
        let replica = &mut node.replica;
        assert_eq!(replica.list(list).expect("a list").len(), 0);
        assert_eq!((replica.set_size(set), replica.set_elements(set).len()), (0, 0));
        assert_eq!(replica.counter_value(count), 5, "sums stay");
        assert_eq!(replica.ledger_balance(house, &AccountId::Member(you)), 9, "balances stay");
        let subject = replica.event_subject("p1").map(|subject| replica.events_of(subject, None));
        assert_eq!(subject.expect("the id is an HMAC").map(|events| events.len()), Ok(0));
        let filter = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
        let summary = replica.history(&filter).into_iter().find(|one| one.id == erased).expect("it is there");
        assert_eq!((summary.message, summary.command, summary.ops), (None, None, 5));
    }
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    [&owner, &writer, &late].map(|node| node.replica.dbg_check());
}

#[test]
fn a_state_with_known_redactions_is_not_partial() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let redacted = erase(&mut owner, id);
    sync(&mut owner, &mut writer);
    assert!(owner.replica.is_redacted(&id) && !owner.replica.is_redacted(&redacted.redactions[0]));
    // Who has the same without knowing of the redaction lacks something, and says so.
    let mut lacking = Node::join(3, &owner.invite(Role::Writer));
    let rows = owner.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    let mut rows: Vec<SignedChangeset> = rows.collect();
    let at = rows.iter().position(|row| row.id() == redacted.redactions[0]).expect("it is stored");
    let late = rows.remove(at);
    let attacker = attacker::Attacker::join(&owner.invite(Role::Writer));
    attacker.give(&mut lacking, &rows.iter().map(SignedChangeset::encode).collect::<Vec<_>>());
    let partial = lacking.replica.view_digest();
    attacker.give(&mut lacking, &[late.encode()]);
    assert_ne!(lacking.replica.view_digest(), partial);
    assert_same(&owner, &lacking);
}

#[test]
fn finer_targets_are_widened_to_the_content_they_are_in_and_the_rest_is_told() {
    let (mut owner, mut writer) = pair();
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    let id = owner.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        for key in ["a", "b", "c"] {
            replica.map_set(facts, key, key.into(), env).expect("a writer");
        }
        replica.end_transact(env).expect("it was written")
    });
    let told = redact(&mut owner, &[Target::Op(id, 1)]).expect("it may");
    assert_eq!(told.changesets, [id]);
    assert_eq!(told.also, [(id, 0), (id, 2)]);
    for key in ["a", "b", "c"] {
        assert_eq!(read(&mut owner, key), None);
    }
    let both = redact(&mut owner, &[Target::Op(id, 1), Target::Changeset(id)]).expect("again is no harm");
    assert!(both.also.is_empty());
    // All that a member wrote, in as many changesets as it takes.
    for n in 0..450 {
        put(&mut writer, &format!("k{n}"), "x");
    }
    sync(&mut owner, &mut writer);
    let member = ChangesetId(writer.replica.member().0);
    let all = redact(&mut owner, &[Target::Changeset(member)]).expect("it may");
    assert_eq!((all.redactions.len(), all.changesets.len()), (3, 451));
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut writer, "k7"), None);
    assert_same(&owner, &writer);
    let actor = ChangesetId(writer.replica.actor().expect("an actor").0);
    assert_eq!(redact(&mut writer, &[Target::Changeset(actor)]).expect("its own").changesets.len(), 451);
}

#[test]
fn what_may_not_be_redacted_says_why_and_nothing_is_signed() {
    let (mut owner, mut writer) = pair();
    let of_owner = put(&mut owner, "k", "v");
    let of_writer = put(&mut writer, "l", "w");
    sync(&mut owner, &mut writer);
    let said = owner.with(|replica, env| {
        let word = Op::PolicyThreshold { weight: 2 };
        replica.say(vec![word], None, true, env).expect("anybody may").expect("one word")
    });
    let redaction = erase(&mut owner, of_owner).redactions[0];
    sync(&mut owner, &mut writer);
    let heads = writer.replica.heads();
    let mine = Target::Changeset(of_writer);
    let unknown = ChangesetId([7; 32]);
    let of = |id| [mine, Target::Changeset(id)];
    assert_eq!(redact(&mut writer, &of(of_owner)), Err(RedactFault::Access(of_owner)));
    assert_eq!(redact(&mut writer, &of(unknown)), Err(RedactFault::Unknown(unknown)));
    assert_eq!(redact(&mut writer, &of(said)), Err(RedactFault::Class(said)), "policy");
    assert_eq!(redact(&mut writer, &of(redaction)), Err(RedactFault::Class(redaction)), "control");
    assert_eq!(redact(&mut writer, &[Target::Op(of_writer, 1)]), Err(RedactFault::Index(of_writer, 1)));
    assert_eq!(redact(&mut writer, &[]), Err(RedactFault::Nothing));
    for reason in [String::new(), "x".repeat(8_193)] {
        let refused = writer.with(|replica, env| replica.redact(&[mine], &reason, env));
        assert_eq!(refused, Err(RedactFault::Reason));
    }
    writer.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    assert_eq!(redact(&mut writer, &[mine]), Err(RedactFault::Transact));
    writer.with(|replica, env| replica.abort_transact(env));
    assert_eq!(writer.replica.heads(), heads);
    assert_eq!(read(&mut writer, "l"), Some("w".into()));
}

/// A redaction as somebody signs it who keeps to no rule.
fn signed(world: &World, lane: &mut Lane, deps: &[ChangesetId], redaction: Forged) -> Changeset {
    let Forged { payload, refs, targets, class } = redaction;
    let refs = refs.iter().map(|id| ChangesetRef::Id(*id)).collect();
    let ops = vec![Op::Control { kind: ControlKind::Redact, payload: payload.clone() }];
    let skeleton = Skeleton { refs, ops: if payload == [0xff] { Vec::new() } else { ops }, ..Skeleton::default() };
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
        replica.say(vec![Op::PolicyThreshold { weight: 2 }], None, true, env).expect("it may").expect("a word")
    });
    common::sync(&mut world.a, &mut world.b);
    let mut mine = world.attacker.lane(1);
    let own = world.attacker.next(&mut mine, &[first], &world.attacker.set("mine", "x", 5));
    let place = |lane: &Lane, seq| (ActorId(lane.key.public()), seq);
    let own_at = (own.id(), place(&mine, 0));
    let good = Forged { payload: vec![1], refs: vec![own.id()], targets: vec![own_at], class: Class::Control };
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
        sign(&with_word, Forged { refs: vec![word], targets: vec![(word, (actor_of(&world.a), 1))], ..good.clone() }),
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
        let of = Forged { refs: vec![right.id()], targets: vec![(right.id(), (right.header().actor(), 0))], ..good.clone() };
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
    let redacted: Vec<ChangesetId> = [own.id(), first, word].into_iter().filter(|id| world.a.replica.is_redacted(id)).collect();
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
    let redaction = Forged { payload: vec![1], refs: refs.to_vec(), targets: targets.to_vec(), class: Class::Control };
    let redaction = signed(&world, &mut lane, &[], redaction);
    let (mut a, mut b) = (world.a, world.b);
    world.attacker.give(&mut a, &[encoded(&broken), encoded(&redaction)]);
    world.attacker.give(&mut b, &[bare.encode(), encoded(&redaction)]);
    assert_same(&a, &b);
    sync(&mut a, &mut b);
    assert_same(&a, &b);
    assert_same(&a.reopen(), &b);
}

/// Hostile input 72: both branches stay for everybody to see, whatever is gone of them.
#[test]
fn who_redacts_its_own_fork_leaves_the_evidence() {
    let world = World::new();
    let lane = world.attacker.lane(1);
    let fork = |value| world.attacker.next(&mut lane.clone(), &[world.first], &world.attacker.set("k", value, 5));
    let (one, other) = (fork("one"), fork("other"));
    let mut rest = world.attacker.lane(2);
    let place = (one.header().actor(), 0);
    let mut ids = [one.id(), other.id()];
    ids.sort();
    let targets = ids.map(|id| (id, place));
    let redaction = Forged { payload: vec![1], refs: ids.to_vec(), targets: targets.to_vec(), class: Class::Control };
    let redaction = signed(&world, &mut rest, &ids, redaction);
    let mut world = world.agree(&[&one, &other, &redaction].map(encoded));
    assert_eq!(read(&mut world.a, "k"), None);
    assert_eq!(world.a.replica.stats().forks, 1);
    assert_eq!(world.a.replica.audit_proof(&one.id()).map(|proof| proof.signature), Ok(one.signed().signature().0));
}

#[test]
fn proofs_made_before_hold_afterwards_and_are_made_as_before() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let before = owner.replica.audit_proof(&id).expect("it is known");
    erase(&mut owner, id);
    let head = owner.replica.audit_head();
    assert!(owner.replica.audit_consistency(before.head).is_some(), "the tree only grew");
    let after = owner.replica.audit_proof(&id).expect("it is known");
    assert_eq!((&after.header, after.signature, after.index), (&before.header, before.signature, before.index));
    assert_eq!(after.head, head);
    sync(&mut owner, &mut writer);
    assert_eq!(writer.replica.audit_proof(&id).expect("it is known").header, before.header);
}

#[test]
fn a_redaction_is_known_after_a_restart_with_a_snapshot_and_without() {
    let (mut owner, mut writer) = pair();
    let id = type_at(&mut owner, 0, "secret");
    put(&mut owner, "secret key", "secret value");
    let key = last(&owner);
    sync(&mut owner, &mut writer);
    assert!(owner.snapshot() && !owner.disk.snapshot.is_empty());
    let bytes = sealed(&owner, id);
    redact(&mut owner, &[Target::Changeset(id), Target::Changeset(key)]).expect("its own");
    assert!(owner.disk.snapshot.is_empty(), "no snapshot that is older than a redaction is left");
    assert!(!holds(&owner, &bytes));
    let mut owner = owner.reopen();
    assert!(owner.replica.is_redacted(&id));
    assert!(owner.snapshot());
    let mut owner = owner.reopen();
    assert!(owner.replica.is_redacted(&id) && owner.replica.redactions().len() == 1);
    assert_eq!((text(&mut owner), read(&mut owner, "secret key")), (String::new(), None));
    owner.replica.dbg_check();
    sync(&mut owner, &mut writer);
    assert_same(&owner, &writer);
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    assert!(owner.replica.map_keys(facts).iter().all(|key| !key.contains("secret")));
}

#[test]
fn a_redaction_that_comes_while_a_snapshot_stands_for_the_rows_is_worked_through_all_the_same() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    sync(&mut owner, &mut writer);
    let bytes = sealed(&writer, id);
    erase(&mut owner, id);
    let without = owner.replica.export_space();
    assert!(writer.snapshot());
    let mut writer = writer.reopen_without_bytes(true);
    assert!(!writer.replica.is_whole());
    writer.with(|replica, env| replica.import_space(&without, env)).expect("an export");
    assert_eq!(read(&mut writer, "k"), None);
    assert!(writer.replica.is_whole() && !holds(&writer, &bytes));
    assert!(writer.disk.snapshot.is_empty());
    assert_same(&owner, &writer);
    writer.replica.dbg_check();
}

#[test]
fn a_store_that_was_left_half_done_is_gone_through_at_the_next_opening() {
    let (mut owner, _) = pair();
    let id = put(&mut owner, "k", "secret");
    let bytes = sealed(&owner, id);
    let before = owner.disk.tail.len();
    let half = owner.disk.tail.clone();
    erase(&mut owner, id);
    assert!(!holds(&owner, &bytes));
    // The redaction was stored, and then the light went out.
    owner.disk.tail.splice(..before, half);
    assert!(holds(&owner, &bytes));
    let owner = owner.reopen();
    assert!(!holds(&owner, &bytes));
    assert!(owner.replica.is_redacted(&id));
}

#[test]
fn a_name_is_known_while_some_content_holds_it() {
    let (mut owner, mut writer) = pair();
    let keys = |node: &mut Node| {
        let facts = object(node, "facts", ObjectKind::Map);
        let mut keys: Vec<String> = node.replica.map_keys(facts).iter().map(|key| key.to_string()).collect();
        keys.retain(|key| key.starts_with("of"));
        keys
    };
    let count = |node: &mut Node, by: i64| {
        let of = object(node, "hidden name", ObjectKind::Counter);
        node.with(|replica, env| replica.counter_add(of, by, env)).expect("a counter");
        node.with(|replica, env| replica.flush(env)).expect("a write")
    };
    let (one, two) = (count(&mut owner, 1), count(&mut writer, 1));
    let lists = |node: &Node| node.replica.names().iter().any(|(name, _)| **name == *"hidden name");
    put(&mut owner, "of both", "1");
    sync(&mut owner, &mut writer);
    let again = put(&mut writer, "of both", "2");
    sync(&mut owner, &mut writer);
    let mut other = newcomer(3, &mut owner);
    erase(&mut owner, one);
    sync(&mut owner, &mut other);
    assert!(lists(&other), "the other content has it");
    erase(&mut owner, two);
    sync(&mut owner, &mut other);
    assert!(!lists(&other), "the sum is there, and nobody knows of what");
    assert_eq!(keys(&mut other), ["of both"]);
    erase(&mut owner, again);
    sync(&mut owner, &mut other);
    assert!(keys(&mut other).is_empty(), "its winner shows nothing");
    // Whoever knows it finds what is left under it.
    let of = object(&mut other, "hidden name", ObjectKind::Counter);
    assert_eq!(other.replica.counter_value(of), 2);
    let late = newcomer(4, &mut owner);
    assert_same(&other, &late);
    assert!(!lists(&late));
}

#[test]
fn views_of_any_time_keep_to_the_redactions_of_today() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let notes = type_at(&mut owner, 0, "secret");
    let then = last(&owner);
    put(&mut owner, "k", "later");
    let at = ViewFilter { when: When::Past(then), ..ViewFilter::default() };
    let view = owner.with(|replica, env| replica.view(&at, env)).expect("it is known");
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    let text = object(&mut owner, "notes", ObjectKind::Text);
    let [then_facts, then_text] =
        [facts, text].map(|of| owner.replica.object_in(view, of).expect("it is open"));
    let shows = |replica: &Replica| {
        (replica.map_get(then_facts, "k").cloned(), replica.text(then_text).expect("a text").to_string())
    };
    assert_eq!(shows(&owner.replica), (Some("secret".into()), "secret".to_owned()));
    redact(&mut owner, &[Target::Changeset(id), Target::Changeset(notes)]).expect("its own");
    assert_eq!(shows(&owner.replica), (None, String::new()), "one that is open too");
    let again = owner.with(|replica, env| replica.view(&at, env)).expect("it is known");
    let hashes = [view, again].map(|view| owner.replica.view_state_hash(view));
    assert_eq!(hashes[0], hashes[1]);
    sync(&mut owner, &mut writer);
    let theirs = writer.with(|replica, env| replica.view(&at, env)).expect("it is known");
    assert_eq!(writer.replica.view_state_hash(theirs), hashes[0]);
    // Restoring that time brings nothing back of it.
    owner.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.restore(view, None, None, env).expect("it is open");
        replica.end_transact(env);
    });
    assert_eq!(read(&mut owner, "k"), None);
}

#[test]
fn undo_and_redo_of_what_is_gone_bring_nothing_back() {
    let (mut owner, mut writer) = pair();
    let id = type_at(&mut owner, 0, "secret");
    assert!(owner.with(|replica, env| replica.undo(&[], env)));
    erase(&mut owner, id);
    assert!(owner.with(|replica, env| replica.redo(&[], env)));
    assert_eq!(text(&mut owner), "");
    sync(&mut owner, &mut writer);
    let late = newcomer(3, &mut owner);
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    owner.replica.dbg_check();
}

#[test]
fn a_redaction_that_could_not_be_stored_is_made_anew() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    sync(&mut owner, &mut writer);
    owner.disk.broken = Some("E_STORAGE_QUOTA");
    erase(&mut owner, id);
    owner.settle();
    assert_eq!(read(&mut owner, "k"), None);
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut writer, "k"), None);
    assert!(writer.replica.is_redacted(&id));
    assert_same(&owner, &writer);
}

/// One edit of any kind.
fn edit(node: &mut Node, rng: &mut Rng) {
    let word: Value = ["a", "bb", "ccc"][rng.below(3)].into();
    let kinds = [
        ("facts", ObjectKind::Map),
        ("notes", ObjectKind::Text),
        ("todo", ObjectKind::List),
        ("tags", ObjectKind::Set),
        ("basket", ObjectKind::Cart),
        ("count", ObjectKind::Counter),
        ("house", ObjectKind::Ledger),
    ];
    let [facts, notes, todo, tags, basket, count, house] = kinds.map(|(name, kind)| object(node, name, kind));
    let me = AccountId::Member(node.replica.member());
    let number = rng.below(1_000) as u32;
    let pot = node.replica.account_named("pot");
    node.with(|replica, env| {
        let len = replica.text(notes).map_or(0, |text| text.len());
        let items = replica.list(todo).map_or(0, |list| list.len());
        match number % 14 {
            0 | 1 => replica.map_set(facts, ["x", "y"][number as usize % 2], word, env).expect("a map"),
            2 => drop(replica.map_delete(facts, "x", env).expect("a map")),
            3 | 4 => replica.text_insert(notes, number % (len + 1), "some", env).expect("in range"),
            5 if len > 1 => replica.text_delete(notes, number % (len - 1), 1, env).expect("in range"),
            6 | 5 if len > 2 => {
                let range = number % (len - 2)..len;
                let expand = Expand { before: false, after: number % 3 == 0 };
                replica.text_mark(notes, range, ("bold", word), Some(expand), env).expect("in range");
            }
            7 | 8 => replica.list_insert(todo, number % (items + 1), vec![word], env).expect("in range"),
            9 if items > 1 => replica.list_move(todo, number % items, (number + 1) % items, env).expect("in range"),
            10 => replica.set_add(tags, &word, (number % 2 == 0).then(|| "v".into()), env).expect("a set"),
            11 => replica.cart_add(basket, &word, 1, env).expect("a cart"),
            12 if replica.is_account(house, &pot) => {
                let memo = (number % 2 == 0).then_some(word);
                replica.ledger_transfer(house, (me, pot), &BigInt::from(1), memo, env).expect("it can be paid");
            }
            12 => drop(replica.ledger_open(house, "pot", env).expect("it is free")),
            13 => replica.event_emit("fact", &["p1"], word, env).expect("an event"),
            _ => replica.counter_add(count, 1, env).expect("a counter"),
        }
    });
}

/// Old peers that had the bytes, newcomers that never got them, and everybody's restarts agree, whatever was redacted when.
#[test]
fn old_peers_and_newcomers_agree_whatever_is_redacted() {
    fuzz(40, |seed| {
        let mut rng = Rng::new(seed);
        let (owner, writer) = pair();
        let mut nodes = vec![owner, writer];
        let mut erased: Vec<(ChangesetId, Vec<u8>)> = Vec::new();
        for round in 0..40 {
            let at = rng.below(nodes.len());
            let count = nodes.len();
            let node = &mut nodes[at];
            match rng.below(10) {
                0 if round > 5 => {
                    let filter = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
                    let all = node.replica.history(&filter);
                    let one = rng.pick(&all).id;
                    let had = node.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("good").0.rows);
                    let had: Vec<Vec<u8>> = had.filter(|row| row.id() == one).filter_map(|row| Some(row.content()?.to_vec())).collect();
                    if redact(node, &[Target::Changeset(one)]).is_ok() {
                        erased.extend(had.into_iter().map(|bytes| (one, bytes)));
                    }
                }
                1 => drop(node.with(|replica, env| replica.undo(&[], env))),
                2 => drop(node.with(|replica, env| replica.redo(&[], env))),
                3 if rng.chance(50) => drop(node.snapshot()),
                3 => {
                    let again = nodes.remove(at).reopen();
                    nodes.insert(at, again);
                }
                4 | 5 => {
                    let (first, rest) = nodes.split_at_mut(1);
                    {
                        let other = rng.below(rest.len());
                        sync(&mut first[0], &mut rest[other]);
                    }
                }
                6 if count < 4 => {
                    let fresh = newcomer(10 + count as u64, &mut nodes[0]);
                    nodes.push(fresh);
                }
                _ => {
                    for _ in 0..1 + rng.below(3) {
                        edit(node, &mut rng);
                    }
                    node.with(|replica, env| replica.flush(env));
                }
            }
        }
        for _ in 0..2 {
            let (first, rest) = nodes.split_at_mut(1);
            rest.iter_mut().for_each(|node| sync(&mut first[0], node));
        }
        let fresh = newcomer(99, &mut nodes[0]);
        nodes.push(fresh);
        for node in &nodes {
            assert_same(&nodes[0], node);
            node.replica.dbg_check();
            for (id, bytes) in &erased {
                assert!(node.replica.is_redacted(id) && !holds(node, bytes), "nothing of {id} is left");
            }
        }
        let kept = nodes.pop().expect("the newcomer");
        for node in nodes {
            let mut node = node.reopen();
            node.replica.dbg_check();
            assert_same(&kept, &node);
            assert!(node.snapshot());
            assert_same(&kept, &node.reopen());
        }
    });
}
