//! Clients and relays: several of them, ones that lost something, and ones that refuse, each by its answer. Nothing is lost,
//! nothing is said to be safe that is not, no refusal is silent, and no answer makes a client send again and again.

mod common;
#[path = "common/relay.rs"]
mod relay;

use common::{Node, assert_same};
use relay::{Manner, Relay};
use stemma::causal::{ChangesetId, LogId};
use stemma::event::{ObjectKind, Role};
use stemma::replica::{Obstacle, SyncStatus, Tier, Trouble};
use stemma::sync::Code;

fn write(node: &mut Node, text: &str) -> ChangesetId {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    let end = node.replica.text(notes).expect("a text").len();
    node.with(|replica, env| replica.text_insert(notes, end, text, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

fn read(node: &mut Node) -> String {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    node.replica.text(notes).expect("a text").to_string()
}

fn relay_of(node: &Node) -> Relay {
    Relay::new("ws://one", node.replica.space())
}

/// What was told of relays.
fn refusals(node: &Node) -> Vec<&str> {
    node.troubles
        .iter()
        .filter_map(|trouble| match trouble {
            Trouble::Relay(reason) => Some(reason.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_one_relay_brings_goes_on_to_the_others() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let (mut one, mut two) = (relay_of(&a), Relay::new("ws://two", a.replica.space()));
    let write_of_b = write(&mut b, "from b");
    one.connect(&mut b);
    two.connect(&mut a);
    one.connect(&mut a);
    two.run(&mut a);
    assert_eq!(read(&mut a), "from b");
    assert!(two.ids().contains(&write_of_b), "a courier carries it from one relay to the other");
    let write_of_a = write(&mut a, " and a");
    one.run(&mut a);
    assert!(a.replica.is_saved(write_of_a, Tier::Relay), "the first relay that has it is enough");
    two.run(&mut a);
    for relay in [&one, &two] {
        assert_eq!(relay.ids().len(), 2, "each row once");
    }
}

#[test]
fn a_relay_that_lost_its_log_is_filled_again_with_everybodys_rows() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    write(&mut b, "from b");
    relay.connect(&mut b);
    relay.drop_connection(&mut b);
    relay.connect(&mut a);
    write(&mut a, " and a");
    relay.run(&mut a);
    let mut before = relay.ids();
    relay.drop_connection(&mut a);
    relay.rows.clear();
    relay.log_id = LogId([2; 16]);
    relay.wait(&mut a, 2_000);
    let mut after = relay.ids();
    before.sort();
    after.sort();
    assert_eq!(after, before);
    assert_eq!(a.replica.sync_state().status, SyncStatus::Live);
    assert!(a.replica.sync_state().settled);
}

#[test]
fn a_log_that_begins_anew_with_the_same_is_not_read_again() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    let written = write(&mut b, "from b");
    relay.connect(&mut b);
    relay.drop_connection(&mut b);
    relay.connect(&mut a);
    write(&mut a, " and a");
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    relay.log_id = LogId([2; 16]);
    let delivered = relay.delivered;
    relay.wait(&mut a, 2_000);
    assert_eq!(a.replica.sync_state().status, SyncStatus::Live);
    assert_eq!((relay.delivered, relay.ids().len()), (delivered, 2), "nothing went either way");

    // The place is kept: after another breach there is nothing to compare.
    relay.drop_connection(&mut a);
    let after = write(&mut a, " once more");
    relay.wait(&mut a, 2_000);
    assert!(a.replica.is_saved(after, Tier::Relay));
    assert_eq!((relay.delivered - delivered, relay.ids().len()), (1, 3), "what it wrote itself came back");

    // Whoever lacks something, or has more, reads all of it.
    relay.drop_connection(&mut a);
    relay.log_id = LogId([3; 16]);
    write(&mut a, " and now more");
    relay.wait(&mut a, 4_000);
    assert_eq!(relay.ids().len(), 4);
    relay.drop_connection(&mut a);
    relay.connect(&mut b);
    relay.run(&mut b);
    assert_eq!(read(&mut b), "from b and a once more and now more");
    assert!(b.replica.is_saved(written, Tier::Relay));
}

#[test]
fn a_relay_restored_from_an_old_copy_is_healed() {
    // Once it is shorter than what was read, once as long again with other rows.
    for others in [0, 2] {
        let mut a = Node::create(1);
        let mut b = Node::join(2, &a.invite(Role::Writer));
        let mut relay = relay_of(&a);
        relay.connect(&mut a);
        for text in ["one ", "two ", "three "] {
            write(&mut a, text);
            relay.run(&mut a);
        }
        relay.drop_connection(&mut a);
        relay.rows.truncate(1);
        if others > 0 {
            for text in ["four ", "five "] {
                write(&mut b, text);
            }
            relay.connect(&mut b);
            relay.drop_connection(&mut b);
        }
        relay.wait(&mut a, 2_000);
        assert_eq!(relay.ids().len(), 3 + others);
        relay.wait(&mut b, 2_000 * u64::from(others > 0));
        let mut newcomer = Node::join(3, &a.invite(Role::Writer));
        relay.connect(&mut newcomer);
        assert_same(&newcomer, &a);
    }
}

#[test]
fn a_dup_is_as_good_as_accepted() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    let first = write(&mut a, "one");
    // The answer is lost with the connection, and the tips are not told: the row goes out twice.
    let (_, frame) = a.sent.pop().expect("a push");
    relay.drop_connection(&mut a);
    let stemma::sync::Frame::Push(push) =
        stemma::sync::Frame::decode(&frame.into()).expect("decodes").expect("known")
    else {
        panic!("a push")
    };
    relay.rows.extend(push.rows);
    assert!(!a.replica.is_saved(first, Tier::Relay));
    relay.wait(&mut a, 2_000);
    assert!(a.replica.is_saved(first, Tier::Relay));
    assert_eq!(relay.ids(), [first]);
}

#[test]
fn a_gap_is_filled_from_the_tip_that_the_relay_names() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    let writes = ["one", "two", "three"].map(|text| {
        let id = write(&mut a, text);
        relay.run(&mut a);
        id
    });
    // The relay forgets under the open connection.
    relay.rows.truncate(1);
    let last = write(&mut a, "four");
    relay.run(&mut a);
    assert_eq!(relay.ids(), [writes[0], writes[1], writes[2], last]);
    assert!(a.replica.is_saved(last, Tier::Relay));
    assert_eq!(refusals(&a), [""; 0], "one gap is nobody's fault");
}

#[test]
fn a_fork_at_the_relay_ends_the_actor_and_loses_nothing() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    let first = write(&mut a, "one ");
    let copy = a.disk.clone();
    relay.connect(&mut a);
    write(&mut a, "two ");
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    // The profile is restored from a copy and goes on with the same actor.
    let actor = a.replica.actor();
    a.disk = copy;
    let mut a = a.reopen();
    assert_eq!(a.replica.actor(), actor);
    write(&mut a, "else ");
    relay.connect(&mut a);
    assert!(a.troubles.iter().any(|trouble| matches!(trouble, Trouble::Fork(_))), "{:?}", a.troubles);
    assert_ne!(a.replica.actor(), actor);
    let last = write(&mut a, "three");
    relay.run(&mut a);
    assert!(a.replica.is_saved(last, Tier::Relay));
    assert_eq!(relay.ids().len(), 4);
    assert_eq!(relay.ids()[0], first);
    let text = read(&mut a);
    assert!(["one ", "two ", "else ", "three"].iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_full_relay_is_asked_less_and_less_and_gets_everything_once_there_is_room() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    let kept = write(&mut a, "kept ");
    relay.run(&mut a);
    relay.manner = Manner::Full;
    let writes: Vec<ChangesetId> = (0..50).map(|n| write(&mut a, &format!("{n} "))).collect();
    relay.run(&mut a);
    let before = relay.pushes.len();
    relay.wait(&mut a, 3_600_000);
    let probes = &relay.pushes[before..];
    assert!((20..600).contains(&probes.len()), "{} pushes in an hour", probes.len());
    assert!(probes.iter().skip(2).all(|rows| *rows == 1), "one row is enough to ask");
    let reason = "QUOTA: the relay has no room for this space".to_owned();
    assert_eq!(refusals(&a), [&*reason], "told once");
    assert_eq!(a.replica.obstacle(kept, Tier::Relay), None);
    for write in &writes {
        assert_eq!(a.replica.obstacle(*write, Tier::Relay), Some(Obstacle::Relay(reason.clone())));
    }
    assert_eq!(a.replica.refusal(), Some(reason));
    assert_eq!(a.replica.sync_state().pending, writes.len());
    relay.manner = Manner::Honest;
    relay.wait(&mut a, 61_000);
    assert_eq!(relay.ids()[1..], writes);
    assert_eq!((a.replica.refusal(), a.replica.sync_state().pending), (None, 0));
    assert!(writes.iter().all(|write| a.replica.is_saved(*write, Tier::Relay)));
}

/// The acknowledgement was lost with the connection, say.
#[test]
fn a_full_relay_that_is_found_to_have_everything_is_no_obstacle() {
    let mut a = Node::create(1);
    let (mut relay, mut other) = (relay_of(&a), Relay::new("ws://two", a.replica.space()));
    relay.manner = Manner::Full;
    relay.connect(&mut a);
    write(&mut a, "one ");
    write(&mut a, "two ");
    relay.run(&mut a);
    assert!(a.replica.refusal().is_some());
    other.connect(&mut a);
    relay.drop_connection(&mut a);
    relay.rows = other.rows.clone();
    a.with(|replica, _| replica.disconnect("ws://two"));
    assert!(a.replica.refusal().is_some());
    relay.wait(&mut a, 61_000);
    assert_eq!((a.replica.refusal(), a.replica.sync_state().pending), (None, 0));
}

#[test]
fn a_relay_that_always_finds_a_gap_does_not_keep_a_client_busy() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.manner = Manner::AlwaysGap;
    let writes: Vec<ChangesetId> = (0..50).map(|n| write(&mut a, &format!("{n} "))).collect();
    relay.connect(&mut a);
    relay.wait(&mut a, 3_600_000);
    assert!(relay.pushes.len() < 600, "{} pushes in an hour", relay.pushes.len());
    assert_eq!(refusals(&a).len(), 1, "{:?}", refusals(&a));
    assert!(matches!(a.replica.obstacle(writes[7], Tier::Relay), Some(Obstacle::Relay(_))));
    relay.manner = Manner::Honest;
    relay.wait(&mut a, 61_000);
    assert_eq!(relay.ids(), writes);
}

#[test]
fn rows_refused_for_good_are_sent_once_a_connection_and_told() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    relay.manner = Manner::Rejects(Code::BadRow);
    let write_1 = write(&mut a, "one");
    relay.run(&mut a);
    relay.manner = Manner::Honest;
    let write_2 = write(&mut a, "two");
    relay.run(&mut a);
    relay.wait(&mut a, 600_000);
    let sent: usize = relay.pushes.iter().sum();
    assert_eq!(sent, 2, "what stands behind a refused row has no way in");
    for write in [write_1, write_2] {
        assert_eq!(a.replica.obstacle(write, Tier::Relay), Some(Obstacle::Relay("BAD_ROW".into())));
        assert_eq!(a.replica.obstacle(write, Tier::Local), None);
    }
    assert_eq!(refusals(&a), ["BAD_ROW", "BAD_ROW"]);
    assert_eq!(a.replica.refusal(), Some("BAD_ROW".into()));
    relay.drop_connection(&mut a);
    relay.wait(&mut a, 2_000);
    assert!(a.replica.is_saved(write_2, Tier::Relay), "the next connection may end otherwise");
}

#[test]
fn a_relay_of_another_version_is_told_and_waited_for_by_nobody() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.manner = Manner::OtherVersion;
    let write = write(&mut a, "one");
    relay.connect(&mut a);
    let reason = "VERSION: no version in common".to_owned();
    assert_eq!(a.replica.obstacle(write, Tier::Relay), Some(Obstacle::Relay(reason.clone())));
    assert_eq!((a.replica.sync_state().status, refusals(&a)), (SyncStatus::Denied, vec![&*reason]));
}

#[test]
fn each_relay_is_shown_by_itself() {
    let mut a = Node::create(1);
    let (mut one, mut two) = (relay_of(&a), Relay::new("ws://two", a.replica.space()));
    two.manner = Manner::Denies(Code::InviteUsed);
    write(&mut a, "one");
    one.connect(&mut a);
    two.connect(&mut a);
    let states = a.replica.relay_states();
    assert_eq!(a.replica.sync_state().status, SyncStatus::Live, "the better of the two");
    let shown: Vec<_> = states.iter().map(|state| (&*state.url, state.status, state.pending)).collect();
    assert_eq!(
        shown,
        [(one.url, SyncStatus::Live, Some(0)), (two.url, SyncStatus::Denied, None)],
        "nobody knows what one that denies lacks"
    );
    let refused: Vec<_> =
        states.iter().map(|state| (state.is_shut, state.refusal.as_deref().map(|why| &why[..11]))).collect();
    assert_eq!(refused, [(false, None), (true, Some("INVITE_USED"))]);
    let heard = a.now_ms;
    assert!(states.iter().all(|state| state.last_heard_ms == Some(heard)));
    a.now_ms += 1;
    let ids = [write(&mut a, "two"), write(&mut a, "three")];
    assert_eq!(a.replica.relay_states()[0].pending, Some(ids.len()), "on their way");
    one.run(&mut a);
    let states = a.replica.relay_states();
    let heard = |at: usize| (states[at].pending, states[at].last_heard_ms == Some(a.now_ms));
    assert_eq!((heard(0), heard(1)), ((Some(0), true), (None, false)));
}

#[test]
fn one_relay_that_denies_is_no_obstacle_while_another_may_take_it() {
    let mut a = Node::create(1);
    let (mut one, mut two) = (relay_of(&a), Relay::new("ws://two", a.replica.space()));
    one.manner = Manner::Denies(Code::InviteUsed);
    two.manner = Manner::Denies(Code::Denied);
    let write = write(&mut a, "one");
    one.connect(&mut a);
    a.with(|replica, env| replica.connect(two.url, env));
    assert_eq!(a.replica.obstacle(write, Tier::Relay), None, "the other was not heard yet");
    two.connect(&mut a);
    assert!(matches!(a.replica.obstacle(write, Tier::Relay), Some(Obstacle::Relay(_))));
    a.with(|replica, _| replica.disconnect(two.url));
    let mut honest = Relay::new("ws://three", a.replica.space());
    honest.connect(&mut a);
    assert!(a.replica.is_saved(write, Tier::Relay));
}

#[test]
fn a_fresh_link_is_tried_until_the_relay_is_there() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    relay.manner = Manner::Denies(Code::InviteUsed);
    let write = write(&mut b, "kept");
    relay.connect(&mut b);
    assert!(matches!(b.replica.obstacle(write, Tier::Relay), Some(Obstacle::Relay(_))));
    let fresh = stemma::event::Invite::decode(&a.invite(Role::Writer)).expect("decodes");
    b.with(|replica, env| replica.rejoin(&fresh, env)).expect("the same space");
    assert_eq!(b.replica.obstacle(write, Tier::Relay), None, "it is asked again");
    // Twice there is nobody.
    for _ in 0..2 {
        b.now_ms += 61_000;
        b.settle();
        let (session, _) = b.dialed.pop().expect("it dials");
        b.with(|replica, env| replica.closed(session, env));
    }
    relay.manner = Manner::Honest;
    relay.wait(&mut b, 61_000);
    assert!(b.replica.is_saved(write, Tier::Relay));
}

#[test]
fn a_fresh_link_that_comes_during_a_login_is_tried_after_the_denial_of_the_old_one() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    let mut relay = relay_of(&a);
    relay.manner = Manner::Denies(Code::InviteUsed);
    let write = write(&mut b, "kept");
    relay.begin(&mut b);
    let fresh = stemma::event::Invite::decode(&a.invite(Role::Writer)).expect("decodes");
    b.with(|replica, env| replica.rejoin(&fresh, env)).expect("the same space");
    relay.run(&mut b);
    assert_eq!(refusals(&b), ["INVITE_USED: the relay does not admit this member"]);
    assert_ne!(b.replica.sync_state().status, SyncStatus::Denied, "that was said of the old link");
    relay.manner = Manner::Honest;
    relay.wait(&mut b, 1_000);
    assert!(b.replica.is_saved(write, Tier::Relay));
}

/// Another tab wrote it, and the relay is faster than the store that both share.
#[test]
fn what_a_relay_brings_of_ones_own_is_safe_there() {
    let mut a = Node::create(1);
    let mut tab = Node::create(2);
    tab.disk = a.disk.clone();
    let mut tab = tab.reopen_keeping_actor(false);
    let mut relay = relay_of(&a);
    relay.connect(&mut tab);
    relay.drop_connection(&mut tab);
    relay.connect(&mut a);
    let written = write(&mut a, "one");
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    relay.wait(&mut tab, 61_000);
    assert!(tab.replica.is_saved(written, Tier::Relay));
    assert_eq!(tab.replica.sync_state().pending, 0);
}

#[test]
fn what_another_tab_stored_is_sent_if_that_tab_cannot_any_more() {
    let mut a = Node::create(1);
    let mut tab = Node::create(2);
    tab.disk = a.disk.clone();
    let mut tab = tab.reopen_keeping_actor(false);
    let mut relay = relay_of(&a);
    relay.connect(&mut tab);
    let before = a.disk.tail.len();
    let written = write(&mut a, "one");
    // It ended between storing and sending; the other reads on.
    let read_on = |tab: &mut Node| {
        a.disk.tail[before..].iter().for_each(|record| tab.replica.load_tail(record));
        assert!(!tab.with(|replica, env| replica.finish_load(env)));
    };
    read_on(&mut tab);
    relay.wait(&mut tab, 5_000);
    assert_eq!(relay.ids(), [], "whoever wrote it has some time");
    relay.wait(&mut tab, 6_000);
    assert_eq!(relay.ids(), [written]);
    assert!(tab.replica.is_saved(written, Tier::Relay));
    // What the relay brings meanwhile is not sent.
    let mut b = Node::join(3, &a.invite(Role::Writer));
    let before = b.disk.tail.len();
    write(&mut b, "two");
    let rows = b.disk.tail[before..].to_vec();
    relay.drop_connection(&mut tab);
    relay.connect(&mut b);
    relay.drop_connection(&mut b);
    relay.wait(&mut tab, 61_000);
    let pushes = relay.pushes.len();
    rows.iter().for_each(|record| tab.replica.load_tail(record));
    tab.with(|replica, env| replica.finish_load(env));
    relay.wait(&mut tab, 20_000);
    assert_eq!(relay.pushes.len(), pushes);
}

/// A clock that was a year ahead is put right, while the next attempt, the answer of a full relay, or a seal is waited for.
#[test]
fn a_clock_that_is_set_back_keeps_nobody_waiting() {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    a.now_ms += YEAR_MS;
    relay.connect(&mut a);
    relay.manner = Manner::Full;
    let refused = write(&mut a, "one");
    relay.run(&mut a);
    assert!(a.replica.refusal().is_some());
    a.now_ms -= YEAR_MS;
    relay.manner = Manner::Honest;
    relay.wait(&mut a, 2_000);
    assert!(a.replica.is_saved(refused, Tier::Relay), "it is asked again");

    a.now_ms += YEAR_MS;
    relay.drop_connection(&mut a);
    a.now_ms -= YEAR_MS;
    // The timer rings that was set for the attempt; then there is another.
    relay.wait(&mut a, 500);
    relay.wait(&mut a, 500);
    assert_eq!(a.replica.sync_state().status, SyncStatus::Live, "it is dialed again");

    a.now_ms += YEAR_MS;
    let notes = a.replica.object("notes", ObjectKind::Text).expect("a text");
    a.with(|replica, env| replica.text_insert(notes, 0, "two", env)).expect("in range");
    a.now_ms -= YEAR_MS;
    relay.wait(&mut a, 2_000);
    assert_eq!((a.replica.open_edits(), relay.ids().len()), (0, 2), "it is sealed and sent");
}

#[test]
fn nothing_is_settled_before_the_relay_has_shown_what_it_has() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    let session = a.with(|replica, env| replica.connect(relay.url, env));
    assert!(!a.replica.sync_state().connected);
    a.with(|replica, env| replica.opened(session, env));
    let state = a.replica.sync_state();
    assert_eq!((state.connected, state.settled), (false, false));
    relay.connect(&mut a);
    let state = a.replica.sync_state();
    assert_eq!((state.connected, state.settled), (true, true));
}

#[test]
fn a_long_log_comes_in_by_slices_and_is_settled_with_the_last() {
    let mut a = Node::create(1);
    let mut relay = relay_of(&a);
    relay.connect(&mut a);
    let token = a.invite(Role::Writer);
    for n in 0..500 {
        write(&mut a, &n.to_string());
    }
    relay.run(&mut a);
    relay.drop_connection(&mut a);
    let mut b = Node::join(2, &token);
    relay.most = Some(0);
    // All of them in one turn.
    relay.batch_rows = 70;
    let frames = relay.delivered;
    relay.connect(&mut b);
    assert!(relay.delivered - frames >= 500);
    assert!((1..=128).contains(&relay.most.expect("it was looked at")), "{:?} at once", relay.most);
    assert_eq!(b.replica.stats().changesets, 500);
    let state = b.replica.sync_state();
    assert_eq!((state.status, state.settled), (SyncStatus::Live, true));
}
