//! What the API server was asked, from its audit log; and whether that is what roles allow, both ways.
//!
//! In: the log's lines (`AUDIT=1 tests/cluster/up.sh`), and roles with their bindings as objects. Out: [`Request`]s, and [`Right`]s that were
//! used, granted, or refused.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One request, as it was answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// Who asked.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, ...
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural of the kind, with the subresource: `pods/proxy`. Empty for a path that is no object's.
    pub resource: String,
    /// Namespace; empty for none.
    pub namespace: String,
    /// Name; empty for none.
    pub name: String,
    /// HTTP status of the answer; 0 while there is none.
    pub code: u16,
    /// When the request came, in UTC, in one length: texts compare as the times do.
    pub received: String,
    /// When it was answered; of a watch, when it ended.
    pub answered: String,
    /// Path and query.
    pub uri: String,
}

/// A line of the log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    user: User,
    #[serde(rename = "requestURI")]
    uri: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    request_received_timestamp: String,
    stage_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// Reads a log that still grows: each call gives what came since the last.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    at: u64,
}

/// What is allowed, or done: a verb on a resource.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Right {
    /// API group.
    pub group: String,
    /// Plural, with the subresource.
    pub resource: String,
    /// Verb.
    pub verb: String,
    /// Namespace in which it is allowed; none for all.
    pub namespace: Option<String>,
    /// Name of the object for which it is allowed; none for all.
    pub name: Option<String>,
}

// === impl Request ===

impl Request {
    /// Of a line of the log. A watch has two, when it begins and when it ends: the first counts, and of all others the answer.
    pub fn parse(line: &str) -> Result<Option<Self>> {
        let line: Line = serde_json::from_str(line).with_context(|| format!("not a line of an audit log: {line}"))?;
        let watch = line.verb == "watch";
        if (watch && line.stage == "ResponseComplete" && line.response_status.as_ref().is_none_or(|s| s.code < 400))
            || (!watch && line.stage != "ResponseComplete")
        {
            return Ok(None);
        }
        let object = line.object_ref.unwrap_or_default();
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        Ok(Some(Self {
            user: line.user.username,
            verb: line.verb,
            group: object.api_group,
            resource: format!("{}{slash}{}", object.resource, object.subresource),
            namespace: object.namespace,
            name: object.name,
            code: line.response_status.map_or(0, |status| status.code),
            received: line.request_received_timestamp,
            answered: line.stage_timestamp,
            uri: line.uri,
        }))
    }

    /// Whether it changes something, or tries to.
    pub fn writes(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// The rights that it takes. To apply an object that was not there takes the right to create it, too.
    fn rights(&self) -> impl Iterator<Item = Right> + '_ {
        let created = (self.verb == "patch" && self.code == 201).then_some("create");
        std::iter::once(self.verb.as_str()).chain(created).map(|verb| Right {
            group: self.group.clone(),
            resource: self.resource.clone(),
            verb: verb.to_owned(),
            namespace: Some(self.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
        })
    }
}

// === impl Log ===

impl Log {
    /// From its beginning on.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), at: 0 }
    }

    /// What came since the last call. A line that is not written to its end yet comes the next time.
    pub fn read(&mut self) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        self.each(|request| requests.push(request))?;
        Ok(requests)
    }

    /// As [`Log::read`], one by one.
    pub fn each(&mut self, mut take: impl FnMut(Request)) -> Result<()> {
        let failed = || format!("failed to read {}", self.path.display());
        let mut file = std::fs::File::open(&self.path).with_context(failed)?;
        let length = file.metadata().with_context(failed)?.len();
        ensure!(length >= self.at, "{} was begun anew while it was read: lines are lost", self.path.display());
        file.seek(SeekFrom::Start(self.at)).with_context(failed)?;
        let (mut file, mut line) = (BufReader::new(file), String::new());
        while file.read_line(&mut line).with_context(failed)? > 0 && line.ends_with('\n') {
            if let Some(request) = Request::parse(&line)? {
                take(request);
            }
            self.at += line.len() as u64;
            line.clear();
        }
        Ok(())
    }

    /// Skips what is there already.
    pub fn skip(&mut self) -> Result<()> {
        self.each(|_| {})
    }
}

/// All requests of a log and of its older files beside it, of these users.
pub fn requests(path: &Path, users: &[&str]) -> Result<Vec<Request>> {
    let folder = path.parent().context("the log is in a folder")?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).context("the log has a name")?;
    let older = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|other| {
        let name = other.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&format!("{stem}-")) && other.extension() == path.extension()
    });
    let mut requests = Vec::new();
    for file in older.chain([path.to_owned()]) {
        Log::open(&file).each(|request| {
            if users.contains(&request.user.as_str()) {
                requests.push(request);
            }
        })?;
    }
    Ok(requests)
}

// === impl Right ===

impl Right {
    fn allows(&self, used: &Self) -> bool {
        let same = |allowed: &str, used: &str| allowed == "*" || allowed == used;
        same(&self.group, &used.group)
            && same(&self.resource, &used.resource)
            && same(&self.verb, &used.verb)
            && (self.namespace.is_none() || self.namespace == used.namespace)
            && (self.name.is_none() || self.name == used.name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " named {name}")?;
        }
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(f, " in {namespace}"))
    }
}

/// What the roles among these objects allow a service account that their bindings name.
pub fn granted(objects: &[Value], account: &str) -> BTreeSet<Right> {
    let bound = objects.iter().filter(|object| {
        let subjects = object["subjects"].as_array().into_iter().flatten();
        matches!(object["kind"].as_str(), Some("RoleBinding" | "ClusterRoleBinding"))
            && subjects.into_iter().any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == account)
    });
    let mut rights = BTreeSet::new();
    for binding in bound {
        let namespace = (binding["kind"] == "RoleBinding").then(|| text(&binding["metadata"]["namespace"]));
        let role = objects.iter().filter(|object| {
            object["kind"] == binding["roleRef"]["kind"] && object["metadata"]["name"] == binding["roleRef"]["name"]
        });
        for rule in role.flat_map(|role| role["rules"].as_array().into_iter().flatten()) {
            rights.extend(product(rule).into_iter().map(|right| Right { namespace: namespace.clone(), ..right }));
        }
    }
    rights
}

fn product(rule: &Value) -> Vec<Right> {
    let list = |key: &str| -> Vec<String> { rule[key].as_array().into_iter().flatten().map(text).collect() };
    let (groups, resources, verbs, names) =
        (list("apiGroups"), list("resources"), list("verbs"), list("resourceNames"));
    // Without names it is for all of them.
    let names: Vec<Option<String>> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
    let mut all = Vec::new();
    for group in &groups {
        for resource in &resources {
            for verb in &verbs {
                all.extend(names.iter().map(|name| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    namespace: None,
                    name: name.clone(),
                }));
            }
        }
    }
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Rights that nobody used.
pub fn unused<'a>(granted: &'a BTreeSet<Right>, requests: &[Request]) -> Vec<&'a Right> {
    let used: BTreeSet<Right> = requests.iter().flat_map(Request::rights).collect();
    granted.iter().filter(|right| !used.iter().any(|used| right.allows(used))).collect()
}

/// What was asked for and is not among these rights: it was refused, or something else allows it. Paths that are no objects' are open to all. That
/// a granted right was refused is no lack of it: roles come after the pods that need them, and go before them.
pub fn missing(granted: &BTreeSet<Right>, requests: &[Request]) -> BTreeSet<Right> {
    let objects = requests.iter().filter(|request| !request.resource.is_empty());
    let used = objects.flat_map(Request::rights).filter(|used| !granted.iter().any(|right| right.allows(used)));
    used.map(|used| Right { name: None, ..used }).collect()
}

#[cfg(test)]
mod tests;
