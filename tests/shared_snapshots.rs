//! Snapshots that members share over a relay: made when asked, vouched for by another device, looked at before the log was read, and
//! held against it afterwards.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/relay.rs"]
mod relay;

use attacker::Attacker;
use common::{Node, Random, assert_same};
use prost::bytes::Bytes;
use relay::Relay;
use stemma::causal::{ActorId, ChangesetId};
use stemma::crypto::{ChunkContext, ChunkKey, Digest};
use stemma::event::{
    Invite, Manifest, ObjectKind, Op, Role, SealedDigest, SnapshotId, Target, Value, Verdict, Voice,
    snapshot_chunk_hash,
};
use stemma::replica::{Replica, SyncStatus, Trouble, ViewFilter};
use stemma::sync::{SignedBy, Snap, SnapshotOffer};

const SECRET: &str = "what only members read";
const LIE: &str = "what nobody ever wrote";

fn write(node: &mut Node, n: usize) {
    let text = node.replica.object("text", ObjectKind::Text).expect("a text");
    let map = node.replica.object("map", ObjectKind::Map).expect("a map");
    node.with(|replica, env| {
        replica.text_insert(text, 0, &format!("{n} {SECRET}. "), env).expect("inside");
        replica.map_set(map, &format!("key {}", n % 7), Value::from(SECRET), env).expect("a writer");
        let list = replica.object("list", ObjectKind::List).expect("a list");
        replica.list_insert(list, 0, vec![Value::from(SECRET)], env).expect("inside");
        let set = replica.object("set", ObjectKind::Set).expect("a set");
        replica.set_add(set, &Value::from(SECRET), Some(Value::Null), env).expect("a writer");
        let counter = replica.object("counter", ObjectKind::Counter).expect("a counter");
        replica.counter_add(counter, 7, env).expect("in range");
        let cart = replica.object("cart", ObjectKind::Cart).expect("a cart");
        replica.cart_add(cart, &Value::from(SECRET), 3, env).expect("a writer");
        replica.flush(env)
    });
}

fn hash(replica: &Replica) -> [Digest; 2] {
    [replica.state_hash(), replica.view_digest()]
}

fn exclude(target: ChangesetId) -> Op {
    Op::PolicyExclude { verdict: Verdict::Exclude, targets: vec![Target::Changeset(target)] }
}

fn say(node: &mut Node, word: Op, publish: bool) {
    let said = node.with(|replica, env| replica.say(vec![word], None, publish, env));
    said.expect("it can be said");
}

/// Something else everywhere that somebody wrote it.
fn alter_words(state: &mut [u8]) {
    while let Some(at) = state.windows(SECRET.len()).position(|window| window == SECRET.as_bytes()) {
        state[at..at + SECRET.len()].copy_from_slice(LIE.as_bytes());
    }
}

fn bad_news(node: &Node) -> Vec<&str> {
    let troubles = node.troubles.iter();
    troubles
        .filter_map(|trouble| if let Trouble::SharedSnapshot(what) = trouble { Some(&**what) } else { None })
        .collect()
}

/// A space with two members, and a relay that one of them is connected to.
struct World {
    owner: Node,
    other: Node,
    token: String,
    relay: Relay,
}

impl World {
    fn new() -> Self {
        let mut owner = Node::create(1);
        let token = owner.invite(Role::Writer);
        let mut other = Node::join(2, &token);
        let mut relay = Relay::new("ws://one", owner.replica.space());
        for n in 0..40 {
            write(&mut owner, n);
        }
        relay.connect(&mut owner);
        relay.drop_connection(&mut owner);
        relay.connect(&mut other);
        for n in 0..10 {
            write(&mut other, n);
        }
        // Something that was undone is no part of the state.
        other.now_ms += 5_000;
        assert!(other.with(|replica, env| replica.undo(&[], env)));
        relay.run(&mut other);
        relay.drop_connection(&mut other);
        relay.wait(&mut owner, 2_000);
        assert_same(&owner, &other);
        Self { owner, other, token, relay }
    }

    /// One that the owner made and the other one vouches for.
    fn witnessed() -> Self {
        let mut world = Self::new();
        world.make();
        world.relay.drop_connection(&mut world.owner);
        world.relay.wait(&mut world.other, 2_000);
        world.attest();
        world.relay.drop_connection(&mut world.other);
        world
    }

    fn make(&mut self) {
        self.make_in_part();
        assert!(!self.relay.chunks.is_empty(), "one was made");
    }

    fn make_in_part(&mut self) {
        self.relay.snap(&mut self.owner, Snap::Wanted);
        self.relay.wait(&mut self.owner, 1_000);
    }

    fn attest(&mut self) {
        let offer = self.relay.snapshot.clone().expect("one was made");
        self.relay.snap(&mut self.other, Snap::Offer(SnapshotOffer { attest: true, ..offer }));
        self.relay.wait(&mut self.other, 1_000);
    }

    fn newcomer(&mut self) -> Node {
        self.relay.stays_held = true;
        let mut newcomer = Node::join(3, &self.token);
        self.relay.connect(&mut newcomer);
        newcomer
    }

    fn release(&mut self, newcomer: &mut Node) {
        self.relay.release(newcomer);
        self.relay.wait(newcomer, 2_000);
    }

    /// The snapshot with something else in it, signed by two devices of two members who agreed to lie.
    fn forge(&mut self, alter: impl Fn(&mut Vec<u8>, &mut SealedDigest)) {
        let offer = self.relay.snapshot.clone().expect("one was made");
        let mut manifest = Manifest::decode(&offer.manifest).expect("an honest one");
        let liar = Attacker::join(&self.token).lane(1);
        let invite = Invite::decode(&self.token).expect("decodes");
        let keys = invite.keys();
        let key = keys.get(manifest.kid).expect("the epoch of all");
        let (space, run) = (manifest.space.0, manifest.run);
        let chunk_key =
            |number, count| ChunkKey::new(key, &ChunkContext { space: &space, run: &run, number, count });
        let (mut state, mut digest) = (Vec::new(), Vec::new());
        let count = manifest.chunks.len() as u32;
        assert_eq!(count, 1);
        chunk_key(0, count).open(&self.relay.chunks[0], &mut state).expect("a member opens it");
        chunk_key(count, count).open(&manifest.seal, &mut digest).expect("a member opens it");
        let mut digest = SealedDigest::decode(&digest).expect("an honest one");
        alter(&mut state, &mut digest);
        let chunk = chunk_key(0, count).seal(&state);
        manifest.chunks = vec![(snapshot_chunk_hash(&chunk), chunk.len() as u32)];
        manifest.seal = chunk_key(count, count).seal(&digest.encode());
        manifest.actor = ActorId(liar.key.public());
        let manifest = manifest.encode();
        let id = SnapshotId::of(&manifest);
        let accomplice = {
            let invite = Invite::decode(&self.token).expect("decodes");
            let member = Attacker::join_as(invite, [0xb1; 32]);
            let device = stemma::crypto::SigningKey::from_seed(&[0xb2; 32]);
            other_device(&member, device)
        };
        let by = vec![
            SignedBy { chain: liar.chain.encode().into(), signature: Voice::Maker.sign(&liar.key, id).0 },
            SignedBy {
                chain: accomplice.0.encode().into(),
                signature: Voice::Witness.sign(&accomplice.1, id).0,
            },
        ];
        self.relay.snapshot = Some(SnapshotOffer { manifest: manifest.into(), by, attest: false });
        self.relay.chunks = vec![chunk.into()];
    }
}

/// The same member with a device of its own.
fn other_device(
    member: &Attacker,
    device: stemma::crypto::SigningKey,
) -> (stemma::event::Chain, stemma::crypto::SigningKey) {
    use stemma::crypto::{AgreementKey, SigningKey};
    use stemma::event::{Certificate, CertificateKind, Chain};
    let space = member.invite.genesis().id();
    let certificates = member.chain.certificates();
    let to_member = Chain::new(certificates[..certificates.len() - 1].to_vec());
    let member_key = SigningKey::from_seed(&[0xb1; 32]);
    let x25519 = AgreementKey::from_seed(&[0xb3; 32]).public().to_bytes();
    let actor = SigningKey::from_seed(&[0xb4; 32]);
    let as_device =
        Certificate::issue(&member_key, space, device.public(), CertificateKind::Device { x25519 });
    let as_actor = Certificate::issue(&device, space, actor.public(), CertificateKind::Actor);
    (to_member.extended(as_device).extended(as_actor), actor)
}

#[test]
fn a_newcomer_sees_the_state_before_it_reads_a_row_and_ends_where_all_are() {
    let mut world = World::witnessed();
    let [Snap::Attest { .. }] = &world.relay.heard[..] else { panic!("{:?}", world.relay.heard) };
    let mut newcomer = world.newcomer();
    let mut look = newcomer.replica.take_look().expect("a first look");
    assert_eq!(hash(&look), hash(&world.owner.replica));
    let text = look.object("text", ObjectKind::Text).expect("the text");
    assert!(look.text(text).expect("a text").to_string().contains(SECRET));
    // Nothing of it is in the log, the state or the store.
    assert_eq!((newcomer.replica.stats().changesets, newcomer.replica.heads()), (0, vec![]));
    assert_eq!(newcomer.replica.sync_state().status, SyncStatus::CatchingUp);
    assert_eq!(newcomer.disk.tail.len(), 0);
    // What is written meanwhile cites only what was read.
    write(&mut newcomer, 99);
    assert_eq!(newcomer.replica.heads().len(), 1);
    assert!(newcomer.replica.has_look());
    world.release(&mut newcomer);
    assert!(!newcomer.replica.has_look() && newcomer.replica.take_look().is_none());
    assert_eq!(bad_news(&newcomer), [""; 0]);
    world.relay.drop_connection(&mut newcomer);
    world.relay.wait(&mut world.owner, 2_000);
    world.relay.drop_connection(&mut world.owner);
    assert_same(&world.owner, &newcomer);
    // Without a look everything is the same.
    let mut plain = Node::join(4, &world.token);
    plain.replica.decline_snapshots();
    world.relay.stays_held = false;
    world.relay.connect(&mut plain);
    assert!(plain.replica.take_look().is_none());
    assert_same(&world.owner, &plain);
}

#[test]
fn a_look_shows_what_its_reader_believes_and_not_what_its_maker_does() {
    let mut world = World::new();
    let excluded = world.other.replica.heads()[0];
    say(&mut world.owner, exclude(excluded), true);
    world.relay.run(&mut world.owner);
    world.make();
    world.relay.drop_connection(&mut world.owner);
    world.relay.wait(&mut world.other, 2_000);
    world.attest();
    assert!(matches!(world.relay.heard[..], [Snap::Attest { .. }]));
    world.relay.drop_connection(&mut world.other);
    let (maker, witness) = (hash(&world.owner.replica), hash(&world.other.replica));
    assert_ne!(maker, witness);
    let mut newcomer = world.newcomer();
    let look = newcomer.replica.take_look().expect("a first look");
    world.release(&mut newcomer);
    assert_eq!(bad_news(&newcomer), [""; 0]);
    assert_eq!(hash(&look), hash(&newcomer.replica));
    assert_eq!(hash(&look), witness);
}

#[test]
fn what_is_believed_for_oneself_alone_is_shared_with_nobody() {
    let mut world = World::new();
    let excluded = world.other.replica.heads()[0];
    say(&mut world.owner, exclude(excluded), false);
    world.relay.run(&mut world.owner);
    world.relay.snap(&mut world.owner, Snap::Wanted);
    world.relay.wait(&mut world.owner, 3_000);
    assert!(world.relay.snapshot.is_none());
}

#[test]
fn the_relay_is_shown_no_plaintext_and_no_arrival_times() {
    let world = World::witnessed();
    let offer = world.relay.snapshot.clone().expect("one was made");
    let shown = [&offer.manifest[..], &world.relay.chunks.concat()].concat();
    let has = |needle: &[u8]| shown.windows(needle.len()).any(|window| window == needle);
    assert!(!has(&SECRET.as_bytes()[..8]) && !has(b"key 1"));
    let heads = world.owner.replica.heads();
    assert!(heads.iter().all(|head| !has(&head.0)), "not even the frontier is told");
    assert!(!has(&world.owner.replica.state_hash().0));
}

#[test]
fn what_two_devices_lie_about_is_shown_for_a_moment_and_found_out() {
    let mut world = World::witnessed();
    world.forge(|state, digest| {
        alter_words(state);
        digest.state_hash = Digest([7; 32]);
    });
    let mut newcomer = world.newcomer();
    let mut look = newcomer.replica.take_look().expect("two devices vouch for it");
    assert_eq!(look.heads(), world.owner.replica.heads());
    let text = look.object("text", ObjectKind::Text).expect("the text");
    assert!(look.text(text).expect("a text").to_string().contains(LIE));
    let id = SnapshotId::of(&world.relay.snapshot.clone().expect("is there").manifest);
    world.relay.heard.clear();
    write(&mut newcomer, 99);
    world.release(&mut newcomer);
    assert!(!newcomer.replica.has_look());
    let news = bad_news(&newcomer);
    let liar = ActorId(Attacker::join(&world.token).lane(1).key.public());
    assert!(news.len() == 1 && news[0].contains(&liar.to_string()) && news[0].contains("vouched for by"));
    assert_eq!(world.relay.heard, [Snap::Bad { id }]);
    world.relay.wait(&mut newcomer, 6_000);
    let told: Vec<_> = newcomer
        .replica
        .evidence()
        .map(|one| (one.case.evidence.kind(), one.actors, one.is_proven))
        .collect();
    assert_eq!(told, [("bad-snapshot", vec![liar], true)], "everybody hears of whose it was");
    world.relay.drop_connection(&mut newcomer);
    world.relay.wait(&mut world.owner, 2_000);
    assert_same(&world.owner, &newcomer);
}

#[test]
fn nobody_vouches_for_what_the_log_does_not_say() {
    type Alter = fn(&mut Vec<u8>, &mut SealedDigest);
    let lies: [(&str, Alter); 4] = [
        ("another state hash", |_, digest| digest.state_hash = Digest([7; 32])),
        ("no state", |state, _| state.truncate(state.len() / 2)),
        ("other words", |state, _| alter_words(state)),
        ("another frontier than it has", |_, digest| {
            let first = digest.frontier[0];
            digest.frontier = vec![first];
        }),
    ];
    for (what, lie) in lies {
        let mut world = World::new();
        // Two heads, so that a part of them is a frontier too.
        let mut third = Node::join(5, &world.token);
        write(&mut third, 5);
        world.relay.drop_connection(&mut world.owner);
        world.relay.connect(&mut third);
        world.relay.drop_connection(&mut third);
        world.relay.wait(&mut world.owner, 2_000);
        assert!(world.owner.replica.heads().len() > 1, "{what}");
        world.make();
        world.relay.drop_connection(&mut world.owner);
        world.relay.wait(&mut world.other, 2_000);
        world.forge(lie);
        world.relay.snapshot.as_mut().expect("is there").by.truncate(1);
        let id = SnapshotId::of(&world.relay.snapshot.clone().expect("is there").manifest);
        world.attest();
        assert_eq!(world.relay.heard, [Snap::Bad { id }], "{what}");
        assert_eq!(bad_news(&world.other).len(), 1, "{what}");
    }
}

#[test]
fn a_device_does_not_vouch_for_itself_nor_for_what_it_has_not_read() {
    let mut world = World::new();
    world.make();
    let offer = world.relay.snapshot.clone().expect("one was made");
    world.relay.snap(&mut world.owner, Snap::Offer(SnapshotOffer { attest: true, ..offer.clone() }));
    world.relay.wait(&mut world.owner, 1_000);
    assert!(world.relay.heard.is_empty());
    world.relay.drop_connection(&mut world.owner);
    // A reader's word does not count, and who lacks a row of it cannot know.
    let mut reader = {
        let token = world.owner.invite(Role::Reader);
        Node::join(8, &token)
    };
    world.relay.connect(&mut reader);
    world.relay.snap(&mut reader, Snap::Offer(SnapshotOffer { attest: true, ..offer.clone() }));
    world.relay.wait(&mut reader, 1_000);
    world.relay.drop_connection(&mut reader);
    let rows = world.relay.rows.split_off(30);
    let mut behind = Node::join(9, &world.token);
    world.relay.connect(&mut behind);
    world.relay.snap(&mut behind, Snap::Offer(SnapshotOffer { attest: true, ..offer }));
    world.relay.wait(&mut behind, 1_000);
    assert!(world.relay.heard.is_empty() && bad_news(&behind).is_empty());
    world.relay.rows.extend(rows);
}

#[test]
fn an_offer_that_nobody_vouches_for_is_not_looked_at() {
    type Alter = fn(&mut World);
    let alter: [(&str, Alter); 8] = [
        ("no witness but the maker again", |world| {
            let offer = world.relay.snapshot.as_mut().expect("is there");
            offer.by[1] = offer.by[0].clone();
        }),
        ("a forged witness", |world| {
            world.relay.snapshot.as_mut().expect("is there").by[1].signature[0] ^= 1;
        }),
        ("a forged maker", |world| {
            world.relay.snapshot.as_mut().expect("is there").by[0].signature[0] ^= 1;
        }),
        ("another manifest", |world| {
            let offer = world.relay.snapshot.as_mut().expect("is there");
            let mut manifest = Manifest::decode(&offer.manifest).expect("an honest one");
            manifest.cursor += 1;
            offer.manifest = manifest.encode().into();
        }),
        ("junk", |world| {
            world.relay.snapshot.as_mut().expect("is there").manifest = Bytes::from_static(b"junk");
        }),
        ("another version of the state", |world| {
            let offer = world.relay.snapshot.as_mut().expect("is there");
            let mut manifest = offer.manifest.to_vec();
            manifest[1] += 1;
            offer.manifest = manifest.into();
        }),
        ("a chunk of something else", |world| world.relay.chunks[0] = Bytes::from_static(b"junk")),
        ("no chunk", |world| world.relay.chunks.clear()),
    ];
    for (what, alter) in alter {
        let mut world = World::witnessed();
        world.relay.heard.clear();
        alter(&mut world);
        let mut newcomer = Node::join(3, &world.token);
        world.relay.connect(&mut newcomer);
        assert!(newcomer.replica.take_look().is_none(), "{what}");
        // The rows came all the same, and nobody is blamed for what a relay does.
        assert_same(&world.owner, &newcomer);
        assert!(bad_news(&newcomer).is_empty() && world.relay.heard.is_empty(), "{what}");
    }
}

#[test]
fn a_relay_that_is_silent_delays_the_rows_by_seconds() {
    let mut world = World::witnessed();
    let mut newcomer = Node::join(3, &world.token);
    world.relay.is_mute = true;
    world.relay.connect(&mut newcomer);
    world.relay.wait(&mut newcomer, 9_000);
    assert_eq!(newcomer.replica.stats().changesets, 0);
    world.relay.wait(&mut newcomer, 2_000);
    assert!(newcomer.replica.take_look().is_none());
    assert_same(&world.owner, &newcomer);
}

#[test]
fn a_relay_whose_log_is_another_one_blames_nobody_who_signed() {
    let mut world = World::witnessed();
    let mut newcomer = world.newcomer();
    assert!(newcomer.replica.take_look().is_some());
    let rows = world.relay.rows.split_off(20);
    world.release(&mut newcomer);
    assert!(!newcomer.replica.has_look());
    let news = bad_news(&newcomer);
    assert!(news.len() == 1 && news[0].contains("the relay offered"), "{news:?}");
    assert!(!world.relay.heard.iter().any(|snap| matches!(snap, Snap::Bad { .. })));
    drop(rows);
}

#[test]
fn an_upload_goes_on_after_the_connection_was_cut() {
    let mut world = World::new();
    world.relay.is_mute = true;
    world.make_in_part();
    let before = world.relay.snapshot.clone().expect("one was made");
    world.relay.drop_connection(&mut world.owner);
    world.relay.is_mute = false;
    world.relay.wait(&mut world.owner, 2_000);
    world.relay.snapshot = None;
    world.relay.snap(&mut world.owner, Snap::Wanted);
    assert_eq!(world.relay.snapshot, Some(before), "it is the same one");
    assert_eq!(world.relay.chunks.len(), 1);
    // It is at the relay now: the next one is another one.
    write(&mut world.owner, 77);
    world.relay.run(&mut world.owner);
    let before = world.relay.snapshot.clone();
    world.make();
    assert_ne!(world.relay.snapshot, before);
}

#[test]
fn one_is_made_only_of_what_the_relay_has() {
    let mut world = World::new();
    world.relay.manner = relay::Manner::Full;
    write(&mut world.owner, 77);
    world.make_in_part();
    assert!(world.relay.snapshot.is_none());
    // Once it has everything, one is made as soon as nothing is on its way.
    world.relay.manner = relay::Manner::Honest;
    world.relay.wait(&mut world.owner, 59_000);
    assert!(world.relay.snapshot.is_some());
}

/// Whoever holds the keys can seal anything: what opens is believed no more than what does not.
#[test]
fn no_altered_state_ends_who_loads_it() {
    let mut world = World::new();
    world.make();
    world.relay.drop_connection(&mut world.owner);
    world.relay.wait(&mut world.other, 2_000);
    let honest = (world.relay.snapshot.clone(), world.relay.chunks.clone());
    let number =
        |name, default| std::env::var(name).map_or(default, |value| value.parse().expect("a number"));
    let rounds = 1 + number("FUZZ_ROUNDS", 100_u64) as usize * 3 / 2;
    let seed = number("SEED", 7);
    eprintln!("SEED={seed}");
    let mut random = Random::new(seed);
    let (mut loaded, mut attested) = (0, 0);
    for _ in 0..rounds {
        (world.relay.snapshot, world.relay.chunks) = honest.clone();
        let mut changes = Vec::new();
        for _ in 0..=random.below(3) {
            changes.push((random.next() as usize, random.below(4), random.next() as u8));
        }
        world.forge(|state, _| {
            for &(at, how, byte) in &changes {
                let at = at % state.len();
                match how {
                    0 => state[at] = byte,
                    1 => state[at] ^= 1 << (byte % 8),
                    2 => drop(state.remove(at)),
                    _ => state.insert(at, byte),
                }
            }
        });
        // As a newcomer who looks at it, and reads all that there is.
        let mut newcomer = Node::join(3, &world.token);
        world.relay.stays_held = true;
        world.relay.drop_connection(&mut world.other);
        world.relay.connect(&mut newcomer);
        if let Some(mut look) = newcomer.replica.take_look() {
            loaded += 1;
            let _ = (look.state_hash(), look.view_digest(), look.names());
            let view = newcomer.with(|_, env| look.view(&ViewFilter::default(), env)).expect("all of it");
            let _ = look.view_state_hash(view);
        }
        world.relay.drop_connection(&mut newcomer);
        // And as one who is asked to vouch for it.
        world.relay.heard.clear();
        world.relay.snapshot.as_mut().expect("is there").by.truncate(1);
        world.relay.wait(&mut world.other, 61_000);
        world.attest();
        attested += usize::from(matches!(world.relay.heard[..], [Snap::Attest { .. }]));
    }
    assert!(loaded > 0 && attested < rounds, "{loaded} loaded, {attested} attested of {rounds}");
    assert_same(&world.owner, &world.other);
}
