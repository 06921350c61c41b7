//! What relays on one database tell each other, over NOTIFY: which logs grew, and what somebody says to whoever is there.
//!
//! In a transaction that writes rows NOTIFY would take a lock that the whole database shares, until the commit is durable. So a
//! connection of its own tells, every few milliseconds, everything that gathered; another one listens. Nothing here is
//! certain to arrive: who depends on it looks into the store as well.
//!
//! ```text
//! payload   relay [16 hex] then entries: m space [43 base64url] head [decimal] ';'
//!           | s space [43] frame [base64url] ';'    after c space [43] part [base64url] ';' where one payload is too short
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::config::Config;
use postgres::fallible_iterator::FallibleIterator;
use prost::bytes::Bytes;
use stemma::causal::SpaceId;
use stemma::codec::base64url;
use tracing::warn;

use crate::server::random;
use crate::store::{Hint, StoreError};

const CHANNEL: &str = "stemma_relay";

/// What gathers in this time is told at once.
const GATHER: Duration = Duration::from_millis(5);

/// A payload has less than 8,000 bytes.
const PAYLOAD_BYTES: usize = 7_900;

/// Frames that wait to be told; older ones go for newer ones.
const SAID_MAX: usize = 512;

/// How long a connection that failed is left alone: from the first to the second, doubling.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// How soon a thread notices that it is to end.
const NAP: Duration = Duration::from_millis(200);

pub(super) struct Hints {
    config: Config,
    relay: String,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Condvar,
    ended: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    moved: BTreeMap<SpaceId, u64>,
    said: VecDeque<(SpaceId, Bytes)>,
}

impl Hints {
    /// Starts to tell.
    pub(super) fn start(config: &Config) -> Self {
        let relay = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let hints = Self { config: config.clone(), relay, shared: Arc::default(), threads: Mutex::default() };
        let (shared, relay) = (Arc::clone(&hints.shared), hints.relay.clone());
        hints.spawn("teller", move |client| tell(client, &shared, &relay));
        hints
    }

    /// Takes something to be told soon.
    pub(super) fn tell(&self, hint: Hint) {
        let mut waiting = self.shared.waiting();
        match hint {
            Hint::Moved { space, head } => {
                waiting.moved.insert(space, head);
            }
            Hint::Said { space, frame } => {
                if waiting.said.len() == SAID_MAX {
                    waiting.said.pop_front();
                }
                waiting.said.push_back((space, frame));
            }
        }
        self.shared.news.notify_one();
    }

    /// Calls `heard` with what other relays tell, on a thread of its own.
    pub(super) fn listen(&self, heard: Box<dyn Fn(Hint) + Send>) {
        let (shared, relay) = (Arc::clone(&self.shared), self.relay.clone());
        self.spawn("listener", move |client| listen(client, &shared, &relay, &heard));
    }

    /// Runs `work` on a connection until it is all to end, on another one when that fails.
    fn spawn(&self, name: &str, work: impl Fn(&mut Client) -> Result<(), StoreError> + Send + 'static) {
        let (config, shared) = (self.config.clone(), Arc::clone(&self.shared));
        let run = move || {
            let mut pause = RETRY.0;
            while !shared.is_ended() {
                let begun = Instant::now();
                let result = super::connect(&config).and_then(|mut client| work(&mut client));
                if let Err(failure) = result {
                    warn!(%failure, "hints between relays are interrupted");
                }
                pause = if begun.elapsed() > RETRY.1 { RETRY.0 } else { (pause * 2).min(RETRY.1) };
                let until = Instant::now() + pause;
                while !shared.is_ended() && Instant::now() < until {
                    std::thread::sleep(NAP.min(pause));
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        let thread = thread.expect("a thread can be started at start-up");
        self.threads.lock().expect("pushing does not panic").push(thread);
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.news.notify_all();
        for thread in self.threads.get_mut().expect("pushing does not panic").drain(..) {
            if thread.join().is_err() {
                warn!("a thread of hints panicked");
            }
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while it holds the lock")
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

fn tell(client: &mut Client, shared: &Shared, relay: &str) -> Result<(), StoreError> {
    // A hint that a crash of the database loses is no worse than one that nobody heard.
    client.batch_execute("SET synchronous_commit = off")?;
    let notify = client.prepare("SELECT pg_notify($1, $2)")?;
    while !shared.is_ended() {
        let mut waiting = shared.waiting();
        if waiting.moved.is_empty() && waiting.said.is_empty() {
            (waiting, _) =
                shared.news.wait_timeout(waiting, NAP).expect("nothing panics while it holds the lock");
        }
        if waiting.moved.is_empty() && waiting.said.is_empty() {
            continue;
        }
        drop(waiting);
        std::thread::sleep(GATHER);
        let Waiting { moved, said } = std::mem::take(&mut *shared.waiting());
        for payload in payloads(relay, &moved, &said) {
            client.execute(&notify, &[&CHANNEL, &payload])?;
        }
    }
    Ok(())
}

fn listen(client: &mut Client, shared: &Shared, relay: &str, heard: &dyn Fn(Hint)) -> Result<(), StoreError> {
    client.batch_execute(&format!("LISTEN {CHANNEL}"))?;
    // What a relay tells arrives in its order.
    let mut begun: HashMap<String, String> = HashMap::new();
    while !shared.is_ended() {
        {
            let mut notifications = client.notifications();
            let mut some = notifications.timeout_iter(NAP);
            while let Some(notification) = some.next()? {
                let Some((by, entries)) = notification.payload().split_at_checked(relay.len()) else {
                    continue;
                };
                if by != relay {
                    let parts = begun.entry(by.to_owned()).or_default();
                    entries.split_terminator(';').filter_map(|entry| parse(entry, parts)).for_each(heard);
                    begun.retain(|_, parts| !parts.is_empty());
                }
            }
        }
        if client.is_closed() {
            return Ok(());
        }
    }
    Ok(())
}

/// Everything as few payloads.
fn payloads(relay: &str, moved: &BTreeMap<SpaceId, u64>, said: &VecDeque<(SpaceId, Bytes)>) -> Vec<String> {
    let space = |space: &SpaceId| base64url::encode(&space.0);
    let moved = moved.iter().map(|(id, head)| format!("m{}{head};", space(id)));
    let said = said.iter().flat_map(|(id, frame)| {
        let (text, space) = (base64url::encode(frame), space(id));
        let count = text.len().div_ceil(PART_DIGITS).max(1);
        let part = move |at: usize| {
            let part = &text[at * PART_DIGITS..text.len().min((at + 1) * PART_DIGITS)];
            format!("{}{space}{part};", if at + 1 == count { 's' } else { 'c' })
        };
        (0..count).map(part)
    });
    let mut payloads: Vec<String> = Vec::new();
    for entry in moved.chain(said) {
        match payloads.last_mut().filter(|last| last.len() + entry.len() <= PAYLOAD_BYTES) {
            Some(last) => last.push_str(&entry),
            None => payloads.push(format!("{relay}{entry}")),
        }
    }
    payloads
}

/// Reads an entry; `parts` has what came before of a frame.
fn parse(entry: &str, parts: &mut String) -> Option<Hint> {
    let (kind, rest) = entry.split_at_checked(1)?;
    let (space, rest) = rest.split_at_checked(SPACE_DIGITS)?;
    let space = SpaceId(base64url::decode(space)?.try_into().ok()?);
    match kind {
        "c" if parts.len() < PARTS_MAX => {
            parts.push_str(rest);
            None
        }
        "m" => Some(Hint::Moved { space, head: rest.parse().ok()? }),
        "s" => {
            let text = std::mem::take(parts) + rest;
            Some(Hint::Said { space, frame: base64url::decode(&text)?.into() })
        }
        _ => None,
    }
}

/// Of a frame in one entry; what a relay may begin and not end.
const PART_DIGITS: usize = 7_800;
const PARTS_MAX: usize = 1 << 16;

/// 32 bytes in base64url without padding.
const SPACE_DIGITS: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let spaces = [SpaceId([0; 32]), SpaceId([255; 32])];
        let moved = BTreeMap::from(spaces.map(|space| (space, u64::MAX)));
        let lengths = [0, 5_000, 2_000, 20_000, 1];
        let frames = lengths.map(|length| Bytes::from(vec![length as u8; length]));
        let said: VecDeque<_> = frames.iter().map(|frame| (spaces[0], frame.clone())).collect();
        let told = payloads("0123456789abcdef", &moved, &said);
        assert_eq!(told.len(), 6);
        let (mut heard, mut parts) = (Vec::new(), String::new());
        for payload in told {
            assert!(payload.len() <= PAYLOAD_BYTES);
            let entries = payload.strip_prefix("0123456789abcdef").expect("the relay's name");
            heard.extend(entries.split_terminator(';').filter_map(|entry| parse(entry, &mut parts)));
        }
        assert_eq!(parts, "");
        let of_moved = spaces.map(|space| Hint::Moved { space, head: u64::MAX });
        let of_said = frames.map(|frame| Hint::Said { space: spaces[0], frame });
        assert_eq!(heard, of_moved.into_iter().chain(of_said).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_ours_is_left_out() {
        let id = base64url::encode(&[1; 32]);
        for entry in [
            "",
            "m",
            "x",
            "é",
            &format!("m{id}"),
            &format!("m{id}-1"),
            &format!("s{id}%"),
            &format!("q{id}1"),
        ] {
            assert_eq!(parse(entry, &mut String::new()), None, "{entry}");
        }
        let mut parts = String::new();
        for _ in 0..1_000 {
            assert_eq!(parse(&format!("c{id}{}", "A".repeat(1_000)), &mut parts), None);
        }
        assert!(parts.len() <= PARTS_MAX + 1_000);
    }
}
