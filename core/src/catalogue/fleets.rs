//! Which fleets a rule is about, as label matchers: the value of `$fleets`.

use std::fmt;

/// Fleets, as a list of label matchers that is never empty.
///
/// ```
/// use fleetscope_core::catalogue::Fleets;
/// let some = Fleets::Some { namespace: "agents".to_owned(), fleets: vec!["a.b".to_owned(), "c".to_owned()] };
/// assert_eq!(some.to_string(), r#"namespace="agents",fleet=~"a\\.b|c""#);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fleets {
    /// One fleet.
    One {
        /// Its namespace.
        namespace: String,
        /// Its name.
        fleet: String,
    },
    /// Some fleets of a namespace. Without any it matches none.
    Some {
        /// Their namespace.
        namespace: String,
        /// Their names.
        fleets: Vec<String>,
    },
    /// All fleets of a namespace.
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// All fleets of all namespaces.
    All,
}

// === impl Fleets ===

impl fmt::Display for Fleets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { namespace, fleet } => {
                write!(f, "namespace=\"{}\",fleet=\"{}\"", quoted(namespace), quoted(fleet))
            }
            Self::Some { namespace, fleets } => {
                // A fleet has a name: an empty list must match no series, not those without one.
                let names: Vec<String> = fleets.iter().map(|fleet| quoted(&literal(fleet))).collect();
                let names = if names.is_empty() { "-".to_owned() } else { names.join("|") };
                write!(f, "namespace=\"{}\",fleet=~\"{names}\"", quoted(namespace))
            }
            Self::Namespace { namespace } => write!(f, "namespace=\"{}\",fleet!=\"\"", quoted(namespace)),
            Self::All => write!(f, "fleet!=\"\""),
        }
    }
}

/// As text between double quotes of PromQL.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// As a regular expression that matches this text alone.
fn literal(text: &str) -> String {
    let special = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_' && c.is_ascii();
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Fleets;
    use crate::promql::Promql;

    fn some(fleets: &[&str]) -> Fleets {
        Fleets::Some { namespace: "agents".to_owned(), fleets: fleets.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn each_form_is_a_list_of_matchers() {
        let (namespace, fleet) = ("agents".to_owned(), "review".to_owned());
        let one = Fleets::One { namespace: namespace.clone(), fleet };
        assert_eq!(one.to_string(), r#"namespace="agents",fleet="review""#);
        assert_eq!(some(&["a", "b-1"]).to_string(), r#"namespace="agents",fleet=~"a|b-1""#);
        assert_eq!(some(&[]).to_string(), r#"namespace="agents",fleet=~"-""#);
        assert_eq!(Fleets::Namespace { namespace }.to_string(), r#"namespace="agents",fleet!="""#);
        assert_eq!(Fleets::All.to_string(), r#"fleet!="""#);
    }

    proptest! {
        #[test]
        fn any_names_give_promql_that_matches_them_alone(names in prop::collection::vec(r#"[a-z.|"\\(\n*ä]{1,8}"#, 1..4)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = format!("up{{{}}}", some(&names));
            prop_assert!(Promql::parse(&text).is_ok(), "{text}");
        }
    }
}
