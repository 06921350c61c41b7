//! One atomic commit as plain values: what to append, to put, to delete, and what must not be there yet.
//!
//! Invariant: after [`Batch::parse`] every value is a `Uint8Array` that owns its whole buffer, for the browser stores
//! the buffer behind a view, not the view. So nothing can fail between the first request of a commit and the last.
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbRequest, IdbTransaction};

use super::error::EdgeError;
use super::wait::Request;
use crate::sorted::sort;

/// The append-only store.
pub(crate) const TAIL: &str = "tail";
/// The store whose values are wrapped.
pub(crate) const KEYS: &str = "keys";
/// The stores with keys of their own, as docs/format.md lists them.
pub(crate) const KEYED: [&str; 9] =
    ["meta", "segments", "snapshots", KEYS, "actors", "drafts", "pending", "blobs", "audit"];

pub(crate) struct Batch {
    pub(crate) append: Vec<Uint8Array>,
    pub(crate) put: Vec<(&'static str, String, Uint8Array)>,
    pub(crate) delete: Vec<(&'static str, String)>,
    pub(crate) absent: Option<(&'static str, String)>,
}

impl Batch {
    /// Reads a `StorageBatch` of ts/storage.ts.
    pub(crate) fn parse(batch: &JsValue) -> Result<Self, EdgeError> {
        if !batch.is_object() {
            return Err(EdgeError::argument("batch", "a batch is an object"));
        }
        let append =
            list(batch, "append")?.iter().map(|item| bytes(&item, "append")).collect::<Result<_, _>>()?;
        let put = list(batch, "put")?
            .iter()
            .map(|item| {
                let (store, key) = record(&item, "put")?;
                Ok((store, key, bytes(&part(&item, 2), "put")?))
            })
            .collect::<Result<_, EdgeError>>()?;
        let delete =
            list(batch, "delete")?.iter().map(|item| record(&item, "delete")).collect::<Result<_, _>>()?;
        let absent = field(batch, "absent");
        let absent = if absent.is_undefined() { None } else { Some(record(&absent, "absent")?) };
        Ok(Self { append, put, delete, absent })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.append.is_empty() && self.put.is_empty() && self.delete.is_empty() && self.absent.is_none()
    }

    /// Whether it may not be relaxed: keys and first records decide what can ever be read or written again.
    pub(crate) fn is_strict(&self) -> bool {
        self.absent.is_some() || self.put.iter().any(|(store, ..)| *store == KEYS)
    }

    /// The stores that the transaction has to cover, each once.
    pub(crate) fn stores(&self) -> Vec<&'static str> {
        let keyed = self.put.iter().map(|(store, ..)| *store);
        let keyed = keyed.chain(self.delete.iter().chain(&self.absent).map(|(store, _)| *store));
        let mut stores: Vec<_> = keyed.collect();
        if !self.append.is_empty() {
            stores.push(TAIL);
        }
        sort(&mut stores);
        stores.dedup();
        stores
    }

    /// Makes every request on a raw transaction and returns those of the appended records, whose results are their
    /// numbers. The absent record is claimed by an `add`, which fails the whole transaction if it exists.
    pub(crate) fn issue(&self, tx: &IdbTransaction) -> Result<Vec<IdbRequest>, JsValue> {
        if let Some((store, key)) = &self.absent {
            let (store, key) = (tx.object_store(store)?, JsValue::from(key));
            store.add_with_key(&Uint8Array::new_with_length(0), &key)?;
            store.delete(&key)?;
        }
        for (store, key) in &self.delete {
            tx.object_store(store)?.delete(&key.into())?;
        }
        for (store, key, value) in &self.put {
            tx.object_store(store)?.put_with_key(value, &key.into())?;
        }
        self.append.iter().map(|row| tx.object_store(TAIL)?.add(row)).collect()
    }

    /// The same for a transaction of rexie, as futures that make their request when first polled: deletes, puts and
    /// then the appended records, whose outputs are their numbers. There is no absent record in a relaxed batch.
    pub(crate) fn requests<'a>(
        &'a self,
        stores: &'a [(&'static str, rexie::Store)],
    ) -> Vec<Request<'a, rexie::Result<JsValue>>> {
        let open = |name: &str| {
            let found = stores.iter().find(|(store, _)| *store == name);
            &found.expect("the transaction covers every store of the batch").1
        };
        let mut requests: Vec<Request<'a, rexie::Result<JsValue>>> = Vec::new();
        for (store, key) in &self.delete {
            let store = open(store);
            requests
                .push(Box::pin(async move { store.delete(key.into()).await.map(|()| JsValue::UNDEFINED) }));
        }
        for (store, key, value) in &self.put {
            let store = open(store);
            requests.push(Box::pin(async move { store.put(value, Some(&key.into())).await }));
        }
        for row in &self.append {
            let store = open(TAIL);
            requests.push(Box::pin(store.add(row, None)));
        }
        requests
    }
}

/// A store that JavaScript named.
pub(crate) fn keyed_store(name: &JsValue, argument: &'static str) -> Result<&'static str, EdgeError> {
    let name = name.as_string().unwrap_or_default();
    let known = KEYED.iter().find(|store| **store == name);
    known.copied().ok_or_else(|| EdgeError::argument(argument, format!("there is no store {name:?}")))
}

fn record(item: &JsValue, argument: &'static str) -> Result<(&'static str, String), EdgeError> {
    let store = keyed_store(&part(item, 0), argument)?;
    let key = part(item, 1).as_string();
    Ok((store, key.ok_or_else(|| EdgeError::argument(argument, "the key of a record is a string"))?))
}

fn bytes(value: &JsValue, argument: &'static str) -> Result<Uint8Array, EdgeError> {
    let Some(bytes) = value.dyn_ref::<Uint8Array>() else {
        return Err(EdgeError::argument(argument, "a stored value is a Uint8Array"));
    };
    Ok(match bytes.length() {
        // The buffer may be detached, and a detached one can neither be copied nor stored.
        0 => Uint8Array::new_with_length(0),
        whole if whole == bytes.buffer().byte_length() => bytes.clone(),
        part => bytes.slice(0, part),
    })
}

fn list(batch: &JsValue, name: &'static str) -> Result<Array, EdgeError> {
    let value = field(batch, name);
    if value.is_undefined() {
        return Ok(Array::new());
    }
    value.dyn_into().map_err(|_| EdgeError::argument(name, "a part of a batch is an array"))
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

fn part(item: &JsValue, index: u32) -> JsValue {
    Reflect::get_u32(item, index).unwrap_or(JsValue::UNDEFINED)
}
