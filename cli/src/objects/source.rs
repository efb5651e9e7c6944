//! Files, folders and standard input, read as documents. A fault of one file hides none of another.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lines::Lines;
use super::place::Place;
use crate::exit::Problem;

/// Most bytes of one file: a thousand times the largest fleet that an API server stores would fit.
const FILE_MAX: u64 = 64 << 20;
/// Endings of the files of a folder that are read.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// One object and where it stands.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it is.
    pub(super) place: Place,
    /// Not checked yet.
    pub(super) object: Value,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("failed to read")]
    Read(#[from] io::Error),
    #[error("failed to read: it is larger than {FILE_MAX} bytes")]
    TooLarge,
    #[error("failed to find *.yaml, *.yml or *.json in this folder")]
    EmptyFolder,
}

/// Reads all of them, in the order that was given; the files of a folder by name.
pub(super) fn read(paths: &[PathBuf], stdin: &mut dyn Read, faults: &mut Vec<Problem>) -> Vec<Document> {
    let mut documents = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let text = bounded(stdin);
            add("standard input", text, &mut documents, faults);
            continue;
        }
        match files(path) {
            Ok(files) => {
                for file in files {
                    let text = File::open(&file).map_err(SourceError::Read).and_then(|mut file| bounded(&mut file));
                    add(&file.display().to_string(), text, &mut documents, faults);
                }
            }
            Err(error) => add(&path.display().to_string(), Err(error), &mut documents, faults),
        }
    }
    documents
}

fn files(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(SourceError::EmptyFolder) } else { Ok(files) }
}

fn bounded(file: &mut dyn Read) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    // A Vec has at most isize::MAX bytes, which an u64 holds.
    if bytes.len() as u64 > FILE_MAX { Err(SourceError::TooLarge) } else { Ok(bytes) }
}

fn add(name: &str, bytes: Result<Vec<u8>, SourceError>, documents: &mut Vec<Document>, faults: &mut Vec<Problem>) {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            faults.push(Problem::new(
                format!("{name}: {error}{cause}"),
                "name a file or folder that can be read, or - for standard input",
            ));
            return;
        }
    };
    let mut lines = Lines::of(&bytes).into_iter();
    let mut reader = bytes.as_slice();
    for object in serde_saphyr::read::<_, Value>(&mut reader) {
        let place = Place::new(name, lines.next().unwrap_or_default());
        match object {
            Ok(object) => expand(place, object, documents),
            Err(error) => faults.push(Problem::new(
                format!("{name}: failed to read YAML: {}", error.without_snippet()),
                "correct the YAML; indentation is by blanks, and texts with `: ` or `#` need quotes",
            )),
        }
    }
}

/// The items of a List, as `kubectl get -o yaml` prints one, or the object itself.
fn expand(place: Place, mut object: Value, documents: &mut Vec<Document>) {
    let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => {
            let items = items.into_iter().enumerate();
            documents.extend(items.map(|(i, object)| Document { place: place.item(i), object }));
        }
        Some(other) => {
            object["items"] = other;
            documents.push(Document { place, object });
        }
        None => documents.push(Document { place, object }),
    }
}
