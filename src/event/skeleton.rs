//! The part of a changeset that decides: when, about what, which ops. Sealed, never dropped.
//!
//! ```text
//! hlc_ms | hlc_counter | undo_group | command: list of 16 | refs | objects | names: list of 16 | ops | ext tlv
//! ```
//! Malformed here means inert for everybody; [`Unsupported`] means pending until a later version.

use super::op_decode::{Tables, object_kind};
use super::{Class, ObjectKind, Op, ReadError, Unsupported};
use crate::causal::{ChangesetId, Hlc, NameId, ObjectId};
use crate::codec::limits::{
    CHANGESET_BYTES_MAX, EXT_BYTES_MAX, INSERTED_UNITS_MAX, OPS_MAX, SAFE_INTEGER_MAX, TIME_MS_MAX,
};
use crate::codec::{DecodeError, Reader, Tlv, TlvWriter, Writer};
use foldhash::HashSet;

/// A skeleton.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// The claimed time.
    pub hlc: Hlc,
    /// Changesets of one actor with the same number are undone together; 0 is none.
    pub undo_group: u64,
    /// The application's id of the command that caused it.
    pub command: Option<NameId>,
    /// Earlier changesets that ops point to.
    pub refs: Vec<ChangesetRef>,
    /// Objects that ops are about, each once.
    pub objects: Vec<(ObjectId, ObjectKind)>,
    /// Names in ops, each once.
    pub names: Vec<NameId>,
    /// What is said.
    pub ops: Vec<Op>,
    /// Entries of the extension that this version does not know and may ignore: tag and value, ascending.
    pub ext: Vec<(u64, Vec<u8>)>,
}

/// An earlier changeset, named as shortly as its author found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangesetRef {
    /// So many steps of `prev` before this changeset's `prev`; 0 is `prev` itself.
    BeforePrev(u32),
    /// So many steps of `prev` before a dep.
    BeforeDep {
        /// Which dep of the header, from 0.
        dep: u8,
        /// 0 is the dep itself.
        steps: u32,
    },
    /// By id.
    Id(ChangesetId),
}

impl Skeleton {
    /// Reads the skeleton of a changeset of some class with so many deps.
    pub fn decode(body: &[u8], class: Class, deps: usize) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let ms = reader.varint("hlc ms", TIME_MS_MAX)?;
        let counter = reader.varint_u32("hlc counter", u16::MAX.into())?;
        let hlc = Hlc { ms, counter: u16::try_from(counter).expect("limited to 16 bits") };
        let undo_group = reader.varint("undo group", SAFE_INTEGER_MAX as u64)?;
        let command = match reader.count("command", 1, 16)? {
            0 => None,
            _ => Some(NameId(reader.array("command")?)),
        };
        let count = reader.count("refs", CHANGESET_BYTES_MAX, 2)?;
        let refs =
            (0..count).map(|_| ChangesetRef::decode(&mut reader, deps)).collect::<Result<Vec<_>, _>>()?;
        let objects = decode_objects(&mut reader)?;
        let names = decode_names(&mut reader)?;
        let tables = Tables { refs: refs.len(), objects: &objects, names: &names };
        let ops = decode_ops(&mut reader, &tables, class)?;
        let ext = Tlv::decode(&mut reader, "skeleton ext", EXT_BYTES_MAX)?;
        reader.finish("skeleton")?;
        if let Some(found) = ext.unknown_critical(&[]) {
            return Err(Unsupported { what: "skeleton ext", found }.into());
        }
        let ext = ext.iter().map(|entry| (entry.tag, entry.value.to_vec())).collect();
        Ok(Self { hlc, undo_group, command, refs, objects, names, ops, ext })
    }

    /// How many steps of `prev` before it the transaction began that it goes on with; none if it begins one.
    #[must_use]
    pub fn goes_on(&self) -> Option<u32> {
        let (_, value) = self.ext.iter().find(|(tag, _)| *tag == GOES_ON)?;
        let mut reader = Reader::new(value);
        let steps = reader.varint_u32("steps", u32::MAX).ok()?;
        (reader.finish("steps").is_ok() && steps > 0).then_some(steps)
    }

    /// Says so.
    pub fn go_on(&mut self, steps: u32) {
        let mut value = Writer::new();
        value.varint(steps.into());
        self.ext.insert(0, (GOES_ON, value.into_bytes()));
    }

    /// Writes it, for a changeset with so many deps.
    #[must_use]
    pub fn encode(&self, deps: usize) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.hlc.ms).varint(self.hlc.counter.into()).varint(self.undo_group);
        out.varint(self.command.iter().len() as u64);
        self.command.iter().for_each(|command| {
            out.raw(&command.0);
        });
        out.varint(self.refs.len() as u64);
        self.refs.iter().for_each(|changeset| changeset.encode(&mut out, deps));
        out.varint(self.objects.len() as u64);
        for (id, kind) in &self.objects {
            out.raw(&id.0).u8(*kind as u8);
        }
        out.varint(self.names.len() as u64);
        self.names.iter().for_each(|name| {
            out.raw(&name.0);
        });
        out.varint(self.ops.len() as u64);
        self.ops.iter().for_each(|op| op.encode(&mut out));
        let mut ext = TlvWriter::new();
        for (tag, value) in &self.ext {
            ext.entry(*tag, value);
        }
        ext.finish(&mut out);
        out.into_bytes()
    }
}

/// The entry of the extension that says of which transaction a changeset is a part; not critical.
const GOES_ON: u64 = 2;

impl ChangesetRef {
    fn decode(reader: &mut Reader<'_>, deps: usize) -> Result<Self, DecodeError> {
        let from = reader.varint("ref", deps as u64 + 1)? as usize;
        Ok(match from {
            0 => Self::BeforePrev(reader.varint_u32("ref steps", u32::MAX)?),
            _ if from > deps => Self::Id(ChangesetId(reader.array("ref id")?)),
            _ => {
                let dep = u8::try_from(from - 1).expect("at most 32 deps");
                Self::BeforeDep { dep, steps: reader.varint_u32("ref steps", u32::MAX)? }
            }
        })
    }

    fn encode(&self, out: &mut Writer, deps: usize) {
        match self {
            Self::BeforePrev(steps) => out.varint(0).varint((*steps).into()),
            Self::BeforeDep { dep, steps } => out.varint(u64::from(*dep) + 1).varint((*steps).into()),
            Self::Id(id) => out.varint(deps as u64 + 1).raw(&id.0),
        };
    }
}

fn decode_objects(reader: &mut Reader<'_>) -> Result<Vec<(ObjectId, ObjectKind)>, ReadError> {
    let count = reader.count("objects", CHANGESET_BYTES_MAX, 17)?;
    let mut seen = HashSet::with_capacity_and_hasher(count, Default::default());
    let mut objects = Vec::with_capacity(count);
    for _ in 0..count {
        let at = reader.position();
        let id = ObjectId(reader.array("object")?);
        if !seen.insert(id) {
            return Err(
                DecodeError::Invalid { what: "objects", at, rule: "every object stands there once" }.into()
            );
        }
        objects.push((id, object_kind(reader)?));
    }
    Ok(objects)
}

fn decode_names(reader: &mut Reader<'_>) -> Result<Vec<NameId>, DecodeError> {
    let count = reader.count("names", CHANGESET_BYTES_MAX, 16)?;
    let mut seen = HashSet::with_capacity_and_hasher(count, Default::default());
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let at = reader.position();
        let id = NameId(reader.array("name")?);
        if !seen.insert(id) {
            return Err(DecodeError::Invalid { what: "names", at, rule: "every name stands there once" });
        }
        names.push(id);
    }
    Ok(names)
}

fn decode_ops(reader: &mut Reader<'_>, tables: &Tables<'_>, class: Class) -> Result<Vec<Op>, ReadError> {
    let count = reader.count("ops", OPS_MAX, 2)?;
    let mut ops = Vec::with_capacity(count);
    let mut inserted = 0;
    for _ in 0..count {
        let at = reader.position();
        let op = Op::decode(reader, tables)?;
        if !op.fits(class) {
            let rule = "the op belongs into changesets of this class";
            return Err(DecodeError::Invalid { what: "op", at, rule }.into());
        }
        inserted += u64::from(op.units_made());
        if inserted > INSERTED_UNITS_MAX {
            return Err(
                DecodeError::OverLimit { what: "inserted units", at, limit: INSERTED_UNITS_MAX }.into()
            );
        }
        ops.push(op);
    }
    Ok(ops)
}
