//! The writing half of a connection: frames for it, and the rows of its subscriptions.
//!
//! A subscription is a cursor and a byte credit; rows are read when there is credit and something new, one batch for each
//! subscription in turn, from the topic's ring or from the store. Invariant: nothing is queued here but the few frames in
//! the control channel, whose senders wait; a reader that is slow only lags behind.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::bytes::Bytes;
use stemma::causal::SpaceId;
use stemma::sync::{BATCH_BYTES_MAX, CaughtUp, Code, ErrorFrame, Frame, Snap};
use tokio::pin;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::error;

use crate::connection::Stream;
use crate::hub::{ConnectionId, Topic};
use crate::metrics;
use crate::page::Page;
use crate::server::Relay;
use crate::snapshots::{self, Task};
use crate::store::StoreError;
use crate::websocket::{Outgoing, Sink};

/// Bytes and rows of a page, a quarter of what a BATCH may have: a browser works on one at a time, and shows nothing meanwhile.
const MOST: (usize, usize) = (BATCH_BYTES_MAX / 4, 1_000);

/// What the reading half wants written. Sent in a box: a channel has room for dozens from the start.
#[derive(Debug)]
pub(crate) enum Command {
    /// This frame.
    Send(Frame),
    /// A space from a cursor on.
    Subscribe(Subscription),
    /// Nothing of a space, until it is subscribed to again.
    Leave(SpaceId),
    /// More credit for a space.
    Credit(SpaceId, u64),
    /// An answer to a ping.
    Pong(Bytes),
    /// The end: a last frame, and the close code.
    Close(Option<Frame>, u16),
}

/// A reader of one log.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) space: SpaceId,
    pub(crate) topic: Arc<Topic>,
    pub(crate) cursor: u64,
    pub(crate) credit: i64,
    pub(crate) caught_up: bool,
    /// How much of what was said to this topic has been passed on.
    pub(crate) heard: u64,
}

/// The writing half.
pub(crate) struct Pump {
    relay: Arc<Relay>,
    connection: ConnectionId,
    sink: Sink<Stream>,
    bell: Arc<Notify>,
    subscriptions: Vec<Subscription>,
    next_tick: Instant,
    next_ping: Instant,
}

/// The connection is gone, or takes nothing any more.
#[derive(Debug)]
struct Gone;

impl Pump {
    pub(crate) fn new(relay: Arc<Relay>, connection: ConnectionId, sink: Sink<Stream>) -> Self {
        let next_tick = Instant::now() + relay.config.tick;
        Self {
            relay,
            connection,
            sink,
            bell: Arc::default(),
            subscriptions: Vec::new(),
            next_tick,
            next_ping: next_tick,
        }
    }

    /// Runs until the reading half closes, or the socket does.
    pub(crate) async fn run(mut self, mut control: mpsc::Receiver<Box<Command>>) {
        // An error here is the end of the connection; the reading half sees the channel close.
        let _ = self.pump(&mut control).await;
        for subscription in &self.subscriptions {
            subscription.topic.leave(self.connection);
        }
    }

    async fn pump(&mut self, control: &mut mpsc::Receiver<Box<Command>>) -> Result<(), Gone> {
        let bell = Arc::clone(&self.bell);
        // Set again when it has passed, not whenever something is written: that would cost more than the writing.
        let alarm = sleep_until(self.next_tick);
        pin!(alarm);
        loop {
            while let Ok(command) = control.try_recv() {
                self.command(*command).await?;
            }
            if self.round().await? {
                continue;
            }
            tokio::select! {
                command = control.recv() => self.command(*command.ok_or(Gone)?).await?,
                () = bell.notified() => {}
                () = &mut alarm => {
                    self.tick().await?;
                    alarm.as_mut().reset(self.next_tick.min(self.next_ping));
                }
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Gone> {
        match command {
            Command::Send(frame) => self.send(frame).await,
            Command::Subscribe(subscription) => {
                subscription.topic.leave(self.connection);
                subscription.topic.listen(self.connection, Arc::clone(&self.bell));
                self.subscriptions.retain(|other| other.space != subscription.space);
                self.subscriptions.push(subscription);
                Ok(())
            }
            Command::Leave(space) => {
                if let Some(at) = self.subscriptions.iter().position(|other| other.space == space) {
                    self.subscriptions.swap_remove(at).topic.leave(self.connection);
                }
                Ok(())
            }
            Command::Credit(space, bytes) => {
                if let Some(subscription) = self.subscriptions.iter_mut().find(|other| other.space == space) {
                    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                    subscription.credit = subscription.credit.saturating_add(bytes);
                }
                Ok(())
            }
            Command::Pong(payload) => self.write(Outgoing::Pong(payload)).await,
            Command::Close(frame, code) => {
                if let Some(frame) = frame {
                    self.send(frame).await?;
                }
                self.write(Outgoing::Close(code)).await?;
                Err(Gone)
            }
        }
    }

    /// One batch for every subscription that has credit and lags; whether there was any.
    async fn round(&mut self) -> Result<bool, Gone> {
        let mut progress = false;
        for index in (0..self.subscriptions.len()).rev() {
            let Subscription { space, ref topic, cursor, credit, caught_up, heard } =
                self.subscriptions[index];
            let now = topic.now();
            if now.is_ended {
                self.give_up(index).await?;
                continue;
            }
            if now.said_count > heard {
                self.pass_on(index).await?;
            }
            if cursor >= now.head {
                if !caught_up {
                    self.subscriptions[index].caught_up = true;
                    self.send(Frame::CaughtUp(CaughtUp { space, cursor })).await?;
                }
                if now.head > self.relay.config.snapshot_rows {
                    self.ask_for_snapshot(index).await?;
                }
            } else if credit > 0 {
                progress = true;
                match self.page(index).await {
                    Some(page) => self.batch(index, page).await?,
                    None => self.give_up(index).await?,
                }
            }
        }
        Ok(progress)
    }

    /// Asks for a snapshot, or for a witness of one, if there is something to do and it is nobody's turn.
    async fn ask_for_snapshot(&mut self, index: usize) -> Result<(), Gone> {
        let Subscription { space, ref topic, .. } = self.subscriptions[index];
        let (who, now) = (self.connection, std::time::Instant::now());
        if !topic.turns(|turns| turns.may_look(who, now, &self.relay.config)) {
            return Ok(());
        }
        let topic = Arc::clone(topic);
        let relay = Arc::clone(&self.relay);
        let look = move || snapshots::task(&*relay.store, space, &relay.config);
        let Ok(Ok(Some(task))) = tokio::task::spawn_blocking(look).await else { return Ok(()) };
        if !topic.turns(|turns| turns.give(who, now, self.relay.config.snapshot_turn)) {
            return Ok(());
        }
        let snap = match task {
            Task::Make => Snap::Wanted,
            Task::Attest(offer) => Snap::Offer(offer),
        };
        metrics::snapshot(if snap == Snap::Wanted { "wanted" } else { "offered" });
        self.send(Frame::Snap(space, snap)).await
    }

    /// What others said to whoever is there.
    async fn pass_on(&mut self, index: usize) -> Result<(), Gone> {
        let subscription = &mut self.subscriptions[index];
        let said = subscription.topic.heard(subscription.heard);
        if let Some(last) = said.last() {
            subscription.heard = last.number;
        }
        let own = self.connection;
        for said in said.into_iter().filter(|said| said.by != own) {
            self.send_bytes(said.frame).await?;
        }
        Ok(())
    }

    /// The next rows of a subscription, from the ring or else the store; `None` if that fails.
    async fn page(&mut self, index: usize) -> Option<Page> {
        let subscription = &self.subscriptions[index];
        let (space, cursor) = (subscription.space, subscription.cursor);
        if let Some(page) = subscription.topic.page(space, cursor, self.connection, MOST) {
            metrics::delivered(page.rows, page.bytes, "ring");
            return Some(page);
        }
        let store = Arc::clone(&self.relay.store);
        let read = move || {
            let rows = store.read(space, cursor, MOST.0, MOST.1)?;
            Ok::<_, StoreError>(Page::new(space, rows.into_iter().map(|row| (row, false)), None))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(page)) => {
                let page = page?;
                metrics::delivered(page.rows, page.bytes, "store");
                Some(page)
            }
            Ok(Err(failure)) => {
                metrics::store_failed();
                error!(%failure, "read failed");
                None
            }
            Err(failure) => {
                error!(%failure, "read panicked");
                None
            }
        }
    }

    async fn batch(&mut self, index: usize, page: Page) -> Result<(), Gone> {
        let subscription = &mut self.subscriptions[index];
        subscription.cursor = page.last;
        subscription.credit -= i64::try_from(page.bytes).expect("a page is small");
        subscription.caught_up = false;
        self.send_bytes(page.frame).await?;
        if let Some(committed) = page.committed {
            metrics::written(committed);
        }
        Ok(())
    }

    /// The store did not give what it should: this space ends here, the others go on.
    async fn give_up(&mut self, index: usize) -> Result<(), Gone> {
        let subscription = self.subscriptions.swap_remove(index);
        subscription.topic.leave(self.connection);
        let mut frame = ErrorFrame::new(Code::StoreUnavailable, "the log cannot be read");
        frame.space = Some(subscription.space);
        self.send(Frame::Error(frame)).await
    }

    /// Rows are no sign that the peer is there, so it is pinged even while it is sent to.
    async fn tick(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        if self.next_ping <= now {
            self.next_ping = now + self.relay.config.tick;
            self.write(Outgoing::Ping).await?;
        }
        if self.next_tick > now {
            return Ok(());
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.send(Frame::Tick { time_ms }).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), Gone> {
        self.send_bytes(frame.encode()).await
    }

    async fn send_bytes(&mut self, frame: Bytes) -> Result<(), Gone> {
        self.next_tick = Instant::now() + self.relay.config.tick;
        self.write(Outgoing::Binary(frame)).await
    }

    async fn write(&mut self, message: Outgoing) -> Result<(), Gone> {
        let write = timeout(self.relay.config.stall_timeout, self.sink.send(message));
        write.await.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}
