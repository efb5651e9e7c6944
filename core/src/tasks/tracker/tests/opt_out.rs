//! Pods that ask to be left out.

use super::*;
use crate::metrics::AGENTS;
use crate::pods::LeftOut;

#[test]
fn a_pod_that_asks_to_be_left_out_is_observed_no_more_and_is_no_agent() {
    let mut tracker = ready();
    tracker.take_verdicts();
    assert_eq!(shown(&tracker, &AGENTS), one(" |running", 1.0));
    let view = pod(1, &[("main", 100)]);
    tracker.upsert_pod(PodView { left_out: Some(LeftOut::Asked), ..view.clone() }, 2 * SECOND);
    let mut verdicts = tracker.take_verdicts();
    verdicts.sort_unstable();
    assert_eq!(verdicts, [(5, 0), (10, 0), (11, 0)]);
    exec(&mut tracker, 10, (7, 3 * SECOND), "/bin/git", b"git\0merge\0", 3 * SECOND);
    exit(&mut tracker, 10, (7, 3 * SECOND), "git", 0, 4 * SECOND);
    assert_eq!((shown(&tracker, &TASKS), shown(&tracker, &AGENTS)), (vec![], vec![]));
    // It changes its mind.
    tracker.upsert_pod(view, 5 * SECOND);
    assert_eq!(tracker.take_verdicts().len(), 3);
    assert_eq!(shown(&tracker, &AGENTS), one(" |running", 1.0));
}
