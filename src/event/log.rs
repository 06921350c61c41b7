//! The log: every changeset that is known to be authentic, in causal order, and those that still wait for their parents.
//!
//! A changeset is *authentic* if its own signature or that of a descendant in its chain is valid: a hash-linked chain needs
//! one check, at its end. What becomes of a row that is offered is in `log_offer`, what of it came spoilt in `log_mend`.
//!
//! A fork voids nothing. Both branches stay, and the pair is kept as evidence. The log decides existence; fate (inert or
//! integrated) is decided by whoever opens the skeletons, and only recorded here.

use super::signatures::Signatures;
use super::{Author, Changeset, Class, Genesis, Header, Role, SignedChangeset};
use crate::causal::{ActorId, ById, CausalGraph, ChangesetId, ChangesetIx, Ids, MemberId, SpaceId};
use foldhash::{HashMap, HashSet};
use std::collections::{VecDeque, hash_map};

/// Bytes of changesets that may wait for parents, for one actor and in all.
const WAITING_BYTES_MAX: [usize; 2] = [16 << 20, 64 << 20];
/// Changesets of one actor that may wait for parents.
const WAITING_OF_ACTOR_MAX: usize = 1_000;

/// Changesets that do not follow what they name, kept until somebody asks.
const BROKEN_MAX: usize = 64;

/// What became of a changeset that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It was here already.
    Known,
    /// It is authentic and new; it may wait for its parents.
    Accepted,
    /// It was here without a segment that this copy has: it has it now, and is to be stored anew.
    Completed,
    /// It was here with a signature that is not valid; that of this copy is, and it is to be stored anew.
    Resigned,
    /// It is authentic and new, but too much waits already: it is to be stored, and offered again at the next opening.
    Crowded,
    /// It counts for nothing, and whoever delivered it is to blame.
    Refused(Refusal),
}

/// Why a changeset does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It belongs to another space.
    #[error("changeset of another space")]
    Space,
    /// The certificate chain does not lead from the space's root to the actor.
    #[error("no valid certificate chain")]
    Chain,
    /// The signature is not valid, and no authentic successor names the changeset.
    #[error("signature is not valid")]
    Signature,
    /// `prev` is of another actor, or the seq does not follow it.
    #[error("does not follow its prev")]
    Link,
    /// This version cannot check it, and too many such changesets wait already.
    #[error("needs a newer version")]
    Unsupported,
}

/// Two changesets of one actor with one seq: a proof that anybody can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Who signed both.
    pub actor: ActorId,
    /// The seq.
    pub seq: u32,
    /// The one that came first here.
    pub first: ChangesetId,
    /// The other one.
    pub second: ChangesetId,
}

/// What a changeset in the graph came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has no effect, for everybody.
    Inert,
    /// Its ops count.
    Integrated,
}

/// A changeset in the graph.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The authentic bytes; none while a snapshot stands for them.
    pub(super) changeset: Option<Box<Changeset>>,
    /// Bytes of the row.
    pub size: u32,
    /// When it arrived here, in ms since 1970.
    pub received_ms: u64,
    /// What it came to.
    pub fate: Fate,
    /// What its ops are about.
    pub class: Class,
    /// Whether its content is gone for good: none is taken from a copy.
    pub is_redacted: bool,
    pub(super) root: ChangesetIx,
}

impl Entry {
    /// The authentic bytes; none while only a snapshot is here, see [`Log::supply`].
    pub fn changeset(&self) -> Option<&Changeset> {
        self.changeset.as_deref()
    }
}

/// A changeset whose parents are all in the graph.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The authentic bytes.
    pub changeset: Changeset,
    /// When it arrived here.
    pub received_ms: u64,
    /// The changeset before it in its chain.
    pub prev: Option<ChangesetIx>,
    /// The other heads it names, in the order of the header.
    pub deps: Vec<ChangesetIx>,
}

#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) changeset: Changeset,
    received_ms: u64,
    missing: usize,
}

/// All changesets of one space.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) space: SpaceId,
    pub(super) genesis: Genesis,
    pub(super) graph: CausalGraph,
    pub(super) entries: Vec<Entry>,
    pub(super) chains: ById<Author>,
    pub(super) forks: Vec<Fork>,
    /// Every parent of each is in the graph or before it in the queue, unless it was kept out meanwhile.
    pub(super) ready: VecDeque<(Changeset, u64)>,
    pub(super) queued: Ids,
    pub(super) waiting: HashMap<ChangesetId, Waiting>,
    /// Which waiting changesets wait for this one.
    pub(super) waited_for: HashMap<ChangesetId, Vec<ChangesetId>>,
    pub(super) waiting_bytes: usize,
    pub(super) waiting_of: HashMap<ActorId, (usize, usize)>,
    pub(super) unproven: VecDeque<(SignedChangeset, u64)>,
    /// Rows that a successor proved, to be stored.
    pub(super) proven: Vec<Vec<u8>>,
    pub(super) stored: Vec<(SignedChangeset, u64)>,
    pub(super) completed: Vec<ChangesetId>,
    /// What came with a content that is gone for good.
    pub(super) late: Vec<Changeset>,
    pub(super) unsupported: HashSet<ChangesetId>,
    /// Authentic changesets that do not follow what they name, with that.
    pub(super) broken: Vec<(SignedChangeset, Header)>,
    /// Entries without bytes.
    pub(super) away: u32,
    pub(super) signatures: Signatures,
}

impl Log {
    /// The empty log of a space.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            space: genesis.id(),
            genesis,
            graph: CausalGraph::default(),
            entries: Vec::new(),
            chains: ById::default(),
            forks: Vec::new(),
            ready: VecDeque::new(),
            queued: Ids::default(),
            waiting: HashMap::default(),
            waited_for: HashMap::default(),
            waiting_bytes: 0,
            waiting_of: HashMap::default(),
            unproven: VecDeque::new(),
            proven: Vec::new(),
            stored: Vec::new(),
            completed: Vec::new(),
            late: Vec::new(),
            unsupported: HashSet::default(),
            away: 0,
            broken: Vec::new(),
            signatures: Signatures::default(),
        }
    }

    /// A log of the same space to which everything authentic is to be offered again.
    pub fn begun_again(&self) -> Self {
        let (unproven, unsupported) = (self.unproven.clone(), self.unsupported.clone());
        let signatures = self.signatures.begun_again();
        Self { unproven, unsupported, signatures, ..Self::new(self.genesis.clone()) }
    }

    /// The next changeset whose parents are all in the graph. It is to be answered with [`Log::add`] or [`Log::hold`].
    pub fn next_ready(&mut self) -> Option<Ready> {
        while let Some((changeset, received_ms)) = self.ready.pop_front() {
            self.queued.remove(&changeset.id());
            let header = changeset.header();
            let prev = header.prev().and_then(|prev| self.graph.get(&prev));
            let deps: Vec<ChangesetIx> = header.deps().iter().filter_map(|dep| self.graph.get(dep)).collect();
            if deps.len() < header.deps().len() || prev.is_none() != header.prev().is_none() {
                // A parent was kept out of the graph.
                self.wait_for_parents(changeset, received_ms);
            } else if self.follows(&changeset, prev) {
                return Some(Ready { changeset, received_ms, prev, deps });
            } else {
                self.note_broken(&changeset, prev);
            }
        }
        None
    }

    /// Adds a ready changeset to the graph; what waited for it becomes ready. The fate is set by [`Log::decide`].
    pub fn add(&mut self, ready: Ready) -> ChangesetIx {
        let header = ready.changeset.header();
        let (id, actor, seq) = (ready.changeset.id(), header.actor(), header.seq());
        // One piece of evidence a branch: where it leaves the chain.
        let branch = |other: &&ChangesetIx| self.graph.prev(**other) == ready.prev;
        let is_next = ready.prev.is_some_and(|prev| self.graph.is_tip(prev));
        if !is_next && let Some(first) = self.graph.at(&actor, seq).iter().find(branch) {
            self.forks.push(Fork { actor, seq, first: self.graph.id(*first), second: id });
        }
        let class = header.class().expect("authentic changesets are supported");
        let ix = self.graph.add(id, actor, ready.prev, &ready.deps);
        let root = ready.prev.map_or(ix, |prev| self.entries[prev.0 as usize].root);
        self.entries.push(Entry {
            size: ready.changeset.signed().size() as u32,
            changeset: Some(ready.changeset.into()),
            received_ms: ready.received_ms,
            fate: Fate::Integrated,
            class,
            is_redacted: false,
            root,
        });
        for waiting in self.waited_for.remove(&id).unwrap_or_default() {
            self.step_closer(waiting);
        }
        ix
    }

    /// Adds a changeset that was just made here.
    pub fn add_own(&mut self, ready: Ready) -> ChangesetIx {
        self.admit_own(&ready.changeset);
        self.add(ready)
    }

    /// Takes the certificate chain of a changeset that was just made here.
    pub fn admit_own(&mut self, changeset: &Changeset) {
        let admitted = self.admit_chain(changeset);
        debug_assert!(admitted.is_ok(), "an own certificate chain is valid");
    }

    /// Records what a changeset came to.
    pub fn decide(&mut self, ix: ChangesetIx, fate: Fate) {
        self.entries[ix.0 as usize].fate = fate;
    }

    /// The content of a changeset is gone for good. What there was of it, to be forgotten elsewhere too; none where it was not here.
    pub fn redact(&mut self, ix: ChangesetIx) -> Option<Changeset> {
        let entry = &mut self.entries[ix.0 as usize];
        entry.is_redacted = true;
        let changeset = entry.changeset.as_deref_mut().filter(|held| held.signed().has_content())?;
        let whole = changeset.clone();
        changeset.drop_content();
        entry.size = changeset.signed().size() as u32;
        Some(whole)
    }

    /// Those whose content was redacted before their bytes were supplied: as they came, each once.
    pub fn take_late(&mut self) -> Vec<Changeset> {
        std::mem::take(&mut self.late)
    }

    /// Keeps a ready changeset out of the graph, and with it all its descendants, until [`Log::release`]. Where too much
    /// waits already it leaves the log until the next opening, and the answer is no.
    pub fn hold(&mut self, ready: Ready) -> bool {
        let room = self.has_room(&ready.changeset);
        if room {
            self.wait(ready.changeset, ready.received_ms, 1);
        }
        room
    }

    /// Makes a held changeset ready again, to be looked at anew.
    pub fn release(&mut self, id: ChangesetId) {
        if self.waiting.contains_key(&id) {
            self.step_closer(id);
        }
    }

    /// The causal graph.
    pub fn graph(&self) -> &CausalGraph {
        &self.graph
    }

    /// A changeset in the graph.
    pub fn entry(&self, ix: ChangesetIx) -> &Entry {
        &self.entries[ix.0 as usize]
    }

    /// Who signed a changeset, and with what right.
    pub fn author(&self, ix: ChangesetIx) -> &Author {
        let root = self.entries[ix.0 as usize].root;
        self.chains.get(&self.graph.id(root)).expect("a chain is admitted with its seq 0")
    }

    /// The same of an actor that signed something here.
    pub fn author_of(&self, actor: &ActorId) -> Option<&Author> {
        self.graph.at(actor, 0).first().map(|ix| self.author(*ix))
    }

    /// Who signed a ready changeset.
    pub fn author_at(&self, ready: &Ready) -> &Author {
        match ready.prev {
            Some(prev) => self.author(prev),
            None => self.chains.get(&ready.changeset.id()).expect("a chain is admitted with its seq 0"),
        }
    }

    /// The role of a ready changeset's author.
    pub fn role_of(&self, ready: &Ready) -> Role {
        self.author_at(ready).role
    }

    /// The member who wrote a ready changeset.
    pub fn member_of(&self, ready: &Ready) -> MemberId {
        match ready.prev {
            Some(prev) => self.author(prev).member,
            None => {
                self.chains.get(&ready.changeset.id()).expect("a chain is admitted with its seq 0").member
            }
        }
    }

    /// Forks seen, in order of detection.
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// Changesets that wait for parents or are held, with what they wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (&Changeset, usize)> + '_ {
        self.waiting.values().map(|waiting| (&waiting.changeset, waiting.missing))
    }

    /// Everything that is authentic and not in the graph, with its time of arrival: what is ready, then what waits.
    pub fn outside(&self) -> impl Iterator<Item = (&Changeset, u64)> + '_ {
        let waiting = self.waiting.values().map(|waiting| (&waiting.changeset, waiting.received_ms));
        self.ready.iter().map(|(changeset, received_ms)| (changeset, *received_ms)).chain(waiting)
    }

    /// Changesets that were refused since the last time because they do not follow their `prev`, with its header.
    pub fn take_broken(&mut self) -> Vec<(SignedChangeset, Header)> {
        std::mem::take(&mut self.broken)
    }

    /// Whether there are any.
    pub fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    fn note_broken(&mut self, changeset: &Changeset, prev: Option<ChangesetIx>) {
        let prev = prev.and_then(|prev| self.entry(prev).changeset()).map(|prev| prev.header().clone());
        if let Some(prev) = prev.filter(|_| self.broken.len() < BROKEN_MAX) {
            self.broken.push((changeset.signed().clone(), prev));
        }
    }

    /// Whether [`Log::next_ready`] has something.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Changesets that this version cannot read.
    pub fn unsupported(&self) -> impl Iterator<Item = ChangesetId> + '_ {
        self.unsupported.iter().copied()
    }

    /// Whether a changeset is here, in the graph or waiting.
    pub fn knows(&self, id: &ChangesetId) -> bool {
        self.graph.get(id).is_some()
            || self.waiting.contains_key(id)
            || self.queued.contains(id)
            || self.unsupported.contains(id)
    }

    /// The chain that an actor's first changeset carries.
    fn admit_chain(&mut self, changeset: &Changeset) -> Result<(), Refusal> {
        let header = changeset.header();
        if header.seq() > 0 {
            return Ok(());
        }
        let author =
            header.chain().ok_or(Refusal::Chain)?.verify_actor(&self.genesis).map_err(|_| Refusal::Chain)?;
        if author.actor != header.actor() {
            return Err(Refusal::Chain);
        }
        self.chains.insert(changeset.id(), author);
        Ok(())
    }

    /// An authentic changeset, in the graph or not.
    pub fn find(&self, id: &ChangesetId) -> Option<&Changeset> {
        if let Some(ix) = self.graph.get(id) {
            return self.entry(ix).changeset();
        }
        let waiting = self.waiting.get(id).map(|waiting| &waiting.changeset);
        let queued = || self.ready.iter().map(|(changeset, _)| changeset).find(|queued| queued.id() == *id);
        waiting.or_else(|| self.queued.contains(id).then(queued)?)
    }

    /// Recomputes the invariants the slow way.
    #[doc(hidden)]
    pub fn dbg_check(&self) {
        self.graph.dbg_check();
        assert_eq!(self.entries.len() as u32, self.graph.len());
        let queued: Ids = self.ready.iter().map(|(changeset, _)| changeset.id()).collect();
        assert_eq!(queued, self.queued);
        let mut of_actor: HashMap<ActorId, (usize, usize)> = HashMap::default();
        for (id, waiting) in &self.waiting {
            assert!(waiting.missing > 0 && self.graph.get(id).is_none() && !queued.contains(id));
            let of_actor = of_actor.entry(waiting.changeset.header().actor()).or_default();
            *of_actor = (of_actor.0 + 1, of_actor.1 + waiting.changeset.signed().size());
        }
        assert_eq!(self.waiting_bytes, of_actor.values().map(|(_, bytes)| bytes).sum::<usize>());
        assert_eq!(self.waiting_of, of_actor);
    }

    pub(super) fn accept(&mut self, changeset: Changeset, received_ms: u64) -> Offer {
        if let Err(refusal) = self.admit_chain(&changeset) {
            return Offer::Refused(refusal);
        }
        let prev = changeset.header().prev().and_then(|prev| self.graph.get(&prev));
        if prev.is_some() && !self.follows(&changeset, prev) {
            self.note_broken(&changeset, prev);
            return Offer::Refused(Refusal::Link);
        }
        self.wait_for_parents(changeset, received_ms)
    }

    /// Queues a changeset behind its parents, or lets it wait for those that are neither in the graph nor in the queue.
    fn wait_for_parents(&mut self, changeset: Changeset, received_ms: u64) -> Offer {
        let (id, header) = (changeset.id(), changeset.header());
        let parents: Vec<ChangesetId> = header
            .prev()
            .into_iter()
            .chain(header.deps().iter().copied())
            .filter(|parent| self.graph.get(parent).is_none() && !self.queued.contains(parent))
            .collect();
        if parents.is_empty() {
            self.queue(changeset, received_ms);
            return Offer::Accepted;
        }
        if !self.has_room(&changeset) {
            self.chains.remove(&id);
            return Offer::Crowded;
        }
        self.wait(changeset, received_ms, parents.len());
        for parent in parents {
            self.waited_for.entry(parent).or_default().push(id);
        }
        Offer::Accepted
    }

    fn has_room(&self, changeset: &Changeset) -> bool {
        let (count, bytes) = self.waiting_of.get(&changeset.header().actor()).copied().unwrap_or_default();
        let size = changeset.signed().size();
        count < WAITING_OF_ACTOR_MAX
            && bytes + size <= WAITING_BYTES_MAX[0]
            && self.waiting_bytes + size <= WAITING_BYTES_MAX[1]
    }

    fn queue(&mut self, changeset: Changeset, received_ms: u64) {
        self.queued.insert(changeset.id());
        self.ready.push_back((changeset, received_ms));
    }

    fn wait(&mut self, changeset: Changeset, received_ms: u64, missing: usize) {
        let (id, size) = (changeset.id(), changeset.signed().size());
        let of_actor = self.waiting_of.entry(changeset.header().actor()).or_default();
        *of_actor = (of_actor.0 + 1, of_actor.1 + size);
        self.waiting_bytes += size;
        self.waiting.insert(id, Waiting { changeset, received_ms, missing });
    }

    fn step_closer(&mut self, id: ChangesetId) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return;
        }
        let waiting = self.waiting.remove(&id).expect("it was just there");
        let size = waiting.changeset.signed().size();
        self.waiting_bytes -= size;
        if let hash_map::Entry::Occupied(mut of_actor) =
            self.waiting_of.entry(waiting.changeset.header().actor())
        {
            let (count, bytes) = *of_actor.get();
            match count {
                1 => drop(of_actor.remove()),
                _ => drop(of_actor.insert((count - 1, bytes - size))),
            }
        }
        self.queue(waiting.changeset, waiting.received_ms);
    }

    fn follows(&self, changeset: &Changeset, prev: Option<ChangesetIx>) -> bool {
        let header = changeset.header();
        header.seq().checked_sub(1).is_none_or(|before| {
            prev.is_some_and(|prev| {
                self.graph.actor(prev) == header.actor() && self.graph.seq(prev) == before
            })
        })
    }
}
