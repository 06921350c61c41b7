//! Events: which objects each one concerns, and in which order they count for each of these.
//!
//! What the events of an object make of it is for the application to say. Here is what it needs for that: the events that
//! show, in one order for everybody, from where on they are others than those it was given, and which objects there are.
//! An event shows while it is active and its value is here.
//!
//! Invariant: the events of an object stand in the order of [`Sequence::earlier`], those that do not show among them.

use super::History;
use crate::causal::{NameId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::sorted::{sort, sort_by};
use crate::steps;
use foldhash::HashMap;
use std::cmp::Ordering;

/// What events ask of the past.
pub trait Sequence: History {
    /// A total order, the same for all replicas: what an op knew comes before it, the clock orders the rest. Ops of the open
    /// batch come last.
    fn earlier(&self, a: OpIx, b: OpIx) -> Ordering;
}

/// What an op says about objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// The type of the event, or of the object that is made.
    pub of_type: NameId,
    /// Whether it makes an object.
    pub creates: bool,
    /// The objects; the one that is made.
    pub concerns: Box<[NameId]>,
}

/// An event of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The op.
    pub op: OpIx,
    /// The number of its type.
    pub of_type: u32,
    /// Whether it makes the object.
    pub creates: bool,
}

#[derive(Clone, Debug)]
struct Row {
    event: Event,
    shows: bool,
    /// Each once.
    concerns: Box<[u32]>,
}

/// An object that events concern, whether or not one of them makes it.
#[derive(Clone, Debug, Default)]
struct Subject {
    /// Places of rows, in their order.
    rows: Vec<u32>,
    /// Those that were given out.
    taken: Vec<u32>,
    is_listed: bool,
}

/// The events of a space.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// By op, ascending.
    rows: Vec<Row>,
    subjects: Vec<Subject>,
    ids: Table,
    types: Table,
    /// Objects that may read differently since this was asked for.
    listed: Vec<u32>,
    /// Whether other objects may be there since then.
    made: bool,
    /// Whether anything is new since this was told.
    news: bool,
}

/// Names by number and the other way round.
#[derive(Clone, Debug, Default)]
struct Table {
    names: Vec<NameId>,
    index: HashMap<NameId, u32>,
}

impl Table {
    fn number(&mut self, name: NameId) -> u32 {
        *self.index.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u32 - 1
        })
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut table = Self::default();
        for name in Vec::load(from)? {
            let is_new = table.number(name) as usize + 1 == table.names.len();
            saved::check(is_new, from, "names", "each is there once")?;
        }
        Ok(table)
    }
}

impl Events {
    /// Adds an event whose op number exceeds all before. O(its objects · log of their events), where it comes last.
    pub fn add(&mut self, past: &impl Sequence, op: OpIx, said: &Emission, shows: bool) {
        debug_assert!(
            self.rows.last().is_none_or(|last| last.event.op < op),
            "ops come in topological order"
        );
        let row = self.rows.len() as u32;
        let mut concerns: Vec<u32> = said.concerns.iter().map(|id| self.ids.number(*id)).collect();
        sort(&mut concerns);
        concerns.dedup();
        self.subjects.resize_with(self.ids.names.len(), Subject::default);
        let event = Event { op, of_type: self.types.number(said.of_type), creates: said.creates };
        self.rows.push(Row { event, shows, concerns: concerns.into() });
        for at in 0..self.rows[row as usize].concerns.len() {
            let of = self.rows[row as usize].concerns[at] as usize;
            let is_before = |row: &u32| past.earlier(self.rows[*row as usize].event.op, op).is_lt();
            let rows = &self.subjects[of].rows;
            let place =
                if rows.last().is_none_or(is_before) { rows.len() } else { rows.partition_point(is_before) };
            self.subjects[of].rows.insert(place, row);
        }
        if shows {
            self.touch(row);
        }
    }

    /// Takes the last event back: it was made in the batch that is open.
    pub fn retract(&mut self, op: OpIx) {
        debug_assert!(self.rows.last().is_some_and(|last| last.event.op == op));
        let row = self.rows.len() as u32 - 1;
        self.touch(row);
        let Some(gone) = self.rows.pop() else { return };
        for of in &gone.concerns {
            // Another event can get the same place.
            let subject = &mut self.subjects[*of as usize];
            subject.rows.pop_if(|last| *last == row);
            subject.taken.pop_if(|last| *last == row);
        }
    }

    /// An event of the open batch became one of a changeset: whoever took it knows neither its id nor its time.
    pub fn seal(&mut self, op: OpIx) {
        let Ok(row) = self.rows.binary_search_by_key(&op, |row| row.event.op) else { return };
        let row = row as u32;
        let mut is_known = false;
        for of in &self.rows[row as usize].concerns {
            let taken = &mut self.subjects[*of as usize].taken;
            if let Some(at) = taken.iter().rposition(|taken| *taken == row) {
                taken.truncate(at);
                is_known = true;
            }
        }
        if is_known {
            self.touch(row);
        }
    }

    /// Shows an event or no more. O(log events + its objects).
    pub fn show(&mut self, op: OpIx, on: bool) {
        if let Ok(row) = self.rows.binary_search_by_key(&op, |row| row.event.op)
            && std::mem::replace(&mut self.rows[row].shows, on) != on
        {
            self.touch(row as u32);
        }
    }

    fn touch(&mut self, row: u32) {
        let Row { event, concerns, .. } = &self.rows[row as usize];
        steps::count(concerns.len());
        self.made |= event.creates;
        self.news = true;
        for of in concerns {
            if !std::mem::replace(&mut self.subjects[*of as usize].is_listed, true) {
                self.listed.push(*of);
            }
        }
    }

    /// Whether there is an event that shows.
    fn shows(&self, row: u32, ops: Ops<'_>) -> bool {
        let row = &self.rows[row as usize];
        ops.map_or(row.shows, |has| has(row.event.op))
    }

    /// The number of an object, if anything was ever said of it.
    pub fn subject(&self, id: &NameId) -> Option<u32> {
        self.ids.index.get(id).copied()
    }

    /// All that was ever said something of, by number.
    pub fn subjects(&self) -> &[NameId] {
        &self.ids.names
    }

    /// All types, by number.
    pub fn types(&self) -> &[NameId] {
        &self.types.names
    }

    /// The events of an object in their order: those that show, or those of a choice of ops.
    pub fn of<'a>(&'a self, subject: u32, ops: Ops<'a>) -> impl Iterator<Item = Event> + 'a {
        let rows = self.subjects.get(subject as usize).map_or(&[][..], |subject| &subject.rows);
        rows.iter().filter(move |row| self.shows(**row, ops)).map(|row| self.rows[*row as usize].event)
    }

    /// Its events from the one of a number on, of those that show; whoever asks knows those before.
    pub fn take(&mut self, subject: u32, from: u32) -> Vec<Event> {
        let Some(of) = self.subjects.get(subject as usize) else { return Vec::new() };
        let taken: Vec<u32> = of.rows.iter().copied().filter(|row| self.rows[*row as usize].shows).collect();
        let events = taken.iter().skip(from as usize).map(|row| self.rows[*row as usize].event).collect();
        self.subjects[subject as usize].taken = taken;
        events
    }

    /// What makes an object: the first create of it that shows.
    pub fn maker(&self, subject: u32, ops: Ops<'_>) -> Option<Event> {
        self.of(subject, ops).find(|event| event.creates)
    }

    /// The objects of a type, in the order in which they were made.
    pub fn of_type(&self, past: &impl Sequence, of_type: &NameId, ops: Ops<'_>) -> Vec<u32> {
        let Some(of_type) = self.types.index.get(of_type) else { return Vec::new() };
        let made = self.rows.iter().filter(|row| row.event.creates && row.event.of_type == *of_type);
        let made = made.filter_map(|row| Some((row.event, *row.concerns.first()?)));
        let mut made: Vec<(Event, u32)> =
            made.filter(|(event, of)| self.maker(*of, ops) == Some(*event)).collect();
        sort_by(&mut made, |(a, _), (b, _)| past.earlier(a.op, b.op));
        made.into_iter().map(|(_, of)| of).collect()
    }

    /// All events that show, each once, by op; and whether one of its objects was made.
    pub fn shown(&self) -> impl Iterator<Item = (Event, bool)> + '_ {
        let is_made = |row: &Row| row.concerns.iter().any(|of| self.maker(*of, None).is_some());
        self.rows.iter().filter(|row| row.shows).map(move |row| (row.event, is_made(row)))
    }

    /// The objects that may read differently since the last time, each with how many of the events that were taken are as
    /// they were; and whether others may be there.
    pub fn changed(&mut self) -> (bool, Vec<(u32, u32)>) {
        let mut listed = Vec::new();
        for of in std::mem::take(&mut self.listed) {
            let subject = &mut self.subjects[of as usize];
            steps::count(subject.rows.len());
            let shown = subject.rows.iter().filter(|row| self.rows[**row as usize].shows);
            let stable = shown.zip(&subject.taken).take_while(|(now, then)| now == then).count();
            subject.is_listed = false;
            subject.taken.truncate(stable);
            listed.push((of, stable as u32));
        }
        (std::mem::take(&mut self.made), listed)
    }

    /// Whether anything changed since the last time.
    pub fn news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// The events that show although all that makes their objects is among the ops for which `gone` holds; of these `fresh` are
    /// looked at. O(events of the objects that `fresh` make).
    pub fn stranded(&self, fresh: &[OpIx], gone: impl Fn(OpIx) -> bool) -> Vec<OpIx> {
        let row = |op: &OpIx| self.rows.binary_search_by_key(op, |row| row.event.op).ok();
        let makers = fresh.iter().filter_map(row).filter(|row| self.rows[*row].event.creates);
        let mut made: Vec<u32> = makers.flat_map(|row| self.rows[row].concerns.iter().copied()).collect();
        sort(&mut made);
        made.dedup();
        let is_gone = |of: &u32| {
            let mut makers = self.of(*of, None).filter(|event| event.creates).peekable();
            makers.peek().is_some() && makers.all(|event| gone(event.op))
        };
        made.retain(is_gone);
        // Each object is looked at once, however many events concern it.
        let mut known: HashMap<u32, bool> = made.iter().map(|of| (*of, true)).collect();
        let mut strands = |row: &u32| {
            let Row { event, shows, concerns } = &self.rows[*row as usize];
            let mut is_known = |of: &u32| *known.entry(*of).or_insert_with(|| is_gone(of));
            *shows && !gone(event.op) && concerns.iter().all(&mut is_known)
        };
        let rows = made.iter().flat_map(|of| &self.subjects[*of as usize].rows).copied();
        let mut rows: Vec<u32> = rows.filter(|row| strands(row)).collect();
        sort(&mut rows);
        rows.dedup();
        rows.into_iter().map(|row| self.rows[row as usize].event.op).collect()
    }

    /// Whether an op is about an object.
    pub fn concerns(&self, op: OpIx, subject: u32) -> bool {
        let row = self.rows.binary_search_by_key(&op, |row| row.event.op);
        row.is_ok_and(|row| self.rows[row].concerns.contains(&subject))
    }

    /// Recomputes the invariants the slow way; `shows` says what an op does.
    #[doc(hidden)]
    pub fn dbg_check(&self, past: &impl Sequence, shows: impl Fn(OpIx) -> bool) {
        let mut places = 0;
        for (of, subject) in self.subjects.iter().enumerate() {
            let op = |row: &u32| self.rows[*row as usize].event.op;
            assert!(subject.rows.is_sorted_by(|a, b| past.earlier(op(a), op(b)).is_lt()));
            let concerns = |row: &u32| self.rows[*row as usize].concerns.contains(&(of as u32));
            assert!(subject.rows.iter().all(concerns));
            places += subject.rows.len();
        }
        assert_eq!(places, self.rows.iter().map(|row| row.concerns.len()).sum::<usize>());
        assert!(self.rows.iter().all(|row| row.shows == shows(row.event.op)));
    }
}

/// A choice of ops, or none for those that show now.
pub type Ops<'a> = Option<&'a dyn Fn(OpIx) -> bool>;

impl Saved for Events {
    fn save(&self, out: &mut Writer) {
        self.types.names.save(out);
        self.ids.names.save(out);
        saved::save_steps(out, self.rows.iter().map(|row| row.event.op.0));
        for Row { event, shows, concerns } in &self.rows {
            out.varint(u64::from(event.of_type) << 2 | u64::from(event.creates) << 1 | u64::from(*shows));
            saved::save_steps(out, concerns.iter().copied());
        }
        self.subjects.iter().for_each(|subject| saved::save_steps(out, subject.rows.iter().copied()));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut events = Self { types: Table::load(from)?, ids: Table::load(from)?, ..Self::default() };
        for op in saved::load_rising(from)? {
            let flags = from.varint("event", u64::from(u32::MAX) << 2)?;
            let (of_type, creates) = ((flags >> 2) as u32, flags & 2 != 0);
            let concerns: Box<[u32]> = saved::load_rising(from)?.into();
            let known = concerns.last().is_none_or(|last| (*last as usize) < events.ids.names.len())
                && (of_type as usize) < events.types.names.len();
            saved::check(known, from, "event", "it is about what is there")?;
            let event = Event { op: OpIx(op), of_type, creates };
            events.rows.push(Row { event, shows: flags & 1 != 0, concerns });
        }
        for _ in 0..events.ids.names.len() {
            let rows = saved::load_steps(from)?;
            let known = rows.iter().all(|row| (*row as usize) < events.rows.len());
            saved::check(known, from, "events", "they are there")?;
            events.subjects.push(Subject { rows, ..Subject::default() });
        }
        Ok(events)
    }
}

impl Events {
    /// The ops of all events, ascending.
    pub fn ops(&self) -> impl Iterator<Item = OpIx> + '_ {
        self.rows.iter().map(|row| row.event.op)
    }
}
