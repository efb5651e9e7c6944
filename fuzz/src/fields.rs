//! What a list of header fields says of gRPC, told a second time and in the plainest way, out of whole names and values.

use fleetscope_core::hpack::{Block, ContentType, Fault, Field, PATH_MAX};

/// Names and values.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What the fields say.
pub fn meaning(fields: &Fields) -> Block {
    let values =
        |name: &'static str| fields.iter().filter(move |field| field.0 == name.as_bytes()).map(|field| &field.1[..]);
    let has = |name: &&'static str| values(name).next().is_some();
    Block {
        method: one(values(":path").map(path)),
        is_request: [":method", ":path", ":scheme", ":authority", ":protocol"].iter().any(has),
        is_post: values(":method").any(|verb| verb == b"POST"),
        maybe_request: false,
        status: one(values(":status").map(status)),
        content_type: one(values("content-type").map(|value| Ok(content_type(value)))),
        grpc_status: one(values("grpc-status").map(|value| decimal(value, 10))),
        grpc_timeout: one(values("grpc-timeout").map(timeout)),
        unknown_fields: 0,
    }
}

/// Whether a receiver may take the list for a message (RFC 9113 section 8.3): pseudo-header fields first, none twice, and not those of
/// requests and of responses at once. And whether what gRPC has once is there once.
pub fn is_sound(fields: &Fields) -> bool {
    let count = |name: &str| fields.iter().filter(|field| field.0 == name.as_bytes()).count();
    let is_pseudo =
        |name: &[u8]| [&b":method"[..], b":scheme", b":authority", b":protocol", b":path", b":status"].contains(&name);
    let single = [
        ":method",
        ":scheme",
        ":authority",
        ":protocol",
        ":path",
        ":status",
        "content-type",
        "grpc-status",
        "grpc-timeout",
    ];
    let pseudo = fields.iter().take_while(|field| is_pseudo(&field.0)).count();
    // Another name that begins with a colon is no field at all, whichever message it is in.
    fields[pseudo..].iter().all(|field| field.0.first() != Some(&b':'))
        && single.iter().all(|name| count(name) <= 1)
        && (count(":status") == 0 || pseudo == 1)
}

/// The value that all of them have.
fn one<T: PartialEq>(values: impl Iterator<Item = Result<T, Fault>>) -> Field<T> {
    let values: Vec<_> = values.collect();
    let Some(first) = values.first() else { return Field::Absent };
    // Two that are of no use are two values: they may differ.
    if values.len() > 1 && (first.is_err() || values.iter().any(|value| value != first)) {
        return Field::Invalid(Fault::Repeated);
    }
    match values.into_iter().next() {
        Some(Ok(value)) => Field::Known(value),
        Some(Err(fault)) => Field::Invalid(fault),
        None => Field::Absent,
    }
}

fn path(value: &[u8]) -> Result<std::sync::Arc<str>, Fault> {
    if value.len() > PATH_MAX {
        return Err(Fault::TooLong);
    }
    str::from_utf8(value).map(Into::into).map_err(|_| Fault::Malformed)
}

fn status(value: &[u8]) -> Result<u16, Fault> {
    let number = decimal(value, 3)?;
    u16::try_from(number).ok().filter(|number| *number >= 100).ok_or(Fault::Malformed)
}

fn decimal(value: &[u8], most: usize) -> Result<u32, Fault> {
    let text = str::from_utf8(value).map_err(|_| Fault::Malformed)?;
    let digits = text.len() <= most && text.chars().all(|char| char.is_ascii_digit());
    if digits { text.parse().map_err(|_| Fault::Malformed) } else { Err(Fault::Malformed) }
}

fn timeout(value: &[u8]) -> Result<u64, Fault> {
    let (unit, digits) = value.split_last().ok_or(Fault::Malformed)?;
    let seconds = [(b'H', 3600), (b'M', 60), (b'S', 1)].iter().find(|(name, _)| name == unit);
    let parts = [(b'm', 1_000_000), (b'u', 1000), (b'n', 1)].iter().find(|(name, _)| name == unit);
    let unit: u64 = match (seconds, parts) {
        (Some((_, seconds)), _) => seconds * 1_000_000_000,
        (None, Some((_, nanoseconds))) => *nanoseconds,
        (None, None) => return Err(Fault::Malformed),
    };
    Ok(unit.saturating_mul(decimal(digits, 8)?.into()))
}

fn content_type(value: &[u8]) -> ContentType {
    let value = value.to_ascii_lowercase();
    let rest = value.strip_prefix(b"application/grpc");
    let ends = |rest: &[u8]| rest.first().is_none_or(|next| b"+; \t".contains(next));
    if rest.is_some_and(ends) { ContentType::Grpc } else { ContentType::Other }
}
