//! The replica for JavaScript, fourth part: lists. Numbers of elements tell the caller which ones it has already.
use js_sys::Array;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, edit_error, unit};
use super::value;
use crate::replica::EditFault;
use crate::{List, Value};

type Answer<T> = Result<T, EdgeError>;

#[wasm_bindgen]
impl Replica {
    #[wasm_bindgen(js_name = listLength)]
    pub fn list_length(&self, handle: u32) -> Answer<u32> {
        self.list(handle).map(List::len)
    }

    /// The number of an element, below zero if there is none.
    #[wasm_bindgen(js_name = listId)]
    pub fn list_id(&self, handle: u32, index: u32) -> Answer<f64> {
        Ok(self.core().list_id(self.object_at(handle)?, index).map_or(-1.0, |id| id as f64))
    }

    /// The numbers of all elements.
    #[wasm_bindgen(js_name = listIds)]
    pub fn list_ids(&self, handle: u32) -> Answer<Vec<f64>> {
        Ok(self.core().list_ids(self.object_at(handle)?).into_iter().map(|id| id as f64).collect())
    }

    #[wasm_bindgen(js_name = listSlice)]
    pub fn list_slice(&self, handle: u32, from: u32, to: u32) -> Answer<Array> {
        let slice = self.list(handle)?.slice(from..to);
        let slice = slice.map_err(|error| EdgeError::argument("to", error.to_string()))?;
        Ok(slice.into_iter().map(value::to_js).collect())
    }

    /// Inserts before an index, at the end without one.
    #[wasm_bindgen(js_name = listInsert)]
    pub fn list_insert(&mut self, handle: u32, index: Option<f64>, values: &Array) -> Answer<()> {
        let object = self.object_at(handle)?;
        let index = match index {
            Some(index) => unit(index, "index")?,
            None => self.list(handle)?.len(),
        };
        let values: Vec<Value> =
            values.iter().map(|one| value::from_js(&one, "values")).collect::<Result<_, _>>()?;
        self.edit(|core, env| core.list_insert(object, index, values, env)).map_err(|fault| {
            let argument = if fault == EditFault::TooLarge { "values" } else { "index" };
            edit_error(fault, argument)
        })
    }

    #[wasm_bindgen(js_name = listDelete)]
    pub fn list_delete(&mut self, handle: u32, index: f64, len: f64) -> Answer<()> {
        let (object, index, len) = (self.object_at(handle)?, unit(index, "index")?, unit(len, "n")?);
        self.edit(|core, env| core.list_delete(object, index, len, env))
            .map_err(|fault| edit_error(fault, "index"))
    }

    #[wasm_bindgen(js_name = listMove)]
    pub fn list_move(&mut self, handle: u32, from: f64, to: f64) -> Answer<()> {
        let (object, from, to) = (self.object_at(handle)?, unit(from, "from")?, unit(to, "to")?);
        self.edit(|core, env| core.list_move(object, from, to, env))
            .map_err(|fault| edit_error(fault, "from"))
    }
}

impl Replica {
    fn list(&self, handle: u32) -> Answer<&List> {
        let object = self.object_at(handle)?;
        self.core().list(object).ok_or_else(|| EdgeError::argument("object", "not a list"))
    }
}
