//! Batches that are complete and wait in line to be sealed.

use super::seal::OpenBatch;
use std::collections::VecDeque;

/// A batch that nothing is added to any more.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closed {
    pub facts: OpenBatch,
    /// How many ops it has.
    pub ops: usize,
    /// When it was closed.
    pub closed_ms: u64,
    /// Whether [`Replica::take_sealed`](super::Replica::take_sealed) tells of it.
    pub is_awaited: bool,
}

/// Those that wait, the first closed first. Many in a row are alike, as transactions of one key each that were made in one turn
/// are: these stand in it once, and by how many they are.
#[derive(Default)]
pub(super) struct Line {
    runs: VecDeque<(Closed, usize)>,
    len: usize,
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// When the first one was closed.
    pub fn first_ms(&self) -> Option<u64> {
        self.runs.front().map(|(first, _)| first.closed_ms)
    }

    pub fn push(&mut self, closed: Closed) {
        self.len += 1;
        match self.runs.back_mut() {
            Some((last, times)) if *last == closed => *times += 1,
            _ => self.runs.push_back((closed, 1)),
        }
    }

    /// Takes the first one.
    pub fn pop(&mut self) -> Option<Closed> {
        let (first, times) = self.runs.front_mut()?;
        self.len -= 1;
        *times -= 1;
        if *times > 0 { Some(first.clone()) } else { self.runs.pop_front().map(|(first, _)| first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ops: usize, closed_ms: u64) -> Closed {
        Closed { facts: OpenBatch::default(), ops, closed_ms, is_awaited: true }
    }

    #[test]
    fn those_that_are_alike_stand_in_it_once_and_come_one_by_one() {
        let mut line = Line::default();
        let batches = [of(1, 5), of(1, 5), of(1, 5), of(2, 5), of(1, 6), of(1, 5)];
        batches.iter().for_each(|batch| line.push(batch.clone()));
        assert_eq!((line.len(), line.runs.len(), line.first_ms()), (6, 4, Some(5)));
        for (taken, batch) in batches.iter().enumerate() {
            assert_eq!(line.len(), 6 - taken);
            assert_eq!(line.pop().as_ref(), Some(batch));
        }
        assert!(line.is_empty() && line.pop().is_none() && line.first_ms().is_none());
    }

    #[test]
    fn what_is_said_of_one_is_said_of_no_other() {
        let mut line = Line::default();
        let said =
            Closed { facts: OpenBatch { message: Some("said".into()), ..OpenBatch::default() }, ..of(1, 5) };
        line.push(of(1, 5));
        line.push(said.clone());
        line.push(Closed { is_awaited: false, ..said.clone() });
        assert_eq!(line.pop(), Some(of(1, 5)));
        assert_eq!(line.pop(), Some(said.clone()));
        assert_eq!(line.pop(), Some(Closed { is_awaited: false, ..said }));
    }
}
