//! A client's session with one relay about one space (`docs/protocol.md` §2 to §5).
//!
//! ```text
//! offline -> HELLO? -> login() -> AUTH_OK? -> SUBSCRIBED? -> streaming -> offline
//! ```
//! Frames and the time go in, outputs come out of [`Session::poll`]. Invariants: the position only moves over rows whose
//! chain was recomputed; a row is pushed again only by the caller, but for a push that the relay refused whole and for a
//! while; nothing that waits grows beyond the credit given and the push window. It does not look into headers, holds no
//! log, and does not connect: the caller does, and calls [`Session::connected`] and [`Session::disconnected`].

mod compare;
mod look;
mod output;

use crate::sorted::SortedMap;
use std::collections::VecDeque;

use prost::bytes::Bytes;

use super::backoff::Due;
use super::error::{Code, FrameError};
use super::message::{
    Ack, Auth, AuthOk, Batch, CaughtUp, Credit, Delivery, ErrorFrame, Frame, Hello, Limits, Position, Proof,
    Push, Resync, Row, Subscribe, Subscribed, Verdict,
};
use super::{OWN_ACTORS_MAX, PUSH_BYTES_MAX, PUSH_ROWS_MAX, SLICE_ROWS, VERSION};
use crate::causal::{ActorId, ChangesetId, LogId, SpaceId};
use crate::event::{changeset_id, next_chain, start_chain};
use look::Look;
pub use output::{Retry, SessionOutput, Status};

/// Without any frame for so long the connection is dead.
const SILENCE_MS: u64 = 60_000;

/// A push that is refused for a while waits at least so long, twice as long each time, and at most so long: whatever the
/// relay says.
const RETRY_MS: u64 = 500;
const RETRY_LONGEST_MS: u64 = 60_000;

/// What a session is about.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The space.
    pub space: SpaceId,
    /// The position that was stored with the rows before it.
    pub from: Option<Position>,
    /// This client's actors whose tips at the relay matter, at most 256.
    pub own: Vec<ActorId>,
    /// Row bytes that may wait to be stored.
    pub credit_bytes: u64,
    /// Whether a snapshot that is offered is looked at before rows are read.
    pub look: bool,
}

/// What a login signs, together with a client nonce and the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The relay's public key.
    pub relay_key: [u8; 32],
    /// The relay's nonce.
    pub nonce: [u8; 32],
}

/// The answer to a [`Challenge`].
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// Random; part of what was signed.
    pub client_nonce: [u8; 16],
    /// Genesis, chain and the signature.
    pub proof: Proof,
    /// For a relay that creates spaces only with one.
    pub token: Option<String>,
    /// What the ends of all lanes add up to of which every changeset is stored, or will be before what is stored later, and how
    /// many changesets that are.
    pub heads: Option<([u8; 32], u64)>,
}

/// How much may be pushed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Row bytes in one call of [`Session::push`].
    pub bytes: usize,
    /// Rows in one call.
    pub rows: usize,
}

/// A client's session with one relay. See the module.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    status: Status,
    heard_ms: u64,
    limits: Option<Limits>,
    /// The log of the last SUBSCRIBED; positions in any other are stale.
    log_id: Option<LogId>,
    /// Handed out as rows, in order, and not yet stored.
    unstored: VecDeque<(Position, u64)>,
    /// Stored, and not yet given back as credit.
    owed_bytes: u64,
    pushes: SortedMap<u64, InFlight>,
    last_push_id: u64,
    /// The last SUBSCRIBE said what is held here.
    compares: bool,
    /// Why the log that is compared, or read from the start after all, is not the one that was read.
    resync: Option<Resync>,
    /// GET_CHAINs without an answer.
    questions: u32,
    /// How far the log went when it was subscribed to.
    head: u64,
    look: Look,
    outputs: VecDeque<SessionOutput>,
}

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Offline,
    AwaitHello,
    AwaitLogin,
    AwaitAuthOk,
    AwaitSubscribed,
    /// The log is another one: what it has up to here is compared, and the relay was asked how its heads differ.
    Comparing {
        place: Position,
        asked: bool,
    },
    /// All rows up to here were handed out.
    Streaming(Position),
    /// A Close was put out; what still comes in is dropped.
    Closing,
}

/// A push without an answer.
#[derive(Debug)]
struct InFlight {
    ids: Vec<ChangesetId>,
    bytes: usize,
    frame: Bytes,
    /// Refused for a while: send again then.
    retry: Option<Due>,
    /// How often it was.
    refusals: u32,
}

impl Session {
    /// A session without a connection.
    ///
    /// # Panics
    /// If there are more than 256 own actors, or no credit.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        assert!(config.own.len() <= OWN_ACTORS_MAX, "a SUBSCRIBE names at most {OWN_ACTORS_MAX} actors");
        assert!(config.credit_bytes > 0, "without credit nothing ever comes");
        Self {
            config,
            phase: Phase::Offline,
            status: Status::Offline,
            heard_ms: 0,
            limits: None,
            log_id: None,
            unstored: VecDeque::new(),
            owed_bytes: 0,
            pushes: SortedMap::new(),
            last_push_id: 0,
            compares: false,
            resync: None,
            questions: 0,
            head: 0,
            look: Look::Over,
            outputs: VecDeque::new(),
        }
    }

    /// The transport is open; the relay speaks first.
    pub fn connected(&mut self, now_ms: u64) {
        self.forget_connection();
        self.phase = Phase::AwaitHello;
        self.heard_ms = now_ms;
        self.set_status(Status::Connecting);
    }

    /// The transport is closed, or could not be opened. Pushes without an answer are forgotten: the next `Subscribed` says
    /// what the relay has.
    pub fn disconnected(&mut self) {
        self.forget_connection();
        if self.status != Status::Denied {
            self.set_status(Status::Offline);
        }
    }

    /// The answer to the last [`SessionOutput::Login`]; dropped if that connection is gone.
    pub fn login(&mut self, login: Login) {
        if self.phase != Phase::AwaitLogin {
            return;
        }
        self.send(Frame::Auth(Auth {
            version: VERSION,
            client_nonce: login.client_nonce,
            proofs: vec![login.proof],
            token: login.token.unwrap_or_default(),
        }));
        self.compares = login.heads.is_some();
        self.subscribe(login.heads);
        self.phase = Phase::AwaitAuthOk;
    }

    /// A frame came in.
    pub fn on_frame(&mut self, now_ms: u64, frame: &[u8]) {
        if matches!(self.phase, Phase::Offline | Phase::Closing) {
            return;
        }
        self.heard_ms = now_ms;
        match Frame::decode(&Bytes::copy_from_slice(frame)) {
            Ok(None) => {}
            Ok(Some(frame)) => self.on_message(now_ms, frame),
            Err(error) => self.on_malformed(&error),
        }
    }

    /// Time passes: call it about once a second.
    pub fn on_tick(&mut self, now_ms: u64) {
        if matches!(self.phase, Phase::Offline | Phase::Closing) {
            return;
        }
        self.heard_ms = self.heard_ms.min(now_ms);
        if now_ms - self.heard_ms >= SILENCE_MS {
            self.close(Retry::Backoff);
            return;
        }
        // The first of those that were refused, and no other before it is answered: each stands on the one before.
        if let Some(push) = self.pushes.values_mut().find(|push| push.refusals > 0)
            && push.retry.as_mut().is_some_and(|retry| retry.is_over(now_ms))
        {
            push.retry = None;
            self.outputs.push_back(SessionOutput::Send(push.frame.clone()));
        }
    }

    /// Everything up to this position is durable.
    pub fn stored(&mut self, position: Position) {
        if self.log_id != Some(position.log_id) {
            return;
        }
        if self.config.from.is_none_or(|from| from.cursor < position.cursor) {
            self.config.from = Some(position);
        }
        while let Some((front, bytes)) = self.unstored.front()
            && front.cursor <= position.cursor
        {
            self.owed_bytes += bytes;
            self.unstored.pop_front();
        }
        let quarter = self.config.credit_bytes / 4;
        let streaming = matches!(self.phase, Phase::Streaming(_));
        if streaming && self.owed_bytes > 0 && (self.unstored.is_empty() || self.owed_bytes >= quarter) {
            let bytes = std::mem::take(&mut self.owed_bytes);
            self.send(Frame::Credit(Credit { space: self.config.space, bytes }));
        }
    }

    /// Pushes rows, each actor's in order of seq; their verdicts come as [`SessionOutput::Acked`].
    ///
    /// # Panics
    /// If the rows are more than [`Session::push_window`] allows.
    pub fn push(&mut self, rows: Vec<Row>) {
        let window = self.push_window();
        let bytes = rows.iter().map(Row::bytes).sum();
        assert!(rows.len() <= window.rows && bytes <= window.bytes, "a push stays inside the window");
        if rows.is_empty() {
            return;
        }
        let ids = rows.iter().map(|row| changeset_id(&row.header)).collect();
        self.last_push_id += 1;
        let push_id = self.last_push_id;
        let frame = Frame::Push(Push { push_id, space: self.config.space, rows }).encode();
        self.outputs.push_back(SessionOutput::Send(frame.clone()));
        self.pushes.insert(push_id, InFlight { ids, bytes, frame, retry: None, refusals: 0 });
    }

    /// Actors made since: the next login asks for their tips too. Beyond 256 the oldest are left out.
    pub fn set_own(&mut self, mut own: Vec<ActorId>) {
        own.drain(..own.len().saturating_sub(OWN_ACTORS_MAX));
        self.config.own = own;
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// Something changed that a denial may have been about: it counts no more.
    pub fn ask_again(&mut self) {
        if self.status == Status::Denied {
            self.set_status(Status::Offline);
        }
    }

    /// How much may be pushed now; nothing while there is no subscription or a refused push waits.
    #[must_use]
    pub fn push_window(&self) -> Window {
        let closed = Window { bytes: 0, rows: 0 };
        let (Phase::Streaming(_), Some(limits)) = (self.phase, self.limits) else { return closed };
        if self.is_held_up() {
            return closed;
        }
        let in_flight: usize = self.pushes.values().map(|push| push.bytes).sum();
        let bytes = (limits.push_bytes as usize).min(PUSH_BYTES_MAX).saturating_sub(in_flight);
        Window { bytes, rows: (limits.push_rows as usize).min(PUSH_ROWS_MAX) }
    }

    /// Whether a push that the relay was too busy for has no answer yet: what was sent behind it may find a gap.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.pushes.values().any(|push| push.refusals > 0)
    }

    /// Whether every push has its verdicts.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pushes.is_empty()
    }

    /// Rows that were pushed and have no verdict yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pushes.values().map(|push| push.ids.len()).sum()
    }

    /// While the log is read: how many of its rows came in, and how many it has. It may have grown meanwhile.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        match (self.phase, self.status) {
            (Phase::Streaming(read), Status::CatchingUp | Status::Reset) => {
                Some((read.cursor, self.head.max(read.cursor)))
            }
            _ => None,
        }
    }

    /// The status last put out.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    fn on_message(&mut self, now_ms: u64, frame: Frame) {
        match (self.phase, frame) {
            (_, Frame::Tick { .. }) => {}
            (_, Frame::Error(error)) => self.on_error(now_ms, error),
            (_, Frame::GoAway(go)) => {
                self.refused(go.code, "the relay asks to come back later");
                self.close(Retry::Within {
                    min_ms: go.retry_min_ms,
                    max_ms: go.retry_max_ms.max(go.retry_min_ms),
                });
            }
            (Phase::AwaitHello, Frame::Hello(hello)) => self.on_hello(&hello),
            (Phase::AwaitAuthOk, Frame::AuthOk(answer)) => self.on_auth_ok(&answer),
            (Phase::AwaitSubscribed, Frame::Subscribed(answer)) => self.on_subscribed(answer),
            (Phase::Streaming(read), Frame::Batch(batch)) => self.on_batch(read, batch),
            (Phase::Streaming(read), Frame::CaughtUp(CaughtUp { space, cursor })) => {
                if space != self.config.space || cursor != read.cursor {
                    self.violated("caught up elsewhere");
                } else {
                    self.look = Look::Over;
                    self.set_status(Status::Live);
                }
            }
            (Phase::Streaming(_), Frame::Ack(ack)) => self.on_ack(ack),
            (Phase::Comparing { place, asked: true }, Frame::HeadsDiffer(answer)) => {
                self.on_heads_differ(place, answer);
            }
            (Phase::Comparing { .. } | Phase::Streaming(_), Frame::Chain(answer)) => self.on_chain(answer),
            (Phase::Streaming(_), Frame::Ephemeral(said)) if said.space == self.config.space => {
                self.outputs.push_back(SessionOutput::Ephemeral(said.payload));
            }
            (phase, Frame::Snap(space, snap)) => {
                if matches!(phase, Phase::Streaming(_)) && space == self.config.space {
                    self.on_snap(snap);
                }
            }
            (_, frame) => self.violated(&format!("frame type {:#04x} out of place", frame.kind())),
        }
    }

    fn subscribe(&mut self, heads: Option<([u8; 32], u64)>) {
        self.send(Frame::Subscribe(Subscribe {
            space: self.config.space,
            from: self.config.from,
            own: self.config.own.clone(),
            credit: self.config.credit_bytes,
            heads: heads.map(|(heads, _)| heads),
            held: heads.map_or(0, |(_, held)| held),
            look: self.config.look,
        }));
    }

    fn on_hello(&mut self, hello: &Hello) {
        if !(hello.min_version..=hello.max_version).contains(&VERSION) {
            return self.denied(Code::Version, "no version in common");
        }
        self.limits = Some(hello.limits);
        self.phase = Phase::AwaitLogin;
        let challenge = Challenge { relay_key: hello.relay_key, nonce: hello.nonce };
        self.outputs.push_back(SessionOutput::Login(challenge));
    }

    fn on_auth_ok(&mut self, answer: &AuthOk) {
        match answer.spaces[..] {
            [admission] if admission.space == self.config.space => match admission.refused {
                None => self.phase = Phase::AwaitSubscribed,
                Some(code) => self.denied(code, "the relay does not admit this member"),
            },
            _ => self.violated("a verdict about another space"),
        }
    }

    fn on_subscribed(&mut self, answer: Subscribed) {
        let Subscribed { space, resync, log_id, head, tips, chain, place, said } = answer;
        if space != self.config.space {
            return self.violated("subscribed to another space");
        }
        if let Some(said) = said {
            let (asked, tips) = (self.config.own.clone(), tips.clone());
            self.outputs.push_back(SessionOutput::Holds { asked, tips, said });
        }
        let start = Position { log_id, cursor: 0, chain: start_chain(log_id, space) };
        let read = match (self.config.from, resync) {
            (Some(from), None) if from.log_id != log_id || from.cursor > head => {
                return self.violated("a position of another log was taken for its own");
            }
            (Some(from), None) => from,
            (None, _) | (_, Some(_)) => start,
        };
        let is_other = resync.is_some() || self.config.from.is_none();
        if (chain.is_some() || place.is_some()) && !(is_other && self.compares) {
            return self.violated("something was found where nothing was compared");
        }
        let at_head = |chain| Position { log_id, cursor: head, chain };
        self.resync = resync.or(self.resync);
        if let Some(place) = place {
            self.set_status(if resync.is_some() { Status::Reset } else { Status::CatchingUp });
            return self.hold(at_head(place));
        }
        // A log that could not be compared is read from the start all the same.
        let resync = self.resync.take();
        let place = chain.map(at_head);
        let (read, resync) = place.map_or((read, resync), |place| (place, None));
        if resync.is_some() || place.is_some() {
            self.config.from = place;
        }
        self.log_id = Some(log_id);
        self.head = head;
        self.look = if self.config.look { Look::Open } else { Look::Over };
        self.phase = Phase::Streaming(read);
        self.outputs.push_back(SessionOutput::Subscribed { resync, place, log_id, head, tips });
        self.set_status(if resync.is_some() { Status::Reset } else { Status::CatchingUp });
    }

    fn on_batch(&mut self, read: Position, batch: Batch) {
        if batch.space != self.config.space || batch.first_cursor != read.cursor + 1 || batch.rows.is_empty()
        {
            return self.violated("rows that do not follow");
        }
        self.look = if self.look == Look::Open { Look::Over } else { self.look };
        let (mut chain, mut slices) = (read.chain, Vec::new());
        let mut rows = batch.rows.into_iter().peekable();
        let mut cursor = read.cursor;
        while rows.peek().is_some() {
            let slice: Vec<Delivery> = rows.by_ref().take(SLICE_ROWS).collect();
            chain = slice.iter().fold(chain, |chain, row| match row {
                Delivery::Row(row) => next_chain(chain, changeset_id(&row.header)),
                Delivery::Own(id) => next_chain(chain, *id),
            });
            cursor += slice.len() as u64;
            slices.push((slice, Position { log_id: read.log_id, cursor, chain }));
        }
        if batch.chain != Some(chain) {
            return self.violated("rows that do not give the chain");
        }
        let waiting: u64 = self.unstored.iter().map(|(_, bytes)| bytes).sum();
        if waiting + self.owed_bytes >= self.config.credit_bytes {
            return self.violated("rows beyond the credit");
        }
        for (rows, position) in slices {
            self.phase = Phase::Streaming(position);
            self.unstored.push_back((position, rows.iter().map(|row| row.bytes() as u64).sum()));
            self.outputs.push_back(SessionOutput::Rows { rows, position });
        }
    }

    fn on_ack(&mut self, ack: Ack) {
        // An answer to a push that was never made, or answered before, says nothing.
        let Some(push) = self.pushes.remove(&ack.push_id) else { return };
        if push.ids.len() != ack.results.len() {
            return self.violated("an ack with another number of rows");
        }
        let results: Vec<(ChangesetId, Verdict)> = push.ids.into_iter().zip(ack.results).collect();
        if let Some(said) = ack.said {
            let ids = results.iter().filter(|(_, verdict)| verdict.is_held()).map(|(id, _)| *id).collect();
            self.outputs.push_back(SessionOutput::Receipt { ids, said });
        }
        self.outputs.push_back(SessionOutput::Acked { results });
    }

    fn on_error(&mut self, now_ms: u64, error: ErrorFrame) {
        if let Some(push_id) = error.push_id {
            return self.on_push_refused(now_ms, push_id, &error);
        }
        if error.space.is_some_and(|space| space != self.config.space) {
            return;
        }
        match error.code {
            Code::NotFoundOrDenied | Code::AuthFailed | Code::Version => {
                self.denied(error.code, &error.message);
            }
            code => {
                self.refused(code, &error.message);
                self.close(match error.retry_after_ms {
                    0 => Retry::Backoff,
                    min_ms => Retry::Within { min_ms, max_ms: min_ms.saturating_mul(2) },
                });
            }
        }
    }

    fn on_push_refused(&mut self, now_ms: u64, push_id: u64, error: &ErrorFrame) {
        self.refused(error.code, &error.message);
        // Whether there is room again nobody knows: that is tried row by row, by the caller.
        let again = error.retryable && error.code.is_retryable() && error.code != Code::Quota;
        if again && let Some(push) = self.pushes.get_mut(&push_id) {
            let floor_ms = RETRY_MS.saturating_mul(1 << push.refusals.min(7)).min(RETRY_LONGEST_MS);
            push.refusals = push.refusals.saturating_add(1);
            push.retry = Some(Due::after(now_ms, error.retry_after_ms.max(floor_ms)));
        } else if let Some(push) = self.pushes.remove(&push_id) {
            let results = push.ids.into_iter().map(|id| (id, Verdict::Rejected(error.code))).collect();
            self.outputs.push_back(SessionOutput::Acked { results });
        }
    }

    fn on_malformed(&mut self, error: &FrameError) {
        self.send(Frame::Error(error.into()));
        self.refused(error.code(), &error.to_string());
        self.close(Retry::Backoff);
    }

    fn violated(&mut self, message: &str) {
        self.send(Frame::Error(ErrorFrame::new(Code::Malformed, message)));
        self.refused(Code::Malformed, message);
        self.close(Retry::Backoff);
    }

    fn denied(&mut self, code: Code, message: &str) {
        self.refused(code, message);
        if code.is_retryable() {
            self.close(Retry::Backoff);
        } else {
            self.set_status(Status::Denied);
            self.close(Retry::Never);
        }
    }

    fn refused(&mut self, code: Code, message: &str) {
        self.outputs.push_back(SessionOutput::Refused { code, message: message.to_owned() });
    }

    fn close(&mut self, retry: Retry) {
        self.phase = Phase::Closing;
        self.outputs.push_back(SessionOutput::Close { retry });
    }

    fn send(&mut self, frame: Frame) {
        self.outputs.push_back(SessionOutput::Send(frame.encode()));
    }

    fn set_status(&mut self, status: Status) {
        if self.status != status {
            self.status = status;
            self.outputs.push_back(SessionOutput::Status(status));
        }
    }

    fn forget_connection(&mut self) {
        self.phase = Phase::Offline;
        self.unstored.clear();
        self.owed_bytes = 0;
        self.pushes.clear();
        self.questions = 0;
        self.look = Look::Over;
        // What was to be sent or closed belongs to the old connection; rows and verdicts are true all the same.
        self.outputs.retain(|output| {
            !matches!(output, SessionOutput::Send(_) | SessionOutput::Login(_) | SessionOutput::Close { .. })
        });
    }
}

#[cfg(test)]
mod tests;
