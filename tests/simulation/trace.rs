//! What happened, as one number: every frame, every write, every change goes in. Two runs of one seed that differ anywhere
//! differ in it. For people it can also be kept as lines.

/// The running hash of everything that happens, and the last of it as text.
pub struct Trace {
    lanes: [u64; 2],
    /// How much went in.
    pub events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(keep_lines: bool) -> Self {
        let lanes = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
        Self { lanes, events: 0, lines: keep_lines.then(Vec::new) }
    }

    /// Something happened to somebody at a time.
    pub fn note(&mut self, now_ms: u64, who: u64, what: &str, bytes: &[u8]) {
        self.events += 1;
        self.mix(now_ms);
        self.mix(who);
        self.mix_bytes(what.as_bytes());
        self.mix_bytes(bytes);
        if let Some(lines) = self.lines.as_mut().filter(|_| !what.is_empty()) {
            lines.push(format!("{now_ms:>9} {who:>4} {what} {} bytes", bytes.len()));
        }
    }

    /// A line for people alone.
    pub fn say(&mut self, now_ms: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now_ms:>9}      {}", line()));
        }
    }

    /// Everything so far.
    pub fn hash(&self) -> String {
        format!("{:016x}{:016x}", self.lanes[0], self.lanes[1])
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    fn mix_bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn mix(&mut self, word: u64) {
        let [a, b] = self.lanes;
        let a = (a ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.lanes = [a ^ (a >> 29), (b.rotate_left(23) ^ a).wrapping_mul(0xd6e8_feb8_6659_fd93)];
    }
}
