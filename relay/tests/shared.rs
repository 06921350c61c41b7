//! Several relays over one PostgreSQL database: what is pushed to one is delivered by all, whatever happens to one of them, to
//! their connections or to the database.

mod common;
#[path = "common/postgres.rs"]
mod database;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::{Author, Client, Node, Process, Space, delivered, follow, id, start};
use database::{Server, server};
use prost::bytes::Bytes;
use stemma::causal::ChangesetId;
use stemma::event::{Header, next_chain};
use stemma::sync::{Code, Delivery, Ephemeral, Frame, Position, Row, Verdict};
use stemma_relay::RelayConfig;
use stemma_relay::store::{Append, NewRow, PostgresStore, Store};
use tokio::task::spawn_blocking;

/// A store, opened on a thread that drives nothing.
async fn open(url: &str) -> Arc<PostgresStore> {
    let url = url.to_owned();
    let open = move || Arc::new(PostgresStore::open(&url).expect("opens"));
    spawn_blocking(open).await.expect("does not panic")
}

async fn relay(url: &str) -> Node {
    Node::on(open(url).await, RelayConfig { rows_burst: 1_000_000, ..RelayConfig::default() }).await
}

/// A client that follows a space.
struct Follower {
    client: Client,
    position: Position,
    rows: Vec<Delivery>,
}

impl Follower {
    async fn enter(relay: &Node, space: &Space, author: &Author) -> Self {
        let mut client = Client::enter(relay.address, space, author).await;
        let subscribed = client.subscribe(space, None, &[]).await;
        Self { client, position: start(&subscribed), rows: Vec::new() }
    }

    /// Reads until so many rows are here; the chain must be right all the way.
    async fn until(&mut self, rows: usize) {
        while self.rows.len() < rows {
            if let Frame::Batch(batch) = self.client.receive().await {
                self.position = follow(self.position, batch, &mut self.rows);
            }
        }
    }

    fn ids(&self) -> Vec<ChangesetId> {
        self.rows.iter().map(delivered).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_relay_takes_the_others_deliver() {
    let Some(server) = server() else { return };
    let url = server.database();
    let relays = [relay(&url).await, relay(&url).await, relay(&url).await];
    let space = Space::new(1);
    let authors = [space.member(10), space.member(11), space.member(12)];
    let mut followers = Vec::new();
    for (relay, author) in relays.iter().zip(&authors) {
        followers.push(Follower::enter(relay, &space, author).await);
    }
    // All have one key, so a client may go from one to the other.
    let keys: Vec<_> = followers.iter().map(|follower| follower.client.hello.relay_key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    let mut pushed = 0;
    let lanes: Vec<Vec<Row>> = authors.iter().map(|author| space.lane(author, 30)).collect();
    for round in 0..10 {
        for (at, lane) in lanes.iter().enumerate() {
            let author = Client::enter(relays[(at + round) % 3].address, &space, &authors[at]);
            let verdicts = author.await.push(&space, &lane[round * 3..][..3]).await.expect("is taken");
            assert!(
                verdicts.iter().all(|verdict| matches!(verdict, Verdict::Accepted { .. })),
                "{verdicts:?}"
            );
            pushed += 3;
        }
        for follower in &mut followers {
            follower.until(pushed).await;
        }
    }
    assert_eq!(followers[0].ids(), followers[1].ids());
    assert_eq!(followers[0].ids(), followers[2].ids());
    // Sent to another relay once more, it is the same row.
    let mut client = Client::enter(relays[1].address, &space, &authors[0]).await;
    let again = client.push(&space, &lanes[0][..3]).await.expect("is answered");
    assert!(again.iter().all(|verdict| matches!(verdict, Verdict::Dup { .. })), "{again:?}");

    // What is said to whoever is there reaches those at the other relays too, and not the one who says it.
    let said = Ephemeral { space: space.id(), payload: Bytes::from(vec![7; 16_384]) };
    followers[0].client.send(Frame::Ephemeral(said.clone())).await;
    for follower in &mut followers[1..] {
        loop {
            match follower.client.receive().await {
                Frame::Ephemeral(heard) => break assert_eq!(heard, said),
                Frame::CaughtUp(_) | Frame::Tick { .. } => {}
                frame => panic!("{frame:?}"),
            }
        }
    }
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_is_lost_costs_time_and_no_rows() {
    let Some(server) = server() else { return };
    let url = server.database();
    let (near, far) = (relay(&url).await, relay(&url).await);
    let space = Space::new(2);
    let author = space.member(10);
    let mut follower = Follower::enter(&far, &space, &author).await;
    let rows = space.lane(&author, 40);
    for (round, rows) in rows.chunks(4).enumerate() {
        // Nobody listens for a moment, or tells, or reads.
        server.cut();
        let mut client = Client::enter(near.address, &space, &author).await;
        // The connection that ended is found out by whoever uses it next: that push is refused, and sent again.
        let mut refused = 0;
        let verdicts = loop {
            match client.push(&space, rows).await {
                Ok(verdicts) => break verdicts,
                Err(error) => assert_eq!(error.code, Code::StoreUnavailable),
            }
            refused += 1;
            assert!(refused < 20, "it does not recover");
        };
        let is_in = |verdict: &Verdict| matches!(verdict, Verdict::Accepted { .. } | Verdict::Dup { .. });
        assert!(verdicts.iter().all(is_in), "{verdicts:?}");
        follower.until((round + 1) * 4).await;
    }
    assert_eq!(follower.ids(), rows.iter().map(id).collect::<Vec<_>>());
    near.stop().await;
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_append_to_the_same_logs_at_the_same_time() {
    const RELAYS: u64 = 4;
    const ROUNDS: u32 = 25;
    let Some(server) = server() else { return };
    let url = server.database();
    let spaces = Arc::new([Space::new(3), Space::new(4), Space::new(5)]);
    let mut writers = Vec::new();
    for number in 0..RELAYS {
        let (store, spaces) = (open(&url).await, Arc::clone(&spaces));
        writers.push(spawn_blocking(move || {
            for space in spaces.iter() {
                let log_id = stemma::causal::LogId([number as u8; 16]);
                store.create_space(space.id(), space.genesis.as_bytes(), log_id).expect("makes or finds it");
            }
            let lanes: Vec<Vec<Row>> =
                spaces.iter().map(|space| space.lane(&space.member(20 + number), ROUNDS * 2)).collect();
            for round in 0..ROUNDS as usize {
                // Each in another order: locks are taken in one order all the same.
                let order = (0..spaces.len()).map(|at| (at + number as usize + round) % spaces.len());
                let batch: Vec<Append> = order
                    .map(|at| append(&spaces[at], &spaces[at].member(20 + number), &lanes[at], round * 2))
                    .collect();
                let appended = store.append(&batch).expect("appends");
                let all = appended.iter().flat_map(|appended| &appended.results);
                all.for_each(|verdict| assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}"));
            }
        }));
    }
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    let store = open(&url).await;
    let read = move || {
        for space in spaces.iter() {
            let rows = store.read(space.id(), 0, usize::MAX, usize::MAX).expect("reads");
            assert_eq!(rows.len(), RELAYS as usize * ROUNDS as usize * 2);
            let record = store.space(space.id()).expect("reads").expect("is there");
            let mut chain = stemma::event::start_chain(record.head.log_id, space.id());
            let mut next: BTreeMap<_, u32> = BTreeMap::new();
            for (row, cursor) in rows.iter().zip(1..) {
                chain = next_chain(chain, id(&row.row));
                assert_eq!((row.cursor, row.chain), (cursor, chain));
                let header = Header::decode(&row.row.header).expect("a header");
                let next = next.entry(header.actor()).or_default();
                assert_eq!(header.seq(), *next, "each lane is in order");
                *next += 1;
            }
            assert_eq!((record.head.cursor, record.head.chain), (rows.len() as u64, chain));
            assert_eq!(record.bytes, rows.iter().map(|row| row.row.bytes() as u64).sum::<u64>());
        }
    };
    spawn_blocking(read).await.expect("all is right");
}

fn append(space: &Space, author: &Author, lane: &[Row], from: usize) -> Append {
    let new = |(at, row): (usize, &Row)| NewRow {
        id: id(row),
        actor: author.id(),
        seq: at as u32,
        prev: at.checked_sub(1).map(|before| id(&lane[before])),
        row: row.clone(),
    };
    Append {
        space: space.id(),
        quota_bytes: u64::MAX,
        rows: lane.iter().enumerate().skip(from).take(2).map(new).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acked_survives_relays_that_are_killed_and_a_database_that_crashes() {
    const ROUNDS: usize = 4;
    const ROWS: u32 = 120;
    let Some(server) = Server::start(true) else { return };
    let url = server.database();
    let start_one = || {
        let arguments = ["--store", &url, "--rows-burst", "1000000"];
        Process::start_with(&arguments)
    };
    let space = Space::new(6);
    let mut acked: Vec<(u64, Row)> = Vec::new();
    for round in 0..ROUNDS {
        let (pushed_to, other) = (start_one(), start_one());
        let author = space.member(100 + round as u64);
        let mut client = Client::enter(pushed_to.address, &space, &author).await;
        let lane = space.lane(&author, ROWS);
        let mut dies = Some(pushed_to);
        for (at, rows) in lane.chunks(2).enumerate() {
            let Ok(verdicts) = client.push(&space, rows).await else { break };
            for (row, verdict) in rows.iter().zip(&verdicts) {
                let Verdict::Accepted { cursor } = verdict else { panic!("{verdict:?}") };
                acked.push((*cursor, row.clone()));
            }
            if at == 10 + round * 7 {
                // The next push is on its way when they end.
                let next = at + 1;
                client
                    .send(Frame::Push(stemma::sync::Push {
                        push_id: 1_000,
                        space: space.id(),
                        rows: lane[next * 2..][..2].to_vec(),
                    }))
                    .await;
                if round % 2 == 1 {
                    server.crash();
                }
                dies.take().expect("once").kill();
                break;
            }
        }
        // The other relay has everything that was acked, and goes on where the lane ended.
        let mut client = loop_until_entered(&other, &space, &author).await;
        let subscribed = client.subscribe(&space, None, &[author.id()]).await;
        let seen = subscribed.tips.iter().map(|tip| tip.seq + 1).max().unwrap_or(0) as usize;
        let (rows, _) = client.catch_up(start(&subscribed)).await;
        for (cursor, row) in &acked {
            assert_eq!(rows[*cursor as usize - 1], Delivery::Row(row.clone()), "cursor {cursor}");
        }
        let verdicts = client.push(&space, &lane[seen..]).await.expect("goes on");
        for (row, verdict) in lane[seen..].iter().zip(verdicts) {
            let Verdict::Accepted { cursor } = verdict else { panic!("{verdict:?}") };
            acked.push((cursor, row.clone()));
        }
    }
    assert!(acked.len() > ROUNDS * ROWS as usize / 2);
}

/// The relay's connections ended with the database: it finds out, and goes on.
async fn loop_until_entered(relay: &Process, space: &Space, author: &Author) -> Client {
    for _ in 0..50 {
        let mut client = Client::connect(relay.address).await;
        let auth = client.auth(&[(space, author)], "");
        if client.answer_to(auth).await.is_ok_and(|ok| ok.spaces[0].refused.is_none()) {
            return client;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the relay does not recover");
}

#[tokio::test]
async fn a_database_that_is_not_there_or_not_ours_is_told() {
    let missing = Path::new("/nonexistent");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stemma-relay"))
        .args(["--store", &format!("host={} user=nobody password=secret-word", missing.display())])
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(words.contains("store:") && !words.contains("secret-word"), "{words}");

    let Some(server) = server() else { return };
    let url = server.database();
    let store = open(&url).await;
    drop(spawn_blocking(move || drop(store)).await);
    let name = url.split("dbname=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a name");
    server.execute(name, "UPDATE stemma_relay.version SET number = 99");
    let error = spawn_blocking(move || PostgresStore::open(&url).expect_err("another version"));
    assert_eq!(error.await.expect("does not panic").to_string(), "store version 99 is not 1");
}
