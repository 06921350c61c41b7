//! The one thread that writes. Whatever waits when it is free goes into one commit: under load the cost of an fsync is
//! shared by itself, without a timer.
//!
//! Invariant: a job is answered after its commit, and rows are published after they are durable. The queue is bounded: who
//! finds it full waits, and so does the socket behind.

use std::sync::Arc;
use std::time::Instant;

use stemma::causal::{LogId, SpaceId};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use crate::hub::{ConnectionId, Hub};
use crate::metrics;
use crate::store::{Admitted, Append, Appended, Newcomer, Store, StoreError};

const QUEUE_JOBS: usize = 256;
const COMMIT_ROWS: usize = 4_096;

/// Something to write.
#[derive(Debug)]
pub enum Job {
    /// Rows for one space.
    Append {
        /// The rows.
        append: Append,
        /// Whose they are.
        connection: ConnectionId,
        /// Told after the commit.
        reply: oneshot::Sender<Result<Appended, StoreFailed>>,
    },
    /// Somebody at the door.
    Admit {
        /// The space.
        space: SpaceId,
        /// Its genesis and a log id, if it may be made.
        create: Option<(Vec<u8>, LogId)>,
        /// Who.
        newcomer: Newcomer,
        /// `None`: there is no such space, and it may not be made.
        reply: oneshot::Sender<Result<Option<Admitted>, StoreFailed>>,
    },
    /// Shows that writing works.
    Probe {
        /// Told after the write.
        reply: oneshot::Sender<Result<(), StoreFailed>>,
    },
    /// The end: what was sent before is written, what comes later fails.
    Stop,
}

/// The store failed; the log says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed")]
pub struct StoreFailed;

/// Starts the thread. It ends after [`Job::Stop`], lets go of the store, and then closes the channel returned.
pub fn start(store: Arc<dyn Store>, hub: Arc<Hub>) -> (mpsc::Sender<Job>, oneshot::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE_JOBS);
    let (alive, ended) = oneshot::channel();
    let work = move || {
        run(&*store, &hub, receiver);
        drop((store, hub));
        drop(alive);
    };
    std::thread::Builder::new()
        .name("committer".into())
        .spawn(work)
        .expect("a thread can be started at start-up");
    (sender, ended)
}

type Waiting = (ConnectionId, oneshot::Sender<Result<Appended, StoreFailed>>);

fn run(store: &dyn Store, hub: &Hub, mut jobs: mpsc::Receiver<Job>) {
    let mut stopped = false;
    while !stopped && let Some(first) = jobs.blocking_recv() {
        let mut appends: Vec<Append> = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut others = Vec::new();
        let mut rows = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Append { append, connection, reply } => {
                    rows += append.rows.len();
                    appends.push(append);
                    waiting.push((connection, reply));
                }
                Job::Stop => stopped = true,
                other => others.push(other),
            }
            next = if rows < COMMIT_ROWS && !stopped { jobs.try_recv().ok() } else { None };
        }
        commit(store, hub, &appends, waiting);
        others.into_iter().for_each(|job| write(store, job));
    }
}

fn commit(store: &dyn Store, hub: &Hub, appends: &[Append], waiting: Vec<Waiting>) {
    if appends.is_empty() {
        return;
    }
    // Somebody who gave up waiting is no reason not to write: an answer that nobody takes is dropped.
    let begun = Instant::now();
    match store.append(appends) {
        Ok(results) => {
            metrics::committed(appends.iter().map(|append| append.rows.len()).sum(), begun);
            for ((append, appended), (connection, reply)) in appends.iter().zip(results).zip(waiting) {
                metrics::appended(appended.rows.iter().map(|row| row.row.bytes()).sum());
                hub.publish(append.space, &appended.rows, connection);
                let _ = reply.send(Ok(appended));
            }
        }
        Err(failure) => {
            error!(%failure, "commit failed");
            metrics::store_failed();
            for (_, reply) in waiting {
                let _ = reply.send(Err(StoreFailed));
            }
        }
    }
}

fn write(store: &dyn Store, job: Job) {
    match job {
        Job::Admit { space, create, newcomer, reply } => {
            let _ = reply.send(admit(store, space, create, &newcomer).map_err(failed));
        }
        Job::Probe { reply } => {
            let _ = reply.send(store.probe().map_err(failed));
        }
        Job::Append { .. } | Job::Stop => unreachable!("the loop keeps these for itself"),
    }
}

fn admit(
    store: &dyn Store,
    space: SpaceId,
    create: Option<(Vec<u8>, LogId)>,
    newcomer: &Newcomer,
) -> Result<Option<Admitted>, StoreError> {
    if store.space(space)?.is_none() {
        let Some((genesis, log_id)) = create else { return Ok(None) };
        store.create_space(space, &genesis, log_id)?;
        info!(log = %log_id, "space created");
    }
    store.admit(space, newcomer).map(Some)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(failure: StoreError) -> StoreFailed {
    error!(%failure, "write failed");
    StoreFailed
}
