//! How much a relay takes, and how soon it says that it is durable.

use std::time::{Duration, Instant};

use stemma::sync::{Frame, Push, Row, Verdict};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::common::{Author, Client, Process, Space};
use crate::table::{Table, cpu_of};

/// As much as the relay takes: eight clients, a space each, two pushes of 128 rows under way.
pub async fn ingest(table: &mut Table, load: &'static str, relay: Process, rows: usize) {
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

pub async fn acked(client: &mut Client) -> usize {
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
pub async fn paced(table: &mut Table, load: &'static str, relay: Process, per_second: usize, seconds: usize) {
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
