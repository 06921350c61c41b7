//! What an op does to its object, in local terms, and what it brought along.

use crate::causal::NameId;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::crdt::{SignedOp, Slot};
use crate::event::{ObjectKind, Value};

/// What an op does to an object other than a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Writes a slot of a map or an element of a set.
    Put(Slot, Shape),
    /// Empties it.
    Take(Slot),
    /// Adds to a counter.
    Add(i64),
    /// Cancels the adds that it knows of.
    Reset,
    /// Adds to an item of a cart.
    AddTo(NameId, i64),
    /// Removes an item of a cart.
    Remove(NameId),
    /// Says something to a ledger.
    Sign(Box<SignedOp>),
}

/// What a write of a slot consists of. Values and tuples are in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A value.
    Value,
    /// One value for each set bit, of a group of so many keys.
    Tuple { count: u8, present: u64 },
    /// An object.
    Child(ObjectKind, Box<[u8]>),
    /// An element that stands for itself.
    Bare,
}

/// What was written to a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// A value.
    Value(Value),
    /// The values of a group, none for keys without one.
    Tuple(Box<[Option<Value>]>),
    /// An object of that kind and those options.
    Child(ObjectKind, Box<[u8]>),
    /// Nothing beside the element itself.
    Bare,
}

impl Shape {
    pub(super) fn of(written: &Written) -> Self {
        match written {
            Written::Value(_) => Self::Value,
            Written::Tuple(values) => {
                let bit = |(place, value): (usize, &Option<_>)| u64::from(value.is_some()) << place;
                let present = values.iter().enumerate().map(bit).sum();
                Self::Tuple { count: values.len() as u8, present }
            }
            Written::Child(kind, options) => Self::Child(*kind, options.clone()),
            Written::Bare => Self::Bare,
        }
    }

    /// Whether it takes something from the content.
    pub(super) fn needs_content(&self) -> bool {
        matches!(self, Self::Value | Self::Tuple { .. })
    }

    /// Puts it together with what the content says; none if that is missing.
    pub(super) fn with(self, values: Option<&[Value]>) -> Option<Written> {
        Some(match self {
            Self::Value => Written::Value(values?.first()?.clone()),
            Self::Tuple { count, present } => {
                let mut values = values?.iter();
                let each = (0..count).map(|place| match present >> place & 1 {
                    0 => Some(None),
                    _ => values.next().cloned().map(Some),
                });
                Written::Tuple(each.collect::<Option<_>>()?)
            }
            Self::Child(kind, options) => Written::Child(kind, options),
            Self::Bare => Written::Bare,
        })
    }
}

impl Written {
    /// Whether a slot that holds it shows something.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        match self {
            Self::Tuple(values) => values.iter().any(Option::is_some),
            _ => true,
        }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        if let Self::Value(value) = self { Some(value) } else { None }
    }
}

impl Saved for Written {
    fn save(&self, out: &mut Writer) {
        match self {
            Self::Value(value) => value.encode(out.u8(0)),
            Self::Tuple(values) => {
                out.u8(1).varint(values.len() as u64);
                for value in values {
                    value.is_some().save(out);
                    if let Some(value) = value {
                        value.encode(out);
                    }
                }
            }
            Self::Child(kind, options) => options.save(out.u8(2).u8(*kind as u8)),
            Self::Bare => {
                out.u8(3);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        let unknown = |found: u8| DecodeError::Unknown { what: "written", at, found: found.into() };
        Ok(match from.u8("written")? {
            0 => Self::Value(Value::read(from)?),
            1 => {
                let place = |from: &mut Reader<'_>| {
                    Ok(if bool::load(from)? { Some(Value::read(from)?) } else { None })
                };
                Self::Tuple(saved::load_list(from, place)?.into())
            }
            2 => {
                let kind = from.u8("kind")?;
                let kind = ObjectKind::from_code(kind).ok_or_else(|| unknown(kind))?;
                Self::Child(kind, Saved::load(from)?)
            }
            3 => Self::Bare,
            found => return Err(unknown(found)),
        })
    }
}
