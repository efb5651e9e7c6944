//! What `versions.env` pins.

/// The version that stands there under `name`.
///
/// # Panics
/// When there is no such line.
pub fn pinned(name: &str) -> &'static str {
    let lines = include_str!("../../versions.env").lines();
    let found = lines.filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("versions.env has no {name}")).1
}
