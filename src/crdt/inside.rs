//! What was typed inside of what some ops inserted: it makes no sense without that.

use super::bits::Bits;
use super::list::List;
use super::piece::{NONE, Piece};
use super::piece_list::PieceList;
use super::text::Text;
use super::unit_log::{Effect, UnitLog};
use crate::causal::OpIx;

/// The inserts of other ops whose both neighbours, when they were made, were units of ops for which `gone` holds or that were
/// found so themselves. O(n log n) in the runs.
fn inside<const LEAF: usize, const BLOCK: usize>(
    list: &PieceList<LEAF, BLOCK>,
    log: &UnitLog,
    gone: impl Fn(OpIx) -> bool,
) -> Vec<OpIx> {
    let mut units = Bits::new(list.units());
    for effect in log.effects_of(&gone) {
        if let Effect::Insert(span) = effect {
            units.set(span.range(), true);
        }
    }
    // Neighbours were there first: they have smaller numbers.
    let mut pieces: Vec<Piece> = list.iter().copied().collect();
    pieces.sort_unstable_by_key(|piece| piece.first);
    for Piece { first, len, left, right, .. } in pieces {
        if left != NONE && right != NONE && units.get(left) && units.get(right) {
            units.set(first..first + len, true);
        }
    }
    let is_inside = |(op, _, effect): (OpIx, bool, Effect<'_>)| match effect {
        Effect::Insert(span) if !gone(op) && units.get(span.first) && units.get(span.end() - 1) => Some(op),
        _ => None,
    };
    log.effects().filter_map(is_inside).collect()
}

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The ops that inserted text inside of what the ops inserted for which `gone` holds, or inside of such text. O(n log n) in
    /// the runs.
    pub fn inside(&self, gone: impl Fn(OpIx) -> bool) -> Vec<OpIx> {
        inside(&self.list, &self.log, gone)
    }
}

impl<const LEAF: usize, const BLOCK: usize> List<LEAF, BLOCK> {
    /// The same for elements.
    pub fn inside(&self, gone: impl Fn(OpIx) -> bool) -> Vec<OpIx> {
        inside(&self.list, &self.log, gone)
    }
}
