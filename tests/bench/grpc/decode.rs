//! The figures of criterion's benches `hpack` and `rpc`, as tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Nanoseconds of one element, by benchmark.
type Figures = BTreeMap<String, f64>;

pub(crate) fn print() {
    let Some(home) = std::env::var_os("CRITERION_HOME").map(PathBuf::from) else {
        println!(
            "Not run: CRITERION_HOME does not name the figures of `cargo bench -p fleetscope-core --bench hpack --bench rpc`."
        );
        return;
    };
    let blocks = read(&home.join("hpack"));
    println!(
        "| header block | Fleetscope, ns | loona-hpack 0.4 (fluke-hpack), ns | times as fast |\n|---|---|---|---|"
    );
    for (name, own) in blocks.iter().filter(|(name, _)| !name.ends_with(", library")) {
        let other = blocks.get(&format!("{name}, library"));
        let (beside, times) = other
            .map_or((String::new(), String::new()), |other| (format!("{other:.0}"), format!("{:.1}", other / own)));
        println!("| {name} | {own:.0} | {beside} | {times} |");
    }
    println!(
        "\nBlocks as in `core/benches/hpack.rs`. loona-hpack makes its table of Huffman codes anew for each string, which is why literals cost so much there. It gives out fields, and not what they mean to a call. The decoder of the crate h2 is not beside them: its module `hpack` is private, with the feature `unstable` \
         too.\n"
    );
    println!("| from records to | ns per call | calls/s and core |\n|---|---|---|");
    for (name, own) in read(&home.join("rpc")) {
        println!("| {name} | {own:.0} | {:.2} M |", 1e3 / own);
    }
    println!(
        "\n`events` has `parse` in it, and `series` has both: it is all that the node agent does for a call. See `core/benches/rpc.rs`."
    );
}

/// Every benchmark of a group, in the order of their names.
fn read(group: &Path) -> Figures {
    let folders = fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path().join("new"));
    folders
        .filter_map(|folder| {
            let json = |name: &str| -> Option<Value> {
                serde_json::from_str(&fs::read_to_string(folder.join(name)).ok()?).ok()
            };
            let (benchmark, estimates) = (json("benchmark.json")?, json("estimates.json")?);
            let name = benchmark["function_id"].as_str()?.to_owned();
            let elements = benchmark["throughput"]["Elements"].as_f64().unwrap_or(1.0);
            Some((name, estimates["median"]["point_estimate"].as_f64()? / elements))
        })
        .collect()
}
