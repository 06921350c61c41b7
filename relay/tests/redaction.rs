//! Redactions at a relay, on all three stores over real sockets: whose content it drops and whose not, what comes late, what was
//! at hand, and what is left of it anywhere.

mod common;
#[path = "common/postgres.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;

use common::{Author, Client, Node, Space, accepted, id, start};
use stemma::causal::{ActorId, ChangesetId};
use stemma::event::{Class, Draft, Role, SnapshotId};
use stemma::sync::{ChainRange, Delivery, Frame, GetChain, Row, Verdict};
use stemma_relay::RelayConfig;
use stemma_relay::archive::{backup, restore};
use stemma_relay::check::check;
use stemma_relay::store::{Kept, MemoryStore, PostgresStore, SqliteStore, Store};
use tokio::task::spawn_blocking;

/// A changeset that redacts rows, each by its place.
fn redaction(
    space: &Space,
    author: &Author,
    (seq, prev): (u32, Option<ChangesetId>),
    targets: &[(&Row, &Author, u32)],
) -> Row {
    let mut named: Vec<(ChangesetId, (ActorId, u32))> =
        targets.iter().map(|(row, author, seq)| (id(row), (author.id(), *seq))).collect();
    named.sort();
    let draft = Draft {
        space: space.id(),
        class: Class::Control,
        seq,
        prev,
        deps: &[],
        chain: (seq == 0).then_some(&author.chain),
        redacts: &named,
        ops_root: None,
        skeleton: b"what decides",
        content: Some(b"the reason"),
    };
    let changeset = draft.seal(&author.actor, &space.epoch, &[seq as u8; 32]).expect("a valid draft");
    Row::from_stored(&changeset.signed().encode()).expect("a row")
}

/// The rows of a space as somebody gets them who comes now.
async fn rows(node: &Node, space: &Space, author: &Author) -> Vec<Row> {
    let mut client = Client::enter(node.address, space, author).await;
    let subscribed = client.subscribe(space, None, &[]).await;
    let (rows, _) = client.catch_up(start(&subscribed)).await;
    let row = |delivery| if let Delivery::Row(row) = delivery { row } else { panic!("somebody else's") };
    rows.into_iter().map(row).collect()
}

fn has(rows: &[Row], row: &Row) -> bool {
    let found = rows.iter().find(|other| id(other) == id(row)).expect("the row stays");
    assert_eq!((&found.header, &found.skeleton), (&row.header, &row.skeleton));
    assert!(found.content.is_none() || found.content == row.content);
    found.content.is_some()
}

async fn stays_sound(store: &Arc<dyn Store>) {
    let store = Arc::clone(store);
    let report = spawn_blocking(move || check(&*store, false).expect("reads")).await.expect("no panic");
    assert_eq!((report.faults, report.strays), (Vec::new(), 0));
}

/// What a relay does on any store.
async fn keeps_to_redactions(store: Arc<dyn Store>) {
    let space = Space::new(1);
    let [writer, other] = [10, 20].map(|seed| space.member(seed));
    let admin = space.granted(30, Role::Admin, None);
    let node = Node::on(Arc::clone(&store), RelayConfig::default()).await;
    let mut client = Client::enter(node.address, &space, &writer).await;
    let lane = space.lane(&writer, 4);
    assert_eq!(client.push(&space, &lane).await, Ok(accepted(1..=4)));
    let kept = {
        let (store, of) = (Arc::clone(&store), space.id());
        spawn_blocking(move || {
            let kept = Kept { id: SnapshotId([3; 32]), chunks: 1, log_bytes: 9, record: vec![1] };
            store.put_chunk(of, kept.id, 0, b"state of before").expect("writes");
            assert!(store.keep(of, &kept).expect("writes"));
            kept
        })
    };
    let kept = kept.await.expect("no panic");

    // A stranger's says nothing, nor does one that names another place, nor one of control.
    let foreign = redaction(&space, &other, (0, None), &[(&lane[1], &writer, 1)]);
    let mut others = Client::enter(node.address, &space, &other).await;
    assert_eq!(others.push(&space, std::slice::from_ref(&foreign)).await, Ok(accepted(5..=5)));
    let tip = Some(id(&lane[3]));
    let misplaced = redaction(&space, &writer, (4, tip), &[(&lane[1], &writer, 2)]);
    let of_control = redaction(&space, &admin, (0, None), &[(&foreign, &other, 0)]);
    assert_eq!(client.push(&space, std::slice::from_ref(&misplaced)).await, Ok(accepted(6..=6)));
    let mut admins = Client::enter(node.address, &space, &admin).await;
    assert_eq!(admins.push(&space, std::slice::from_ref(&of_control)).await, Ok(accepted(7..=7)));
    let now = rows(&node, &space, &other).await;
    assert!(lane.iter().all(|row| has(&now, row)) && has(&now, &foreign));

    // Its author's does, for who is listening and has it at hand, and for who comes; and snapshots go.
    let own = redaction(
        &space,
        &writer,
        (5, Some(id(&misplaced))),
        &[(&lane[1], &writer, 1), (&lane[2], &writer, 2)],
    );
    assert_eq!(client.push(&space, std::slice::from_ref(&own)).await, Ok(accepted(8..=8)));
    let now = rows(&node, &space, &other).await;
    assert_eq!(lane.each_ref_has(&now), [true, false, false, true]);
    let chunk = {
        let (store, of) = (Arc::clone(&store), space.id());
        spawn_blocking(move || {
            (store.snapshots(of).expect("reads"), store.chunk(of, kept.id, 0).expect("reads"))
        })
    };
    assert_eq!(chunk.await.expect("no panic"), (Vec::new(), None));
    // Asked for by its place, it comes without.
    let ranges = vec![ChainRange { actor: writer.id(), first: 1, last: 1 }];
    client.send(Frame::GetChain(GetChain { space: space.id(), ranges, after: 0 })).await;
    let Frame::Chain(chain) = client.receive().await else { panic!("the answer") };
    assert!(chain.rows.len() == 1 && chain.rows[0].content.is_none());
    stays_sound(&store).await;

    // An admin's does, whoever wrote it. What comes again is known, and is not taken from.
    let by_admin = redaction(&space, &admin, (1, Some(id(&of_control))), &[(&lane[3], &writer, 3)]);
    assert_eq!(admins.push(&space, std::slice::from_ref(&by_admin)).await, Ok(accepted(9..=9)));
    let again: Vec<Verdict> = (1..=4).map(|cursor| Verdict::Dup { cursor }).collect();
    assert_eq!(client.push(&space, &lane).await, Ok(again));

    // What is redacted before it comes, in the same push or by somebody who had it from a peer, comes without; by its author or an
    // admin alone.
    let late = space.member(40);
    let first = space.lane(&late, 3);
    let early = redaction(&space, &admin, (2, Some(id(&by_admin))), &[(&first[0], &late, 0)]);
    let no_right = redaction(&space, &other, (1, Some(id(&foreign))), &[(&first[1], &late, 1)]);
    assert_eq!(admins.push(&space, std::slice::from_ref(&early)).await, Ok(accepted(10..=10)));
    assert_eq!(others.push(&space, std::slice::from_ref(&no_right)).await, Ok(accepted(11..=11)));
    let at_once = redaction(&space, &late, (3, Some(id(&first[2]))), &[(&first[2], &late, 2)]);
    let mut lates = Client::enter(node.address, &space, &late).await;
    let push = [&first[..], std::slice::from_ref(&at_once)].concat();
    assert_eq!(lates.push(&space, &push).await, Ok(accepted(12..=15)));
    let now = rows(&node, &space, &other).await;
    assert_eq!(lane.each_ref_has(&now), [true, false, false, false]);
    assert_eq!(first.each_ref_has(&now), [false, true, false]);
    stays_sound(&store).await;

    // A backup has none of it, and what is restored keeps to it as before.
    let saved = {
        let store = Arc::clone(&store);
        spawn_blocking(move || {
            let mut file = Vec::new();
            backup(&*store, &mut file).expect("writes");
            file
        })
    };
    let saved = saved.await.expect("no panic");
    for row in [&lane[1], &lane[2], &lane[3], &first[0], &first[2]] {
        assert!(!holds(&saved, row.content.as_ref().expect("it had one")));
    }
    assert!(holds(&saved, lane[0].content.as_ref().expect("it had one")));
    let again: Arc<dyn Store> = Arc::new(MemoryStore::default());
    restore(&*again, &mut saved.as_slice()).expect("a good backup");
    stays_sound(&again).await;
    assert_eq!(again.redactions(space.id(), &[id(&first[0])]).expect("reads").len(), 1);
    node.stop().await;
}

trait Has<const N: usize> {
    fn each_ref_has(&self, rows: &[Row]) -> [bool; N];
}

impl<const N: usize> Has<N> for Vec<Row> {
    fn each_ref_has(&self, rows: &[Row]) -> [bool; N] {
        let all: Vec<bool> = self.iter().map(|row| has(rows, row)).collect();
        all.try_into().expect("as many")
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn folder_holds(folder: &Path, part: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.is_file()).any(|path| holds(&std::fs::read(path).expect("reads"), part))
}

/// What audit says about people goes as data does: a key that was erased is not handed to newcomers.
async fn drops_what_audit_says(store: Arc<dyn Store>) {
    let space = Space::new(1);
    let writer = space.member(10);
    let node = Node::on(Arc::clone(&store), RelayConfig::default()).await;
    let mut client = Client::enter(node.address, &space, &writer).await;
    let first = space.lane(&writer, 1).remove(0);
    let said = |seq: u32, prev: &Row| {
        let draft = Draft {
            space: space.id(),
            class: Class::Audit,
            seq,
            prev: Some(id(prev)),
            deps: &[],
            chain: None,
            redacts: &[],
            ops_root: None,
            skeleton: b"the key of somebody",
            content: Some(b"which has these bytes"),
        };
        let changeset = draft.seal(&writer.actor, &space.epoch, &[seq as u8; 32]).expect("a valid draft");
        Row::from_stored(&changeset.signed().encode()).expect("a row")
    };
    let here = said(1, &first);
    let late = said(2, &here);
    assert_eq!(client.push(&space, &[first, here.clone()]).await, Ok(accepted(1..=2)));
    assert!(has(&rows(&node, &space, &writer).await, &here));
    let both = redaction(&space, &writer, (3, Some(id(&late))), &[(&here, &writer, 1), (&late, &writer, 2)]);
    assert_eq!(client.push(&space, &[late.clone(), both]).await, Ok(accepted(3..=4)));
    let now = rows(&node, &space, &writer).await;
    assert!(!has(&now, &here) && !has(&now, &late));
    stays_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_in_memory_keeps_to_redactions() {
    keeps_to_redactions(Arc::new(MemoryStore::default())).await;
    drops_what_audit_says(Arc::new(MemoryStore::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_a_file_keeps_to_redactions() {
    let folder = tempfile::tempdir().expect("a folder");
    keeps_to_redactions(Arc::new(SqliteStore::open(folder.path()).expect("a new store"))).await;
    let folder = tempfile::tempdir().expect("a folder");
    drops_what_audit_says(Arc::new(SqliteStore::open(folder.path()).expect("a new store"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_a_database_keeps_to_redactions() {
    let Some(server) = server::server() else { return };
    for about_people in [false, true] {
        let url = server.database();
        let store = spawn_blocking(move || PostgresStore::open(&url).expect("a new store")).await;
        let store: Arc<dyn Store> = Arc::new(store.expect("no panic"));
        match about_people {
            false => keeps_to_redactions(store).await,
            true => drops_what_audit_says(store).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_left_in_the_file_or_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a new store"));
    let node = Node::on(Arc::clone(&store), RelayConfig::default()).await;
    let space = Space::new(1);
    let writer = space.member(10);
    let mut client = Client::enter(node.address, &space, &writer).await;
    let large = vec![b'x'; 30_000];
    let first = space.row(&writer, 0, None, &large);
    let second = space.row(&writer, 1, Some(id(&first)), b"short");
    let third = space.row(&writer, 2, Some(id(&second)), b"it stays");
    let rows = [first, second, third];
    assert_eq!(client.push(&space, &rows).await, Ok(accepted(1..=3)));
    let sealed = rows.each_ref().map(|row| row.content.clone().expect("it has one"));
    // Of a large one a page of the file has a part.
    let parts = [&sealed[0][..100], &sealed[0][15_000..15_100], &sealed[1][..], &sealed[2][..]];
    assert_eq!(parts.map(|part| folder_holds(folder.path(), part)), [true; 4]);
    let redaction = redaction(
        &space,
        &writer,
        (3, Some(id(&rows[2]))),
        &[(&rows[0], &writer, 0), (&rows[1], &writer, 1)],
    );
    assert_eq!(client.push(&space, &[redaction]).await, Ok(accepted(4..=4)));
    assert_eq!(parts.map(|part| folder_holds(folder.path(), part)), [false, false, false, true]);
    node.stop().await;
    drop(store);
    let again: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("the store"));
    stays_sound(&again).await;
    assert_eq!(parts.map(|part| folder_holds(folder.path(), part)), [false, false, false, true]);
}
