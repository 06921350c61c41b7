//! Whether a store holds what it says it holds: every row is read and believed anew.

use std::collections::{BTreeSet, HashMap};

use stemma::causal::{ActorId, ChangesetId, LogChain, SpaceId};
use stemma::event::{Genesis, next_chain, start_chain};

use crate::snapshots;
use crate::store::{Store, StoreError, StoredRow};
use crate::verify::verify_row;

const PAGE_BYTES: usize = 4 << 20;
const PAGE_ROWS: usize = 1_024;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Spaces.
    pub spaces: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows.
    pub bytes: u64,
    /// Rows and ends without a space or an actor, and chunks of no snapshot; removed if that was asked for.
    pub strays: u64,
    /// What is wrong, a line each.
    pub faults: Vec<String>,
}

/// Reads everything: cursors, chains, signatures, segments, the order of lanes, their ends, and the sums. With `sweep`
/// removes what nothing reaches.
///
/// # Errors
/// If the store cannot be read.
pub fn check(store: &dyn Store, sweep: bool) -> Result<Report, StoreError> {
    let mut report = Report { strays: store.strays(sweep)?, ..Report::default() };
    for space in store.spaces()? {
        match check_space(store, space, sweep, &mut report) {
            // It was removed meanwhile.
            Err(StoreError::NoSpace) => {}
            result => result?,
        }
    }
    Ok(report)
}

fn check_space(
    store: &dyn Store,
    space: SpaceId,
    sweep: bool,
    report: &mut Report,
) -> Result<(), StoreError> {
    let Some(record) = store.space(space)? else { return Ok(()) };
    report.spaces += 1;
    let genesis = match Genesis::decode(&record.genesis) {
        Ok(genesis) if genesis.id() == space => genesis,
        _ => {
            report.faults.push(format!("space {space}: its genesis is another one"));
            return Ok(());
        }
    };
    for kept in snapshots::faults(store, space, &genesis)? {
        // Nobody misses a cache.
        match sweep && store.forget(space, kept.id)? {
            true => report.strays += 1,
            false => report.faults.push(format!("space {space}: a snapshot of it is damaged")),
        }
    }
    let chain = start_chain(record.head.log_id, space);
    let mut log = Log { store, space, genesis, report, cursor: 0, chain, bytes: 0, lanes: HashMap::new() };
    if log.read_to(record.head.cursor, |_| false)?.is_none() {
        return Ok(());
    }
    log.report.bytes += log.bytes;
    if (log.chain, log.bytes) != (record.head.chain, record.bytes) {
        log.fault("its head or its sum of bytes is another one");
    }
    let actors: Vec<ActorId> = log.lanes.keys().copied().collect();
    for actor in actors {
        let tips = store.tips(space, &[actor])?;
        let tips: BTreeSet<_> = tips.iter().map(|tip| (tip.seq, tip.id)).collect();
        let is_so =
            |lanes: &HashMap<ActorId, Lanes>| lanes.get(&actor).is_some_and(|lanes| lanes.ends == tips);
        if is_so(&log.lanes) {
            continue;
        }
        // Perhaps a relay appends meanwhile: then these were the ends after some row before the head of now.
        let now = store.space(space)?.ok_or(StoreError::NoSpace)?.head.cursor;
        match log.read_to(now, is_so)? {
            Some(true) => {}
            Some(false) => log.fault(&format!("the ends of actor {actor} are others")),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// A log, read up to a cursor.
struct Log<'a> {
    store: &'a dyn Store,
    space: SpaceId,
    genesis: Genesis,
    report: &'a mut Report,
    cursor: u64,
    chain: LogChain,
    bytes: u64,
    lanes: HashMap<ActorId, Lanes>,
}

impl Log<'_> {
    /// Reads on, up to a cursor; whether something was so after some row. `None` if it does not go so far.
    fn read_to(
        &mut self,
        end: u64,
        is_so: impl Fn(&HashMap<ActorId, Lanes>) -> bool,
    ) -> Result<Option<bool>, StoreError> {
        let mut was_so = false;
        while self.cursor < end {
            let mut page = match self.store.read(self.space, self.cursor, PAGE_BYTES, PAGE_ROWS) {
                Err(StoreError::Damaged) => {
                    self.fault(&format!("row {} of {end} cannot be read", self.cursor + 1));
                    return Ok(None);
                }
                read => read?,
            };
            page.retain(|stored| stored.cursor <= end);
            if page.is_empty() {
                self.fault(&format!("no row after {} of {end}", self.cursor));
                return Ok(None);
            }
            for stored in page {
                self.take(stored);
                was_so = was_so || is_so(&self.lanes);
            }
        }
        Ok(Some(was_so))
    }

    fn take(&mut self, stored: StoredRow) {
        if stored.cursor != self.cursor + 1 {
            self.fault(&format!("row {} follows row {}", stored.cursor, self.cursor));
        }
        let cursor = stored.cursor;
        self.cursor = cursor;
        self.bytes += stored.row.bytes() as u64;
        self.report.rows += 1;
        match verify_row(stored.row, self.space, &self.genesis) {
            Ok(row) => {
                self.chain = next_chain(self.chain, row.id);
                if !self.lanes.entry(row.actor).or_default().add((row.seq, row.id), row.prev) {
                    self.fault(&format!("row {cursor} comes before the one that it follows, or twice"));
                }
            }
            Err(code) => self.fault(&format!("row {cursor} is damaged ({code:?})")),
        }
        if self.chain != stored.chain {
            self.fault(&format!("the chain ends at row {cursor}"));
            // One damage is one fault.
            self.chain = stored.chain;
        }
    }

    fn fault(&mut self, what: &str) {
        self.report.faults.push(format!("space {}: {what}", self.space));
    }
}

/// The rows of an actor, and which of them nothing follows.
#[derive(Default)]
struct Lanes {
    rows: BTreeSet<(u32, ChangesetId)>,
    ends: BTreeSet<(u32, ChangesetId)>,
}

impl Lanes {
    /// Whether the row may come now.
    fn add(&mut self, row: (u32, ChangesetId), prev: Option<ChangesetId>) -> bool {
        let follows = match prev {
            None => row.0 == 0,
            Some(prev) => {
                let before = (row.0.wrapping_sub(1), prev);
                self.ends.remove(&before);
                self.rows.contains(&before)
            }
        };
        self.ends.insert(row);
        self.rows.insert(row) && follows
    }
}
