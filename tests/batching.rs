//! When edits become changesets: the age of a batch, what seals it and what never does, and how a large one is cut.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{Attacker, encoded};
use common::{Node, assert_same, sync};
use stemma::causal::ChangesetId;
use stemma::codec::limits;
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{Fate, ObjectKind, Role, Value};
use stemma::replica::{
    Change, ChangesetSummary, EditFault, Env, HistoryFilter, Replica, Tier, TransactFault,
};
use stemma::store::TailRecord;

fn notes(node: &mut Node) -> ObjectIx {
    node.replica.object("notes", ObjectKind::Text).expect("a text")
}

fn facts(node: &mut Node) -> ObjectIx {
    node.replica.object("facts", ObjectKind::Map).expect("a map")
}

fn type_in(node: &mut Node, text: &str) {
    let notes = notes(node);
    node.with(|replica, env| replica.text_insert(notes, 0, text, env)).expect("in range");
}

fn read(node: &mut Node) -> String {
    let notes = notes(node);
    node.replica.text(notes).expect("a text").to_string()
}

fn history(node: &Node) -> Vec<ChangesetSummary> {
    node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() })
}

/// How old the batch that is opened now becomes before it is sealed.
fn age_of_a_batch(node: &mut Node) -> u64 {
    let (begun, before) = (node.now_ms, history(node).len());
    type_in(node, "x");
    while history(node).len() == before {
        node.now_ms = node.replica.next_timer(node.now_ms).expect("a batch is open").max(node.now_ms + 1);
        node.with(|replica, env| replica.tick(env));
    }
    node.now_ms - begun
}

#[test]
fn a_batch_is_sealed_after_a_second_alone_and_after_a_fifth_with_others_online() {
    let mut a = Node::create(1);
    assert_eq!(age_of_a_batch(&mut a), 1_000);
    let peer = a.replica.attach();
    a.with(|replica, env| replica.opened(peer, env));
    assert_eq!(age_of_a_batch(&mut a), 200);
    a.replica.detach(peer);
    assert_eq!(age_of_a_batch(&mut a), 1_000);
}

#[test]
fn the_age_counts_from_the_first_edit() {
    let mut a = Node::create(1);
    let begun = a.now_ms;
    type_in(&mut a, "a");
    a.now_ms += 900;
    type_in(&mut a, "b");
    a.settle();
    assert_eq!(a.replica.next_timer(a.now_ms), Some(begun + 1_000));
    a.now_ms += 100;
    a.settle();
    assert_eq!(history(&a).iter().map(|changeset| changeset.ops).collect::<Vec<_>>().len(), 1);
    assert!(!a.replica.has_edits());
}

#[test]
fn a_composition_keeps_a_batch_open_for_two_seconds_and_no_longer() {
    let mut a = Node::create(1);
    a.replica.set_composing(true);
    assert_eq!(age_of_a_batch(&mut a), 2_000);
    a.replica.set_composing(false);
    assert_eq!(age_of_a_batch(&mut a), 1_000);
}

#[test]
fn arrivals_wait_for_the_seal_and_never_cause_one() {
    let mut a = Node::create(1);
    let attacker = Attacker::join(&a.invite(Role::Writer));
    let arrival = encoded(&attacker.next(&mut attacker.lane(1), &[], &attacker.set("k", "theirs", 5)));
    type_in(&mut a, "mine");
    attacker.give(&mut a, &[arrival]);
    let facts = facts(&mut a);
    assert!(a.replica.has_edits(), "an arrival seals nothing");
    assert_eq!((a.replica.map_get(facts, "k"), history(&a).len()), (None, 0));
    a.with(|replica, env| replica.flush(env));
    a.settle();
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from("theirs")));
    let own = a.replica.last_write().expect("a write");
    let own = history(&a).into_iter().find(|changeset| changeset.id == own).expect("in history");
    assert_eq!(own.deps, [], "what was not shown when it was made is not in its past");
}

/// Whoever writes knows the places of what shows, and nothing of what waits.
#[test]
fn what_waits_comes_in_with_a_tick_and_never_with_a_seal() {
    let mut a = Node::create(1);
    let attacker = Attacker::join(&a.invite(Role::Writer));
    let arrival = encoded(&attacker.next(&mut attacker.lane(1), &[], &attacker.set("k", "theirs", 5)));
    let (notes, facts) = (notes(&mut a), facts(&mut a));
    type_in(&mut a, "mine");
    attacker.give(&mut a, &[arrival]);
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.text_insert(notes, 4, "!", env).expect("in range");
    });
    assert_eq!(history(&a).len(), 1, "what was open is sealed");
    a.with(|replica, env| replica.end_transact(env));
    type_in(&mut a, "is ");
    a.with(|replica, env| replica.flush(env));
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.abort_transact(env);
    });
    assert_eq!((a.replica.map_get(facts, "k"), history(&a).len()), (None, 3));
    assert_eq!(a.replica.next_timer(a.now_ms), Some(a.now_ms), "it is due");
    a.with(|replica, env| replica.tick(env));
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from("theirs")));
    assert_eq!(read(&mut a), "is mine!");
}

#[test]
fn a_transaction_seals_what_was_open_for_itself() {
    let mut a = Node::create(1);
    type_in(&mut a, "loose");
    let notes = notes(&mut a);
    let last = a.with(|replica, env| {
        replica.begin_transact(Some("as one".into()), None, None, env).expect("small");
        replica.text_insert(notes, 0, "in ", env).expect("in range");
        replica.text_insert(notes, 0, "all ", env).expect("in range");
        replica.end_transact(env)
    });
    let made = history(&a);
    let messages: Vec<Option<&str>> = made.iter().map(|changeset| changeset.message.as_deref()).collect();
    assert_eq!(messages, [None, Some("as one")]);
    assert_eq!(last, Some(made[1].id));
    let none = a.with(|replica, env| {
        replica.begin_transact(Some("nothing".into()), None, None, env).expect("small");
        replica.end_transact(env)
    });
    assert_eq!((none, history(&a).len()), (None, 2), "nothing is sealed that has no ops");
}

/// Made at three times, with a message, edits outside of them and one that is given up in between.
#[test]
fn closed_transactions_wait_in_line_and_are_sealed_in_their_order() {
    let mut a = Node::create(1);
    let facts = facts(&mut a);
    let set = |node: &mut Node, value: i32| {
        node.with(|replica, env| replica.map_set(facts, "k", Value::from(value), env)).expect("a writer");
    };
    let begin = |node: &mut Node, message: &str| {
        node.with(|replica, env| replica.begin_transact(Some(message.into()), None, None, env))
            .expect("small");
    };
    let close = |node: &mut Node| node.with(|replica, env| replica.close_transact(env));
    let begun = a.now_ms;
    begin(&mut a, "one");
    set(&mut a, 1);
    assert!(close(&mut a));
    a.now_ms += 1;
    set(&mut a, 2);
    begin(&mut a, "given up");
    set(&mut a, 3);
    a.with(|replica, env| replica.abort_transact(env));
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from(2)));
    a.now_ms += 1;
    begin(&mut a, "nothing");
    assert!(!close(&mut a));
    begin(&mut a, "two");
    set(&mut a, 4);
    let inner = a.replica.mark();
    set(&mut a, 5);
    a.replica.rollback(&inner);
    assert!(close(&mut a));
    assert_eq!((history(&a).len(), a.replica.take_sealed()), (0, Vec::new()));
    assert_eq!(a.replica.next_timer(a.now_ms), Some(begun));
    set(&mut a, 6);
    a.now_ms += 10;
    a.with(|replica, env| replica.tick(env));
    a.settle();
    let made = history(&a);
    let seen: Vec<(Option<&str>, u64, u64)> =
        made.iter().map(|made| (made.message.as_deref(), made.time_ms, made.received_ms)).collect();
    let at = |after: u64| (begun + after, begun + after);
    let expected = [(Some("one"), at(0)), (None, at(1)), (Some("two"), at(2))];
    assert_eq!(seen, expected.map(|(message, (time, received))| (message, time, received)));
    assert_eq!(a.replica.take_sealed(), [made[0].id, made[2].id]);
    assert_eq!(a.replica.open_edits(), 1, "what is open stays open");
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from(6)));
    let mut again = a.reopen();
    let facts = self::facts(&mut again);
    assert_eq!(again.replica.map_get(facts, "k"), Some(&Value::from(4)), "what was not sealed is gone");
    let received: Vec<u64> = history(&again).iter().map(|made| made.received_ms).collect();
    assert_eq!(received, [begun, begun + 1, begun + 2]);
}

#[test]
fn a_transaction_that_was_told_of_already_is_not_told_again() {
    let mut a = Node::create(1);
    let facts = facts(&mut a);
    let edit = |replica: &mut Replica, key: &str, env: &mut Env<'_>| {
        replica.map_set(facts, key, Value::from(1), env).expect("a writer");
    };
    a.with(|replica, env| {
        edit(replica, "loose", env);
        replica.begin_transact(None, None, None, env).expect("small");
        edit(replica, "told", env);
        assert!(replica.close_told(env));
        edit(replica, "after", env);
    });
    a.settle();
    let keys = |change: &Change| match &change.body {
        PatchBody::Slots(slots) => slots.len(),
        _ => 0,
    };
    assert_eq!(a.changes.iter().map(keys).collect::<Vec<_>>(), [1, 1], "the loose ones");
    a.with(|replica, env| replica.flush(env));
    assert_eq!(history(&a).len(), 3);
}

#[test]
fn what_cannot_wait_seals_what_waits_and_so_do_undo_and_a_full_disk() {
    let mut a = Node::create(1);
    let (notes, facts) = (notes(&mut a), facts(&mut a));
    let close = |node: &mut Node, value: i32| {
        node.with(|replica, env| {
            replica.begin_transact(None, None, None, env).expect("small");
            replica.map_set(facts, "k", Value::from(value), env).expect("a writer");
            replica.close_transact(env)
        })
    };
    close(&mut a, 1);
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.text_insert(notes, 0, "x", env).expect("in range");
        replica.close_transact(env)
    });
    assert_eq!((history(&a).len(), a.replica.take_sealed().len()), (2, 2));
    close(&mut a, 2);
    assert!(a.with(|replica, env| replica.undo(&[], env)));
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from(1)));
    assert_eq!((history(&a).len(), a.replica.take_sealed().len()), (4, 1));
    close(&mut a, 3);
    a.disk.broken = Some("E_STORAGE_QUOTA");
    a.with(|replica, env| replica.flush(env));
    close(&mut a, 4);
    a.settle();
    a.write_commits(usize::MAX);
    a.with(|replica, env| replica.flush(env));
    let sealed = a.replica.take_sealed();
    assert_eq!(sealed.last().copied(), a.replica.last_write(), "signed anew under another id");
    assert_eq!((sealed.len(), history(&a).len()), (2, 6));
    assert_eq!(a.replica.map_get(facts, "k"), Some(&Value::from(4)));
}

#[test]
fn no_age_and_no_flush_seals_an_open_transaction() {
    let mut a = Node::create(1);
    let notes = notes(&mut a);
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    a.with(|replica, env| replica.text_insert(notes, 0, "x", env)).expect("in range");
    a.now_ms += 60_000;
    a.settle();
    a.with(|replica, env| replica.tick(env));
    a.with(|replica, env| replica.flush(env));
    assert_eq!(history(&a).len(), 0);
    a.with(|replica, env| replica.end_transact(env)).expect("sealed");
    assert_eq!(history(&a).len(), 1);
}

#[test]
fn an_inner_transaction_goes_back_to_its_own_start() {
    let mut a = Node::create(1);
    type_in(&mut a, "1");
    let (notes, facts) = (notes(&mut a), facts(&mut a));
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.text_insert(notes, 1, "2", env).expect("in range");
        let inner = replica.mark();
        replica.text_delete(notes, 0, 2, env).expect("in range");
        replica.text_insert(notes, 0, "gone", env).expect("in range");
        replica.map_set(facts, "gone", Value::Bool(true), env).expect("a writer");
        replica.rollback(&inner);
        replica.text_insert(notes, 2, "3", env).expect("in range");
        replica.end_transact(env)
    });
    assert_eq!(read(&mut a), "123");
    assert_eq!(a.replica.map_get(facts, "gone"), None);
    let mut again = a.reopen();
    assert_eq!(read(&mut again), "123");
    assert_eq!(again.replica.stats().inert, 0);
}

/// Consecutive changesets of one actor, in one strict commit, with one undo group; the write is the last of them.
#[test]
fn a_large_transaction_is_one_commit_of_consecutive_changesets_with_one_undo_group() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    type_in(&mut a, "before");
    a.with(|replica, env| replica.flush(env));
    let (notes, facts) = (notes(&mut a), facts(&mut a));
    let large = "l".repeat(150_000);
    a.slow_disk = true;
    let write = a
        .with(|replica, env| {
            let headers = Some(Value::from("h"));
            replica.begin_transact(Some("import".into()), headers, Some("cmd".into()), env).expect("small");
            for n in 0..4 {
                replica.text_insert(notes, 0, &large, env).expect("in range");
                replica.map_set(facts, &format!("{n}"), Value::from(&*large), env).expect("a writer");
            }
            replica.end_transact(env)
        })
        .expect("sealed");
    assert_eq!(a.waiting_commits.len(), 1, "one commit for all");
    let (_, batch) = a.waiting_commits[0].clone();
    let rows: Vec<_> =
        batch.append.iter().flat_map(|record| TailRecord::decode(record).expect("a record").0.rows).collect();
    assert!(rows.len() > 3, "{} changesets", rows.len());
    let seqs: Vec<u32> = rows.iter().map(|row| row.header().seq()).collect();
    assert_eq!(seqs, (1..=rows.len() as u32).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.encode().len() <= limits::CHANGESET_BYTES_MAX));
    assert!(rows.iter().all(|row| Some(row.header().actor()) == a.replica.actor()));
    assert_eq!(rows.last().map(|row| row.id()), Some(write));
    for row in &rows {
        assert!(!a.replica.is_saved(row.id(), Tier::Local));
    }
    a.write_commits(1);
    for row in &rows {
        assert!(a.replica.is_saved(row.id(), Tier::Local), "the write covers all");
    }
    let of_import: Vec<ChangesetSummary> = history(&a).split_off(1);
    let told: Vec<bool> = of_import.iter().map(|changeset| changeset.message.is_some()).collect();
    assert!(told[0]);
    assert!(told[1..].iter().all(|message| !message), "message and headers once");
    let groups: Vec<u64> = undo_groups(&mut a, &rows.iter().map(|row| row.id()).collect::<Vec<_>>());
    assert!(groups[0] > 0 && groups.iter().all(|group| *group == groups[0]), "{groups:?}");
    a.slow_disk = false;
    sync(&mut a, &mut b);
    assert_same(&a, &b);
    assert_same(&a.reopen(), &b);
}

/// The undo groups in the skeletons of these changesets, read with the keys of an invite.
fn undo_groups(node: &mut Node, ids: &[ChangesetId]) -> Vec<u64> {
    let mut log = stemma::event::Log::new(reader_of(node).genesis().clone());
    let invite = reader_of(node);
    for record in &node.disk.tail {
        for row in TailRecord::decode(record).expect("a record").0.rows {
            log.offer(row, 0);
        }
    }
    let mut groups = Vec::new();
    while let Some(ready) = log.next_ready() {
        if ids.contains(&ready.changeset.id()) {
            groups.push(ready.changeset.open_skeleton(invite.keys()).expect("it opens").undo_group);
        }
        let ix = log.add(ready);
        log.decide(ix, Fate::Integrated);
    }
    groups
}

fn reader_of(node: &mut Node) -> stemma::event::Invite {
    let mut fill = |bytes: &mut [u8]| bytes.fill(7);
    let mut env = stemma::replica::Env { now_ms: 0, random: &mut fill };
    node.replica.invite(Role::Reader, 0, 0, Vec::new(), &mut env).expect("may invite")
}

#[test]
fn a_changeset_has_no_more_ops_than_the_limit() {
    let mut a = Node::create(1);
    let facts = facts(&mut a);
    let ops = limits::OPS_MAX as u32 + 10;
    a.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        for n in 0..ops {
            replica.map_set(facts, ["a", "b"][n as usize % 2], Value::Bool(true), env).expect("a writer");
        }
        replica.end_transact(env)
    });
    let made: Vec<u32> = history(&a).iter().map(|changeset| changeset.ops).collect();
    assert!(made.iter().all(|ops| *ops as usize <= limits::OPS_MAX), "{made:?}");
    assert!(made.iter().sum::<u32>() <= ops);
    assert_eq!(a.reopen().replica.stats().inert, 0);
}

#[test]
fn only_a_single_value_above_the_limit_is_too_large() {
    let mut a = Node::create(1);
    let facts = facts(&mut a);
    let huge = Value::from(&*"v".repeat(limits::CHANGESET_BYTES_MAX));
    let refused = a.with(|replica, env| replica.map_set(facts, "k", huge, env));
    assert_eq!(refused, Err(EditFault::TooLarge));
    assert!(!a.replica.has_edits());
    let notes = notes(&mut a);
    let long = "t".repeat(3 * limits::CHANGESET_BYTES_MAX);
    a.with(|replica, env| replica.text_insert(notes, 0, &long, env)).expect("a text is cut");
    a.with(|replica, env| replica.flush(env));
    assert_eq!(read(&mut a.reopen()), long);
}

#[test]
fn the_option_that_is_too_large_is_named_and_opens_nothing() {
    let mut a = Node::create(1);
    let (long, some) = ("x".repeat(9_000), "y".repeat(5_000));
    let cases = [
        (Some(long.clone()), None, None, TransactFault::Message),
        (None, Some(Value::from(&*long)), None, TransactFault::Headers),
        (Some(some.clone()), Some(Value::from(&some[..4_000])), None, TransactFault::Message),
        (Some("m".into()), None, Some(some), TransactFault::Command),
    ];
    for (message, headers, command, fault) in cases {
        let begun = a.with(|replica, env| replica.begin_transact(message, headers, command, env));
        assert_eq!(begun, Err(fault));
    }
    type_in(&mut a, "x");
    assert_eq!(age_of_a_batch(&mut a), 1_000, "no transaction is open");
}

#[test]
fn more_heads_than_a_header_holds_are_gathered_first() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let attacker = Attacker::join(&a.invite(Role::Writer));
    let rows: Vec<Vec<u8>> = (1..=100)
        .map(|n| encoded(&attacker.next(&mut attacker.lane(n), &[], &attacker.set("k", "1", 5))))
        .collect();
    attacker.give(&mut a, &rows);
    assert_eq!(a.replica.heads().len(), 100);
    type_in(&mut a, "x");
    let write = a.with(|replica, env| replica.flush(env)).expect("a write");
    assert_eq!(a.replica.heads(), [write]);
    let own: Vec<ChangesetSummary> =
        history(&a).into_iter().filter(|changeset| Some(changeset.actor) == a.replica.actor()).collect();
    assert!(own.iter().all(|changeset| changeset.deps.len() <= limits::DEPS_MAX));
    let (merges, last) = own.split_at(own.len() - 1);
    assert!(merges.len() >= 3 && merges.iter().all(|merge| merge.ops == 0), "{own:?}");
    assert_eq!((last[0].id, last[0].ops), (write, 1));
    sync(&mut a, &mut b);
    assert_same(&a, &b);
}
