//! What goes out: a row is passed on, to a relay or a peer, only with a signature of its own that is valid.
//!
//! A row that came in a run, or that was stored, is authentic by what follows it (`event::log_offer`); its own signature is looked at
//! here, once, some in each turn. One that is not valid is asked for again (`mend`), and goes out when it was mended.

use super::link::{Links, PeerLink, to_row};
use super::{Env, Replica};
use crate::causal::ChangesetIx;
use crate::event::Log;
use crate::sync::{BATCH_BYTES_MAX, Code, PUSH_ROWS_MAX};
use std::collections::VecDeque;

/// Signatures that are looked at in one turn before rows go out: some milliseconds of work.
const CHECKS_MAX: usize = 64;

/// Where rows go out.
pub(super) struct Passage {
    left: usize,
    is_held_up: bool,
}

/// Whether a row may go out.
pub(super) enum Way {
    Open,
    /// Not as it is here.
    Shut(Code),
    /// In the next turn.
    Later,
}

impl Default for Passage {
    fn default() -> Self {
        Self { left: CHECKS_MAX, is_held_up: false }
    }
}

impl Passage {
    /// Another turn begins, in which everything that waits is tried.
    pub fn try_all(&mut self) {
        *self = Self::default();
    }

    /// Something is to go out in the next turn.
    pub fn hold_up(&mut self) {
        self.is_held_up = true;
    }

    /// Whether something waits for the next turn.
    pub fn is_held_up(&self) -> bool {
        self.is_held_up
    }

    /// Whether a changeset may go out.
    pub fn way(&mut self, log: &mut Log, ix: ChangesetIx) -> Way {
        if !log.entry(ix).changeset().is_some_and(|changeset| changeset.signed().has_skeleton()) {
            return Way::Shut(Code::BadRow);
        }
        let is_new = !log.is_checked(ix);
        if is_new && self.left == 0 {
            self.is_held_up = true;
            return Way::Later;
        }
        self.left -= usize::from(is_new);
        let id = log.graph().id(ix);
        let is_valid = log.check(&id);
        // It is asked for in the next turn.
        self.is_held_up |= is_new && !is_valid;
        if is_valid { Way::Open } else { Way::Shut(Code::BadSignature) }
    }
}

impl Replica {
    /// Sends peers what waits for them, as far as they take it.
    pub(super) fn pump_peers(&mut self, env: &mut Env<'_>) {
        let takes = |(session, link): (&u32, &PeerLink)| {
            (link.session.is_writable() && !link.queue.is_empty()).then_some(*session)
        };
        for session in self.links.peers.iter().filter_map(takes).collect::<Vec<_>>() {
            self.pump_peer(session);
            self.drain_peer(session, env);
        }
    }

    pub(super) fn pump_peer(&mut self, session: u32) {
        let Links { peers, passage, tallies, .. } = &mut self.links;
        let Some(link) = peers.get_mut(&session) else { return };
        while link.session.is_writable() && !link.queue.is_empty() {
            let (mut rows, mut bytes, mut is_later) = (VecDeque::new(), 0, false);
            while let Some(ix) = link.queue.front().copied().filter(|_| rows.len() < PUSH_ROWS_MAX) {
                match passage.way(&mut self.log, ix) {
                    Way::Open => {
                        let row = to_row(&self.log, ix);
                        bytes += row.bytes();
                        if bytes > BATCH_BYTES_MAX && !rows.is_empty() {
                            break;
                        }
                        rows.push_back(row);
                    }
                    Way::Shut(_) => drop(link.withheld.insert(self.log.graph().id(ix))),
                    Way::Later => {
                        is_later = true;
                        break;
                    }
                }
                link.queue.pop_front();
            }
            if let Some(tally) = tallies.get_mut(&session) {
                tally.sent += rows.len() as u64;
            }
            link.session.send_rows(&mut rows);
            if is_later {
                return;
            }
        }
        if link.queue.is_empty() && std::mem::take(&mut link.owes_difference) {
            link.session.difference_sent();
        }
    }
}
