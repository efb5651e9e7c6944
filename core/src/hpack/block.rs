//! What a header block says, as far as gRPC needs it.

use std::sync::Arc;

use super::field::Meaning;

/// Which entry of a dynamic table: stable while the connection lives, also for entries that were never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// How often the table became unknown: two entries of different epochs may or may not be the same.
    pub epoch: u32,
    /// Which insert of this epoch, from 0; negative for entries from before it, -1 for the newest of those.
    pub ordinal: i64,
}

/// One field of a header block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The block has no such field.
    #[default]
    Absent,
    /// The block has it, with this value.
    Known(T),
    /// The block may have it: at least one field whose name is not known stands where it can stand. The first of those is
    /// named here; it is `None` if that field is in no table, so that it has no identity.
    Unknown(Option<EntryId>),
    /// The block has it, with a value that is of no use.
    Invalid(Fault),
}

/// Why a value is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More than [`PATH_MAX`](super::PATH_MAX) bytes.
    TooLong,
    /// Not of the form that its specification asks for.
    Malformed,
    /// The field is there twice, with two values.
    Repeated,
}

/// Kind of a content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/grpc`, with or without `+format` and parameters. Not `application/grpc-web`, whose trailers are in its body.
    Grpc,
    /// Any other.
    Other,
}

/// What a header block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// `:path`: for gRPC the method, `/package.Service/Method`. UTF-8, at most [`PATH_MAX`](super::PATH_MAX) bytes.
    pub method: Field<Arc<str>>,
    /// The block is a request: it has one of `:method`, `:path`, `:scheme`, `:authority`, `:protocol`.
    pub is_request: bool,
    /// The block is a request with the `:method` POST, as all of gRPC are.
    pub is_post: bool,
    /// The block may be a request: nothing says what it is, and a field whose name is not known may say so.
    pub maybe_request: bool,
    /// `:status`, 100 to 999.
    pub status: Field<u16>,
    /// `content-type`
    pub content_type: Field<ContentType>,
    /// `grpc-status`, any number of 32 bits.
    pub grpc_status: Field<u32>,
    /// `grpc-timeout` in nanoseconds; what does not fit, 584 years and more, is [`u64::MAX`].
    pub grpc_timeout: Field<u64>,
    /// Fields whose name is not known.
    pub unknown_fields: u32,
}

/// A block while its fields come in.
///
/// Pseudo-header fields come before all others (RFC 9113 section 8.3; a message where they do not is malformed and is rejected):
/// so an unknown field after a known other one is no pseudo-header field, and one before a known pseudo-header field is one.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    block: &'a mut Block,
    /// A field is known that is no pseudo-header field.
    regular: bool,
    /// First unknown field that may be a pseudo-header field.
    maybe_pseudo: Option<Candidate>,
    /// First unknown field that may be none.
    maybe_regular: Option<Candidate>,
}

/// A field whose name is not known.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its entry, if it is in a table.
    entry: Option<EntryId>,
}

// === impl Field ===

impl<T> Field<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        if let Self::Known(value) = self { Some(value) } else { None }
    }

    fn may_be(&mut self, candidate: Option<Candidate>) {
        if let (Self::Absent, Some(Candidate { entry })) = (&*self, candidate) {
            *self = Self::Unknown(entry);
        }
    }
}

impl<T: Clone + PartialEq> Field<T> {
    fn set(&mut self, value: &Result<T, Fault>) {
        *self = match (&*self, value) {
            (Self::Absent, Ok(value)) => Self::Known(value.clone()),
            (Self::Absent, Err(fault)) => Self::Invalid(*fault),
            (Self::Known(old), Ok(new)) if old == new => return,
            _ => Self::Invalid(Fault::Repeated),
        }
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) fn new(block: &'a mut Block) -> Self {
        *block = Block::default();
        Self { block, regular: false, maybe_pseudo: None, maybe_regular: None }
    }

    /// One more field that is known.
    pub(super) fn known(&mut self, meaning: &Meaning) {
        match meaning {
            Meaning::Unknown => return self.unknown(None),
            Meaning::Verb(post) => {
                self.block.is_request = true;
                self.block.is_post |= post;
            }
            Meaning::RequestPseudo => self.block.is_request = true,
            Meaning::Path(path) => {
                self.block.is_request = true;
                self.block.method.set(path);
            }
            Meaning::Status(status) => self.block.status.set(status),
            Meaning::Regular => {}
            Meaning::ContentType(kind) => self.block.content_type.set(&Ok(*kind)),
            Meaning::GrpcStatus(status) => self.block.grpc_status.set(status),
            Meaning::GrpcTimeout(timeout) => self.block.grpc_timeout.set(timeout),
        }
        if matches!(meaning, Meaning::Verb(_) | Meaning::RequestPseudo | Meaning::Path(_) | Meaning::Status(_)) {
            self.maybe_regular = None;
        } else {
            self.regular = true;
        }
    }

    /// One more field whose name is not known.
    pub(super) fn unknown(&mut self, entry: Option<EntryId>) {
        self.block.unknown_fields += 1;
        self.maybe_regular.get_or_insert(Candidate { entry });
        if !self.regular {
            self.maybe_pseudo.get_or_insert(Candidate { entry });
        }
    }

    /// All fields are in: what the unknown ones may be.
    pub(super) fn finish(self) {
        let Self { block, maybe_pseudo, maybe_regular, .. } = self;
        // A block is a request or a response, never both.
        let is_response = block.status != Field::Absent;
        block.maybe_request = maybe_pseudo.is_some() && !block.is_request && !is_response;
        if !is_response {
            block.method.may_be(maybe_pseudo);
        }
        if !block.is_request {
            block.status.may_be(maybe_pseudo);
        }
        block.content_type.may_be(maybe_regular);
        block.grpc_status.may_be(maybe_regular);
        block.grpc_timeout.may_be(maybe_regular);
    }
}
