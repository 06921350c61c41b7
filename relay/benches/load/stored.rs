//! How much the embedded store keeps of a changeset beside its two segments.

use std::path::Path;

use rusqlite::Connection;
use stemma::causal::{ActorId, ChangesetId, LogId};
use stemma::event::changeset_id;
use stemma_relay::store::{Append, NewRow, SqliteStore, Store};

use crate::common::Space;
use crate::table::Table;

const LOAD: &str = "stored, SQLite";

/// Two who write in turn, each row after the other's: one dep each.
pub fn stored(table: &mut Table, folder: &Path, count: u32) {
    let space = Space::new(800);
    let authors = [space.member(800), space.member(801)];
    let mut last: [Option<ChangesetId>; 2] = [None; 2];
    let (mut segments, mut rows) = (0, Vec::new());
    for turn in 0..count {
        let (who, other) = ((turn % 2) as usize, ((turn + 1) % 2) as usize);
        let deps: Vec<ChangesetId> = last[other].into_iter().collect();
        let row = space.row_after(&authors[who], turn / 2, last[who], &deps, b"a word or two");
        segments += row.skeleton.len() + row.content.as_ref().map_or(0, |content| content.len());
        let id = changeset_id(&row.header);
        let actor: ActorId = authors[who].id();
        rows.push(NewRow { id, actor, seq: turn / 2, prev: last[who].replace(id), row });
    }
    let sent: usize = rows.iter().map(|new| new.row.bytes()).sum();
    let store = SqliteStore::open(folder).expect("a new store");
    store.create_space(space.id(), space.genesis.as_bytes(), LogId([1; 16])).expect("makes");
    for rows in rows.chunks(1_000) {
        let append = Append { space: space.id(), quota_bytes: u64::MAX, rows: rows.to_vec() };
        store.append(&[append]).expect("writes");
    }
    drop(store);
    let path = folder.join("relay.sqlite");
    let file = Connection::open(&path).expect("opens");
    file.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").expect("writes");
    drop(file);
    let size = std::fs::metadata(&path).expect("is there").len() as f64;
    let count = f64::from(count);
    table.add(LOAD, "sent of a changeset", sent as f64 / count, "B");
    table.add(LOAD, "its segments", segments as f64 / count, "B");
    table.add(LOAD, "file after VACUUM, less segments", (size - segments as f64) / count, "B");
}
