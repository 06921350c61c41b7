//! Base64 with the URL alphabet and without padding, for invite links. Canonical: unused bits of the last character
//! must be zero.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whether a character can stand in an encoded text.
#[must_use]
pub fn is_digit(char: char) -> bool {
    u8::try_from(char).is_ok_and(|byte| digit(byte).is_some())
}

/// Encodes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, i| group << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..=chunk.len() {
            text.push(ALPHABET[(group >> (18 - 6 * i)) as usize & 63].into());
        }
    }
    text
}

/// Decodes a text; `None` if it is not canonical.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0u32;
        for i in 0..4 {
            group = group << 6 | chunk.get(i).map_or(Some(0), |byte| digit(*byte))?;
        }
        let whole = match chunk.len() {
            1 => return None,
            len => len - 1,
        };
        let [_, decoded @ ..] = group.to_be_bytes();
        if decoded[whole..].iter().any(|unused| *unused != 0) {
            return None;
        }
        bytes.extend_from_slice(&decoded[..whole]);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    let index = ALPHABET.iter().position(|digit| *digit == byte)?;
    u32::try_from(index).ok()
}
