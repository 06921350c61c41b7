//! Snapshots that members share over relays (docs/protocol.md §8): one is made when a relay asks, and vouched for. What is looked
//! at before the log was read is in [`super::look`].
//!
//! Invariant: nothing that a shared snapshot says gets into the log, the state or the store: what is loaded of one is a replica of
//! its own, to be read only. One thing is done at a time, in slices.

use super::look::{Fetch, Shown};
use super::snapshot::{CHUNK_BYTES, SNAPSHOT_VERSION};
use super::view::ViewIx;
use super::{Env, Replica, Trouble};
use crate::causal::{ActorId, ChangesetId, ObjectId};
use crate::crypto::{ChunkContext, ChunkKey, Digest, EpochKey};
use crate::doc::{Body, ObjectIx};
use crate::event::{
    Manifest, Role, SNAPSHOT_CHUNKS_MAX, SNAPSHOT_HEADS_MAX, SealedDigest, SnapshotId, Voice,
    snapshot_chunk_hash,
};
use crate::sync::{Due, Position, SignedBy, Snap, SnapshotOffer, Status};

/// How long a relay waits for what it asked for, and how long it is waited for.
pub(super) const PATIENCE_MS: u64 = 60_000;

/// Objects, and units of texts and elements of lists, that are hashed in one call.
const SLICE_OBJECTS: usize = 64;
const SLICE_UNITS: u32 = 1 << 14;

/// What is going on about shared snapshots.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) work: Option<Work>,
    /// What the application looks at.
    pub(super) shown: Option<Shown>,
    /// The same for the edge, until it takes it.
    pub(super) loaded: Option<Box<Replica>>,
    /// The engine crashed: perhaps on one.
    pub(super) is_off: bool,
}

/// One thing, for one session.
pub(super) struct Work {
    pub(super) session: u32,
    /// When it is given up.
    pub(super) due: Due,
    pub(super) step: Step,
}

pub(super) enum Step {
    /// A relay asked for a snapshot: once nothing is on its way.
    Asked,
    /// Its state was taken, and its hash is worked out.
    Summing { state: Vec<u8>, place: Position, frontier: Vec<ChangesetId>, sum: StateSum },
    /// Its chunks are sealed, one by one.
    Sealing(Box<Sealing>),
    /// It is at the relay, which asks for its chunks.
    Sent { id: SnapshotId, offer: SnapshotOffer, chunks: Vec<Vec<u8>> },
    /// The chunks of another one come in.
    Fetching(Box<Fetch>),
    /// What was loaded is compared with what is here.
    Witnessing { fetched: Box<Fetch>, loaded: Box<Replica>, theirs: StateSum, own: StateSum },
    /// What was looked at is compared with what the log says.
    Comparing(StateSum),
}

/// A state hash that is worked out, object by object.
pub(super) struct StateSum {
    view: ViewIx,
    next: u32,
    hashes: Vec<(ObjectId, u8, Digest)>,
    pub(super) digest: Option<Digest>,
}

/// A snapshot that is being sealed.
pub(super) struct Sealing {
    key: EpochKey,
    actor: ActorId,
    state: Vec<u8>,
    manifest: Manifest,
    digest: SealedDigest,
    chunks: Vec<Vec<u8>>,
}

impl Sealing {
    fn count(&self) -> u32 {
        self.state.len().div_ceil(CHUNK_BYTES) as u32
    }

    fn seal(&self, number: u32, plain: &[u8]) -> Vec<u8> {
        let (space, run) = (&self.manifest.space.0, &self.manifest.run);
        let at = ChunkContext { space, run, number, count: self.count() };
        ChunkKey::new(&self.key, &at).seal(plain)
    }

    /// Seals the next chunk, or what the state is; whether that was all.
    fn next(&mut self) -> bool {
        let number = self.chunks.len();
        let start = number * CHUNK_BYTES;
        let Some(rest) = self.state.get(start..).filter(|rest| !rest.is_empty()) else {
            self.manifest.seal = self.seal(self.count(), &self.digest.encode());
            return true;
        };
        let chunk = self.seal(number as u32, &rest[..rest.len().min(CHUNK_BYTES)]);
        self.manifest.chunks.push((snapshot_chunk_hash(&chunk), chunk.len() as u32));
        self.chunks.push(chunk);
        false
    }
}

impl Replica {
    /// Takes no part in snapshots that are shared, from now on: after a crash, which one may have caused.
    pub fn decline_snapshots(&mut self) {
        self.shared = Shared { is_off: true, ..Shared::default() };
    }

    /// A relay said something about snapshots.
    pub(super) fn hear_snap(&mut self, session: u32, snap: Snap, looks: bool, env: &mut Env<'_>) {
        match snap {
            Snap::Wanted => {
                let is_able = self.shares() && self.role() >= Role::Writer && self.actor.is_some();
                match &self.shared.work {
                    None if is_able => self.begin_work(session, Step::Asked, env),
                    // The connection was cut in between: it goes on where it was.
                    Some(Work { session: to, step: Step::Sent { offer, .. }, .. }) if *to == session => {
                        let offer = offer.clone();
                        self.say_snap(session, Snap::Offer(offer));
                    }
                    _ => {}
                }
            }
            Snap::Offer(offer) => {
                let id = SnapshotId::of(&offer.manifest);
                if self.is_sent(session, id) {
                    self.shared.work = None;
                } else {
                    self.hear_offer(session, id, offer, looks, env);
                }
            }
            Snap::Get { id, number } => {
                if let Some(Work { session: to, step: Step::Sent { id: sent, chunks, .. }, due }) =
                    &mut self.shared.work
                    && (*to, *sent) == (session, id)
                    && let Some(chunk) = chunks.get(number as usize)
                {
                    *due = Due::after(env.now_ms, PATIENCE_MS);
                    let bytes = chunk.clone().into();
                    self.say_snap(session, Snap::Chunk { id, number, bytes });
                }
            }
            Snap::Chunk { id, number, bytes } => self.take_chunk(session, id, number, &bytes, env),
            Snap::Bad { id } => {
                if self.is_sent(session, id) {
                    self.shared.work = None;
                }
            }
            Snap::Attest { .. } => {}
        }
    }

    /// Not after a crash, and not before what is looked at was held against the log.
    pub(super) fn shares(&self) -> bool {
        !self.shared.is_off && self.shared.shown.is_none()
    }

    fn is_sent(&self, session: u32, id: SnapshotId) -> bool {
        let sent = |work: &Work| {
            work.session == session && matches!(work.step, Step::Sent { id: sent, .. } if sent == id)
        };
        self.shared.work.as_ref().is_some_and(sent)
    }

    /// The connection of a session is gone. A snapshot that is at the relay in part waits for the next one.
    pub(super) fn leave_share(&mut self, session: u32) {
        let is_lost = |work: &mut Work| work.session == session && !matches!(work.step, Step::Sent { .. });
        if let Some(work) = self.shared.work.take_if(is_lost) {
            self.give_up_share(work);
        }
    }

    pub(super) fn begin_work(&mut self, session: u32, step: Step, env: &Env<'_>) {
        self.shared.work = Some(Work { session, due: Due::after(env.now_ms, PATIENCE_MS), step });
    }

    pub(super) fn say_snap(&mut self, session: u32, snap: Snap) {
        if let Some(link) = self.links.relays.get_mut(&session) {
            link.session.snap(snap);
        }
    }

    /// Something can be done at once.
    pub(super) fn shares_now(&self) -> bool {
        let is_busy = |work: &Work| !matches!(work.step, Step::Asked | Step::Sent { .. } | Step::Fetching(_));
        self.shared.work.as_ref().is_some_and(is_busy) || self.can_compare()
    }

    /// A slice of whatever is going on.
    pub(super) fn share(&mut self, env: &mut Env<'_>) {
        if self.can_compare() {
            self.compare_look(env);
        }
        let Some(mut work) = self.shared.work.take() else { return };
        let session = work.session;
        if work.due.is_over(env.now_ms) {
            return self.give_up_share(work);
        }
        work.step = match work.step {
            Step::Asked => match self.take_state(session) {
                Some(step) => step,
                None => Step::Asked,
            },
            Step::Summing { state, place, frontier, mut sum } => match self.sum_slice(&mut sum) {
                None => return,
                Some(false) => Step::Summing { state, place, frontier, sum },
                Some(true) => {
                    let state_hash = sum.digest.expect("the sum is done");
                    let digest = SealedDigest { state_hash, frontier };
                    match self.sealing(state, place, digest, env) {
                        Some(sealing) => Step::Sealing(Box::new(sealing)),
                        None => return,
                    }
                }
            },
            Step::Sealing(mut sealing) => match sealing.next() {
                false => Step::Sealing(sealing),
                true => self.send_snapshot(session, *sealing),
            },
            step @ (Step::Sent { .. } | Step::Fetching(_)) => step,
            Step::Witnessing { fetched, loaded, theirs, own } => {
                match self.witness(session, fetched, loaded, theirs, own) {
                    Some(step) => step,
                    None => return,
                }
            }
            Step::Comparing(mut sum) => match self.sum_slice(&mut sum) {
                Some(false) => Step::Comparing(sum),
                done => return self.judge_look(done.and(sum.digest)),
            },
        };
        self.shared.work = Some(work);
    }

    /// The state for a snapshot, if everything that is here is at this relay, and may be told to every member.
    fn take_state(&mut self, session: u32) -> Option<Step> {
        let link = self.links.relays.get(&session)?;
        let place = link.session.read()?;
        let is_settled = link.session.status() == Status::Live
            && link.session.is_settled()
            && link.refusal().is_none()
            && link.queue.is_empty()
            && link.strays.is_empty()
            && self.tiers.all_acked()
            && !self.links.has_rows()
            && self.is_at_rest();
        if !is_settled || !self.is_complete() || self.private_words().next().is_some() {
            return None;
        }
        let frontier = self.heads();
        if frontier.len() > SNAPSHOT_HEADS_MAX {
            return None;
        }
        let state = self.state_to_share();
        if state.len() > SNAPSHOT_CHUNKS_MAX * CHUNK_BYTES {
            return None;
        }
        let sum = self.sum_of(&frontier)?;
        Some(Step::Summing { state, place, frontier, sum })
    }

    fn sealing(
        &self,
        state: Vec<u8>,
        place: Position,
        digest: SealedDigest,
        env: &mut Env<'_>,
    ) -> Option<Sealing> {
        let (actor, key) = (self.actor?, self.identity.keyring().current()?.clone());
        let mut run = [0; 16];
        (env.random)(&mut run);
        let manifest = Manifest {
            state: SNAPSHOT_VERSION,
            space: self.space(),
            log_id: place.log_id,
            cursor: place.cursor,
            chain: place.chain,
            actor,
            run,
            kid: key.kid(),
            chunks: Vec::new(),
            seal: Vec::new(),
        };
        Some(Sealing { key, actor, state, manifest, digest, chunks: Vec::new() })
    }

    fn send_snapshot(&mut self, session: u32, sealing: Sealing) -> Step {
        let manifest = sealing.manifest.encode();
        let id = SnapshotId::of(&manifest);
        let by = self.signed_by(sealing.actor, Voice::Maker, id).into_iter().collect();
        let offer = SnapshotOffer { manifest: manifest.into(), by, attest: false };
        self.say_snap(session, Snap::Offer(offer.clone()));
        Step::Sent { id, offer, chunks: sealing.chunks }
    }

    pub(super) fn signed_by(&self, actor: ActorId, voice: Voice, id: SnapshotId) -> Option<SignedBy> {
        let signature = voice.sign(self.identity.actor_key(actor)?, id).0;
        Some(SignedBy { chain: self.identity.actor_chain(actor).encode().into(), signature })
    }

    /// Whether every op that is here has its content.
    pub(super) fn is_complete(&self) -> bool {
        self.fold.absent().is_empty()
    }

    /// Begins to work out the state hash of the past of some changesets, with nothing hidden; none if one is not integrated.
    pub(super) fn sum_of(&mut self, frontier: &[ChangesetId]) -> Option<StateSum> {
        let graph = self.log.graph();
        let heads = frontier.iter().map(|id| graph.get(id)).collect::<Option<Vec<_>>>()?;
        let view = self.open_plain_view(heads);
        Some(StateSum { view, next: 0, hashes: Vec::new(), digest: None })
    }

    /// Goes on with that; whether it is done, none if it cannot be any more.
    pub(super) fn sum_slice(&mut self, sum: &mut StateSum) -> Option<bool> {
        let mut units = 0;
        for _ in 0..SLICE_OBJECTS {
            if sum.next == self.object_count() {
                sum.digest = Some(self.plain_view_hash(sum.view, std::mem::take(&mut sum.hashes))?);
                self.close_sum(sum);
                return Some(true);
            }
            if units > SLICE_UNITS {
                break;
            }
            let copy = self.object_in(sum.view, ObjectIx(sum.next)).ok()?;
            units += match &self.fold.get(copy).body {
                Body::Text(text) => text.len(),
                Body::List(list) => list.len(),
                _ => 0,
            };
            sum.hashes.extend(self.hashed(copy));
            self.drop_from_view(sum.view, ObjectIx(sum.next));
            sum.next += 1;
        }
        Some(false)
    }

    pub(super) fn close_sum(&mut self, sum: &StateSum) {
        self.close_view(sum.view);
    }

    /// Somebody signed a snapshot that is wrong: everybody who can should know who.
    pub(super) fn accuse(&mut self, session: u32, id: SnapshotId, who: &str) {
        self.say_snap(session, Snap::Bad { id });
        let what = format!("a snapshot shows something else than the log; it was {who}");
        self.trouble(Trouble::SharedSnapshot(what));
    }
}
