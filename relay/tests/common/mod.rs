//! What the socket tests share: spaces with keys from small numbers, a client that sends raw frames, a relay in this
//! process and one in its own.
#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use prost::bytes::Bytes;
use stemma::causal::{ActorId, ChangesetId, LogChain, SpaceId};
use stemma::crypto::{AgreementKey, EpochKey, EpochSecret, SigningKey};
use stemma::event::{
    Certificate, CertificateKind, Chain, Class, Draft, Genesis, Login, LoginProof, Role, changeset_id,
    next_chain,
};
use stemma::sync::{
    Auth, AuthOk, Batch, Code, Delivery, ErrorFrame, Frame, Hello, Position, Proof, Push, Row, Said,
    Subscribe, Subscribed, Verdict,
};
use stemma_relay::store::{MemoryStore, Store};
use stemma_relay::{RelayConfig, serve};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

/// Nothing here takes nearly so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn key(seed: u64) -> SigningKey {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    SigningKey::from_seed(&bytes)
}

/// A space and its root.
pub struct Space {
    pub root: SigningKey,
    pub genesis: Genesis,
    pub epoch: EpochKey,
}

impl Space {
    pub fn new(seed: u64) -> Self {
        let root = key(seed);
        let genesis = Genesis::new(root.verifying_key(), &[seed as u8; 16]);
        let epoch = EpochSecret::new([3; 32]).derive(&genesis.id().0);
        Self { root, genesis, epoch }
    }

    pub fn id(&self) -> SpaceId {
        self.genesis.id()
    }

    /// A member by grant, with a device and an actor.
    pub fn member(&self, seed: u64) -> Author {
        self.granted(seed, Role::Writer, None)
    }

    pub fn granted(&self, seed: u64, role: Role, not_after: Option<u64>) -> Author {
        let kind = CertificateKind::Grant { role, not_after: not_after.and_then(NonZeroU64::new) };
        let member = key(seed);
        let grant = Certificate::issue(&self.root, self.id(), member.public(), kind);
        self.author(Chain::new(vec![grant]), &member, seed)
    }

    pub fn invite(&self, seed: u64, uses: u64, not_after: u64) -> (SigningKey, Chain) {
        let invite = key(seed);
        let (uses, not_after) = (NonZeroU64::new(uses), NonZeroU64::new(not_after));
        let kind = CertificateKind::Invite { role: Role::Writer, not_after, uses };
        let certificate = Certificate::issue(&self.root, self.id(), invite.public(), kind);
        (invite, Chain::new(vec![certificate]))
    }

    /// A member by invite.
    pub fn invited(&self, invite: &(SigningKey, Chain), seed: u64) -> Author {
        let member = key(seed);
        let certificate = Certificate::issue(&invite.0, self.id(), member.public(), CertificateKind::Member);
        self.author(invite.1.extended(certificate), &member, seed)
    }

    fn author(&self, chain: Chain, member: &SigningKey, seed: u64) -> Author {
        let (device, actor) = (key(seed + 1_000), key(seed + 2_000));
        let x25519 = AgreementKey::from_seed(&[9; 32]).public().to_bytes();
        let as_device = CertificateKind::Device { x25519 };
        let chain = chain
            .extended(Certificate::issue(member, self.id(), device.public(), as_device))
            .extended(Certificate::issue(&device, self.id(), actor.public(), CertificateKind::Actor));
        Author { chain, actor }
    }

    /// A signed changeset.
    pub fn row(&self, author: &Author, seq: u32, prev: Option<ChangesetId>, content: &[u8]) -> Row {
        self.row_after(author, seq, prev, &[], content)
    }

    /// One whose author had seen others'.
    pub fn row_after(
        &self,
        author: &Author,
        seq: u32,
        prev: Option<ChangesetId>,
        deps: &[ChangesetId],
        content: &[u8],
    ) -> Row {
        let draft = Draft {
            space: self.id(),
            class: Class::Data,
            seq,
            prev,
            deps,
            chain: (seq == 0).then_some(&author.chain),
            redacts: &[],
            ops_root: None,
            skeleton: b"what decides",
            content: Some(content),
        };
        let changeset = draft.seal(&author.actor, &self.epoch, &[seq as u8; 32]).expect("a valid draft");
        Row::from_stored(&changeset.signed().encode()).expect("a row")
    }

    /// The first rows of an author.
    pub fn lane(&self, author: &Author, count: u32) -> Vec<Row> {
        self.lane_from(author, 0, None, count)
    }

    pub fn lane_from(
        &self,
        author: &Author,
        seq: u32,
        mut prev: Option<ChangesetId>,
        count: u32,
    ) -> Vec<Row> {
        let mut next = |seq| {
            let row = self.row(author, seq, prev, format!("content {seq}").as_bytes());
            prev = Some(id(&row));
            row
        };
        (seq..seq + count).map(&mut next).collect()
    }
}

/// Who signs changesets and logins.
pub struct Author {
    pub chain: Chain,
    pub actor: SigningKey,
}

impl Author {
    pub fn id(&self) -> ActorId {
        ActorId(self.actor.public())
    }
}

pub fn id(row: &Row) -> ChangesetId {
    changeset_id(&row.header)
}

/// A client that does what it is told, right or wrong.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub hello: Hello,
    /// What a SUBSCRIBE says that it holds.
    pub heads: Option<[u8; 32]>,
    /// For how many changesets that stands.
    pub held: u64,
    /// Whether it looks at a snapshot first.
    pub look: bool,
    last_push: u64,
    /// What the relay signed with the last ACK.
    pub said: Option<Said>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.expect("connects")
    }

    /// `None` if the relay lets nobody in.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let (socket, _) = connect_async(format!("ws://{address}/v1")).await.ok()?;
        Some(Self::greeted(socket).await)
    }

    /// One whose system keeps hardly anything of what it does not read.
    pub async fn with_little_room(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("is set");
        let stream = MaybeTlsStream::Plain(socket.connect(address).await.expect("connects"));
        let (socket, _) = client_async(format!("ws://{address}/v1"), stream).await.expect("connects");
        Self::greeted(socket).await
    }

    async fn greeted(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let limits = stemma::sync::Limits {
            frame_bytes: 0,
            row_bytes: 0,
            push_bytes: 0,
            push_rows: 0,
            subscriptions: 0,
        };
        let hello = Hello { min_version: 0, max_version: 0, relay_key: [0; 32], nonce: [0; 32], limits };
        let mut client = Self { socket, hello, heads: None, held: 0, look: false, last_push: 0, said: None };
        let Frame::Hello(hello) = client.receive().await else { panic!("the relay speaks first") };
        client.hello = hello;
        client
    }

    /// Connects and logs in.
    pub async fn enter(address: SocketAddr, space: &Space, author: &Author) -> Self {
        let mut client = Self::connect(address).await;
        assert_eq!(client.login(space, author).await, None);
        client
    }

    /// Logs in to one space; the verdict.
    pub async fn login(&mut self, space: &Space, author: &Author) -> Option<Code> {
        let auth = self.auth(&[(space, author)], "");
        let AuthOk { spaces, .. } = self.answer_to(auth).await.expect("a good proof");
        assert_eq!(spaces[0].space, space.id());
        spaces[0].refused
    }

    pub async fn answer_to(&mut self, auth: Auth) -> Result<AuthOk, Code> {
        self.send(Frame::Auth(auth)).await;
        match self.receive().await {
            Frame::AuthOk(ok) => Ok(ok),
            Frame::Error(error) => Err(error.code),
            frame => panic!("{frame:?}"),
        }
    }

    pub fn auth(&self, proofs: &[(&Space, &Author)], token: &str) -> Auth {
        let client_nonce = [7; 16];
        let encoded: Vec<(Vec<u8>, Vec<u8>)> = proofs
            .iter()
            .map(|(space, author)| (space.genesis.as_bytes().to_vec(), author.chain.encode()))
            .collect();
        let shown: Vec<LoginProof<'_>> =
            encoded.iter().map(|(genesis, chain)| LoginProof { genesis, chain }).collect();
        let login = Login {
            relay: &self.hello.relay_key,
            nonce: &self.hello.nonce,
            client_nonce: &client_nonce,
            proofs: &shown,
        };
        let proofs = proofs.iter().zip(&encoded).map(|((_, author), (genesis, chain))| Proof {
            genesis: Bytes::from(genesis.clone()),
            chain: Bytes::from(chain.clone()),
            signature: login.sign(&author.actor).0,
        });
        Auth { version: 1, client_nonce, proofs: proofs.collect(), token: token.into() }
    }

    pub async fn subscribe(&mut self, space: &Space, from: Option<Position>, own: &[ActorId]) -> Subscribed {
        self.subscribe_with(space, from, own, 1 << 30).await
    }

    pub async fn subscribe_with(
        &mut self,
        space: &Space,
        from: Option<Position>,
        own: &[ActorId],
        credit: u64,
    ) -> Subscribed {
        let (heads, held, look) = (self.heads, self.held, self.look);
        let subscribe = Subscribe { space: space.id(), from, own: own.to_vec(), credit, heads, held, look };
        self.send(Frame::Subscribe(subscribe)).await;
        match self.receive().await {
            Frame::Subscribed(subscribed) => subscribed,
            frame => panic!("{frame:?}"),
        }
    }

    /// Reads rows until CAUGHT_UP; the chain must be right all the way.
    pub async fn catch_up(&mut self, mut position: Position) -> (Vec<Delivery>, Position) {
        let mut rows = Vec::new();
        loop {
            match self.receive().await {
                Frame::Batch(batch) => position = follow(position, batch, &mut rows),
                Frame::CaughtUp(up) => {
                    assert_eq!(up.cursor, position.cursor);
                    return (rows, position);
                }
                frame => panic!("{frame:?}"),
            }
        }
    }

    /// Pushes and waits for the ACK; rows and CAUGHT_UPs in between are dropped.
    pub async fn push(&mut self, space: &Space, rows: &[Row]) -> Result<Vec<Verdict>, ErrorFrame> {
        self.last_push += 1;
        let push_id = self.last_push;
        self.send(Frame::Push(Push { push_id, space: space.id(), rows: rows.to_vec() })).await;
        loop {
            match self.receive().await {
                Frame::Ack(ack) => {
                    assert_eq!(ack.push_id, push_id);
                    self.said = ack.said;
                    return Ok(ack.results);
                }
                Frame::Error(error) => {
                    assert_eq!(error.push_id, Some(push_id));
                    return Err(error);
                }
                Frame::Batch(_) | Frame::CaughtUp(_) => {}
                frame => panic!("{frame:?}"),
            }
        }
    }

    pub async fn send(&mut self, frame: Frame) {
        self.send_raw(frame.encode()).await;
    }

    /// The relay may have closed already: then the test sees that when it reads.
    pub async fn send_raw(&mut self, bytes: Bytes) {
        let _ = self.socket.send(Message::Binary(bytes)).await;
    }

    /// A message of one byte a fragment; without an `end` it is never finished.
    pub async fn send_fragments(&mut self, bytes: &[u8], end: bool) {
        for (at, byte) in bytes.iter().enumerate() {
            let code = OpCode::Data(if at == 0 { Data::Binary } else { Data::Continue });
            let frame = RawFrame::message(vec![*byte], code, end && at + 1 == bytes.len());
            self.socket.send(Message::Frame(frame)).await.expect("the relay listens");
        }
    }

    pub async fn send_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text.to_owned())).await;
    }

    pub async fn receive(&mut self) -> Frame {
        self.next().await.expect("a frame")
    }

    /// The next frame, `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.next_at_last()).await.expect("the relay hangs")
    }

    /// The same, however long it takes: a clock for each frame would be most of the work of a listener.
    pub async fn next_at_last(&mut self) -> Option<Frame> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return Some(Frame::decode(&bytes).expect("a good frame").expect("a known frame"));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The error that ends the connection.
    pub async fn last_words(&mut self) -> Code {
        let Some(Frame::Error(error)) = self.next().await else { panic!("an error is told") };
        assert_eq!(self.next().await, None);
        error.code
    }
}

/// Follows a BATCH from a position.
pub fn follow(position: Position, batch: Batch, rows: &mut Vec<Delivery>) -> Position {
    assert_eq!(batch.first_cursor, position.cursor + 1);
    let chain = batch.rows.iter().fold(position.chain, |chain, row| next_chain(chain, delivered(row)));
    assert_eq!(batch.chain, Some(chain));
    let cursor = position.cursor + batch.rows.len() as u64;
    rows.extend(batch.rows);
    Position { cursor, chain, ..position }
}

pub fn delivered(delivery: &Delivery) -> ChangesetId {
    match delivery {
        Delivery::Row(row) => id(row),
        Delivery::Own(id) => *id,
    }
}

pub fn start(subscribed: &Subscribed) -> Position {
    let chain: LogChain = stemma::event::start_chain(subscribed.log_id, subscribed.space);
    Position { log_id: subscribed.log_id, cursor: 0, chain }
}

pub fn accepted(cursors: std::ops::RangeInclusive<u64>) -> Vec<Verdict> {
    cursors.map(|cursor| Verdict::Accepted { cursor }).collect()
}

/// A relay in this process.
pub struct Node {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Node {
    pub async fn start(config: RelayConfig) -> Self {
        Self::on(Arc::new(MemoryStore::default()), config).await
    }

    pub async fn on(store: Arc<dyn Store>, config: RelayConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served =
            tokio::spawn(async move { serve(listener, store, config, shutdown).await.expect("serves") });
        Self { address, stop: Some(stop), served }
    }

    pub async fn stop(mut self) {
        self.stop.take().expect("it runs").send(()).expect("it listens");
        tokio::time::timeout(PATIENCE, self.served).await.expect("it stops").expect("it does not panic");
    }
}

/// A relay in its own process; killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let folder = folder.to_str().expect("a plain path");
        Self::start_with(&[&["--data", folder], arguments].concat())
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let (child, mut out) = spawn(Command::new(PROGRAM).args(arguments));
        Self { child, address: told(&mut out, "listening on ") }
    }

    /// One whose files cannot grow beyond so many kilobytes: to it the disk is full then.
    pub fn start_on_full_disk(folder: &Path, kilobytes: u32) -> Self {
        Self::start_within(&format!("trap '' XFSZ; ulimit -f {}", 2 * kilobytes), folder)
    }

    /// One for which a shell set limits before.
    pub fn start_within(limits: &str, folder: &Path) -> Self {
        let limited = format!("{limits}; exec \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited, "sh", PROGRAM, "--rows-burst", "1000000", "--data"]).arg(folder);
        let (child, mut out) = spawn(&mut shell);
        Self { child, address: told(&mut out, "listening on ") }
    }

    /// One that counts, and where it tells what it counted.
    pub fn start_with_metrics(folder: &Path) -> (Self, SocketAddr) {
        Self::start_counting(&["--data", folder.to_str().expect("a plain path")])
    }

    /// The same with any store.
    pub fn start_counting(arguments: &[&str]) -> (Self, SocketAddr) {
        let mut counting = Command::new(PROGRAM);
        let (child, mut out) = spawn(counting.args(["--metrics", "127.0.0.1:0"]).args(arguments));
        let (figures, address) = (told(&mut out, "metrics on "), told(&mut out, "listening on "));
        (Self { child, address }, figures)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub fn terminate(&self) {
        let sent =
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end; whether it was a success.
    pub async fn ended(mut self) -> bool {
        let wait = tokio::task::spawn_blocking(move || self.child.wait().expect("it ends").success());
        tokio::time::timeout(PATIENCE, wait).await.expect("it ends in time").expect("no panic")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_stemma-relay");

/// Starts a relay on a port of its own; what it says is read.
fn spawn(command: &mut Command) -> (Child, impl BufRead + use<>) {
    command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the relay starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    (child, out)
}

/// The address that a relay says behind these words.
fn told(out: &mut impl BufRead, words: &str) -> SocketAddr {
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    line.trim().strip_prefix(words).expect("the words").parse().expect("an address")
}

/// An HTTP GET: the status line.
pub async fn get(address: SocketAddr, path: &str) -> Option<String> {
    answer(address, path).await?.lines().next().map(str::to_owned)
}

/// An HTTP GET: what is answered.
pub async fn body(address: SocketAddr, path: &str) -> String {
    let answer = answer(address, path).await.expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// One of the figures that a relay counts.
pub fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} in {text}")).trim().parse().expect("a number")
}

async fn answer(address: SocketAddr, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
