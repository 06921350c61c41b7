//! Reading: values, names, hashes, history. Nothing here changes anything.

use super::receive::Origin;
use super::{Env, HoldReason, Replica, Tier};
use crate::causal::{ActorId, ChangesetId, ChangesetIx, MemberId, NameId, ObjectId, OpIx};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crdt::{Map, Text};
use crate::crypto::{Digest, SegmentKind};
use crate::doc::{Body, ObjectIx};
use crate::event::{Class, Content, Fate, ObjectKind, OpRuns, SignedChangeset, Skeleton, Value, digest};
use crate::store::StoreBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// First bytes of an export.
const EXPORT_MAGIC: &[u8; 8] = b"stemma-x";

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
    /// When it arrived here.
    pub received_ms: u64,
    /// The message of its transaction.
    pub message: Option<String>,
    /// The headers of its transaction.
    pub headers: Option<Value>,
    /// How many ops it has.
    pub ops: u32,
    /// Its size.
    pub bytes: usize,
    /// Integrated or inert.
    pub fate: Fate,
}

/// Which changesets history shows. Everything is optional and combines with "and".
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only those that touch this object.
    pub object: Option<ObjectIx>,
    /// Only those that touch this key; of `object`, or of any map.
    pub key: Option<String>,
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

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Changesets that are new here.
    pub added: usize,
    /// Changesets that were here.
    pub known: usize,
    /// Changesets that do not decode or that nothing vouches for.
    pub refused: usize,
}

/// Figures about the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Changesets in the graph.
    pub changesets: u32,
    /// Of them inert.
    pub inert: u32,
    /// Ops.
    pub ops: u32,
    /// Bytes of all changesets.
    pub bytes: u64,
    /// Objects met.
    pub objects: u32,
    /// Actors met.
    pub actors: u32,
    /// Changesets that wait for something.
    pub pending: u32,
    /// Forks seen.
    pub forks: u32,
    /// Changesets refused since the opening.
    pub refused: u64,
}

impl Replica {
    /// The value of a key; none if it is not there or has no value here.
    pub fn map_get(&self, object: ObjectIx, key: &str) -> Option<&Value> {
        let winner = self.map(object)?.get(&self.key_id(key))?.winners().first().copied()?;
        self.fold.value(winner.op).filter(|_| !winner.deletes)
    }

    /// The keys that are there, by clear name.
    pub fn map_keys(&self, object: ObjectIx) -> Vec<Arc<str>> {
        let Some(map) = self.map(object) else { return Vec::new() };
        let mut keys: Vec<Arc<str>> = map
            .iter()
            .filter(|(_, register)| {
                register
                    .winners()
                    .first()
                    .is_some_and(|winner| !winner.deletes && self.fold.value(winner.op).is_some())
            })
            .filter_map(|(name, _)| self.names.key(&name).cloned())
            .collect();
        keys.sort();
        keys
    }

    /// The values of all causally maximal writes to a key, the winner first; one value unless writers were concurrent.
    pub fn map_conflicts(&self, object: ObjectIx, key: &str) -> Vec<&Value> {
        let register = self.map(object).and_then(|map| map.get(&self.key_id(key)));
        let winners = register.map_or(&[][..], |register| register.winners());
        winners
            .iter()
            .filter(|winner| !winner.deletes)
            .filter_map(|winner| self.fold.value(winner.op))
            .collect()
    }

    /// Every write to a key, oldest first.
    pub fn map_history(&self, object: ObjectIx, key: &str) -> Vec<KeyWrite> {
        let Some(register) = self.map(object).and_then(|map| map.get(&self.key_id(key))) else {
            return Vec::new();
        };
        let live = register.winners().first().map(|winner| winner.op);
        register
            .writes()
            .map(|(op, deleted, _)| {
                let changeset = self.fold.timeline().changeset_of(op);
                let open = changeset == ChangesetIx::OPEN;
                KeyWrite {
                    changeset: (!open).then(|| self.log.graph().id(changeset)),
                    member: if open { self.member() } else { self.log.author(changeset).member },
                    actor: if open { self.acting() } else { self.log.graph().actor(changeset) },
                    time_ms: if open {
                        self.batch.begun_ms.unwrap_or(0)
                    } else {
                        self.fold.timeline().stamp(changeset).ms
                    },
                    value: self.fold.value(op).cloned(),
                    deleted,
                    live: live == Some(op),
                }
            })
            .collect()
    }

    /// A text object.
    pub fn text(&self, object: ObjectIx) -> Option<&Text> {
        match &self.fold.get(object).body {
            Body::Text(text) => Some(text),
            Body::Map(_) => None,
        }
    }

    /// Runs of visible units by author: (member, actor, units).
    pub fn text_authors(&self, object: ObjectIx) -> Vec<(MemberId, ActorId, u32)> {
        let mut runs: Vec<(MemberId, ActorId, u32)> = Vec::new();
        for (len, changeset) in self.text(object).map(Text::authorship).unwrap_or_default() {
            let (member, actor) = match changeset {
                ChangesetIx::OPEN => (self.member(), self.acting()),
                sealed => (self.log.author(sealed).member, self.log.graph().actor(sealed)),
            };
            match runs.last_mut() {
                Some(last) if (last.0, last.1) == (member, actor) => last.2 += len,
                _ => runs.push((member, actor, len)),
            }
        }
        runs
    }

    /// Names of the objects with visible content.
    pub fn names(&self) -> Vec<(Arc<str>, ObjectKind)> {
        let visible = self.fold.objects().filter(|(ix, _)| self.object_hash(*ix).is_some());
        let mut names: Vec<(Arc<str>, ObjectKind)> = visible
            .filter_map(|(_, object)| self.names.object(&object.id).filter(|name| name.kind == object.kind()))
            .map(|name| (name.name.clone(), name.kind))
            .collect();
        names.sort_by(|a, b| (&a.0, a.1 as u8).cmp(&(&b.0, b.1 as u8)));
        names
    }

    /// How many objects there are: object numbers are below it.
    pub fn object_count(&self) -> u32 {
        self.fold.objects().len() as u32
    }

    /// Whether edits wait to be sealed.
    pub fn has_edits(&self) -> bool {
        self.fold.has_batch()
    }

    /// The last changeset written here.
    pub fn last_write(&self) -> Option<ChangesetId> {
        self.last_write
    }

    /// Whether a changeset is here, in the graph or waiting.
    pub fn knows(&self, id: ChangesetId) -> bool {
        self.log.knows(&id)
    }

    /// The clear form of a map key.
    pub fn key_name(&self, key: &NameId) -> Option<&Arc<str>> {
        self.names.key(key)
    }

    /// The object's clear name and kind.
    pub fn name_of(&self, object: ObjectIx) -> Option<(&Arc<str>, ObjectKind)> {
        let object = self.fold.get(object);
        let name = self.names.object(&object.id).filter(|name| name.kind == object.kind());
        name.map(|name| (&name.name, name.kind))
    }

    /// The frontier, ascending.
    pub fn heads(&self) -> Vec<ChangesetId> {
        let mut heads: Vec<ChangesetId> =
            self.log.graph().heads().map(|head| self.log.graph().id(head)).collect();
        heads.sort();
        heads
    }

    /// The hash of what is visible (docs/format.md §8). O(visible content).
    pub fn state_hash(&self) -> Digest {
        let hashed = self
            .fold
            .objects()
            .filter_map(|(ix, object)| Some((object.id, object.kind(), self.object_hash(ix)?)));
        let mut objects: Vec<(ObjectId, ObjectKind, Digest)> = hashed.collect();
        objects.sort_by_key(|(id, kind, _)| (*id, *kind as u8));
        digest::state_hash(&objects)
    }

    /// The hash of the frontier and of what of it is switched off or has no value here.
    pub fn view_digest(&self) -> Digest {
        digest::view_digest(
            &self.heads(),
            &self.runs(self.fold.inactive().iter()),
            &self.runs(self.fold.absent().iter()),
        )
    }

    /// The last changeset of an actor and how many it has; of the branch that came first after a fork.
    pub fn stream(&self, actor: ActorId) -> Option<(ChangesetId, u32)> {
        self.log.graph().tips_of(&actor).first().map(|tip| (tip.id, tip.seq + 1))
    }

    /// Whether a changeset reached a tier.
    pub fn is_saved(&self, id: ChangesetId, tier: Tier) -> bool {
        let id = self.renamed.get(&id).copied().unwrap_or(id);
        self.saved.get(&id).is_some_and(|reached| *reached >= tier)
    }

    /// How many other members have written after seeing a changeset.
    pub fn seen_by(&self, id: ChangesetId) -> usize {
        let graph = self.log.graph();
        let Some(ix) = graph.get(&self.renamed.get(&id).copied().unwrap_or(id)) else { return 0 };
        let tips = graph.tips().filter_map(|tip| graph.get(&tip.id)).filter(|tip| graph.contains(*tip, ix));
        let members: std::collections::BTreeSet<MemberId> =
            tips.map(|tip| self.log.author(tip).member).collect();
        members.iter().filter(|member| **member != self.member()).count()
    }

    /// Changesets in causal order. O(changesets passed over).
    pub fn history(&self, filter: &HistoryFilter) -> Vec<ChangesetSummary> {
        let from = filter.after.map_or(0, |after| after + 1);
        let key = filter.key.as_ref().map(|key| self.key_id(key));
        let passes = |ix: &ChangesetIx| {
            let time = self.fold.timeline().stamp(*ix).ms;
            filter.actor.is_none_or(|actor| self.log.graph().actor(*ix) == actor)
                && filter.member.is_none_or(|member| self.log.author(*ix).member == member)
                && filter.since_ms.is_none_or(|since| time >= since)
                && filter.until_ms.is_none_or(|until| time < until)
                && self.touches(*ix, filter.object, key)
        };
        (from..self.log.graph().len())
            .map(ChangesetIx)
            .filter(passes)
            .take(filter.limit)
            .map(|ix| self.summary(ix))
            .collect()
    }

    /// Figures about the space. O(changesets).
    pub fn stats(&self) -> Stats {
        let graph = self.log.graph();
        let entries = (0..graph.len()).map(|ix| self.log.entry(ChangesetIx(ix)));
        Stats {
            changesets: graph.len(),
            inert: entries.clone().filter(|entry| entry.fate == Fate::Inert).count() as u32,
            ops: self.fold.timeline().next_op(),
            bytes: entries.map(|entry| entry.changeset.signed().size() as u64).sum(),
            objects: self.fold.objects().count() as u32,
            actors: graph.actors() as u32,
            pending: (self.log.waiting().count() + self.log.unsupported().count()) as u32,
            forks: self.log.forks().len() as u32,
            refused: self.refused,
        }
    }

    /// Changesets that wait, and for what: a reason, or a number of missing parents.
    pub fn pending(&self) -> Vec<(ChangesetId, Option<HoldReason>)> {
        let waiting = self.log.waiting().map(|(changeset, _)| changeset.id());
        let unsupported = self.log.unsupported().map(|id| (id, Some(HoldReason::Unsupported)));
        waiting.map(|id| (id, self.held.get(&id).copied())).chain(unsupported).collect()
    }

    /// The whole space as bytes: every changeset, also those that wait. Sealed as they are; whoever holds an invite or is a
    /// member can read it. Own changesets that are not stored yet are left out: this device may forget that it made them.
    pub fn export_space(&self) -> Vec<u8> {
        let graph = self.log.graph();
        let outside = self.log.outside().map(|(changeset, _)| changeset);
        let rows: Vec<Vec<u8>> = (0..graph.len())
            .map(ChangesetIx)
            .filter(|ix| self.sendable(*ix))
            .map(|ix| &self.log.entry(ix).changeset)
            .chain(outside)
            .map(|changeset| changeset.signed().encode())
            .collect();
        let mut writer = Writer::new();
        writer.raw(EXPORT_MAGIC).u8(1).bytes(self.identity.genesis().as_bytes()).varint(rows.len() as u64);
        rows.iter().for_each(|row| {
            writer.bytes(row);
        });
        writer.into_bytes()
    }

    /// Takes in an export of this space. Idempotent; what is new is stored.
    pub fn import_space(&mut self, bytes: &[u8], env: &mut Env<'_>) -> Result<ImportReport, ImportError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<8>("magic")? != *EXPORT_MAGIC || reader.u8("version")? != 1 {
            return Err(ImportError::Format);
        }
        if reader.bytes("genesis", limits::EXT_BYTES_MAX)? != self.identity.genesis().as_bytes() {
            return Err(ImportError::Space);
        }
        let count = reader.count("rows", u32::MAX as usize, 2)?;
        let (mut rows, mut damaged) = (Vec::new(), 0);
        for _ in 0..count {
            match SignedChangeset::decode(reader.bytes("row", limits::CHANGESET_BYTES_MAX)?) {
                Ok(row) => rows.push(row),
                Err(_) => damaged += 1,
            }
        }
        reader.finish("export")?;
        let offered = rows.len();
        let (added, refused) = self.take_rows(rows, Origin::Import, StoreBatch::default(), env);
        Ok(ImportReport { added, known: offered - added - refused, refused: refused + damaged })
    }

    /// The actor of the open batch.
    fn acting(&self) -> ActorId {
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
            received_ms: entry.received_ms,
            message: content.as_ref().and_then(|content| content.meta.message.clone()),
            headers: content.and_then(|content| content.meta.headers),
            ops: ops.end - ops.start,
            bytes: entry.changeset.signed().size(),
            fate: entry.fate,
        }
    }

    fn content_of(&self, ix: ChangesetIx) -> Option<Content> {
        let changeset = &self.log.entry(ix).changeset;
        let keys = self.identity.keyring();
        let skeleton = changeset.open_segment(SegmentKind::Skeleton, keys).ok()?;
        let skeleton = Skeleton::decode(&skeleton, Class::Data, changeset.header().deps().len()).ok()?;
        Content::decode(&changeset.open_segment(SegmentKind::Content, keys).ok()?, &skeleton).ok()
    }

    fn touches(&self, ix: ChangesetIx, object: Option<ObjectIx>, key: Option<NameId>) -> bool {
        (object.is_none() && key.is_none())
            || self.fold.timeline().ops_of(ix).any(|op| self.fold.touches(OpIx(op), object, key))
    }

    /// The hash of an object's visible content, none if there is none.
    fn object_hash(&self, object: ObjectIx) -> Option<Digest> {
        match &self.fold.get(object).body {
            Body::Text(text) => (!text.is_empty()).then(|| digest::text_hash(&text.to_string())),
            Body::Map(map) => {
                let mut keys: BTreeMap<NameId, Vec<Option<&Value>>> = BTreeMap::new();
                for (name, register) in map.iter() {
                    let visible = |op| self.fold.value(op);
                    let Some(winner) = register.winners().first() else { continue };
                    if winner.deletes || visible(winner.op).is_none() {
                        continue;
                    }
                    let present = register
                        .winners()
                        .iter()
                        .filter(|winner| winner.deletes || visible(winner.op).is_some());
                    keys.insert(name, present.map(|winner| visible(winner.op)).collect());
                }
                let keys: Vec<_> = keys.into_iter().collect();
                (!keys.is_empty()).then(|| digest::map_hash(&keys))
            }
        }
    }

    fn runs<'a>(&self, ops: impl Iterator<Item = &'a OpIx>) -> Vec<OpRuns> {
        let mut by_changeset: BTreeMap<ChangesetId, Vec<(u32, u32)>> = BTreeMap::new();
        for op in ops {
            let changeset = self.fold.timeline().changeset_of(*op);
            let index = op.0 - self.fold.timeline().ops_of(changeset).start;
            let runs = by_changeset.entry(self.log.graph().id(changeset)).or_default();
            match runs.last_mut() {
                Some(last) if last.0 + last.1 == index => last.1 += 1,
                _ => runs.push((index, 1)),
            }
        }
        by_changeset.into_iter().map(|(changeset, runs)| OpRuns { changeset, runs }).collect()
    }

    fn map(&self, object: ObjectIx) -> Option<&Map> {
        match &self.fold.get(object).body {
            Body::Map(map) => Some(map),
            Body::Text(_) => None,
        }
    }
}

/// Why an export was not taken in. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not an export, or of another version.
    #[error("not an export of this version")]
    Format,
    /// It is of another space.
    #[error("export of another space")]
    Space,
    /// It does not decode.
    #[error("export does not decode: {0}")]
    Damaged(#[from] DecodeError),
}
