//! All objects by number. Those that came with a snapshot sleep, as they were saved, until they are first used: most of a
//! large space is never looked at.

use super::{Fold, Object};
use crate::causal::ObjectId;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::ObjectKind;
use std::cell::OnceCell;
use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

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
    /// The hash of what it shows, since somebody asked for it.
    hash: OnceCell<ShownHash>,
}

/// The hash of what an object shows; none if it shows nothing.
pub(super) type ShownHash = Option<[u8; 32]>;

/// An object as it was saved.
#[derive(Clone, Debug)]
pub(super) struct Sleeper {
    pub id: ObjectId,
    pub kind: ObjectKind,
    /// How many places ops can go to.
    pub places: u32,
    /// The hash of what it shows, if it was known.
    hash: Option<ShownHash>,
    /// The bodies of all that were saved, until the last of them is another one.
    bodies: Arc<[u8]>,
    at: Range<usize>,
}

/// Bytes of all bodies: they are compared with what is left.
const BODIES_BYTES_MAX: usize = u32::MAX as usize;

impl Objects {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds one.
    pub fn push(&mut self, object: Object) {
        self.rows.push(Row { awake: object.into(), saved: None, hash: OnceCell::new() });
    }

    /// Adds one that sleeps.
    pub fn push_asleep(&mut self, saved: Sleeper) {
        let hash = saved.hash.map_or_else(OnceCell::new, OnceCell::from);
        self.rows.push(Row { awake: OnceCell::new(), saved: Some(saved), hash });
    }

    /// How many sleep.
    pub fn asleep(&self) -> usize {
        self.rows.iter().filter(|row| row.awake.get().is_none()).count()
    }

    /// Wakes all of those that another device saved, who may have saved anything; what they show is worked out anew.
    pub fn wake_all(&mut self) -> Result<(), DecodeError> {
        for row in &mut self.rows {
            if let Some(saved) = row.saved.take() {
                let woken = saved.wake()?.expect("the kind was looked at when it was loaded");
                (row.awake, row.hash) = (OnceCell::from(woken), OnceCell::new());
            }
        }
        Ok(())
    }

    /// What one is, which does not wake it.
    pub fn identity(&self, at: usize) -> (ObjectId, ObjectKind) {
        match &self.rows[at].saved {
            Some(saved) => (saved.id, saved.kind),
            None => (self[at].id, self[at].kind()),
        }
    }

    /// The hash of what one shows: remembered until it is changed, and then computed from it again.
    pub fn shown_hash(&self, at: usize, compute: impl FnOnce(&Object) -> ShownHash) -> ShownHash {
        let row = &self.rows[at];
        *row.hash.get_or_init(|| compute(row.awake()))
    }

    /// All of them, each woken as it comes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Object> {
        self.rows.iter().map(Row::awake)
    }

    /// Writes all of them: a table, then the bodies.
    pub fn save(&self, out: &mut Writer) {
        let mut bodies = Writer::new();
        out.varint(self.rows.len() as u64);
        for row in &self.rows {
            let begun = bodies.len();
            let (id, kind, places) = match &row.saved {
                Some(Sleeper { id, kind, places, bodies: saved, at, .. }) => {
                    bodies.raw(&saved[at.clone()]);
                    (*id, *kind, *places)
                }
                None => {
                    let object = row.awake();
                    object.save(&mut bodies);
                    (object.id, object.kind(), object.places())
                }
            };
            id.save(out);
            out.u8(kind as u8).varint(u64::from(places)).varint((bodies.len() - begun) as u64);
            row.hash.get().copied().save(out);
        }
        out.bytes(bodies.as_slice());
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
        row.hash.take();
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
    /// Reads all that were saved.
    pub fn load(from: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut end = 0_usize;
        let rows = saved::load_list(from, |from| {
            let (id, at) = (ObjectId::load(from)?, from.position());
            let kind = from.u8("kind")?;
            let unknown = DecodeError::Unknown { what: "kind", at, found: kind.into() };
            let kind = ObjectKind::from_code(kind).filter(|kind| Fold::folds(*kind)).ok_or(unknown)?;
            let (places, begun) = (u32::load(from)?, end);
            end = end.saturating_add(u32::load(from)? as usize);
            Ok((id, kind, places, begun..end, Saved::load(from)?))
        })?;
        let bodies: Arc<[u8]> = from.bytes("objects", BODIES_BYTES_MAX)?.into();
        saved::check(bodies.len() == end, from, "objects", "each has its bytes")?;
        let sleeper =
            |(id, kind, places, at, hash)| Self { id, kind, places, hash, bodies: bodies.clone(), at };
        Ok(rows.into_iter().map(sleeper).collect())
    }

    fn wake(&self) -> Result<Option<Object>, DecodeError> {
        let mut from = Reader::new(&self.bodies[self.at.clone()]);
        let object = Object::load(self.id, self.kind, &mut from)?;
        from.finish("object")?;
        Ok(object)
    }
}
