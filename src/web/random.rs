//! Random bytes of the platform, for whoever has to pass entropy into the core.

use std::cell::RefCell;
use zeroize::Zeroize;

/// Asked for at once: a call of the platform costs more than sealing a few words.
const POOL: usize = 1_024;

thread_local! {
    /// Bytes that nobody got yet, and how many there are.
    static LEFT: RefCell<([u8; POOL], usize)> = const { RefCell::new(([0; POOL], 0)) };
}

/// Fills with bytes from the operating system, given to nobody else.
///
/// # Panics
/// On a platform without `crypto.getRandomValues`, which no browser with WebAssembly lacks.
pub(super) fn fill(bytes: &mut [u8]) {
    LEFT.with_borrow_mut(|(pool, left)| {
        for part in bytes.chunks_mut(POOL) {
            if *left < part.len() {
                *left = 0;
                getrandom::fill(pool).expect("every platform with WebAssembly has getRandomValues");
                *left = POOL;
            }
            *left -= part.len();
            let taken = &mut pool[*left..*left + part.len()];
            part.copy_from_slice(taken);
            taken.zeroize();
        }
    });
}

/// `N` such bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
