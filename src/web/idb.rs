//! The storage adapter on IndexedDB, as JavaScript sees it: batch verbs over a database whose handle may die.
//!
//! Invariant: every promise settles. A dead handle is replaced once and the verb repeated; a database that another
//! tab deleted or upgraded is given up for good, and `onLost` hears of it. What is read or written is opaque bytes.
use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Uint8Array};
use rexie::{KeyRange, Rexie};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::AbortSignal;

use super::batch::{Batch, KEYS, TAIL, keyed_store};
use super::connection::{Connection, length_of};
use super::error::{Code, EdgeError, Fault};
use super::wait::{Patience, gate};
use super::wrap::{RECORD, Wrap};
use crate::Segment;

#[wasm_bindgen]
pub struct IdbStorage(Rc<Database>);

#[wasm_bindgen]
impl IdbStorage {
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "constructed by JavaScript alone")]
    pub fn new() -> Self {
        Self(Rc::new(Database {
            name: RefCell::default(),
            state: RefCell::new(State::Closed),
            wrap: RefCell::new(None),
            reopening: RefCell::new(None),
            on_lost: RefCell::new(None),
        }))
    }

    pub fn open(&self, name: String, signal: Option<AbortSignal>, blocked_ms: Option<u32>) -> Promise {
        let database = self.0.clone();
        let patience = patience(signal, blocked_ms);
        future_to_promise(
            async move { Ok(database.open(name, patience).await.map(|()| JsValue::UNDEFINED)?) },
        )
    }

    pub fn entries(&self, store: JsValue) -> Promise {
        let database = self.0.clone();
        future_to_promise(async move {
            let store = keyed_store(&store, "store")?;
            let pairs = database.with_handle(async |handle| {
                let (keys, values) = handle.pairs(store, None, None).await?;
                if store == KEYS { database.opened(keys, values).await } else { Ok((keys, values)) }
            });
            let (keys, values) = pairs.await?;
            Ok(pairs_to_js(&keys, &values))
        })
    }

    pub fn read(&self, after: f64, bytes_max: f64) -> Promise {
        let database = self.0.clone();
        future_to_promise(async move {
            let (keys, values) =
                database.with_handle(async |handle| read_tail(&handle, after, bytes_max).await).await?;
            Ok(pairs_to_js(&keys, &values))
        })
    }

    pub fn pack(&self, through: f64) -> Promise {
        let database = self.0.clone();
        future_to_promise(async move {
            database.with_handle(async |handle| pack_tail(&handle, through).await).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Writes numbered records anew.
    pub fn replace(&self, records: Array) -> Promise {
        let database = self.0.clone();
        let record = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            (pair.get(0).as_f64().unwrap_or(0.0), Uint8Array::new(&pair.get(1)).to_vec())
        };
        let records: Vec<(f64, Vec<u8>)> = records.iter().map(record).collect();
        future_to_promise(async move {
            database.with_handle(async |handle| replace_records(&handle, &records).await).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    pub fn commit(&self, batch: JsValue, strict: bool) -> Promise {
        let database = self.0.clone();
        // Read at once: the caller may go on with its object before a future is polled.
        let batch = Batch::parse(&batch);
        future_to_promise(async move {
            let numbers = database.commit(batch?, strict).await?;
            Ok(numbers.into_iter().map(JsValue::from).collect::<Array>().into())
        })
    }

    pub fn close(&self) {
        self.0.close();
    }

    pub fn destroy(&self, blocked_ms: Option<u32>) -> Promise {
        self.0.close();
        let name = self.0.name.borrow().clone();
        delete_database(name, None, blocked_ms)
    }

    #[wasm_bindgen(getter)]
    pub fn secrets(&self) -> String {
        let wrapped = self.0.wrap.borrow().as_ref().is_some_and(Wrap::is_wrapped);
        if wrapped { "wrapped" } else { "plain" }.into()
    }

    #[wasm_bindgen(setter, js_name = onLost)]
    pub fn set_on_lost(&self, callback: Option<Function>) {
        *self.0.on_lost.borrow_mut() = callback;
    }
}

impl Drop for IdbStorage {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Deletes the database of a space that need not be open. It stays asked for after `E_STORAGE_BLOCKED`.
#[wasm_bindgen(js_name = deleteDatabase)]
pub fn delete_database(name: String, signal: Option<AbortSignal>, blocked_ms: Option<u32>) -> Promise {
    let patience = patience(signal, blocked_ms);
    future_to_promise(async move {
        let full = full_name(&name);
        let deleted = patience.wait(async move { Ok(Rexie::delete(&full).await?) }, drop).await;
        Ok(deleted.map(|()| JsValue::UNDEFINED).map_err(Fault::settle)?)
    })
}

struct Database {
    name: RefCell<String>,
    state: RefCell<State>,
    wrap: RefCell<Option<Wrap>>,
    /// Settles when whoever replaces the dead handle has done so or failed.
    reopening: RefCell<Option<Promise>>,
    on_lost: RefCell<Option<Function>>,
}

#[derive(Clone)]
enum State {
    Closed,
    Opening,
    Open(Rc<Connection>),
    /// The handle died; the next verb opens another.
    Broken,
    /// Deleted or upgraded by another tab.
    Ended(EdgeError),
}

impl Database {
    async fn open(self: &Rc<Self>, name: String, patience: Patience) -> Result<(), EdgeError> {
        if name.is_empty() {
            return Err(EdgeError::argument("name", "a database needs a name"));
        }
        if matches!(*self.state.borrow(), State::Opening | State::Open(_) | State::Broken) {
            return Err(EdgeError::argument("name", "this storage is open already"));
        }
        *self.name.borrow_mut() = name;
        *self.state.borrow_mut() = State::Opening;
        let opened = self.create(&patience).await;
        let mut state = self.state.borrow_mut();
        match (opened, &*state) {
            (Ok((connection, wrap)), State::Opening) => {
                *self.wrap.borrow_mut() = Some(wrap);
                *state = State::Open(Rc::new(connection));
                Ok(())
            }
            // Closed, deleted or upgraded while it was being opened.
            (Ok((connection, _)), now) => {
                connection.close();
                Err(if let State::Ended(error) = now { error.clone() } else { closed() })
            }
            (Err(error), now) => {
                if matches!(now, State::Opening) {
                    *state = State::Closed;
                }
                Err(error)
            }
        }
    }

    async fn create(self: &Rc<Self>, patience: &Patience) -> Result<(Connection, Wrap), EdgeError> {
        let opened = async {
            let connection = self.connect(true, patience).await?;
            match Wrap::establish(&connection).await {
                Ok(wrap) => Ok((connection, wrap)),
                Err(fault) => {
                    connection.close();
                    Err(fault)
                }
            }
        };
        opened.await.map_err(|fault| match fault {
            Fault::Dead(reason) => {
                EdgeError::new(Code::StorageUnavailable, format!("IndexedDB fails: {reason}"))
            }
            Fault::Edge(error) => error,
        })
    }

    async fn connect(self: &Rc<Self>, create: bool, patience: &Patience) -> Result<Connection, Fault> {
        let full = full_name(&self.name.borrow());
        let weak = Rc::downgrade(self);
        let gone = move |error: EdgeError| {
            if let Some(database) = weak.upgrade() {
                database.end(error);
            }
        };
        Connection::open(&full, create, patience, gone).await
    }

    fn close(&self) {
        if let State::Open(connection) = self.state.replace(State::Closed) {
            connection.close();
        }
    }

    /// Gives the database up and says so.
    fn end(&self, error: EdgeError) {
        let before = self.state.replace(State::Ended(error.clone()));
        if let State::Open(connection) = before {
            connection.close();
        }
        self.tell(error);
    }

    fn tell(&self, error: EdgeError) {
        let callback = self.on_lost.borrow().clone();
        if let Some(callback) = callback {
            // What a listener throws is the listener's.
            callback.call1(&JsValue::UNDEFINED, &error.into()).ok();
        }
    }

    async fn commit(self: &Rc<Self>, mut batch: Batch, strict: bool) -> Result<Vec<f64>, EdgeError> {
        let strict = strict || batch.is_strict();
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let wrap = self.wrap.borrow().clone();
        for (store, key, value) in batch.put.iter_mut().filter(|(store, ..)| *store == KEYS) {
            if key == RECORD {
                return Err(EdgeError::argument(
                    "put",
                    format!("{RECORD:?} in {store:?} belongs to the storage"),
                ));
            }
            let wrap = wrap.as_ref().ok_or_else(closed)?;
            *value = wrap.seal(key, value).await.map_err(Fault::settle)?;
        }
        let batch = &batch;
        self.with_handle(async |handle| handle.commit(batch, strict).await).await
    }

    /// The `keys` store as its users see it: without the wrapping key, and unwrapped.
    async fn opened(
        &self,
        keys: Vec<JsValue>,
        values: Vec<JsValue>,
    ) -> Result<(Vec<JsValue>, Vec<JsValue>), Fault> {
        let wrap = self.wrap.borrow().clone().ok_or_else(closed)?;
        let mut opened = (Vec::new(), Vec::new());
        for (key, value) in keys.into_iter().zip(values) {
            let name = key.as_string().unwrap_or_default();
            if name != RECORD {
                opened.0.push(key);
                opened.1.push(wrap.open(&name, &Uint8Array::new(&value)).await?.into());
            }
        }
        Ok(opened)
    }

    /// Runs a verb, and once more on a fresh handle if the one it had is dead.
    async fn with_handle<T>(
        self: &Rc<Self>,
        verb: impl AsyncFn(Rc<Connection>) -> Result<T, Fault>,
    ) -> Result<T, EdgeError> {
        let handle = self.handle().await?;
        match verb(handle.clone()).await {
            Err(Fault::Dead(_)) => {
                self.forget(&handle);
                let fresh = self.handle().await?;
                verb(fresh).await.map_err(|fault| {
                    let dead = matches!(fault, Fault::Dead(_));
                    let error = fault.settle();
                    if dead {
                        self.tell(error.clone());
                    }
                    error
                })
            }
            done => done.map_err(Fault::settle),
        }
    }

    fn forget(&self, dead: &Rc<Connection>) {
        dead.close();
        let mut state = self.state.borrow_mut();
        if matches!(&*state, State::Open(current) if Rc::ptr_eq(current, dead)) {
            *state = State::Broken;
        }
    }

    /// The open handle. If it died, the first to notice opens another and the rest wait for that.
    async fn handle(self: &Rc<Self>) -> Result<Rc<Connection>, EdgeError> {
        let state = self.state.borrow().clone();
        match state {
            State::Closed | State::Opening => return Err(closed()),
            State::Ended(error) => return Err(error),
            State::Open(connection) if !connection.is_dead() => return Ok(connection),
            State::Open(dead) => self.forget(&dead),
            State::Broken => {}
        }
        let others = self.reopening.borrow().clone();
        match others {
            Some(done) => {
                JsFuture::from(done).await.expect("the gate is never rejected");
            }
            None => {
                let (wake, done) = gate();
                *self.reopening.borrow_mut() = Some(done);
                self.reopen().await;
                *self.reopening.borrow_mut() = None;
                wake.call0(&JsValue::UNDEFINED).expect("the resolver of a promise does not throw");
            }
        }
        match &*self.state.borrow() {
            State::Open(connection) => Ok(connection.clone()),
            State::Closed | State::Opening => Err(closed()),
            State::Ended(error) => Err(error.clone()),
            State::Broken => Err(EdgeError::new(Code::StorageLost, "the database cannot be opened again")),
        }
    }

    async fn reopen(self: &Rc<Self>) {
        let opened = self.connect(false, &Patience::default()).await;
        if !matches!(*self.state.borrow(), State::Broken) {
            // Closed or ended in the meantime.
            if let Ok(connection) = opened {
                connection.close();
            }
            return;
        }
        match opened {
            Ok(connection) => *self.state.borrow_mut() = State::Open(Rc::new(connection)),
            Err(Fault::Edge(error)) if matches!(error.code, Code::StorageLost | Code::StorageNewer) => {
                self.end(error)
            }
            Err(fault) => self.tell(fault.settle()),
        }
    }
}

/// Reads records behind a number: those of the tail, unless some of a segment come before them. Records only move from
/// the tail into segments, so whatever is missed in the tail is found there.
async fn read_tail(
    handle: &Connection,
    after: f64,
    bytes_max: f64,
) -> Result<(Vec<JsValue>, Vec<JsValue>), Fault> {
    let tail = read_page(handle, after, bytes_max).await?;
    let (_, segments) = handle.pairs(SEGMENTS, Some(&segment_key(after).into()), Some(1)).await?;
    let Some(segment) = segments.first() else { return Ok(tail) };
    let bytes = segment.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).unwrap_or_default();
    let damaged = |_| EdgeError::new(Code::StorageLost, "a segment of the database is damaged");
    let segment = Segment::decode(&bytes).map_err(damaged)?;
    let (mut keys, mut values, mut total): (Vec<JsValue>, Vec<JsValue>, f64) = (Vec::new(), Vec::new(), 0.0);
    for (number, record) in segment.records.iter().filter(|(number, _)| *number as f64 > after) {
        total += record.len() as f64;
        if !values.is_empty() && total > bytes_max {
            break;
        }
        keys.push((*number as f64).into());
        values.push(Uint8Array::from(record.as_slice()).into());
    }
    Ok((keys, values))
}

/// Joins records of the tail up to a number to segments, each in a transaction of its own.
async fn pack_tail(handle: &Connection, through: f64) -> Result<(), Fault> {
    loop {
        let (keys, values) = read_page(handle, 0.0, SEGMENT_BYTES).await?;
        let numbers = keys.iter().filter_map(JsValue::as_f64).take_while(|number| *number <= through);
        let records = numbers.zip(&values).map(|(number, record)| {
            (number as u64, record.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).unwrap_or_default())
        });
        let segment = Segment { records: records.collect() };
        if segment.records.len() < SEGMENT_RECORDS_MIN {
            return Ok(());
        }
        let (first, last) =
            (segment.records[0].0 as f64, segment.records[segment.records.len() - 1].0 as f64);
        let bytes = Uint8Array::from(segment.encode().as_slice());
        handle
            .commit_strict(&[SEGMENTS, TAIL], |tx| {
                tx.object_store(SEGMENTS)?.put_with_key(&bytes, &segment_key(last).into())?;
                let packed = KeyRange::bound(&first.into(), &last.into(), None, None);
                let packed: JsValue = packed.expect("the first number is not above the last").into();
                tx.object_store(TAIL)?.delete(&packed)?;
                Ok(Vec::new())
            })
            .await?;
    }
}

/// Writes records anew where they are, which ascend: in the tail or in the segment that has them, each of these in a transaction of
/// its own. Nothing packs meanwhile.
async fn replace_records(handle: &Connection, mut records: &[(f64, Vec<u8>)]) -> Result<(), Fault> {
    while let [(number, record), rest @ ..] = records {
        let before = number - 1.0;
        let (keys, _) = handle.pairs(TAIL, Some(&before.into()), Some(1)).await?;
        if keys.first().and_then(JsValue::as_f64) == Some(*number) {
            let bytes = Uint8Array::from(record.as_slice());
            handle
                .commit_strict(&[TAIL], |tx| {
                    tx.object_store(TAIL)?.put_with_key(&bytes, &(*number).into())?;
                    Ok(Vec::new())
                })
                .await?;
            records = rest;
            continue;
        }
        let (keys, segments) = handle.pairs(SEGMENTS, Some(&segment_key(before).into()), Some(1)).await?;
        let damaged = || EdgeError::new(Code::StorageLost, "a segment of the database is damaged");
        let (Some(key), Some(bytes)) = (keys.first(), segments.first()) else { return Err(damaged().into()) };
        let bytes = bytes.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).unwrap_or_default();
        let mut segment = Segment::decode(&bytes).map_err(|_| damaged())?;
        let last = segment.records.last().map_or(0.0, |(last, _)| *last as f64);
        let within = records.iter().take_while(|(number, _)| *number <= last).count().max(1);
        for (number, record) in &records[..within] {
            for of in segment.records.iter_mut().filter(|(of, _)| *of as f64 == *number) {
                of.1.clone_from(record);
            }
        }
        let bytes = Uint8Array::from(segment.encode().as_slice());
        handle
            .commit_strict(&[SEGMENTS], |tx| {
                tx.object_store(SEGMENTS)?.put_with_key(&bytes, key)?;
                Ok(Vec::new())
            })
            .await?;
        records = &records[within..];
    }
    Ok(())
}

/// The key of the segment that ends with a number.
fn segment_key(last: f64) -> String {
    format!("{:016}", last as u64)
}

/// Reads tail records in pages whose size follows the records seen so far. The first record is always returned.
async fn read_page(
    handle: &Connection,
    after: f64,
    bytes_max: f64,
) -> Result<(Vec<JsValue>, Vec<JsValue>), Fault> {
    let (mut keys, mut values): (Vec<JsValue>, Vec<JsValue>) = (Vec::new(), Vec::new());
    let (mut after, mut total, mut limit) = (after, 0.0, PAGE_MIN);
    loop {
        let (page_keys, page) = handle.pairs(TAIL, Some(&after.into()), Some(limit)).await?;
        let full = page.len() as u32 == limit;
        for (key, record) in page_keys.into_iter().zip(page) {
            let length = length_of(&record);
            if !values.is_empty() && total + length > bytes_max {
                return Ok((keys, values));
            }
            total += length;
            after = key.as_f64().unwrap_or(f64::INFINITY);
            keys.push(key);
            values.push(record);
        }
        if !full || total >= bytes_max {
            return Ok((keys, values));
        }
        let average = (total / values.len() as f64).max(1.0);
        limit = (((bytes_max - total) / average) as u32).clamp(1, PAGE_MAX);
    }
}

fn pairs_to_js(keys: &[JsValue], values: &[JsValue]) -> JsValue {
    keys.iter().zip(values).map(|(key, value)| Array::of2(key, value)).collect::<Array>().into()
}

fn patience(signal: Option<AbortSignal>, blocked_ms: Option<u32>) -> Patience {
    let limit_ms = blocked_ms.unwrap_or(Patience::default().limit_ms);
    Patience { limit_ms, signal }
}

fn closed() -> EdgeError {
    EdgeError::new(Code::Closed, "this storage is not open")
}

fn full_name(name: &str) -> String {
    format!("stemma/{name}")
}

const SEGMENTS: &str = "segments";
/// Bytes of records in a segment, about: what is read at once.
const SEGMENT_BYTES: f64 = 262_144.0;
/// Fewer records are not worth a segment.
const SEGMENT_RECORDS_MIN: usize = 32;
const PAGE_MIN: u32 = 32;
const PAGE_MAX: u32 = 4_096;
