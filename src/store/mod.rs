//! What is written to a device's store and how it is read back (docs/format.md §9). Opens no store: batches go out, records
//! come in.

use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::event::SignedChangeset;

/// A keyed store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreName {
    /// Genesis, own certificates, places in relays' logs.
    Meta,
    /// Secrets.
    Keys,
    /// Durable tips of own actors.
    Actors,
    /// Open batches that were not sealed.
    Drafts,
    /// The state as it was.
    Snapshots,
    /// What happened on this device.
    Audit,
}

impl StoreName {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Keys => "keys",
            Self::Actors => "actors",
            Self::Drafts => "drafts",
            Self::Snapshots => "snapshots",
            Self::Audit => "audit",
        }
    }
}

/// What is written in one transaction, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreBatch {
    /// Records for the end of the tail.
    pub append: Vec<Vec<u8>>,
    /// Records by key.
    pub put: Vec<(StoreName, String, Vec<u8>)>,
    /// Keys of records that go.
    pub delete: Vec<(StoreName, String)>,
    /// The whole batch fails if this record is there.
    pub absent: Option<(StoreName, String)>,
}

impl StoreBatch {
    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.append.is_empty() && self.put.is_empty() && self.delete.is_empty()
    }
}

/// A record of the tail: changesets that arrived together.
#[derive(Clone, Debug)]
pub struct TailRecord {
    /// When they arrived, in ms since 1970.
    pub received_ms: u64,
    /// The changesets, as they came.
    pub rows: Vec<SignedChangeset>,
}

impl TailRecord {
    /// Writes a record of encoded rows.
    pub fn encode(received_ms: u64, rows: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(16 + rows.iter().map(|row| row.len() + 4).sum::<usize>());
        writer.varint(received_ms);
        writer.varint(rows.len() as u64);
        rows.iter().for_each(|row| {
            writer.bytes(row);
        });
        writer.into_bytes()
    }

    /// Reads a record. A row that does not decode is left out and counted: the others are good.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let received_ms = reader.varint("arrival time", u64::MAX)?;
        let count = reader.count("rows", u32::MAX as usize, 2)?;
        let (mut rows, mut damaged) = (Vec::with_capacity(count), 0);
        for _ in 0..count {
            match SignedChangeset::decode(reader.bytes("row", limits::CHANGESET_BYTES_MAX)?) {
                Ok(row) => rows.push(row),
                Err(_) => damaged += 1,
            }
        }
        reader.finish("tail record")?;
        Ok((Self { received_ms, rows }, damaged))
    }
}

/// A segment: records of the tail that were joined to one, with their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The records by number, ascending.
    pub records: Vec<(u64, Vec<u8>)>,
}

impl Segment {
    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = self.records.iter().map(|(_, record)| record.len() + 12).sum::<usize>();
        let mut writer = Writer::with_capacity(bytes + 8);
        writer.varint(self.records.len() as u64);
        for (number, record) in &self.records {
            writer.varint(*number).bytes(record);
        }
        writer.into_bytes()
    }

    /// Reads it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count("records", u32::MAX as usize, 2)?;
        let mut records: Vec<(u64, Vec<u8>)> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = reader.position();
            let number = reader.varint("number", limits::SAFE_INTEGER_MAX as u64)?;
            if records.last().is_some_and(|(last, _)| *last >= number) {
                return Err(DecodeError::Unsorted { what: "records", at });
            }
            records.push((number, reader.bytes("record", u32::MAX as usize)?.to_vec()));
        }
        reader.finish("segment")?;
        Ok(Self { records })
    }
}
