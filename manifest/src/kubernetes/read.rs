//! Documents to objects: kinds, lists, and what every object must have.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;

use super::config;
use super::kinds::{KINDS, Kind, Manifest};
use super::located::Located;
use crate::strict::{self, Error, Errors};
use crate::yaml::{self, Duplicates, Node, Position, Value};

/// Reads all objects of a manifest file, YAML or JSON, with `List`s flattened.
///
/// As kubectl does, a key that is set twice has its last value. Errors, of all documents together: what is not YAML,
/// an unknown kind, an unknown field, a wrong type, a quantity that is none, an object without a name.
pub fn read_manifests(file: &str, text: &str) -> Result<Vec<Located<Manifest>>, Errors> {
    let documents = yaml::parse(text, Duplicates::LastWins).map_err(|error| Error::from_syntax(file, error))?;
    let mut reader = Reader { file, objects: Vec::new(), errors: Vec::new() };
    for document in documents {
        reader.document(document, None);
    }
    if reader.errors.is_empty() { Ok(reader.objects) } else { Err(Errors(reader.errors).sorted()) }
}

/// Reads the objects of one tree that stands inside another file, lists flattened; places are those of that file.
///
/// Errors: as [`read_manifests`].
pub fn read_node(file: &str, node: Node) -> Result<Vec<Located<Manifest>>, Errors> {
    let mut reader = Reader { file, objects: Vec::new(), errors: Vec::new() };
    reader.document(node, None);
    if reader.errors.is_empty() { Ok(reader.objects) } else { Err(Errors(reader.errors).sorted()) }
}

/// Reads all objects of a manifest file, applies the API server's defaults and validates.
pub fn read_admitted(file: &str, text: &str) -> Result<Vec<Located<Manifest>>, Errors> {
    let mut objects = read_manifests(file, text)?;
    let refused: Vec<Error> = objects.iter_mut().filter_map(|object| object.admit().err()).flat_map(|e| e.0).collect();
    if refused.is_empty() { Ok(objects) } else { Err(Errors(refused).sorted()) }
}

/// What the API server says of a body that it cannot read, without the words about its kind that come before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The words of Go's JSON reader.
    pub said: String,
    /// What is said instead where a strategic merge patch made such an object.
    pub converted: String,
}

/// Reads the body of a request: JSON of one object of the kind, which may lack a name and may have unknown fields. Keys
/// count in the order in which they are written; of one that is set twice, the last value counts.
///
/// Returns the object and what the API server says of its unknown fields and of those that are set twice, in its order.
/// Errors: what cannot be read.
pub fn read_body(kind: Kind, text: &str) -> Result<(Located<Manifest>, Vec<String>), Unreadable> {
    let (mut source, mut written) = body(text)?;
    if let Some(error) = config::check_values(BODY, kind.kind, &mut source).first() {
        let said = Unreadable::of(error).said;
        return Err(Unreadable { converted: format!("error decoding from json: {said}"), said });
    }
    config::check_values(BODY, kind.kind, &mut written);
    let read = |node: &Node| Manifest::with_unknown(BODY, kind, node);
    let (mut value, _) = read(&source).map_err(|error| Unreadable::of(&decisive(error, &source, read)))?;
    let (_, strange) = read(&written).map_err(|error| Unreadable::of(&error))?;
    mark_empty_selector(&mut value, &source);
    Ok((Located { file: BODY.to_owned(), value, source }, strict_words(strange)))
}

/// What a strategic merge patch has made of an object, with whole numbers that are outside of their types' ranges as Go
/// turns them into these. What cannot be read stays as it is.
pub fn converted(kind: Kind, object: &serde_json::Value) -> serde_json::Value {
    let Ok((mut source, _)) = body(&object.to_string()) else { return object.clone() };
    let mut is_changed = false;
    while let Err(fault) = Manifest::with_unknown(BODY, kind, &source)
        && let Some(number) = fault.wrapped()
        && let Some(node) = source.at_mut(Position { line: fault.line, column: fault.column })
    {
        (node.value, is_changed) = (Value::Int(number.into()), true);
    }
    if is_changed { source.to_json() } else { object.clone() }
}

/// Reads the body of a request as a Kubernetes Event, as [`read_body`] does other kinds.
pub fn read_event(text: &str) -> Result<(Event, Vec<String>), Unreadable> {
    let (source, written) = body(text)?;
    let read = |node: &Node| strict::with_unknown(BODY, node);
    let (event, _) = read(&source).map_err(|error| Unreadable::of(&decisive(error, &source, read)))?;
    let (_, strange): (Event, _) = read(&written).map_err(|error| Unreadable::of(&error))?;
    Ok((event, strict_words(strange)))
}

/// What stands for the name of a file where a request's body is read.
const BODY: &str = "body";

/// How many unknown fields and fields that are set twice the API server tells of.
const STRICT_WORDS_MAX: usize = 100;

/// The tree of a body, and the same with all of what is set twice.
fn body(text: &str) -> Result<(Node, Node), Unreadable> {
    let plain = |message: &str| Unreadable { said: message.to_owned(), converted: message.to_owned() };
    let read = |duplicates| {
        let mut documents = yaml::parse(text, duplicates).map_err(|error| plain(&error.message))?;
        documents.pop().ok_or_else(|| plain("the body is empty"))
    };
    Ok((read(Duplicates::LastWins)?, read(Duplicates::Kept)?))
}

/// Of all faults of a body the one that the API server tells, where `first` is the first of them in the text: one of a
/// type that reads itself, at which Go stops, or else the first.
fn decisive<T>(
    first: Box<Error>,
    source: &Node,
    read: impl Fn(&Node) -> Result<(T, Vec<Error>), Box<Error>>,
) -> Box<Error> {
    let mut rest = source.clone();
    let mut fault = first.clone();
    while !fault.stops_reading() {
        // What is read over is as good as null from then on.
        match rest.at_mut(Position { line: fault.line, column: fault.column }) {
            Some(node) if node.value != Value::Null => node.value = Value::Null,
            _ => return first,
        }
        match read(&rest) {
            Ok(_) => return first,
            Err(next) => fault = next,
        }
    }
    fault
}

/// What is said of fields that are unknown or set twice: once of each path.
///
/// Source: `saveStrictError`, encoding/json/kubernetes_patch.go of sigs.k8s.io/json (v1.34.1).
fn strict_words(strange: Vec<Error>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for said in strange.into_iter().filter_map(|error| error.said) {
        if words.len() < STRICT_WORDS_MAX && !words.contains(&said) {
            words.push(said);
        }
    }
    words
}

impl Unreadable {
    fn of(error: &Error) -> Unreadable {
        let said = error.go_message().unwrap_or_else(|| error.message.clone());
        Unreadable { converted: error.converter_message().unwrap_or_else(|| said.clone()), said }
    }
}

struct Reader<'a> {
    file: &'a str,
    objects: Vec<Located<Manifest>>,
    errors: Vec<Error>,
}

impl Reader<'_> {
    /// Reads one object or list. `inherited` is the kind that a typed list's items have without saying so.
    fn document(&mut self, document: Node, inherited: Option<Kind>) {
        let Value::Map(_) = document.value else {
            let message = format!("expected a Kubernetes object, found {}", document.value.describe());
            return self.refuse(&document, "", message);
        };
        let api_version = self.header(&document, "apiVersion", inherited.map(|kind| kind.api_version));
        let kind = self.header(&document, "kind", inherited.map(|kind| kind.kind));
        let (Some(api_version), Some(kind)) = (api_version, kind) else { return };
        match list_item_kind(&api_version, &kind) {
            Some(item_kind) => self.list(document, item_kind),
            None => self.object(document, &api_version, &kind),
        }
    }

    /// The text of `apiVersion` or `kind`.
    fn header(&mut self, document: &Node, field: &str, inherited: Option<&str>) -> Option<String> {
        match document.get(field).map(|node| (&node.value, node)) {
            Some((Value::String(text), _)) if !text.is_empty() => return Some(text.clone()),
            None | Some((Value::Null | Value::String(_), _)) => match inherited {
                Some(inherited) => return Some(inherited.to_owned()),
                None => self.refuse(document, field, format!("{field} not set")),
            },
            Some((other, _)) => {
                self.refuse(document, field, format!("expected a string, found {}", other.describe()));
            }
        }
        None
    }

    fn list(&mut self, list: Node, item_kind: Option<Kind>) {
        let Value::Map(entries) = list.value else { return };
        for (key, node) in entries {
            match (key.text.as_str(), node.value) {
                ("apiVersion" | "kind" | "metadata", _) | ("items", Value::Null) => {}
                ("items", Value::Seq(items)) => items.into_iter().for_each(|item| self.document(item, item_kind)),
                ("items", other) => {
                    let message = format!("expected a sequence, found {}", other.describe());
                    self.errors.push(Error::new(self.file, node.span.start(), "items", message));
                }
                (name, _) => {
                    let error = Error::new(self.file, key.span.start(), name, format!("unknown field {name:?}"));
                    self.errors.push(error.expecting(name, ["apiVersion", "kind", "metadata", "items"]));
                }
            }
        }
    }

    fn object(&mut self, mut document: Node, api_version: &str, kind: &str) {
        let Some(&found) = KINDS.iter().find(|known| known.kind == kind && known.api_version == api_version) else {
            return self.unsupported(&document, api_version, kind);
        };
        let illegal = config::check_values(self.file, found.kind, &mut document);
        if !illegal.is_empty() {
            return self.errors.extend(illegal);
        }
        match Manifest::from_node(self.file, found, &document) {
            Ok(mut value) => {
                mark_empty_selector(&mut value, &document);
                let metadata = value.metadata();
                let unset = |name: &Option<String>| name.as_deref().unwrap_or("").is_empty();
                if unset(&metadata.name) && unset(&metadata.generate_name) {
                    let message = "Required value: name or generateName is required";
                    return self.refuse(&document, "metadata.name", message.to_owned());
                }
                self.objects.push(Located { file: self.file.to_owned(), value, source: document });
            }
            Err(errors) => self.errors.extend(errors.0),
        }
    }

    /// Says why a kind cannot be read: another version has it, or none does.
    fn unsupported(&mut self, document: &Node, api_version: &str, kind: &str) {
        if let Some(known) = KINDS.iter().find(|known| known.kind == kind) {
            let message = format!("no kind {kind:?} in version {api_version:?}");
            let mut error = Error::new(self.file, document_place(document, "apiVersion"), "apiVersion", message);
            error.expected = vec![known.api_version.to_owned()];
            error.suggestion = Some(known.api_version.to_owned());
            return self.errors.push(error);
        }
        let message = format!("kind {kind:?} of {api_version} is not supported yet");
        let error = Error::new(self.file, document_place(document, "kind"), "kind", message);
        self.errors.push(error.expecting(kind, KINDS.iter().map(|known| known.kind)));
    }

    fn refuse(&mut self, document: &Node, path: &str, message: String) {
        self.errors.push(Error::new(self.file, document.locate(path), path, message));
    }
}

/// Makes an empty map of a selector that is given and empty: the API server tells one from a missing one, the types
/// here do not.
fn mark_empty_selector(manifest: &mut Manifest, document: &Node) {
    let given = document.get("spec").and_then(|spec| spec.get("selector"));
    if !given.is_some_and(|node| matches!(node.value, Value::Map(_))) {
        return;
    }
    let selector = match manifest {
        Manifest::Deployment(object) => object.spec.as_mut().map(|spec| &mut spec.selector),
        Manifest::ReplicaSet(object) => object.spec.as_mut().map(|spec| &mut spec.selector),
        Manifest::StatefulSet(object) => object.spec.as_mut().map(|spec| &mut spec.selector),
        Manifest::DaemonSet(object) => object.spec.as_mut().map(|spec| &mut spec.selector),
        _ => None,
    };
    if let Some(selector) = selector.filter(|it| it.match_labels.is_none() && it.match_expressions.is_none()) {
        selector.match_labels = Some(BTreeMap::new());
    }
}

/// The place of a field's value, which is what a wrong `kind` is about.
fn document_place(document: &Node, field: &str) -> yaml::Position {
    document.get(field).unwrap_or(document).span.start()
}

/// `Some` for lists: of items of one supported kind (`PodList`), or of any (`List`, and lists of unsupported kinds,
/// whose items then say what they are).
fn list_item_kind(api_version: &str, kind: &str) -> Option<Option<Kind>> {
    let item = kind.strip_suffix("List")?;
    if item.is_empty() && api_version != "v1" {
        return None;
    }
    Some(KINDS.iter().copied().find(|known| known.kind == item && known.api_version == api_version))
}
