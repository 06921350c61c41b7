//! The objects of a space: each an identity and a data type that folds its ops.

use super::step::Step;
use super::{Past, PatchBody};
use crate::causal::{ObjectId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer};
use crate::crdt::{Cart, KeyIx, Ledger, List, Map, Tally, Text, Totals};
use crate::event::ObjectKind;
use crate::sorted::sort;

/// Local number of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectIx(pub u32);

impl ObjectIx {
    /// The number of a copy that a view reads. Objects of the space have smaller numbers.
    pub fn of_copy(number: u32) -> Self {
        Self(COPIES + number)
    }

    /// Whether it is the number of such a copy.
    pub fn is_copy(self) -> bool {
        self.0 >= COPIES
    }
}

/// One object of the space.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identity: the HMAC of name, kind and options.
    pub id: ObjectId,
    /// What folds its ops.
    pub body: Body,
    /// Places that may read differently since the last patch.
    pub(super) touched: Vec<u32>,
    /// What the last patch left a counter at.
    told: Totals,
    /// Whether the fold lists it as one that changed.
    pub(super) listed: bool,
}

/// The data types.
#[derive(Clone, Debug)]
pub enum Body {
    /// Keys and values.
    Map(Map),
    /// Text.
    Text(Box<Text>),
    /// A sum.
    Counter(Tally),
    /// Elements.
    Set(Map),
    /// Items and quantities.
    Cart(Cart),
    /// Elements in an order.
    List(Box<List>),
    /// Accounts and transfers.
    Ledger(Box<Ledger>),
}

impl Object {
    /// An empty object; none if this version has no data type for that kind.
    pub fn new(id: ObjectId, kind: ObjectKind) -> Option<Self> {
        let body = match kind {
            ObjectKind::Map => Body::Map(Map::default()),
            ObjectKind::Text => {
                let mut text = Box::new(Text::new());
                text.record_deltas(true);
                Body::Text(text)
            }
            ObjectKind::Counter => Body::Counter(Tally::default()),
            ObjectKind::Set => Body::Set(Map::default()),
            ObjectKind::Cart => Body::Cart(Cart::default()),
            ObjectKind::List => {
                let mut list = Box::new(List::new());
                list.record_deltas(true);
                Body::List(list)
            }
            ObjectKind::Ledger => Body::Ledger(Box::default()),
        };
        Some(Self { id, body, touched: Vec::new(), told: Totals::default(), listed: false })
    }

    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self.body {
            Body::Map(_) => ObjectKind::Map,
            Body::Text(_) => ObjectKind::Text,
            Body::Counter(_) => ObjectKind::Counter,
            Body::Set(_) => ObjectKind::Set,
            Body::Cart(_) => ObjectKind::Cart,
            Body::List(_) => ObjectKind::List,
            Body::Ledger(_) => ObjectKind::Ledger,
        }
    }

    /// How many places ops can go to: slots, items, or one.
    pub(super) fn places(&self) -> u32 {
        match &self.body {
            Body::Map(map) | Body::Set(map) => map.iter().len() as u32,
            Body::Cart(cart) => cart.iter().len() as u32,
            Body::Ledger(ledger) => ledger.rows().len() as u32,
            Body::Text(_) | Body::List(_) | Body::Counter(_) => 1,
        }
    }

    /// Applies a step whose op number exceeds all before; says at which place. Texts and lists have steps of their own.
    ///
    /// # Panics
    /// If the step is not one of its kind.
    pub(super) fn write(&mut self, past: &Past<'_>, step: &Step, op: OpIx, active: bool) -> u32 {
        let at = match (&mut self.body, step) {
            (Body::Map(map) | Body::Set(map), Step::Put(slot, _)) => {
                map.apply(past, *slot, op, false, active).0
            }
            (Body::Map(map) | Body::Set(map), Step::Take(slot)) => map.apply(past, *slot, op, true, active).0,
            (Body::Counter(tally), Step::Add(amount)) => {
                tally.add(op, *amount, active);
                0
            }
            (Body::Counter(tally), Step::Reset) => {
                tally.reset(past, op, active);
                0
            }
            (Body::Cart(cart), Step::AddTo(item, quantity)) => cart.add(*item, op, *quantity, active).0,
            (Body::Cart(cart), Step::Remove(item)) => cart.remove(past, *item, op, active).0,
            (Body::Ledger(ledger), Step::Sign(signed)) => return ledger.apply(past, signed, op, active),
            _ => unreachable!("steps are compared with the kind of their object"),
        };
        self.touched.push(at);
        at
    }

    /// Adds to the amount of the last step, which is an add of the open batch.
    pub(super) fn amend(&mut self, at: u32, amount: i64) {
        match &mut self.body {
            Body::Counter(tally) => tally.amend(amount),
            Body::Cart(cart) => cart.amend(KeyIx(at), amount),
            _ => unreachable!("only sums are amended"),
        }
        self.touched.push(at);
    }

    /// Takes back the last step at a place, made in the open batch. Call [`Object::settle`] before reading.
    pub(super) fn retract(&mut self, at: u32, op: OpIx) {
        match &mut self.body {
            Body::Map(map) | Body::Set(map) => map.retract(KeyIx(at)),
            Body::Counter(tally) => tally.retract(op),
            Body::Cart(cart) => cart.retract(KeyIx(at), op),
            Body::Ledger(ledger) => return ledger.retract(),
            Body::Text(_) | Body::List(_) => unreachable!("texts and lists take back their own edits"),
        }
        self.touched.push(at);
    }

    /// Switches an op off or on. Call [`Object::settle`] before reading.
    pub(super) fn set_active(&mut self, past: &Past<'_>, at: u32, op: OpIx, on: bool) {
        match &mut self.body {
            Body::Map(map) | Body::Set(map) => {
                if !map.set_active(past, KeyIx(at), op, on) {
                    return;
                }
            }
            Body::Counter(tally) => tally.set_active(op, on),
            Body::Cart(cart) => cart.set_active(KeyIx(at), op, on),
            Body::Ledger(ledger) => return ledger.set_active(past, at, on),
            Body::Text(text) => text.set_active(op, on),
            Body::List(list) => list.set_active(past, op, on),
        }
        self.touch(at);
    }

    /// Makes what toggles left open right again.
    pub(super) fn settle(&mut self, past: &Past<'_>) {
        match &mut self.body {
            Body::Map(map) | Body::Set(map) => map.settle(past),
            Body::Counter(tally) => tally.settle(past),
            Body::Cart(cart) => cart.settle(past),
            Body::Ledger(ledger) => ledger.settle(past),
            Body::List(list) => list.settle(past),
            Body::Text(text) => text.settle(past),
        }
    }

    /// Notes that a place may read differently.
    pub(super) fn touch(&mut self, at: u32) {
        match &mut self.body {
            Body::Ledger(ledger) => ledger.touch(at),
            _ if self.touched.last() != Some(&at) => self.touched.push(at),
            _ => {}
        }
    }

    /// What changed since the last time, if anything may have.
    pub(super) fn take_patch(&mut self) -> Option<PatchBody> {
        let mut touched = std::mem::take(&mut self.touched);
        sort(&mut touched);
        touched.dedup();
        match &mut self.body {
            Body::Text(text) => PatchBody::of_text(text.drain_deltas()),
            Body::List(list) => PatchBody::of_list(list.drain_deltas()),
            Body::Counter(tally) => {
                let (now, then) = (tally.totals(), std::mem::replace(&mut self.told, tally.totals()));
                let (added, taken) = (now.added - then.added, now.taken - then.taken);
                (now != then).then_some(PatchBody::Counter { added, taken })
            }
            Body::Map(map) | Body::Set(map) => {
                let slots: Vec<_> = touched.into_iter().map(|at| map.slot(KeyIx(at))).collect();
                (!slots.is_empty()).then_some(PatchBody::Slots(slots))
            }
            Body::Cart(cart) => {
                let items: Vec<_> = touched.into_iter().map(|at| cart.name(KeyIx(at))).collect();
                (!items.is_empty()).then_some(PatchBody::Items(items))
            }
            Body::Ledger(ledger) => PatchBody::of_ledger(ledger.take_touched()),
        }
    }

    /// The same without looking up what it was.
    pub(super) fn forget_patch(&mut self) {
        match &mut self.body {
            Body::Text(text) => text.forget_deltas(),
            Body::Map(_) | Body::Set(_) | Body::Cart(_) => {}
            Body::List(_) | Body::Counter(_) | Body::Ledger(_) => drop(self.take_patch()),
        }
        self.touched.clear();
    }

    /// Recomputes the invariants the slow way.
    pub(super) fn dbg_check(&self, past: &Past<'_>) {
        match &self.body {
            Body::Map(map) | Body::Set(map) => map.dbg_check(past),
            Body::List(list) => list.dbg_check(past),
            Body::Text(text) => {
                text.dbg_check();
                text.dbg_check_marks(past);
            }
            Body::Counter(tally) => tally.dbg_check(past),
            Body::Cart(cart) => cart.dbg_check(past),
            Body::Ledger(ledger) => ledger.dbg_check(past),
        }
    }
}

impl Object {
    /// Writes what it is made of; identity and kind stand elsewhere.
    pub(super) fn save(&self, out: &mut Writer) {
        match &self.body {
            Body::Map(map) | Body::Set(map) => map.save(out),
            Body::Text(text) => text.save(out),
            Body::List(list) => list.save(out),
            Body::Counter(tally) => tally.save(out),
            Body::Cart(cart) => cart.save(out),
            Body::Ledger(ledger) => ledger.save(out),
        }
    }

    /// Reads that.
    pub(super) fn load(
        id: ObjectId,
        kind: ObjectKind,
        from: &mut Reader<'_>,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(mut object) = Self::new(id, kind) else { return Ok(None) };
        match &mut object.body {
            Body::Map(map) | Body::Set(map) => *map = Map::load(from)?,
            Body::Text(text) => {
                **text = Text::load(from)?;
                text.record_deltas(true);
            }
            Body::List(list) => {
                **list = List::load(from)?;
                list.record_deltas(true);
            }
            Body::Counter(tally) => {
                *tally = Tally::load(from)?;
                object.told = tally.totals();
            }
            Body::Cart(cart) => *cart = Cart::load(from)?,
            Body::Ledger(ledger) => **ledger = Ledger::load(from)?,
        }
        Ok(Some(object))
    }
}

/// Where the numbers of copies begin.
const COPIES: u32 = 1 << 31;
