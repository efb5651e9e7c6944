//! An input, read front to back.

/// What is left of an input. Beyond its end all numbers are 0 and all strings empty, so that every input means something.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

// === impl Input ===

impl<'a> Input<'a> {
    /// All of it.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// The next byte, reduced to a number below `sides`.
    pub fn below(&mut self, sides: u8) -> u8 {
        self.byte() % sides
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// So many bytes, or what is left.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A string whose length is the next byte.
    pub fn string(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.bytes(len.into())
    }

    /// A size: mostly of one digit, sometimes near a limit of the code under test, rarely large.
    pub fn size(&mut self) -> usize {
        match self.byte() {
            small @ 0..=199 => small.into(),
            near @ 200..=223 => [4096, 8192, 16_384, 65_536][usize::from(near % 4)] - 12 + usize::from(near - 200),
            _ => self.u16().into(),
        }
    }
}
