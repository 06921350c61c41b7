//! Connections: what one end sends reaches the other in order, late, or not at all. An end that closed hears nothing more; the
//! other goes on hearing what was under way.

use prost::bytes::Bytes;
use std::collections::VecDeque;

use super::world::{Event, World};

/// Who is at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Tab { tab: u32, session: u32 },
    Relay(usize),
    Intruder(usize),
}

/// What is under way.
#[derive(Clone, Debug)]
pub enum Packet {
    Open,
    Frame(Bytes),
    Closed,
}

/// A connection. The end that dialed is the first.
pub struct Conn {
    pub ends: [End; 2],
    pub is_open: [bool; 2],
    /// An end closed, or was told that the other is gone.
    is_over: [bool; 2],
    /// Towards an end: nothing arrives there any more.
    pub is_lost: [bool; 2],
    /// Towards an end: what waits for the end of a partition.
    stalled: [VecDeque<Packet>; 2],
    latency_ms: u64,
    free_ms: [u64; 2],
    last_ms: [u64; 2],
    /// Frames under way.
    pub in_flight: usize,
}

/// The way between a device and a relay is closed in some directions.
pub struct Partition {
    pub device: usize,
    pub relay: usize,
    /// Towards the device, towards the relay.
    pub closed: [bool; 2],
}

impl World {
    /// Makes a connection that opens once the other side was reached.
    pub fn connect(&mut self, ends: [End; 2]) -> u32 {
        let conn = self.add_conn(ends);
        self.put(conn, 1, Packet::Open);
        self.schedule.after(DIAL_MS, Event::DialTimeout(conn));
        conn
    }

    /// Joins two tabs by a port: it is there from the start.
    pub fn join(&mut self, ends: [End; 2]) -> u32 {
        let conn = self.add_conn(ends);
        self.conns.get_mut(&conn).expect("just added").is_open = [true; 2];
        [0, 1].into_iter().for_each(|side| self.put(conn, side, Packet::Open));
        conn
    }

    fn add_conn(&mut self, ends: [End; 2]) -> u32 {
        self.last_conn += 1;
        let [low, high] = self.plan.setup.latency_ms;
        let latency_ms = low + self.network.below((high - low + 1) as usize) as u64;
        let conn = Conn {
            ends,
            is_open: [false; 2],
            is_over: [false; 2],
            is_lost: [false; 2],
            stalled: Default::default(),
            latency_ms,
            free_ms: [0; 2],
            last_ms: [0; 2],
            in_flight: 0,
        };
        self.conns.insert(self.last_conn, conn);
        self.last_conn
    }

    /// Sends a frame from an end.
    pub fn send(&mut self, conn: u32, from: usize, frame: Bytes) {
        if self.conns.get(&conn).is_some_and(|conn| conn.is_open[from]) {
            self.see_frame(conn, from, &frame);
            self.put(conn, 1 - from, Packet::Frame(frame));
        }
    }

    /// An end closes: it hears nothing more.
    pub fn close(&mut self, conn: u32, at: usize) {
        let Some(of) = self.conns.get_mut(&conn) else { return };
        (of.is_open[at], of.is_over[at]) = (false, true);
        self.left(conn, at);
        self.put(conn, 1 - at, Packet::Closed);
        self.forget(conn);
    }

    /// The connection breaks: both ends learn of it, and nothing else.
    pub fn reset(&mut self, conn: u32) {
        let Some(of) = self.conns.get_mut(&conn) else { return };
        of.is_lost = [true; 2];
        for side in [0, 1] {
            let ms = self.network.below(200) as u64;
            self.schedule.after(ms, Event::Broken(conn, side));
        }
    }

    /// An end learns that the connection is over.
    pub fn broken(&mut self, conn: u32, at: usize) {
        let Some(of) = self.conns.get_mut(&conn) else { return };
        of.is_open[at] = false;
        if !std::mem::replace(&mut of.is_over[at], true) {
            self.left(conn, at);
            self.told_closed(conn, at);
        }
        self.forget(conn);
    }

    pub fn dial_timeout(&mut self, conn: u32) {
        let is_given_up = self.conns.get(&conn).is_some_and(|conn| conn.is_over[0] && !conn.is_open[1]);
        if is_given_up {
            return self.broken(conn, 1);
        }
        let is_dialing = self.conns.get(&conn).is_some_and(|conn| !conn.is_open[0] && !conn.is_over[0]);
        if is_dialing {
            self.conns.get_mut(&conn).expect("looked up").is_lost = [true; 2];
            self.broken(conn, 0);
            self.broken(conn, 1);
        }
    }

    fn put(&mut self, conn: u32, to: usize, packet: Packet) {
        let now = self.schedule.now_ms();
        let jitter = self.network.below(5) as u64;
        let rate = self.plan.setup.bytes_per_ms;
        let Some(of) = self.conns.get_mut(&conn) else { return };
        let bytes = if let Packet::Frame(frame) = &packet { frame.len() as u64 } else { 0 };
        of.free_ms[to] = of.free_ms[to].max(now) + bytes / rate;
        of.last_ms[to] = of.last_ms[to].max(of.free_ms[to] + of.latency_ms + jitter);
        of.in_flight += 1;
        self.schedule.at(of.last_ms[to], Event::Arrive(conn, to, packet));
    }

    /// Something reached an end.
    pub fn arrive(&mut self, conn: u32, to: usize, packet: Packet) {
        let is_closed = self.is_closed(conn, to);
        let Some(of) = self.conns.get_mut(&conn) else { return };
        if is_closed || !of.stalled[to].is_empty() {
            of.stalled[to].push_back(packet);
            return;
        }
        of.in_flight -= 1;
        if of.is_lost[to] {
            return;
        }
        let (end, is_open) = (of.ends[to], of.is_open[to]);
        match (packet, end) {
            (Packet::Open, _) if !is_open && to == 1 && !of.is_over[1] => {
                let takes = self.accepts(end);
                if !takes {
                    self.conns.get_mut(&conn).expect("it is there").is_over[1] = true;
                    return self.put(conn, 0, Packet::Closed);
                }
                self.conns.get_mut(&conn).expect("it is there").is_open[1] = true;
                self.put(conn, 0, Packet::Open);
                self.accepted(conn, end);
            }
            (Packet::Open, _) if of.is_over[to] => {}
            (Packet::Open, end) => {
                of.is_open[to] = true;
                self.opened(conn, end);
            }
            (Packet::Frame(frame), end) if is_open => self.hear(conn, to, end, &frame),
            (Packet::Frame(_), _) => {}
            (Packet::Closed, _) => self.broken(conn, to),
        }
    }

    /// A partition or a sleep ended, or a tab thawed: what waited arrives, in its order.
    pub fn resume(&mut self) {
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            for to in [0, 1] {
                if self.is_closed(conn, to) {
                    continue;
                }
                let stalled = self.conns.get_mut(&conn).map(|of| std::mem::take(&mut of.stalled[to]));
                stalled.into_iter().flatten().for_each(|packet| self.arrive(conn, to, packet));
            }
        }
    }

    /// Whether a partition stands before an end, or it stands still.
    fn is_closed(&self, conn: u32, to: usize) -> bool {
        let Some(of) = self.conns.get(&conn) else { return false };
        if let End::Tab { tab, .. } = of.ends[to]
            && self.is_still(tab)
        {
            return true;
        }
        let [End::Tab { tab, .. }, End::Relay(relay)] = of.ends else { return false };
        let device = self.tabs.get(&tab).map(|tab| tab.device);
        self.partitions.values().any(|cut| Some(cut.device) == device && cut.relay == relay && cut.closed[to])
    }

    fn forget(&mut self, conn: u32) {
        if self.conns.get(&conn).is_some_and(|conn| conn.is_over == [true; 2]) {
            self.conns.remove(&conn);
        }
    }

    /// Whether anything sent from here would be answered now.
    pub fn is_reachable(&self, conn: u32) -> bool {
        let Some(of) = self.conns.get(&conn) else { return false };
        of.is_lost == [false; 2] && ![0, 1].into_iter().any(|to| self.is_closed(conn, to))
    }
}

/// A browser gives up dialing then.
const DIAL_MS: u64 = 20_000;
