//! Reading a block from its begin to its end: integers and strings (RFC 7541 section 5).

use super::HpackError;
use super::huffman;

/// Most octets of an integer after its prefix: as many as 32 bits need.
const OCTETS: u32 = 5;

/// The rest of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A string as it stands in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal<'a> {
    /// Its bytes are coded.
    pub(super) huffman: bool,
    /// Its bytes in the block.
    pub(super) bytes: &'a [u8],
}

/// A string that is decoded, or its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// The string; only its begin if it is longer than what was asked for.
    pub(super) bytes: &'a [u8],
    /// Bytes of the whole string.
    pub(super) len: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The first octet of the next field, which says what it is; `None` at the end.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// An integer with a prefix of `bits` bits, 1 to 8.
    pub(super) fn integer(&mut self, bits: u32) -> Result<u32, HpackError> {
        let (first, mut rest) = self.rest.split_first().ok_or(HpackError::Truncated)?;
        let full = u8::MAX >> (8 - bits);
        let mut value = u64::from(first & full);
        if first & full == full {
            let mut shift = 0;
            loop {
                let (octet, after) = rest.split_first().ok_or(HpackError::Truncated)?;
                rest = after;
                value += u64::from(octet & 0x7f) << shift;
                shift += 7;
                if octet & 0x80 == 0 {
                    break;
                }
                if shift == 7 * OCTETS {
                    return Err(HpackError::IntegerTooLarge);
                }
            }
        }
        self.rest = rest;
        u32::try_from(value).map_err(|_| HpackError::IntegerTooLarge)
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Literal<'a>, HpackError> {
        let huffman = self.peek().ok_or(HpackError::Truncated)? & 0x80 != 0;
        let len = self.integer(7)? as usize;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(HpackError::Truncated)?;
        self.rest = rest;
        Ok(Literal { huffman, bytes })
    }
}

// === impl Literal ===

impl<'a> Literal<'a> {
    /// Decodes it, all of it, and keeps its first `keep` bytes. `buffer` is used if it is coded.
    pub(super) fn text<'b>(self, keep: usize, buffer: &'b mut Vec<u8>) -> Result<Text<'b>, HpackError>
    where
        'a: 'b,
    {
        if !self.huffman {
            return Ok(Text { bytes: &self.bytes[..self.bytes.len().min(keep)], len: self.bytes.len() });
        }
        buffer.clear();
        let len = huffman::decode(self.bytes, keep, buffer)?;
        Ok(Text { bytes: buffer, len })
    }
}
