//! The audit log of this device: [`Replica::note`], how entries get into the store, and how they are read, dropped and cut off.
//!
//! Each actor has a chain of its own: it has its actor's lock, so no two tabs add to one, and nobody waits. Entries ride with the
//! next commit, or are written, not strictly, after [`FLUSH_MS`]. What somebody else can make happen often is counted: an
//! entry for the first time, and one for all that followed within [`WINDOW_MS`].

use super::commit::InFlight;
use super::{Output, Replica};
use crate::audit::{
    Checkpoint, Detail, JournalEntry, JournalFilter, JournalHead, NoteKind, decode_entries, encode_entries,
};
use crate::causal::ActorId;
use crate::crypto::{Tag, hash, open_journal, seal_journal};
use crate::store::{StoreBatch, StoreName};
use std::collections::{BTreeMap, VecDeque};

/// How long an entry waits for a commit that would be made anyway.
const FLUSH_MS: u64 = 1_000;
/// For how long what happens often is counted before it is told.
const WINDOW_MS: u64 = 60_000;
/// Sorts of things that are counted at once; further ones are counted together.
const COUNTED_MAX: usize = 16;
/// Entries that are kept of all tabs of a device, unless the application says otherwise.
pub(super) const ENTRIES_MAX: u64 = 10_000;
/// Entries that wait for an actor, or a store that takes them.
const WAITING_MAX: usize = 4_096;

/// What is to be written down.
#[derive(Clone, Debug)]
struct Note {
    kind: NoteKind,
    time_ms: u64,
    span_ms: u64,
    count: u64,
    detail: Detail,
}

/// Something that happens often.
#[derive(Clone, Debug)]
struct Counted {
    kind: NoteKind,
    peer: String,
    text: String,
    /// When it was written down, and until when it is counted.
    begun_ms: u64,
    last_ms: u64,
    /// How often it happened since.
    count: u64,
}

/// The chain of an actor, as far as it is not stored.
#[derive(Clone, Debug)]
struct Chain {
    actor: ActorId,
    head: JournalHead,
    unsaved: Vec<JournalEntry>,
    /// How many of all are stored or on their way.
    sent: u64,
    /// Where records begin that are on their way.
    flying: Vec<u64>,
}

/// What is known of the chains of this device.
#[derive(Default)]
pub(super) struct Journal {
    /// As the store has them.
    heads: BTreeMap<ActorId, JournalHead>,
    /// Those with entries that are not stored; that of the current actor is the last.
    chains: Vec<Chain>,
    /// What happened before there was an actor.
    early: Vec<Note>,
    counted: Vec<Counted>,
    /// Secret, of the current actor: salts come from it, and from what they are for.
    seed: [u8; 32],
    due_ms: Option<u64>,
    /// Entries in the store, as far as is known, and how many may be.
    stored: u64,
    stored_max: Option<u64>,
    trims: bool,
    /// When this replica was asked something last.
    pub(super) now_ms: u64,
    /// Somebody waits for more entries.
    is_watched: bool,
}

/// An entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Whose chain it is in.
    pub actor: ActorId,
    /// The entry.
    pub entry: JournalEntry,
}

/// How one chain of the audit log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// Whose chain.
    pub actor: ActorId,
    /// How many entries there were.
    pub head: JournalHead,
    /// How many of them were dropped behind a checkpoint.
    pub dropped: u64,
    /// The first place where something is missing or was changed.
    pub fault: Option<u64>,
}

/// Which chains of the audit log somebody has read, and how far.
pub type JournalPlaces = BTreeMap<ActorId, u64>;

impl Journal {
    /// Reads where the chains of this device end.
    pub fn load(&mut self, meta: &BTreeMap<String, Vec<u8>>) {
        for (key, record) in meta {
            let Some(of) = key.strip_prefix(META_PREFIX) else { continue };
            if let Some(actor) = actor_of(of)
                && let Ok(head) = JournalHead::decode(record)
            {
                self.stored += head.size;
                self.heads.insert(actor, head);
            } else if let Ok(signed) = Checkpoint::decode(record) {
                self.stored = self.stored.saturating_sub(signed.head.size);
            }
        }
    }

    /// Goes on with the chain of an actor.
    pub fn begin(&mut self, actor: ActorId, empty: JournalHead, seed: [u8; 32]) {
        let head = self.heads.get(&actor).copied().unwrap_or(empty);
        self.seed = seed;
        self.chains.retain(|chain| !chain.unsaved.is_empty());
        match self.chains.iter().position(|chain| chain.actor == actor) {
            Some(at) => {
                let chain = self.chains.remove(at);
                self.chains.push(chain);
            }
            None => self.chains.push(Chain {
                actor,
                head,
                unsaved: Vec::new(),
                sent: head.size,
                flying: Vec::new(),
            }),
        }
        for Note { kind, time_ms, span_ms, count, detail } in std::mem::take(&mut self.early) {
            self.add(kind, (time_ms, span_ms), count, detail);
        }
    }

    fn add(&mut self, kind: NoteKind, (time_ms, span_ms): (u64, u64), count: u64, detail: Detail) {
        let Some(chain) = self.chains.last_mut() else {
            if self.early.len() < WAITING_MAX {
                self.early.push(Note { kind, time_ms, span_ms, count, detail });
            }
            return;
        };
        let salt = hash(Tag::JOURNAL_DETAIL, &[&self.seed, &chain.actor.0, &chain.head.size.to_le_bytes()]);
        let salt = salt.0.first_chunk().expect("32 bytes begin with 16");
        let entry = chain.head.add(kind, (time_ms, span_ms), count, &detail, salt);
        if chain.unsaved.len() == WAITING_MAX {
            // The store takes nothing.
            chain.unsaved.remove(0);
        }
        chain.unsaved.push(entry);
        self.due_ms.get_or_insert(time_ms + span_ms + FLUSH_MS);
    }

    /// Tells what was counted, once its time is over.
    fn tell_counted(&mut self, now_ms: u64, all: bool) {
        let is_over = |one: &Counted| all || now_ms >= one.begun_ms + WINDOW_MS || now_ms < one.begun_ms;
        let (over, counted) = std::mem::take(&mut self.counted).into_iter().partition(is_over);
        self.counted = counted;
        let over: Vec<Counted> = over;
        for Counted { kind, peer, text, begun_ms, last_ms, count } in over {
            if count > 0 {
                let detail = Detail { peer, text, ..Detail::default() };
                self.add(kind, (begun_ms, last_ms.saturating_sub(begun_ms)), count, detail);
            }
        }
    }

    /// What is not on its way yet, by chains, and the beginnings of records that this replaces.
    fn take_unsent(&mut self) -> Vec<(ActorId, Vec<JournalEntry>, Vec<u64>)> {
        self.due_ms = None;
        let unsent = |chain: &mut Chain| {
            let entries = chain.unsaved.iter().filter(|entry| entry.index >= chain.sent);
            let entries: Vec<JournalEntry> = entries.cloned().collect();
            let first = entries.first()?.index;
            chain.sent = chain.head.size;
            let (kept, replaced) = std::mem::take(&mut chain.flying).into_iter().partition(|at| *at < first);
            chain.flying = kept;
            chain.flying.push(first);
            Some((chain.actor, entries, replaced))
        };
        self.chains.iter_mut().filter_map(unsent).collect()
    }

    /// The store has entries of these chains, up to there.
    fn saved(&mut self, up_to: &[(ActorId, JournalHead)]) {
        for (actor, head) in up_to {
            self.heads.insert(*actor, *head);
            let Some(chain) = self.chains.iter_mut().find(|chain| chain.actor == *actor) else { continue };
            let before = chain.unsaved.len();
            chain.unsaved.retain(|entry| entry.index >= head.size);
            chain.flying.retain(|first| *first >= head.size);
            self.stored += (before - chain.unsaved.len()) as u64;
        }
    }

    /// It does not: they go along with the next commit.
    fn unsaved(&mut self, up_to: &[(ActorId, JournalHead)], now_ms: u64) {
        for chain in &mut self.chains {
            if up_to.iter().any(|(actor, _)| *actor == chain.actor) {
                chain.sent = chain.unsaved.first().map_or(chain.head.size, |first| first.index);
                self.due_ms = Some(now_ms + FLUSH_MS);
            }
        }
    }
}

impl Replica {
    /// Writes down in the audit log that something happened. O(1), and no commit of its own.
    pub fn note(&mut self, kind: NoteKind, detail: Detail, now_ms: u64) {
        self.journal.now_ms = now_ms;
        self.journal.add(kind, (now_ms, 0), 1, detail);
        self.tell_noted();
    }

    /// The same for what others can make happen as often as they like: of what is alike in kind, peer and text the first is
    /// written down, and how often it happened in the minute after it.
    pub fn note_often(&mut self, kind: NoteKind, detail: Detail, now_ms: u64) {
        let like = detail.text.clone();
        self.note_alike(kind, &like, detail, now_ms);
    }

    /// The same of what is told with a text of its own each time, but is alike: `like` is what those are called of which only the number is told.
    pub(super) fn note_alike(&mut self, kind: NoteKind, like: &str, detail: Detail, now_ms: u64) {
        self.journal.tell_counted(now_ms, false);
        let counted = &mut self.journal.counted;
        let is_like = |one: &&mut Counted| one.kind == kind && one.peer == detail.peer && one.text == like;
        if let Some(like) = counted.iter_mut().find(is_like) {
            (like.count, like.last_ms) = (like.count + 1, now_ms);
            return;
        }
        let is_full = counted.len() >= COUNTED_MAX;
        let (peer, text) =
            if is_full { (String::new(), OTHERS.to_owned()) } else { (detail.peer.clone(), like.to_owned()) };
        if is_full && let Some(like) = counted.iter_mut().find(|one| one.kind == kind && one.text == OTHERS) {
            (like.count, like.last_ms) = (like.count + 1, now_ms);
            return;
        }
        counted.push(Counted { kind, peer, text, begun_ms: now_ms, last_ms: now_ms, count: 0 });
        self.note(kind, detail, now_ms);
    }

    /// How many entries of all tabs of this device are kept; the oldest go first. At least 64.
    pub fn keep_noted(&mut self, entries: u64) {
        self.journal.stored_max = Some(entries.max(64));
    }

    /// Says [`Output::Noted`], once, when there is another entry.
    pub fn watch_noted(&mut self) {
        self.journal.is_watched = true;
    }

    /// Where the audit log of the current actor ends: what an attestation tells of it.
    pub fn journal_head(&self) -> Option<JournalHead> {
        let chain = self.journal.chains.last().filter(|chain| Some(chain.actor) == self.actor)?;
        (chain.head.size > 0).then_some(chain.head)
    }

    /// Entries that pass, from `places` on, `limit` at most, each chain in its order and else by time; `places` becomes how far that
    /// is. `records` are those of the store `audit` and those of `meta` that begin with `audit/`. Says also how many do not open. O(entries).
    pub fn journal(
        &self,
        records: &BTreeMap<String, Vec<u8>>,
        places: &mut JournalPlaces,
        filter: &JournalFilter,
        limit: usize,
    ) -> (Vec<JournalRow>, usize) {
        let (rows, damaged) = self.journal_rows(records);
        let mut chains: BTreeMap<ActorId, VecDeque<JournalEntry>> = BTreeMap::new();
        for JournalRow { actor, entry } in rows {
            if places.get(&actor).is_none_or(|next| entry.index >= *next) {
                chains.entry(actor).or_default().push_back(entry);
            }
        }
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((actor, entry)) = next_in_time(&mut chains, |entry| entry.time_ms)
        {
            places.insert(actor, entry.index + 1);
            if entry.passes(filter) {
                found.push(JournalRow { actor, entry });
            }
        }
        (found, damaged)
    }

    /// Whether each chain is whole: linked from its beginning, or a signed checkpoint, to its end. O(entries).
    pub fn journal_check(&self, records: &BTreeMap<String, Vec<u8>>) -> Vec<JournalState> {
        let (rows, _) = self.journal_rows(records);
        let mut heads = self.journal.heads.clone();
        for (key, record) in records {
            if let Some(actor) = key.strip_prefix(META_PREFIX).and_then(actor_of)
                && let Ok(head) = JournalHead::decode(record)
            {
                heads.insert(actor, head); // as another tab left it
            }
        }
        heads.extend(self.journal.chains.iter().map(|chain| (chain.actor, chain.head)));
        for row in &rows {
            heads.entry(row.actor).or_insert_with(|| JournalHead::empty(&self.space(), &row.actor));
        }
        let state = |(actor, head): (ActorId, JournalHead)| {
            let dropped = self.checkpoint_of(records, actor);
            let start = dropped.unwrap_or(JournalHead::empty(&self.space(), &actor));
            let mut at = start;
            let entries = rows.iter().filter(|row| row.actor == actor && row.entry.index >= start.size);
            for JournalRow { entry, .. } in entries {
                if (entry.index, entry.previous) != (at.size, at.hash) {
                    return JournalState { actor, head, dropped: start.size, fault: Some(at.size) };
                }
                at = JournalHead { size: at.size + 1, hash: entry.hash() };
            }
            let fault = (at != head).then_some(at.size);
            JournalState { actor, head, dropped: start.size, fault }
        };
        heads.into_iter().map(state).collect()
    }

    /// Drops what entries are about that pass, of those that are stored and those that are not yet: the records to be stored instead,
    /// strictly, and of how many entries. The chains stay whole.
    pub fn forget_noted(
        &mut self,
        records: &BTreeMap<String, Vec<u8>>,
        filter: &JournalFilter,
        now_ms: u64,
    ) -> (StoreBatch, usize) {
        let mut forgotten = 0;
        let mut forget = |entries: &mut [JournalEntry]| {
            let before = forgotten;
            for entry in entries.iter_mut().filter(|entry| entry.passes(filter)) {
                forgotten += usize::from(entry.forget());
            }
            forgotten > before
        };
        for chain in &mut self.journal.chains {
            if forget(&mut chain.unsaved) {
                // What is on its way still says it.
                chain.sent = chain.unsaved.first().map_or(chain.sent, |first| first.index);
                self.journal.due_ms.get_or_insert(now_ms);
            }
        }
        let mut put = Vec::new();
        for (key, record) in records {
            let Some((actor, mut entries)) = self.open_record(key, record) else { continue };
            if forget(&mut entries) {
                put.push((StoreName::Audit, key.clone(), self.seal_record(actor, &entries)));
            }
        }
        (StoreBatch { put, ..StoreBatch::default() }, forgotten)
    }

    /// Makes room, after [`Output::Trim`]: the oldest entries go, down to three quarters of what may be kept, and a signed checkpoint
    /// stands for them. Of several tabs one does it at a time.
    pub fn trim_noted(&mut self, records: &BTreeMap<String, Vec<u8>>) {
        self.journal.trims = false;
        let mut chains: BTreeMap<ActorId, VecDeque<(&String, Vec<JournalEntry>)>> = BTreeMap::new();
        let mut count = 0;
        for (key, record) in records {
            if let Some((actor, entries)) = self.open_record(key, record) {
                count += entries.len() as u64;
                chains.entry(actor).or_default().push_back((key, entries));
            }
        }
        let most = self.journal.stored_max.unwrap_or(ENTRIES_MAX);
        self.journal.stored = count;
        let Some(key) = self.actor.and_then(|actor| self.identity.actor_key(actor)).filter(|_| count > most)
        else {
            return;
        };
        let (mut batch, mut heads) = (StoreBatch::default(), BTreeMap::new());
        while self.journal.stored > most / 4 * 3
            && let Some((actor, (of, entries))) = next_in_time(&mut chains, |(_, entries)| entries[0].time_ms)
        {
            let last = entries.last().expect("a record that opens has entries");
            self.journal.stored -= entries.len() as u64;
            heads.insert(actor, JournalHead { size: last.index + 1, hash: last.hash() });
            batch.delete.push((StoreName::Audit, of.clone()));
        }
        for (actor, head) in heads {
            let signed = Checkpoint::sign(key, &self.space(), &actor, head);
            batch.put.push((StoreName::Meta, format!("{META_PREFIX}{actor}{CHECKPOINT}"), signed.encode()));
        }
        self.commit(batch, false, InFlight { is_aside: true, ..InFlight::default() });
    }

    /// What was counted is told, and everything is on its way to the store: before the end.
    pub fn settle_noted(&mut self, now_ms: u64) {
        self.journal.tell_counted(now_ms, true);
        self.flush_noted();
    }

    /// When entries are to be written that no commit took along, or what was counted is to be told.
    pub(super) fn noted_due(&self) -> Option<u64> {
        let told =
            self.journal.counted.iter().filter(|one| one.count > 0).map(|one| one.begun_ms + WINDOW_MS).min();
        let written = self.journal.due_ms.filter(|_| self.memory_only.is_none() && self.actor.is_some());
        written.into_iter().chain(told).min()
    }

    /// Does so.
    pub(super) fn note_if_due(&mut self, now_ms: u64) {
        self.journal.now_ms = now_ms;
        self.journal.tell_counted(now_ms, false);
        // The clock may have been set back.
        self.journal.due_ms = self.journal.due_ms.map(|due| due.min(now_ms + FLUSH_MS));
        if self.journal.due_ms.is_some_and(|due| due <= now_ms) {
            self.flush_noted();
        }
    }

    /// Puts what is not on its way yet into a batch; up to where that reaches.
    pub(super) fn take_noted(&mut self, batch: &mut StoreBatch) -> Vec<(ActorId, JournalHead)> {
        let mut noted = Vec::new();
        if self.memory_only.is_some() || self.actor.is_none() {
            return noted;
        }
        for (actor, entries, replaced) in self.journal.take_unsent() {
            let last = entries.last().expect("only chains with entries are there");
            let head = JournalHead { size: last.index + 1, hash: last.hash() };
            let key = |first: u64| format!("{actor}/{first:010}");
            let record = self.seal_record(actor, &entries);
            batch.put.push((StoreName::Audit, key(entries[0].index), record));
            batch.put.push((StoreName::Meta, format!("{META_PREFIX}{actor}"), head.encode()));
            let replaced = replaced.into_iter().filter(|first| *first != entries[0].index);
            batch.delete.extend(replaced.map(|first| (StoreName::Audit, key(first))));
            noted.push((actor, head));
        }
        if let Some(record) = self.scores.take_news() {
            batch.put.push((StoreName::Meta, "scores".to_owned(), record));
        }
        noted
    }

    /// How a commit with entries ended.
    pub(super) fn noted_stored(&mut self, noted: &[(ActorId, JournalHead)], is_stored: bool, now_ms: u64) {
        if noted.is_empty() {
            return;
        }
        if !is_stored {
            return self.journal.unsaved(noted, now_ms);
        }
        self.journal.saved(noted);
        if self.journal.stored > self.journal.stored_max.unwrap_or(ENTRIES_MAX) && !self.journal.trims {
            self.journal.trims = true;
            self.outputs.push_back(Output::Trim);
        }
    }

    /// The current actor has a chain from now on.
    pub(super) fn begin_journal(&mut self) {
        let Some(actor) = self.actor else { return };
        let Some(key) = self.identity.actor_key(actor) else { return };
        let seed = hash(Tag::JOURNAL, &[&*key.seed()]).0;
        let empty = JournalHead::empty(&self.space(), &actor);
        self.journal.begin(actor, empty, seed);
    }

    fn flush_noted(&mut self) {
        if self.journal.due_ms.is_some() {
            self.commit(StoreBatch::default(), false, InFlight { is_aside: true, ..InFlight::default() });
        }
    }

    fn tell_noted(&mut self) {
        if std::mem::take(&mut self.journal.is_watched) {
            self.outputs.push_back(Output::Noted);
        }
    }

    fn journal_rows(&self, records: &BTreeMap<String, Vec<u8>>) -> (Vec<JournalRow>, usize) {
        let (mut rows, mut damaged) = (Vec::new(), 0);
        for (key, record) in records.iter().filter(|(key, _)| !key.starts_with(META_PREFIX)) {
            match self.open_record(key, record) {
                Some((actor, entries)) => {
                    rows.extend(entries.into_iter().map(|entry| JournalRow { actor, entry }))
                }
                None => damaged += 1,
            }
        }
        // What is here may be stored as well, and is the later word: something of it may have been dropped.
        for chain in &self.journal.chains {
            let Some(first) = chain.unsaved.first().map(|entry| entry.index) else { continue };
            rows.retain(|row| row.actor != chain.actor || row.entry.index < first);
            rows.extend(
                chain.unsaved.iter().map(|entry| JournalRow { actor: chain.actor, entry: entry.clone() }),
            );
        }
        (rows, damaged)
    }

    fn open_record(&self, key: &str, record: &[u8]) -> Option<(ActorId, Vec<JournalEntry>)> {
        let (actor, first) = key.split_once('/')?;
        let actor = actor_of(actor)?;
        let entries = decode_entries(&open_journal(self.identity.keyring(), &actor.0, record)?).ok()?;
        (entries.first()?.index == first.parse::<u64>().ok()?).then_some((actor, entries))
    }

    /// The salt follows from the entries: no two that differ, be it in what was dropped of them, have the same one.
    fn seal_record(&self, actor: ActorId, entries: &[JournalEntry]) -> Vec<u8> {
        let body = encode_entries(entries);
        let salt = hash(Tag::JOURNAL, &[&self.journal.seed, &actor.0, &body]);
        let salt = salt.0.first_chunk().expect("32 bytes begin with 16");
        let keys = self.identity.keyring();
        let epoch = keys.current().expect("a space has an epoch from the start");
        seal_journal(epoch, keys.space(), &actor.0, salt, &body)
    }

    fn checkpoint_of(&self, records: &BTreeMap<String, Vec<u8>>, actor: ActorId) -> Option<JournalHead> {
        let signed = Checkpoint::decode(records.get(&format!("{META_PREFIX}{actor}{CHECKPOINT}"))?).ok()?;
        signed.is_signed(&self.space(), &actor).then_some(signed.head)
    }
}

/// Of the record in `meta` that says where a chain ends.
const META_PREFIX: &str = "audit/";
/// Behind the actor there.
const CHECKPOINT: &str = "/checkpoint";
/// What is counted together.
const OTHERS: &str = "other reasons";

/// Takes the first of the chain whose first one is the earliest.
fn next_in_time<T>(
    chains: &mut BTreeMap<ActorId, VecDeque<T>>,
    time_ms: impl Fn(&T) -> u64,
) -> Option<(ActorId, T)> {
    let first = |(actor, chain): (&ActorId, &VecDeque<T>)| Some((time_ms(chain.front()?), *actor));
    let (_, actor) = chains.iter().filter_map(first).min()?;
    chains.get_mut(&actor)?.pop_front().map(|next| (actor, next))
}

fn actor_of(hex: &str) -> Option<ActorId> {
    let mut id = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(ActorId(id))
}
