//! Tagged entries: `varint total length`, then `varint tag, bytes value` with tags strictly ascending. Bit 0 of a tag
//! says *critical*: who does not know the entry must not go on. The rest of the tag is the type.

use super::{DecodeError, Reader, Writer};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlvEntry<'a> {
    /// Type and critical bit.
    pub tag: u64,
    /// The value, not interpreted.
    pub value: &'a [u8],
    /// Where the entry began in the input.
    pub at: usize,
}

impl TlvEntry<'_> {
    /// Whether a reader that does not know the entry must stop.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.tag & 1 == 1
    }
}

/// A well-formed `tlv`, borrowed from the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlv<'a> {
    entries: Vec<TlvEntry<'a>>,
    bytes: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Reads a `tlv` whose entries take at most `max` bytes.
    pub fn decode(reader: &mut Reader<'a>, what: &'static str, max: usize) -> Result<Self, DecodeError> {
        let (start, before) = (reader.position(), reader.rest());
        let mut inner = reader.part(what, max)?;
        let mut entries: Vec<TlvEntry<'a>> = Vec::new();
        while !inner.rest().is_empty() {
            let at = inner.position();
            let tag = inner.varint(what, u64::MAX)?;
            let value = inner.bytes(what, max)?;
            if entries.last().is_some_and(|last| last.tag >= tag) {
                return Err(DecodeError::Unsorted { what, at });
            }
            entries.push(TlvEntry { tag, value, at });
        }
        let bytes = &before[..reader.position() - start];
        Ok(Self { entries, bytes })
    }

    /// The value under a tag.
    #[must_use]
    pub fn get(&self, tag: u64) -> Option<&TlvEntry<'a>> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// All entries, ascending by tag.
    pub fn iter(&self) -> impl Iterator<Item = &TlvEntry<'a>> {
        self.entries.iter()
    }

    /// The first critical entry whose tag is not among the known ones.
    #[must_use]
    pub fn unknown_critical(&self, known: &[u64]) -> Option<u64> {
        self.entries
            .iter()
            .filter(|entry| entry.is_critical())
            .map(|entry| entry.tag)
            .find(|tag| !known.contains(tag))
    }

    /// The bytes it was read from, with the total length in front.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Collects entries for writing.
#[derive(Clone, Debug, Default)]
pub struct TlvWriter {
    entries: Writer,
    last_tag: Option<u64>,
}

impl TlvWriter {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// If the tags do not ascend.
    pub fn entry(&mut self, tag: u64, value: &[u8]) -> &mut Self {
        assert!(self.last_tag.is_none_or(|last| last < tag), "tags ascend");
        self.last_tag = Some(tag);
        self.entries.varint(tag).bytes(value);
        self
    }

    /// Writes the total length and the entries.
    pub fn finish(&self, out: &mut Writer) {
        out.bytes(self.entries.as_slice());
    }
}
