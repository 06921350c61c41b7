//! Spaces as one file, the same for every store: to back a node up, to move spaces, to go from one store to another.
//!
//! ```text
//! "stemma relay archive 1\n", then records: length u32 LE | kind u8 | body
//!   1 identity  the seed of the relay's key [32], in a backup only
//!   2 space     genesis length u32 LE | genesis | who was let in: (gate [32] | member [32])*
//!   3 row       of the last space, in the order of its log, as clients store it
//!   0 end       SHA-256 of everything before this record
//! ```
//! Invariants: a file that is cut or damaged is told before anything of its end is believed; rows are checked as if a client
//! pushed them. What is read in gets a log of its own, with another log id, so clients compare and send what is missing.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use stemma::causal::{LogId, MemberId, SpaceId};
use stemma::codec::limits::CHANGESET_BYTES_MAX;
use stemma::event::Genesis;
use stemma::sync::{Code, Row, Verdict};

use crate::redaction;
use crate::server::random;
use crate::store::{Append, Newcomer, Store, StoreError};
use crate::verify::verify_row;

const MAGIC: &[u8] = b"stemma relay archive 1\n";

/// A million members.
const RECORD_BYTES_MAX: usize = 64 << 20;

const PAGE_BYTES: usize = 4 << 20;
const PAGE_ROWS: usize = 1_024;

const END: u8 = 0;
const IDENTITY: u8 = 1;
const SPACE: u8 = 2;
const ROW: u8 = 3;

/// How much an archive holds, or brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spaces.
    pub spaces: u64,
    /// Rows.
    pub rows: u64,
    /// Of these, rows that were there before.
    pub known: u64,
}

/// Why an archive was not written, or not read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("archive: {0}")]
    File(#[from] io::Error),
    /// It is no archive, or a damaged one.
    #[error("archive: {0}")]
    Damaged(&'static str),
    /// A row that no relay would have taken.
    #[error("archive: a row of space {0} is refused ({1:?})")]
    Row(SpaceId, Code),
    /// A space that is not in the store.
    #[error("there is no space {0}")]
    NoSpace(SpaceId),
    /// A backup is restored into an empty store alone.
    #[error(
        "the store is not empty: a backup is restored into an empty one; `import` adds its spaces to this one"
    )]
    NotEmpty,
    /// A part of the backup was restored before, or the store is the one that it was made of.
    #[error(
        "the store is not empty, and has the key of this backup: if `restore` was cut off, `import` goes on with it where it ended"
    )]
    Begun,
}

/// Writes the whole node, its key included: whoever has the file can pass for this relay.
///
/// # Errors
/// [`ArchiveError`].
pub fn backup(store: &dyn Store, file: &mut (impl Write + ?Sized)) -> Result<Counts, ArchiveError> {
    let mut out = Out::begin(file)?;
    out.record(IDENTITY, &[&store.identity(random())?])?;
    let mut counts = Counts::default();
    for space in store.spaces()? {
        write_space(store, space, &mut out, &mut counts)?;
    }
    out.end()?;
    Ok(counts)
}

/// Writes one space.
///
/// # Errors
/// [`ArchiveError`].
pub fn export(
    store: &dyn Store,
    space: SpaceId,
    file: &mut (impl Write + ?Sized),
) -> Result<Counts, ArchiveError> {
    let mut out = Out::begin(file)?;
    let mut counts = Counts::default();
    write_space(store, space, &mut out, &mut counts)?;
    out.end()?;
    Ok(counts)
}

/// Reads a backup into an empty store, which has the key of the node then.
///
/// # Errors
/// [`ArchiveError`].
pub fn restore(store: &dyn Store, file: &mut impl Read) -> Result<Counts, ArchiveError> {
    if !store.spaces()?.is_empty() {
        let (kind, body) = In::begin(file)?.record()?;
        let is_of_this = kind == IDENTITY && body == store.identity(random())?;
        return Err(if is_of_this { ArchiveError::Begun } else { ArchiveError::NotEmpty });
    }
    read(store, file, true)
}

/// Reads the spaces of an archive into a store. What is there already is skipped, so doing it twice is no harm.
///
/// # Errors
/// [`ArchiveError`].
pub fn import(store: &dyn Store, file: &mut impl Read) -> Result<Counts, ArchiveError> {
    read(store, file, false)
}

fn write_space(
    store: &dyn Store,
    space: SpaceId,
    out: &mut Out<'_, impl Write + ?Sized>,
    counts: &mut Counts,
) -> Result<(), ArchiveError> {
    let record = store.space(space)?.ok_or(ArchiveError::NoSpace(space))?;
    let members: Vec<u8> =
        store.members(space)?.into_iter().flat_map(|(gate, member)| [gate, member.0]).flatten().collect();
    let length = (record.genesis.len() as u32).to_le_bytes();
    out.record(SPACE, &[&length, &record.genesis, &members])?;
    counts.spaces += 1;
    let mut after = 0;
    // What is appended meanwhile is not in this archive.
    while after < record.head.cursor {
        let page = store.read(space, after, PAGE_BYTES, PAGE_ROWS)?;
        let Some(last) = page.last().map(|row| row.cursor) else { return Err(StoreError::Damaged.into()) };
        for row in page.iter().filter(|row| row.cursor <= record.head.cursor) {
            out.record(ROW, &[&row.row.to_stored()])?;
            counts.rows += 1;
        }
        after = last;
    }
    Ok(())
}

fn read(store: &dyn Store, file: &mut impl Read, restores: bool) -> Result<Counts, ArchiveError> {
    let mut source = In::begin(file)?;
    let mut counts = Counts::default();
    let mut space: Option<(SpaceId, Genesis)> = None;
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0;
    loop {
        let (kind, body) = source.record()?;
        if kind != ROW || bytes > PAGE_BYTES || rows.len() == PAGE_ROWS {
            if let Some((space, genesis)) = &space {
                append(store, *space, genesis, std::mem::take(&mut rows), &mut counts)?;
            }
            bytes = 0;
        }
        match kind {
            END => {
                // A store with something in it has a key, so that it can be backed up.
                store.identity(random())?;
                return Ok(counts);
            }
            IDENTITY => {
                let seed: [u8; 32] = body[..].try_into().map_err(|_| ArchiveError::Damaged("no identity"))?;
                if restores && store.identity(seed)? != seed {
                    return Err(ArchiveError::NotEmpty);
                }
            }
            SPACE => {
                space = Some(read_space(store, &body)?);
                counts.spaces += 1;
            }
            ROW => {
                if space.is_none() {
                    return Err(ArchiveError::Damaged("a row before its space"));
                }
                bytes += body.len();
                rows.push(
                    Row::from_stored(&body).map_err(|_| ArchiveError::Damaged("a row does not decode"))?,
                );
            }
            _ => return Err(ArchiveError::Damaged("a record of another version")),
        }
    }
}

fn read_space(store: &dyn Store, body: &[u8]) -> Result<(SpaceId, Genesis), ArchiveError> {
    let damaged = || ArchiveError::Damaged("a space does not decode");
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (genesis, members) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
    let genesis = Genesis::decode(genesis).map_err(|_| damaged())?;
    let space = genesis.id();
    store.create_space(space, genesis.as_bytes(), LogId(random()))?;
    let (members, []) = members.as_chunks::<64>() else { return Err(damaged()) };
    for member in members {
        let (gate, member) = member.split_at(32);
        let newcomer = Newcomer {
            gate: gate.try_into().map_err(|_| damaged())?,
            member: MemberId(member.try_into().map_err(|_| damaged())?),
            uses: None,
            expired: false,
        };
        store.admit(space, &newcomer)?;
    }
    Ok((space, genesis))
}

fn append(
    store: &dyn Store,
    space: SpaceId,
    genesis: &Genesis,
    rows: Vec<Row>,
    counts: &mut Counts,
) -> Result<(), ArchiveError> {
    if rows.is_empty() {
        return Ok(());
    }
    let refused = |code| ArchiveError::Row(space, code);
    let rows = rows.into_iter().map(|row| verify_row(row, space, genesis).map_err(refused));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    counts.rows += rows.len() as u64;
    let mut batch = [Append { space, quota_bytes: u64::MAX, rows }];
    let (appended, _) = redaction::append(store, &mut batch)?;
    for verdict in appended.into_iter().flat_map(|appended| appended.results) {
        match verdict {
            Verdict::Accepted { .. } | Verdict::Forked { .. } => {}
            Verdict::Dup { .. } => counts.known += 1,
            Verdict::Gap { .. } => return Err(ArchiveError::Damaged("a row is missing")),
            Verdict::Rejected(code) => return Err(refused(code)),
        }
    }
    Ok(())
}

struct Out<'a, W: ?Sized> {
    file: &'a mut W,
    hash: Sha256,
}

impl<'a, W: Write + ?Sized> Out<'a, W> {
    fn begin(file: &'a mut W) -> Result<Self, ArchiveError> {
        let mut out = Self { file, hash: Sha256::new() };
        out.write(MAGIC)?;
        Ok(out)
    }

    fn record(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), ArchiveError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > RECORD_BYTES_MAX {
            return Err(ArchiveError::Damaged("a record is too long"));
        }
        self.write(&(length as u32).to_le_bytes())?;
        self.write(&[kind])?;
        parts.iter().try_for_each(|part| self.write(part))?;
        Ok(())
    }

    fn end(mut self) -> Result<(), ArchiveError> {
        let hash = self.hash.clone().finalize();
        self.record(END, &[&hash])?;
        self.file.flush()?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}

struct In<'a, R> {
    file: &'a mut R,
    hash: Sha256,
}

impl<'a, R: Read> In<'a, R> {
    fn begin(file: &'a mut R) -> Result<Self, ArchiveError> {
        let mut source = Self { file, hash: Sha256::new() };
        if source.read(MAGIC.len())? != MAGIC {
            return Err(ArchiveError::Damaged("this is none, or one of another version"));
        }
        Ok(source)
    }

    fn record(&mut self) -> Result<(u8, Vec<u8>), ArchiveError> {
        let expected = self.hash.clone().finalize();
        let head = self.read(5)?;
        let (length, kind) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let max = if kind[0] == ROW { CHANGESET_BYTES_MAX } else { RECORD_BYTES_MAX };
        if length > max {
            return Err(ArchiveError::Damaged("a record is too long"));
        }
        let body = self.read(length)?;
        if kind[0] == END && body != expected[..] {
            return Err(ArchiveError::Damaged("its hash is another one"));
        }
        Ok((kind[0], body))
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        self.file.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ArchiveError::Damaged("it was cut"));
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }
}
