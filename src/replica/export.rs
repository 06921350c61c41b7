//! A whole space or one object as bytes, and back.

use super::receive::Origin;
use super::{Env, Replica};
use crate::causal::ChangesetIx;
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::doc::ObjectIx;
use crate::event::SignedChangeset;
use crate::store::StoreBatch;

/// First bytes of an export.
const EXPORT_MAGIC: &[u8; 8] = b"stemma-x";

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Changesets that are new here.
    pub added: usize,
    /// Changesets that were here.
    pub known: usize,
    /// Changesets that do not decode or that nothing vouches for.
    pub refused: usize,
}

/// Why an export was not taken in. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not an export, or of another version.
    #[error("not an export of this version")]
    Format,
    /// It is of another space.
    #[error("export of another space")]
    Space,
    /// It does not decode.
    #[error("export does not decode: {0}")]
    Damaged(#[from] DecodeError),
}

impl Replica {
    /// The whole space as bytes: every changeset, also those that wait. Sealed as they are; whoever holds an invite or is a
    /// member can read it. Own changesets that are not stored yet are left out: this device may forget that it made them. What came with
    /// a spoilt signature is in as it is here: a copy lacks nothing, and whoever takes it in looks for itself. O(changesets).
    pub fn export_space(&self) -> Vec<u8> {
        let graph = self.log.graph();
        let outside = self.log.outside().map(|(changeset, _)| changeset);
        let rows = (0..graph.len())
            .map(ChangesetIx)
            .filter(|ix| self.sendable(*ix))
            .filter_map(|ix| self.log.entry(ix).changeset())
            .chain(outside)
            .map(|changeset| changeset.signed().encode());
        self.write_export(rows.collect())
    }

    /// One object and what is below it as bytes, which merge with what is known of it wherever they are imported: the
    /// changesets that touch it, and of those before them what decides, without what people read. For the rest as
    /// [`Replica::export_space`].
    pub fn export_object(&self, object: ObjectIx) -> Vec<u8> {
        let graph = self.log.graph();
        let count = graph.len() as usize;
        let (mut needed, mut touches) = (vec![false; count], vec![false; count]);
        for ix in (0..graph.len()).rev().map(ChangesetIx).filter(|ix| self.sendable(*ix)) {
            let at = ix.0 as usize;
            touches[at] = self.touches(ix, Some(object), None);
            if needed[at] || touches[at] {
                needed[at] = true;
                let parents = graph.prev(ix);
                parents.iter().chain(graph.deps(ix)).for_each(|parent| needed[parent.0 as usize] = true);
            }
        }
        let row = |at: usize| {
            let mut row = self.log.entry(ChangesetIx(at as u32)).changeset()?.signed().clone();
            if !touches[at] {
                row.drop_content();
            }
            Some(row.encode())
        };
        self.write_export((0..count).filter(|at| needed[*at]).filter_map(row).collect())
    }

    fn write_export(&self, rows: Vec<Vec<u8>>) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(EXPORT_MAGIC).u8(1).bytes(self.identity.genesis().as_bytes()).varint(rows.len() as u64);
        rows.iter().for_each(|row| {
            writer.bytes(row);
        });
        writer.into_bytes()
    }

    /// Takes in an export of this space. Idempotent; what is new is stored.
    pub fn import_space(&mut self, bytes: &[u8], env: &mut Env<'_>) -> Result<ImportReport, ImportError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<8>("magic")? != *EXPORT_MAGIC || reader.u8("version")? != 1 {
            return Err(ImportError::Format);
        }
        if reader.bytes("genesis", limits::EXT_BYTES_MAX)? != self.identity.genesis().as_bytes() {
            return Err(ImportError::Space);
        }
        let count = reader.count("rows", u32::MAX as usize, 2)?;
        let (mut rows, mut damaged) = (Vec::new(), 0);
        for _ in 0..count {
            match SignedChangeset::decode(reader.bytes("row", limits::CHANGESET_BYTES_MAX)?) {
                Ok(row) => rows.push(row),
                Err(_) => damaged += 1,
            }
        }
        reader.finish("export")?;
        let offered = rows.len();
        let (added, refused) = self.take_rows(rows, Origin::Import, StoreBatch::default(), env);
        Ok(ImportReport { added, known: offered - added - refused, refused: refused + damaged })
    }
}
