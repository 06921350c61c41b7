//! What comes from the device's own store, in any order and perhaps damaged: which of it is authentic.
//!
//! All of a chain is one run (`run`). Knows no graph: who follows whom rightly is decided when the rows join the log.

use super::run;
use super::signatures::Signatures;
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
pub(super) fn authenticate(stored: Rows<SignedChangeset>, signatures: &mut Signatures) -> Authenticated {
    let (rows, at) = merged(stored);
    let (rows, received): (Vec<SignedChangeset>, Vec<u64>) = rows.into_iter().unzip();
    let (mut unsupported, mut dropped) = (Vec::new(), Vec::new());
    let mut proven: Vec<Option<(Changeset, u64)>> = Vec::with_capacity(rows.len());
    for (verified, received_ms) in
        run::authenticate(rows, &at, |signed| signatures.verify(signed)).into_iter().zip(received)
    {
        proven.push(match verified {
            Ok(changeset) => Some((changeset, received_ms)),
            Err((signed, error)) => {
                let out = if matches!(error, VerifyError::Unsupported(_)) {
                    &mut unsupported
                } else {
                    &mut dropped
                };
                out.push(signed.id());
                None
            }
        });
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
