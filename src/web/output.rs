//! Outputs of the core as flat objects for JavaScript (their shapes are in `ts/replica.ts`).
use js_sys::{Array, Int32Array, Object, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::{options, value};
use crate::replica::{Change, Obstacle, Output, Replica, Source, Tier, Trouble};
use crate::{MarkDelta, ObjectIx, Part, PatchBody, Slot, StoreBatch};

#[wasm_bindgen]
extern "C" {
    /// An object under construction. A setter of its own is many times as fast as `Reflect.set`, which takes the name
    /// as a string.
    type Fields;

    #[wasm_bindgen(method, setter, js_name = "type")]
    fn set_type(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_source(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_member(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_actor(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_changeset(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_object(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_name(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_kind(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_text(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_keys(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_ops(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_inserted(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_id(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_batch(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_strict(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_append(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_put(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_tier(this: &Fields, value: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_ids(this: &Fields, value: &JsValue);
}

/// An object with these properties.
pub(super) fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new().unchecked_into::<Fields>();
    for (key, value) in fields {
        match *key {
            "type" => object.set_type(value),
            "source" => object.set_source(value),
            "member" => object.set_member(value),
            "actor" => object.set_actor(value),
            "changeset" => object.set_changeset(value),
            "object" => object.set_object(value),
            "name" => object.set_name(value),
            "kind" => object.set_kind(value),
            "text" => object.set_text(value),
            "keys" => object.set_keys(value),
            "ops" => object.set_ops(value),
            "inserted" => object.set_inserted(value),
            "id" => object.set_id(value),
            "batch" => object.set_batch(value),
            "strict" => object.set_strict(value),
            "append" => object.set_append(value),
            "put" => object.set_put(value),
            "tier" => object.set_tier(value),
            "ids" => object.set_ids(value),
            _ => {
                Reflect::set(&object, &(*key).into(), value).expect("a fresh object is extensible");
            }
        }
    }
    object.into()
}

/// Writes an output.
pub(super) fn to_js(output: Output, replica: &Replica) -> JsValue {
    let of = |kind: &str, fields: &[(&str, JsValue)]| {
        let mut all = vec![("type", JsValue::from(kind))];
        all.extend_from_slice(fields);
        object(&all)
    };
    match output {
        Output::Commit { id, batch, strict } => of(
            "commit",
            &[("id", (id as f64).into()), ("batch", batch_to_js(&batch)), ("strict", strict.into())],
        ),
        Output::Draft { actor, record } => {
            let record = record.map_or(JsValue::UNDEFINED, |record| Uint8Array::from(&record[..]).into());
            of("draft", &[("actor", actor.to_string().into()), ("record", record)])
        }
        Output::Dial { session, url } => of("dial", &[("session", session.into()), ("url", url.into())]),
        Output::Send { session, frame } => {
            of("send", &[("session", session.into()), ("bytes", Uint8Array::from(frame.as_slice()).into())])
        }
        Output::Tabs { payload, is_said } => {
            of("tabs", &[("said", is_said.into()), ("bytes", Uint8Array::from(payload.as_slice()).into())])
        }
        Output::Close { session } => of("close", &[("session", session.into())]),
        Output::Saved { tier, ids } => {
            let ids: Array = ids.iter().map(|id| JsValue::from(id.to_string())).collect();
            of("saved", &[("tier", tier_name(tier).into()), ("ids", ids.into())])
        }
        Output::Sync => of("sync", &[]),
        Output::Rows => of("rows", &[]),
        Output::Grown => of("grown", &[]),
        Output::Look => of("look", &[]),
        Output::Noted => of("noted", &[]),
        Output::Trim => of("trim", &[]),
        Output::Policy => of("policy", &[]),
        Output::Consent => of("consent", &[]),
        Output::Evidence => of("evidence", &[]),
        Output::Subjects => of("subjects", &[]),
        Output::Presence => of("presence", &[]),
        Output::Events => of("events", &[]),
        Output::Supply => of("supply", &[]),
        Output::Erase => of("erase", &[]),
        Output::Trouble(trouble) => trouble_to_js(trouble),
        Output::Change(changes) => {
            let changes: Array = changes.iter().map(|change| change_to_js(change, replica)).collect();
            of("change", &[("changes", changes.into())])
        }
    }
}

/// Writes an object that a key of a map shows: as an array of 32-bit numbers, which no value is, with its number.
pub(super) fn child(child: ObjectIx) -> JsValue {
    Uint32Array::from(&[child.0][..]).into()
}

/// Writes what an object is and where: its name, or the map and the key that it is under, or neither where no content that is
/// here says it.
pub(super) fn origin(of: ObjectIx, replica: &Replica) -> JsValue {
    let mut fields = vec![("kind", JsValue::from(replica.kind_of(of) as u8))];
    if let Some((name, _)) = replica.name_of(of) {
        fields.push(("name", JsValue::from(&**name)));
    } else if let Some((map, key)) = replica.place_of(of)
        && let Some(key) = replica.key_name(&key)
    {
        fields.extend([("map", map.0.into()), ("key", JsValue::from(&**key))]);
    }
    let options = replica.options_of(of).map_or(JsValue::UNDEFINED, options::to_js);
    if !options.is_undefined() {
        fields.push(("options", options));
    }
    object(&fields)
}

/// Writes why a write will not be saved.
pub(super) fn obstacle(obstacle: &Obstacle) -> JsValue {
    let (code, message) = match obstacle {
        Obstacle::Storage(code) => (&**code, "the store did not take the write; it is in memory only"),
        Obstacle::Relay(reason) => ("E_RELAY_REFUSED", &**reason),
        Obstacle::Validators => ("E_VALIDATORS", "nobody is asked to attest what is written"),
        Obstacle::Lost => {
            ("E_ENGINE_CRASHED", "the write went with an engine that crashed before it was stored")
        }
    };
    object(&[("code", code.into()), ("message", message.into())])
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Local => "local",
        Tier::Relay => "relay",
        Tier::Final => "final",
    }
}

pub(super) fn batch_to_js(batch: &StoreBatch) -> JsValue {
    let bytes = |bytes: &Vec<u8>| JsValue::from(Uint8Array::from(bytes.as_slice()));
    let put = batch.put.iter().map(|(store, key, value)| {
        JsValue::from(Array::of3(&store.as_str().into(), &key.as_str().into(), &bytes(value)))
    });
    let mut fields = vec![
        ("append", batch.append.iter().map(bytes).collect::<Array>().into()),
        ("put", put.collect::<Array>().into()),
    ];
    if !batch.delete.is_empty() {
        let keys = batch.delete.iter();
        let delete = keys.map(|(store, key)| Array::of2(&store.as_str().into(), &key.as_str().into()));
        fields.push(("delete", delete.collect::<Array>().into()));
    }
    if let Some((store, key)) = &batch.absent {
        fields.push(("absent", Array::of2(&store.as_str().into(), &key.as_str().into()).into()));
    }
    object(&fields)
}

fn trouble_to_js(trouble: Trouble) -> JsValue {
    let error = |code: &str, message: String, changeset: JsValue| {
        let fields = [
            ("type", "error".into()),
            ("code", code.into()),
            ("message", message.into()),
            ("changeset", changeset),
        ];
        object(&fields)
    };
    match trouble {
        Trouble::Storage(code) => object(&[
            ("type", "storage".into()),
            ("code", code.into()),
            ("message", "the store did not take a write; edits go on in memory".into()),
        ]),
        Trouble::Snapshot(code) => object(&[
            ("type", "storage".into()),
            ("code", code.into()),
            ("message", "a snapshot could not be used; the history is read instead".into()),
        ]),
        Trouble::Refused(id, reason) => error("E_SIGNATURE", reason, id.to_string().into()),
        Trouble::Pending(id, reason) => error("E_PENDING", reason, id.to_string().into()),
        Trouble::Fork(actor) => {
            error("E_FORK", format!("actor {actor} signed two changesets with one seq"), JsValue::UNDEFINED)
        }
        Trouble::SharedSnapshot(what) => error("E_SNAPSHOT", what, JsValue::UNDEFINED),
        Trouble::Relay(reason) => error("E_RELAY_REFUSED", reason, JsValue::UNDEFINED),
    }
}

/// None for a key whose name nobody told.
fn mark_to_js(mark: &MarkDelta, replica: &Replica) -> Option<JsValue> {
    let key = replica.mark_name(&mark.key)?;
    let numbers = [mark.after, mark.pos, mark.len].map(JsValue::from);
    let value = mark.value.as_ref().map_or(JsValue::NULL, value::to_js);
    Some(numbers.into_iter().chain([JsValue::from(&**key), value]).collect::<Array>().into())
}

fn change_to_js(change: &Change, replica: &Replica) -> JsValue {
    let source = match change.source {
        Source::Local => "local",
        Source::Remote => "remote",
        Source::Undo => "undo",
        Source::Policy => "policy",
    };
    let mut fields = vec![
        ("source", source.into()),
        ("member", change.member.to_string().into()),
        ("actor", change.actor.to_string().into()),
        ("changeset", change.changeset.map_or_else(String::new, |id| id.to_string()).into()),
    ];
    add_patch(change.object, &change.body, replica, &mut fields);
    object(&fields)
}

/// Writes what changed in an object, and nothing of who did it.
pub(super) fn patch(of: ObjectIx, body: &PatchBody, replica: &Replica) -> JsValue {
    let mut fields = Vec::new();
    add_patch(of, body, replica, &mut fields);
    object(&fields)
}

fn add_patch(of: ObjectIx, body: &PatchBody, replica: &Replica, fields: &mut Vec<(&str, JsValue)>) {
    fields.push(("object", of.0.into()));
    match body {
        PatchBody::Text { splices, inserted, marks } => {
            let ops: Vec<i32> = splices.iter().flatten().map(|number| *number as i32).collect();
            let ops = Int32Array::from(ops.as_slice());
            let mut text = vec![("ops", ops.into()), ("inserted", inserted.as_str().into())];
            if !marks.is_empty() {
                let marks = marks.iter().filter_map(|mark| mark_to_js(mark, replica));
                text.push(("marks", marks.collect::<Array>().into()));
            }
            fields.push(("text", object(&text)));
        }
        PatchBody::List { splices, inserted } => {
            let ops: Vec<i32> = splices.iter().flatten().map(|number| *number as i32).collect();
            let ops = Int32Array::from(ops.as_slice());
            let inserted: Array = inserted.iter().map(value::to_js).collect();
            fields.push(("list", object(&[("ops", ops.into()), ("inserted", inserted.into())])));
        }
        PatchBody::Slots(slots) => {
            let keys = Array::new();
            for slot in slots {
                match slot {
                    Slot::Key(name) => {
                        let key = replica.key_name(name).map(|key| JsValue::from(&**key));
                        let element = || replica.value_name(name).map(value::to_js);
                        if let Some(key) = key.or_else(element) {
                            keys.push(&key);
                        }
                    }
                    Slot::Group(number) => {
                        let group =
                            replica.options_of(of).and_then(|options| options.groups.get(*number as usize));
                        for key in group.into_iter().flatten() {
                            keys.push(&key.as_str().into());
                        }
                    }
                }
            }
            fields.push(("keys", keys.into()));
        }
        PatchBody::Items(items) => {
            let items = items.iter().filter_map(|item| replica.value_name(item)).map(value::to_js);
            fields.push(("keys", items.collect::<Array>().into()));
        }
        PatchBody::Parts(parts) => {
            let (accounts, assets) = (Array::new(), Array::new());
            for part in parts {
                match part {
                    Part::Account(account) => drop(accounts.push(&replica.account_text(account).into())),
                    Part::Asset(asset) => drop(assets.push(&replica.asset_text(asset).into())),
                    Part::Command(..) => {}
                }
            }
            fields.extend([("keys", accounts.into()), ("assets", assets.into())]);
        }
        PatchBody::Counter { added, taken } => {
            let grows = replica.options_of(of).is_some_and(|options| options.variant);
            let by = if grows { *added } else { *added - *taken };
            fields.push(("amount", (by as f64).into()));
        }
    }
}
