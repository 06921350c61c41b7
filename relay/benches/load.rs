//! Load on a relay in a process of its own, over loopback: `npm run bench:relay`. What is sent when does not depend on how fast
//! it is answered, so a relay that stalls shows it. The clients run on the same cores as the relay; its own time is shown
//! beside.
//!
//! Every run asserts that what was acked is what was sent, and that every subscriber got every row.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/postgres.rs"]
mod database;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Author, Client, Process, Space, delivered};
use stemma::causal::ChangesetId;
use stemma::sync::{Frame, Push, Row, Verdict};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// Limits of the relay that would be in the way of a load from one place.
const OPEN: [&str; 6] =
    ["--rows-burst", "100000000", "--rows-per-second", "100000000", "--handshakes-per-second", "1000000"];

/// Logins at a time.
const AT_ONCE: usize = 100;

/// One line of the table.
#[derive(Clone, Debug)]
struct Figure {
    load: &'static str,
    measure: String,
    value: f64,
    unit: &'static str,
}

#[derive(Default)]
struct Table(Vec<Figure>);

impl Table {
    fn add(&mut self, load: &'static str, measure: impl Into<String>, value: f64, unit: &'static str) {
        let measure = measure.into();
        println!("{load:<34}{measure:<44}{value:>12.2} {unit}");
        self.0.push(Figure { load, measure, value, unit });
    }

    fn quantiles(&mut self, load: &'static str, what: &str, mut all: Vec<Duration>) {
        all.sort_unstable();
        for (name, part) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let at = (all.len() * part / 100).min(all.len() - 1);
            self.add(load, format!("{what}, {name}"), all[at].as_secs_f64() * 1e3, "ms");
        }
    }

    fn write(&self, path: &Path) {
        let rows = self.0.iter().map(|Figure { load, measure, value, unit }| {
            format!("    {{ \"load\": \"{load}\", \"measure\": \"{measure}\", \"value\": {value:.4}, \"unit\": \"{unit}\" }}")
        });
        let rows: Vec<String> = rows.collect();
        let json = format!("{{\n  \"rows\": [\n{}\n  ]\n}}\n", rows.join(",\n"));
        std::fs::write(path, json).expect("the folder is there");
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only = arguments.iter().position(|argument| argument == "--only").map(|at| arguments[at + 1].clone());
    let runs = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let scale = if quick { 20 } else { 1 };
    let mut table = Table::default();
    let folder = tempfile::tempdir().expect("a folder");
    if runs("ingest") {
        let start =
            || Process::start_with(&with(&["--data", folder.path().join("ingest").to_str().expect("plain")]));
        ingest(&mut table, "ingest, SQLite", start(), 100_000 / scale).await;
        paced(&mut table, "5,000/s, SQLite", start(), 5_000, 10 / scale.min(5)).await;
    }
    if runs("fanout") {
        let relay =
            Process::start_with(&with(&["--data", folder.path().join("fanout").to_str().expect("plain")]));
        fanout(&mut table, "50,000 deliveries/s", &relay, &relay, (20, 50, 50), 10 / scale.min(5)).await;
    }
    if runs("idle") {
        let relay =
            Process::start_with(&with(&["--data", folder.path().join("idle").to_str().expect("plain")]));
        idle(&mut table, relay, 9_000 / scale).await;
    }
    if runs("storm") {
        storm(&mut table, &folder.path().join("storm"), 5_000 / scale).await;
    }
    if runs("postgres")
        && let Some(server) = database::Server::start(true)
    {
        let url = server.database();
        let start = || Process::start_with(&with(&["--store", &url]));
        ingest(&mut table, "ingest, PostgreSQL", start(), 50_000 / scale).await;
        paced(&mut table, "2,000/s, PostgreSQL", start(), 2_000, 10 / scale.min(5)).await;
        let (one, other) = (start(), start());
        fanout(&mut table, "from one relay to another", &one, &other, (4, 5, 25), 10 / scale.min(5)).await;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--out") {
        table.write(Path::new(&arguments[at + 1]));
    }
}

fn with<'a>(place: &[&'a str]) -> Vec<&'a str> {
    [&OPEN[..], place].concat()
}

/// As much as the relay takes: eight clients, a space each, two pushes of 128 rows under way.
async fn ingest(table: &mut Table, load: &'static str, relay: Process, rows: usize) {
    const CLIENTS: usize = 8;
    const PUSH: usize = 128;
    let lanes = (0..CLIENTS as u64).map(|number| {
        let space = Space::new(100 + number);
        let author = space.member(100);
        let lane = space.lane(&author, (rows / CLIENTS) as u32);
        (space, author, lane)
    });
    let lanes: Vec<(Space, Author, Vec<Row>)> = lanes.collect();
    let bytes: usize = lanes.iter().flat_map(|(.., lane)| lane).map(Row::bytes).sum();
    let count: usize = lanes.iter().map(|(.., lane)| lane.len()).sum();
    let mut clients = Vec::new();
    for (space, author, lane) in lanes {
        clients.push((Client::enter(relay.address, &space, &author).await, space, lane));
    }
    let (begun, cpu) = (Instant::now(), cpu_of(relay.pid()));
    let mut work = JoinSet::new();
    for (mut client, space, lane) in clients {
        work.spawn(async move {
            let mut under_way = 0;
            let mut accepted = 0;
            for (push_id, rows) in (1..).zip(lane.chunks(PUSH)) {
                client.send(Frame::Push(Push { push_id, space: space.id(), rows: rows.to_vec() })).await;
                under_way += 1;
                if under_way == 2 {
                    accepted += acked(&mut client).await;
                    under_way -= 1;
                }
            }
            for _ in 0..under_way {
                accepted += acked(&mut client).await;
            }
            assert_eq!(accepted, lane.len());
        });
    }
    while let Some(done) = work.join_next().await {
        done.expect("no client fails");
    }
    let seconds = begun.elapsed().as_secs_f64();
    table.add(load, "changesets, durable", count as f64 / seconds, "/s");
    table.add(load, "of bytes each", bytes as f64 / count as f64, "B");
    table.add(load, "cores of the relay", (cpu_of(relay.pid()) - cpu) / seconds, "");
}

async fn acked(client: &mut Client) -> usize {
    loop {
        match client.receive().await {
            Frame::Ack(ack) => {
                let taken = ack.results.iter().filter(|verdict| matches!(verdict, Verdict::Accepted { .. }));
                return taken.count();
            }
            Frame::Tick { .. } => {}
            frame => panic!("{frame:?}"),
        }
    }
}

/// So many changesets a second from fifty clients, each in pushes of four: how long their acks take.
async fn paced(table: &mut Table, load: &'static str, relay: Process, per_second: usize, seconds: usize) {
    const CLIENTS: usize = 50;
    const PUSH: usize = 4;
    let pushes = per_second * seconds / CLIENTS / PUSH;
    let mut work = JoinSet::new();
    let mut ready = Vec::new();
    for number in 0..CLIENTS as u64 {
        let space = Space::new(200 + number % 5);
        let author = space.member(300 + number);
        let lane = space.lane(&author, (pushes * PUSH) as u32);
        ready.push((Client::enter(relay.address, &space, &author).await, space, lane));
    }
    let (begun, cpu) = (Instant::now() + Duration::from_millis(100), cpu_of(relay.pid()));
    let every = Duration::from_secs_f64((CLIENTS * PUSH) as f64 / per_second as f64);
    for (number, (mut client, space, lane)) in (0_u32..).zip(ready) {
        let first = begun + every * number / CLIENTS as u32;
        work.spawn(async move {
            let mut times = Vec::new();
            for (push_id, rows) in (1_u32..).zip(lane.chunks(PUSH)) {
                // From when it should have been sent, whatever held it up.
                let due = first + every * (push_id - 1);
                sleep_until(due.into()).await;
                let push = Push { push_id: push_id.into(), space: space.id(), rows: rows.to_vec() };
                client.send(Frame::Push(push)).await;
                assert_eq!(acked(&mut client).await, rows.len());
                times.push(due.elapsed());
            }
            times
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = work.join_next().await {
        times.extend(of_one.expect("no client fails"));
    }
    let took = begun.elapsed().as_secs_f64();
    table.quantiles(load, "ack", times);
    table.add(load, "cores of the relay", (cpu_of(relay.pid()) - cpu) / took, "");
}

/// Rooms with listeners; in each somebody writes so often a second. Writers at one relay, listeners at another or the same.
async fn fanout(
    table: &mut Table,
    load: &'static str,
    written_to: &Process,
    heard_from: &Process,
    (rooms, listeners, per_second): (u64, usize, usize),
    seconds: usize,
) {
    let sent: Arc<Mutex<HashMap<ChangesetId, Instant>>> = Arc::default();
    let rows = per_second * seconds;
    let mut ears = JoinSet::new();
    let mut writers = Vec::new();
    for room in 0..rooms {
        let space = Space::new(400 + room);
        let author = space.member(400);
        let lane = space.lane(&author, rows as u32);
        let writer = Client::enter(written_to.address, &space, &author).await;
        for ear in 0..listeners as u64 {
            let mut client = Client::enter(heard_from.address, &space, &space.member(500 + ear)).await;
            client.subscribe(&space, None, &[]).await;
            let sent = Arc::clone(&sent);
            ears.spawn(async move {
                let mut times = Vec::new();
                while times.len() < rows {
                    if let Frame::Batch(batch) = client.receive().await {
                        let now = Instant::now();
                        let sent = sent.lock().expect("nothing panics while it holds the lock");
                        times.extend(batch.rows.iter().map(|row| now - sent[&delivered(row)]));
                    }
                }
                times
            });
        }
        writers.push((writer, space, lane));
    }
    let pids = [written_to.pid(), heard_from.pid()];
    let cpu_of_all =
        || if pids[0] == pids[1] { cpu_of(pids[0]) } else { pids.iter().map(|pid| cpu_of(*pid)).sum() };
    let (begun, cpu) = (Instant::now() + Duration::from_millis(100), cpu_of_all());
    let every = Duration::from_secs(1) / per_second as u32;
    for (room, (mut writer, space, lane)) in (0_u32..).zip(writers) {
        let (sent, first) = (Arc::clone(&sent), begun + every * room / rooms as u32);
        tokio::spawn(async move {
            for (at, row) in (0_u32..).zip(lane) {
                let due = first + every * at;
                sleep_until(due.into()).await;
                sent.lock().expect("nothing panics while it holds the lock").insert(common::id(&row), due);
                let push = Push { push_id: u64::from(at) + 1, space: space.id(), rows: vec![row] };
                writer.send(Frame::Push(push)).await;
                assert_eq!(acked(&mut writer).await, 1);
            }
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = ears.join_next().await {
        times.extend(of_one.expect("no listener fails"));
    }
    let took = begun.elapsed().as_secs_f64();
    table.add(load, "deliveries", times.len() as f64 / took, "/s");
    table.quantiles(load, "from when it is due to a listener", times);
    table.add(load, "cores of the relays", (cpu_of_all() - cpu) / took, "");
}

/// Connections that are logged in, subscribed, and silent.
async fn idle(table: &mut Table, relay: Process, connections: usize) {
    let before = resident(relay.pid());
    let space = Arc::new(Space::new(600));
    let clients = many(relay.address, &space, connections).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident(relay.pid()) - before;
    table.add("idle", "connections", clients.len() as f64, "");
    table.add("idle", "memory each", grown / clients.len() as f64, "B");
}

/// All clients come back at once to a relay that was started anew.
async fn storm(table: &mut Table, folder: &Path, connections: usize) {
    let start = || Process::start(folder, &OPEN);
    let relay = start();
    let space = Arc::new(Space::new(700));
    drop(many(relay.address, &space, 1.max(connections / 50)).await);
    relay.kill();
    let relay = start();
    let begun = Instant::now();
    let clients = many(relay.address, &space, connections).await;
    table.add("storm", "connections", clients.len() as f64, "");
    table.add("storm", "until all are subscribed", begun.elapsed().as_secs_f64(), "s");
}

async fn many(address: SocketAddr, space: &Arc<Space>, connections: usize) -> Vec<Client> {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let author = Arc::new(space.member(600));
    let mut logins = JoinSet::new();
    for _ in 0..connections {
        let (space, author, places) = (Arc::clone(space), Arc::clone(&author), Arc::clone(&places));
        logins.spawn(async move {
            let _place = places.acquire().await.expect("it is not closed");
            let mut client = Client::enter(address, &space, &author).await;
            client.subscribe(&space, None, &[]).await;
            client
        });
    }
    logins.join_all().await
}

/// Seconds of processor time of a process so far.
fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

/// Memory of a process.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1_024.0
}
