//! The call tracker's own counts as series.

use crate::metrics::{
    RPC_CALLS, RPC_CONNECTIONS, RPC_CONNECTIONS_OPAQUE, RPC_EVICTIONS, RPC_FAULTS, RPC_GAPS, RPC_LOST,
    RPC_OTHER_REQUESTS, RPC_STATE, RPC_UNKNOWN_STATUS, RPC_UNNAMED,
};
use crate::rpc::{Counts, Loss, Opaque, Unnamed};
use crate::series::Registry;

impl Counts {
    /// Sets the series of the node agent that say what of the calls is known, and what is not. All reasons are there from the first time on.
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes are below 2^53")]
    pub fn show(&self, registry: &mut Registry) {
        let mut set = |metric, labels: &[&str], count: u64| registry.set(metric, None, labels, count as f64);
        set(&RPC_CALLS, &["started"], self.started);
        set(&RPC_CALLS, &["finished"], self.finished);
        for unnamed in Unnamed::ALL {
            set(&RPC_UNNAMED, &[unnamed.as_str()], self.unnamed(unnamed));
        }
        for loss in Loss::ALL {
            set(&RPC_LOST, &[loss.as_str()], self.lost(loss));
        }
        set(&RPC_CONNECTIONS, &["open"], self.open);
        for opaque in Opaque::ALL {
            set(&RPC_CONNECTIONS_OPAQUE, &[opaque.as_str()], self.opaque(opaque));
            // Encrypted ones are not held.
            if opaque != Opaque::Tls {
                set(&RPC_CONNECTIONS, &[opaque.as_str()], self.open_opaque[opaque as usize]);
            }
        }
        set(&RPC_EVICTIONS, &["connection"], self.evicted_connections);
        set(&RPC_EVICTIONS, &["stream"], self.evicted_streams);
        set(&RPC_UNKNOWN_STATUS, &[], self.unknown_status);
        set(&RPC_FAULTS, &[], self.faults);
        set(&RPC_GAPS, &[], self.gaps);
        set(&RPC_OTHER_REQUESTS, &[], self.other_requests);
        set(&RPC_STATE, &[], self.bytes);
    }
}
