//! Load on a relay in a process of its own, over loopback: `npm run bench:relay`. What is sent when does not depend on how fast
//! it is answered, so a relay that stalls shows it. The clients run on the same cores as the relay; its own time is shown
//! beside.
//!
//! Every run asserts that what was acked is what was sent, and that every subscriber got every row.

mod crowd;
mod fanout;
mod ingest;
mod stored;
mod table;

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/postgres.rs"]
mod database;

use std::path::Path;

use common::Process;
use table::Table;

/// Limits of the relay that would be in the way of a load from one place.
const OPEN: [&str; 6] =
    ["--rows-burst", "100000000", "--rows-per-second", "100000000", "--handshakes-per-second", "1000000"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    match arguments.first().map(String::as_str) {
        Some(crowd::HOLD) => runtime.block_on(crowd::hold(&arguments[1..])),
        _ => runtime.block_on(run(&arguments)),
    }
}

async fn run(arguments: &[String]) {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only = value("--only");
    let runs = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let (scale, seconds) = if quick { (20, 2) } else { (1, 10) };
    let mut table = Table::default();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).to_str().expect("plain").to_owned();
    if runs("ingest") {
        let start = || Process::start_with(&with(&["--data", &place("ingest")]));
        ingest::ingest(&mut table, "ingest, SQLite", start(), 100_000 / scale).await;
        ingest::paced(&mut table, "5,000/s, SQLite", start(), 5_000, seconds).await;
    }
    if runs("stored") {
        stored::stored(&mut table, &folder.path().join("stored"), 20_000 / scale as u32);
    }
    if runs("fanout") {
        let loads = [
            ("50,000 deliveries/s", 50, 0),
            ("20,000 deliveries/s", 20, 0),
            ("20,000 deliveries/s, slow readers", 20, 5),
        ];
        for (load, listeners, slow) in loads {
            let (relay, figures) = Process::start_counting(&with(&["--data", &place(load)]));
            let load = fanout::Load { load, rooms: 20, listeners, per_second: 50, seconds, slow };
            fanout::fanout(&mut table, load, [&relay, &relay], Some(figures)).await;
        }
    }
    if runs("idle") {
        let start =
            |name| Process::start_with(&with(&["--data", &place(name), "--connections-max", "20000"]));
        crowd::idle(&mut table, "idle", &start("idle"), 10_000 / scale, 0).await;
        crowd::idle(&mut table, "idle, after 1 MB was read", &start("read"), 1_000 / scale, 1 << 20).await;
    }
    if runs("storm") {
        crowd::storm(&mut table, &folder.path().join("storm"), 5_000 / scale).await;
    }
    if runs("postgres")
        && let Some(server) = database::Server::start(true)
    {
        let url = server.database();
        let start = || Process::start_with(&with(&["--store", &url]));
        ingest::ingest(&mut table, "ingest, PostgreSQL", start(), 50_000 / scale).await;
        ingest::paced(&mut table, "2,000/s, PostgreSQL", start(), 2_000, seconds).await;
        let (one, other) = (start(), start());
        let load = "from one relay to another";
        let load = fanout::Load { load, rooms: 4, listeners: 5, per_second: 25, seconds, slow: 0 };
        fanout::fanout(&mut table, load, [&one, &other], None).await;
    }
    if let Some(out) = value("--out") {
        table.write(Path::new(&out));
    }
}

fn with<'a>(place: &[&'a str]) -> Vec<&'a str> {
    [&OPEN[..], place].concat()
}
