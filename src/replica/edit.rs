//! Local edits. They apply at once and wait in the open batch until it is sealed.

use super::{Env, Output, Replica, Source, Trouble};
use crate::causal::NameId;
use crate::codec::limits;
use crate::crdt::Slot;
use crate::doc::{AMOUNT_MAX, BatchMark, Body, Edit, EditError, ObjectIx, Written};
use crate::event::{ObjectKind, Options, Role, Sort, Value, name_id};

/// The largest value that fits into a changeset beside the rest of it: certificates, clear names, message and padding.
pub(super) const VALUE_BYTES_MAX: usize = limits::CHANGESET_BYTES_MAX - 49_152;

/// How many units more than were gathered a text or a list has to have room for.
const ROOM: u32 = 1 << 24;

/// Why an edit was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    /// A reader may not write.
    #[error("this member may only read")]
    Access,
    /// A position or length is outside the text or list.
    #[error("position is outside the text or list")]
    Range,
    /// A mark of nothing.
    #[error("the range is empty")]
    Empty,
    /// An amount is zero, or takes from a counter that only grows.
    #[error("amount is zero, or below zero for a counter that only grows")]
    Amount,
    /// A sum would leave what a number holds exactly.
    #[error("the sum would leave the safe integers")]
    Overflow,
    /// A value, a name or a text is over its limit.
    #[error("value, name or text is too large")]
    TooLarge,
    /// The name was used with another kind before.
    #[error("the name was used with another kind of object")]
    OtherKind,
    /// The name was used with other options before.
    #[error("the name was used with other options")]
    OtherOptions,
    /// The options are not what an object of the kind can have.
    #[error("options do not fit the kind of object")]
    Options,
    /// This version has no such kind of object.
    #[error("this version does not know that kind of object")]
    Unsupported,
    /// The object is of another kind.
    #[error("the object is of another kind")]
    Kind,
    /// The key is a declared field: it is an object, and holds no value.
    #[error("the key is a field of the map: edit the child under it instead")]
    Field,
    /// The key is written together with others: it holds no object.
    #[error("the key is one of a coupled group, which holds values only")]
    Coupled,
    /// The object would be below more keys than may lead to one.
    #[error("no more than {} keys may lead to an object", super::DEPTH_MAX)]
    Depth,
    /// An amount of a ledger that is not above zero, or too large.
    #[error("an amount of a ledger is above zero and below 2^95")]
    Money,
    /// An account that does not exist, or gives to itself.
    #[error("no such account: nobody opened it, or no such member is here, or it is the one that gives")]
    Account,
    /// What cannot be the name of an account.
    #[error("the name of an account is not empty, does not begin with # and is no member's id")]
    AccountName,
    /// Another member owns the account.
    #[error("another member has opened the account")]
    Taken,
    /// Only its owner gives something away.
    #[error("only its owner gives something away")]
    Owner,
    /// The account would go below its credit limit.
    #[error("the account would go below its credit limit")]
    Credit,
    /// No entry of the ledger.
    #[error("no entry of this ledger")]
    Entry,
    /// A changeset with several.
    #[error("the write has several entries in this ledger: name one by its id, \"changeset:index\"")]
    Several,
    /// An entry that cannot be given back.
    #[error("the entry does not count, gives something back itself, or was given back")]
    Returned,
    /// The command was used for another event.
    #[error("the command stands for another event")]
    EventCommand,
    /// The command was used for another payment.
    #[error("the command stands for another payment")]
    Command,
    /// The object is one that a view shows.
    #[error("a view is read-only")]
    ReadOnly,
}

impl From<EditError> for EditFault {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Range => Self::Range,
            EditError::Empty => Self::Empty,
            EditError::TooLong => Self::TooLarge,
        }
    }
}

/// What edits of an object can be checked against by whoever gathers them, for as long as nothing else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditBase {
    /// A text.
    Text {
        /// In UTF-16 units.
        len: u32,
        /// Whether typing unit by unit is the same as inserting at once, and deleting takes what it is told and no more.
        joins: bool,
    },
    /// A list.
    List {
        /// In elements.
        len: u32,
    },
    /// A counter.
    Counter {
        /// A safe integer.
        value: i64,
    },
    /// A map or a set whose writes change the keys or elements that they name and nothing else, whatever is there.
    Keys,
}

/// A place in the open batch.
#[derive(Clone, Debug)]
pub struct Mark(BatchMark);

impl Replica {
    /// Writes a key of a map. An object that it shows is emptied.
    pub fn map_set(
        &mut self,
        object: ObjectIx,
        key: &str,
        value: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Map)?;
        if !value.fits(VALUE_BYTES_MAX) {
            return Err(EditFault::TooLarge);
        }
        let options = self.options_of(object);
        if options.is_some_and(|options| options.field(key).is_some()) {
            return Err(EditFault::Field);
        }
        let (slot, written) = match options.and_then(|options| options.group_of(key)) {
            Some((group, place)) => {
                self.may_write()?;
                let tuple = self.tuple_with(object, group, place, Some(value));
                (Slot::Group(group), self.fitting(tuple)?)
            }
            None => (Slot::Key(self.key_for_writing(key)?), Written::Value(value)),
        };
        self.clear_under(object, slot, None);
        self.edit(object, Edit::Put(slot, written), env);
        Ok(())
    }

    /// Deletes a key of a map; says whether it was there. A key that was not there is left alone. An object that it shows is
    /// emptied; so is a field, which stays, and for which this says whether it had content.
    pub fn map_delete(&mut self, object: ObjectIx, key: &str, env: &mut Env<'_>) -> Result<bool, EditFault> {
        self.expect(object, ObjectKind::Map)?;
        self.may_write()?;
        if let Some(kind) = self.field_of(object, key) {
            let field = self.map_child(object, key, kind, &Options::default())?;
            let any = self.clear(field);
            if any {
                self.edited(field, env);
            }
            return Ok(any);
        }
        if !self.map_has(object, key) {
            return Ok(false);
        }
        let edit = match self.options_of(object).and_then(|options| options.group_of(key)) {
            Some((group, place)) => {
                Edit::Put(Slot::Group(group), self.tuple_with(object, group, place, None))
            }
            None => {
                let slot = Slot::Key(self.key_for_writing(key)?);
                self.clear_under(object, slot, None);
                Edit::Take(slot)
            }
        };
        self.edit(object, edit, env);
        Ok(true)
    }

    /// Adds to a counter. A sum that a number cannot hold exactly is refused.
    pub fn counter_add(&mut self, object: ObjectIx, amount: i64, env: &mut Env<'_>) -> Result<(), EditFault> {
        self.check_sum(object, amount)?;
        if amount != 0 {
            self.edit(object, Edit::Add(amount), env);
        }
        Ok(())
    }

    /// Whether an amount can be added to a counter.
    pub(super) fn check_sum(&self, object: ObjectIx, amount: i64) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Counter)?;
        self.may_write()?;
        let grows = self.options_of(object).is_some_and(|options| options.variant);
        if amount < 0 && grows || amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
            return Err(EditFault::Amount);
        }
        let sum = self.counter_value(object) + i128::from(amount);
        if sum.unsigned_abs() > u128::from(AMOUNT_MAX.unsigned_abs()) {
            return Err(EditFault::Overflow);
        }
        Ok(())
    }

    /// Puts an element into a set, with a value if one is given. O(1).
    pub fn set_add(
        &mut self,
        object: ObjectIx,
        element: &Value,
        value: Option<Value>,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Set)?;
        let name = self.value_for_writing(Sort::SetElement, element)?;
        if value.as_ref().is_some_and(|value| !value.fits(VALUE_BYTES_MAX)) {
            return Err(EditFault::TooLarge);
        }
        self.edit(object, Edit::Put(Slot::Key(name), value.map_or(Written::Bare, Written::Value)), env);
        Ok(())
    }

    /// Takes an element out of a set; says whether it was there.
    pub fn set_delete(
        &mut self,
        object: ObjectIx,
        element: &Value,
        env: &mut Env<'_>,
    ) -> Result<bool, EditFault> {
        self.expect(object, ObjectKind::Set)?;
        self.may_write()?;
        if !self.set_has(object, element) {
            return Ok(false);
        }
        let name = self.value_for_writing(Sort::SetElement, element)?;
        self.edit(object, Edit::Take(Slot::Key(name)), env);
        Ok(true)
    }

    /// Adds to the quantity of an item, or takes from it.
    pub fn cart_add(
        &mut self,
        object: ObjectIx,
        item: &Value,
        quantity: i64,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.expect(object, ObjectKind::Cart)?;
        if quantity == 0 || quantity.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
            return Err(EditFault::Amount);
        }
        let name = self.value_for_writing(Sort::CartItem, item)?;
        let sum = self.cart_sum(object, name) + i128::from(quantity);
        if sum.unsigned_abs() > u128::from(AMOUNT_MAX.unsigned_abs()) {
            return Err(EditFault::Overflow);
        }
        self.edit(object, Edit::AddTo(name, quantity), env);
        Ok(())
    }

    /// Removes an item; says whether it was there.
    pub fn cart_remove(
        &mut self,
        object: ObjectIx,
        item: &Value,
        env: &mut Env<'_>,
    ) -> Result<bool, EditFault> {
        self.expect(object, ObjectKind::Cart)?;
        let name = self.value_for_writing(Sort::CartItem, item)?;
        if self.cart_sum(object, name) <= 0 {
            return Ok(false);
        }
        self.edit(object, Edit::Remove(name), env);
        Ok(true)
    }

    /// What edits of an object can be checked against; none if this member may not edit it, or edits could
    /// fail in other ways.
    pub fn edit_base(&self, object: ObjectIx) -> Option<EditBase> {
        let of_kind = |kind| self.may_write().and_then(|()| self.expect(object, kind)).is_ok();
        match &self.fold.get(object).body {
            Body::Text(text) => {
                let (len, joins) = (text.len(), text.is_plain());
                (of_kind(ObjectKind::Text) && text.room() > ROOM).then_some(EditBase::Text { len, joins })
            }
            Body::List(list) => {
                let base = EditBase::List { len: list.len() };
                (of_kind(ObjectKind::List) && list.room() > ROOM).then_some(base)
            }
            Body::Counter(_) => {
                let value = i64::try_from(self.counter_value(object)).ok()?;
                let safe = of_kind(ObjectKind::Counter) && value.unsigned_abs() <= AMOUNT_MAX.unsigned_abs();
                safe.then_some(EditBase::Counter { value })
            }
            Body::Map(_) => {
                let plain = *self.options_of(object)? == Options::default();
                let alone = plain && self.places.get(object).is_none() && !self.places.is_above(object);
                (of_kind(ObjectKind::Map) && alone).then_some(EditBase::Keys)
            }
            Body::Set(_) => {
                let alone = self.places.get(object).is_none();
                (of_kind(ObjectKind::Set) && alone).then_some(EditBase::Keys)
            }
            Body::Cart(_) | Body::Ledger(_) => None,
        }
    }

    /// A place to roll back to.
    pub fn mark(&mut self) -> Mark {
        Mark(self.fold.mark())
    }

    /// Takes back all local edits since a mark in the batch that is still open.
    pub fn rollback(&mut self, mark: &Mark) {
        self.fold.rollback(self.log.graph(), &mark.0);
        self.batch.shown = None;
        if self.fold.open_ops() == 0 {
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

    /// The same for an element or an item.
    pub(super) fn value_id(&self, sort: Sort, value: &Value) -> NameId {
        let bytes = value.to_bytes();
        let hmac = || name_id(self.identity.keyring().names(), sort, &bytes);
        self.names.value_id(sort, &bytes).unwrap_or_else(hmac)
    }

    pub(super) fn edit(&mut self, object: ObjectIx, edit: Edit, env: &mut Env<'_>) {
        self.fold.edit(self.log.graph(), object, edit);
        self.edited(object, env);
    }

    /// The same, without showing it where it is not shown.
    pub(super) fn edit_in_place(&mut self, object: ObjectIx, edit: Edit, env: &mut Env<'_>) {
        self.fold.edit(self.log.graph(), object, edit);
        self.edited_in_place(env);
    }

    /// Notes that an object was edited, and leaves the keys above as they are.
    pub(super) fn edited_in_place(&mut self, env: &Env<'_>) {
        self.batch.shown = None;
        self.begin_batch(env);
    }

    fn key_for_writing(&mut self, key: &str) -> Result<NameId, EditFault> {
        self.may_write()?;
        if key.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        if let Some(known) = self.names.key_id(key) {
            return Ok(known);
        }
        let name = self.key_id(key);
        self.names.learn(Sort::MapKey, name, key.as_bytes());
        Ok(name)
    }

    fn value_for_writing(&mut self, sort: Sort, value: &Value) -> Result<NameId, EditFault> {
        self.may_write()?;
        let bytes = value.to_bytes();
        if bytes.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        if let Some(known) = self.names.value_id(sort, &bytes) {
            return Ok(known);
        }
        let name = name_id(self.identity.keyring().names(), sort, &bytes);
        self.names.learn(sort, name, &bytes);
        Ok(name)
    }

    /// The tuple of a group as it is now, with another value at one place.
    fn tuple_with(&self, object: ObjectIx, group: u32, place: usize, value: Option<Value>) -> Written {
        let count = self.options_of(object).map_or(0, |options| options.groups[group as usize].len());
        let now = self.map_winner(object, &Slot::Group(group));
        let mut tuple = match now {
            Some(Written::Tuple(values)) if values.len() == count => values.to_vec(),
            _ => vec![None; count],
        };
        tuple[place] = value;
        Written::Tuple(tuple.into())
    }

    /// Refuses a tuple that does not fit into a changeset.
    fn fitting(&self, tuple: Written) -> Result<Written, EditFault> {
        let Written::Tuple(values) = &tuple else { return Ok(tuple) };
        let bytes: usize = values.iter().flatten().map(|value| value.to_bytes().len()).sum();
        if bytes > VALUE_BYTES_MAX { Err(EditFault::TooLarge) } else { Ok(tuple) }
    }

    pub(super) fn expect(&self, object: ObjectIx, kind: ObjectKind) -> Result<(), EditFault> {
        match self.fold.get(object).kind() == kind {
            _ if object.is_copy() => Err(EditFault::ReadOnly),
            true => Ok(()),
            false => Err(EditFault::Kind),
        }
    }

    pub(super) fn begin_batch(&mut self, env: &Env<'_>) {
        self.batch.begun_ms.get_or_insert(env.now_ms);
        self.drafting.is_current = false;
    }

    /// Tells what was edited here since the last time.
    pub(super) fn report_own(&mut self) {
        let Some(actor) = self.actor else { return };
        self.report(Source::Local, (self.member(), actor), None);
    }

    /// What was edited here since the last time was told already, by whoever made the edits.
    pub fn forget_own(&mut self) {
        self.fold.forget_patches();
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.outputs.push_back(Output::Trouble(trouble));
    }
}
