//! The database of one device, as IndexedDB has it: a commit is all or nothing; a strict one is on the medium when it is
//! answered, with all that was written before it; a relaxed one is there for every reader at once, and a power cut keeps some
//! first ones of those.

use std::collections::BTreeMap;
use std::rc::Rc;
use stemma::store::{StoreBatch, StoreName};

use super::rng::Rng;

/// What is in it.
#[derive(Clone, Default)]
pub struct Records {
    /// The tail; a record's number is its place, from 1 on.
    pub tail: Vec<Rc<[u8]>>,
    pub keyed: BTreeMap<(StoreName, String), Vec<u8>>,
    pub snapshot: BTreeMap<String, Vec<u8>>,
}

/// One transaction.
#[derive(Clone, Debug)]
pub enum Write {
    Batch(StoreBatch),
    /// The records of another snapshot.
    Snapshot(BTreeMap<String, Vec<u8>>),
}

#[derive(Default)]
pub struct Database {
    now: Records,
    /// What a power cut leaves in any case.
    medium: Records,
    /// Written since, in order.
    relaxed: Vec<Write>,
    /// Nothing more fits in.
    pub is_full: bool,
    /// Grows when what was being written is lost.
    pub life: u64,
}

impl Database {
    pub fn records(&self) -> &Records {
        &self.now
    }

    /// The numbers of the records that went to the tail, or the code of the failure.
    pub fn commit(&mut self, write: Write, strict: bool) -> Result<Vec<u64>, &'static str> {
        if self.is_full {
            return Err("E_STORAGE_QUOTA");
        }
        if let Write::Batch(StoreBatch { absent: Some(key), .. }) = &write
            && self.now.keyed.contains_key(key)
        {
            return Err("E_STORAGE_EXISTS");
        }
        let first = self.now.tail.len() as u64 + 1;
        self.now.take(&write);
        let end = self.now.tail.len() as u64 + 1;
        self.relaxed.push(write);
        if strict {
            self.relaxed.drain(..).for_each(|write| self.medium.take(&write));
        }
        Ok((first..end).collect())
    }

    /// The power goes: of what was relaxed some first writes are kept.
    pub fn cut(&mut self, rng: &mut Rng) {
        let kept = rng.below(self.relaxed.len() + 1);
        self.relaxed.drain(..kept).for_each(|write| self.medium.take(&write));
        self.replace(self.medium.clone());
    }

    /// Another content takes its place: an older copy, say.
    pub fn replace(&mut self, records: Records) {
        self.relaxed.clear();
        self.medium = records.clone();
        self.now = records;
        self.life += 1;
    }
}

impl Records {
    pub fn of(&self, store: StoreName) -> BTreeMap<String, Vec<u8>> {
        let of_store = self.keyed.iter().filter(|((name, _), _)| *name == store);
        of_store.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    fn take(&mut self, write: &Write) {
        match write {
            Write::Batch(batch) => {
                self.tail.extend(batch.append.iter().map(|record| Rc::from(&record[..])));
                for key in &batch.delete {
                    self.keyed.remove(key);
                }
                for (store, key, value) in &batch.put {
                    self.keyed.insert((*store, key.clone()), value.clone());
                }
            }
            Write::Snapshot(records) => self.snapshot.clone_from(records),
        }
    }
}
