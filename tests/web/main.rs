//! The browser edges called from Rust, in a headless browser: what they take and answer, without the TypeScript above.
#![cfg(target_arch = "wasm32")]

use js_sys::{Array, Function, JSON, Object, Promise, Reflect, Uint8Array};
use stemma::web::{IdbStorage, Socket, Tabs, try_lock};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

#[path = "../simulation/mod.rs"]
mod simulation;

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn a_commit_is_there_after_reopening() {
    let storage = IdbStorage::new();
    done(storage.open("rust".into(), None, None)).await;
    let row = Uint8Array::from(&[1, 2, 3][..]);
    let key = Uint8Array::from(&[4][..]);
    let batch = Object::new();
    Reflect::set(&batch, &"append".into(), &Array::of1(&row)).unwrap();
    Reflect::set(&batch, &"put".into(), &Array::of1(&Array::of3(&"keys".into(), &"member".into(), &key)))
        .unwrap();
    assert_eq!(text(&done(storage.commit(batch.into(), true)).await), "[1]");
    storage.close();
    done(storage.open("rust".into(), None, None)).await;
    assert_eq!(text(&done(storage.read(0.0, 1e6)).await), r#"[[1,{"0":1,"1":2,"2":3}]]"#);
    assert_eq!(text(&done(storage.entries("keys".into())).await), r#"[["member",{"0":4}]]"#);
    assert_eq!(storage.secrets(), "wrapped");
    done(storage.destroy(None)).await;
}

#[wasm_bindgen_test]
async fn a_batch_that_is_none_is_an_argument_error() {
    let storage = IdbStorage::new();
    done(storage.open("none".into(), None, None)).await;
    assert_eq!(code(storage.commit(JsValue::NULL, true)).await, "E_ARGUMENT batch");
    let batch = JSON::parse(r#"{ "put": [["tail", "key", 1]] }"#).unwrap();
    assert_eq!(code(storage.commit(batch, true)).await, "E_ARGUMENT put");
    assert_eq!(code(storage.entries("tail".into())).await, "E_ARGUMENT store");
    done(storage.destroy(None)).await;
    assert_eq!(code(storage.read(0.0, 1.0)).await, "E_CLOSED undefined");
}

#[wasm_bindgen_test]
async fn a_lock_is_granted_once() {
    assert!(!done(try_lock("rust".into())).await.is_null());
    assert!(done(try_lock("rust".into())).await.is_null());
}

#[wasm_bindgen_test]
fn a_wrong_address_is_an_argument_error() {
    let none = Closure::<dyn Fn()>::new(|| ());
    let none: &Function = none.as_ref().unchecked_ref();
    let refused = Socket::new("http://x", JsValue::UNDEFINED, none.clone(), none.clone(), none.clone());
    assert_eq!(named(&refused.err().unwrap()), "E_ARGUMENT url");
}

#[wasm_bindgen_test]
async fn a_tab_hears_another() {
    let mut heard = None;
    let message = Promise::new(&mut |resolve, _| heard = Some(resolve));
    let listening = Tabs::new("rust", heard.unwrap());
    let mut speaking = Tabs::new("rust", Function::from(Closure::<dyn Fn()>::new(|| ()).into_js_value()));
    assert!(listening.available() && speaking.post(&7.into()));
    assert_eq!(JsFuture::from(message).await.unwrap(), 7);
    speaking.close();
    assert!(!speaking.available() && !speaking.post(&8.into()));
}

/// What `scripts/test.mjs` had these seeds give natively.
#[wasm_bindgen_test]
fn a_seed_is_the_same_trace_as_natively() {
    use simulation::{COMPARED, invariant::Sabotage, log::Model, plan::Plan, run};
    let run = |seed| run(&Plan::new(seed, &[]), &Model::default(), Sabotage::None, false);
    let here = COMPARED.map(|seed| format!("{seed} {}", run(seed).hash));
    assert_eq!(Some(&*here.join(",")), option_env!("STEMMA_TRACES_NATIVE"), "`npm test -- wasm` says it");
}

async fn done(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.unwrap_or_else(|thrown| panic!("{}", named(&thrown)))
}

async fn code(promise: Promise) -> String {
    named(&JsFuture::from(promise).await.unwrap_err())
}

fn named(thrown: &JsValue) -> String {
    let of = |key: &str| Reflect::get(thrown, &key.into()).ok().and_then(|value| value.as_string());
    let [code, argument] = ["code", "argument"].map(|key| of(key).unwrap_or("undefined".into()));
    format!("{code} {argument}")
}

fn text(value: &JsValue) -> String {
    JSON::stringify(value).unwrap().into()
}
