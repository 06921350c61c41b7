//! The façade: the only place where changesets that are *moved* (store, sync) meet changesets that are *folded* (crdt, doc).
//!
//! Sans-I/O. Every call is followed by draining [`Replica::poll`]; time and randomness come in as arguments. No call does
//! unbounded work: arrivals are integrated in slices, and [`Replica::next_timer`] says when to call [`Replica::tick`].
//!
//! Invariants: while a batch is open nothing is integrated, so what it was made against is its causal past. A changeset is
//! pushed only after the strict commit of its bytes. Nothing that a member sends stops the log.

mod actor;
mod anchor;
mod attest;
mod audit;
mod blocks;
mod child;
mod closed;
mod commit;
mod compare;
mod consent;
mod digest;
mod dossier;
mod draft;
mod edit;
mod events;
mod export;
mod history;
mod identity;
mod inquiry;
mod journal;
mod ladder;
mod ledger;
mod ledger_read;
mod link;
mod list_edit;
mod look;
mod mend;
mod noted;
mod notes;
mod output;
mod passage;
mod peer_link;
mod perjury;
mod policy;
mod presence;
mod preview;
mod read;
mod receipt;
mod receive;
mod redact;
mod refusal;
mod relay_link;
mod reputation;
mod requests;
mod restore;
mod seal;
mod shared;
mod snapshot;
mod subjects;
mod tabs;
mod text_edit;
mod tiers;
mod timer;
mod undo;
mod view;
mod why;

pub use attest::ChoiceFault;
pub use audit::{AuditHead, InclusionProof, ProofFault, Vouched};
pub use blocks::{BlockInfo, ChainFault};
pub use child::{DEPTH_MAX, Shown};
pub use compare::Comparison;
pub use consent::{ConsentFault, ConsentInfo};
pub use digest::blob_hash;
pub use dossier::{DossierEntry, DossierNext};
pub use draft::{DraftFault, DraftTaken};
pub use edit::{EditBase, EditFault, Mark};
pub use events::{EventEntry, definition_digest};
pub use export::{ImportError, ImportReport};
pub use history::{ChangesetSummary, HistoryFilter, KeyWrite, LaneEnd};
pub use identity::{Identity, IdentityError};
pub use inquiry::{EvidenceInfo, ResolveFault};
pub use journal::{JournalPlaces, JournalRow, JournalState};
pub use ledger_read::{Assignment, Debt, EntryId, EntryStanding, LedgerAccount, LedgerEntry, Signature};
pub use link::{SyncState, SyncStatus};
pub use output::{Change, Output, Source, Tier, Trouble};
pub use policy::{EntryInfo, PolicyFault, Selected, Waiting};
pub use presence::Agreement;
pub use preview::Preview;
pub use read::Stats;
pub use receive::HoldReason;
pub use redact::{RedactFault, Redacted};
pub use refusal::Obstacle;
pub use reputation::{Reputation, Rung};
pub use requests::{RequestInfo, StepInfo};
pub use restore::RestoreFault;
pub use seal::TransactFault;
pub use snapshot::{Examined, Restored, SNAPSHOT_HEAD, SealedChunk, SnapshotRecords};
pub use subjects::{SubjectFault, SubjectInfo, Whose, sealed_in};
pub use tabs::{Elsewhere, RelayState};
pub use text_edit::MarkedRun;
pub use view::{PolicyOf, Target, ViewFault, ViewFilter, ViewIx, When};
pub use why::{Bearing, Claim, Spot};

use crate::audit::{Chain, Consents, Detail, Finality, NoteKind, Redactions, Requests, Subjects};
use crate::causal::{ActorId, ChangesetId, HybridClock, MemberId, SpaceId};
use crate::codec::limits;
use crate::doc::{Fold, Names, ObjectIx, ObjectName, ObjectOrigin, Patch};
use crate::event::{Invite, Log, ObjectKind, Options, Role, object_id};
use crate::sorted::SortedMap;
use crate::store::{StoreBatch, StoreName};
use crate::trust::Policy;
use commit::InFlight;
use foldhash::{HashMap, HashSet};
use notes::Notes;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use tiers::Tiers;

/// Time and randomness for one call.
pub struct Env<'a> {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Fills with fresh random bytes.
    pub random: &'a mut dyn FnMut(&mut [u8]),
}

/// Options of a replica.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How old a batch may become before it is sealed; none: 200 ms with others online, 1 s alone.
    pub batch_ms: Option<u64>,
    /// Whether the open batch is written down from time to time: [`Output::Draft`].
    pub drafts: bool,
}

/// One running copy of a space.
pub struct Replica {
    identity: Identity,
    settings: Settings,
    log: Log,
    fold: Fold,
    /// How often everything was folded anew: units have other numbers then.
    refolds: u64,
    names: Names,
    notes: Notes,
    clock: HybridClock,
    actor: Option<ActorId>,
    /// Actors that are never to be continued by another opening.
    volatile: HashSet<ActorId>,
    batch: seal::OpenBatch,
    drafting: draft::Drafting,
    /// Batches that are complete and wait to be sealed.
    closed: closed::Line,
    /// Ids of those that were sealed and are to be told of.
    sealed: Vec<ChangesetId>,
    undo: undo::UndoStack,
    views: view::Views,
    policy: Policy,
    held: HashMap<ChangesetId, HoldReason>,
    quarantine: HashSet<ChangesetId>,
    /// Tips known to be on the medium, from the store.
    durable_tips: SortedMap<String, (u32, ChangesetId)>,
    commits: VecDeque<commit::InFlight>,
    next_commit: u64,
    /// Batches that failed and go along with the next commit.
    unstored: Vec<StoreBatch>,
    /// Commits that failed during a transaction.
    late_failures: Vec<(u64, String)>,
    tiers: Tiers,
    last_write: Option<ChangesetId>,
    /// The store failed, with this code: own changesets live in memory and at the relay only.
    memory_only: Option<String>,
    /// Rows come from the own store: whoever wrote them there sends them on.
    loading: bool,
    /// Own changesets that were signed anew: old id to new.
    renamed: HashMap<ChangesetId, ChangesetId>,
    /// The changeset that is being integrated, for whoever has to know after a crash.
    working: Rc<Cell<Option<ChangesetId>>>,
    creating: Option<StoreBatch>,
    links: link::Links,
    here: presence::Here,
    /// Where objects are that are under keys.
    places: child::Places,
    /// What names were asked for as.
    names_used: HashMap<String, ObjectIx>,
    outputs: VecDeque<Output>,
    /// Somebody waits for the log to have more stored changesets than these.
    told_beyond: Option<u32>,
    refused: u64,
    /// A changeset was left out because too many wait: only the store has it.
    crowded: bool,
    last_snapshot: snapshot::LastSnapshot,
    shared: shared::Shared,
    witness: audit::Witness,
    finality: Finality,
    redactions: Redactions,
    erasing: redact::Erasing,
    chain: Chain,
    consents: Consents,
    subjects: Subjects,
    requests: Requests,
    validating: attest::Validating,
    making: blocks::Making,
    journal: journal::Journal,
    inquiry: inquiry::Inquiry,
    scores: reputation::Scores,
}

impl Replica {
    /// Makes a space. Its records go out with the first commit, which fails if the database has a space already.
    pub fn create(settings: Settings, env: &mut Env<'_>) -> Self {
        let identity = Identity::create(env.random);
        Self::begin(identity, settings)
    }

    /// Joins a space from an invite.
    pub fn join(invite: &Invite, settings: Settings, env: &mut Env<'_>) -> Self {
        let identity = Identity::join(invite, env.random);
        Self::begin(identity, settings)
    }

    /// Opens what a store holds; the tail follows with [`Replica::load_tail`], then [`Replica::finish_load`].
    pub fn open(
        meta: &BTreeMap<String, Vec<u8>>,
        keys: &BTreeMap<String, Vec<u8>>,
        actors: &BTreeMap<String, Vec<u8>>,
        settings: Settings,
    ) -> Result<Self, IdentityError> {
        let mut replica = Self::with(Identity::load(meta, keys)?, settings);
        replica.durable_tips = commit::durable_tips(actors);
        replica.links.load(meta);
        replica.journal.load(meta);
        replica.scores = reputation::Scores::load(meta.get("scores"));
        Ok(replica)
    }

    fn begin(identity: Identity, settings: Settings) -> Self {
        let mut replica = Self::with(identity, settings);
        let space = (StoreName::Meta, "space".to_owned());
        replica.creating = Some(StoreBatch {
            put: replica.identity.records(),
            absent: Some(space),
            ..StoreBatch::default()
        });
        replica
    }

    fn with(identity: Identity, settings: Settings) -> Self {
        Self {
            log: Log::new(identity.genesis().clone()),
            policy: Policy::new(identity.member()),
            identity,
            settings,
            fold: Fold::default(),
            refolds: 0,
            names: Names::default(),
            notes: Notes::default(),
            clock: HybridClock::default(),
            actor: None,
            volatile: HashSet::default(),
            batch: seal::OpenBatch::default(),
            drafting: draft::Drafting::default(),
            closed: closed::Line::default(),
            sealed: Vec::new(),
            undo: undo::UndoStack::default(),
            views: view::Views::default(),
            held: HashMap::default(),
            quarantine: HashSet::default(),
            durable_tips: SortedMap::new(),
            commits: VecDeque::new(),
            next_commit: 0,
            unstored: Vec::new(),
            late_failures: Vec::new(),
            tiers: Tiers::default(),
            last_write: None,
            memory_only: None,
            loading: false,
            renamed: HashMap::default(),
            working: Rc::default(),
            creating: None,
            links: link::Links::default(),
            here: presence::Here::default(),
            places: child::Places::default(),
            names_used: HashMap::default(),
            outputs: VecDeque::new(),
            told_beyond: None,
            refused: 0,
            crowded: false,
            last_snapshot: snapshot::LastSnapshot::default(),
            shared: shared::Shared::default(),
            witness: audit::Witness::default(),
            finality: Finality::default(),
            redactions: Redactions::default(),
            erasing: redact::Erasing::default(),
            chain: Chain::default(),
            consents: Consents::default(),
            subjects: Subjects::default(),
            requests: Requests::default(),
            validating: attest::Validating::default(),
            making: blocks::Making::default(),
            journal: journal::Journal::default(),
            inquiry: inquiry::Inquiry::default(),
            scores: reputation::Scores::default(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.report_own();
        let next = self.outputs.pop_front();
        if next.is_none() {
            self.release_gone();
        }
        if next.is_none() && self.has_grown() {
            self.told_beyond = None;
            return Some(Output::Grown);
        }
        next
    }

    /// Whether another output waits, if nothing is edited or arrives meanwhile.
    pub fn has_outputs(&self) -> bool {
        !self.outputs.is_empty() || self.has_grown()
    }

    /// Where the changeset that is being integrated is named, also after a crash in the middle of it.
    pub fn working(&self) -> Rc<Cell<Option<ChangesetId>>> {
        self.working.clone()
    }

    /// The space.
    pub fn space(&self) -> SpaceId {
        self.identity.space()
    }

    /// The member who writes here.
    pub fn member(&self) -> MemberId {
        self.identity.member()
    }

    /// The actor that signs here, once one was chosen.
    pub fn actor(&self) -> Option<ActorId> {
        self.actor
    }

    /// What this member may do.
    pub fn role(&self) -> Role {
        self.identity.role()
    }

    /// An invite that lets a newcomer in; none unless this member may invite. `not_after_ms` 0 is never, `uses` 0 without
    /// limit; both gate the newcomer's login at a relay, nothing else.
    pub fn invite(
        &mut self,
        role: Role,
        not_after_ms: u64,
        uses: u64,
        relays: Vec<String>,
        env: &mut Env<'_>,
    ) -> Option<Invite> {
        let invite = self.identity.invite(role, not_after_ms, uses, relays, env.random)?;
        let detail = Detail { text: format!("an invite for {} was made", role.name()), ..Detail::default() };
        self.note(NoteKind::Key, detail, env.now_ms);
        Some(invite)
    }

    /// A fresh link for a member whose first was refused at the relay. The work done meanwhile is kept.
    pub fn rejoin(&mut self, invite: &Invite, env: &mut Env<'_>) -> Result<(), IdentityError> {
        let put = self.identity.rejoin(invite)?;
        let detail = Detail { text: "another invite was taken".to_owned(), ..Detail::default() };
        self.note(NoteKind::Key, detail, env.now_ms);
        self.commit(StoreBatch { put, ..StoreBatch::default() }, true, InFlight::default());
        self.links.renew();
        self.tick(env);
        Ok(())
    }

    /// An object by its name, without options; see [`Replica::object_with`].
    pub fn object(&mut self, name: &str, kind: ObjectKind) -> Result<ObjectIx, EditFault> {
        self.object_with(name, kind, &Options::default())
    }

    /// An object by its name, made empty if it is new. One name stands for one kind and its options in a session.
    pub fn object_with(
        &mut self,
        name: &str,
        kind: ObjectKind,
        options: &Options,
    ) -> Result<ObjectIx, EditFault> {
        if let Some(used) = self.names_used.get(name) {
            return match self.fold.get(*used).kind() == kind {
                false => Err(EditFault::OtherKind),
                true if self.options_of(*used) == Some(options) => Ok(*used),
                true => Err(EditFault::OtherOptions),
            };
        }
        let object = self.object_like(name, kind, options)?;
        self.names_used.insert(name.to_owned(), object);
        Ok(object)
    }

    /// The same for an object that a change told of: whatever else the name stands for, this is one more.
    pub fn object_like(
        &mut self,
        name: &str,
        kind: ObjectKind,
        options: &Options,
    ) -> Result<ObjectIx, EditFault> {
        if name.len() > limits::NAME_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        let encoded = options.encode();
        if !options.fit(kind) || encoded.len() > limits::EXT_BYTES_MAX {
            return Err(EditFault::Options);
        }
        let id = object_id(self.identity.keyring().names(), kind, &encoded, name);
        let object = self.fold.object(id, kind).ok_or(EditFault::Unsupported)?;
        let origin = ObjectOrigin::Named(name.into());
        self.names.learn_object(id, ObjectName { origin, kind, options: Arc::new(options.clone()) });
        Ok(object)
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self) {
        self.log.dbg_check();
        self.fold.dbg_check(self.log.graph());
        self.dbg_hashes();
    }

    /// How many objects nobody used since they came with a snapshot.
    #[doc(hidden)]
    pub fn dbg_asleep(&self) -> usize {
        self.fold.dbg_asleep()
    }

    /// Tells what changed since the last time.
    fn report(&mut self, source: Source, by: (MemberId, ActorId), changeset: Option<ChangesetId>) {
        let patches = self.fold.take_patches();
        self.tell(source, by, changeset, patches);
        if self.fold.events_mut().news() {
            self.outputs.push_back(Output::Events);
        }
    }

    fn tell(
        &mut self,
        source: Source,
        by: (MemberId, ActorId),
        changeset: Option<ChangesetId>,
        patches: Vec<Patch>,
    ) {
        if patches.is_empty() {
            return;
        }
        let patches = self.with_places_above(patches);
        let change = |patch: Patch| Change {
            source,
            member: by.0,
            actor: by.1,
            changeset,
            object: patch.object,
            body: patch.body,
        };
        self.outputs.push_back(Output::Change(patches.into_iter().map(change).collect()));
    }
}
