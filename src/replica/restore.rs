//! Restoring: edits that make the space, an object or a key read as a view shows it. They are edits like any other, so
//! the rest of the history stays as it is, and undo takes them back.

use super::view::{ViewFault, ViewIx};
use super::{EditFault, Env, Replica};
use crate::crdt::{KeyIx, MarkDelta, Slot, mark_deltas};
use crate::doc::{Body, Edit, ObjectIx, PatchBody, Written, splice, splice_of};
use crate::event::{ObjectKind, Value};
use std::collections::BTreeSet;

/// Why nothing was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreFault {
    /// There is no such view.
    #[error(transparent)]
    View(#[from] ViewFault),
    /// An object cannot be made to read so.
    #[error("{1}")]
    Edit(ObjectIx, EditFault),
}

impl Replica {
    /// Makes everything, or one object, or one key of a map, read as a view shows it, with all that is below; what reads so
    /// already is left alone.
    /// To be called in a transaction, so that a fault leaves no trace. O(objects that differ + ops / 64).
    pub fn restore(
        &mut self,
        view: ViewIx,
        object: Option<ObjectIx>,
        key: Option<&str>,
        env: &mut Env<'_>,
    ) -> Result<(), RestoreFault> {
        self.seal_closed(env);
        debug_assert!(!self.fold.has_batch(), "a transaction begins with an empty batch");
        let differing = self.fold.differing(&self.fold.counting(), self.view_ops(view)?);
        for (differs, places) in differing {
            let within = |object| match key {
                Some(key) => object == differs || self.is_below_key(differs, object, key),
                None => self.places.is_within(differs, object),
            };
            if object.is_some_and(|object| !within(object)) {
                continue;
            }
            let then = self.object_in(view, differs)?;
            let restored = match key {
                Some(key) if object.is_none_or(|object| object == differs) => {
                    self.restore_key(differs, then, key, &places, env)
                }
                _ => self.restore_object(view, differs, then, &places, env),
            };
            restored.map_err(|fault| RestoreFault::Edit(differs, fault))?;
        }
        if let Some(object) = object.filter(|object| self.fold.has_batch() && self.has_content(*object)) {
            self.edited(object, env);
        }
        Ok(())
    }

    fn restore_key(
        &mut self,
        object: ObjectIx,
        then: ObjectIx,
        key: &str,
        places: &BTreeSet<u32>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Map)?;
        let (slot, place) = self.slot_of(object, key);
        if place.is_none() {
            // What a child of it contained is restored where that is.
            self.may_write()?;
            for edit in self.slots_to_restore(object, then, places, Some(slot)) {
                self.edit_in_place(object, edit, env);
            }
            return Ok(());
        }
        match self.map_get(then, key).cloned() {
            value if value.as_ref() == self.map_get(object, key) => Ok(()),
            Some(value) => self.map_set(object, key, value, env),
            None => self.map_delete(object, key, env).map(|_| ()),
        }
    }

    fn restore_object(
        &mut self,
        view: ViewIx,
        object: ObjectIx,
        then: ObjectIx,
        places: &BTreeSet<u32>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        match &self.fold.get(object).body {
            Body::Map(_) | Body::Set(_) => {
                for edit in self.slots_to_restore(object, then, places, None) {
                    self.edit_in_place(object, edit, env);
                }
                Ok(())
            }
            Body::Cart(_) => {
                for edit in self.items_to_restore(object, then, places) {
                    self.edit_in_place(object, edit, env);
                }
                Ok(())
            }
            Body::Counter(_) => self.restore_counter(object, then, env),
            Body::Text(_) => self.restore_text(view, object, then, places, env),
            Body::List(_) => self.restore_list(view, object, then, places, env),
            // What was signed cannot be signed away by somebody else: it is reversed by those who were paid, or excluded.
            Body::Ledger(_) => Ok(()),
        }
    }

    /// What turns the slots of a map, or the elements of a set, into those of a copy; or one of them.
    fn slots_to_restore(
        &self,
        object: ObjectIx,
        then: ObjectIx,
        places: &BTreeSet<u32>,
        only: Option<Slot>,
    ) -> Vec<Edit> {
        let (Body::Map(map) | Body::Set(map)) = &self.fold.get(object).body else { return Vec::new() };
        let edit = |place: &u32| {
            let slot = Some(map.slot(KeyIx(*place))).filter(|slot| only.is_none_or(|only| only == *slot))?;
            let (now, then) = (self.shown(object, &slot), self.shown(then, &slot));
            match then {
                _ if now == then => None,
                Some(written) => Some(Edit::Put(slot, written.clone())),
                None => Some(match (slot, now) {
                    (Slot::Group(_), Some(Written::Tuple(values))) => {
                        Edit::Put(slot, Written::Tuple(vec![None; values.len()].into()))
                    }
                    _ => Edit::Take(slot),
                }),
            }
        };
        places.iter().filter_map(edit).collect()
    }

    /// What a slot of a map, or an element of a set, shows.
    fn shown(&self, object: ObjectIx, slot: &Slot) -> Option<&Written> {
        let written = match &self.fold.get(object).body {
            Body::Set(set) => self.added(set.get(slot)?, self.last_writer_wins(object)),
            _ => self.map_winner(object, slot),
        };
        written.filter(|written| written.is_visible())
    }

    fn items_to_restore(&self, object: ObjectIx, then: ObjectIx, places: &BTreeSet<u32>) -> Vec<Edit> {
        let Body::Cart(cart) = &self.fold.get(object).body else { return Vec::new() };
        let edit = |place: &u32| {
            let item = cart.name(KeyIx(*place));
            let (now, then) = (self.cart_sum(object, item), self.cart_sum(then, item).max(0));
            match then {
                _ if now.max(0) == then => None,
                0 => Some(Edit::Remove(item)),
                _ => i64::try_from(then - now).ok().map(|more| Edit::AddTo(item, more)),
            }
        };
        places.iter().filter_map(edit).collect()
    }

    fn restore_counter(
        &mut self,
        object: ObjectIx,
        then: ObjectIx,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        let more = self.counter_value(then) - self.counter_value(object);
        let more = i64::try_from(more).map_err(|_| EditFault::Overflow)?;
        self.check_sum(object, more)?;
        if more != 0 {
            self.edit_in_place(object, Edit::Add(more), env);
        }
        Ok(())
    }

    /// Edits where the two differ. What was moved since is put back as another element.
    fn restore_list(
        &mut self,
        view: ViewIx,
        object: ObjectIx,
        then: ObjectIx,
        places: &BTreeSet<u32>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        let (now, ops) = (self.fold.counting(), self.view_ops(view).expect("its object was just read"));
        let patch = self.fold.diff_of(self.log.graph(), object, places, &now, ops);
        let Some(PatchBody::List { splices, inserted }) = patch else { return Ok(()) };
        let all = |list: ObjectIx| self.list(list).and_then(|list| list.slice(0..list.len()).ok());
        // Other elements can hold the same values in the same order.
        if all(object) == all(then) {
            return Ok(());
        }
        let mut inserted = inserted.into_iter();
        for [index, removed, count] in splices {
            let then: Vec<Value> = inserted.by_ref().take(count as usize).collect();
            let now = self.list(object).and_then(|list| list.slice(index..index + removed).ok());
            let Some([offset, removed, count]) =
                splice_of(&now.unwrap_or_default(), &then.iter().collect::<Vec<_>>())
            else {
                continue;
            };
            let (start, more) = (offset as usize, (offset + count) as usize);
            self.fold.list_delete(object, index + offset, removed)?;
            self.fold.list_insert(object, index + offset, then[start..more].to_vec())?;
            self.begin_batch(env);
        }
        Ok(())
    }

    /// Edits where the two differ, so that what others write elsewhere meanwhile stays where it is.
    fn restore_text(
        &mut self,
        view: ViewIx,
        object: ObjectIx,
        then: ObjectIx,
        places: &BTreeSet<u32>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        let (now, ops) = (self.fold.counting(), self.view_ops(view).expect("its object was just read"));
        let patch = self.fold.diff_of(self.log.graph(), object, places, &now, ops);
        let Some(PatchBody::Text { splices, inserted, .. }) = patch else { return Ok(()) };
        let read = |text: ObjectIx| self.text(text).map(ToString::to_string);
        // Other units can be the same letters in the same order.
        if read(object) == read(then) {
            return self.restore_marks(object, then, env);
        }
        let (units, mut from): (Vec<u16>, usize) = (inserted.encode_utf16().collect(), 0);
        for [position, removed, inserted] in splices {
            let end = from + inserted as usize;
            self.replace(object, position, removed, &String::from_utf16_lossy(&units[from..end]), env)?;
            from = end;
        }
        let (Some(now), Some(of)) = (self.text(object), self.text(then)) else { return Ok(()) };
        let (len, text) = (now.len(), of.to_string());
        if now.to_string() != text {
            // Half a pair, which only a forged op leaves behind, moved what came after it.
            self.replace(object, 0, len, &text, env)?;
        }
        self.restore_marks(object, then, env)
    }

    fn restore_marks(
        &mut self,
        object: ObjectIx,
        then: ObjectIx,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        let (Some(now), Some(then)) = (self.text(object), self.text(then)) else { return Ok(()) };
        for MarkDelta { pos, len, key, value, .. } in mark_deltas(&now.runs(), &[], &then.runs()) {
            let value = value.unwrap_or(Value::Null);
            self.fold.text_mark(self.log.graph(), object, pos..pos + len, (key, value), None)?;
            self.edited_in_place(env);
        }
        Ok(())
    }

    /// Makes a range read as a string, where it does not: what was deleted and is there again is not written once more.
    fn replace(
        &mut self,
        object: ObjectIx,
        position: u32,
        removed: u32,
        string: &str,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        let Some(text) = self.text(object) else { return Ok(()) };
        let start = position.min(text.len());
        let now = text.slice(start..(start + removed).min(text.len())).unwrap_or_default();
        let Some(([offset, removed, _], inserted)) = splice(&now, string) else { return Ok(()) };
        if removed > 0 {
            self.fold.text_delete(object, start + offset, removed)?;
        }
        if !inserted.is_empty() {
            self.fold.text_insert(object, start + offset, inserted)?;
        }
        self.edited_in_place(env);
        Ok(())
    }
}
