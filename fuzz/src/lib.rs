//! What is fuzzed, one function a target: bytes in, a panic if something does not hold. `npm run fuzz` seeds and runs them.

pub mod decode;
pub mod device;
pub mod receive;
pub mod session;
pub mod text;

#[path = "../../tests/common/attacker.rs"]
mod attacker;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/reference/dag.rs"]
mod dag;
#[path = "../../tests/common/plain.rs"]
mod plain;
#[path = "../../tests/reference/text.rs"]
mod reference;
#[path = "../../tests/reference/rng.rs"]
mod rng;

/// Takes input apart; beyond its end everything is zero.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their length in two bytes.
    fn part(&mut self) -> &'a [u8] {
        let len = self.short();
        self.take(len)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `cargo test` compiles what is fuzzed beside what it fuzzes, so that neither changes without the other.
#[cfg(test)]
mod tests {
    use super::rng::{self, Rng};
    use super::{decode, device, receive, session, text};

    type Target = fn(&[u8]);

    const TARGETS: [Target; 23] = [
        decode::bigint,
        decode::tlv,
        decode::value,
        decode::saved,
        decode::statement,
        decode::block,
        decode::evidence,
        decode::genesis,
        decode::certificate,
        decode::chain,
        decode::header,
        decode::changeset,
        decode::skeleton,
        decode::content,
        decode::invite,
        decode::login,
        decode::stored,
        decode::frame,
        device::device,
        device::import,
        receive::receive,
        session::session,
        text::text,
    ];

    #[test]
    fn every_target_takes_nothing_and_noise() {
        rng::fuzz(20, |seed| {
            let mut rng = Rng::new(seed);
            let noise: Vec<u8> = (0..rng.below(400)).map(|_| rng.below(256) as u8).collect();
            TARGETS.iter().for_each(|target| target(&noise));
        });
    }
}
