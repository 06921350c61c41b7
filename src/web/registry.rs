//! Which spaces this browser has: the database `stemma`, whose one store maps a database's name to its space.
//!
//! It is opened for each verb and closed again, so no tab ever holds it. Losing it loses no data.
use std::pin::pin;

use js_sys::Promise;
use rexie::{ObjectStore, Rexie, TransactionMode};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::error::{EdgeError, Fault};
use super::value::field;
use super::wait::{Patience, both, settled};

/// A space as it is remembered: its id and when this browser first had it.
#[derive(Serialize)]
struct Entry {
    space: String,
    created: f64,
}

/// A line of the list.
#[derive(Serialize)]
struct Listed {
    name: String,
    space: String,
    created: f64,
}

#[wasm_bindgen(js_name = registryList)]
pub fn registry_list() -> Promise {
    future_to_promise(async {
        let (keys, values) = with_registry(async |registry| {
            let tx = registry.transaction(&[SPACES], TransactionMode::ReadOnly)?;
            let spaces = tx.store(SPACES)?;
            let (keys, values) = both(spaces.get_all_keys(None, None), spaces.get_all(None, None)).await;
            Ok((keys?, values?))
        })
        .await?;
        let named = keys.into_iter().zip(values).filter_map(|(key, value)| {
            // A record of another form is somebody else's.
            let (space, created) = (field(&value, "space"), field(&value, "created"));
            Some(Listed { name: key.as_string()?, space: space.as_string()?, created: created.as_f64()? })
        });
        Ok(serde_wasm_bindgen::to_value(&named.collect::<Vec<_>>())?)
    })
}

#[wasm_bindgen(js_name = registryAdd)]
pub fn registry_add(name: String, space: String, created: f64) -> Promise {
    future_to_promise(async move {
        let entry = serde_wasm_bindgen::to_value(&Entry { space, created })?;
        with_registry(async |registry| {
            let tx = registry.transaction(&[SPACES], TransactionMode::ReadWrite)?;
            let spaces = tx.store(SPACES)?;
            let key = JsValue::from(&name);
            settled(&mut [Box::pin(spaces.put(&entry, Some(&key)))], pin!(tx.commit())).await
        })
        .await?;
        Ok(JsValue::UNDEFINED)
    })
}

#[wasm_bindgen(js_name = registryRemove)]
pub fn registry_remove(name: String) -> Promise {
    future_to_promise(async move {
        with_registry(async |registry| {
            let tx = registry.transaction(&[SPACES], TransactionMode::ReadWrite)?;
            let spaces = tx.store(SPACES)?;
            settled(&mut [Box::pin(spaces.delete(JsValue::from(&name)))], pin!(tx.commit())).await
        })
        .await?;
        Ok(JsValue::UNDEFINED)
    })
}

async fn with_registry<T>(verb: impl AsyncFn(&Rexie) -> rexie::Result<T>) -> Result<T, EdgeError> {
    let registry = open_registry().await?;
    let result = verb(&registry).await;
    registry.close();
    result.map_err(|error| Fault::from(error).settle())
}

async fn open_registry() -> Result<Rexie, EdgeError> {
    let builder = Rexie::builder(NAME).version(1).add_object_store(ObjectStore::new(SPACES));
    let opening = async move { Ok(builder.build().await?) };
    Patience::default().wait(opening, Rexie::close).await.map_err(Fault::settle)
}

const NAME: &str = "stemma";
const SPACES: &str = "spaces";
