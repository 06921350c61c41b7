//! What the units of a list hold: a value, nothing because it is missing, or a hint at the element whose slot it is.
//!
//! Four bytes a unit, and the values beside them: whoever states many elements and sends no values, or moves one a
//! thousand times, takes little memory.

use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::event::Value;
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    /// By unit: the number of its value, [`ABSENT`], or [`SLOT`] and the element.
    cells: Vec<u32>,
    values: Vec<Value>,
}

/// No value: their numbers are smaller, for so are those of units.
const ABSENT: u32 = SLOT - 1;
const SLOT: u32 = 1 << 31;

impl Cells {
    pub fn push_value(&mut self, value: Value) {
        self.cells.push(self.values.len() as u32);
        self.values.push(value);
    }

    pub fn push_absent(&mut self) {
        self.cells.push(ABSENT);
    }

    pub fn push_slot(&mut self, element: u32) {
        self.cells.push(SLOT | element);
    }

    /// Gives a unit the value that was missing.
    pub fn fill(&mut self, unit: u32, value: Value) {
        self.cells[unit as usize] = self.values.len() as u32;
        self.values.push(value);
    }

    /// Forgets the value of a unit.
    pub fn wipe(&mut self, unit: u32) {
        let number = std::mem::replace(&mut self.cells[unit as usize], ABSENT);
        if let Some(value) = self.values.get_mut(number as usize) {
            *value = Value::Null;
        }
    }

    /// Forgets all units from this one on.
    pub fn truncate(&mut self, units: u32) {
        for number in self.cells.drain(units as usize..).rev() {
            if number as usize + 1 == self.values.len() {
                self.values.pop();
            } else if let Some(value) = self.values.get_mut(number as usize) {
                *value = Value::Null;
            }
        }
    }

    /// How many units there are.
    pub fn len(&self) -> u32 {
        self.cells.len() as u32
    }

    pub fn is_slot(&self, unit: u32) -> bool {
        self.cells[unit as usize] >= SLOT
    }

    /// The unit that the insert made, of any unit of an element.
    pub fn element(&self, unit: u32) -> u32 {
        if self.is_slot(unit) { self.cells[unit as usize] - SLOT } else { unit }
    }

    /// What shows where a unit does; none if it is missing.
    pub fn value(&self, unit: u32) -> Option<&Value> {
        self.values.get(self.cells[self.element(unit) as usize] as usize)
    }

    /// The values that units brought along, in their order.
    pub fn brought(&self, units: Range<u32>) -> impl Iterator<Item = &Value> + '_ {
        let cells = &self.cells[units.start as usize..units.end as usize];
        cells.iter().filter_map(|number| self.values.get(*number as usize))
    }

    /// Copies what shows where units do.
    pub fn copy(&self, out: &mut Vec<Value>, units: Range<u32>) {
        out.extend(units.map(|unit| self.value(unit).cloned().unwrap_or_default()));
    }

    /// Those of the first units.
    pub fn first(&self, units: u32) -> Self {
        let mut first = self.clone();
        first.truncate(units);
        first
    }
}

impl Saved for Cells {
    /// Values stand in the order of their units.
    fn save(&self, out: &mut Writer) {
        out.varint(self.cells.len() as u64);
        for (unit, number) in (0..).zip(&self.cells) {
            match self.values.get(*number as usize) {
                Some(value) => value.encode(out.u8(0)),
                None if self.is_slot(unit) => (number - SLOT).save(out.u8(2)),
                None => drop(out.u8(1)),
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut cells = Self::default();
        let count = from.count("cells", ABSENT as usize, 1)?;
        for unit in 0..count as u32 {
            let at = from.position();
            match from.u8("cell")? {
                0 => cells.push_value(Value::read(from)?),
                1 => cells.push_absent(),
                2 => {
                    let element = u32::load(from)?;
                    let known = element < unit && !cells.is_slot(element);
                    saved::check(known, from, "cell", "a slot is of an element before it")?;
                    cells.push_slot(element);
                }
                found => return Err(DecodeError::Unknown { what: "cell", at, found: found.into() }),
            }
        }
        Ok(cells)
    }
}
