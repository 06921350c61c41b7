//! Other relays on the same store: what they append rings the bells here.
//!
//! Invariant: a hint that is lost costs time, never rows. Every few seconds the store is asked for the heads of all spaces that
//! somebody listens to.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

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
    let weak = Arc::downgrade(hub);
    store.listen(Box::new(move |hint| {
        let Some(hub) = weak.upgrade() else { return };
        match hint {
            Hint::Moved { space, head } => hub.raise(space, head),
            Hint::Said { space, frame } => hub.say(space, frame, ConnectionId::ELSEWHERE),
        }
    }));
    tokio::spawn(look(Arc::downgrade(store), Arc::downgrade(hub)));
}

/// Looks again and again, until the relay is gone.
async fn look(store: Weak<dyn Store>, hub: Weak<Hub>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let look = {
            let (Some(store), Some(hub)) = (store.upgrade(), hub.upgrade()) else { return };
            spawn_blocking(move || raise(&*store, &hub))
        };
        match look.await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => error!(%failure, "the heads of other relays cannot be read"),
            Err(failure) => error!(%failure, "a look at other relays panicked"),
        }
    }
}

fn raise(store: &dyn Store, hub: &Hub) -> Result<(), StoreError> {
    for spaces in hub.spaces().chunks(SPACES) {
        store.heads(spaces)?.into_iter().for_each(|(space, head)| hub.raise(space, head));
    }
    Ok(())
}
