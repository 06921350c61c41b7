//! A slice that shrinks while it is read.
//!
//! Every method names what it reads, so that an error says what was found where. No length from the input is
//! believed before it was compared with its maximum and with what is left.

use super::DecodeError;
use super::limits::SAFE_INTEGER_MAX;

/// Reads the primitives of the format from a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.raw(what, 1)?[0])
    }

    /// A byte that must have this value.
    pub fn expect_u8(&mut self, what: &'static str, value: u8) -> Result<(), DecodeError> {
        let at = self.at;
        match self.u8(what)? {
            found if found == value => Ok(()),
            found => Err(DecodeError::Unknown { what, at, found: found.into() }),
        }
    }

    /// An unsigned LEB128 number, minimal, at most `max`.
    pub fn varint(&mut self, what: &'static str, max: u64) -> Result<u64, DecodeError> {
        let at = self.at;
        let over = DecodeError::OverLimit { what, at, limit: max };
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = match self.rest.split_first() {
                Some((byte, rest)) => {
                    (self.rest, self.at) = (rest, self.at + 1);
                    *byte
                }
                None => return Err(DecodeError::Truncated { what, at }),
            };
            if shift > 63 || (shift == 63 && byte > 1) {
                return Err(over);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(DecodeError::NonMinimal { what, at });
                }
                break;
            }
        }
        if value > max { Err(over) } else { Ok(value) }
    }

    /// The same for columns of many numbers, most of them of one byte.
    #[inline]
    pub fn number(&mut self, what: &'static str, max: u64) -> Result<u64, DecodeError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 && u64::from(byte) <= max => {
                (self.rest, self.at) = (rest, self.at + 1);
                Ok(byte.into())
            }
            _ => self.varint(what, max),
        }
    }

    /// A varint that fits 32 bits.
    pub fn varint_u32(&mut self, what: &'static str, max: u32) -> Result<u32, DecodeError> {
        let value = self.varint(what, max.into())?;
        Ok(u32::try_from(value).expect("at most a u32"))
    }

    /// A signed integer below 2^53 in size.
    pub fn zigzag(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let coded = self.varint(what, 2 * SAFE_INTEGER_MAX as u64)?;
        Ok(super::saved::from_unsigned(coded))
    }

    /// `N` raw bytes.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        Ok(self.raw(what, N)?.try_into().expect("raw returns as many bytes as asked for"))
    }

    /// `len` raw bytes.
    pub fn raw(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(DecodeError::Truncated { what, at: self.at });
        };
        (self.rest, self.at) = (rest, self.at + len);
        Ok(taken)
    }

    /// A length of at most `max`, then that many bytes.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.varint(what, max as u64)?;
        self.raw(what, usize::try_from(len).expect("at most a usize"))
    }

    /// `bytes` to be read by a reader of their own, which counts on from the place in the whole.
    pub fn part(&mut self, what: &'static str, max: usize) -> Result<Self, DecodeError> {
        let rest = self.bytes(what, max)?;
        Ok(Self { rest, at: self.at - rest.len() })
    }

    /// How many varints the rest is, if it is nothing else.
    pub fn varints(&self) -> usize {
        self.rest.iter().filter(|byte| **byte < 0x80).count()
    }

    /// `bytes` that are UTF-8.
    pub fn string(&mut self, what: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        let at = self.at;
        std::str::from_utf8(self.bytes(what, max)?).map_err(|_| DecodeError::Utf8 { what, at })
    }

    /// The number of items of a list: at most `max`, and no more than fit into the rest with `item_bytes_min` each.
    ///
    /// # Panics
    /// If `item_bytes_min` is 0.
    pub fn count(
        &mut self,
        what: &'static str,
        max: usize,
        item_bytes_min: usize,
    ) -> Result<usize, DecodeError> {
        let at = self.at;
        let count = usize::try_from(self.varint(what, max as u64)?).expect("at most a usize");
        if count > self.rest.len() / item_bytes_min {
            return Err(DecodeError::Truncated { what, at });
        }
        Ok(count)
    }

    /// A list of arrays, strictly ascending.
    pub fn sorted_arrays<const N: usize>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<[u8; N]>, DecodeError> {
        let count = self.count(what, max, N)?;
        let mut items: Vec<[u8; N]> = Vec::with_capacity(count);
        for _ in 0..count {
            let at = self.at;
            let item = self.array(what)?;
            if items.last().is_some_and(|last| *last >= item) {
                return Err(DecodeError::Unsorted { what, at });
            }
            items.push(item);
        }
        Ok(items)
    }

    /// Ends the reading: what is left over is an error.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { what, at: self.at, count }),
        }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}
