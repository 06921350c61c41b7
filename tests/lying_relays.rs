//! Relays that keep to the protocol and lie: they withhold, show each member another log, repeat, turn round and invent a
//! head. Nothing that was written is lost by it, nothing unverified shows, and those who meet hold the same afterwards.

mod common;
#[path = "common/relay.rs"]
mod relay;

use common::{Node, assert_same, sync};
use relay::Relay;
use stemma::causal::{ActorId, ChangesetId};
use stemma::event::{Header, ObjectKind, Role};
use stemma::replica::{SyncStatus, Tier};

fn write(node: &mut Node, text: &str) -> ChangesetId {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    node.with(|replica, env| replica.text_insert(notes, 0, text, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

fn read(node: &mut Node) -> String {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    node.replica.text(notes).expect("a text").to_string()
}

fn people() -> [Node; 3] {
    let mut ann = Node::create(1);
    let token = ann.invite(Role::Writer);
    let [ben, cy] = [2, 3].map(|seed| Node::join(seed, &token));
    [ann, ben, cy]
}

/// The log as it is shown to somebody: all of it, or without what one key signed.
fn without(relay: &Relay, node: &Node, actor: Option<ActorId>) -> Relay {
    let mut shown = Relay::new(relay.url, node.replica.space());
    let is_shown = |header: &[u8]| Some(Header::decode(header).expect("an honest header").actor()) != actor;
    shown.rows = relay.rows.iter().filter(|row| is_shown(&row.header)).cloned().collect();
    shown
}

#[test]
fn item_38_what_a_relay_withholds_is_waited_for_and_comes_from_whoever_has_it() {
    let [mut ann, mut ben, mut cy] = people();
    let mut relay = Relay::new("ws://one", ann.replica.space());
    let withheld = write(&mut ann, "withheld ");
    relay.connect(&mut ann);
    relay.drop_connection(&mut ann);
    relay.connect(&mut cy);
    let built = write(&mut cy, "built on it, ");
    relay.run(&mut cy);
    assert!(cy.replica.is_saved(built, Tier::Relay));

    let mut shown = without(&relay, &ann, ann.replica.actor());
    let own = write(&mut ben, "own ");
    shown.connect(&mut ben);
    assert_eq!(ben.replica.sync_state().status, SyncStatus::Live);
    assert!(ben.replica.is_saved(own, Tier::Relay), "work goes on");
    assert_eq!(read(&mut ben), "own ", "nothing shows without what it was made against");
    assert_eq!(ben.replica.pending(), [(built, None)], "and it is said what waits");
    assert!(!ben.replica.heads().contains(&withheld));
    let next = write(&mut ben, "and more ");
    shown.run(&mut ben);
    assert!(ben.replica.is_saved(next, Tier::Relay));

    sync(&mut ben, &mut cy);
    assert_same(&ben, &cy);
    assert_eq!(ben.replica.pending(), []);
    assert!(read(&mut ben).contains("built on it, withheld "));
    shown.run(&mut ben);
    assert!(shown.ids().contains(&withheld), "whoever was kept from it brings it to the relay again");
}

#[test]
fn item_39_members_who_were_shown_two_logs_hold_both_once_they_meet() {
    let [mut ann, mut ben, mut cy] = people();
    let mut relay = Relay::new("ws://one", ann.replica.space());
    let first = write(&mut cy, "both know, ");
    relay.connect(&mut cy);
    let mut faces = [(); 2].map(|()| without(&relay, &ann, None));
    let [to_ann, to_ben] = &mut faces;
    to_ann.connect(&mut ann);
    to_ben.connect(&mut ben);
    let (of_ann, of_ben) = (write(&mut ann, "ann "), write(&mut ben, "ben "));
    to_ann.run(&mut ann);
    to_ben.run(&mut ben);
    assert!(ann.replica.is_saved(of_ann, Tier::Relay) && ben.replica.is_saved(of_ben, Tier::Relay));
    assert_eq!((read(&mut ann), read(&mut ben)), ("ann both know, ".into(), "ben both know, ".into()));

    sync(&mut ann, &mut ben);
    assert_same(&ann, &ben);
    assert_eq!(ann.replica.state_hash(), ben.replica.state_hash());
    to_ann.run(&mut ann);
    to_ben.run(&mut ben);
    for face in &faces {
        let mut ids = face.ids();
        ids.sort();
        let mut all = [first, of_ann, of_ben];
        all.sort();
        assert_eq!(ids, all, "each brings what it was not shown");
    }
}

#[test]
fn a_log_that_is_turned_round_and_repeated_gives_the_same() {
    let [mut ann, mut ben, mut cy] = people();
    let mut relay = Relay::new("ws://one", ann.replica.space());
    relay.connect(&mut ann);
    for n in 0..20 {
        write(&mut ann, &format!("{n} "));
        relay.run(&mut ann);
    }
    relay.drop_connection(&mut ann);
    let mut shown = without(&relay, &ann, None);
    shown.rows.reverse();
    shown.rows.extend_from_within(..);
    shown.connect(&mut ben);
    assert_eq!(ben.replica.sync_state().status, SyncStatus::Live);
    assert_same(&ann, &ben);
    assert_eq!(ben.replica.pending(), []);
    // What was shown twice is held once.
    relay.connect(&mut cy);
    sync(&mut ben, &mut cy);
    assert_same(&ben, &cy);
    assert_eq!(cy.replica.stats().changesets, 20);
}

#[test]
fn a_head_that_is_not_there_is_not_waited_for() {
    let [mut ann, mut ben, _] = people();
    let mut relay = Relay::new("ws://one", ann.replica.space());
    relay.connect(&mut ann);
    write(&mut ann, "written ");
    relay.run(&mut ann);
    relay.drop_connection(&mut ann);
    for head in [0, 1 << 40] {
        relay.head = Some(head);
        relay.connect(&mut ben);
        assert_eq!(read(&mut ben), "written ");
        let state = ben.replica.sync_state();
        assert_eq!((state.status, state.settled, state.progress), (SyncStatus::Live, true, None));
        relay.drop_connection(&mut ben);
    }
}
