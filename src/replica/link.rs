//! Links: the sessions with relays and peers, and what each of them still has to be sent.

use super::receive::Origin;
use super::{Env, Output, Replica, Tier, Trouble};
use crate::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, LogChain, LogId};
use crate::codec::{Reader, Writer};
use crate::event::{self, Log, SignedChangeset};
use crate::store::{StoreBatch, StoreName};
use crate::sync::{
    Backoff, Challenge, Delivery, Login, PeerOutput, PeerSession, Position, Proof, Retry, Row, Session, SessionConfig,
    SessionOutput, Status, Tip, Verdict, Window,
};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

/// Row bytes that a session may hand over before they are stored.
const CREDIT_BYTES: u64 = 4 << 20;

/// The state of sync as an application shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The best state among the relays; offline without one.
    pub status: SyncStatus,
    /// Own changesets that no relay has acknowledged.
    pub pending: usize,
    /// When a relay or peer was last heard, in ms since 1970.
    pub last_heard_ms: Option<u64>,
    /// Whether nothing is on its way in either direction.
    pub settled: bool,
}

/// The state of the connection to the relays.
pub type SyncStatus = Status;

/// Bytes taken from a session, whose credit is returned once they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receipt {
    Relay(Position),
    Peer(u64),
}

struct RelayLink {
    url: String,
    session: Session,
    backoff: Backoff,
    redial_ms: Option<u64>,
    /// Rows to push, oldest first.
    queue: VecDeque<ChangesetIx>,
    /// Rows the relay delivered that are not in the graph yet.
    delivered: HashSet<ChangesetId>,
    /// The relay starts over: once caught up, everything it did not show is pushed.
    resync: bool,
    shown: HashSet<ChangesetId>,
}

struct PeerLink {
    session: PeerSession,
    queue: VecDeque<Row>,
    /// The queue holds a difference whose end is to be said.
    owes_difference: bool,
}

impl RelayLink {
    fn is_subscribed(&self) -> bool {
        !self.resync && matches!(self.session.status(), Status::Live | Status::CatchingUp)
    }
}

impl PeerLink {
    fn send(&mut self) {
        self.session.send_rows(&mut self.queue);
        if self.queue.is_empty() && std::mem::take(&mut self.owes_difference) {
            self.session.difference_sent();
        }
    }
}

/// All sessions.
#[derive(Default)]
pub(super) struct Links {
    relays: BTreeMap<u32, RelayLink>,
    peers: BTreeMap<u32, PeerLink>,
    last_session: u32,
    positions: BTreeMap<String, Position>,
    last_heard_ms: Option<u64>,
    /// Own changesets that no relay is known to have.
    pub unacked: BTreeSet<ChangesetId>,
}

impl Links {
    /// Reads the places in relays' logs.
    pub fn load(&mut self, meta: &BTreeMap<String, Vec<u8>>) {
        for (name, record) in meta {
            if let (Some(url), Some(position)) = (name.strip_prefix("relay/"), decode_position(record)) {
                self.positions.insert(url.to_owned(), position);
            }
        }
    }

    /// Whether others are likely to be online.
    pub fn others_online(&self) -> bool {
        self.relays.values().any(|link| link.session.status() == Status::Live)
            || !self.peers.is_empty()
    }

    /// After a new certificate: relays that refused are asked again.
    pub fn renew(&mut self) {
        for link in self.relays.values_mut() {
            if link.session.status() == Status::Denied {
                link.redial_ms = Some(0);
            }
        }
    }
}

impl Replica {
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
            credit_bytes: CREDIT_BYTES,
        };
        self.links.last_session += 1;
        let session = self.links.last_session;
        let link = RelayLink {
            url: url.to_owned(),
            session: Session::new(config),
            backoff: Backoff::default(),
            redial_ms: Some(env.now_ms),
            queue: VecDeque::new(),
            delivered: HashSet::new(),
            resync: false,
            shown: HashSet::new(),
        };
        self.links.relays.insert(session, link);
        self.dial(env);
        session
    }

    /// Ends the session with a relay.
    pub fn disconnect(&mut self, url: &str) {
        let session = self.links.relays.iter().find(|(_, link)| link.url == url).map(|(session, _)| *session);
        if let Some(session) = session {
            self.links.relays.remove(&session);
            self.outputs.push_back(Output::Close { session });
            self.outputs.push_back(Output::Sync);
        }
    }

    /// Starts a session with a peer over a port.
    pub fn attach(&mut self, env: &mut Env<'_>) -> u32 {
        self.links.last_session += 1;
        let session = self.links.last_session;
        let tips: Vec<Tip> = self.log.graph().tips().map(sync_tip).collect();
        let link =
            PeerLink {
            session: PeerSession::new(self.space(), &tips, CREDIT_BYTES),
            queue: VecDeque::new(),
            owes_difference: false,
        };
        self.links.peers.insert(session, link);
        self.drain_peer(session, env);
        session
    }

    /// Ends the session with a peer.
    pub fn detach(&mut self, session: u32) {
        self.links.peers.remove(&session);
    }

    /// The socket that a session asked for is open.
    pub fn opened(&mut self, session: u32, env: &mut Env<'_>) {
        let own = self.actors_for_tips();
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.set_own(own);
            link.session.connected(env.now_ms);
            self.drain_relay(session, env);
        }
    }

    /// A frame came in.
    pub fn received(&mut self, session: u32, frame: &[u8], env: &mut Env<'_>) {
        self.links.last_heard_ms = Some(env.now_ms);
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.on_frame(env.now_ms, frame);
            self.drain_relay(session, env);
        } else if let Some(link) = self.links.peers.get_mut(&session) {
            link.session.on_frame(frame);
            self.drain_peer(session, env);
        }
    }

    /// The socket or port of a session is closed, or could not be opened.
    pub fn closed(&mut self, session: u32, env: &mut Env<'_>) {
        self.links.peers.remove(&session);
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.session.disconnected();
        link.queue.clear();
        link.delivered.clear();
        if link.redial_ms.is_none() && link.session.status() != Status::Denied {
            let mut random = [0; 8];
            (env.random)(&mut random);
            let wait = link.backoff.down(env.now_ms, u64::from_le_bytes(random));
            link.redial_ms = Some(env.now_ms + wait);
        }
        self.drain_relay(session, env);
    }

    /// Time passed: seals a batch that is old enough, redials, notices dead connections, goes on with what is left to do.
    pub fn tick(&mut self, env: &mut Env<'_>) {
        if self.batch_deadline().is_some_and(|deadline| deadline <= env.now_ms) {
            self.seal(env);
        }
        self.integrate_ready(env);
        for session in self.links.relays.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.relays.get_mut(&session) {
                link.session.on_tick(env.now_ms);
            }
            self.drain_relay(session, env);
        }
        self.dial(env);
    }

    /// When to call [`Replica::tick`] next.
    pub fn next_timer(&self, now_ms: u64) -> Option<u64> {
        let ready = (self.log.has_ready() && !self.fold.has_batch() && !self.batch.in_transact).then_some(now_ms);
        let connected = |link: &&RelayLink| link.session.status() != Status::Offline;
        let watch = self.links.relays.values().find(connected).map(|_| now_ms + 1_000);
        let redial = self.links.relays.values().filter_map(|link| link.redial_ms).min();
        [self.batch_deadline(), ready, watch, redial].into_iter().flatten().min()
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
        let status = self.links.relays.values().map(|link| link.session.status()).max_by_key(rank);
        let busy = |link: &RelayLink| !link.queue.is_empty() || !link.session.is_settled();
        SyncState {
            status: status.unwrap_or(Status::Offline),
            pending: self.links.unacked.len(),
            last_heard_ms: self.links.last_heard_ms,
            settled: self.commits.is_empty()
                && !self.fold.has_batch()
                && !self.log.has_ready()
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
        let from_tab = self.loading;
        if arrived.is_empty() {
            return;
        }
        let own: BTreeSet<ActorId> = self.identity.actors().collect();
        let graph = self.log.graph();
        for ix in arrived.iter().filter(|ix| own.contains(&graph.actor(**ix))) {
            if !self.saved.contains_key(&graph.id(*ix)) {
                self.saved.insert(graph.id(*ix), Tier::Local);
                self.links.unacked.insert(graph.id(*ix));
            }
        }
        for link in self.links.relays.values_mut() {
            let live = link.is_subscribed();
            for ix in arrived {
                if !link.delivered.remove(&graph.id(*ix)) && live && !from_tab {
                    link.queue.push_back(*ix);
                }
            }
        }
        self.offer_to_peers(arrived, env);
        self.pump_relays(env);
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
            Receipt::Peer(bytes) => {
                if let Some(link) = self.links.peers.get_mut(&session) {
                    link.session.stored(bytes);
                    self.drain_peer(session, env);
                }
            }
        }
    }

    fn dial(&mut self, env: &mut Env<'_>) {
        for (session, link) in &mut self.links.relays {
            if link.redial_ms.is_some_and(|at| at <= env.now_ms) && self.actor.is_some() {
                link.redial_ms = None;
                self.outputs.push_back(Output::Dial { session: *session, url: link.url.clone() });
            }
        }
    }

    fn drain_relay(&mut self, session: u32, env: &mut Env<'_>) {
        while let Some(output) = self.links.relays.get_mut(&session).and_then(|link| link.session.poll()) {
            match output {
                SessionOutput::Send(frame) => self.outputs.push_back(Output::Send { session, frame: frame.to_vec() }),
                SessionOutput::Login(challenge) => self.log_in(session, &challenge, env),
                SessionOutput::Subscribed { resync, tips, .. } => self.subscribed(session, resync.is_some(), &tips),
                SessionOutput::Rows { rows, position } => self.take_delivery(session, rows, position, env),
                SessionOutput::Acked { results } => self.acked(session, &results, env),
                SessionOutput::Status(status) => self.status_changed(session, status, env),
                SessionOutput::Refused { code, message } => {
                    self.trouble(Trouble::Relay(format!("{code:?}: {message}")));
                }
                SessionOutput::Close { retry } => self.close_relay(session, retry, env),
            }
        }
        self.pump_relay(session);
        while let Some(output) = self.links.relays.get_mut(&session).and_then(|link| link.session.poll()) {
            if let SessionOutput::Send(frame) = output {
                self.outputs.push_back(Output::Send { session, frame: frame.to_vec() });
            }
        }
    }

    fn log_in(&mut self, session: u32, challenge: &Challenge, env: &mut Env<'_>) {
        let Some(actor) = self.actor else { return };
        let mut client_nonce = [0; 16];
        (env.random)(&mut client_nonce);
        let key = self.identity.actor_key(actor).expect("the key of the actor in use is here");
        let (genesis, chain) = (self.identity.genesis().as_bytes(), self.identity.actor_chain(actor).encode());
        let login = event::Login {
            relay: &challenge.relay_key,
            nonce: &challenge.nonce,
            client_nonce: &client_nonce,
            proofs: &[event::LoginProof { genesis, chain: &chain }],
        };
        let signature = login.sign(key).0;
        let proof = Proof { genesis: genesis.to_vec().into(), chain: chain.into(), signature };
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.login(Login { client_nonce, proof, token: None });
        }
    }

    /// The relay said what it has of the actors named: everything beyond is queued.
    fn subscribed(&mut self, session: u32, resync: bool, tips: &[Tip]) {
        let graph = self.log.graph();
        let held: Vec<ChangesetIx> = tips.iter().filter_map(|tip| graph.get(&tip.id)).collect();
        let named = self.actors_for_tips();
        let mut at_relay = HashSet::new();
        for tip in held {
            at_relay.extend(own_chain(graph, tip).take_while(|ix| !at_relay.contains(ix)).collect::<Vec<_>>());
        }
        let named: HashSet<ActorId> = named.into_iter().collect();
        let lacking = (0..graph.len()).map(ChangesetIx).filter(|ix| named.contains(&graph.actor(*ix)));
        let lacking: VecDeque<ChangesetIx> =
            lacking.filter(|ix| !resync && !at_relay.contains(ix) && self.sendable(*ix)).collect();
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        (link.resync, link.queue) = (resync, lacking);
        link.shown.clear();
        if resync {
            return;
        }
        let acked: Vec<ChangesetId> =
            at_relay.iter().map(|ix| graph.id(*ix)).filter(|id| self.links.unacked.contains(id)).collect();
        self.mark_at_relay(&acked);
    }

    fn take_delivery(&mut self, session: u32, rows: Vec<Delivery>, position: Position, env: &mut Env<'_>) {
        let (mut signed, mut own) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Delivery::Own(id) => own.push(id),
                Delivery::Row(row) => match from_row(&row) {
                    Ok(changeset) => signed.push(changeset),
                    Err(reason) => {
                        self.refused += 1;
                        self.trouble(Trouble::Relay(format!("a row does not decode: {reason}")));
                    }
                },
            }
        }
        let ids: Vec<ChangesetId> = signed.iter().map(SignedChangeset::id).chain(own).collect();
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if link.resync {
            link.shown.extend(&ids);
        }
        link.delivered.extend(ids.iter().filter(|id| !self.log.knows(id)));
        let record = (StoreName::Meta, format!("relay/{}", link.url), encode_position(&position));
        self.links.positions.insert(link.url.clone(), position);
        let known: Vec<ChangesetId> = ids.into_iter().filter(|id| self.links.unacked.contains(id)).collect();
        self.mark_at_relay(&known);
        let place = StoreBatch { put: vec![record], ..StoreBatch::default() };
        self.take_rows(signed, Origin::Session(session, Receipt::Relay(position)), place, env);
    }

    fn acked(&mut self, session: u32, results: &[(ChangesetId, Verdict)], env: &mut Env<'_>) {
        let mut safe = Vec::new();
        for (id, verdict) in results {
            match verdict {
                Verdict::Accepted { .. } | Verdict::Dup { .. } => safe.push(*id),
                Verdict::Forked { .. } => {
                    safe.push(*id);
                    self.forked_at_relay(*id, env);
                }
                Verdict::Gap { tip } => self.fill_gap(session, *id, tip.map(|(_, id)| id)),
                Verdict::Rejected(code) => self.trouble(Trouble::Relay(format!("{code:?}"))),
            }
        }
        self.mark_at_relay(&safe);
        self.outputs.push_back(Output::Sync);
    }

    /// The relay lacks rows before this one: they are queued from what it has.
    fn fill_gap(&mut self, session: u32, id: ChangesetId, tip: Option<ChangesetId>) {
        let graph = self.log.graph();
        let (Some(ix), Some(link)) = (graph.get(&id), self.links.relays.get_mut(&session)) else { return };
        let held: HashSet<ChangesetIx> =
            tip.and_then(|tip| graph.get(&tip)).map(|tip| own_chain(graph, tip).collect()).unwrap_or_default();
        let mut missing: Vec<ChangesetIx> = own_chain(graph, ix).take_while(|ix| !held.contains(ix)).collect();
        missing.reverse();
        missing.into_iter().rev().for_each(|ix| link.queue.push_front(ix));
    }

    fn status_changed(&mut self, session: u32, status: Status, env: &mut Env<'_>) {
        if status == Status::Live {
            self.caught_up(session, env);
        }
        self.outputs.push_back(Output::Sync);
    }

    /// Everything the relay has is here. After a resync, what it did not show is what it lacks.
    fn caught_up(&mut self, session: u32, env: &mut Env<'_>) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.backoff.up(env.now_ms);
        if !std::mem::take(&mut link.resync) {
            return;
        }
        let shown = std::mem::take(&mut link.shown);
        let graph = self.log.graph();
        let lacking = (0..graph.len()).map(ChangesetIx).filter(|ix| !shown.contains(&graph.id(*ix)));
        let lacking: VecDeque<ChangesetIx> = lacking.filter(|ix| self.sendable(*ix)).collect();
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.queue = lacking;
        }
    }

    fn close_relay(&mut self, session: u32, retry: Retry, env: &mut Env<'_>) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.redial_ms = match retry {
            Retry::Backoff => None,
            Retry::Never => Some(u64::MAX),
            Retry::Within { min_ms, max_ms } => {
                let mut random = [0; 8];
                (env.random)(&mut random);
                let span = max_ms.saturating_sub(min_ms).saturating_add(1);
                Some(env.now_ms.saturating_add(min_ms).saturating_add(u64::from_le_bytes(random) % span))
            }
        };
        self.outputs.push_back(Output::Close { session });
    }

    fn pump_relays(&mut self, env: &mut Env<'_>) {
        for session in self.links.relays.keys().copied().collect::<Vec<_>>() {
            self.drain_relay(session, env);
        }
    }

    fn pump_relay(&mut self, session: u32) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if !link.is_subscribed() {
            return;
        }
        loop {
            let Window { mut bytes, mut rows } = link.session.push_window();
            let mut batch = Vec::new();
            while let Some(ix) = link.queue.front() {
                let row = to_row(&self.log, *ix);
                if rows == 0 || row.bytes() > bytes {
                    break;
                }
                bytes -= row.bytes();
                rows -= 1;
                batch.push(row);
                link.queue.pop_front();
            }
            if batch.is_empty() {
                return;
            }
            link.session.push(batch);
        }
    }

    fn drain_peer(&mut self, session: u32, env: &mut Env<'_>) {
        while let Some(output) = self.links.peers.get_mut(&session).and_then(|link| link.session.poll()) {
            match output {
                PeerOutput::Send(frame) => self.outputs.push_back(Output::Send { session, frame: frame.to_vec() }),
                PeerOutput::NeedDifference { tips, settled } => {
                    let lacking = self.lacking(&tips, settled);
                    if let Some(link) = self.links.peers.get_mut(&session) {
                        link.queue.extend(lacking);
                        link.owes_difference = true;
                        link.send();
                    }
                }
                PeerOutput::Rows { rows, bytes } => {
                    let signed: Vec<SignedChangeset> = rows.iter().filter_map(|row| from_row(row).ok()).collect();
                    self.refused += (rows.len() - signed.len()) as u64;
                    let origin = Origin::Session(session, Receipt::Peer(bytes));
                    self.take_rows(signed, origin, StoreBatch::default(), env);
                }
                PeerOutput::Writable => {
                    if let Some(link) = self.links.peers.get_mut(&session) {
                        link.send();
                    }
                }
                PeerOutput::CaughtUp => self.outputs.push_back(Output::Sync),
                PeerOutput::Refused { code, message } => self.trouble(Trouble::Relay(format!("{code:?}: {message}"))),
                PeerOutput::Close => self.outputs.push_back(Output::Close { session }),
            }
        }
    }

    /// What a peer with these tips lacks, ancestors first. Unless it has sent everything it had, actors of which it knows
    /// more are left out.
    fn lacking(&self, tips: &[Tip], settled: bool) -> Vec<Row> {
        let graph = self.log.graph();
        let mut held = HashSet::new();
        let mut ahead = HashSet::new();
        for tip in tips {
            match graph.get(&tip.id) {
                Some(ix) => held.extend(own_chain(graph, ix).take_while(|ix| !held.contains(ix)).collect::<Vec<_>>()),
                None => {
                    let highest = graph.tips_of(&tip.actor).iter().map(|own| own.seq).max();
                    if highest.is_none_or(|highest| u64::from(highest) <= tip.seq) {
                        ahead.insert(tip.actor);
                    }
                }
            }
        }
        (0..graph.len())
            .map(ChangesetIx)
            .filter(|ix| !held.contains(ix) && (settled || !ahead.contains(&graph.actor(*ix))) && self.sendable(*ix))
            .map(|ix| to_row(&self.log, ix))
            .collect()
    }

    /// Own changesets go out only after the strict commit; what came from others is on its way already.
    fn sendable(&self, ix: ChangesetIx) -> bool {
        let id = self.log.graph().id(ix);
        self.memory_only || self.saved.contains_key(&id) || !self.links.unacked.contains(&id)
    }

    /// The actors whose tips a relay is asked for: this device's, then the ones met last.
    fn actors_for_tips(&self) -> Vec<ActorId> {
        let mut seen = BTreeSet::new();
        let graph = self.log.graph();
        let others = (0..graph.len()).rev().map(|ix| graph.actor(ChangesetIx(ix)));
        let mut actors: Vec<ActorId> = self.identity.actors().chain(others).filter(|actor| seen.insert(*actor)).collect();
        actors.truncate(crate::sync::OWN_ACTORS_MAX);
        actors
    }

    fn mark_at_relay(&mut self, ids: &[ChangesetId]) {
        let own: Vec<ChangesetId> = ids.iter().copied().filter(|id| self.links.unacked.remove(id)).collect();
        if !own.is_empty() {
            self.mark_saved(Tier::Relay, &own);
            self.outputs.push_back(Output::Sync);
        }
    }

    fn offer_to_peers(&mut self, numbers: &[ChangesetIx], env: &mut Env<'_>) {
        for session in self.links.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.peers.get_mut(&session) {
                link.queue.extend(numbers.iter().map(|ix| to_row(&self.log, *ix)));
                link.send();
            }
            self.drain_peer(session, env);
        }
    }

    /// The relay holds another changeset of this actor with that seq. Both stay; an own actor is replaced.
    fn forked_at_relay(&mut self, id: ChangesetId, env: &mut Env<'_>) {
        let actor = self.log.graph().get(&id).map(|ix| self.log.graph().actor(ix));
        if let Some(actor) = actor.filter(|actor| self.actor == Some(*actor)) {
            self.trouble(Trouble::Fork(actor));
            self.replace_actor(env);
        }
    }
}

/// A changeset and all before it in its chain.
fn own_chain(graph: &CausalGraph, from: ChangesetIx) -> impl Iterator<Item = ChangesetIx> + '_ {
    std::iter::successors(Some(from), |ix| graph.prev(*ix))
}

fn sync_tip(tip: crate::causal::Tip) -> Tip {
    Tip { actor: tip.actor, seq: u64::from(tip.seq), id: tip.id }
}

fn to_row(log: &Log, ix: ChangesetIx) -> Row {
    let signed = log.entry(ix).changeset.signed();
    Row {
        header: signed.header().as_bytes().to_vec().into(),
        signature: signed.signature().0,
        skeleton: signed.skeleton().unwrap_or_default().to_vec().into(),
        content: signed.content().map(|content| content.to_vec().into()),
    }
}

fn from_row(row: &Row) -> Result<SignedChangeset, crate::codec::DecodeError> {
    let skeleton = (!row.skeleton.is_empty()).then_some(&row.skeleton[..]);
    SignedChangeset::from_parts(&row.header, row.signature, skeleton, row.content.as_deref())
}

fn encode_position(position: &Position) -> Vec<u8> {
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
