//! FNV-1a of 64 bits, for std's hasher differs between versions, and our stamps stay on objects.

/// The hash so far.
#[derive(Clone, Debug)]
pub struct Fnv(u64);

// === impl Fnv ===

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a text and its end, so that it does not flow into the next one.
    pub fn text(&mut self, text: &str) {
        self.write(text.as_bytes());
        // No text of JSON has this byte: it is no UTF-8.
        self.write(&[0xff]);
    }

    /// The hash.
    pub fn finish(&self) -> u64 {
        self.0
    }
}
