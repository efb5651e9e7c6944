//! The watch of the `AgentFleet` objects. The kind may be installed later than the agent.

use fleetscope_core::api::AgentFleet;
use fleetscope_core::tasks::tracker::{FleetError, FleetView};
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use tokio::sync::mpsc::Sender;

use crate::readiness::{Part, Readiness};
use crate::watches::{Change, Watch, within};

/// Changes of fleets, told apart by namespace and name.
pub type FleetChange = Change<(String, String), FleetView>;

/// Follows the fleets of these namespaces, of all if none is named, until the receiver is gone.
pub async fn follow(client: Client, namespaces: &[String], readiness: &Readiness, out: Sender<FleetChange>) {
    let watch: Watch<AgentFleet, (String, String), FleetView, FleetError> = Watch {
        kind: "AgentFleet",
        part: Part::Fleets,
        key: |meta| Some((meta.namespace.clone()?, meta.name.clone()?)),
        view: FleetView::from_fleet,
    };
    watch.follow(within(Api::all(client), namespaces), Config::default(), readiness, out).await;
}
