//! Snapshots that members make: who is asked for one, what the relay believes of what it is sent, and who is shown it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Author, Client, Node, Space, key, start};
use prost::bytes::Bytes;
use stemma::causal::{ActorId, LogChain, LogId, SpaceId};
use stemma::crypto::Kid;
use stemma::event::{
    Certificate, CertificateKind, Chain, Manifest, Role, SnapshotId, Voice, snapshot_chunk_hash,
};
use stemma::sync::{Code, Credit, Frame, Position, SignedBy, Snap, SnapshotOffer, WITNESSES_MAX};
use stemma_relay::RelayConfig;
use stemma_relay::check::check;
use stemma_relay::store::{Kept, MemoryStore, SqliteStore, Store};

const ROWS: u32 = 12;
const CHUNKS: [&[u8]; 2] = [b"the first sealed chunk", b"and the last one"];

fn config() -> RelayConfig {
    RelayConfig {
        snapshot_rows: 5,
        snapshot_bytes: 1,
        snapshot_pause: Duration::ZERO,
        tick: Duration::from_millis(50),
        ..RelayConfig::default()
    }
}

/// A space with a log in a relay.
struct World {
    store: Arc<dyn Store>,
    node: Node,
    space: Space,
    maker: Author,
    place: Position,
}

impl World {
    async fn new(config: RelayConfig) -> Self {
        Self::on(Arc::new(MemoryStore::default()), config).await
    }

    async fn on(store: Arc<dyn Store>, config: RelayConfig) -> Self {
        let node = Node::on(Arc::clone(&store), config).await;
        let space = Space::new(1);
        let maker = space.member(10);
        let mut client = Client::enter(node.address, &space, &maker).await;
        client.push(&space, &space.lane(&maker, ROWS)).await.expect("it is taken");
        let place = store.space(space.id()).expect("reads").expect("is there").head;
        Self { store, node, space, maker, place }
    }

    /// Somebody who is at the end of the log.
    async fn live(&self, author: &Author) -> Client {
        let mut client = Client::enter(self.node.address, &self.space, author).await;
        client.subscribe(&self.space, Some(self.place), &[]).await;
        assert!(matches!(client.receive().await, Frame::CaughtUp(_)));
        client
    }

    fn manifest(&self, maker: &Author) -> Manifest {
        let Position { log_id, cursor, chain } = self.place;
        Manifest {
            state: 6,
            space: self.space.id(),
            log_id,
            cursor,
            chain,
            actor: ActorId(maker.actor.public()),
            run: [7; 16],
            kid: Kid([8; 16]),
            chunks: CHUNKS.map(|chunk| (snapshot_chunk_hash(chunk), chunk.len() as u32)).to_vec(),
            seal: vec![9; 80],
        }
    }

    fn offer(&self, maker: &Author) -> SnapshotOffer {
        offer_of(&self.manifest(maker), maker)
    }

    fn kept(&self) -> usize {
        self.store.snapshots(self.space.id()).expect("reads").len()
    }

    async fn send(&self, client: &mut Client, snap: Snap) {
        client.send(Frame::Snap(self.space.id(), snap)).await;
    }

    /// The next word about snapshots.
    async fn hear(&self, client: &mut Client) -> Snap {
        loop {
            match client.receive().await {
                Frame::Snap(space, snap) => {
                    assert_eq!(space, self.space.id());
                    return snap;
                }
                Frame::Tick { .. } => {}
                frame => panic!("{frame:?}"),
            }
        }
    }

    /// Sends a snapshot, whose turn it is, and all that is asked for.
    async fn make(&self, client: &mut Client, offer: SnapshotOffer) -> Snap {
        let id = SnapshotId::of(&offer.manifest);
        self.send(client, Snap::Offer(offer)).await;
        loop {
            match self.hear(client).await {
                Snap::Get { id: asked, number } => {
                    assert_eq!(asked, id);
                    let bytes = Bytes::from_static(CHUNKS[number as usize]);
                    self.send(client, Snap::Chunk { id, number, bytes }).await;
                }
                snap => return snap,
            }
        }
    }

    /// A snapshot that is kept.
    async fn made(&self) -> SnapshotId {
        let mut client = self.live(&self.maker).await;
        assert_eq!(self.hear(&mut client).await, Snap::Wanted);
        let offer = self.offer(&self.maker);
        assert_eq!(self.make(&mut client, offer.clone()).await, Snap::Offer(offer.clone()));
        SnapshotId::of(&offer.manifest)
    }

    /// Who vouches for it by now.
    fn voices(&self) -> usize {
        let kept = self.store.snapshots(self.space.id()).expect("reads");
        match Frame::decode(&Bytes::from(kept[0].record.clone())) {
            Ok(Some(Frame::Snap(_, Snap::Offer(offer)))) => offer.by.len(),
            other => panic!("{other:?}"),
        }
    }
}

fn signed(author: &Author, voice: Voice, id: SnapshotId) -> SignedBy {
    SignedBy { chain: author.chain.encode().into(), signature: voice.sign(&author.actor, id).0 }
}

fn offer_of(manifest: &Manifest, maker: &Author) -> SnapshotOffer {
    let manifest = manifest.encode();
    let by = vec![signed(maker, Voice::Maker, SnapshotId::of(&manifest))];
    SnapshotOffer { manifest: manifest.into(), by, attest: false }
}

/// Another actor of the device of [`Space::member`].
fn other_tab(space: &Space, seed: u64) -> Author {
    let certificates = space.member(seed).chain.certificates().to_vec();
    let (actor, device) = (key(seed + 3_000), key(seed + 1_000));
    let to_device = Chain::new(certificates[..certificates.len() - 1].to_vec());
    let certificate = Certificate::issue(&device, space.id(), actor.public(), CertificateKind::Actor);
    Author { chain: to_device.extended(certificate), actor }
}

#[tokio::test]
async fn one_is_asked_for_one_made_witnessed_and_shown_before_rows() {
    let world = World::new(config()).await;
    let id = world.made().await;
    // Nobody is shown what only one device says.
    let newcomer = world.space.member(30);
    let mut early = Client::enter(world.node.address, &world.space, &newcomer).await;
    early.look = true;
    let subscribed = early.subscribe(&world.space, None, &[]).await;
    assert_eq!(early.catch_up(start(&subscribed)).await.0.len(), ROWS as usize);
    drop(early);
    let mut witness = world.live(&world.space.member(20)).await;
    let Snap::Offer(asked) = world.hear(&mut witness).await else { panic!("a witness is asked for") };
    assert_eq!(asked, SnapshotOffer { attest: true, ..world.offer(&world.maker) });
    for (number, chunk) in (0..).zip(CHUNKS) {
        world.send(&mut witness, Snap::Get { id, number }).await;
        let bytes = Bytes::from_static(chunk);
        assert_eq!(world.hear(&mut witness).await, Snap::Chunk { id, number, bytes });
    }
    let by = signed(&world.space.member(20), Voice::Witness, id);
    world.send(&mut witness, Snap::Attest { id, by: by.clone() }).await;
    world.send(&mut witness, Snap::Get { id, number: 2 }).await;
    let nothing = Snap::Chunk { id, number: 2, bytes: Bytes::new() };
    assert_eq!(world.hear(&mut witness).await, nothing);
    let mut look = Client::enter(world.node.address, &world.space, &newcomer).await;
    look.look = true;
    let subscribed = look.subscribe(&world.space, None, &[]).await;
    let mut shown = world.offer(&world.maker);
    shown.by.push(by);
    assert_eq!(world.hear(&mut look).await, Snap::Offer(shown));
    // A frame and its answer: no row came in between.
    world.send(&mut look, Snap::Get { id, number: 9 }).await;
    assert!(matches!(world.hear(&mut look).await, Snap::Chunk { number: 9, .. }));
    look.send(Frame::Credit(Credit { space: world.space.id(), bytes: 1 << 20 })).await;
    assert_eq!(look.catch_up(start(&subscribed)).await.0.len(), ROWS as usize);
    // Who does not look is sent rows at once, and so is who is not far behind.
    let mut old = Client::enter(world.node.address, &world.space, &newcomer).await;
    let subscribed = old.subscribe(&world.space, None, &[]).await;
    assert_eq!(old.catch_up(start(&subscribed)).await.0.len(), ROWS as usize);
    old.look = true;
    old.subscribe(&world.space, Some(world.place), &[]).await;
    assert!(matches!(old.receive().await, Frame::CaughtUp(_)));
}

#[tokio::test]
async fn what_is_not_sound_is_not_taken() {
    let world = World::new(config()).await;
    let (maker, space) = (&world.maker, &world.space);
    let good = world.manifest(maker);
    let stranger = Space::new(2).member(10);
    let reader = space.granted(40, Role::Reader, None);
    let by_reader = Manifest { actor: ActorId(reader.actor.public()), ..good.clone() };
    let other_actor = other_tab(space, 10);
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        offer_of(&manifest, maker)
    };
    let mut forged = world.offer(maker);
    forged.by[0].signature[0] ^= 1;
    let mut as_witness = world.offer(maker);
    as_witness.by = vec![signed(maker, Voice::Witness, SnapshotId::of(&as_witness.manifest))];
    let mut two = world.offer(maker);
    two.by.push(two.by[0].clone());
    let junk = SnapshotOffer { manifest: Bytes::from_static(b"junk"), ..world.offer(maker) };
    let bad = [
        ("junk", junk),
        ("a forged signature", forged),
        ("a signature of another kind", as_witness),
        ("two makers", two),
        ("a stranger", offer_of(&good, &stranger)),
        ("a reader", offer_of(&by_reader, &reader)),
        ("another actor than it says", offer_of(&good, &other_actor)),
        ("another space", with(&|manifest| manifest.space = SpaceId([1; 32]))),
        ("another log", with(&|manifest| manifest.log_id = LogId([1; 16]))),
        ("another history", with(&|manifest| manifest.chain = LogChain([1; 16]))),
        ("a place beyond the end", with(&|manifest| manifest.cursor += 1)),
        ("the start", with(&|manifest| manifest.cursor = 0)),
        ("no chunks", with(&|manifest| manifest.chunks.clear())),
    ];
    let mut client = world.live(maker).await;
    assert_eq!(world.hear(&mut client).await, Snap::Wanted);
    for (what, offer) in bad {
        let id = SnapshotId::of(&offer.manifest);
        assert_eq!(world.make(&mut client, offer).await, Snap::Bad { id }, "{what}");
    }
    // A chunk with other bytes ends the attempt, and so does one that was not asked for.
    let offer = world.offer(maker);
    let id = SnapshotId::of(&offer.manifest);
    for (number, bytes) in [(0, CHUNKS[1]), (1, CHUNKS[1])] {
        world.send(&mut client, Snap::Offer(offer.clone())).await;
        assert_eq!(world.hear(&mut client).await, Snap::Get { id, number: 0 });
        world.send(&mut client, Snap::Chunk { id, number, bytes: Bytes::from_static(bytes) }).await;
        assert_eq!(world.hear(&mut client).await, Snap::Bad { id });
    }
    assert_eq!(world.kept(), 0);
    assert_eq!(world.make(&mut client, offer.clone()).await, Snap::Offer(offer.clone()));
    // It was its turn once; and one that is no newer is none.
    assert_eq!(world.make(&mut client, offer).await, Snap::Bad { id });
    assert_eq!(world.kept(), 1);
}

#[tokio::test]
async fn nobody_takes_a_turn_and_who_is_silent_loses_it() {
    let turn = Duration::from_millis(300);
    let world = World::new(RelayConfig { snapshot_turn: turn, ..config() }).await;
    let mut first = world.live(&world.maker).await;
    assert_eq!(world.hear(&mut first).await, Snap::Wanted);
    let second = world.space.member(20);
    let mut client = world.live(&second).await;
    let id = SnapshotId::of(&world.offer(&second).manifest);
    assert_eq!(world.make(&mut client, world.offer(&second)).await, Snap::Bad { id });
    assert_eq!(world.hear(&mut client).await, Snap::Wanted);
    // The first one had its time.
    let late = world.offer(&world.maker);
    let late_id = SnapshotId::of(&late.manifest);
    assert_eq!(world.make(&mut first, late).await, Snap::Bad { id: late_id });
    assert!(matches!(world.make(&mut client, world.offer(&second)).await, Snap::Offer(_)));
    // Somebody who was not let in hears nothing of it.
    let mut stranger = Client::connect(world.node.address).await;
    let foreign = Space::new(2);
    assert_eq!(stranger.login(&foreign, &foreign.member(5)).await, None);
    stranger.send(Frame::Snap(world.space.id(), Snap::Get { id, number: 0 })).await;
    let Frame::Error(error) = stranger.receive().await else { panic!("refused") };
    assert_eq!(error.code, Code::NotFoundOrDenied);
}

#[tokio::test]
async fn a_witness_is_another_device_of_the_space() {
    let world = World::new(config()).await;
    let id = world.made().await;
    let space = &world.space;
    let mut client = world.live(&space.member(20)).await;
    let as_maker = signed(&space.member(20), Voice::Maker, id);
    let of_another = signed(&space.member(20), Voice::Witness, SnapshotId([1; 32]));
    let reader = space.granted(40, Role::Reader, None);
    let refused = [
        signed(&world.maker, Voice::Witness, id),
        signed(&other_tab(space, 10), Voice::Witness, id),
        signed(&Space::new(2).member(20), Voice::Witness, id),
        signed(&reader, Voice::Witness, id),
        as_maker,
        of_another,
        SignedBy { chain: Bytes::from_static(b"junk"), signature: [0; 64] },
    ];
    for by in refused {
        world.send(&mut client, Snap::Attest { id, by }).await;
    }
    let unknown = SnapshotId([3; 32]);
    let by = signed(&space.member(20), Voice::Witness, unknown);
    world.send(&mut client, Snap::Attest { id: unknown, by }).await;
    // One after the other, as their answers would be.
    async fn settled(world: &World, client: &mut Client, id: SnapshotId) {
        world.send(client, Snap::Get { id, number: 99 }).await;
        while !matches!(world.hear(client).await, Snap::Chunk { number: 99, .. }) {}
    }
    settled(&world, &mut client, id).await;
    assert_eq!(world.voices(), 1);
    for seed in [20, 20, 21, 22, 23, 24, 25] {
        let by = signed(&space.member(seed), Voice::Witness, id);
        world.send(&mut client, Snap::Attest { id, by }).await;
    }
    settled(&world, &mut client, id).await;
    assert_eq!(world.voices(), 1 + WITNESSES_MAX);
    // Whoever finds it wrong has it forgotten; the log stays.
    world.send(&mut client, Snap::Bad { id }).await;
    settled(&world, &mut client, id).await;
    assert_eq!(world.kept(), 0);
    let mut newcomer = Client::enter(world.node.address, space, &space.member(30)).await;
    newcomer.look = true;
    let subscribed = newcomer.subscribe(space, None, &[]).await;
    assert_eq!(newcomer.catch_up(start(&subscribed)).await.0.len(), ROWS as usize);
}

#[tokio::test]
async fn the_quota_is_for_both_and_rows_go_on() {
    let bytes = |world: &World| world.store.space(world.space.id()).expect("reads").expect("is there").bytes;
    let log_bytes = bytes(&World::new(config()).await);
    let room = CHUNKS.concat().len() as u64;
    for (quota_bytes, fits) in [(log_bytes + room - 1, false), (log_bytes + room, true)] {
        let world = World::new(RelayConfig { quota_bytes, ..config() }).await;
        let mut client = world.live(&world.maker).await;
        assert_eq!(world.hear(&mut client).await, Snap::Wanted);
        let answer = world.make(&mut client, world.offer(&world.maker)).await;
        assert_eq!((matches!(answer, Snap::Offer(_)), world.kept()), (fits, usize::from(fits)));
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("opens"));
    let world = World::on(store, config()).await;
    let offer = world.offer(&world.maker);
    let id = SnapshotId::of(&offer.manifest);
    let mut client = world.live(&world.maker).await;
    assert_eq!(world.hear(&mut client).await, Snap::Wanted);
    world.send(&mut client, Snap::Offer(offer.clone())).await;
    assert_eq!(world.hear(&mut client).await, Snap::Get { id, number: 0 });
    let chunk = Snap::Chunk { id, number: 0, bytes: Bytes::from_static(CHUNKS[0]) };
    world.send(&mut client, chunk).await;
    assert_eq!(world.hear(&mut client).await, Snap::Get { id, number: 1 });
    let World { store, node, space, maker, place } = world;
    node.stop().await;
    assert_eq!(store.strays(false).expect("counts"), 1);
    let node = Node::on(Arc::clone(&store), config()).await;
    let world = World { store, node, space, maker, place };
    let mut client = world.live(&world.maker).await;
    assert_eq!(world.hear(&mut client).await, Snap::Wanted);
    world.send(&mut client, Snap::Offer(offer)).await;
    assert_eq!(world.hear(&mut client).await, Snap::Get { id, number: 1 });
    let chunk = Snap::Chunk { id, number: 1, bytes: Bytes::from_static(CHUNKS[1]) };
    world.send(&mut client, chunk).await;
    assert!(matches!(world.hear(&mut client).await, Snap::Offer(_)));
    assert_eq!(world.store.strays(false).expect("counts"), 0);
}

#[tokio::test]
async fn one_of_another_life_of_the_log_is_shown_to_nobody_and_damage_is_swept() {
    let world = World::new(config()).await;
    world.made().await;
    let space = world.space.id();
    let kept = world.store.snapshots(space).expect("reads").remove(0);
    let report = |sweep| check(&*world.store, sweep).expect("reads");
    assert!(report(false).faults.is_empty());
    // As if the database were one of yesterday: the place is not in this log.
    let manifest = Manifest { cursor: u64::from(ROWS) + 9, ..world.manifest(&world.maker) };
    let mut offer = offer_of(&manifest, &world.maker);
    let id = SnapshotId::of(&offer.manifest);
    offer.by.push(signed(&world.space.member(20), Voice::Witness, id));
    let record = Frame::Snap(space, Snap::Offer(offer)).encode().to_vec();
    for (number, chunk) in (0..).zip(CHUNKS) {
        world.store.put_chunk(space, id, number, chunk).expect("puts");
    }
    assert!(world.store.keep(space, &Kept { id, record, ..kept.clone() }).expect("keeps"));
    let mut newcomer = Client::enter(world.node.address, &world.space, &world.space.member(30)).await;
    newcomer.look = true;
    let subscribed = newcomer.subscribe(&world.space, None, &[]).await;
    assert_eq!(newcomer.catch_up(start(&subscribed)).await.0.len(), ROWS as usize);
    assert_eq!(report(false).faults.len(), 1);
    let swept = report(true);
    assert_eq!((swept.strays, swept.faults.len()), (1, 0));
    assert_eq!(world.kept(), 1);
    // A record that is not what a relay wrote.
    assert!(world.store.keep(space, &Kept { record: b"junk".to_vec(), ..kept }).expect("keeps"));
    assert_eq!(report(false).faults.len(), 1);
    assert_eq!(report(true).strays, 1);
    assert_eq!(world.kept(), 0);
}
