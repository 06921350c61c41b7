//! Several relays over one PostgreSQL database that fails them: processes are killed, backends end, the server crashes, and somebody
//! holds a lock. What was acknowledged stays, and nobody waits for more than they must.

mod common;
#[path = "common/postgres.rs"]
mod database;
#[path = "common/shared.rs"]
mod stores;

use std::sync::Arc;

use common::{Client, Process, Space, start};
use database::{Server, name, server};
use stemma::causal::LogId;
use stemma::sync::{Code, Delivery, Frame, Row, Verdict};
use stemma_relay::store::Store;
use stores::{append, loop_until_entered, open, relay, with};
use tokio::task::spawn_blocking;

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
