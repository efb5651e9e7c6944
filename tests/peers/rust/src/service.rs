//! The one service that all peers speak, and what the first message of a call asks for.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

pub const SERVICE: &str = "fleetscope.peers.v1.Peer";
pub const MAX_MESSAGE: usize = 64 << 20;
pub const MAX_METADATA: u32 = 64 << 10;

/// The codec of messages that are bytes and nothing else.
#[derive(Clone, Copy, Default)]
pub struct Raw;

/// What the first message of a call asks of the server.
#[derive(Clone, Copy, Default)]
pub struct Directive {
    pub status: i32,
    pub trailers_only: bool,
    pub delay_ms: u64,
    pub end_delay_ms: u64,
    pub messages: usize,
    pub bytes: usize,
    pub metadata_bytes: usize,
}

// === impl Raw ===

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

// === impl Directive ===

impl Directive {
    pub fn parse(message: &[u8]) -> Result<Self, Status> {
        let line = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = str::from_utf8(line).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let pairs: HashMap<&str, &str> = text.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let number = |name| {
            let value = pairs.get(name).and_then(|value| value.parse::<u32>().ok());
            value.ok_or_else(|| Status::invalid_argument(format!("no number {name} in {text:?}")))
        };
        Ok(Self {
            status: number("status")?.cast_signed(),
            trailers_only: number("trailers_only")? != 0,
            delay_ms: number("delay_ms")?.into(),
            end_delay_ms: number("end_delay_ms")?.into(),
            messages: number("messages")? as usize,
            bytes: number("bytes")? as usize,
            metadata_bytes: number("metadata_bytes")? as usize,
        })
    }

    /// As a line, padded to the size of the call's messages.
    pub fn message(&self) -> Bytes {
        let mut text = format!(
            "status={} trailers_only={} delay_ms={} end_delay_ms={} messages={} bytes={} metadata_bytes={}\n",
            self.status,
            u8::from(self.trailers_only),
            self.delay_ms,
            self.end_delay_ms,
            self.messages,
            self.bytes,
            self.metadata_bytes
        )
        .into_bytes();
        text.resize(text.len().max(self.bytes), b'x');
        text.into()
    }

    pub fn body(&self) -> Bytes {
        vec![b'x'; self.bytes].into()
    }

    /// The call ends with one header block, before anything was sent; a Bidi before the rest of the requests was read.
    pub fn fails_at_once(&self) -> bool {
        self.status != 0 && self.trailers_only
    }

    pub fn outcome(&self) -> Result<(), Status> {
        match self.status {
            0 => Ok(()),
            code => Err(Status::new(Code::from_i32(code), "as asked for")),
        }
    }

    /// Metadata of the asked size that differs from call to call, and that Huffman coding does not make shorter.
    pub fn fill(&self, call: usize) -> Option<MetadataValue<Ascii>> {
        let mut text = format!("{call}-{}", "Z".repeat(self.metadata_bytes));
        text.truncate(self.metadata_bytes);
        (!text.is_empty()).then(|| text.parse().expect("letters and digits"))
    }
}

pub fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
