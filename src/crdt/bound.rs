//! An end of a mark: the place right before or right behind a unit, or an edge of the list.
//!
//! Invariant: the order of two bounds never changes, whatever is inserted. Of one unit, the place before it comes first;
//! between the place behind a unit and the place before the next one there is room for what is not there yet.

use super::anchor::{Anchor, Bias};
use super::piece::NONE;
use super::piece_list::PieceList;
use super::unit_log::UnitLog;
use crate::steps;
use std::cmp::Ordering;

/// The edges are [`Bound::START`], behind no unit, and [`Bound::END`], before none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub unit: u32,
    pub after: bool,
}

impl Bound {
    pub const START: Self = Self { unit: NONE, after: true };
    pub const END: Self = Self { unit: NONE, after: false };

    pub fn before(unit: u32) -> Self {
        Self { unit, after: false }
    }

    pub fn after(unit: u32) -> Self {
        Self { unit, after: true }
    }

    /// Which of two comes first.
    pub fn order<const LEAF: usize, const BLOCK: usize>(
        self,
        other: Self,
        list: &PieceList<LEAF, BLOCK>,
    ) -> Ordering {
        steps::count(1);
        match (self, other) {
            _ if self == other => Ordering::Equal,
            (Self::START, _) | (_, Self::END) => Ordering::Less,
            (Self::END, _) | (_, Self::START) => Ordering::Greater,
            _ if self.unit == other.unit => self.after.cmp(&other.after),
            _ => list.compare(self.unit, other.unit),
        }
    }

    /// How many visible units lie before it.
    pub fn position<const LEAF: usize, const BLOCK: usize>(self, list: &PieceList<LEAF, BLOCK>) -> u32 {
        match self {
            Self::START => 0,
            Self::END => list.visible(),
            _ => {
                let at = list.locate(self.unit);
                list.visible_before(at) + u32::from(self.after && list.piece(at).hide == 0)
            }
        }
    }

    pub fn to_anchor(self, log: &UnitLog) -> Anchor {
        match self {
            Self::START => Anchor::Start,
            Self::END => Anchor::End,
            _ => {
                let bias = if self.after { Bias::After } else { Bias::Before };
                Anchor::Unit { unit: log.unit_ref(self.unit), bias }
            }
        }
    }

    /// Of an anchor that was checked.
    pub fn of(anchor: Anchor, log: &UnitLog) -> Self {
        match anchor {
            Anchor::Start => Self::START,
            Anchor::End => Self::END,
            Anchor::Unit { unit, bias } => {
                let unit = log.resolve(unit, 1).expect("the ops were checked");
                Self { unit, after: bias == Bias::After }
            }
        }
    }
}
