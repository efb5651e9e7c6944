//! A Pod's containers, trimmed and bounded.

use k8s_openapi::api::core::v1 as api;

use super::view::{ContainerState, ContainerView, Ended, Role, seconds};

/// Most containers of a pod that are kept, of all roles together; the API server's own limit on a Pod's size comes first.
const CONTAINERS_MAX: usize = 256;
/// Most bytes of a state's message that are kept: what tells a port conflict stands in its first sentences.
const MESSAGE_MAX: usize = 1_024;
/// Most bytes of all messages of a pod that are kept; the kubelet itself lets a pod's containers leave 12 KiB at their ends.
const MESSAGES_MAX: usize = 16_384;
/// Most bytes of an image's name that are kept: a registry's name, tag and digest are shorter.
const IMAGE_MAX: usize = 512;
/// Most bytes of all images' names of a pod that are kept.
const IMAGES_MAX: usize = 16_384;
/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// The containers of a pod, with what its status tells of each.
pub(super) fn containers(spec: &api::PodSpec, status: Option<&api::PodStatus>) -> Vec<ContainerView> {
    let find = |statuses: Option<&Vec<api::ContainerStatus>>, name: &str| {
        statuses.into_iter().flatten().find(|status| status.name == name).cloned()
    };
    let init = spec.init_containers.iter().flatten().map(|container| {
        let role = if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
        let status = find(status.and_then(|status| status.init_container_statuses.as_ref()), &container.name);
        let probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
        (&container.name, container.image.as_ref(), role, probed, status)
    });
    let main = spec.containers.iter().map(|container| {
        let status = find(status.and_then(|status| status.container_statuses.as_ref()), &container.name);
        let probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
        (&container.name, container.image.as_ref(), Role::Main, probed, status)
    });
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| {
        let status = find(status.and_then(|status| status.ephemeral_container_statuses.as_ref()), &container.name);
        (&container.name, container.image.as_ref(), Role::Ephemeral, false, status)
    });
    let mut room = Room { images: IMAGES_MAX, messages: MESSAGES_MAX };
    let all = init.chain(main).chain(ephemeral).take(CONTAINERS_MAX);
    all.map(|(name, image, role, probed, status)| view(name, image, role, probed, status, &mut room)).collect()
}

/// Bytes of text that are left for the containers of one pod.
struct Room {
    images: usize,
    messages: usize,
}

// === impl Room ===

impl Room {
    fn image(&mut self, image: Option<&String>) -> String {
        let image = image.map(String::as_str).unwrap_or_default();
        let most = IMAGE_MAX.min(self.images);
        let kept = if image.len() <= most {
            image.to_owned()
        } else {
            let end = image.floor_char_boundary(most.saturating_sub(CUT.len_utf8()));
            let mark = if most < CUT.len_utf8() { None } else { Some(CUT) };
            image[..end].chars().chain(mark).collect()
        };
        self.images -= kept.len();
        kept
    }

    fn message(&mut self, message: Option<String>) -> String {
        let mut message = message.unwrap_or_default();
        message.truncate(message.floor_char_boundary(MESSAGE_MAX.min(self.messages)));
        message.shrink_to_fit();
        self.messages -= message.len();
        message
    }
}

fn view(
    name: &str,
    image: Option<&String>,
    role: Role,
    probed: bool,
    status: Option<api::ContainerStatus>,
    room: &mut Room,
) -> ContainerView {
    let mut view = ContainerView {
        name: name.to_owned(),
        role,
        id: None,
        last_id: None,
        image: room.image(image),
        state: ContainerState::Unknown,
        last: None,
        restarts: 0,
        ready: false,
        probed,
    };
    let Some(status) = status else { return view };
    let last = status.last_state.and_then(|state| state.terminated);
    view.last_id = last.as_ref().and_then(|last| last.container_id.as_deref()).and_then(without_scheme);
    view.last = last.map(|last| ended(last, room));
    view.id = status.container_id.as_deref().and_then(without_scheme);
    view.restarts = status.restart_count.max(0);
    view.ready = status.ready;
    let Some(state) = status.state else { return view };
    view.state = if let Some(running) = state.running {
        ContainerState::Running { started: running.started_at.as_ref().map(seconds) }
    } else if let Some(terminated) = state.terminated {
        view.id = view.id.or_else(|| terminated.container_id.as_deref().and_then(without_scheme));
        ContainerState::Terminated(ended(terminated, room))
    } else {
        let waiting = state.waiting.unwrap_or_default();
        ContainerState::Waiting { reason: waiting.reason.unwrap_or_default(), message: room.message(waiting.message) }
    };
    view
}

fn ended(state: api::ContainerStateTerminated, room: &mut Room) -> Ended {
    let reason = state.reason.unwrap_or_default();
    // containerd: StartError, Docker: ContainerCannotRun, CRI-O and dockershim: RunContainerError.
    let ran = !matches!(reason.as_str(), "StartError" | "ContainerCannotRun" | "RunContainerError");
    Ended {
        exit_code: state.exit_code,
        signal: state.signal.filter(|signal| *signal != 0),
        reason,
        message: room.message(state.message),
        ran,
    }
}

fn without_scheme(id: &str) -> Option<String> {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    (!id.is_empty()).then(|| id.to_owned())
}
