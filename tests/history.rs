//! The list of all changesets: whoever read a part of it finds what is left, also where everything has other numbers; and
//! whoever waits for more is told once there is more in the store.

mod common;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use rng::{Rng, fuzz};
use std::collections::BTreeSet;
use stemma::causal::ChangesetId;
use stemma::event::{ObjectKind, Role, Value};
use stemma::replica::{HistoryFilter, LaneEnd};

fn write(node: &mut Node, value: &str) -> ChangesetId {
    let map = node.replica.object("m", ObjectKind::Map).expect("a name");
    node.with(|replica, env| replica.map_set(map, "k", Value::from(value), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env)).expect("something was written")
}

fn ids(node: &Node, from: u32, to: u32) -> Vec<ChangesetId> {
    let filter = HistoryFilter { from, to: Some(to), limit: usize::MAX, ..HistoryFilter::default() };
    node.replica.history(&filter).into_iter().map(|one| one.id).collect()
}

fn unread(node: &Node, read: &[LaneEnd]) -> BTreeSet<ChangesetId> {
    node.replica.unread(read).into_iter().flat_map(|range| ids(node, range.start, range.end)).collect()
}

/// Goes on to the ends of what was read now.
fn pass(ends: &mut Vec<LaneEnd>, now: Vec<LaneEnd>) {
    for end in now {
        match ends.iter().position(|last| last.actor == end.actor && Some(last.id) == end.before) {
            Some(at) => ends[at] = end,
            None => ends.push(end),
        }
    }
}

/// The same device a second time: both go on with one actor.
fn copy(node: &Node, seed: u64) -> Node {
    let mut copy = Node::create(seed);
    copy.disk = node.disk.clone();
    copy.reopen()
}

#[test]
fn what_was_not_read_is_found_in_any_order() {
    fuzz(20, |seed| {
        let mut rng = Rng::new(seed);
        let mut first = Node::create(seed * 10);
        let token = first.invite(Role::Writer);
        write(&mut first, "first");
        let mut nodes = vec![first];
        nodes.extend((1..3).map(|n| Node::join(seed * 10 + n, &token)));
        let fork = copy(&nodes[0], seed * 10 + 3);
        nodes.push(fork);
        for step in 0..40 {
            let at = rng.below(nodes.len());
            write(&mut nodes[at], &step.to_string());
            if rng.chance(30) {
                let other = (at + 1 + rng.below(nodes.len() - 1)) % nodes.len();
                let [a, b] = nodes.get_disjoint_mut([at, other]).expect("two of them");
                sync(a, b);
            }
        }
        let (reader, others) = nodes.split_first_mut().expect("four");
        for _ in 0..2 {
            others.iter_mut().for_each(|other| sync(reader, other));
        }
        assert_eq!(reader.replica.stats().forks, 1, "one device was copied");
        let twin = reader.twin(seed * 10 + 4);
        assert_same(reader, &twin);
        let all = ids(reader, 0, u32::MAX);
        assert_ne!(ids(&twin, 0, u32::MAX), all, "in another order");
        let (mut ends, mut read) = (Vec::new(), 0);
        while read < all.len() as u32 {
            let next = (read + 1 + rng.below(8) as u32).min(all.len() as u32);
            pass(&mut ends, reader.replica.lane_ends(read..next));
            read = next;
            let left: BTreeSet<ChangesetId> = all[read as usize..].iter().copied().collect();
            assert_eq!(unread(reader, &ends), left);
            assert_eq!(unread(&twin, &ends), left);
        }
    });
}

#[test]
fn what_was_said_with_changesets_is_listed_without_their_rows() {
    let said = |node: &Node| {
        let list = node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
        let notes = list.into_iter().map(|one| (one.id, one.message, one.headers, one.command));
        notes.collect::<Vec<_>>()
    };
    let headers = |length: usize| Some(Value::from("h".repeat(length).as_str()));
    let mut owner = Node::create(50);
    let map = owner.replica.object("m", ObjectKind::Map).expect("a name");
    let written = [
        (None, None, None),
        (Some("first".to_owned()), None, None),
        (None, headers(10), Some("pay".to_owned())),
        (Some("long headers".to_owned()), headers(2_000), None),
        (Some(String::new()), None, None),
    ];
    for (at, (message, headers, command)) in written.iter().cloned().enumerate() {
        owner
            .with(|replica, env| replica.begin_transact(message, headers, command, env))
            .expect("nothing else runs");
        let value = Value::from(format!("{at}").as_str());
        owner.with(|replica, env| replica.map_set(map, "k", value, env)).expect("a writer");
        owner.with(|replica, env| replica.end_transact(env)).expect("something was written");
    }
    let all = said(&owner);
    let listed: Vec<_> = all
        .iter()
        .map(|(_, message, headers, command)| (message.clone(), headers.clone(), command.clone()))
        .collect();
    assert_eq!(listed[listed.len() - written.len()..], written);
    // As it arrived, it is the same.
    let mut other = Node::join(51, &owner.invite(Role::Writer));
    sync(&mut owner, &mut other);
    let arrived = said(&other);
    assert!(all.iter().all(|one| arrived.contains(one)));
    // From a snapshot all of it is here but what is long: that comes with the rows.
    assert!(owner.snapshot());
    let all = said(&owner);
    let mut owner = owner.reopen_without_bytes(true);
    assert!(owner.replica.history_needs_rows());
    let is_long = |message: &Option<String>| message.as_deref() == Some("long headers");
    let brief: Vec<_> = all.iter().filter(|(_, message, ..)| !is_long(message)).cloned().collect();
    let mut now = said(&owner);
    now.retain(|(id, ..)| brief.iter().any(|(other, ..)| other == id));
    assert_eq!(now, brief);
    owner.supply();
    assert!(!owner.replica.history_needs_rows());
    assert_eq!(said(&owner), all);
    // Signed anew with other numbers, it is what it was.
    owner.disk.broken = Some("E_STORAGE_QUOTA");
    write(&mut owner, "lost");
    owner.disk.broken = None;
    let again = said(&owner);
    assert!(all.iter().all(|one| again.contains(one)));
}

#[test]
fn of_a_chain_whose_end_is_lost_the_rest_was_read() {
    let mut node = Node::create(1);
    for n in 0..3 {
        write(&mut node, &n.to_string());
    }
    let early = copy(&node, 2);
    let kept = ids(&early, 0, u32::MAX);
    let token = node.invite(Role::Writer);
    let mut guest = Node::join(3, &token);
    let of_guest = write(&mut guest, "guest");
    write(&mut node, "lost");
    let ends = node.replica.lane_ends(0..node.replica.log_len());
    assert_eq!(ids(&node, 0, u32::MAX).len(), kept.len() + 1);
    assert_eq!(unread(&early, &ends), BTreeSet::new());
    let mut early = early;
    sync(&mut early, &mut guest);
    assert_eq!(unread(&early, &ends), BTreeSet::from([of_guest]));
}

#[test]
fn growth_is_told_once_to_whoever_asked_and_only_of_what_is_stored() {
    let mut node = Node::create(1);
    let token = node.invite(Role::Writer);
    let mut guest = Node::join(2, &token);
    write(&mut guest, "theirs");
    write(&mut node, "mine");
    assert_eq!(node.grown, 0, "nobody asked");
    let len = node.replica.log_len();
    node.with(|replica, _| replica.tell_growth(len));
    assert_eq!(node.grown, 0, "nothing is new");
    node.slow_disk = true;
    write(&mut node, "mine, not stored");
    assert_eq!((node.replica.log_len(), node.replica.stored_len(), node.grown), (len + 1, len, 0));
    node.write_commits(1);
    assert_eq!((node.replica.stored_len(), node.grown), (len + 1, 1));
    write(&mut node, "more");
    node.write_commits(usize::MAX);
    assert_eq!(node.grown, 1, "one asked once");
    // Somebody who is behind is told at once.
    node.with(|replica, _| replica.tell_growth(len));
    assert_eq!(node.grown, 2);

    let len = node.replica.log_len();
    node.with(|replica, _| replica.tell_growth(len));
    let export = guest.replica.export_space();
    node.with(|replica, env| replica.import_space(&export, env)).expect("an export");
    assert_eq!((node.replica.log_len(), node.replica.stored_len(), node.grown), (len + 1, len, 2));
    node.write_commits(usize::MAX);
    assert_eq!((node.replica.stored_len(), node.grown), (len + 1, 3));
}

#[test]
fn what_cannot_be_stored_is_told_as_it_is_signed_anew() {
    let mut node = Node::create(1);
    write(&mut node, "stored");
    let (len, numbering) = (node.replica.log_len(), node.replica.numbering());
    let ends = node.replica.lane_ends(0..len);
    node.with(|replica, _| replica.tell_growth(len));
    node.slow_disk = true;
    node.disk.broken = Some("E_STORAGE_QUOTA");
    let lost = write(&mut node, "lost");
    assert_eq!(node.grown, 0);
    node.write_commits(usize::MAX);
    assert_eq!((node.grown, node.replica.numbering()), (1, numbering + 1));
    assert_eq!(node.replica.stored_len(), node.replica.log_len(), "nothing is on its way any more");
    let anew = unread(&node, &ends);
    assert!(anew.len() == 1 && !anew.contains(&lost), "it has another id: {anew:?}");
}
