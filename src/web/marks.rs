//! The replica for JavaScript, fourth part: marks of texts.
use js_sys::{Array, Object};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::error::EdgeError;
use super::replica::{Replica, edit_error, unit};
use super::value;
use crate::{Expand, Value};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    /// `marks` holds pairs of a key and a value.
    #[wasm_bindgen(js_name = textInsertMarked)]
    pub fn text_insert_marked(
        &mut self,
        handle: u32,
        position: f64,
        string: &str,
        marks: &Array,
    ) -> Answer<()> {
        let (object, position) = (self.object_at(handle)?, unit(position, "index")?);
        let marks: Result<Vec<(String, Value)>, EdgeError> = marks.iter().map(|pair| mark(&pair)).collect();
        let marks = marks?;
        self.edit(|core, env| core.text_insert_marked(object, position, string, marks, env))
            .map_err(|fault| edit_error(fault, "attrs"))
    }

    /// `expand` is 1 for a mark that grows at its start, 2 at its end, 3 at both, 0 at none; undefined for as before.
    #[wasm_bindgen(js_name = textMark)]
    pub fn text_mark(
        &mut self,
        handle: u32,
        start: f64,
        end: f64,
        key: &str,
        value: &JsValue,
        expand: Option<u8>,
    ) -> Answer<()> {
        let (object, value) = (self.object_at(handle)?, value::from_js(value, "value")?);
        let range = unit(start, "start")?..unit(end, "end")?;
        let expand = expand.map(|bits| Expand { before: bits & 1 != 0, after: bits & 2 != 0 });
        self.edit(|core, env| core.text_mark(object, range, (key, value), expand, env))
            .map_err(|fault| edit_error(fault, "end"))
    }

    /// The text in runs that show the same marks: pairs of a length and an object.
    #[wasm_bindgen(js_name = textRuns)]
    pub fn text_runs(&self, handle: u32) -> Answer<Array> {
        let runs = self.core().text_runs(self.object_at(handle)?);
        let run = |(len, marks): &(u32, Vec<_>)| {
            let shown = marks.iter().map(|(key, value): &(&std::sync::Arc<str>, &Value)| {
                Array::of2(&JsValue::from(&***key), &value::to_js(value))
            });
            // Own properties, whatever they are called.
            let shown = Object::from_entries(&shown.collect::<Array>()).expect("pairs are arrays of two");
            Array::of2(&(*len).into(), &shown)
        };
        Ok(runs.iter().map(run).collect())
    }
}

fn mark(pair: &JsValue) -> Answer<(String, Value)> {
    let pair = pair.dyn_ref::<Array>().ok_or_else(|| EdgeError::argument("attrs", "not a pair"))?;
    let key = pair.get(0).as_string().ok_or_else(|| EdgeError::argument("attrs", "a key is no string"))?;
    Ok((key, value::from_js(&pair.get(1), "attrs")?))
}
