//! Actors: which signing key writes here, and what happens when one may not be continued.
//!
//! An actor is continued only by whoever holds its lock (the edge's business) and only if its tip here is the tip that was
//! stored strictly: else a second changeset with the same seq could exist somewhere. When in doubt, a new actor is made.

use super::commit::InFlight;
use super::{Env, Output, Replica};
use crate::causal::{ActorId, ChangesetId, ChangesetIx};
use crate::crypto::SegmentKind;
use crate::doc::{RefTable, resolve};
use crate::event::{Changeset, Class, Content, Log, Ready, Skeleton};
use crate::store::StoreBatch;
use std::collections::HashMap;

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
        self.last_write = self.log.graph().tips_of(&actor).first().map(|tip| tip.id);
        self.tick(env);
    }

    /// Makes and uses an actor. One that is not to be continued by a later opening (`lasting` false) leaves no key behind.
    pub fn new_actor(&mut self, lasting: bool, env: &mut Env<'_>) -> ActorId {
        let (actor, put) = self.identity.new_actor(env.random);
        if !lasting {
            self.volatile.insert(actor);
        }
        // A new space is stored now in any case.
        let put = if lasting { put } else { Vec::new() };
        self.commit(StoreBatch { put, ..StoreBatch::default() }, true, InFlight::default());
        self.actor = Some(actor);
        self.tick(env);
        actor
    }

    /// Replaces an actor that signed, or could have signed, twice with one seq.
    pub(super) fn replace_actor(&mut self, env: &mut Env<'_>) {
        self.new_actor(
            !self.memory_only && self.actor.is_none_or(|actor| !self.volatile.contains(&actor)),
            env,
        );
    }

    /// Own changesets could not be stored: they never existed. Everything else is put together anew without them, and their
    /// ops are signed once more by an actor that lives in memory only and is sent out at once.
    pub(super) fn move_to_memory(&mut self, lost: &[ChangesetId], env: &mut Env<'_>) {
        self.seal(env);
        self.memory_only = true;
        let lost: Vec<ChangesetId> = {
            let later = self.commits.iter_mut().flat_map(|commit| std::mem::take(&mut commit.own));
            lost.iter().copied().chain(later.collect::<Vec<_>>()).collect()
        };
        let old_log = std::mem::replace(&mut self.log, Log::new(self.identity.genesis().clone()));
        let old_fold = std::mem::take(&mut self.fold);
        // Handles are object numbers: they stay the same.
        for (_, object) in old_fold.objects() {
            self.fold.object(object.id, object.kind());
        }
        let outputs = std::mem::take(&mut self.outputs);
        let held = std::mem::take(&mut self.held);
        self.actor = None;
        for ix in (0..old_log.graph().len()).map(ChangesetIx) {
            let entry = old_log.entry(ix);
            if !lost.contains(&entry.changeset.id()) {
                self.log.offer_authentic(entry.changeset.clone(), entry.received_ms);
            }
        }
        for (changeset, received_ms) in old_log.waiting_rows() {
            self.log.offer_authentic(changeset.clone(), received_ms);
        }
        while self.integrate_ready(env) {}
        self.outputs = outputs;
        self.held.extend(held);
        let actor = self.new_actor(false, env);
        let mut ids = Vec::new();
        for id in &lost {
            if let Some(ix) = old_log.graph().get(id) {
                let new = self.sign_again(&old_log, ix, actor, env);
                self.renamed.insert(*id, new);
                self.links.unacked.remove(id);
                ids.push(new);
            }
        }
        self.last_write = self.last_write.map(|last| self.renamed.get(&last).copied().unwrap_or(last));
        self.push_own(&ids, env);
        self.outputs.push_back(Output::Sync);
    }

    fn sign_again(&mut self, old: &Log, ix: ChangesetIx, actor: ActorId, env: &mut Env<'_>) -> ChangesetId {
        let keys = self.identity.keyring();
        let changeset = &old.entry(ix).changeset;
        let (old_prev, old_deps) = (old.graph().prev(ix), old.graph().deps(ix));
        let body = changeset.open_segment(SegmentKind::Skeleton, keys).expect("own changesets open");
        let mut skeleton =
            Skeleton::decode(&body, Class::Data, old_deps.len()).expect("own skeletons decode");
        let content = changeset.open_segment(SegmentKind::Content, keys).ok();
        let content = content.and_then(|body| Content::decode(&body, &skeleton).ok());
        let refs =
            resolve(old.graph(), old_prev, old_deps, &skeleton.refs).expect("own refs are in their past");
        let moved = |ix: ChangesetIx, renamed: &HashMap<ChangesetId, ChangesetId>| {
            let id = old.graph().id(ix);
            renamed.get(&id).copied().unwrap_or(id)
        };
        let prev = self.own_tip(actor);
        let graph = self.log.graph();
        let parents =
            old_prev.iter().chain(old_deps).filter_map(|parent| graph.get(&moved(*parent, &self.renamed)));
        let mut deps: Vec<ChangesetIx> = parents.filter(|parent| Some(*parent) != prev).collect();
        deps.sort_by_key(|dep| graph.id(*dep));
        deps.dedup();
        let mut table = RefTable::new(graph, prev, &deps);
        for at in refs {
            let now = graph.get(&moved(at, &self.renamed)).expect("what it refers to was put in before");
            table.add(now);
        }
        skeleton.refs = table.into_refs();
        let again = self.sign(actor, prev, &deps, &skeleton, content.as_ref(), env);
        let id = again.id();
        self.integrate_own(again, prev, deps, env.now_ms);
        id
    }

    fn integrate_own(
        &mut self,
        changeset: Changeset,
        prev: Option<ChangesetIx>,
        deps: Vec<ChangesetIx>,
        now_ms: u64,
    ) {
        self.links.unacked.insert(changeset.id());
        let ready = Ready { changeset, received_ms: now_ms, prev, deps };
        self.log.admit_own(&ready.changeset);
        let outputs = self.outputs.len();
        self.integrate(ready);
        // Nothing changed for the application: it sees its edits already.
        self.outputs.truncate(outputs);
    }
}
