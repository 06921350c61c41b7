//! The simulation of sync with what the relay really stores and checks: its seeds hold every rule, and give the same traces as over
//! the model of `tests/simulation/log.rs`. So the model, over which a thousand seeds run, is none of something else.

#[path = "../../tests/simulation/mod.rs"]
mod simulation;

use simulation::invariant::Sabotage;
use simulation::log::{Knock, Logs, Model, NewRow, placed};
use simulation::plan::Plan;
use simulation::run;
use stemma::causal::{ActorId, LogChain, LogId, MemberId, SpaceId, Tip};
use stemma::event::{Genesis, start_chain};
use stemma::sync::{Auth, ChainRange, Code, Position, Row, Verdict};
use stemma_relay::store::{self, Admitted, Append, MemoryStore, Newcomer, SqliteStore, Store};
use stemma_relay::verify::{verify_login, verify_row};
use tempfile::TempDir;

#[test]
fn over_the_store_in_memory_traces_are_those_of_the_model() {
    compare(1..=80, || (Box::new(MemoryStore::default()), None));
}

#[test]
fn over_sqlite_traces_are_those_of_the_model() {
    compare(81..=90, || {
        let folder = tempfile::tempdir().expect("a folder");
        (Box::new(SqliteStore::open(folder.path()).expect("a new store")), Some(folder))
    });
}

fn compare(seeds: impl Iterator<Item = u64>, make: Make) {
    for seed in seeds {
        let plan = Plan::new(seed, &[]);
        let model = run(&plan, &Model::default(), Sabotage::None, false);
        let real = run(&plan, &Real::new(make), Sabotage::None, false);
        assert!(real.violation.is_none(), "seed {seed}: {:?}", real.violation);
        assert_eq!(real.hash, model.hash, "seed {seed}");
    }
}

type Make = fn() -> (Box<dyn Store>, Option<TempDir>);

/// The logs of a database in a real store.
struct Real {
    store: Box<dyn Store>,
    _folder: Option<TempDir>,
    make: Make,
}

impl Real {
    fn new(make: Make) -> Self {
        let (store, _folder) = make();
        Self { store, _folder, make }
    }
}

const FAILS: &str = "the store does not fail";

impl Logs for Real {
    fn empty(&self) -> Box<dyn Logs> {
        Box::new(Self::new(self.make))
    }

    fn create(&mut self, space: SpaceId, genesis: &[u8], log_id: LogId) {
        self.store.create_space(space, genesis, log_id).expect(FAILS);
    }

    fn genesis(&self, space: SpaceId) -> Option<Vec<u8>> {
        Some(self.store.space(space).expect(FAILS)?.genesis)
    }

    fn head(&self, space: SpaceId) -> Option<Position> {
        Some(self.store.space(space).expect(FAILS)?.head)
    }

    fn admit(&mut self, space: SpaceId, knock: &Knock) -> Result<(), Code> {
        let Knock { gate, member, uses, is_expired: expired, .. } = *knock;
        match self.store.admit(space, &Newcomer { gate, member, uses, expired }).expect(FAILS) {
            Admitted::In => Ok(()),
            Admitted::Expired => Err(Code::InviteExpired),
            Admitted::Used => Err(Code::InviteUsed),
        }
    }

    fn members(&self, space: SpaceId) -> Vec<([u8; 32], MemberId)> {
        self.store.members(space).expect(FAILS)
    }

    fn append(&mut self, space: SpaceId, quota_bytes: u64, rows: &[NewRow]) -> Vec<Verdict> {
        let new = rows.iter().map(|new| store::NewRow {
            id: new.id,
            actor: new.actor,
            seq: new.seq,
            prev: new.prev,
            row: new.row.clone(),
        });
        let append = Append { space, quota_bytes, rows: new.collect() };
        let results = self.store.append(&[append]).expect(FAILS).remove(0).results;
        // Of several with one number a store names any, the model the first.
        let first = |row: &NewRow, existing| {
            let all = self.read(space, 0, usize::MAX).into_iter().map(|(_, row)| placed(row));
            let twins: Vec<_> = all.filter(|of| (of.actor, of.seq) == (row.actor, row.seq)).collect();
            assert!(twins.iter().any(|twin| twin.id == existing), "it is one of them");
            twins[0].id
        };
        let results = results.into_iter().zip(rows).map(|(verdict, row)| match verdict {
            Verdict::Forked { cursor, existing } => {
                Verdict::Forked { cursor, existing: first(row, existing) }
            }
            verdict => verdict,
        });
        results.collect()
    }

    fn read(&self, space: SpaceId, after: u64, rows_max: usize) -> Vec<(LogChain, Row)> {
        let rows = self.store.read(space, after, usize::MAX, rows_max.min(1_000_000)).expect(FAILS);
        rows.into_iter().map(|stored| (stored.chain, stored.row)).collect()
    }

    fn chain_at(&self, space: SpaceId, cursor: u64) -> Option<LogChain> {
        match cursor {
            0 => Some(start_chain(self.head(space)?.log_id, space)),
            _ => self.store.chain_at(space, cursor).expect(FAILS),
        }
    }

    fn tips(&self, space: SpaceId, actors: &[ActorId]) -> Vec<Tip> {
        let mut tips = self.store.tips(space, actors).expect(FAILS);
        // Their order is a store's own matter.
        let place = |tip: &Tip| actors.iter().position(|actor| *actor == tip.actor);
        tips.sort_by_key(|tip| (place(tip), tip.seq, tip.id));
        tips
    }

    fn ends(&self, space: SpaceId) -> Vec<Tip> {
        let mut ends = self.store.ends(space).expect(FAILS).1;
        // As with tips.
        ends.sort_by_key(|tip| (tip.actor, tip.seq, tip.id));
        ends
    }

    fn chains(
        &self,
        space: SpaceId,
        ranges: &[ChainRange],
        after: u64,
        rows_max: usize,
    ) -> (Vec<(u64, Row)>, bool) {
        let (rows, more) = self.store.chains(space, ranges, after, usize::MAX, rows_max).expect(FAILS);
        (rows.into_iter().map(|stored| (stored.cursor, stored.row)).collect(), more)
    }

    fn check_login(&self, auth: &Auth, key: &[u8; 32], nonce: &[u8; 32], now_ms: u64) -> Option<Vec<Knock>> {
        let knocks = verify_login(auth, key, nonce, now_ms).ok()?.into_iter();
        let knock = |of: stemma_relay::verify::Knock| {
            let Newcomer { gate, member, uses, expired: is_expired } = of.newcomer;
            Knock { genesis: of.genesis, gate, member, uses, is_expired }
        };
        Some(knocks.map(knock).collect())
    }

    fn check_row(&self, row: Row, space: SpaceId, genesis: &Genesis) -> Result<NewRow, Code> {
        let store::NewRow { id, actor, seq, prev, row } = verify_row(row, space, genesis)?;
        Ok(NewRow { id, actor, seq, prev, row })
    }
}
