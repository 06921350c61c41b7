//! Relays and stores over one PostgreSQL database, as tests of several of them need them.
#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]

use std::sync::Arc;

use stemma::sync::Row;
use stemma_relay::RelayConfig;
use stemma_relay::store::{Append, NewRow, PostgresStore};
use tokio::task::spawn_blocking;

use super::common::{Author, Client, Node, Process, Space, id};

/// A store, opened on a thread that drives nothing.
pub async fn open(url: &str) -> Arc<PostgresStore> {
    let url = url.to_owned();
    let open = move || Arc::new(PostgresStore::open(&url).expect("opens"));
    spawn_blocking(open).await.expect("does not panic")
}

pub async fn relay(url: &str) -> Node {
    Node::on(open(url).await, RelayConfig { rows_burst: 1_000_000, ..RelayConfig::default() }).await
}

/// Runs something of a store on a thread that drives nothing.
pub async fn with<T: Send + 'static>(
    store: &Arc<PostgresStore>,
    run: impl FnOnce(&PostgresStore) -> T + Send + 'static,
) -> T {
    let store = Arc::clone(store);
    spawn_blocking(move || run(&store)).await.expect("does not panic")
}

/// Two rows of a lane.
pub fn append(space: &Space, author: &Author, lane: &[Row], from: usize) -> Append {
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

/// The relay's connections ended with the database: it finds out, and goes on.
pub async fn loop_until_entered(relay: &Process, space: &Space, author: &Author) -> Client {
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
