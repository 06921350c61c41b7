//! The writing half of a connection: frames for it, and the rows of its subscriptions.
//!
//! A subscription is a cursor and a byte credit; rows are read when there is credit and something new, one batch for each
//! subscription in turn, from the topic's ring or from the store. Invariant: nothing is queued here but the few frames in
//! the control channel, whose senders wait; a reader that is slow only lags behind.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use prost::bytes::Bytes;
use stemma::causal::{LogChain, SpaceId};
use stemma::event::changeset_id;
use stemma::sync::{BATCH_BYTES_MAX, Batch, CaughtUp, Code, Delivery, ErrorFrame, Frame};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::error;

use crate::hub::{ConnectionId, Recent, Topic};
use crate::metrics;
use crate::server::Relay;
use crate::store::StoredRow;

const BATCH_ROWS: usize = 1_000;

/// What the reading half wants written.
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
    sink: SplitSink<WebSocket, Message>,
    bell: Arc<Notify>,
    subscriptions: Vec<Subscription>,
    next_tick: Instant,
    next_ping: Instant,
}

/// The connection is gone, or takes nothing any more.
#[derive(Debug)]
struct Gone;

impl Pump {
    pub(crate) fn new(
        relay: Arc<Relay>,
        connection: ConnectionId,
        sink: SplitSink<WebSocket, Message>,
    ) -> Self {
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
    pub(crate) async fn run(mut self, mut control: mpsc::Receiver<Command>) {
        // An error here is the end of the connection; the reading half sees the channel close.
        let _ = self.pump(&mut control).await;
        for subscription in &self.subscriptions {
            subscription.topic.leave(self.connection);
        }
    }

    async fn pump(&mut self, control: &mut mpsc::Receiver<Command>) -> Result<(), Gone> {
        let bell = Arc::clone(&self.bell);
        loop {
            while let Ok(command) = control.try_recv() {
                self.command(command).await?;
            }
            if self.round().await? {
                continue;
            }
            tokio::select! {
                command = control.recv() => self.command(command.ok_or(Gone)?).await?,
                () = bell.notified() => {}
                () = sleep_until(self.next_tick.min(self.next_ping)) => self.tick().await?,
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
            Command::Close(frame, code) => {
                if let Some(frame) = frame {
                    self.send(frame).await?;
                }
                let close = CloseFrame { code, reason: "".into() };
                self.write(Message::Close(Some(close))).await?;
                Err(Gone)
            }
        }
    }

    /// One batch for every subscription that has credit and lags; whether there was any.
    async fn round(&mut self) -> Result<bool, Gone> {
        let mut progress = false;
        for index in (0..self.subscriptions.len()).rev() {
            if self.subscriptions[index].topic.is_ended() {
                self.give_up(index).await?;
                continue;
            }
            self.pass_on(index).await?;
            let Subscription { space, ref topic, cursor, credit, caught_up, .. } = self.subscriptions[index];
            if cursor >= topic.head() {
                if !caught_up {
                    self.subscriptions[index].caught_up = true;
                    self.send(Frame::CaughtUp(CaughtUp { space, cursor })).await?;
                }
            } else if credit > 0 {
                progress = true;
                match self.page(index).await {
                    Some(page) if !page.is_empty() => self.batch(index, page).await?,
                    _ => self.give_up(index).await?,
                }
            }
        }
        Ok(progress)
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
            self.next_tick = Instant::now() + self.relay.config.tick;
            self.write(Message::Binary(said.frame)).await?;
        }
        Ok(())
    }

    /// The next rows of a subscription, from the ring or else the store; `None` if that fails.
    async fn page(&self, index: usize) -> Option<Vec<Delivered>> {
        let subscription = &self.subscriptions[index];
        let (space, cursor) = (subscription.space, subscription.cursor);
        if let Some(page) = subscription.topic.read(cursor, BATCH_BYTES_MAX, BATCH_ROWS) {
            let page: Vec<Delivered> = page.into_iter().map(|recent| self.deliver(recent)).collect();
            metrics::delivered(page.len(), bytes_of(&page), "ring");
            return Some(page);
        }
        let store = Arc::clone(&self.relay.store);
        let read = move || store.read(space, cursor, BATCH_BYTES_MAX, BATCH_ROWS);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(page)) => {
                let page: Vec<Delivered> = page.into_iter().map(whole).collect();
                metrics::delivered(page.len(), bytes_of(&page), "store");
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

    fn deliver(&self, recent: Recent) -> Delivered {
        if recent.pushed_by == self.connection {
            let id = changeset_id(&recent.row.row.header);
            return Delivered { delivery: Delivery::Own(id), ..whole(recent.row) };
        }
        whole(recent.row)
    }

    async fn batch(&mut self, index: usize, page: Vec<Delivered>) -> Result<(), Gone> {
        let subscription = &mut self.subscriptions[index];
        let first_cursor = subscription.cursor + 1;
        let last = page.last().expect("the caller looked");
        let chain = Some(last.chain);
        let bytes = bytes_of(&page);
        subscription.cursor = last.cursor;
        subscription.credit -= i64::try_from(bytes).expect("a page is small");
        subscription.caught_up = false;
        let rows = page.into_iter().map(|row| row.delivery).collect();
        let space = subscription.space;
        self.send(Frame::Batch(Batch { space, first_cursor, rows, chain })).await
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
            self.write(Message::Ping(Bytes::new())).await?;
        }
        if self.next_tick > now {
            return Ok(());
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.send(Frame::Tick { time_ms }).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), Gone> {
        self.next_tick = Instant::now() + self.relay.config.tick;
        self.write(Message::Binary(frame.encode())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        let write = timeout(self.relay.config.stall_timeout, self.sink.send(message));
        write.await.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

/// A row on its way out.
struct Delivered {
    cursor: u64,
    chain: LogChain,
    delivery: Delivery,
}

fn bytes_of(page: &[Delivered]) -> usize {
    page.iter().map(|row| row.delivery.bytes()).sum()
}

fn whole(row: StoredRow) -> Delivered {
    Delivered { cursor: row.cursor, chain: row.chain, delivery: Delivery::Row(row.row) }
}
