//! Clear names. Ops speak of HMACs; the contents carry the names that belong to them. Whoever holds the name key hands
//! pairs in; this table only remembers them.

use crate::causal::{NameId, ObjectId};
use crate::event::{NameEntry, ObjectKind, Skeleton, Sort};
use std::collections::HashMap;
use std::sync::Arc;

/// The clear form of an object's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The name the application gave.
    pub name: Arc<str>,
    /// The kind of object.
    pub kind: ObjectKind,
    /// Its canonical options, encoded.
    pub options: Box<[u8]>,
}

/// Names that some integrated content holds, or that were used here.
#[derive(Clone, Debug, Default)]
pub struct Names {
    clear: HashMap<NameId, Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
    objects: HashMap<ObjectId, ObjectName>,
}

impl Names {
    /// Remembers a map key.
    pub fn learn_key(&mut self, id: NameId, name: &str) {
        self.clear.entry(id).or_insert_with(|| {
            let name: Arc<str> = name.into();
            self.ids.insert(name.clone(), id);
            name
        });
    }

    /// The id of a map key that was met before: saves the HMAC.
    pub fn key_id(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    /// The clear form of a map key.
    pub fn key(&self, id: &NameId) -> Option<&Arc<str>> {
        self.clear.get(id)
    }

    /// Remembers an object's name.
    pub fn learn_object(&mut self, id: ObjectId, name: ObjectName) {
        self.objects.entry(id).or_insert(name);
    }

    /// The clear form of an object's identity.
    pub fn object(&self, id: &ObjectId) -> Option<&ObjectName> {
        self.objects.get(id)
    }

    /// Bytes of an object's entry in a content's table of names.
    pub fn object_bytes(&self, id: &ObjectId) -> usize {
        self.object(id).map_or(0, |object| object.name.len() + object.options.len() + 8)
    }

    /// Bytes of a map key's entry in a content's table of names.
    pub fn key_bytes(&self, id: &NameId) -> usize {
        self.key(id).map_or(0, |clear| clear.len() + 4)
    }

    /// The clear names that a skeleton's tables stand for, as its content carries them.
    pub fn entries(&self, skeleton: &Skeleton, command: Option<&str>) -> Vec<NameEntry> {
        let objects =
            skeleton.objects.iter().filter_map(|(id, _)| self.object(id)).map(|object| NameEntry::Object {
                kind: object.kind as u8,
                options: object.options.to_vec(),
                name: object.name.as_ref().to_owned(),
            });
        let name =
            |sort: Sort, clear: &str| NameEntry::Name { sort: sort as u8, clear: clear.as_bytes().to_vec() };
        let keys = skeleton.names.iter().filter_map(|id| self.key(id)).map(|clear| name(Sort::MapKey, clear));
        objects.chain(keys).chain(command.map(|command| name(Sort::Command, command))).collect()
    }

    /// Whether all names of a skeleton are known, so that nothing needs to be learnt.
    pub fn know(&self, skeleton: &Skeleton) -> bool {
        skeleton.objects.iter().all(|(id, _)| self.objects.contains_key(id))
            && skeleton.names.iter().all(|id| self.clear.contains_key(id))
    }
}
