//! Whether the keys of Secrets that a policy names are there, and fit for what they are for. Each Secret is read by its name, never
//! listed or watched, and nothing of it is kept or told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetscope_core::api::conditions::Reason;
use fleetscope_core::api::receivers::Content;
use fleetscope_core::api::scalars::SecretKey;
use fleetscope_core::resources::Fault;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::error::Error;

/// What was there is looked at again after this time, for a Secret may go.
const RECHECK: Duration = Duration::from_mins(5);
/// What was missing is looked for again after this time, and after twice that, up to [`RECHECK`].
const RETRY_FIRST: Duration = Duration::from_secs(30);

/// A key of a Secret that an object names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The field that names it.
    pub path: String,
    /// Which.
    pub key: SecretKey,
    /// What its value has to be, if that matters before somebody uses it.
    pub content: Option<Content>,
}

/// What is known of the Secrets of one object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// What was asked for.
    keys: Vec<Named>,
    /// What is missing.
    pub faults: Vec<Fault>,
    /// Secrets that may not be read.
    pub unread: usize,
    /// When that was.
    at: Duration,
    /// How long it holds.
    holds: Duration,
}

// === impl Known ===

impl Known {
    /// Whether it still answers for these keys.
    pub fn fresh(&self, keys: &[Named], now: Duration) -> bool {
        self.keys == keys && now < self.at + self.holds
    }

    /// How long it still holds, if something is missing: then somebody has to look again.
    pub fn again(&self, now: Duration) -> Option<Duration> {
        (!self.faults.is_empty()).then(|| (self.at + self.holds).saturating_sub(now))
    }
}

/// Asks for the keys. `before` is what was known.
pub async fn check(
    client: &Client,
    namespace: &str,
    keys: &[Named],
    before: Option<&Known>,
    now: Duration,
) -> Result<Known, Error> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut found: BTreeMap<&str, Found> = BTreeMap::new();
    for Named { key, .. } in keys {
        if !found.contains_key(key.name.as_str()) {
            found.insert(&key.name, read(&api, &key.name, keys).await?);
        }
    }
    Ok(weigh(namespace, keys, &found, before, now))
}

/// What was found of a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Found {
    Absent,
    Unread,
    /// Its keys, and what is wrong with the values of some.
    Keys(BTreeSet<String>, BTreeMap<(String, Content), &'static str>),
}

async fn read(api: &Api<Secret>, name: &str, keys: &[Named]) -> Result<Found, Error> {
    match api.get_opt(name).await {
        Ok(None) => Ok(Found::Absent),
        Ok(Some(secret)) => {
            let data = secret.data.unwrap_or_default();
            let named = keys.iter().filter(|named| named.key.name == name);
            let wrong = named.filter_map(|named| {
                let (key, content) = (named.key.key.clone(), named.content?);
                let fault = content.fault(&data.get(&key)?.0)?;
                Some(((key, content), fault))
            });
            let wrong = wrong.collect();
            Ok(Found::Keys(data.into_keys().collect(), wrong))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Found::Unread),
        Err(source) => Err(Error::Api { verb: "get", kind: "Secret", name: name.to_owned(), source }),
    }
}

fn weigh(
    namespace: &str,
    keys: &[Named],
    found: &BTreeMap<&str, Found>,
    before: Option<&Known>,
    now: Duration,
) -> Known {
    let fault = |named: &Named| {
        let SecretKey { name, key } = &named.key;
        let wrong = |wrong: &BTreeMap<(String, Content), &'static str>| {
            named.content.and_then(|content| wrong.get(&(key.clone(), content)).copied())
        };
        let (reason, message, remedy) = match found.get(name.as_str())? {
            Found::Absent => (
                Reason::RefNotFound,
                format!("there is no Secret {name} in the namespace {namespace}"),
                format!("make it, with the key {key}; it is looked for again by itself"),
            ),
            Found::Keys(all, _) if !all.contains(key) => (
                Reason::RefNotFound,
                format!("the Secret {name} has no key {key}"),
                format!("add the key {key} to the Secret {name}, or name one that it has"),
            ),
            Found::Keys(_, all) => (
                Reason::InvalidValue,
                format!("the key {key} of the Secret {name} {}", wrong(all)?),
                "correct its value; it is looked at again by itself".to_owned(),
            ),
            Found::Unread => return None,
        };
        Some(Fault { reason, path: named.path.clone(), message, remedy })
    };
    let faults: Vec<Fault> = keys.iter().filter_map(fault).collect();
    let still_missing = before.filter(|before| before.keys == keys && !before.faults.is_empty());
    let holds = match still_missing {
        _ if faults.is_empty() => RECHECK,
        Some(before) => (before.holds * 2).min(RECHECK),
        None => RETRY_FIRST,
    };
    let unread = found.values().filter(|found| **found == Found::Unread).count();
    Known { keys: keys.to_vec(), faults, unread, at: now, holds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Named> {
        let named = |path: &str, key: &str| Named {
            path: path.to_owned(),
            key: SecretKey { name: "s".to_owned(), key: key.to_owned() },
            content: Some(Content::Url),
        };
        vec![named("spec.a", "one"), named("spec.b", "two")]
    }

    fn has(names: &[&str]) -> Found {
        Found::Keys(names.iter().map(|name| (*name).to_owned()).collect(), BTreeMap::new())
    }

    fn known(found: Found, before: Option<&Known>, now: u64) -> Known {
        weigh("ns", &keys(), &BTreeMap::from([("s", found)]), before, Duration::from_secs(now))
    }

    fn texts(known: &Known) -> Vec<String> {
        known.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        assert_eq!(
            texts(&known(has(&["one"]), None, 0)),
            ["spec.b: the Secret s has no key two: add the key two to the Secret s, or name one that it has"]
        );
        let absent = known(Found::Absent, None, 0);
        assert_eq!(
            texts(&absent)[0],
            "spec.a: there is no Secret s in the namespace ns: make it, with the key one; it is looked for again by itself"
        );
        assert_eq!((absent.faults.len(), absent.faults[0].reason), (2, Reason::RefNotFound));
    }

    #[test]
    fn a_value_that_is_not_fit_is_told_without_the_value() {
        let names = ["one", "two"].map(str::to_owned).into();
        let wrong = BTreeMap::from([(("one".to_owned(), Content::Url), "is not a URL of http or https")]);
        let known = known(Found::Keys(names, wrong), None, 0);
        assert_eq!(
            texts(&known),
            [
                "spec.a: the key one of the Secret s is not a URL of http or https: correct its value; it is looked at again by itself"
            ]
        );
        assert_eq!(known.faults[0].reason, Reason::InvalidValue);
    }

    #[test]
    fn what_may_not_be_read_is_not_missing() {
        let unread = known(Found::Unread, None, 0);
        assert_eq!((unread.faults.len(), unread.unread), (0, 1));
    }

    #[test]
    fn what_is_missing_is_looked_for_after_30_s_and_then_ever_more_rarely() {
        let mut now = 0;
        let mut last = known(Found::Absent, None, now);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let wait = last.again(Duration::from_secs(now)).unwrap().as_secs();
            assert!(last.fresh(&keys(), Duration::from_secs(now + wait - 1)));
            assert!(!last.fresh(&keys(), Duration::from_secs(now + wait)));
            waits.push(wait);
            now += wait;
            last = known(Found::Absent, Some(&last), now);
        }
        assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
        let there = known(has(&["one", "two"]), Some(&last), now);
        assert_eq!((there.again(Duration::from_secs(now)), there.holds), (None, RECHECK));
        assert_eq!(known(Found::Absent, Some(&there), now).holds, RETRY_FIRST);
    }

    #[test]
    fn other_keys_are_looked_for_at_once() {
        let last = known(Found::Absent, None, 0);
        assert!(!last.fresh(&keys()[..1], Duration::ZERO));
    }
}
