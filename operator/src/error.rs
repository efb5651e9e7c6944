//! Why an object was not written.

use fleetscope_core::api::conditions::Reason;
use fleetscope_core::resources::ChildKind;

use crate::owner::OwnerKey;

/// Why an object was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object of that name is not ours, and stays as it is.
    #[error("failed to apply {} {name}: an object of that name exists, and {owner} does not control it", kind.as_str())]
    NameConflict {
        /// Its kind.
        kind: ChildKind,
        /// Its name.
        name: String,
        /// Who wants it.
        owner: OwnerKey,
    },
    /// The kind is not installed.
    #[error("failed to apply {} {name}: the kind is not installed", kind.as_str())]
    NotInstalled {
        /// The kind.
        kind: ChildKind,
        /// The object's name.
        name: String,
    },
    /// Objects of the kind cannot be seen.
    #[error("failed to apply {} {name}: {why}", kind.as_str())]
    Unseen {
        /// The kind.
        kind: ChildKind,
        /// The object's name.
        name: String,
        /// What the API server says.
        why: String,
    },
    /// The API server refused, or could not be asked.
    #[error("failed to {verb} {kind} {name}: {source}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What went wrong.
        source: kube::Error,
    },
    /// The API server did not answer in time.
    #[error("failed to finish within {after_s} s: the API server answers slowly")]
    Slow {
        /// The limit.
        after_s: u64,
    },
    /// This process does not lead any more.
    #[error("failed to write: this process does not lead any more")]
    NotLeading,
}

// === impl Error ===

impl Error {
    /// Why `Programmed` is not True.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NameConflict { .. } => Reason::NameConflict,
            Self::NotInstalled { .. } => Reason::CrdNotInstalled,
            Self::Unseen { .. } | Self::Api { .. } | Self::Slow { .. } | Self::NotLeading => Reason::ApplyFailed,
        }
    }

    /// Whether trying again by itself may help. A kind that is installed later, and one that is seen later, wake the owner up.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::NotInstalled { .. } | Self::Unseen { .. })
    }

    /// Whether it may well pass by itself before somebody would read of it: the API server was busy, or the object changed meanwhile.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Api { source: kube::Error::Api(status), .. } => matches!(status.code, 409 | 429 | 500..),
            Self::Api { .. } | Self::Slow { .. } => true,
            Self::NameConflict { .. } | Self::NotInstalled { .. } | Self::Unseen { .. } | Self::NotLeading => false,
        }
    }
}
