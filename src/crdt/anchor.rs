//! A place in a text that stays where it is while the text around it changes.

use super::text::Text;
use super::unit_op::{UnitError, UnitRef};
use crate::causal::ChangesetIx;

/// A place in a text. One that names the open batch is good until the next seal only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Before everything.
    Start,
    /// Next to a unit, whether it shows or not.
    Unit {
        /// The unit.
        unit: UnitRef,
        /// On which side of it.
        bias: Bias,
    },
    /// Behind everything.
    End,
}

/// The side of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bias {
    /// Before it: what is inserted here later stays on the left.
    Before,
    /// Behind it: what is inserted here later stays on the right.
    After,
}

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The anchor of a position: before the unit that follows it, or behind the one in front of it.
    ///
    /// # Errors
    /// If `pos` is past the end.
    pub fn anchor_at(&self, pos: u32, bias: Bias) -> Result<Anchor, UnitError> {
        self.in_range(u64::from(pos))?;
        let pos = match bias {
            Bias::Before if pos == self.len() => return Ok(Anchor::End),
            Bias::Before => pos,
            Bias::After if pos == 0 => return Ok(Anchor::Start),
            Bias::After => pos - 1,
        };
        let at = self.list.peek(pos);
        let unit = self.log.unit_ref(self.list.piece(at).first + at.offset);
        Ok(Anchor::Unit { unit, bias })
    }

    /// Where an anchor is now; next to a hidden unit, where that would be. Nothing if there is no such unit (yet).
    pub fn position(&self, anchor: Anchor) -> Option<u32> {
        let (unit, bias) = match anchor {
            Anchor::Start => return Some(0),
            Anchor::End => return Some(self.len()),
            Anchor::Unit { unit, bias } => (unit, bias),
        };
        let unit = if unit.changeset == ChangesetIx::OPEN {
            self.log.units().checked_add(unit.offset).filter(|&unit| unit < self.list.units())?
        } else {
            self.log.resolve(unit, 1)?
        };
        let at = self.list.locate(unit);
        let shows = self.list.piece(at).hide == 0;
        Some(self.list.visible_before(at) + u32::from(shows && bias == Bias::After))
    }
}
