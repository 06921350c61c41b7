//! The visible text as runs that show the same marks: what a rich text reads as, and how one reading turns into another.

use super::deltas::{Delta, MarkDelta};
use super::text::Text;
use crate::causal::NameId;
use crate::event::Value;
use crate::sorted::SortedMap;

/// Visible units that show the same marks. Neighbours in a list of runs differ, so a list says in one way what is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run<'a> {
    /// How many units it has.
    pub len: u32,
    /// What they show: by key, ascending.
    pub marks: Vec<(NameId, &'a Value)>,
}

impl<const LEAF: usize, const BLOCK: usize> Text<LEAF, BLOCK> {
    /// The whole visible text in runs. O(segments · log n).
    ///
    /// # Panics
    /// In debug builds, if the marks are not settled.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut runs: Vec<Run<'_>> = Vec::new();
        let (mut shown, mut from) = (SortedMap::new(), 0);
        let changes = self.marks.as_ref().map_or_else(Vec::new, |marks| {
            debug_assert!(marks.is_settled(), "marks are settled before reading");
            marks.changes(&self.list)
        });
        for here in changes.chunk_by(|a, b| a.0 == b.0) {
            push(&mut runs, here[0].0 - from, &shown);
            from = here[0].0;
            for (_, key, value) in here {
                match value {
                    Some(value) => shown.insert(*key, *value),
                    None => drop(shown.remove(key)),
                }
            }
        }
        push(&mut runs, self.len() - from, &shown);
        runs
    }

    /// Whether any unit shows a mark.
    pub fn is_marked(&self) -> bool {
        self.marks.is_some() && self.runs().iter().any(|run| !run.marks.is_empty())
    }
}

/// How the marks change when a text in the runs `old` became one in the runs `new`, by changes from left to right.
/// O(runs + changes), times the keys of a run.
pub fn mark_deltas(old: &[Run<'_>], changes: &[Delta], new: &[Run<'_>]) -> Vec<MarkDelta> {
    let (mut told, mut pos): (Vec<MarkDelta>, u32) = (Vec::new(), 0);
    let was = spliced(old, changes);
    let (mut was, mut now) = (was.into_iter(), new.iter().cloned());
    let (mut a, mut b) = (was.next(), now.next());
    while let (Some(old), Some(new)) = (&mut a, &mut b) {
        let len = old.len.min(new.len);
        let mut tell = |key: NameId, value: Option<&Value>| {
            let after = changes.len() as u32;
            told.push(MarkDelta { after, pos, len, key, value: value.cloned() });
        };
        for &(key, value) in &new.marks {
            if !old.marks.contains(&(key, value)) {
                tell(key, Some(value));
            }
        }
        for &(key, _) in &old.marks {
            if new.marks.iter().all(|(other, _)| *other != key) {
                tell(key, None);
            }
        }
        pos += len;
        (old.len, new.len) = (old.len - len, new.len - len);
        if a.as_ref().is_some_and(|run| run.len == 0) {
            a = was.next();
        }
        if b.as_ref().is_some_and(|run| run.len == 0) {
            b = now.next();
        }
    }
    debug_assert!(a.is_none() && b.is_none(), "the changes lead from one length to the other");
    told
}

/// The runs as they are after the changes; what is inserted shows nothing.
fn spliced<'a>(runs: &[Run<'a>], changes: &[Delta]) -> Vec<Run<'a>> {
    let mut left = runs.iter().cloned();
    let (mut out, mut rest) = (Vec::new(), left.next());
    // What is taken off the front goes to `out`, or away.
    let mut take = |mut len: u32, mut out: Option<&mut Vec<Run<'a>>>| {
        while let Some(run) = rest.as_mut().filter(|_| len > 0) {
            let cut = len.min(run.len);
            if let Some(out) = &mut out {
                out.push(Run { len: cut, marks: run.marks.clone() });
            }
            (len, run.len) = (len - cut, run.len - cut);
            if run.len == 0 {
                rest = left.next();
            }
        }
    };
    let mut pos = 0;
    for change in changes {
        take(change.pos - pos, Some(&mut out));
        take(change.removed, None);
        if change.inserted > 0 {
            out.push(Run { len: change.inserted, marks: Vec::new() });
        }
        pos = change.pos + change.inserted;
    }
    take(u32::MAX, Some(&mut out));
    out
}

fn push<'a>(runs: &mut Vec<Run<'a>>, len: u32, shown: &SortedMap<NameId, &'a Value>) {
    let marks = || shown.iter().map(|(key, value)| (*key, *value));
    match runs.last_mut() {
        _ if len == 0 => {}
        Some(last) if last.marks.iter().copied().eq(marks()) => last.len += len,
        _ => runs.push(Run { len, marks: marks().collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_turn_into_others() {
        let (bold, red, one, two) = (NameId([1; 16]), NameId([2; 16]), Value::Bool(true), Value::Null);
        let old = [Run { len: 4, marks: vec![(bold, &one)] }, Run { len: 2, marks: vec![] }];
        let changes = [Delta { pos: 1, removed: 2, inserted: 3, local: false }];
        let new = [
            Run { len: 2, marks: vec![(bold, &one)] },
            Run { len: 3, marks: vec![(bold, &two), (red, &one)] },
            Run { len: 2, marks: vec![] },
        ];
        let tell = |pos, len, key, value: Option<&Value>| MarkDelta {
            after: 1,
            pos,
            len,
            key,
            value: value.cloned(),
        };
        let expected = [
            tell(1, 1, bold, Some(&one)),
            tell(2, 2, bold, Some(&two)),
            tell(2, 2, red, Some(&one)),
            tell(4, 1, bold, Some(&two)),
            tell(4, 1, red, Some(&one)),
        ];
        assert_eq!(mark_deltas(&old, &changes, &new), expected);
        assert_eq!(mark_deltas(&new, &[], &new), []);
    }
}
