//! A small seeded generator, and how a fuzz test runs its rounds.
#![allow(dead_code)]

/// Xorshift64*.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) % end as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Runs `round` for seeds from 1 on, `FUZZ_ROUNDS` percent of `rounds`; only the seed in `SEED`, if that is set. A
/// failure prints the seed.
pub fn fuzz(rounds: u64, round: impl Fn(u64)) {
    struct Report(u64);
    impl Drop for Report {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("SEED={}", self.0);
            }
        }
    }
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = match number("SEED") {
        Some(seed) => seed..=seed,
        None => 1..=(rounds * number("FUZZ_ROUNDS").unwrap_or(100) / 100).max(1),
    };
    for seed in seeds {
        let _report = Report(seed);
        round(seed);
    }
}
