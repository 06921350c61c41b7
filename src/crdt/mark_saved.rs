//! What a snapshot keeps of a text's marks (see `codec::saved`): all of them, and where each wins, so that nothing has to
//! be found anew.

use super::bound::Bound;
use super::mark_sweep::{NO_MARK, Segment};
use super::marks::Marks;
use super::piece_list::PieceList;
use crate::causal::{ChangesetIx, NameId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::Value;

impl Marks {
    /// Writes them.
    pub fn save(&self, out: &mut Writer) {
        let rows: Vec<u32> = (0..self.len()).collect();
        saved::save_steps(out, rows.iter().map(|row| self.row(*row).op.0));
        saved::save_steps(out, rows.iter().map(|row| self.row(*row).changeset.0));
        for &row in &rows {
            self.key(row).0.save(out);
            let of = self.row(row);
            out.u8(u8::from(of.active) | u8::from(of.value.is_some()) << 1);
            save_bound(out, of.start);
            save_bound(out, of.end);
            if let Some(value) = self.value(row) {
                value.encode(out);
            }
        }
        out.varint(self.segments().count() as u64);
        for (key, segments) in self.segments() {
            key.0.save(out);
            out.varint(segments.len() as u64);
            for Segment { from, winner } in segments {
                save_bound(out, *from);
                out.varint(u64::from(winner.wrapping_add(1)));
            }
        }
    }

    /// Reads them, for a list that has its units.
    pub fn load<const LEAF: usize, const BLOCK: usize>(
        from: &mut Reader<'_>,
        list: &PieceList<LEAF, BLOCK>,
    ) -> Result<Self, DecodeError> {
        let mut marks = Self::default();
        let (ops, changesets) = (saved::load_rising(from)?, saved::load_steps(from)?);
        saved::check(ops.len() == changesets.len(), from, "marks", "each mark has a changeset")?;
        for (op, changeset) in ops.into_iter().zip(changesets) {
            saved::check(changeset != ChangesetIx::OPEN.0, from, "marks", "marks are sealed")?;
            let (key, flags) = (NameId(<[u8; 16]>::load(from)?), from.u8("flags")?);
            let ends = (load_bound(from, list.units())?, load_bound(from, list.units())?);
            let forwards = ends.0.order(ends.1, list).is_lt();
            saved::check(forwards && flags < 4, from, "marks", "marks begin before they end")?;
            let of = (ChangesetIx(changeset), OpIx(op));
            let row = marks.push(list, of, key, ends, flags & 1 != 0);
            if flags & 2 != 0 {
                marks.fill(row, Value::read(from)?);
            }
        }
        let tracks = from.count("tracks", u32::MAX as usize, 17)?;
        for _ in 0..tracks {
            let key = NameId(<[u8; 16]>::load(from)?);
            let segments = saved::load_list(from, |from| {
                let bound = load_bound(from, list.units())?;
                let winner = u32::load(from)?.checked_sub(1).unwrap_or(NO_MARK);
                let known = winner == NO_MARK || winner < marks.len() && marks.key(winner) == key;
                saved::check(known, from, "marks", "a mark of the key wins")?;
                Ok(Segment { from: bound, winner })
            })?;
            let rises = |pair: &[Segment]| pair[0].from.order(pair[1].from, list).is_lt();
            saved::check(segments.windows(2).all(rises), from, "marks", "segments follow each other")?;
            saved::check(marks.restore(&key, segments), from, "marks", "what is marked has marks")?;
        }
        marks.restored();
        Ok(marks)
    }
}

fn save_bound(out: &mut Writer, bound: Bound) {
    out.varint(u64::from(bound.unit.wrapping_add(1)) << 1 | u64::from(bound.after));
}

fn load_bound(from: &mut Reader<'_>, units: u32) -> Result<Bound, DecodeError> {
    let packed = from.varint("place", u64::from(units) << 1 | 1)?;
    Ok(Bound { unit: ((packed >> 1) as u32).wrapping_sub(1), after: packed & 1 == 1 })
}
