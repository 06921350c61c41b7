//! What each op wrote, by op. Op numbers rise, so a search finds it.

use super::Written;
use crate::causal::OpIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};

/// What the ops that write something wrote; none where it is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Writings {
    rows: Vec<(OpIx, Option<Written>)>,
    /// Whether any of them ever wrote an object.
    has_children: bool,
}

impl Writings {
    /// Notes what an op wrote whose number exceeds all before. O(1).
    pub fn push(&mut self, op: OpIx, written: Option<Written>) {
        debug_assert!(self.rows.last().is_none_or(|last| last.0 < op), "ops come in order");
        self.has_children |= is_child(written.as_ref());
        self.rows.push((op, written));
    }

    /// Supplies what was absent.
    pub fn fill(&mut self, op: OpIx, written: Written) {
        if let Ok(at) = self.rows.binary_search_by_key(&op, |row| row.0) {
            self.has_children |= is_child(Some(&written));
            self.rows[at].1 = Some(written);
        }
    }

    /// Forgets what an op wrote; says whether it wrote anything.
    pub fn wipe(&mut self, op: OpIx) -> bool {
        let found = self.rows.binary_search_by_key(&op, |row| row.0);
        found.map(|at| self.rows[at].1 = None).is_ok()
    }

    /// Whether there may be one that wrote an object.
    pub fn has_children(&self) -> bool {
        self.has_children
    }

    /// What an op wrote. O(1) where all ops from the first on wrote something, else O(log writes).
    pub fn get(&self, op: OpIx) -> Option<&Written> {
        let (first, last) = (self.rows.first()?.0, self.rows.len() - 1);
        // No row is further from the first than its op.
        let end = (op.0.checked_sub(first.0)? as usize).min(last);
        let at = match self.rows[end].0 == op {
            true => end,
            false => self.rows[..end].binary_search_by_key(&op, |row| row.0).ok()?,
        };
        self.rows[at].1.as_ref()
    }

    /// Forgets what this op and those after it wrote.
    pub fn truncate(&mut self, first: OpIx) {
        let left = self.rows.partition_point(|row| row.0 < first);
        self.rows.truncate(left);
    }
}

fn is_child(written: Option<&Written>) -> bool {
    matches!(written, Some(Written::Child(..)))
}

impl Saved for Writings {
    fn save(&self, out: &mut Writer) {
        saved::save_steps(out, self.rows.iter().map(|(op, _)| op.0));
        self.rows.iter().for_each(|(_, written)| written.save(out));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ops = saved::load_rising(from)?;
        let row = |op| Ok((OpIx(op), Saved::load(from)?));
        let rows: Vec<(_, Option<Written>)> = ops.into_iter().map(row).collect::<Result<_, _>>()?;
        Ok(Self { has_children: rows.iter().any(|(_, written)| is_child(written.as_ref())), rows })
    }
}
