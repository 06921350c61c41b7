//! An object: an identity and, by kind, the data type that folds its ops.

use crate::causal::ObjectId;
use crate::crdt::{Map, Text};
use crate::event::ObjectKind;

/// Local number of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectIx(pub u32);

/// One object of the space.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identity: the HMAC of name, kind and options.
    pub id: ObjectId,
    /// What folds its ops.
    pub body: Body,
}

/// The data types.
#[derive(Clone, Debug)]
pub enum Body {
    /// Keys and values.
    Map(Map),
    /// Plain text.
    Text(Box<Text>),
}

impl Object {
    /// An empty object; none if this version has no data type for that kind.
    pub fn new(id: ObjectId, kind: ObjectKind) -> Option<Self> {
        let body = match kind {
            ObjectKind::Map => Body::Map(Map::default()),
            ObjectKind::Text => {
                let mut text = Box::new(Text::new());
                text.record_deltas(true);
                Body::Text(text)
            }
            _ => return None,
        };
        Some(Self { id, body })
    }

    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self.body {
            Body::Map(_) => ObjectKind::Map,
            Body::Text(_) => ObjectKind::Text,
        }
    }
}
