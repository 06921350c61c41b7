//! A relay in memory that keeps to `docs/protocol.md` §2 to §4, or does not, and the wire to a node.
#![allow(dead_code, reason = "each test binary uses its part")]

use super::common::Node;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};
use stemma::causal::{ActorId, ChangesetId, LogId, SpaceId, Tip};
use stemma::crypto::SigningKey;
use stemma::event::{
    Header, Holding, Manifest, SignedChangeset, SnapshotId, changeset_id, differing, heads_digest,
    next_chain, start_chain,
};
use stemma::sync::{
    Ack, Admission, AuthOk, BATCH_BYTES_MAX, Batch, CaughtUp, Chain, ChainRange, Code, Delivery, Frame,
    GetChain, HeadsDiffer, HeadsRange, Hello, Limits, Position, Push, Resync, Row, Said, Snap, SnapshotOffer,
    Subscribe, Subscribed, Verdict,
};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// New rows find no room.
    Full,
    /// Every row builds on something that is said to be missing.
    AlwaysGap,
    /// No row is taken, for good.
    Rejects(Code),
    /// Nobody is let in.
    Denies(Code),
    /// It speaks versions of another time.
    OtherVersion,
}

pub struct Relay {
    pub url: &'static str,
    pub log_id: LogId,
    pub rows: Vec<Row>,
    pub manner: Manner,
    /// How many rows each push had.
    pub pushes: Vec<usize>,
    space: SpaceId,
    session: Option<u32>,
    /// Up to where this connection was sent the log.
    sent: u64,
    /// How many rows were sent over all connections.
    pub delivered: usize,
    /// Bytes of frames, in both directions.
    pub bytes: usize,
    /// It knows nothing of what comes after the sum of the heads.
    pub is_old: bool,
    /// What it sends instead of its rows.
    pub spoils: Option<fn(&mut Row)>,
    /// The most changesets that came in by all frames of one answer, where that is looked at.
    pub most: Option<u32>,
    /// Rows in a BATCH.
    pub batch_rows: usize,
    /// What it says its last cursor is, if that is a lie.
    pub head: Option<u64>,
    /// The snapshot it has, and its chunks.
    pub snapshot: Option<SnapshotOffer>,
    pub chunks: Vec<Bytes>,
    /// What clients said of snapshots besides.
    pub heard: Vec<Snap>,
    /// Rows wait behind a look, also when the client is done with it, until [`Relay::release`].
    pub stays_held: bool,
    /// It answers nothing about snapshots.
    pub is_mute: bool,
    held: bool,
    /// It signs what it holds with this key, if it has one, at the time that stands beside it.
    pub key: Option<SigningKey>,
    pub now_ms: u64,
}

/// Where rows are.
struct Index {
    at: HashMap<ChangesetId, u64>,
    twins: HashMap<(ActorId, u32), ChangesetId>,
}

impl Relay {
    pub fn new(url: &'static str, space: SpaceId) -> Self {
        let manner = Manner::Honest;
        let log_id = LogId([1; 16]);
        Self {
            url,
            log_id,
            rows: Vec::new(),
            manner,
            pushes: Vec::new(),
            space,
            session: None,
            sent: 0,
            delivered: 0,
            bytes: 0,
            is_old: false,
            spoils: None,
            most: None,
            batch_rows: usize::MAX,
            head: None,
            snapshot: None,
            chunks: Vec::new(),
            heard: Vec::new(),
            stays_held: false,
            is_mute: false,
            held: false,
            key: None,
            now_ms: 0,
        }
    }

    /// Says something of snapshots, and carries what follows.
    pub fn snap(&mut self, node: &mut Node, snap: Snap) {
        self.say(node, Frame::Snap(self.space, snap));
        self.run(node);
    }

    /// The rows that waited behind a look.
    pub fn release(&mut self, node: &mut Node) {
        self.held = false;
        for frame in self.news() {
            self.say(node, frame);
        }
        self.run(node);
    }

    pub fn ids(&self) -> Vec<ChangesetId> {
        self.rows.iter().map(|row| changeset_id(&row.header)).collect()
    }

    /// Connects a node, and carries frames until both are at rest.
    pub fn connect(&mut self, node: &mut Node) {
        self.begin(node);
        self.run(node);
    }

    /// Connects a node: its login is under way.
    pub fn begin(&mut self, node: &mut Node) {
        let session = node.with(|replica, env| replica.connect(self.url, env));
        self.greet(node, session);
    }

    fn greet(&mut self, node: &mut Node, session: u32) {
        node.dialed.retain(|(dialed, _)| *dialed != session);
        self.session = Some(session);
        node.with(|replica, env| replica.opened(session, env));
        let version = if self.manner == Manner::OtherVersion { 9 } else { 1 };
        let limits = Limits {
            frame_bytes: 1 << 20,
            row_bytes: 1 << 18,
            push_bytes: 1 << 20,
            push_rows: 1_000,
            subscriptions: 16,
        };
        let (min_version, max_version) = (version, version);
        let relay_key = self.key.as_ref().map_or([3; 32], SigningKey::public);
        let hello = Hello { min_version, max_version, relay_key, nonce: [4; 32], limits };
        self.say(node, Frame::Hello(hello));
    }

    /// The connection breaks.
    pub fn drop_connection(&mut self, node: &mut Node) {
        if let Some(session) = self.session.take() {
            node.sent.retain(|(to, _)| *to != session);
            node.with(|replica, env| replica.closed(session, env));
        }
    }

    fn say(&mut self, node: &mut Node, frame: Frame) {
        if let Some(session) = self.session {
            let frame = frame.encode();
            self.bytes += frame.len();
            node.with(|replica, env| replica.received(session, &frame, env));
        }
    }

    /// Carries frames until both are at rest, for at most so many rounds that nobody needs more.
    pub fn run(&mut self, node: &mut Node) {
        for _ in 0..1_000 {
            node.settle();
            let Some(session) = self.session else { return };
            if node.closed.contains(&session) {
                node.closed.retain(|closed| *closed != session);
                return self.drop_connection(node);
            }
            let sent = std::mem::take(&mut node.sent);
            let (mine, others): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(to, _)| *to == session);
            node.sent.extend(others);
            if mine.is_empty() {
                return;
            }
            for (_, bytes) in mine {
                self.bytes += bytes.len();
                let frame = Frame::decode(&Bytes::from(bytes)).expect("a client speaks the protocol");
                let before = node.replica.stats().changesets;
                for reply in self.answer(frame.expect("a known frame")) {
                    self.say(node, reply);
                }
                let came = node.replica.stats().changesets - before;
                self.most = self.most.map(|most| most.max(came));
            }
        }
        panic!("a client that goes on and on: {} pushes", self.pushes.len());
    }

    /// Time passes; broken connections are made again when the node asks for them.
    pub fn wait(&mut self, node: &mut Node, ms: u64) {
        let end = node.now_ms + ms;
        while node.now_ms < end {
            let next = node.replica.next_timer(node.now_ms).unwrap_or(end);
            node.now_ms = next.clamp(node.now_ms + 1, end);
            self.say(node, Frame::Tick { time_ms: 0 });
            node.with(|replica, env| replica.tick(env));
            let dialed = std::mem::take(&mut node.dialed);
            for (session, url) in dialed {
                if url == self.url {
                    self.greet(node, session);
                } else {
                    node.dialed.push((session, url));
                }
            }
            self.run(node);
        }
    }

    fn position(&self, cursor: usize) -> Position {
        let chain = start_chain(self.log_id, self.space);
        let chain = self.ids()[..cursor].iter().fold(chain, |chain, id| next_chain(chain, *id));
        Position { log_id: self.log_id, cursor: cursor as u64, chain }
    }

    fn answer(&mut self, frame: Frame) -> Vec<Frame> {
        match frame {
            Frame::Auth(_) => {
                let refused = match self.manner {
                    Manner::Denies(code) => Some(code),
                    _ => None,
                };
                vec![Frame::AuthOk(AuthOk {
                    version: 1,
                    spaces: vec![Admission { space: self.space, refused }],
                })]
            }
            Frame::Subscribe(subscribe) => self.subscribe(&subscribe),
            Frame::Push(push) => self.push(push),
            Frame::Credit(_) if self.held && !self.stays_held => {
                self.held = false;
                self.news()
            }
            Frame::Credit(_) => Vec::new(),
            Frame::Snap(_, snap) => {
                self.answer_snap(snap).map(|snap| Frame::Snap(self.space, snap)).into_iter().collect()
            }
            Frame::HeadsRange(_) | Frame::GetChain(_) if self.is_old => Vec::new(),
            Frame::HeadsRange(HeadsRange { space, sums }) => {
                let (ranges, tips) = differing(self.tips(|_| true), &sums);
                vec![Frame::HeadsDiffer(HeadsDiffer { space, ranges, tips, too_many: false })]
            }
            Frame::GetChain(question) => vec![self.chains(&question)],
            frame => panic!("{frame:?}"),
        }
    }

    fn answer_snap(&mut self, snap: Snap) -> Option<Snap> {
        match snap {
            Snap::Offer(offer) if self.is_mute => {
                self.snapshot = Some(offer);
                None
            }
            _ if self.is_mute => None,
            Snap::Offer(offer) => {
                let id = SnapshotId::of(&offer.manifest);
                self.snapshot = Some(offer);
                self.chunks.clear();
                Some(Snap::Get { id, number: 0 })
            }
            Snap::Chunk { id, bytes, .. } => {
                self.chunks.push(bytes);
                let offer = self.snapshot.clone().expect("it was offered");
                let manifest = Manifest::decode(&offer.manifest).expect("an honest one");
                let number = self.chunks.len() as u32;
                assert!(manifest.is_chunk(number - 1, &self.chunks[number as usize - 1]));
                let is_whole = self.chunks.len() == manifest.chunks.len();
                Some(if is_whole { Snap::Offer(offer) } else { Snap::Get { id, number } })
            }
            Snap::Get { id, number } => {
                let bytes = self.chunks.get(number as usize).cloned().unwrap_or_default();
                Some(Snap::Chunk { id, number, bytes })
            }
            snap => {
                if let (Snap::Attest { by, .. }, Some(snapshot)) = (&snap, &mut self.snapshot) {
                    snapshot.by.push(by.clone());
                }
                self.heard.push(snap);
                None
            }
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe) -> Vec<Frame> {
        if matches!(self.manner, Manner::Denies(_)) {
            return Vec::new();
        }
        let resync = subscribe.from.and_then(|from| {
            let known = usize::try_from(from.cursor).expect("small") <= self.rows.len();
            match (from.log_id == self.log_id, known) {
                (false, _) => Some(Resync::LogId),
                (_, false) => Some(Resync::FutureCursor),
                _ => (self.position(from.cursor as usize) != from).then_some(Resync::Chain),
            }
        });
        let is_other = resync.is_some() || subscribe.from.is_none();
        let head = self.rows.len() as u64;
        let same = is_other && subscribe.heads == Some(heads_digest(self.tips(|_| true)));
        let place = same.then(|| self.position(self.rows.len()));
        let compares = is_other && !same && !self.is_old && head > 0 && 2 * subscribe.held >= head;
        let from = if is_other { place } else { subscribe.from };
        self.sent = from.map_or(0, |from| from.cursor);
        let tips = subscribe.own.iter().flat_map(|actor| self.tips(|header| header.actor() == *actor));
        let tips: Vec<Tip> = tips.collect();
        let subscribed = Subscribed {
            space: self.space,
            resync,
            log_id: self.log_id,
            head: self.head.unwrap_or(self.rows.len() as u64),
            said: self.say_what_is_held(subscribe.own.clone(), tips.clone()),
            tips,
            chain: place.map(|place| place.chain),
            place: compares.then(|| self.position(self.rows.len()).chain),
        };
        let mut frames = vec![Frame::Subscribed(subscribed)];
        let shown = self
            .snapshot
            .clone()
            .filter(|snapshot| subscribe.look && self.sent == 0 && snapshot.by.len() > 1);
        self.held = shown.is_some();
        frames.extend(shown.map(|offer| Frame::Snap(self.space, Snap::Offer(offer))));
        if !compares && !self.held {
            frames.extend(self.news());
        }
        frames
    }

    fn say_what_is_held(&self, asked: Vec<ActorId>, held: Vec<Tip>) -> Option<Said> {
        let holding = Holding::sign(self.key.as_ref()?, &self.space, self.now_ms, asked, held);
        Some(Said { time_ms: holding.time_ms, signature: holding.signature.0 })
    }

    fn chains(&mut self, question: &GetChain) -> Frame {
        let is_asked = |header: &Header| {
            let within = |range: &ChainRange| (range.first..=range.last).contains(&header.seq());
            question.ranges.iter().any(|range| range.actor == header.actor() && within(range))
        };
        let (mut rows, mut bytes, mut next) = (Vec::new(), 0, 0);
        for (cursor, row) in (1..).zip(&self.rows).skip(question.after as usize) {
            if !is_asked(&Header::decode(&row.header).expect("an honest header")) {
                continue;
            }
            bytes += row.bytes();
            if bytes > BATCH_BYTES_MAX && !rows.is_empty() {
                next = cursor - 1;
                break;
            }
            rows.push(self.told(row));
        }
        self.delivered += rows.len();
        Frame::Chain(Chain { space: question.space, rows, next })
    }

    fn told(&self, row: &Row) -> Row {
        let mut row = row.clone();
        self.spoils.iter().for_each(|spoil| spoil(&mut row));
        row
    }

    fn news(&mut self) -> Vec<Frame> {
        let from = self.sent as usize;
        let mut frames = Vec::new();
        for (n, page) in self.rows.get(from..).unwrap_or_default().chunks(self.batch_rows).enumerate() {
            let rows = page.iter().map(|row| Delivery::Row(self.told(row))).collect();
            let before = from + n * self.batch_rows.min(self.rows.len());
            let (first_cursor, chain) = (before as u64 + 1, Some(self.position(before + page.len()).chain));
            frames.push(Frame::Batch(Batch { space: self.space, first_cursor, rows, chain }));
        }
        if from < self.rows.len() {
            self.delivered += self.rows.len() - from;
            self.sent = self.rows.len() as u64;
        }
        frames.push(Frame::CaughtUp(CaughtUp { space: self.space, cursor: self.sent }));
        frames
    }

    fn headers(&self) -> VecDeque<Header> {
        self.rows.iter().map(|row| Header::decode(&row.header).expect("an honest header")).collect()
    }

    fn tips(&self, of: impl Fn(&Header) -> bool) -> Vec<Tip> {
        let headers: VecDeque<Header> = self.headers().into_iter().filter(of).collect();
        let passed: HashSet<ChangesetId> = headers.iter().filter_map(Header::prev).collect();
        let is_tip = |header: &&Header| !passed.contains(&header.id());
        let tips = headers.iter().filter(is_tip);
        tips.map(|header| Tip { actor: header.actor(), seq: header.seq(), id: header.id() }).collect()
    }

    fn push(&mut self, push: Push) -> Vec<Frame> {
        self.pushes.push(push.rows.len());
        let headers = self.headers();
        let twins =
            headers.iter().rev().map(|header| ((header.actor(), header.seq()), header.id())).collect();
        let at = (1..).zip(&headers).map(|(cursor, header)| (header.id(), cursor)).collect();
        let mut index = Index { at, twins };
        let place = |row: &Row| {
            let header = Header::decode(&row.header).expect("an honest header");
            Tip { actor: header.actor(), seq: header.seq(), id: header.id() }
        };
        let places: Vec<Tip> = push.rows.iter().map(place).collect();
        let results: Vec<Verdict> = push.rows.into_iter().map(|row| self.judge(row, &mut index)).collect();
        let held = places.into_iter().zip(&results).filter(|(_, verdict)| verdict.is_held());
        let said = self.say_what_is_held(Vec::new(), Holding::ends(held.map(|(place, _)| place)));
        let mut frames = vec![Frame::Ack(Ack { push_id: push.push_id, results, said })];
        frames.extend(self.news());
        frames
    }

    fn judge(&mut self, row: Row, index: &mut Index) -> Verdict {
        let header = Header::decode(&row.header).expect("an honest header");
        let cursor = self.rows.len() as u64 + 1;
        match self.manner {
            Manner::AlwaysGap => return Verdict::Gap { tip: None },
            Manner::Rejects(code) => return Verdict::Rejected(code),
            _ => {}
        }
        if let Some(cursor) = index.at.get(&header.id()) {
            return Verdict::Dup { cursor: *cursor };
        }
        if header.prev().is_some_and(|prev| !index.at.contains_key(&prev)) {
            let tips = self.tips(|known| known.actor() == header.actor());
            return Verdict::Gap { tip: tips.iter().max_by_key(|tip| tip.seq).map(|tip| (tip.seq, tip.id)) };
        }
        if self.manner == Manner::Full {
            return Verdict::Rejected(Code::Quota);
        }
        // Whatever else it is, it checks signatures.
        if SignedChangeset::from_parts(&row.header, row.signature, None, None)
            .is_ok_and(|row| row.verify().is_err())
        {
            return Verdict::Rejected(Code::BadSignature);
        }
        let twin = index.twins.get(&(header.actor(), header.seq())).copied();
        index.at.insert(header.id(), cursor);
        index.twins.entry((header.actor(), header.seq())).or_insert(header.id());
        self.rows.push(row);
        twin.map_or(Verdict::Accepted { cursor }, |existing| Verdict::Forked { cursor, existing })
    }
}
