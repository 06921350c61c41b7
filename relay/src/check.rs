//! Whether a store holds what it says it holds: every row is read and believed anew.

use std::collections::{BTreeSet, HashMap};

use stemma::causal::{ActorId, ChangesetId, SpaceId};
use stemma::event::{Genesis, next_chain, start_chain};

use crate::store::{Store, StoreError};
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
    /// Rows and ends without a space or an actor, removed if that was asked for.
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
        check_space(store, space, &mut report)?;
        report.spaces += 1;
    }
    Ok(report)
}

fn check_space(store: &dyn Store, space: SpaceId, report: &mut Report) -> Result<(), StoreError> {
    let Some(record) = store.space(space)? else { return Ok(()) };
    let mut fault = |what: String| report.faults.push(format!("space {space}: {what}"));
    let genesis = match Genesis::decode(&record.genesis) {
        Ok(genesis) if genesis.id() == space => genesis,
        _ => {
            fault("its genesis is another one".into());
            return Ok(());
        }
    };
    let (mut cursor, mut chain, mut bytes) = (0, start_chain(record.head.log_id, space), 0);
    let mut lanes: HashMap<ActorId, Lanes> = HashMap::new();
    while cursor < record.head.cursor {
        let mut page = store.read(space, cursor, PAGE_BYTES, PAGE_ROWS)?;
        page.retain(|stored| stored.cursor <= record.head.cursor);
        if page.is_empty() {
            fault(format!("no row after {cursor} of {}", record.head.cursor));
            return Ok(());
        }
        for stored in page {
            if stored.cursor != cursor + 1 {
                fault(format!("row {} follows row {cursor}", stored.cursor));
            }
            cursor = stored.cursor;
            bytes += stored.row.bytes() as u64;
            report.rows += 1;
            let claimed = stored.chain;
            match verify_row(stored.row, space, &genesis) {
                Ok(row) => {
                    chain = next_chain(chain, row.id);
                    if !lanes.entry(row.actor).or_default().add((row.seq, row.id), row.prev) {
                        fault(format!("row {cursor} comes before the one that it follows, or twice"));
                    }
                }
                Err(code) => fault(format!("row {cursor} is damaged ({code:?})")),
            }
            if chain != claimed {
                fault(format!("the chain ends at row {cursor}"));
                // One damage is one fault.
                chain = claimed;
            }
        }
    }
    report.bytes += bytes;
    if (chain, bytes) != (record.head.chain, record.bytes) {
        fault("its head or its sum of bytes is another one".into());
    }
    for (actor, lanes) in lanes {
        let tips = store.tips(space, &[actor])?;
        if tips.iter().map(|tip| (tip.seq, tip.id)).collect::<BTreeSet<_>>() != lanes.ends {
            fault(format!("the ends of actor {actor} are others"));
        }
    }
    Ok(())
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
