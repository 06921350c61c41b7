//! What is to happen, in order of time; what is due at one time, in the order in which it was put in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A heap of (time, number), and the events by number.
pub struct Schedule<E> {
    now_ms: u64,
    numbers: u64,
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, E>,
}

impl<E> Schedule<E> {
    pub fn new() -> Self {
        Self { now_ms: 0, numbers: 0, heap: BinaryHeap::new(), events: BTreeMap::new() }
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How much is still to happen.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Puts an event in; its number, by which it can be taken out again.
    pub fn at(&mut self, ms: u64, event: E) -> u64 {
        self.numbers += 1;
        self.heap.push(Reverse((ms.max(self.now_ms), self.numbers)));
        self.events.insert(self.numbers, event);
        self.numbers
    }

    pub fn after(&mut self, ms: u64, event: E) -> u64 {
        self.at(self.now_ms.saturating_add(ms), event)
    }

    pub fn cancel(&mut self, number: u64) {
        self.events.remove(&number);
    }

    /// The next event up to a time. The clock moves to it, or to that time if there is none.
    pub fn next(&mut self, until_ms: u64) -> Option<E> {
        while let Some(Reverse((ms, number))) = self.heap.peek().copied() {
            if ms > until_ms {
                break;
            }
            self.heap.pop();
            if let Some(event) = self.events.remove(&number) {
                self.now_ms = ms;
                return Some(event);
            }
        }
        self.now_ms = self.now_ms.max(until_ms);
        None
    }
}
