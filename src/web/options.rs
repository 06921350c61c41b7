//! Options of objects between JavaScript and the core: `{ variant?, groups?, fields?, issuers?, credit? }`, absent where there
//! are none.
use js_sys::{Array, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::error::EdgeError;
use super::replica::id32;
use super::{output, value};
use crate::{BigInt, MemberId, ObjectKind, Options, Value};

/// Reads options and puts them in order.
pub(super) fn from_js(given: JsValue) -> Result<Options, EdgeError> {
    let wrong = || EdgeError::argument("o", "o is not an object of options");
    if given.is_undefined() {
        return Ok(Options::default());
    }
    let field = |key: &str| Reflect::get(&given, &key.into()).map_err(|_| wrong());
    let list = |value: JsValue| match value.is_undefined() {
        true => Ok(Array::new()),
        false => value.dyn_into::<Array>().map_err(|_| wrong()),
    };
    let mut options = Options { variant: field("variant")?.is_truthy(), ..Options::default() };
    for group in list(field("groups")?)?.iter() {
        let keys =
            list(group)?.iter().map(|key| key.as_string().ok_or_else(wrong)).collect::<Result<_, _>>()?;
        options.groups.push(keys);
    }
    for issuer in list(field("issuers")?)?.iter() {
        options.issuers.push(MemberId(id32(&issuer.as_string().ok_or_else(wrong)?, "issuers")?));
    }
    let credit = field("credit")?;
    if !credit.is_undefined() {
        let given = value::from_js(&credit, "creditLimit")?;
        options.credit = if let Value::BigInt(credit) = given { credit.to_i128() } else { None };
    }
    for pair in list(field("fields")?)?.iter() {
        let pair = list(pair)?;
        let kind = pair.get(1).as_f64().and_then(|kind| ObjectKind::from_code(kind as u8));
        options.fields.push((pair.get(0).as_string().ok_or_else(wrong)?, kind.ok_or_else(wrong)?));
    }
    Ok(options.canonical())
}

/// Writes options; undefined where there are none.
pub(super) fn to_js(options: &Options) -> JsValue {
    if *options == Options::default() {
        return JsValue::UNDEFINED;
    }
    let keys = |group: &Vec<String>| group.iter().map(|key| JsValue::from(key.as_str())).collect::<Array>();
    let field = |(key, kind): &(String, ObjectKind)| Array::of2(&key.as_str().into(), &(*kind as u8).into());
    let issuers = options.issuers.iter().map(|issuer| JsValue::from(issuer.to_string()));
    let credit = options.credit.map(|credit| value::to_js(&Value::BigInt(BigInt::from(credit))));
    output::object(&[
        ("issuers", issuers.collect::<Array>().into()),
        ("credit", credit.unwrap_or(JsValue::UNDEFINED)),
        ("variant", options.variant.into()),
        ("groups", options.groups.iter().map(keys).collect::<Array>().into()),
        ("fields", options.fields.iter().map(field).collect::<Array>().into()),
    ])
}
