//! Local edits of lists.

use super::edit::VALUE_BYTES_MAX;
use super::{EditFault, Env, Replica};
use crate::doc::ObjectIx;
use crate::event::{ObjectKind, Value};

impl Replica {
    /// Inserts elements before an index of a list.
    pub fn list_insert(
        &mut self,
        object: ObjectIx,
        index: u32,
        values: Vec<Value>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::List)?;
        if !values.iter().all(|value| value.fits(VALUE_BYTES_MAX)) {
            return Err(EditFault::TooLarge);
        }
        let any = !values.is_empty();
        self.fold.list_insert(object, index, values)?;
        if any {
            self.edited(object, env);
        }
        Ok(())
    }

    /// Deletes elements of a list.
    pub fn list_delete(
        &mut self,
        object: ObjectIx,
        index: u32,
        len: u32,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::List)?;
        self.fold.list_delete(object, index, len)?;
        if len > 0 {
            self.edited(object, env);
        }
        Ok(())
    }

    /// Moves an element of a list so that it is the one at `to`.
    pub fn list_move(
        &mut self,
        object: ObjectIx,
        from: u32,
        to: u32,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        self.expect(object, ObjectKind::List)?;
        self.fold.list_move(self.log.graph(), object, from, to)?;
        if from != to {
            self.edited(object, env);
        }
        Ok(())
    }
}
