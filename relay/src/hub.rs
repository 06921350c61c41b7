//! Who listens to which space, and the newest rows of the spaces listened to.
//!
//! A subscriber is a cursor somewhere else; here it is only a bell to ring. Invariants: a topic's head never goes back, a log
//! that does gets another topic; the ring holds rows with consecutive cursors, so a reader that finds its place in it misses
//! nothing, and one that does not reads the store. Slow readers cost nothing here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use prost::bytes::Bytes;
use stemma::causal::{LogId, SpaceId};
use tokio::sync::Notify;

use crate::page::Page;
use crate::snapshots::Turns;
use crate::store::StoredRow;

/// Bytes of rows that a topic keeps at hand.
const RING_BYTES: usize = 1 << 20;
/// Rows that a topic keeps at hand.
const RING_ROWS: usize = 2_048;

/// What was said last to whoever listens to a topic: so many frames, so many bytes.
const SAID_FRAMES: usize = 256;
const SAID_BYTES: usize = 1 << 18;

/// A frame that a topic keeps at hand is no longer than this.
const SHARED_BYTES: usize = 1 << 16;

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

/// What a topic is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Whether the log that this was the topic of is gone.
    pub is_ended: bool,
    /// The cursor of the newest row.
    pub head: u64,
    /// How much was said so far.
    pub said_count: u64,
}

/// A row at hand, who pushed it, and when it was committed.
#[derive(Clone, Debug)]
struct Recent {
    row: StoredRow,
    pushed_by: ConnectionId,
    committed: Instant,
}

/// The bells of those who listen. Whoever rings them does so without the lock: those who wake need it at once.
type Bells = Arc<Vec<(ConnectionId, Arc<Notify>)>>;

fn ring(bells: &Bells) {
    bells.iter().for_each(|(_, bell)| bell.notify_one());
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
    log_id: Option<LogId>,
    said: VecDeque<Said>,
    said_bytes: usize,
    said_count: u64,
    head: u64,
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    /// The page after some cursor, as most of those who listen read it next.
    shared: Option<(u64, Page)>,
    bells: Bells,
    turns: Turns,
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

    /// Something was dropped from rows of a space: those at hand are let go of.
    pub fn forget(&self, space: SpaceId) {
        let topic = self.topics().get(&space).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.state().forget();
        }
    }

    /// A log grew somewhere else.
    pub fn raise(&self, space: SpaceId, head: u64) {
        let topic = self.topics().get(&space).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.raise(head);
        }
    }

    /// The spaces that somebody listens to, their logs as far as they are known, and their heads.
    pub fn heads(&self) -> Vec<(SpaceId, Option<LogId>, u64)> {
        // Of the topics only: their locks are not taken under this one.
        let topics: Vec<(SpaceId, Arc<Topic>)> = {
            let topics = self.topics();
            topics.iter().filter_map(|(space, topic)| Some((*space, topic.upgrade()?))).collect()
        };
        let head = |(space, topic): (SpaceId, Arc<Topic>)| {
            let state = topic.state();
            (space, state.log_id, state.head)
        };
        topics.into_iter().map(head).collect()
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
        Arc::make_mut(&mut self.state().bells).push((connection, bell));
    }

    /// Stops that.
    pub fn leave(&self, connection: ConnectionId) {
        Arc::make_mut(&mut self.state().bells).retain(|(other, _)| *other != connection);
    }

    /// The log is this one; whether it may be. There may have been another one, which is gone.
    pub fn is_of(&self, log_id: LogId) -> bool {
        *self.state().log_id.get_or_insert(log_id) == log_id
    }

    /// The head is at least here; whoever listens is told if that is news.
    pub fn raise(&self, head: u64) {
        let mut state = self.state();
        if head > state.head {
            state.head = head;
            // Another relay may have dropped something.
            state.forget();
            let bells = Arc::clone(&state.bells);
            drop(state);
            ring(&bells);
        }
    }

    fn end(&self) {
        let mut state = self.state();
        state.is_ended = true;
        let bells = Arc::clone(&state.bells);
        drop(state);
        ring(&bells);
    }

    /// What there is to know at a glance.
    pub fn now(&self) -> Now {
        let state = self.state();
        Now { is_ended: state.is_ended, head: state.head, said_count: state.said_count }
    }

    /// What there is to do about snapshots, and whose turn it is.
    pub(crate) fn turns<T>(&self, ask: impl FnOnce(&mut Turns) -> T) -> T {
        ask(&mut self.state().turns)
    }

    /// Somebody did something: others are asked for more.
    pub(crate) fn turn_done(&self, who: ConnectionId) {
        let mut state = self.state();
        state.turns.done(who);
        let bells = Arc::clone(&state.bells);
        drop(state);
        ring(&bells);
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
        let bells = Arc::clone(&state.bells);
        drop(state);
        ring(&bells);
    }

    /// The rows after a cursor as a frame for a connection; `None` if they are not all at hand, or there are none.
    pub(crate) fn page(
        &self,
        space: SpaceId,
        after: u64,
        reader: ConnectionId,
        (bytes_max, rows_max): (usize, usize),
    ) -> Option<Page> {
        let rows = {
            let state = self.state();
            let rows = state.after(after, bytes_max, rows_max)?;
            let shared = state.shared.as_ref().filter(|(from, _)| *from == after);
            if let Some((_, page)) = shared
                && rows.clone().all(|recent| recent.pushed_by != reader)
            {
                return Some(page.clone());
            }
            rows.cloned().collect::<Vec<Recent>>()
        };
        let committed = rows.last()?.committed;
        let is_own = |recent: &Recent| recent.pushed_by == reader;
        let has_own = rows.iter().any(is_own);
        let rows = rows.into_iter().map(|recent| {
            let is_own = is_own(&recent);
            (recent.row, is_own)
        });
        let page = Page::new(space, rows, Some(committed))?;
        let mut state = self.state();
        if !has_own && page.last == state.head && page.frame.len() <= SHARED_BYTES {
            state.shared = Some((after, page.clone()));
        }
        Some(page)
    }

    fn publish(&self, rows: &[StoredRow], pushed_by: ConnectionId) {
        let mut state = self.state();
        let committed = Instant::now();
        for row in rows {
            if state.ring.back().is_some_and(|last| last.row.cursor + 1 != row.cursor) {
                state.ring.clear();
                state.ring_bytes = 0;
            }
            state.ring_bytes += row.row.bytes();
            state.ring.push_back(Recent { row: row.clone(), pushed_by, committed });
            state.head = state.head.max(row.cursor);
        }
        while state.ring_bytes > RING_BYTES || state.ring.len() > RING_ROWS {
            let Some(oldest) = state.ring.pop_front() else { break };
            state.ring_bytes -= oldest.row.row.bytes();
        }
        state.shared = None;
        let bells = Arc::clone(&state.bells);
        drop(state);
        ring(&bells);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl State {
    fn forget(&mut self) {
        self.ring.clear();
        self.ring_bytes = 0;
        self.shared = None;
    }

    /// The rows at hand after a cursor, as many as fit; `None` if some before them are not, or if others are newer than all.
    fn after(
        &self,
        after: u64,
        bytes_max: usize,
        rows_max: usize,
    ) -> Option<impl Iterator<Item = &Recent> + Clone> {
        let first = self.ring.front()?.row.cursor;
        let is_whole = self.ring.back()?.row.cursor == self.head;
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let fits = |recent: &&Recent| {
            bytes += recent.row.row.bytes();
            bytes <= bytes_max
        };
        let count = self.ring.iter().skip(skip).take(rows_max).take_while(fits).count().max(1);
        // Rows that another relay appended are in the store alone.
        (is_whole || skip < self.ring.len()).then(|| self.ring.iter().skip(skip).take(count))
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
        topic.state().after(after, 1 << 30, 1 << 30).map(|rows| rows.map(|row| row.row.cursor).collect())
    }

    #[test]
    fn a_reader_in_the_ring_misses_nothing_and_one_before_it_is_sent_away() {
        let topic = Topic::default();
        topic.publish(&[row(5, 1), row(6, 1)], ConnectionId(1));
        assert_eq!(cursors(&topic, 3), None);
        assert_eq!(cursors(&topic, 4), Some(vec![5, 6]));
        assert_eq!(cursors(&topic, 6), Some(vec![]));
        assert_eq!(topic.now().head, 6);
    }

    #[test]
    fn all_but_who_pushed_share_one_frame() {
        let (topic, most) = (Topic::default(), (1 << 20, 1_000));
        let page = |after, reader| topic.page(SpaceId([1; 32]), after, ConnectionId(reader), most);
        topic.publish(&[row(1, 1), row(2, 1)], ConnectionId(1));
        let frames: Vec<Bytes> = [2, 1, 3].map(|reader| page(0, reader).expect("rows").frame).into();
        assert_eq!(frames[0], frames[2]);
        assert_eq!(frames[0].as_ptr(), frames[2].as_ptr());
        assert_ne!(frames[0], frames[1]);
        let later = page(1, 2).expect("a row");
        assert_eq!((later.rows, later.last), (1, 2));
        topic.publish(&[row(3, 1)], ConnectionId(2));
        assert_eq!(page(0, 3).expect("rows").rows, 3);
        assert!(page(3, 3).is_none());
    }

    #[test]
    fn a_page_has_a_bound_but_one_row_at_least() {
        let topic = Topic::default();
        topic.publish(&[row(1, 100), row(2, 100), row(3, 100)], ConnectionId(1));
        let rows = |most| topic.page(SpaceId([1; 32]), 0, ConnectionId(2), most).map(|page| page.rows);
        assert_eq!([rows((400, 9)), rows((1, 9)), rows((1 << 20, 2))], [Some(2), Some(1), Some(2)]);
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
        assert_eq!(topic.now().said_count, 303);
        assert_eq!(numbers(0).len(), SAID_BYTES / 2_000);
        for _ in 0..300 {
            topic.say(Bytes::new(), ConnectionId(1));
        }
        assert_eq!(numbers(0).len(), SAID_FRAMES);
    }

    #[test]
    fn a_topic_is_of_one_log() {
        let hub = Hub::default();
        let topic = hub.topic(SpaceId([1; 32]));
        assert!(topic.is_of(LogId([1; 16])) && topic.is_of(LogId([1; 16])));
        assert!(!topic.is_of(LogId([2; 16])));
        hub.end(SpaceId([1; 32]));
        assert!(topic.now().is_ended);
        assert!(hub.topic(SpaceId([1; 32])).is_of(LogId([2; 16])));
    }

    #[test]
    fn a_topic_lives_as_long_as_somebody_listens() {
        let hub = Hub::default();
        let topic = hub.topic(SpaceId([1; 32]));
        hub.publish(SpaceId([1; 32]), &[row(1, 1)], ConnectionId(1));
        assert_eq!(topic.now().head, 1);
        drop(topic);
        assert_eq!(hub.topic(SpaceId([1; 32])).now().head, 0);
    }
}
