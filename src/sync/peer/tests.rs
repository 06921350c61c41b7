//! Two peers over a wire that loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::causal::ChangesetId;
use crate::crypto::{AgreementKey, EpochSecret, SigningKey};
use crate::event::{Certificate, CertificateKind, Chain, Class, Draft, Genesis, Role};

/// One side: a log as simple as can be, and its session.
struct Peer {
    log: BTreeMap<ChangesetId, (Header, Row)>,
    session: PeerSession,
    outbox: VecDeque<Row>,
    asked: bool,
    caught_up: bool,
    received: usize,
    refused: Vec<Code>,
}

impl Peer {
    fn new(space: &Space, rows: &[Row], credit_bytes: u64) -> Self {
        let mut log = BTreeMap::new();
        for row in rows {
            let header = Header::decode(&row.header).expect("a header");
            log.insert(header.id(), (header, row.clone()));
        }
        let session = PeerSession::new(space.genesis.id(), &tips(&log), credit_bytes);
        let (outbox, refused) = (VecDeque::new(), Vec::new());
        Self { log, session, outbox, asked: false, caught_up: false, received: 0, refused }
    }

    /// Does what its session wants; the frames to the other side.
    fn turn(&mut self) -> Vec<Bytes> {
        let mut frames = Vec::new();
        loop {
            self.session.send_rows(&mut self.outbox);
            if self.asked && self.outbox.is_empty() {
                self.asked = false;
                self.session.difference_sent();
            }
            let Some(output) = self.session.poll() else { return frames };
            match output {
                PeerOutput::Send(frame) => frames.push(frame),
                PeerOutput::NeedDifference { tips, settled } => {
                    self.outbox.extend(self.difference(&tips, settled));
                    self.asked = true;
                }
                PeerOutput::Rows { rows, bytes } => {
                    for row in rows {
                        self.received += 1;
                        let header = Header::decode(&row.header).expect("a header");
                        let prev_known = header.prev().is_none_or(|prev| self.log.contains_key(&prev));
                        assert!(prev_known, "ancestors come first");
                        self.log.insert(header.id(), (header, row));
                    }
                    self.session.stored(bytes);
                }
                PeerOutput::Asked(ranges) => {
                    let within = |header: &Header, range: &ChainRange| {
                        header.actor() == range.actor && (range.first..=range.last).contains(&header.seq())
                    };
                    let held = self.log.values();
                    let held = held.filter(|(header, _)| ranges.iter().any(|range| within(header, range)));
                    self.outbox.extend(held.map(|(_, row)| row.clone()));
                }
                PeerOutput::Refused { code, .. } => self.refused.push(code),
                PeerOutput::CaughtUp => self.caught_up = true,
                PeerOutput::Writable | PeerOutput::Ephemeral(_) | PeerOutput::Close => {}
            }
        }
    }

    /// The rule of the protocol, the slow way.
    fn difference(&self, theirs: &[Tip], settled: bool) -> Vec<Row> {
        let mut held: BTreeSet<ChangesetId> = BTreeSet::new();
        for tip in theirs {
            let mut at = Some(tip.id);
            while let Some((header, _)) = at.and_then(|id| self.log.get(&id)) {
                held.insert(header.id());
                at = header.prev();
            }
        }
        let mut rows: Vec<&(Header, Row)> = self
            .log
            .values()
            .filter(|(header, _)| {
                let actor = header.actor();
                let highest = self
                    .log
                    .values()
                    .filter(|(other, _)| other.actor() == actor)
                    .map(|(other, _)| other.seq())
                    .max();
                let ahead = theirs.iter().any(|tip| {
                    tip.actor == actor && !self.log.contains_key(&tip.id) && Some(tip.seq) >= highest
                });
                !held.contains(&header.id()) && (settled || !ahead)
            })
            .collect();
        rows.sort_by_key(|(header, _)| (header.actor(), header.seq()));
        rows.into_iter().map(|(_, row)| row.clone()).collect()
    }
}

/// Runs both sides until neither has anything to say; the number of frames.
fn converse(a: &mut Peer, b: &mut Peer) -> usize {
    let mut count = 0;
    loop {
        let (to_b, to_a) = (a.turn(), b.turn());
        if to_a.is_empty() && to_b.is_empty() {
            return count;
        }
        count += to_a.len() + to_b.len();
        to_b.iter().for_each(|frame| b.session.on_frame(frame));
        to_a.iter().for_each(|frame| a.session.on_frame(frame));
    }
}

fn assert_alike(a: &Peer, b: &Peer) {
    assert!(a.log.keys().eq(b.log.keys()), "{} and {} rows", a.log.len(), b.log.len());
    assert!(a.caught_up && b.caught_up);
    assert!(a.session.is_caught_up() && b.session.is_caught_up());
    assert!(a.refused.is_empty() && b.refused.is_empty());
}

#[test]
fn each_gets_what_it_lacks_and_nothing_twice() {
    let space = Space::new();
    let (mine, theirs) = (space.lane(1, 5), space.lane(2, 7));
    let shared = space.lane(3, 4);
    let mut a = Peer::new(&space, &[&mine[..], &shared[..1]].concat(), 1 << 20);
    let mut b = Peer::new(&space, &[&theirs[..], &shared[..]].concat(), 1 << 20);
    converse(&mut a, &mut b);
    assert_alike(&a, &b);
    assert_eq!((a.received, b.received), (7 + 3, 5));
}

#[test]
fn what_is_asked_for_by_its_places_comes_again() {
    let space = Space::new();
    let rows = space.lane(1, 5);
    let (mut a, mut b) = (Peer::new(&space, &rows, 1 << 20), Peer::new(&space, &rows, 1 << 20));
    let ranges = vec![ChainRange {
        actor: Header::decode(&rows[0].header).expect("a header").actor(),
        first: 1,
        last: 2,
    }];
    a.session.get_chain(ranges.clone());
    converse(&mut a, &mut b);
    assert_eq!(a.received, 0, "nobody asks before there is a conversation");
    a.session.get_chain(ranges);
    converse(&mut a, &mut b);
    assert_alike(&a, &b);
    assert_eq!((a.received, b.received), (2, 0));
}

#[test]
fn equal_peers_send_no_rows() {
    let space = Space::new();
    let rows = space.lane(1, 5);
    let (mut a, mut b) = (Peer::new(&space, &rows, 100), Peer::new(&space, &rows, 100));
    assert_eq!(converse(&mut a, &mut b), 6, "HEADS and CAUGHT_UP twice each");
    assert_alike(&a, &b);
    assert_eq!((a.received, b.received), (0, 0));
    let (mut a, mut b) = (Peer::new(&space, &[], 100), Peer::new(&space, &[], 100));
    converse(&mut a, &mut b);
    assert_alike(&a, &b);
}

#[test]
fn both_branches_of_a_fork_arrive_on_both_sides() {
    let space = Space::new();
    let trunk = space.lane(1, 3);
    let last = Some(Header::decode(&trunk[2].header).expect("a header").id());
    for (left, right) in [(1, 1), (4, 1), (1, 4), (2, 0)] {
        let left = space.branch(1, 3, last, left, b"left");
        let right = space.branch(1, 3, last, right, b"right");
        let mut a = Peer::new(&space, &[&trunk[..], &left[..]].concat(), 1 << 20);
        let mut b = Peer::new(&space, &[&trunk[..], &right[..]].concat(), 1 << 20);
        converse(&mut a, &mut b);
        assert_alike(&a, &b);
        assert_eq!(a.log.len(), trunk.len() + left.len() + right.len());
    }
}

#[test]
fn random_halves_of_forked_histories_meet() {
    let space = Space::new();
    for seed in 1..40_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut rows: Vec<(Row, Option<usize>)> = Vec::new();
        for i in 0..20 {
            let actor = next(3) as u8;
            let parent = (0..rows.len()).filter(|_| next(2) == 0).find(|parent| {
                Header::decode(&rows[*parent].0.header).expect("a header").actor() == space.actor(actor)
            });
            let header = parent.map(|parent| Header::decode(&rows[parent].0.header).expect("a header"));
            let (seq, prev) = header.map_or((0, None), |header| (header.seq() + 1, Some(header.id())));
            rows.push((space.row(actor, seq, prev, &[i]), parent));
        }
        let mut half = || {
            let mut held = vec![false; rows.len()];
            for i in 0..rows.len() {
                held[i] = next(3) > 0 && rows[i].1.is_none_or(|parent| held[parent]);
            }
            let held = rows.iter().zip(held).filter(|(_, held)| *held).map(|((row, _), _)| row.clone());
            held.collect::<Vec<Row>>()
        };
        let (mut a, mut b) = (Peer::new(&space, &half(), 1), Peer::new(&space, &half(), 2_000));
        let union: BTreeSet<_> = a.log.keys().chain(b.log.keys()).copied().collect();
        converse(&mut a, &mut b);
        assert_alike(&a, &b);
        assert!(a.log.keys().eq(&union), "SEED={seed}");
    }
}

#[test]
fn new_rows_go_on_after_that() {
    let space = Space::new();
    let rows = space.lane(1, 4);
    let (mut a, mut b) = (Peer::new(&space, &rows[..2], 1 << 20), Peer::new(&space, &[], 1));
    converse(&mut a, &mut b);
    assert_alike(&a, &b);
    a.outbox.extend(rows[2..].iter().cloned());
    converse(&mut a, &mut b);
    assert_eq!((b.log.len(), b.received), (4, 4));
}

#[test]
fn rows_wait_for_credit() {
    let space = Space::new();
    let mut prev = None;
    let mut large = |seq| {
        let row = space.row(1, seq, prev, &[7; 100_000]);
        prev = Some(Header::decode(&row.header).expect("a header").id());
        row
    };
    let rows: Vec<Row> = (0..5).map(&mut large).collect();
    let mut peer = Peer::new(&space, &rows, 1);
    let id = space.genesis.id();
    peer.session.on_frame(
        &Frame::Heads(Heads { version: 1, space: id, tips: vec![], more: false, credit: 1 }).encode(),
    );
    peer.turn();
    assert_eq!(peer.outbox.len(), 3, "two fit into the batch that overdraws the credit");
    peer.session.on_frame(&Frame::Credit(Credit { space: id, bytes: 1 }).encode());
    peer.turn();
    assert_eq!(peer.outbox.len(), 3, "still overdrawn");
    peer.session.on_frame(&Frame::Credit(Credit { space: id, bytes: 1 << 20 }).encode());
    let frames = peer.turn();
    assert_eq!((peer.outbox.len(), frames.len()), (0, 3), "two batches and CAUGHT_UP");
}

#[test]
fn another_space_and_another_version_are_refused() {
    let space = Space::new();
    for (version, id, code) in
        [(1, SpaceId([9; 32]), Code::WrongSpace), (2, space.genesis.id(), Code::Version)]
    {
        let mut peer = Peer::new(&space, &[], 100);
        peer.turn();
        let heads = Heads { version, space: id, tips: vec![], more: false, credit: 1 };
        peer.session.on_frame(&Frame::Heads(heads).encode());
        let frames = peer.turn();
        let Ok(Some(Frame::Error(error))) = Frame::decode(&frames[0]) else { panic!("an error is told") };
        assert_eq!((error.code, &peer.refused[..]), (code, &[code][..]));
        let heads = Heads { version: 1, space: space.genesis.id(), tips: vec![], more: false, credit: 1 };
        peer.session.on_frame(&Frame::Heads(heads).encode());
        assert!(peer.turn().is_empty(), "it is over");
    }
}

#[test]
fn what_does_not_belong_is_refused() {
    let space = Space::new();
    let id = space.genesis.id();
    let batch = |rows, space| Frame::Batch(Batch { space, first_cursor: 0, rows, chain: None }).encode();
    let row = || Delivery::Row(space.lane(1, 1).remove(0));
    let cases = [
        batch(vec![], id),
        batch(vec![row()], SpaceId([9; 32])),
        batch(vec![Delivery::Own(ChangesetId([1; 32]))], id),
        Frame::Tick { time_ms: 1 }.encode(),
        Bytes::from_static(b"\x06"),
        Bytes::from_static(b"\x60\x00"),
    ];
    for frame in cases {
        let mut peer = Peer::new(&space, &[], 100);
        let heads = Heads { version: 1, space: id, tips: vec![], more: false, credit: 1 };
        peer.session.on_frame(&Frame::Heads(heads).encode());
        peer.session.on_frame(b"\x60\x01may be ignored");
        peer.session.on_frame(&frame);
        peer.turn();
        assert_eq!(peer.refused, [Code::Malformed], "{frame:?}");
    }
    let mut peer = Peer::new(&space, &[], 100);
    peer.session.on_frame(&batch(vec![row()], id));
    peer.turn();
    assert_eq!(peer.refused, [Code::Malformed], "rows before HEADS");
}

#[test]
fn a_peer_that_sends_beyond_the_credit_is_left() {
    let space = Space::new();
    let rows = space.lane(1, 2);
    let mut session = PeerSession::new(space.genesis.id(), &[], 10);
    let heads = Heads { version: 1, space: space.genesis.id(), tips: vec![], more: false, credit: 1 };
    session.on_frame(&Frame::Heads(heads).encode());
    for row in rows {
        let rows = vec![Delivery::Row(row)];
        session.on_frame(
            &Frame::Batch(Batch { space: space.genesis.id(), first_cursor: 0, rows, chain: None }).encode(),
        );
    }
    let outputs: Vec<PeerOutput> = std::iter::from_fn(|| session.poll()).collect();
    assert_eq!(outputs.iter().filter(|output| matches!(output, PeerOutput::Rows { .. })).count(), 1);
    assert!(matches!(outputs[outputs.len() - 2], PeerOutput::Refused { code: Code::Malformed, .. }));
    assert_eq!(outputs.last(), Some(&PeerOutput::Close));
}

#[test]
fn many_tips_come_in_many_frames_and_too_many_are_refused() {
    let space = Space::new();
    let tips: Vec<Tip> =
        (0..20_000_u32).map(|seq| Tip { actor: ActorId([1; 32]), seq, id: ChangesetId([2; 32]) }).collect();
    let mut a = PeerSession::new(space.genesis.id(), &tips, 100);
    let mut b = PeerSession::new(space.genesis.id(), &[], 100);
    while let Some(PeerOutput::Send(frame)) = a.poll() {
        b.on_frame(&frame);
    }
    let need = std::iter::from_fn(|| b.poll()).find_map(|output| match output {
        PeerOutput::NeedDifference { tips, settled } => Some((tips.len(), settled)),
        _ => None,
    });
    assert_eq!(need, Some((20_000, false)));
    let heads =
        Heads { version: 1, space: space.genesis.id(), tips: tips[..8_000].to_vec(), more: true, credit: 0 };
    let mut flooded = PeerSession::new(space.genesis.id(), &[], 100);
    for _ in 0..9 {
        flooded.on_frame(&Frame::Heads(heads.clone()).encode());
    }
    let refused = std::iter::from_fn(|| flooded.poll())
        .any(|output| matches!(output, PeerOutput::Refused { code: Code::TooMany, .. }));
    assert!(refused);
}

fn tips(log: &BTreeMap<ChangesetId, (Header, Row)>) -> Vec<Tip> {
    let prevs: BTreeSet<ChangesetId> = log.values().filter_map(|(header, _)| header.prev()).collect();
    let ends = log.values().filter(|(header, _)| !prevs.contains(&header.id()));
    ends.map(|(header, _)| Tip { actor: header.actor(), seq: header.seq(), id: header.id() }).collect()
}

/// Makes rows of actors with small numbers.
struct Space {
    root: SigningKey,
    genesis: Genesis,
}

impl Space {
    fn new() -> Self {
        let root = SigningKey::from_seed(&[1; 32]);
        let genesis = Genesis::new(root.verifying_key(), &[1; 16]);
        Self { root, genesis }
    }

    fn actor(&self, number: u8) -> ActorId {
        ActorId(key(number).public())
    }

    fn lane(&self, actor: u8, count: u32) -> Vec<Row> {
        self.branch(actor, 0, None, count, b"lane")
    }

    fn branch(
        &self,
        actor: u8,
        seq: u32,
        mut prev: Option<ChangesetId>,
        count: u32,
        content: &[u8],
    ) -> Vec<Row> {
        let mut next = |seq| {
            let row = self.row(actor, seq, prev, content);
            prev = Some(Header::decode(&row.header).expect("a header").id());
            row
        };
        (seq..seq + count).map(&mut next).collect()
    }

    fn row(&self, actor: u8, seq: u32, prev: Option<ChangesetId>, content: &[u8]) -> Row {
        let space = self.genesis.id();
        let x25519 = AgreementKey::from_seed(&[9; 32]).public().to_bytes();
        let (member, device) = (SigningKey::from_seed(&[2; 32]), SigningKey::from_seed(&[3; 32]));
        let actor = key(actor);
        let chain = Chain::new(vec![
            Certificate::issue(
                &self.root,
                space,
                member.public(),
                CertificateKind::Grant { role: Role::Writer, not_after: None },
            ),
            Certificate::issue(&member, space, device.public(), CertificateKind::Device { x25519 }),
            Certificate::issue(&device, space, actor.public(), CertificateKind::Actor),
        ]);
        let draft = Draft {
            space,
            class: Class::Data,
            seq,
            prev,
            deps: &[],
            chain: (seq == 0).then_some(&chain),
            redacts: &[],
            ops_root: None,
            skeleton: b"skeleton",
            content: Some(content),
        };
        let epoch = EpochSecret::new([4; 32]).derive(&space.0);
        let changeset = draft.seal(&actor, &epoch, &[0; 32]).expect("a valid draft");
        Row::from_stored(&changeset.signed().encode()).expect("a row")
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[100 + number; 32])
}
