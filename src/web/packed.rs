//! Changes of texts for JavaScript, which come after every keystroke, as numbers and one string: built of objects with names
//! they would take longer than the edits. How they are packed stands in `ts/packed.ts`.
use js_sys::{Array, Int32Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::error::EdgeError;
use super::replica::Replica;
use crate::replica::{Change, Source};
use crate::{ActorId, MemberId, PatchBody};

/// What goes with the changes that were packed last.
#[derive(Default)]
pub(super) struct Packed {
    text: String,
    /// Those who made changes, by their numbers.
    authors: Vec<(MemberId, ActorId)>,
}

impl Packed {
    /// Packs changes, if all of them are of texts and of nothing but their units.
    /// `more` says whether another output waits.
    pub fn pack(&mut self, changes: &[Change], more: bool) -> Option<JsValue> {
        let plain =
            |change: &Change| matches!(&change.body, PatchBody::Text { marks, .. } if marks.is_empty());
        if !changes.iter().all(plain) {
            return None;
        }
        let mut numbers = vec![i32::from(more)];
        self.text.clear();
        for change in changes {
            let PatchBody::Text { splices, inserted, .. } = &change.body else { continue };
            let source = match change.source {
                Source::Local => 0,
                Source::Remote => 1,
                Source::Undo => 2,
                Source::Policy => 3,
            };
            let author = self.author((change.member, change.actor));
            let changeset = change.changeset.map_or_else(String::new, |id| id.to_string());
            let sizes = [changeset.len(), splices.len()].map(|size| size as i32);
            numbers.extend([change.object.0 as i32, source, author, sizes[0], sizes[1]]);
            numbers.extend(splices.iter().flatten().map(|number| *number as i32));
            self.text.push_str(&changeset);
            self.text.push_str(inserted);
        }
        Some(Int32Array::from(numbers.as_slice()).unchecked_into())
    }

    /// The number of an author.
    pub fn author(&mut self, author: (MemberId, ActorId)) -> i32 {
        // Most changes are of whoever made the last ones.
        let known = self.authors.iter().rposition(|known| *known == author);
        known.unwrap_or_else(|| {
            self.authors.push(author);
            self.authors.len() - 1
        }) as i32
    }
}

#[wasm_bindgen]
impl Replica {
    /// The text that goes with packed changes.
    #[wasm_bindgen(js_name = packedText)]
    pub fn packed_text(&mut self) -> String {
        std::mem::take(&mut self.packed.text)
    }

    /// The member and the actor of a number in packed changes.
    pub fn author(&self, number: usize) -> Result<Array, EdgeError> {
        let unknown = || EdgeError::argument("number", "no such author");
        let (member, actor) = self.packed.authors.get(number).ok_or_else(unknown)?;
        Ok(Array::of2(&member.to_string().into(), &actor.to_string().into()))
    }
}
