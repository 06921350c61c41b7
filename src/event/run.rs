//! Runs: rows that came together, each of which the next one of its actor names by hash. The last valid signature of a run vouches
//! for all that is before it, so of an intact run one signature is checked, and of a spoilt one those behind the last good one.
//!
//! Invariant: no row is authentic here without a valid signature of its own actor over it or over what names it, and none is
//! checked twice. Knows no graph: what the rows build on need not be here.

use super::{Changeset, SignedChangeset, VerifyError};
use crate::causal::ChangesetId;
use foldhash::HashMap;

/// An authentic changeset, or what came, and why it is not.
pub(super) type Verified = Result<Changeset, (Box<SignedChangeset>, VerifyError)>;

/// Authenticates rows from the ends of their runs, in the order in which they are given. `at` says where the row of an id is; of
/// copies the others have to stand for themselves. O(rows), with one call of `verify` a row at most.
pub(super) fn authenticate(
    rows: Vec<SignedChangeset>,
    at: &HashMap<ChangesetId, usize>,
    mut verify: impl FnMut(SignedChangeset) -> Verified,
) -> Vec<Verified> {
    let prev = |signed: &SignedChangeset| at.get(&signed.header().prev()?).copied();
    let prevs: Vec<Option<usize>> = rows.iter().map(prev).collect();
    let mut nexts: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    prevs.iter().enumerate().for_each(|(row, prev)| prev.iter().for_each(|prev| nexts[*prev].push(row)));
    let mut unseen: Vec<usize> = nexts.iter().map(Vec::len).collect();
    let mut ends: Vec<usize> = (0..rows.len()).filter(|row| unseen[*row] == 0).collect();
    let mut rows: Vec<Option<SignedChangeset>> = rows.into_iter().map(Some).collect();
    let mut verified: Vec<Option<Verified>> = rows.iter().map(|_| None).collect();
    // Each after all that name it: one of several branches may vouch for it.
    while let Some(row) = ends.pop() {
        let signed = rows[row].take().expect("a row has one turn, after its last successor");
        let mut trusted = Err((Box::new(signed), VerifyError::Unrelated));
        for next in nexts[row].iter().filter_map(|next| verified[*next].as_ref()?.as_ref().ok()) {
            trusted = trusted.or_else(|(signed, _)| signed.trust_by_descendant(next));
        }
        verified[row] = Some(trusted.or_else(|(signed, _)| verify(*signed)));
        if let Some(prev) = prevs[row] {
            unseen[prev] -= 1;
            ends.extend((unseen[prev] == 0).then_some(prev));
        }
    }
    verified.into_iter().map(|row| row.expect("hashes name each other in no circle")).collect()
}
