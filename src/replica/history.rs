//! What was written when, by whom.

use super::Replica;
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, OpIx};
use crate::crdt::Slot;
use crate::crypto::SegmentKind;
use crate::doc::{ObjectIx, Written};
use crate::event::{Content, Fate, ObjectKind, Value};
use std::collections::BTreeSet;

/// One write to a key, as its history shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyWrite {
    /// The changeset; none while its batch is open.
    pub changeset: Option<ChangesetId>,
    /// Who wrote.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// The value; none for a deletion or a value that is missing.
    pub value: Option<Value>,
    /// The kind of object that it put under the key.
    pub child: Option<ObjectKind>,
    /// Whether it deleted the key.
    pub deleted: bool,
    /// Whether it is the winner now.
    pub live: bool,
}

/// A changeset as history shows it.
#[derive(Clone, Debug)]
pub struct ChangesetSummary {
    /// Its id.
    pub id: ChangesetId,
    /// Its number here: what paging goes on from.
    pub number: u32,
    /// Who signed it.
    pub member: MemberId,
    /// With which key.
    pub actor: ActorId,
    /// Its place in the actor's chain.
    pub seq: u32,
    /// The one before it in that chain.
    pub prev: Option<ChangesetId>,
    /// The other heads it saw.
    pub deps: Vec<ChangesetId>,
    /// The claimed time in ms since 1970.
    pub time_ms: u64,
    /// What tells those of one millisecond apart.
    pub counter: u16,
    /// When it arrived here.
    pub received_ms: u64,
    /// The message of its transaction.
    pub message: Option<String>,
    /// The headers of its transaction.
    pub headers: Option<Value>,
    /// How many ops it has.
    pub ops: u32,
    /// How many of them are hidden here.
    pub hidden: u32,
    /// Its size.
    pub bytes: usize,
    /// Integrated or inert.
    pub fate: Fate,
}

/// Which changesets history shows. Everything is optional and combines with "and".
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only those that touch this object, or one below it.
    pub object: Option<ObjectIx>,
    /// Only those that touch this key, or something below it; of `object`, or of any map.
    pub key: Option<String>,
    /// Only those that hold an event about this one of [`Replica::event_subject`].
    pub subject: Option<u32>,
    /// Only those of this actor.
    pub actor: Option<ActorId>,
    /// Only those of this member.
    pub member: Option<MemberId>,
    /// Claimed time at or after.
    pub since_ms: Option<u64>,
    /// Claimed time before.
    pub until_ms: Option<u64>,
    /// Go on after this number.
    pub after: Option<u32>,
    /// At most so many.
    pub limit: usize,
}

impl Replica {
    /// Every write to a key, oldest first.
    pub fn map_history(&self, object: ObjectIx, key: &str) -> Vec<KeyWrite> {
        let (slot, place) = self.slot_of(object, key);
        let Some(register) = self.map(object).and_then(|map| map.get(&slot)) else { return Vec::new() };
        let live = register.winners().first().map(|winner| winner.op);
        let write = |(op, deletes, _): (OpIx, bool, bool)| {
            let changeset = self.fold.timeline().changeset_of(op);
            let open = changeset == ChangesetIx::OPEN;
            let value = self.fold.written(op).and_then(|written| value_at(written, place)).cloned();
            let child = match self.fold.written(op) {
                Some(Written::Child(kind, _)) => Some(*kind),
                _ => None,
            };
            let of_group = matches!(slot, Slot::Group(_)) && self.fold.written(op).is_some();
            KeyWrite {
                changeset: (!open).then(|| self.log.graph().id(changeset)),
                member: if open { self.member() } else { self.log.author(changeset).member },
                actor: if open { self.acting() } else { self.log.graph().actor(changeset) },
                time_ms: if open {
                    self.batch.begun_ms.unwrap_or(0)
                } else {
                    self.fold.timeline().stamp(changeset).ms
                },
                deleted: deletes || of_group && value.is_none(),
                value,
                child,
                live: live == Some(op),
            }
        };
        register.writes().map(write).collect()
    }

    /// Changesets in causal order. O(changesets passed over).
    pub fn history(&self, filter: &HistoryFilter) -> Vec<ChangesetSummary> {
        let from = filter.after.map_or(0, |after| after + 1);
        let slots = filter.key.as_ref().map(|key| match filter.object {
            Some(object) => vec![self.slot_of(object, key).0],
            None => vec![Slot::Key(self.key_id(key))],
        });
        let passes = |ix: &ChangesetIx| {
            let time = self.fold.timeline().stamp(*ix).ms;
            filter.actor.is_none_or(|actor| self.log.graph().actor(*ix) == actor)
                && filter.member.is_none_or(|member| self.log.author(*ix).member == member)
                && filter.since_ms.is_none_or(|since| time >= since)
                && filter.until_ms.is_none_or(|until| time < until)
                && self.touches(*ix, filter.object, slots.as_deref())
                && filter.subject.is_none_or(|of| self.any_op(*ix, |op| self.fold.events().concerns(op, of)))
        };
        (from..self.log.graph().len())
            .map(ChangesetIx)
            .filter(passes)
            .take(filter.limit)
            .map(|ix| self.summary(ix))
            .collect()
    }

    /// The actor of the open batch.
    pub(super) fn acting(&self) -> ActorId {
        self.actor.unwrap_or(ActorId(self.member().0))
    }

    fn summary(&self, ix: ChangesetIx) -> ChangesetSummary {
        let (graph, entry) = (self.log.graph(), self.log.entry(ix));
        let content = self.content_of(ix);
        let ops = self.fold.timeline().ops_of(ix);
        ChangesetSummary {
            id: graph.id(ix),
            number: ix.0,
            member: self.log.author(ix).member,
            actor: graph.actor(ix),
            seq: graph.seq(ix),
            prev: graph.prev(ix).map(|prev| graph.id(prev)),
            deps: graph.deps(ix).iter().map(|dep| graph.id(*dep)).collect(),
            time_ms: self.fold.timeline().stamp(ix).ms,
            counter: self.fold.timeline().stamp(ix).counter,
            received_ms: entry.received_ms,
            message: content.as_ref().and_then(|content| content.meta.message.clone()),
            headers: content.and_then(|content| content.meta.headers),
            ops: ops.end - ops.start,
            hidden: self.hidden_ops(ix),
            bytes: entry.size as usize,
            fate: entry.fate,
        }
    }

    fn content_of(&self, ix: ChangesetIx) -> Option<Content> {
        let changeset = self.log.entry(ix).changeset()?;
        let keys = self.identity.keyring();
        let skeleton = changeset.open_skeleton(keys).ok()?;
        Content::decode(&changeset.open_segment(SegmentKind::Content, keys).ok()?, &skeleton).ok()
    }

    /// Whether one of the maps that an object is below is this one, by one of these keys.
    fn is_below(&self, of: ObjectIx, object: Option<ObjectIx>, slots: Option<&[Slot]>) -> bool {
        self.places.above(of).any(|place| {
            object.is_none_or(|object| object == place.map)
                && slots.is_none_or(|slots| slots.contains(&Slot::Key(place.key)))
        })
    }

    /// Whether a changeset is about an object or what is below it, and about one of the slots if some are given.
    pub(super) fn touches(&self, ix: ChangesetIx, object: Option<ObjectIx>, slots: Option<&[Slot]>) -> bool {
        if object.is_none() && slots.is_none() {
            return true;
        }
        let touches = |op| {
            self.fold.touches(op, object, slots)
                || self.fold.object_of(op).is_some_and(|of| self.is_below(of, object, slots))
        };
        self.any_op(ix, touches)
    }

    /// Whether this holds for an op of a changeset, or one that it takes back or brings back; each op is looked at once.
    fn any_op(&self, ix: ChangesetIx, holds: impl Fn(OpIx) -> bool) -> bool {
        let (mut rest, mut seen) = (vec![self.fold.timeline().ops_of(ix)], BTreeSet::new());
        while let Some(ops) = rest.pop() {
            for op in ops.map(OpIx) {
                match self.fold.revoked_by(op) {
                    Some(targets) if seen.insert(op) => rest.extend_from_slice(targets),
                    None if holds(op) => return true,
                    _ => {}
                }
            }
        }
        false
    }
}

/// The value that a write gives to a key, which is a place in a group or the whole.
pub(super) fn value_at(written: &Written, place: Option<usize>) -> Option<&Value> {
    match (written, place) {
        (Written::Tuple(values), Some(place)) => values.get(place)?.as_ref(),
        (written, None) => written.value(),
        _ => None,
    }
}
