use super::*;

fn fleet(namespace: &str, name: &str) -> SelectedFleet {
    SelectedFleet {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        profile: "Generic".to_owned(),
        decides: true,
        call_bounds: Vec::new(),
    }
}

fn of_namespace<'a>(everything: bool, fleets: &'a [SelectedFleet]) -> Reach<'a> {
    Reach { policy: "agents/p", namespace: Some("agents"), everything, gives_way: false, fleets }
}

fn cluster<'a>(everything: bool, fleets: &'a [SelectedFleet]) -> Reach<'a> {
    Reach { policy: "p", namespace: None, everything, gives_way: true, fleets }
}

const ALL: Profiles<'static> = Profiles::Except(&[]);

fn selection(matchers: &str, conditions: &[&str]) -> Option<Selection> {
    let conditions = conditions.iter().map(|condition| (*condition).to_owned()).collect();
    Some(Selection { matchers: matchers.to_owned(), conditions })
}

#[test]
fn a_policy_of_a_namespace_names_its_fleets() {
    let fleets = [fleet("agents", "a.b"), fleet("agents", "c")];
    assert_eq!(of_namespace(true, &fleets).own(), selection("namespace=\"agents\",fleet!=\"\"", &[]));
    assert_eq!(of_namespace(true, &[]).own(), selection("namespace=\"agents\",fleet!=\"\"", &[]));
    assert_eq!(of_namespace(false, &fleets).own(), selection(r#"namespace="agents",fleet=~"a\\.b|c""#, &[]));
    assert_eq!(of_namespace(false, &fleets[..1]).own(), selection(r#"namespace="agents",fleet="a.b""#, &[]));
    assert_eq!(of_namespace(false, &[]).own(), None);
    assert_eq!(of_namespace(true, &fleets).members(), []);
}

#[test]
fn what_a_policy_yields_is_not_in_its_catalogue_and_not_covered() {
    let mut fleets = [fleet("agents", "a"), fleet("agents", "b")];
    fleets[0].decides = false;
    let reach = of_namespace(true, &fleets);
    assert_eq!(reach.own(), selection("namespace=\"agents\",fleet!=\"\"", &[]));
    assert_eq!(reach.catalogue(ALL), selection("namespace=\"agents\",fleet=\"b\"", &[]));
    let labels = texts([("namespace", "agents"), ("fleet", "b"), ("policy", "agents/p")]);
    assert_eq!(reach.covered(), [Rule::record(COVERED, "vector(1)", labels)]);
    fleets[1].decides = false;
    assert_eq!(of_namespace(true, &fleets).catalogue(ALL), None);
}

#[test]
fn a_policy_with_many_fleets_records_them() {
    let fleets: Vec<SelectedFleet> = (0..51).map(|i| fleet("agents", &format!("f{i}"))).collect();
    let reach = of_namespace(false, &fleets);
    let member = "and on (namespace, fleet) fleetscope:policy_member:info{policy=\"agents/p\"";
    assert_eq!(reach.own(), selection("namespace=\"agents\",fleet!=\"\"", &[&format!("{member}}}")]));
    assert_eq!(
        reach.catalogue(ALL),
        selection("namespace=\"agents\",fleet!=\"\"", &[&format!("{member},catalogue=\"true\"}}")])
    );
    assert_eq!(reach.members().len(), 51);
    let labels = texts([("namespace", "agents"), ("fleet", "f0"), ("policy", "agents/p"), ("catalogue", "true")]);
    assert_eq!(reach.members()[0], Rule::record(MEMBER, "vector(1)", labels));
    assert_eq!(of_namespace(true, &fleets).own(), selection("namespace=\"agents\",fleet!=\"\"", &[]));
}

#[test]
fn a_cluster_policy_leaves_out_what_is_covered_unless_it_is_enforced() {
    let fleets = [fleet("agents", "a")];
    let unless = "unless on (namespace, fleet) fleetscope:alert_policy:info";
    let mut reach = cluster(true, &fleets);
    assert_eq!(reach.own(), selection("fleet!=\"\"", &[]));
    assert_eq!(reach.catalogue(ALL), selection("fleet!=\"\"", &[unless]));
    assert_eq!((reach.members(), reach.covered()), (Vec::new(), Vec::new()));
    reach.gives_way = false;
    assert_eq!(reach.catalogue(ALL), selection("fleet!=\"\"", &[]));
}

#[test]
fn a_cluster_policy_with_selectors_or_an_elder_records_its_fleets() {
    let mut fleets = [fleet("agents", "a"), fleet("b", "b")];
    let member = "and on (namespace, fleet) fleetscope:policy_member:info{policy=\"p\"}";
    assert_eq!(cluster(false, &fleets).own(), selection("fleet!=\"\"", &[member]));
    fleets[1].decides = false;
    let reach = cluster(true, &fleets);
    let of_catalogue = "and on (namespace, fleet) fleetscope:policy_member:info{policy=\"p\",catalogue=\"true\"}";
    let unless = "unless on (namespace, fleet) fleetscope:alert_policy:info";
    assert_eq!(reach.catalogue(ALL), selection("fleet!=\"\"", &[of_catalogue, unless]));
    let told: Vec<&str> = ["true", "false"].to_vec();
    let recorded: Vec<Rule> = reach.members();
    assert_eq!(recorded.iter().map(|rule| rule.labels["catalogue"].as_str()).collect::<Vec<_>>(), told);
    assert_eq!(cluster(false, &[]).own(), None);
}

#[test]
fn fleets_of_a_profile_are_named_or_told_by_their_info() {
    let mut fleets = [fleet("agents", "a"), fleet("agents", "b")];
    fleets[1].profile = "Atoll".to_owned();
    let reach = of_namespace(true, &fleets);
    assert_eq!(reach.catalogue(Profiles::Only("Atoll")), selection("namespace=\"agents\",fleet=\"b\"", &[]));
    assert_eq!(reach.catalogue(Profiles::Except(&["Atoll"])), selection("namespace=\"agents\",fleet=\"a\"", &[]));
    let mut reach = cluster(true, &fleets);
    reach.gives_way = false;
    let only = "and on (namespace, fleet) fleet:info:one{profile=\"Atoll\"}";
    let except = "unless on (namespace, fleet) fleet:info:one{profile=~\"Atoll\"}";
    assert_eq!(reach.catalogue(Profiles::Only("Atoll")), selection("fleet!=\"\"", &[only]));
    assert_eq!(reach.catalogue(Profiles::Except(&["Atoll"])), selection("fleet!=\"\"", &[except]));
}

#[test]
fn a_filter_holds_an_expression_of_several_lines_as_a_whole() {
    let filtered = selection("x", &["and on (namespace, fleet) a", "unless on (namespace, fleet) b"])
        .unwrap()
        .filter("c\nor\nd\n");
    assert_eq!(filtered, "(\n  c\n  or\n  d\n)\nand on (namespace, fleet) a\nunless on (namespace, fleet) b");
    assert_eq!(selection("x", &[]).unwrap().filter(" c\n"), "c");
}
