//! Links: the sessions with relays and peers, and what each of them still has to be sent.

use super::ladder::{Ladder, Question};
use super::mend::Mends;
use super::noted::Tallies;
use super::passage::Passage;
use super::refusal::Refusals;
use super::tabs::Elsewhere;
use super::{Env, Output, Replica, Tier};
use crate::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, LogChain, LogId, Tip};
use crate::codec::{Reader, Writer};
use crate::event::{Holding, Log, SignedChangeset};
use crate::sorted::{SortedMap, sort};
use crate::sync::{Backoff, Due, PeerSession, Position, Row, SLICE_ROWS, Session, SessionConfig, Status};
use foldhash::HashSet;
use std::collections::{BTreeMap, VecDeque};

/// Row bytes that a session may hand over before they are stored.
const CREDIT_BYTES: u64 = 4 << 20;

/// Frames that may wait behind rows of one relay.
const FRAMES_MAX: usize = 1_024;

/// How long a tab has for sending what it stored, before others send it. It may have ended in between.
const STRAY_MS: u64 = 10_000;

/// The state of sync as an application shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The best state among the relays; offline without one.
    pub status: SyncStatus,
    /// Own changesets that no relay has acknowledged.
    pub pending: usize,
    /// When a relay or peer was last heard, in ms since 1970.
    pub last_heard_ms: Option<u64>,
    /// While the logs of relays are read: how many of their changesets came in, and how many they have.
    pub progress: Option<(u64, u64)>,
    /// Whether there is anybody on the other side: a relay that showed all it has, or a peer.
    pub connected: bool,
    /// Whether nothing is on its way in either direction.
    pub settled: bool,
}

/// The state of the connection to the relays.
pub type SyncStatus = Status;

/// Bytes taken from a session, whose credit is returned once they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receipt {
    Relay(Position),
    /// Rows that were asked for by their places; whether they are the last of an answer.
    Chain(bool),
    Peer(u64),
}

pub(super) struct RelayLink {
    pub(super) url: String,
    pub(super) session: Session,
    pub(super) backoff: Backoff,
    pub(super) redial: Option<Due>,
    pub(super) last_heard_ms: Option<u64>,
    /// This member got another certificate since it logged in: what the relay says of the old one is nothing to stop at.
    pub(super) has_old_login: bool,
    /// The key that it showed when it asked for the login.
    pub(super) relay_key: [u8; 32],
    /// Rows to push, oldest first.
    pub(super) queue: VecDeque<ChangesetIx>,
    /// Rows the relay delivered that are not in the graph yet.
    pub(super) delivered: HashSet<ChangesetId>,
    /// Rows that another tab stored and that the relay has not delivered since: that tab sends them, if it still can.
    pub(super) strays: HashSet<ChangesetId>,
    /// When it had time enough.
    pub(super) stray_due: Option<Due>,
    /// The relay starts over: once caught up, everything it did not show is pushed.
    pub(super) resync: bool,
    pub(super) shown: HashSet<ChangesetId>,
    /// What its log has is being compared.
    pub(super) ladder: Option<Ladder>,
    /// What it was asked for and has not sent all of.
    pub(super) question: Option<Question>,
    /// All its ends, as the comparison found them.
    pub(super) ends: Option<Vec<ChangesetId>>,
    /// What it takes and what it does not.
    pub(super) refusals: Refusals,
    /// Frames that came behind rows that are not taken in yet.
    pub(super) frames: VecDeque<Vec<u8>>,
}

pub(super) struct PeerLink {
    pub(super) session: PeerSession,
    /// What it still has to be sent.
    pub(super) queue: VecDeque<ChangesetIx>,
    /// What it lacks, and gets once it is no longer spoilt here.
    pub(super) withheld: HashSet<ChangesetId>,
    /// The queue holds a difference whose end is to be said.
    pub(super) owes_difference: bool,
    /// The last difference was asked for: what was new before that is part of it, behind its ancestors.
    pub(super) settled: bool,
    /// Rows the peer delivered that are not in the graph yet.
    pub(super) delivered: HashSet<ChangesetId>,
    /// Frames that came before the bytes they may ask for.
    pub(super) held: Vec<Vec<u8>>,
}

impl RelayLink {
    pub(super) fn is_subscribed(&self) -> bool {
        !self.resync && matches!(self.session.status(), Status::Live | Status::CatchingUp)
    }

    /// What a denial was about has changed.
    pub(super) fn ask_again(&mut self) {
        self.session.ask_again();
        self.refusals.denied = None;
        self.redial = Some(Due::after(0, 0));
    }

    /// Whether more waits behind rows than an honest relay sends.
    fn is_flooded(&self) -> bool {
        let bytes = || self.frames.iter().map(Vec::len).sum::<usize>() as u64;
        self.frames.len() > FRAMES_MAX || bytes() > 2 * CREDIT_BYTES
    }
}

/// All sessions.
#[derive(Default)]
pub(super) struct Links {
    pub(super) relays: SortedMap<u32, RelayLink>,
    pub(super) peers: SortedMap<u32, PeerLink>,
    pub(super) last_session: u32,
    pub(super) positions: SortedMap<String, Position>,
    /// What relays signed last that they hold of what was pushed to them: by address, with the key.
    pub(super) receipts: SortedMap<String, ([u8; 32], Holding)>,
    pub(super) last_heard_ms: Option<u64>,
    /// The relays are shared with other tabs.
    pub(super) elsewhere: Option<Elsewhere>,
    /// Own changesets of other tabs that a relay has and this one has not read yet.
    pub(super) early: HashSet<ChangesetId>,
    /// What came spoilt, and is asked for again.
    pub(super) mends: Mends,
    /// Rows of relays that were taken in since the last tick: many frames may come in one turn of the thread.
    pub(super) taken_rows: usize,
    /// What is looked at before it goes out.
    pub(super) passage: Passage,
    /// What went over each session.
    pub(super) tallies: Tallies,
}

impl Links {
    /// Reads the places in relays' logs.
    pub fn load(&mut self, meta: &BTreeMap<String, Vec<u8>>) {
        for (name, record) in meta {
            if let Some(url) = name.strip_prefix("relay/") {
                self.load_place(url, record);
            } else if let Some(url) = name.strip_prefix("receipt/") {
                self.load_receipt(url, record);
            }
        }
    }

    fn load_place(&mut self, url: &str, record: &[u8]) {
        if let Some(position) = decode_position(record) {
            self.positions.insert(url.to_owned(), position);
        }
    }

    /// Whether there is time for so many more rows before the next tick.
    pub fn takes_rows(&mut self, rows: usize) -> bool {
        let takes = self.taken_rows == 0 || self.taken_rows + rows <= SLICE_ROWS;
        self.taken_rows += if takes { rows } else { 0 };
        takes
    }

    /// Whether rows of a relay wait to be taken in.
    pub fn has_rows(&self) -> bool {
        self.relays.values().any(|link| link.session.next_rows() > 0 || !link.frames.is_empty())
    }

    /// Whether there is none, here or in another tab.
    pub fn is_without_relay(&self) -> bool {
        self.relays.is_empty() && self.elsewhere.is_none()
    }

    /// Whether a relay tells others at once what is written here.
    pub fn is_live(&self) -> bool {
        let live = |status| status == Status::Live;
        self.relays.values().any(|link| live(link.session.status()))
            || self.elsewhere.as_ref().is_some_and(|tab| live(tab.status))
    }

    /// When a relay that is away is dialled again.
    pub fn redial_ms(&self) -> Option<u64> {
        self.relays.values().filter_map(|link| link.redial).map(|redial| redial.at_ms).min()
    }

    /// When a relay that is there is to be looked after: whether it is alive, takes what it refused, and was sent what other tabs stored.
    pub fn due_ms(&self, now_ms: u64) -> Option<u64> {
        let connected = |link: &&RelayLink| link.session.status() != Status::Offline;
        let watch = self.relays.values().find(connected).map(|_| now_ms + 1_000);
        let due = |link: &RelayLink| [link.refusals.pause, link.stray_due];
        let due = self.relays.values().flat_map(due).flatten().map(|due| due.at_ms).min();
        watch.into_iter().chain(due).min()
    }

    /// The log was put together anew: changesets that wait to be pushed have other numbers, lost ones have none.
    pub fn renumber(&mut self, old: &CausalGraph, new: &CausalGraph) {
        let relays = self.relays.values_mut().map(|link| &mut link.queue);
        for queue in relays.chain(self.peers.values_mut().map(|link| &mut link.queue)) {
            *queue = queue.iter().filter_map(|ix| new.get(&old.id(*ix))).collect();
        }
    }

    /// After a new certificate: relays that refused are asked again.
    pub fn renew(&mut self) {
        for link in self.relays.values_mut() {
            match link.session.status() {
                Status::Denied => link.ask_again(),
                _ => link.has_old_login = true,
            }
        }
    }
}

impl Replica {
    /// The place in a relay's log as the store has it now, perhaps by another tab. All rows before it have to be read.
    pub fn read_place(&mut self, url: &str, record: &[u8]) {
        self.links.load_place(url, record);
    }

    /// Starts a session with a relay; its number. The socket is asked for with [`Output::Dial`].
    pub fn connect(&mut self, url: &str, env: &mut Env<'_>) -> u32 {
        let known = self.links.relays.iter().find(|(_, link)| link.url == url);
        if let Some((session, _)) = known {
            return *session;
        }
        let config = SessionConfig {
            space: self.space(),
            from: self.links.positions.get(url).copied(),
            own: Vec::new(),
            credit_bytes: self.credit_of(url, CREDIT_BYTES, env.now_ms),
            look: !self.shared.is_off,
        };
        self.links.last_session += 1;
        let session = self.links.last_session;
        let link = RelayLink {
            url: url.to_owned(),
            session: Session::new(config),
            backoff: Backoff::default(),
            redial: Some(Due::after(env.now_ms, 0)),
            last_heard_ms: None,
            has_old_login: false,
            relay_key: [0; 32],
            queue: VecDeque::new(),
            delivered: HashSet::default(),
            strays: HashSet::default(),
            stray_due: None,
            resync: false,
            shown: HashSet::default(),
            ladder: None,
            question: None,
            ends: None,
            refusals: Refusals::default(),
            frames: VecDeque::new(),
        };
        self.links.relays.insert(session, link);
        self.dial(env);
        session
    }

    /// Ends the session with a relay.
    pub fn disconnect(&mut self, url: &str) {
        let session = self.links.relays.iter().find(|(_, link)| link.url == url).map(|(session, _)| *session);
        if let Some(session) = session {
            self.session_ended(session, self.journal.now_ms);
            self.links.relays.remove(&session);
            self.outputs.push_back(Output::Close { session });
            self.outputs.push_back(Output::Sync);
        }
    }

    /// Starts a session with a peer over a port.
    pub fn attach(&mut self) -> u32 {
        self.links.last_session += 1;
        let session = self.links.last_session;
        let tips: Vec<Tip> = self.log.graph().tips().collect();
        let link = PeerLink {
            session: PeerSession::new(self.space(), &tips, CREDIT_BYTES),
            queue: VecDeque::new(),
            withheld: HashSet::default(),
            owes_difference: false,
            settled: false,
            delivered: HashSet::default(),
            held: Vec::new(),
        };
        self.links.peers.insert(session, link);
        session
    }

    /// Ends the session with a peer.
    pub fn detach(&mut self, session: u32) {
        self.session_ended(session, self.journal.now_ms);
        self.links.peers.remove(&session);
    }

    /// The socket or port of a session can carry frames from now on.
    pub fn opened(&mut self, session: u32, env: &mut Env<'_>) {
        let own = self.actors_for_tips();
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.set_own(own);
            link.session.connected(env.now_ms);
            self.drain_relay(session, env);
        }
        self.peer_began(session, env.now_ms);
        self.drain_peer(session, env);
    }

    /// A frame came in.
    pub fn received(&mut self, session: u32, frame: &[u8], env: &mut Env<'_>) {
        self.links.last_heard_ms = Some(env.now_ms);
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.last_heard_ms = Some(env.now_ms);
            link.frames.push_back(frame.to_vec());
            self.drain_relay(session, env);
            // Whoever sends more than it has credit for gets no slices: it is found out now.
            while self.links.relays.get(&session).is_some_and(RelayLink::is_flooded) {
                self.links.taken_rows = 0;
                self.drain_relay(session, env);
            }
        } else if let Some(link) = self.links.peers.get_mut(&session) {
            if !self.log.is_whole() {
                link.held.push(frame.to_vec());
                self.need_bytes();
                return;
            }
            link.session.on_frame(frame);
            self.drain_peer(session, env);
        }
    }

    /// The bytes that peers may ask for are here: what they said meanwhile is heard.
    pub(super) fn hear_held(&mut self, env: &mut Env<'_>) {
        for session in self.links.peers.keys().copied().collect::<Vec<_>>() {
            let held = self.links.peers.get_mut(&session).map(|link| std::mem::take(&mut link.held));
            held.into_iter().flatten().for_each(|frame| self.received(session, &frame, env));
        }
    }

    /// The socket or port of a session is closed, or could not be opened.
    pub fn closed(&mut self, session: u32, env: &mut Env<'_>) {
        self.session_ended(session, env.now_ms);
        self.links.peers.remove(&session);
        self.leave_share(session);
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.session.disconnected();
        link.frames.clear();
        link.queue.clear();
        link.delivered.clear();
        link.strays.clear();
        (link.ladder, link.question, link.ends) = (None, None, None);
        link.refusals.disconnected();
        if link.redial.is_none() && link.session.status() != Status::Denied {
            let mut random = [0; 8];
            (env.random)(&mut random);
            let wait = link.backoff.down(env.now_ms, u64::from_le_bytes(random));
            link.redial = Some(Due::after(env.now_ms, wait));
        }
        self.drain_relay(session, env);
    }

    /// Time passed for a relay: what another tab did not send by now is sent from here.
    pub(super) fn tick_relay(&mut self, session: u32, env: &mut Env<'_>) {
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.on_tick(env.now_ms);
            link.refusals.pause.take_if(|pause| pause.is_over(env.now_ms));
            if link.stray_due.take_if(|due| due.is_over(env.now_ms)).is_some() {
                let strays = std::mem::take(&mut link.strays);
                let mut strays: Vec<ChangesetIx> =
                    strays.iter().filter_map(|id| self.log.graph().get(id)).collect();
                sort(&mut strays);
                link.queue.extend(strays);
            }
        }
        self.drain_relay(session, env);
    }

    /// The state of sync.
    pub fn sync_state(&self) -> SyncState {
        let rank = |status: &Status| match status {
            Status::Offline => 0,
            Status::Denied => 1,
            Status::Connecting => 2,
            Status::Reset => 3,
            Status::CatchingUp => 4,
            Status::Live => 5,
        };
        let elsewhere = self.links.elsewhere.iter().map(|tab| tab.status);
        let status =
            self.links.relays.values().map(|link| link.session.status()).chain(elsewhere).max_by_key(rank);
        let busy = |link: &RelayLink| match link.session.status() {
            Status::Offline | Status::Denied => false,
            Status::Live => {
                link.refusal().is_none() && (!link.queue.is_empty() || !link.session.is_settled())
            }
            Status::Connecting | Status::CatchingUp | Status::Reset => true,
        };
        let reading = self.links.relays.values().filter_map(|link| link.session.progress());
        SyncState {
            progress: reading.reduce(|all, one| (all.0.saturating_add(one.0), all.1.saturating_add(one.1))),
            status: status.unwrap_or(Status::Offline),
            pending: self.tiers.unacked(),
            last_heard_ms: self.links.last_heard_ms,
            connected: !self.links.peers.is_empty()
                || self.links.relays.values().any(|link| link.session.status() == Status::Live),
            settled: !self.is_storing()
                && !self.fold.has_batch()
                && !self.log.has_ready()
                && !self.links.has_rows()
                && !self.links.relays.values().any(busy)
                && self.links.peers.values().all(|link| link.queue.is_empty() && link.session.is_caught_up()),
        }
    }

    /// Own changesets are durable here (or never will be): now they may go out.
    pub(super) fn push_own(&mut self, ids: &[ChangesetId], env: &mut Env<'_>) {
        let numbers: Vec<ChangesetIx> = ids.iter().filter_map(|id| self.log.graph().get(id)).collect();
        for link in self.links.relays.values_mut().filter(|link| link.is_subscribed()) {
            link.queue.extend(&numbers);
        }
        self.offer_to_peers(&numbers, env);
        self.pump_relays(env);
        self.outputs.push_back(Output::Sync);
    }

    /// Changesets of others joined the graph: whoever did not send them may lack them.
    pub(super) fn offer_arrived(&mut self, arrived: &[ChangesetIx], env: &mut Env<'_>) {
        // Otherwise whoever stored it pushes it too.
        let by_tab = self.loading && self.links.elsewhere.is_none();
        if arrived.is_empty() {
            return;
        }
        self.note_own_stored(arrived);
        let graph = self.log.graph();
        let mut at_relay = Vec::new();
        for link in self.links.relays.values_mut() {
            let live = link.is_subscribed();
            for ix in arrived {
                if link.delivered.remove(&graph.id(*ix)) {
                    at_relay.push(graph.id(*ix));
                } else if live && by_tab {
                    link.strays.insert(graph.id(*ix));
                    link.stray_due.get_or_insert(Due::after(env.now_ms, STRAY_MS));
                } else if live {
                    link.queue.push_back(*ix);
                }
            }
        }
        // What another tab wrote may come from there before it comes from the store.
        self.mark_at_relay(&at_relay);
        self.offer_to_peers(arrived, env);
        self.pump_relays(env);
    }

    /// Notes those of this member's changesets that came from the store or from another device.
    pub(super) fn note_own_stored(&mut self, arrived: &[ChangesetIx]) {
        // By member: the key of an actor that was not to last is gone, its changesets are not.
        let member = self.member();
        let (graph, mut early) = (self.log.graph(), Vec::new());
        self.tiers.reserve(arrived.len());
        for ix in arrived.iter().filter(|ix| self.log.author(**ix).member == member) {
            let id = graph.id(*ix);
            if self.tiers.reached(&id).is_none() {
                self.tiers.reach(id, Tier::Local);
                self.tiers.await_relay(id);
                if self.links.early.remove(&id) {
                    early.push(id);
                }
            }
        }
        self.at_relay(&early);
    }

    /// Bytes taken from a session are stored: it may send more.
    pub(super) fn stored_for(&mut self, session: u32, receipt: Receipt, env: &mut Env<'_>) {
        match receipt {
            Receipt::Relay(position) => {
                if let Some(link) = self.links.relays.get_mut(&session) {
                    link.session.stored(position);
                    self.drain_relay(session, env);
                }
            }
            Receipt::Chain(is_last) => {
                if is_last {
                    self.chain_stored(session);
                }
                self.drain_relay(session, env);
            }
            Receipt::Peer(bytes) => {
                if let Some(link) = self.links.peers.get_mut(&session) {
                    link.session.stored(bytes);
                    self.drain_peer(session, env);
                }
            }
        }
    }

    pub(super) fn dial(&mut self, env: &mut Env<'_>) {
        if self.links.relays.is_empty() || self.need_bytes() {
            return;
        }
        for (session, link) in self.links.relays.iter_mut() {
            if link.redial.as_mut().is_some_and(|redial| redial.is_over(env.now_ms)) && self.actor.is_some() {
                link.redial = None;
                self.outputs.push_back(Output::Dial { session: *session, url: link.url.clone() });
            }
        }
    }

    /// Own changesets go out only after the strict commit; what came from others is on its way already.
    pub(super) fn sendable(&self, ix: ChangesetIx) -> bool {
        let id = self.log.graph().id(ix);
        self.memory_only.is_some() || self.tiers.reached(&id).is_some() || !self.tiers.is_unacked(&id)
    }

    /// The actors whose tips a relay is asked for: this device's, then the ones met last.
    pub(super) fn actors_for_tips(&self) -> Vec<ActorId> {
        let mut seen = HashSet::default();
        let graph = self.log.graph();
        let others = (0..graph.len()).rev().map(|ix| graph.actor(ChangesetIx(ix)));
        let mut actors: Vec<ActorId> =
            self.identity.actors().chain(others).filter(|actor| seen.insert(*actor)).collect();
        actors.truncate(crate::sync::OWN_ACTORS_MAX);
        actors
    }

    pub(super) fn mark_at_relay(&mut self, ids: &[ChangesetId]) {
        let own: Vec<ChangesetId> = ids.iter().copied().filter(|id| self.tiers.acked(id)).collect();
        if !own.is_empty() {
            self.mark_saved(Tier::Relay, &own);
            self.outputs.push_back(Output::Sync);
        }
    }
}

/// A changeset and all before it in its chain.
pub(super) fn own_chain(graph: &CausalGraph, from: ChangesetIx) -> impl Iterator<Item = ChangesetIx> + '_ {
    std::iter::successors(Some(from), |ix| graph.prev(*ix))
}

pub(super) fn to_row(log: &Log, ix: ChangesetIx) -> Row {
    let signed = log.entry(ix).changeset().expect("links begin when all bytes are here").signed();
    Row {
        header: signed.header().as_bytes().to_vec().into(),
        signature: signed.signature().0,
        skeleton: signed.skeleton().unwrap_or_default().to_vec().into(),
        content: signed.content().map(|content| content.to_vec().into()),
    }
}

pub(super) fn from_row(row: &Row) -> Result<SignedChangeset, crate::codec::DecodeError> {
    let skeleton = (!row.skeleton.is_empty()).then_some(&row.skeleton[..]);
    SignedChangeset::from_parts(&row.header, row.signature, skeleton, row.content.as_deref())
}

pub(super) fn encode_position(position: &Position) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&position.log_id.0).varint(position.cursor).raw(&position.chain.0);
    writer.into_bytes()
}

fn decode_position(record: &[u8]) -> Option<Position> {
    let mut reader = Reader::new(record);
    let log_id = LogId(reader.array("log id").ok()?);
    let cursor = reader.varint("cursor", u64::MAX).ok()?;
    Some(Position { log_id, cursor, chain: LogChain(reader.array("chain").ok()?) })
}
