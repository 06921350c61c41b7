//! Bytes. One [`Reader`], one [`Writer`], the primitives of `docs/format.md` §1 and the limits of the protocol.
//!
//! Invariant: decoding is total and canonical. A decoder takes any bytes, never panics, allocates at most a constant
//! times the input, and what it accepts encodes back to the same bytes. Knows no domain type.

pub mod base64url;
mod bigint;
pub mod limits;
mod reader;
pub mod saved;
mod tlv;
mod writer;

pub use bigint::BigInt;
pub use reader::Reader;
pub use saved::Saved;
pub use tlv::{Tlv, TlvEntry, TlvWriter};
pub use writer::Writer;

/// Why bytes were refused: what was being read, at which byte of the input, and what was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside something.
    #[error("{what}: input ends at byte {at}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        at: usize,
    },
    /// Something follows the last field.
    #[error("{what}: {count} bytes too many at byte {at}")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// Where it ended.
        at: usize,
        /// How many bytes follow.
        count: usize,
    },
    /// A number or magnitude that has a shorter encoding.
    #[error("{what}: not the shortest encoding at byte {at}")]
    NonMinimal {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        at: usize,
    },
    /// A number, length or count above its maximum.
    #[error("{what}: above {limit} at byte {at}")]
    OverLimit {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        at: usize,
        /// The greatest value allowed there.
        limit: u64,
    },
    /// A list that must ascend strictly does not.
    #[error("{what}: not strictly ascending at byte {at}")]
    Unsorted {
        /// What was being read.
        what: &'static str,
        /// Where the item began that is out of order or there twice.
        at: usize,
    },
    /// Text that is not UTF-8 without surrogates.
    #[error("{what}: not UTF-8 at byte {at}")]
    Utf8 {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        at: usize,
    },
    /// A tag, version or enumerated byte that has no meaning there.
    #[error("{what}: unknown value {found} at byte {at}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// Where it stands.
        at: usize,
        /// The value.
        found: u64,
    },
    /// Well-formed by itself, but against a rule of the format.
    #[error("{what}: {rule}, at byte {at}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// Where it began.
        at: usize,
        /// The rule.
        rule: &'static str,
    },
}

impl DecodeError {
    /// The class of the fault, as written in `tests/vectors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::Trailing { .. } => "trailing",
            Self::NonMinimal { .. } => "non-minimal",
            Self::OverLimit { .. } => "over-limit",
            Self::Unsorted { .. } => "unsorted",
            Self::Utf8 { .. } => "utf-8",
            Self::Unknown { .. } => "unknown",
            Self::Invalid { .. } => "invalid",
        }
    }
}

#[cfg(test)]
mod tests;
