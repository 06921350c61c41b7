//! Two people write while neither can hear the other; then they are joined by a line and see the same.
//!
//! The library does no I/O: it is handed time, randomness and frames, and says what is to be sent and stored. Everything
//! around it is in this file. Run it with `cargo run --example two_replicas`.

use std::time::{SystemTime, UNIX_EPOCH};
use stemma::replica::{Env, Output, Replica, Settings};
use stemma::{Invite, ObjectKind, Role, Value};

/// A replica with what it wants to be sent.
struct Peer {
    replica: Replica,
    outbox: Vec<Vec<u8>>,
}

impl Peer {
    fn begin(make: impl FnOnce(&mut Env<'_>) -> Replica) -> Self {
        let mut peer = Self { replica: with_env(make), outbox: Vec::new() };
        // The key that signs here. With a store it would be continued at the next start.
        peer.call(|replica, env| replica.new_actor(true, env));
        peer
    }

    /// Calls the replica, then does what it asks for.
    fn call<T>(&mut self, call: impl FnOnce(&mut Replica, &mut Env<'_>) -> T) -> T {
        let result = with_env(|env| call(&mut self.replica, env));
        while let Some(output) = self.replica.poll() {
            match output {
                Output::Send { frame, .. } => self.outbox.push(frame),
                // Nothing is kept here: the batch counts as written. What is written is sent.
                Output::Commit { id, .. } => with_env(|env| self.replica.committed(id, env)),
                _ => {}
            }
        }
        result
    }

    fn write(&mut self, position: u32, string: &str) {
        let essay = self.replica.object("essay", ObjectKind::Text).expect("the name is used for texts only");
        self.call(|replica, env| replica.text_insert(essay, position, string, env)).expect("within the text");
        self.call(|replica, env| replica.flush(env));
    }

    fn read(&mut self) -> String {
        let essay = self.replica.object("essay", ObjectKind::Text).expect("the name is used for texts only");
        self.replica.text(essay).expect("it is a text").to_string()
    }
}

fn with_env<T>(call: impl FnOnce(&mut Env<'_>) -> T) -> T {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has randomness");
    call(&mut Env { now_ms: now.as_millis() as u64, random: &mut random })
}

/// Joins two replicas by a line, and carries frames until both have nothing more to say.
fn sync(a: &mut Peer, b: &mut Peer) {
    let (at_a, at_b) = (a.replica.attach(), b.replica.attach());
    a.call(|replica, env| replica.opened(at_a, env));
    b.call(|replica, env| replica.opened(at_b, env));
    while !(a.outbox.is_empty() && b.outbox.is_empty()) {
        for frame in std::mem::take(&mut a.outbox) {
            b.call(|replica, env| replica.received(at_b, &frame, env));
        }
        for frame in std::mem::take(&mut b.outbox) {
            a.call(|replica, env| replica.received(at_a, &frame, env));
        }
    }
    a.replica.detach(at_a);
    b.replica.detach(at_b);
}

fn main() {
    // Ada makes a space, and a link by which anyone may join it as a writer: for ever, any number of times.
    let mut ada = Peer::begin(|env| Replica::create(Settings::default(), env));
    let link =
        ada.call(|replica, env| replica.invite(Role::Writer, 0, 0, Vec::new(), env)).expect("an owner may");
    let token = link.encode().expect("it fits");

    // Ben joins from the link alone. He needs no connection for it.
    let invite = Invite::decode(&token).expect("it is a link");
    let mut ben = Peer::begin(|env| Replica::join(&invite, Settings::default(), env));

    ada.write(0, "The family tree of copies.");
    sync(&mut ada, &mut ben);

    // Both go offline and write.
    ada.write(0, "A stemma: ");
    ben.write(26, " Which witness do you believe?");
    let facts = ben.replica.object("facts", ObjectKind::Map).expect("the name is used for maps only");
    ben.call(|replica, env| replica.map_set(facts, "witnesses", Value::from(2), env)).expect("he may write");
    ben.call(|replica, env| replica.flush(env));
    println!("apart     ada: {}", ada.read());
    println!("          ben: {}", ben.read());

    sync(&mut ada, &mut ben);
    println!("together  ada: {}", ada.read());
    println!("          ben: {}", ben.read());
    let facts = ada.replica.object("facts", ObjectKind::Map).expect("the name is used for maps only");
    println!("witnesses, ada says: {:?}", ada.replica.map_get(facts, "witnesses"));
    assert_eq!(ada.replica.state_hash(), ben.replica.state_hash());
    println!("both states hash to {:?}", ada.replica.state_hash());
}
