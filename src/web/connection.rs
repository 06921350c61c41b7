//! Two handles on one database: rexie's to create it, to read and for relaxed commits, and a raw one for strict commits.
//!
//! rexie cannot ask for durability and hides the reason of an abort, so what must be on the medium before anyone is
//! told goes over the raw handle. Invariant: a commit makes all its requests in one synchronous turn and is over at
//! `complete` or `abort`, nothing before that. Opening again never creates: a database that vanished is lost, and an
//! empty one in its place would let a chain start anew under an old key.
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use rexie::{KeyRange, ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Event, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest, IdbTransaction, IdbVersionChangeEvent,
};

use super::batch::{Batch, KEYED, TAIL};
use super::error::{Code, EdgeError, Fault};
use super::wait::{Patience, both, settled};

pub(crate) struct Connection {
    rexie: RefCell<Option<Rexie>>,
    raw: IdbDatabase,
    dead: Rc<Cell<bool>>,
    _version_change: Closure<dyn Fn(IdbVersionChangeEvent)>,
    _close: Closure<dyn Fn()>,
}

#[wasm_bindgen]
extern "C" {
    // The options of `transaction` and a `commit` without a deprecation, which web-sys does not have.
    #[wasm_bindgen(extends = IdbDatabase)]
    type Durable;
    #[wasm_bindgen(catch, method)]
    fn transaction(
        this: &Durable,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
    #[wasm_bindgen(extends = IdbTransaction)]
    type Committing;
    #[wasm_bindgen(catch, method)]
    fn commit(this: &Committing) -> Result<(), JsValue>;
}

impl Connection {
    /// Opens both handles. `gone` hears, with what it means, when another tab deletes or upgrades the database.
    ///
    /// # Errors
    /// `E_STORAGE_LOST` if `create` is false and there is no such database, `E_STORAGE_NEWER`, `E_STORAGE_BLOCKED`.
    pub(crate) async fn open(
        name: &str,
        create: bool,
        patience: &Patience,
        gone: impl Fn(EdgeError) + 'static,
    ) -> Result<Self, Fault> {
        let name = name.to_owned();
        let patience = patience.clone();
        let first =
            if create { Some(patience.wait(open_rexie(name.clone()), Rexie::close).await?) } else { None };
        let raw = match patience.wait(open_raw(name.clone()), |raw| raw.close()).await {
            Ok(raw) => raw,
            Err(fault) => {
                if let Some(first) = first {
                    first.close();
                }
                return Err(fault);
            }
        };
        let rexie = match first {
            Some(rexie) => rexie,
            None => match patience.wait(open_rexie(name), Rexie::close).await {
                Ok(rexie) => rexie,
                Err(fault) => {
                    raw.close();
                    return Err(fault);
                }
            },
        };
        Ok(Self::watched(rexie, raw, gone))
    }

    fn watched(rexie: Rexie, raw: IdbDatabase, gone: impl Fn(EdgeError) + 'static) -> Self {
        let dead = Rc::new(Cell::new(false));
        let (handle, flag) = (raw.clone(), dead.clone());
        // rexie's handle closes itself on this event.
        let version_change =
            Closure::<dyn Fn(IdbVersionChangeEvent)>::new(move |event: IdbVersionChangeEvent| {
                flag.set(true);
                handle.close();
                gone(match event.new_version() {
                    Some(_) => EdgeError::new(
                        Code::StorageNewer,
                        "a newer version of this page upgraded the database",
                    ),
                    None => EdgeError::new(Code::StorageLost, "another tab deleted the database"),
                });
            });
        let flag = dead.clone();
        let close = Closure::<dyn Fn()>::new(move || flag.set(true));
        raw.set_onversionchange(Some(version_change.as_ref().unchecked_ref()));
        raw.set_onclose(Some(close.as_ref().unchecked_ref()));
        Self { rexie: RefCell::new(Some(rexie)), raw, dead, _version_change: version_change, _close: close }
    }

    /// Closes both handles once their transactions are over.
    pub(crate) fn close(&self) {
        self.dead.set(true);
        self.raw.set_onversionchange(None);
        self.raw.set_onclose(None);
        self.raw.close();
        if let Some(rexie) = self.rexie.take() {
            rexie.close();
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Keys and values after `after`, at most `limit`, in the order of the keys.
    pub(crate) async fn pairs(
        &self,
        store: &str,
        after: Option<&JsValue>,
        limit: Option<u32>,
    ) -> Result<(Vec<JsValue>, Vec<JsValue>), Fault> {
        let range =
            |key: &JsValue| KeyRange::lower_bound(key, Some(true)).expect("numbers and strings are keys");
        let tx = self.begin(&[store], TransactionMode::ReadOnly)?;
        let store = tx.store(store)?;
        let keys = store.get_all_keys(after.map(range), limit);
        let values = store.get_all(after.map(range), limit);
        let (keys, values) = both(keys, values).await;
        Ok((keys?, values?))
    }

    pub(crate) async fn get(&self, store: &str, key: &str) -> Result<Option<JsValue>, Fault> {
        let tx = self.begin(&[store], TransactionMode::ReadOnly)?;
        let value = tx.store(store)?.get(key.into()).await?;
        Ok(value.filter(|value| !value.is_undefined()))
    }

    /// Commits a batch and returns the numbers of its appended records. A relaxed one that fails wrote nothing and is
    /// tried once more on the raw handle, which succeeds or knows why not.
    pub(crate) async fn commit(&self, batch: &Batch, strict: bool) -> Result<Vec<f64>, Fault> {
        let names = batch.stores();
        let numbers = if strict {
            self.commit_strict(&names, |tx| batch.issue(tx)).await?
        } else {
            let tx = self.begin(&names, TransactionMode::ReadWrite)?;
            let stores =
                names.iter().map(|name| Ok((*name, tx.store(name)?))).collect::<rexie::Result<Vec<_>>>()?;
            let mut requests = batch.requests(&stores);
            let mut end = pin!(tx.commit());
            match settled(&mut requests, end.as_mut()).await {
                Ok(mut results) => results.split_off(batch.delete.len() + batch.put.len()),
                Err(_) => self.commit_strict(&names, |tx| batch.issue(tx)).await?,
            }
        };
        Ok(numbers.iter().filter_map(JsValue::as_f64).collect())
    }

    /// Runs one strict transaction whose requests `issue` makes, and returns the results of those it returns.
    pub(crate) async fn commit_strict(
        &self,
        stores: &[&'static str],
        issue: impl FnOnce(&IdbTransaction) -> Result<Vec<IdbRequest>, JsValue>,
    ) -> Result<Vec<JsValue>, Fault> {
        let names: Array = stores.iter().map(|name| JsValue::from(*name)).collect();
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        let tx = self.raw.unchecked_ref::<Durable>().transaction(&names, "readwrite", &options)?;
        let over = Promise::new(&mut |complete, abort| {
            tx.set_oncomplete(Some(&complete));
            tx.set_onabort(Some(&abort));
        });
        let issued =
            issue(&tx).and_then(|requests| tx.unchecked_ref::<Committing>().commit().map(|()| requests));
        let requests = match issued {
            Ok(requests) => requests,
            Err(thrown) => {
                // The abort is what the transaction ends in, so the promise above does not stay open.
                let aborted = tx.abort().is_ok();
                if aborted {
                    JsFuture::from(over).await.ok();
                }
                return Err(Fault::of(&thrown));
            }
        };
        match JsFuture::from(over).await {
            Ok(_) => requests.iter().map(|request| Ok(request.result()?)).collect(),
            Err(_) => Err(Fault::of(&tx.error().map_or(JsValue::NULL, JsValue::from))),
        }
    }

    fn begin(&self, stores: &[&str], mode: TransactionMode) -> Result<rexie::Transaction, Fault> {
        let rexie = self.rexie.borrow();
        let open = rexie.as_ref().ok_or_else(|| Fault::Dead("the handle is closed".into()))?;
        Ok(open.transaction(stores, mode)?)
    }
}

/// Appended record as JavaScript gets it.
pub(crate) fn length_of(record: &JsValue) -> f64 {
    record.dyn_ref::<Uint8Array>().map_or(0.0, |bytes| f64::from(bytes.length()))
}

/// Every store of version 1: rexie drops on upgrade what is not listed.
async fn open_rexie(name: String) -> Result<Rexie, Fault> {
    factory()?;
    let tail = ObjectStore::new(TAIL).auto_increment(true);
    let builder = Rexie::builder(&name).version(VERSION).add_object_store(tail);
    let builder =
        KEYED.iter().fold(builder, |builder, store| builder.add_object_store(ObjectStore::new(store)));
    Ok(builder.build().await?)
}

async fn open_raw(name: String) -> Result<IdbDatabase, Fault> {
    let request = factory()?.open_with_u32(&name, VERSION)?;
    let vanished = Rc::new(Cell::new(false));
    let flag = vanished.clone();
    let refuse = Closure::<dyn Fn(Event)>::new(move |event: Event| {
        flag.set(true);
        let request = event.target().map(JsCast::unchecked_into::<IdbOpenDbRequest>);
        if let Some(upgrade) = request.and_then(|request| request.transaction()) {
            upgrade.abort().ok();
        }
    });
    request.set_onupgradeneeded(Some(refuse.as_ref().unchecked_ref::<Function>()));
    let opened = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    let outcome = JsFuture::from(opened).await;
    if vanished.get() {
        return Err(EdgeError::new(Code::StorageLost, "the database is gone").into());
    }
    match outcome {
        Ok(_) => Ok(request.result()?.unchecked_into()),
        Err(_) => Err(Fault::of(&request.error()?.map_or(JsValue::NULL, JsValue::from))),
    }
}

fn factory() -> Result<IdbFactory, Fault> {
    let factory = Reflect::get(&js_sys::global(), &"indexedDB".into())?;
    if !factory.is_object() {
        return Err(EdgeError::new(Code::StorageUnavailable, "there is no IndexedDB here").into());
    }
    Ok(factory.unchecked_into())
}

const VERSION: u32 = 1;
