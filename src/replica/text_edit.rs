//! Local edits of texts, and what a text reads as with its marks.

use super::edit::VALUE_BYTES_MAX;
use super::{EditFault, Env, Replica};
use crate::causal::NameId;
use crate::codec::limits;
use crate::crdt::Text;
use crate::doc::ObjectIx;
use crate::event::{Expand, ObjectKind, Sort, Value, name_id};
use std::ops::Range;
use std::sync::Arc;

/// A run of visible text, in UTF-16 units, and what it shows: by key.
pub type MarkedRun<'a> = (u32, Vec<(&'a Arc<str>, &'a Value)>);

impl Replica {
    /// Inserts text at a visible position in UTF-16 units; never inside a surrogate pair.
    pub fn text_insert(
        &mut self,
        object: ObjectIx,
        position: u32,
        string: &str,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::Text)?;
        self.fold.text_insert(object, position, string)?;
        if !string.is_empty() {
            self.edited(object, env);
        }
        Ok(())
    }

    /// The same, with text that shows just these marks, whatever shows around it; null is no mark.
    pub fn text_insert_marked(
        &mut self,
        object: ObjectIx,
        position: u32,
        string: &str,
        marks: Vec<(String, Value)>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::Text)?;
        let shown = marks.into_iter().map(|(key, value)| Ok((self.mark_for_writing(&key, &value)?, value)));
        let shown: Vec<(NameId, Value)> = shown.collect::<Result<_, EditFault>>()?;
        self.fold.text_insert_marked(self.log.graph(), object, position, string, &shown)?;
        if !string.is_empty() {
            self.edited(object, env);
        }
        Ok(())
    }

    /// Deletes a visible range in UTF-16 units; it is widened to whole surrogate pairs.
    pub fn text_delete(
        &mut self,
        object: ObjectIx,
        position: u32,
        len: u32,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::Text)?;
        self.fold.text_delete(object, position, len)?;
        if len > 0 {
            self.edited(object, env);
        }
        Ok(())
    }

    /// Marks a visible range in UTF-16 units, widened to whole surrogate pairs; null clears. How the mark grows is as that of
    /// the last one with the key, if it is not said.
    pub fn text_mark(
        &mut self,
        object: ObjectIx,
        range: Range<u32>,
        (key, value): (&str, Value),
        expand: Option<Expand>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::Text)?;
        let key = self.mark_for_writing(key, &value)?;
        self.fold.text_mark(self.log.graph(), object, range, (key, value), expand)?;
        self.edited(object, env);
        Ok(())
    }

    /// The whole text in runs that show the same marks. O(places where a mark begins or ends).
    pub fn text_runs(&self, object: ObjectIx) -> Vec<MarkedRun<'_>> {
        let mut runs: Vec<MarkedRun<'_>> = Vec::new();
        for run in self.text(object).map(Text::runs).unwrap_or_default() {
            let named = |(key, value): (NameId, _)| Some((self.names.mark_key(&key)?, value));
            let marks: Vec<_> = run.marks.into_iter().filter_map(named).collect();
            match runs.last_mut() {
                // They differ in a key whose name nobody told.
                Some((len, last)) if *last == marks => *len += run.len,
                _ => runs.push((run.len, marks)),
            }
        }
        runs
    }

    /// The clear form of the key of a mark.
    pub fn mark_name(&self, key: &NameId) -> Option<&Arc<str>> {
        self.names.mark_key(key)
    }

    fn mark_for_writing(&mut self, key: &str, value: &Value) -> Result<NameId, EditFault> {
        if key.len() > limits::NAME_BYTES_MAX || !value.fits(VALUE_BYTES_MAX) {
            return Err(EditFault::TooLarge);
        }
        let name = name_id(self.identity.keyring().names(), Sort::MarkKey, key.as_bytes());
        self.names.learn(Sort::MarkKey, name, key.as_bytes());
        Ok(name)
    }
}
