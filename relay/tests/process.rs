//! The relay as a process: what it says, how it stops, and that nothing it acked is lost when it is killed.

mod common;

use std::process::Command;

use common::{Client, Process, Space, delivered, get, id, start};
use stemma::sync::{Code, Delivery, Frame, Position, Push, Row, Verdict};

#[tokio::test]
async fn sigterm_drains() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = Process::start(folder.path(), &[]);
    let address = relay.address;
    assert_eq!(get(address, "/readyz").await.as_deref(), Some("HTTP/1.1 200 OK"));
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(address, &space, &author).await;
    client.push(&space, &space.lane(&author, 5)).await.expect("pushes");
    relay.terminate();
    assert!(matches!(client.next().await, Some(Frame::GoAway(go)) if go.code == Code::Draining));
    assert_eq!(client.next().await, None);
    assert!(relay.ended().await, "a drained relay ends with success");
    assert!(!folder.path().join("relay.sqlite-wal").exists(), "one file is left, to be copied as it is");
    assert!(common::get(address, "/livez").await.is_none());

    let relay = Process::start(folder.path(), &["--create", "closed", "--log", "json"]);
    let mut client = Client::enter(relay.address, &space, &author).await;
    assert_eq!(client.subscribe(&space, None, &[]).await.head, 5);
}

#[tokio::test]
async fn as_many_come_in_as_the_system_allows_whatever_the_shell_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = Process::start_within("ulimit -Sn 64", folder.path());
    let space = Space::new(1);
    let author = space.member(10);
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(Client::enter(relay.address, &space, &author).await);
    }
    let last = clients.last_mut().expect("a hundred");
    assert_eq!(last.subscribe(&space, None, &[]).await.head, 0);
}

#[tokio::test]
async fn what_was_acked_survives_being_killed() {
    const ROUNDS: usize = 8;
    const ROWS: u32 = 400;
    let folder = tempfile::tempdir().expect("a folder");
    let space = Space::new(1);
    let mut acked: Vec<(u64, Row)> = Vec::new();
    let mut position = None;
    for round in 0..ROUNDS {
        let relay = Process::start(folder.path(), &["--rows-burst", "1000000"]);
        let author = space.member(100 + round as u64);
        let mut client = Client::enter(relay.address, &space, &author).await;

        // Everything acked in earlier rounds is there, at its cursor, in a log with the same history.
        let subscribed = client.subscribe(&space, position, &[]).await;
        assert_eq!(subscribed.resync, None);
        let (rows, end) = read_all(Client::enter(relay.address, &space, &author).await, &space).await;
        for (cursor, row) in &acked {
            assert_eq!(rows[*cursor as usize - 1], Delivery::Row(row.clone()), "cursor {cursor}");
        }
        position = Some(end);
        while !matches!(client.receive().await, Frame::CaughtUp(_)) {}

        // Small pushes, many under way; the kill comes after as many acks as the round says, in the middle of the rest.
        let lane = space.lane(&author, ROWS);
        for (index, rows) in lane.chunks(2).enumerate() {
            let push = Push { push_id: index as u64 + 1, space: space.id(), rows: rows.to_vec() };
            client.send(Frame::Push(push)).await;
        }
        let mut acks = 0;
        while acks < 10 + round * 15 {
            let Frame::Ack(ack) = client.receive().await else { continue };
            let rows = &lane[(ack.push_id as usize - 1) * 2..][..2];
            for (row, verdict) in rows.iter().zip(&ack.results) {
                let Verdict::Accepted { cursor } = verdict else { panic!("{verdict:?}") };
                acked.push((*cursor, row.clone()));
            }
            acks += 1;
        }
        relay.kill();
    }
    let relay = Process::start(folder.path(), &[]);
    let author = space.member(100);
    let (rows, end) = read_all(Client::enter(relay.address, &space, &author).await, &space).await;
    assert_eq!(rows.len() as u64, end.cursor);
    for (cursor, row) in &acked {
        assert_eq!(delivered(&rows[*cursor as usize - 1]), id(row));
    }
    assert_eq!(acked.len(), (0..ROUNDS).map(|round| (10 + round * 15) * 2).sum::<usize>());
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_and_takes_back_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let space = Space::new(1);
    let author = space.member(10);
    let lane = space.lane(&author, 2_000);
    let relay = Process::start_on_full_disk(folder.path(), 512);
    let mut client = Client::enter(relay.address, &space, &author).await;
    let mut taken = 0;
    let refused = loop {
        match client.push(&space, &lane[taken..taken + 20]).await {
            Ok(results) => {
                assert!(
                    results.iter().all(|verdict| matches!(verdict, Verdict::Accepted { .. })),
                    "{results:?}"
                );
                taken += 20;
            }
            Err(error) => break error,
        }
    };
    assert_eq!((refused.code, refused.retryable), (Code::StoreUnavailable, true));
    assert!(taken > 100, "{taken} rows fit");

    // Reads go on, and so do refusals.
    let (rows, end) = read_all(Client::enter(relay.address, &space, &author).await, &space).await;
    assert_eq!((rows.len(), end.cursor), (taken, taken as u64));
    assert!(client.push(&space, &lane[taken..taken + 20]).await.is_err());
    relay.kill();

    // With room again everything that was acked is there, and the same pushes are taken.
    let relay = Process::start(folder.path(), &["--rows-burst", "1000000"]);
    let (rows, end) = read_all(Client::enter(relay.address, &space, &author).await, &space).await;
    assert_eq!(
        rows.iter().map(delivered).collect::<Vec<_>>(),
        lane[..taken].iter().map(id).collect::<Vec<_>>()
    );
    let mut client = Client::enter(relay.address, &space, &author).await;
    client.push(&space, &lane[taken..taken + 20]).await.expect("there is room");
    let (rows, _) = read_all(Client::enter(relay.address, &space, &author).await, &space).await;
    assert_eq!(rows.len() as u64, end.cursor + 20);
}

#[tokio::test]
async fn two_relays_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let _relay = Process::start(folder.path(), &[]);
    let second = Command::new(env!("CARGO_BIN_EXE_stemma-relay"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another relay has it open"), "{said}");
}

#[tokio::test]
async fn a_token_gates_the_making_of_spaces() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = Command::new(env!("CARGO_BIN_EXE_stemma-relay"))
        .args(["--create", "token", "--data"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert!(!missing.status.success());
    let relay = Process::start(folder.path(), &["--create", "token", "--create-token", "let me"]);
    let space = Space::new(1);
    let author = space.member(10);
    for (token, expected) in [("", Some(Code::Denied)), ("let me", None), ("", None)] {
        let mut client = Client::connect(relay.address).await;
        let auth = client.auth(&[(&space, &author)], token);
        assert_eq!(client.answer_to(auth).await.expect("a good proof").spaces[0].refused, expected);
    }
}

async fn read_all(mut client: Client, space: &Space) -> (Vec<Delivery>, Position) {
    let subscribed = client.subscribe(space, None, &[]).await;
    client.catch_up(start(&subscribed)).await
}
