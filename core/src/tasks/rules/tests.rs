use proptest::prelude::*;

use super::*;
use crate::api::agent_fleet::TaskMatch;
use crate::records::Process;

fn rule(name: &str, executable: &str, arguments: &[&str]) -> TaskRule {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let matches = TaskMatch { executable: executable.to_owned(), arguments };
    TaskRule { name: name.to_owned(), group: "g".to_owned(), matches, ignore: name.is_empty(), ..TaskRule::default() }
}

fn rules(rules: &[TaskRule]) -> Rules {
    Rules::new(&TasksSpec { rules: rules.to_vec(), ..TasksSpec::default() }, &[])
}

fn exec<'a>(path: &'a str, argv: Argv<'a>) -> Exec<'a> {
    Exec { path: Some(path.as_bytes()), argv, ..Exec::default() }
}

fn decided(rules: &Rules, exec: &Exec<'_>) -> String {
    match rules.decide(&Program::of(exec)) {
        Decision::Task(named) => named.task.to_string(),
        Decision::Unmatched(bytes) => format!("?{}", String::from_utf8_lossy(bytes)),
        Decision::Ignore => "!".to_owned(),
    }
}

#[test]
fn the_first_rule_that_matches_names_the_task() {
    let rules = rules(&[
        rule("merge", "git", &["merge"]),
        rule("any", "*", &["special"]),
        rule("git", "git", &[]),
        rule("agent", "python*", &["agent.py"]),
        rule("module", "python*", &["-m", "*", "run"]),
        rule("", "sleep", &[]),
        rule("late", "git", &["clone"]),
    ]);
    let cases: [(&str, &[u8], &str); 11] = [
        ("/usr/bin/git", b"git\0merge\0main\0", "merge"),
        ("/usr/bin/git", b"git\0special\0", "any"),
        ("/usr/bin/git", b"git\0clone\0", "git"),
        ("git", b"git\0", "git"),
        ("/usr/bin/python3.12", b"python3\0/app/agent.py\0", "agent"),
        ("/usr/bin/python3.12", b"python3\0/app/xagent.py\0", "?python3.12"),
        ("/usr/bin/python3", b"python3\0-m\0\0run\0", "module"),
        ("/usr/bin/python3", b"python3\0-m\0", "?python3"),
        ("/bin/sleep", b"sleep\x0010\0", "!"),
        ("/bin/gitk", b"gitk\0", "?gitk"),
        ("/bin/x", b"", "?x"),
    ];
    for (path, argv, expected) in cases {
        assert_eq!(decided(&rules, &exec(path, Argv::Whole(argv))), expected, "{path}");
    }
}

#[test]
fn a_script_has_its_own_name_and_arguments() {
    let rules =
        rules(&[rule("script", "run.sh", &["go"]), rule("bare", "run.sh", &[]), rule("sh", "sh", &["/app/run.sh"])]);
    let script = exec("/app/run.sh", Argv::Whole(b"/bin/sh\0/app/run.sh\0go\0"));
    assert_eq!(decided(&rules, &script), "script");
    let with_option = exec("/app/run.sh", Argv::Whole(b"/bin/sh\0-e\0/app/run.sh\0go\0"));
    assert_eq!(decided(&rules, &with_option), "script");
    let alone = exec("/app/run.sh", Argv::Whole(b"/bin/sh\0/app/run.sh\0"));
    assert_eq!(decided(&rules, &alone), "bare");
    let by_hand = exec("/bin/sh", Argv::Whole(b"sh\0/app/run.sh\0go\0"));
    assert_eq!(decided(&rules, &by_hand), "sh");
}

#[test]
fn a_cut_argument_never_matches_exactly() {
    let rules = rules(&[rule("exact", "git", &["merge"]), rule("one", "git", &["*"])]);
    assert_eq!(decided(&rules, &exec("git", Argv::Cut(b"git\0merge"))), "one");
    assert_eq!(decided(&rules, &exec("git", Argv::Cut(b"git\0merge\0"))), "exact");
    assert_eq!(decided(&rules, &exec("git", Argv::Unknown)), "?git");
}

#[test]
fn a_command_name_that_may_be_cut_matches_no_whole_name() {
    let rules = rules(&[rule("exact", "123456789012345", &[]), rule("prefix", "12345*", &[]), rule("git", "git", &[])]);
    let by_comm = |comm: &[u8]| {
        let mut bytes = [0; 16];
        bytes[..comm.len()].copy_from_slice(comm);
        Exec { process: Process { comm: bytes, ..Process::default() }, ..Exec::default() }
    };
    assert_eq!(decided(&rules, &by_comm(b"123456789012345")), "prefix");
    assert_eq!(decided(&rules, &by_comm(b"git")), "git");
    let descriptor = Exec { path: Some(b"/dev/fd/3"), ..by_comm(b"git") };
    assert_eq!(decided(&rules, &descriptor), "git");
}

#[test]
fn processes_of_no_rule_can_be_ignored() {
    let spec = TasksSpec { rules: vec![rule("git", "git", &[])], unmatched: Unmatched::Ignore, ..TasksSpec::default() };
    let rules = Rules::new(&spec, &[]);
    assert_eq!(decided(&rules, &exec("/bin/ls", Argv::Unknown)), "!");
    assert_eq!(rules.names().iter().map(|(task, group)| (&***task, &***group)).collect::<Vec<_>>(), [("git", "g")]);
}

#[test]
fn rules_of_the_profile_come_behind_those_of_the_fleet() {
    let spec = TasksSpec { rules: vec![rule("own", "git", &["merge"]), rule("", "ls", &[])], ..TasksSpec::default() };
    let rules =
        Rules::new(&spec, &[rule("profile", "git", &["merge"]), rule("pull", "git", &["pull"]), rule("ls", "ls", &[])]);
    let cases: [(&str, &[u8], &str); 4] = [
        ("git", b"git\0merge\0", "own"),
        ("git", b"git\0pull\0", "pull"),
        ("git", b"git\0push\0", "?git"),
        ("ls", b"ls\0", "!"),
    ];
    for (path, argv, expected) in cases {
        assert_eq!(decided(&rules, &exec(path, Argv::Whole(argv))), expected);
    }
    let tasks = |names: Vec<(&Arc<str>, &Arc<str>)>| names.iter().map(|(task, _)| task.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (tasks(rules.names()), tasks(rules.profile_names())),
        (vec!["own".to_owned()], ["ls", "profile", "pull"].map(str::to_owned).into())
    );
}

#[test]
fn found_processes_are_named_by_what_their_command_name_confirms() {
    let rules = rules(&[rule("merge", "git", &["merge"]), rule("script", "run.sh", &["go"])]);
    let found = |comm: &'static [u8], cmdline: &'static [u8]| match rules.decide(&Program::found(comm, cmdline)) {
        Decision::Task(named) => named.task.to_string(),
        Decision::Unmatched(bytes) => format!("?{}", String::from_utf8_lossy(bytes)),
        Decision::Ignore => "!".to_owned(),
    };
    assert_eq!(found(b"git", b"/usr/bin/git\0merge\0"), "merge");
    assert_eq!(found(b"run.sh", b"/bin/sh\0/app/run.sh\0go\0"), "script");
    assert_eq!(found(b"agent-with-a-lo", b"/opt/agent-with-a-long-name\0"), "?agent-with-a-long-name");
    assert_eq!(found(b"renamed", b"nginx: worker process"), "?renamed");
    assert_eq!(found(b"", b""), "?");
}

proptest! {
    #[test]
    fn any_program_is_decided(path in proptest::collection::vec(any::<u8>(), 0..64), argv in proptest::collection::vec(0_u8..4, 0..64), how in 0..3, executable in "[a-z*]{0,3}") {
        let rules = rules(&[rule("a", &executable, &["*", "x"]), rule("b", "*", &["*", "*", "*"])]);
        let argv = match how {
            0 => Argv::Whole(&argv),
            1 => Argv::Cut(&argv),
            _ => Argv::Unknown,
        };
        let exec = Exec { path: Some(&path), argv, ..Exec::default() };
        if let Decision::Unmatched(bytes) = rules.decide(&Program::of(&exec)) {
            prop_assert!(!bytes.contains(&b'/'));
        }
        let _any = Program::found(&path, &path);
    }

    #[test]
    fn the_compiled_order_is_the_order_of_the_list(executables in proptest::collection::vec(prop_oneof![Just("ab"), Just("a*"), Just("*"), Just("b*"), Just("b")], 0..12), name in prop_oneof![Just("ab"), Just("a"), Just("b"), Just("bb"), Just("c")]) {
        let list: Vec<TaskRule> = executables.iter().enumerate().map(|(at, executable)| rule(&format!("r{at}"), executable, &[])).collect();
        let takes = |executable: &str| executable.strip_suffix('*').map_or(executable == name, |prefix| name.starts_with(prefix));
        let expected = executables.iter().position(|executable| takes(executable)).map_or(format!("?{name}"), |at| format!("r{at}"));
        prop_assert_eq!(decided(&rules(&list), &exec(name, Argv::Unknown)), expected);
    }
}
