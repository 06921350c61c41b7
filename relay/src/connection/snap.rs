//! What a client says of snapshots that members make (`docs/protocol.md` §8). The next frame is read after the answer.

use std::sync::Arc;
use std::time::Instant;

use stemma::causal::SpaceId;
use stemma::event::SnapshotId;
use stemma::sync::{Code, Frame, Snap};
use tracing::info;

use super::{End, Reader};
use crate::{metrics, snapshots};

/// What a word about a snapshot costs, in rows: it may take as long to verify.
const SNAP_ROWS: usize = 8;

impl Reader {
    /// What is said of a snapshot. What nobody asked for is not looked at.
    pub(super) async fn on_snap(&mut self, space: SpaceId, snap: Snap) -> Result<(), End> {
        let Some(genesis) = self.spaces.get(&space).cloned() else {
            return self.answer(Code::NotFoundOrDenied, space, None, 0).await;
        };
        if self.rows.take(SNAP_ROWS, Instant::now()).is_err() {
            return Ok(());
        }
        let relay = Arc::clone(&self.relay);
        match snap {
            Snap::Wanted => Ok(()),
            Snap::Offer(offer) => {
                let id = SnapshotId::of(&offer.manifest);
                let (topic, who) = (relay.hub.topic(space), self.connection);
                if !topic.turns(|turns| turns.goes_on(who, Instant::now(), relay.config.snapshot_turn)) {
                    return self.send(Frame::Snap(space, Snap::Bad { id })).await;
                }
                let receive =
                    move || snapshots::receive(&*relay.store, space, &genesis, offer, &relay.config);
                self.making = self.blocking(receive).await?.unwrap_or_default();
                self.next_chunk(space, id).await
            }
            Snap::Get { id, number } => {
                let chunk = self.blocking(move || relay.store.chunk(space, id, number)).await?;
                let bytes = chunk.unwrap_or_default().unwrap_or_default().into();
                self.send(Frame::Snap(space, Snap::Chunk { id, number, bytes })).await
            }
            Snap::Chunk { id, number, bytes } => {
                let is_next = self.making.take_if(|making| {
                    (making.space, making.id, making.lacking.last()) == (space, id, Some(&number))
                        && making.manifest.is_chunk(number, &bytes)
                });
                let Some(mut making) = is_next else {
                    self.making = None;
                    return self.send(Frame::Snap(space, Snap::Bad { id })).await;
                };
                making.lacking.pop();
                let put = self.blocking(move || relay.store.put_chunk(space, id, number, &bytes)).await?;
                self.making = put.is_ok().then_some(making);
                self.next_chunk(space, id).await
            }
            Snap::Attest { id, by } => {
                let attest = move || snapshots::attest(&*relay.store, space, &genesis, id, by);
                if matches!(self.blocking(attest).await?, Ok(true)) {
                    metrics::snapshot("attested");
                    self.relay.hub.topic(space).turn_done(self.connection);
                }
                Ok(())
            }
            Snap::Bad { id } => {
                if matches!(self.blocking(move || relay.store.forget(space, id)).await?, Ok(true)) {
                    metrics::snapshot("reported");
                    info!(connection = self.connection.0, "a snapshot was reported, and is forgotten");
                    self.relay.hub.topic(space).turn_done(self.connection);
                }
                Ok(())
            }
        }
    }

    /// Asks for what is lacking of the snapshot that the client sends; keeps it when nothing is.
    async fn next_chunk(&mut self, space: SpaceId, id: SnapshotId) -> Result<(), End> {
        let (topic, length) = (self.relay.hub.topic(space), self.relay.config.snapshot_turn);
        let is_turn = topic.turns(|turns| turns.goes_on(self.connection, Instant::now(), length));
        let Some(making) = self.making.take_if(|making| !is_turn || making.lacking.is_empty()) else {
            let next = self.making.as_ref().and_then(|making| making.lacking.last().copied());
            let word = next.map_or(Snap::Bad { id }, |number| Snap::Get { id, number });
            return self.send(Frame::Snap(space, word)).await;
        };
        let (relay, kept) = (Arc::clone(&self.relay), making.kept());
        let is_kept =
            is_turn && matches!(self.blocking(move || relay.store.keep(space, &kept)).await?, Ok(true));
        if !is_kept {
            return self.send(Frame::Snap(space, Snap::Bad { id })).await;
        }
        metrics::snapshot("kept");
        topic.turn_done(self.connection);
        self.send(Frame::Snap(space, Snap::Offer(making.offer()))).await
    }
}
