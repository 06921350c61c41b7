//! The part of a changeset that people read: clear names, text, values, a message. Sealed; can be dropped alone.
//!
//! ```text
//! names: list of name entry | text: bytes | values, in op order | meta tlv
//! ```
//! Nothing here decides anything. A content with any fault is as good as none: its ops stay, their values are absent.

use super::name::{Sort, child_id, object_id};
use super::{ObjectKind, Op, OpContent, ReadError, Skeleton, Unsupported, Value};
use crate::causal::{NameId, ObjectId};
use crate::codec::limits::{CHANGESET_BYTES_MAX, EXT_BYTES_MAX, NAME_BYTES_MAX};
use crate::codec::{DecodeError, Reader, Tlv, TlvWriter, Writer};
use crate::crypto::NameKey;
use crate::sorted::sort_by_key;
use foldhash::HashSet;

/// A content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// What names mean, as the author claims: see [`Content::confirmed_names`].
    pub names: Vec<NameEntry>,
    /// The text of all text inserts, in op order.
    pub text: String,
    /// The values of all ops, in op order.
    pub values: Vec<Value>,
    /// What the author says about the whole.
    pub meta: Meta,
}

/// What an author says about a changeset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// For people.
    pub message: Option<String>,
    /// For the application.
    pub headers: Option<Value>,
    /// The application's id of the command that caused it.
    pub command: Option<String>,
    /// What the salts of its ops are made of, if they can be shown one by one.
    pub seed: Option<[u8; 16]>,
    /// Entries that this version does not know and may ignore: tag and value, ascending.
    pub others: Vec<(u64, Vec<u8>)>,
}

/// One name in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameEntry {
    /// Of a top-level object.
    Object {
        /// Its data type.
        kind: u8,
        /// Its options.
        options: Vec<u8>,
        /// Its name.
        name: String,
    },
    /// Of a key, element, account and so on.
    Name {
        /// Which of them: a [`Sort`], or one of a later version.
        sort: u8,
        /// UTF-8 or an encoded value, as the sort says.
        clear: Vec<u8>,
    },
    /// Of an object under a key.
    Child {
        /// The object that has the key.
        parent: ObjectId,
        /// The key.
        key: NameId,
        /// Its data type.
        kind: u8,
        /// Its options.
        options: Vec<u8>,
    },
}

/// What a name entry explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedId {
    /// An object.
    Object(ObjectId),
    /// A name.
    Name(NameId),
}

impl Content {
    /// Reads the content that belongs to a skeleton.
    pub fn decode(body: &[u8], skeleton: &Skeleton) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let count = reader.count("name entries", CHANGESET_BYTES_MAX, 2)?;
        let names = (0..count).map(|_| NameEntry::decode(&mut reader)).collect::<Result<_, _>>()?;
        let at = reader.position();
        let text = reader.string("text", CHANGESET_BYTES_MAX)?;
        check_cuts(text, &skeleton.ops).ok_or(DecodeError::Invalid {
            what: "text",
            at,
            rule: "the insert ops cut the text between characters and use it up",
        })?;
        let mut values = Vec::new();
        for op in &skeleton.ops {
            if let OpContent::Values(count) = op.content() {
                for _ in 0..count {
                    values.push(Value::read(&mut reader)?);
                }
            }
        }
        let meta = Meta::decode(&mut reader)?;
        reader.finish("content")?;
        Ok(Self { names, text: text.to_owned(), values, meta })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.text.len() + 64);
        out.varint(self.names.len() as u64);
        self.names.iter().for_each(|entry| entry.encode(&mut out));
        out.string(&self.text);
        self.values.iter().for_each(|value| value.encode(&mut out));
        self.meta.encode(&mut out);
        out.into_bytes()
    }

    /// What each op takes from the content, in op order: text, or values.
    ///
    /// # Panics
    /// If the content is not one of these ops.
    pub fn by_op<'a>(&'a self, ops: &'a [Op]) -> impl Iterator<Item = (&'a str, &'a [Value])> {
        let (mut text, mut values) = (self.text.as_str(), self.values.as_slice());
        ops.iter().map(move |op| match op.content() {
            OpContent::Nothing => ("", &[][..]),
            OpContent::Text(units) => {
                let end = end_of_units(text, units).expect("checked when it was decoded");
                let (cut, rest) = text.split_at(end);
                text = rest;
                (cut, &[][..])
            }
            OpContent::Values(count) => {
                let (cut, rest) = values.split_at(count as usize);
                values = rest;
                ("", cut)
            }
        })
    }

    /// The ids of these names.
    #[must_use]
    pub fn confirmed_ids(&self, skeleton: &Skeleton, keys: &NameKey) -> Vec<NamedId> {
        self.confirmed_names(skeleton, keys).into_iter().map(|(id, _)| id).collect()
    }

    /// The names that are what they claim: their ids stand in the skeleton.
    #[must_use]
    pub fn confirmed_names<'a>(
        &'a self,
        skeleton: &Skeleton,
        keys: &NameKey,
    ) -> Vec<(NamedId, &'a NameEntry)> {
        let objects = skeleton.objects.iter().map(|(id, _)| NamedId::Object(*id));
        let names = skeleton.names.iter().chain(&skeleton.command);
        let stand: HashSet<NamedId> = objects.chain(names.map(|id| NamedId::Name(*id))).collect();
        let entries = self.names.iter().filter_map(|entry| Some((entry.id(keys)?, entry)));
        entries.filter(|(id, _)| stand.contains(id)).collect()
    }
}

impl NameEntry {
    /// The id it explains; `None` for an object of a kind this version does not know.
    #[must_use]
    pub fn id(&self, keys: &NameKey) -> Option<NamedId> {
        Some(match self {
            Self::Object { kind, options, name } => {
                NamedId::Object(object_id(keys, ObjectKind::from_code(*kind)?, options, name))
            }
            Self::Name { sort, clear } => NamedId::Name(NameId(keys.name(*sort, clear))),
            Self::Child { parent, key, kind, options } => {
                NamedId::Object(child_id(keys, *parent, *key, ObjectKind::from_code(*kind)?, options))
            }
        })
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let what = "name entry";
        Ok(match reader.u8(what)? {
            ENTRY_OBJECT => {
                let kind = reader.u8(what)?;
                let options = reader.bytes(what, EXT_BYTES_MAX)?.to_vec();
                Self::Object { kind, options, name: reader.string(what, NAME_BYTES_MAX)?.to_owned() }
            }
            ENTRY_CHILD => {
                let (parent, key) = (ObjectId(reader.array(what)?), NameId(reader.array(what)?));
                let kind = reader.u8(what)?;
                Self::Child { parent, key, kind, options: reader.bytes(what, EXT_BYTES_MAX)?.to_vec() }
            }
            sort => {
                let at = reader.position();
                let clear = reader.bytes(what, NAME_BYTES_MAX)?;
                let is_value = [Sort::SetElement as u8, Sort::CartItem as u8].contains(&sort);
                if is_value {
                    Value::decode(clear)?;
                } else if sort <= Sort::MarkKey as u8 && std::str::from_utf8(clear).is_err() {
                    return Err(DecodeError::Utf8 { what, at });
                }
                Self::Name { sort, clear: clear.to_vec() }
            }
        })
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Object { kind, options, name } => {
                out.u8(ENTRY_OBJECT).u8(*kind).bytes(options).string(name)
            }
            Self::Name { sort, clear } => out.u8(*sort).bytes(clear),
            Self::Child { parent, key, kind, options } => {
                out.u8(ENTRY_CHILD).raw(&parent.0).raw(&key.0).u8(*kind).bytes(options)
            }
        };
    }
}

impl Meta {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let tlv = Tlv::decode(reader, "meta", CHANGESET_BYTES_MAX)?;
        let mut meta = Self::default();
        for entry in tlv.iter() {
            let text = || match std::str::from_utf8(entry.value) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(DecodeError::Utf8 { what: "meta", at: entry.at }),
            };
            match entry.tag {
                META_MESSAGE => meta.message = text()?,
                META_HEADERS => meta.headers = Some(Value::decode(entry.value)?),
                META_COMMAND => meta.command = text()?,
                found if entry.is_critical() => {
                    return Err(Unsupported { what: "meta", found }.into());
                }
                tag => match entry.value.try_into() {
                    Ok(seed) if tag == META_SEED => meta.seed = Some(seed),
                    _ => meta.others.push((tag, entry.value.to_vec())),
                },
            }
        }
        Ok(meta)
    }

    fn encode(&self, out: &mut Writer) {
        let mut entries: Vec<(u64, Vec<u8>)> = self.others.clone();
        entries.extend(self.message.iter().map(|message| (META_MESSAGE, message.as_bytes().to_vec())));
        entries.extend(self.headers.iter().map(|headers| (META_HEADERS, headers.to_bytes())));
        entries.extend(self.command.iter().map(|command| (META_COMMAND, command.as_bytes().to_vec())));
        entries.extend(self.seed.iter().map(|seed| (META_SEED, seed.to_vec())));
        sort_by_key(&mut entries, |(tag, _)| *tag);
        let mut tlv = TlvWriter::new();
        for (tag, value) in &entries {
            tlv.entry(*tag, value);
        }
        tlv.finish(out);
    }
}

/// Whether the lengths of the insert ops cut the text between characters and use it up.
fn check_cuts(text: &str, ops: &[Op]) -> Option<()> {
    let mut rest = text;
    for op in ops {
        if let OpContent::Text(units) = op.content() {
            rest = &rest[end_of_units(rest, units)?..];
        }
    }
    rest.is_empty().then_some(())
}

/// Where so many UTF-16 units end; `None` if the text is shorter or a character is cut.
fn end_of_units(text: &str, units: u32) -> Option<usize> {
    let mut left = units as usize;
    let mut chars = text.chars();
    while left > 0 {
        left = left.checked_sub(chars.next()?.len_utf16())?;
    }
    Some(text.len() - chars.as_str().len())
}

const ENTRY_OBJECT: u8 = 0;
const ENTRY_CHILD: u8 = 255;

const META_MESSAGE: u64 = 1 << 1;
const META_HEADERS: u64 = 2 << 1;
const META_COMMAND: u64 = 3 << 1;
const META_SEED: u64 = 4 << 1;
