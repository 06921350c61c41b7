//! The hybrid logical clock (Kulkarni et al., 2014): orders *concurrent* writes and tells a claimed time. Causality comes
//! from hashes alone, so a wrong clock can neither hold anything back nor hide anything.

/// How far a stamp may run ahead of the local clock: a far-future stamp of somebody else is not followed beyond it.
pub const AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Largest millisecond value of a stamp.
pub const STAMP_MS_MAX: u64 = (1 << 48) - 1;

/// A stamp: milliseconds since 1970 and a counter for stamps within one millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc {
    /// Milliseconds since 1970, at most [`STAMP_MS_MAX`].
    pub ms: u64,
    /// Distinguishes stamps of one millisecond.
    pub counter: u16,
}

impl Hlc {
    fn next(self) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { ms: self.ms, counter },
            None => Self { ms: self.ms.saturating_add(1).min(STAMP_MS_MAX), counter: 0 },
        }
    }
}

/// Gives stamps that exceed every stamp seen, as far as the cap allows.
#[derive(Clone, Debug, Default)]
pub struct HybridClock {
    known: Hlc,
}

impl HybridClock {
    /// A stamp for a changeset made at `now_ms`: `max(now, min(known + 1, now + 24 h))`.
    pub fn tick(&mut self, now_ms: u64) -> Hlc {
        let now = Hlc { ms: now_ms.min(STAMP_MS_MAX), counter: 0 };
        let cap = Hlc { ms: now.ms.saturating_add(AHEAD_MS_MAX).min(STAMP_MS_MAX), counter: 0 };
        let stamp = now.max(self.known.next().min(cap));
        self.observe(stamp);
        stamp
    }

    /// The greatest stamp seen.
    pub fn known(&self) -> Hlc {
        self.known
    }

    /// Takes note of a stamp that was integrated.
    pub fn observe(&mut self, stamp: Hlc) {
        self.known = self.known.max(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, counter: u16) -> Hlc {
        Hlc { ms, counter }
    }

    #[test]
    fn stamps_rise_within_a_millisecond_and_follow_the_clock() {
        let mut clock = HybridClock::default();
        assert_eq!([clock.tick(5), clock.tick(5), clock.tick(9)], [at(5, 0), at(5, 1), at(9, 0)]);
    }

    #[test]
    fn a_clock_set_back_goes_on_from_the_known_stamp() {
        let mut clock = HybridClock::default();
        clock.observe(at(100, 3));
        assert_eq!(clock.tick(40), at(100, 4));
    }

    #[test]
    fn a_stamp_of_the_far_future_is_followed_for_a_day_at_most() {
        let mut clock = HybridClock::default();
        clock.observe(at(STAMP_MS_MAX, u16::MAX));
        assert_eq!(clock.tick(1_000), at(1_000 + AHEAD_MS_MAX, 0));
        assert_eq!(clock.tick(2_000), at(2_000 + AHEAD_MS_MAX, 0));
    }

    #[test]
    fn the_counter_carries_into_the_milliseconds() {
        let mut clock = HybridClock::default();
        clock.observe(at(7, u16::MAX));
        assert_eq!(clock.tick(1), at(8, 0));
    }
}
