//! A first look: the state that a shared snapshot shows, for who has not read the log yet (docs/protocol.md §8). Beside it, vouching for
//! one: both load what another device made.
//!
//! Invariant: what is loaded is signed by a writer and, where it is looked at, vouched for by another device. The log is read all the
//! same; then both are compared, and the look is over.

use super::inquiry::SignedSnapshot;
use super::shared::{StateSum, Step, Work};
use super::snapshot::SNAPSHOT_VERSION;
use super::{Env, Output, Replica, Settings, Trouble};
use crate::causal::ChangesetIx;
use crate::crypto::{ChunkContext, ChunkKey, Digest, Signature};
use crate::event::{Author, Manifest, Role, SealedDigest, SnapshotId, Voice};
use crate::sync::{Due, SignedBy, Snap, SnapshotOffer, Status};
use crate::trust::{Entry, Policy};

/// Without a chunk for so long the rows come first after all.
const LOOK_MS: u64 = 10_000;

/// A snapshot whose chunks come in.
pub(super) struct Fetch {
    id: SnapshotId,
    manifest: Manifest,
    maker: Author,
    digest: SealedDigest,
    /// What of the state came so far, and of how many chunks.
    state: Vec<u8>,
    next: u32,
    /// What its maker signed.
    signed: SignedSnapshot,
    /// Who made it and who vouches for it, in words.
    who: String,
    /// To vouch for it, or else to look at it.
    attest: bool,
}

/// A snapshot that the application looks at.
pub(super) struct Shown {
    /// The session that it came over.
    session: u32,
    id: SnapshotId,
    digest: SealedDigest,
    signed: SignedSnapshot,
    who: String,
}

impl Replica {
    /// What a snapshot shows before the log was read, to be read only, once for each [`Output::Look`] that says that there is one.
    pub fn take_look(&mut self) -> Option<Self> {
        self.shared.loaded.take().map(|loaded| *loaded)
    }

    /// Whether there is a first look that is not over.
    pub fn has_look(&self) -> bool {
        self.shared.shown.is_some()
    }

    /// A relay has a snapshot: to be looked at before rows come, or to be vouched for.
    pub(super) fn hear_offer(
        &mut self,
        session: u32,
        id: SnapshotId,
        offer: SnapshotOffer,
        looks: bool,
        env: &mut Env<'_>,
    ) {
        let is_free = self.shares() && self.shared.work.is_none();
        let fetch = match (looks, offer.attest) {
            (true, _) if is_free => self.fetch(id, &offer),
            (false, true) if is_free => self.fetch(id, &offer).filter(|fetch| self.may_witness(fetch)),
            _ => None,
        };
        match fetch {
            Some(fetch) => {
                self.begin_work(session, Step::Fetching(Box::new(fetch)), env);
                self.ask_chunk(env);
            }
            None if looks => self.end_look(session),
            None => {}
        }
    }

    /// Whom a snapshot is by, if it can be used here.
    fn fetch(&self, id: SnapshotId, offer: &SnapshotOffer) -> Option<Fetch> {
        let manifest = Manifest::decode(&offer.manifest).ok()?;
        let is_ours = manifest.space == self.space() && manifest.state == SNAPSHOT_VERSION;
        let (maker, witnesses) = offer.by.split_first()?;
        let maker = self.voice(Voice::Maker, id, maker).filter(|maker| maker.actor == manifest.actor)?;
        let mut who = format!("made by member {} with actor {}", maker.member, maker.actor);
        if !offer.attest {
            let mut witnesses = witnesses.iter().filter_map(|by| self.voice(Voice::Witness, id, by));
            let witness = witnesses.find(|witness| witness.device.key != maker.device.key)?;
            who = format!("{who}, vouched for by member {} with actor {}", witness.member, witness.actor);
        }
        let mut digest = Vec::new();
        self.chunk_key(&manifest, manifest.chunks.len() as u32)?.open(&manifest.seal, &mut digest).ok()?;
        let digest = SealedDigest::decode(&digest).ok()?;
        let (state, attest) = (Vec::new(), offer.attest);
        let signed = SignedSnapshot {
            manifest: offer.manifest.to_vec(),
            chain: offer.by[0].chain.to_vec(),
            signature: Signature(offer.by[0].signature),
        };
        (is_ours && !digest.frontier.is_empty()).then_some(Fetch {
            id,
            manifest,
            maker,
            digest,
            state,
            next: 0,
            signed,
            who,
            attest,
        })
    }

    fn voice(&self, voice: Voice, id: SnapshotId, by: &SignedBy) -> Option<Author> {
        voice.verify(self.identity.genesis(), id, &by.chain, &by.signature)
    }

    /// Only of what another device made, and only where everything it stands for is here.
    fn may_witness(&self, fetch: &Fetch) -> bool {
        let graph = self.log.graph();
        fetch.maker.device.key != self.identity.device()
            && self.role() >= Role::Writer
            && self.actor.is_some()
            && self.is_complete()
            && fetch.digest.frontier.iter().all(|id| graph.get(id).is_some())
    }

    fn chunk_key(&self, manifest: &Manifest, number: u32) -> Option<ChunkKey> {
        let key = self.identity.keyring().get(manifest.kid)?;
        let (space, run, count) = (&manifest.space.0, &manifest.run, manifest.chunks.len() as u32);
        Some(ChunkKey::new(key, &ChunkContext { space, run, number, count }))
    }

    fn ask_chunk(&mut self, env: &Env<'_>) {
        let Some(Work { session, due, step: Step::Fetching(fetch) }) = &mut self.shared.work else { return };
        if !fetch.attest {
            *due = Due::after(env.now_ms, LOOK_MS);
        }
        let (session, id, number) = (*session, fetch.id, fetch.next);
        self.say_snap(session, Snap::Get { id, number });
    }
}

impl Replica {
    /// A chunk came in, as it was asked for.
    pub(super) fn take_chunk(
        &mut self,
        session: u32,
        id: SnapshotId,
        number: u32,
        bytes: &[u8],
        env: &mut Env<'_>,
    ) {
        let is_asked = |work: &mut Work| {
            work.session == session
                && matches!(&work.step, Step::Fetching(fetch) if fetch.id == id && fetch.next == number)
        };
        let Some(Work { step: Step::Fetching(mut fetch), .. }) = self.shared.work.take_if(is_asked) else {
            return;
        };
        if !fetch.manifest.is_chunk(number, bytes) {
            // The relay does not have what it offered, or altered it.
            return self.leave_fetch(session, &fetch);
        }
        let key = self.chunk_key(&fetch.manifest, number);
        if key.is_none_or(|key| key.open(bytes, &mut fetch.state).is_err()) {
            return self.find_wrong(session, &fetch);
        }
        fetch.next += 1;
        if (fetch.next as usize) < fetch.manifest.chunks.len() {
            self.begin_work(session, Step::Fetching(fetch), env);
            return self.ask_chunk(env);
        }
        match self.loaded(&mut fetch) {
            None => self.find_wrong(session, &fetch),
            Some(loaded) if fetch.attest => self.begin_witness(session, fetch, loaded, env),
            Some(loaded) => {
                let Fetch { digest, signed, who, .. } = *fetch;
                self.shared.shown = Some(Shown { session, id, digest, signed, who });
                self.shared.loaded = Some(loaded);
                self.outputs.push_back(Output::Look);
                self.end_look(session);
            }
        }
    }

    /// A replica of what the chunks hold, as this member sees it; none if they do not hold what they should.
    fn loaded(&self, fetch: &mut Fetch) -> Option<Box<Self>> {
        let mut loaded = Box::new(Self::with(self.identity.clone(), Settings::default()));
        loaded.shared.is_off = true;
        loaded.load_state(std::mem::take(&mut fetch.state)).ok()?;
        loaded.fold.wake_all().ok()?;
        let (mine, theirs) = (self.log.graph(), loaded.log.graph());
        // What this member believes for itself alone nobody else could tell.
        let private = self.private_words().filter_map(|word| {
            let changeset = theirs.get(&mine.id(word.changeset))?;
            Some(Entry { changeset, ..word.clone() })
        });
        let words: Vec<Entry> = loaded.policy.entries().iter().cloned().chain(private).collect();
        let doubted = loaded.policy.doubted().clone();
        loaded.policy = Policy::of(self.member(), theirs, words).doubting(doubted);
        loaded.judge_all();
        (loaded.heads() == fetch.digest.frontier).then_some(loaded)
    }

    /// The words that this member said to itself alone.
    pub(super) fn private_words(&self) -> impl Iterator<Item = &Entry> {
        let me = self.member();
        self.policy.entries().iter().filter(move |word| word.is_private && word.author == me)
    }

    fn begin_witness(&mut self, session: u32, fetched: Box<Fetch>, mut loaded: Box<Self>, env: &Env<'_>) {
        let graph = self.log.graph();
        let heads: Vec<ChangesetIx> = fetched.digest.frontier.iter().filter_map(|id| graph.get(id)).collect();
        let past = graph.within(&heads).iter().filter(|is_inside| **is_inside).count();
        let theirs = loaded.log.graph();
        let is_known = (0..theirs.len()).all(|ix| graph.get(&theirs.id(ChangesetIx(ix))).is_some());
        if !is_known || past != theirs.len() as usize {
            return self.find_wrong(session, &fetched);
        }
        let frontier = &fetched.digest.frontier;
        if let (Some(theirs), Some(own)) = (loaded.sum_of(frontier), self.sum_of(frontier)) {
            self.begin_work(session, Step::Witnessing { fetched, loaded, theirs, own }, env);
        }
    }

    /// A slice of comparing what another device made with what is here; none when that is over.
    pub(super) fn witness(
        &mut self,
        session: u32,
        fetched: Box<Fetch>,
        mut loaded: Box<Self>,
        mut theirs: StateSum,
        mut own: StateSum,
    ) -> Option<Step> {
        let is_done = match theirs.digest {
            None => loaded.sum_slice(&mut theirs).map(|_| false)?,
            Some(_) => self.sum_slice(&mut own)?,
        };
        if !is_done {
            return Some(Step::Witnessing { fetched, loaded, theirs, own });
        }
        let said = Some(fetched.digest.state_hash);
        if theirs.digest == said && own.digest == said {
            let by = self.actor.and_then(|actor| self.signed_by(actor, Voice::Witness, fetched.id));
            if let Some(by) = by {
                self.say_snap(session, Snap::Attest { id: fetched.id, by });
            }
        } else if self.is_complete() {
            if let Some(found) = own.digest.filter(|found| Some(*found) != said) {
                self.inquiry.suspect_snapshot(fetched.signed.clone(), found);
            }
            self.find_wrong(session, &fetched);
        }
        None
    }

    /// Whether the log says by now what a first look should have shown.
    pub(super) fn can_compare(&self) -> bool {
        let is_live = |shown: &Shown| {
            let link = self.links.relays.get(&shown.session);
            link.is_none_or(|link| link.session.status() == Status::Live)
        };
        self.shared.work.is_none()
            && self.shared.shown.as_ref().is_some_and(is_live)
            && !self.log.has_ready()
            && !self.links.has_rows()
    }

    pub(super) fn compare_look(&mut self, env: &Env<'_>) {
        let Some(Shown { session, digest, .. }) = &self.shared.shown else { return };
        let (session, frontier) = (*session, digest.frontier.clone());
        if let Some(sum) = self.sum_of(&frontier) {
            return self.begin_work(session, Step::Comparing(sum), env);
        }
        self.judge_look(None);
        let is_waiting = frontier.iter().all(|id| self.log.knows(id));
        if !is_waiting && self.links.relays.get(&session).is_some() {
            let what = "the relay offered a snapshot of a log that is not its own";
            self.trouble(Trouble::SharedSnapshot(what.to_owned()));
        }
    }

    /// The look is over. What it should have shown is this, if that could be worked out.
    pub(super) fn judge_look(&mut self, state_hash: Option<Digest>) {
        let Some(shown) = self.shared.shown.take() else { return };
        self.shared.loaded = None;
        self.outputs.push_back(Output::Look);
        if let Some(found) = state_hash.filter(|hash| *hash != shown.digest.state_hash && self.is_complete())
        {
            self.inquiry.suspect_snapshot(shown.signed, found);
            self.accuse(shown.session, shown.id, &shown.who);
        }
    }

    /// What was to be done over a session is given up: it took too long, or the connection is gone.
    pub(super) fn give_up_share(&mut self, work: Work) {
        match work.step {
            Step::Fetching(fetch) => self.leave_fetch(work.session, &fetch),
            Step::Summing { sum, .. } | Step::Comparing(sum) | Step::Witnessing { own: sum, .. } => {
                self.close_sum(&sum);
            }
            Step::Asked | Step::Sealing(_) | Step::Sent { .. } => {}
        }
    }

    fn leave_fetch(&mut self, session: u32, fetch: &Fetch) {
        if !fetch.attest {
            self.end_look(session);
        }
    }

    fn find_wrong(&mut self, session: u32, fetch: &Fetch) {
        self.accuse(session, fetch.id, &fetch.who);
        self.leave_fetch(session, fetch);
    }

    fn end_look(&mut self, session: u32) {
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.end_look();
        }
    }
}
