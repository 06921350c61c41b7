//! Clear names. Ops speak of HMACs; the contents carry the names that belong to them. Whoever holds the name key hands
//! pairs in; this table only remembers them.

use crate::causal::{NameId, ObjectId};
use crate::codec::{DecodeError, Reader, Saved, Writer, limits};
use crate::event::{Content, NameEntry, NamedId, ObjectKind, Options, Skeleton, Sort, Value};
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
///
/// Of each it is counted in how many contents it stands: a name that no content holds any more is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Names {
    clear: HashMap<NameId, (Sort, Clear)>,
    held: HashMap<NamedId, u32>,
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

    /// A content came in, or was made here: the names that it holds are known.
    pub fn hold(&mut self, skeleton: &Skeleton, content: &Content, confirmed: impl FnOnce() -> Vec<NamedId>) {
        for id in self.held_by(skeleton, content, confirmed) {
            *self.held.entry(id).or_default() += 1;
        }
    }

    /// It is gone: names that it held alone are forgotten, but for those of objects for which `stays` holds.
    pub fn release(
        &mut self,
        skeleton: &Skeleton,
        content: &Content,
        confirmed: impl FnOnce() -> Vec<NamedId>,
        stays: impl Fn(&ObjectId) -> bool,
    ) {
        for id in self.held_by(skeleton, content, confirmed) {
            let Some(count) = self.held.get_mut(&id) else { continue };
            *count -= 1;
            if *count > 0 {
                continue;
            }
            self.held.remove(&id);
            match id {
                NamedId::Object(id) if !stays(&id) => drop(self.objects.remove(&id)),
                NamedId::Object(_) => {}
                NamedId::Name(id) => self.forget(&id),
            }
        }
    }

    /// Nothing is in any content, for they are all taken in anew.
    pub fn release_all(&mut self) {
        self.held.clear();
    }

    fn forget(&mut self, id: &NameId) {
        match self.clear.remove(id) {
            Some((Sort::MapKey, Clear::Text(text))) => drop(self.keys.remove(&text)),
            Some((sort, Clear::Value(value))) => {
                if let Some(values) = self.values.get_mut(&sort) {
                    values.remove(value.to_bytes().as_slice());
                }
            }
            _ => {}
        }
    }

    /// The names of a skeleton's tables that a content holds. Whoever wrote it put them in the order of the tables, and they are
    /// known: then nothing has to be confirmed.
    fn held_by(
        &self,
        skeleton: &Skeleton,
        content: &Content,
        confirmed: impl FnOnce() -> Vec<NamedId>,
    ) -> Vec<NamedId> {
        let (mut held, mut rest) = (Vec::new(), content.names.as_slice());
        let mut hold = |id, is_it: &dyn Fn(&NameEntry) -> bool| {
            if let Some((first, others)) = rest.split_first()
                && is_it(first)
            {
                held.push(id);
                rest = others;
            }
        };
        for (id, _) in &skeleton.objects {
            hold(NamedId::Object(*id), &|entry| self.object(id).is_some_and(|name| name.is(entry)));
        }
        for id in skeleton.names.iter().chain(&skeleton.command) {
            hold(NamedId::Name(*id), &|entry| match (self.clear.get(id), entry) {
                (Some((of, name)), NameEntry::Name { sort, clear }) => *of as u8 == *sort && name.is(clear),
                _ => false,
            });
        }
        if rest.is_empty() { held } else { confirmed() }
    }

    /// Whether all names of a skeleton are known, so that nothing needs to be learnt.
    pub fn know(&self, skeleton: &Skeleton) -> bool {
        skeleton.objects.iter().all(|(id, _)| self.objects.contains_key(id))
            && skeleton.names.iter().chain(&skeleton.command).all(|id| self.clear.contains_key(id))
    }
}

impl Clear {
    fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.as_bytes() == bytes,
            Self::Value(value) => value.to_bytes() == bytes,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Value(value) => value.to_bytes(),
        }
    }
}

impl ObjectName {
    fn is(&self, entry: &NameEntry) -> bool {
        let is_it = |of: u8, with: &[u8]| of == self.kind as u8 && self.options.encode() == with;
        match (&self.origin, entry) {
            (ObjectOrigin::Named(named), NameEntry::Object { kind, options, name }) => {
                **named == **name && is_it(*kind, options)
            }
            (
                ObjectOrigin::Child { parent, key },
                NameEntry::Child { parent: of, key: at, kind, options },
            ) => (parent, key) == (of, at) && is_it(*kind, options),
            _ => false,
        }
    }

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
        let count = |id| self.held.get(&id).copied();
        let names = self.clear.iter().filter_map(|(id, name)| Some((id, name, count(NamedId::Name(*id))?)));
        let mut names: Vec<(&NameId, &(Sort, Clear), u32)> = names.collect();
        sort_by_key(&mut names, |(id, ..)| **id);
        out.varint(names.len() as u64);
        for (id, (sort, clear), count) in names {
            id.save(out);
            out.varint(count.into()).u8(*sort as u8).bytes(&clear.to_bytes());
        }
        let objects =
            self.objects.iter().filter_map(|(id, name)| Some((id, name, count(NamedId::Object(*id))?)));
        let mut objects: Vec<(&ObjectId, &ObjectName, u32)> = objects.collect();
        sort_by_key(&mut objects, |(id, ..)| **id);
        out.varint(objects.len() as u64);
        for (id, name, count) in objects {
            id.save(out);
            out.varint(count.into());
            name.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut names = Self::default();
        let count = from.count("names", u32::MAX as usize, 19)?;
        names.clear.reserve(count);
        for _ in 0..count {
            let id = NameId::load(from)?;
            names.held.insert(NamedId::Name(id), u32::load(from)?.max(1));
            let at = from.position();
            let sort = from.u8("sort")?;
            let unknown = DecodeError::Unknown { what: "sort", at, found: sort.into() };
            let clear = from.bytes("name", u32::MAX as usize)?;
            names.learn(Sort::from_code(sort).ok_or(unknown)?, id, clear);
        }
        let count = from.count("objects", u32::MAX as usize, 20)?;
        names.objects.reserve(count);
        for _ in 0..count {
            let id = ObjectId::load(from)?;
            names.held.insert(NamedId::Object(id), u32::load(from)?.max(1));
            names.objects.insert(id, ObjectName::load(from)?);
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
