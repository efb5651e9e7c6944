//! Images of the suite's own programs, in the cluster.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use crate::command;

/// An image that runs the program at `binary`, with the shared libraries that it needs: made and imported once per run. Gives its name.
pub fn of(name: &str, binary: &Path) -> Result<String> {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let prefix = std::env::var("FLEETSCOPE_IMAGE_PREFIX").unwrap_or_else(|_| "localhost/fleetscope".to_owned());
    let image = format!("{prefix}/e2e-{name}:dev");
    // Held while it is made: who comes second needs it just as much.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if !made.contains(&image) {
        let (entry, file) = (format!("[\"/{name}\"]"), format!("{}:/{name}", binary.display()));
        command::run("tests/cluster/image.sh", &["-l", &image, &entry, &file])
            .with_context(|| format!("failed to make the image {image}"))?;
        made.insert(image.clone());
    }
    Ok(image)
}
