//! Several relays over one PostgreSQL database: what is pushed to one is delivered by all, whatever happens to one of them, to
//! their connections or to the database.

mod common;
#[path = "common/postgres.rs"]
mod database;
#[path = "common/shared.rs"]
mod stores;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::{Author, Client, Node, Space, delivered, follow, id, start};
use database::{name, server};
use prost::bytes::Bytes;
use stemma::causal::{ChangesetId, LogId, SpaceId};
use stemma::codec::base64url;
use stemma::event::{Header, next_chain};
use stemma::sync::{Code, Delivery, Ephemeral, Frame, Position, Row, Verdict};
use stemma_relay::store::{Append, Hint, PostgresStore, Store};
use stores::{append, open, relay, with};
use tokio::task::spawn_blocking;

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
        server.cut(&url);
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
                let log_id = LogId([number as u8; 16]);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_and_what_was_there_already_is_told() {
    let Some(server) = server() else { return };
    let url = server.database();
    let (near, far) = (open(&url).await, open(&url).await);
    let (heard, mut hints) = tokio::sync::mpsc::unbounded_channel();
    far.listen(Box::new(move |hint| drop(heard.send(hint))));
    let mut next = async || {
        let hint = tokio::time::timeout(std::time::Duration::from_secs(20), hints.recv()).await;
        hint.expect("nothing is told").expect("it listens")
    };
    assert_eq!(next().await, Hint::Missed);
    let space = Space::new(6);
    let author = space.member(10);
    let batch = [append(&space, &author, &space.lane(&author, 2), 0)];
    let (id, genesis) = (space.id(), space.genesis.as_bytes().to_vec());
    with(&near, move |store| store.create_space(id, &genesis, LogId([1; 16])).expect("makes")).await;
    // The second time it is what a relay sends again that has lost the answer, and perhaps what it had to tell.
    for _ in 0..2 {
        let batch = batch.clone();
        with(&near, move |store| store.append(&batch).expect("writes")).await;
        while next().await != (Hint::Moved { space: id, head: 2 }) {}
    }
    server.cut(&url);
    while next().await != Hint::Missed {}
    drop(spawn_blocking(move || drop((near, far))).await);
}

/// Reads until the space ends for this follower.
async fn ended(follower: &mut Follower) {
    loop {
        match follower.client.receive().await {
            Frame::Error(error) => break assert_eq!(error.code, Code::StoreUnavailable),
            Frame::Batch(_) | Frame::CaughtUp(_) | Frame::Tick { .. } => {}
            frame => panic!("{frame:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_removed_beside_relays_ends_for_its_clients_and_can_be_made_again() {
    let Some(server) = server() else { return };
    let url = server.database();
    let (near, far) = (relay(&url).await, relay(&url).await);
    let (space, other) = (Space::new(9), Space::new(10));
    let author = space.member(10);
    let rows = space.lane(&author, 5);
    let mut followers =
        [Follower::enter(&near, &space, &author).await, Follower::enter(&far, &space, &author).await];
    let mut writer = Client::enter(near.address, &space, &author).await;
    writer.push(&space, &rows).await.expect("is taken");
    for follower in &mut followers {
        follower.until(rows.len()).await;
    }
    let (store, gone) = (open(&url).await, space.id());
    assert!(with(&store, move |store| store.remove_space(gone).expect("removes")).await);
    for follower in &mut followers {
        ended(follower).await;
    }
    let refused = writer.push(&space, &rows).await.expect_err("there is no such space");
    assert_eq!(refused.code, Code::StoreUnavailable);
    // Others go on, and so does who comes back: from nothing, on a log of its own.
    let stranger = other.member(10);
    let mut client = Client::enter(near.address, &other, &stranger).await;
    client.push(&other, &other.lane(&stranger, 2)).await.expect("is taken");
    let mut again =
        [Follower::enter(&near, &space, &author).await, Follower::enter(&far, &space, &author).await];
    writer.push(&space, &rows[..3]).await.expect("is taken");
    for follower in &mut again {
        follower.until(3).await;
        assert_eq!(follower.ids(), rows[..3].iter().map(id).collect::<Vec<_>>());
    }
    drop(spawn_blocking(move || drop(store)).await);
    near.stop().await;
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_made_again_at_once_ends_for_who_followed_the_old_one() {
    let Some(server) = server() else { return };
    let url = server.database();
    let far = relay(&url).await;
    let space = Space::new(12);
    let author = space.member(10);
    let mut follower = Follower::enter(&far, &space, &author).await;
    let store = open(&url).await;
    let (id, genesis) = (space.id(), space.genesis.as_bytes().to_vec());
    let lane = space.lane(&author, 4);
    let batch = [append(&space, &author, &lane, 0)];
    let push = batch.clone();
    with(&store, move |store| store.append(&push).expect("writes")).await;
    follower.until(2).await;
    // Before the relay looks again the new log is as long as the old one was.
    with(&store, move |store| {
        assert!(store.remove_space(id).expect("removes"));
        store.create_space(id, &genesis, LogId([2; 16])).expect("makes");
        store.append(&batch).expect("writes");
    })
    .await;
    ended(&mut follower).await;
    let mut again = Follower::enter(&far, &space, &author).await;
    again.until(2).await;
    assert_eq!(again.position.log_id, LogId([2; 16]));
    drop(spawn_blocking(move || drop(store)).await);
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_that_lie_cost_time_and_put_no_words_into_a_relays_mouth() {
    let Some(server) = server() else { return };
    let url = server.database();
    let relay = relay(&url).await;
    let space = Space::new(11);
    let author = space.member(10);
    let mut follower = Follower::enter(&relay, &space, &author).await;
    let rows = space.lane(&author, 6);
    let mut client = Client::enter(relay.address, &space, &author).await;
    client.push(&space, &rows[..3]).await.expect("is taken");
    follower.until(3).await;
    let place = base64url::encode(&space.id().0);
    let said = |frame: &[u8]| format!("s{place}{}", base64url::encode(frame));
    let elsewhere = Ephemeral { space: SpaceId([5; 32]), payload: Bytes::new() };
    let last = Ephemeral { space: space.id(), payload: Bytes::from_static(b"here") };
    let tick = Frame::Tick { time_ms: 7 };
    let frames = [tick.encode(), Bytes::from_static(b"junk"), Frame::Ephemeral(elsewhere).encode()];
    let tell = |entries: &str| {
        let notify = format!("SELECT pg_notify('stemma_relay', '0123456789abcdef{entries}')");
        server.execute(name(&url), &notify);
    };
    frames.iter().for_each(|frame| tell(&format!("{};", said(frame))));
    (0..200).for_each(|number| {
        server.execute(name(&url), &format!("NOTIFY stemma_relay, '{number:016}c{place}AAAA;'"))
    });
    tell(&format!("{};", said(&Frame::Ephemeral(last.clone()).encode())));
    loop {
        match follower.client.receive().await {
            Frame::Ephemeral(heard) => break assert_eq!(heard, last),
            Frame::CaughtUp(_) => {}
            Frame::Tick { time_ms } => assert_ne!(time_ms, 7),
            frame => panic!("{frame:?}"),
        }
    }
    tell(&format!("m{place}{};", u64::MAX));
    ended(&mut follower).await;
    // Until the relay has looked it may be told so again.
    client.push(&space, &rows[3..]).await.expect("is taken");
    let last = loop {
        let mut again = Follower::enter(&relay, &space, &author).await;
        let frame = loop {
            match again.client.receive().await {
                Frame::Batch(batch) => again.position = follow(again.position, batch, &mut again.rows),
                Frame::Tick { .. } => {}
                frame => break frame,
            }
        };
        match frame {
            Frame::CaughtUp(_) => break again,
            Frame::Error(error) => assert_eq!(error.code, Code::StoreUnavailable),
            frame => panic!("{frame:?}"),
        }
    };
    assert_eq!(last.ids(), rows.iter().map(id).collect::<Vec<_>>());
    relay.stop().await;
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
    server.execute(name(&url), "UPDATE stemma_relay.version SET number = 99");
    let error = spawn_blocking(move || PostgresStore::open(&url).expect_err("another version"));
    let words = error.await.expect("does not panic").to_string();
    assert!(words.starts_with("store version 99 is not 3"), "{words}");
}
