//! Drafts: what of an open batch a tab that dies leaves behind, and that whoever takes its actor shows just that.

mod common;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use rng::{Rng, fuzz};
use stemma::causal::ActorId;
use stemma::doc::ObjectIx;
use stemma::event::{ObjectKind, Options, Role, Value};
use stemma::replica::{DraftFault, HistoryFilter, Settings};
use stemma::store::StoreName;

const DRAFTS: Settings = Settings { batch_ms: None, drafts: true };
const SECRET: &str = "kanarie7";

fn object(node: &mut Node, name: &str, kind: ObjectKind) -> ObjectIx {
    node.replica.object(name, kind).expect("an object")
}

fn type_in(node: &mut Node, string: &str) {
    let notes = object(node, "notes", ObjectKind::Text);
    let end = node.replica.text(notes).expect("a text").len();
    node.with(|replica, env| replica.text_insert(notes, end, string, env)).expect("in range");
}

fn read(node: &mut Node) -> String {
    let notes = object(node, "notes", ObjectKind::Text);
    node.replica.text(notes).expect("a text").to_string()
}

fn changesets(node: &Node) -> usize {
    node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() }).len()
}

/// Time goes by, and the timer rings whenever it is due.
fn wait(node: &mut Node, ms: u64) {
    let end = node.now_ms + ms;
    while let Some(due) = node.replica.next_timer(node.now_ms).filter(|due| *due <= end) {
        node.now_ms = node.now_ms.max(due);
        node.with(|replica, env| replica.tick(env));
    }
    node.now_ms = end;
}

/// A node with something sealed, and something typed that is in a draft alone.
fn in_the_middle() -> Node {
    let mut node = Node::create_with(1, DRAFTS);
    type_in(&mut node, "sealed, ");
    wait(&mut node, 1_000);
    type_in(&mut node, SECRET);
    wait(&mut node, 100);
    assert_eq!((node.disk.drafts().len(), node.replica.open_edits()), (1, 1));
    node
}

#[test]
fn what_was_typed_before_a_tab_died_is_sealed_by_the_next_one_and_is_one_step_of_undo() {
    let node = in_the_middle();
    let (actor, before) = (node.replica.actor(), changesets(&node));
    let mut again = node.reopen();
    assert_eq!(read(&mut again), format!("sealed, {SECRET}"));
    assert_eq!((again.replica.actor(), changesets(&again)), (actor, before + 1));
    assert!(again.disk.drafts().is_empty() && again.left.is_empty());
    assert!(again.with(|replica, env| replica.undo(&[], env)));
    assert_eq!(read(&mut again), "sealed, ");
    // What is stored is the whole truth.
    let mut once_more = again.reopen();
    assert_eq!(read(&mut once_more), "sealed, ");
}

#[test]
fn a_draft_is_written_ten_times_a_second_at_most_and_not_where_it_is_sealed_soon() {
    let mut node = Node::create_with(1, DRAFTS);
    for _ in 0..100 {
        type_in(&mut node, "x");
        wait(&mut node, 10);
    }
    // At 100, 200 and so on; what is typed after 900 is sealed at 1,000.
    assert_eq!((node.drafted, changesets(&node)), (9, 1));
    wait(&mut node, 10_000);
    assert_eq!(node.drafted, 9, "what is sealed is no draft");
    type_in(&mut node, "x");
    wait(&mut node, 900);
    assert_eq!(node.drafted, 10, "what is written down is not written again");
    node.with(|replica, env| replica.flush(env));
    let peer = node.replica.attach();
    node.with(|replica, env| replica.opened(peer, env));
    type_in(&mut node, "x");
    wait(&mut node, 200);
    assert_eq!((node.drafted, node.replica.open_edits()), (11, 0), "once where others are online");
}

#[test]
fn the_commit_of_what_is_sealed_takes_the_draft_away_and_no_other_one_does() {
    let mut node = in_the_middle();
    node.slow_disk = true;
    node.with(|replica, env| replica.flush(env));
    assert_eq!(node.disk.drafts().len(), 1, "not stored yet");
    let stored: Vec<_> = node.waiting_commits.iter().map(|(_, batch)| batch.clone()).collect();
    let actor = node.replica.actor().expect("an actor");
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].delete, [(StoreName::Drafts, actor.to_string())]);
    assert!(!stored[0].append.is_empty());
    // Sealed and signed, but never stored, and so never sent: what was typed is not lost either.
    node.waiting_commits.clear();
    let mut again = node.reopen();
    assert_eq!(read(&mut again), format!("sealed, {SECRET}"));
}

#[test]
fn nothing_of_a_draft_is_in_clear() {
    let mut node = in_the_middle();
    let facts = object(&mut node, &format!("{SECRET} facts"), ObjectKind::Map);
    let key = format!("{SECRET} key");
    node.with(|replica, env| replica.map_set(facts, &key, Value::from(SECRET), env)).expect("small");
    wait(&mut node, 100);
    let (_, record) = node.disk.drafts().remove(0);
    assert!(!record.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
    let again = node.reopen();
    assert_eq!((changesets(&again), again.left.len()), (2, 0));
}

#[test]
fn a_draft_that_is_damaged_anywhere_is_told_and_dropped_and_stops_nothing() {
    let node = in_the_middle();
    let (actor, record) = node.disk.drafts().remove(0);
    let cut = (0..record.len()).map(|len| record[..len].to_vec());
    let flipped = (0..record.len()).map(|at| {
        let mut other = record.clone();
        other[at] ^= 1 << (at % 8);
        other
    });
    let mut twin = node.reopen();
    assert_eq!(read(&mut twin), format!("sealed, {SECRET}"));
    let newer = |record: &[u8]| record.first().is_some_and(|version| *version > 1);
    for damaged in cut.chain(flipped) {
        let taken = twin.with(|replica, env| replica.take_up_draft(actor, &damaged, env));
        let (fault, is_kept) =
            if newer(&damaged) { (DraftFault::Newer, true) } else { (DraftFault::Damaged, false) };
        assert_eq!(taken.fault, Some(fault));
        assert!(taken.batch.append.is_empty() && taken.batch.put.is_empty());
        assert_eq!(taken.batch.delete.is_empty(), is_kept);
    }
    // What was sealed is not sealed again.
    let taken = twin.with(|replica, env| replica.take_up_draft(actor, &record, env));
    assert_eq!(taken.fault, Some(DraftFault::GoneOn));
    assert_eq!(taken.batch.delete.len(), 1);
}

#[test]
fn a_draft_of_a_newer_version_stays_and_its_actor_signs_nothing() {
    let mut node = in_the_middle();
    let actor = node.replica.actor().expect("an actor");
    let (_, mut record) = node.disk.drafts().remove(0);
    record[0] = 2;
    node.disk.keyed.insert((StoreName::Drafts, actor.to_string()), record.clone());
    let mut again = node.reopen();
    assert_eq!(again.left, [(actor, DraftFault::Newer)]);
    assert_ne!(again.replica.actor(), Some(actor));
    type_in(&mut again, "meanwhile");
    wait(&mut again, 2_000);
    assert_eq!(again.disk.drafts(), [(actor, record.clone())]);
    // A version that can read it finds it where it began.
    record[0] = 1;
    again.disk.keyed.insert((StoreName::Drafts, actor.to_string()), record);
    let mut later = again.reopen();
    let text = read(&mut later);
    assert!(text.contains(SECRET) && text.contains("meanwhile"), "{text}");
    assert!(later.disk.drafts().is_empty());
}

#[test]
fn a_draft_whose_past_is_not_here_waits_for_it() {
    let mut host = Node::create_with(1, DRAFTS);
    let token = host.invite(Role::Writer);
    let mut guest = Node::join_with(2, &token, DRAFTS);
    type_in(&mut host, "host, ");
    sync(&mut host, &mut guest);
    wait(&mut host, 1_000);
    sync(&mut host, &mut guest);
    type_in(&mut guest, "guest");
    wait(&mut guest, 100);
    let actor = guest.replica.actor().expect("an actor");
    assert_eq!(guest.disk.drafts().len(), 1);
    let tail = std::mem::take(&mut guest.disk.tail);
    let mut poor = guest.reopen();
    assert_eq!(poor.left, [(actor, DraftFault::Past)]);
    assert_eq!(poor.disk.drafts().len(), 1);
    assert_ne!(poor.replica.actor(), Some(actor));
    poor.disk.tail = tail;
    let mut again = poor.reopen();
    assert_eq!((read(&mut again), again.left.len()), ("host, guest".to_owned(), 0));
}

#[test]
fn what_no_changeset_can_carry_is_sealed_in_place_of_a_draft() {
    let mut node = Node::create_with(1, DRAFTS);
    type_in(&mut node, &"x".repeat(300_000));
    wait(&mut node, 100);
    assert_eq!((node.drafted, node.replica.open_edits()), (0, 0));
    assert!(changesets(&node) > 1);
    // What takes long to write down is written down less often.
    type_in(&mut node, &"y".repeat(100_000));
    wait(&mut node, 100);
    for _ in 0..80 {
        type_in(&mut node, "z");
        wait(&mut node, 10);
    }
    assert_eq!(node.drafted, 2);
}

#[test]
fn a_transaction_an_actor_that_does_not_last_and_a_store_that_failed_have_no_draft() {
    let mut node = Node::create_with(1, DRAFTS);
    node.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    type_in(&mut node, "x");
    assert_eq!(node.replica.next_timer(node.now_ms), None);
    node.with(|replica, env| replica.end_transact(env));
    node.with(|replica, env| replica.new_actor(false, env));
    type_in(&mut node, "x");
    wait(&mut node, 900);
    assert_eq!((node.drafted, node.replica.open_edits()), (0, 1));

    let mut node = in_the_middle();
    let drafted = node.drafted;
    node.disk.broken = Some("E_STORAGE_QUOTA");
    node.with(|replica, env| replica.flush(env));
    node.disk.broken = None;
    // It is let go of as soon as the store does that: its ops are in memory, and at the relay.
    type_in(&mut node, "x");
    wait(&mut node, 900);
    node.write_commits(usize::MAX);
    assert_eq!((node.drafted, node.disk.drafts().len()), (drafted, 0));
}

#[test]
fn every_tab_that_died_left_its_own_draft() {
    let mut one = Node::create_with(1, DRAFTS);
    type_in(&mut one, "one, ");
    wait(&mut one, 1_000);
    // Another tab of the same database.
    let disk = one.disk.clone();
    let mut two = Node::create_with(2, DRAFTS);
    two.disk = disk;
    let mut two = two.reopen_keeping_actor(false);
    let keyed = two.disk.keyed.clone();
    type_in(&mut one, "first");
    type_in(&mut two, "second");
    wait(&mut one, 100);
    wait(&mut two, 100);
    let drafts = [one.disk.drafts(), two.disk.drafts()].concat();
    one.disk.keyed.extend(keyed);
    for (actor, record) in drafts {
        one.disk.keyed.insert((StoreName::Drafts, actor.to_string()), record);
    }
    let mut again = one.reopen();
    let text = read(&mut again);
    assert!(["one, firstsecond", "one, secondfirst"].contains(&&*text), "{text}");
    assert!(again.disk.drafts().is_empty() && again.left.is_empty());
}

/// Two members edit, sync and die at any moment. What the next tab of one that died shows is what it would have shown, had it
/// sealed all that was in its draft; and they go on as if nothing had been.
#[test]
fn whoever_takes_up_a_draft_shows_what_was_edited() {
    fuzz(60, |seed| {
        let mut rng = Rng::new(seed);
        let mut host = Node::create_with(seed, DRAFTS);
        let token = host.invite(Role::Writer);
        let guest = Node::join_with(seed + 1_000_000, &token, DRAFTS);
        let mut nodes = [Some(host), Some(guest)];
        // What each had drafted when it edited last.
        let (mut drafted, mut crashes) = ([0; 2], 0);
        for _ in 0..40 {
            let which = rng.below(2);
            let node = nodes[which].as_mut().expect("put back");
            match rng.below(8) {
                0 => {
                    let [a, b] = &mut nodes;
                    sync(a.as_mut().expect("put back"), b.as_mut().expect("put back"));
                }
                1 => wait(node, rng.below(1_500) as u64),
                2 | 3 => {
                    wait(node, 100);
                    let is_open = node.replica.open_edits() > 0;
                    // Shortly before a batch is sealed there is no draft of what was added last.
                    if !is_open || node.drafted > drafted[which] {
                        let node = nodes[which].take().expect("put back");
                        nodes[which] = Some(died(node));
                        drafted[which] = 0;
                        crashes += usize::from(is_open);
                    }
                }
                _ => {
                    drafted[which] = node.drafted;
                    (0..1 + rng.below(4)).for_each(|_| edit(node, &mut rng));
                }
            }
        }
        let [Some(mut a), Some(mut b)] = nodes else { unreachable!("each was put back") };
        wait(&mut a, 2_000);
        wait(&mut b, 2_000);
        sync(&mut a, &mut b);
        assert_same(&a, &b);
        assert_eq!(a.replica.stats().pending + b.replica.stats().pending, 0);
        assert!(seed % 10 != 0 || crashes > 0, "a life without an end");
    });
}

/// The tab ends; the next one shows what the first would have sealed.
fn died(mut node: Node) -> Node {
    let disk = node.disk.clone();
    assert_eq!(disk.drafts().is_empty(), node.replica.open_edits() == 0);
    node.with(|replica, env| replica.flush(env));
    node.settle();
    let would = (node.replica.state_hash(), node.replica.stats().changesets);
    node.disk = disk;
    let mut again = node.reopen();
    again.settle();
    again.replica.dbg_check();
    assert!(again.disk.drafts().is_empty() && again.left.is_empty() && again.troubles.is_empty());
    assert_eq!((again.replica.state_hash(), again.replica.stats().changesets), would);
    again
}

fn edit(node: &mut Node, rng: &mut Rng) {
    let (key, value) = (format!("k{}", rng.below(4)), Value::from(&*format!("v{}", rng.below(9))));
    match rng.below(9) {
        0 | 1 => {
            let text = object(node, "notes", ObjectKind::Text);
            let len = node.replica.text(text).expect("a text").len();
            let at = rng.below(len as usize + 1) as u32;
            node.with(|replica, env| replica.text_insert(text, at, "né 🌍", env)).expect("in range");
        }
        2 => {
            let text = object(node, "notes", ObjectKind::Text);
            let len = node.replica.text(text).expect("a text").len();
            let at = rng.below(len as usize + 1) as u32;
            let count = (rng.below(5) as u32).min(len - at);
            node.with(|replica, env| replica.text_delete(text, at, count, env)).expect("in range");
            let left = node.replica.text(text).expect("a text").len();
            if left > 0 {
                let (end, mark) =
                    (1 + rng.below(left as usize) as u32, ("bold", Value::Bool(rng.chance(70))));
                node.with(|replica, env| replica.text_mark(text, 0..end, mark, None, env)).expect("in range");
            }
        }
        3 => {
            let map = object(node, "facts", ObjectKind::Map);
            node.with(|replica, env| match value == Value::from("v0") {
                true => drop(replica.map_delete(map, &key, env).expect("a writer")),
                false => replica.map_set(map, &key, value, env).expect("a writer"),
            });
        }
        4 => {
            let map = object(node, "plans", ObjectKind::Map);
            let child = node.replica.map_child(map, &key, ObjectKind::Map, &Options::default());
            let child = child.expect("a map has children");
            node.with(|replica, env| replica.map_set(child, "title", value, env)).expect("a writer");
        }
        5 => {
            let list = object(node, "tasks", ObjectKind::List);
            let len = node.replica.list(list).expect("a list").len() as usize;
            let (from, to) = (rng.below(len.max(1)) as u32, rng.below(len.max(1)) as u32);
            let what = rng.below(3);
            node.with(|replica, env| match what {
                0 if len > 0 => replica.list_delete(list, from, 1, env).expect("in range"),
                1 if len > 0 => replica.list_move(list, from, to, env).expect("in range"),
                _ => replica.list_insert(list, from.min(len as u32), vec![value], env).expect("in range"),
            });
        }
        6 => {
            let votes = object(node, "votes", ObjectKind::Counter);
            let amount = rng.below(20) as i64 - 9;
            node.with(|replica, env| replica.counter_add(votes, amount, env)).expect("small");
        }
        7 => {
            let (tags, cart) =
                (object(node, "tags", ObjectKind::Set), object(node, "cart", ObjectKind::Cart));
            node.with(|replica, env| match amount_of(&value) {
                0 => drop(replica.set_delete(tags, &Value::from(&*key), env).expect("a writer")),
                1 | 2 => drop(replica.cart_remove(cart, &value, env).expect("a writer")),
                3 | 4 => replica.cart_add(cart, &value, 2, env).expect("a writer"),
                _ => replica.set_add(tags, &Value::from(&*key), Some(value), env).expect("a writer"),
            });
        }
        _ => {
            node.with(|replica, env| replica.undo(&[], env));
        }
    }
}

fn amount_of(value: &Value) -> usize {
    let Value::String(string) = value else { return 0 };
    string[1..].parse().expect("a digit")
}

#[test]
fn an_actor_is_no_other_ones() {
    let mut node = in_the_middle();
    let (_, record) = node.disk.drafts().remove(0);
    let taken = node.with(|replica, env| replica.take_up_draft(ActorId([7; 32]), &record, env));
    assert_eq!(taken.fault, Some(DraftFault::Damaged));
}
