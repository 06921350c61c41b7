//! A row as the embedded store keeps it: what follows from its place, from rows before it and from the segments beside it is not
//! written down a second time.
//!
//! ```text
//! id [32] | signature [64] | form u8 | …
//!   form 0              the header as it is
//!   form 1 | flags | class << 4:
//!     prev, unless this is seq 0 | deps: count, refs | epoch u8, or 0 and kid [16]
//!     | with flag 4: the content's length, hash [32] | with flag 8: the rest of the header
//!   a ref is how many rows further up it is, or 0 and an id [32]
//! ```
//! Invariant: a header comes back byte for byte; one that would not is kept as it is. Numbers are varints.

use stemma::causal::{ActorId, SpaceId};
use stemma::codec::limits::{CHANGESET_BYTES_MAX, DEPS_MAX};
use stemma::codec::{Reader, Writer};
use stemma::crypto::{SegmentKind, segment_hash};
use stemma::event::Header;

use crate::store::NewRow;

/// Of the id, before everything else.
pub(super) const ID_BYTES: usize = 32;

const WHOLE: u8 = 0;
const PACKED: u8 = 1;
const CONTENT: u8 = 4;
const REST: u8 = 8;
const CLASS_SHIFT: u8 = 4;

/// What every header ends with that has no extension: their length.
const NO_EXTENSIONS: [u8; 1] = [0];

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) space: SpaceId,
    pub(super) actor: ActorId,
    pub(super) seq: u32,
    pub(super) cursor: u64,
}

/// What stands for ids of rows and of epochs, within one space.
pub(super) trait Names {
    type Error;
    /// Where the row with an id is, if that is known.
    fn place_of(&mut self, id: &[u8; 32]) -> Result<Option<u64>, Self::Error>;
    /// The number of an epoch, from 1 on, if it has one.
    fn number_of(&mut self, kid: [u8; 16]) -> Result<Option<u8>, Self::Error>;
}

/// The same the other way round.
pub(super) trait Ids {
    type Error;
    fn id_at(&mut self, cursor: u64) -> Result<[u8; 32], Self::Error>;
    fn kid_of(&mut self, number: u8) -> Result<[u8; 16], Self::Error>;
    /// What is here was written by no relay.
    fn damaged() -> Self::Error;
}

/// What is stored of a row beside its segments.
pub(super) fn pack<N: Names>(new: &NewRow, place: Place, names: &mut N) -> Result<Vec<u8>, N::Error> {
    let mut out = Writer::with_capacity(128);
    out.raw(&new.id.0).raw(&new.row.signature);
    let header = match Header::decode(&new.row.header) {
        Ok(header) if place.cursor > 0 => header,
        _ => return Ok(whole(out, new)),
    };
    let class = new.row.header[2];
    let deps: Vec<[u8; 32]> = header.deps().iter().map(|dep| dep.0).collect();
    let skeleton = segment(SegmentKind::Skeleton, &new.row.skeleton);
    let given = header.content().map(|content| (content.len, content.hash.0));
    let content = new.row.content.as_deref().map(|bytes| segment(SegmentKind::Content, bytes)).or(given);
    let prev = new.prev.map_or(place.space.0, |prev| prev.0);
    let fields = Fields { class, prev, deps: &deps, kid: header.kid().0, skeleton, content };
    let start = fields.encode(place);
    let Some(rest) = new.row.header.strip_prefix(&start[..]).filter(|_| class < 8) else {
        return Ok(whole(out, new));
    };
    let has_news = rest != NO_EXTENSIONS;
    let lacks_content = new.row.content.is_none() && given.is_some();
    let flags = if lacks_content { CONTENT } else { 0 } | if has_news { REST } else { 0 };
    out.u8(PACKED | flags | class << CLASS_SHIFT);
    if place.seq > 0 {
        reference(&mut out, &prev, place, names)?;
    }
    out.varint(deps.len() as u64);
    for dep in &deps {
        reference(&mut out, dep, place, names)?;
    }
    match names.number_of(fields.kid)? {
        Some(number) => out.u8(number),
        None => out.u8(0).raw(&fields.kid),
    };
    if let Some((len, hash)) = given.filter(|_| lacks_content) {
        out.varint(len.into()).raw(&hash);
    }
    if has_news {
        out.raw(rest);
    }
    Ok(out.into_bytes())
}

fn whole(mut out: Writer, new: &NewRow) -> Vec<u8> {
    out.u8(WHOLE).raw(&new.row.header);
    out.into_bytes()
}

fn reference<N: Names>(out: &mut Writer, id: &[u8; 32], place: Place, names: &mut N) -> Result<(), N::Error> {
    match names.place_of(id)?.and_then(|cursor| place.cursor.checked_sub(cursor)).filter(|up| *up > 0) {
        Some(up) => out.varint(up),
        None => out.varint(0).raw(id),
    };
    Ok(())
}

/// The header and the signature of a row. The segments are those that stand beside it.
pub(super) fn unpack<I: Ids>(
    packed: &[u8],
    place: Place,
    skeleton: &[u8],
    content: Option<&[u8]>,
    ids: &mut I,
) -> Result<(Vec<u8>, [u8; 64]), I::Error> {
    let damaged = |_| I::damaged();
    let mut reader = Reader::new(packed);
    reader.raw("id", ID_BYTES).map_err(damaged)?;
    let signature = reader.array("signature").map_err(damaged)?;
    let form = reader.u8("form").map_err(damaged)?;
    if form == WHOLE {
        return Ok((reader.rest().to_vec(), signature));
    }
    let mut follow = |reader: &mut Reader<'_>| {
        let up = reader.varint("reference", place.cursor).map_err(damaged)?;
        match up {
            0 => reader.array("id").map_err(damaged),
            up => ids.id_at(place.cursor - up),
        }
    };
    let prev = if place.seq > 0 { follow(&mut reader)? } else { place.space.0 };
    let count = reader.varint("deps", DEPS_MAX as u64).map_err(damaged)?;
    let deps = (0..count).map(|_| follow(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    let kid = match reader.u8("epoch").map_err(damaged)? {
        0 => reader.array("kid").map_err(damaged)?,
        number => ids.kid_of(number)?,
    };
    let content = match content {
        _ if form & CONTENT != 0 => {
            let len = reader.varint_u32("content length", CHANGESET_BYTES_MAX as u32).map_err(damaged)?;
            Some((len, reader.array("content hash").map_err(damaged)?))
        }
        content => content.map(|bytes| segment(SegmentKind::Content, bytes)),
    };
    let skeleton = segment(SegmentKind::Skeleton, skeleton);
    let fields = Fields { class: form >> CLASS_SHIFT, prev, deps: &deps, kid, skeleton, content };
    let mut header = fields.encode(place);
    header.extend(if form & REST != 0 { reader.rest() } else { &NO_EXTENSIONS });
    Ok((header, signature))
}

fn segment(kind: SegmentKind, bytes: &[u8]) -> (u32, [u8; 32]) {
    (bytes.len() as u32, segment_hash(kind, bytes).0)
}

/// What a header is made of, up to its extensions; the rest is its place.
struct Fields<'a> {
    class: u8,
    prev: [u8; 32],
    deps: &'a [[u8; 32]],
    kid: [u8; 16],
    skeleton: (u32, [u8; 32]),
    content: Option<(u32, [u8; 32])>,
}

/// Version, suite.
const START: [u8; 2] = [1, 1];
const FLAGS: u8 = 0;

impl Fields<'_> {
    fn encode(&self, place: Place) -> Vec<u8> {
        let mut out = Writer::with_capacity(256 + 32 * self.deps.len());
        out.raw(&START).u8(self.class).u8(FLAGS).raw(&place.space.0).raw(&place.actor.0);
        out.varint(place.seq.into()).raw(&self.prev).varint(self.deps.len() as u64);
        for dep in self.deps {
            out.raw(dep);
        }
        let (len, hash) = self.content.unwrap_or_default();
        out.raw(&self.kid).varint(self.skeleton.0.into()).raw(&self.skeleton.1);
        out.varint(len.into()).raw(&hash);
        out.into_bytes()
    }
}
