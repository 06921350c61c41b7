//! The replica for JavaScript, sixth part: edits that were gathered there, many of them in one call. How they are packed
//! stands in `ts/pending.ts`, which has also checked them: what does not fit here is a broken invariant, and panics.
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::replica::{Replica, with_env_at};
use crate::replica::{EditBase, EditFault, Env, Replica as Core};
use crate::{Number, ObjectIx, ObjectKind, Value};

#[wasm_bindgen]
impl Replica {
    /// What edits of an object are to be checked against: a length or a value; for a text whose edits must not be joined
    /// one less than nothing minus the length; no number if it takes no edits that were gathered.
    #[wasm_bindgen(js_name = editBase)]
    pub fn edit_base(&self, handle: u32) -> Result<f64, EdgeError> {
        Ok(match self.core().edit_base(self.object_at(handle)?) {
            Some(EditBase::Text { len, joins: false }) => -1.0 - f64::from(len),
            Some(EditBase::Text { len, .. } | EditBase::List { len }) => f64::from(len),
            Some(EditBase::Counter { value }) => value as f64,
            Some(EditBase::Keys) => 0.0,
            None => f64::NAN,
        })
    }

    /// Applies edits in their order. `begun_ms` is when the first of them was made.
    #[wasm_bindgen(js_name = applyEdits)]
    pub fn apply_edits(
        &mut self,
        edits: &[i32],
        units: &[u16],
        strings: &str,
        numbers: &[f64],
        begun_ms: f64,
    ) {
        let (text, is_ascii) = text_of(units);
        let text = Text { rest: &text, is_ascii };
        let strings = Text { rest: strings, is_ascii: strings.is_ascii() };
        let mut packed = Packed { edits: edits.iter(), text, strings, numbers: numbers.iter() };
        let begun_ms = self.batch_begun(begun_ms.max(0.0) as u64);
        with_env_at(begun_ms, |env| {
            while let Some(object) = packed.edits.next() {
                match *object {
                    BEGIN => self.begin(env),
                    CLOSE => drop(self.core_mut().close_told(env)),
                    object => apply(self.core_mut(), ObjectIx(object as u32), &mut packed, env)
                        .expect("edits are checked before they are gathered"),
                }
            }
        });
    }

    /// Applies edits of texts that are in no map: as above, but whoever gathered them tells what changed, and nothing is said
    /// of it here. The number of their author, as packed changes have it.
    #[wasm_bindgen(js_name = applySplices)]
    pub fn apply_splices(&mut self, splices: &[i32], units: &[u16], begun_ms: f64) -> i32 {
        let (text, is_ascii) = text_of(units);
        let mut text = Text { rest: &text, is_ascii };
        let begun_ms = self.batch_begun(begun_ms.max(0.0) as u64);
        with_env_at(begun_ms, |env| {
            let core = self.core_mut();
            let (splices, _) = splices.as_chunks::<4>();
            for &[object, position, removed, inserted] in splices {
                let range = (position as u32, removed as u32);
                splice_text(core, ObjectIx(object as u32), range, text.take(inserted as u32), env)
                    .expect("edits are checked before they are gathered");
            }
        });
        let core = self.core_mut();
        core.forget_own();
        let author = (core.member(), core.actor().expect("whoever writes has an actor"));
        self.packed.author(author)
    }
}

/// The text of units, and whether each is ASCII.
fn text_of(units: &[u16]) -> (String, bool) {
    let is_ascii = units.iter().all(|unit| *unit < 0x80);
    let text = if is_ascii {
        String::from_utf8(units.iter().map(|unit| *unit as u8).collect()).expect("ASCII is UTF-8")
    } else {
        String::from_utf16(units).expect("what has halves of pairs is not gathered")
    };
    (text, is_ascii)
}

fn splice_text(
    core: &mut Core,
    object: ObjectIx,
    (position, removed): (u32, u32),
    inserted: &str,
    env: &mut Env<'_>,
) -> Result<(), EditFault> {
    if removed > 0 {
        core.text_delete(object, position, removed, env)?;
    }
    if !inserted.is_empty() {
        core.text_insert(object, position, inserted, env)?;
    }
    Ok(())
}

fn apply(
    core: &mut Core,
    object: ObjectIx,
    packed: &mut Packed<'_>,
    env: &mut Env<'_>,
) -> Result<(), EditFault> {
    match core.kind_of(object) {
        ObjectKind::Text => {
            let (position, removed, inserted) = (packed.int(), packed.int(), packed.int());
            splice_text(core, object, (position, removed), packed.text.take(inserted), env)
        }
        ObjectKind::List => {
            let (index, removed, inserted) = (packed.int(), packed.int(), packed.int());
            if removed > 0 {
                core.list_delete(object, index, removed, env)?;
            }
            let values = (0..inserted).map(|_| packed.element()).collect();
            core.list_insert(object, index, values, env)
        }
        ObjectKind::Counter => core.counter_add(object, packed.number() as i64, env),
        ObjectKind::Map => {
            let key = packed.int();
            let key = packed.strings.take(key);
            let value = packed.kept().expect("a key has a value");
            core.map_set(object, key, value, env)
        }
        ObjectKind::Set => {
            let element = packed.kept().expect("an element is a value");
            let value = packed.kept();
            core.set_add(object, &element, value, env)
        }
        kind => unreachable!("edits of a {kind:?} are not gathered"),
    }
}

/// The rest of what was gathered.
struct Packed<'a> {
    edits: std::slice::Iter<'a, i32>,
    text: Text<'a>,
    /// Those of maps and sets.
    strings: Text<'a>,
    numbers: std::slice::Iter<'a, f64>,
}

impl<'a> Packed<'a> {
    fn int(&mut self) -> u32 {
        *self.edits.next().expect("an edit is complete") as u32
    }

    fn number(&mut self) -> f64 {
        *self.numbers.next().expect("each number of an edit follows")
    }

    /// The next element of a list.
    fn element(&mut self) -> Value {
        let tag = self.int() as i32;
        match self.plain(tag) {
            Some(value) => value,
            None => Value::String(self.text.take(tag as u32).to_owned()),
        }
    }

    /// What is next of a map or a set, if there is something.
    fn kept(&mut self) -> Option<Value> {
        match self.int() as i32 {
            NONE => None,
            tag => self.plain(tag).or_else(|| Some(Value::String(self.strings.take(tag as u32).to_owned()))),
        }
    }

    /// What a tag stands for that is not the length of a string.
    fn plain(&mut self, tag: i32) -> Option<Value> {
        Some(match tag {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => Value::Number(Number::new(self.number()).expect("numbers are checked before")),
            _ => return None,
        })
    }
}

/// Text that is taken piece by piece.
struct Text<'a> {
    rest: &'a str,
    is_ascii: bool,
}

impl<'a> Text<'a> {
    /// The next so many UTF-16 units.
    fn take(&mut self, units: u32) -> &'a str {
        let units = units as usize;
        let end = if self.is_ascii { units } else { end_of_units(self.rest, units) };
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// Where the first UTF-16 units of a string end, in bytes.
fn end_of_units(text: &str, units: usize) -> usize {
    let mut left = units;
    let mut rest = text.char_indices();
    while left > 0 {
        let (_, character) = rest.next().expect("the text of an edit follows");
        left -= character.len_utf16();
    }
    text.len() - rest.as_str().len()
}

/// What a value is; a string by its length.
const NULL: i32 = -1;
const FALSE: i32 = -2;
const TRUE: i32 = -3;
const NUMBER: i32 = -4;
const NONE: i32 = -5;

/// A transaction, in the place of the number of an object.
const BEGIN: i32 = -1;
const CLOSE: i32 = -2;
