//! The replica for JavaScript, third part: counters, sets and carts, objects under keys, undo.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, edit_error, with_env};
use super::{options, output, value};
use crate::replica::blob_hash;
use crate::{ObjectIx, ObjectKind, Value};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    #[wasm_bindgen(js_name = counterAdd)]
    pub fn counter_add(&mut self, handle: u32, amount: f64) -> Answer<()> {
        let (object, amount) = (self.object_at(handle)?, whole(amount)?);
        with_env(|env| self.core_mut().counter_add(object, amount, env))
            .map_err(|fault| edit_error(fault, "n"))
    }

    #[wasm_bindgen(js_name = counterValue)]
    pub fn counter_value(&self, handle: u32) -> Answer<f64> {
        Ok(self.core().counter_value(self.object_at(handle)?) as f64)
    }

    #[wasm_bindgen(js_name = setAdd)]
    pub fn set_add(&mut self, handle: u32, element: &JsValue, value: &JsValue) -> Answer<()> {
        let (object, element) = (self.object_at(handle)?, value::from_js(element, "element")?);
        let value = if value.is_undefined() { None } else { Some(value::from_js(value, "value")?) };
        with_env(|env| self.core_mut().set_add(object, &element, value, env))
            .map_err(|fault| edit_error(fault, "element"))
    }

    #[wasm_bindgen(js_name = setDelete)]
    pub fn set_delete(&mut self, handle: u32, element: &JsValue) -> Answer<bool> {
        let (object, element) = (self.object_at(handle)?, value::from_js(element, "element")?);
        with_env(|env| self.core_mut().set_delete(object, &element, env))
            .map_err(|fault| edit_error(fault, "element"))
    }

    #[wasm_bindgen(js_name = setHas)]
    pub fn set_has(&self, handle: u32, element: &JsValue) -> Answer<bool> {
        Ok(self.core().set_has(self.object_at(handle)?, &value::from_js(element, "element")?))
    }

    #[wasm_bindgen(js_name = setGet)]
    pub fn set_get(&self, handle: u32, element: &JsValue) -> Answer<JsValue> {
        let element = value::from_js(element, "element")?;
        Ok(optional(self.core().set_get(self.object_at(handle)?, &element)))
    }

    #[wasm_bindgen(js_name = setSize)]
    pub fn set_size(&self, handle: u32) -> Answer<u32> {
        Ok(self.core().set_size(self.object_at(handle)?) as u32)
    }

    /// The elements, and beside them their values.
    #[wasm_bindgen(js_name = setElements)]
    pub fn set_elements(&self, handle: u32) -> Answer<Array> {
        let (elements, values) = (Array::new(), Array::new());
        for (element, value) in self.core().set_elements(self.object_at(handle)?) {
            elements.push(&value::to_js(element));
            values.push(&optional(value));
        }
        Ok(Array::of2(&elements, &values))
    }

    #[wasm_bindgen(js_name = cartAdd)]
    pub fn cart_add(&mut self, handle: u32, item: &JsValue, quantity: f64) -> Answer<()> {
        let (object, item) = (self.object_at(handle)?, value::from_js(item, "item")?);
        let quantity = whole(quantity)?;
        with_env(|env| self.core_mut().cart_add(object, &item, quantity, env))
            .map_err(|fault| edit_error(fault, "item"))
    }

    #[wasm_bindgen(js_name = cartRemove)]
    pub fn cart_remove(&mut self, handle: u32, item: &JsValue) -> Answer<bool> {
        let (object, item) = (self.object_at(handle)?, value::from_js(item, "item")?);
        with_env(|env| self.core_mut().cart_remove(object, &item, env))
            .map_err(|fault| edit_error(fault, "item"))
    }

    #[wasm_bindgen(js_name = cartQuantity)]
    pub fn cart_quantity(&self, handle: u32, item: &JsValue) -> Answer<f64> {
        let item = value::from_js(item, "item")?;
        Ok(self.core().cart_quantity(self.object_at(handle)?, &item) as f64)
    }

    /// The number of the object of a kind under a key of a map.
    #[wasm_bindgen(js_name = mapChild)]
    pub fn map_child(&mut self, handle: u32, key: &str, kind: u8, options: JsValue) -> Answer<u32> {
        let object = self.object_at(handle)?;
        let kind = ObjectKind::from_code(kind).ok_or_else(|| EdgeError::argument("kind", "unknown kind"))?;
        let options = options::from_js(options)?;
        let child = self.core_mut().map_child(object, key, kind, &options);
        child.map(|child| child.0).map_err(|fault| edit_error(fault, "key"))
    }

    /// What an object is, and its name or where it is; undefined if no content that is here says it.
    pub fn origin(&self, handle: u32) -> Answer<JsValue> {
        Ok(output::origin(self.object_at(handle)?, self.core()))
    }

    /// Whether there was something to take back, on these objects or on any.
    pub fn undo(&mut self, scope: &[u32]) -> Answer<bool> {
        let scope = self.objects_at(scope)?;
        Ok(with_env(|env| self.core_mut().undo(&scope, env)))
    }

    pub fn redo(&mut self, scope: &[u32]) -> Answer<bool> {
        let scope = self.objects_at(scope)?;
        Ok(with_env(|env| self.core_mut().redo(&scope, env)))
    }

    #[wasm_bindgen(js_name = canUndo)]
    pub fn can_undo(&mut self, scope: &[u32]) -> Answer<bool> {
        let scope = self.objects_at(scope)?;
        self.sealed_core();
        Ok(self.core_mut().can_undo(&scope))
    }

    #[wasm_bindgen(js_name = canRedo)]
    pub fn can_redo(&mut self, scope: &[u32]) -> Answer<bool> {
        let scope = self.objects_at(scope)?;
        self.sealed_core();
        Ok(self.core_mut().can_redo(&scope))
    }

    #[wasm_bindgen(js_name = undoGroup)]
    pub fn undo_group(&mut self, begins: bool, is_none: bool) {
        with_env(|env| match begins {
            true => self.core_mut().begin_undo_group(is_none, env),
            false => self.core_mut().end_undo_group(env),
        });
    }

    #[wasm_bindgen(js_name = blobHash)]
    pub fn blob_hash(&self, level: u8, bytes: &[u8]) -> Vec<u8> {
        blob_hash(level, bytes).0.to_vec()
    }

    /// The items, and beside them their quantities.
    #[wasm_bindgen(js_name = cartEntries)]
    pub fn cart_entries(&self, handle: u32) -> Answer<Array> {
        let (items, quantities) = (Array::new(), Array::new());
        for (item, quantity) in self.core().cart_entries(self.object_at(handle)?) {
            items.push(&value::to_js(item));
            quantities.push(&(quantity as f64).into());
        }
        Ok(Array::of2(&items, &quantities))
    }
}

impl Replica {
    fn objects_at(&self, handles: &[u32]) -> Answer<Vec<ObjectIx>> {
        handles.iter().map(|handle| self.object_at(*handle)).collect()
    }
}

fn optional(value: Option<&Value>) -> JsValue {
    value.map_or(JsValue::UNDEFINED, value::to_js)
}

/// A whole number that a double holds exactly.
fn whole(number: f64) -> Answer<i64> {
    let exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    exact.then_some(number as i64).ok_or_else(|| EdgeError::argument("n", "n is not a safe integer"))
}
