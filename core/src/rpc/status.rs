//! Statuses of calls: grpc-status, and what stands for it where there is none.
//!
//! Sources: grpc/doc/statuscodes.md (the codes), grpc/doc/PROTOCOL-HTTP2.md "Errors" (resets), grpc/doc/http-grpc-status-mapping.md
//! (responses without grpc-status), OpenTelemetry's semantic conventions for gRPC (which codes are errors of which role).

use super::call::Role;
use crate::checkpoint::saved_enum;
use crate::metrics::OTHER;

/// How a call ended: values of the label `rpc_status_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// 0
    Ok,
    /// 1
    Cancelled,
    /// 2
    Unknown,
    /// 3
    InvalidArgument,
    /// 4
    DeadlineExceeded,
    /// 5
    NotFound,
    /// 6
    AlreadyExists,
    /// 7
    PermissionDenied,
    /// 8
    ResourceExhausted,
    /// 9
    FailedPrecondition,
    /// 10
    Aborted,
    /// 11
    OutOfRange,
    /// 12
    Unimplemented,
    /// 13
    Internal,
    /// 14
    Unavailable,
    /// 15
    DataLoss,
    /// 16
    Unauthenticated,
    /// It has a status, and it cannot be known which.
    Other,
}

/// Codes of `RST_STREAM` (RFC 9113 section 7) that do not mean INTERNAL.
const REFUSED_STREAM: u32 = 0x7;
const CANCEL: u32 = 0x8;
const ENHANCE_YOUR_CALM: u32 = 0xb;
const INADEQUATE_SECURITY: u32 = 0xc;

saved_enum!(Status, Status::ALL);

// === impl Status ===

impl Status {
    /// All; a code is at its own place, and [`Status::Other`] is the last.
    pub const ALL: [Self; 18] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
        Self::Other,
    ];

    /// Value of the label `rpc_status_code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Other => OTHER,
        }
    }

    /// Value of the label `error_type`; `None` if it is no error for that role. A status that cannot be known is told as an
    /// error of unknown type, as it must not pass for a success.
    pub fn error_type(self, role: Role) -> Option<&'static str> {
        let is_error = match role {
            Role::Client => self != Self::Ok,
            Role::Server => matches!(
                self,
                Self::Unknown
                    | Self::DeadlineExceeded
                    | Self::Unimplemented
                    | Self::Internal
                    | Self::Unavailable
                    | Self::DataLoss
                    | Self::Other
            ),
        };
        is_error.then(|| self.as_str())
    }

    /// The value of grpc-status. What is no code of gRPC is UNKNOWN, as it is for gRPC's own clients.
    pub(super) fn from_code(code: u32) -> Self {
        match usize::try_from(code) {
            Ok(code) if code < Self::ALL.len() - 1 => Self::ALL[code],
            _ => Self::Unknown,
        }
    }

    /// What a client takes for the status of a response that ended without grpc-status.
    pub(super) fn from_http(status: u16) -> Self {
        match status {
            400 | 431 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The status of a call whose stream was reset with `code`. `expired` says whether its grpc-timeout has run out, `None` if
    /// that cannot be known. `STREAM_CLOSED`, for which the table has nothing, and codes that are not in it are INTERNAL, as
    /// RFC 9113 section 7 says of codes that one does not know.
    pub(super) fn from_reset(code: u32, expired: Option<bool>) -> Self {
        match code {
            CANCEL => match expired {
                Some(true) => Self::DeadlineExceeded,
                Some(false) => Self::Cancelled,
                None => Self::Other,
            },
            REFUSED_STREAM => Self::Unavailable,
            ENHANCE_YOUR_CALM => Self::ResourceExhausted,
            INADEQUATE_SECURITY => Self::PermissionDenied,
            _ => Self::Internal,
        }
    }
}
