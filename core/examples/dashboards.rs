//! Writes the dashboards into a folder, `<uid>.json` each: the chart's files, by `make generate`.
//!
//! Usage: `cargo run -p fleetscope-core --example dashboards FOLDER`
#![expect(
    clippy::disallowed_methods,
    reason = "this program is the edge: it reads its argument and writes files, core does neither"
)]

use std::io;
use std::path::PathBuf;

use fleetscope_core::dashboards;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "name the folder"))?;
    std::fs::create_dir_all(&folder)?;
    for dashboard in dashboards::all(&dashboards::catalogue_threshold) {
        std::fs::write(folder.join(format!("{}.json", dashboard.uid)), dashboard.text())?;
    }
    Ok(())
}
