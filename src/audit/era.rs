//! One chain of blocks, from the choice of validators that begins it, as far as they are certified.
//!
//! A pure function of what was said and of the graph: two replicas that have the same have the same chain. Blocks are not
//! believed; what each holds is worked out from the attestations that it names.

use super::ballot::Cast;
use super::block::{BlockHeader, BlockId};
use super::canonical::Depths;
use super::chain::{Choice, Said, Statements};
use super::merkle::MerkleTree;
use super::open::{Cut, Open, ballot_of, count};
use super::validators::ValidatorSet;
use crate::causal::{CausalGraph, ChangesetId, ChangesetIx, MemberId, Past};
use crate::codec::Writer;
use crate::crypto::{Digest, Tag, hash};
use crate::steps;
use foldhash::{HashMap, HashSet};

/// Who of the last so many blocks had nothing to do with any is not asked to propose.
pub(super) const SILENT: usize = 8;

/// A block of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it says.
    pub header: BlockHeader,
    /// Its hash.
    pub id: BlockId,
    /// The changeset that carries its first proposal that is here.
    pub carrier: ChangesetIx,
    /// Who proposed it there.
    pub proposer: MemberId,
    /// The round whose precommits are its certificate.
    pub round: u32,
    /// The changesets that carry these, with their members.
    pub certificate: Vec<(ChangesetIx, MemberId)>,
    /// How many changesets the blocks before it hold.
    pub from: u32,
}

/// Two blocks at one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// The height.
    pub height: u64,
    /// The blocks, ascending.
    pub blocks: Vec<BlockId>,
    /// Those whose votes at this height contradict each other, ascending.
    pub liars: Vec<MemberId>,
}

/// A chain.
#[derive(Clone, Debug)]
pub struct Era {
    /// The choice that begins it, among all.
    pub(super) choice: usize,
    id: ChangesetId,
    blocks: Vec<Block>,
    /// What they hold, one behind the other, and by number of a changeset 1 more than where it stands there, or 0.
    order: Vec<ChangesetIx>,
    places: Vec<u32>,
    tree: MerkleTree,
    frontier: Digest,
    /// Attestations that were named.
    named: HashSet<ChangesetIx>,
    /// By member: how many blocks there were with the last one that named a new attestation of it.
    heard: HashMap<MemberId, usize>,
    /// Whose statements in blocks contradict each other.
    jailed: HashSet<MemberId>,
    /// The choices in the blocks.
    chosen: Vec<usize>,
    open: Option<Open>,
    halt: Option<Halt>,
}

impl Era {
    pub(super) fn new(choice: usize, statements: &Statements, graph: &CausalGraph) -> Self {
        let mut era = Self {
            choice,
            id: graph.id(statements.choices[choice].changeset),
            blocks: Vec::new(),
            order: Vec::new(),
            places: Vec::new(),
            tree: MerkleTree::default(),
            frontier: Digest([0; 32]),
            named: HashSet::default(),
            heard: HashMap::default(),
            jailed: HashSet::default(),
            chosen: vec![choice],
            open: None,
            halt: None,
        };
        let begins = statements.choices[choice].set.blocks.and_then(|rules| rules.begins);
        era.open_height(begins.map_or(1, |begins| begins.height), choice, statements);
        era
    }

    /// The blocks, the first one first.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The height that is voted on; none while nobody is asked to.
    #[must_use]
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref().filter(|_| self.halt.is_none())
    }

    /// Why it has ended.
    #[must_use]
    pub fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    /// The choice that begins it.
    #[must_use]
    pub fn id(&self) -> ChangesetId {
        self.id
    }

    /// Who votes on a block.
    pub(super) fn set<'a>(&self, block: usize, statements: &'a Statements) -> Option<&'a ValidatorSet> {
        self.chosen_at(block as u64, statements).map(|choice| &statements.choices[choice].set)
    }

    /// Where a changeset stands in the tree of a block, and what leads from there to its root. O(log n).
    #[must_use]
    pub fn inclusion(
        &self,
        graph: &CausalGraph,
        block: usize,
        ix: ChangesetIx,
    ) -> Option<(u64, Vec<Digest>)> {
        let (place, size) = (u64::from(self.place(ix)?), self.blocks.get(block)?.header.size);
        let leaf = |at: u64| graph.id(self.order[at as usize]).0;
        Some((place, self.tree.inclusion(place, size, leaf)?))
    }

    /// What a block holds, in its order.
    #[must_use]
    pub fn changesets(&self, block: usize) -> &[ChangesetIx] {
        let from = self.blocks[block].from as usize;
        &self.order[from..self.blocks[block].header.size as usize]
    }

    /// Where a changeset stands among all that blocks hold.
    #[must_use]
    pub fn place(&self, ix: ChangesetIx) -> Option<u32> {
        self.places.get(ix.0 as usize)?.checked_sub(1)
    }

    /// The block before the next one: its height and id.
    pub(super) fn last(&self, statements: &Statements) -> (u64, BlockId) {
        let begins = || statements.choices[self.choice].set.blocks.and_then(|rules| rules.begins);
        let before =
            || begins().map_or((0, BlockId([0; 32])), |at| (at.height.saturating_sub(1), at.previous));
        self.blocks.last().map_or_else(before, |last| (last.header.height, last.id))
    }

    /// Takes in what was said since, as far as it is about the height that is open, and goes on while blocks are certified.
    /// Says whether there are new ones.
    pub(super) fn advance(&mut self, statements: &Statements, graph: &CausalGraph, depths: &Depths) -> bool {
        let before = self.blocks.len();
        while self.halt.is_none() && self.read(statements, graph, depths) {
            let Some(open) = &self.open else { break };
            let certified = open.ballot.certified().into_iter().filter(|(id, _)| open.has_judged_right(id));
            match certified.collect::<Vec<_>>()[..] {
                [] => break,
                [(block, round)] => self.append(block, round, statements, graph),
                [..] => self.end(),
            }
        }
        self.blocks.len() > before
    }

    /// Whether a statement about a height that is decided may say that it was decided twice.
    pub(super) fn is_doubted_by(&self, at: usize, statements: &Statements) -> bool {
        let Some((set, height, block)) = statements.said[at].of() else { return false };
        let first = self.blocks.first().map_or(u64::MAX, |block| block.header.height);
        let decided = height.checked_sub(first).and_then(|at| self.blocks.get(at as usize));
        let Some(decided) = decided.filter(|decided| decided.header.set == set && Some(decided.id) != block)
        else {
            return false;
        };
        let Some(choice) = self.chosen_at(height - first, statements) else { return false };
        let mut ballot = ballot_of(&statements.choices[choice].set);
        count(&mut ballot, &statements.choices[choice].set, statements.about(set, height), statements);
        ballot.certified().iter().any(|(block, _)| *block != decided.id)
    }

    /// The choice whose set voted on a block.
    fn chosen_at(&self, block: u64, statements: &Statements) -> Option<usize> {
        let digest = self.blocks.get(block as usize)?.header.set;
        let chose = |choice: &&usize| statements.choices[**choice].set.digest(&self.id) == digest;
        self.chosen.iter().find(chose).copied()
    }

    /// Looks at what was said about the open height since the last time. Says whether there is one.
    fn read(&mut self, statements: &Statements, graph: &CausalGraph, depths: &Depths) -> bool {
        let Some(mut open) = self.open.take() else { return false };
        open.hear(statements);
        for offered in 0..open.proposals.len() {
            let (block, carrier) = (open.proposals[offered].block, open.proposals[offered].carrier);
            if !open.judged.contains_key(&block) {
                let header = statements.proposed(carrier, block).expect("it was read there");
                if let Some(verdict) = self.judge(header, &open, statements, graph, depths) {
                    open.judged.insert(block, verdict);
                }
            }
        }
        self.open = Some(open);
        true
    }

    /// What a block holds if it is right; none while an attestation is missing that it names.
    fn judge(
        &mut self,
        header: &BlockHeader,
        open: &Open,
        statements: &Statements,
        graph: &CausalGraph,
        depths: &Depths,
    ) -> Option<Option<Cut>> {
        let named: Option<Vec<ChangesetIx>> =
            header.attestations.iter().map(|named| graph.get(named)).collect();
        let cut = self.cut(&named?, open, statements, graph, depths);
        let time_ms = self.blocks.last().map_or(0, |last| last.header.time_ms);
        let is_right = |cut: &Cut| {
            (header.height, header.previous) == (open.height, self.last(statements).1)
                && header.time_ms > time_ms
                && (header.set, header.next_set) == (open.digest, cut.next_set)
                && header.size == (self.order.len() + cut.changesets.len()) as u64
                && (header.root, header.frontier) == (cut.root, cut.frontier)
        };
        Some(cut.filter(is_right))
    }

    /// What a block holds that names these attestations; none if one is no attestation of a validator, or it would hold nothing
    /// that is worth a block. O(k * validators * log n) for k changesets that are not settled.
    fn cut(
        &mut self,
        named: &[ChangesetIx],
        open: &Open,
        statements: &Statements,
        graph: &CausalGraph,
        depths: &Depths,
    ) -> Option<Cut> {
        let member = |ix: &ChangesetIx| Some((statements.attester(*ix)?, *ix));
        let mut by: Vec<(MemberId, ChangesetIx)> = named.iter().map(member).collect::<Option<_>>()?;
        if by.is_empty() || by.iter().any(|(member, _)| open.set.weight(member) == 0) {
            return None;
        }
        by.sort_unstable();
        let mut unsettled: Vec<ChangesetIx> = self.unsettled(named, graph);
        let quorum = open.set.quorum();
        let mut voices: Vec<(u64, Vec<(ChangesetIx, Past<'_>)>)> = Vec::new();
        for of_one in by.chunk_by(|a, b| a.0 == b.0) {
            let pasts = of_one.iter().map(|(_, ix)| (*ix, graph.past_of(*ix))).collect();
            voices.push((u64::from(open.set.weight(&of_one[0].0)), pasts));
        }
        let covered = |ix: &ChangesetIx| {
            let mut weight = 0;
            voices.iter_mut().any(|(of_one, pasts)| {
                steps::count(pasts.len());
                let has_seen = pasts.iter_mut().any(|(by, past)| by != ix && past.contains(*ix));
                weight += if has_seen { *of_one } else { 0 };
                weight >= quorum
            })
        };
        unsettled.retain(covered);
        unsettled.sort_by_cached_key(|ix| depths.key(graph, *ix));
        let mut room = match self.blocks.is_empty() {
            true => usize::MAX, // whatever there was before the first block
            false => open.set.blocks.map_or(0, |rules| rules.max as usize),
        };
        let content = unsettled.iter().filter(|ix| !statements.is_statement(**ix)).count();
        let takes = |ix: &ChangesetIx| {
            let takes = room > 0;
            room -= usize::from(takes && !statements.is_statement(*ix));
            takes
        };
        let len = unsettled.iter().copied().take_while(takes).count();
        unsettled.truncate(len);
        (content > 0).then(|| self.follow(unsettled, statements, graph))
    }

    /// The block that these attestations are for, as far as they are of validators.
    pub(super) fn draft(
        &mut self,
        named: &[ChangesetIx],
        statements: &Statements,
        graph: &CausalGraph,
        depths: &Depths,
    ) -> Option<BlockHeader> {
        let open = self.open.take_if(|_| self.halt.is_none())?;
        let of_validator =
            |ix: &ChangesetIx| statements.attester(*ix).is_some_and(|member| open.set.weight(&member) > 0);
        let named: Vec<ChangesetIx> = named.iter().copied().filter(of_validator).collect();
        let cut = self.cut(&named, &open, statements, graph, depths);
        let header = cut.map(|cut| self.header(&named, &open, &cut, statements, graph));
        self.open = Some(open);
        header
    }

    /// The block with this in it, made in round 0 at the first time that is right.
    fn header(
        &self,
        named: &[ChangesetIx],
        open: &Open,
        cut: &Cut,
        statements: &Statements,
        graph: &CausalGraph,
    ) -> BlockHeader {
        let mut attestations: Vec<ChangesetId> = named.iter().map(|ix| graph.id(*ix)).collect();
        attestations.sort_unstable();
        BlockHeader {
            height: open.height,
            round: 0,
            time_ms: self.blocks.last().map_or(0, |last| last.header.time_ms) + 1,
            previous: self.last(statements).1,
            size: (self.order.len() + cut.changesets.len()) as u64,
            root: cut.root,
            frontier: cut.frontier,
            set: open.digest,
            next_set: cut.next_set,
            attestations,
        }
    }

    /// What follows from what a block holds.
    fn follow(&mut self, changesets: Vec<ChangesetIx>, statements: &Statements, graph: &CausalGraph) -> Cut {
        let size = self.order.len() as u64;
        changesets.iter().for_each(|ix| self.tree.push(&graph.id(*ix).0));
        let leaf = |at: u64| {
            let at = at as usize;
            let ix = self.order.get(at).unwrap_or_else(|| &changesets[at - self.order.len()]);
            graph.id(*ix).0
        };
        let root = self.tree.root(size + changesets.len() as u64, leaf);
        self.tree.truncate(size, leaf);
        let before: HashSet<ChangesetIx> = changesets.iter().filter_map(|ix| graph.prev(*ix)).collect();
        let ends = changesets.iter().filter(|ix| !before.contains(ix));
        let mut ends: Vec<_> = ends.map(|ix| (graph.actor(*ix), graph.seq(*ix), graph.id(*ix))).collect();
        ends.sort_unstable();
        let mut bytes = Writer::new();
        bytes.varint(ends.len() as u64);
        for (actor, seq, id) in ends {
            bytes.raw(&actor.0).varint(u64::from(seq)).raw(&id.0);
        }
        let frontier = hash(Tag::FRONTIER, &[&self.frontier.0, &bytes.into_bytes()]);
        let next = self.next_choice(&changesets, statements, graph);
        let next_set = self.set_of(&statements.choices[next]).digest(&self.id);
        Cut { changesets, root, frontier, next, next_set }
    }

    /// What of the past of these is in no block yet, in no order.
    fn unsettled(&self, named: &[ChangesetIx], graph: &CausalGraph) -> Vec<ChangesetIx> {
        let (mut open, mut found) = (named.to_vec(), Vec::new());
        let mut seen: HashSet<ChangesetIx> = HashSet::default();
        while let Some(ix) = open.pop() {
            steps::count(1);
            for parent in graph.prev(ix).into_iter().chain(graph.deps(ix).iter().copied()) {
                if self.place(parent).is_none() && seen.insert(parent) {
                    found.push(parent);
                    open.push(parent);
                }
            }
        }
        found
    }

    /// The choice that holds among those in the blocks and in one more.
    fn next_choice(&self, cut: &[ChangesetIx], statements: &Statements, graph: &CausalGraph) -> usize {
        let fresh =
            statements.choices.iter().enumerate().filter(|(_, choice)| cut.contains(&choice.changeset));
        let all: Vec<usize> = self.chosen.iter().copied().chain(fresh.map(|(at, _)| at)).collect();
        let choice = |at: usize| &statements.choices[at];
        let is_over = |at: usize| {
            let is_later = |other: &usize| {
                choice(*other).changeset != choice(at).changeset
                    && graph.contains(choice(*other).changeset, choice(at).changeset)
            };
            all.iter().any(is_later)
        };
        let standing = all.iter().copied().filter(|at| !is_over(*at));
        standing.max_by_key(|at| choice(*at).key(graph)).unwrap_or(self.choice)
    }

    /// The set of a choice: of nobody where it asks for no blocks.
    fn set_of(&self, choice: &Choice) -> ValidatorSet {
        match choice.set.blocks {
            Some(_) => choice.set.clone(),
            None => ValidatorSet::default(),
        }
    }

    fn append(&mut self, block: BlockId, round: u32, statements: &Statements, graph: &CausalGraph) {
        let mut open = self.open.take().expect("a height is open");
        let cut = open.judged.remove(&block).flatten().expect("it is right");
        let offered = open.proposals.iter().find(|offered| offered.block == block);
        let carrier = offered.expect("what is right was proposed").carrier;
        let header = statements.proposed(carrier, block).expect("it was read there").clone();
        let member = |cast: &Cast| (cast.carrier, open.set.members[usize::from(cast.by)].0);
        let certificate = open.ballot.certificate(block, round).map(member).collect();
        let from = self.order.len() as u32;
        self.places.resize(graph.len() as usize, 0);
        for ix in &cut.changesets {
            self.order.push(*ix);
            self.places[ix.0 as usize] = self.order.len() as u32;
            self.tree.push(&graph.id(*ix).0);
        }
        self.frontier = cut.frontier;
        for named in header.attestations.iter().filter_map(|named| graph.get(named)) {
            let Some(member) = statements.attester(named).filter(|_| self.named.insert(named)) else {
                continue;
            };
            self.heard.insert(member, self.blocks.len() + 1);
        }
        for (at, choice) in statements.choices.iter().enumerate() {
            if cut.changesets.contains(&choice.changeset) && !self.chosen.contains(&at) {
                self.chosen.push(at);
            }
        }
        self.jail(&cut.changesets, statements);
        let proposer = statements.member(carrier).expect("somebody carries it");
        let height = header.height;
        self.blocks.push(Block { header, id: block, carrier, proposer, round, certificate, from });
        self.open_height(height + 1, cut.next, statements);
    }

    /// Those whose statements, of which one has just been settled and the other one before or too, contradict each other.
    fn jail(&mut self, cut: &[ChangesetIx], statements: &Statements) {
        for at in cut.iter().flat_map(|ix| statements.by(*ix)) {
            let one = &statements.said[at];
            let Some((set, height, _)) = one.of() else { continue };
            let others = statements.about(set, height).iter().map(|other| &statements.said[*other as usize]);
            let is_contrary = |other: &Said| {
                other.member == one.member && self.place(other.carrier).is_some() && one.contradicts(other)
            };
            if others.into_iter().any(is_contrary) {
                self.jailed.insert(one.member);
            }
        }
    }

    fn open_height(&mut self, height: u64, choice: usize, statements: &Statements) {
        let set = self.set_of(&statements.choices[choice]);
        if set.members.is_empty() {
            return;
        }
        let blocks = self.blocks.len();
        let is_silent = |member: &MemberId| {
            blocks >= SILENT && self.heard.get(member).is_none_or(|heard| *heard + SILENT <= blocks)
        };
        let is_asked = |member: &MemberId| !self.jailed.contains(member) && !is_silent(member);
        let all = 0..set.members.len() as u16;
        let asked: Vec<u16> = all.clone().filter(|at| is_asked(&set.members[usize::from(*at)].0)).collect();
        let proposers = if asked.is_empty() { all.collect() } else { asked };
        let digest = set.digest(&self.id);
        self.open = Some(Open::new(height, set, digest, proposers));
    }

    /// Two blocks are certified.
    fn end(&mut self) {
        let open = self.open.as_ref().expect("a height is open");
        let certified = open.ballot.certified().into_iter().map(|(block, _)| block);
        let blocks = certified.filter(|block| open.has_judged_right(block)).collect();
        let liars = open.ballot.liars().into_iter().map(|by| open.set.members[usize::from(by)].0).collect();
        self.halt = Some(Halt { height: open.height, blocks, liars });
    }
}
