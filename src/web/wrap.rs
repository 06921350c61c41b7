//! How the `keys` store rests: sealed under a CryptoKey that scripts can use but not read, where the browser has one.
//!
//! ```text
//!  plain    0 | value
//!  wrapped  1 | iv 12 | AES-256-GCM(value), tag 16      additional data: the record's key, UTF-8
//! ```
//! Hygiene, not protection: whoever runs code in this origin can ask for the same decryption.
use js_sys::{Array, ArrayBuffer, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto};

use super::batch::KEYS;
use super::connection::Connection;
use super::error::{Code, EdgeError, Fault};
use super::random::random;

/// The wrapping key, or none where there can be none.
#[derive(Clone)]
pub(crate) struct Wrap(Option<CryptoKey>);

impl Wrap {
    /// Finds the database's wrapping key or makes it. Two tabs may do so at once: the first strict commit wins.
    pub(crate) async fn establish(connection: &Connection) -> Result<Self, Fault> {
        if let Some(key) = Self::find(connection).await? {
            return Ok(key);
        }
        let Some(subtle) = subtle() else { return Ok(Self(None)) };
        let key = generate(&subtle).await?;
        let written = connection.commit_strict(&[KEYS], |tx| {
            Ok(vec![tx.object_store(KEYS)?.add_with_key(&key, &RECORD.into())?])
        });
        match written.await {
            Ok(_) => Ok(Self(Some(key))),
            Err(Fault::Edge(error)) if error.code == Code::StorageExists => {
                Ok(Self::find(connection).await?.unwrap_or(Self(None)))
            }
            // This browser cannot store a CryptoKey.
            Err(Fault::Edge(error)) if error.code == Code::Unsupported => Ok(Self(None)),
            Err(fault) => Err(fault),
        }
    }

    async fn find(connection: &Connection) -> Result<Option<Self>, Fault> {
        let stored = connection.get(KEYS, RECORD).await?;
        Ok(stored.map(|key| Self(key.dyn_into::<CryptoKey>().ok().filter(|_| subtle().is_some()))))
    }

    pub(crate) fn is_wrapped(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) async fn seal(&self, name: &str, value: &Uint8Array) -> Result<Uint8Array, Fault> {
        let Self(Some(key)) = self else { return Ok(joined(&[&[PLAIN]], value)) };
        let iv = random::<IV_BYTES>();
        let sealed = subtle_of_key().encrypt_with_object_and_js_u8_array(
            &algorithm(&iv, name.as_bytes()),
            key,
            value,
        )?;
        let sealed = JsFuture::from(sealed).await?;
        Ok(joined(&[&[WRAPPED], &iv], &Uint8Array::new(&sealed)))
    }

    pub(crate) async fn open(&self, name: &str, stored: &Uint8Array) -> Result<Uint8Array, Fault> {
        let unreadable =
            |why: &str| EdgeError::new(Code::KeyMissing, format!("the key record {name:?} {why}"));
        let first = if stored.length() == 0 { None } else { Some(stored.get_index(0)) };
        match (first, &self.0) {
            (Some(PLAIN), _) => Ok(stored.slice(1, stored.length())),
            (Some(WRAPPED), Some(key)) if stored.length() as usize > IV_BYTES => {
                let iv = stored.slice(1, 1 + IV_BYTES as u32).to_vec();
                let sealed = stored.slice(1 + IV_BYTES as u32, stored.length());
                let algorithm = algorithm(&iv, name.as_bytes());
                let value = subtle_of_key().decrypt_with_object_and_js_u8_array(&algorithm, key, &sealed)?;
                let value =
                    JsFuture::from(value).await.map_err(|_| unreadable("was not sealed by this browser"))?;
                Ok(Uint8Array::new(&value.unchecked_into::<ArrayBuffer>()))
            }
            (Some(WRAPPED), None) => {
                Err(unreadable("is wrapped, and the wrapping key cannot be used here").into())
            }
            _ => Err(unreadable("is of no known form").into()),
        }
    }
}

/// Where the wrapping key lies in the store that it wraps.
pub(crate) const RECORD: &str = "wrap";

async fn generate(subtle: &SubtleCrypto) -> Result<CryptoKey, Fault> {
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &"AES-GCM".into())?;
    Reflect::set(&algorithm, &"length".into(), &256.into())?;
    let usages: Array = ["encrypt", "decrypt"].iter().map(|usage| JsValue::from(*usage)).collect();
    let key = JsFuture::from(subtle.generate_key_with_object(&algorithm, false, &usages)?).await?;
    Ok(key.unchecked_into())
}

/// AES-GCM with additional data.
pub(crate) fn algorithm(iv: &[u8], additional: &[u8]) -> Object {
    let parts: [(&str, JsValue); 3] = [
        ("name", "AES-GCM".into()),
        ("iv", Uint8Array::from(iv).into()),
        ("additionalData", Uint8Array::from(additional).into()),
    ];
    let algorithm = Object::new();
    for (key, value) in parts {
        Reflect::set(&algorithm, &key.into(), &value).expect("a fresh object is extensible");
    }
    algorithm
}

fn joined(head: &[&[u8]], tail: &Uint8Array) -> Uint8Array {
    let head = head.concat();
    let whole = Uint8Array::new_with_length(head.len() as u32 + tail.length());
    whole.set(&Uint8Array::from(&head[..]), 0);
    whole.set(tail, head.len() as u32);
    whole
}

fn subtle_of_key() -> SubtleCrypto {
    subtle().expect("a wrapping key is only held where subtle exists")
}

/// WebCrypto, absent on insecure origins.
pub(crate) fn subtle() -> Option<SubtleCrypto> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into()).ok()?;
    let subtle = Reflect::get(&crypto, &"subtle".into()).ok()?;
    subtle.is_object().then(|| subtle.unchecked_into())
}

const PLAIN: u8 = 0;
const WRAPPED: u8 = 1;
const IV_BYTES: usize = 12;
