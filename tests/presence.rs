//! Presence between replicas: who is here is signed, sealed, fresh, and seen by members alone.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use common::{Node, Random, sync};
use std::collections::BTreeMap;
use stemma::causal::ActorId;
use stemma::codec::limits::{EPHEMERAL_BYTES_MAX, PRESENCE_BYTES_MAX};
use stemma::crypto::{EpochSecret, Keyring, NameKey, SigningKey, open_ephemeral, seal_ephemeral};
use stemma::event::{Invite, ObjectKind, PresenceMessage, PresenceSession, Role, ShownView, Value};

/// Replicas of one space, each joined with the first by a port that stays open.
struct Room {
    nodes: Vec<Node>,
    /// The first one's session with each of the others, and theirs with it.
    ports: Vec<(u32, u32)>,
    token: String,
    /// Every frame that went over a port.
    frames: Vec<Vec<u8>>,
}

impl Room {
    fn new(others: usize) -> Self {
        let mut owner = Node::create(1);
        let token = owner.invite(Role::Writer);
        let mut nodes = vec![owner];
        let mut ports = Vec::new();
        for other in 0..others {
            let mut node = Node::join(2 + other as u64, &token);
            let (first, own) = (nodes[0].replica.attach(), node.replica.attach());
            nodes[0].with(|replica, env| replica.opened(first, env));
            node.with(|replica, env| replica.opened(own, env));
            ports.push((first, own));
            nodes.push(node);
        }
        let mut room = Self { nodes, ports, token, frames: Vec::new() };
        room.run(1_000);
        room
    }

    /// Time passes, frames are carried.
    fn run(&mut self, for_ms: u64) {
        for _ in 0..for_ms / 50 {
            self.carry();
            for node in &mut self.nodes {
                node.now_ms += 50;
                node.settle();
            }
        }
        self.carry();
    }

    fn carry(&mut self) {
        while self.nodes.iter().any(|node| !node.sent.is_empty()) {
            for at in 0..self.nodes.len() {
                for (session, frame) in std::mem::take(&mut self.nodes[at].sent) {
                    self.frames.push(frame.clone());
                    let port = |ports: &(u32, u32)| if at == 0 { ports.0 == session } else { true };
                    let to = match at {
                        0 => self.ports.iter().position(port).map(|to| (to + 1, self.ports[to].1)),
                        _ => Some((0, self.ports[at - 1].0)),
                    };
                    let Some((to, session)) = to else { continue };
                    self.nodes[to].with(|replica, env| replica.received(session, &frame, env));
                }
            }
        }
    }

    fn show(&mut self, at: usize, fields: &[(&str, &str)]) -> bool {
        let fields =
            fields.iter().map(|(field, value)| ((*field).to_owned(), Value::String((*value).to_owned())));
        let state = fields.collect();
        self.nodes[at].with(|replica, env| replica.set_presence(state, env))
    }

    /// What each of the others shows at a replica.
    fn seen(&self, at: usize) -> Vec<BTreeMap<String, Value>> {
        self.nodes[at].replica.others_present().map(|(_, other)| other.state.clone()).collect()
    }

    fn keys(&self) -> Keyring {
        Invite::decode(&self.token).expect("a token").keys().clone()
    }

    /// A payload reaches the first replica.
    fn say(&mut self, payload: &[u8]) {
        let mut frame = vec![0x18, 1, 0x0a, 32];
        frame.extend(self.nodes[0].replica.space().0);
        frame.push(0x12);
        let mut length = payload.len();
        while length >= 0x80 {
            frame.push(length as u8 | 0x80);
            length >>= 7;
        }
        frame.push(length as u8);
        frame.extend(payload);
        let session = self.ports[0].0;
        self.nodes[0].with(|replica, env| replica.received(session, &frame, env));
    }
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

#[test]
fn who_is_here_is_seen_with_the_member_that_signed() {
    let mut room = Room::new(1);
    room.show(0, &[("name", "Ada"), ("cursor", "3")]);
    room.run(500);
    assert!(room.seen(1).is_empty(), "who does not look sees nobody");
    room.show(1, &[]);
    room.run(500);
    let [(_, other)] = &room.nodes[1].replica.others_present().collect::<Vec<_>>()[..] else {
        panic!("one other is here")
    };
    assert_eq!(
        (other.member, Some(other.actor)),
        (room.nodes[0].replica.member(), room.nodes[0].replica.actor())
    );
    assert_eq!(other.state, [("name".to_owned(), text("Ada")), ("cursor".to_owned(), text("3"))].into());
    room.show(0, &[("name", "Ada")]);
    room.run(500);
    assert_eq!(room.seen(1), [[("name".to_owned(), text("Ada"))].into()]);
    room.nodes[0].with(|replica, env| replica.leave_presence(env));
    room.run(50);
    assert!(room.seen(1).is_empty());
}

#[test]
fn nothing_of_it_is_stored_and_nothing_readable_is_sent() {
    let mut room = Room::new(1);
    room.show(1, &[]);
    let before = (room.nodes[0].disk.tail.len(), room.nodes[1].disk.tail.len());
    room.show(0, &[("secret field", "a secret value that nobody else reads")]);
    room.run(500);
    assert_eq!(room.seen(1).len(), 1);
    assert_eq!((room.nodes[0].disk.tail.len(), room.nodes[1].disk.tail.len()), before);
    let member = room.nodes[0].replica.member().0;
    let said: Vec<&Vec<u8>> = room.frames.iter().filter(|frame| frame[0] == 0x18).collect();
    assert!(!said.is_empty());
    for frame in said {
        for plain in [&b"secret field"[..], b"a secret value", &member] {
            assert!(!frame.windows(plain.len()).any(|window| window == plain));
        }
    }
}

#[test]
fn a_quiet_replica_says_little() {
    let mut room = Room::new(1);
    room.show(0, &[("a", "1")]);
    room.show(1, &[("a", "1")]);
    room.run(2_000);
    room.frames.clear();
    room.run(60_000);
    let said = room.frames.iter().filter(|frame| frame[0] == 0x18).count();
    assert!((8..=14).contains(&said), "{said} messages of two in a minute");
    assert_eq!((room.seen(0).len(), room.seen(1).len()), (1, 1), "and yet both are here");
}

#[test]
fn an_actor_that_wrote_nothing_yet_shows_its_chain_and_one_that_did_needs_none() {
    let mut room = Room::new(2);
    for at in 0..3 {
        room.show(at, &[]);
    }
    room.run(1_000);
    assert_eq!(room.seen(0).len(), 2);
    let text = room.nodes[1].replica.object("t", ObjectKind::Text).expect("a text");
    room.nodes[1].with(|replica, env| replica.text_insert(text, 0, "x", env)).expect("in range");
    room.nodes[1].with(|replica, env| replica.flush(env));
    room.run(1_000);
    assert_eq!(room.seen(0).len(), 2);
}

#[test]
fn another_actor_of_the_replica_is_another_session() {
    let mut room = Room::new(1);
    room.show(0, &[]);
    room.show(1, &[("a", "1")]);
    room.run(1_000);
    let before = room.nodes[1].replica.presence_session();
    room.nodes[1].with(|replica, env| {
        replica.new_actor(true, env);
    });
    room.run(1_000);
    assert_ne!(room.nodes[1].replica.presence_session(), before);
    assert_eq!(room.seen(0), [[("a".to_owned(), text("1"))].into()]);
    assert_eq!(room.seen(1).len(), 1);
    let actors: Vec<_> = room.nodes[0].replica.others_present().map(|(_, other)| Some(other.actor)).collect();
    assert_eq!(actors, [room.nodes[1].replica.actor()]);
}

#[test]
fn they_say_what_they_see_and_who_believes_otherwise_stands_apart() {
    let mut room = Room::new(2);
    for at in 0..3 {
        room.show(at, &[]);
    }
    let text = room.nodes[1].replica.object("t", ObjectKind::Text).expect("a text");
    room.nodes[1].with(|replica, env| replica.text_insert(text, 0, "x", env)).expect("in range");
    let id = room.nodes[1].with(|replica, env| replica.flush(env)).expect("something was edited");
    room.run(3_000);
    let agreement = room.nodes[0].replica.agreement();
    assert_eq!((agreement.len(), agreement[0].members.len(), agreement[0].is_own), (1, 3, true));
    let words = vec![stemma::phrase::parse(&format!("exclude {id}")).expect("a word")];
    room.nodes[0].with(|replica, env| replica.say(words, None, false, env)).expect("a word of one's own");
    room.run(3_000);
    let agreement = room.nodes[0].replica.agreement();
    assert_eq!(
        agreement.iter().map(|group| (group.members.len(), group.is_own)).collect::<Vec<_>>(),
        [(2, false), (1, true)]
    );
}

#[test]
fn too_much_is_refused_and_changes_nothing() {
    let mut room = Room::new(1);
    room.show(0, &[("a", "1")]);
    assert!(!room.show(0, &[("a", &"x".repeat(PRESENCE_BYTES_MAX))]));
    assert_eq!(room.nodes[0].replica.own_presence(), &[("a".to_owned(), text("1"))].into());
    room.show(1, &[]);
    assert!(room.show(0, &[("a", &"x".repeat(PRESENCE_BYTES_MAX - 16))]));
    room.run(1_000);
    assert_eq!(room.seen(1).len(), 1, "the most that is allowed fits into a frame");
    let longest = room.frames.iter().filter(|frame| frame[0] == 0x18).map(Vec::len).max();
    assert!(longest.is_some_and(|longest| longest <= EPHEMERAL_BYTES_MAX));
}

/// A message that names the first replica's session as heard.
fn forged(room: &Room, actor: ActorId) -> PresenceMessage {
    let (_, seen) = room.nodes[0].replica.presence_session().expect("it is seen");
    PresenceMessage {
        actor,
        session: PresenceSession([7; 8]),
        counter: 1,
        leaves: false,
        chain: None,
        seen: vec![seen],
        view: Some(ShownView { frontier: [1; 32], digest: [2; 32] }),
        removed: Vec::new(),
        changed: [("x".to_owned(), Value::Null)].into(),
    }
}

#[test]
fn a_stranger_a_forger_and_one_who_was_recorded_are_not_seen() {
    let mut room = Room::new(1);
    room.show(0, &[]);
    room.show(1, &[("a", "1")]);
    room.run(1_000);
    assert_eq!(room.seen(0).len(), 1);
    let space = room.nodes[0].replica.space().0;
    let keys = room.keys();
    let epoch = keys.current().expect("an epoch");
    let sealed = |body: &[u8]| seal_ephemeral(epoch, &space, &[9; 16], body);
    let me = SigningKey::from_seed(&[5; 32]);
    let mine = ActorId(me.public());
    // Signed by an actor that no chain vouches for.
    let message = forged(&room, mine);
    room.say(&sealed(&message.sign(&space, &me)));
    // In the name of a member, signed by another key.
    let victim = room.nodes[1].replica.actor().expect("an actor");
    let message = forged(&room, victim);
    room.say(&sealed(&message.sign(&space, &me)));
    // Under a key that is none of the space's.
    let mut other = Keyring::new(space, NameKey::new([1; 32]));
    other.add(EpochSecret::new([1; 32]));
    room.say(&seal_ephemeral(other.current().expect("an epoch"), &space, &[9; 16], b"x"));
    assert_eq!(room.seen(0).len(), 1);
    // What was said before somebody left is said again.
    let recorded: Vec<Vec<u8>> = room.frames.iter().filter(|frame| frame[0] == 0x18).cloned().collect();
    room.nodes[1].with(|replica, env| replica.leave_presence(env));
    room.run(100);
    assert!(room.seen(0).is_empty());
    let session = room.ports[0].0;
    for frame in &recorded {
        room.nodes[0].with(|replica, env| replica.received(session, frame, env));
    }
    assert!(room.seen(0).is_empty());
    // And to one who came later.
    let mut late = Node::join(77, &room.token.clone());
    sync(&mut room.nodes[0], &mut late);
    late.with(|replica, env| replica.begin_presence(env));
    let port = late.replica.attach();
    late.with(|replica, env| replica.opened(port, env));
    for frame in &recorded {
        late.with(|replica, env| replica.received(port, frame, env));
    }
    assert_eq!(late.replica.others_present().count(), 0);
}

#[test]
fn junk_is_dropped() {
    let mut room = Room::new(1);
    room.show(0, &[]);
    room.show(1, &[("a", "1")]);
    room.run(1_000);
    let space = room.nodes[0].replica.space().0;
    let keys = room.keys();
    let (node, session) = (&room.nodes[1].replica, room.nodes[1].replica.presence_session());
    let good = PresenceMessage {
        session: session.expect("it is seen").1,
        ..forged(&room, node.actor().expect("an actor"))
    };
    let body = good.sign(&space, &SigningKey::from_seed(&[5; 32]));
    assert_eq!(PresenceMessage::decode(&body).expect("it decodes"), good);
    let mut random = Random::new(3);
    for round in 0..2_000 {
        let mut junk = body.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(junk.len());
            junk[at] = random.next() as u8;
        }
        junk.truncate(junk.len() - random.below(3));
        if let Ok(message) = PresenceMessage::decode(&junk) {
            assert!(!message.verify(&space, &SigningKey::from_seed(&[6; 32]).verifying_key(), &junk));
        }
        let payload = seal_ephemeral(keys.current().expect("an epoch"), &space, &[round as u8; 16], &junk);
        assert_eq!(open_ephemeral(&keys, &payload).as_deref(), Some(&junk[..]));
        room.say(&payload);
        room.say(&junk);
    }
    assert_eq!(room.seen(0), [[("a".to_owned(), text("1"))].into()]);
    assert!(room.nodes[0].closed.is_empty(), "the connection goes on");
}

/// One hears of all that another one has, by no port.
fn give(from: &mut Node, to: &mut Node) {
    let export = from.replica.export_space();
    to.with(|replica, env| replica.import_space(&export, env)).expect("an export");
}

/// Members, not devices; by what they wrote since, and by what they show.
#[test]
fn a_write_is_seen_by_members_that_build_on_it_or_show_that_they_have_all() {
    let mut room = Room::new(2);
    let notes = |node: &mut Node| node.replica.object("notes", ObjectKind::Text).expect("a text");
    let write = |node: &mut Node| {
        let text = notes(node);
        node.with(|replica, env| replica.text_insert(text, 0, "x", env)).expect("in range");
        node.with(|replica, env| replica.flush(env)).expect("a write")
    };
    let first = write(&mut room.nodes[0]);
    assert_eq!(room.nodes[0].replica.seen_by(first), 0);
    room.run(1_000);
    assert_eq!(
        room.nodes[0].replica.seen_by(first),
        0,
        "whoever has it and says nothing is not known to have it"
    );
    // What was written before it arrived says nothing of it.
    let mut apart = Node::join(9, &room.token);
    write(&mut apart);
    give(&mut apart, &mut room.nodes[0]);
    assert_eq!(room.nodes[0].replica.seen_by(first), 0);
    let second = write(&mut room.nodes[1]);
    room.run(1_000);
    assert_eq!(room.nodes[0].replica.seen_by(first), 1);
    assert_eq!(room.nodes[1].replica.seen_by(second), 0, "the first one, who has it, is silent too");
    assert_eq!(room.nodes[1].replica.seen_by(first), 1, "its author has it");
    // A second device of the same member is the same member.
    let mut device = Node::create(77);
    device.disk = room.nodes[1].disk.clone();
    let mut device = device.reopen_keeping_actor(false);
    write(&mut device);
    give(&mut device, &mut room.nodes[0]);
    assert_eq!(room.nodes[0].replica.seen_by(first), 1);
    // Presence says it before anything is written.
    assert!(room.show(0, &[("name", "Ada")]) && room.show(2, &[("name", "Eve")]));
    room.run(5_000);
    assert_eq!(room.nodes[2].replica.heads(), room.nodes[0].replica.heads());
    assert_eq!(room.nodes[0].replica.seen_by(first), 2);
    let third = write(&mut room.nodes[0]);
    assert_eq!(room.nodes[0].replica.seen_by(third), 0, "what she showed was of before");
    room.run(5_000);
    assert_eq!(room.nodes[0].replica.seen_by(third), 1);
    assert_eq!(room.nodes[0].replica.seen_by(stemma::causal::ChangesetId([7; 32])), 0);
}
