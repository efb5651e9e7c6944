//! What the operator would make of objects from files, by its own builders, and what it would find wrong with them.
//!
//! Of what only a cluster knows the following is taken: an object without a creationTimestamp is younger than any with one, and of those of
//! one age that is the elder one whose name comes first; namespaces have the labels of the Namespace documents that are among the files, and
//! that of their name, which the API server gives them.

use std::collections::{BTreeMap, BTreeSet};

use fleetscope_core::alerting::{Policy, Rendered, SelectedFleet, of_policy};
use fleetscope_core::api::agent_fleet::ScrapeOutput;
use fleetscope_core::api::alerting::Alerting;
use fleetscope_core::api::{AgentFleet, AlertPolicy, ClusterAlertPolicy};
use fleetscope_core::pods::{disjoint, selects};
use fleetscope_core::prices;
use fleetscope_core::resources::scrape_policy::{self, FleetRef};
use fleetscope_core::resources::{Desired, Fault, Installed, Site, fleet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::{Objects, Place, Placed, title};
use crate::exit::Problem;

/// Label that the API server gives each namespace: its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// An object, and from where it is made.
pub(crate) struct Made {
    /// `AgentFleet team-a/coders, fleet.yaml:1`.
    pub(crate) origin: String,
    /// The object.
    pub(crate) object: Value,
}

/// All that is made of objects.
#[derive(Default)]
pub(crate) struct Makings {
    /// The objects, fleets' before policies'.
    pub(crate) made: Vec<Made>,
    /// What is not wrong, and still hardly meant.
    pub(crate) warnings: Vec<Problem>,
}

/// Makes everything, or tells everything that is wrong.
pub(crate) fn make(objects: &Objects, site: &Site, installed: Installed, faults: &mut Vec<Problem>) -> Makings {
    let mut all = Makings::default();
    for placed in &objects.fleets {
        all.add(placed, fleet::desired(&placed.object, site, installed));
        all.idle(placed, placed.object.spec.suspend);
        if placed.object.spec.scrape.output == ScrapeOutput::None {
            let (place, title) = (placed.place.at("spec.scrape.output"), title(&placed.object));
            all.warnings.push(Problem::new(
                format!("{place}: {title}: spec.scrape.output is None, nobody scrapes it"),
                "name a kind with --output to see what would be made",
            ));
        }
    }
    for placed in &objects.scrape_policies {
        let policy = &placed.object;
        let fleets = by_name(objects)
            .into_iter()
            .filter(|fleet| fleet.namespace() == policy.namespace() && selects(&policy.spec.fleets, fleet.labels()));
        let fleet = |fleet: &AgentFleet| FleetRef { elders: elders(objects, fleet), ..FleetRef::of(fleet) };
        let fleets: Vec<FleetRef> = fleets.map(fleet).collect();
        match scrape_policy::desired(policy, &fleets, site, installed) {
            Ok(made) => all.add(placed, made),
            Err(found) => tell(placed, &found, faults),
        }
        all.idle(placed, policy.spec.suspend);
    }
    for placed in &objects.alert_policies {
        let fleets = selected(
            objects,
            |fleet| takes(&placed.object, fleet),
            |fleet| {
                let before =
                    |other: &&Placed<AlertPolicy>| takes(&other.object, fleet) && decides(&other.object.spec.alerting);
                decides(&placed.object.spec.alerting)
                    && first(&placed.object, objects.alert_policies.iter().filter(before))
            },
        );
        let made = of_policy(Policy::Namespaced(&placed.object), &fleets, site, installed);
        all.policy(placed, made, placed.object.spec.alerting.suspend, faults);
    }
    for placed in &objects.cluster_alert_policies {
        let policy = &placed.object;
        let fleets = selected(
            objects,
            |fleet| reaches(objects, policy, fleet),
            |fleet| {
                let before = |other: &&Placed<ClusterAlertPolicy>| {
                    let other = &other.object;
                    !other.spec.enforced && reaches(objects, other, fleet) && decides(&other.spec.alerting)
                };
                decides(&policy.spec.alerting)
                    && (policy.spec.enforced || first(policy, objects.cluster_alert_policies.iter().filter(before)))
            },
        );
        all.unknown_namespaces(objects, placed);
        let made = of_policy(Policy::Cluster(policy), &fleets, site, installed);
        all.policy(placed, made, policy.spec.alerting.suspend, faults);
    }
    for placed in &objects.price_lists {
        tell(placed, &prices::check(&placed.object.spec), faults);
    }
    all
}

// === impl Makings ===

impl Makings {
    fn add<K: Resource<DynamicType = ()>>(&mut self, placed: &Placed<K>, made: Vec<Desired>) {
        let origin = format!("{}, {}", title(&placed.object), placed.place);
        self.made.extend(made.into_iter().map(|made| Made { origin: origin.clone(), object: made.body }));
    }

    fn policy<K: Resource<DynamicType = ()>>(
        &mut self,
        placed: &Placed<K>,
        made: Result<Rendered, Vec<Fault>>,
        suspended: bool,
        faults: &mut Vec<Problem>,
    ) {
        match made {
            Ok(made) => {
                let warning = |text: &String| {
                    let (path, _) = text.split_once(": ").unwrap_or_default();
                    let problem = format!("{}: {}: {text}", placed.place.at(path), title(&placed.object));
                    Problem::new(problem, "correct it, or leave it if it is meant so")
                };
                self.warnings.extend(made.warnings.iter().map(warning));
                self.add(placed, made.objects);
            }
            Err(found) => tell(placed, &found, faults),
        }
        self.idle(placed, suspended);
    }

    /// Whether a policy reaches a namespace is open where its labels are not among the files.
    fn unknown_namespaces(&mut self, objects: &Objects, placed: &Placed<ClusterAlertPolicy>) {
        let policy = &placed.object;
        let fleets = objects.fleets.iter().map(|fleet| &fleet.object);
        let left_out = fleets.filter(|fleet| {
            let name = fleet.namespace().unwrap_or_default();
            let known = objects.namespaces.contains_key(&name);
            let named = BTreeMap::from([(NAME_LABEL.to_owned(), name)]);
            let named = LabelSelector { match_labels: Some(named), ..LabelSelector::default() };
            let open = !known && !disjoint(&policy.spec.namespaces, &named);
            open && selects(&policy.spec.fleets, fleet.labels()) && !reaches(objects, policy, fleet)
        });
        let names: BTreeSet<String> = left_out.filter_map(ResourceExt::namespace).collect();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            self.warnings.push(Problem::new(
                format!(
                    "{}: {}: spec.namespaces: no Namespace document tells the labels of {}: its fleets are left out",
                    placed.place.at("spec.namespaces"),
                    title(policy),
                    names.join(", ")
                ),
                "add the Namespace documents, as kubectl get namespaces -o yaml prints them",
            ));
        }
    }

    fn idle<K: Resource<DynamicType = ()>>(&mut self, placed: &Placed<K>, suspended: bool) {
        if suspended {
            self.warnings.push(Problem::new(
                format!(
                    "{}: {} is suspended, nothing is made for it",
                    placed.place.at("spec.suspend"),
                    title(&placed.object)
                ),
                "set spec.suspend to false to see what would be made",
            ));
        }
    }
}

/// What the operator would say in the condition Accepted.
fn tell<K: Resource<DynamicType = ()>>(placed: &Placed<K>, found: &[Fault], faults: &mut Vec<Problem>) {
    let place: &Place = &placed.place;
    faults.extend(found.iter().map(|fault| {
        let Fault { path, message, remedy, .. } = fault;
        Problem::new(format!("{}: {}: {path}: {message}", place.at(path), title(&placed.object)), remedy.clone())
    }));
}

/// The fleets that a policy selects.
fn selected(
    objects: &Objects,
    takes: impl Fn(&AgentFleet) -> bool,
    decides: impl Fn(&AgentFleet) -> bool,
) -> Vec<SelectedFleet> {
    let fleets = by_name(objects).into_iter().filter(|fleet| takes(fleet));
    let fleet = |fleet: &AgentFleet| SelectedFleet {
        namespace: fleet.namespace().unwrap_or_default(),
        name: fleet.name_any(),
        profile: fleet.spec.profile.as_str().to_owned(),
        decides: decides(fleet),
        call_bounds: fleet.spec.grpc.buckets.clone(),
    };
    fleets.map(fleet).collect()
}

fn takes(policy: &AlertPolicy, fleet: &AgentFleet) -> bool {
    policy.namespace() == fleet.namespace() && selects(&policy.spec.fleets, fleet.labels())
}

fn reaches(objects: &Objects, policy: &ClusterAlertPolicy, fleet: &AgentFleet) -> bool {
    let namespace = fleet.namespace().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = objects.namespaces.get(&namespace).cloned().unwrap_or_default();
    labels.insert(NAME_LABEL.to_owned(), namespace);
    selects(&policy.spec.namespaces, &labels) && selects(&policy.spec.fleets, fleet.labels())
}

fn decides(alerting: &Alerting) -> bool {
    alerting.catalogue.enabled && !alerting.suspend
}

/// Whether no other policy comes before this one.
fn first<'a, K: Resource<DynamicType = ()> + 'a>(policy: &K, mut others: impl Iterator<Item = &'a Placed<K>>) -> bool {
    !others.any(|other| age(&other.object) < age(policy))
}

/// The fleets in the order in which the operator has them, so that the objects are the same.
fn by_name(objects: &Objects) -> Vec<&AgentFleet> {
    let mut fleets: Vec<&AgentFleet> = objects.fleets.iter().map(|fleet| &fleet.object).collect();
    fleets.sort_by_key(|fleet| (fleet.namespace(), fleet.name_any()));
    fleets
}

/// Selectors of the elder fleets that may take pods of this one, by name.
fn elders(objects: &Objects, fleet: &AgentFleet) -> Vec<LabelSelector> {
    let all = objects.fleets.iter().chain(&objects.left_out).map(|other| &other.object);
    let mut elders: Vec<&AgentFleet> = all
        .filter(|other| other.namespace() == fleet.namespace() && age(*other) < age(fleet))
        .filter(|other| !disjoint(&other.spec.selector, &fleet.spec.selector))
        .collect();
    elders.sort_by_key(|other| other.name_any());
    elders.into_iter().map(|other| other.spec.selector.clone()).collect()
}

/// Second of its creation, and its name: the lesser one is the elder one.
fn age<K: Resource>(object: &K) -> (i64, Option<&str>) {
    let meta = object.meta();
    (meta.creation_timestamp.as_ref().map_or(i64::MAX, |time| time.0.as_second()), meta.name.as_deref())
}
