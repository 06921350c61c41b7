//! One acceptance suite that all stores pass. Rows here have headers that are only names: stores do not read them.

use prost::bytes::Bytes;
use stemma::event::{SnapshotId, changeset_id, next_chain};
use stemma::sync::Code;

use super::*;

use packed::real_headers_come_back_byte_for_byte;

const SPACE: SpaceId = SpaceId([7; 32]);
const OTHER: SpaceId = SpaceId([8; 32]);
const LOG: LogId = LogId([1; 16]);

mod differential;
mod packed;
#[path = "../../tests/common/postgres.rs"]
mod server;

macro_rules! on_all_stores {
    ($($test:ident),* $(,)?) => {
        mod memory { $(#[test] fn $test() { super::$test(&super::MemoryStore::default()); })* }
        mod sqlite { $(#[test] fn $test() {
            let folder = tempfile::tempdir().expect("a folder");
            super::$test(&super::SqliteStore::open(folder.path()).expect("a new store"));
        })* }
        mod postgres { $(#[test] fn $test() {
            let Some(server) = super::server::server() else { return };
            super::$test(&super::PostgresStore::open(&server.database()).expect("a new store"));
        })* }
    };
}

on_all_stores! {
    a_space_is_made_once,
    members_are_counted_per_gate,
    a_lane_grows,
    the_same_row_is_a_dup,
    a_missing_predecessor_is_a_gap,
    a_fork_is_kept_and_both_branches_grow,
    an_actor_starts_twice,
    actors_and_spaces_are_apart,
    many_spaces_in_one_commit,
    pages_follow_cursor_bytes_and_count,
    the_chain_is_that_of_the_protocol,
    positions_are_checked,
    the_quota_refuses_rows_and_not_reads,
    an_unknown_space_fails_the_batch,
    rows_come_back_byte_for_byte,
    hundreds_of_branches_stay_apart,
    real_headers_come_back_byte_for_byte,
    rows_are_found_by_their_places,
    snapshots_are_kept_whole_and_two_of_them,
}

fn a_space_is_made_once(store: &impl Store) {
    assert_eq!(store.space(SPACE).expect("reads"), None);
    store.create_space(SPACE, b"genesis", LOG).expect("makes");
    store.create_space(SPACE, b"another", LogId([2; 16])).expect("is there");
    let record = store.space(SPACE).expect("reads").expect("is there");
    assert_eq!((record.genesis, record.head.log_id, record.bytes), (b"genesis".to_vec(), LOG, 0));
    assert_eq!(store.identity([1; 32]).expect("first"), [1; 32]);
    assert_eq!(store.identity([2; 32]).expect("second"), [1; 32]);
    store.probe().expect("writes");
}

fn members_are_counted_per_gate(store: &impl Store) {
    store.create_space(SPACE, b"", LOG).expect("makes");
    store.create_space(OTHER, b"", LOG).expect("makes");
    let admit = |space, gate, member, uses, expired| {
        let newcomer = Newcomer { gate: [gate; 32], member: MemberId([member; 32]), uses, expired };
        store.admit(space, &newcomer).expect("writes")
    };
    assert_eq!(admit(SPACE, 1, 1, Some(2), false), Admitted::In);
    assert_eq!(admit(SPACE, 1, 2, Some(2), false), Admitted::In);
    assert_eq!(admit(SPACE, 1, 3, Some(2), false), Admitted::Used);
    assert_eq!(admit(SPACE, 1, 1, Some(2), true), Admitted::In);
    assert_eq!(admit(SPACE, 2, 3, Some(1), true), Admitted::Expired);
    assert_eq!(admit(SPACE, 2, 3, Some(1), false), Admitted::In);
    assert_eq!(admit(OTHER, 1, 3, Some(1), false), Admitted::In);
    assert_eq!(admit(SPACE, 3, 4, None, false), Admitted::In);
    assert!(matches!(
        store.admit(
            SpaceId([9; 32]),
            &Newcomer { gate: [1; 32], member: MemberId([1; 32]), uses: None, expired: false }
        ),
        Err(StoreError::NoSpace)
    ));
}

fn a_lane_grows(store: &impl Store) {
    let rows = lane(1, 0, 3, None);
    assert_eq!(verdicts(store, rows.clone()), [accepted(1), accepted(2), accepted(3)]);
    assert_eq!(tips(store, &[1]), [(2, rows[2].id)]);
    let more = lane(1, 3, 2, Some(rows[2].id));
    assert_eq!(verdicts(store, more), [accepted(4), accepted(5)]);
}

fn the_same_row_is_a_dup(store: &impl Store) {
    let rows = lane(1, 0, 3, None);
    verdicts(store, rows.clone());
    let again = [rows[2].clone(), rows[0].clone(), rows[1].clone()];
    let dups = [3, 1, 2].map(|cursor| Verdict::Dup { cursor });
    assert_eq!(verdicts(store, again.to_vec()), dups);
    let twice = [lane(2, 0, 1, None), lane(2, 0, 1, None)].concat();
    assert_eq!(verdicts(store, twice), [accepted(4), Verdict::Dup { cursor: 4 }]);
    assert_eq!(head(store).cursor, 4);
}

fn a_missing_predecessor_is_a_gap(store: &impl Store) {
    let rows = lane(1, 0, 5, None);
    assert_eq!(verdicts(store, vec![rows[1].clone()]), [Verdict::Gap { tip: None }]);
    verdicts(store, rows[..2].to_vec());
    let gap = Verdict::Gap { tip: Some((1, rows[1].id)) };
    assert_eq!(verdicts(store, vec![rows[4].clone(), rows[3].clone()]), [gap, gap]);
    let stray = row(1, 2, Some(ChangesetId([9; 32])), "stray");
    assert_eq!(verdicts(store, vec![stray]), [gap]);
    assert_eq!(verdicts(store, rows[2..].to_vec()), [accepted(3), accepted(4), accepted(5)]);
}

fn a_fork_is_kept_and_both_branches_grow(store: &impl Store) {
    let main = lane(1, 0, 4, None);
    verdicts(store, main.clone());
    let branch = row(1, 2, Some(main[1].id), "branch");
    let forked = |cursor, existing: &NewRow| Verdict::Forked { cursor, existing: existing.id };
    assert_eq!(verdicts(store, vec![branch.clone()]), [forked(5, &main[2])]);
    assert_eq!(verdicts(store, vec![branch.clone()]), [Verdict::Dup { cursor: 5 }]);
    assert_eq!(tips(store, &[1]), [(2, branch.id), (3, main[3].id)]);

    let next = row(1, 3, Some(branch.id), "next");
    let after = row(1, 4, Some(next.id), "after");
    assert_eq!(verdicts(store, vec![next.clone(), after.clone()]), [forked(6, &main[3]), accepted(7)]);
    let on = row(1, 4, Some(main[3].id), "on");
    assert_eq!(verdicts(store, vec![on.clone()]), [forked(8, &after)]);
    let mut ends = [(4, after.id), (4, on.id)];
    ends.sort();
    assert_eq!(tips(store, &[1]), ends);
    let gap = Verdict::Gap { tip: Some(ends[1]) };
    assert_eq!(verdicts(store, vec![row(1, 9, Some(on.id), "far")]), [gap]);
}

fn an_actor_starts_twice(store: &impl Store) {
    let first = row(1, 0, None, "first");
    let second = row(1, 0, None, "second");
    let forked = Verdict::Forked { cursor: 2, existing: first.id };
    assert_eq!(verdicts(store, vec![first, second.clone()]), [accepted(1), forked]);
    assert_eq!(verdicts(store, vec![row(1, 1, Some(second.id), "on")]), [accepted(3)]);
}

fn actors_and_spaces_are_apart(store: &impl Store) {
    store.create_space(OTHER, b"", LOG).expect("makes");
    let rows = lane(1, 0, 2, None);
    verdicts(store, rows.clone());
    let stranger = NewRow { actor: ActorId([2; 32]), ..rows[1].clone() };
    assert_eq!(verdicts(store, vec![stranger]), [Verdict::Gap { tip: None }]);
    let append = Append { space: OTHER, quota_bytes: u64::MAX, rows: rows[1..].to_vec() };
    assert_eq!(store.append(&[append]).expect("writes")[0].results, [Verdict::Gap { tip: None }]);
    let append = Append { space: OTHER, quota_bytes: u64::MAX, rows };
    assert_eq!(store.append(&[append]).expect("writes")[0].results, [accepted(1), accepted(2)]);
}

fn many_spaces_in_one_commit(store: &impl Store) {
    make(store);
    store.create_space(OTHER, b"", LOG).expect("makes");
    let rows = lane(1, 0, 3, None);
    let append = |space, range: std::ops::Range<usize>| Append {
        space,
        quota_bytes: u64::MAX,
        rows: rows[range].to_vec(),
    };
    let batch = [append(SPACE, 0..1), append(OTHER, 0..2), append(SPACE, 1..3)];
    let appended = store.append(&batch).expect("writes");
    assert_eq!(appended[0].results, [accepted(1)]);
    assert_eq!(appended[1].results, [accepted(1), accepted(2)]);
    assert_eq!(appended[2].results, [accepted(2), accepted(3)]);
    assert_eq!(appended[2].rows.iter().map(|row| row.cursor).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(store.read(SPACE, 0, usize::MAX, 10).expect("reads").len(), 3);
}

fn pages_follow_cursor_bytes_and_count(store: &impl Store) {
    let rows = lane(1, 0, 10, None);
    let size = rows[0].row.bytes();
    verdicts(store, rows);
    let page = |after, bytes, count| {
        let page = store.read(SPACE, after, bytes, count).expect("reads");
        page.iter().map(|row| row.cursor).collect::<Vec<_>>()
    };
    assert_eq!(page(0, usize::MAX, 100), (1..=10).collect::<Vec<_>>());
    assert_eq!(page(3, usize::MAX, 2), [4, 5]);
    assert_eq!(page(3, 3 * size, 100), [4, 5, 6]);
    assert_eq!(page(3, 3 * size - 1, 100), [4, 5]);
    assert_eq!(page(3, 1, 100), [4]);
    assert_eq!(page(10, usize::MAX, 100), []);
    assert_eq!(page(u64::from(u32::MAX), usize::MAX, 100), []);
}

fn the_chain_is_that_of_the_protocol(store: &impl Store) {
    let rows = lane(1, 0, 3, None);
    verdicts(store, rows.clone());
    let mut chain = start_chain(LOG, SPACE);
    for (row, cursor) in rows.iter().zip(1..) {
        chain = next_chain(chain, row.id);
        assert_eq!(store.chain_at(SPACE, cursor).expect("reads"), Some(chain));
    }
    assert_eq!(head(store), Position { log_id: LOG, cursor: 3, chain });
    assert_eq!(store.chain_at(SPACE, 4).expect("reads"), None);
    assert_eq!(store.chain_at(SPACE, 0).expect("reads"), None);
}

fn positions_are_checked(store: &impl Store) {
    let rows = lane(1, 0, 3, None);
    verdicts(store, rows);
    let record = store.space(SPACE).expect("reads").expect("is there");
    let check = |position| record.check(SPACE, position, |at| store.chain_at(SPACE, at)).expect("reads");
    let at = |cursor| Position {
        cursor,
        chain: store.chain_at(SPACE, cursor).expect("reads").expect("a row"),
        ..record.head
    };
    assert_eq!(check(record.head), None);
    assert_eq!(check(at(2)), None);
    assert_eq!(check(Position { cursor: 0, chain: start_chain(LOG, SPACE), ..record.head }), None);
    assert_eq!(check(Position { log_id: LogId([9; 16]), ..record.head }), Some(Resync::LogId));
    assert_eq!(check(Position { cursor: 4, ..record.head }), Some(Resync::FutureCursor));
    assert_eq!(check(Position { cursor: u64::MAX, ..record.head }), Some(Resync::FutureCursor));
    assert_eq!(check(Position { cursor: 2, ..record.head }), Some(Resync::Chain));
    assert_eq!(check(Position { cursor: 0, ..record.head }), Some(Resync::Chain));
}

fn the_quota_refuses_rows_and_not_reads(store: &impl Store) {
    make(store);
    let rows = lane(1, 0, 4, None);
    let quota_bytes = rows[..2].iter().map(|row| row.row.bytes() as u64).sum();
    let append = |rows: &[NewRow]| {
        let batch = Append { space: SPACE, quota_bytes, rows: rows.to_vec() };
        store.append(&[batch]).expect("writes").remove(0).results
    };
    let full = Verdict::Rejected(Code::Quota);
    let gap = Verdict::Gap { tip: Some((1, rows[1].id)) };
    assert_eq!(append(&rows), [accepted(1), accepted(2), full, gap]);
    assert_eq!(append(&rows[..1]), [Verdict::Dup { cursor: 1 }]);
    assert_eq!(store.read(SPACE, 0, usize::MAX, 10).expect("reads").len(), 2);
    assert_eq!(store.space(SPACE).expect("reads").expect("is there").bytes, quota_bytes);
}

fn an_unknown_space_fails_the_batch(store: &impl Store) {
    make(store);
    let append = |space| Append { space, quota_bytes: u64::MAX, rows: lane(1, 0, 1, None) };
    assert!(matches!(store.append(&[append(SPACE), append(OTHER)]), Err(StoreError::NoSpace)));
    assert_eq!(head(store).cursor, 0);
    assert!(matches!(store.read(OTHER, 0, 1, 1), Err(StoreError::NoSpace)));
    assert!(matches!(store.tips(OTHER, &[]), Err(StoreError::NoSpace)));
}

fn rows_come_back_byte_for_byte(store: &impl Store) {
    let mut full = row(1, 0, None, "full");
    full.row.content = Some(Bytes::from(vec![3; 100_000]));
    let mut empty = row(2, 0, None, "empty");
    empty.row.content = Some(Bytes::new());
    let bare = row(3, 0, None, "bare");
    let rows = [full, empty, bare];
    verdicts(store, rows.to_vec());
    let page = store.read(SPACE, 0, usize::MAX, 10).expect("reads");
    for (read, row) in page.iter().zip(&rows) {
        assert_eq!(read.row, row.row);
    }
    assert_eq!(page.len(), 3);
}

fn hundreds_of_branches_stay_apart(store: &impl Store) {
    let root = row(1, 0, None, "root");
    verdicts(store, vec![root.clone()]);
    let branches: Vec<NewRow> = (0..300).map(|i| row(1, 1, Some(root.id), &format!("branch {i}"))).collect();
    verdicts(store, branches.clone());
    for (i, branch) in branches.iter().enumerate() {
        assert_eq!(verdicts(store, vec![branch.clone()]), [Verdict::Dup { cursor: i as u64 + 2 }]);
    }
    assert_eq!(tips(store, &[1]).len(), 300);
}

fn rows_are_found_by_their_places(store: &impl Store) {
    let (one, two) = (lane(1, 0, 6, None), lane(2, 0, 3, None));
    let branch = row(1, 3, Some(one[2].id), "branch");
    // In the log: 1 to 4 of the first, 5 to 7 of the second, 8 the branch, 9 and 10 of the first.
    verdicts(store, [&one[..4], &two[..], std::slice::from_ref(&branch), &one[4..]].concat());
    let size = one[0].row.bytes();
    let range = |actor, first, last| ChainRange { actor: ActorId([actor; 32]), first, last };
    let found = |ranges: &[ChainRange], after, bytes_max, rows_max| {
        let (rows, more) = store.chains(SPACE, ranges, after, bytes_max, rows_max).expect("reads");
        (rows.into_iter().map(|row| row.cursor).collect::<Vec<_>>(), more)
    };
    let all = |ranges: &[ChainRange], after| found(ranges, after, usize::MAX, 1_000);
    assert_eq!(all(&[range(1, 2, 4)], 0), (vec![3, 4, 8, 9], false));
    assert_eq!(all(&[range(1, 2, 4), range(2, 1, 1)], 0), (vec![3, 4, 6, 8, 9], false));
    assert_eq!(
        all(&[range(2, 0, 9), range(2, 1, 2), range(1, 5, 5)], 5),
        (vec![6, 7, 10], false),
        "each once"
    );
    assert_eq!(all(&[range(1, 6, u32::MAX), range(3, 0, 9)], 0), (vec![], false));
    assert_eq!(all(&[], 0), (vec![], false));
    let whole = [range(1, 0, 9), range(2, 0, 9)];
    assert_eq!(found(&whole, 0, usize::MAX, 4), (vec![1, 2, 3, 4], true));
    assert_eq!(found(&whole, 4, usize::MAX, 6), (vec![5, 6, 7, 8, 9, 10], false));
    assert_eq!(found(&whole, 0, 3 * size, 1_000), (vec![1, 2, 3], true));
    assert_eq!(found(&whole, 9, 1, 1_000), (vec![10], false));
    let (rows, _) = store.chains(SPACE, &[range(1, 3, 3)], 0, usize::MAX, 1_000).expect("reads");
    let log = store.read(SPACE, 0, usize::MAX, 1_000).expect("reads");
    assert_eq!(rows, [log[3].clone(), log[7].clone()]);
    assert!(matches!(store.chains(OTHER, &whole, 0, 1, 1), Err(StoreError::NoSpace)));
}

fn snapshots_are_kept_whole_and_two_of_them(store: &impl Store) {
    let named = |name: u8| SnapshotId([name; 32]);
    let kept = |name, record: &str| Kept {
        id: named(name),
        chunks: 2,
        log_bytes: 7 + u64::from(name),
        record: record.as_bytes().to_vec(),
    };
    let put = |name, number| store.put_chunk(SPACE, named(name), number, &[name; 9]).expect("puts");
    let names = || store.snapshots(SPACE).expect("reads").iter().map(|kept| kept.id.0[0]).collect::<Vec<_>>();
    assert!(matches!(store.snapshots(SPACE), Err(StoreError::NoSpace)));
    make(store);
    store.create_space(OTHER, b"genesis", LOG).expect("makes");
    assert!(store.stage(SPACE, named(1)).expect("makes room").is_empty());
    put(1, 0);
    put(1, 0);
    // Not whole yet; what is there is not sent again.
    assert!(!store.keep(SPACE, &kept(1, "one")).expect("judges"));
    assert_eq!(store.stage(SPACE, named(1)).expect("reads"), [0]);
    put(1, 1);
    assert!(store.keep(SPACE, &kept(1, "one")).expect("keeps"));
    assert_eq!(store.snapshots(SPACE).expect("reads"), [kept(1, "one")]);
    assert!(store.snapshots(OTHER).expect("reads").is_empty());
    assert_eq!(store.chunk(OTHER, named(1), 0).expect("reads"), None);
    assert_eq!(store.chunk(SPACE, named(1), 2).expect("reads"), None);
    assert_eq!(store.chunk(SPACE, named(1), 1).expect("reads"), Some(vec![1; 9]));
    // What another one began and did not end makes room, and what is kept stays.
    assert!(store.stage(SPACE, named(2)).expect("makes room").is_empty());
    put(2, 0);
    assert!(store.stage(SPACE, named(3)).expect("makes room").is_empty());
    assert_eq!(store.chunk(SPACE, named(2), 0).expect("reads"), None);
    for name in [3, 4] {
        (0..2).for_each(|number| put(name, number));
        assert!(store.keep(SPACE, &kept(name, "more")).expect("keeps"));
    }
    assert_eq!(names(), [4, 3]);
    assert_eq!(store.chunk(SPACE, named(1), 0).expect("reads"), None);
    // Another record changes neither the order nor the rest.
    assert!(store.keep(SPACE, &Kept { log_bytes: 0, ..kept(3, "witnessed") }).expect("writes"));
    assert_eq!(store.snapshots(SPACE).expect("reads"), [kept(4, "more"), kept(3, "witnessed")]);
    assert!(store.forget(SPACE, named(4)).expect("forgets"));
    assert!(!store.forget(SPACE, named(4)).expect("it is gone"));
    assert_eq!(names(), [3]);
    assert_eq!(store.chunk(SPACE, named(4), 0).expect("reads"), None);
    assert_eq!(store.strays(true).expect("counts"), 0);
    assert!(store.remove_space(SPACE).expect("removes"));
    assert_eq!(store.strays(false).expect("counts"), 0);
    make(store);
    assert!(names().is_empty());
    assert_eq!(store.chunk(SPACE, named(3), 0).expect("reads"), None);
}

#[test]
fn sqlite_remembers_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = lane(1, 0, 3, None);
    let newcomer =
        |member| Newcomer { gate: [1; 32], member: MemberId([member; 32]), uses: Some(1), expired: false };
    let before = {
        let store = SqliteStore::open(folder.path()).expect("a new store");
        verdicts(&store, rows.clone());
        store.identity([5; 32]).expect("writes");
        store.admit(SPACE, &newcomer(1)).expect("writes");
        store.space(SPACE).expect("reads")
    };
    let store = SqliteStore::open(folder.path()).expect("the same store");
    assert_eq!(store.space(SPACE).expect("reads"), before);
    assert_eq!(store.identity([6; 32]).expect("reads"), [5; 32]);
    assert_eq!(store.admit(SPACE, &newcomer(2)).expect("reads"), Admitted::Used);
    assert_eq!(store.admit(SPACE, &newcomer(1)).expect("reads"), Admitted::In);
    assert_eq!(tips(&store, &[1]), [(2, rows[2].id)]);
    assert_eq!(verdicts(&store, lane(1, 3, 1, Some(rows[2].id))), [accepted(4)]);
}

#[test]
fn stores_of_versions_2_and_3_get_room_for_what_is_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = lane(1, 0, 3, None);
    verdicts(&SqliteStore::open(folder.path()).expect("a new store"), rows.clone());
    for older in [
        "DROP TABLE redaction; PRAGMA user_version = 3;",
        "DROP TABLE redaction; DROP TABLE snapshot; DROP TABLE snapshot_chunk; PRAGMA user_version = 2;",
    ] {
        let file = rusqlite::Connection::open(folder.path().join("relay.sqlite")).expect("opens");
        file.execute_batch(older).expect("as it was");
        drop(file);
        let store = SqliteStore::open(folder.path()).expect("the same store");
        assert!(store.snapshots(SPACE).expect("reads").is_empty());
        assert_eq!(tips(&store, &[1]), [(2, rows[2].id)]);
    }
}

#[test]
fn one_relay_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = SqliteStore::open(folder.path()).expect("a new store");
    assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Folder(_))));
}

#[test]
fn another_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(SqliteStore::open(folder.path()).expect("a new store"));
    let file = rusqlite::Connection::open(folder.path().join("relay.sqlite")).expect("opens");
    file.pragma_update(None, "user_version", 5).expect("writes");
    drop(file);
    assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Version { found: 5, known: 4 })));
}

fn make(store: &impl Store) {
    store.create_space(SPACE, b"genesis", LOG).expect("makes");
}

fn verdicts(store: &impl Store, rows: Vec<NewRow>) -> Vec<Verdict> {
    make(store);
    let append = Append { space: SPACE, quota_bytes: u64::MAX, rows };
    store.append(&[append]).expect("writes").remove(0).results
}

fn head(store: &impl Store) -> Position {
    store.space(SPACE).expect("reads").expect("is there").head
}

fn tips(store: &impl Store, actors: &[u8]) -> Vec<(u32, ChangesetId)> {
    let actors: Vec<ActorId> = actors.iter().map(|actor| ActorId([*actor; 32])).collect();
    store.tips(SPACE, &actors).expect("reads").into_iter().map(|tip| (tip.seq, tip.id)).collect()
}

fn accepted(cursor: u64) -> Verdict {
    Verdict::Accepted { cursor }
}

fn lane(actor: u8, seq: u32, count: u32, mut prev: Option<ChangesetId>) -> Vec<NewRow> {
    let mut next = |seq| {
        let row = row(actor, seq, prev, "lane");
        prev = Some(row.id);
        row
    };
    (seq..seq + count).map(&mut next).collect()
}

fn row(actor: u8, seq: u32, prev: Option<ChangesetId>, name: &str) -> NewRow {
    let header = Bytes::from(format!("{actor:03} {seq:03} {name}"));
    let row =
        Row { signature: [seq as u8; 64], skeleton: Bytes::from_static(&[1; 32]), content: None, header };
    NewRow { id: changeset_id(&row.header), actor: ActorId([actor; 32]), seq, prev, row }
}
