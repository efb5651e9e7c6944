//! Objects of our kinds from files: read, checked as the API server would, each with the line that it stands in.
//!
//! In: paths of files and folders. Out: the objects, and every fault with file, line, field and remedy. A fault of one
//! object hides none of another.

mod advice;
mod lines;
pub(crate) mod make;
mod place;
mod source;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use fleetscope_core::api::admission::{Fault, Refused, admit_as};
use fleetscope_core::api::{AgentFleet, AlertPolicy, ClusterAlertPolicy, ModelPriceList, ScrapePolicy};
use kube::{CustomResourceExt, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::Problem;
use crate::output::text::escape;
pub(crate) use place::Place;
use source::Document;

/// An object and where it stands.
#[derive(Debug)]
pub(crate) struct Placed<K> {
    /// Where.
    pub(crate) place: Place,
    /// The object, with its defaults.
    pub(crate) object: K,
}

/// What was in the files.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// Fleets.
    pub(crate) fleets: Vec<Placed<AgentFleet>>,
    /// Fleets for which nothing is made. Pods that are theirs are not those of others.
    pub(crate) left_out: Vec<Placed<AgentFleet>>,
    /// How the agents' own metrics are scraped.
    pub(crate) scrape_policies: Vec<Placed<ScrapePolicy>>,
    /// Alerts for the fleets of a namespace.
    pub(crate) alert_policies: Vec<Placed<AlertPolicy>>,
    /// Alerts for fleets of all namespaces.
    pub(crate) cluster_alert_policies: Vec<Placed<ClusterAlertPolicy>>,
    /// Prices.
    pub(crate) price_lists: Vec<Placed<ModelPriceList>>,
    /// Labels of the namespaces that were among the documents.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// How many documents of kinds that are not ours there were.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Documents of our kinds, those that were refused, too.
    pub(crate) ours: usize,
    seen: BTreeMap<(String, String, String), Place>,
}

// === impl Objects ===

impl Objects {
    /// Reads all of them. `namespace` is that of documents that have none.
    pub(crate) fn read(paths: &[PathBuf], stdin: &mut dyn Read, namespace: &str, faults: &mut Vec<Problem>) -> Self {
        let mut objects = Self::default();
        for document in source::read(paths, stdin, faults) {
            objects.add(document, namespace, faults);
        }
        objects
    }

    fn add(&mut self, document: Document, namespace: &str, faults: &mut Vec<Problem>) {
        let Document { place, object } = document;
        match object.get("kind").and_then(Value::as_str) {
            Some("AgentFleet") => self.take(place, object, Some(namespace), faults, |all| &mut all.fleets),
            Some("ScrapePolicy") => self.take(place, object, Some(namespace), faults, |all| &mut all.scrape_policies),
            Some("AlertPolicy") => self.take(place, object, Some(namespace), faults, |all| &mut all.alert_policies),
            Some("ClusterAlertPolicy") => self.take(place, object, None, faults, |all| &mut all.cluster_alert_policies),
            Some("ModelPriceList") => self.take(place, object, None, faults, |all| &mut all.price_lists),
            Some("Namespace") => self.namespace(&object),
            Some(kind) => *self.skipped.entry(kind.to_owned()).or_default() += 1,
            None => faults.push(Problem::new(
                format!("{place}: kind: required"),
                "begin with apiVersion: fleetscope.io/v1alpha1 and the kind, for example AgentFleet",
            )),
        }
    }

    /// The labels of a namespace decide on which of its fleets a cluster-wide policy is for.
    fn namespace(&mut self, object: &Value) {
        let Some(name) = object.pointer("/metadata/name").and_then(Value::as_str) else { return };
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        self.namespaces.insert(name.to_owned(), labels.collect());
    }

    fn take<K: CustomResourceExt + DeserializeOwned + Resource<DynamicType = ()>>(
        &mut self,
        place: Place,
        mut object: Value,
        namespace: Option<&str>,
        faults: &mut Vec<Problem>,
        list: impl FnOnce(&mut Self) -> &mut Vec<Placed<K>>,
    ) {
        if let (Some(namespace), Some(metadata)) =
            (namespace, object.get_mut("metadata").and_then(Value::as_object_mut))
        {
            metadata.entry("namespace").or_insert_with(|| Value::from(namespace));
        }
        self.ours += 1;
        let before = faults.len();
        check_names(&place, &object, namespace.is_some(), faults);
        match admit_as::<K>(&object) {
            Ok(object) if faults.len() == before => {
                let (kind, title) = (K::kind(&()).into_owned(), title(&object));
                let key = (kind, object.namespace().unwrap_or_default(), object.name_any());
                if let Some(first) = self.seen.insert(key, place.clone()) {
                    faults.push(Problem::new(
                        format!("{place}: {title} is also in {first}"),
                        "keep one of the two: the later one would overwrite the other",
                    ));
                }
                list(self).push(Placed { place, object });
            }
            Ok(_) => {}
            Err(Refused { kind, faults: refused }) => {
                let name = |field: &str| object.pointer(field).and_then(Value::as_str).unwrap_or_default();
                let title = escape(&titled(&kind, name("/metadata/namespace"), name("/metadata/name")));
                let problem =
                    |fault: &Fault| advice::problem(&kind, &format!("{}: {title}", place.at(&fault.path)), fault);
                faults.extend(refused.iter().map(problem));
            }
        }
    }
}

/// `AgentFleet team-a/coders`.
pub(crate) fn title<K: Resource<DynamicType = ()>>(object: &K) -> String {
    titled(&K::kind(&()), &object.namespace().unwrap_or_default(), &object.name_any())
}

fn titled(kind: &str, namespace: &str, name: &str) -> String {
    match (namespace, name) {
        ("", _) => format!("{kind} {name}").trim_end().to_owned(),
        (_, "") => format!("{kind} of {namespace}"),
        _ => format!("{kind} {namespace}/{name}"),
    }
}

/// Names as the API server demands them (apimachinery, `IsDNS1123Subdomain`, `IsDNS1123Label`).
fn check_names(place: &Place, object: &Value, namespaced: bool, faults: &mut Vec<Problem>) {
    let all = [("metadata.name", 253, true), ("metadata.namespace", 63, false)];
    for (field, max, dots) in &all[..if namespaced { 2 } else { 1 }] {
        let path = format!("/{}", field.replace('.', "/"));
        let value = object.pointer(&path).and_then(Value::as_str).unwrap_or_default();
        if !value.is_empty() && !is_name(value, *max, *dots) {
            faults.push(Problem::new(
                format!("{}: {field}: `{value}` is not a name", place.at(field)),
                format!(
                    "use lower-case letters, digits and `-`{}, at most {max}, a letter or digit first and last",
                    if *dots { " and `.`" } else { "" }
                ),
            ));
        }
    }
}

/// A DNS label, or with `dots` a DNS subdomain.
fn is_name(text: &str, max: usize, dots: bool) -> bool {
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        part.bytes().all(|b| plain(b) || b == b'-')
            && part.bytes().next().is_some_and(plain)
            && part.bytes().next_back().is_some_and(plain)
    };
    text.len() <= max && if dots { text.split('.').all(part) } else { part(text) }
}
