//! Clear names. Ops speak of HMACs; the contents carry the names that belong to them. Whoever holds the name key hands
//! pairs in; this table only remembers them.

use crate::causal::{NameId, ObjectId};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits};
use crate::event::{NameEntry, ObjectKind, Options, Skeleton, Sort, Value};
use crate::sorted::sort_by_key;
use foldhash::HashMap;
use std::sync::Arc;

/// The clear form of an object's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The name the application gave, or where the object is.
    pub origin: ObjectOrigin,
    /// The kind of object.
    pub kind: ObjectKind,
    /// Its options.
    pub options: Arc<Options>,
}

/// Where an object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectOrigin {
    /// The application named it.
    Named(Arc<str>),
    /// It is under a key of a map.
    Child {
        /// The map.
        parent: ObjectId,
        /// The key.
        key: NameId,
    },
}

/// What a name is in clear.
#[derive(Clone, Debug, PartialEq)]
pub enum Clear {
    /// A key of a map, an account and so on.
    Text(Arc<str>),
    /// An element of a set or an item of a cart.
    Value(Value),
}

/// Names that some integrated content holds, or that were used here.
#[derive(Clone, Debug, Default)]
pub struct Names {
    clear: HashMap<NameId, (Sort, Clear)>,
    keys: HashMap<Arc<str>, NameId>,
    values: HashMap<Sort, HashMap<Box<[u8]>, NameId>>,
    objects: HashMap<ObjectId, ObjectName>,
}

impl Names {
    /// Remembers a name of any sort, from its clear bytes. Those that are not what the sort says are left out.
    pub fn learn(&mut self, sort: Sort, id: NameId, clear: &[u8]) {
        if self.clear.contains_key(&id) {
            return;
        }
        if sort.is_value() {
            if let Ok(value) = Value::decode(clear) {
                self.values.entry(sort).or_default().insert(clear.into(), id);
                self.clear.insert(id, (sort, Clear::Value(value)));
            }
        } else if let Ok(text) = std::str::from_utf8(clear) {
            let text: Arc<str> = text.into();
            if sort == Sort::MapKey {
                self.keys.insert(text.clone(), id);
            }
            self.clear.insert(id, (sort, Clear::Text(text)));
        }
    }

    /// The id of a map key that was met before: saves the HMAC.
    pub fn key_id(&self, name: &str) -> Option<NameId> {
        self.keys.get(name).copied()
    }

    /// The same for an encoded value.
    pub fn value_id(&self, sort: Sort, value: &[u8]) -> Option<NameId> {
        self.values.get(&sort)?.get(value).copied()
    }

    /// The clear form of a name of a sort that is text.
    pub fn text(&self, of: Sort, id: &NameId) -> Option<&Arc<str>> {
        match self.clear.get(id) {
            Some((sort, Clear::Text(text))) if *sort == of => Some(text),
            _ => None,
        }
    }

    /// The clear form of a map key.
    pub fn key(&self, id: &NameId) -> Option<&Arc<str>> {
        self.text(Sort::MapKey, id)
    }

    /// The clear form of the key of a mark.
    pub fn mark_key(&self, id: &NameId) -> Option<&Arc<str>> {
        self.text(Sort::MarkKey, id)
    }

    /// The clear form of an element or an item.
    pub fn value(&self, id: &NameId) -> Option<&Value> {
        match self.clear.get(id) {
            Some((_, Clear::Value(value))) => Some(value),
            _ => None,
        }
    }

    /// Remembers an object's name.
    pub fn learn_object(&mut self, id: ObjectId, name: ObjectName) {
        self.objects.entry(id).or_insert(name);
    }

    /// The clear form of an object's identity.
    pub fn object(&self, id: &ObjectId) -> Option<&ObjectName> {
        self.objects.get(id)
    }

    /// The map and the key that an object is under.
    pub fn place(&self, id: &ObjectId) -> Option<(ObjectId, NameId)> {
        match self.object(id)?.origin {
            ObjectOrigin::Child { parent, key } => Some((parent, key)),
            ObjectOrigin::Named(_) => None,
        }
    }

    /// The clear forms of all that are known.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectId, &ObjectName)> {
        self.objects.iter()
    }

    /// Bytes of an object's entry in a content's table of names.
    pub fn object_bytes(&self, id: &ObjectId) -> usize {
        self.object(id).map_or(0, |object| {
            let name = if let ObjectOrigin::Named(name) = &object.origin { name.len() } else { 32 };
            name + object.options.encode().len() + 8
        })
    }

    /// Bytes of a name's entry in a content's table of names.
    pub fn name_bytes(&self, id: &NameId) -> usize {
        self.clear.get(id).map_or(0, |(_, clear)| clear.to_bytes().len() + 4)
    }

    /// The clear names that a skeleton's tables stand for, as its content carries them.
    pub fn entries(&self, skeleton: &Skeleton, command: Option<&str>) -> Vec<NameEntry> {
        let objects = skeleton.objects.iter().filter_map(|(id, _)| self.object(id)).map(ObjectName::to_entry);
        let names = skeleton.names.iter().filter_map(|id| self.clear.get(id));
        let names = names
            .map(|(sort, clear)| NameEntry::Name { sort: *sort as u8, clear: clear.to_bytes() })
            .collect::<Vec<_>>();
        let command = command
            .map(|command| NameEntry::Name { sort: Sort::Command as u8, clear: command.as_bytes().to_vec() });
        objects.chain(names).chain(command).collect()
    }

    /// Whether all names of a skeleton are known, so that nothing needs to be learnt.
    pub fn know(&self, skeleton: &Skeleton) -> bool {
        skeleton.objects.iter().all(|(id, _)| self.objects.contains_key(id))
            && skeleton.names.iter().chain(&skeleton.command).all(|id| self.clear.contains_key(id))
    }
}

impl Clear {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Value(value) => value.to_bytes(),
        }
    }
}

impl ObjectName {
    fn to_entry(&self) -> NameEntry {
        let (kind, options) = (self.kind as u8, self.options.encode());
        match &self.origin {
            ObjectOrigin::Named(name) => NameEntry::Object { kind, options, name: name.as_ref().to_owned() },
            ObjectOrigin::Child { parent, key } => {
                NameEntry::Child { parent: *parent, key: *key, kind, options }
            }
        }
    }
}

impl Saved for Names {
    fn save(&self, out: &mut Writer) {
        let mut names: Vec<(&NameId, &(Sort, Clear))> = self.clear.iter().collect();
        sort_by_key(&mut names, |(id, _)| **id);
        out.varint(names.len() as u64);
        for (id, (sort, clear)) in names {
            id.save(out);
            out.u8(*sort as u8).bytes(&clear.to_bytes());
        }
        let mut objects: Vec<(&ObjectId, &ObjectName)> = self.objects.iter().collect();
        sort_by_key(&mut objects, |(id, _)| **id);
        out.varint(objects.len() as u64);
        for (id, name) in objects {
            id.save(out);
            name.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut names = Self::default();
        let count = from.count("names", u32::MAX as usize, 18)?;
        names.clear.reserve(count);
        for _ in 0..count {
            let (id, at) = (NameId::load(from)?, from.position());
            let sort = from.u8("sort")?;
            let unknown = DecodeError::Unknown { what: "sort", at, found: sort.into() };
            let clear = from.bytes("name", u32::MAX as usize)?;
            names.learn(Sort::from_code(sort).ok_or(unknown)?, id, clear);
        }
        let count = from.count("objects", u32::MAX as usize, 19)?;
        names.objects.reserve(count);
        for _ in 0..count {
            names.objects.insert(ObjectId::load(from)?, ObjectName::load(from)?);
        }
        Ok(names)
    }
}

impl Saved for ObjectName {
    fn save(&self, out: &mut Writer) {
        out.u8(self.kind as u8).bytes(&self.options.encode());
        match &self.origin {
            ObjectOrigin::Named(name) => {
                out.u8(0).string(name);
            }
            ObjectOrigin::Child { parent, key } => {
                parent.save(out.u8(1));
                key.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        let kind = from.u8("kind")?;
        let unknown = DecodeError::Unknown { what: "object", at, found: kind.into() };
        let kind = ObjectKind::from_code(kind).ok_or(unknown)?;
        let options = from.bytes("options", limits::EXT_BYTES_MAX)?;
        let options = Arc::new(Options::decode(kind, options).ok_or(unknown)?);
        let origin = match bool::load(from)? {
            false => ObjectOrigin::Named(from.string("name", limits::NAME_BYTES_MAX)?.into()),
            true => ObjectOrigin::Child { parent: ObjectId::load(from)?, key: NameId::load(from)? },
        };
        Ok(Self { origin, kind, options })
    }
}
