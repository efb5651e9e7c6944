//! Whose the gRPC calls of a group are, for [`crate::rpc::RpcSeries`].

use std::sync::Arc;

use super::Tracker;
use super::cgroups::Place;
use super::containers::{State, nobody};
use super::fleets::{Fid, NOBODY};
use super::identities::Iid;
use super::lost::LostReason;
use crate::rpc::Settings;
use crate::series::Identity;

/// An identity in use, with what its fleet says about calls. To be given back by [`Tracker::leave_calls`].
#[derive(Debug)]
pub(crate) struct CallIdentity {
    iid: Iid,
    /// Whose the series are.
    pub(crate) identity: Arc<Identity>,
    /// What the fleet says.
    pub(crate) settings: Arc<Settings>,
    /// Why it is not the container's own.
    pub(crate) stand_in: Option<LostReason>,
}

// === impl CallIdentity ===

impl PartialEq for CallIdentity {
    /// Equal settings of an edited fleet are others.
    fn eq(&self, other: &Self) -> bool {
        self.iid == other.iid
            && Arc::ptr_eq(&self.identity, &other.identity)
            && Arc::ptr_eq(&self.settings, &other.settings)
            && self.stand_in == other.stand_in
    }
}

/// Whose the calls of a group are.
#[derive(Debug)]
pub(crate) enum CallOwner {
    /// An observed container's.
    Known(CallIdentity),
    /// Not observed: no fleet, a suspended one, or one that does not want its calls observed.
    Hidden,
    /// Not known yet.
    Waiting,
}

impl Tracker {
    /// Whose the calls of a group are. Where it is not known and was `waited` for long enough, a stand-in is given: the pod's, else that of nobody.
    pub(crate) fn enter_calls(&mut self, cgroup: u64, waited: bool) -> CallOwner {
        let place = self.cgroups.container(cgroup).cloned();
        let cid = match place {
            Some(Place::Container(cid)) => Some(cid),
            Some(Place::Above) => return CallOwner::Hidden,
            Some(Place::Pod(_) | Place::Unknown) | None => None,
        };
        let container = cid.and_then(|cid| self.containers.all.get(cid));
        let (iid, fid, stand_in) = match container.map(|container| container.state) {
            Some(State::Ignored | State::Foreign) => return CallOwner::Hidden,
            Some(State::Known { iid, fid }) => {
                self.identities.hold(iid);
                (iid, fid, None)
            }
            Some(State::Waiting | State::Provisional { .. }) | None if !waited => return CallOwner::Waiting,
            Some(State::Waiting | State::Provisional { .. }) | None => {
                let (identity, fid, reason) = match container {
                    Some(container) => match self.stand_in(container) {
                        (_, _, LostReason::IdentityTimeout) if self.limits.some_namespaces => return CallOwner::Hidden,
                        found => found,
                    },
                    None => (nobody(), NOBODY, LostReason::CgroupUnknown),
                };
                (self.identities.acquire(identity, &mut self.registry), fid, Some(reason))
            }
        };
        self.call_identity(iid, fid, stand_in)
    }

    /// What belongs to nobody.
    pub(crate) fn enter_calls_of_nobody(&mut self, reason: LostReason) -> CallOwner {
        let iid = self.identities.acquire(nobody(), &mut self.registry);
        self.call_identity(iid, NOBODY, Some(reason))
    }

    fn call_identity(&mut self, iid: Iid, fid: Fid, stand_in: Option<LostReason>) -> CallOwner {
        let settings = self.fleets.get(fid).map(|fleet| Arc::clone(&fleet.calls));
        let identity = self.identities.get(iid).map(Arc::clone);
        match (identity, settings) {
            (Some(identity), Some(settings)) if settings.enabled => {
                CallOwner::Known(CallIdentity { iid, identity, settings, stand_in })
            }
            _ => {
                self.identities.release(iid, &mut self.registry, self.now);
                CallOwner::Hidden
            }
        }
    }

    /// Gives an identity back. If nothing else uses it, its series are dropped at `drop_at`.
    pub(crate) fn leave_calls(&mut self, identity: &CallIdentity, drop_at: u64) {
        self.identities.release(identity.iid, &mut self.registry, drop_at);
    }

    /// Counts calls that are told under a stand-in.
    pub(crate) fn count_lost_calls(&mut self, reason: LostReason, calls: usize) {
        reason.count(&mut self.registry, calls);
    }

    /// Whether there is such a group in a pod, removed ones included whose records may still come.
    pub(crate) fn knows_group(&self, cgroup: u64) -> bool {
        self.cgroups.container(cgroup).is_some_and(|place| *place != Place::Above)
    }

    /// A group has calls and is not known.
    pub(crate) fn want_scan(&mut self) {
        self.scan_wanted = true;
    }

    /// Whether what waits since `since` for the identity of its container has waited long enough.
    pub(crate) fn has_waited(&self, since: u64, now: u64) -> bool {
        self.synced_at.is_some_and(|synced| now.saturating_sub(since.max(synced)) >= self.limits.pending_for)
    }

    /// Nanoseconds for which the series of what is gone stay.
    pub(crate) fn grace(&self) -> u64 {
        self.limits.grace
    }

    /// Changes whenever an earlier answer of [`Self::enter_calls`] may have become another.
    pub(crate) fn owners_version(&self) -> u64 {
        self.owners_version
    }
}
