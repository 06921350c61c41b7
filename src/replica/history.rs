//! What was written when, by whom.

use super::Replica;
use super::notes::Said;
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, OpIx};
use crate::crdt::Slot;
use crate::crypto::SegmentKind;
use crate::doc::{ObjectIx, Written};
use crate::event::{Content, Fate, ObjectKind, Value};
use crate::sorted::sort_by_key;
use foldhash::HashMap;
use std::collections::BTreeSet;
use std::ops::Range;

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
    /// The id of the command that caused it, in clear.
    pub command: Option<String>,
    /// The first transaction that its member made for the command, if that is another one.
    pub repeats: Option<ChangesetId>,
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
    /// From this number on.
    pub from: u32,
    /// Before this number.
    pub to: Option<u32>,
    /// At most so many.
    pub limit: usize,
}

/// How far somebody read in a branch of an actor's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEnd {
    /// Whose chain.
    pub actor: ActorId,
    /// The seq of the last one that was read.
    pub seq: u32,
    /// Its id.
    pub id: ChangesetId,
    /// The one before the first that was read of it this time.
    pub before: Option<ChangesetId>,
}

/// By the numbers of commands the first transactions that were found of members.
type Firsts = Vec<Vec<(MemberId, ChangesetIx)>>;

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
        let to = filter.to.unwrap_or(u32::MAX).min(self.log.graph().len());
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
        let mut firsts = Firsts::default();
        (filter.from..to)
            .map(ChangesetIx)
            .filter(passes)
            .take(filter.limit)
            .map(|ix| self.summary(ix, &mut firsts))
            .collect()
    }

    /// Of some changesets, in this order. O(what they repeat).
    pub(super) fn summaries(&self, of: impl Iterator<Item = ChangesetIx>) -> Vec<ChangesetSummary> {
        let mut firsts = Firsts::default();
        of.map(|ix| self.summary(ix, &mut firsts)).collect()
    }

    /// Where whoever reads the changesets of these numbers gets to in each chain: what finds the place again where they have
    /// other numbers. O(changesets).
    pub fn lane_ends(&self, numbers: Range<u32>) -> Vec<LaneEnd> {
        let graph = self.log.graph();
        let (mut ends, mut of) = (Vec::<LaneEnd>::new(), HashMap::<ChangesetId, usize>::default());
        for ix in numbers.map(ChangesetIx) {
            let (id, before) = (graph.id(ix), graph.prev(ix).map(|prev| graph.id(prev)));
            let end = LaneEnd { actor: graph.actor(ix), seq: graph.seq(ix), id, before };
            match before.and_then(|before| of.remove(&before)) {
                Some(at) => {
                    ends[at] = LaneEnd { before: ends[at].before, ..end };
                    of.insert(id, at);
                }
                None => {
                    of.insert(id, ends.len());
                    ends.push(end);
                }
            }
        }
        ends
    }

    /// The numbers of what somebody did not read who read up to these ends, ascending. Of a chain whose end is not here what is
    /// before it counts as read. O(changesets).
    pub fn unread(&self, read: &[LaneEnd]) -> Vec<Range<u32>> {
        let graph = self.log.graph();
        let mut is_read = vec![false; graph.len() as usize];
        for end in read {
            let known = graph.get(&end.id);
            let before =
                |lane: &[ChangesetIx]| lane.iter().rev().copied().find(|ix| graph.seq(*ix) <= end.seq);
            let lost = graph.lanes(&end.actor).filter(|_| known.is_none()).filter_map(before);
            for from in known.into_iter().chain(lost) {
                let mut next = Some(from);
                while let Some(ix) = next.filter(|ix| !is_read[ix.0 as usize]) {
                    is_read[ix.0 as usize] = true;
                    next = graph.prev(ix);
                }
            }
        }
        let mut unread: Vec<Range<u32>> = Vec::new();
        for number in (0..graph.len()).filter(|number| !is_read[*number as usize]) {
            match unread.last_mut() {
                Some(last) if last.end == number => last.end += 1,
                _ => unread.push(number..number + 1),
            }
        }
        unread
    }

    /// How many changesets have a number.
    pub fn log_len(&self) -> u32 {
        self.log.graph().len()
    }

    /// How many changesets, from the first on, are stored, or will not be: what is behind them may still be signed anew.
    pub fn stored_len(&self) -> u32 {
        let on_their_way = self.commits.iter().filter(|commit| commit.rows).map(|commit| commit.from);
        on_their_way.min().unwrap_or(u32::MAX).min(self.log.graph().len())
    }

    /// Says [`Output::Grown`](super::Output::Grown), once, as soon as more than so many are stored.
    pub fn tell_growth(&mut self, beyond: u32) {
        self.told_beyond = Some(self.told_beyond.map_or(beyond, |other| other.min(beyond)));
    }

    /// Whether there is growth to be told.
    pub(super) fn has_grown(&self) -> bool {
        self.told_beyond.is_some_and(|beyond| self.stored_len() > beyond)
    }

    /// Changesets have other numbers whenever this has grown.
    pub fn numbering(&self) -> u64 {
        self.refolds
    }

    /// The actor of the open batch.
    pub(super) fn acting(&self) -> ActorId {
        self.actor.unwrap_or(ActorId(self.member().0))
    }

    fn summary(&self, ix: ChangesetIx, firsts: &mut Firsts) -> ChangesetSummary {
        let (graph, entry) = (self.log.graph(), self.log.entry(ix));
        let Said { message, headers, command, .. } = self.said_with(ix).unwrap_or_default();
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
            message,
            headers,
            command: command.map(|(_, command)| command),
            repeats: self.repeats(ix, firsts),
            ops: ops.end - ops.start,
            hidden: self.hidden_ops(ix),
            bytes: entry.size as usize,
            fate: entry.fate,
        }
    }

    /// The first transaction of a member for the command of a changeset, by its first changeset, if that is another one: as for
    /// payments and events, but whatever of it is off.
    fn repeats(&self, ix: ChangesetIx, firsts: &mut Firsts) -> Option<ChangesetId> {
        let graph = self.log.graph();
        let begun = |ix| {
            let steps = self.notes.command(ix).map_or(0, |(_, steps)| steps);
            graph.nth_prev(ix, steps).unwrap_or(ix)
        };
        let (command, member) = (self.notes.command(ix)?.0, self.log.author(ix).member);
        firsts.resize_with(firsts.len().max(command as usize + 1), Vec::new);
        let known = firsts[command as usize].iter().find(|(of, _)| *of == member);
        let first = match known {
            Some((_, first)) => *first,
            None => {
                let mut rivals: Vec<ChangesetIx> = Vec::new();
                for rival in self.notes.with_command(command) {
                    if self.log.author(*rival).member == member {
                        rivals.push(begun(*rival));
                    }
                }
                sort_by_key(&mut rivals, |rival| graph.id(*rival));
                rivals.dedup();
                let knows = |one: &ChangesetIx, other| *one != other && graph.contains(*one, other);
                let is_first = |one: &&ChangesetIx| !rivals.iter().any(|other| knows(one, *other));
                let first = rivals.iter().find(is_first).copied().unwrap_or(ix);
                firsts[command as usize].push((member, first));
                first
            }
        };
        (first != begun(ix)).then(|| graph.id(first))
    }

    /// What was said with a changeset; none while its row is needed and not here.
    fn said_with(&self, ix: ChangesetIx) -> Option<Said> {
        if let Some(said) = self.notes.get(ix) {
            return Some(said);
        }
        let changeset = self.log.entry(ix).changeset()?;
        let keys = self.identity.keyring();
        let skeleton = changeset.open_skeleton(keys).ok()?;
        let content = changeset.open_segment(SegmentKind::Content, keys).ok()?;
        Some(Said::of(&skeleton, &Content::decode(&content, &skeleton).ok()?, keys.names()))
    }

    /// Whether a history needs rows that are not here yet, see [`Replica::supply`].
    pub fn history_needs_rows(&self) -> bool {
        self.notes.any_in_rows() && !self.log.is_whole()
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
