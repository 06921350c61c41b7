//! Random bytes of the platform, for whoever has to pass entropy into the core.

/// `N` bytes from the operating system.
///
/// # Panics
/// On a platform without `crypto.getRandomValues`, which no browser with WebAssembly lacks.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("every platform with WebAssembly has getRandomValues");
    bytes
}
