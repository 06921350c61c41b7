//! Values of an application between JavaScript and the core: JSON, `Uint8Array` and `bigint`.
//!
//! Invariant: what comes in is a copy; what goes out is fresh and frozen by the caller. `ts/` has refused what is not a
//! value before it comes here; what still is none ends in `E_ARGUMENT`, never in a guess.
use js_sys::{Array, BigInt as JsBigInt, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::error::EdgeError;
use crate::BigInt;
use crate::limits::VALUE_DEPTH_MAX;
use crate::{Number, Value};

/// Reads a value.
pub(super) fn from_js(value: &JsValue, argument: &'static str) -> Result<Value, EdgeError> {
    read(value, argument, 0)
}

fn read(value: &JsValue, argument: &'static str, depth: usize) -> Result<Value, EdgeError> {
    let refuse = |what: &str| EdgeError::argument(argument, format!("{argument} {what}"));
    if depth > VALUE_DEPTH_MAX {
        return Err(refuse("is nested too deep"));
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    if let Some(boolean) = value.as_bool() {
        return Ok(Value::Bool(boolean));
    }
    if let Some(number) = value.as_f64() {
        return Number::new(number)
            .map(Value::Number)
            .ok_or_else(|| refuse("has a number that is not finite"));
    }
    if let Some(string) = value.as_string() {
        return Ok(Value::String(string));
    }
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Ok(Value::Bytes(bytes.to_vec()));
    }
    if let Some(array) = value.dyn_ref::<Array>() {
        let items: Result<_, _> = array.iter().map(|item| read(&item, argument, depth + 1)).collect();
        return Ok(Value::Array(items?));
    }
    if let Some(integer) = value.dyn_ref::<JsBigInt>() {
        return big_from_js(integer)
            .map(Value::BigInt)
            .ok_or_else(|| refuse("has a bigint that is too large"));
    }
    if value.is_object() && !value.is_function() {
        let mut object = std::collections::BTreeMap::new();
        for key in Object::keys(value.unchecked_ref::<Object>()).iter() {
            let item = Reflect::get(value, &key).map_err(|_| refuse("has a property that cannot be read"))?;
            let key = key.as_string().ok_or_else(|| refuse("has a key that is no string"))?;
            object.insert(key, read(&item, argument, depth + 1)?);
        }
        return Ok(Value::Object(object));
    }
    Err(refuse("is not JSON, a Uint8Array or a bigint"))
}

fn big_from_js(integer: &JsBigInt) -> Option<BigInt> {
    let digits = String::from(integer.to_string(16).ok()?);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.as_str()),
    };
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    let byte = |at: usize| u8::from_str_radix(&padded[at..at + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..padded.len()).step_by(2).map(byte).collect();
    let bytes = bytes?;
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    BigInt::new(negative && first < bytes.len(), &bytes[first..])
}

/// A property of a flat object; undefined if it has none of that name.
pub(super) fn field(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// A property that is a list of strings, or absent.
pub(super) fn texts(of: &JsValue, name: &'static str) -> Result<Vec<String>, EdgeError> {
    let (list, wrong) =
        (field(of, name), || EdgeError::argument(name, format!("{name} is not a list of strings")));
    if list.is_undefined() {
        return Ok(Vec::new());
    }
    let list = list.dyn_into::<Array>().map_err(|_| wrong())?;
    list.iter().map(|text| text.as_string().ok_or_else(wrong)).collect()
}

/// Writes a value.
pub(super) fn to_js(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Bool(boolean) => (*boolean).into(),
        Value::Number(number) => number.get().into(),
        Value::String(string) => string.as_str().into(),
        Value::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        Value::Array(items) => items.iter().map(to_js).collect::<Array>().into(),
        Value::BigInt(integer) => big_to_js(integer),
        Value::Object(entries) => {
            let pairs: Array =
                entries.iter().map(|(key, value)| Array::of2(&key.as_str().into(), &to_js(value))).collect();
            // `fromEntries` defines own properties, so a key like `__proto__` is an ordinary one.
            Object::from_entries(&pairs).expect("pairs are arrays of two").into()
        }
    }
}

fn big_to_js(integer: &BigInt) -> JsValue {
    let digits: String = integer.magnitude().iter().map(|byte| format!("{byte:02x}")).collect();
    let digits = if digits.is_empty() { "0" } else { digits.as_str() };
    let magnitude = JsBigInt::new(&format!("0x{digits}").into()).expect("hexadecimal digits are a bigint");
    if integer.is_negative() { (-magnitude).into() } else { magnitude.into() }
}
