//! The decoder of header blocks (`fleetscope_core::hpack`), fed with blocks of any bytes and with those of an encoder.
//!
//! - A decoder that saw all from the beginning gives the verdict of the library's decoder, but for the four differences that
//!   [`verdict`] names, and where both accept the values that the library's names and values mean ([`fields::meaning`]).
//! - One that joins later, and one that misses blocks, take every block that the first takes, and give the same value or none.
//! - None ever holds more than its docs say, and none panics, also behind an error.

use fleetscope_core::hpack::{Block, Decoder, Field, HpackError};
use loona_hpack::decoder::{DecoderError, IntegerDecodingError};

use crate::fields::{self, Fields};
use crate::input::Input;

/// Most bytes that a decoder holds.
const MEMORY_MAX: usize = 200 << 10;
/// Most bytes of all blocks: an input of that size is as good as a longer one, and the library needs 20 us for a Huffman string.
const BYTES_MAX: usize = 16 << 10;
/// Fields of gRPC, pseudo-header fields first; what the encoder sends.
const SENT: [(&str, &str); 20] = [
    (":status", "200"),
    (":status", "404"),
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "guide:50051"),
    (":path", "/a.B/C"),
    (":path", "/route.Guide/ListFeatures"),
    ("content-type", "application/grpc"),
    ("content-type", "application/grpc+proto"),
    ("content-type", "text/html"),
    ("te", "trailers"),
    ("user-agent", "grpc-go/1.68.0"),
    ("grpc-timeout", "20m"),
    ("grpc-timeout", "999641u"),
    ("grpc-status", "0"),
    ("grpc-status", "14"),
    ("grpc-message", "not found"),
    ("grpc-message", ""),
    ("x-request", "0123456789012345678901234567890123456789"),
    ("trace-id", "7"),
];

/// The decoders.
struct Observers<'l> {
    whole: Decoder,
    library: loona_hpack::Decoder<'l>,
    joined: Decoder,
    /// Misses blocks; whether it has since its last one.
    lossy: (Decoder, bool),
    /// Goes on behind errors.
    reckless: Decoder,
    limit: u32,
}

/// The target.
pub fn fuzz(data: &[u8]) {
    let mut input = Input::new(data);
    let joins = input.byte();
    let mut encoder = loona_hpack::Encoder::new();
    let mut observers = Observers::new();
    let (mut number, mut bytes, mut sound) = (0_u8, 0, true);
    while !input.is_empty() && bytes < BYTES_MAX {
        let control = input.byte();
        let block = match control % 8 {
            0..=2 => input.string().to_vec(),
            3 => {
                let len = input.u16().into();
                input.bytes(len).to_vec()
            }
            4 => {
                let limit = match input.byte() {
                    0 => input.u32(),
                    other => u32::from(other) * 64,
                };
                observers.allow(limit);
                continue;
            }
            5 => update(input.u16().into()),
            _ => encoder.encode(chosen(&mut input)),
        };
        bytes += block.len();
        let _ = observers.reckless.decode(&block, &mut Block::default());
        // Of one connection nothing is sure behind an error: peers close it.
        sound = sound && observers.block(&block, number >= joins, control >= 192);
        number = number.saturating_add(1);
    }
    observers.check_memory();
}

/// Some fields, in their order.
fn chosen<'f>(input: &mut Input<'_>) -> impl Iterator<Item = (&'f [u8], &'f [u8])> {
    let bits = input.u32();
    let picked = SENT.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1);
    picked.map(|(_, (name, value))| (name.as_bytes(), value.as_bytes()))
}

/// A table size update, and a field behind it.
fn update(size: usize) -> Vec<u8> {
    let mut block = loona_hpack::encoder::encode_integer(size, 5);
    block[0] |= 0x20;
    block.push(0x88);
    block
}

// === impl Observers ===

impl Observers<'_> {
    fn new() -> Self {
        let mut library = loona_hpack::Decoder::new();
        library.set_max_allowed_table_size(4096);
        let lossy = (Decoder::new(), false);
        Self {
            whole: Decoder::new(),
            library,
            joined: Decoder::joined(),
            lossy,
            reckless: Decoder::joined(),
            limit: 4096,
        }
    }

    /// SETTINGS of the receiver. What they take back has no effect until the sender answers, which it tells by itself.
    fn allow(&mut self, limit: u32) {
        self.limit = self.limit.max(limit);
        self.library.set_max_allowed_table_size(self.limit as usize);
        for decoder in [&mut self.whole, &mut self.joined, &mut self.lossy.0, &mut self.reckless] {
            decoder.set_limit(limit);
        }
    }

    /// The next block; whether all accept it.
    fn block(&mut self, bytes: &[u8], has_joined: bool, is_lost: bool) -> bool {
        let mut block = Block::default();
        let got = self.whole.decode(bytes, &mut block);
        let mut fields = Fields::new();
        let library =
            self.library.decode_with_cb(bytes, |name, value| fields.push((name.into_owned(), value.into_owned())));
        if !verdict(got, library) {
            return false;
        }
        let truth = fields::meaning(&fields);
        assert_eq!(block, truth, "{fields:?}");
        let sound = fields::is_sound(&fields);
        if has_joined {
            let got = self.joined.decode(bytes, &mut block);
            assert_eq!(got, Ok(()), "joined in mid-life");
            assert!(!sound || is_true(&block, &truth), "joined in mid-life: {block:?} of {fields:?}");
        }
        let (lossy, missed) = &mut self.lossy;
        if is_lost {
            *missed = true;
            return true;
        }
        if std::mem::take(missed) {
            lossy.gap();
        }
        assert_eq!(lossy.decode(bytes, &mut block), Ok(()), "behind a loss");
        assert!(!sound || is_true(&block, &truth), "behind a loss: {block:?} of {fields:?}");
        true
    }

    fn check_memory(&self) {
        for decoder in [&self.whole, &self.joined, &self.lossy.0, &self.reckless] {
            assert!(decoder.memory() <= MEMORY_MAX, "{} bytes", decoder.memory());
        }
    }
}

/// Whether both accept a block. They must agree, but that the library reads no integer of five octets, accepts a size update
/// behind a field, and refuses one at the end of a block, which is no error of the blocks before and behind it.
fn verdict(ours: Result<(), HpackError>, library: Result<(), DecoderError>) -> bool {
    match (ours, library) {
        (Ok(()), Ok(()) | Err(DecoderError::SizeUpdateAtEnd)) => true,
        (Ok(()), Err(DecoderError::IntegerDecodingError(IntegerDecodingError::TooManyOctets)))
        | (Err(_), Err(_))
        | (Err(HpackError::LateSizeUpdate | HpackError::TooManyFields { .. }), Ok(())) => false,
        (ours, library) => panic!("{ours:?}, library {library:?}"),
    }
}

/// Whether all that is known is true.
fn is_true(got: &Block, truth: &Block) -> bool {
    fn fits<T: PartialEq>(got: &Field<T>, truth: &Field<T>) -> bool {
        matches!(got, Field::Unknown(_)) || got == truth
    }
    fits(&got.method, &truth.method)
        && fits(&got.status, &truth.status)
        && fits(&got.content_type, &truth.content_type)
        && fits(&got.grpc_status, &truth.grpc_status)
        && fits(&got.grpc_timeout, &truth.grpc_timeout)
        && (got.is_request == truth.is_request || (truth.is_request && got.maybe_request))
        && (truth.is_post || !got.is_post)
        && (got.unknown_fields > 0 || got == truth)
}
