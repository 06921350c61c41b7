//! Local edits. They apply at once and wait in the open batch until it is sealed.

use super::{Env, Output, Replica, Source, Trouble};
use crate::causal::NameId;
use crate::codec::limits;
use crate::doc::{BatchMark, Body, EditError, ObjectIx, Patch};
use crate::event::{Role, Sort, Value, name_id};

/// The largest value that fits into a changeset beside the rest of it: certificates, clear names, message and padding.
const VALUE_BYTES_MAX: usize = limits::CHANGESET_BYTES_MAX - 49_152;

/// Why an edit was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    /// A reader may not write.
    #[error("this member may only read")]
    Access,
    /// A position or length is outside the text.
    #[error("position is outside the text")]
    Range,
    /// A value, a name or a text is over its limit.
    #[error("value, name or text is too large")]
    TooLarge,
    /// The name was used with another kind before.
    #[error("the name was used with another kind of object")]
    OtherKind,
    /// This version has no such kind of object.
    #[error("this version does not know that kind of object")]
    Unsupported,
    /// The object is of another kind.
    #[error("the object is of another kind")]
    Kind,
}

impl From<EditError> for EditFault {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Range => Self::Range,
            EditError::TooLong => Self::TooLarge,
        }
    }
}

/// A place in the open batch.
#[derive(Clone, Debug)]
pub struct Mark(BatchMark);

impl Replica {
    /// Writes a key of a map.
    pub fn map_set(
        &mut self,
        object: ObjectIx,
        key: &str,
        value: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.map_at(object)?;
        let name = self.key_for_writing(key, env)?;
        if value.to_bytes().len() > VALUE_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        let patch = self.fold.map_set(self.log.graph(), object, name, value);
        self.edited(patch);
        Ok(())
    }

    /// Deletes a key of a map; says whether it was there. A key that was not there is left alone.
    pub fn map_delete(&mut self, object: ObjectIx, key: &str, env: &mut Env<'_>) -> Result<bool, EditFault> {
        let there = self.map_at(object)? && self.map_get(object, key).is_some();
        if there {
            let name = self.key_for_writing(key, env)?;
            let patch = self.fold.map_delete(self.log.graph(), object, name);
            self.edited(patch);
        } else {
            self.may_write()?;
        }
        Ok(there)
    }

    /// Inserts text at a visible position in UTF-16 units; never inside a surrogate pair.
    pub fn text_insert(
        &mut self,
        object: ObjectIx,
        position: u32,
        string: &str,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.text_at(object)?;
        let patch = self.fold.text_insert(object, position, string)?;
        self.begin_batch(env);
        self.edited(patch);
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
        self.text_at(object)?;
        let patch = self.fold.text_delete(object, position, len)?;
        self.begin_batch(env);
        self.edited(patch);
        Ok(())
    }

    /// A place to roll back to.
    pub fn mark(&self) -> Mark {
        Mark(self.fold.mark())
    }

    /// Takes back all local edits since a mark in the batch that is still open.
    pub fn rollback(&mut self, mark: &Mark) {
        let patches = self.fold.rollback(self.log.graph(), &mark.0);
        self.report_own(patches);
        if !self.fold.has_batch() {
            self.batch.begun_ms = None;
        }
    }

    /// Whether this member may write.
    pub(super) fn may_write(&self) -> Result<(), EditFault> {
        if self.role() < Role::Writer { Err(EditFault::Access) } else { Ok(()) }
    }

    /// The HMAC of a map key; known ones are looked up.
    pub(super) fn key_id(&self, key: &str) -> NameId {
        let hmac = || name_id(self.identity.keyring().names(), Sort::MapKey, key.as_bytes());
        self.names.key_id(key).unwrap_or_else(hmac)
    }

    fn key_for_writing(&mut self, key: &str, env: &mut Env<'_>) -> Result<NameId, EditFault> {
        self.may_write()?;
        if key.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        let name = self.key_id(key);
        self.names.learn_key(name, key);
        self.begin_batch(env);
        Ok(name)
    }

    fn map_at(&self, object: ObjectIx) -> Result<bool, EditFault> {
        if matches!(self.fold.get(object).body, Body::Map(_)) { Ok(true) } else { Err(EditFault::Kind) }
    }

    fn text_at(&self, object: ObjectIx) -> Result<(), EditFault> {
        if matches!(self.fold.get(object).body, Body::Text(_)) { Ok(()) } else { Err(EditFault::Kind) }
    }

    fn begin_batch(&mut self, env: &mut Env<'_>) {
        self.batch.begun_ms.get_or_insert(env.now_ms);
    }

    fn edited(&mut self, patch: Option<Patch>) {
        self.report_own(patch.into_iter().collect());
    }

    pub(super) fn report_own(&mut self, patches: Vec<Patch>) {
        let Some(actor) = self.actor else { return };
        let by = (self.member(), actor);
        self.report(Source::Local, by, None, patches);
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.outputs.push_back(Output::Trouble(trouble));
    }
}
