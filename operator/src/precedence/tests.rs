//! Who decides, who yields, and who hears of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::fleets::Claim;

fn labels(team: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), team.to_owned())])
}

fn selector(team: &str) -> LabelSelector {
    LabelSelector { match_labels: (!team.is_empty()).then(|| labels(team)), ..LabelSelector::default() }
}

fn fleet(team: &str) -> Claim {
    Claim { labels: labels(team), ..Claim::default() }
}

fn policy(created: i64, team: &str) -> PolicyClaim {
    PolicyClaim { created, fleets: selector(team), catalogue: true, accepted: true, ..PolicyClaim::default() }
}

fn alerts(namespace: &str, name: &str) -> OwnerKey {
    OwnerKey::new(OwnerKind::AlertPolicy, namespace, name)
}

fn cluster(name: &str) -> OwnerKey {
    OwnerKey::new(OwnerKind::ClusterAlertPolicy, "", name)
}

/// Fleets `a1` (team a) and `b1` (team b) in `one`, `a2` (team a) in `two`; the namespaces are labelled with the teams x and y.
fn claims(policies: &[(OwnerKey, PolicyClaim)]) -> Claims {
    let mut claims = Claims::default();
    for (namespace, name, team) in [("one", "a1", "a"), ("one", "b1", "b"), ("two", "a2", "a")] {
        claims.fleets.set(&OwnerKey::fleet(namespace, name), Some(fleet(team)));
    }
    for (name, team) in [("one", "x"), ("two", "y")] {
        let namespace = json!({ "metadata": { "name": name, "labels": { "team": team } } });
        claims.namespaces.handle(Event::Apply(serde_json::from_value(namespace).unwrap()));
    }
    for (key, claim) in policies {
        claims.policies.set(key, Some(claim.clone()));
    }
    claims
}

type Names<'a> = Vec<&'a str>;

fn names<'a>(fleets: &[Fleet<'a>]) -> Names<'a> {
    fleets.iter().map(|fleet| fleet.name).collect()
}

/// Decided fleets, and yielded ones with the name of the policy that has them.
fn share<'a>(claims: &'a Claims, key: &OwnerKey) -> (Names<'a>, Vec<(&'a str, Names<'a>)>) {
    let share = claims.share(key, claims.policies.get(key).unwrap());
    let yielded = share.yielded.iter().map(|(key, fleets)| (key.name.as_str(), names(fleets))).collect();
    (names(&share.decided), yielded)
}

/// Selected fleets, and whether the policy's catalogue rules are about them.
fn rules<'a>(claims: &'a Claims, key: &OwnerKey) -> Vec<(&'a str, bool)> {
    let share = claims.share(key, claims.policies.get(key).unwrap());
    share.selected.iter().map(|(fleet, leads)| (fleet.name, *leads)).collect()
}

#[test]
fn a_policy_decides_the_fleets_of_its_namespace_that_it_selects() {
    let claims = claims(&[(alerts("one", "p"), policy(1, "a")), (alerts("two", "q"), policy(1, ""))]);
    assert_eq!(share(&claims, &alerts("one", "p")), (vec!["a1"], vec![]));
    assert_eq!(share(&claims, &alerts("two", "q")), (vec!["a2"], vec![]));
}

#[test]
fn the_oldest_decides_and_of_those_of_one_second_the_one_named_before() {
    let claims = claims(&[
        (alerts("one", "young"), policy(9, "")),
        (alerts("one", "old"), policy(1, "a")),
        (alerts("one", "zzz"), policy(9, "")),
    ]);
    assert_eq!(share(&claims, &alerts("one", "old")), (vec!["a1"], vec![]));
    assert_eq!(share(&claims, &alerts("one", "young")), (vec!["b1"], vec![("old", vec!["a1"])]));
    assert_eq!(share(&claims, &alerts("one", "zzz")), (vec![], vec![("old", vec!["a1"]), ("young", vec!["b1"])]));
}

#[test]
fn one_that_is_suspended_never_accepted_or_without_the_catalogue_decides_nothing_and_takes_nothing_away() {
    for idle in [PolicyClaim { accepted: false, ..policy(1, "") }, PolicyClaim { catalogue: false, ..policy(1, "") }] {
        let claims = claims(&[(alerts("one", "idle"), idle), (alerts("one", "p"), policy(2, ""))]);
        assert_eq!(share(&claims, &alerts("one", "p")), (vec!["a1", "b1"], vec![]));
        assert_eq!(share(&claims, &alerts("one", "idle")), (vec![], vec![]));
        assert_eq!(rules(&claims, &alerts("one", "idle")), [("a1", false), ("b1", false)]);
    }
}

#[test]
fn one_that_is_not_accepted_any_more_decides_by_its_rules_in_place_and_leaves_younger_fleets() {
    let good = PolicyClaim { until: Some(5), ..policy(1, "a") };
    let refused = PolicyClaim { accepted: false, last_good: Some(Box::new(good)), ..policy(1, "b") };
    let mut claims = claims(&[
        (alerts("one", "p"), refused),
        (alerts("one", "younger"), policy(2, "")),
        (cluster("all"), policy(1, "")),
    ]);
    claims.fleets.set(&OwnerKey::fleet("one", "late"), Some(Claim { created: 6, ..fleet("a") }));
    assert_eq!(share(&claims, &alerts("one", "p")), (vec!["a1"], vec![]));
    assert_eq!(share(&claims, &alerts("one", "younger")), (vec!["b1", "late"], vec![("p", vec!["a1"])]));
    assert_eq!(rules(&claims, &alerts("one", "younger")), [("a1", false), ("b1", true), ("late", true)]);
    let yielded = vec![("p", vec!["a1"]), ("younger", vec!["b1", "late"])];
    assert_eq!(share(&claims, &cluster("all")), (vec!["a2"], yielded));
    // It is woken by fleets that its spec selects, too: perhaps it is refused for want of one.
    let key = OwnerKey::fleet("one", "b2");
    let change = claims.fleets.set(&key, Some(fleet("b"))).unwrap();
    assert!(of_fleet(&claims, &key, &change).contains(&alerts("one", "p")));
    // Accepted again, it takes its own back.
    let change = claims.policies.accepted(&alerts("one", "p"), Some(policy(1, "b")), 9).unwrap();
    let concerned = of_policy(&claims, &alerts("one", "p"), &change);
    assert_eq!(concerned, BTreeSet::from([alerts("one", "younger"), cluster("all")]));
    assert_eq!(share(&claims, &alerts("one", "p")), (vec!["b1", "b2"], vec![]));
}

#[test]
fn a_policy_of_the_namespace_takes_the_place_of_a_cluster_wide_one_unless_that_is_enforced() {
    let enforced = PolicyClaim { enforced: true, ..policy(3, "") };
    let claims = claims(&[
        (cluster("all"), policy(1, "")),
        (cluster("younger"), policy(2, "a")),
        (cluster("enforced"), enforced),
        (alerts("one", "p"), policy(9, "a")),
    ]);
    assert_eq!(share(&claims, &alerts("one", "p")), (vec!["a1"], vec![]));
    assert_eq!(share(&claims, &cluster("all")), (vec!["b1", "a2"], vec![("p", vec!["a1"])]));
    assert_eq!(share(&claims, &cluster("younger")), (vec![], vec![("p", vec!["a1"]), ("all", vec!["a2"])]));
    assert_eq!(share(&claims, &cluster("enforced")), (vec!["a1", "b1", "a2"], vec![]));
    // Whether the policy of the namespace is loaded, the rules of the cluster-wide one see for themselves.
    assert_eq!(rules(&claims, &cluster("all")), [("a1", true), ("b1", true), ("a2", true)]);
    assert_eq!(rules(&claims, &cluster("younger")), [("a1", false), ("a2", false)]);
}

#[test]
fn a_policy_that_is_accepted_only_now_has_its_share_before_it_is_noted() {
    let refused = PolicyClaim { accepted: false, ..policy(1, "") };
    let claims = claims(&[(alerts("one", "p"), refused.clone()), (alerts("one", "younger"), policy(2, "a"))]);
    let now = PolicyClaim { accepted: true, ..refused };
    assert_eq!(names(&claims.share(&alerts("one", "p"), &now).decided), ["a1", "b1"]);
}

#[test]
fn a_cluster_wide_policy_selects_namespaces_by_their_labels() {
    let of = |team: &str| PolicyClaim { namespaces: selector(team), ..policy(1, "a") };
    let claims = claims(&[(cluster("x"), of("x")), (cluster("z"), of("z"))]);
    assert_eq!(share(&claims, &cluster("x")), (vec!["a1"], vec![]));
    assert_eq!(share(&claims, &cluster("z")), (vec![], vec![]));
}

#[test]
fn a_change_of_a_policy_concerns_those_that_select_one_of_its_fleets() {
    let mut claims = claims(&[
        (alerts("one", "a"), policy(1, "a")),
        (alerts("one", "b"), policy(1, "b")),
        (alerts("two", "a"), policy(1, "a")),
        (cluster("all"), policy(1, "")),
        (cluster("b"), policy(1, "b")),
    ]);
    let key = alerts("one", "new");
    let change = claims.policies.set(&key, Some(policy(0, "a"))).unwrap();
    assert_eq!(of_policy(&claims, &key, &change), BTreeSet::from([alerts("one", "a"), cluster("all")]));
    let change = claims.policies.set(&key, Some(policy(0, "b"))).unwrap();
    let both = BTreeSet::from([alerts("one", "a"), alerts("one", "b"), cluster("all"), cluster("b")]);
    assert_eq!(of_policy(&claims, &key, &change), both);
    let change = claims.policies.set(&key, Some(PolicyClaim { uid: "u".to_owned(), ..policy(0, "b") })).unwrap();
    assert_eq!(of_policy(&claims, &key, &change), BTreeSet::new(), "it decides as before");
    let change = claims.policies.accepted(&key, None, 1).unwrap();
    let of_b = BTreeSet::from([alerts("one", "b"), cluster("all"), cluster("b")]);
    assert_eq!(of_policy(&claims, &key, &change), of_b);
    let change = claims.policies.set(&key, None).unwrap();
    assert_eq!(of_policy(&claims, &key, &change), BTreeSet::new(), "it had decided nothing");
    assert_eq!(claims.policies.accepted(&key, Some(policy(1, "b")), 1), None);
}

#[test]
fn a_cluster_wide_policy_concerns_only_its_like() {
    let mut claims = claims(&[
        (alerts("one", "a"), policy(1, "a")),
        (cluster("a"), policy(1, "a")),
        (cluster("b"), policy(1, "b")),
        (cluster("enforced"), PolicyClaim { enforced: true, ..policy(1, "a") }),
    ]);
    let change = claims.policies.set(&cluster("new"), Some(policy(0, "a"))).unwrap();
    assert_eq!(of_policy(&claims, &cluster("new"), &change), BTreeSet::from([cluster("a")]));
}

#[test]
fn a_change_of_a_fleet_concerns_the_policies_that_select_it_before_or_after() {
    let scrape = OwnerKey::new(OwnerKind::ScrapePolicy, "one", "s");
    let mut claims = claims(&[
        (alerts("one", "a"), policy(1, "a")),
        (alerts("one", "b"), policy(1, "b")),
        (alerts("two", "a"), policy(1, "a")),
        (cluster("c"), policy(1, "c")),
        (scrape.clone(), policy(1, "")),
    ]);
    let key = OwnerKey::fleet("one", "a1");
    let change = claims.fleets.set(&key, Some(fleet("c"))).unwrap();
    assert_eq!(of_fleet(&claims, &key, &change), BTreeSet::from([alerts("one", "a"), cluster("c"), scrape.clone()]));
    let change = claims.fleets.set(&key, None).unwrap();
    assert_eq!(of_fleet(&claims, &key, &change), BTreeSet::from([cluster("c"), scrape]));
}

#[test]
fn a_pod_that_an_older_fleet_may_have_is_left_to_it_and_its_change_concerns_who_scrapes_the_younger() {
    let scrape = OwnerKey::new(OwnerKind::ScrapePolicy, "one", "s");
    let mut claims = claims(&[(scrape.clone(), policy(1, "young"))]);
    let of = |created: i64, team: &str, app: &str| {
        let selector = LabelSelector {
            match_labels: Some(BTreeMap::from([("app".to_owned(), app.to_owned())])),
            ..LabelSelector::default()
        };
        Claim { created, selector, labels: labels(team), ..Claim::default() }
    };
    for name in ["a1", "b1"] {
        claims.fleets.set(&OwnerKey::fleet("one", name), None);
    }
    claims.fleets.set(&OwnerKey::fleet("one", "young"), Some(of(5, "young", "x")));
    let elders = |claims: &Claims| {
        let claim = claims.fleets.get("one", "young").unwrap();
        claims.elders(Fleet { namespace: "one", name: "young", claim })
    };
    let key = OwnerKey::fleet("one", "old");
    let change = claims.fleets.set(&key, Some(of(1, "old", "y"))).unwrap();
    assert_eq!((elders(&claims), of_fleet(&claims, &key, &change)), (vec![], BTreeSet::new()));
    let change = claims.fleets.set(&key, Some(of(1, "old", "x"))).unwrap();
    assert_eq!(elders(&claims), [of(1, "old", "x").selector]);
    assert_eq!(of_fleet(&claims, &key, &change), BTreeSet::from([scrape]));
    claims.fleets.set(&key, Some(of(9, "old", "x")));
    assert_eq!(elders(&claims), [], "it is the younger one");
}

#[test]
fn other_labels_of_a_namespace_concern_what_is_in_it_and_the_policies_that_turn() {
    let of = |team: &str| PolicyClaim { namespaces: selector(team), ..policy(1, "") };
    let claims = claims(&[
        (cluster("x"), of("x")),
        (cluster("y"), of("y")),
        (cluster("all"), of("")),
        (alerts("one", "p"), policy(1, "")),
        (alerts("two", "p"), policy(1, "")),
    ]);
    let relabelled =
        Relabelled { namespace: "one".to_owned(), before: Some(labels("x")), now: Some(labels("elsewhere")) };
    let inside = [alerts("one", "p"), OwnerKey::fleet("one", "a1"), OwnerKey::fleet("one", "b1")];
    let all: BTreeSet<OwnerKey> = inside.into_iter().chain([cluster("x")]).collect();
    assert_eq!(of_namespace(&claims, &relabelled), all);
    let empty = Relabelled { namespace: "empty".to_owned(), before: None, now: Some(labels("x")) };
    assert_eq!(of_namespace(&claims, &empty), BTreeSet::new());
}
