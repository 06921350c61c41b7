//! Logs that are not the one that was read: what each side lacks of the other is found and sent, and little else. And rows that came
//! spoilt, which are asked for again.

mod common;
#[path = "common/relay.rs"]
mod relay;

use common::{Node, assert_same};
use relay::Relay;
use std::collections::BTreeSet;
use stemma::causal::{ChangesetId, LogId};
use stemma::event::{ObjectKind, Role};
use stemma::replica::{HistoryFilter, SyncStatus, Tier, Trouble};
use stemma::sync::Row;

fn write(node: &mut Node, value: i64) -> ChangesetId {
    let votes = node.replica.object("votes", ObjectKind::Counter).expect("a counter");
    node.with(|replica, env| replica.counter_add(votes, value, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

fn writes(node: &mut Node, count: usize, value: i64) {
    for _ in 0..count {
        write(node, value);
    }
}

fn relay_of(node: &Node) -> Relay {
    Relay::new("ws://one", node.replica.space())
}

/// The connection breaks, and the log is another one with these of its rows.
fn begin_anew(relay: &mut Relay, nodes: &mut [&mut Node], log_id: u8, kept: impl Fn(usize) -> bool) {
    nodes.iter_mut().for_each(|node| relay.drop_connection(node));
    relay.log_id = LogId([log_id; 16]);
    let mut at = 0..;
    relay.rows.retain(|_| kept(at.next().expect("endless")));
    (relay.bytes, relay.delivered) = (0, 0);
    relay.pushes.clear();
}

#[test]
fn ten_of_thousands_of_changesets_cost_kilobytes_in_either_direction() {
    const ALL: usize = 8_000;
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    writes(&mut a, ALL - 10, 1);
    let export = a.replica.export_space();
    b.with(|replica, env| replica.import_space(&export, env)).expect("it was exported");
    b.settle();
    writes(&mut a, 10, 1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    assert_eq!(relay.rows.len(), ALL);

    // Another relay than any that was read, with ten more.
    let all = relay.bytes;
    relay.drop_connection(&mut a);
    (relay.bytes, relay.delivered) = (0, 0);
    relay.connect(&mut b);
    assert_same(&a, &b);
    assert_eq!((relay.delivered, b.replica.sync_state().status), (10, SyncStatus::Live));
    assert!(relay.bytes < 12_000, "{} bytes", relay.bytes);

    // A log that was restored, and lacks ten.
    begin_anew(&mut relay, &mut [&mut b], 2, |at| at < ALL - 10);
    relay.wait(&mut a, 2_000);
    assert_eq!((relay.rows.len(), relay.pushes.iter().sum::<usize>()), (ALL, 10));
    assert!(relay.bytes < 12_000, "{} bytes", relay.bytes);
    assert!(all > 2_500_000, "all of them are {all} bytes");
}

#[test]
fn each_side_gets_what_it_lacks_and_the_place_is_kept() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    writes(&mut a, 20, 1);
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    relay.connect(&mut b);
    writes(&mut b, 5, 1);
    relay.run(&mut b);
    // It lacks the last three of the first, who lacks all of the second's.
    let before = relay.rows.len();
    begin_anew(&mut relay, &mut [&mut b], 2, |at| !(17..20).contains(&at));
    let lost = before - relay.rows.len();
    relay.wait(&mut a, 2_000);
    assert_eq!(relay.rows.len(), before);
    assert_eq!((relay.pushes.iter().sum::<usize>(), lost), (lost, 3));
    assert_eq!(relay.delivered, 5 + lost, "what it pushed itself comes back");
    assert_same(&a, &b);
    let status = a.replica.sync_state();
    assert!(status.settled && status.status == SyncStatus::Live);

    // After another breach there is nothing to compare.
    relay.drop_connection(&mut a);
    relay.bytes = 0;
    let after = write(&mut a, 1);
    relay.wait(&mut a, 2_000);
    assert!(a.replica.is_saved(after, Tier::Relay));
    assert_eq!(relay.rows.len(), before + 1);
}

#[test]
fn a_relay_that_knows_no_ladder_is_read_from_the_start() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.is_old = true;
    relay.connect(&mut a);
    writes(&mut a, 20, 1);
    relay.run(&mut a);
    begin_anew(&mut relay, &mut [&mut a], 2, |at| at < 15);
    relay.wait(&mut a, 2_000);
    assert_eq!((relay.rows.len(), relay.pushes.iter().sum::<usize>()), (20, 5));
    assert!(relay.delivered >= 15, "all of it came");
}

#[test]
fn both_branches_of_a_fork_are_found_from_their_ends() {
    let mut a = Node::create(1);
    writes(&mut a, 3, 1);
    let mut twin = a.twin(7);
    let mut relay = relay_of(&a);
    writes(&mut a, 9, 1);
    writes(&mut twin, 6, 10);
    relay.connect(&mut a);
    relay.drop_connection(&mut a);
    relay.connect(&mut twin);
    assert_eq!(relay.rows.len(), 18);
    relay.drop_connection(&mut twin);
    begin_anew(&mut relay, &mut [], 2, |_| true);
    let all = relay.ids();
    relay.wait(&mut a, 2_000);
    // It has moved to another actor by then, and says so.
    let history = a.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
    let here: BTreeSet<ChangesetId> = history.iter().map(|one| one.id).collect();
    assert!(all.iter().all(|id| here.contains(id)), "both branches are here");
    assert!(relay.delivered < 18, "not all of it: {}", relay.delivered);
}

/// Two members of a space, and a relay that has four changesets of the first and delivers them to the second spoilt.
fn spoilt(spoil: fn(&mut Row)) -> (Node, Node, Relay) {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    writes(&mut a, 4, 1);
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    relay.spoils = Some(spoil);
    relay.connect(&mut b);
    (a, b, relay)
}

/// How it was told that rows came spoilt; then they are got from the relay, which is honest now.
fn mends(spoil: fn(&mut Row)) -> (Vec<String>, Node, Node) {
    let (a, mut b, mut relay) = spoilt(spoil);
    let told = b.troubles.iter().filter_map(|trouble| match trouble {
        Trouble::Refused(_, reason) => Some(reason.clone()),
        _ => None,
    });
    let told = told.collect();
    relay.spoils = None;
    relay.wait(&mut b, 30_000);
    (told, a, b)
}

#[test]
fn a_row_with_a_spoilt_segment_is_asked_for_again_and_told() {
    let spoils: [fn(&mut Row); 2] = [
        |row| row.skeleton = vec![1; row.skeleton.len()].into(),
        |row| row.content = row.content.as_ref().map(|content| vec![1; content.len()].into()),
    ];
    for spoil in spoils {
        let (told, a, b) = mends(spoil);
        assert!(told.iter().any(|reason| reason.starts_with("ws://one: a part of it is spoilt")), "{told:?}");
        assert_same(&a, &b);
    }
}

#[test]
fn a_row_with_a_spoilt_signature_is_asked_for_again_and_not_passed_on_before() {
    // Behind each but the last there is one that vouches for it, once that is whole itself.
    let (told, a, mut b) = mends(|row| row.signature[3] ^= 1);
    assert!(!told.is_empty());
    assert_same(&a, &b);
    let mut other = Relay::new("ws://two", a.replica.space());
    other.connect(&mut b);
    assert_eq!(other.rows.len(), 4, "an honest relay takes all of them");
}

#[test]
fn who_asks_in_vain_stops_until_somebody_else_is_there() {
    let (mut a, mut b, mut relay) = spoilt(|row| row.skeleton = vec![1; row.skeleton.len()].into());
    let delivered = relay.delivered;
    relay.wait(&mut b, 30_000);
    let asked = relay.delivered - delivered;
    assert!((4..=8).contains(&asked), "twice four: {asked}");
    relay.wait(&mut b, 600_000);
    assert_eq!(relay.delivered - delivered, asked);
    let mut other = Relay::new("ws://two", a.replica.space());
    other.connect(&mut a);
    other.drop_connection(&mut a);
    other.connect(&mut b);
    other.wait(&mut b, 30_000);
    assert_same(&a, &b);
}
