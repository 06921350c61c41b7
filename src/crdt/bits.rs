//! A set of small numbers, one bit each, changed and read in runs: the ops that a view is made of, the units that show.

use crate::steps;
use std::ops::Range;

/// A set of numbers below a length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// An empty set of numbers below `len`.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self(vec![0; (len as usize).div_ceil(64)])
    }

    /// Puts a range in, or takes it out. O(len / 64).
    pub fn set(&mut self, range: Range<u32>, on: bool) {
        let mut at = range.start;
        while at < range.end {
            let (word, bit) = ((at / 64) as usize, at % 64);
            let len = (64 - bit).min(range.end - at);
            let mask = (u64::MAX >> (64 - len)) << bit;
            if on {
                self.0[word] |= mask;
            } else {
                self.0[word] &= !mask;
            }
            at += len;
        }
    }

    /// Takes out what is in another set. O(len / 64).
    pub fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, out)| *word &= !out);
    }

    /// Whether a number is in it; none beyond the length is.
    #[must_use]
    pub fn get(&self, at: u32) -> bool {
        self.0.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether the first of a range is in it, and up to where that stays so.
    #[must_use]
    pub fn stretch(&self, range: Range<u32>) -> (bool, u32) {
        let bits = |at: u32| self.0[(at / 64) as usize] >> (at % 64);
        let first = bits(range.start) & 1 == 1;
        let mut at = range.start;
        while at < range.end {
            let same = if first { (!bits(at)).trailing_zeros() } else { bits(at).trailing_zeros() };
            let in_word = 64 - at % 64;
            at += same.min(in_word);
            if same < in_word {
                break;
            }
        }
        (first, at.min(range.end))
    }

    /// The numbers that one of two sets has and the other has not, ascending. O(len / 64 + those).
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let word = |set: &Self, at: usize| set.0.get(at).copied().unwrap_or(0);
        (0..self.0.len().max(other.0.len())).flat_map(move |at| {
            steps::count(1);
            let mut left = word(self, at) ^ word(other, at);
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cross_words() {
        let mut bits = Bits::new(200);
        bits.set(3..130, true);
        bits.set(64..70, false);
        assert_eq!((bits.get(2), bits.get(3), bits.get(64), bits.get(70)), (false, true, false, true));
        assert_eq!((bits.get(130), bits.get(5_000)), (false, false));
        assert_eq!(bits.stretch(0..200), (false, 3));
        assert_eq!(bits.stretch(10..200), (true, 64));
        assert_eq!(bits.stretch(64..66), (false, 66));
        assert_eq!(bits.stretch(70..200), (true, 130));
        let other = Bits::new(10);
        assert_eq!(bits.differing(&other).count(), 121);
        assert_eq!(bits.differing(&bits).count(), 0);
        let mut more = bits.clone();
        more.set(199..200, true);
        more.set(3..4, false);
        assert_eq!(more.differing(&bits).collect::<Vec<_>>(), [3, 199]);
    }
}
