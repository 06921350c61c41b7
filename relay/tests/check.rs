//! A check of a store that grows meanwhile: what is appended beside it is no damage.

mod common;

use std::sync::Mutex;

use common::{Author, Space, id};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::SnapshotId;
use stemma::sync::{ChainRange, Position, Row};
use stemma_relay::check::check;
use stemma_relay::store::{
    Admitted, Append, Appended, Kept, MemoryStore, NewRow, Newcomer, Redaction, Redactions, Snapshots,
    SpaceRecord, Store, StoreError, StoredRow,
};

/// A store into which a relay appends whenever somebody asks for ends, as long as it has something.
struct Busy {
    store: MemoryStore,
    later: Mutex<Vec<Append>>,
    /// Rows that the log has before the ends are looked up, and after.
    times: [usize; 2],
}

impl Busy {
    fn grow(&self, times: usize) -> Result<(), StoreError> {
        for _ in 0..times {
            let next = self.later.lock().expect("nobody panics").pop();
            if let Some(append) = next {
                self.store.append(&[append])?;
            }
        }
        Ok(())
    }
}

impl Snapshots for Busy {
    fn snapshots(&self, space: SpaceId) -> Result<Vec<Kept>, StoreError> {
        self.store.snapshots(space)
    }

    fn stage(&self, space: SpaceId, id: SnapshotId) -> Result<Vec<u32>, StoreError> {
        self.store.stage(space, id)
    }

    fn put_chunk(&self, space: SpaceId, id: SnapshotId, number: u32, chunk: &[u8]) -> Result<(), StoreError> {
        self.store.put_chunk(space, id, number, chunk)
    }

    fn keep(&self, space: SpaceId, kept: &Kept) -> Result<bool, StoreError> {
        self.store.keep(space, kept)
    }

    fn forget(&self, space: SpaceId, id: SnapshotId) -> Result<bool, StoreError> {
        self.store.forget(space, id)
    }

    fn chunk(&self, space: SpaceId, id: SnapshotId, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.chunk(space, id, number)
    }
}

impl Redactions for Busy {
    fn redact(
        &self,
        space: SpaceId,
        noted: &[Redaction],
        places: &[(ActorId, u32, ChangesetId)],
        until: u64,
    ) -> Result<u64, StoreError> {
        self.store.redact(space, noted, places, until)
    }

    fn redactions(&self, space: SpaceId, targets: &[ChangesetId]) -> Result<Vec<Redaction>, StoreError> {
        self.store.redactions(space, targets)
    }

    fn redacted(&self, spaces: &[SpaceId]) -> Result<Vec<(SpaceId, u64)>, StoreError> {
        self.store.redacted(spaces)
    }
}

impl Store for Busy {
    fn identity(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.store.identity(fresh)
    }

    fn create_space(&self, space: SpaceId, genesis: &[u8], log_id: LogId) -> Result<(), StoreError> {
        self.store.create_space(space, genesis, log_id)
    }

    fn space(&self, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
        self.store.space(space)
    }

    fn admit(&self, space: SpaceId, newcomer: &Newcomer) -> Result<Admitted, StoreError> {
        self.store.admit(space, newcomer)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, StoreError> {
        self.store.append(batch)
    }

    fn read(
        &self,
        space: SpaceId,
        after: u64,
        bytes: usize,
        rows: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        self.store.read(space, after, bytes, rows)
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Result<Option<LogChain>, StoreError> {
        self.store.chain_at(space, cursor)
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Result<Vec<Tip>, StoreError> {
        self.grow(self.times[0])?;
        let tips = self.store.tips(space, actors);
        self.grow(self.times[1])?;
        tips
    }

    fn spaces(&self) -> Result<Vec<SpaceId>, StoreError> {
        self.store.spaces()
    }

    fn members(&self, space: SpaceId) -> Result<Vec<([u8; 32], MemberId)>, StoreError> {
        self.store.members(space)
    }

    fn remove_space(&self, space: SpaceId) -> Result<bool, StoreError> {
        self.store.remove_space(space)
    }

    fn strays(&self, remove: bool) -> Result<u64, StoreError> {
        self.store.strays(remove)
    }

    fn ends(&self, space: SpaceId) -> Result<(Position, Vec<Tip>), StoreError> {
        self.store.ends(space)
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        bytes: usize,
        rows: usize,
    ) -> Result<(Vec<StoredRow>, bool), StoreError> {
        self.store.chains(space, ranges, after, bytes, rows)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.store.probe()
    }
}

fn appends(space: &Space, author: &Author, lane: &[Row]) -> Vec<Append> {
    let append = |(at, row): (usize, &Row)| {
        let prev = at.checked_sub(1).map(|before| id(&lane[before]));
        let new = NewRow { id: id(row), actor: author.id(), seq: at as u32, prev, row: row.clone() };
        Append { space: space.id(), quota_bytes: u64::MAX, rows: vec![new] }
    };
    lane.iter().enumerate().map(append).collect()
}

#[test]
fn what_relays_append_beside_it_is_no_damage() {
    let space = Space::new(1);
    let authors = [space.member(10), space.member(11), space.member(12)];
    for times in [[1, 0], [0, 2], [3, 2]] {
        let store = MemoryStore::default();
        store.create_space(space.id(), space.genesis.as_bytes(), LogId([1; 16])).expect("makes");
        let mut later = Vec::new();
        for author in &authors {
            let mut rows = appends(&space, author, &space.lane(author, 8));
            later.extend(rows.split_off(3));
            store.append(&rows).expect("writes");
        }
        later.reverse();
        let store = Busy { store, later: Mutex::new(later), times };
        let report = check(&store, false).expect("reads");
        assert_eq!(report.faults, Vec::<String>::new(), "{times:?}");
        assert_eq!(report.spaces, 1);
    }
}
