//! What an application stores: JSON, and bytes and big integers beside it.
//!
//! Invariant: one value has one encoding. A number is a double as in JavaScript; where it is a safe integer, it is
//! written as one. NaN and infinities do not exist, -0 does and differs from 0.

use crate::codec::limits::{CHANGESET_BYTES_MAX, SAFE_INTEGER_MAX, VALUE_DEPTH_MAX};
use crate::codec::{BigInt, DecodeError, Reader, Writer};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text without lone surrogates.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// An object; keys ascend by their UTF-8 bytes.
    Object(BTreeMap<String, Value>),
    /// An integer beyond what a number holds.
    BigInt(BigInt),
}

/// What no number needs more than, nor the tag and the length of a string.
const SCALAR_BYTES_MAX: usize = 16;

impl Value {
    /// Reads a value.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read_at(reader, 0)
    }

    /// Reads a value that fills the input.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        reader.finish("value")?;
        Ok(value)
    }

    /// Writes it. A value that is nested deeper than a value may be is written, but nobody reads it.
    pub fn encode(&self, out: &mut Writer) {
        match self {
            Self::Null => {
                out.u8(NULL);
            }
            Self::Bool(value) => {
                out.u8(if *value { TRUE } else { FALSE });
            }
            Self::Number(number) => match number.as_safe_integer() {
                Some(integer) => {
                    out.u8(INTEGER).zigzag(integer);
                }
                None => {
                    out.u8(DOUBLE).raw(&number.0.to_le_bytes());
                }
            },
            Self::String(string) => {
                out.u8(STRING).string(string);
            }
            Self::Bytes(bytes) => {
                out.u8(BYTES).bytes(bytes);
            }
            Self::Array(items) => {
                out.u8(ARRAY).varint(items.len() as u64);
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Object(entries) => {
                out.u8(OBJECT).varint(entries.len() as u64);
                for (key, value) in entries {
                    out.string(key);
                    value.encode(out);
                }
            }
            Self::BigInt(integer) => {
                out.u8(BIGINT);
                integer.encode(out);
            }
        }
    }

    /// Whether its bytes are at most so many. O(1) for numbers and for strings that are far from it.
    #[must_use]
    pub fn fits(&self, max: usize) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) if max >= SCALAR_BYTES_MAX => true,
            Self::String(text) if text.len() + SCALAR_BYTES_MAX <= max => true,
            _ => self.to_bytes().len() <= max,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.encode(&mut out);
        out.into_bytes()
    }

    fn read_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let at = reader.position();
        let tag = reader.u8("value")?;
        if matches!(tag, ARRAY | OBJECT) && depth == VALUE_DEPTH_MAX {
            return Err(DecodeError::OverLimit { what: "value nesting", at, limit: VALUE_DEPTH_MAX as u64 });
        }
        Ok(match tag {
            NULL => Self::Null,
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            INTEGER => Self::Number(Number(reader.zigzag("integer")? as f64)),
            DOUBLE => {
                let double = f64::from_le_bytes(reader.array("double")?);
                let number = Number::new(double).filter(|number| number.as_safe_integer().is_none());
                let rule = "a double is finite and no safe integer";
                Self::Number(number.ok_or(DecodeError::Invalid { what: "double", at, rule })?)
            }
            STRING => Self::String(reader.string("string", CHANGESET_BYTES_MAX)?.to_owned()),
            BYTES => Self::Bytes(reader.bytes("bytes", CHANGESET_BYTES_MAX)?.to_vec()),
            ARRAY => {
                let count = reader.count("array", CHANGESET_BYTES_MAX, 1)?;
                Self::Array((0..count).map(|_| Self::read_at(reader, depth + 1)).collect::<Result<_, _>>()?)
            }
            OBJECT => Self::read_object(reader, depth)?,
            BIGINT => Self::BigInt(BigInt::decode(reader, "bigint")?),
            found => {
                return Err(DecodeError::Unknown { what: "value", at, found: found.into() });
            }
        })
    }

    fn read_object(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let count = reader.count("object", CHANGESET_BYTES_MAX, 2)?;
        let mut entries: BTreeMap<String, Self> = BTreeMap::new();
        for _ in 0..count {
            let at = reader.position();
            let key = reader.string("object key", CHANGESET_BYTES_MAX)?;
            if entries.last_key_value().is_some_and(|(last, _)| last.as_str() >= key) {
                return Err(DecodeError::Unsorted { what: "object key", at });
            }
            let value = Self::read_at(reader, depth + 1)?;
            entries.insert(key.to_owned(), value);
        }
        Ok(Self::Object(entries))
    }
}

impl From<&str> for Value {
    fn from(string: &str) -> Self {
        Self::String(string.to_owned())
    }
}

impl From<i32> for Value {
    fn from(integer: i32) -> Self {
        Self::Number(Number(integer.into()))
    }
}

/// A finite double.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

impl Number {
    /// `None` for NaN and infinities.
    #[must_use]
    pub fn new(double: f64) -> Option<Self> {
        double.is_finite().then_some(Self(double))
    }

    /// The double.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    fn as_safe_integer(self) -> Option<i64> {
        let integer = self.0 as i64;
        let same = (integer as f64).to_bits() == self.0.to_bits();
        (same && integer.unsigned_abs() <= SAFE_INTEGER_MAX.unsigned_abs()).then_some(integer)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const DOUBLE: u8 = 4;
const STRING: u8 = 5;
const BYTES: u8 = 6;
const ARRAY: u8 = 7;
const OBJECT: u8 = 8;
const BIGINT: u8 = 9;
