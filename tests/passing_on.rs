//! What came in a run was looked at by its last signature alone. The own signature of a row is looked at before the row goes on: to
//! another relay or to a peer, also after a restart and from whoever took in an export. One that a relay spoilt goes to nobody before it was mended.

mod common;
#[path = "common/relay.rs"]
mod relay;

use common::{Node, assert_same, sync};
use prost::bytes::Bytes;
use relay::Relay;
use stemma::causal::ChangesetId;
use stemma::event::{Header, ObjectKind, Role, SignedChangeset};
use stemma::replica::{SyncStatus, Trouble};
use stemma::sync::{Delivery, Frame, Row};

/// More than one slice has.
const ROWS: usize = 300;

fn write(node: &mut Node) -> ChangesetId {
    let votes = node.replica.object("votes", ObjectKind::Counter).expect("a counter");
    node.with(|replica, env| replica.counter_add(votes, 1, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

fn is_good(row: &Row) -> bool {
    let row = SignedChangeset::from_parts(&row.header, row.signature, None, None);
    row.is_ok_and(|row| row.verify().is_ok())
}

/// Spoils the signatures of these numbers.
fn spoil(row: &mut Row, of: impl Fn(u32) -> bool) {
    let seq = Header::decode(&row.header).expect("an honest header").seq();
    row.signature[3] ^= u8::from(of(seq));
}

/// Somebody wrote to a relay, and another one reads it there, from a relay that spoils what it sends.
struct World {
    ann: Node,
    ben: Node,
    relay: Relay,
}

impl World {
    fn new(spoils: fn(&mut Row)) -> Self {
        let mut ann = Node::create(1);
        let mut ben = Node::join(2, &ann.invite(Role::Writer));
        let mut relay = Relay::new("ws://one", ann.replica.space());
        (0..ROWS).for_each(|_| {
            write(&mut ann);
        });
        relay.connect(&mut ann);
        relay.drop_connection(&mut ann);
        relay.spoils = Some(spoils);
        relay.connect(&mut ben);
        Self { ann, ben, relay }
    }

    /// The relay is honest from now on, and is asked again.
    fn mend(&mut self) {
        self.relay.spoils = None;
        self.relay.wait(&mut self.ben, 20_000);
    }

    fn refused(&self) -> usize {
        self.ben.troubles.iter().filter(|trouble| matches!(trouble, Trouble::Refused(..))).count()
    }
}

/// The rows of all frames that wait to go out.
fn sent_rows(node: &Node) -> Vec<Row> {
    let frames = node.sent.iter().map(|(_, frame)| Frame::decode(&Bytes::copy_from_slice(frame)));
    let rows = frames.flat_map(|frame| match frame.expect("a frame") {
        Some(Frame::Push(push)) => push.rows,
        Some(Frame::Batch(batch)) => {
            let whole = batch.rows.into_iter().filter_map(|row| match row {
                Delivery::Row(row) => Some(row),
                Delivery::Own(_) => None,
            });
            whole.collect()
        }
        _ => Vec::new(),
    });
    rows.collect()
}

#[test]
fn nothing_is_told_of_what_is_spoilt_inside_of_a_run_and_all_of_it_counts() {
    let world = World::new(|row| spoil(row, |seq| seq == 7 || seq == 200));
    assert_same(&world.ann, &world.ben);
    assert_eq!(world.ben.replica.sync_state().status, SyncStatus::Live);
    assert_eq!(world.refused(), 0);
}

#[test]
fn another_relay_gets_what_is_spoilt_only_once_it_is_mended() {
    let mut world = World::new(|row| spoil(row, |seq| seq == 7 || seq == 200));
    let mut other = Relay::new("ws://two", world.ann.replica.space());
    other.connect(&mut world.ben);
    assert_eq!(other.rows.len(), 7, "behind a row that is withheld there is no way in");
    assert_eq!(world.refused(), 2, "{:?}", world.ben.troubles);
    world.mend();
    other.run(&mut world.ben);
    assert_eq!(other.rows.len(), ROWS);
    assert!(other.rows.iter().all(is_good));
    assert!(world.ben.replica.sync_state().settled);
}

#[test]
fn a_peer_gets_what_is_spoilt_only_once_it_is_mended() {
    let mut world = World::new(|row| spoil(row, |seq| seq == 7 || seq == 200));
    let mut cy = Node::join(3, &world.ann.invite(Role::Writer));
    let (at_ben, at_cy) = (world.ben.replica.attach(), cy.replica.attach());
    world.ben.with(|replica, env| replica.opened(at_ben, env));
    cy.with(|replica, env| replica.opened(at_cy, env));
    let carry = |ben: &mut Node, cy: &mut Node| {
        for _ in 0..100 {
            ben.settle();
            cy.settle();
            assert!(sent_rows(ben).iter().all(is_good));
            let (to_peer, to_relay) =
                std::mem::take(&mut ben.sent).into_iter().partition(|(to, _)| *to == at_ben);
            ben.sent = to_relay;
            for (_, frame) in to_peer {
                cy.with(|replica, env| replica.received(at_cy, &frame, env));
            }
            for (_, frame) in std::mem::take(&mut cy.sent) {
                ben.with(|replica, env| replica.received(at_ben, &frame, env));
            }
        }
    };
    carry(&mut world.ben, &mut cy);
    assert_eq!(cy.replica.stats().changesets, 7);
    assert_eq!(cy.replica.pending().len(), ROWS - 7 - 2, "the others wait");
    world.mend();
    carry(&mut world.ben, &mut cy);
    assert_same(&world.ben, &cy);
    assert_eq!(cy.replica.pending(), []);
}

/// A copy lacks nothing. Whoever takes it in passes nothing of it on that is spoilt.
#[test]
fn an_export_has_everything_and_who_takes_it_in_looks_for_itself() {
    let mut world = World::new(|row| spoil(row, |seq| seq == 7));
    let mut cy = Node::join(4, &world.ann.invite(Role::Writer));
    let bytes = world.ben.replica.export_space();
    let report = cy.with(|replica, env| replica.import_space(&bytes, env)).expect("an export");
    assert_eq!((report.added, report.refused), (ROWS, 0));
    cy.settle();
    assert_same(&cy, &world.ann);
    let mut other = Relay::new("ws://two", world.ann.replica.space());
    other.connect(&mut cy);
    assert_eq!(other.rows.len(), 7);
    assert!(other.rows.iter().all(is_good));
    let good = world.ann.replica.export_space();
    cy.with(|replica, env| replica.import_space(&good, env)).expect("an export");
    other.run(&mut cy);
    assert_eq!(other.rows.len(), ROWS);
    assert!(other.rows.iter().all(is_good));
}

#[test]
fn what_was_stored_spoilt_is_looked_at_after_a_restart_too() {
    let world = World::new(|row| spoil(row, |seq| seq == 7));
    let World { ann, ben, mut relay } = world;
    let mut ben = ben.reopen();
    assert_same(&ann, &ben);
    let mut other = Relay::new("ws://two", ann.replica.space());
    other.connect(&mut ben);
    assert_eq!(other.rows.len(), 7);
    assert!(other.rows.iter().all(is_good));
    relay.spoils = None;
    relay.connect(&mut ben);
    relay.wait(&mut ben, 20_000);
    other.run(&mut ben);
    assert_eq!(other.rows.len(), ROWS);
    // What was mended is stored: nothing is spoilt after the next restart.
    let mut again = ben.reopen();
    let mut third = Relay::new("ws://three", ann.replica.space());
    third.connect(&mut again);
    assert_eq!(third.rows.len(), ROWS);
    assert!(!again.troubles.iter().any(|trouble| matches!(trouble, Trouble::Refused(..))));
}

#[test]
fn behind_the_last_good_one_whoever_delivered_is_to_blame() {
    let world = World::new(|row| spoil(row, |seq| seq >= 290));
    assert_eq!(world.ben.replica.stats().changesets, 290);
    let told = world.ben.troubles.iter().filter_map(|trouble| match trouble {
        Trouble::Refused(_, reason) => Some(reason.as_str()),
        _ => None,
    });
    let told: Vec<&str> = told.collect();
    assert!(told.iter().any(|reason| reason.starts_with("ws://one: ")), "{told:?}");
    let mut world = world;
    world.mend();
    assert_same(&world.ann, &world.ben);
}

#[test]
fn one_turn_looks_at_some_signatures_and_the_next_goes_on() {
    let mut world = World::new(|_| {});
    assert_eq!(world.relay.pushes, [ROWS], "what was signed here needs no look");
    let mut other = Relay::new("ws://two", world.ann.replica.space());
    other.connect(&mut world.ben);
    assert_eq!(other.rows.len(), ROWS);
    // The ends of the slices in which they came were looked at then.
    assert!(other.pushes.iter().all(|rows| *rows <= 64 + 3), "{:?}", other.pushes);
    // Another relay after that is sent all at once.
    let mut third = Relay::new("ws://three", world.ann.replica.space());
    third.connect(&mut world.ben);
    assert_eq!(third.pushes, [ROWS]);
}

/// Live, one by one, each is looked at when it comes: nothing is left for later, and all goes out in one turn.
#[test]
fn what_comes_alone_is_looked_at_at_once() {
    let mut ann = Node::create(1);
    let mut ben = Node::join(2, &ann.invite(Role::Writer));
    for _ in 0..100 {
        write(&mut ann);
        sync(&mut ann, &mut ben);
    }
    let mut relay = Relay::new("ws://one", ann.replica.space());
    relay.connect(&mut ben);
    assert_eq!(relay.pushes, [100]);
}
