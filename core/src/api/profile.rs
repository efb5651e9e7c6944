//! `spec.profile`: which system a fleet's agents belong to.
//!
//! The enum only names the profiles; what each of them says is data, in [`crate::profiles`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which system the fleet's agents belong to.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema,
)]
pub enum ProfileName {
    /// Any agents: processes are named after their executables, `git merge` knows conflicts.
    #[default]
    Generic,
    /// Agents of Sloth Runner.
    SlothRunner,
    /// The agents of Golden Armada.
    GoldenArmada,
    /// The Agent Orchestrator and its workers.
    AgentOrchestrator,
    /// The ATOLL deployment server and its agents.
    Atoll,
    /// The DevOps Agent.
    DevOpsAgent,
}

// === impl ProfileName ===

impl ProfileName {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Generic, Self::SlothRunner, Self::GoldenArmada, Self::AgentOrchestrator, Self::Atoll, Self::DevOpsAgent];

    /// The name as in a fleet's spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "Generic",
            Self::SlothRunner => "SlothRunner",
            Self::GoldenArmada => "GoldenArmada",
            Self::AgentOrchestrator => "AgentOrchestrator",
            Self::Atoll => "Atoll",
            Self::DevOpsAgent => "DevOpsAgent",
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
