//! Why an object was not written.

use fleetscope_core::api::conditions::Reason;
use fleetscope_core::resources::ChildKind;
use kube::runtime::watcher;

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
    #[error("failed to {verb} {} {name}: {why}", kind.as_str())]
    Unseen {
        /// What was to be done.
        verb: &'static str,
        /// The kind.
        kind: ChildKind,
        /// The object's name.
        name: String,
        /// What the API server says.
        why: String,
    },
    /// The API server refused, or could not be asked.
    #[error("failed to {verb} {kind} {name}: {}", told(source))]
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

impl Error {
    /// Whether the API server says that it has not done what was asked.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if (400..500).contains(&status.code))
    }
}

/// What the API server says, without what only a program reads: kube's own text ends with the whole answer, field by field.
pub fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        other => other.to_string(),
    }
}

/// The same of a watch.
pub fn told_of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => told(error),
        watcher::Error::WatchError(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_the_api_server_says_is_told_in_its_own_words() {
        let status = Status { code: 422, ..Status::failure("spec.a: Invalid value: 3: must be even", "Invalid") };
        let source = kube::Error::Api(Box::new(status));
        let error = Error::Api { verb: "apply", kind: "PodMonitor", name: "m".to_owned(), source };
        assert_eq!(
            error.to_string(),
            "failed to apply PodMonitor m: spec.a: Invalid value: 3: must be even (422 Invalid)"
        );
        assert!(!error.is_passing());
        let status = || Box::new(Status { code: 410, ..Status::failure("too old", "Expired") });
        let watches = [
            watcher::Error::InitialListFailed(kube::Error::Api(status())),
            watcher::Error::WatchStartFailed(kube::Error::Api(status())),
            watcher::Error::WatchError(status()),
        ];
        assert_eq!(watches.map(|error| told_of_watch(&error)), ["too old (410 Expired)"; 3].map(str::to_owned));
    }

    #[test]
    fn what_may_pass_by_itself_is_known_by_its_code() {
        let passing = |code| {
            let source = kube::Error::Api(Box::new(Status { code, ..Status::failure("no", "No") }));
            Error::Api { verb: "apply", kind: "PodMonitor", name: "m".to_owned(), source }.is_passing()
        };
        let codes: Vec<u16> =
            [400, 403, 404, 409, 422, 429, 500, 503].into_iter().filter(|code| passing(*code)).collect();
        assert_eq!(codes, [409, 429, 500, 503]);
        assert!(Error::Slow { after_s: 1 }.is_passing() && !Error::NotLeading.is_passing());
    }
}
