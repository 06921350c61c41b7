//! Sealing: the open batch becomes signed changesets and one strict commit. Before anything is signed it goes through the
//! same checks as what comes from outside.

use super::{Env, Replica};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, Hlc};
use crate::codec::limits;
use crate::doc::{BatchMark, Draft, ObjectIx, resolve};
use crate::event::{Changeset, Class, Content, Draft as Unsealed, Ready, Skeleton, Sort, Value, name_id};

/// What a batch that becomes this old is sealed at: with others online, alone, and during an IME composition.
const AGE_MS: [u64; 3] = [200, 1_000, 2_000];

/// Room that is left in a changeset for header, certificates, tables and padding.
const BODY_BYTES_MAX: usize = limits::CHANGESET_BYTES_MAX - 65_536;

/// Bytes of a message and headers together.
const META_BYTES_MAX: usize = 8_192;

/// Facts about the batch that is open, beside its ops.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenBatch {
    pub begun_ms: Option<u64>,
    pub message: Option<String>,
    pub headers: Option<Value>,
    pub command: Option<String>,
    pub in_transact: bool,
    /// It is a step of undo for itself, also while it is being sealed.
    pub is_step: bool,
    pub composing: bool,
    /// The object that was edited last: it shows.
    pub shown: Option<ObjectIx>,
}

/// Which option of a transaction is too large. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactFault {
    /// The message, alone or beside smaller headers.
    #[error("the message is too large: with the headers it may have {META_BYTES_MAX} bytes")]
    Message,
    /// The headers, alone or beside a smaller message.
    #[error("the headers are too large: with the message they may have {META_BYTES_MAX} bytes")]
    Headers,
    /// The id of the command.
    #[error("the command is longer than {} bytes", limits::NAME_BYTES_MAX)]
    Command,
}

/// What the open batch became: changesets in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealed {
    pub rows: Vec<Vec<u8>>,
    pub ids: Vec<ChangesetId>,
}

impl Replica {
    /// Opens a transaction: what was edited before is sealed for itself.
    pub fn begin_transact(
        &mut self,
        message: Option<String>,
        headers: Option<Value>,
        command: Option<String>,
        env: &mut Env<'_>,
    ) -> Result<(), TransactFault> {
        let message_bytes = message.as_ref().map_or(0, String::len);
        let headers_bytes = headers.as_ref().map_or(0, |value| value.to_bytes().len());
        if message_bytes + headers_bytes > META_BYTES_MAX {
            let larger = message_bytes > headers_bytes;
            return Err(if larger { TransactFault::Message } else { TransactFault::Headers });
        }
        if command.as_ref().is_some_and(|command| command.len() > limits::NAME_BYTES_MAX) {
            return Err(TransactFault::Command);
        }
        self.seal(env);
        self.batch =
            OpenBatch { message, headers, command, in_transact: true, is_step: true, ..OpenBatch::default() };
        Ok(())
    }

    /// Seals the transaction; the id of its last changeset, none if nothing was edited.
    pub fn end_transact(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        self.batch.in_transact = false;
        let sealed = self.seal(env);
        self.batch = OpenBatch { composing: self.batch.composing, ..OpenBatch::default() };
        self.fail_late(env);
        sealed.map(|id| self.renamed.get(&id).copied().unwrap_or(id))
    }

    /// Gives the transaction up: its edits go.
    pub fn abort_transact(&mut self, env: &mut Env<'_>) {
        let start = BatchMark::start();
        self.fold.rollback(self.log.graph(), &start);
        self.batch = OpenBatch { composing: self.batch.composing, ..OpenBatch::default() };
        self.fail_late(env);
        self.integrate_ready(env);
    }

    /// Seals what is open; the id of the last changeset this replica wrote.
    pub fn flush(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        if !self.batch.in_transact {
            self.seal(env);
        }
        self.last_write
    }

    /// While an IME composes, the batch stays open longer.
    pub fn set_composing(&mut self, on: bool) {
        self.batch.composing = on;
    }

    /// When the open batch is to be sealed.
    pub(super) fn batch_deadline(&self) -> Option<u64> {
        let begun = self.batch.begun_ms.filter(|_| !self.batch.in_transact && self.fold.has_batch())?;
        let age = self.settings.batch_ms.unwrap_or(AGE_MS[usize::from(!self.links.others_online())]);
        Some(begun + if self.batch.composing { age.max(AGE_MS[2]) } else { age })
    }

    /// Seals the open batch, if there is one, and lets arrivals in.
    pub(super) fn seal(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        let Sealed { rows, ids } = self.sign_batch(env);
        let last = ids.last().copied();
        if let Some(actor) = self.actor.filter(|_| !rows.is_empty()) {
            self.store_own(actor, &rows, ids, env);
        }
        self.integrate_ready(env);
        last
    }

    /// Signs the open batch, if there is one; nothing is stored or sent yet.
    pub(super) fn sign_batch(&mut self, env: &mut Env<'_>) -> Sealed {
        let (mut rows, mut ids, mut group) = (Vec::new(), Vec::new(), 0);
        let open = std::mem::take(&mut self.batch);
        if let Some(actor) = self.actor.filter(|_| self.fold.has_batch()) {
            self.report_own();
            while self.fold.has_batch() {
                let (prev, deps) = self.parents(actor, env, &mut rows, &mut ids);
                let draft = self.fold.draft(
                    self.log.graph(),
                    &self.names,
                    prev,
                    &deps,
                    limits::OPS_MAX,
                    BODY_BYTES_MAX,
                );
                let Some(draft) = draft else { break };
                let checked = self.fold.check_draft(self.log.graph(), &draft);
                checked.expect("local edits are made against their causal past");
                let stamp = self.clock.tick(env.now_ms);
                if group == 0 {
                    let fresh = prev.map_or(0, |prev| u64::from(self.log.graph().seq(prev)) + 1) + 1;
                    group = self.undo.group_for(&open, actor, fresh, env.now_ms);
                }
                let (skeleton, content) = self.written_down(&draft, &open, stamp, group, ids.is_empty());
                let changeset = self.sign(actor, prev, &deps, &skeleton, Some(&content), env);
                let ix = self.add_own(changeset, prev, &deps, env.now_ms, &mut rows, &mut ids);
                self.fold.sealed(ix, (stamp, group), &draft);
            }
        }
        self.batch =
            OpenBatch { composing: open.composing, in_transact: open.in_transact, ..OpenBatch::default() };
        Sealed { rows, ids }
    }

    /// The parents of the next changeset. With too many heads, empty changesets gather them first.
    pub(super) fn parents(
        &mut self,
        actor: ActorId,
        env: &mut Env<'_>,
        rows: &mut Vec<Vec<u8>>,
        ids: &mut Vec<ChangesetId>,
    ) -> (Option<ChangesetIx>, Vec<ChangesetIx>) {
        loop {
            let graph = self.log.graph();
            let prev = self.own_tip(actor);
            let mut deps: Vec<ChangesetIx> = graph.heads().filter(|head| Some(*head) != prev).collect();
            deps.sort_by_key(|dep| graph.id(*dep));
            if deps.len() <= limits::DEPS_MAX {
                return (prev, deps);
            }
            deps.truncate(limits::DEPS_MAX);
            let stamp = self.clock.tick(env.now_ms);
            let skeleton = Skeleton { hlc: stamp, ..Skeleton::default() };
            let changeset = self.sign(actor, prev, &deps, &skeleton, None, env);
            self.add_own(changeset, prev, &deps, env.now_ms, rows, ids);
            self.fold.pass(stamp);
        }
    }

    pub(super) fn own_tip(&self, actor: ActorId) -> Option<ChangesetIx> {
        let tips = self.log.graph().tips_of(&actor);
        tips.first().and_then(|tip| self.log.graph().get(&tip.id))
    }

    /// Completes a draft: stamp, group, command, clear names, message and headers.
    fn written_down(
        &self,
        draft: &Draft,
        open: &OpenBatch,
        stamp: Hlc,
        undo_group: u64,
        first: bool,
    ) -> (Skeleton, Content) {
        let (mut skeleton, mut content) = (draft.skeleton.clone(), draft.content.clone());
        (skeleton.hlc, skeleton.undo_group) = (stamp, undo_group);
        if let Some(command) = &open.command {
            skeleton.command =
                Some(name_id(self.identity.keyring().names(), Sort::Command, command.as_bytes()));
        }
        if first {
            content.meta.message = open.message.clone();
            content.meta.headers = open.headers.clone();
            content.meta.command = open.command.clone();
        }
        content.names = self.names.entries(&skeleton, open.command.as_deref());
        (skeleton, content)
    }

    pub(super) fn sign(
        &mut self,
        actor: ActorId,
        prev: Option<ChangesetIx>,
        deps: &[ChangesetIx],
        skeleton: &Skeleton,
        content: Option<&Content>,
        env: &mut Env<'_>,
    ) -> Changeset {
        self.sign_as(Class::Data, actor, (prev, deps), skeleton, content, env)
    }

    /// The same for a changeset of any class.
    pub(super) fn sign_as(
        &mut self,
        class: Class,
        actor: ActorId,
        (prev, deps): (Option<ChangesetIx>, &[ChangesetIx]),
        skeleton: &Skeleton,
        content: Option<&Content>,
        env: &mut Env<'_>,
    ) -> Changeset {
        let graph = self.log.graph();
        let body = skeleton.encode(deps.len());
        let again = Skeleton::decode(&body, class, deps.len()).expect("a skeleton of this replica decodes");
        assert_eq!(again.encode(deps.len()), body, "the encoding is canonical");
        resolve(graph, prev, deps, &again.refs).expect("refs of this replica are in its past");
        let content = content.map(Content::encode);
        let key = self.identity.actor_key(actor).expect("the key of the actor in use is here");
        let mut random = [0; 32];
        (env.random)(&mut random);
        let chain = prev.is_none().then(|| self.identity.actor_chain(actor));
        let deps: Vec<ChangesetId> = deps.iter().map(|dep| graph.id(*dep)).collect();
        let unsealed = Unsealed {
            space: self.identity.space(),
            class,
            seq: prev.map_or(0, |prev| graph.seq(prev) + 1),
            prev: prev.map(|prev| graph.id(prev)),
            deps: &deps,
            chain: chain.as_ref(),
            redacts: &[],
            skeleton: &body,
            content: content.as_deref(),
        };
        let keys = self.identity.keyring();
        let epoch = if class == Class::Private { keys.private() } else { keys.current() };
        let epoch = epoch.expect("a space has an epoch from the start, and a member a key of its own");
        unsealed.seal(key, epoch, &random).expect("a draft fits into a changeset")
    }

    /// Adds a changeset of this replica to the log. Its fate is known: it was made from what is here.
    fn add_own(
        &mut self,
        changeset: Changeset,
        prev: Option<ChangesetIx>,
        deps: &[ChangesetIx],
        now_ms: u64,
        rows: &mut Vec<Vec<u8>>,
        ids: &mut Vec<ChangesetId>,
    ) -> ChangesetIx {
        rows.push(changeset.signed().encode());
        ids.push(changeset.id());
        self.links.unacked.insert(changeset.id());
        self.log.add_own(Ready { changeset, received_ms: now_ms, prev, deps: deps.to_vec() })
    }
}
