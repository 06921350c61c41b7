//! The replica for JavaScript, seventh part: events. They cross the border many at a time, as numbers and two strings; how
//! they are packed stands in `ts/unpacked.ts`.
use js_sys::{Array, Uint32Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{Code, EdgeError};
use super::replica::{Replica, edit_error, with_env};
use super::value;
use crate::Value;
use crate::replica::{ViewIx, definition_digest};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    #[wasm_bindgen(js_name = eventCreate)]
    pub fn event_create(&mut self, of_type: &str, id: &str, data: &JsValue) -> Answer<()> {
        let data = value::from_js(data, "data")?;
        self.edit(|core, env| core.event_create(of_type, id, data, env))
            .map_err(|fault| edit_error(fault, "data"))
    }

    #[wasm_bindgen(js_name = eventEmit)]
    pub fn event_emit(&mut self, of_type: &str, concerns: Vec<String>, data: &JsValue) -> Answer<()> {
        let data = value::from_js(data, "data")?;
        let concerns: Vec<&str> = concerns.iter().map(String::as_str).collect();
        self.edit(|core, env| core.event_emit(of_type, &concerns, data, env))
            .map_err(|fault| edit_error(fault, "data"))
    }

    /// The changeset in which this member said the same for a command already; empty if it said nothing for it.
    #[wasm_bindgen(js_name = eventMade)]
    pub fn event_made(
        &mut self,
        of_type: &str,
        concerns: Vec<String>,
        data: &JsValue,
        command: &str,
    ) -> Answer<String> {
        let data = value::from_js(data, "data")?;
        let concerns: Vec<&str> = concerns.iter().map(String::as_str).collect();
        with_env(|env| self.core_mut().event_made(of_type, &concerns, &data, command, env))
            .map(|id| id.map_or_else(String::new, |id| id.to_string()))
            .map_err(|fault| edit_error(fault, "command"))
    }

    /// The number of an object, below zero if nothing was ever said of it.
    #[wasm_bindgen(js_name = eventSubject)]
    pub fn event_subject(&self, id: &str) -> i32 {
        self.core.event_subject(id).map_or(-1, |subject| subject as i32)
    }

    /// What changed since the last time, as `event_changes` of the core says: how often all numbers became others, 1 if other
    /// objects may be there, then two numbers each. Seals what is closed, so that its events have ids.
    #[wasm_bindgen(js_name = eventChanges)]
    pub fn event_changes(&mut self) -> Vec<u32> {
        with_env(|env| self.core.seal_closed(env));
        let (refolds, made, changed) = self.core.event_changes();
        let mut numbers = vec![refolds as u32, made.into()];
        numbers.extend(changed.into_iter().flat_map(|(subject, stable)| [subject, stable]));
        numbers
    }

    /// The objects of a type in the order in which they were made, and beside them their ids.
    #[wasm_bindgen(js_name = eventObjects)]
    pub fn event_objects(&self, of_type: &str, view: Option<u32>) -> Answer<Array> {
        let objects = self.core.event_objects(of_type, view.map(ViewIx)).map_err(closed)?;
        let id = |subject: &u32| match self.core.event_subject_name(*subject) {
            Some(id) => JsValue::from(&**id),
            None => {
                let mut hex = String::from("#");
                push_hex(&mut hex, &self.core.event_subject_id(*subject).0);
                hex.into()
            }
        };
        let ids: Array = objects.iter().map(id).collect();
        Ok(Array::of2(&Uint32Array::from(objects.as_slice()), &ids))
    }

    /// The names of the types by number, undefined where they are not known.
    #[wasm_bindgen(js_name = eventTypes)]
    pub fn event_types(&self) -> Array {
        let name =
            |known: Option<&std::sync::Arc<str>>| known.map_or(JsValue::UNDEFINED, |name| (&**name).into());
        self.core.event_types().map(name).collect()
    }

    /// The events of some objects, of each from the one of a number on.
    pub fn events(&mut self, subjects: &[u32], froms: &[u32], view: Option<u32>) -> Answer<Array> {
        let mut numbers = vec![self.core.event_types().len() as u32];
        let (mut authors, mut ids, mut json) = (Vec::new(), String::new(), String::from("["));
        let (others, mut count) = (Array::new(), 0_u32);
        // The ops of the changeset that the last event is in.
        let mut within = 0..0;
        for (subject, from) in subjects.iter().zip(froms) {
            let maker = self.core.event_maker(*subject, view.map(ViewIx)).map_err(closed)?;
            let made = maker.map_or(0, |maker| maker.of_type + 1);
            let (events, skipped) = match view {
                _ if made == 0 => (Vec::new(), 0),
                None => (self.core.take_events(*subject, *from), 0),
                Some(view) => {
                    let events = self.core.events_of(*subject, Some(ViewIx(view))).map_err(closed)?;
                    let skipped = events.len().min(*from as usize);
                    (events, skipped)
                }
            };
            let events = &events[skipped..];
            numbers.extend_from_slice(&[made, events.len() as u32]);
            for event in events.iter().copied() {
                let flags = event.of_type << 3 | u32::from(event.creates);
                let (version, data) = versioned(self.core.event_data(event).expect("what shows has a value"));
                if within.contains(&event.op.0) {
                    numbers.extend_from_slice(&[flags, version, event.op.0 - within.start]);
                } else {
                    let entry = self.core.event_entry(event).expect("what shows has a value");
                    let author = self.packed.author((entry.member, entry.actor)) as u32;
                    if authors.last() != Some(&author) {
                        authors.push(author);
                    }
                    let time = [entry.time_ms as u32, (entry.time_ms >> 32) as u32];
                    let is_open = u32::from(entry.changeset.is_none()) << 2;
                    numbers.extend_from_slice(&[
                        flags | 2 | is_open,
                        version,
                        entry.index,
                        author,
                        time[0],
                        time[1],
                    ]);
                    entry.changeset.iter().for_each(|id| push_hex(&mut ids, &id.0));
                    within = event.op.0 - entry.index..entry.end;
                }
                if count > 0 {
                    json.push(',');
                }
                let begun = json.len();
                if !push_json(&mut json, data) {
                    json.truncate(begun);
                    json.push('0');
                    others.push(&count.into());
                    others.push(&value::to_js(data));
                }
                count += 1;
            }
        }
        json.push(']');
        let [numbers, authors] = [numbers, authors].map(|numbers| Uint32Array::from(numbers.as_slice()));
        Ok(Array::of5(&numbers, &ids.into(), &json.into(), &others, &authors))
    }

    /// Of each event that shows: its type, its version (the greatest number if it has no data, 0 if it says none), its author, its day, and 1 if none of its objects was made.
    #[wasm_bindgen(js_name = eventFigures)]
    pub fn event_figures(&mut self) -> Vec<u32> {
        with_env(|env| self.core.seal_closed(env));
        let mut figures = Vec::new();
        for (event, is_made) in self.core.shown_events() {
            let Some(entry) = self.core.event_entry(event) else { continue };
            let (version, _) = versioned(entry.data);
            let author = self.packed.author((entry.member, entry.actor)) as u32;
            let day = (entry.time_ms / DAY_MS) as u32;
            figures.extend_from_slice(&[event.of_type, version, author, day, (!is_made).into()]);
        }
        figures
    }

    /// The types of events that follow each other, two numbers for each two that do.
    #[wasm_bindgen(js_name = eventPairs)]
    pub fn event_pairs(&self) -> Vec<u32> {
        self.core.event_pairs().into_iter().flat_map(|(a, b)| [a, b]).collect()
    }

    /// The digest of a definition, which is the same for equal texts.
    #[wasm_bindgen(js_name = definitionDigest)]
    pub fn definition_digest(&self, text: &str) -> String {
        definition_digest(text).to_string()
    }
}

const DAY_MS: u64 = 86_400_000;

/// The version and the data of an event: the greatest number if it has neither, 0 if it says no version.
fn versioned(value: &Value) -> (u32, &Value) {
    if let Value::Array(items) = value
        && let [Value::Number(number), data] = items.as_slice()
    {
        // What is no integer, or too large, is no version that anybody defines.
        let (double, version) = (number.get(), number.get() as u32);
        return (if f64::from(version) == double { version.min(u32::MAX - 1) } else { 0 }, data);
    }
    (if *value == Value::Null { u32::MAX } else { 0 }, &Value::Null)
}

fn closed(fault: crate::replica::ViewFault) -> EdgeError {
    EdgeError::new(Code::Closed, fault.to_string())
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(HEX[usize::from(digit)]));
        }
    }
}

/// Writes a value as JSON, which the platform reads many times as fast as it takes objects that are built for it. Whether it
/// could be written: bytes, big integers and numbers that are no safe integers cannot.
fn push_json(out: &mut String, value: &Value) -> bool {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::Number(number) => {
            let (double, integer) = (number.get(), number.get() as i64);
            // -0 is none of them.
            if integer as f64 != double || integer.unsigned_abs() >= 1 << 53 || double.to_bits() == 1 << 63 {
                return false;
            }
            push_integer(out, integer);
        }
        Value::String(string) => push_string(out, string),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if !push_json(out, item) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (at, (key, item)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_string(out, key);
                out.push(':');
                if !push_json(out, item) {
                    return false;
                }
            }
            out.push('}');
        }
        Value::Bytes(_) | Value::BigInt(_) => return false,
    }
    true
}

fn push_integer(out: &mut String, integer: i64) {
    let (mut digits, mut at, mut left) = ([0; 20], 20, integer.unsigned_abs());
    while left > 0 || at == 20 {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    if integer < 0 {
        out.push('-');
    }
    digits[at..].iter().for_each(|digit| out.push(char::from(*digit)));
}

fn push_string(out: &mut String, string: &str) {
    out.push('"');
    let mut rest = string;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, behind) = rest.split_at(at);
        out.push_str(plain);
        out.push_str("\\u00");
        push_hex(out, &behind.as_bytes()[..1]);
        rest = &behind[1..];
    }
    out.push_str(rest);
    out.push('"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";
