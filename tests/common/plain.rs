//! What an object reads as, all below it included, as one value: what the JavaScript side gives with `toJSON`.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use stemma::doc::ObjectIx;
use stemma::event::{Number, ObjectKind, Value};
use stemma::replica::{Replica, Shown};

pub fn plain(replica: &mut Replica, object: ObjectIx) -> Value {
    let number = |number: i128| Value::Number(Number::new(number as f64).expect("finite"));
    match replica.kind_of(object) {
        ObjectKind::Map => {
            let keys = replica.map_keys(object);
            let entries: BTreeMap<String, Value> = keys
                .iter()
                .map(|key| {
                    assert!(replica.map_has(object, key));
                    (key.to_string(), shown(replica, object, key).expect("a key that is listed reads"))
                })
                .collect();
            assert_eq!(entries.len(), keys.len(), "no key twice");
            Value::Object(entries)
        }
        ObjectKind::Text => Value::String(replica.text(object).expect("a text").to_string()),
        ObjectKind::Counter => number(replica.counter_value(object)),
        ObjectKind::Set => {
            Value::Array(replica.set_elements(object).into_iter().map(|(one, _)| one.clone()).collect())
        }
        ObjectKind::Cart => {
            let pairs = replica.cart_entries(object).into_iter();
            Value::Array(pairs.map(|(item, n)| Value::Array(vec![item.clone(), number(n)])).collect())
        }
        ObjectKind::List => Value::Array(replica.list(object).expect("a list").iter().cloned().collect()),
        ObjectKind::Ledger => {
            let accounts = replica.ledger_accounts(object).into_iter();
            let each = accounts.map(|one| Value::String(format!("{:?}: {}", one.account, one.balance)));
            Value::Array(each.collect())
        }
    }
}

/// What a key of a map reads as.
pub fn shown(replica: &mut Replica, map: ObjectIx, key: &str) -> Option<Value> {
    match replica.map_shown(map, key)? {
        Shown::Value(value) => Some(value.clone()),
        Shown::Child(child) => Some(plain(replica, child)),
    }
}

/// What all maximal writes of a key read as.
pub fn rivals(replica: &mut Replica, map: ObjectIx, key: &str) -> Vec<Value> {
    let found: Vec<Result<Value, ObjectIx>> = replica
        .map_rivals(map, key)
        .into_iter()
        .map(|rival| match rival {
            Shown::Value(value) => Ok(value.clone()),
            Shown::Child(child) => Err(child),
        })
        .collect();
    found.into_iter().map(|rival| rival.unwrap_or_else(|child| plain(replica, child))).collect()
}
