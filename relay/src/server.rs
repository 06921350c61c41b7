//! The HTTP side: `/v1` becomes a WebSocket, `/livez` and `/readyz` answer a supervisor. Start and orderly end of a node.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use hyper::upgrade;
use hyper_util::rt::TokioIo;
use stemma::crypto::SigningKey;
use stemma::sync::FRAME_BYTES_MAX;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};
use tungstenite::handshake::server::create_response;

use crate::committer::{self, Job};
use crate::config::RelayConfig;
use crate::connection;
use crate::hub::{ConnectionId, Hub};
use crate::rate::TokenBucket;
use crate::store::{Store, StoreError};
use crate::tls::TlsError;
use crate::{metrics, neighbours};

/// How long the store may take to show that it can write.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the last commits may take once the connections are gone.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections without a login at a time.
const STRANGERS_MAX: usize = 256;

/// What all connections of a node share.
pub(crate) struct Relay {
    pub(crate) config: RelayConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) key: SigningKey,
    pub(crate) push_bytes: Arc<Semaphore>,
    pub(crate) workers: Semaphore,
    pub(crate) draining: watch::Receiver<bool>,
    handshakes: Mutex<TokenBucket>,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    next_connection: AtomicU64,
}

/// Serves a store on a socket until `shutdown`, then lets the clients go, and returns once everything is written: at the
/// latest `drain_timeout` and a moment later.
///
/// # Errors
/// If the store cannot be read, or the socket fails.
pub async fn serve(
    listener: impl Listener<Addr: std::fmt::Debug>,
    store: Arc<dyn Store>,
    config: RelayConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let key = {
        let store = Arc::clone(&store);
        let seed = spawn_blocking(move || store.identity(random())).await.map_err(io::Error::other)??;
        SigningKey::from_seed(&seed)
    };
    let hub = Arc::new(Hub::default());
    neighbours::follow(&store, &hub);
    let (jobs, committer_ended) = committer::start(Arc::clone(&store), Arc::clone(&hub));
    let (drain, draining) = watch::channel(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let per_second = config.handshakes_per_second;
    let relay = Arc::new(Relay {
        push_bytes: Arc::new(Semaphore::new(config.push_bytes_in_flight.max(FRAME_BYTES_MAX))),
        workers: Semaphore::new(threads),
        handshakes: Mutex::new(TokenBucket::new(per_second, per_second.saturating_mul(2), Instant::now())),
        connections: Arc::new(Semaphore::new(config.connections_max)),
        strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
        next_connection: AtomicU64::new(1),
        config,
        store,
        hub,
        jobs,
        key,
        draining,
    });
    let router = Router::new()
        .route("/v1", get(enter))
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .with_state(Arc::clone(&relay));

    let (connections, connections_max) = (Arc::clone(&relay.connections), relay.config.connections_max);
    let drain_timeout = relay.config.drain_timeout;
    let jobs = relay.jobs.clone();
    drop(relay);
    let end = async move {
        shutdown.await;
        info!("draining");
        drain.send_replace(true);
        let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
        if timeout(drain_timeout, connections.acquire_many(all)).await.is_err() {
            warn!("some connections did not end in time");
        }
    };
    // Requests that never end would hold a graceful end of HTTP up for ever: the clients that matter have been let go.
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        () = end => {}
    }
    let stop = async {
        // It cannot be gone: only this ends it. The channel it closes carries nothing.
        let _ = jobs.send(Job::Stop).await;
        let _ = committer_ended.await;
    };
    if timeout(COMMIT_TIMEOUT, stop).await.is_err() {
        warn!("the committer did not end in time");
    }
    info!("stopped");
    Ok(())
}

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

async fn enter(State(relay): State<Arc<Relay>>, mut request: Request) -> Response {
    let upgraded = upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let Ok(response) = create_response(&Request::from_parts(parts, ())) else {
        return (StatusCode::BAD_REQUEST, "a WebSocket is expected\n").into_response();
    };
    let refused = |why: &'static str| {
        metrics::refused(why.trim_end());
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], why).into_response()
    };
    if *relay.draining.borrow() {
        return refused("draining\n");
    }
    let take = relay.handshakes.lock().expect("taking does not panic").take(1, Instant::now());
    if take.is_err() {
        return refused("too many logins\n");
    }
    let Ok(permit) = Arc::clone(&relay.connections).try_acquire_owned() else {
        return refused("too many connections\n");
    };
    let Ok(stranger) = Arc::clone(&relay.strangers).try_acquire_owned() else {
        return refused("too many strangers\n");
    };
    let connection = ConnectionId(relay.next_connection.fetch_add(1, Ordering::Relaxed));
    tokio::spawn(async move {
        // Nobody is there any more if the connection ended before it was one.
        if let Ok(stream) = upgraded.await {
            connection::serve(relay, connection, stranger, TokioIo::new(stream)).await;
        }
        drop(permit);
    });
    response.map(|()| Body::empty())
}

async fn readyz(State(relay): State<Arc<Relay>>) -> Response {
    if *relay.draining.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    let (reply, answer) = oneshot::channel();
    let probe = async {
        relay.jobs.send(Job::Probe { reply }).await.ok()?;
        answer.await.ok()?.ok()
    };
    match timeout(PROBE_TIMEOUT, probe).await {
        Ok(Some(())) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store does not write\n").into_response(),
    }
}

/// Random bytes of the system.
///
/// # Panics
/// If it has none: nothing can be promised without.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}
