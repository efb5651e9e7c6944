use proptest::prelude::*;

use super::*;

const UID: &str = "0b5ccbb6-f4d1-4e8a-8f25-1c2d3e4f5a6b";
const UID_: &str = "0b5ccbb6_f4d1_4e8a_8f25_1c2d3e4f5a6b";
const HASH: &str = "8f2c1d0e9b7a6c5d4e3f2a1b0c9d8e7f";
const ID: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ID2: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
fn found(pod_uid: &str, id: Option<&str>, qos: Qos, nested: bool) -> Option<ContainerPath> {
    Some(ContainerPath { pod_uid: pod_uid.to_owned(), container_id: id.map(str::to_owned), qos, nested })
}

#[test]
fn shapes_of_all_runtimes_and_drivers_are_read() {
    use Qos::{BestEffort, Burstable, Guaranteed};
    let cases = [
        (format!("/kubepods/burstable/pod{UID}/{ID}"), found(UID, Some(ID), Burstable, false)),
        (format!("/kubepods/besteffort/pod{UID}/{ID}/init.scope"), found(UID, Some(ID), BestEffort, true)),
        (format!("/kubepods/pod{UID}/{ID}"), found(UID, Some(ID), Guaranteed, false)),
        (format!("/kubepods/pod{UID}"), found(UID, None, Guaranteed, false)),
        (format!("/kubepods/burstable/pod{UID}/crio-{ID}"), found(UID, Some(ID), Burstable, false)),
        (format!("/kubepods/burstable/pod{UID}/crio-conmon-{ID}"), found(UID, None, Burstable, false)),
        (format!("/kubepods/burstable/pod{HASH}/{ID}"), found(HASH, Some(ID), Burstable, false)),
        (format!("/kt1/node-1/kubepods/besteffort/pod{UID}/{ID}"), found(UID, Some(ID), BestEffort, false)),
        (format!("/docker/{ID2}/kubelet/kubepods/burstable/pod{UID}/{ID}"), found(UID, Some(ID), Burstable, false)),
        (
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope"
            ),
            found(UID, Some(ID), Burstable, false),
        ),
        (
            format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{ID}.scope"),
            found(UID, Some(ID), BestEffort, false),
        ),
        (format!("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope"), found(UID, Some(ID), Guaranteed, false)),
        (
            format!("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container"),
            found(UID, Some(ID), Guaranteed, true),
        ),
        (
            format!("/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{ID}.scope"),
            found(UID, None, Guaranteed, false),
        ),
        (
            format!("/kubepods.slice/kubepods-pod{HASH}.slice/cri-containerd-{ID}.scope"),
            found(HASH, Some(ID), Guaranteed, false),
        ),
        (
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope"
            ),
            found(UID, Some(ID), Burstable, false),
        ),
        ("/kubepods".to_owned(), None),
        ("/kubepods/burstable".to_owned(), None),
        ("/kubepods.slice/kubepods-burstable.slice".to_owned(), None),
        (format!("/system.slice/docker-{ID}.scope"), None),
        (format!("/mykubepods/pod{UID}/{ID}"), None),
        ("/".to_owned(), None),
        (String::new(), None),
    ];
    for (path, expected) in cases {
        assert_eq!(parse_path(&path), expected, "{path}");
    }
}

#[test]
fn a_cluster_inside_a_container_is_seen_from_inside_and_from_outside() {
    let inner = format!("/kubepods/pod{HASH}/{ID2}/kubelet/kubepods/burstable/pod{UID}/{ID}");
    assert_eq!(parse_path(&inner), found(UID, Some(ID), Qos::Burstable, false));
    assert_eq!(parse_below("/kubepods", &inner), found(HASH, Some(ID2), Qos::Guaranteed, true));
    // A group that only looks like a pod root changes nothing.
    let fake = format!("/kubepods/pod{UID}/{ID}/kubepods/burstable");
    assert_eq!(parse_path(&fake), found(UID, Some(ID), Qos::Guaranteed, true));
}

#[test]
fn the_pod_root_is_the_innermost() {
    let own = format!("/docker/{ID2}/kubelet/kubepods/burstable/pod{UID}/{ID}");
    assert_eq!(pod_root(&own), Some(&own[..own.len() - format!("/burstable/pod{UID}/{ID}").len()]));
    assert_eq!(pod_root("/kt1/node-1/kubepods/besteffort/podx/y"), Some("/kt1/node-1/kubepods"));
    assert_eq!(pod_root("/kubepods.slice/kubepods-burstable.slice"), Some("/kubepods.slice"));
    assert_eq!(pod_root("/kubelet.slice/kubelet-kubepods.slice"), Some("/kubelet.slice/kubelet-kubepods.slice"));
    assert_eq!(pod_root("/system.slice/kubelet.service"), None);
    assert_eq!(pod_root(""), None);
}

#[test]
fn without_kubernetes_units_and_containers_give_the_name() {
    let cases = [
        ("/system.slice/nginx.service".to_owned(), "nginx.service".to_owned()),
        ("/system.slice/nginx.service/worker".to_owned(), "nginx.service".to_owned()),
        ("/system.slice/session-3.scope".to_owned(), "session-3.scope".to_owned()),
        ("/user.slice/user-0.slice/user@0.service".to_owned(), "user@0.service".to_owned()),
        ("/user.slice/user-0.slice/user@0.service/app.slice/x.scope".to_owned(), "user@0.service/x.scope".to_owned()),
        // A unit of the system that users may name what they like.
        ("/system.slice/user@me.service/x.service".to_owned(), "user@me.service".to_owned()),
        (format!("/system.slice/docker-{ID}.scope"), format!("docker-{}", &ID[..12])),
        (format!("/docker/{ID}/nested"), format!("docker-{}", &ID[..12])),
        (format!("/machine.slice/libpod-{ID}.scope/container"), format!("libpod-{}", &ID[..12])),
        // What runs in a container or a unit is theirs, whatever it is called there.
        (format!("/system.slice/docker-{ID}.scope/system.slice/nginx.service"), format!("docker-{}", &ID[..12])),
        (format!("/docker/{ID}/user.slice/user@0.service/x.scope"), format!("docker-{}", &ID[..12])),
        (format!("/docker/{ID}/docker/{ID2}"), format!("docker-{}", &ID[..12])),
        ("/system.slice/a.service/system.slice/nginx.service".to_owned(), "a.service".to_owned()),
        (
            format!("/user.slice/user-7.slice/user@7.service/user.slice/libpod-{ID}.scope/x.service"),
            format!("user@7.service/libpod-{}", &ID[..12]),
        ),
        ("/jobs/a".to_owned(), "jobs/a".to_owned()),
        ("/".to_owned(), "/".to_owned()),
    ];
    for (path, expected) in cases {
        assert_eq!(standalone_name(&path), expected, "{path}");
    }
    assert_eq!(standalone_name(&format!("/{}ü", "x".repeat(300))).len(), 63);
    // A long name loses its beginning, never whose it is.
    let long = standalone_name(&format!("/user.slice/user@1000.service/{}.scope", "x".repeat(200)));
    assert_eq!((long.len(), long.starts_with("user@1000.service/xx"), long.ends_with("xx.scope")), (63, true, true));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("kubepods".to_owned()),
        Just("kubepods.slice".to_owned()),
        Just("burstable".to_owned()),
        Just(format!("pod{UID}")),
        Just(format!("kubepods-pod{UID_}.slice")),
        Just(format!("crio-{ID}.scope")),
        Just(ID.to_owned()),
        "[a-z0-9._-]{0,12}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_path_is_read_without_panic_and_within_bounds(pieces in proptest::collection::vec(piece(), 0..10)) {
        let path = format!("/{}", pieces.join("/"));
        if let Some(found) = parse_path(&path) {
            prop_assert!(!found.pod_uid.is_empty() && found.pod_uid.len() <= 63);
            prop_assert!(!found.nested || found.container_id.is_some());
        }
        if let Some(root) = pod_root(&path) {
            prop_assert!(path.starts_with(root));
        }
        let name = standalone_name(&path);
        prop_assert!(!name.is_empty() && name.len() <= 63);
    }

    #[test]
    fn everything_below_a_container_belongs_to_it(below in proptest::collection::vec("[a-z0-9.-]{1,20}", 1..5)) {
        let path = format!("/kubepods/burstable/pod{UID}/{ID}/{}", below.join("/"));
        let inside = parse_below("/kubepods", &path);
        prop_assert_eq!(inside, found(UID, Some(ID), Qos::Burstable, true));
    }
}
