//! Named cases of views: what forged ops leave to be restored, what ends a view, and by whose words it hides what.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{World, encoded, notes};
use common::{Node, sync};
use stemma::causal::ChangesetId;
use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::event::{
    self, ChangesetAt, ChangesetRef, ObjectAt, ObjectKind, Op, Role, Skeleton, Span, UnitAt, Value, Verdict,
};
use stemma::replica::{
    EditFault, EntryStanding, PolicyOf, RestoreFault, Target, ViewFault, ViewFilter, ViewIx, When,
};

fn at(node: &mut Node, when: When) -> ViewIx {
    let filter = ViewFilter { when, ..ViewFilter::default() };
    node.with(|replica, env| replica.view(&filter, env)).expect("it is here")
}

fn restore(node: &mut Node, view: ViewIx) -> Result<(), RestoreFault> {
    node.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    let done = node.with(|replica, env| replica.restore(view, None, None, env));
    node.with(|replica, env| replica.end_transact(env));
    done
}

/// An honest replica deletes whole pairs; a forged op can take half of one. What reads as U+FFFD is restored as that.
#[test]
fn a_text_with_half_a_pair_is_restored_to_what_it_reads_as() {
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    // Right before the text that is there.
    let right = UnitAt { changeset: ChangesetAt(1), offset: 0 };
    let dep = ChangesetRef::BeforeDep { dep: 0, steps: 0 };
    let insert = Op::TextInsert { object: ObjectAt(0), left: None, right: Some(right), len: 8 };
    let (skeleton, content) = world.attacker.text(vec![insert], "a😀b😀cd");
    let refs = vec![dep];
    let whole = world.attacker.next(&mut lane, &[world.first], &(Skeleton { refs, ..skeleton }, content));
    let unit = |offset| Span { first: UnitAt { changeset: ChangesetAt(1), offset }, len: 1 };
    let delete = Op::TextDelete { object: ObjectAt(0), spans: vec![unit(1), unit(5)] };
    let (skeleton, content) = world.attacker.text(vec![delete], "");
    let refs = vec![ChangesetRef::BeforePrev(0)];
    let torn = world.attacker.next(&mut lane, &[], &(Skeleton { refs, ..skeleton }, content));
    world.attacker.give(&mut world.a, &[encoded(&whole), encoded(&torn)]);
    let node = &mut world.a;
    assert_eq!(notes(node), "a\u{FFFD}b\u{FFFD}cdhello");
    let (before, after) = (at(node, When::Past(whole.id())), at(node, When::Past(torn.id())));
    assert_eq!(restore(node, before), Ok(()));
    assert_eq!(notes(node), "a😀b😀cdhello");
    assert_eq!(restore(node, after), Ok(()));
    assert_eq!(notes(node), "a\u{FFFD}b\u{FFFD}cdhello");
    // Half of each pair in the view alone: no pair is left where the halves were typed.
    let exclude = vec![Target { changeset: torn.id(), index: Some(0) }];
    let filter = ViewFilter { exclude, ..ViewFilter::default() };
    let what_if = node.with(|replica, env| replica.view(&filter, env)).expect("it is here");
    assert_eq!(restore(node, what_if), Ok(()));
    node.replica.dbg_check();
}

#[test]
fn views_end_when_edits_are_signed_anew() {
    let mut node = Node::create(1);
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.with(|replica, env| replica.map_set(facts, "k", Value::from("old"), env)).expect("a writer");
    let view = at(&mut node, When::Now);
    let copy = node.replica.object_in(view, facts).expect("the view is open");
    assert!(copy.is_copy() && node.replica.has_object(copy));
    node.disk.broken = Some("E_STORAGE_QUOTA");
    node.with(|replica, env| replica.map_set(facts, "k", Value::from("new"), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env));
    assert!(!node.replica.has_object(copy), "its ops have other numbers now");
    assert_eq!(node.replica.object_in(view, facts), Err(ViewFault::Closed));
    assert_eq!(node.replica.view_diff(view, view), Err(ViewFault::Closed));
    let later = at(&mut node, When::Now);
    let again = node.replica.object_in(later, facts).expect("the view is open");
    assert_ne!(again, copy, "a number is not used twice");
    assert_eq!(node.replica.map_get(again, "k"), Some(&Value::from("new")));
    node.replica.dbg_check();
}

/// A write that was signed anew is found by the id that its caller was told.
#[test]
fn a_changeset_is_found_by_the_id_that_it_had_first() {
    let mut node = Node::create(1);
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.disk.broken = Some("E_STORAGE_QUOTA");
    node.slow_disk = true;
    node.with(|replica, env| replica.map_set(facts, "k", Value::from("first"), env)).expect("a writer");
    let told = node.with(|replica, env| replica.flush(env)).expect("a write");
    node.slow_disk = false;
    node.write_commits(usize::MAX);
    node.with(|replica, env| replica.map_set(facts, "k", Value::from("second"), env)).expect("a writer");
    let view = at(&mut node, When::Past(told));
    let then = node.replica.object_in(view, facts).expect("the view is open");
    assert_eq!(node.replica.map_get(then, "k"), Some(&Value::from("first")));
}

#[test]
fn a_copy_is_not_written_to_by_any_way() {
    let mut node = Node::create(1);
    let all = [ObjectKind::Map, ObjectKind::Text, ObjectKind::Counter, ObjectKind::Set, ObjectKind::Cart];
    let view = at(&mut node, When::Now);
    for kind in all {
        let object = node.replica.object(&format!("{kind:?}"), kind).expect("a kind that is folded");
        let copy = node.replica.object_in(view, object).expect("the view is open");
        let (one, x) = (Value::from("one"), "x");
        let refused = node.with(|replica, env| match kind {
            ObjectKind::Map => replica.map_set(copy, x, one, env),
            ObjectKind::Text => replica.text_insert(copy, 0, x, env),
            ObjectKind::Counter => replica.counter_add(copy, 1, env),
            ObjectKind::Set => replica.set_add(copy, &one, None, env),
            _ => replica.cart_add(copy, &one, 1, env),
        });
        assert_eq!(refused, Err(EditFault::ReadOnly));
        let refused = node.with(|replica, env| match kind {
            ObjectKind::Map => replica.map_delete(copy, x, env),
            ObjectKind::Text => replica.text_delete(copy, 0, 0, env).map(|()| false),
            ObjectKind::Counter => replica.counter_add(copy, 0, env).map(|()| false),
            ObjectKind::Set => replica.set_delete(copy, &Value::from("one"), env),
            _ => replica.cart_remove(copy, &Value::from("one"), env),
        });
        assert_eq!(refused, Err(EditFault::ReadOnly));
    }
    assert!(!node.replica.has_edits());
}

#[test]
fn what_is_not_here_is_named() {
    let mut node = Node::create(1);
    let unknown = ChangesetId([7; 32]);
    let text = node.replica.object("t", ObjectKind::Text).expect("a text");
    node.with(|replica, env| replica.text_insert(text, 0, "x", env)).expect("in range");
    let known = node.with(|replica, env| replica.flush(env)).expect("a write");
    let mut refused = |filter: ViewFilter| node.with(|replica, env| replica.view(&filter, env)).unwrap_err();
    let past = ViewFilter { when: When::Past(unknown), ..ViewFilter::default() };
    assert_eq!(refused(past), ViewFault::Unknown(unknown));
    let target = |changeset, index| vec![Target { changeset, index }];
    let exclude =
        |changeset, index| ViewFilter { exclude: target(changeset, index), ..ViewFilter::default() };
    let include =
        |changeset, index| ViewFilter { include: target(changeset, index), ..ViewFilter::default() };
    assert_eq!(refused(exclude(unknown, None)), ViewFault::Unknown(unknown));
    assert_eq!(refused(include(known, Some(1))), ViewFault::Index(known, 1));
    assert_eq!(refused(include(known, Some(u32::MAX))), ViewFault::Index(known, u32::MAX));
    let mut reader = Node::join(2, &node.invite(Role::Reader));
    assert_eq!(
        reader.with(|replica, env| replica.view(&exclude(known, None), env)),
        Err(ViewFault::Unknown(known))
    );
}

#[test]
fn a_view_with_the_words_of_its_time_says_how_an_entry_stood_then() {
    let mut ann = Node::create(1);
    let mut ben = Node::join(2, &ann.invite(Role::Writer));
    let (a, b) = (ann.replica.member(), ben.replica.member());
    let pay = |node: &mut Node, amount| {
        node.with(|replica, env| {
            let house = replica.object("house", ObjectKind::Ledger).expect("of one kind");
            let accounts = (AccountId::Member(b), AccountId::Member(a));
            let paid = replica.ledger_transfer(house, accounts, &BigInt::from(amount), None, env);
            paid.expect("one's own account");
            replica.flush(env).expect("it was written")
        })
    };
    let say = |node: &mut Node, op| {
        node.with(|replica, env| replica.say(vec![op], None, true, env)).expect("it can be said");
        node.with(|replica, env| replica.flush(env)).expect("it was said")
    };
    let exclude = |changeset| {
        let targets = vec![event::Target::Changeset(changeset)];
        Op::PolicyExclude { verdict: Verdict::Exclude, targets }
    };
    attacker::write(&mut ann, "here");
    sync(&mut ann, &mut ben);
    let undone = pay(&mut ben, 5);
    assert!(ben.with(|replica, env| replica.undo(&[], env)), "there is something to undo");
    sync(&mut ann, &mut ben);
    let before = ann.replica.heads()[0];
    say(&mut ann, exclude(undone));
    say(&mut ann, Op::PolicyMode { review: true });
    sync(&mut ann, &mut ben);
    let waiting = pay(&mut ben, 6);
    sync(&mut ann, &mut ben);
    let reviewed = ann.replica.heads()[0];
    say(&mut ann, Op::PolicyMode { review: false });
    let house = ann.replica.object("house", ObjectKind::Ledger).expect("of one kind");
    let now: Vec<EntryStanding> =
        ann.replica.ledger_entries(house, None, 9).iter().map(|entry| entry.by.standing).collect();
    assert_eq!(now, [EntryStanding::Hidden, EntryStanding::Counts]);
    let mut then = |at: ChangesetId, entry: ChangesetId| {
        ann.with(|replica, env| {
            let filter = ViewFilter { when: When::Past(at), policy: PolicyOf::Then, ..ViewFilter::default() };
            let view = replica.view(&filter, env).expect("it is here");
            let copy = replica.object_in(view, house).expect("it is open");
            let entries = replica.ledger_entries(copy, None, 9);
            entries.iter().find(|one| one.by.id.0 == Some(entry)).map(|one| one.by.standing)
        })
    };
    assert_eq!(then(before, undone), Some(EntryStanding::Undone));
    assert_eq!(then(reviewed, undone), Some(EntryStanding::Hidden));
    assert_eq!(then(reviewed, waiting), Some(EntryStanding::Waits));
}
