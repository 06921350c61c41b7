//! Snapshots for JavaScript: taking one up while opening, supplying the rows it stands for, making one.

use foldhash::HashMap;

use js_sys::{Array, ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{CryptoKey, SubtleCrypto};

use super::error::EdgeError;
use super::replica::{Replica, each_row, with_env};
use super::wrap::{algorithm, subtle};
use crate::replica::{Restored, SNAPSHOT_HEAD, SealedChunk, SnapshotRecords as Records};

#[wasm_bindgen]
impl Replica {
    /// Opens the chunks of a snapshot with the machine's cipher, for [`Replica::take_up`]; none where there is none, or
    /// nothing to open.
    #[wasm_bindgen(js_name = openChunks)]
    pub fn open_chunks(&self, snapshots: &Array) -> Result<Option<Promise>, EdgeError> {
        let records = Stored::new(snapshots)?;
        let (Some(subtle), Some(head)) = (subtle(), records.get(SNAPSHOT_HEAD)) else { return Ok(None) };
        let Some(chunks) = self.core().snapshot_chunks(&head.to_vec()) else { return Ok(None) };
        let opened = chunks.into_iter().map(|chunk| {
            let (subtle, sealed) = (subtle.clone(), records.get(&chunk.record).cloned());
            future_to_promise(async move {
                let sealed = sealed.ok_or(JsValue::UNDEFINED)?;
                open_chunk(&subtle, &chunk, &sealed).await
            })
        });
        Ok(Some(Promise::all(&opened.collect::<Array>())))
    }

    /// Takes up a snapshot: up to which row of the tail it stands for all, 0 without one that can be used. `opened` has its
    /// chunks if they are open already.
    #[wasm_bindgen(js_name = takeUp)]
    pub fn take_up(&mut self, snapshots: &Array, opened: Option<Array>) -> Result<f64, EdgeError> {
        let records = Stored::new(snapshots)?;
        let head = records.get(SNAPSHOT_HEAD).map(Uint8Array::to_vec);
        let mut opened = opened.map(Array::into_iter);
        let restored = self.core_mut().take_up_by(head.as_deref(), records.bytes, |chunk, state| {
            if let Some(opened) = &mut opened {
                let plain = opened.next().and_then(|plain| plain.dyn_into::<ArrayBuffer>().ok());
                plain.as_ref().map(|plain| append(&Uint8Array::new(plain), state)).is_some()
            } else {
                let sealed = records.get(&chunk.record);
                sealed.is_some_and(|sealed| chunk.key.open(&sealed.to_vec(), state).is_ok())
            }
        });
        Ok(match restored {
            Restored::UpTo(rows) => rows as f64,
            Restored::Nothing | Restored::Newer | Restored::Damaged => 0.0,
        })
    }

    /// What a snapshot of others shows before the log was read, once.
    #[wasm_bindgen(js_name = takeLook)]
    pub fn take_look(&mut self) -> Option<Replica> {
        self.core_mut().take_look().map(Replica::beside)
    }

    #[wasm_bindgen(js_name = declineSnapshots)]
    pub fn decline_snapshots(&mut self) {
        self.core_mut().decline_snapshots();
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

/// The records of the store `snapshots`; their bytes stay where they are.
struct Stored {
    records: HashMap<String, Uint8Array>,
    bytes: usize,
}

impl Stored {
    fn new(snapshots: &Array) -> Result<Self, EdgeError> {
        let record = |entry: JsValue| {
            let pair = entry.dyn_into::<Array>().ok()?;
            Some((pair.get(0).as_string()?, pair.get(1).dyn_into::<Uint8Array>().ok()?))
        };
        let records = snapshots
            .iter()
            .map(|entry| record(entry).ok_or_else(|| EdgeError::argument("snapshots", "not a record")));
        let records: HashMap<_, _> = records.collect::<Result<_, _>>()?;
        let bytes = records.values().map(|bytes| bytes.length() as usize).sum();
        Ok(Self { records, bytes })
    }

    fn get(&self, key: &str) -> Option<&Uint8Array> {
        self.records.get(key)
    }
}

async fn open_chunk(
    subtle: &SubtleCrypto,
    chunk: &SealedChunk,
    sealed: &Uint8Array,
) -> Result<JsValue, JsValue> {
    let secret = Uint8Array::from(&chunk.key.key[..]);
    let usages = Array::of1(&"decrypt".into());
    let key = subtle.import_key_with_str("raw", &secret, "AES-GCM", false, &usages);
    // It was copied before the call returned.
    secret.fill(0, 0, secret.length());
    let key: CryptoKey = JsFuture::from(key?).await?.unchecked_into();
    let algorithm = algorithm(&chunk.key.nonce, &chunk.key.run);
    JsFuture::from(subtle.decrypt_with_object_and_js_u8_array(&algorithm, &key, sealed)?).await
}

fn append(bytes: &Uint8Array, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.length() as usize, 0);
    bytes.copy_to(&mut out[start..]);
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
