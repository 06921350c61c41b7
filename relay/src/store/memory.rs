//! A store that forgets: for tests, and for trying a relay out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::{SnapshotId, next_chain, start_chain};
use stemma::sync::{ChainRange, Code, Position, Verdict};

use super::redactions::is_erasable;
use super::{
    Admitted, Append, Appended, Judgement, KEPT_MAX, Kept, Lanes, Newcomer, Redaction, Redactions, Snapshots,
    SpaceRecord, Store, StoreError, StoredRow, judge,
};

/// Everything in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    node: Mutex<Node>,
}

#[derive(Debug, Default)]
struct Node {
    identity: Option<[u8; 32]>,
    spaces: HashMap<SpaceId, Space>,
}

#[derive(Debug)]
struct Space {
    record: SpaceRecord,
    rows: Vec<StoredRow>,
    lanes: HashMap<ActorId, ActorRows>,
    members: Vec<([u8; 32], MemberId)>,
    /// The newest first.
    snapshots: Vec<Kept>,
    redactions: Vec<Redaction>,
    redacted_until: u64,
    chunks: BTreeMap<(SnapshotId, u32), Vec<u8>>,
}

#[derive(Debug, Default)]
struct ActorRows {
    /// By seq, ascending.
    tips: BTreeSet<(u32, ChangesetId)>,
    rows: BTreeMap<u32, Vec<(u64, ChangesetId)>>,
}

impl MemoryStore {
    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().expect("no method panics while it holds the lock")
    }
}

impl Store for MemoryStore {
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.node().identity.get_or_insert(fresh))
    }

    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError> {
        self.node().spaces.entry(space).or_insert_with(|| Space {
            record: SpaceRecord {
                genesis: genesis.to_vec(),
                head: Position { log_id, cursor: 0, chain: start_chain(log_id, space) },
                bytes: 0,
            },
            rows: Vec::new(),
            lanes: HashMap::new(),
            members: Vec::new(),
            snapshots: Vec::new(),
            redactions: Vec::new(),
            redacted_until: 0,
            chunks: BTreeMap::new(),
        });
        Ok(())
    }

    fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
        Ok(self.node().spaces.get(&space).map(|space| space.record.clone()))
    }

    fn admit(&self, space: SpaceId, newcomer: &Newcomer) -> Result<Admitted, StoreError> {
        let mut node = self.node();
        let members = &mut node.spaces.get_mut(&space).ok_or(StoreError::NoSpace)?.members;
        if members.contains(&(newcomer.gate, newcomer.member)) {
            return Ok(Admitted::In);
        }
        let count = members.iter().filter(|(gate, _)| *gate == newcomer.gate).count() as u64;
        if newcomer.expired {
            return Ok(Admitted::Expired);
        }
        if newcomer.uses.is_some_and(|uses| count >= uses) {
            return Ok(Admitted::Used);
        }
        members.push((newcomer.gate, newcomer.member));
        Ok(Admitted::In)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let mut node = self.node();
        if batch.iter().any(|append| !node.spaces.contains_key(&append.space)) {
            return Err(StoreError::NoSpace);
        }
        batch
            .iter()
            .map(|append| node.spaces.get_mut(&append.space).ok_or(StoreError::NoSpace)?.append(append))
            .collect()
    }

    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let node = self.node();
        let rows = &node.spaces.get(&space).ok_or(StoreError::NoSpace)?.rows;
        let rest = rows.get(usize::try_from(after).unwrap_or(usize::MAX)..).unwrap_or(&[]);
        let mut page: Vec<StoredRow> = Vec::new();
        let mut bytes = 0;
        for row in rest.iter().take(rows_max) {
            bytes += row.row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(row.clone());
        }
        Ok(page)
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        let node = self.node();
        let rows = &node.spaces.get(&space).ok_or(StoreError::NoSpace)?.rows;
        let index = cursor.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        Ok(index.and_then(|index| rows.get(index)).map(|row| row.chain))
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Result<Vec<Tip>, StoreError> {
        let node = self.node();
        let lanes = &node.spaces.get(&space).ok_or(StoreError::NoSpace)?.lanes;
        let of = |actor: &ActorId| {
            let actor = *actor;
            let tips = lanes.get(&actor).into_iter().flat_map(|lanes| lanes.tips.clone());
            tips.map(move |(seq, id)| Tip { actor, seq, id })
        };
        Ok(actors.iter().flat_map(of).collect())
    }

    fn ends(&self, space: SpaceId) -> Result<(Position, Vec<Tip>), StoreError> {
        let node = self.node();
        let Space { record, lanes, .. } = node.spaces.get(&space).ok_or(StoreError::NoSpace)?;
        let of = |(actor, lanes): (&ActorId, &ActorRows)| {
            let actor = *actor;
            lanes.tips.iter().map(|&(seq, id)| Tip { actor, seq, id }).collect::<Vec<_>>()
        };
        Ok((record.head, lanes.iter().flat_map(of).collect()))
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Result<(Vec<StoredRow>, bool), StoreError> {
        let node = self.node();
        let Space { rows, lanes, .. } = node.spaces.get(&space).ok_or(StoreError::NoSpace)?;
        let mut cursors = BTreeSet::new();
        for range in ranges {
            let lanes = lanes.get(&range.actor).into_iter();
            let places =
                lanes.flat_map(|lanes| lanes.rows.range(range.first..=range.last)).flat_map(|(_, at)| at);
            cursors.extend(places.map(|(cursor, _)| *cursor).filter(|cursor| *cursor > after));
        }
        let (mut page, mut bytes): (Vec<StoredRow>, usize) = (Vec::new(), 0);
        for cursor in cursors.iter().take(rows_max) {
            let row = &rows[usize::try_from(*cursor - 1).expect("a row is in memory")];
            bytes += row.row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(row.clone());
        }
        let more = page.len() < cursors.len();
        Ok((page, more))
    }

    fn spaces(&self) -> Result<Vec<SpaceId>, StoreError> {
        Ok(self.node().spaces.keys().copied().collect())
    }

    fn members(&self, space: SpaceId) -> Result<Vec<([u8; 32], MemberId)>, StoreError> {
        Ok(self.node().spaces.get(&space).ok_or(StoreError::NoSpace)?.members.clone())
    }

    fn remove_space(&self, space: SpaceId) -> Result<bool, StoreError> {
        Ok(self.node().spaces.remove(&space).is_some())
    }

    fn strays(&self, _remove: bool) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl MemoryStore {
    fn on<T>(&self, space: SpaceId, work: impl FnOnce(&mut Space) -> T) -> Result<T, StoreError> {
        self.node().spaces.get_mut(&space).map(work).ok_or(StoreError::NoSpace)
    }
}

impl Snapshots for MemoryStore {
    fn snapshots(&self, space: SpaceId) -> Result<Vec<Kept>, StoreError> {
        self.on(space, |space| space.snapshots.clone())
    }

    fn stage(&self, space: SpaceId, id: SnapshotId) -> Result<Vec<u32>, StoreError> {
        self.on(space, |space| {
            space.forget_strays(Some(id));
            space.chunks.keys().filter(|(of, _)| *of == id).map(|(_, number)| *number).collect()
        })
    }

    fn put_chunk(&self, space: SpaceId, id: SnapshotId, number: u32, chunk: &[u8]) -> Result<(), StoreError> {
        self.on(space, |space| drop(space.chunks.insert((id, number), chunk.to_vec())))
    }

    fn keep(&self, space: SpaceId, kept: &Kept) -> Result<bool, StoreError> {
        self.on(space, |space| {
            let there = space.chunks.keys().filter(|(id, _)| *id == kept.id).count();
            if there != kept.chunks as usize {
                return false;
            }
            match space.snapshots.iter_mut().find(|other| other.id == kept.id) {
                Some(other) => other.record.clone_from(&kept.record),
                None => space.snapshots.insert(0, kept.clone()),
            }
            space.snapshots.truncate(KEPT_MAX);
            space.forget_strays(None);
            true
        })
    }

    fn forget(&self, space: SpaceId, id: SnapshotId) -> Result<bool, StoreError> {
        self.on(space, |space| {
            let before = space.snapshots.len();
            space.snapshots.retain(|kept| kept.id != id);
            space.chunks.retain(|(of, _), _| *of != id);
            space.snapshots.len() < before
        })
    }

    fn chunk(&self, space: SpaceId, id: SnapshotId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.on(space, |space| space.chunks.get(&(id, number)).cloned())
    }
}

impl Redactions for MemoryStore {
    fn redact(
        &self,
        space: SpaceId,
        noted: &[Redaction],
        places: &[(ActorId, u32, ChangesetId)],
        until: u64,
    ) -> Result<u64, StoreError> {
        self.on(space, |space| {
            space.redactions.extend_from_slice(noted);
            space.redacted_until = space.redacted_until.max(until);
            space.snapshots.clear();
            space.chunks.clear();
            let mut dropped = 0;
            for (actor, seq, id) in places {
                let rows = space.lanes.get(actor).and_then(|lanes| lanes.rows.get(seq));
                let Some((cursor, _)) = rows.into_iter().flatten().find(|(_, known)| known == id) else {
                    continue;
                };
                let row = &mut space.rows[usize::try_from(*cursor - 1).expect("a row is in memory")].row;
                if is_erasable(&row.header)
                    && let Some(content) = row.content.take()
                {
                    space.record.bytes -= content.len() as u64;
                    dropped += 1;
                }
            }
            dropped
        })
    }

    fn redactions(&self, space: SpaceId, targets: &[ChangesetId]) -> Result<Vec<Redaction>, StoreError> {
        self.on(space, |space| {
            let all = space.redactions.iter();
            all.filter(|redaction| targets.contains(&redaction.target)).copied().collect()
        })
    }

    fn redacted(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, u64)>, StoreError> {
        let node = self.node();
        let until = |space: &SpaceId| Some((*space, node.spaces.get(space)?.redacted_until));
        Ok(spaces.iter().filter_map(until).filter(|(_, until)| *until > 0).collect())
    }
}

impl Space {
    fn forget_strays(&mut self, but: Option<SnapshotId>) {
        let Self { snapshots, chunks, .. } = self;
        chunks.retain(|(of, _), _| Some(*of) == but || snapshots.iter().any(|kept| kept.id == *of));
    }

    fn append(&mut self, append: &Append) -> Result<Appended, StoreError> {
        let mut appended = Appended::default();
        for row in &append.rows {
            let lanes = &mut *self.lanes.entry(row.actor).or_default();
            let existing = match judge(row, &*lanes)? {
                Judgement::Answer(verdict) => {
                    appended.results.push(verdict);
                    continue;
                }
                Judgement::Append { existing } => existing,
            };
            let bytes = self.record.bytes + row.row.bytes() as u64;
            if bytes > append.quota_bytes {
                appended.results.push(Verdict::Rejected(Code::Quota));
                continue;
            }
            self.record.bytes = bytes;
            let head = &mut self.record.head;
            *head = Position { cursor: head.cursor + 1, chain: next_chain(head.chain, row.id), ..*head };
            let stored = StoredRow { cursor: head.cursor, chain: head.chain, row: row.row.clone() };
            lanes.tips.retain(|(_, id)| Some(*id) != row.prev);
            lanes.tips.insert((row.seq, row.id));
            lanes.rows.entry(row.seq).or_default().push((head.cursor, row.id));
            self.rows.push(stored.clone());
            appended.rows.push(stored);
            appended.results.push(match existing {
                None => Verdict::Accepted { cursor: head.cursor },
                Some(existing) => Verdict::Forked { cursor: head.cursor, existing },
            });
        }
        Ok(appended)
    }
}

impl Lanes for ActorRows {
    fn top(&self) -> Result<Vec<(u32, ChangesetId)>, StoreError> {
        Ok(self.tips.iter().rev().take(2).copied().collect())
    }

    fn find(&self, seq: u32, id: ChangesetId) -> Result<Option<u64>, StoreError> {
        let rows = self.rows.get(&seq).into_iter().flatten();
        Ok(rows.copied().find_map(|(cursor, known)| (known == id).then_some(cursor)))
    }

    fn any(&self, seq: u32) -> Result<Option<ChangesetId>, StoreError> {
        Ok(self.rows.get(&seq).and_then(|rows| rows.first()).map(|(_, id)| *id))
    }
}
