//! Actors: which signing key writes here, and what happens when one may not be continued.
//!
//! An actor is continued only by whoever holds its lock (the edge's business) and only if its tip here is the tip that was
//! stored strictly: else a second changeset with the same seq could exist somewhere. When in doubt, a new actor is made.

use super::attest::is_of_validators;
use super::commit::InFlight;
use super::notes::Notes;
use super::{Env, Output, Replica, Source};
use crate::audit::{Chain, Consents, Detail, Finality, NoteKind, Redactions, Requests, Subjects};
use crate::causal::{ActorId, ChangesetId, ChangesetIx};
use crate::codec::limits;
use crate::doc::{RefTable, resolve};
use crate::event::{Class, Content, Log, Ready, Skeleton};
use crate::sorted::sort_by_key;
use crate::store::StoreBatch;
use crate::trust::Policy;
use foldhash::HashSet;

/// Actors of a device whose keys are kept; one beyond them lasts as long as its tab.
const ACTORS_MAX: usize = 64;

impl Replica {
    /// Actors of this device that may be continued by whoever holds their lock.
    pub fn actor_candidates(&self) -> Vec<ActorId> {
        let continues = |actor: &ActorId| {
            let tips = self.log.graph().tips_of(actor);
            match (self.durable_tips.get(&actor.to_string()), tips.as_slice()) {
                (None, []) => true,
                (Some((seq, id)), [tip]) => (tip.seq, tip.id) == (*seq, *id),
                _ => false,
            }
        };
        self.identity.actors().filter(continues).collect()
    }

    /// Continues an actor whose lock is held.
    pub fn use_actor(&mut self, actor: ActorId, env: &mut Env<'_>) {
        self.actor = self.identity.actor_key(actor).is_some().then_some(actor);
        self.begin_journal();
        self.last_write = self.log.graph().tips_of(&actor).first().map(|tip| tip.id);
        self.tick(env);
    }

    /// Makes and uses an actor. One that is not to be continued by a later opening (`lasting` false) leaves no key behind.
    pub fn new_actor(&mut self, lasting: bool, env: &mut Env<'_>) -> ActorId {
        let lasting = lasting && self.identity.actors().count() < ACTORS_MAX;
        let (actor, put) = self.identity.new_actor(env.random);
        if !lasting {
            self.volatile.insert(actor);
        }
        self.actor = Some(actor);
        self.begin_journal();
        let made = Detail { actor: Some(actor), member: Some(self.member()), ..Detail::default() };
        self.note(NoteKind::Key, Detail { text: "an actor was made here".to_owned(), ..made }, env.now_ms);
        // A new space is stored now in any case.
        let put = if lasting { put } else { Vec::new() };
        self.commit(StoreBatch { put, ..StoreBatch::default() }, true, InFlight::default());
        self.tick(env);
        actor
    }

    /// Replaces an actor that signed, or could have signed, twice with one seq.
    pub(super) fn replace_actor(&mut self, env: &mut Env<'_>) {
        self.new_actor(
            self.memory_only.is_none() && self.actor.is_none_or(|actor| !self.volatile.contains(&actor)),
            env,
        );
    }

    /// Own changesets could not be stored: they never existed. Everything else is put together anew without them, and their
    /// ops are signed once more by an actor that lives in memory only and is sent out at once.
    pub(super) fn move_to_memory(
        &mut self,
        lost: Vec<ChangesetId>,
        draft: Option<ActorId>,
        code: &str,
        env: &mut Env<'_>,
    ) {
        let mut lost = lost;
        let mut drafts = Vec::from_iter(draft);
        for commit in &mut self.commits {
            lost.append(&mut commit.own);
            drafts.extend(commit.draft.take());
            // Nothing has the number that it had.
            commit.from = 0;
        }
        lost.extend(self.sign_batch(env).ids);
        self.report_own();
        self.memory_only = Some(code.to_owned());
        self.drop_drafts(drafts);
        let again = self.log.begun_again();
        let old_log = std::mem::replace(&mut self.log, again);
        let old_fold = std::mem::take(&mut self.fold);
        self.notes = Notes::default();
        self.policy = Policy::new(self.member());
        self.finality = Finality::default();
        self.redactions = Redactions::default();
        self.names.release_all();
        self.inquiry.begin_again();
        self.chain = Chain::default();
        self.consents = Consents::default();
        self.subjects = Subjects::default();
        self.requests = Requests::default();
        self.refolds += 1;
        self.told_beyond = self.told_beyond.map(|_| 0);
        // Views name ops by numbers of the old fold.
        self.views.close_all();
        // Handles are object numbers: they stay the same.
        for (_, object) in old_fold.objects() {
            self.fold.object(object.id, object.kind());
        }
        // What is put together anew is no news to anybody.
        let outputs = std::mem::take(&mut self.outputs);
        let gone: HashSet<ChangesetId> = lost.iter().copied().collect();
        for entry in (0..old_log.graph().len()).map(|ix| old_log.entry(ChangesetIx(ix))) {
            let changeset = entry.changeset().expect("failures wait until all bytes are here");
            if !gone.contains(&changeset.id()) {
                self.log.offer_authentic(changeset.clone(), entry.received_ms);
            }
        }
        while let Some(ready) = self.log.next_ready() {
            self.integrate(ready, env);
        }
        let old_actor = self.actor.expect("whoever wrote has an actor");
        let others: Vec<ActorId> = old_log.graph().tips().map(|tip| tip.actor).collect();
        let actor = self.identity.new_actor_beside(old_actor, &others, env.random);
        self.volatile.insert(actor);
        self.actor = Some(actor);
        self.begin_journal();
        let mut resigned = Resigned::default();
        for id in &lost {
            let ix = old_log.graph().get(id).expect("own changesets are in the graph");
            let new = self.sign_again(&old_log, ix, actor, &mut resigned, env);
            self.renamed.insert(*id, new);
            self.tiers.acked(id);
        }
        self.last_write = self.last_write.map(|last| self.renamed.get(&last).copied().unwrap_or(last));
        self.links.renumber(old_log.graph(), self.log.graph());
        self.outputs = outputs;
        // Both folds were told of as they were: what differs between them is the news.
        self.fold.forget_patches();
        let patches = self.fold.since(&old_fold);
        self.tell(Source::Remote, (self.member(), actor), None, patches);
        // Their numbers are others.
        self.outputs.push_back(Output::Events);
        for (changeset, received_ms) in old_log.outside() {
            self.log.offer_authentic(changeset.clone(), received_ms);
        }
        self.push_own(&resigned.ids, env);
        self.tick(env);
    }

    /// Signs the ops of a lost changeset under another actor, with the same stamp.
    fn sign_again(
        &mut self,
        old: &Log,
        ix: ChangesetIx,
        actor: ActorId,
        resigned: &mut Resigned,
        env: &mut Env<'_>,
    ) -> ChangesetId {
        let keys = self.identity.keyring();
        let changeset = old.entry(ix).changeset().expect("own changesets are here");
        let mut skeleton = changeset.open_skeleton(keys).expect("own changesets open");
        let content = changeset.open_content(keys, &skeleton).expect("own contents open");
        let parents: Vec<ChangesetIx> =
            old.graph().prev(ix).into_iter().chain(old.graph().deps(ix).to_vec()).collect();
        let refs = resolve(old.graph(), old.graph().prev(ix), old.graph().deps(ix), &skeleton.refs)
            .expect("own refs are in their past");
        let moved = |replica: &Self, at: ChangesetIx| {
            let id = old.graph().id(at);
            let now = replica.renamed.get(&id).copied().unwrap_or(id);
            replica.log.graph().get(&now).expect("its past was put in before")
        };
        let mut deps: Vec<ChangesetIx> = parents.into_iter().map(|parent| moved(self, parent)).collect();
        sort_by_key(&mut deps, |dep| self.log.graph().id(*dep));
        deps.dedup();
        // The old actor's own past is one more parent for the new one.
        while deps.len() > limits::DEPS_MAX {
            let gathered: Vec<ChangesetIx> = deps.drain(..limits::DEPS_MAX).collect();
            let merge = Skeleton { hlc: skeleton.hlc, ..Skeleton::default() };
            resigned.ids.push(self.sign_own(Class::Data, actor, gathered, &merge, None, env));
        }
        let prev = self.own_tip(actor);
        deps.retain(|dep| Some(*dep) != prev);
        let mut table = RefTable::new(self.log.graph(), prev, &deps);
        refs.into_iter().for_each(|at| table.add(moved(self, at)));
        skeleton.refs = table.into_refs();
        let seq = prev.map_or(0, |prev| u64::from(self.log.graph().seq(prev)) + 1);
        skeleton.undo_group = resigned.undo_group(skeleton.undo_group, seq + 1);
        skeleton.ops.iter_mut().for_each(|op| self.rename_targets(op));
        let class = changeset.header().class().expect("own changesets are supported");
        // What a validator said was of another actor and another past. It says anew what it sees then.
        let states = skeleton.ops.iter().any(is_of_validators);
        let content = content.filter(|_| !states);
        if states {
            skeleton.ops.clear();
            self.note_unattested();
        }
        let id = self.sign_own(class, actor, deps, &skeleton, content.as_ref(), env);
        resigned.ids.push(id);
        id
    }

    pub(super) fn sign_own(
        &mut self,
        class: Class,
        actor: ActorId,
        deps: Vec<ChangesetIx>,
        skeleton: &Skeleton,
        content: Option<&Content>,
        env: &mut Env<'_>,
    ) -> ChangesetId {
        let prev = self.own_tip(actor);
        let changeset = self.sign_as(class, actor, (prev, &deps), skeleton, content, env);
        let id = changeset.id();
        self.tiers.await_relay(id);
        self.log.admit_own(&changeset);
        self.integrate(Ready { changeset, received_ms: env.now_ms, prev, deps }, env);
        id
    }
}

/// What was signed again so far.
#[derive(Default)]
struct Resigned {
    ids: Vec<ChangesetId>,
    /// The undo group that was met last: its number then and now. Numbers follow the chain that they are in.
    group: (u64, u64),
}

impl Resigned {
    fn undo_group(&mut self, old: u64, next: u64) -> u64 {
        if old != self.group.0 {
            self.group = (old, next);
        }
        self.group.1
    }
}
