//! An integer of any size up to 1,024 bytes, as the format writes it. It is carried and compared, not calculated with.
//!
//! Invariant: no leading zero byte, and zero has no sign, so equal numbers have equal fields.

use super::limits::BIGINT_BYTES_MAX;
use super::{DecodeError, Reader, Writer};
use std::cmp::Ordering;

/// A signed integer: sign and big-endian magnitude.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BigInt {
    negative: bool,
    magnitude: Vec<u8>,
}

impl BigInt {
    /// From a sign and a big-endian magnitude; leading zeros are dropped. `None` above 1,024 bytes.
    #[must_use]
    pub fn new(negative: bool, magnitude: &[u8]) -> Option<Self> {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let magnitude = magnitude[zeros..].to_vec();
        let negative = negative && !magnitude.is_empty();
        (magnitude.len() <= BIGINT_BYTES_MAX).then_some(Self { negative, magnitude })
    }

    /// Reads it.
    pub fn decode(reader: &mut Reader<'_>, what: &'static str) -> Result<Self, DecodeError> {
        let at = reader.position();
        let header = reader.varint(what, 2 * BIGINT_BYTES_MAX as u64 + 1)?;
        let magnitude = reader.raw(what, usize::try_from(header >> 1).expect("at most 1,024"))?;
        let negative = header & 1 == 1;
        let minimal = magnitude.first().map_or(!negative, |first| *first != 0);
        if !minimal {
            return Err(DecodeError::NonMinimal { what, at });
        }
        Ok(Self { negative, magnitude: magnitude.to_vec() })
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(2 * self.magnitude.len() as u64 + u64::from(self.negative)).raw(&self.magnitude);
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.magnitude.is_empty()
    }

    /// The number itself, if it fits.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        let mut bytes = [0; 16];
        bytes[16_usize.checked_sub(self.magnitude.len())?..].copy_from_slice(&self.magnitude);
        let size = i128::try_from(u128::from_be_bytes(bytes)).ok()?;
        Some(if self.negative { -size } else { size })
    }

    /// The size, big-endian, without leading zeros.
    #[must_use]
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        Self::new(value < 0, &value.unsigned_abs().to_be_bytes()).expect("16 bytes are within the limit")
    }
}

impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |a: &Self, b: &Self| {
            a.magnitude.len().cmp(&b.magnitude.len()).then_with(|| a.magnitude.cmp(&b.magnitude))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
