use super::*;
use crate::skip::skip;

/// A line of truth with calls in the first three buckets.
fn line(role: &str, status: &str, buckets: [u64; 3], sum: f64) -> String {
    let count: u64 = buckets.iter().sum();
    let rest = "\t0".repeat(BOUNDS.len() + 1 - buckets.len());
    let [a, b, c] = buckets;
    format!("truth\t{role}\tp.S/M\t{status}\t{count}\t{sum:.9}\t{a}\t{b}\t{c}{rest}\t0.000400000\t0.002000000")
}

fn made(buckets: [u64; 3], sum: f64) -> Calls {
    let mut all = [0; BOUNDS.len() + 1];
    all[..3].copy_from_slice(&buckets);
    Calls { count: buckets.iter().sum(), sum, buckets: all, p50: 0.0004, p99: 0.002 }
}

fn key(role: Role, status: &str) -> (Role, String, String) {
    (role, "p.S/M".to_owned(), status.to_owned())
}

#[test]
fn lines_of_truth_are_read_and_others_passed_over() {
    let lines = [
        "connected 2".to_owned(),
        line("client", "OK", [1, 0, 1], 0.0025),
        "a warning of some library".to_owned(),
        line("client", "NOT_FOUND", [0, 3, 0], 0.0024),
    ];
    assert_eq!(
        parse(&lines).unwrap(),
        Account::from([
            (key(Role::Client, "NOT_FOUND"), made([0, 3, 0], 0.0024)),
            (key(Role::Client, "OK"), made([1, 0, 1], 0.0025)),
        ])
    );
}

#[test]
fn a_line_that_is_not_whole_is_an_error() {
    let whole = line("server", "OK", [1, 0, 0], 0.0004);
    for (broken, why) in [
        ("truth\tserver\tp.S/M".to_owned(), "it is too short"),
        (whole.replace("server", "proxy"), "unknown role proxy"),
        (whole.replace("\tOK\t1\t", "\tOK\t2\t"), "its buckets do not add up"),
        (whole.replace("\t0.000400000\t0.002000000", "\t0.002000000"), "it has 20 buckets"),
        (whole.replace("\tOK\t1\t", "\tOK\tone\t"), "invalid digit found in string"),
    ] {
        let error = format!("{:#}", parse(std::slice::from_ref(&broken)).unwrap_err());
        assert!(error.ends_with(why), "{broken:?}: {error}");
    }
    assert!(format!("{:#}", parse(&[whole.clone(), whole]).unwrap_err()).starts_with("said twice"));
}

#[test]
fn difference_has_the_calls_of_the_later_account_alone() {
    let earlier = Account::from([
        (key(Role::Server, "OK"), made([1, 1, 0], 0.001)),
        (key(Role::Server, "ABORTED"), made([1, 0, 0], 0.0001)),
    ]);
    let mut later = earlier.clone();
    later.insert(key(Role::Server, "OK"), made([1, 3, 1], 0.005));
    later.insert(key(Role::Server, "INTERNAL"), made([0, 1, 0], 0.0006));
    assert_eq!(
        difference(&later, &earlier),
        Account::from([
            (key(Role::Server, "INTERNAL"), made([0, 1, 0], 0.0006)),
            (key(Role::Server, "OK"), made([0, 2, 1], 0.004)),
        ])
    );
}

#[test]
fn server_and_client_of_one_language_agree() {
    for language in Language::ALL {
        if let Err(reason) = language.program() {
            skip(&format!("server_and_client_of_one_language_agree ({})", language.name()), &reason);
            continue;
        }
        let server = Server::start(language, None, &[]).unwrap();
        let all = ["--kind", "unary,bidi", "--calls", "20", "--status", "mix", "--concurrency", "4"];
        let mut client = Client::connect(language, None, server.address(), &all).unwrap();
        let first = client.round().unwrap();
        let second = difference(&client.round().unwrap(), &first);
        assert_eq!(counts(&second), counts(&first), "{language:?}: both rounds make the same calls");
        assert_eq!(counts(&first).values().sum::<u64>(), 40, "{language:?}");
        client.stop().unwrap();
        let account = server.stop().unwrap();
        let twice = counts(&first).into_iter().map(|(key, count)| (key, 2 * count)).collect::<BTreeMap<_, _>>();
        assert_eq!(counts(&account), twice, "{language:?}: the server counted both rounds");
    }
}

#[test]
fn server_that_is_dropped_is_gone() {
    let Ok(_) = Language::Go.program() else {
        return skip("server_that_is_dropped_is_gone", &Language::Go.program().unwrap_err());
    };
    let server = Server::start(Language::Go, None, &[]).unwrap();
    let process = PathBuf::from(format!("/proc/{}", server.pid()));
    assert!(process.exists());
    drop(server);
    assert!(!process.exists(), "it is killed and waited for");
}
