//! A device: a browser profile with its database, its clock, and the tabs that share both.

use std::collections::BTreeMap;

use super::disk::{Database, Records};
use super::turn::Turn;
use super::world::Event;

/// A clock that is not the world's.
#[derive(Clone, Copy, Default)]
pub struct Clock {
    pub offset_ms: i64,
    /// How much faster than the world's it runs, in millionths.
    pub drift_ppm: i64,
}

impl Clock {
    pub fn local_ms(&self, now_ms: u64) -> u64 {
        let now_ms = now_ms as i64;
        (EPOCH_MS as i64 + now_ms + now_ms * self.drift_ppm / 1_000_000 + self.offset_ms).max(0) as u64
    }
}

pub struct Device {
    /// The number of its space.
    pub space: usize,
    pub disk: Database,
    pub clock: Clock,
    /// Which relays it uses.
    pub knows: Vec<bool>,
    /// Which tab speaks with which relay, where tabs share them.
    pub turns: BTreeMap<usize, Turn>,
    pub is_asleep: bool,
    /// What was to happen while it slept.
    pub deferred: Vec<Event>,
    /// Its profile as it was once.
    pub copy: Option<Records>,
    /// The link by which it joined.
    pub token: String,
    /// That is one that a relay may not take any more.
    pub is_limited: bool,
    /// Its profile was rolled back or copied: its actors may sign twice with one number, until they learn of it.
    pub may_fork: bool,
}

impl Device {
    pub fn new(space: usize, clock: Clock, knows: Vec<bool>) -> Self {
        Self {
            space,
            disk: Database::default(),
            clock,
            knows,
            turns: BTreeMap::new(),
            is_asleep: false,
            deferred: Vec::new(),
            copy: None,
            token: String::new(),
            is_limited: false,
            may_fork: false,
        }
    }
}

/// When the world begins, in ms since 1970.
pub const EPOCH_MS: u64 = 1_790_000_000_000;
