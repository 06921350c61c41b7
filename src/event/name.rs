//! How what people call things becomes what a skeleton says: 16 bytes under the space's name key.

use crate::causal::{NameId, ObjectId};
use crate::crypto::NameKey;

/// The options of an object that has none: an empty `tlv`.
pub const NO_OPTIONS: &[u8] = &[0];

/// The data type of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// Keys and values.
    Map = 1,
    /// Text.
    Text = 2,
    /// A sum.
    Counter = 3,
    /// Elements.
    Set = 4,
    /// A sequence of values.
    List = 5,
    /// Items and quantities.
    Cart = 6,
    /// Accounts and transfers.
    Ledger = 7,
}

impl ObjectKind {
    /// The kind of a byte.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let kinds = [Self::Map, Self::Text, Self::Counter, Self::Set, Self::List, Self::Cart, Self::Ledger];
        kinds.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// What a name is the name of. The same word in another place is another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sort {
    /// A key of a map.
    MapKey = 1,
    /// An element of a set: an encoded value.
    SetElement = 2,
    /// An account of a ledger.
    Account = 3,
    /// The application's id of a command.
    Command = 4,
    /// An item of a cart: an encoded value.
    CartItem = 5,
    /// A type of events.
    EventType = 6,
    /// An object that events define.
    EventObject = 7,
    /// An asset of a ledger.
    Asset = 8,
    /// A key of a mark in a text.
    MarkKey = 9,
    /// Somebody outside of whom something is said.
    Subject = 10,
    /// What a consent is for.
    Purpose = 11,
}

impl Sort {
    /// The sort of a byte.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let sorts = [
            Self::MapKey,
            Self::SetElement,
            Self::Account,
            Self::Command,
            Self::CartItem,
            Self::EventType,
            Self::EventObject,
            Self::Asset,
            Self::MarkKey,
            Self::Subject,
            Self::Purpose,
        ];
        sorts.into_iter().find(|sort| *sort as u8 == code)
    }

    /// Whether its clear names are encoded values; the others are text.
    #[must_use]
    pub fn is_value(self) -> bool {
        matches!(self, Self::SetElement | Self::CartItem)
    }
}

/// Id of a name.
#[must_use]
pub fn name_id(keys: &NameKey, sort: Sort, clear: &[u8]) -> NameId {
    NameId(keys.name(sort as u8, clear))
}

/// Id of a top-level object.
#[must_use]
pub fn object_id(keys: &NameKey, kind: ObjectKind, options: &[u8], name: &str) -> ObjectId {
    ObjectId(keys.object(kind as u8, options, name))
}

/// Id of the object under a key of a map.
#[must_use]
pub fn child_id(keys: &NameKey, parent: ObjectId, key: NameId, kind: ObjectKind, options: &[u8]) -> ObjectId {
    ObjectId(keys.child(&parent.0, &key.0, kind as u8, options))
}
