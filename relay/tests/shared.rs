//! Several relays over one PostgreSQL database: what is pushed to one is delivered by all, whatever happens to one of them, to
//! their connections or to the database.

mod common;
#[path = "common/postgres.rs"]
mod database;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::{Author, Client, Node, Process, Space, delivered, follow, id, start};
use database::{Server, name, server};
use prost::bytes::Bytes;
use stemma::causal::{ChangesetId, LogId, SpaceId};
use stemma::codec::base64url;
use stemma::event::{Header, next_chain};
use stemma::sync::{Code, Delivery, Ephemeral, Frame, Position, Row, Verdict};
use stemma_relay::RelayConfig;
use stemma_relay::store::{Append, Hint, NewRow, PostgresStore, Store};
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

/// Runs something of a store on a thread that drives nothing.
async fn with<T: Send + 'static>(
    store: &Arc<PostgresStore>,
    run: impl FnOnce(&PostgresStore) -> T + Send + 'static,
) -> T {
    let store = Arc::clone(store);
    spawn_blocking(move || run(&store)).await.expect("does not panic")
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

#[tokio::test(flavor = "multi_thread")]
async fn relays_wait_for_each_other_whatever_the_database_takes_for_granted() {
    let Some(server) = server() else { return };
    let url = server.database();
    let name = name(&url);
    let alter = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    server.execute("postgres", &alter);
    let space = Arc::new(Space::new(7));
    let mut writers = Vec::new();
    for number in 0..3 {
        let (store, space) = (open(&url).await, Arc::clone(&space));
        writers.push(spawn_blocking(move || {
            store
                .create_space(space.id(), space.genesis.as_bytes(), LogId([1; 16]))
                .expect("makes or finds it");
            let author = space.member(20 + number);
            let lane = space.lane(&author, 40);
            for from in (0..lane.len()).step_by(2) {
                store.append(&[append(&space, &author, &lane, from)]).expect("appends");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("no writer fails");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_who_looks_for_strays() {
    let Some(server) = server() else { return };
    let url = server.database();
    let store = open(&url).await;
    let space = Space::new(8);
    let (id, genesis) = (space.id(), space.genesis.as_bytes().to_vec());
    with(&store, move |store| store.create_space(id, &genesis, LogId([1; 16])).expect("makes")).await;
    let look = move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("connects");
        // A relay in the middle of a commit.
        let mut commit = client.transaction().expect("begins");
        commit.execute("SELECT 1 FROM stemma_relay.space FOR UPDATE", &[]).expect("locks");
        for remove in [false, true] {
            assert_eq!(store.strays(remove).expect("it does not wait"), 0);
        }
    };
    spawn_blocking(look).await.expect("does not panic");
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
async fn a_space_that_is_locked_holds_up_nobody_else() {
    let Some(server) = server() else { return };
    let url = server.database();
    let relay = relay(&url).await;
    let (locked, other) = (Space::new(13), Space::new(14));
    let (author, stranger) = (locked.member(10), other.member(10));
    let (lane, others) = (locked.lane(&author, 4), other.lane(&stranger, 40));
    let mut waits = Client::enter(relay.address, &locked, &author).await;
    let mut goes_on = Client::enter(relay.address, &other, &stranger).await;
    waits.push(&locked, &lane[..1]).await.expect("is taken");
    let hold = {
        let (url, id) = (url.clone(), locked.id());
        let (held, is_held) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("connects");
            let mut transaction = client.transaction().expect("begins");
            let lock = "SELECT 1 FROM stemma_relay.space WHERE id = $1 FOR UPDATE";
            transaction.execute(lock, &[&&id.0[..]]).expect("locks");
            held.send(()).expect("somebody waits");
            let _ = released.recv();
            transaction.commit().expect("ends");
        });
        is_held.await.expect("it is locked");
        (thread, release)
    };
    let push = stemma::sync::Push { push_id: 9, space: locked.id(), rows: lane[1..2].to_vec() };
    waits.send(Frame::Push(push)).await;
    // A second client of the locked space, whose row follows.
    let mut behind = Client::enter(relay.address, &locked, &author).await;
    let push = stemma::sync::Push { push_id: 9, space: locked.id(), rows: lane[2..3].to_vec() };
    behind.send(Frame::Push(push)).await;
    for row in &others {
        let verdicts = goes_on.push(&other, std::slice::from_ref(row)).await.expect("is taken");
        assert!(matches!(verdicts[..], [Verdict::Accepted { .. }]), "{verdicts:?}");
    }
    drop(hold.1);
    hold.0.join().expect("no panic");
    let acked = async |client: &mut Client| loop {
        match client.receive().await {
            Frame::Ack(ack) => break ack.results,
            Frame::Tick { .. } => {}
            frame => panic!("{frame:?}"),
        }
    };
    assert_eq!(acked(&mut waits).await, [Verdict::Accepted { cursor: 2 }]);
    assert!(matches!(acked(&mut behind).await[..], [Verdict::Accepted { cursor: 3 }]));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acked_under_load_is_lost_when_backends_end_and_the_server_restarts() {
    const WRITERS: u64 = 4;
    const ROWS: u32 = 60;
    let Some(server) = Server::start(true) else { return };
    let url = server.database();
    let relays = [(); 2].map(|()| Process::start_with(&["--store", &url, "--rows-burst", "1000000"]));
    let space = Arc::new(Space::new(15));
    let mut writers = tokio::task::JoinSet::new();
    let done = Arc::new(std::sync::atomic::AtomicU32::new(0));
    for number in 0..WRITERS {
        let (space, done) = (Arc::clone(&space), Arc::clone(&done));
        let address = relays[number as usize % 2].address;
        writers.spawn(async move {
            let author = space.member(100 + number);
            let lane = space.lane(&author, ROWS);
            let mut client = Client::enter(address, &space, &author).await;
            let mut acked = Vec::new();
            for rows in lane.chunks(2) {
                // Refused while the database is away, and then sent again: perhaps it was stored all the same.
                let verdicts = loop {
                    match client.push(&space, rows).await {
                        Ok(verdicts) => break verdicts,
                        Err(error) => assert_eq!(error.code, Code::StoreUnavailable),
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                };
                for (row, verdict) in rows.iter().zip(verdicts) {
                    match verdict {
                        Verdict::Accepted { cursor } | Verdict::Dup { cursor } => {
                            acked.push((cursor, row.clone()))
                        }
                        verdict => panic!("{verdict:?}"),
                    }
                }
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            acked
        });
    }
    // Each fault in the middle of the work, however fast that is.
    let all = WRITERS as u32 * ROWS / 2;
    for (fault, part) in [(false, 1), (false, 2), (true, 3), (false, 4)] {
        while done.load(std::sync::atomic::Ordering::Relaxed) < all * part / 6 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        if fault { server.crash() } else { server.cut(&url) }
    }
    let acked: Vec<(u64, Row)> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(acked.len(), WRITERS as usize * ROWS as usize);
    for relay in &relays {
        let author = space.member(99);
        let mut client = loop_until_entered(relay, &space, &author).await;
        let subscribed = client.subscribe(&space, None, &[]).await;
        let (rows, _) = client.catch_up(start(&subscribed)).await;
        assert_eq!(rows.len(), acked.len());
        for (cursor, row) in &acked {
            assert_eq!(rows[*cursor as usize - 1], Delivery::Row(row.clone()), "cursor {cursor}");
        }
    }
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
    assert!(words.starts_with("store version 99 is not 1"), "{words}");
}
