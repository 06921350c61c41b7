//! Snapshots that members make, as a relay passes them on (`docs/protocol.md` §8): whose turn it is to make one or to vouch for
//! one, and which of them are believed. Pure functions over a store; nothing here can open one.
//!
//! Invariant: what is offered was signed by a member of the space, and stands for rows that are in the log now.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use stemma::causal::SpaceId;
use stemma::event::{Author, Genesis, Manifest, SnapshotId, Voice};
use stemma::sync::{Frame, Position, SignedBy, Snap, SnapshotOffer, WITNESSES_MAX};

use crate::config::RelayConfig;
use crate::hub::ConnectionId;
use crate::store::{Kept, SpaceRecord, Store, StoreError};

/// Everybody is asked again after so many turns' time.
const TURNS_FORGOTTEN: u32 = 10;

/// What a client is asked for.
#[derive(Debug)]
pub(crate) enum Task {
    /// A snapshot.
    Make,
    /// To vouch for this one.
    Attest(SnapshotOffer),
}

/// Who of those who listen to a space was asked last. One at a time.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    holder: Option<(ConnectionId, Instant)>,
    asked: HashSet<ConnectionId>,
    asked_since: Option<Instant>,
    next_look: Option<Instant>,
}

impl Turns {
    /// Whether it is worth looking whether there is something to do for a connection; the next one who asks comes too early
    /// for a while.
    pub(crate) fn may_look(&mut self, who: ConnectionId, now: Instant, config: &RelayConfig) -> bool {
        if self.next_look.is_some_and(|next| now < next) || self.holder.is_some_and(|(_, end)| now < end) {
            return false;
        }
        let forget = config.snapshot_turn.saturating_mul(TURNS_FORGOTTEN);
        if self.asked_since.is_none_or(|since| now.saturating_duration_since(since) >= forget) {
            self.asked.clear();
            self.asked_since = Some(now);
        }
        if self.asked.contains(&who) {
            return false;
        }
        self.next_look = Some(now + config.snapshot_pause);
        true
    }

    /// It is this connection's turn, unless another one was faster.
    pub(crate) fn give(&mut self, who: ConnectionId, now: Instant, length: Duration) -> bool {
        if self.holder.is_some_and(|(_, end)| now < end) {
            return false;
        }
        self.holder = Some((who, now + length));
        self.asked.insert(who)
    }

    /// Whether it is, and then for so much longer.
    pub(crate) fn goes_on(&mut self, who: ConnectionId, now: Instant, length: Duration) -> bool {
        let holds = self.holder.is_some_and(|(holder, end)| holder == who && now < end);
        if holds {
            self.holder = Some((who, now + length));
        }
        holds
    }

    /// Something new is there: everybody may be asked what to do with it. Who did it is not.
    pub(crate) fn done(&mut self, who: ConnectionId) {
        *self = Self { asked: HashSet::from([who]), asked_since: self.asked_since, ..Self::default() };
    }
}

/// A snapshot that a client is sending.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) space: SpaceId,
    pub(crate) id: SnapshotId,
    pub(crate) manifest: Manifest,
    offer: SnapshotOffer,
    log_bytes: u64,
    /// The numbers of chunks that are not there, the next one last.
    pub(crate) lacking: Vec<u32>,
}

impl Making {
    /// As it is kept when it is whole.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            id: self.id,
            chunks: count(&self.manifest),
            log_bytes: self.log_bytes,
            record: record(self.space, self.offer.clone()),
        }
    }

    pub(crate) fn offer(self) -> SnapshotOffer {
        self.offer
    }
}

/// What is kept and can be offered, the newest first.
struct Sound {
    kept: Kept,
    offer: SnapshotOffer,
    manifest: Manifest,
}

/// What a client that is caught up could do.
pub(crate) fn task(
    store: &dyn Store,
    space: SpaceId,
    config: &RelayConfig,
) -> Result<Option<Task>, StoreError> {
    let Some(record) = store.space(space)? else { return Ok(None) };
    let newest = sound(store, space, &record)?.into_iter().next();
    let (cursor, log_bytes, bytes) = newest
        .as_ref()
        .map_or((0, 0, 0), |newest| (newest.manifest.cursor, newest.kept.log_bytes, newest.manifest.bytes()));
    let is_due = record.head.cursor.saturating_sub(cursor) > config.snapshot_rows
        && record.bytes.saturating_sub(log_bytes) > config.snapshot_bytes.max(bytes);
    if is_due {
        return Ok(Some(Task::Make));
    }
    let lacks_witness = newest.filter(|newest| newest.offer.by.len() == 1);
    Ok(lacks_witness.map(|newest| Task::Attest(SnapshotOffer { attest: true, ..newest.offer })))
}

/// What a client that is here in the log may look at.
pub(crate) fn look(
    store: &dyn Store,
    space: SpaceId,
    record: &SpaceRecord,
    cursor: u64,
    config: &RelayConfig,
) -> Result<Option<SnapshotOffer>, StoreError> {
    if record.head.cursor.saturating_sub(cursor) <= config.snapshot_rows {
        return Ok(None);
    }
    let useful = |sound: &Sound| {
        sound.offer.by.len() > 1 && sound.manifest.cursor.saturating_sub(cursor) > config.snapshot_rows
    };
    Ok(sound(store, space, record)?.into_iter().find(useful).map(|sound| sound.offer))
}

/// Believes a snapshot that a client sends, and makes room for it; `None` if it is not taken.
pub(crate) fn receive(
    store: &dyn Store,
    space: SpaceId,
    genesis: &Genesis,
    offer: SnapshotOffer,
    config: &RelayConfig,
) -> Result<Option<Making>, StoreError> {
    let id = SnapshotId::of(&offer.manifest);
    let Ok(manifest) = Manifest::decode(&offer.manifest) else { return Ok(None) };
    let [by] = &offer.by[..] else { return Ok(None) };
    let maker = author(Voice::Maker, genesis, id, by);
    if maker.is_none_or(|maker| maker.actor != manifest.actor)
        || manifest.space != space
        || manifest.chunks.is_empty()
    {
        return Ok(None);
    }
    let Some(record) = store.space(space)? else { return Ok(None) };
    let kept = sound(store, space, &record)?;
    let is_new = kept.first().is_none_or(|newest| newest.manifest.cursor < manifest.cursor);
    let snapshot_bytes: u64 = kept.iter().map(|kept| kept.manifest.bytes()).sum();
    let has_room = record.bytes + snapshot_bytes + manifest.bytes() <= config.quota_bytes;
    // What was redacted since may be in it.
    let is_current = manifest.cursor >= redacted_until(store, space)?;
    if !is_new || !is_current || !has_room || !is_place(store, space, &record, &manifest)? {
        return Ok(None);
    }
    let there = store.stage(space, id)?;
    let lacking: Vec<u32> = (0..count(&manifest)).rev().filter(|number| !there.contains(number)).collect();
    let log_bytes = record.bytes;
    Ok(Some(Making { space, id, manifest, offer, log_bytes, lacking }))
}

/// Adds a witness to a snapshot that is kept. Whether it is one.
pub(crate) fn attest(
    store: &dyn Store,
    space: SpaceId,
    genesis: &Genesis,
    id: SnapshotId,
    by: SignedBy,
) -> Result<bool, StoreError> {
    let Some(witness) = author(Voice::Witness, genesis, id, &by) else { return Ok(false) };
    let Some(mut kept) = store.snapshots(space)?.into_iter().find(|kept| kept.id == id) else {
        return Ok(false);
    };
    let Some(mut offer) = offer_in(space, &kept) else { return Ok(false) };
    let devices = offer.by.iter().enumerate().map(|(at, by)| {
        let voice = if at == 0 { Voice::Maker } else { Voice::Witness };
        author(voice, genesis, id, by).map(|author| author.device.key)
    });
    let is_another = devices.into_iter().all(|device| device.is_some_and(|key| key != witness.device.key));
    if !is_another || offer.by.len() > WITNESSES_MAX {
        return Ok(false);
    }
    offer.by.push(by);
    kept.record = record(space, offer);
    store.keep(space, &kept)
}

/// What is wrong with what is kept of a space: its place, its maker, or a chunk.
pub(crate) fn faults(store: &dyn Store, space: SpaceId, genesis: &Genesis) -> Result<Vec<Kept>, StoreError> {
    let Some(space_record) = store.space(space)? else { return Ok(Vec::new()) };
    let mut faults = Vec::new();
    for kept in store.snapshots(space)? {
        if !is_intact(store, space, &space_record, genesis, &kept)? {
            faults.push(kept);
        }
    }
    Ok(faults)
}

fn is_intact(
    store: &dyn Store,
    space: SpaceId,
    record: &SpaceRecord,
    genesis: &Genesis,
    kept: &Kept,
) -> Result<bool, StoreError> {
    let Some(offer) = offer_in(space, kept) else { return Ok(false) };
    let Ok(manifest) = Manifest::decode(&offer.manifest) else { return Ok(false) };
    let is_signed = author(Voice::Maker, genesis, kept.id, &offer.by[0]).is_some();
    if !is_signed || !is_place(store, space, record, &manifest)? {
        return Ok(false);
    }
    for number in 0..count(&manifest) {
        let chunk = store.chunk(space, kept.id, number)?;
        if !chunk.is_some_and(|chunk| manifest.is_chunk(number, &chunk)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sound(store: &dyn Store, space: SpaceId, record: &SpaceRecord) -> Result<Vec<Sound>, StoreError> {
    let (mut found, until) = (Vec::new(), redacted_until(store, space)?);
    for kept in store.snapshots(space)? {
        let Some(offer) = offer_in(space, &kept) else { continue };
        let Ok(manifest) = Manifest::decode(&offer.manifest) else { continue };
        if manifest.cursor >= until && is_place(store, space, record, &manifest)? {
            found.push(Sound { kept, offer, manifest });
        }
    }
    Ok(found)
}

fn is_place(
    store: &dyn Store,
    space: SpaceId,
    record: &SpaceRecord,
    manifest: &Manifest,
) -> Result<bool, StoreError> {
    let Manifest { log_id, cursor, chain, .. } = *manifest;
    let place = Position { log_id, cursor, chain };
    Ok(cursor > 0 && record.check(space, place, |cursor| store.chain_at(space, cursor))?.is_none())
}

/// So many rows a snapshot has to stand for.
fn redacted_until(store: &dyn Store, space: SpaceId) -> Result<u64, StoreError> {
    Ok(store.redacted(&[space])?.first().map_or(0, |(_, until)| *until))
}

fn count(manifest: &Manifest) -> u32 {
    u32::try_from(manifest.chunks.len()).expect("a manifest has at most 256")
}

fn author(voice: Voice, genesis: &Genesis, id: SnapshotId, by: &SignedBy) -> Option<Author> {
    voice.verify(genesis, id, &by.chain, &by.signature)
}

fn record(space: SpaceId, offer: SnapshotOffer) -> Vec<u8> {
    Frame::Snap(space, Snap::Offer(SnapshotOffer { attest: false, ..offer })).encode().to_vec()
}

/// None if that is not what a relay wrote.
fn offer_in(space: SpaceId, kept: &Kept) -> Option<SnapshotOffer> {
    match Frame::decode(&Bytes::copy_from_slice(&kept.record)) {
        Ok(Some(Frame::Snap(of, Snap::Offer(offer))))
            if of == space && SnapshotId::of(&offer.manifest) == kept.id =>
        {
            Some(offer)
        }
        _ => None,
    }
}
