//! Sealing: a batch becomes signed changesets and a strict commit. Before anything is signed it goes through the same checks
//! as what comes from outside.
//!
//! A transaction that is closed waits in line until there is time, or until somebody asks for what only sealed ones have:
//! signing one takes many times as long as making it. Meanwhile its edits are what everybody here reads, and like those of the
//! open batch neither stored nor sent, and nothing else is integrated.

use super::closed::Closed;
use super::notes::Said;
use super::redact::redacted_by;
use super::{Env, Replica};
use crate::audit::{OpTree, Statements};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, Hlc};
use crate::codec::limits;
use crate::doc::{BatchMark, Draft, ObjectIx, resolve};
use crate::event::{Changeset, Class, Content, Draft as Unsealed, Ready, Skeleton, Sort, Value, name_id};
use crate::sorted::sort_by_key;

/// What a batch that becomes this old is sealed at: with others online, alone, and during an IME composition.
const AGE_MS: [u64; 3] = [200, 1_000, 2_000];

/// Room that is left in a changeset for header, certificates, tables and padding.
pub(super) const BODY_BYTES_MAX: usize = limits::CHANGESET_BYTES_MAX - 65_536;

/// Bytes of a message and headers together.
const META_BYTES_MAX: usize = 8_192;

/// Facts about the batch that is open, beside its ops.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OpenBatch {
    pub begun_ms: Option<u64>,
    pub message: Option<String>,
    pub headers: Option<Value>,
    pub command: Option<String>,
    pub in_transact: bool,
    /// Whether its ops can be shown one by one.
    pub is_disclosable: bool,
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

/// How many closed batches are sealed before others have a turn.
const SLICE: usize = 32;

/// How many may wait in line.
const CLOSED_MAX: usize = 1 << 17;

/// What batches became: changesets in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealed {
    /// Their bytes, and when their batches were closed: those of one time are one record.
    pub rows: Vec<(u64, Vec<Vec<u8>>)>,
    pub ids: Vec<ChangesetId>,
}

impl Sealed {
    /// Adds a changeset that was made at a time.
    pub fn add(&mut self, changeset: &Changeset, made_ms: u64) {
        let row = changeset.signed().encode();
        match self.rows.last_mut() {
            Some((of, rows)) if *of == made_ms => rows.push(row),
            _ => self.rows.push((made_ms, vec![row])),
        }
        self.ids.push(changeset.id());
    }
}

impl Replica {
    /// Opens a transaction: what was edited before is a batch for itself.
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
        self.close(false, env);
        self.batch =
            OpenBatch { message, headers, command, in_transact: true, is_step: true, ..OpenBatch::default() };
        Ok(())
    }

    /// What the open transaction writes can be shown op by op to people outside: [`Replica::audit_disclose`].
    pub fn make_disclosable(&mut self) {
        self.batch.is_disclosable = self.batch.in_transact;
    }

    /// Seals the transaction; the id of its last changeset, none if nothing was edited.
    pub fn end_transact(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        self.batch.in_transact = false;
        let edited = self.fold.open_ops() > 0;
        let sealed = self.seal(env).filter(|_| edited);
        self.batch = OpenBatch { composing: self.batch.composing, ..OpenBatch::default() };
        self.fail_late(env);
        sealed.map(|id| self.renamed.get(&id).copied().unwrap_or(id))
    }

    /// Ends the transaction; whether anything was edited. It is sealed when there is time, at the latest by [`Replica::flush`];
    /// [`Replica::take_sealed`] then has its id.
    pub fn close_transact(&mut self, env: &mut Env<'_>) -> bool {
        self.batch.in_transact = false;
        let edited = self.fold.open_ops() > 0;
        self.close(true, env);
        if !self.late_failures.is_empty() {
            self.seal(env);
            self.fail_late(env);
        }
        edited
    }

    /// The same for a transaction of which whoever made it has told already: what it changed is not told.
    pub fn close_told(&mut self, env: &mut Env<'_>) -> bool {
        self.fold.forget_patches();
        self.close_transact(env)
    }

    /// The ids of closed transactions that were sealed since the last time, in the order in which they were closed; of one that
    /// became several changesets the last one's.
    pub fn take_sealed(&mut self) -> Vec<ChangesetId> {
        let ids = std::mem::take(&mut self.sealed);
        ids.into_iter().map(|id| self.renamed.get(&id).copied().unwrap_or(id)).collect()
    }

    /// Gives the transaction up: its edits go.
    pub fn abort_transact(&mut self, env: &mut Env<'_>) {
        let start = BatchMark::start();
        self.fold.rollback(self.log.graph(), &start);
        self.batch = OpenBatch { composing: self.batch.composing, ..OpenBatch::default() };
        self.fail_late(env);
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
        if let Some(first_ms) = self.closed.first_ms() {
            return Some(first_ms);
        }
        let begun = self.batch.begun_ms.filter(|_| !self.batch.in_transact && self.fold.has_batch())?;
        let age = self.settings.batch_ms.unwrap_or(AGE_MS[usize::from(!self.others_online())]);
        Some(begun + if self.batch.composing { age.max(AGE_MS[2]) } else { age })
    }

    /// Whether others are likely to be online. Where this session shows itself, it sees who is.
    fn others_online(&self) -> bool {
        let sees_others = || self.presence_session().is_none() || self.others_present().next().is_some();
        !self.links.peers.is_empty() || (self.links.is_live() && sees_others())
    }

    /// Seals what is closed and the open batch, if there is one. The id of its last changeset. What has arrived comes in with the
    /// next tick, which is due then: whoever writes goes by what shows, up to the end of their turn.
    pub(super) fn seal(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        self.close_open(false, env);
        let mut last = None;
        while !self.closed.is_empty() {
            last = self.seal_slice(env);
        }
        last
    }

    /// Seals closed batches, but not the open one.
    pub fn seal_closed(&mut self, env: &mut Env<'_>) {
        while !self.closed.is_empty() {
            self.seal_slice(env);
        }
    }

    /// Seals some closed batches and stores them as one. The id of the last changeset.
    pub(super) fn seal_slice(&mut self, env: &mut Env<'_>) -> Option<ChangesetId> {
        let mut sealed = Sealed::default();
        for _ in 0..SLICE {
            self.sign_next(&mut sealed, env);
        }
        let last = sealed.ids.last().copied();
        if let Some(actor) = self.actor.filter(|_| !sealed.rows.is_empty()) {
            self.store_own(actor, sealed, env);
        }
        last
    }

    /// Signs all that waits; nothing is stored or sent yet.
    pub(super) fn sign_batch(&mut self, env: &mut Env<'_>) -> Sealed {
        self.close_open(false, env);
        let mut sealed = Sealed::default();
        while !self.closed.is_empty() {
            self.sign_next(&mut sealed, env);
        }
        sealed
    }

    /// Closes the open batch, if there is one, and seals it if it cannot wait.
    fn close(&mut self, is_awaited: bool, env: &mut Env<'_>) {
        let can_wait = self.fold.can_wait();
        self.close_open(is_awaited, env);
        if !can_wait {
            self.seal(env);
        } else if self.closed.len() > CLOSED_MAX {
            self.seal_slice(env);
        }
    }

    fn close_open(&mut self, is_awaited: bool, env: &Env<'_>) {
        self.report_own();
        let OpenBatch { composing, in_transact, .. } = self.batch;
        let facts = std::mem::take(&mut self.batch);
        self.batch = OpenBatch { composing, in_transact, ..OpenBatch::default() };
        let ops = if self.actor.is_some() { self.fold.close_batch() } else { 0 };
        if ops > 0 {
            self.closed.push(Closed { facts, ops, closed_ms: env.now_ms, is_awaited });
        }
    }

    /// Signs the first closed batch, if there is one.
    fn sign_next(&mut self, sealed: &mut Sealed, env: &mut Env<'_>) {
        let Some(mut next) = self.closed.pop() else { return };
        let actor = self.actor.expect("whoever closed a batch has an actor");
        let (mut group, mut begun) = (0, 0);
        while next.ops > 0 {
            let (prev, deps) = self.parents(actor, next.closed_ms, env, sealed);
            let ops_max = limits::OPS_MAX.min(next.ops);
            let draft = self.fold.draft(self.log.graph(), &self.names, prev, &deps, ops_max, BODY_BYTES_MAX);
            let draft = draft.expect("what is closed is in the batch");
            let checked = self.fold.check_draft(self.log.graph(), &draft);
            checked.expect("local edits are made against their causal past");
            let stamp = self.clock.tick(next.closed_ms);
            let seq = prev.map_or(0, |prev| self.log.graph().seq(prev) + 1);
            if group == 0 {
                (group, begun) =
                    (self.undo.group_for(&next.facts, actor, u64::from(seq) + 1, next.closed_ms), seq);
            }
            let (skeleton, mut content) = self.written_down(&draft, &next.facts, stamp, group, seq - begun);
            if next.facts.is_disclosable {
                let mut seed = [0; 16];
                (env.random)(&mut seed);
                content.meta.seed = Some(seed);
            }
            let changeset = self.sign(actor, prev, &deps, &skeleton, Some(&content), env);
            let ix = self.add_own(changeset, prev, &deps, next.closed_ms, sealed);
            let keys = self.identity.keyring().names();
            self.names.hold(&skeleton, &content, || content.confirmed_ids(&skeleton, keys));
            self.notes.keep(ix, Said::of(&skeleton, &content, keys));
            self.fold.rank(self.log.graph(), ix, Some(stamp));
            self.fold.sealed(ix, (stamp, group), &draft);
            next.ops -= draft.ops();
        }
        if next.is_awaited {
            self.sealed.extend(sealed.ids.last());
        }
    }

    /// The parents of the next changeset. With too many heads, empty changesets gather them first.
    pub(super) fn parents(
        &mut self,
        actor: ActorId,
        now_ms: u64,
        env: &mut Env<'_>,
        sealed: &mut Sealed,
    ) -> (Option<ChangesetIx>, Vec<ChangesetIx>) {
        loop {
            let graph = self.log.graph();
            let prev = self.own_tip(actor);
            let mut deps: Vec<ChangesetIx> = graph.heads().filter(|head| Some(*head) != prev).collect();
            sort_by_key(&mut deps, |dep| graph.id(*dep));
            if deps.len() <= limits::DEPS_MAX {
                return (prev, deps);
            }
            deps.truncate(limits::DEPS_MAX);
            let stamp = self.clock.tick(now_ms);
            let skeleton = Skeleton { hlc: stamp, ..Skeleton::default() };
            let changeset = self.sign(actor, prev, &deps, &skeleton, None, env);
            let ix = self.add_own(changeset, prev, &deps, now_ms, sealed);
            self.fold.rank(self.log.graph(), ix, Some(stamp));
            self.fold.pass(stamp);
        }
    }

    pub(super) fn own_tip(&self, actor: ActorId) -> Option<ChangesetIx> {
        let tips = self.log.graph().tips_of(&actor);
        tips.first().and_then(|tip| self.log.graph().get(&tip.id))
    }

    /// Completes a draft: stamp, group, command, clear names, message and headers. The transaction began so many steps before.
    pub(super) fn written_down(
        &self,
        draft: &Draft,
        open: &OpenBatch,
        stamp: Hlc,
        undo_group: u64,
        steps: u32,
    ) -> (Skeleton, Content) {
        let (mut skeleton, mut content) = (draft.skeleton.clone(), draft.content.clone());
        (skeleton.hlc, skeleton.undo_group) = (stamp, undo_group);
        if let Some(command) = &open.command {
            skeleton.command =
                Some(name_id(self.identity.keyring().names(), Sort::Command, command.as_bytes()));
        }
        if steps == 0 {
            content.meta.message = open.message.clone();
            content.meta.headers = open.headers.clone();
            content.meta.command = open.command.clone();
        }
        if steps > 0 && open.command.is_some() {
            skeleton.go_on(steps);
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
        let refs = resolve(graph, prev, deps, &again.refs).expect("refs of this replica are in its past");
        let ops_root = content.and_then(|content| {
            let seed = content.meta.seed?;
            let refs = refs.iter().map(|at| graph.id(*at)).collect();
            let statements = Statements::new(skeleton, content, refs, self.identity.keyring().names());
            Some(OpTree::new(seed, &statements).root())
        });
        let content = content.map(Content::encode);
        let key = self.identity.actor_key(actor).expect("the key of the actor in use is here");
        let mut random = [0; 32];
        (env.random)(&mut random);
        let chain = prev.is_none().then(|| self.identity.actor_chain(actor));
        let deps: Vec<ChangesetId> = deps.iter().map(|dep| graph.id(*dep)).collect();
        let redacts = redacted_by(graph, &again, &refs);
        let unsealed = Unsealed {
            space: self.identity.space(),
            class,
            seq: prev.map_or(0, |prev| graph.seq(prev) + 1),
            prev: prev.map(|prev| graph.id(prev)),
            deps: &deps,
            chain: chain.as_ref(),
            redacts: &redacts,
            ops_root,
            skeleton: &body,
            content: content.as_deref(),
        };
        let keys = self.identity.keyring();
        let epoch = if class == Class::Private { keys.private() } else { keys.current() };
        let epoch = epoch.expect("a space has an epoch from the start, and a member a key of its own");
        unsealed.seal(key, epoch, &random).expect("a draft fits into a changeset")
    }

    /// Signs a changeset that is no batch of edits, and takes it in as one that arrived: words, statements.
    pub(super) fn sign_apart(
        &mut self,
        class: Class,
        actor: ActorId,
        (prev, deps): (Option<ChangesetIx>, Vec<ChangesetIx>),
        (skeleton, content): (&Skeleton, Option<&Content>),
        sealed: &mut Sealed,
        env: &mut Env<'_>,
    ) {
        let changeset = self.sign_as(class, actor, (prev, &deps), skeleton, content, env);
        sealed.add(&changeset, env.now_ms);
        self.tiers.await_relay(changeset.id());
        self.log.admit_own(&changeset);
        self.integrate(Ready { changeset, received_ms: env.now_ms, prev, deps }, env);
    }

    /// Adds a changeset of this replica to the log. Its fate is known: it was made from what is here.
    fn add_own(
        &mut self,
        changeset: Changeset,
        prev: Option<ChangesetIx>,
        deps: &[ChangesetIx],
        now_ms: u64,
        sealed: &mut Sealed,
    ) -> ChangesetIx {
        sealed.add(&changeset, now_ms);
        self.tiers.await_relay(changeset.id());
        self.note_unattested();
        self.log.add_own(Ready { changeset, received_ms: now_ms, prev, deps: deps.to_vec() })
    }
}
