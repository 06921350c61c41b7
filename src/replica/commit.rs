//! Commits: what is on its way to the store, and what follows once it is there. Own changesets are pushed, and shown as
//! saved, only after the strict commit.

use super::link::Receipt;
use super::seal::Sealed;
use super::{Env, Output, Replica, Tier, Trouble};
use crate::audit::JournalHead;
use crate::causal::{ActorId, ChangesetId};
use crate::codec::{Reader, Writer};
use crate::sorted::SortedMap;
use crate::store::{StoreBatch, StoreName, TailRecord};
use std::collections::BTreeMap;

/// A commit that the store has not answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    pub id: u64,
    /// Own changesets in it.
    pub own: Vec<ChangesetId>,
    /// Sessions whose rows are in it, and what is told to them once they are stored.
    pub received: Vec<(u32, Receipt)>,
    /// Whether it carries rows of any kind.
    pub rows: bool,
    /// What is in it has this number in the log, or a greater one.
    pub from: u32,
    /// Whose draft goes with it.
    pub draft: Option<ActorId>,
    /// Nothing that anybody waits for: entries of the audit log alone.
    pub is_aside: bool,
    /// Up to where entries of the audit log go along.
    pub noted: Vec<(ActorId, JournalHead)>,
    /// What is written again with the next commit if this one fails: rows of others, that nobody sends twice.
    pub again: Option<StoreBatch>,
}

impl Replica {
    /// The store wrote a batch.
    pub fn committed(&mut self, id: u64, env: &mut Env<'_>) {
        let Some(done) = self.take_commit(id) else { return };
        self.noted_stored(&done.noted, true, env.now_ms);
        if done.rows {
            self.outputs.push_back(Output::Rows);
        }
        for (session, receipt) in done.received {
            self.stored_for(session, receipt, env);
        }
        if !done.own.is_empty() {
            self.mark_saved(Tier::Local, &done.own);
            self.push_own(&done.own, env);
        }
    }

    /// The store could not write a batch; `code` is its error code. Signed changesets that were not stored are dropped, and
    /// their ops are signed anew by an actor that lives in memory only.
    pub fn commit_failed(&mut self, id: u64, code: &str, env: &mut Env<'_>) {
        if self.batch.in_transact || !self.log.is_whole() {
            // The ops of the transaction stand on what failed: they are sealed or given up first. And whatever else there is
            // is put together anew, from its bytes.
            self.late_failures.push((id, code.to_owned()));
            match self.last_snapshot.is_hollow && !self.batch.in_transact {
                true => self.give_up_late(),
                false => {
                    self.need_bytes();
                }
            }
            return;
        }
        let Some(failed) = self.take_commit(id) else { return };
        self.noted_stored(&failed.noted, false, env.now_ms);
        self.trouble(Trouble::Storage(code.to_owned()));
        self.unstored.extend(failed.again);
        for (session, receipt) in failed.received {
            self.stored_for(session, receipt, env);
        }
        if !failed.own.is_empty() {
            self.move_to_memory(failed.own, failed.draft, code, env);
        }
    }

    /// The transaction is over during which commits failed.
    pub(super) fn fail_late(&mut self, env: &mut Env<'_>) {
        for (id, code) in std::mem::take(&mut self.late_failures) {
            self.commit_failed(id, &code, env);
        }
    }

    /// The same where nothing can be put together anew, for some of its bytes are lost: what was not stored is in memory only,
    /// and since the connections wait for these bytes, nobody else gets it.
    pub(super) fn give_up_late(&mut self) {
        for (id, code) in std::mem::take(&mut self.late_failures) {
            self.take_commit(id);
            self.trouble(Trouble::Storage(code.clone()));
            self.memory_only = Some(code);
        }
    }

    /// Asks for a batch to be written. The first one of a new space carries its records.
    pub(super) fn commit(&mut self, batch: StoreBatch, strict: bool, mut in_flight: InFlight) {
        let mut batch = batch;
        for failed in std::mem::take(&mut self.unstored) {
            batch.append.splice(0..0, failed.append);
            batch.put.splice(0..0, failed.put);
        }
        if let Some(mut creating) = self.creating.take() {
            creating.put.append(&mut batch.put);
            batch = StoreBatch { append: batch.append, delete: batch.delete, ..creating };
        }
        if batch.is_empty() && !in_flight.is_aside {
            return;
        }
        let of_others = in_flight.own.is_empty() && !batch.append.is_empty() && batch.absent.is_none();
        in_flight.again = of_others.then(|| batch.clone());
        in_flight.noted = self.take_noted(&mut batch);
        if batch.is_empty() {
            return;
        }
        self.next_commit += 1;
        in_flight.id = self.next_commit;
        in_flight.rows = !batch.append.is_empty();
        let first = in_flight.own.first().and_then(|first| self.log.graph().get(first));
        in_flight.from = first.map_or(self.log.graph().len(), |first| first.0);
        let strict = strict || batch.absent.is_some();
        self.outputs.push_back(Output::Commit { id: in_flight.id, batch, strict });
        self.commits.push_back(in_flight);
    }

    /// Stores own changesets strictly, together with the tip by which the actor may be continued.
    pub(super) fn store_own(&mut self, actor: ActorId, sealed: Sealed, env: &mut Env<'_>) {
        let Sealed { rows, ids } = sealed;
        self.last_write = ids.last().copied();
        if self.memory_only.is_some() {
            self.push_own(&ids, env);
            return;
        }
        let mut put = Vec::new();
        if let Some(last) = ids.last().and_then(|id| self.log.graph().get(id))
            && !self.volatile.contains(&actor)
        {
            put.push(tip_record(actor, self.log.graph().seq(last), self.log.graph().id(last)));
        }
        let append = rows.iter().map(|(made_ms, rows)| TailRecord::encode(*made_ms, rows)).collect();
        let draft = self.end_draft();
        let delete = draft.map(|actor| (StoreName::Drafts, actor.to_string())).into_iter().collect();
        let batch = StoreBatch { append, put, delete, absent: None };
        self.commit(batch, true, InFlight { own: ids, draft, ..InFlight::default() });
    }

    /// Notes that own changesets reached a tier.
    pub(super) fn mark_saved(&mut self, tier: Tier, ids: &[ChangesetId]) {
        let reached: Vec<ChangesetId> =
            ids.iter().copied().filter(|id| self.tiers.reached(id) < Some(tier)).collect();
        if !reached.is_empty() {
            reached.iter().for_each(|id| self.tiers.reach(*id, tier));
            self.outputs.push_back(Output::Saved { tier, ids: reached });
        }
    }

    /// Whether something is on its way to the store that anybody may wait for.
    pub(super) fn is_storing(&self) -> bool {
        !self.commits.iter().all(|commit| commit.is_aside)
    }

    fn take_commit(&mut self, id: u64) -> Option<InFlight> {
        let at = self.commits.iter().position(|commit| commit.id == id)?;
        self.commits.remove(at)
    }
}

/// The record of the durable tip of an actor.
pub(super) fn tip_record(actor: ActorId, seq: u32, id: ChangesetId) -> (StoreName, String, Vec<u8>) {
    let mut tip = Writer::new();
    tip.varint(u64::from(seq)).raw(&id.0);
    (StoreName::Actors, actor.to_string(), tip.into_bytes())
}

/// Reads the durable tips of own actors.
pub(super) fn durable_tips(actors: &BTreeMap<String, Vec<u8>>) -> SortedMap<String, (u32, ChangesetId)> {
    let tip = |record: &[u8]| {
        let mut reader = Reader::new(record);
        let seq = reader.varint_u32("seq", u32::MAX).ok()?;
        Some((seq, ChangesetId(reader.array("id").ok()?)))
    };
    let mut tips = SortedMap::new();
    for (actor, record) in actors {
        if let Some(tip) = tip(record) {
            tips.insert(actor.clone(), tip);
        }
    }
    tips
}
