//! The Huffman code of RFC 7541 Appendix B.
//!
//! The code is canonical: codes of one length are consecutive numbers, in the order of their symbols, and follow those of the
//! shorter lengths. So the lengths say all. Codes of up to eight bits, which are all letters, digits and most of what a header has, are
//! found by one look-up; a longer one by the first length whose codes are not all smaller than it.

use super::HpackError;

/// Bits of the code of each symbol; the last is the end of string.
pub(super) const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, //
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
    12, //
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, //
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, //
    23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, //
    22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, //
    26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, //
    27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, //
    27, 27, 27, 27, 26, 30,
];

/// The end-of-string symbol, which no string may hold.
const END: u16 = 256;
/// Longest code, in bits.
const LONGEST: usize = 30;
/// Codes of up to so many bits are looked up.
const SHORT: usize = 8;

static CODES: Codes = Codes::new();

/// The code, made from [`LENGTHS`].
struct Codes {
    /// By the next eight bits: symbol and length of the code that they begin with; a length of 0 if it is a longer one.
    short: [(u8, u8); 1 << SHORT],
    /// By length: what the next 32 bits are smaller than if their code is of this length or a shorter one.
    bound: [u64; LONGEST + 1],
    /// By length: place of its first symbol in `symbols`, minus its first code.
    place: [i64; LONGEST + 1],
    /// Symbols by length, then by number.
    symbols: [u16; 257],
}

// === impl Codes ===

impl Codes {
    #[expect(clippy::cast_possible_truncation, reason = "symbols have 9 bits, and short codes are of bytes")]
    #[expect(clippy::cast_possible_wrap, reason = "codes have 30 bits")]
    const fn new() -> Self {
        let mut codes =
            Self { short: [(0, 0); 1 << SHORT], bound: [0; LONGEST + 1], place: [0; LONGEST + 1], symbols: [0; 257] };
        let (mut code, mut at, mut length) = (0_u64, 0, 1);
        while length <= LONGEST {
            code <<= 1;
            codes.place[length] = at as i64 - code as i64;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    codes.symbols[at] = symbol as u16;
                    let mut filled = 0;
                    while length <= SHORT && filled < 1 << (SHORT - length) {
                        codes.short[((code as usize) << (SHORT - length)) + filled] = (symbol as u8, length as u8);
                        filled += 1;
                    }
                    code += 1;
                    at += 1;
                }
                symbol += 1;
            }
            codes.bound[length] = code << (32 - length);
            length += 1;
        }
        codes
    }

    /// Symbol and length of the code that these bits begin with.
    #[expect(clippy::cast_possible_truncation, reason = "lengths are up to 30")]
    #[expect(clippy::cast_sign_loss, reason = "a code of this length is not smaller than its first")]
    fn first(&self, bits: u32) -> (u16, u32) {
        let (symbol, length) = self.short[(bits >> 24) as usize];
        if length != 0 {
            return (u16::from(symbol), u32::from(length));
        }
        let mut length = SHORT + 1;
        // The bound of the longest is 2^32: the code is complete.
        while u64::from(bits) >= self.bound[length] {
            length += 1;
        }
        let code = bits >> (32 - length);
        let place = self.place[length] + i64::from(code);
        (self.symbols[place as usize], length as u32)
    }
}

/// Decodes `coded` whole, puts the first `keep` bytes of it at the end of `into`, and returns how many bytes it has.
#[expect(
    clippy::cast_possible_truncation,
    reason = "symbols that are not the end of string are bytes; 32 bits are kept"
)]
pub(super) fn decode(coded: &[u8], keep: usize, into: &mut Vec<u8>) -> Result<usize, HpackError> {
    // The next bits, from the highest on; how many; and the bytes after them.
    let (mut bits, mut count, mut rest) = (0_u64, 0_u32, coded.iter());
    let mut len = 0;
    loop {
        while count < LONGEST as u32 {
            let Some(byte) = rest.next() else { break };
            bits |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        if count == 0 {
            return Ok(len);
        }
        // Ones after the end: what is there is a code, or the begin of one.
        let next = ((bits | u64::MAX >> count) >> 32) as u32;
        let (symbol, length) = CODES.first(next);
        if length > count {
            // Padding is up to seven ones, the begin of the end-of-string symbol.
            return if count < 8 && next == u32::MAX { Ok(len) } else { Err(HpackError::Padding) };
        }
        if symbol == END {
            return Err(HpackError::EndOfString);
        }
        if len < keep {
            into.push(symbol as u8);
        }
        len += 1;
        bits <<= length;
        count -= length;
    }
}
