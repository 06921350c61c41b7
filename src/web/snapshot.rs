//! Snapshots for JavaScript: taking one up while opening, supplying the rows it stands for, making one.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, each_row, records, with_env};
use crate::replica::{Restored, SnapshotRecords as Records};

#[wasm_bindgen]
impl Replica {
    /// Takes up a snapshot: up to which row of the tail it stands for all, 0 without one that can be used.
    #[wasm_bindgen(js_name = takeUp)]
    pub fn take_up(&mut self, snapshots: &Array) -> Result<f64, EdgeError> {
        let snapshots = records(snapshots, "snapshots")?;
        Ok(match self.core_mut().take_up(&snapshots) {
            Restored::UpTo(rows) => rows as f64,
            Restored::Nothing | Restored::Newer | Restored::Damaged => 0.0,
        })
    }

    /// Gives the bytes that a snapshot stands for.
    pub fn supply(&mut self, records: &Array) -> Result<(), EdgeError> {
        each_row(records, |record| self.core_mut().supply(record))
    }

    /// All rows were given; whether none is missing.
    pub fn supplied(&mut self) -> bool {
        with_env(|env| self.core_mut().supplied(env))
    }

    #[wasm_bindgen(js_name = isWhole)]
    pub fn is_whole(&self) -> bool {
        self.core().is_whole()
    }

    /// What records of the tail hold: changesets that are known, unknown and damaged.
    pub fn examine(&self, records: &Array) -> Result<Vec<u32>, EdgeError> {
        let mut sums = vec![0; 3];
        each_row(records, |record| {
            let found = self.core().examine(record);
            sums.iter_mut()
                .zip([found.known, found.unknown, found.damaged])
                .for_each(|(sum, more)| *sum += more);
        })?;
        Ok(sums)
    }

    /// Whether the head of a snapshot counts on a record.
    #[wasm_bindgen(js_name = snapshotReaches)]
    pub fn snapshot_reaches(&self, head: Option<Vec<u8>>, key: &str) -> bool {
        crate::replica::Replica::snapshot_reaches(head.as_deref(), key)
    }

    #[wasm_bindgen(js_name = snapshotDue)]
    pub fn snapshot_due(&self) -> bool {
        self.core().snapshot_due()
    }

    /// A snapshot; `rows` is a number up to which every row of the tail is here.
    pub fn snapshot(&mut self, rows: f64) -> Option<SnapshotRecords> {
        with_env(|env| self.core_mut().snapshot(rows as u64, env)).map(SnapshotRecords)
    }
}

/// The records of a snapshot, one by one: each is some milliseconds of work.
#[wasm_bindgen]
pub struct SnapshotRecords(Records);

#[wasm_bindgen]
impl SnapshotRecords {
    /// The next one: key and bytes.
    pub fn next(&mut self) -> JsValue {
        self.0.next_record().map_or(JsValue::UNDEFINED, |(key, bytes)| {
            Array::of2(&key.into(), &Uint8Array::from(bytes.as_slice())).into()
        })
    }
}
