//! A set of small numbers, one bit each, changed and read in runs or one by one: the ops that a view is made of, those that do
//! not count, the units that show.

use crate::steps;
use std::ops::Range;

/// A set of numbers below a length, which [`Bits::insert`] alone makes greater.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// An empty set of numbers below `len`.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self(vec![0; (len as usize).div_ceil(64)])
    }

    /// Puts a range in, or takes it out. O(len / 64).
    ///
    /// # Panics
    /// If it is not below the length.
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

    /// Puts a number in, also beyond the length; whether it was not there.
    pub fn insert(&mut self, at: u32) -> bool {
        let word = (at / 64) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let was = self.0[word];
        self.0[word] |= 1 << (at % 64);
        self.0[word] != was
    }

    /// Takes a number out; whether it was there.
    pub fn take(&mut self, at: u32) -> bool {
        let was = self.get(at);
        if was {
            self.0[(at / 64) as usize] &= !(1 << (at % 64));
        }
        was
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
        numbers(0..self.0.len().max(other.0.len()), |at| self.word(at) ^ other.word(at))
    }

    /// All numbers, ascending. O(len / 64 + those).
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        numbers(0..self.0.len(), |at| self.0[at])
    }

    /// Those of a range, ascending. O(its length / 64 + those).
    pub fn iter_in(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        let words = (range.start / 64) as usize..(range.end.div_ceil(64) as usize).min(self.0.len());
        let first = move |at: &u32| *at < range.start;
        numbers(words, |at| self.0[at]).skip_while(first).take_while(move |at| *at < range.end)
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

/// The numbers of the bits of some words.
fn numbers(words: Range<usize>, word: impl Fn(usize) -> u64) -> impl Iterator<Item = u32> {
    words.flat_map(move |at| {
        steps::count(1);
        let mut left = word(at);
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (bit < 64).then_some(at as u32 * 64 + bit)
        })
    })
}

impl FromIterator<u32> for Bits {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut bits = Self::default();
        bits.extend(numbers);
        bits
    }
}

impl Eq for Bits {}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.differing(other).next().is_none()
    }
}

impl Extend<u32> for Bits {
    fn extend<T: IntoIterator<Item = u32>>(&mut self, numbers: T) {
        for at in numbers {
            self.insert(at);
        }
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

    #[test]
    fn numbers_come_and_go_one_by_one() {
        let mut bits = Bits::default();
        assert_eq!((bits.insert(130), bits.insert(130), bits.insert(0)), (true, false, true));
        assert_eq!((bits.take(131), bits.take(5_000), bits.get(130)), (false, false, true));
        bits.insert(63);
        bits.insert(64);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 130]);
        for (range, expected) in
            [(0..0, vec![]), (0..64, vec![0, 63]), (1..65, vec![63, 64]), (64..9_999, vec![64, 130])]
        {
            assert_eq!(bits.iter_in(range).collect::<Vec<_>>(), expected);
        }
        assert_eq!((bits.take(63), bits.take(63)), (true, false));
        assert_eq!(bits, [130, 64, 0].into_iter().collect());
        bits.insert(9_999);
        assert_ne!(bits, [130, 64, 0].into_iter().collect());
        bits.take(9_999);
        assert_eq!(bits, [130, 64, 0].into_iter().collect());
    }
}
