//! What a snapshot keeps of a type, and how it comes back (docs/format.md §9). Local numbers stand in it, so it is good on
//! this device alone, and only for the version that wrote it.
//!
//! Invariant: reading is total. It finds what a writer of ours cannot have written, as far as that could make the type
//! panic later.

use super::{DecodeError, Reader, Writer};

/// A part of a snapshot.
pub trait Saved: Sized {
    /// Writes it.
    fn save(&self, out: &mut Writer);

    /// Reads it.
    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Saved for u32 {
    fn save(&self, out: &mut Writer) {
        out.varint(u64::from(*self));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.varint_u32("number", u32::MAX)
    }
}

impl Saved for u64 {
    fn save(&self, out: &mut Writer) {
        out.varint(*self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.varint("number", u64::MAX)
    }
}

impl Saved for bool {
    fn save(&self, out: &mut Writer) {
        out.u8(u8::from(*self));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = from.position();
        match from.u8("flag")? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::Unknown { what: "flag", at, found: found.into() }),
        }
    }
}

impl<const N: usize> Saved for [u8; N] {
    fn save(&self, out: &mut Writer) {
        out.raw(self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array("bytes")
    }
}

impl Saved for Box<[u8]> {
    fn save(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(from.bytes("bytes", u32::MAX as usize)?.into())
    }
}

impl<A: Saved, B: Saved> Saved for (A, B) {
    fn save(&self, out: &mut Writer) {
        self.0.save(out);
        self.1.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::load(from)?, B::load(from)?))
    }
}

impl<T: Saved> Saved for Option<T> {
    fn save(&self, out: &mut Writer) {
        self.is_some().save(out);
        if let Some(some) = self {
            some.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::load(from)? { Some(T::load(from)?) } else { None })
    }
}

impl<T: Saved> Saved for Vec<T> {
    fn save(&self, out: &mut Writer) {
        save_list(out, self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        load_list(from, T::load)
    }
}

/// Writes a list.
pub fn save_list<'a, T: Saved + 'a>(
    out: &mut Writer,
    items: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
) {
    let items = items.into_iter();
    out.varint(items.len() as u64);
    items.for_each(|item| item.save(out));
}

/// Reads a list whose items take a byte at least.
pub fn load_list<'a, T>(
    from: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = from.count("list", u32::MAX as usize, 1)?;
    (0..count).map(|_| item(from)).collect()
}

/// Writes a column of numbers as steps from one to the next: short where they follow each other.
pub fn save_steps(out: &mut Writer, numbers: impl IntoIterator<Item = u32, IntoIter: ExactSizeIterator>) {
    let numbers = numbers.into_iter();
    out.varint(numbers.len() as u64);
    let mut last = 0;
    for number in numbers {
        out.zigzag(i64::from(number) - i64::from(last));
        last = number;
    }
}

/// Reads such a column.
pub fn load_steps(from: &mut Reader<'_>) -> Result<Vec<u32>, DecodeError> {
    let mut last = 0;
    load_list(from, |from| {
        let at = from.position();
        let next = i64::from(last) + from.zigzag("step")?;
        last = u32::try_from(next).map_err(|_| DecodeError::OverLimit {
            what: "step",
            at,
            limit: u64::from(u32::MAX),
        })?;
        Ok(last)
    })
}

/// Reads a column of numbers that rise strictly.
pub fn load_rising(from: &mut Reader<'_>) -> Result<Vec<u32>, DecodeError> {
    let numbers = load_steps(from)?;
    check(numbers.is_sorted_by(|a, b| a < b), from, "numbers", "they rise")?;
    Ok(numbers)
}

/// Writes numbers that rise strictly as stretches without a gap; how many there are is known otherwise.
pub fn save_ranges(out: &mut Writer, numbers: impl IntoIterator<Item = u32>) {
    let mut numbers = numbers.into_iter().peekable();
    let mut end = 0;
    while let Some(first) = numbers.next() {
        let mut next = first.wrapping_add(1);
        while numbers.next_if_eq(&next).is_some() {
            next = next.wrapping_add(1);
        }
        (first - end).save(out);
        (next.wrapping_sub(first)).save(out);
        end = next;
    }
}

/// Reads such numbers, one for each of `rows`.
pub fn load_ranges<T>(
    from: &mut Reader<'_>,
    rows: impl IntoIterator<Item = T>,
    mut put: impl FnMut(T, u32),
) -> Result<(), DecodeError> {
    let (mut next, mut left) = (0_u32, 0_u32);
    for row in rows {
        if left == 0 {
            let first = next.checked_add(u32::load(from)?);
            left = u32::load(from)?;
            let end = first.and_then(|first| first.checked_add(left));
            check(left > 0 && end.is_some(), from, "numbers", "they rise")?;
            next = first.unwrap_or_default();
        }
        put(row, next);
        (next, left) = (next + 1, left - 1);
    }
    check(left == 0, from, "numbers", "there are as many as rows")
}

/// A signed number as one that is small where it is near 0.
pub fn to_unsigned(signed: i64) -> u64 {
    ((signed << 1) ^ (signed >> 63)) as u64
}

/// The way back.
pub fn from_unsigned(unsigned: u64) -> i64 {
    (unsigned >> 1) as i64 ^ -((unsigned & 1) as i64)
}

/// Fails with a rule that does not hold.
pub fn check(
    holds: bool,
    from: &Reader<'_>,
    what: &'static str,
    rule: &'static str,
) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Invalid { what, at: from.position(), rule }) }
}
