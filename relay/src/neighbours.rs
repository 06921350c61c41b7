//! Other relays on the same store: what they append rings the bells here.
//!
//! Invariant: a hint that is lost costs time, never rows. Every few seconds the store is asked for the heads of all spaces that
//! somebody listens to.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use prost::bytes::Bytes;
use stemma::causal::{LogId, SpaceId};
use stemma::sync::Frame;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

use crate::hub::{ConnectionId, Hub};
use crate::store::{Hint, Store, StoreError};

/// How long a lost hint goes unnoticed.
const LOOK: Duration = Duration::from_secs(3);

/// Spaces in one question.
const SPACES: usize = 4_096;

/// Follows what other relays do, as long as the hub is there; if the store has other relays at all.
pub(crate) fn follow(store: &Arc<dyn Store>, hub: &Arc<Hub>) {
    if !store.is_shared() {
        return;
    }
    let missed = Arc::new(Notify::new());
    let (weak, bell) = (Arc::downgrade(hub), Arc::clone(&missed));
    store.listen(Box::new(move |hint| {
        let Some(hub) = weak.upgrade() else { return };
        match hint {
            Hint::Moved { space, head } => hub.raise(space, head),
            Hint::Said { space, frame } if is_said(space, &frame) => {
                hub.say(space, frame, ConnectionId::ELSEWHERE);
            }
            Hint::Said { .. } => {}
            Hint::Missed => bell.notify_one(),
        }
    }));
    tokio::spawn(look(Arc::downgrade(store), Arc::downgrade(hub), missed));
}

/// Whether it is what a relay passes on: hints come from whoever may connect to the database.
fn is_said(space: SpaceId, frame: &Bytes) -> bool {
    matches!(Frame::decode(frame), Ok(Some(Frame::Ephemeral(said))) if said.space == space)
}

/// Looks again and again, and when hints were lost, until the relay is gone.
async fn look(store: Weak<dyn Store>, hub: Weak<Hub>, missed: Arc<Notify>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = missed.notified() => {}
        }
        let look = {
            let (Some(store), Some(hub)) = (store.upgrade(), hub.upgrade()) else { return };
            spawn_blocking(move || compare(&*store, &hub))
        };
        match look.await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => error!(%failure, "the heads of other relays cannot be read"),
            Err(failure) => error!(%failure, "a look at other relays panicked"),
        }
    }
}

/// Tells who listens where the store is further. Where it has another log, or is not as far as a head was *before* it was asked,
/// the space was removed, the database has lost what it had, or a hint was a lie: who listens begins anew.
fn compare(store: &dyn Store, hub: &Hub) -> Result<(), StoreError> {
    for before in hub.heads().chunks(SPACES) {
        let spaces: Vec<SpaceId> = before.iter().map(|(space, ..)| *space).collect();
        let now = store.heads(&spaces)?.into_iter().map(|(space, log, head)| (space, (log, head)));
        let now: HashMap<SpaceId, (LogId, u64)> = now.collect();
        for &(space, log, before) in before {
            let known = now.get(&space);
            let head = known.map_or(0, |(_, head)| *head);
            let is_other = known.is_some_and(|(now, _)| log.is_some_and(|log| log != *now));
            if is_other || head < before {
                warn!("a log is another one, or not as long as it was: who follows it begins anew");
                hub.end(space);
            } else {
                hub.raise(space, head);
            }
        }
    }
    Ok(())
}
