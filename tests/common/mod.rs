//! A world for tests: replicas with stores that can be closed and opened again, joined by ports, driven by a seed.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, VecDeque};
use stemma::causal::{ActorId, ChangesetId};
use stemma::replica::{Change, DraftFault, Env, Output, Replica, Restored, Settings, Tier, Trouble};
use stemma::store::{StoreBatch, StoreName};

/// xorshift64*: small, seeded, good enough to choose test cases.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes
            .chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
    }
}

/// The store of one device.
#[derive(Clone, Default)]
pub struct Disk {
    pub tail: Vec<Vec<u8>>,
    pub keyed: BTreeMap<(StoreName, String), Vec<u8>>,
    /// The records of its snapshot.
    pub snapshot: BTreeMap<String, Vec<u8>>,
    /// Every commit fails with this code.
    pub broken: Option<&'static str>,
}

impl Disk {
    fn commit(&mut self, batch: &StoreBatch) -> Result<(), &'static str> {
        if let Some(code) = self.broken {
            return Err(code);
        }
        if batch.absent.as_ref().is_some_and(|key| self.keyed.contains_key(key)) {
            return Err("E_STORAGE_EXISTS");
        }
        self.tail.extend(batch.append.iter().cloned());
        for key in &batch.delete {
            self.keyed.remove(key);
            if key.0 == StoreName::Snapshots {
                self.snapshot.remove(&key.1);
            }
        }
        for (store, key, value) in &batch.put {
            self.keyed.insert((*store, key.clone()), value.clone());
        }
        Ok(())
    }

    /// What is kept of open batches, by actor.
    pub fn drafts(&self) -> Vec<(ActorId, Vec<u8>)> {
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).expect("an actor in hex");
            u8::from_str_radix(pair, 16).expect("an actor in hex")
        };
        let of = |(key, record): (String, Vec<u8>)| {
            let actor: Vec<u8> = key.as_bytes().chunks(2).map(byte).collect();
            (ActorId(actor.try_into().expect("an actor has 32 bytes")), record)
        };
        self.records(StoreName::Drafts).into_iter().map(of).collect()
    }

    pub fn records(&self, store: StoreName) -> BTreeMap<String, Vec<u8>> {
        let of_store = self.keyed.iter().filter(|((name, _), _)| *name == store);
        of_store.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }
}

/// One replica with its store, its clock and what came out of it.
pub struct Node {
    pub replica: Replica,
    pub settings: Settings,
    pub disk: Disk,
    pub random: Random,
    pub now_ms: u64,
    pub changes: Vec<Change>,
    pub troubles: Vec<Trouble>,
    pub saved: Vec<(Tier, ChangesetId)>,
    pub sent: Vec<(u32, Vec<u8>)>,
    pub dialed: Vec<(u32, String)>,
    pub closed: Vec<u32>,
    /// What other tabs are to be told, and whether it is said here.
    pub told: Vec<(Vec<u8>, bool)>,
    /// Commits are written and answered at once unless this is set; then [`Node::write_commits`] does it.
    pub slow_disk: bool,
    /// How often it said that the log has grown.
    pub grown: usize,
    /// How often it said that there is more in the audit log, and that it is too long.
    pub noted: usize,
    /// How often it was told of evidence.
    pub evidence_told: usize,
    pub trims: usize,
    pub waiting_commits: VecDeque<(u64, StoreBatch)>,
    /// The draft that is written when no commit waits.
    waiting_draft: Option<(ActorId, Option<Vec<u8>>)>,
    /// How often one was given out.
    pub drafted: usize,
    /// Drafts of tabs that died, which were not sealed.
    pub left: Vec<(ActorId, DraftFault)>,
    /// Content is to be erased from the store.
    pub erases: bool,
}

impl Node {
    pub fn create(seed: u64) -> Self {
        Self::create_with(seed, Settings::default())
    }

    pub fn create_with(seed: u64, settings: Settings) -> Self {
        Self::begin(seed, settings, |env| Replica::create(settings, env))
    }

    pub fn join(seed: u64, token: &str) -> Self {
        Self::join_with(seed, token, Settings::default())
    }

    pub fn join_with(seed: u64, token: &str, settings: Settings) -> Self {
        let invite = stemma::event::Invite::decode(token).expect("the token decodes");
        Self::begin(seed, settings, |env| Replica::join(&invite, settings, env))
    }

    fn begin(seed: u64, settings: Settings, make: impl FnOnce(&mut Env<'_>) -> Replica) -> Self {
        let mut random = Random::new(seed);
        let mut fill = |bytes: &mut [u8]| random.fill(bytes);
        let replica = make(&mut Env { now_ms: 1_000_000, random: &mut fill });
        let mut node = Self::around(replica, settings, Disk::default(), random, 1_000_000);
        node.with(|replica, env| replica.new_actor(true, env));
        node
    }

    fn around(replica: Replica, settings: Settings, disk: Disk, random: Random, now_ms: u64) -> Self {
        Self {
            replica,
            settings,
            disk,
            random,
            now_ms,
            changes: Vec::new(),
            troubles: Vec::new(),
            saved: Vec::new(),
            sent: Vec::new(),
            dialed: Vec::new(),
            closed: Vec::new(),
            told: Vec::new(),
            slow_disk: false,
            grown: 0,
            noted: 0,
            evidence_told: 0,
            trims: 0,
            waiting_commits: VecDeque::new(),
            waiting_draft: None,
            drafted: 0,
            left: Vec::new(),
            erases: false,
        }
    }

    /// Goes through the store for what is to be erased, as an edge does when no commit waits.
    pub fn erase(&mut self) {
        if !std::mem::take(&mut self.erases) {
            return;
        }
        if !self.replica.is_whole() {
            self.supply();
        }
        let begun = self.replica.begin_erasing();
        self.disk.snapshot.clear();
        for record in &mut self.disk.tail {
            if let Some(erased) = self.replica.erased(record) {
                *record = erased;
            }
        }
        self.erases = self.with(|replica, _| replica.finish_erasing(begun, stemma::audit::STORE_OTHER));
        self.erase();
    }

    /// Closes without a word and opens again from the store.
    pub fn reopen(self) -> Self {
        self.reopen_keeping_actor(true)
    }

    pub fn reopen_keeping_actor(self, keep: bool) -> Self {
        let mut node = self.reopen_without_bytes(keep);
        node.supply();
        node
    }

    /// The same, but what a snapshot stands for stays in the store: see [`Node::supply`].
    pub fn reopen_without_bytes(self, keep: bool) -> Self {
        let disk = self.disk;
        let replica = Replica::open(
            &disk.records(StoreName::Meta),
            &disk.records(StoreName::Keys),
            &disk.records(StoreName::Actors),
            self.settings,
        );
        let replica = replica.expect("the store opens");
        let mut node = Self::around(replica, self.settings, disk, self.random, self.now_ms + 1);
        let from = match node.replica.take_up(&node.disk.snapshot) {
            Restored::UpTo(rows) => rows as usize,
            Restored::Nothing | Restored::Newer => 0,
            Restored::Damaged => {
                node.disk.snapshot.clear();
                0
            }
        };
        for record in &node.disk.tail[from..] {
            node.replica.load_tail(record);
        }
        while node.with(|replica, env| replica.finish_load(env)) {}
        let candidates = node.replica.actor_candidates();
        let taken: Vec<ActorId> = node.disk.drafts().into_iter().map(|(actor, _)| actor).collect();
        let kept: Vec<ActorId> = taken.into_iter().filter(|actor| !node.take_up_draft(*actor)).collect();
        let candidate = candidates.into_iter().find(|actor| !kept.contains(actor)).filter(|_| keep);
        node.with(|replica, env| match candidate {
            Some(actor) => replica.use_actor(actor, env),
            None => drop(replica.new_actor(true, env)),
        });
        node
    }

    /// Takes up what a tab left that died; says whether its actor may go on.
    fn take_up_draft(&mut self, actor: ActorId) -> bool {
        let record = self.disk.keyed[&(StoreName::Drafts, actor.to_string())].clone();
        let taken = self.with(|replica, env| replica.take_up_draft(actor, &record, env));
        self.left.extend(taken.fault.map(|fault| (actor, fault)));
        self.disk.commit(&taken.batch).expect("the disk is not broken");
        taken.batch.append.iter().for_each(|record| self.replica.load_tail(record));
        while self.with(|replica, env| replica.finish_load(env)) {}
        !taken.batch.is_empty()
    }

    /// A second replica of the same member, without a snapshot, that hears of everything in another order.
    pub fn twin(&mut self, seed: u64) -> Self {
        let export = self.replica.export_space();
        let mut twin = Self::create(seed);
        twin.disk = self.disk.clone();
        twin.disk.snapshot.clear();
        twin.disk.tail.reverse();
        let mut twin = twin.reopen();
        twin.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        twin.settle();
        while twin.with(|replica, env| replica.integrate_more(env)) {}
        twin
    }

    /// Gives the replica the bytes that its snapshot stands for.
    pub fn supply(&mut self) {
        self.disk.tail.iter().for_each(|record| self.replica.supply(record));
        assert!(self.with(|replica, env| replica.supplied(env)), "the store has all that was in a snapshot");
    }

    /// Takes a snapshot; says whether it was possible.
    pub fn snapshot(&mut self) -> bool {
        let rows = self.disk.tail.len() as u64;
        let taken = self.with(|replica, env| replica.snapshot(rows, env));
        if let Some(mut taken) = taken {
            self.disk.snapshot = std::iter::from_fn(|| taken.next_record()).collect();
            return true;
        }
        false
    }

    /// Calls the replica and does what it asks for.
    pub fn with<T>(&mut self, call: impl FnOnce(&mut Replica, &mut Env<'_>) -> T) -> T {
        let random = &mut self.random;
        let mut fill = |bytes: &mut [u8]| random.fill(bytes);
        let result = call(&mut self.replica, &mut Env { now_ms: self.now_ms, random: &mut fill });
        self.drain();
        if self.erases && self.waiting_commits.is_empty() && self.disk.broken.is_none() {
            self.erase();
        }
        result
    }

    fn drain(&mut self) {
        while let Some(output) = self.replica.poll() {
            match output {
                Output::Draft { actor, record } => {
                    self.drafted += usize::from(record.is_some());
                    self.waiting_draft = Some((actor, record));
                    self.write_draft();
                }
                Output::Commit { id, batch, .. } => {
                    let ends = |(actor, _): &mut (ActorId, _)| {
                        batch.delete.contains(&(StoreName::Drafts, actor.to_string()))
                    };
                    self.waiting_draft.take_if(ends);
                    self.waiting_commits.push_back((id, batch));
                    if !self.slow_disk {
                        self.write_commits(usize::MAX);
                    }
                }
                Output::Send { session, frame } => self.sent.push((session, frame)),
                Output::Dial { session, url } => self.dialed.push((session, url)),
                Output::Close { session } => self.closed.push(session),
                Output::Tabs { payload, is_said } => self.told.push((payload, is_said)),
                Output::Saved { tier, ids } => self.saved.extend(ids.into_iter().map(|id| (tier, id))),
                Output::Change(changes) => self.changes.extend(changes),
                Output::Trouble(trouble) => self.troubles.push(trouble),
                Output::Grown => self.grown += 1,
                Output::Erase => self.erases = true,
                Output::Sync | Output::Rows | Output::Supply | Output::Look => {}
                Output::Noted => self.noted += 1,
                Output::Trim => self.trims += 1,
                Output::Policy | Output::Consent | Output::Subjects | Output::Events | Output::Presence => {}
                Output::Evidence => self.evidence_told += 1,
            }
        }
    }

    /// The disk writes the first commits that wait, in order, and answers.
    pub fn write_commits(&mut self, count: usize) {
        for _ in 0..count {
            let Some((id, batch)) = self.waiting_commits.pop_front() else { break };
            let answer = self.disk.commit(&batch);
            self.with(|replica, env| match answer {
                Ok(()) => replica.committed(id, env),
                Err(code) => replica.commit_failed(id, code, env),
            });
        }
        self.write_draft();
    }

    fn write_draft(&mut self) {
        if !self.waiting_commits.is_empty() || self.disk.broken.is_some() {
            return;
        }
        let Some((actor, record)) = self.waiting_draft.take() else { return };
        let key = (StoreName::Drafts, actor.to_string());
        match record {
            Some(record) => self.disk.keyed.insert(key, record),
            None => self.disk.keyed.remove(&key),
        };
    }

    /// Goes on until nothing is left to be done now.
    pub fn settle(&mut self) {
        while self.replica.next_timer(self.now_ms).is_some_and(|at| at <= self.now_ms) {
            self.with(|replica, env| replica.tick(env));
        }
    }

    pub fn invite(&mut self, role: stemma::event::Role) -> String {
        let invite =
            self.with(|replica, env| replica.invite(role, 0, 0, Vec::new(), env)).expect("may invite");
        invite.encode().expect("an invite fits into a token").to_string()
    }
}

/// Joins two replicas by a port, and carries frames until both are at rest.
pub fn sync(a: &mut Node, b: &mut Node) {
    let (at_a, at_b) = (a.replica.attach(), b.replica.attach());
    a.with(|replica, env| replica.opened(at_a, env));
    b.with(|replica, env| replica.opened(at_b, env));
    // What goes to relays meanwhile is for whoever plays them.
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        let take = |node: &mut Node, port: u32, others: &mut Vec<(u32, Vec<u8>)>| {
            let sent = std::mem::take(&mut node.sent);
            let (frames, rest): (Vec<_>, Vec<_>) =
                sent.into_iter().partition(|(session, _)| *session == port);
            others.extend(rest);
            frames
        };
        let (from_a, from_b) = (take(a, at_a, &mut of_a), take(b, at_b, &mut of_b));
        if from_a.is_empty() && from_b.is_empty() {
            break;
        }
        for (_, frame) in from_a {
            b.with(|replica, env| replica.received(at_b, &frame, env));
        }
        for (_, frame) in from_b {
            a.with(|replica, env| replica.received(at_a, &frame, env));
        }
        a.settle();
        b.settle();
    }
    a.sent.extend(of_a);
    b.sent.extend(of_b);
    a.replica.detach(at_a);
    b.replica.detach(at_b);
}

/// Asserts that two replicas hold and show the same.
pub fn assert_same(a: &Node, b: &Node) {
    assert_eq!(a.replica.heads(), b.replica.heads(), "same frontier");
    assert_eq!(a.replica.view_digest(), b.replica.view_digest(), "same view");
    assert_eq!(a.replica.state_hash(), b.replica.state_hash(), "same state");
}
