//! The reading half of a connection: login, subscriptions, pushes.
//!
//! Invariants: before a login nothing but AUTH is looked at, and little of anything; every frame about a space that was not
//! admitted gets the same answer; a push is answered after its commit, and the next frame is read after the answer: so a
//! client that sends faster than the store writes is slowed down by its own socket.

mod snap;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use stemma::causal::{SpaceId, Tip};
use stemma::event::{Genesis, differing, heads_digest};
use stemma::sync::{
    Ack, Admission, Auth, AuthOk, BATCH_BYTES_MAX, Chain, Code, Ephemeral, ErrorFrame, Frame, GetChain,
    GoAway, HEADS_TIPS_MAX, HeadsDiffer, HeadsRange, Hello, PUSH_ROWS_MAX, Position, Push, Resync, Row, Snap,
    SnapshotOffer, Subscribe, Subscribed, VERSION, Verdict,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, error, info};

use crate::committer::Job;
use crate::config::LIMITS;
use crate::hub::ConnectionId;
use crate::metrics::{self, Open};
use crate::pump::{Command, Pump, Subscription};
use crate::rate::TokenBucket;
use crate::receipt;
use crate::server::{Relay, random};
use crate::snapshots::{self, Making};
use crate::store::{Admitted, Append, Hint, NewRow, StoreError};
use crate::verify::{Knock, verify_login, verify_row};
use crate::websocket::{self, Incoming, Source};

/// What a connection may send before it is logged in.
const STRANGER_BYTES_MAX: usize = 16_384;
/// Frames that wait to be written; who puts more waits.
const CONTROL_FRAMES: usize = 64;
/// How long a push may wait for its turn.
const OVERLOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// EPHEMERAL frames a second, and at once, that a connection has passed on.
const SAID_PER_SECOND: u32 = 30;
const SAID_BURST: u32 = 60;
/// How often a second, and at once, a connection has all ends of a space looked at. An honest one asks twice about each of its spaces.
const LOOKS_PER_SECOND: u32 = 1;
const LOOKS_BURST: u32 = 64;
/// Close codes of WebSocket: the policy was violated; the service restarts.
const CLOSE_POLICY: u16 = 1008;
const CLOSE_RESTART: u16 = 1012;
const CLOSE_NORMAL: u16 = 1000;
/// GOAWAY spreads the clients that come back over this time.
const RETRY_SPREAD_MS: u64 = 30_000;

/// What a connection runs over.
pub(crate) type Stream = TokioIo<Upgraded>;

/// Serves one client until either side ends it.
pub(crate) async fn serve(
    relay: Arc<Relay>,
    connection: ConnectionId,
    stranger: OwnedSemaphorePermit,
    stream: Stream,
) {
    let _open = Open::begin();
    let (mut stream, sink) = websocket::open(stream);
    let (control, commands) = mpsc::channel(CONTROL_FRAMES);
    let pump = tokio::spawn(Pump::new(Arc::clone(&relay), connection, sink).run(commands));
    let now = Instant::now();
    let mut reader = Reader {
        nonce: random(),
        spaces: HashMap::new(),
        rows: TokenBucket::new(relay.config.rows_per_second, relay.config.rows_burst, now),
        said: TokenBucket::new(SAID_PER_SECOND, SAID_BURST, now),
        looks: TokenBucket::new(LOOKS_PER_SECOND, LOOKS_BURST, now),
        connection,
        control,
        relay,
        making: None,
        stranger: Some(stranger),
    };
    let end = reader.run(&mut stream).await;
    let Reader { control, relay, .. } = reader;
    if let Some((frame, code)) = end.farewell() {
        // The pump may be gone with the socket; then there is nobody to say it to.
        let _ = control.send(Box::new(Command::Close(frame, code))).await;
    }
    drop(control);
    if let Err(failure) = pump.await {
        error!(%failure, "a pump panicked");
    }
    // What is still coming in is read for a moment: closing over unread bytes would take the last frame with it.
    let drain = async { while stream.next().await.is_ok() {} };
    let _ = timeout(relay.config.tick.min(Duration::from_secs(1)), drain).await;
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The socket is gone, or says nothing any more.
    Gone,
    /// The client closed.
    Closed,
    /// The node goes down.
    Drain,
    /// The client broke the protocol, or cannot be served.
    Refused(ErrorFrame),
}

impl End {
    fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused(ErrorFrame::new(code, message))
    }

    /// The last frame and the close code.
    fn farewell(self) -> Option<(Option<Frame>, u16)> {
        match self {
            Self::Gone => None,
            Self::Closed => Some((None, CLOSE_NORMAL)),
            Self::Drain => {
                let go = GoAway { code: Code::Draining, retry_min_ms: 0, retry_max_ms: RETRY_SPREAD_MS };
                Some((Some(Frame::GoAway(go)), CLOSE_RESTART))
            }
            Self::Refused(error) => Some((Some(Frame::Error(error)), CLOSE_POLICY)),
        }
    }
}

/// What a SUBSCRIBE finds.
struct Found {
    head: Position,
    resync: Option<Resync>,
    /// The end of a log that holds the same as the client.
    same: Option<Position>,
    /// That of one that holds something else, and is compared.
    other: Option<Position>,
    tips: Vec<Tip>,
    /// What is looked at before rows are read.
    look: Option<SnapshotOffer>,
}

struct Reader {
    relay: Arc<Relay>,
    connection: ConnectionId,
    control: mpsc::Sender<Box<Command>>,
    nonce: [u8; 32],
    /// The spaces this client was admitted to.
    spaces: HashMap<SpaceId, Arc<Genesis>>,
    rows: TokenBucket,
    /// EPHEMERAL frames.
    said: TokenBucket,
    /// A snapshot that the client sends.
    making: Option<Making>,
    /// What costs as much as a space has ends.
    looks: TokenBucket,
    /// Held until the login: only so many strangers can make the node hold their bytes.
    stranger: Option<OwnedSemaphorePermit>,
}

impl Reader {
    async fn run(&mut self, stream: &mut Source<Stream>) -> End {
        match self.converse(stream).await {
            Ok(never) => never,
            Err(end) => {
                if let End::Refused(error) = &end {
                    info!(connection = self.connection.0, code = error.code.name(), error.message, "refused");
                }
                end
            }
        }
    }

    async fn converse(&mut self, stream: &mut Source<Stream>) -> Result<End, End> {
        let hello = Hello {
            min_version: VERSION,
            max_version: VERSION,
            relay_key: self.relay.key.public(),
            nonce: self.nonce,
            limits: LIMITS,
        };
        self.send(Frame::Hello(hello)).await?;
        // In boxes: what a connection needs for a moment it does not hold for hours.
        let login = timeout(self.relay.config.auth_timeout, Box::pin(self.login(stream))).await;
        login.unwrap_or_else(|_| Err(End::refused(Code::AuthFailed, "no AUTH in time")))?;
        self.stranger = None;
        loop {
            let bytes = self.receive(stream).await?;
            if let Some(frame) = decode(&bytes)? {
                Box::pin(self.on_frame(frame)).await?;
            }
        }
    }

    /// The next binary message.
    async fn receive(&self, stream: &mut Source<Stream>) -> Result<Bytes, End> {
        let mut draining = self.relay.draining.clone();
        loop {
            let message = tokio::select! {
                message = timeout(self.relay.config.stall_timeout, stream.next()) => message,
                () = self.control.closed() => return Err(End::Gone),
                _ = draining.wait_for(|draining| *draining) => return Err(End::Drain),
            };
            match message {
                Ok(Ok(Incoming::Binary(bytes))) => return Ok(bytes),
                Ok(Ok(Incoming::Ping(payload))) => self.put(Command::Pong(payload)).await?,
                Ok(Ok(Incoming::Pong)) => {}
                Ok(Ok(Incoming::Text)) => return Err(End::refused(Code::Malformed, "a text message")),
                Ok(Ok(Incoming::Close)) => return Err(End::Closed),
                Ok(Err(_)) | Err(_) => return Err(End::Gone),
            }
        }
    }

    async fn login(&mut self, stream: &mut Source<Stream>) -> Result<(), End> {
        let mut received = 0;
        loop {
            let bytes = self.receive(stream).await?;
            received += bytes.len();
            if received > STRANGER_BYTES_MAX {
                return Err(End::refused(Code::TooLarge, "too many bytes before a login"));
            }
            match decode(&bytes)? {
                None => {}
                Some(Frame::Auth(auth)) => return self.on_auth(auth).await,
                Some(_) => return Err(End::refused(Code::Malformed, "a frame before AUTH")),
            }
        }
    }

    async fn on_auth(&mut self, auth: Auth) -> Result<(), End> {
        if auth.version != VERSION {
            return Err(End::refused(Code::Version, "this relay speaks version 1"));
        }
        let may_create = self.relay.config.create.allows(&auth.token);
        let (relay_key, nonce) = (self.relay.key.public(), self.nonce);
        let now_ms = receipt::now_ms();
        let verify = move || verify_login(&auth, &relay_key, &nonce, now_ms);
        let knocks =
            self.blocking(verify).await?.map_err(|message| End::refused(Code::AuthFailed, message))?;
        let mut spaces = Vec::with_capacity(knocks.len());
        for knock in knocks {
            let space = knock.genesis.id();
            let refused = self.admit(knock, may_create).await?;
            if let Some(code) = refused {
                info!(connection = self.connection.0, code = code.name(), "not admitted");
            }
            spaces.push(Admission { space, refused });
        }
        self.send(Frame::AuthOk(AuthOk { version: VERSION, spaces })).await
    }

    async fn admit(&mut self, knock: Knock, may_create: bool) -> Result<Option<Code>, End> {
        let Knock { genesis, newcomer } = knock;
        let space = genesis.id();
        let create = may_create.then(|| (genesis.as_bytes().to_vec(), stemma::causal::LogId(random())));
        let (reply, answer) = oneshot::channel();
        let admitted = self.commit(Job::Admit { space, create, newcomer, reply }, answer).await;
        match admitted.ok_or_else(|| End::refused(Code::StoreUnavailable, "the store failed"))? {
            None => Ok(Some(Code::Denied)),
            Some(Admitted::Expired) => Ok(Some(Code::InviteExpired)),
            Some(Admitted::Used) => Ok(Some(Code::InviteUsed)),
            Some(Admitted::In) => {
                self.spaces.insert(space, Arc::new(genesis));
                Ok(None)
            }
        }
    }

    async fn on_frame(&mut self, frame: Frame) -> Result<(), End> {
        match frame {
            Frame::Subscribe(subscribe) => self.on_subscribe(subscribe).await,
            Frame::Credit(credit) => self.put(Command::Credit(credit.space, credit.bytes)).await,
            Frame::Push(push) => self.on_push(push).await,
            Frame::Ephemeral(said) => self.on_ephemeral(said).await,
            Frame::HeadsRange(heads) => self.on_heads_range(heads).await,
            Frame::GetChain(question) => self.on_get_chain(question).await,
            Frame::Snap(space, snap) => self.on_snap(space, snap).await,
            Frame::Error(error) => {
                debug!(
                    connection = self.connection.0,
                    code = error.code.name(),
                    error.message,
                    "client says"
                );
                Err(End::Closed)
            }
            frame => {
                Err(End::refused(Code::Malformed, format!("frame type {:#04x} out of place", frame.kind())))
            }
        }
    }

    async fn on_subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let Subscribe { space, from, own, credit, heads, held, look: looks } = subscribe;
        if !self.spaces.contains_key(&space) {
            return self.answer(Code::NotFoundOrDenied, space, None, 0).await;
        }
        if heads.is_some()
            && let Err(wait) = self.looks.take(1, Instant::now())
        {
            return self.answer(Code::Rate, space, None, in_ms(wait)).await;
        }
        let topic = self.relay.hub.topic(space);
        let relay = Arc::clone(&self.relay);
        // Before it looks: what was pushed until then it has to find.
        let (asked, time_ms) = (own.clone(), receipt::now_ms());
        let look = move || {
            let store = &relay.store;
            let record = store.space(space)?.ok_or(StoreError::NoSpace)?;
            let check = |from| record.check(space, from, |cursor| store.chain_at(space, cursor));
            let resync = from.map(check).transpose()?.flatten();
            let tips = store.tips(space, &own)?;
            let mut found = Found { head: record.head, resync, same: None, other: None, tips, look: None };
            if let Some(heads) = heads.filter(|_| resync.is_some() || from.is_none()) {
                let (head, tips) = store.ends(space)?;
                found.head = head;
                match heads_digest(tips) == heads {
                    // Another log of the same changesets: its end is where the client is.
                    true => found.same = Some(head),
                    false => {
                        found.other = (head.cursor > 0 && held >= head.cursor.div_ceil(2)).then_some(head)
                    }
                }
            }
            if looks && found.same.is_none() && found.other.is_none() {
                let cursor = from.filter(|_| resync.is_none()).map_or(0, |from| from.cursor);
                found.look = snapshots::look(&**store, space, &record, cursor, &relay.config)?;
            }
            Ok::<_, StoreError>(found)
        };
        let Found { head, resync, same, other, tips, look } = match self.blocking(look).await? {
            Ok(found) => found,
            Err(failure) => {
                error!(%failure, "subscribe failed");
                return self.answer(Code::StoreUnavailable, space, None, 1_000).await;
            }
        };
        if !topic.is_of(head.log_id) {
            // The space was made anew, and this relay had not seen it go. Whoever was here before, and this client, come again.
            self.relay.hub.end(space);
            return self.answer(Code::StoreUnavailable, space, None, 0).await;
        }
        topic.raise(head.cursor);
        let from = if resync.is_some() || from.is_none() { same } else { from };
        let cursor = from.map_or(0, |from| from.cursor);
        if let Some(reason) = resync {
            info!(connection = self.connection.0, ?reason, same = same.is_some(), "resync");
            metrics::resync(reason);
        }
        let (chain, place) = (same.map(|same| same.chain), other.map(|other| other.chain));
        let said = receipt::holding(&self.relay.key, space, time_ms, asked, tips.clone());
        let subscribed =
            Subscribed { space, resync, log_id: head.log_id, head: head.cursor, tips, chain, place, said };
        self.send(Frame::Subscribed(subscribed)).await?;
        if place.is_some() {
            return self.put(Command::Leave(space)).await;
        }
        let mut credit = i64::try_from(credit).unwrap_or(i64::MAX);
        if let Some(offer) = look {
            // The rows come when the client has seen it.
            credit = 0;
            metrics::snapshot("shown");
            self.send(Frame::Snap(space, Snap::Offer(offer))).await?;
        }
        let heard = topic.now().said_count;
        self.put(Command::Subscribe(Subscription { space, topic, cursor, credit, caught_up: false, heard }))
            .await
    }

    /// Where a client's heads are others than the store's.
    async fn on_heads_range(&mut self, heads: HeadsRange) -> Result<(), End> {
        let HeadsRange { space, sums } = heads;
        if !self.spaces.contains_key(&space) {
            return self.answer(Code::NotFoundOrDenied, space, None, 0).await;
        }
        if let Err(wait) = self.looks.take(1, Instant::now()) {
            return self.answer(Code::Rate, space, None, in_ms(wait)).await;
        }
        let store = Arc::clone(&self.relay.store);
        let look = move || store.ends(space).map(|(_, tips)| differing(tips, &sums));
        let (ranges, mut tips) = match self.blocking(look).await? {
            Ok(found) => found,
            Err(failure) => {
                error!(%failure, "heads cannot be read");
                return self.answer(Code::StoreUnavailable, space, None, 1_000).await;
            }
        };
        let too_many = tips.len() > HEADS_TIPS_MAX;
        if too_many {
            tips.clear();
        }
        self.send(Frame::HeadsDiffer(HeadsDiffer { space, ranges, tips, too_many })).await
    }

    /// Rows by their places. The next question is read after this answer is on its way.
    async fn on_get_chain(&mut self, question: GetChain) -> Result<(), End> {
        let GetChain { space, ranges, after } = question;
        if !self.spaces.contains_key(&space) {
            return self.answer(Code::NotFoundOrDenied, space, None, 0).await;
        }
        let store = Arc::clone(&self.relay.store);
        let read = move || store.chains(space, &ranges, after, BATCH_BYTES_MAX, PUSH_ROWS_MAX);
        let (page, more) = match self.blocking(read).await? {
            Ok(found) => found,
            Err(failure) => {
                error!(%failure, "chains cannot be read");
                return self.answer(Code::StoreUnavailable, space, None, 1_000).await;
            }
        };
        let bytes = page.iter().map(|row| row.row.bytes()).sum();
        metrics::delivered(page.len(), bytes, "store");
        let next = page.last().filter(|_| more).map_or(0, |last| last.cursor);
        let rows = page.into_iter().map(|row| row.row).collect();
        self.send(Frame::Chain(Chain { space, rows, next })).await
    }

    /// Passed on to whoever listens, if there is not too much of it: what is left out comes again by itself.
    async fn on_ephemeral(&mut self, said: Ephemeral) -> Result<(), End> {
        let space = said.space;
        if !self.spaces.contains_key(&space) {
            return self.answer(Code::NotFoundOrDenied, space, None, 0).await;
        }
        let passes = self.said.take(1, Instant::now()).is_ok();
        metrics::said(passes);
        if passes {
            let frame = Frame::Ephemeral(said).encode();
            self.relay.hub.say(space, frame.clone(), self.connection);
            self.relay.store.tell(Hint::Said { space, frame });
        }
        Ok(())
    }

    async fn on_push(&mut self, push: Push) -> Result<(), End> {
        let begun = Instant::now();
        let Push { push_id, space, rows } = push;
        let Some(genesis) = self.spaces.get(&space).cloned() else {
            return self.answer(Code::NotFoundOrDenied, space, Some(push_id), 0).await;
        };
        let bytes: usize = rows.iter().map(Row::bytes).sum();
        if bytes > LIMITS.push_bytes as usize {
            return self.answer(Code::TooLarge, space, Some(push_id), 0).await;
        }
        if let Err(wait) = self.rows.take(rows.len(), Instant::now()) {
            return self.answer(Code::Rate, space, Some(push_id), in_ms(wait)).await;
        }
        let permits = u32::try_from(bytes).expect("a frame is below 4 GiB");
        let in_flight = Arc::clone(&self.relay.push_bytes).acquire_many_owned(permits);
        let Ok(Ok(in_flight)) = timeout(OVERLOAD_TIMEOUT, in_flight).await else {
            return self.answer(Code::Overloaded, space, Some(push_id), 1_000).await;
        };
        let verify = move || rows.into_iter().map(|row| verify_row(row, space, &genesis)).collect::<Vec<_>>();
        let judged = self.blocking(verify).await?;
        let pushed = receipt::places(&judged);
        let Some(results) = self.append(space, judged).await else {
            return self.answer(Code::StoreUnavailable, space, Some(push_id), 1_000).await;
        };
        drop(in_flight);
        metrics::acked(&results, begun);
        let said = receipt::pushed(&self.relay.key, space, pushed, &results);
        self.send(Frame::Ack(Ack { push_id, results, said })).await
    }

    /// Commits the rows that verified; the verdicts of all come back in order, `None` if the store failed.
    async fn append(&self, space: SpaceId, judged: Vec<Result<NewRow, Code>>) -> Option<Vec<Verdict>> {
        let codes: Vec<Option<Code>> = judged.iter().map(|row| row.as_ref().err().copied()).collect();
        let rows: Vec<NewRow> = judged.into_iter().flatten().collect();
        let mut verdicts = Vec::new();
        if !rows.is_empty() {
            let append = Append { space, quota_bytes: self.relay.config.quota_bytes, rows };
            let (reply, answer) = oneshot::channel();
            verdicts = self
                .commit(Job::Append { append, connection: self.connection, reply }, answer)
                .await?
                .results;
        }
        let mut verdicts = verdicts.into_iter();
        let verdict = |code: Option<Code>| match code {
            Some(code) => Some(Verdict::Rejected(code)),
            None => verdicts.next(),
        };
        codes.into_iter().map(verdict).collect()
    }

    /// Hands a job to the committer and waits; `None` if the store failed.
    async fn commit<T, E>(&self, job: Job, answer: oneshot::Receiver<Result<T, E>>) -> Option<T> {
        self.relay.jobs.send(job).await.ok()?;
        answer.await.ok()?.ok()
    }

    /// Runs what takes longer than a moment beside the sockets, on as many threads as the machine has.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, End> {
        let _turn = self.relay.workers.acquire().await.map_err(|_| End::Gone)?;
        spawn_blocking(work).await.map_err(|failure| {
            error!(%failure, "a worker panicked");
            End::Gone
        })
    }

    /// An error about one space or push; the connection goes on.
    async fn answer(
        &self,
        code: Code,
        space: SpaceId,
        push_id: Option<u64>,
        retry_after_ms: u64,
    ) -> Result<(), End> {
        info!(connection = self.connection.0, code = code.name(), push_id, "refused");
        let error = ErrorFrame { space: Some(space), push_id, retry_after_ms, ..ErrorFrame::new(code, "") };
        self.send(Frame::Error(error)).await
    }

    async fn send(&self, frame: Frame) -> Result<(), End> {
        self.put(Command::Send(frame)).await
    }

    async fn put(&self, command: Command) -> Result<(), End> {
        self.control.send(Box::new(command)).await.map_err(|_| End::Gone)
    }
}

fn in_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn decode(bytes: &Bytes) -> Result<Option<Frame>, End> {
    Frame::decode(bytes).map_err(|error| End::Refused((&error).into()))
}
