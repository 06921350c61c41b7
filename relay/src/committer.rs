//! The one thread that writes. Whatever waits when it is free goes into one commit: under load the cost of an fsync is
//! shared by itself, without a timer.
//!
//! Invariants: a job is answered after its commit, and rows are published after they are durable; the rows of a space keep their
//! order. The queue is bounded: who finds it full waits, and so does the socket behind. A space that somebody else holds locked
//! is set aside and tried again, and holds up nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stemma::causal::{LogId, SpaceId};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{error, info};

use crate::hub::{ConnectionId, Hub};
use crate::metrics;
use crate::redaction;
use crate::store::{Admitted, Append, Appended, Newcomer, Store, StoreError};

const QUEUE_JOBS: usize = 256;
const COMMIT_ROWS: usize = 4_096;
/// How often what was set aside is tried again, and when that is given up.
const RETRY: Duration = Duration::from_millis(50);
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Starts the thread. It ends after [`Job::Stop`], lets go of the store, and then closes the channel returned. To be called
/// within a runtime.
pub fn start(store: Arc<dyn Store>, hub: Arc<Hub>) -> (mpsc::Sender<Job>, oneshot::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE_JOBS);
    let (alive, ended) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        run(&*store, &hub, receiver, &runtime);
        drop((store, hub));
        drop(alive);
    };
    std::thread::Builder::new()
        .name("committer".into())
        .spawn(work)
        .expect("a thread can be started at start-up");
    (sender, ended)
}

/// Rows that wait for their commit.
struct Waiting {
    append: Append,
    connection: ConnectionId,
    reply: oneshot::Sender<Result<Appended, StoreFailed>>,
    since: Instant,
}

fn run(store: &dyn Store, hub: &Hub, mut jobs: mpsc::Receiver<Job>, runtime: &Handle) {
    let mut stopped = false;
    let mut set_aside: Vec<Waiting> = Vec::new();
    let mut tried = Instant::now();
    while !stopped {
        let mut next = match set_aside.is_empty() {
            true => match jobs.blocking_recv() {
                Some(job) => Some(job),
                None => break,
            },
            false => {
                let rest = RETRY.saturating_sub(tried.elapsed());
                match runtime.block_on(async { timeout(rest, jobs.recv()).await }) {
                    Ok(None) => {
                        stopped = true;
                        None
                    }
                    job => job.ok().flatten(),
                }
            }
        };
        let mut appends: Vec<Waiting> = Vec::new();
        let mut others = Vec::new();
        let mut rows = 0;
        while let Some(job) = next {
            match job {
                Job::Append { append, connection, reply } => {
                    let waiting = Waiting { append, connection, reply, since: Instant::now() };
                    let is_behind = |other: &Waiting| other.append.space == waiting.append.space;
                    if set_aside.iter().any(is_behind) {
                        set_aside.push(waiting);
                    } else {
                        rows += waiting.append.rows.len();
                        appends.push(waiting);
                    }
                }
                Job::Stop => stopped = true,
                other => others.push(other),
            }
            next = if rows < COMMIT_ROWS && !stopped { jobs.try_recv().ok() } else { None };
        }
        let busy = commit(store, hub, appends);
        if busy.is_empty() && set_aside.is_empty() {
            tried = Instant::now();
        }
        set_aside.extend(busy);
        if !set_aside.is_empty() && (stopped || tried.elapsed() >= RETRY) {
            set_aside = commit(store, hub, std::mem::take(&mut set_aside));
            tried = Instant::now();
            give_up(&mut set_aside, if stopped { Duration::ZERO } else { BUSY_TIMEOUT });
        }
        others.into_iter().for_each(|job| write(store, job));
    }
}

/// Answers those that have waited too long.
fn give_up(set_aside: &mut Vec<Waiting>, longest: Duration) {
    let late = set_aside.extract_if(.., |waiting| waiting.since.elapsed() >= longest);
    for waiting in late {
        error!("commit failed: a space was locked all the time");
        metrics::store_failed();
        let _ = waiting.reply.send(Err(StoreFailed));
    }
}

/// Writes, publishes and answers. Those come back whose space was locked.
fn commit(store: &dyn Store, hub: &Hub, waiting: Vec<Waiting>) -> Vec<Waiting> {
    if waiting.is_empty() {
        return waiting;
    }
    // Somebody who gave up waiting is no reason not to write: an answer that nobody takes is dropped.
    let begun = Instant::now();
    let (mut appends, answers): (Vec<Append>, Vec<_>) = waiting
        .into_iter()
        .map(|Waiting { append, connection, reply, since }| (append, (connection, reply, since)))
        .unzip();
    let mut busy = Vec::new();
    match redaction::append(store, &mut appends) {
        Ok((results, redacted)) => {
            redacted.into_iter().for_each(|space| hub.forget(space));
            metrics::committed(results.iter().map(|appended| appended.results.len()).sum(), begun);
            for ((append, appended), (connection, reply, since)) in
                appends.into_iter().zip(results).zip(answers)
            {
                if appended.is_busy {
                    busy.push(Waiting { append, connection, reply, since });
                    continue;
                }
                metrics::appended(appended.rows.iter().map(|row| row.row.bytes()).sum());
                hub.publish(append.space, &appended.rows, connection);
                // What is there already may be so by another relay, or by a commit whose answer was lost: news here.
                if let Some(head) = appended.head() {
                    hub.raise(append.space, head);
                }
                let _ = reply.send(Ok(appended));
            }
        }
        // One space was removed beside this relay: the others go on.
        Err(StoreError::NoSpace) if appends.len() > 1 => {
            for (append, (connection, reply, since)) in appends.into_iter().zip(answers) {
                busy.extend(commit(store, hub, vec![Waiting { append, connection, reply, since }]));
            }
        }
        Err(failure) => {
            error!(%failure, "commit failed");
            metrics::store_failed();
            for (_, reply, _) in answers {
                let _ = reply.send(Err(StoreFailed));
            }
        }
    }
    busy
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

#[cfg(test)]
mod tests {
    use prost::bytes::Bytes;
    use stemma::causal::ActorId;
    use stemma::event::changeset_id;
    use stemma::sync::{Row, Verdict};

    use super::*;
    use crate::store::{MemoryStore, NewRow};

    const SPACE: SpaceId = SpaceId([1; 32]);
    const ELSEWHERE: ConnectionId = ConnectionId(1);

    fn append(space: SpaceId) -> Append {
        let header = Bytes::from_static(b"header");
        let id = changeset_id(&header);
        let row = Row { header, signature: [0; 64], skeleton: Bytes::new(), content: None };
        let new = NewRow { id, actor: ActorId([1; 32]), seq: 0, prev: None, row };
        Append { space, quota_bytes: u64::MAX, rows: vec![new] }
    }

    fn store() -> MemoryStore {
        let store = MemoryStore::default();
        store.create_space(SPACE, b"", LogId([1; 16])).expect("makes");
        store
    }

    fn answers(store: &MemoryStore, hub: &Hub, appends: &[Append]) -> Vec<Result<Vec<Verdict>, StoreFailed>> {
        let (waiting, answers): (Vec<Waiting>, Vec<_>) = appends
            .iter()
            .map(|append| {
                let (reply, answer) = oneshot::channel();
                let since = Instant::now();
                (Waiting { append: append.clone(), connection: ELSEWHERE, reply, since }, answer)
            })
            .unzip();
        assert!(commit(store, hub, waiting).is_empty());
        let answer = |answer: oneshot::Receiver<_>| answer.blocking_recv().expect("everybody is answered");
        answers
            .into_iter()
            .map(answer)
            .map(|answer| answer.map(|appended: Appended| appended.results))
            .collect()
    }

    #[test]
    fn what_was_committed_without_an_answer_is_news_when_it_is_sent_again() {
        let (store, hub) = (store(), Hub::default());
        let topic = hub.topic(SPACE);
        store.append(&[append(SPACE)]).expect("writes");
        assert_eq!(answers(&store, &hub, &[append(SPACE)]), [Ok(vec![Verdict::Dup { cursor: 1 }])]);
        assert_eq!(topic.now().head, 1);
    }

    #[test]
    fn a_space_that_was_removed_refuses_its_own_rows_alone() {
        let (store, hub) = (store(), Hub::default());
        let batch = [append(SpaceId([2; 32])), append(SPACE), append(SpaceId([2; 32]))];
        let accepted = Ok(vec![Verdict::Accepted { cursor: 1 }]);
        assert_eq!(answers(&store, &hub, &batch), [Err(StoreFailed), accepted, Err(StoreFailed)]);
    }
}
