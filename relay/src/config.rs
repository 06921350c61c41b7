//! What the operator decides.

use std::time::Duration;

use stemma::codec::limits::CHANGESET_BYTES_MAX;
use stemma::sync::{FRAME_BYTES_MAX, Limits, PROOFS_MAX, PUSH_ROWS_MAX};

/// The settings of one node; the defaults are those of the command line.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Who may make spaces here.
    pub create: Create,
    /// Row bytes a space may have.
    pub quota_bytes: u64,
    /// Rows a second that a connection may push in the long run.
    pub rows_per_second: u32,
    /// Rows it may push at once.
    pub rows_burst: u32,
    /// Logins a second that the node answers.
    pub handshakes_per_second: u32,
    /// Connections at a time.
    pub connections_max: usize,
    /// Bytes of pushes being judged at a time, over all connections.
    pub push_bytes_in_flight: usize,
    /// From the upgrade to AUTH.
    pub auth_timeout: Duration,
    /// TICK and ping after so long without another frame.
    pub tick: Duration,
    /// A peer that takes nothing, or gives no sign of life, for so long is gone.
    pub stall_timeout: Duration,
    /// From SIGTERM to the end.
    pub drain_timeout: Duration,
    /// A snapshot is asked for when a log grew by more rows and by more bytes since the last one; who is so many rows behind one
    /// may look at it.
    pub snapshot_rows: u64,
    /// See there.
    pub snapshot_bytes: u64,
    /// How long a client has for making one or vouching for one, or for the next chunk.
    pub snapshot_turn: Duration,
    /// A space is not looked at more often for what there is to do.
    pub snapshot_pause: Duration,
}

/// Who may make spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Create {
    /// Everybody.
    Open,
    /// Those who know this.
    Token(String),
    /// Nobody: the spaces that are there go on.
    Closed,
}

impl Create {
    /// Whether a client with this token may make a space.
    #[must_use]
    pub fn allows(&self, token: &str) -> bool {
        match self {
            Self::Open => true,
            Self::Token(expected) => same(expected.as_bytes(), token.as_bytes()),
            Self::Closed => false,
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            create: Create::Open,
            quota_bytes: 1 << 30,
            rows_per_second: 1_000,
            rows_burst: 10_000,
            handshakes_per_second: 1_000,
            connections_max: 10_000,
            push_bytes_in_flight: 64 << 20,
            auth_timeout: Duration::from_secs(5),
            tick: Duration::from_secs(25),
            stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            snapshot_rows: 1_000,
            snapshot_bytes: 1 << 20,
            snapshot_turn: Duration::from_secs(60),
            snapshot_pause: Duration::from_secs(1),
        }
    }
}

/// What HELLO says. A connection is admitted to no more spaces than an AUTH has proofs.
pub(crate) const LIMITS: Limits = Limits {
    frame_bytes: FRAME_BYTES_MAX as u32,
    row_bytes: CHANGESET_BYTES_MAX as u32,
    push_bytes: FRAME_BYTES_MAX as u32,
    push_rows: PUSH_ROWS_MAX as u32,
    subscriptions: PROOFS_MAX as u32,
};

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_allows() {
        let create = Create::Token("abc".into());
        assert!(create.allows("abc"));
        for token in ["", "ab", "abd", "abcd"] {
            assert!(!create.allows(token), "{token}");
        }
        assert!(!Create::Closed.allows(""));
    }
}
