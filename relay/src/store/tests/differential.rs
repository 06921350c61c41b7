//! The same random batches into every store: verdicts, rows, ends and heads are the same.

use std::collections::HashSet;

use super::*;

const SPACES: [SpaceId; 3] = [SPACE, OTHER, SpaceId([9; 32])];
const UNKNOWN: SpaceId = SpaceId([10; 32]);
const ACTORS: u8 = 4;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Makes batches, of rows that were made before and of new ones: whatever clients of any kind may push.
struct Pusher {
    random: Random,
    made: Vec<NewRow>,
}

impl Pusher {
    fn batch(&mut self, bytes: &[u64]) -> Vec<Append> {
        let count = 1 + self.random.below(5);
        let mut append = |_| {
            let space = self.random.below(SPACES.len());
            let quota_bytes = match self.random.below(4) {
                0 => bytes[space] + self.random.next() % 600,
                _ => u64::MAX,
            };
            let rows = (0..self.random.below(10)).map(|_| self.row()).collect();
            Append { space: SPACES[space], quota_bytes, rows }
        };
        let mut batch: Vec<Append> = (0..count).map(&mut append).collect();
        if self.random.below(12) == 0 {
            let at = self.random.below(batch.len());
            batch[at].space = UNKNOWN;
        }
        batch
    }

    fn row(&mut self) -> NewRow {
        let kind = self.random.below(16);
        if self.made.is_empty() || kind == 0 {
            return self.make(0, None);
        }
        // What was made last, or something older.
        let reach = [1, 4, 16, usize::MAX][self.random.below(4)].min(self.made.len());
        let of = self.made[self.made.len() - 1 - self.random.below(reach)].clone();
        match kind {
            1..4 => of,
            4 => self.make(of.seq + 2, Some(of.id)),
            5 => self.make(of.seq + 1, Some(ChangesetId([5; 32]))),
            // Another actor's row is none to follow.
            6 => self.make(of.seq + 1, Some(of.id)),
            _ => self.make_of(of.actor.0[0], of.seq + 1, Some(of.id)),
        }
    }

    fn make(&mut self, seq: u32, prev: Option<ChangesetId>) -> NewRow {
        let actor = 1 + self.random.below(ACTORS.into()) as u8;
        self.make_of(actor, seq, prev)
    }

    fn make_of(&mut self, actor: u8, seq: u32, prev: Option<ChangesetId>) -> NewRow {
        let mut new = row(actor, seq, prev, &format!("row {}", self.made.len()));
        new.row.content = match self.random.below(3) {
            0 => None,
            1 => Some(Bytes::new()),
            _ => Some(Bytes::from(vec![actor; self.random.below(300)])),
        };
        self.made.push(new.clone());
        new
    }
}

/// A verdict without the row that a fork is told of, which may be any with its place.
fn plain(verdict: &Verdict) -> Verdict {
    match *verdict {
        Verdict::Forked { cursor, .. } => Verdict::Forked { cursor, existing: ChangesetId([0; 32]) },
        other => other,
    }
}

/// What stores on one database answered.
#[derive(Default)]
struct Known {
    stored: HashSet<(SpaceId, ActorId, u32, ChangesetId)>,
    kinds: HashSet<std::mem::Discriminant<Verdict>>,
}

impl Known {
    /// Every fork is of a row that was there.
    fn take(&mut self, batch: &[Append], appended: &[Appended]) {
        for (append, appended) in batch.iter().zip(appended) {
            for (new, verdict) in append.rows.iter().zip(&appended.results) {
                self.kinds.insert(std::mem::discriminant(verdict));
                if let Verdict::Forked { existing, .. } = *verdict {
                    let there = (append.space, new.actor, new.seq, existing);
                    assert!(existing != new.id && self.stored.contains(&there), "{verdict:?}");
                }
                if matches!(verdict, Verdict::Accepted { .. } | Verdict::Forked { .. }) {
                    self.stored.insert((append.space, new.actor, new.seq, new.id));
                }
            }
        }
    }
}

/// Pushes the same into all of them. The stores of a group are on the same database, and take turns.
fn push_into(seed: u64, batches: usize, expected: &MemoryStore, groups: &[Vec<&dyn Store>]) {
    let mut pusher = Pusher { random: Random(seed), made: Vec::new() };
    let all = || groups.iter().flatten().copied();
    for space in SPACES {
        expected.create_space(space, b"genesis", LOG).expect("makes");
        all().for_each(|store| store.create_space(space, b"genesis", LOG).expect("makes"));
    }
    let actors: Vec<ActorId> = (1..=ACTORS).map(|actor| ActorId([actor; 32])).collect();
    let mut known: Vec<Known> = groups.iter().map(|_| Known::default()).collect();
    for number in 0..batches {
        let record = |space| expected.space(space).expect("reads").expect("is there");
        let batch = pusher.batch(&SPACES.map(|space| record(space).bytes));
        let wanted = expected.append(&batch);
        for (group, known) in groups.iter().zip(&mut known) {
            let place = format!("seed {seed}, batch {number}");
            let found = group[number % group.len()].append(&batch);
            let (wanted, found) = match (&wanted, found) {
                (Ok(wanted), Ok(found)) => (wanted, found),
                (Err(StoreError::NoSpace), Err(StoreError::NoSpace)) => continue,
                (wanted, found) => panic!("{place}: {wanted:?} is not {found:?}"),
            };
            assert_eq!(wanted.len(), found.len(), "{place}");
            for (wanted, found) in wanted.iter().zip(&found) {
                let plain = |results: &[Verdict]| results.iter().map(plain).collect::<Vec<_>>();
                assert_eq!(plain(&wanted.results), plain(&found.results), "{place}");
                assert_eq!(wanted.rows, found.rows, "{place}");
            }
            known.take(&batch, &found);
            for (store, space) in group.iter().flat_map(|store| SPACES.map(|space| (store, space))) {
                assert_eq!(store.space(space).expect("reads"), Some(record(space)), "{place}");
                let tips = |store: &dyn Store| store.tips(space, &actors).expect("reads");
                assert_eq!(tips(*store), tips(expected), "{place}");
                let ends = |store: &dyn Store| {
                    let (head, mut tips) = store.ends(space).expect("reads");
                    tips.sort_by_key(|tip| (tip.actor, tip.seq, tip.id));
                    (head, tips)
                };
                assert_eq!(ends(*store), ends(expected), "{place}");
                assert_eq!(ends(*store).0, record(space).head, "{place}");
            }
        }
    }
    assert!(known.iter().all(|known| known.kinds.len() == 5), "seed {seed}: a kind of verdict is missing");
    for (store, space) in all().flat_map(|store| SPACES.map(|space| (store, space))) {
        let log = |store: &dyn Store| store.read(space, 0, usize::MAX, usize::MAX >> 1).expect("reads");
        assert_eq!(log(store), log(expected), "seed {seed}");
        for range in 0..24 {
            let (first, after) = (range % 6, u64::from(range) * 3);
            let of = |actor: &ActorId| ChainRange { actor: *actor, first, last: first + range / 6 };
            let ranges: Vec<ChainRange> = actors.iter().skip(range as usize % 3).map(of).collect();
            let chains = |store: &dyn Store| store.chains(space, &ranges, after, 900, 7).expect("reads");
            assert_eq!(chains(store), chains(expected), "seed {seed}, range {range}");
        }
        assert_eq!(store.strays(false).expect("reads"), 0, "seed {seed}");
    }
}

#[test]
fn the_same_batches_make_the_same_logs() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = SqliteStore::open(folder.path()).expect("a new store");
        let address = server::server().map(|server| server.database());
        let open = |address: &String| PostgresStore::open(address).expect("opens");
        // Two relays.
        let postgres: Vec<PostgresStore> = address.iter().flat_map(|at| [open(at), open(at)]).collect();
        let mut groups: Vec<Vec<&dyn Store>> = vec![vec![&sqlite]];
        if !postgres.is_empty() {
            groups.push(postgres.iter().map(|store| store as &dyn Store).collect());
        }
        push_into(seed, 60, &MemoryStore::default(), &groups);
    }
}
