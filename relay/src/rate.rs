//! A token bucket that can be overdrawn once: a push is taken whole or not at all, so a bucket that has anything in it
//! lets even a large one pass and makes the next wait.

use std::time::{Duration, Instant};

/// How fast something may happen.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            tokens: f64::from(burst.max(1)),
            at: now,
        }
    }

    /// Takes out so many, or says how long to wait.
    ///
    /// # Errors
    /// The time until the bucket holds anything again.
    pub fn take(&mut self, count: usize, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second));
        }
        self.tokens -= count as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdrawn_bucket_says_when_to_come_back() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 20, start);
        assert_eq!(bucket.take(30, start), Ok(()));
        let wait = bucket.take(1, start).expect_err("ten below zero");
        assert_eq!(wait, Duration::from_millis(1_100));
        assert_eq!(bucket.take(1, start + wait), Ok(()));
    }

    #[test]
    fn a_bucket_holds_no_more_than_its_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 2, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(bucket.take(2, later), Ok(()));
        assert!(bucket.take(1, later).is_err());
    }
}
