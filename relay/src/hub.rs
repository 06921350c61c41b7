//! Who listens to which space, and the newest rows of the spaces listened to.
//!
//! A subscriber is a cursor somewhere else; here it is only a bell to ring. Invariants: a topic's head never goes back, a log
//! that does gets another topic; the ring holds rows with consecutive cursors, so a reader that finds its place in it misses
//! nothing, and one that does not reads the store. Slow readers cost nothing here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use prost::bytes::Bytes;
use stemma::causal::SpaceId;
use tokio::sync::Notify;

use crate::store::StoredRow;

/// Bytes of rows that a topic keeps at hand.
const RING_BYTES: usize = 1 << 20;
/// Rows that a topic keeps at hand.
const RING_ROWS: usize = 2_048;

/// What was said last to whoever listens to a topic: so many frames, so many bytes.
const SAID_FRAMES: usize = 256;
const SAID_BYTES: usize = 1 << 18;

/// Names a connection of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// Not one of this process.
    pub const ELSEWHERE: Self = Self(0);
}

/// All topics that somebody listens to.
#[derive(Debug, Default)]
pub struct Hub {
    topics: Mutex<HashMap<SpaceId, Weak<Topic>>>,
}

/// One space that somebody listens to.
#[derive(Debug, Default)]
pub struct Topic {
    state: Mutex<State>,
}

/// A row at hand, and who pushed it.
#[derive(Clone, Debug)]
pub struct Recent {
    /// The row.
    pub row: StoredRow,
    /// The connection that pushed it.
    pub pushed_by: ConnectionId,
}

/// An EPHEMERAL frame at hand, and who said it.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its number, from 1 on.
    pub number: u64,
    /// The frame.
    pub frame: Bytes,
    /// The connection that it came from.
    pub by: ConnectionId,
}

#[derive(Debug, Default)]
struct State {
    is_ended: bool,
    said: VecDeque<Said>,
    said_bytes: usize,
    said_count: u64,
    head: u64,
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    bells: Vec<(ConnectionId, Arc<Notify>)>,
}

impl Hub {
    /// The topic of a space, made if nobody listens yet. Its head is only right after [`Topic::raise`] with what the store
    /// said *after* this call: a commit in between is then either in the store or rung here.
    pub fn topic(&self, space: SpaceId) -> Arc<Topic> {
        let mut topics = self.topics();
        if let Some(topic) = topics.get(&space).and_then(Weak::upgrade) {
            return topic;
        }
        topics.retain(|_, topic| topic.strong_count() > 0);
        let topic = Arc::new(Topic::default());
        topics.insert(space, Arc::downgrade(&topic));
        topic
    }

    /// Rows were committed.
    pub fn publish(&self, space: SpaceId, rows: &[StoredRow], pushed_by: ConnectionId) {
        let topic = self.topics().get(&space).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.publish(rows, pushed_by);
        }
    }

    /// A log grew somewhere else.
    pub fn raise(&self, space: SpaceId, head: u64) {
        let topic = self.topics().get(&space).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.raise(head);
        }
    }

    /// The spaces that somebody listens to, and their heads.
    pub fn heads(&self) -> Vec<(SpaceId, u64)> {
        // Of the topics only: their locks are not taken under this one.
        let topics: Vec<(SpaceId, Arc<Topic>)> = {
            let topics = self.topics();
            topics.iter().filter_map(|(space, topic)| Some((*space, topic.upgrade()?))).collect()
        };
        topics.into_iter().map(|(space, topic)| (space, topic.head())).collect()
    }

    /// The log of a space is not the one that it was: whoever listens has to begin anew.
    pub fn end(&self, space: SpaceId) {
        let topic = self.topics().remove(&space);
        if let Some(topic) = topic.and_then(|topic| topic.upgrade()) {
            topic.end();
        }
    }

    /// Somebody said something to whoever listens.
    pub fn say(&self, space: SpaceId, frame: Bytes, by: ConnectionId) {
        let topic = self.topics().get(&space).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.say(frame, by);
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<SpaceId, Weak<Topic>>> {
        self.topics.lock().expect("nothing panics while it holds the lock")
    }
}

impl Topic {
    /// Rings the bell of a connection at every commit from now on.
    pub fn listen(&self, connection: ConnectionId, bell: Arc<Notify>) {
        self.state().bells.push((connection, bell));
    }

    /// Stops that.
    pub fn leave(&self, connection: ConnectionId) {
        self.state().bells.retain(|(other, _)| *other != connection);
    }

    /// The head is at least here; whoever listens is told if that is news.
    pub fn raise(&self, head: u64) {
        let mut state = self.state();
        if head > state.head {
            state.head = head;
            state.bells.iter().for_each(|(_, bell)| bell.notify_one());
        }
    }

    /// Whether the log that this was the topic of is gone.
    pub fn is_ended(&self) -> bool {
        self.state().is_ended
    }

    fn end(&self) {
        let mut state = self.state();
        state.is_ended = true;
        state.bells.iter().for_each(|(_, bell)| bell.notify_one());
    }

    /// The cursor of the newest row.
    pub fn head(&self) -> u64 {
        self.state().head
    }

    /// How much was said so far.
    pub fn said_count(&self) -> u64 {
        self.state().said_count
    }

    /// What was said after that much, as far as it is still at hand: who is slow misses the rest.
    pub fn heard(&self, after: u64) -> Vec<Said> {
        let state = self.state();
        state.said.iter().filter(|said| said.number > after).cloned().collect()
    }

    fn say(&self, frame: Bytes, by: ConnectionId) {
        let mut state = self.state();
        state.said_count += 1;
        state.said_bytes += frame.len();
        let number = state.said_count;
        state.said.push_back(Said { number, frame, by });
        while state.said_bytes > SAID_BYTES || state.said.len() > SAID_FRAMES {
            let Some(oldest) = state.said.pop_front() else { break };
            state.said_bytes -= oldest.frame.len();
        }
        for (_, bell) in &state.bells {
            bell.notify_one();
        }
    }

    /// Rows after a cursor, none if there are none; `None` if they are not all at hand.
    pub fn read(&self, after: u64, bytes_max: usize, rows_max: usize) -> Option<Vec<Recent>> {
        let state = self.state();
        let is_whole = state.ring.back()?.row.cursor == state.head;
        let first = state.ring.front()?.row.cursor;
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let mut page: Vec<Recent> = Vec::new();
        let mut bytes = 0;
        for recent in state.ring.iter().skip(skip).take(rows_max) {
            bytes += recent.row.row.bytes();
            if bytes > bytes_max && !page.is_empty() {
                break;
            }
            page.push(recent.clone());
        }
        // Rows that another relay appended are in the store alone.
        (is_whole || !page.is_empty()).then_some(page)
    }

    fn publish(&self, rows: &[StoredRow], pushed_by: ConnectionId) {
        let mut state = self.state();
        for row in rows {
            if state.ring.back().is_some_and(|last| last.row.cursor + 1 != row.cursor) {
                state.ring.clear();
                state.ring_bytes = 0;
            }
            state.ring_bytes += row.row.bytes();
            state.ring.push_back(Recent { row: row.clone(), pushed_by });
            state.head = state.head.max(row.cursor);
        }
        while state.ring_bytes > RING_BYTES || state.ring.len() > RING_ROWS {
            let Some(oldest) = state.ring.pop_front() else { break };
            state.ring_bytes -= oldest.row.row.bytes();
        }
        for (_, bell) in &state.bells {
            bell.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::bytes::Bytes;
    use stemma::causal::LogChain;
    use stemma::sync::Row;

    fn row(cursor: u64, bytes: usize) -> StoredRow {
        let row = Row {
            header: Bytes::from(vec![0; bytes]),
            signature: [0; 64],
            skeleton: Bytes::new(),
            content: None,
        };
        StoredRow { cursor, chain: LogChain([0; 16]), row }
    }

    fn cursors(topic: &Topic, after: u64) -> Option<Vec<u64>> {
        topic.read(after, 1 << 30, 1 << 30).map(|page| page.iter().map(|recent| recent.row.cursor).collect())
    }

    #[test]
    fn a_reader_in_the_ring_misses_nothing_and_one_before_it_is_sent_away() {
        let topic = Topic::default();
        topic.publish(&[row(5, 1), row(6, 1)], ConnectionId(1));
        assert_eq!(cursors(&topic, 3), None);
        assert_eq!(cursors(&topic, 4), Some(vec![5, 6]));
        assert_eq!(cursors(&topic, 6), Some(vec![]));
        assert_eq!(topic.head(), 6);
    }

    #[test]
    fn a_gap_empties_the_ring() {
        let topic = Topic::default();
        topic.publish(&[row(5, 1)], ConnectionId(1));
        topic.publish(&[row(8, 1)], ConnectionId(1));
        assert_eq!(cursors(&topic, 4), None);
        assert_eq!(cursors(&topic, 7), Some(vec![8]));
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_rows() {
        let topic = Topic::default();
        for cursor in 1..=20 {
            topic.publish(&[row(cursor, 200_000)], ConnectionId(1));
        }
        assert_eq!(cursors(&topic, 15), Some(vec![16, 17, 18, 19, 20]));
        assert_eq!(cursors(&topic, 14), None);
        let topic = Topic::default();
        for cursor in 1..=3_000 {
            topic.publish(&[row(cursor, 1)], ConnectionId(1));
        }
        assert_eq!(cursors(&topic, 0), None);
        assert_eq!(cursors(&topic, 952).map(|page| page.len()), Some(RING_ROWS));
    }

    #[test]
    fn what_is_said_is_bounded_and_not_said_again() {
        let topic = Topic::default();
        assert!(topic.heard(0).is_empty());
        let numbers = |after| topic.heard(after).iter().map(|said| said.number).collect::<Vec<_>>();
        for byte in 0..3 {
            topic.say(Bytes::from(vec![byte]), ConnectionId(1));
        }
        assert_eq!((numbers(0), numbers(2), numbers(3)), (vec![1, 2, 3], vec![3], vec![]));
        for _ in 0..300 {
            topic.say(Bytes::from(vec![0; 2_000]), ConnectionId(1));
        }
        assert_eq!(topic.said_count(), 303);
        assert_eq!(numbers(0).len(), SAID_BYTES / 2_000);
        for _ in 0..300 {
            topic.say(Bytes::new(), ConnectionId(1));
        }
        assert_eq!(numbers(0).len(), SAID_FRAMES);
    }

    #[test]
    fn a_topic_lives_as_long_as_somebody_listens() {
        let hub = Hub::default();
        let topic = hub.topic(SpaceId([1; 32]));
        hub.publish(SpaceId([1; 32]), &[row(1, 1)], ConnectionId(1));
        assert_eq!(topic.head(), 1);
        drop(topic);
        assert_eq!(hub.topic(SpaceId([1; 32])).head(), 0);
    }
}
