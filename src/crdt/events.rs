//! Events: which objects each one concerns, and in which order they count for each of these.
//!
//! What the events of an object make of it is for the application to say. Here is what it needs for that: the events that
//! show, in one order for everybody, from where on they are others than those it was given, and which objects there are.
//! An event shows while it is active, its value is here and, if it has a command, it is of the transaction that counts for that.
//!
//! Invariant: the events of an object stand in the order of [`Sequence::earlier`], those that do not show among them.

use super::command::Command;
use super::first::First;
use super::{History, Part};
use crate::causal::{MemberId, NameId, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::sorted::{sort, sort_by};
use crate::steps;
use foldhash::HashMap;
use std::cell::RefCell;
use std::cmp::Ordering;

/// No place in a table.
const NONE: u32 = u32::MAX;

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
    /// Who says it for which command, and the first op of the transaction.
    pub command: Option<(MemberId, NameId, OpIx)>,
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
    active: bool,
    /// Whether its value is here.
    present: bool,
    shows: bool,
    /// The number of its command, and the first op of its transaction.
    command: u32,
    head: OpIx,
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
    commands: Vec<Command>,
    by_command: HashMap<Part, u32>,
    /// Rows that were switched, and their commands, to be looked at again.
    unsettled: Vec<u32>,
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
    /// Adds an event whose op number exceeds all before; says whether it is active and its value here. O(its objects · log of
    /// their events), where it comes last.
    pub fn add(&mut self, past: &impl Sequence, op: OpIx, said: &Emission, active: bool, present: bool) {
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
        let (command, head) = match said.command {
            Some((author, name, head)) => (self.command(author, name), head),
            None => (NONE, op),
        };
        if command != NONE {
            self.commands[command as usize].enter(row, head);
        }
        let concerns = concerns.into();
        self.rows.push(Row { event, active: false, present, shows: false, command, head, concerns });
        for at in 0..self.rows[row as usize].concerns.len() {
            let of = self.rows[row as usize].concerns[at] as usize;
            let is_before = |row: &u32| past.earlier(self.rows[*row as usize].event.op, op).is_lt();
            let rows = &self.subjects[of].rows;
            let place =
                if rows.last().is_none_or(is_before) { rows.len() } else { rows.partition_point(is_before) };
            self.subjects[of].rows.insert(place, row);
        }
        self.set_active(past, op, active);
        self.settle(past);
    }

    fn command(&mut self, author: MemberId, name: NameId) -> u32 {
        let next = self.commands.len() as u32;
        let at = *self.by_command.entry(Part::Command(author, name)).or_insert(next);
        if at == next {
            self.commands.push(Command::new(author, name));
        }
        at
    }

    /// Takes the last event back: it was made in the batch that is open.
    pub fn retract(&mut self, past: &impl Sequence, op: OpIx) {
        debug_assert!(self.rows.last().is_some_and(|last| last.event.op == op));
        let row = self.rows.len() as u32 - 1;
        self.touch(row);
        let Some(gone) = self.rows.pop() else { return };
        if gone.command != NONE {
            self.commands[gone.command as usize].leave(gone.head, gone.active);
            self.resettle(past, gone.command);
        }
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

    /// Switches an event on or off. Call [`Events::settle`] before reading. O(log events + its objects), and rivals for its command.
    pub fn set_active(&mut self, history: &impl History, op: OpIx, on: bool) {
        let Ok(at) = self.rows.binary_search_by_key(&op, |row| row.event.op) else { return };
        let row = &mut self.rows[at];
        if std::mem::replace(&mut row.active, on) == on {
            return;
        }
        if row.command != NONE {
            self.commands[row.command as usize].count(history, row.head, on);
            self.unsettled.push(row.command);
        }
        self.reveal(at as u32);
    }

    /// Finds anew which transactions count for the commands of events that were switched.
    pub fn settle(&mut self, history: &impl History) {
        let mut commands = std::mem::take(&mut self.unsettled);
        sort(&mut commands);
        commands.dedup();
        commands.into_iter().for_each(|command| self.resettle(history, command));
    }

    fn resettle(&mut self, history: &impl History, command: u32) {
        let of = &mut self.commands[command as usize];
        if of.settle(history) {
            let rows = of.rows.clone();
            steps::count(rows.len());
            rows.into_iter().for_each(|row| self.reveal(row));
        }
    }

    /// The value of an event came later.
    pub fn supply(&mut self, op: OpIx) {
        if let Ok(at) = self.rows.binary_search_by_key(&op, |row| row.event.op) {
            self.rows[at].present = true;
            self.reveal(at as u32);
        }
    }

    /// The value of an event is gone.
    pub fn withdraw(&mut self, op: OpIx) {
        if let Ok(at) = self.rows.binary_search_by_key(&op, |row| row.event.op) {
            self.rows[at].present = false;
            self.reveal(at as u32);
        }
    }

    /// Shows an event or no more.
    fn reveal(&mut self, row: u32) {
        let Row { active, present, command, head, .. } = self.rows[row as usize];
        let shows =
            active && present && (command == NONE || self.commands[command as usize].first == Some(head));
        if std::mem::replace(&mut self.rows[row as usize].shows, shows) != shows {
            self.touch(row);
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

    /// Whether an event shows.
    fn shows(&self, past: &impl History, row: u32, ops: Ops<'_>) -> bool {
        let row = &self.rows[row as usize];
        let Some(choice) = ops else { return row.shows };
        row.present
            && (choice.has)(row.event.op)
            && (row.command == NONE || self.first_of(past, row.command, choice) == Some(row.head))
    }

    /// The transaction that counts for a command in a choice of ops.
    fn first_of(&self, past: &impl History, command: u32, choice: &Choice<'_>) -> Option<OpIx> {
        let mut found = choice.firsts.borrow_mut();
        found.resize(self.commands.len(), None);
        *found[command as usize].get_or_insert_with(|| {
            let mut firsts = First::default();
            for row in &self.commands[command as usize].rows {
                let Row { event, head, .. } = &self.rows[*row as usize];
                if (choice.has)(event.op) {
                    firsts.add(*head);
                    firsts.set_active(past, *head, true);
                }
            }
            firsts.first()
        })
    }

    /// The events of a member for a command, in topological order, and the objects that each concerns, ascending.
    pub fn said_for(
        &self,
        author: MemberId,
        command: NameId,
    ) -> impl Iterator<Item = (Event, &[u32], bool)> + '_ {
        let command = self.by_command.get(&Part::Command(author, command));
        let rows = command.map_or(&[][..], |command| &self.commands[*command as usize].rows);
        rows.iter().map(|row| &self.rows[*row as usize]).map(|row| (row.event, &*row.concerns, row.shows))
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
    pub fn of<'a>(
        &'a self,
        past: &'a impl History,
        subject: u32,
        ops: Ops<'a>,
    ) -> impl Iterator<Item = Event> + 'a {
        let rows = self.subjects.get(subject as usize).map_or(&[][..], |subject| &subject.rows);
        rows.iter().filter(move |row| self.shows(past, **row, ops)).map(|row| self.rows[*row as usize].event)
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
    pub fn maker(&self, past: &impl History, subject: u32, ops: Ops<'_>) -> Option<Event> {
        self.of(past, subject, ops).find(|event| event.creates)
    }

    /// The objects of a type, in the order in which they were made.
    pub fn of_type(&self, past: &impl Sequence, of_type: &NameId, ops: Ops<'_>) -> Vec<u32> {
        let Some(of_type) = self.types.index.get(of_type) else { return Vec::new() };
        let made = self.rows.iter().filter(|row| row.event.creates && row.event.of_type == *of_type);
        let made = made.filter_map(|row| Some((row.event, *row.concerns.first()?)));
        let mut made: Vec<(Event, u32)> =
            made.filter(|(event, of)| self.maker(past, *of, ops) == Some(*event)).collect();
        sort_by(&mut made, |(a, _), (b, _)| past.earlier(a.op, b.op));
        made.into_iter().map(|(_, of)| of).collect()
    }

    /// All events that show, each once, by op; and whether one of its objects was made.
    pub fn shown<'a>(&'a self, past: &'a impl History) -> impl Iterator<Item = (Event, bool)> + 'a {
        let is_made = |row: &Row| row.concerns.iter().any(|of| self.maker(past, *of, None).is_some());
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
    pub fn stranded(&self, past: &impl History, fresh: &[OpIx], gone: impl Fn(OpIx) -> bool) -> Vec<OpIx> {
        let row = |op: &OpIx| self.rows.binary_search_by_key(op, |row| row.event.op).ok();
        let makers = fresh.iter().filter_map(row).filter(|row| self.rows[*row].event.creates);
        let mut made: Vec<u32> = makers.flat_map(|row| self.rows[row].concerns.iter().copied()).collect();
        sort(&mut made);
        made.dedup();
        let is_gone = |of: &u32| {
            let mut makers = self.of(past, *of, None).filter(|event| event.creates).peekable();
            makers.peek().is_some() && makers.all(|event| gone(event.op))
        };
        made.retain(is_gone);
        // Each object is looked at once, however many events concern it.
        let mut known: HashMap<u32, bool> = made.iter().map(|of| (*of, true)).collect();
        let mut strands = |row: &u32| {
            let Row { event, shows, concerns, .. } = &self.rows[*row as usize];
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

    /// Recomputes the invariants the slow way; `active` and `present` say how an op stands.
    #[doc(hidden)]
    pub fn dbg_check(
        &self,
        past: &impl Sequence,
        active: impl Fn(OpIx) -> bool,
        present: impl Fn(OpIx) -> bool,
    ) {
        let mut places = 0;
        for (of, subject) in self.subjects.iter().enumerate() {
            let op = |row: &u32| self.rows[*row as usize].event.op;
            assert!(subject.rows.is_sorted_by(|a, b| past.earlier(op(a), op(b)).is_lt()));
            let concerns = |row: &u32| self.rows[*row as usize].concerns.contains(&(of as u32));
            assert!(subject.rows.iter().all(concerns));
            places += subject.rows.len();
        }
        assert_eq!(places, self.rows.iter().map(|row| row.concerns.len()).sum::<usize>());
        let is_as_said =
            |row: &Row| (row.active, row.present) == (active(row.event.op), present(row.event.op));
        assert!(self.rows.iter().all(is_as_said));
        let choice = Choice::new(&active);
        let shows = |row: &u32| self.shows(past, *row, Some(&choice)) == self.rows[*row as usize].shows;
        assert!((0..self.rows.len() as u32).all(|row| shows(&row)));
    }
}

/// A choice of ops that count.
pub struct Choice<'a> {
    has: &'a dyn Fn(OpIx) -> bool,
    /// By command the transaction that counts, if that was asked for.
    firsts: RefCell<Vec<Option<Option<OpIx>>>>,
}

impl<'a> Choice<'a> {
    /// Those for which it holds.
    pub fn new(has: &'a dyn Fn(OpIx) -> bool) -> Self {
        Self { has, firsts: RefCell::default() }
    }
}

/// A choice of ops, or none for those that show now.
pub type Ops<'a> = Option<&'a Choice<'a>>;

impl Saved for Events {
    fn save(&self, out: &mut Writer) {
        self.types.names.save(out);
        self.ids.names.save(out);
        out.varint(self.commands.len() as u64);
        for command in &self.commands {
            command.author.save(out);
            command.name.save(out);
            command.firsts.save(out);
        }
        saved::save_steps(out, self.rows.iter().map(|row| row.event.op.0));
        for Row { event, active, present, command, head, concerns, .. } in &self.rows {
            let flags = [*command != NONE, *present, event.creates, *active].map(u64::from);
            let flags = flags.into_iter().fold(u64::from(event.of_type), |all, flag| all << 1 | flag);
            out.varint(flags);
            if *command != NONE {
                command.save(out);
                head.0.save(out);
            }
            saved::save_steps(out, concerns.iter().copied());
        }
        self.subjects.iter().for_each(|subject| saved::save_steps(out, subject.rows.iter().copied()));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut events = Self { types: Table::load(from)?, ids: Table::load(from)?, ..Self::default() };
        for at in 0..from.count("commands", u32::MAX as usize, 50)? as u32 {
            let (author, name) = (MemberId::load(from)?, NameId::load(from)?);
            let is_new = events.by_command.insert(Part::Command(author, name), at).is_none();
            saved::check(is_new, from, "commands", "each is there once")?;
            events.commands.push(Command::saved(author, name, First::load(from)?));
        }
        for op in saved::load_rising(from)? {
            let flags = from.varint("event", u64::from(u32::MAX) << 4 | 15)?;
            let [has_command, present, creates, active] = [8, 4, 2, 1].map(|bit| flags & bit != 0);
            let (of_type, at) = ((flags >> 4) as u32, events.rows.len() as u32);
            let (mut command, mut head) = (NONE, OpIx(op));
            if has_command {
                (command, head) = (u32::load(from)?, OpIx(u32::load(from)?));
                let of = events.commands.get_mut(command as usize);
                let known = of.map(|of| of.enter_saved(at, head, active)).is_some() && head.0 <= op;
                saved::check(known, from, "event", "its command is there")?;
            }
            let concerns: Box<[u32]> = saved::load_rising(from)?.into();
            let known = concerns.last().is_none_or(|last| (*last as usize) < events.ids.names.len())
                && (of_type as usize) < events.types.names.len();
            saved::check(known, from, "event", "it is about what is there")?;
            let event = Event { op: OpIx(op), of_type, creates };
            let first = |command: u32| events.commands[command as usize].first;
            let shows = active && present && (command == NONE || first(command) == Some(head));
            events.rows.push(Row { event, active, present, shows, command, head, concerns });
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
