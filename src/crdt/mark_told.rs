//! What is told of marks to whoever mirrors a text, beside the changes of the text itself (see `deltas`).

use super::bound::Bound;
use super::deltas::DeltaLog;
use super::mark_sweep::Segment;
use super::piece_list::PieceList;
use crate::sorted::sort;
use crate::steps;
use std::cmp::Ordering;

/// What was told of marks since the last drain.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// (changes of the text before it, position, length, track, value)
    pub marks: Vec<(u32, u32, u32, u32, u32)>,
    /// What the last change inserted, if nothing was told since: the number of changes up to it, and where its marks begin.
    pub inserted: Option<(u32, usize)>,
    /// The unit behind those that were typed last, and what they show.
    pub typed: Option<(u32, Shown)>,
}

/// (track, number of the value), by track.
pub(super) type Shown = Vec<(u32, u32)>;

impl Told {
    /// Tells of an insert that shows some marks.
    pub fn insert(
        &mut self,
        deltas: &mut DeltaLog,
        (pos, first, len): (u32, u32, u32),
        local: bool,
        shown: &[(u32, u32)],
    ) {
        if let Some((_, at)) = self.inserted.filter(|(changes, _)| *changes == deltas.len()) {
            let same = self.marks[at..].iter().map(|mark| (mark.3, mark.4)).eq(shown.iter().copied());
            if same && deltas.extend(pos, first, len, local) {
                self.marks[at..].iter_mut().for_each(|mark| mark.2 += len);
                return;
            }
        }
        deltas.insert(pos, first, len, local);
        self.inserted = None;
        if !shown.is_empty() {
            let after = deltas.barrier();
            self.inserted = Some((after, self.marks.len()));
            self.marks.extend(shown.iter().map(|(track, value)| (after, pos, len, *track, *value)));
        }
    }
}

/// Tells (position, length, value) where two lists of segments of one stretch show different values.
pub(super) fn differences<const LEAF: usize, const BLOCK: usize>(
    list: &PieceList<LEAF, BLOCK>,
    (old, new): (&[Segment], &[Segment]),
    to: Bound,
    value: impl Fn(u32) -> u32,
    tell: &mut impl FnMut(u32, u32, u32),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let (mut was, mut is, mut open) = (0, 0, None::<(u32, u32)>);
    loop {
        steps::count(1);
        let (a, b) = (old.peek().map(|segment| segment.from), new.peek().map(|segment| segment.from));
        let order = match (a, b) {
            (Some(a), Some(b)) => a.order(b, list),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let at = if order.is_le() { a } else { b };
        if order.is_le() {
            was = old.next().map_or(was, |segment| value(segment.winner));
        }
        if order.is_ge() {
            is = new.next().map_or(is, |segment| value(segment.winner));
        }
        let next = (at.is_some() && was != is).then_some(is);
        if open.map(|(_, value)| value) != next {
            let pos = at.unwrap_or(to).position(list);
            if let Some((from, value)) = open.filter(|(from, _)| *from < pos) {
                tell(from, pos - from, value);
            }
            open = next.map(|value| (pos, value));
        }
        if at.is_none() {
            return;
        }
    }
}

/// Puts what was told key by key into the order of the text, if no two keys overlap but where they agree.
pub(super) fn in_order(told: &mut Vec<(u32, u32, u32, u32)>) {
    let mut sorted = told.clone();
    sort(&mut sorted);
    let apart = |pair: &[(u32, u32, u32, u32)]| {
        let (a, b) = (pair[0], pair[1]);
        (a.0, a.1) == (b.0, b.1) || a.0 + a.1 <= b.0
    };
    if sorted.windows(2).all(apart) {
        *told = sorted;
    }
}
