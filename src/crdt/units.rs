//! A growing string of UTF-16 code units, one byte each for as long as all of them are ASCII.
//!
//! The first other unit widens the whole string, once; so an index is an offset in both forms and slicing never scans.
//! It knows nothing of who inserted a unit or whether it shows, and half pairs are allowed: only reading as UTF-8
//! replaces them.

use super::piece::Piece;
use super::unit_op::UNITS_MAX;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use std::ops::Range;

/// UTF-16 code units.
#[derive(Clone, Debug)]
pub struct Units {
    form: Form,
    /// Whether a unit may be half of a pair.
    may_pair: bool,
}

#[derive(Clone, Debug)]
enum Form {
    Ascii(Vec<u8>),
    Wide(Vec<u16>),
}

impl Default for Units {
    fn default() -> Self {
        Self { form: Form::Ascii(Vec::new()), may_pair: false }
    }
}

impl Units {
    /// An empty string of the same form with room for some units.
    pub(super) fn with_room(&self, len: u32) -> Self {
        let form = match &self.form {
            Form::Ascii(_) => Form::Ascii(Vec::with_capacity(len as usize)),
            Form::Wide(_) => Form::Wide(Vec::with_capacity(len as usize)),
        };
        Self { form, may_pair: false }
    }

    /// Appends a string.
    pub(super) fn push_str(&mut self, s: &str) {
        self.may_pair |= has_pairs(s);
        match &mut self.form {
            Form::Ascii(bytes) if s.is_ascii() => bytes.extend_from_slice(s.as_bytes()),
            Form::Ascii(_) => self.widen(s.len()).extend(s.encode_utf16()),
            Form::Wide(wide) => wide.extend(s.encode_utf16()),
        }
    }

    /// Appends `len` units that hold the place of a missing value.
    pub(super) fn push_blank(&mut self, len: u32) {
        match &mut self.form {
            Form::Ascii(bytes) => bytes.resize(bytes.len() + len as usize, 0),
            Form::Wide(wide) => wide.resize(wide.len() + len as usize, 0),
        }
    }

    /// Appends units of another string.
    pub(super) fn push_units(&mut self, other: &Units, range: Range<u32>) {
        self.may_pair |= other.may_pair;
        let range = range.start as usize..range.end as usize;
        match (&mut self.form, &other.form) {
            (Form::Ascii(bytes), Form::Ascii(from)) => bytes.extend_from_slice(&from[range]),
            (Form::Wide(wide), Form::Wide(from)) => wide.extend_from_slice(&from[range]),
            (Form::Wide(wide), Form::Ascii(from)) => {
                wide.extend(from[range].iter().map(|&byte| u16::from(byte)))
            }
            (Form::Ascii(_), Form::Wide(from)) => {
                let more = range.len();
                self.widen(more).extend_from_slice(&from[range]);
            }
        }
    }

    /// Puts `s` in the place of the units from `at` on.
    pub(super) fn overwrite(&mut self, at: u32, s: &str) {
        self.may_pair |= has_pairs(s);
        let at = at as usize;
        let wide = match &mut self.form {
            Form::Ascii(bytes) if s.is_ascii() => {
                return bytes[at..at + s.len()].copy_from_slice(s.as_bytes());
            }
            Form::Ascii(_) => self.widen(0),
            Form::Wide(wide) => wide,
        };
        for (place, unit) in wide[at..].iter_mut().zip(s.encode_utf16()) {
            *place = unit;
        }
    }

    /// Wipes units.
    pub(super) fn blank(&mut self, range: Range<u32>) {
        let range = range.start as usize..range.end as usize;
        match &mut self.form {
            Form::Ascii(bytes) => bytes[range].fill(0),
            Form::Wide(wide) => wide[range].fill(0),
        }
    }

    pub(super) fn truncate(&mut self, len: u32) {
        match &mut self.form {
            Form::Ascii(bytes) => bytes.truncate(len as usize),
            Form::Wide(wide) => wide.truncate(len as usize),
        }
    }

    fn widen(&mut self, more: usize) -> &mut Vec<u16> {
        if let Form::Ascii(bytes) = &self.form {
            let mut wide = Vec::with_capacity(bytes.len() + more);
            wide.extend(bytes.iter().map(|&byte| u16::from(byte)));
            self.form = Form::Wide(wide);
        }
        match &mut self.form {
            Form::Wide(wide) => wide,
            Form::Ascii(_) => unreachable!("it was widened above"),
        }
    }

    /// How many units there are.
    pub fn len(&self) -> u32 {
        let len = match &self.form {
            Form::Ascii(bytes) => bytes.len(),
            Form::Wide(wide) => wide.len(),
        };
        u32::try_from(len).expect("a text holds at most UNITS_MAX units")
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if no unit ever was anything but ASCII.
    pub fn as_ascii(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Ascii(bytes) => Some(bytes),
            Form::Wide(_) => None,
        }
    }

    /// Whether a unit may be half of a pair; if not, none is.
    pub fn may_pair(&self) -> bool {
        self.may_pair
    }

    /// All units in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let (narrow, wide): (&[u8], &[u16]) = match &self.form {
            Form::Ascii(bytes) => (bytes, &[]),
            Form::Wide(wide) => (&[], wide),
        };
        narrow.iter().map(|&byte| u16::from(byte)).chain(wide.iter().copied())
    }

    /// Whether the unit is the first half of a pair.
    pub(super) fn is_high(&self, at: u32) -> bool {
        matches!(&self.form, Form::Wide(wide) if (0xD800..0xDC00).contains(&wide[at as usize]))
    }

    /// Whether the unit is the second half of a pair.
    pub(super) fn is_low(&self, at: u32) -> bool {
        matches!(&self.form, Form::Wide(wide) if (0xDC00..0xE000).contains(&wide[at as usize]))
    }

    /// As UTF-8; half pairs become U+FFFD.
    pub fn into_string(self) -> String {
        match self.form {
            Form::Ascii(bytes) => String::from_utf8(bytes).expect("only ASCII was pushed"),
            Form::Wide(wide) => String::from_utf16_lossy(&wide),
        }
    }
}

/// Whether a character takes two units: four bytes of UTF-8.
fn has_pairs(s: &str) -> bool {
    s.bytes().any(|byte| byte >= 0xF0)
}

/// How many UTF-16 units a string has.
pub(super) fn utf16_len(s: &str) -> usize {
    if s.is_ascii() { s.len() } else { s.encode_utf16().count() }
}

/// The units of a text in a snapshot: what shows, as it is read, then what is hidden.
pub(super) struct SavedUnits<'a> {
    is_wide: bool,
    columns: [&'a [u8]; 2],
}

impl<'a> SavedUnits<'a> {
    /// Finds them.
    pub fn read(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let is_wide = bool::load(from)?;
        let mut column = || from.bytes("units", 2 * UNITS_MAX as usize);
        let columns = [column()?, column()?];
        let narrow = is_wide || columns.iter().all(|column| column.is_ascii());
        saved::check(narrow, from, "units", "one byte each is ASCII")?;
        Ok(Self { is_wide, columns })
    }

    /// Puts them where they belong in a text that has these runs; none if they are not as many.
    pub fn spread(&self, runs: &[Piece]) -> Option<Units> {
        // Compared before anything is allocated.
        let len: usize = runs.iter().map(|run| run.len as usize).sum();
        let bytes: usize = self.columns.iter().map(|column| column.len()).sum();
        if bytes != len * if self.is_wide { 2 } else { 1 } {
            return None;
        }
        if !self.is_wide {
            let bytes = self.spread_to(runs, room(len), 1, |place, bytes| place.copy_from_slice(bytes));
            return bytes.map(|bytes| Units { form: Form::Ascii(bytes), may_pair: false });
        }
        let wide = self.spread_to(runs, room(len), 2, |place, bytes| {
            for (unit, bytes) in place.iter_mut().zip(bytes.chunks_exact(2)) {
                *unit = u16::from_le_bytes([bytes[0], bytes[1]]);
            }
        })?;
        let may_pair = wide.iter().any(|unit| (0xD800..0xE000).contains(unit));
        Some(Units { form: Form::Wide(wide), may_pair })
    }

    fn spread_to<T: Copy + Default>(
        &self,
        runs: &[Piece],
        mut units: Vec<T>,
        unit_bytes: usize,
        put: impl Fn(&mut [T], &[u8]),
    ) -> Option<Vec<T>> {
        let mut columns = self.columns;
        for run in runs {
            let column = &mut columns[usize::from(run.hide > 0)];
            let (bytes, rest) = column.split_at_checked(run.len as usize * unit_bytes)?;
            put(&mut units[run.first as usize..run.end() as usize], bytes);
            *column = rest;
        }
        columns.iter().all(|column| column.is_empty()).then_some(units)
    }
}

/// Units to be filled in, with room for more: whoever opens a text types, and full room doubles.
fn room<T: Copy + Default>(len: usize) -> Vec<T> {
    let mut units = Vec::with_capacity(len + len / 8);
    units.resize(len, T::default());
    units
}

impl Units {
    /// Writes the units of a text that has these runs.
    pub(super) fn save(&self, runs: &[Piece], out: &mut Writer) {
        let is_wide = matches!(self.form, Form::Wide(_));
        is_wide.save(out);
        for is_hidden in [false, true] {
            let mut column = self.with_room(0);
            for run in runs.iter().filter(|run| (run.hide > 0) == is_hidden) {
                column.push_units(self, run.first..run.end());
            }
            match column.form {
                Form::Ascii(bytes) => out.bytes(&bytes),
                Form::Wide(wide) => {
                    out.bytes(&wide.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>())
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widens_once_and_keeps_offsets() {
        let mut units = Units::default();
        units.push_str("abc");
        assert_eq!(units.as_ascii(), Some(&b"abc"[..]));
        units.push_str("é😀");
        assert_eq!((units.as_ascii(), units.len()), (None, 6));
        assert!(units.is_high(4) && units.is_low(5) && !units.is_high(0) && units.may_pair());
        units.overwrite(1, "ø");
        assert_eq!(units.clone().into_string(), "aøcé😀");
        units.truncate(5);
        assert_eq!(units.into_string(), "aøcé\u{FFFD}");
    }

    #[test]
    fn copies_between_both_forms() {
        let (mut narrow, mut wide) = (Units::default(), Units::default());
        narrow.push_str("abcd");
        wide.push_str("äöü");
        wide.push_units(&narrow, 1..3);
        narrow.push_units(&wide, 0..2);
        narrow.push_blank(1);
        assert!(!wide.may_pair());
        assert_eq!(wide.into_string(), "äöübc");
        assert_eq!(narrow.into_string(), "abcdäö\0");
    }
}
