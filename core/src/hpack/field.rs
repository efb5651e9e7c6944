//! What a field means: of the few names that gRPC needs the value, of all others nothing.

use std::sync::Arc;

use super::block::{ContentType, Fault};
use super::integer::{Literal, Text};
use super::memo::Memo;
use super::{HpackError, PATH_MAX, length};

/// Names are kept up to here: the longest of interest have 12 bytes, and one more tells a longer one from them.
const NAME_KEEP: usize = 13;
/// Other values are kept up to here: a content type's begin, nine bytes of a time limit, ten digits.
const VALUE_KEEP: usize = 64;

/// Name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// It is that of an entry that was never seen.
    Unknown,
    /// `:method`
    Verb,
    /// `:scheme`, `:authority`, `:protocol`
    RequestPseudo,
    /// `:path`
    Path,
    /// `:status`
    Status,
    /// No pseudo-header field, and none of those below.
    Regular,
    /// `content-type`
    ContentType,
    /// `grpc-status`
    GrpcStatus,
    /// `grpc-timeout`
    GrpcTimeout,
}

/// Name of a field, with its value if it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// See [`Name`].
    Unknown,
    /// Whether it is POST.
    Verb(bool),
    /// See [`Name`].
    RequestPseudo,
    /// See [`Name`].
    Path(Result<Arc<str>, Fault>),
    /// See [`Name`].
    Status(Result<u16, Fault>),
    /// See [`Name`].
    Regular,
    /// See [`Name`].
    ContentType(ContentType),
    /// See [`Name`].
    GrpcStatus(Result<u32, Fault>),
    /// In nanoseconds.
    GrpcTimeout(Result<u64, Fault>),
}

/// Makes meanings of strings.
#[derive(Debug)]
pub(super) struct Reading {
    /// Paths by their bytes in the block, so that calls of one method share one string.
    paths: Memo<Arc<str>>,
    /// What is decoded.
    buffer: Vec<u8>,
}

// === impl Name ===

impl Name {
    /// The name as RFC 9113 section 8.2 asks for it, in lower case.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Verb,
            b":scheme" | b":authority" | b":protocol" => Self::RequestPseudo,
            b":path" => Self::Path,
            b":status" => Self::Status,
            b"content-type" => Self::ContentType,
            b"grpc-status" => Self::GrpcStatus,
            b"grpc-timeout" => Self::GrpcTimeout,
            _ => Self::Regular,
        }
    }
}

// === impl Meaning ===

impl Meaning {
    pub(super) fn name(&self) -> Name {
        match self {
            Self::Unknown => Name::Unknown,
            Self::Verb(_) => Name::Verb,
            Self::RequestPseudo => Name::RequestPseudo,
            Self::Path(_) => Name::Path,
            Self::Status(_) => Name::Status,
            Self::Regular => Name::Regular,
            Self::ContentType(_) => Name::ContentType,
            Self::GrpcStatus(_) => Name::GrpcStatus,
            Self::GrpcTimeout(_) => Name::GrpcTimeout,
        }
    }
}

// === impl Reading ===

impl Reading {
    pub(super) fn new() -> Self {
        Self { paths: Memo::new(), buffer: Vec::new() }
    }

    /// A literal name, and how many bytes it has.
    pub(super) fn name(&mut self, literal: Literal<'_>) -> Result<(Name, u32), HpackError> {
        let Text { bytes, len } = literal.text(NAME_KEEP, &mut self.buffer)?;
        Ok((Name::of(bytes), length(len)))
    }

    /// A field with a literal value, and how many bytes the value has.
    pub(super) fn field(&mut self, name: Name, literal: Literal<'_>) -> Result<(Meaning, u32), HpackError> {
        if name == Name::Path {
            return self.path(literal);
        }
        let keep = if matches!(name, Name::Unknown | Name::RequestPseudo | Name::Regular) { 0 } else { VALUE_KEEP };
        let Text { bytes, len } = literal.text(keep, &mut self.buffer)?;
        let whole = if len == bytes.len() { Ok(bytes) } else { Err(Fault::Malformed) };
        let meaning = match name {
            Name::Unknown => Meaning::Unknown,
            Name::Verb => Meaning::Verb(whole == Ok(&b"POST"[..])),
            Name::RequestPseudo => Meaning::RequestPseudo,
            Name::Path | Name::Regular => Meaning::Regular,
            Name::ContentType => Meaning::ContentType(content_type(bytes)),
            Name::Status => Meaning::Status(whole.and_then(status)),
            Name::GrpcStatus => Meaning::GrpcStatus(whole.and_then(number)),
            Name::GrpcTimeout => Meaning::GrpcTimeout(whole.and_then(timeout)),
        };
        Ok((meaning, length(len)))
    }

    fn path(&mut self, literal: Literal<'_>) -> Result<(Meaning, u32), HpackError> {
        let tag = u64::from(literal.huffman);
        if let Some(path) = self.paths.get(tag, literal.bytes) {
            return Ok((Meaning::Path(Ok(Arc::clone(path))), length(path.len())));
        }
        let Text { bytes, len } = literal.text(PATH_MAX, &mut self.buffer)?;
        let path = match str::from_utf8(bytes) {
            _ if len > PATH_MAX => Err(Fault::TooLong),
            Ok(path) => Ok(Arc::from(path)),
            Err(_) => Err(Fault::Malformed),
        };
        if let Ok(path) = &path {
            self.paths.offer(tag, literal.bytes, path);
        }
        Ok((Meaning::Path(path), length(len)))
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.paths.memory() + self.buffer.capacity()
    }
}

/// Three digits (RFC 9110 section 15).
fn status(value: &[u8]) -> Result<u16, Fault> {
    let [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = value else { return Err(Fault::Malformed) };
    let [hundreds, tens, ones] = [hundreds, tens, ones].map(|digit| u16::from(digit - b'0'));
    Ok(100 * hundreds + 10 * tens + ones)
}

/// Digits, at most ten.
fn number(value: &[u8]) -> Result<u32, Fault> {
    if value.is_empty() || value.len() > 10 {
        return Err(Fault::Malformed);
    }
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let number = value.iter().try_fold(0_u64, |number, byte| Some(10 * number + digit(byte)?));
    number.and_then(|number| u32::try_from(number).ok()).ok_or(Fault::Malformed)
}

/// One to eight digits and a unit, in nanoseconds (gRPC over HTTP/2, `Timeout`).
fn timeout(value: &[u8]) -> Result<u64, Fault> {
    let (unit, digits) = value.split_last().ok_or(Fault::Malformed)?;
    let nanoseconds = match unit {
        b'H' => 3_600_000_000_000_u64,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return Err(Fault::Malformed),
    };
    if digits.len() > 8 {
        return Err(Fault::Malformed);
    }
    Ok(nanoseconds.saturating_mul(u64::from(number(digits)?)))
}

/// `application/grpc`, then nothing, a format or parameters; media types ignore case (RFC 9110 section 8.3.1).
fn content_type(value: &[u8]) -> ContentType {
    const GRPC: &[u8] = b"application/grpc";
    match value.split_at_checked(GRPC.len()) {
        Some((media, [] | [b'+' | b';' | b' ' | b'\t', ..])) if media.eq_ignore_ascii_case(GRPC) => ContentType::Grpc,
        _ => ContentType::Other,
    }
}
