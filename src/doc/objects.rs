//! All objects by number. Those that came with a snapshot sleep, as they were saved, until they are first used: most of a
//! large space is never looked at.

use super::{Fold, Object};
use crate::causal::ObjectId;
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::event::ObjectKind;
use std::cell::OnceCell;
use std::ops::{Index, IndexMut};

/// The objects of a fold.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    awake: OnceCell<Object>,
    /// As it was saved, for as long as that is what it is.
    saved: Option<Sleeper>,
}

/// An object as it was saved.
#[derive(Clone, Debug)]
pub(super) struct Sleeper {
    pub id: ObjectId,
    pub kind: ObjectKind,
    /// How many places ops can go to.
    pub places: u32,
    bytes: Box<[u8]>,
}

/// Bytes that one object may take.
const OBJECT_BYTES_MAX: usize = u32::MAX as usize;

impl Objects {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds one.
    pub fn push(&mut self, object: Object) {
        self.rows.push(Row { awake: object.into(), saved: None });
    }

    /// Adds one that sleeps.
    pub fn push_asleep(&mut self, saved: Sleeper) {
        self.rows.push(Row { awake: OnceCell::new(), saved: Some(saved) });
    }

    /// All of them, each woken as it comes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Object> {
        self.rows.iter().map(Row::awake)
    }

    /// Writes one.
    pub fn save(&self, at: usize, out: &mut Writer) {
        let fresh = match &self.rows[at].saved {
            Some(saved) => return saved.save(out),
            None => Sleeper::of(&self[at]),
        };
        fresh.save(out);
    }
}

impl Index<usize> for Objects {
    type Output = Object;

    fn index(&self, at: usize) -> &Object {
        self.rows[at].awake()
    }
}

impl IndexMut<usize> for Objects {
    fn index_mut(&mut self, at: usize) -> &mut Object {
        let row = &mut self.rows[at];
        row.awake();
        row.saved = None;
        row.awake.get_mut().expect("it was just woken")
    }
}

impl Row {
    fn awake(&self) -> &Object {
        self.awake.get_or_init(|| {
            let saved = self.saved.as_ref().expect("what is not awake sleeps");
            let woken = saved.wake().expect("a snapshot opens for the version alone that wrote it");
            woken.expect("the kind was looked at when it was loaded")
        })
    }
}

impl Sleeper {
    fn of(object: &Object) -> Self {
        let mut bytes = Writer::new();
        object.save(&mut bytes);
        Self { id: object.id, kind: object.kind(), places: object.places(), bytes: bytes.into_bytes().into() }
    }

    fn wake(&self) -> Result<Option<Object>, DecodeError> {
        let mut from = Reader::new(&self.bytes);
        let object = Object::load(self.id, self.kind, &mut from)?;
        from.finish("object")?;
        Ok(object)
    }
}

impl Saved for Sleeper {
    fn save(&self, out: &mut Writer) {
        self.id.save(out);
        out.u8(self.kind as u8);
        self.places.save(out);
        out.bytes(&self.bytes);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (id, at) = (ObjectId::load(from)?, from.position());
        let kind = from.u8("kind")?;
        let unknown = DecodeError::Unknown { what: "kind", at, found: kind.into() };
        let kind = ObjectKind::from_code(kind).filter(|kind| Fold::folds(*kind)).ok_or(unknown)?;
        let places = u32::load(from)?;
        Ok(Self { id, kind, places, bytes: from.bytes("object", OBJECT_BYTES_MAX)?.into() })
    }
}
