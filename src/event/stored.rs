//! What comes from the device's own store, in any order and perhaps damaged: which of it is authentic.
//!
//! A hash-linked chain needs one signature check, at its end. Where the end does not pass, the changeset before it is the
//! end. Knows no graph: who follows whom rightly is decided when the rows join the log.

use super::{Changeset, SignedChangeset, VerifyError};
use crate::causal::ChangesetId;
use foldhash::HashMap;

/// Rows with their times of arrival.
type Rows<T> = Vec<(T, u64)>;

/// What became of stored rows.
pub(super) struct Authenticated {
    /// The authentic ones: in their order, but each behind its parents as far as those are here.
    pub rows: Rows<Changeset>,
    /// Those that only a newer version can check.
    pub unsupported: Vec<ChangesetId>,
    /// Those that nothing vouches for.
    pub dropped: Vec<ChangesetId>,
}

/// Authenticates rows from the ends of their chains.
pub(super) fn authenticate(stored: Rows<SignedChangeset>) -> Authenticated {
    let (rows, at) = merged(stored);
    let mut rows: Vec<Option<(SignedChangeset, u64)>> = rows.into_iter().map(Some).collect();
    let prevs: Vec<Option<usize>> = rows
        .iter()
        .map(|row| row.as_ref().and_then(|(signed, _)| at.get(&signed.header().prev()?)).copied())
        .collect();
    let mut nexts: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    prevs.iter().enumerate().for_each(|(row, prev)| prev.iter().for_each(|prev| nexts[*prev].push(row)));
    let mut unseen: Vec<usize> = nexts.iter().map(Vec::len).collect();
    let mut ends: Vec<usize> = (0..rows.len()).filter(|row| unseen[*row] == 0).collect();
    let mut proven: Vec<Option<(Changeset, u64)>> = vec![None; rows.len()];
    let (mut unsupported, mut dropped) = (Vec::new(), Vec::new());
    // Each after all that name it: one of several branches may vouch for it.
    while let Some(row) = ends.pop() {
        let (signed, received_ms) = rows[row].take().expect("a row has one turn, after its last successor");
        let id = signed.id();
        let mut trusted = Err((Box::new(signed), VerifyError::Unrelated));
        for (next, _) in nexts[row].iter().filter_map(|next| proven[*next].as_ref()) {
            trusted = trusted.or_else(|(signed, _)| signed.trust_by_descendant(next));
        }
        match trusted.or_else(|(signed, _)| signed.verify()) {
            Ok(changeset) => proven[row] = Some((changeset, received_ms)),
            Err((_, VerifyError::Unsupported(_))) => unsupported.push(id),
            Err(_) => dropped.push(id),
        }
        if let Some(prev) = prevs[row] {
            unseen[prev] -= 1;
            ends.extend((unseen[prev] == 0).then_some(prev));
        }
    }
    let order = parents_first(&proven, &at);
    let rows = order.into_iter().filter_map(|row| proven[row].take()).collect();
    Authenticated { rows, unsupported, dropped }
}

/// Every changeset once, completed from its copies; twice only if it came with two signatures, one of which may be bad.
fn merged(stored: Rows<SignedChangeset>) -> (Rows<SignedChangeset>, HashMap<ChangesetId, usize>) {
    let mut rows: Rows<SignedChangeset> = Vec::with_capacity(stored.len());
    let mut at: HashMap<ChangesetId, usize> =
        HashMap::with_capacity_and_hasher(stored.len(), Default::default());
    let mut others = Vec::new();
    for (signed, received_ms) in stored {
        let first = *at.entry(signed.id()).or_insert(rows.len());
        if first == rows.len() {
            rows.push((signed, received_ms));
        } else if rows[first].0.signature() == signed.signature() {
            rows[first].0.complete_from(signed);
        } else {
            others.push((first, signed, received_ms));
        }
    }
    // A segment fits its hash, whatever the signature.
    for (first, signed, _) in &others {
        rows[*first].0.complete_from(signed.clone());
    }
    for (first, mut signed, received_ms) in others {
        signed.complete_from(rows[first].0.clone());
        rows.push((signed, received_ms));
    }
    (rows, at)
}

/// The rows in their order, but every one behind its parents as far as they are among them. O(rows and their parents).
fn parents_first(rows: &[Option<(Changeset, u64)>], at: &HashMap<ChangesetId, usize>) -> Vec<usize> {
    let (mut order, mut done) = (Vec::with_capacity(rows.len()), vec![false; rows.len()]);
    for row in 0..rows.len() {
        let mut stack = vec![row];
        while let Some(&top) = stack.last() {
            let depth = stack.len();
            if let Some((changeset, _)) = rows[top].as_ref().filter(|_| !done[top]) {
                let header = changeset.header();
                let parents = header.prev().into_iter().chain(header.deps().iter().copied());
                stack.extend(parents.filter_map(|id| at.get(&id).copied()).filter(|parent| !done[*parent]));
            }
            if stack.len() == depth {
                stack.pop();
                if !std::mem::replace(&mut done[top], true) {
                    order.push(top);
                }
            }
        }
    }
    order
}
