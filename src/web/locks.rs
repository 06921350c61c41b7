//! Web Locks: names that one tab of the profile holds at a time and loses when it dies.
//!
//! Invariant: a lock is held exactly as long as its `HeldLock` is neither released nor freed. On an insecure origin
//! there are no locks, which `locksAvailable` says; nothing here pretends to hold one.
use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::AbortSignal;

use super::error::{Code, EdgeError, name_and_message};
use super::wait::gate;

#[wasm_bindgen]
extern "C" {
    // web-sys keeps these behind its unstable flag.
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &Object, callback: &Function) -> Promise;
    #[wasm_bindgen(method)]
    fn query(this: &LockManager) -> Promise;
}

/// A lock that this tab holds.
#[wasm_bindgen]
pub struct HeldLock {
    name: String,
    let_go: Function,
}

#[wasm_bindgen]
impl HeldLock {
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    pub fn release(&self) {
        self.let_go.call0(&JsValue::UNDEFINED).expect("the resolver of a promise does not throw");
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.release();
    }
}

#[wasm_bindgen(js_name = locksAvailable)]
pub fn locks_available() -> bool {
    manager().is_ok()
}

/// The lock if nobody holds it, else `null`.
#[wasm_bindgen(js_name = tryLock)]
pub fn try_lock(name: String) -> Promise {
    future_to_promise(async move {
        let options = Object::new();
        Reflect::set(&options, &"ifAvailable".into(), &true.into())?;
        Ok(request(name, &options).await?.map_or(JsValue::NULL, JsValue::from))
    })
}

/// The lock, when it is this tab's turn.
#[wasm_bindgen]
pub fn lock(name: String, signal: Option<AbortSignal>) -> Promise {
    future_to_promise(async move {
        let options = Object::new();
        if let Some(signal) = signal {
            Reflect::set(&options, &"signal".into(), &signal)?;
        }
        let held = request(name, &options).await?;
        Ok(held.expect("a request without ifAvailable is granted or rejected").into())
    })
}

/// The names under a prefix that any tab holds.
#[wasm_bindgen(js_name = locksHeld)]
pub fn locks_held(prefix: String) -> Promise {
    future_to_promise(async move {
        let snapshot = JsFuture::from(manager()?.query()).await?;
        let held: Array = Reflect::get(&snapshot, &"held".into())?.unchecked_into();
        let names = held.iter().filter_map(|lock| Reflect::get(&lock, &"name".into()).ok());
        let ours = names.filter(|name| name.as_string().is_some_and(|name| name.starts_with(&prefix)));
        Ok(ours.collect::<Array>().into())
    })
}

/// Asks for a lock and keeps it by answering the browser's call with a promise that `release` resolves.
async fn request(name: String, options: &Object) -> Result<Option<HeldLock>, EdgeError> {
    let manager = manager()?;
    let (let_go, released) = gate();
    let (decide, decided) = gate();
    let granted = Rc::new(RefCell::new(false));
    let flag = granted.clone();
    let callback = Closure::once(move |lock: JsValue| -> JsValue {
        *flag.borrow_mut() = !lock.is_null();
        decide.call0(&JsValue::UNDEFINED).expect("the resolver of a promise does not throw");
        if lock.is_null() { JsValue::UNDEFINED } else { released.into() }
    });
    let over = manager.request(&name, options, callback.as_ref().unchecked_ref());
    // `over` settles late when the lock is granted, and early when it is refused or aborted.
    let outcome = JsFuture::from(Promise::race(&Array::of2(&decided, &over))).await;
    if let Err(thrown) = outcome {
        let (kind, message) = name_and_message(&thrown);
        return Err(match kind.as_str() {
            "AbortError" => EdgeError::new(Code::Aborted, "waiting for a lock was aborted"),
            "NotSupportedError" => EdgeError::argument("name", message),
            _ => EdgeError::new(Code::Unsupported, format!("no lock: {kind}: {message}")),
        });
    }
    let granted = *granted.borrow();
    Ok(granted.then_some(HeldLock { name, let_go }))
}

fn manager() -> Result<LockManager, EdgeError> {
    let manager = Reflect::get(&js_sys::global(), &"navigator".into())
        .and_then(|navigator| Reflect::get(&navigator, &"locks".into()))
        .unwrap_or(JsValue::UNDEFINED);
    if !manager.is_object() {
        return Err(EdgeError::new(
            Code::Unsupported,
            "there are no Web Locks here: is this a secure origin?",
        ));
    }
    Ok(manager.unchecked_into())
}
