//! Tabs of one database: rows go through the store, one tab speaks with the relay, and tells the others what came of it.

mod common;
#[path = "common/relay.rs"]
mod relay;

use common::Node;
use relay::Relay;
use std::collections::BTreeMap;
use stemma::event::{ObjectKind, Value};
use stemma::replica::{Elsewhere, Obstacle, SyncStatus, Tier};
use stemma::sync::Code;

/// Two tabs of a database, of which the first speaks with a relay.
fn tabs() -> (Node, Node, Relay) {
    let mut first = Node::create(1);
    write(&mut first, "k", 1);
    let mut second = Node::create(2);
    second.disk = first.disk.clone();
    let mut second = second.reopen_keeping_actor(false);
    second.now_ms = first.now_ms;
    for tab in [&mut first, &mut second] {
        share(tab, SyncStatus::Offline, None);
    }
    let mut relay = Relay::new("wss://relay.example", first.replica.space());
    relay.connect(&mut first);
    share(&mut second, SyncStatus::Live, None);
    (first, second, relay)
}

fn share(tab: &mut Node, status: SyncStatus, refusal: Option<&str>) {
    let elsewhere = Elsewhere { status, refusal: refusal.map(str::to_owned), rejected: Vec::new() };
    tab.with(|replica, env| replica.share_relays(Some(elsewhere), env));
}

fn write(tab: &mut Node, key: &str, value: u32) -> stemma::ChangesetId {
    let map = tab.replica.object("m", ObjectKind::Map).expect("a map");
    tab.with(|replica, env| replica.map_set(map, key, Value::String(value.to_string()), env))
        .expect("a write");
    tab.with(|replica, env| replica.flush(env)).expect("something was written")
}

fn show(tab: &mut Node, n: u32) {
    let state = BTreeMap::from([("n".to_owned(), Value::String(n.to_string()))]);
    assert!(tab.with(|replica, env| replica.set_presence(state, env)));
}

/// What one tab stored is read by the other.
fn read_on(from: &Node, to: &mut Node) {
    for record in &from.disk.tail {
        to.replica.load_tail(record);
    }
    while to.with(|replica, env| replica.finish_load(env)) {}
}

#[test]
fn what_another_tab_stored_is_pushed_and_acknowledged_to_it() {
    let (mut first, mut second, mut relay) = tabs();
    let id = write(&mut second, "k", 2);
    assert!(!second.replica.is_saved(id, Tier::Relay));
    read_on(&second, &mut first);
    relay.run(&mut first);
    assert!(relay.ids().contains(&id));
    let acked = first.replica.relay_tips();
    assert!(acked.contains(&id));
    second.with(|replica, _| replica.at_relay(&acked));
    assert!(second.replica.is_saved(id, Tier::Relay));
    assert_eq!(second.replica.sync_state().pending, 0, "what the chain has before it is there as well");
    assert_eq!(relay.pushes.iter().sum::<usize>(), relay.rows.len(), "each row was pushed once");
}

#[test]
fn what_is_acknowledged_before_it_was_read_counts_when_it_is() {
    let (mut first, mut second, mut relay) = tabs();
    let mut third = Node::create(3);
    third.disk = first.disk.clone();
    let mut third = third.reopen_keeping_actor(false);
    share(&mut third, SyncStatus::Live, None);
    let ids = [2, 3].map(|value| write(&mut second, "k", value));
    read_on(&second, &mut first);
    relay.run(&mut first);
    third.with(|replica, _| replica.at_relay(&ids[1..]));
    read_on(&second, &mut third);
    assert!(ids.iter().all(|id| third.replica.is_saved(*id, Tier::Relay)));
}

#[test]
fn a_tab_that_takes_over_goes_on_at_the_place_that_was_stored() {
    let (mut first, mut second, mut relay) = tabs();
    write(&mut first, "k", 2);
    relay.run(&mut first);
    relay.drop_connection(&mut first);
    read_on(&first, &mut second);
    let record = first.disk.keyed.iter().find(|((_, key), _)| key.starts_with("relay/")).expect("a place");
    second.replica.read_place(relay.url, &record.1.clone());
    let pushed = relay.pushes.len();
    relay.connect(&mut second);
    assert_eq!(second.replica.sync_state().status, SyncStatus::Live);
    assert_eq!((relay.pushes.len(), second.replica.sync_state().pending), (pushed, 0));
    write(&mut second, "k", 3);
    relay.run(&mut second);
    assert_eq!(relay.rows.len(), second.replica.stats().changesets as usize);
}

#[test]
fn a_wait_for_a_relay_ends_when_the_tab_that_speaks_is_refused() {
    let (_, mut second, _) = tabs();
    let id = write(&mut second, "k", 2);
    assert_eq!(second.replica.obstacle(id, Tier::Relay), None);
    share(&mut second, SyncStatus::Live, Some("QUOTA: full"));
    assert!(second.replica.obstacle(id, Tier::Relay).is_some());
}

#[test]
fn what_a_relay_refuses_of_one_tab_is_no_news_to_the_waits_of_another() {
    let (mut first, mut second, mut relay) = tabs();
    relay.manner = relay::Manner::Rejects(Code::BadRow);
    let refused = write(&mut first, "k", 2);
    relay.run(&mut first);
    relay.manner = relay::Manner::Honest;
    let rejected = first.replica.rejected_at(relay.url);
    assert_eq!(rejected, vec![(refused, "BAD_ROW")]);
    assert_eq!(first.replica.relay_states().iter().map(|state| state.is_shut).collect::<Vec<_>>(), [false]);
    let own = write(&mut second, "k", 3);
    read_on(&first, &mut second);
    let rejected = rejected.into_iter().map(|(id, why)| (id, why.to_owned())).collect();
    let elsewhere = Elsewhere { status: SyncStatus::Live, refusal: None, rejected };
    second.with(|replica, env| replica.share_relays(Some(elsewhere), env));
    assert_eq!(second.replica.obstacle(own, Tier::Relay), None, "its own write may get in");
    assert_eq!(second.replica.obstacle(refused, Tier::Relay), Some(Obstacle::Relay("BAD_ROW".into())));
    assert_eq!(second.replica.refusal(), Some("BAD_ROW".into()), "not all that is here gets in");
    read_on(&second, &mut first);
    relay.run(&mut first);
    assert!(relay.ids().contains(&own));
}

#[test]
fn presence_goes_to_tabs_and_over_the_one_that_speaks() {
    let (mut first, mut second, mut relay) = tabs();
    show(&mut first, 1);
    show(&mut second, 2);
    for _ in 0..10 {
        let (from_first, from_second) = (std::mem::take(&mut first.told), std::mem::take(&mut second.told));
        for (payload, is_said) in from_first {
            second.with(|replica, env| replica.heard_from_tab(&payload, is_said, env));
        }
        for (payload, is_said) in from_second {
            assert!(is_said, "it hears nothing but of the other tab");
            let before = first.sent.len();
            first.with(|replica, env| replica.heard_from_tab(&payload, is_said, env));
            assert!(first.sent.len() > before, "it is passed on to the relay");
        }
        first.sent.clear();
        for tab in [&mut first, &mut second] {
            tab.now_ms += 300;
            tab.with(|replica, env| replica.tick(env));
        }
    }
    let seen = |tab: &Node| -> Vec<Value> {
        tab.replica.others_present().map(|(_, other)| other.state["n"].clone()).collect()
    };
    assert_eq!(
        (seen(&first), seen(&second)),
        (vec![Value::String("2".into())], vec![Value::String("1".into())])
    );
    relay.drop_connection(&mut first);
}

/// Whether what is edited now is sealed by the time that others online are to have it.
fn is_sealed_soon(tab: &mut Node) -> bool {
    let map = tab.replica.object("m", ObjectKind::Map).expect("a map");
    tab.with(|replica, env| replica.map_set(map, "k", Value::Null, env)).expect("a write");
    tab.now_ms += 200;
    tab.with(|replica, env| replica.tick(env));
    let is_sealed = tab.replica.open_edits() == 0;
    tab.with(|replica, env| replica.flush(env));
    is_sealed
}

#[test]
fn whoever_shows_up_and_sees_nobody_gathers_edits_as_if_there_were_no_relay() {
    let (mut first, mut second, _relay) = tabs();
    assert!(is_sealed_soon(&mut first), "whoever is online does not show up");
    show(&mut first, 1);
    assert!(!is_sealed_soon(&mut first));
    show(&mut second, 2);
    for _ in 0..4 {
        for (payload, is_said) in std::mem::take(&mut first.told) {
            second.with(|replica, env| replica.heard_from_tab(&payload, is_said, env));
        }
        for (payload, is_said) in std::mem::take(&mut second.told) {
            first.with(|replica, env| replica.heard_from_tab(&payload, is_said, env));
        }
        for tab in [&mut first, &mut second] {
            tab.now_ms += 300;
            tab.with(|replica, env| replica.tick(env));
        }
    }
    assert_eq!(first.replica.others_present().count(), 1);
    assert!(is_sealed_soon(&mut first) && is_sealed_soon(&mut second));
    second.with(|replica, env| replica.leave_presence(env));
    for (payload, is_said) in std::mem::take(&mut second.told) {
        first.with(|replica, env| replica.heard_from_tab(&payload, is_said, env));
    }
    assert!(!is_sealed_soon(&mut first));
}
