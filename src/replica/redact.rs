//! Redaction: content that is erased, here and wherever somebody keeps to it (`docs/format.md` §17).
//!
//! Invariant: a redaction decides nothing else. The ops stay and win what they won; what they wrote reads as absent, whether or
//! not it was ever here, so old peers and newcomers show the same. It is never taken back.

use super::attest::Judged;
use super::seal::Sealed;
use super::{Env, HoldReason, Output, Replica, Source};
use crate::audit::{DataSubject, Erased, REDACTION_PAYLOAD, Redaction};
use crate::causal::{ActorId, CausalGraph, ChangesetId, ChangesetIx, MemberId};
use crate::doc::{ObjectOrigin, RefTable, resolve};
use crate::event::{
    AuditKind, Changeset, Class, Content, ControlKind, Op, Ready, Role, Skeleton, Target, Value,
};
use crate::sorted::{sort, sort_by_key};
use crate::store::{StoreBatch, StoreName, TailRecord};
use crate::trust::Authored;
use std::collections::BTreeMap;

/// Targets in one changeset: their ids and places fit into a header, whatever they are.
const TARGETS_MAX: usize = 200;

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 8_192;

/// Why nothing was redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactFault {
    /// Somebody else wrote it, it does not hold this member's key, and this member does not administer the space.
    #[error("changeset {0} is of somebody else: its author may redact it, an owner or an admin")]
    Access(ChangesetId),
    /// No such changeset, member or actor is here.
    #[error("nothing with the id {0} is known here")]
    Unknown(ChangesetId),
    /// It waits, and for what if its parents are here.
    #[error("changeset {0} is pending")]
    Pending(ChangesetId, Option<HoldReason>),
    /// A changeset that is here has fewer ops.
    #[error("changeset {0} has no op {1}")]
    Index(ChangesetId, u32),
    /// It is no data, and about nobody: what orders the space, testifies or says what counts stays.
    #[error("changeset {0} is no data: that cannot be redacted")]
    Class(ChangesetId),
    /// Nothing was chosen.
    #[error("this is nothing that was written here")]
    Nothing,
    /// There is none, or it is too long.
    #[error("the reason has 1 to {REASON_BYTES_MAX} bytes")]
    Reason,
    /// A transaction is running.
    #[error("a redaction is signed by itself: not inside a transaction")]
    Transact,
    /// No actor signs here.
    #[error("nobody signs here")]
    Actor,
}

/// What was redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The changesets that say so.
    pub redactions: Vec<ChangesetId>,
    /// The changesets whose content is gone.
    pub changesets: Vec<ChangesetId>,
    /// Ops of these that were not asked for and went along, for a content is one.
    pub also: Vec<(ChangesetId, u32)>,
}

/// The key of a device, and whose it is.
type DeviceOf = ([u8; 32], MemberId);

/// Whether something is to be erased from the store.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    /// How often there was something.
    noted: u64,
    done: u64,
    /// Contents whose names are forgotten once everybody was told what is gone.
    gone: Vec<Changeset>,
    /// The kinds of stores that were gone through.
    stores: u8,
    /// Whether this device may have to say that it deleted something.
    confirms: bool,
    /// Whether there may be keys of people whom this member erased without knowing of them.
    pub owes: bool,
}

impl Erasing {
    pub fn is_due(&self) -> bool {
        self.noted > self.done
    }
}

impl Replica {
    /// Redacts the changesets that these targets are in: a changeset, an op of one, or all that a member or an actor wrote, by its
    /// id. Signs as many changesets as it takes, or nothing. Seals the open batch first. O(what was written by a member that is named +
    /// targets · log n).
    pub fn redact(
        &mut self,
        targets: &[Target],
        reason: &str,
        env: &mut Env<'_>,
    ) -> Result<Redacted, RedactFault> {
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(RedactFault::Reason);
        }
        if self.batch.in_transact {
            return Err(RedactFault::Transact);
        }
        let actor = self.actor.ok_or(RedactFault::Actor)?;
        self.flush(env);
        let asked = self.asked_to_redact(targets)?;
        let mut sealed = Sealed::default();
        let mut chosen: Vec<ChangesetIx> = asked.keys().copied().collect();
        sort_by_key(&mut chosen, |ix| self.log.graph().id(*ix));
        for portion in chosen.chunks(TARGETS_MAX) {
            let (prev, deps) = self.parents(actor, env.now_ms, env, &mut sealed);
            let mut refs = RefTable::new(self.log.graph(), prev, &deps);
            portion.iter().for_each(|target| refs.add(*target));
            let (refs, payload) = (refs.into_refs(), REDACTION_PAYLOAD.to_vec());
            let ops = vec![Op::Control { kind: ControlKind::Redact, payload }];
            let skeleton = Skeleton { hlc: self.clock.tick(env.now_ms), refs, ops, ..Skeleton::default() };
            let content = Content { values: vec![Value::String(reason.into())], ..Content::default() };
            let written = (&skeleton, Some(&content));
            self.sign_apart(Class::Control, actor, (prev, deps), written, &mut sealed, env);
        }
        let redactions = sealed.ids.clone();
        self.store_own(actor, sealed, env);
        self.integrate_ready(env);
        let graph = self.log.graph();
        let mut also = Vec::new();
        for (ix, indices) in asked {
            let ops = self.fold.timeline().ops_of(ix).len() as u32;
            let rest = (0..ops).filter(|index| indices.as_ref().is_some_and(|asked| !asked.contains(index)));
            also.extend(rest.map(|index| (graph.id(ix), index)));
        }
        Ok(Redacted { redactions, changesets: chosen.iter().map(|ix| graph.id(*ix)).collect(), also })
    }

    /// The changesets that targets are in, if all of them may be redacted here: with the ops that were named, where not all were.
    fn asked_to_redact(
        &self,
        targets: &[Target],
    ) -> Result<BTreeMap<ChangesetIx, Option<Vec<u32>>>, RedactFault> {
        let mut asked: BTreeMap<ChangesetIx, Option<Vec<u32>>> = BTreeMap::new();
        let mut ask = |target: Target| {
            let (id, index) = match target {
                Target::Changeset(id) => (id, None),
                Target::Op(id, index) => (id, Some(index)),
            };
            let graph = self.log.graph();
            let ix = graph.get(&id).ok_or_else(|| match self.log.knows(&id) {
                true => RedactFault::Pending(id, self.held.get(&id).copied()),
                false => RedactFault::Unknown(id),
            })?;
            if self.log.entry(ix).class != Class::Data && self.subjects.of(ix).is_none() {
                return Err(RedactFault::Class(id));
            }
            if index.is_some_and(|index| index >= self.fold.timeline().ops_of(ix).len() as u32) {
                return Err(RedactFault::Index(id, index.unwrap_or_default()));
            }
            if self.role() < Role::Admin && !self.may_redact(ix, self.member()) {
                return Err(RedactFault::Access(id));
            }
            let named = asked.entry(ix).or_insert_with(|| Some(Vec::new()));
            match (named, index) {
                (Some(named), Some(index)) => named.push(index),
                (named, None) => *named = None,
                (None, Some(_)) => {}
            }
            Ok(())
        };
        for target in targets {
            let selected = match target {
                Target::Changeset(id) if !self.log.knows(id) => self.written_by(id.0),
                _ => None,
            };
            match selected {
                Some(selected) => self.targets(&selected).into_iter().try_for_each(&mut ask)?,
                None => ask(*target)?,
            }
        }
        if asked.is_empty() { Err(RedactFault::Nothing) } else { Ok(asked) }
    }

    /// Whether a member without another right may redact a changeset: its own, and whatever holds the member's key.
    fn may_redact(&self, ix: ChangesetIx, member: MemberId) -> bool {
        let is_own_key =
            || self.subjects.is_key(ix) && self.subjects.of(ix) == Some(DataSubject::Member(member));
        self.log.author(ix).member == member || is_own_key()
    }

    /// What a redaction comes to before anything is decided: none where it is right.
    pub(super) fn judge_redaction(
        &self,
        payload: &[u8],
        skeleton: &Skeleton,
        ready: &Ready,
    ) -> Option<Judged> {
        if payload.first() != REDACTION_PAYLOAD.first() {
            return Some(Judged::Unsupported);
        }
        let (graph, header) = (self.log.graph(), ready.changeset.header());
        let is_right = || {
            let refs = resolve(graph, ready.prev, &ready.deps, &skeleton.refs)?;
            let named = redacted_by(graph, skeleton, &refs);
            let ids = named.iter().map(|(id, _)| *id).eq(header.redacts().iter().copied());
            let places = named.iter().map(|(_, place)| *place).eq(header.redacts_at().iter().copied());
            let role = self.log.role_of(ready);
            let member = self.log.member_of(ready);
            let may = |ix: &ChangesetIx| {
                (self.log.entry(*ix).class == Class::Data || self.subjects.of(*ix).is_some())
                    && (role >= Role::Admin || self.may_redact(*ix, member))
            };
            let is_alone = payload.len() == REDACTION_PAYLOAD.len() && skeleton.ops.len() == 1;
            (is_alone && !refs.is_empty() && ids && places && refs.iter().all(may)).then_some(())
        };
        if is_right().is_some() { None } else { Some(Judged::Inert) }
    }

    /// Takes in what an integrated redaction says.
    pub(super) fn take_redaction(&mut self, at: &Authored, content: Option<&Content>) {
        let changeset = self.log.entry(at.changeset).changeset().expect("it was just integrated");
        let graph = self.log.graph();
        let mut targets: Vec<ChangesetIx> =
            changeset.header().redacts().iter().filter_map(|id| graph.get(id)).collect();
        sort(&mut targets);
        let reason = content.and_then(|content| match content.values.first() {
            Some(Value::String(reason)) => Some(reason.to_string()),
            _ => None,
        });
        let Authored { changeset, member, time_ms, .. } = *at;
        let new = self.redactions.add(Redaction { changeset, member, time_ms, targets, reason });
        let due = self.erasing.noted;
        self.erasing.owes |= new.iter().any(|target| self.subjects.is_key(*target));
        for target in new {
            self.erase(target);
        }
        self.report(Source::Remote, (at.member, at.actor), Some(at.id));
        if self.erasing.noted > due {
            let delete = vec![(StoreName::Snapshots, super::SNAPSHOT_HEAD.to_owned())];
            if self.memory_only.is_none() {
                self.commit(StoreBatch { delete, ..StoreBatch::default() }, true, Default::default());
            }
            self.need_bytes();
            self.outputs.push_back(Output::Erase);
        }
        self.erasing.confirms = true;
    }

    /// Forgets the content of a changeset, whatever of it is here.
    fn erase(&mut self, ix: ChangesetIx) {
        let is_away = self.log.entry(ix).changeset().is_none();
        self.notes.forget(ix);
        self.forget_personal(ix);
        let whole = self.log.redact(ix);
        self.erasing.noted += u64::from(is_away || whole.is_some());
        self.erasing.gone.extend(whole);
        let objects = self.fold.redact(self.log.graph(), ix);
        self.show_anew(&objects);
    }

    /// Contents that were redacted before their bytes were here came with these all the same.
    pub(super) fn erase_late(&mut self) {
        for whole in self.log.take_late() {
            self.erasing.gone.push(whole);
            if !self.erasing.is_due() {
                self.outputs.push_back(Output::Erase);
            }
            self.erasing.noted += 1;
        }
    }

    /// Forgets the names that contents held alone which are gone.
    pub(super) fn release_gone(&mut self) {
        std::mem::take(&mut self.erasing.gone).iter().for_each(|whole| self.release(whole));
    }

    fn release(&mut self, whole: &Changeset) {
        let keys = self.identity.keyring();
        let Ok(skeleton) = whole.open_skeleton(keys) else { return };
        let Ok(Some(content)) = whole.open_content(keys, &skeleton) else { return };
        let used = |id: &_| self.names_used.values().any(|object| self.fold.identity(*object).0 == *id);
        let is_child = |id: &_| {
            self.names.object(id).is_some_and(|name| matches!(name.origin, ObjectOrigin::Child { .. }))
        };
        let objects = skeleton.objects.iter().map(|(id, _)| *id);
        let stay: Vec<_> = objects.filter(|id| used(id) || is_child(id)).collect();
        let names = keys.names();
        let confirmed = || content.confirmed_ids(&skeleton, names);
        self.names.release(&skeleton, &content, confirmed, |id| stay.contains(id));
    }

    /// The redactions that count, in the order in which they were taken in: ids of what says so, and of what is redacted.
    pub fn redactions(&self) -> impl ExactSizeIterator<Item = &Redaction> {
        self.redactions.iter()
    }

    /// Whether the content of a changeset is gone for good.
    pub fn is_redacted(&self, id: &ChangesetId) -> bool {
        self.log.is_redacted(id)
    }

    /// A record of the store's tail without what was redacted of it; none if that is the record as it is, or if nothing of it
    /// decodes. O(its bytes).
    pub fn erased(&self, record: &[u8]) -> Option<Vec<u8>> {
        let (mut record, _) = TailRecord::decode(record).ok()?;
        let mut is_changed = false;
        for row in record.rows.iter_mut().filter(|row| row.has_content()) {
            if self.log.is_redacted(&row.id()) {
                row.drop_content();
                is_changed = true;
            }
        }
        let rows: Vec<Vec<u8>> = record.rows.iter().map(|row| row.encode()).collect();
        is_changed.then(|| TailRecord::encode(record.received_ms, &rows))
    }

    /// What [`Replica::finish_erasing`] is to be told once the store was gone through.
    pub fn begin_erasing(&self) -> u64 {
        self.erasing.noted
    }

    /// The store has nothing any more of what was redacted when that began. Whether it has to be gone through again.
    /// `stores` are the kinds that it is of: [`STORE_BROWSER`](crate::audit::STORE_BROWSER) and the like.
    pub fn finish_erasing(&mut self, begun: u64, stores: u8) -> bool {
        self.erasing.done = self.erasing.done.max(begun);
        self.erasing.stores = stores;
        self.erasing.confirms = true;
        self.erasing.is_due()
    }

    /// Whether it is time to say that this device has deleted what was redacted: not while anything is edited, or left of it.
    pub(super) fn confirms_now(&self) -> bool {
        let is_busy = self.fold.has_batch() || self.batch.in_transact || self.log.has_ready();
        self.erasing.confirms && !self.erasing.is_due() && !is_busy && self.actor.is_some()
    }

    /// Says so, of all redactions that came to this device, in as many changesets as it takes. Nobody waits for it.
    pub(super) fn confirm_if_due(&mut self, env: &mut Env<'_>) {
        if !self.confirms_now() {
            return;
        }
        self.erasing.confirms = false;
        let device = self.identity.device();
        let is_asked = |redaction: &&Redaction| {
            self.asked_devices(redaction.changeset).any(|(asked, _)| asked == device)
        };
        let open = self.redactions.iter().filter(|one| !self.redactions.is_confirmed(one.changeset, &device));
        let open: Vec<ChangesetIx> = open.filter(is_asked).map(|one| one.changeset).collect();
        let Some(actor) = self.actor.filter(|_| self.role() >= Role::Writer && !open.is_empty()) else {
            return;
        };
        let mut sealed = Sealed::default();
        for portion in open.chunks(TARGETS_MAX) {
            let (prev, deps) = self.parents(actor, env.now_ms, env, &mut sealed);
            let mut refs = RefTable::new(self.log.graph(), prev, &deps);
            portion.iter().for_each(|redaction| refs.add(*redaction));
            let payload = Erased::payload(self.erasing.stores);
            let ops = vec![Op::Audit { kind: AuditKind::Erased, payload }];
            let hlc = self.clock.tick(env.now_ms);
            let skeleton = Skeleton { hlc, refs: refs.into_refs(), ops, ..Skeleton::default() };
            let content = Content { values: vec![Value::Null], ..Content::default() };
            let written = (&skeleton, Some(&content));
            self.sign_apart(Class::Audit, actor, (prev, deps), written, &mut sealed, env);
        }
        let last_write = self.last_write;
        self.store_own(actor, sealed, env);
        self.last_write = last_write; // the app wrote nothing
    }

    /// What is said of deletions comes to before anything is decided.
    pub(super) fn judge_erased(&self, payload: &[u8], skeleton: &Skeleton, ready: &Ready) -> Option<Judged> {
        if payload.first() != Some(&1) {
            return Some(Judged::Unsupported);
        }
        let refs = resolve(self.log.graph(), ready.prev, &ready.deps, &skeleton.refs);
        let is_control = |ix: &ChangesetIx| self.log.entry(*ix).class == Class::Control;
        let is_right = Erased::stores_in(payload).is_some()
            && skeleton.ops.len() == 1
            && refs.is_some_and(|refs| !refs.is_empty() && refs.iter().all(is_control));
        (!is_right).then_some(Judged::Inert)
    }

    /// Takes in that a device deleted what redactions name.
    pub(super) fn take_erased(&mut self, at: &Authored, skeleton: &Skeleton, payload: &[u8]) {
        let graph = self.log.graph();
        let (prev, deps) = (graph.prev(at.changeset), graph.deps(at.changeset));
        let refs = resolve(graph, prev, deps, &skeleton.refs).unwrap_or_default();
        let device = self.log.author(at.changeset).device.key;
        let stores = Erased::stores_in(payload).unwrap_or_default();
        for redaction in refs {
            let Authored { member, time_ms, .. } = *at;
            self.redactions.confirm(Erased { redaction, device, member, time_ms, stores });
        }
    }

    /// The devices that may have had what a redaction names: those with an actor that began before they can have known of it, and
    /// that of whoever redacted. O(actors · log n).
    fn asked_devices(&self, redaction: ChangesetIx) -> impl Iterator<Item = DeviceOf> + '_ {
        let graph = self.log.graph();
        let roots = (0..graph.len()).map(ChangesetIx).filter(|ix| graph.seq(*ix) == 0);
        let before = roots.filter(move |root| !graph.contains(*root, redaction));
        before.map(|root| {
            let author = self.log.author(root);
            (author.device.key, author.member)
        })
    }

    /// Who has said that what a redaction names is deleted, and which devices with which members have not. Of a redaction that is known here. O(changesets).
    pub fn redaction_standing(&self, id: &ChangesetId) -> Option<(&Redaction, Vec<Erased>, Vec<DeviceOf>)> {
        let redaction = self.redactions.find(self.log.graph().get(id)?)?;
        let mut missing: Vec<DeviceOf> = self.asked_devices(redaction.changeset).collect();
        missing.retain(|(device, _)| !self.redactions.is_confirmed(redaction.changeset, device));
        sort(&mut missing);
        missing.dedup();
        Some((redaction, self.redactions.erased_by(redaction.changeset).copied().collect(), missing))
    }

    /// The id of a changeset.
    pub fn id_at(&self, ix: ChangesetIx) -> ChangesetId {
        self.log.graph().id(ix)
    }
}

/// What the skeleton of a redaction names, as the header has it: ascending, each once, with its place. Nothing for any other skeleton.
pub(super) fn redacted_by(
    graph: &CausalGraph,
    skeleton: &Skeleton,
    refs: &[ChangesetIx],
) -> Vec<(ChangesetId, (ActorId, u32))> {
    let is_redaction = |op: &Op| matches!(op, Op::Control { kind: ControlKind::Redact, .. });
    if !skeleton.ops.iter().any(is_redaction) {
        return Vec::new();
    }
    let place = |ix: &ChangesetIx| (graph.id(*ix), (graph.actor(*ix), graph.seq(*ix)));
    let mut named: Vec<_> = refs.iter().map(place).collect();
    sort_by_key(&mut named, |(id, _)| *id);
    named.dedup();
    named
}
