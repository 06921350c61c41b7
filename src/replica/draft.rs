//! Drafts: what is in the open batch is written down from time to time, so that little is lost with a tab that dies. Whoever
//! takes the lock of its actor next seals the draft, with exactly the parents that it was made against.
//!
//! Invariant: the commit of what a draft became takes the draft away. So one that is in a store whose actor stands where the
//! draft began was never sealed, and any other one was.

use super::commit::tip_record;
use super::seal::BODY_BYTES_MAX;
use super::{Env, Output, Replica};
use crate::causal::{ActorId, ChangesetIx};
use crate::codec::limits;
use crate::doc::resolve;
use crate::event::{Class, Content, DraftRecord, DraftRecordError, Skeleton};
use crate::sorted::sort_by_key;
use crate::store::{StoreBatch, StoreName, TailRecord};

/// How often what was edited is written down. So much may be lost of it.
const DRAFT_MS: u64 = 100;

/// A draft of so many bytes is followed by a pause one millisecond longer.
const PAUSE_BYTES: usize = 256;

/// How the draft of this replica stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Drafting {
    /// Whose draft may be in the store.
    of: Option<ActorId>,
    /// Whether it says all that is in the open batch.
    pub is_current: bool,
    /// When the next one may be written.
    next_ms: u64,
}

/// What became of the draft of a tab that died.
#[derive(Clone, Debug, Default)]
pub struct DraftTaken {
    /// What is to be stored, strictly, before the actor signs anything; empty if the draft stays, and then it never signs.
    pub batch: StoreBatch,
    /// Why it was not sealed.
    pub fault: Option<DraftFault>,
}

/// Why a draft was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftFault {
    /// It is dropped.
    #[error("it is damaged")]
    Damaged,
    /// It is kept.
    #[error("a newer version of this package wrote it")]
    Newer,
    /// It is kept.
    #[error("changesets that it builds on are not here")]
    Past,
    /// It is dropped: it was sealed, or another copy of this device went on.
    #[error("its actor has gone on since")]
    GoneOn,
}

impl Replica {
    /// When a draft is to be written: none if there is nothing to be written, or it is sealed soon.
    pub(super) fn draft_due(&self) -> Option<u64> {
        let is_lasting = |actor| self.memory_only.is_none() && !self.volatile.contains(&actor);
        if self.drafting.is_current || !self.settings.drafts || !self.closed.is_empty() {
            return None;
        }
        self.actor.filter(|actor| is_lasting(*actor))?;
        let sealed_ms = self.batch_deadline()?;
        let due = (self.batch.begun_ms? + DRAFT_MS).max(self.drafting.next_ms);
        (due + DRAFT_MS <= sealed_ms).then_some(due)
    }

    /// Writes a draft if one is due. What is too much for one is sealed.
    pub(super) fn draft_if_due(&mut self, env: &mut Env<'_>) {
        // The clock may have been set back.
        self.drafting.next_ms = self.drafting.next_ms.min(env.now_ms + PAUSE_MS_MAX);
        if self.draft_due().is_none_or(|due| due > env.now_ms) {
            return;
        }
        let actor = self.actor.expect("whoever edited has an actor");
        match self.write_draft(actor, env) {
            Some(record) => {
                let pause = DRAFT_MS + (record.len() / PAUSE_BYTES) as u64;
                self.drafting = Drafting { of: Some(actor), is_current: true, next_ms: env.now_ms + pause };
                self.outputs.push_back(Output::Draft { actor, record: Some(record) });
            }
            None => drop(self.seal(env)),
        }
    }

    /// Whose draft is to be taken away, if there may be one: it is being sealed.
    pub(super) fn end_draft(&mut self) -> Option<ActorId> {
        self.drafting.is_current = false;
        self.drafting.of.take()
    }

    /// Takes drafts away whose ops are in memory only and go to others from there. A store that takes nothing may still let go
    /// of something.
    pub(super) fn drop_drafts(&mut self, of: Vec<ActorId>) {
        let of = of.into_iter().chain(self.end_draft());
        self.outputs.extend(of.map(|actor| Output::Draft { actor, record: None }));
    }

    /// Makes a changeset of the draft of an actor whose lock is held, after all rows were loaded and before anything else is
    /// signed. It is read back from the store, like the rows of any other tab.
    pub fn take_up_draft(&mut self, actor: ActorId, record: &[u8], env: &mut Env<'_>) -> DraftTaken {
        self.sealed_draft(actor, record, env).unwrap_or_else(|fault| {
            let key = (StoreName::Drafts, actor.to_string());
            let delete = match fault {
                DraftFault::Damaged | DraftFault::GoneOn => vec![key],
                DraftFault::Newer | DraftFault::Past => Vec::new(),
            };
            DraftTaken { batch: StoreBatch { delete, ..StoreBatch::default() }, fault: Some(fault) }
        })
    }

    fn sealed_draft(
        &mut self,
        actor: ActorId,
        record: &[u8],
        env: &mut Env<'_>,
    ) -> Result<DraftTaken, DraftFault> {
        let draft =
            DraftRecord::open(record, self.identity.keyring(), actor).map_err(|error| match error {
                DraftRecordError::Newer => DraftFault::Newer,
                DraftRecordError::Damaged => DraftFault::Damaged,
            })?;
        let graph = self.log.graph();
        let prev = draft.prev.map(|id| graph.get(&id).ok_or(DraftFault::Past)).transpose()?;
        let deps = draft.deps.iter().map(|id| graph.get(id).ok_or(DraftFault::Past));
        let deps: Vec<ChangesetIx> = deps.collect::<Result<_, _>>()?;
        let stands = graph.tips_of(&actor).len() <= 1 && self.own_tip(actor) == prev;
        if !stands || self.identity.actor_key(actor).is_none() {
            return Err(DraftFault::GoneOn);
        }
        let skeleton = Skeleton::decode(&draft.skeleton, Class::Data, deps.len());
        let mut skeleton = skeleton.map_err(|_| DraftFault::Damaged)?;
        let content = Content::decode(&draft.content, &skeleton).map_err(|_| DraftFault::Damaged)?;
        resolve(graph, prev, &deps, &skeleton.refs).ok_or(DraftFault::Damaged)?;
        skeleton.undo_group = prev.map_or(0, |prev| u64::from(graph.seq(prev)) + 1) + 1;
        let changeset = self.sign(actor, prev, &deps, &skeleton, Some(&content), env);
        let (seq, id) = (changeset.header().seq(), changeset.id());
        let batch = StoreBatch {
            append: vec![TailRecord::encode(env.now_ms, &[changeset.signed().encode()])],
            put: vec![tip_record(actor, seq, id)],
            delete: vec![(StoreName::Drafts, actor.to_string())],
            absent: None,
        };
        Ok(DraftTaken { batch, fault: None })
    }

    /// None if the batch is more than becomes one changeset.
    fn write_draft(&mut self, actor: ActorId, env: &mut Env<'_>) -> Option<Vec<u8>> {
        let graph = self.log.graph();
        let prev = self.own_tip(actor);
        let mut deps: Vec<ChangesetIx> = graph.heads().filter(|head| Some(*head) != prev).collect();
        if deps.len() > limits::DEPS_MAX {
            return None;
        }
        sort_by_key(&mut deps, |dep| graph.id(*dep));
        let draft = self.fold.draft(graph, &self.names, prev, &deps, limits::OPS_MAX, BODY_BYTES_MAX)?;
        if draft.ops() < self.fold.open_ops() {
            return None;
        }
        // The stamp that it would get now: what others write later is later.
        let stamp = self.clock.clone().tick(env.now_ms);
        let (skeleton, content) = self.written_down(&draft, &self.batch, stamp, 0, 0);
        let record = DraftRecord {
            prev: prev.map(|prev| graph.id(prev)),
            deps: deps.iter().map(|dep| graph.id(*dep)).collect(),
            skeleton: skeleton.encode(deps.len()),
            content: content.encode(),
        };
        let mut salt = [0; 16];
        (env.random)(&mut salt);
        let keys = self.identity.keyring();
        let epoch = keys.current().expect("a space has an epoch from the start");
        Some(record.seal(epoch, keys.space(), actor, &salt))
    }
}

/// As long as the pause after the largest draft.
const PAUSE_MS_MAX: u64 = DRAFT_MS + (limits::CHANGESET_BYTES_MAX / PAUSE_BYTES) as u64;
