//! Snapshots: the state of everything that is integrated, sealed in chunks, so that opening a space does not fold its
//! history again (docs/format.md §9).
//!
//! A snapshot is a cache. It stands for rows of the store up to a number; rows behind it are folded onto it, and the bytes
//! of those it stands for are supplied later, for whoever sends or reads them. One that is damaged or of an older version is
//! left aside, one of a newer version too. Without any the state is the same, only later.

use super::notes::Notes;
use super::{Env, Output, Replica, Trouble};
use crate::audit::{Cases, Chain, Consents, Finality, Redactions, Requests, Subjects};
use crate::causal::{ChangesetIx, Hlc};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits, saved};
use crate::crypto::{ChunkContext, ChunkKey, EpochKey, Kid};
use crate::doc::{Fold, Names};
use crate::event::SignedChangeset;
use crate::store::TailRecord;
use crate::trust::{Entry, Policy};
use std::collections::BTreeMap;

/// The version of everything in a snapshot; raised whenever anything in it, or what it means, changes.
pub(super) const SNAPSHOT_VERSION: u8 = 12;

/// Bytes of state in one chunk, so that it has at most 256 KiB with its tag.
pub(super) const CHUNK_BYTES: usize = 256 * 1024 - 16;

/// 16 GiB of state.
const CHUNKS_MAX: u32 = 1 << 16;

/// Key of the record that says which chunks there are.
pub const SNAPSHOT_HEAD: &str = "head";

/// Bytes of changesets outside of the graph that a snapshot takes along.
const OUTSIDE_BYTES_MAX: usize = 1 << 20;

/// Bytes of new changesets from which on a snapshot is worth it, if they are also a fourth of the last one.
const NEW_BYTES_MIN: u64 = 128 * 1024;

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// No snapshot that this version can use: everything is folded.
    Nothing,
    /// A snapshot that stands for the rows up to this number.
    UpTo(u64),
    /// A snapshot of a newer version. It is kept.
    Newer,
    /// A snapshot that does not open or decode. It is to be removed.
    Damaged,
}

/// What a record of the tail holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Changesets that are known here.
    pub known: u32,
    /// Changesets that decode and that nothing vouches for, or that wait for a newer version.
    pub unknown: u32,
    /// Changesets that do not decode, or lost a segment.
    pub damaged: u32,
}

/// What is known of the last snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastSnapshot {
    changesets: u32,
    bytes: u64,
    /// One that a newer version wrote is not replaced.
    is_newer: bool,
    /// The store does not have what it stands for.
    pub(super) is_hollow: bool,
}

/// A snapshot on its way to the store: its records one by one, each some milliseconds of work.
pub struct SnapshotRecords {
    key: EpochKey,
    space: [u8; 32],
    run: [u8; 16],
    state: Vec<u8>,
    next: u32,
}

impl SnapshotRecords {
    /// The next record: key and bytes. The head, which makes the others count, is the last.
    pub fn next_record(&mut self) -> Option<(String, Vec<u8>)> {
        let count = self.state.len().div_ceil(CHUNK_BYTES) as u32;
        let number = self.next;
        self.next += 1;
        if number < count {
            let start = number as usize * CHUNK_BYTES;
            let plain = &self.state[start..self.state.len().min(start + CHUNK_BYTES)];
            let at = ChunkContext { space: &self.space, run: &self.run, number, count };
            return Some((record_key(&self.run, number), ChunkKey::new(&self.key, &at).seal(plain)));
        }
        (number == count).then(|| {
            let head = Head { run: self.run, kid: self.key.kid(), chunks: count };
            (SNAPSHOT_HEAD.to_owned(), head.encode())
        })
    }
}

/// A chunk of a snapshot in the store.
pub struct SealedChunk {
    /// The key of its record.
    pub record: String,
    /// What opens it.
    pub key: ChunkKey,
}

/// The record that says which chunks there are.
struct Head {
    run: [u8; 16],
    kid: Kid,
    chunks: u32,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(SNAPSHOT_VERSION).raw(&self.run).raw(&self.kid.0).varint(u64::from(self.chunks));
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.expect_u8("version", SNAPSHOT_VERSION)?;
        let (run, kid) = (reader.array("run")?, Kid(reader.array("kid")?));
        let chunks = reader.varint_u32("chunks", CHUNKS_MAX)?;
        reader.finish("head")?;
        Ok(Self { run, kid, chunks })
    }
}

impl Replica {
    /// Whether enough is new since the last snapshot, and nothing is on its way.
    pub fn snapshot_due(&self) -> bool {
        let last = self.last_snapshot;
        let new = (last.changesets..self.log.graph().len()).map(ChangesetIx);
        let bytes: u64 = new.map(|ix| u64::from(self.log.entry(ix).size)).sum();
        !last.is_newer
            && !last.is_hollow
            && !self.erasing.is_due()
            && bytes >= NEW_BYTES_MIN.max(last.bytes / 4)
            && self.is_at_rest()
    }

    /// A snapshot of everything that is integrated. `rows` is a number up to which every row of the store is here. None while
    /// anything is edited, stored or waiting to be integrated, and where too much waits for its parents.
    pub fn snapshot(&mut self, rows: u64, env: &mut Env<'_>) -> Option<SnapshotRecords> {
        let outside: usize = self.log.outside().map(|(changeset, _)| changeset.signed().size()).sum();
        let is_last = self.last_snapshot.is_newer || self.last_snapshot.is_hollow || self.erasing.is_due();
        if !self.is_at_rest() || outside > OUTSIDE_BYTES_MAX || is_last {
            return None;
        }
        let key = self.identity.keyring().current()?.clone();
        let mut run = [0; 16];
        (env.random)(&mut run);
        // The hash of what each object shows goes along: whoever compares states wakes none of them.
        self.state_hash();
        let mut state = self.saved_state(rows, true);
        let waiting: Vec<_> = self.log.outside().collect();
        state.varint(waiting.len() as u64);
        for (changeset, received_ms) in waiting {
            state.varint(received_ms).bytes(&changeset.signed().encode());
        }
        let state = state.into_bytes();
        self.last_snapshot = LastSnapshot {
            changesets: self.log.graph().len(),
            bytes: state.len() as u64,
            ..LastSnapshot::default()
        };
        Some(SnapshotRecords { key, space: self.space().0, run, state, next: 0 })
    }

    /// The state as others may have it: without what is of this device alone.
    pub(super) fn state_to_share(&mut self) -> Vec<u8> {
        let mut state = self.saved_state(0, false);
        state.varint(0);
        state.into_bytes()
    }

    /// Everything but what waits.
    fn saved_state(&self, rows: u64, arrivals: bool) -> Writer {
        let mut state = Writer::new();
        state.varint(rows);
        let stamp = self.clock.known();
        state.varint(stamp.ms).varint(u64::from(stamp.counter));
        self.log.save(&mut state, arrivals);
        self.fold.save(&mut state);
        self.names.save(&mut state);
        self.notes.save(&mut state);
        saved::save_list(&mut state, self.policy.entries());
        self.finality.save(&mut state);
        self.redactions.save(&mut state);
        self.chain.save(&mut state);
        self.consents.save(&mut state);
        self.subjects.save(&mut state);
        self.requests.save(&mut state);
        self.inquiry.cases.save(&mut state);
        state
    }

    /// Takes up the snapshot of a store; right after [`Replica::open`]. The rows behind it follow with
    /// [`Replica::load_tail`].
    pub fn take_up(&mut self, records: &BTreeMap<String, Vec<u8>>) -> Restored {
        let room = records.values().map(Vec::len).sum();
        self.take_up_by(records.get(SNAPSHOT_HEAD).map(Vec::as_slice), room, |chunk, state| {
            records.get(&chunk.record).is_some_and(|sealed| chunk.key.open(sealed, state).is_ok())
        })
    }

    /// The same for records that are somewhere else: `open` is to put what is in a chunk behind the state, and says whether
    /// it could. The state has about `room` bytes.
    pub fn take_up_by(
        &mut self,
        head: Option<&[u8]>,
        room: usize,
        mut open: impl FnMut(&SealedChunk, &mut Vec<u8>) -> bool,
    ) -> Restored {
        let Some(head) = head else { return Restored::Nothing };
        match head.first() {
            Some(version) if *version > SNAPSHOT_VERSION => {
                self.last_snapshot.is_newer = true;
                self.trouble(Trouble::Snapshot("E_STORAGE_NEWER"));
                return Restored::Newer;
            }
            Some(version) if *version < SNAPSHOT_VERSION => return Restored::Nothing,
            _ => {}
        }
        let chunks = self.snapshot_chunks(head);
        let state = chunks.and_then(|chunks| {
            let mut state = Vec::with_capacity(room);
            chunks.iter().all(|chunk| open(chunk, &mut state)).then_some(state)
        });
        let restored = state.and_then(|state| self.load_state(state).ok());
        if restored.is_none() {
            self.trouble(Trouble::Snapshot("E_STORAGE_DAMAGED"));
        }
        restored.map_or(Restored::Damaged, Restored::UpTo)
    }

    /// Supplies rows that the snapshot stands for, as records of the store.
    pub fn supply(&mut self, record: &[u8]) {
        let Ok((record, _)) = TailRecord::decode(record) else { return };
        for row in record.rows {
            self.log.supply(row);
        }
        self.erase_late();
    }

    /// All rows of the store were supplied. Says whether they are what the snapshot was made of; if not, it is to be removed,
    /// and what it shows may be lost with the next opening.
    pub fn supplied(&mut self, env: &mut Env<'_>) -> bool {
        if !self.log.is_whole() {
            self.trouble(Trouble::Snapshot("E_STORAGE_LOST"));
            self.last_snapshot.is_hollow = true;
            self.give_up_late();
            return false;
        }
        self.go_on_whole(env);
        true
    }

    /// The bytes of every changeset are here: what waited for them goes on.
    pub(super) fn go_on_whole(&mut self, env: &mut Env<'_>) {
        self.last_snapshot.is_hollow = false;
        self.fail_late(env);
        self.hear_held(env);
        self.tick(env);
    }

    /// Looks at a record of the store's tail.
    pub fn examine(&self, record: &[u8]) -> Examined {
        let Ok((record, damaged)) = TailRecord::decode(record) else {
            return Examined { damaged: 1, ..Examined::default() };
        };
        let mut found = Examined { damaged: damaged as u32, ..Examined::default() };
        for row in record.rows {
            match (row.is_damaged(), self.log.knows(&row.id())) {
                (true, _) => found.damaged += 1,
                (false, true) => found.known += 1,
                (false, false) => found.unknown += 1,
            }
        }
        found
    }

    /// Whether a record of the store `snapshots` is one that its head, if there is one, counts on.
    pub fn snapshot_reaches(head: Option<&[u8]>, key: &str) -> bool {
        let Some(head) = head else { return false };
        match Head::decode(head) {
            Ok(head) => {
                key == SNAPSHOT_HEAD || (0..head.chunks).any(|number| record_key(&head.run, number) == key)
            }
            // Whoever wrote it knows.
            Err(_) => head.first().is_some_and(|version| *version > SNAPSHOT_VERSION),
        }
    }

    /// Asks for the bytes that a snapshot stands for, if some are missing.
    pub(super) fn need_bytes(&mut self) -> bool {
        let missing = !self.log.is_whole();
        if missing {
            self.outputs.push_back(Output::Supply);
        }
        missing
    }

    /// Whether the bytes of every changeset are here.
    pub fn is_whole(&self) -> bool {
        self.log.is_whole()
    }

    pub(super) fn is_at_rest(&self) -> bool {
        !self.fold.has_batch()
            && !self.batch.in_transact
            && !self.is_storing()
            && self.unstored.is_empty()
            && self.creating.is_none()
            && self.memory_only.is_none()
            && !self.crowded
            && !self.log.has_ready()
    }

    /// The chunks that a head counts on, in order, if this version and the keys that are here can open them.
    pub fn snapshot_chunks(&self, head: &[u8]) -> Option<Vec<SealedChunk>> {
        let Head { run, kid, chunks: count } = Head::decode(head).ok()?;
        let key = self.identity.keyring().get(kid)?;
        let space = self.space().0;
        let chunk = |number| {
            let at = ChunkContext { space: &space, run: &run, number, count };
            SealedChunk { record: record_key(&run, number), key: ChunkKey::new(key, &at) }
        };
        Some((0..count).map(chunk).collect())
    }

    pub(super) fn load_state(&mut self, state: Vec<u8>) -> Result<u64, DecodeError> {
        let (bytes, mut from) = (state.len() as u64, Reader::new(&state));
        let rows = from.varint("rows", u64::MAX)?;
        let ms = from.varint("stamp", limits::TIME_MS_MAX)?;
        let counter = from.varint("stamp", u64::from(u16::MAX))? as u16;
        let mut log = self.log.begun_again();
        log.load(&mut from)?;
        let (fold, names, notes) = (Fold::load(&mut from)?, Names::load(&mut from)?, Notes::load(&mut from)?);
        let words: Vec<Entry> = Saved::load(&mut from)?;
        let (finality, redactions) = (Finality::load(&mut from)?, Redactions::load(&mut from)?);
        let chain = Chain::load(&mut from)?;
        let consents = Consents::load(&mut from)?;
        let subjects = Subjects::load(&mut from, &self.space().0)?;
        let requests = Requests::load(&mut from)?;
        let cases = Cases::load(&mut from)?;
        let changesets = log.graph().len();
        if fold.timeline().changesets() != changesets
            || words.iter().any(|word| word.changeset.0 >= changesets)
            || !finality.is_within(changesets)
            || !redactions.is_within(changesets)
            || !chain.is_within(changesets)
            || !consents.is_within(changesets)
            || !subjects.is_within(changesets)
            || !requests.is_within(changesets)
            || !cases.is_within(changesets)
        {
            return Err(DecodeError::Invalid {
                what: "snapshot",
                at: from.position(),
                rule: "its parts agree",
            });
        }
        let count = from.count("waiting", u32::MAX as usize, 2)?;
        for _ in 0..count {
            let received_ms = from.varint("arrival time", u64::MAX)?;
            let row = from.bytes("row", limits::CHANGESET_BYTES_MAX)?;
            log.offer_stored(SignedChangeset::decode(row)?, received_ms);
        }
        from.finish("snapshot")?;
        drop(state);
        self.clock.observe(Hlc { ms, counter });
        self.policy = Policy::of(self.member(), log.graph(), words);
        (self.finality, self.redactions) = (finality, redactions);
        (self.chain, self.consents) = (chain, consents);
        (self.subjects, self.requests) = (subjects, requests);
        (self.log, self.fold, self.names, self.notes) = (log, fold, names, notes);
        self.inquiry.cases = cases;
        let doubted = self.inquiry.cases.doubted(None, |actor| self.member_of(actor));
        self.policy.doubt(doubted);
        self.note_places();
        self.follow_blocks();
        let all: Vec<ChangesetIx> = (0..self.log.graph().len()).map(ChangesetIx).collect();
        self.note_own_stored(&all);
        self.last_snapshot = LastSnapshot { changesets: all.len() as u32, bytes, ..LastSnapshot::default() };
        Ok(rows)
    }
}

fn record_key(run: &[u8; 16], number: u32) -> String {
    let run: String = run.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{run}/{number:05}")
}
