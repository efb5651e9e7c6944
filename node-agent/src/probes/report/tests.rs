use super::*;

const BOTH: &[&str] = &["BPF", "PERFMON"];

#[test]
fn a_refusal_names_the_missing_capabilities_before_anything_else() {
    let text = remedy_for(Some(libc::EPERM), "none integrity [confidentiality]", BOTH);
    assert_eq!(text, "Add the capabilities BPF and PERFMON to the container's securityContext (or run as root).");
    let text = remedy_for(Some(libc::EACCES), "", &["PERFMON"]);
    assert_eq!(text, "Add the capabilities PERFMON to the container's securityContext (or run as root).");
}

#[test]
fn a_refusal_with_both_capabilities_is_lockdown_or_a_filter() {
    assert!(remedy_for(Some(libc::EPERM), "none integrity [confidentiality]\n", &[]).contains("lockdown=integrity"));
    assert!(remedy_for(Some(libc::EPERM), "none [integrity] confidentiality\n", &[]).contains("seccomp"));
    assert!(remedy_for(Some(libc::EPERM), "", &[]).contains("seccomp"));
}

#[test]
fn other_errors_have_remedies_of_their_own() {
    assert!(remedy_for(Some(libc::ENOSYS), "", BOTH).contains("CONFIG_BPF_SYSCALL"));
    assert!(remedy_for(Some(libc::ENOMEM), "", &[]).contains("memory limit"));
    assert!(remedy_for(None, "", &[]).contains("kernel's version"));
}

#[test]
fn a_chain_says_each_cause_once_in_one_line() {
    #[derive(Debug, thiserror::Error)]
    #[error("failed to do it:\n   badly")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("inner: {0}")]
    struct Inner(#[source] io::Error);
    let error = Outer(Inner(io::Error::other("the cause")));
    assert_eq!(chain(&error), "failed to do it: badly: inner: the cause");
}

#[test]
fn a_reason_with_the_log_of_the_verifier_keeps_its_beginning_and_its_end() {
    let long = format!("failed to load: {}the last line", "0: r1 = r2; ".repeat(100_000));
    let short = shorten(long);
    assert_eq!(short.chars().count(), REASON_MAX);
    assert!(short.starts_with("failed to load: 0: r1") && short.contains(" ... ") && short.ends_with("the last line"));
    assert_eq!(shorten("short".to_owned()), "short");
}

#[test]
fn the_table_has_a_line_per_program_and_is_aligned() {
    let row =
        |program, state| ProbeReport { probe: "tasks", program, mode: "tp_btf", hook: "sched_process_exit", state };
    let failed = State::Failed { reason: "no".to_owned(), remedy: "Do it.".to_owned() };
    let expected = "\
PROBE  PROGRAM    KERNEL HOOK                STATE     REASON  REMEDY
tasks  task_exit  tp_btf/sched_process_exit  attached  -       -
tasks  x          tp_btf/sched_process_exit  failed    no      Do it.
tasks  y          tp_btf/sched_process_exit  off       -       -
";
    assert_eq!(table(&[row("task_exit", State::Attached), row("x", failed), row("y", State::Off)]), expected);
}

#[test]
fn an_agent_without_the_object_says_how_to_build_it() {
    let State::Unsupported { reason, remedy } = Failure::NoObject.state() else {
        panic!("it is not this build's fault alone")
    };
    assert_eq!(reason, "this binary was built without the eBPF object");
    assert_eq!(remedy, "Build it with `make build`, which builds the eBPF object first (`make ebpf`).");
}
