//! Objects that events define: what happened to them is signed and kept in order; what that makes of them is for the
//! application to say, which is given the events from where on they are others than before.

use super::edit::VALUE_BYTES_MAX;
use super::view::ViewIx;
use super::{EditFault, Env, Replica, ViewFault};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, NameId, ObjectId, OpIx};
use crate::codec::limits::{CONCERNS_MAX, NAME_BYTES_MAX};
use crate::crdt::{Choice, Emission, Event, Ops};
use crate::crypto::{Digest, Tag, hash};
use crate::event::digest::{EVENTS_KIND, events_hash};
use crate::event::{Sort, Value, name_id};
use crate::sorted::sort;
use std::sync::Arc;

/// The digest of a definition by its text.
pub fn definition_digest(text: &str) -> Digest {
    hash(Tag::DEFINE, &[text.as_bytes()])
}

/// An event as its object's reducer is given it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventEntry<'a> {
    /// The changeset; none while its batch is open.
    pub changeset: Option<ChangesetId>,
    /// Which op of it.
    pub index: u32,
    /// The number of the op behind its last one.
    pub end: u32,
    /// Who says so.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// What goes with it.
    pub data: &'a Value,
}

impl Replica {
    /// Makes an object of a type. O(1).
    pub fn event_create(
        &mut self,
        of_type: &str,
        id: &str,
        data: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.say_event(of_type, true, &[id], data, env)
    }

    /// Says what happened to some objects, which need not be here. O(objects).
    ///
    /// # Panics
    /// If there is none, or more than an event can name.
    pub fn event_emit(
        &mut self,
        of_type: &str,
        concerns: &[&str],
        data: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        assert!((1..=CONCERNS_MAX).contains(&concerns.len()), "an event concerns some objects");
        self.say_event(of_type, false, concerns, data, env)
    }

    fn say_event(
        &mut self,
        of_type: &str,
        creates: bool,
        concerns: &[&str],
        data: Value,
        env: &mut Env<'_>,
    ) -> Result<(), EditFault> {
        self.may_write()?;
        let names = || concerns.iter().copied().chain([of_type]);
        // Other ids are not joined by the table of names: all of them have to fit into one changeset.
        let bytes: usize = names().map(|name| name.len() + 20).sum();
        if names().any(|name| name.len() > NAME_BYTES_MAX) || bytes + data.to_bytes().len() > VALUE_BYTES_MAX
        {
            return Err(EditFault::TooLarge);
        }
        let of_type = self.event_name_id(Sort::EventType, of_type);
        let concerns = concerns.iter().map(|id| self.event_name_id(Sort::EventObject, id)).collect();
        let command = self.batch_command().map(|(command, head)| (self.member(), command, head));
        self.fold.emit(self.log.graph(), Emission { of_type, creates, concerns, command }, data);
        self.edited_in_place(env);
        Ok(())
    }

    /// The changeset in which this member said the same for a command already; none if it said nothing for it. Seals the open batch
    /// first.
    pub fn event_made(
        &mut self,
        of_type: &str,
        concerns: &[&str],
        data: &Value,
        command: &str,
        env: &mut Env<'_>,
    ) -> Result<Option<ChangesetId>, EditFault> {
        self.flush(env);
        let command = self.event_name_id(Sort::Command, command);
        let mut objects: Vec<u32> = Vec::new();
        let mut is_known = true;
        for id in concerns {
            match self.event_subject(id) {
                Some(subject) => objects.push(subject),
                None => is_known = false,
            }
        }
        sort(&mut objects);
        objects.dedup();
        let of_type = name_id(self.identity.keyring().names(), Sort::EventType, of_type.as_bytes());
        let (mut found, mut is_taken) = (None, false);
        for (event, of, shows) in self.fold.events().said_for(self.member(), command) {
            is_taken = true;
            let is_same = is_known
                && !event.creates
                && self.fold.events().types()[event.of_type as usize] == of_type
                && *objects == *of
                && self.event_data(event).is_none_or(|then| reads_as(then, data));
            // The one that counts before one that was undone, excluded or said again.
            if is_same && (shows || found.is_none()) {
                found = Some(event);
                if shows {
                    break;
                }
            }
        }
        match found {
            None if is_taken => Err(EditFault::EventCommand),
            None => Ok(None),
            Some(event) => {
                let changeset = self.fold.timeline().changeset_of(event.op);
                Ok((changeset != ChangesetIx::OPEN).then(|| self.log.graph().id(changeset)))
            }
        }
    }

    fn event_name_id(&mut self, sort: Sort, name: &str) -> NameId {
        let id = name_id(self.identity.keyring().names(), sort, name.as_bytes());
        self.names.learn(sort, id, name.as_bytes());
        id
    }

    /// The number of an object, if any event that is here names it.
    pub fn event_subject(&self, id: &str) -> Option<u32> {
        let id = name_id(self.identity.keyring().names(), Sort::EventObject, id.as_bytes());
        self.fold.events().subject(&id)
    }

    /// The id of an object; none where no content that is here says it.
    pub fn event_subject_name(&self, subject: u32) -> Option<&Arc<str>> {
        self.names.text(Sort::EventObject, self.fold.events().subjects().get(subject as usize)?)
    }

    /// What its id stands for.
    ///
    /// # Panics
    /// If there is none of that number.
    pub fn event_subject_id(&self, subject: u32) -> NameId {
        self.fold.events().subjects()[subject as usize]
    }

    /// The types of events by number, none where no content that is here says its name.
    pub fn event_types(&self) -> impl ExactSizeIterator<Item = Option<&Arc<str>>> {
        self.fold.events().types().iter().map(|id| self.names.text(Sort::EventType, id))
    }

    /// The objects that may read differently since the last time, each with how many of the events that were taken of it are
    /// as they were; whether others may be there; and how often all numbers became others.
    pub fn event_changes(&mut self) -> (u64, bool, Vec<(u32, u32)>) {
        let (made, changed) = self.fold.events_mut().changed();
        (self.refolds, made, changed)
    }

    /// The events of an object from the one of a number on, in their order; whoever takes them knows those before.
    pub fn take_events(&mut self, subject: u32, from: u32) -> Vec<Event> {
        self.fold.events_mut().take(subject, from)
    }

    /// All events that show, each once; and whether one of its objects was made. O(events).
    pub fn shown_events(&self) -> Vec<(Event, bool)> {
        self.fold.events().shown(&self.fold.past(self.log.graph())).collect()
    }

    /// The types of events that follow each other, for each two that do in one object. O(events).
    pub fn event_pairs(&self) -> Vec<(u32, u32)> {
        let mut pairs = Vec::new();
        for subject in 0..self.fold.events().subjects().len() as u32 {
            let mut before = None;
            let past = self.fold.past(self.log.graph());
            for Event { of_type, .. } in self.fold.events().of(&past, subject, None) {
                pairs.extend(before.replace(of_type).map(|before| (before, of_type)));
            }
        }
        pairs
    }

    /// The events of an object in a view, or those that are shown now.
    pub fn events_of(&self, subject: u32, view: Option<ViewIx>) -> Result<Vec<Event>, ViewFault> {
        let past = self.fold.past(self.log.graph());
        self.in_view(view, |ops| self.fold.events().of(&past, subject, ops).collect())
    }

    /// What makes an object, in a view or now.
    pub fn event_maker(&self, subject: u32, view: Option<ViewIx>) -> Result<Option<Event>, ViewFault> {
        let past = self.fold.past(self.log.graph());
        self.in_view(view, |ops| self.fold.events().maker(&past, subject, ops))
    }

    /// The objects of a type in the order in which they were made, in a view or now. O(creates).
    pub fn event_objects(&self, of_type: &str, view: Option<ViewIx>) -> Result<Vec<u32>, ViewFault> {
        let of_type = name_id(self.identity.keyring().names(), Sort::EventType, of_type.as_bytes());
        let past = self.fold.past(self.log.graph());
        self.in_view(view, |ops| self.fold.events().of_type(&past, &of_type, ops))
    }

    fn in_view<T>(&self, view: Option<ViewIx>, ask: impl FnOnce(Ops<'_>) -> T) -> Result<T, ViewFault> {
        let Some(view) = view else { return Ok(ask(None)) };
        let ops = self.view_ops(view)?;
        Ok(ask(Some(&Choice::new(&|op: OpIx| ops.get(op.0)))))
    }

    /// What goes with an event; none if it is not here.
    pub fn event_data(&self, event: Event) -> Option<&Value> {
        self.fold.written(event.op)?.value()
    }

    /// An event in full; none if its value is not here.
    pub fn event_entry(&self, event: Event) -> Option<EventEntry<'_>> {
        let data = self.event_data(event)?;
        let changeset = self.fold.timeline().changeset_of(event.op);
        if changeset == ChangesetIx::OPEN {
            let (member, actor) = (self.member(), self.acting());
            let time_ms = self.batch.begun_ms.unwrap_or(0);
            let index = event.op.0 - self.fold.timeline().next_op();
            return Some(EventEntry { changeset: None, index, end: u32::MAX, member, actor, time_ms, data });
        }
        let ops = self.fold.timeline().ops_of(changeset);
        Some(EventEntry {
            changeset: Some(self.log.graph().id(changeset)),
            index: event.op.0 - ops.start,
            end: ops.end,
            member: self.log.author(changeset).member,
            actor: self.log.graph().actor(changeset),
            time_ms: self.fold.timeline().stamp(changeset).ms,
            data,
        })
    }

    /// What the objects that events define add to the state hash: those that a create makes which shows.
    pub(super) fn event_hashes(&self, ops: Ops<'_>) -> Vec<(ObjectId, u8, Digest)> {
        let (events, past) = (self.fold.events(), self.fold.past(self.log.graph()));
        let hash = |(subject, id): (u32, &NameId)| {
            events.maker(&past, subject, ops)?;
            let place = |event: Event| {
                let changeset = self.fold.timeline().changeset_of(event.op);
                if changeset == ChangesetIx::OPEN {
                    return (ChangesetId([0; 32]), event.op.0 - self.fold.timeline().next_op());
                }
                let first = self.fold.timeline().ops_of(changeset).start;
                (self.log.graph().id(changeset), event.op.0 - first)
            };
            let places: Vec<(ChangesetId, u32)> = events.of(&past, subject, ops).map(place).collect();
            Some((ObjectId(id.0), EVENTS_KIND, events_hash(places.into_iter())))
        };
        (0..).zip(events.subjects()).filter_map(hash).collect()
    }
}

/// Whether the data of two events is the same, or written by definitions of two versions, of which one says it in other words.
fn reads_as(then: &Value, now: &Value) -> bool {
    let version = |value: &Value| match value {
        Value::Array(items) => items.first().map(Value::to_bytes),
        _ => None,
    };
    version(then) != version(now) || then.to_bytes() == now.to_bytes()
}
