//! Every query of every dashboard, asked of a real Prometheus that holds the series of a fleet at work.

use std::time::Duration;

use fleetscope_core::dashboards::{Query, queries};
use fleetscope_core::metrics::Source;
use fleetscope_tests::prometheus;
use fleetscope_tests::wait::until;

use crate::conversation::Conversation;
use crate::scene::{Scene, rules};

/// Recordings are evaluated every 30 s, rates need two scrapes, and rules are loaded within a minute or two.
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn every_query_of_the_dashboards_has_a_result_or_a_reason_why_not() {
    let Some(image) =
        crate::alone::grpc::image("beside::dashboards::every_query_of_the_dashboards_has_a_result_or_a_reason_why_not")
    else {
        return;
    };
    let scene = Scene::open("boards").await;
    // Some panels are about merges, some about workers.
    let mut merges = rules();
    merges["rules"][0]["name"] = "merge".into();
    merges["rules"][0]["group"] = "workers".into();
    scene.fleet(merges).await;
    scene.pod("load", &["run", "12000", "4"], None).await;
    let mut talk = Conversation::open(&scene, image).await;
    let all = queries();
    let asked = |query: &&Query| matches!(query.source, Source::Kernel | Source::Fleetscope) && query.empty.is_none();
    let mut silent: Vec<&Query> = all.iter().filter(asked).collect();
    let (total, expected) = (all.len(), silent.len());
    assert!(expected > 60, "only {expected} of {total} queries are expected to have a result");
    let waited = until(LIMIT, "every query has a result", async || {
        talk.round().await;
        let mut still = Vec::new();
        for query in &silent {
            let result = prometheus::query(&scene.cluster, &query.concrete()).await;
            let result = result.map_err(|error| error.context(format!("{}: {}", query.dashboard, query.panel)))?;
            if !result.iter().any(|sample| sample.value.is_finite()) {
                still.push(*query);
            }
        }
        silent = still;
        let first: Vec<String> =
            silent.iter().map(|q| format!("{} / {}: {}", q.dashboard, q.panel, q.concrete())).collect();
        anyhow::ensure!(silent.is_empty(), "{} have none: {first:#?}", silent.len());
        Ok(true)
    })
    .await
    .unwrap();
    println!("{expected} of {total} queries after {waited:.1?}; the others have a reason");
    // What nobody emits yet is refused by no Prometheus either.
    for query in all.iter().filter(|query| !asked(query)) {
        prometheus::query(&scene.cluster, &query.concrete()).await.unwrap();
    }
}
