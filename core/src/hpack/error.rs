//! Why a header block cannot be decoded.

/// Why a header block cannot be decoded. The endpoint that received it closes its connection (RFC 7541 section 2.3.3, RFC 9113
/// section 4.3), unless bytes of the connection were lost on the way here without being noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    /// The block has more than [`BLOCK_MAX`](super::BLOCK_MAX) bytes.
    #[error("failed to decode header block: {got} bytes, at most {max} are allowed")]
    BlockTooLong {
        /// Bytes of the block.
        got: usize,
        /// Most bytes.
        max: usize,
    },
    /// The block has more than [`FIELDS_MAX`](super::FIELDS_MAX) fields.
    #[error("failed to decode header block: more than {max} fields")]
    TooManyFields {
        /// Most fields.
        max: u32,
    },
    /// The block ends within a field.
    #[error("failed to decode header block: it ends within a field")]
    Truncated,
    /// An integer has more than five octets after its prefix, or does not fit in 32 bits (RFC 7541 section 5.1).
    #[error("failed to decode header block: an integer is too large")]
    IntegerTooLarge,
    /// The index is 0, or there can be no entry at it (RFC 7541 sections 2.3.3, 6.1).
    #[error("failed to decode header block: no entry at index {index}")]
    NoSuchIndex {
        /// Index in the address space of both tables.
        index: u32,
    },
    /// A string holds the end-of-string symbol (RFC 7541 section 5.2).
    #[error("failed to decode header block: a Huffman string holds the end-of-string symbol")]
    EndOfString,
    /// A string's padding is longer than 7 bits, or is not the begin of the end-of-string symbol (RFC 7541 section 5.2).
    #[error("failed to decode header block: a Huffman string has wrong padding")]
    Padding,
    /// A size update comes after a field (RFC 7541 section 4.2).
    #[error("failed to decode header block: a table size update after a field")]
    LateSizeUpdate,
    /// A size update goes beyond what the receiver allowed (RFC 7541 section 6.3).
    #[error("failed to decode header block: a table size update to {size} bytes, at most {limit} are allowed")]
    SizeUpdateTooLarge {
        /// The new size in bytes.
        size: u32,
        /// Most bytes.
        limit: u32,
    },
}

impl HpackError {
    /// All values of [`HpackError::reason`], so that counters can start at 0.
    pub const REASONS: [&'static str; 7] = [
        "hpack_block_too_long",
        "hpack_fields",
        "hpack_truncated",
        "hpack_integer",
        "hpack_index",
        "hpack_huffman",
        "hpack_size_update",
    ];

    /// The value of a label `reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BlockTooLong { .. } => "hpack_block_too_long",
            Self::TooManyFields { .. } => "hpack_fields",
            Self::Truncated => "hpack_truncated",
            Self::IntegerTooLarge => "hpack_integer",
            Self::NoSuchIndex { .. } => "hpack_index",
            Self::EndOfString | Self::Padding => "hpack_huffman",
            Self::LateSizeUpdate | Self::SizeUpdateTooLarge { .. } => "hpack_size_update",
        }
    }
}
