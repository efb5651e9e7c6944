//! What somebody may have meant by a name that does not exist.

/// Most edits between what was written and what was meant, for each ten characters.
const EDITS_PER_TEN: usize = 4;

/// The name that is the fewest edits away, if these are few. Case does not count.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = written.chars().count() * EDITS_PER_TEN / 10;
    names.map(|name| (edits(written, name), name)).filter(|(edits, _)| *edits <= most).min().map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not() {
        let names = ["FleetTaskFailureRatioHigh", "FleetTaskSlow", "FleetAgentFailed"];
        for (written, meant) in [
            ("FleetTaskFailureRateHigh", Some("FleetTaskFailureRatioHigh")),
            ("fleettaskslow", Some("FleetTaskSlow")),
            ("FleetAgentsFailed", Some("FleetAgentFailed")),
            ("HighErrorRate", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names.into_iter()), meant, "{written}");
        }
    }
}
