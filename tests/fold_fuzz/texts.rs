//! A marked text among the other objects of random histories, against the naive model of `reference/text.rs`.

use crate::dag::{Dag, End, Op as TextOp, UnitId};
use crate::reference::OpId;
use crate::rng::Rng;
use crate::units::Model;
use crate::{Replica, TEXT, World};
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::NameId;
use stemma::crdt::{MarkDelta, Text};
use stemma::doc::{Body, ObjectIx};
use stemma::event::{Anchor, Content, Expand, Number, Op, Skeleton, UnitAt, Value};

/// A unit and what it shows.
pub type Unit = (u16, BTreeMap<u8, u8>);

/// What happened to the text everywhere.
#[derive(Default)]
pub struct Texts {
    dag: Dag,
    model: Model,
}

impl Texts {
    /// Adds the text ops of the next changeset of the world.
    pub fn add(
        &mut self,
        parents: Vec<usize>,
        author: (u64, u32, u64),
        skeleton: &Skeleton,
        content: &Content,
        refs: &[usize],
    ) {
        let id = self.dag.push(parents, author, Vec::new(), String::new());
        let unit = |at: &UnitAt| -> UnitId {
            let changeset = (at.changeset.0 as usize).checked_sub(1).map_or(id, |number| refs[number]);
            (changeset, at.offset)
        };
        let end = |anchor: &Anchor| -> End {
            match anchor {
                Anchor::Start => (None, true),
                Anchor::End => (None, false),
                Anchor::Before(at) => (Some(unit(at)), false),
                Anchor::After(at) => (Some(unit(at)), true),
            }
        };
        let mut offset = 0;
        for (index, (op, (text, values))) in skeleton.ops.iter().zip(content.by_op(&skeleton.ops)).enumerate()
        {
            let op = match op {
                Op::TextInsert { left, right, len, .. } => {
                    let (left, right) = (left.as_ref().map(unit), right.as_ref().map(unit));
                    TextOp::Insert { left, right, len: *len }
                }
                Op::TextDelete { spans, .. } => {
                    let span = |span: &stemma::event::Span| {
                        let (changeset, first) = unit(&span.first);
                        (changeset, first, span.len)
                    };
                    TextOp::Delete { spans: spans.iter().map(span).collect() }
                }
                Op::TextMark { start, end: to, key, .. } => {
                    let key = skeleton.names[key.0 as usize].0[0];
                    TextOp::Mark { start: end(start), end: end(to), key, value: number(&values[0]) }
                }
                _ => continue,
            };
            let units: Vec<u16> = text.encode_utf16().collect();
            offset += self.model.add_op(&self.dag, (id, index), &op, offset, &units);
        }
    }
}

impl World {
    /// What the text reads as if these ops count, and these contents are there.
    pub fn text(&self, counting: &BTreeSet<OpId>, present: impl Fn(usize) -> bool) -> Vec<Unit> {
        let counts = |op| counting.contains(&op);
        let key = |(changeset, index): OpId| {
            let of = &self.model.changesets[changeset];
            (of.stamp, of.id, index)
        };
        let newer = |a, b| key(a).cmp(&key(b));
        let units = self.texts.model.text(counts, &present);
        let shown = self.texts.model.shown(&self.texts.dag, counts, &present, newer);
        units.into_iter().zip(shown).collect()
    }
}

impl Replica {
    /// Types, deletes or marks something.
    pub fn edit_text(&mut self, rng: &mut Rng) {
        let object = self.objects[TEXT];
        let Body::Text(text) = &self.fold.get(object).body else { panic!("a text") };
        let len = text.len() as usize;
        let (at, key, value) =
            (rng.below(len + 1), NameId([rng.below(3) as u8; 16]), value(rng.below(3) as u8));
        let count = 1 + rng.below((len - at).clamp(1, 6));
        let position = at as u32;
        let done = match rng.below(10) {
            0..3 => self.fold.text_insert(object, position, &"abc"[..1 + rng.below(3)]),
            3 => self.fold.text_insert_marked(&self.graph, object, position, "m", &[(key, value)]),
            _ if at == len => Ok(()),
            4..7 => self.fold.text_delete(object, position, count as u32),
            _ => {
                let grows = Expand { before: rng.chance(30), after: rng.chance(60) };
                let expand = rng.chance(80).then_some(grows);
                let range = position..position + count as u32;
                self.fold.text_mark(&self.graph, object, range, (key, value), expand)
            }
        };
        done.expect("it is inside");
    }

    /// What the text, or a copy of it, reads as.
    pub fn read_text(&self, object: ObjectIx) -> Vec<Unit> {
        let Body::Text(text) = &self.fold.get(object).body else { panic!("a text") };
        read(text)
    }
}

fn read(text: &Text) -> Vec<Unit> {
    let shown = text.runs().into_iter().flat_map(|run| {
        let marks: BTreeMap<u8, u8> =
            run.marks.iter().map(|(key, value)| (key.0[0], number(value))).collect();
        std::iter::repeat_n(marks, run.len as usize)
    });
    text.visible_units().iter().zip(shown).collect()
}

/// Does what an application does that shows the text.
pub fn apply(mirror: &mut Vec<Unit>, splices: &[[u32; 3]], inserted: &str, marks: &[MarkDelta]) {
    let (mut units, mut marks) = (inserted.encode_utf16(), marks.iter().peekable());
    for at in 0..=splices.len() {
        while let Some(MarkDelta { pos, len, key, value, .. }) =
            marks.next_if(|mark| mark.after as usize == at)
        {
            for (_, shown) in &mut mirror[*pos as usize..(pos + len) as usize] {
                shown.remove(&key.0[0]);
                shown.extend(value.as_ref().map(|value| (key.0[0], number(value))));
            }
        }
        let Some([pos, removed, count]) = splices.get(at) else { break };
        let plain = units.by_ref().take(*count as usize).map(|unit| (unit, BTreeMap::new()));
        mirror.splice(*pos as usize..(pos + removed) as usize, plain);
    }
    assert!(units.next().is_none() && marks.next().is_none());
}

fn value(number: u8) -> Value {
    if number == 0 { Value::Null } else { Value::Number(Number::new(number.into()).expect("finite")) }
}

fn number(value: &Value) -> u8 {
    let Value::Number(number) = value else { return 0 };
    number.get() as u8
}
