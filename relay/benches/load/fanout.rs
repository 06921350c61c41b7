//! How soon what one writes reaches many.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stemma::sync::{Frame, Position, Push};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::common::{self, Client, Process, Space};
use crate::ingest::acked;
use crate::table::{Machine, Table, cpu_of};

/// Rooms with slow readers, if there are some.
const SLOW_ROOMS: u64 = 4;

/// 6 MB.
const FILL_ROWS: u32 = 200;

/// Rooms with listeners; in each somebody writes so often a second.
#[derive(Clone, Copy)]
pub struct Load {
    /// What it is called.
    pub load: &'static str,
    pub rooms: u64,
    /// In each room.
    pub listeners: usize,
    /// In some rooms too: they subscribe to a log that has more in it than a system keeps for them, and read nothing.
    pub slow: u64,
    pub per_second: usize,
    pub seconds: usize,
}

/// Writers at one relay, listeners at another or the same. Each row is late from when it should have been sent, whatever held
/// it up.
pub async fn fanout(table: &mut Table, of: Load, relays: [&Process; 2], figures: Option<SocketAddr>) {
    let Load { load, rooms, listeners, slow, per_second, seconds } = of;
    let rows = per_second * seconds;
    let every = Duration::from_secs(1) / per_second as u32;
    let mut ears = Vec::new();
    let mut writers = Vec::new();
    let mut deaf = Vec::new();
    for room in 0..rooms {
        let space = Space::new(400 + room);
        let author = space.member(400);
        let lane = space.lane(&author, rows as u32);
        let writer = Client::enter(relays[0].address, &space, &author).await;
        let is_slow = room < SLOW_ROOMS && slow > 0;
        let from = if is_slow { Some(fill(relays[0], &space).await) } else { None };
        for ear in 0..listeners as u64 {
            let mut client = Client::enter(relays[1].address, &space, &space.member(500 + ear)).await;
            client.subscribe(&space, from, &[]).await;
            ears.push((room as u32, from.map_or(0, |from| from.cursor), client));
        }
        for ear in 0..if is_slow { slow } else { 0 } {
            let mut client = Client::with_little_room(relays[1].address).await;
            assert_eq!(client.login(&space, &space.member(900 + ear)).await, None);
            client.subscribe(&space, None, &[]).await;
            deaf.push(client);
        }
        writers.push((writer, space, lane));
    }
    let mut pids: Vec<u32> = relays.map(Process::pid).into();
    pids.dedup();
    let cpu_of_all = || pids.iter().map(|pid| cpu_of(*pid)).sum::<f64>();
    let (begun, cpu, machine) = (Instant::now() + Duration::from_millis(200), cpu_of_all(), Machine::now());
    let own = cpu_of(std::process::id());
    let mut listening = JoinSet::new();
    for (room, before, mut client) in ears {
        let first = begun + every * room / rooms as u32;
        listening.spawn(async move {
            let mut times = Vec::with_capacity(rows);
            while times.len() < rows {
                let frame = client.next_at_last().await.expect("a frame");
                let now = Instant::now();
                let Frame::Batch(batch) = frame else { continue };
                assert_eq!(batch.first_cursor, before + times.len() as u64 + 1);
                let due = |at: usize| now.saturating_duration_since(first + every * at as u32);
                let next = times.len();
                times.extend((next..next + batch.rows.len()).map(due));
            }
            times
        });
    }
    for (room, (mut writer, space, lane)) in (0_u32..).zip(writers) {
        let first = begun + every * room / rooms as u32;
        tokio::spawn(async move {
            for (at, row) in (0_u32..).zip(lane) {
                sleep_until((first + every * at).into()).await;
                let push = Push { push_id: u64::from(at) + 1, space: space.id(), rows: vec![row] };
                writer.send(Frame::Push(push)).await;
                assert_eq!(acked(&mut writer).await, 1);
            }
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = listening.join_next().await {
        times.extend(of_one.expect("no listener fails"));
    }
    let took = begun.elapsed().as_secs_f64();
    table.add(load, "deliveries", times.len() as f64 / took, "/s");
    table.quantiles(load, "from when it is due to a listener", times);
    let of_relays = cpu_of_all() - cpu;
    let of_clients = cpu_of(std::process::id()) - own;
    table.add(load, "cores of the relays", of_relays / took, "");
    table.add(load, "cores of the clients", of_clients / took, "");
    table.add(load, "cores of other programs", (machine.busy() - of_relays - of_clients).max(0.0) / took, "");
    if let Some(figures) = figures {
        let text = common::body(figures, "/metrics").await;
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let seconds = quantile(&text, "relay_delivery_seconds", part);
            table.add(load, format!("from commit to socket, {name} at most"), seconds * 1e3, "ms");
        }
    }
    table.add(load, "slow readers", deaf.len() as f64, "");
}

/// More than a system keeps for one who does not read; where that ends.
async fn fill(relay: &Process, space: &Space) -> Position {
    let author = space.member(399);
    let mut client = Client::enter(relay.address, space, &author).await;
    let mut prev = None;
    for seq in 0..FILL_ROWS {
        let row = space.row(&author, seq, prev, &vec![seq as u8; 1 << 15]);
        prev = Some(common::id(&row));
        client.push(space, &[row]).await.expect("is taken");
    }
    let subscribed = client.subscribe(space, None, &[]).await;
    client.catch_up(common::start(&subscribed)).await.1
}

/// The upper bound of the bucket that a part of all values is in.
fn quantile(text: &str, name: &str, part: f64) -> f64 {
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?.split_once("\"} ")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), count.parse::<f64>().ok()?))
    };
    let buckets: Vec<(f64, f64)> = text.lines().filter_map(bucket).collect();
    let all = buckets.last().expect("something was delivered").1;
    buckets.iter().find(|(_, count)| *count >= all * part).expect("the last has all").0
}
