//! Many clients: what each costs while it is silent, and how they all come back at once.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stemma::sync::Frame;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::OPEN;
use crate::common::{Author, Client, Process, Space};
use crate::table::{Table, cpu_of, resident};

/// The first argument of a process that holds connections.
pub const HOLD: &str = "hold";

/// Logins at a time.
const AT_ONCE: usize = 50;

/// Processes that hold connections: one may not have as many descriptors as there are to be.
const HOLDERS: usize = 2;

/// Connections that are logged in, subscribed, and silent, after each has read so much of a log.
pub async fn idle(table: &mut Table, load: &'static str, relay: &Process, connections: usize, bytes: usize) {
    let space = Space::new(600);
    let author = space.member(600);
    let mut writer = Client::enter(relay.address, &space, &author).await;
    let mut prev = None;
    for seq in 0..bytes.div_ceil(1 << 15) {
        let row = space.row(&author, seq as u32, prev, &vec![seq as u8; 1 << 15]);
        prev = Some(crate::common::id(&row));
        writer.push(&space, &[row]).await.expect("is taken");
    }
    let before = resident(relay.pid());
    let mut holders: Vec<Child> =
        (0..HOLDERS).map(|_| holder(relay.address, connections / HOLDERS)).collect();
    let wait = move || {
        for child in &mut holders {
            let mut line = String::new();
            let out = child.stdout.as_mut().expect("piped");
            BufReader::new(out).read_line(&mut line).expect("a line");
            assert_eq!(line.trim(), "held");
        }
        holders
    };
    let mut holders = tokio::task::spawn_blocking(wait).await.expect("all are held");
    sleep(Duration::from_secs(2)).await;
    let grown = resident(relay.pid()) - before;
    let cpu = cpu_of(relay.pid());
    sleep(Duration::from_secs(3)).await;
    table.add(load, "connections", connections as f64, "");
    table.add(load, "memory each", grown / connections as f64, "B");
    table.add(load, "cores of the relay meanwhile", (cpu_of(relay.pid()) - cpu) / 3.0, "");
    for child in &mut holders {
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }
}

fn holder(address: SocketAddr, connections: usize) -> Child {
    Command::new(std::env::current_exe().expect("a path"))
        .args([HOLD, &address.to_string(), &connections.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// Holds connections until standard input ends.
pub async fn hold(arguments: &[String]) {
    let address: SocketAddr = arguments[0].parse().expect("an address");
    let connections: usize = arguments[1].parse().expect("a number");
    let space = Arc::new(Space::new(600));
    let clients = many(address, &space, connections).await;
    println!("held");
    std::io::stdout().flush().expect("somebody listens");
    let wait = || std::io::stdin().lines().for_each(drop);
    tokio::task::spawn_blocking(wait).await.expect("no panic");
    drop(clients);
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
            while !matches!(client.receive().await, Frame::CaughtUp(_)) {}
            client
        });
    }
    logins.join_all().await
}

/// All clients come back within ten seconds to a relay that was started anew, with its own limits. Whoever is refused waits as
/// `docs/protocol.md` §5 says.
pub async fn storm(table: &mut Table, folder: &Path, connections: usize) {
    const SPACES: usize = 50;
    const WITHIN: Duration = Duration::from_secs(10);
    let relay = Process::start(folder, &OPEN);
    let spaces: Vec<(Space, Author)> = (0..SPACES as u64)
        .map(|number| {
            let space = Space::new(700 + number);
            let author = space.member(700);
            (space, author)
        })
        .collect();
    for (space, author) in &spaces {
        let mut client = Client::enter(relay.address, space, author).await;
        client.push(space, &space.lane(author, 5)).await.expect("is taken");
    }
    relay.kill();
    let relay = Process::start(folder, &[]);
    let (address, spaces) = (relay.address, Arc::new(spaces));
    let refusals = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for number in 0..connections {
        let (spaces, refusals) = (Arc::clone(&spaces), Arc::clone(&refusals));
        all.spawn(async move {
            let (space, author) = &spaces[number % SPACES];
            let mut chance = Chance(number as u64);
            sleep(WITHIN.mul_f64(chance.part())).await;
            let due = Instant::now();
            let mut attempts = 0;
            loop {
                if let Some(mut client) = Client::try_connect(address).await
                    && client.login(space, author).await.is_none()
                {
                    client.subscribe(space, None, &[]).await;
                    while !matches!(client.receive().await, Frame::CaughtUp(_)) {}
                    return (client, due.elapsed());
                }
                refusals.fetch_add(1, Ordering::Relaxed);
                let most = Duration::from_millis(500 << attempts.min(7)).min(Duration::from_secs(60));
                attempts += 1;
                sleep(most.mul_f64(chance.part())).await;
            }
        });
    }
    let (clients, times): (Vec<Client>, Vec<Duration>) = all.join_all().await.into_iter().unzip();
    table.add("storm", "connections", clients.len() as f64, "");
    table.add("storm", "until all are live", begun.elapsed().as_secs_f64(), "s");
    table.add("storm", "refusals", refusals.load(Ordering::Relaxed) as f64, "");
    table.quantiles("storm", "from the first attempt to live", times);
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
