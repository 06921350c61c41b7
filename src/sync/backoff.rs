//! When to connect again: full jitter, so that a relay that went down is not met by all its clients at once.
//!
//! Invariant: the delays only start over after a connection that stayed logged in for 30 s; one that opens and fails
//! at once does not count as health.

/// The end of a wait. The clock may be set back meanwhile: it takes no longer than the wait from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When, by the clock as it went so far.
    pub at_ms: u64,
    wait_ms: u64,
}

impl Due {
    /// So long from now on.
    pub fn after(now_ms: u64, wait_ms: u64) -> Self {
        Self { at_ms: now_ms.saturating_add(wait_ms), wait_ms }
    }

    /// Whether it is over.
    pub fn is_over(&mut self, now_ms: u64) -> bool {
        self.at_ms = self.at_ms.min(now_ms.saturating_add(self.wait_ms));
        self.at_ms <= now_ms
    }
}

const FIRST_MS: u64 = 500;
const LONGEST_MS: u64 = 60_000;
const HEALTHY_MS: u64 = 30_000;

/// The delays between attempts to reach one relay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
    up_since: Option<u64>,
}

impl Backoff {
    /// The login succeeded.
    pub fn up(&mut self, now_ms: u64) {
        self.up_since = Some(now_ms);
    }

    /// The connection ended or could not be made: how long to wait, in ms, for a uniformly random `random`.
    pub fn down(&mut self, now_ms: u64, random: u64) -> u64 {
        if self.up_since.take().is_some_and(|since| now_ms.saturating_sub(since) >= HEALTHY_MS) {
            self.failures = 0;
        }
        let cap_ms = FIRST_MS.saturating_mul(1 << self.failures.min(7)).min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        random % (cap_ms + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(backoff: &mut Backoff, count: usize) -> Vec<u64> {
        // One below 2^k * 500 + 1 gives the cap itself: try each.
        (0..count)
            .map(|_| {
                let mut probe = *backoff;
                let cap = (0..=LONGEST_MS).rev().find(|&random| {
                    probe = *backoff;
                    probe.down(0, random) == random
                });
                *backoff = probe;
                cap.expect("0 is always a delay")
            })
            .collect()
    }

    #[test]
    fn the_cap_doubles_up_to_a_minute() {
        let mut backoff = Backoff::default();
        assert_eq!(caps(&mut backoff, 9), [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
    }

    #[test]
    fn any_delay_from_zero_up_can_come() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.down(0, 501), 0);
        assert_eq!(backoff.down(0, 1000), 1000);
    }

    #[test]
    fn only_thirty_healthy_seconds_start_over() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.down(0, 0);
        }
        backoff.up(1_000);
        assert_eq!(backoff.down(30_999, 16_000), 16_000);
        backoff.up(40_000);
        assert_eq!(backoff.down(70_000, 500), 500);
        assert_eq!(backoff.down(70_000, 1_000), 1_000);
    }

    #[test]
    fn a_wait_ends_though_the_clock_is_set_back() {
        let mut due = Due::after(100_000, 500);
        assert!(!due.is_over(100_499));
        assert!(!due.is_over(40));
        assert!(!due.is_over(539));
        assert!(due.is_over(540));
        assert!(Due::after(7, 0).is_over(7));
        assert!(!Due::after(7, u64::MAX).is_over(u64::MAX - 1));
    }

    #[test]
    fn a_clock_that_goes_back_is_no_health() {
        let mut backoff = Backoff::default();
        backoff.down(0, 0);
        backoff.up(50_000);
        assert_eq!(backoff.down(10, 1_000), 1_000);
    }
}
