//! Links to relays: logging in, catching up, pushing, and what the relay's answers mean.

use super::commit::InFlight;
use super::link::{Links, Receipt, RelayLink, encode_position, from_row, own_chain, to_row};
use super::passage::Way;
use super::receive::Origin;
use super::{Env, Output, Replica, Trouble};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, Tip};
use crate::event::{self, SignedChangeset};
use crate::sorted::sort;
use crate::store::{StoreBatch, StoreName};
use crate::sync::{
    Challenge, Code, Delivery, Due, Login, Position, Proof, Retry, Row, SessionOutput, Status, Verdict,
    Window,
};
use foldhash::HashSet;
use std::collections::{BTreeSet, VecDeque};

impl Replica {
    pub(super) fn drain_relay(&mut self, session: u32, env: &mut Env<'_>) {
        while let Some(output) = self.next_of_relay(session, env) {
            match output {
                SessionOutput::Send(frame) => {
                    self.outputs.push_back(Output::Send { session, frame: frame.to_vec() })
                }
                SessionOutput::Login(challenge) => self.log_in(session, &challenge, env),
                SessionOutput::Subscribed { resync, place, tips, .. } => {
                    if let Some(place) = place {
                        self.take_place(session, place);
                    }
                    self.session_began(session, env.now_ms);
                    self.subscribed(session, resync.is_some(), &tips)
                }
                SessionOutput::Compare { place } => self.begin_ladder(session, place),
                SessionOutput::Differ { ranges, tips, too_many } => {
                    self.compare_heads(session, &ranges, tips, too_many);
                }
                SessionOutput::Chain { rows, next } => self.take_chain(session, &rows, next, env),
                SessionOutput::Rows { rows, position } => self.take_delivery(session, rows, position, env),
                SessionOutput::Ephemeral(payload) => {
                    self.hear_presence(&payload, env);
                    self.tell_tabs(&payload, false);
                }
                SessionOutput::Snap { snap, looks } => self.hear_snap(session, snap, looks, env),
                SessionOutput::Receipt { ids, said } => self.take_receipt(session, &ids, said),
                SessionOutput::Holds { asked, tips, said } => {
                    self.compare_receipt(session, asked, tips, said, env);
                }
                SessionOutput::Acked { results } => self.acked(session, &results, env),
                SessionOutput::Status(status) => self.status_changed(session, status, env),
                SessionOutput::Refused { code, message } => {
                    if let Some(link) = self.links.relays.get_mut(&session)
                        && link.session.status() == Status::Denied
                    {
                        link.refusals.denied = Some(format!("{}: {message}", code.name()));
                    }
                    self.trouble(Trouble::Relay(format!("{}: {message}", code.name())));
                }
                SessionOutput::Close { retry } => self.close_relay(session, retry, env),
            }
        }
        self.pump_relay(session);
        let pushed = |link: &mut RelayLink| (link.session.next_rows() == 0).then(|| link.session.poll())?;
        while let Some(output) = self.links.relays.get_mut(&session).and_then(pushed) {
            if let SessionOutput::Send(frame) = output {
                self.outputs.push_back(Output::Send { session, frame: frame.to_vec() });
            }
        }
    }

    /// The next thing that a session says, if there is time for it: of rows a slice is taken in until the next tick, and what came
    /// behind them is not heard before.
    fn next_of_relay(&mut self, session: u32, env: &Env<'_>) -> Option<SessionOutput> {
        loop {
            let rows = self.links.relays.get(&session)?.session.next_rows();
            if rows > 0 && !self.links.takes_rows(rows) {
                return None;
            }
            let link = self.links.relays.get_mut(&session)?;
            if let Some(output) = link.session.poll() {
                return Some(output);
            }
            link.session.on_frame(env.now_ms, &link.frames.pop_front()?);
        }
    }

    fn log_in(&mut self, session: u32, challenge: &Challenge, env: &mut Env<'_>) {
        let Some(actor) = self.actor else { return };
        let mut client_nonce = [0; 16];
        (env.random)(&mut client_nonce);
        let key = self.identity.actor_key(actor).expect("the key of the actor in use is here");
        let (genesis, chain) =
            (self.identity.genesis().as_bytes(), self.identity.actor_chain(actor).encode());
        let login = event::Login {
            relay: &challenge.relay_key,
            nonce: &challenge.nonce,
            client_nonce: &client_nonce,
            proofs: &[event::LoginProof { genesis, chain: &chain }],
        };
        let signature = login.sign(key).0;
        let proof = Proof { genesis: genesis.to_vec().into(), chain: chain.into(), signature };
        // What is still to be stored is nothing to go by: it may be lost.
        let graph = self.log.graph();
        let compares = !self.is_storing() && !graph.is_empty();
        let heads = compares.then(|| (event::heads_digest(graph.tips()), u64::from(graph.len())));
        if let Some(link) = self.links.relays.get_mut(&session) {
            (link.has_old_login, link.relay_key) = (false, challenge.relay_key);
            link.session.login(Login { client_nonce, proof, token: None, heads });
        }
    }

    /// The log of a relay is another one, which holds what is here: reading goes on from there.
    pub(super) fn take_place(&mut self, session: u32, place: Position) {
        let Some(link) = self.links.relays.get(&session) else { return };
        let record = (StoreName::Meta, format!("relay/{}", link.url), encode_position(&place));
        self.links.positions.insert(link.url.clone(), place);
        if self.memory_only.is_none() {
            let batch = StoreBatch { put: vec![record], ..StoreBatch::default() };
            self.commit(batch, false, InFlight::default());
        }
    }

    /// The relay said what it has of the actors named, or of all: everything beyond is queued.
    fn subscribed(&mut self, session: u32, resync: bool, tips: &[Tip]) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        let (ends, graph) = (link.ends.take(), self.log.graph());
        let named: Option<HashSet<ActorId>> =
            ends.is_none().then(|| self.actors_for_tips().into_iter().collect());
        let at_relay = self.below(tips.iter().map(|tip| tip.id).chain(ends.into_iter().flatten()));
        let is_asked =
            |ix: &ChangesetIx| named.as_ref().is_none_or(|named| named.contains(&graph.actor(*ix)));
        let lacking = (0..graph.len()).map(ChangesetIx).filter(is_asked);
        let lacking: VecDeque<ChangesetIx> =
            lacking.filter(|ix| !resync && !at_relay.contains(ix) && self.sendable(*ix)).collect();
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        (link.resync, link.queue) = (resync, lacking);
        link.shown.clear();
        if resync {
            return;
        }
        if link.queue.is_empty() {
            link.refusals.nothing_lacks();
        }
        let mut at_relay: Vec<ChangesetIx> = at_relay.into_iter().collect();
        // They are told in the order in which they were made.
        sort(&mut at_relay);
        let at_relay: Vec<ChangesetId> = at_relay.into_iter().map(|ix| graph.id(ix)).collect();
        self.mark_at_relay(&at_relay);
    }

    fn take_delivery(&mut self, session: u32, rows: Vec<Delivery>, position: Position, env: &mut Env<'_>) {
        let (mut whole, mut own) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Delivery::Own(id) => own.push(id),
                Delivery::Row(row) => whole.push(row),
            }
        }
        let signed = self.decoded(session, &whole, env);
        let ids: Vec<ChangesetId> = signed.iter().map(SignedChangeset::id).chain(own).collect();
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if link.resync {
            link.shown.extend(&ids);
        }
        if link.session.progress().is_some() {
            self.outputs.push_back(Output::Sync);
        }
        link.strays.retain(|id| !ids.contains(id));
        link.delivered.extend(ids.iter().filter(|id| self.log.graph().get(id).is_none()));
        let record = (StoreName::Meta, format!("relay/{}", link.url), encode_position(&position));
        self.links.positions.insert(link.url.clone(), position);
        let known: Vec<ChangesetId> = ids.into_iter().filter(|id| self.tiers.is_unacked(id)).collect();
        self.mark_at_relay(&known);
        if !known.is_empty()
            && self.tiers.all_acked()
            && let Some(link) = self.links.relays.get_mut(&session)
            && link.queue.is_empty()
        {
            // What it delivers it has taken, though the answer to the push may still be on its way.
            link.refusals.nothing_lacks();
        }
        let url = &self.links.relays.get(&session).expect("it delivers").url;
        let put = std::iter::once(record).chain(self.links.receipt_record(url)).collect();
        let place = StoreBatch { put, ..StoreBatch::default() };
        self.take_rows(signed, Origin::Session(session, Receipt::Relay(position)), place, env);
    }

    /// Those rows that decode. Of the others the application is told.
    pub(super) fn decoded(&mut self, session: u32, rows: &[Row], env: &Env<'_>) -> Vec<SignedChangeset> {
        let mut signed = Vec::new();
        for row in rows {
            match from_row(row) {
                Ok(changeset) => signed.push(changeset),
                Err(reason) => {
                    self.refused += 1;
                    self.note_refused(Some(session), None, "it does not decode", env.now_ms);
                    self.trouble(Trouble::Relay(format!("a row does not decode: {reason}")));
                }
            }
        }
        signed
    }

    fn acked(&mut self, session: u32, results: &[(ChangesetId, Verdict)], env: &mut Env<'_>) {
        let (mut safe, mut gaps, mut full) = (Vec::new(), Vec::new(), Vec::new());
        for (id, verdict) in results {
            match verdict {
                Verdict::Accepted { .. } | Verdict::Dup { .. } => safe.push(*id),
                Verdict::Forked { .. } => {
                    safe.push(*id);
                    self.forked_at_relay(*id, env);
                }
                Verdict::Gap { tip } => gaps.push((*id, tip.map(|(_, id)| id))),
                Verdict::Rejected(Code::Quota) => full.push(*id),
                Verdict::Rejected(code) => {
                    if *code == Code::BadSignature {
                        self.log.check(id);
                    }
                    if let Some(link) = self.links.relays.get_mut(&session) {
                        link.refusals.reject(*id, *code);
                    }
                }
            }
        }
        self.mark_at_relay(&safe);
        let mut again = self.missing(session, &gaps);
        again.extend(full.iter().filter_map(|id| self.log.graph().get(id)));
        let mut random = [0; 8];
        (env.random)(&mut random);
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        if !again.is_empty() {
            // Numbers follow causality: sorted, each chain is in its order.
            link.queue.extend(again);
            sort(link.queue.make_contiguous());
            let sorted = std::mem::take(&mut link.queue);
            let mut last = None;
            link.queue = sorted.into_iter().filter(|ix| last.replace(*ix) != Some(*ix)).collect();
        }
        let told = link.refusals.answered(
            &safe,
            !full.is_empty(),
            !gaps.is_empty() && !link.session.is_held_up(),
            env.now_ms,
            u64::from_le_bytes(random),
        );
        told.into_iter().for_each(|reason| self.trouble(Trouble::Relay(reason)));
        self.note_spoilt(Origin::Import, env);
        self.outputs.push_back(Output::Sync);
    }

    /// What the relay lacks up to these rows, from the tips that it named on. Behind a row that it refuses for good there is no
    /// way in.
    fn missing(
        &mut self,
        session: u32,
        gaps: &[(ChangesetId, Option<ChangesetId>)],
    ) -> BTreeSet<ChangesetIx> {
        let graph = self.log.graph();
        let (mut held, mut missing) = (HashSet::default(), BTreeSet::new());
        for tip in gaps.iter().filter_map(|(_, tip)| graph.get(tip.as_ref()?)) {
            own_chain(graph, tip).take_while(|ix| held.insert(*ix)).for_each(drop);
        }
        for ix in gaps.iter().filter_map(|(id, _)| graph.get(id)) {
            own_chain(graph, ix).take_while(|ix| !held.contains(ix) && missing.insert(*ix)).for_each(drop);
        }
        let Some(link) = self.links.relays.get_mut(&session) else { return missing };
        missing.retain(|ix| {
            let before = graph.prev(*ix).map(|prev| graph.id(prev));
            let code = [Some(graph.id(*ix)), before].iter().flatten().find_map(|id| link.refusals.of(id));
            code.inspect(|code| link.refusals.reject(graph.id(*ix), *code)).is_none()
        });
        missing
    }

    fn status_changed(&mut self, session: u32, status: Status, env: &mut Env<'_>) {
        if status == Status::Live {
            self.caught_up(session, env);
        }
        self.outputs.push_back(Output::Sync);
        if matches!(status, Status::Live | Status::CatchingUp) {
            self.greet(env);
        }
    }

    /// Everything the relay has is here. After a resync, what it did not show is what it lacks.
    fn caught_up(&mut self, session: u32, env: &mut Env<'_>) {
        let Some(link) = self.links.relays.get_mut(&session) else { return };
        link.backoff.up(env.now_ms);
        self.links.mends.begin(env.now_ms);
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
        link.redial = match retry {
            Retry::Backoff => None,
            Retry::Never => Some(Due::after(0, u64::MAX)),
            Retry::Within { min_ms, max_ms } => {
                let mut random = [0; 8];
                (env.random)(&mut random);
                let span = max_ms.saturating_sub(min_ms).saturating_add(1);
                Some(Due::after(env.now_ms, min_ms.saturating_add(u64::from_le_bytes(random) % span)))
            }
        };
        if link.has_old_login && link.session.status() == Status::Denied {
            link.ask_again();
        }
        self.outputs.push_back(Output::Close { session });
    }

    pub(super) fn pump_relays(&mut self, env: &mut Env<'_>) {
        for session in self.links.relays.keys().copied().collect::<Vec<_>>() {
            self.drain_relay(session, env);
        }
    }

    fn pump_relay(&mut self, session: u32) {
        let Links { relays, passage, tallies, .. } = &mut self.links;
        let Some(link) = relays.get_mut(&session) else { return };
        if !link.is_subscribed() {
            return;
        }
        loop {
            let Window { mut bytes, mut rows } = link.session.push_window();
            rows = rows.min(link.refusals.rows_now(link.session.is_settled()));
            let mut batch = Vec::new();
            while let Some(ix) = link.queue.front().copied() {
                if rows == 0 {
                    break;
                }
                match passage.way(&mut self.log, ix) {
                    Way::Open => {}
                    Way::Shut(code) => {
                        link.refusals.reject(self.log.graph().id(ix), code);
                        link.queue.pop_front();
                        continue;
                    }
                    Way::Later => break,
                }
                let row = to_row(&self.log, ix);
                if row.bytes() > bytes {
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
            if let Some(tally) = tallies.get_mut(&session) {
                tally.sent += batch.len() as u64;
            }
            link.session.push(batch);
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
