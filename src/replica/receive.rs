//! Arrivals: rows from the store, from other tabs and from peers become part of the log, and, in slices, of the state.

use super::attest::Judged;
use super::commit::InFlight;
use super::link::Receipt;
use super::notes::Said;
use super::reputation::Fact;
use super::{Env, Replica, Source, Trouble};
use crate::audit::NoteKind;
use crate::causal::{ChangesetId, ChangesetIx, Hlc, ObjectId, OpIx};
use crate::crypto::{OpenError, SegmentKind};
use crate::doc::{Fold, Incoming, ObjectName, ObjectOrigin, resolve};
use crate::event::{
    Class, Content, Fate, Fork, NameEntry, NamedId, ObjectKind, Offer, Options, ReadError, Ready, Refusal,
    Role, SegmentError, SignedChangeset, Skeleton, Sort,
};
use crate::store::{StoreBatch, TailRecord};
use std::sync::Arc;

/// Changesets integrated in one call; the edge yields in between.
const SLICE: usize = 256;

/// Why a changeset waits although its parents are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldReason {
    /// No key of this member opens it.
    #[error("the key of its epoch is missing")]
    Key,
    /// Its skeleton was not delivered.
    #[error("its skeleton is missing")]
    Skeleton,
    /// It uses something that this version does not know.
    #[error("it needs a newer version")]
    Unsupported,
    /// The engine crashed while it was integrated.
    #[error("the engine crashed on it")]
    Quarantined,
}

/// Where rows came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A session with a relay or a peer, and what is told to it once the rows are stored.
    Session(u32, Receipt),
    /// An export that the application imported.
    Import,
}

impl Origin {
    pub fn session(self) -> Option<u32> {
        match self {
            Self::Session(session, _) => Some(session),
            Self::Import => None,
        }
    }
}

impl Replica {
    /// Takes a record of the own store's tail, in order: while opening, and later those that other tabs wrote.
    /// A record that does not decode is counted and left out: the others are good.
    pub fn load_tail(&mut self, record: &[u8]) {
        let Ok((record, damaged)) = TailRecord::decode(record) else {
            self.refused += 1;
            return;
        };
        self.refused += damaged as u64;
        for row in record.rows {
            self.log.offer_stored(row, record.received_ms);
        }
        self.erase_late();
    }

    /// Authenticates and integrates what was loaded. Returns whether there is more to do: then call again.
    pub fn finish_load(&mut self, env: &mut Env<'_>) -> bool {
        for id in self.log.prove_stored() {
            self.trouble(Trouble::Refused(
                id,
                "no valid signature vouches for a stored changeset".to_owned(),
            ));
        }
        for id in self.log.take_completed() {
            self.completed(id);
        }
        self.loading = true;
        let more = self.integrate_ready(env);
        self.loading = false;
        more
    }

    /// Holds a changeset on which the engine crashed; to be called before [`Replica::finish_load`].
    pub fn quarantine(&mut self, id: ChangesetId) {
        self.quarantine.insert(id);
    }

    /// Takes rows from outside: verifies them, stores what is authentic and new in one transaction with `place` (where to
    /// read on), and integrates unless a batch is open. Returns how many were new and how many were refused.
    pub(super) fn take_rows(
        &mut self,
        rows: Vec<SignedChangeset>,
        origin: Origin,
        place: StoreBatch,
        env: &mut Env<'_>,
    ) -> (usize, usize) {
        let (mut new, mut completed, mut mended, mut refused) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let was_hollow = self.last_snapshot.is_hollow;
        let (mut offered, mut arrived) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for signed in rows {
            let (id, row) = (signed.id(), signed.encode());
            if was_hollow && self.log.supply(signed.clone()) {
                // The store had lost it: it is stored again.
                new.extend(self.log.find(&id).map(|changeset| changeset.signed().encode()));
                continue;
            }
            arrived.push((id, row, (signed.header().actor(), signed.header().seq()), signed.is_damaged()));
            offered.push(signed);
        }
        let offers = self.log.offer_all(offered, env.now_ms);
        for ((id, row, place, mut is_damaged), offer) in arrived.into_iter().zip(offers) {
            match offer {
                Offer::Known => {}
                Offer::Accepted => new.push(row),
                Offer::Crowded => {
                    self.crowded = true;
                    new.push(row);
                }
                Offer::Completed => completed.push(id),
                Offer::Resigned => {
                    mended.push(id);
                    new.extend(self.log.find(&id).map(|changeset| changeset.signed().encode()));
                }
                Offer::Refused(reason) => {
                    refused += 1;
                    self.note_refused(origin.session(), Some(id), &reason.to_string(), env.now_ms);
                    self.trouble(Trouble::Refused(id, reason.to_string()));
                    is_damaged |= reason == Refusal::Signature;
                }
            }
            if is_damaged {
                self.note_damage(id, place, origin, env);
            }
        }
        self.refused += refused as u64;
        let added = new.len() - mended.len();
        self.tally(origin, added, refused, env.now_ms);
        new.extend(self.log.take_proven());
        self.note_spoilt(origin, env);
        mended.extend(&completed);
        self.mended(&mended, env);
        for id in completed {
            // Not the copy: its signature may be bad.
            new.extend(self.log.find(&id).map(|changeset| changeset.signed().encode()));
            self.completed(id);
        }
        let append = if new.is_empty() { Vec::new() } else { vec![TailRecord::encode(env.now_ms, &new)] };
        let place = if self.holds_place() { StoreBatch::default() } else { place };
        let batch = StoreBatch { append, ..place };
        let received = match origin {
            Origin::Session(session, receipt) => vec![(session, receipt)],
            Origin::Import => Vec::new(),
        };
        if batch.is_empty() || self.memory_only.is_some() {
            received.into_iter().for_each(|(session, receipt)| self.stored_for(session, receipt, env));
        } else {
            let strict = matches!(origin, Origin::Import);
            self.commit(batch, strict, InFlight { received, ..InFlight::default() });
        }
        self.erase_late();
        if was_hollow && self.log.is_whole() {
            self.go_on_whole(env);
        }
        self.integrate_ready(env);
        (added, refused)
    }

    /// Whether changesets are ready to be integrated.
    pub fn has_ready(&self) -> bool {
        self.log.has_ready()
    }

    /// Integrates a slice of what is ready, unless a batch is open; says whether more is left.
    pub fn integrate_more(&mut self, env: &mut Env<'_>) -> bool {
        self.integrate_ready(env)
    }

    /// Integrates what is ready, unless a batch is open. Says whether more is left for the next slice.
    pub(super) fn integrate_ready(&mut self, env: &mut Env<'_>) -> bool {
        if self.fold.has_batch() || self.batch.in_transact {
            return self.log.has_ready();
        }
        let forks = self.log.forks().len();
        let mut arrived = Vec::new();
        for _ in 0..SLICE {
            let Some(ready) = self.log.next_ready() else { break };
            arrived.extend(self.integrate(ready, env));
        }
        self.offer_arrived(&arrived, env);
        let new: Vec<Fork> = self.log.forks()[forks..].to_vec();
        for fork in new {
            self.trouble(Trouble::Fork(fork.actor));
            if self.actor == Some(fork.actor) {
                self.replace_actor(env);
            }
        }
        self.log.has_ready()
    }

    pub(super) fn integrate(&mut self, ready: Ready, env: &Env<'_>) -> Option<ChangesetIx> {
        let id = ready.changeset.id();
        self.working.set(Some(id));
        let opened = self.open_skeleton(&ready);
        let skeleton = match opened {
            Opened::Held(reason) => {
                if reason == HoldReason::Skeleton {
                    let header = ready.changeset.header();
                    self.note_hollow(id, (header.actor(), header.seq()), env);
                }
                if !self.held.contains_key(&id) {
                    let actor = ready.changeset.header().actor();
                    let by = (actor, self.member_of(actor));
                    self.note_verdict(NoteKind::Pending, id, by, &reason.to_string(), env.now_ms);
                    self.trouble(Trouble::Pending(id, reason.to_string()));
                }
                match self.log.hold(ready) {
                    true => drop(self.held.insert(id, reason)),
                    false => self.crowded = true,
                }
                return None;
            }
            Opened::Inert => None,
            Opened::Skeleton(skeleton) => Some(skeleton),
        };
        let (prev, deps) = (ready.prev, ready.deps.clone());
        let is_private = ready.changeset.header().class() == Ok(Class::Private);
        let ix = self.log.add(ready);
        let checked = skeleton.as_ref().and_then(|skeleton| {
            let refs = resolve(self.log.graph(), prev, &deps, &skeleton.refs)?;
            let (log, member) = (&self.log, self.log.author(ix).member);
            let own = |target| log.author(target).member == member;
            self.fold.check(self.log.graph(), ix, skeleton, &refs, (member, own)).ok()
        });
        let stamp = skeleton.as_ref().map_or(Hlc::default(), |skeleton| skeleton.hlc);
        let undo_group = skeleton.as_ref().map_or(0, |skeleton| skeleton.undo_group);
        let content = skeleton
            .as_ref()
            .filter(|_| checked.is_some())
            .and_then(|skeleton| self.open_content(ix, skeleton));
        if checked.is_none() {
            self.log.decide(ix, Fate::Inert);
            let actor = self.log.graph().actor(ix);
            let by = (actor, Some(self.log.author(ix).member));
            self.count(actor, Fact::Inert, env.now_ms);
            if skeleton.is_none() && !self.loading {
                self.inquiry.suspect_body(ix);
            }
            self.note_verdict(NoteKind::Inert, id, by, "against the rules of the space", env.now_ms);
        } else {
            self.clock.observe(stamp);
        }
        let pieces = skeleton.as_ref().zip(content.as_ref());
        self.report_own();
        // What only some can read decides no order.
        let is_read = checked.is_some() && !is_private;
        self.fold.rank(self.log.graph(), ix, is_read.then_some(stamp));
        let first = self.fold.timeline().next_op();
        let authored = self.authored(ix, stamp.ms);
        let ops = checked.as_ref().map_or(0, Incoming::len);
        let hidden = self.policy.hidden_of(self.log.graph(), &authored, ops);
        let counts = |op: OpIx| !hidden.iter().any(|range| range.contains(&(op.0 - first)));
        self.fold.integrate(self.log.graph(), ix, (stamp, undo_group), checked, pieces, counts);
        self.report(Source::Remote, (authored.member, authored.actor), Some(id));
        match skeleton.filter(|_| ops > 0) {
            Some(skeleton) => {
                self.take_words(&authored, &skeleton, content.as_ref());
                self.note_words(&authored, &skeleton, env.now_ms);
                self.take_statements(&authored, &skeleton, content.as_ref(), env.now_ms);
            }
            None => self.note_unattested(),
        }
        self.hear_awaited(&authored);
        if prev.is_none() {
            self.note_admitted(ix, env.now_ms);
            if self.has_cases() {
                self.doubt_anew(&authored);
            }
        }
        Some(ix)
    }

    /// Another copy brought a segment that was missing here.
    fn completed(&mut self, id: ChangesetId) {
        if self.held.get(&id) == Some(&HoldReason::Skeleton) {
            self.held.remove(&id);
            self.log.release(id);
        }
        let Some(ix) = self.log.graph().get(&id).filter(|ix| self.log.entry(*ix).fate == Fate::Integrated)
        else {
            return;
        };
        let keys = self.identity.keyring();
        let opened = self.log.entry(ix).changeset().map(|changeset| changeset.open_skeleton(keys));
        let Some(Ok(skeleton)) = opened else { return };
        let Some(content) = self.open_content(ix, &skeleton) else { return };
        let graph = self.log.graph();
        let Some(refs) = resolve(graph, graph.prev(ix), graph.deps(ix), &skeleton.refs) else { return };
        self.report_own();
        self.fold.fill(self.log.graph(), ix, &skeleton, &content, &refs);
        self.fill_consents(ix, &skeleton, &content);
        self.fill_subjects(ix, &skeleton, content.values.first());
        let by = (self.log.author(ix).member, self.log.graph().actor(ix));
        self.report(Source::Remote, by, Some(id));
    }

    fn open_skeleton(&self, ready: &Ready) -> Opened {
        let changeset = &ready.changeset;
        if self.quarantine.contains(&changeset.id()) {
            return Opened::Held(HoldReason::Quarantined);
        }
        let class = match changeset.header().class() {
            Ok(class) if class != Class::Snapshot => class,
            _ => return Opened::Held(HoldReason::Unsupported),
        };
        let keys = self.identity.keyring();
        if class == Class::Private && keys.get(changeset.header().kid()).is_none() {
            // Not for this member: it has its place in the graph and says nothing.
            return Opened::Skeleton(Skeleton::default());
        }
        let body = match changeset.open_segment(SegmentKind::Skeleton, keys) {
            Ok(body) => body,
            Err(SegmentError::Missing) => return Opened::Held(HoldReason::Skeleton),
            Err(SegmentError::NoKey(_)) => return Opened::Held(HoldReason::Key),
            Err(SegmentError::Open(OpenError::Codec(_))) => return Opened::Held(HoldReason::Unsupported),
            Err(_) => return Opened::Inert,
        };
        match Skeleton::decode(&body, class, ready.deps.len()) {
            Err(ReadError::Unsupported(_)) => Opened::Held(HoldReason::Unsupported),
            Err(ReadError::Malformed(_)) => Opened::Inert,
            Ok(_) if class != Class::Private && self.log.role_of(ready) < Role::Writer => Opened::Inert,
            Ok(skeleton) if !Fold::supports(&skeleton) => Opened::Held(HoldReason::Unsupported),
            Ok(skeleton) => match self.judge_statements(&skeleton, ready) {
                Some(Judged::Unsupported) => Opened::Held(HoldReason::Unsupported),
                Some(Judged::Inert) => Opened::Inert,
                Some(Judged::Key) => Opened::Held(HoldReason::Key),
                None => Opened::Skeleton(skeleton),
            },
        }
    }

    /// The content of an integrated changeset; none if it is missing, does not open or does not decode. Its clear names are
    /// learnt if they are what the skeleton speaks of.
    fn open_content(&mut self, ix: ChangesetIx, skeleton: &Skeleton) -> Option<Content> {
        let changeset = self.log.entry(ix).changeset()?;
        let content = match changeset.header().content() {
            None => Content::default().encode(),
            Some(_) => changeset.open_segment(SegmentKind::Content, self.identity.keyring()).ok()?,
        };
        // Without a segment there may still be ops that take something from it.
        let content = Content::decode(&content, skeleton).ok()?;
        if !self.names.know(skeleton) {
            self.learn_names(skeleton, &content);
        }
        let keys = self.identity.keyring().names();
        self.names.hold(skeleton, &content, || content.confirmed_ids(skeleton, keys));
        self.notes.keep(ix, Said::of(skeleton, &content, self.identity.keyring().names()));
        Some(content)
    }

    fn learn_names(&mut self, skeleton: &Skeleton, content: &Content) {
        for (id, entry) in content.confirmed_names(skeleton, self.identity.keyring().names()) {
            match (id, entry) {
                (NamedId::Object(id), NameEntry::Object { kind, options, name }) => {
                    self.learn_object(id, ObjectOrigin::Named(name.as_str().into()), *kind, options);
                }
                (NamedId::Object(id), NameEntry::Child { parent, key, kind, options }) => {
                    let origin = ObjectOrigin::Child { parent: *parent, key: *key };
                    self.learn_object(id, origin, *kind, options);
                }
                (NamedId::Name(id), NameEntry::Name { sort, clear }) => {
                    if let Some(sort) = Sort::from_code(*sort) {
                        self.names.learn(sort, id, clear);
                    }
                }
                _ => {}
            }
        }
    }

    fn learn_object(&mut self, id: ObjectId, origin: ObjectOrigin, kind: u8, options: &[u8]) {
        let Some(kind) = ObjectKind::from_code(kind) else { return };
        // Options of a later version: the object is kept without a name.
        let Some(options) = Options::decode(kind, options) else { return };
        if matches!(origin, ObjectOrigin::Child { .. }) && !Fold::nests(kind) {
            return;
        }
        if let ObjectOrigin::Child { parent, key } = origin
            && let Some(child) = self.fold.find(id, kind)
            && let Some(map) = self.fold.find(parent, ObjectKind::Map)
        {
            self.note_place(child, map, key, &options.encode());
        }
        self.names.learn_object(id, ObjectName { origin, kind, options: Arc::new(options) });
    }
}

enum Opened {
    Held(HoldReason),
    Inert,
    Skeleton(Skeleton),
}
