//! A run of units that lie next to each other in the list, were typed one after the other, and are hidden alike.

/// Stands for "no unit": the start of the list as a left neighbour, its end as a right one.
pub(super) const NONE: u32 = u32::MAX;

/// Units `first .. first + len`. The head was inserted between `left` and `right`, each other unit between the unit
/// before it and `right`. The run shows while `hide`, the number of reasons to hide it, is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub first: u32,
    pub len: u32,
    pub left: u32,
    pub right: u32,
    pub hide: u32,
}

impl Piece {
    pub fn end(&self) -> u32 {
        self.first + self.len
    }

    pub fn visible(&self) -> u32 {
        if self.hide == 0 { self.len } else { 0 }
    }

    /// The offset of a unit in this run, if it is in it.
    pub fn offset_of(&self, unit: u32) -> Option<u32> {
        let offset = unit.wrapping_sub(self.first);
        (offset < self.len).then_some(offset)
    }

    /// Whether `next`, lying right behind, can become part of this run. It may come from another changeset.
    pub fn joins(&self, next: &Piece) -> bool {
        next.first == self.end()
            && next.left == next.first - 1
            && next.right == self.right
            && next.hide == self.hide
    }

    /// The part from `offset` on, as a run of its own.
    pub fn tail(&self, offset: u32) -> Piece {
        if offset == 0 {
            return *self;
        }
        let first = self.first + offset;
        Piece { first, len: self.len - offset, left: first - 1, ..*self }
    }

    /// Keeps the part before `offset` and returns the rest.
    pub fn split(&mut self, offset: u32) -> Piece {
        let tail = self.tail(offset);
        self.len = offset;
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_run_joins_again() {
        let whole = Piece { first: 7, len: 5, left: 2, right: NONE, hide: 1 };
        let mut head = whole;
        let tail = head.split(2);
        assert_eq!((head.len, tail.first, tail.len, tail.left), (2, 9, 3, 8));
        assert!(head.joins(&tail));
        assert!(!head.joins(&Piece { hide: 0, ..tail }));
        assert!(!head.joins(&Piece { right: 3, ..tail }));
        assert_eq!((whole.offset_of(11), whole.offset_of(12), whole.offset_of(6)), (Some(4), None, None));
    }
}
