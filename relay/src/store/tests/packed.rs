//! Rows with headers as clients make them: whatever of them a store does not write down, they come back byte for byte.

use stemma::crypto::{AgreementKey, EpochSecret, SigningKey};
use stemma::event::{Certificate, CertificateKind, Chain, Class, Draft, Genesis, Role};

use super::*;

/// The tables of version 1.
const VERSION_1: &str = "
    CREATE TABLE node (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE space (
        number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, genesis BLOB NOT NULL, log_id BLOB NOT NULL,
        head INTEGER NOT NULL, chain BLOB NOT NULL, bytes INTEGER NOT NULL);
    CREATE TABLE member (space INTEGER, gate BLOB, member BLOB, PRIMARY KEY (space, gate, member)) WITHOUT ROWID;
    CREATE TABLE actor (number INTEGER PRIMARY KEY, space INTEGER NOT NULL, key BLOB NOT NULL, UNIQUE (space, key));
    CREATE TABLE tip (space INTEGER, actor INTEGER, seq INTEGER, id BLOB,
        PRIMARY KEY (space, actor, seq, id)) WITHOUT ROWID;
    CREATE TABLE changeset (
        space INTEGER, cursor INTEGER, actor INTEGER NOT NULL, seq INTEGER NOT NULL, short INTEGER NOT NULL,
        chain BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL, skeleton BLOB NOT NULL, content BLOB,
        PRIMARY KEY (space, cursor)) WITHOUT ROWID;
    CREATE INDEX changeset_lane ON changeset (space, actor, seq, short);
    PRAGMA user_version = 1;
";

/// Who writes into one space.
struct Writer {
    genesis: Genesis,
    actor: SigningKey,
    chain: Chain,
    seq: u32,
    prev: Option<ChangesetId>,
}

impl Writer {
    fn new(seed: u8) -> Self {
        let root = SigningKey::from_seed(&[1; 32]);
        let genesis = Genesis::new(root.verifying_key(), &[1; 16]);
        let space = genesis.id();
        let [member, device, actor] = [0, 1, 2].map(|step| SigningKey::from_seed(&[seed + step; 32]));
        let x25519 = AgreementKey::from_seed(&[9; 32]).public().to_bytes();
        let grant = CertificateKind::Grant { role: Role::Writer, not_after: None };
        let as_device = CertificateKind::Device { x25519 };
        let chain = Chain::new(vec![Certificate::issue(&root, space, member.public(), grant)])
            .extended(Certificate::issue(&member, space, device.public(), as_device))
            .extended(Certificate::issue(&device, space, actor.public(), CertificateKind::Actor));
        Self { genesis, actor, chain, seq: 0, prev: None }
    }

    /// A row that does not become what the next one follows.
    fn row(&self, deps: &[ChangesetId], epoch: u16, content: Option<&[u8]>) -> NewRow {
        let (low, high) = (epoch as u8, (epoch >> 8) as u8);
        let mut secret = [low; 32];
        secret[0] = high;
        let epoch = EpochSecret::new(secret).derive(&self.genesis.id().0);
        let draft = Draft {
            space: self.genesis.id(),
            class: Class::Data,
            seq: self.seq,
            prev: self.prev,
            deps,
            chain: (self.seq == 0).then_some(&self.chain),
            redacts: &[],
            ops_root: None,
            skeleton: b"what decides",
            content,
        };
        let nonce = [self.seq as u8; 32];
        let changeset = draft.seal(&self.actor, &epoch, &nonce).expect("a valid draft");
        let row = Row::from_stored(&changeset.signed().encode()).expect("a row");
        let (id, actor) = (changeset_id(&row.header), ActorId(self.actor.public()));
        NewRow { id, actor, seq: self.seq, prev: self.prev, row }
    }

    fn next(&mut self, deps: &[ChangesetId], epoch: u16, content: Option<&[u8]>) -> NewRow {
        let row = self.row(deps, epoch, content);
        (self.seq, self.prev) = (self.seq + 1, Some(row.id));
        row
    }
}

/// Two who answer each other, forks, far and unknown deps, a content that is not there, more epochs than have numbers.
fn conversation() -> (SpaceId, Vec<NewRow>) {
    let mut writers = [Writer::new(10), Writer::new(20)];
    let mut rows = vec![writers[0].next(&[], 0, Some(b"first")), writers[1].next(&[], 0, None)];
    let first = rows[0].id;
    for turn in 0..700_u16 {
        let [one, other] = [usize::from(turn % 2), usize::from((turn + 1) % 2)];
        let deps: Vec<ChangesetId> = match turn {
            699 => [first, ChangesetId([3; 32])].into(),
            _ => writers[other].prev.into_iter().collect(),
        };
        let mut deps = deps;
        deps.sort_unstable();
        let epoch = if turn < 600 { turn / 2 } else { 0 };
        if turn % 100 == 50 {
            rows.push(writers[one].row(&deps, epoch, Some(b"a branch")));
        }
        let mut next = writers[one].next(&deps, epoch, Some(b"content"));
        if turn % 100 == 70 {
            next.row.content = None;
        }
        rows.push(next);
    }
    (writers[0].genesis.id(), rows)
}

fn push(store: &dyn Store, space: SpaceId, rows: &[NewRow]) {
    store.create_space(space, b"genesis", LOG).expect("makes");
    for rows in rows.chunks(90) {
        let append = Append { space, quota_bytes: u64::MAX, rows: rows.to_vec() };
        let appended = store.append(&[append]).expect("writes").remove(0);
        assert_eq!(appended.rows.len(), rows.len());
    }
}

/// Whatever page it is read in.
fn assert_same(store: &dyn Store, expected: &MemoryStore, space: SpaceId) {
    let log = expected.read(space, 0, usize::MAX, usize::MAX >> 1).expect("reads");
    for page in [usize::MAX >> 1, 100, 7] {
        let mut after = 0;
        while after < log.len() {
            let read = store.read(space, after as u64, usize::MAX, page).expect("reads");
            assert_eq!(read[..], log[after..log.len().min(after.saturating_add(page))]);
            after += read.len();
        }
    }
    for row in &log {
        assert_eq!(store.chain_at(space, row.cursor).expect("reads"), Some(row.chain));
    }
    assert_eq!(store.space(space).expect("reads"), expected.space(space).expect("reads"));
    assert_eq!(store.strays(false).expect("reads"), 0);
    let ends = |store: &dyn Store| {
        let (head, mut tips) = store.ends(space).expect("reads");
        tips.sort_by_key(|tip| (tip.actor, tip.seq, tip.id));
        (head, tips)
    };
    assert_eq!(ends(store), ends(expected));
}

pub(super) fn real_headers_come_back_byte_for_byte(store: &impl Store) {
    let (space, rows) = conversation();
    let expected = MemoryStore::default();
    push(&expected, space, &rows);
    push(store, space, &rows);
    assert_same(store, &expected, space);
    let again = Append { space, quota_bytes: u64::MAX, rows };
    let results = store.append(&[again]).expect("writes").remove(0).results;
    assert!(results.iter().all(|verdict| matches!(verdict, Verdict::Dup { .. })));
}

#[test]
fn sqlite_goes_on_where_it_was_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (space, rows) = conversation();
    let expected = MemoryStore::default();
    push(&expected, space, &rows);
    for rows in rows.chunks(200) {
        push(&SqliteStore::open(folder.path()).expect("opens"), space, rows);
    }
    assert_same(&SqliteStore::open(folder.path()).expect("opens"), &expected, space);
}

/// Bytes a changeset beside its segments, of rows with one dep each.
#[test]
fn sqlite_keeps_little_beside_the_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writers = [Writer::new(10), Writer::new(20)];
    let mut rows = Vec::new();
    for turn in 0..1_000 {
        let deps: Vec<ChangesetId> = writers[(turn + 1) % 2].prev.into_iter().collect();
        rows.push(writers[turn % 2].next(&deps, 0, Some(b"content")));
    }
    let space = writers[0].genesis.id();
    push(&SqliteStore::open(folder.path()).expect("opens"), space, &rows);
    let path = folder.path().join("relay.sqlite");
    let file = rusqlite::Connection::open(&path).expect("opens");
    file.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").expect("writes");
    drop(file);
    let segments = |row: &NewRow| row.row.skeleton.len() + row.row.content.as_ref().map_or(0, |c| c.len());
    let segments: usize = rows.iter().map(segments).sum();
    let size = std::fs::metadata(&path).expect("is there").len() as usize;
    let each = (size - segments) / rows.len();
    assert!(each < 240, "{each} bytes beside the segments");
}

#[test]
fn a_store_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let (space, rows) = conversation();
    let expected = MemoryStore::default();
    push(&expected, space, &rows);
    make_version_1(&folder.path().join("relay.sqlite"), &expected, space, &rows);
    let not_yet = SqliteStore::open_to_read(folder.path());
    assert!(matches!(not_yet, Err(StoreError::Version { found: 1, known: 4 })));
    let store = SqliteStore::open(folder.path()).expect("opens");
    assert_same(&store, &expected, space);
    assert_eq!(store.identity([6; 32]).expect("reads"), [5; 32]);
    let again = Append { space, quota_bytes: u64::MAX, rows };
    let results = store.append(&[again]).expect("writes").remove(0).results;
    assert!(results.iter().all(|verdict| matches!(verdict, Verdict::Dup { .. })));
    drop(store);
    assert_same(&SqliteStore::open(folder.path()).expect("opens"), &expected, space);
}

fn make_version_1(path: &std::path::Path, of: &MemoryStore, space: SpaceId, rows: &[NewRow]) {
    let file = rusqlite::Connection::open(path).expect("opens");
    file.execute_batch(VERSION_1).expect("makes");
    file.execute_batch("BEGIN").expect("begins");
    let record = of.space(space).expect("reads").expect("is there");
    let head = record.head;
    file.execute("INSERT INTO node VALUES ('identity', ?)", [[5_u8; 32]]).expect("writes");
    file.execute(
        "INSERT INTO space VALUES (4, ?, ?, ?, ?, ?, ?)",
        rusqlite::params![space.0, record.genesis, head.log_id.0, head.cursor, head.chain.0, record.bytes],
    )
    .expect("writes");
    let actors: Vec<ActorId> = [&rows[0], &rows[1]].map(|row| row.actor).into();
    for (number, actor) in (7_i64..).zip(&actors) {
        file.execute("INSERT INTO actor VALUES (?, 4, ?)", rusqlite::params![number, actor.0])
            .expect("writes");
        for tip in of.tips(space, &[*actor]).expect("reads") {
            file.execute("INSERT INTO tip VALUES (4, ?, ?, ?)", rusqlite::params![number, tip.seq, tip.id.0])
                .expect("writes");
        }
    }
    let log = of.read(space, 0, usize::MAX, usize::MAX >> 1).expect("reads");
    for (stored, new) in log.iter().zip(rows) {
        let actor = if new.actor == actors[0] { 7 } else { 8 };
        file.execute(
            "INSERT INTO changeset VALUES (4, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rusqlite::params![
                stored.cursor,
                actor,
                new.seq,
                short(new.id),
                stored.chain.0,
                &stored.row.header[..],
                stored.row.signature,
                &stored.row.skeleton[..],
                stored.row.content.as_deref(),
            ],
        )
        .expect("writes");
    }
    file.execute_batch("COMMIT").expect("ends");
}
