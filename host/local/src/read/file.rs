//! One file: bounded, and never half understood in silence.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use mcsdns_core::{
    facts::{Domain, Malformed, Member, Record},
    ids::{ClusterName, ObjectKey},
    name,
};
use serde_json::Value;

use super::{
    Place,
    document::{Broken, Document, json, split, yaml},
    object::{Content, Context, Object, Told, read_value},
    source::Source,
};
use crate::{
    limits::Limits,
    problem::{Level, Problem},
};

/// Reads a file as text.
///
/// # Errors
/// When it cannot be read, is too large, or is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, Box<Problem>> {
    let fail = |reason, message: String| Err(Box::new(Problem::error(path, reason, message)));
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => return fail("Unreadable", format!("cannot be read: {error}")),
    };
    let too_large =
        |size: u64| format!("is too large: {size} bytes, {limit} are read at most; split it into several files");
    let size = match file.metadata() {
        Ok(metadata) if !metadata.is_file() => return fail("Unreadable", "is not a regular file".to_owned()),
        Ok(metadata) => metadata.len(),
        Err(error) => return fail("Unreadable", format!("cannot be read: {error}")),
    };
    if size > limit {
        return fail("FileTooLarge", too_large(size));
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(limit + 1).read_to_end(&mut bytes) {
        return fail("Unreadable", format!("cannot be read: {error}"));
    }
    if bytes.len() as u64 > limit {
        return fail("FileTooLarge", too_large(bytes.len() as u64));
    }
    decode(path, bytes)
}

/// Opening a pipe would wait for whoever writes to it, so the kind of file is looked at before.
fn open(path: &Path) -> std::io::Result<File> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, Box<Problem>> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = "is written in UTF-16; save it as UTF-8";
        return Err(Box::new(Problem::error(path, "NotUtf8", message)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Box::new(Problem::error(path, "NotUtf8", "is not UTF-8; save it as UTF-8").at(line))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Reads a file of manifests that stands in `place`. What cannot be understood is a problem and costs nothing else.
pub(crate) fn read_file(path: &Arc<Path>, place: &Place, limits: &Limits) -> Content {
    match read_text(path, limits.file_bytes) {
        Ok(text) => read_manifests(path, &text, place, limits),
        Err(problem) => Content { problems: vec![*problem], incomplete: true, ..Content::default() },
    }
}

/// Reads manifests that are in memory.
fn read_manifests(path: &Arc<Path>, text: &str, place: &Place, limits: &Limits) -> Content {
    let mut content = Content::default();
    if path.extension().is_some_and(|extension| extension == "json") {
        let values = json(text);
        let many = values.len() > 1;
        for (number, value) in (1..).zip(values) {
            match value {
                Ok((line, value)) => {
                    let document = Document { number, line, text: from_line(text, line) };
                    let context = Context { path, place, document, many, limits };
                    read_value(&context, &value, "", &mut content);
                }
                Err(broken) => {
                    let document = Document { number, line: broken.line, text: "" };
                    let context = Context { path, place, document, many, limits };
                    content.incomplete = true;
                    content.problems.push(context.problem(Level::Error, "InvalidJson", broken.message));
                }
            }
        }
        return content;
    }
    let mut documents = split(text).peekable();
    let mut many = None;
    while let Some(document) = documents.next() {
        let many = *many.get_or_insert_with(|| documents.peek().is_some());
        let context = Context { path, place, document, many, limits };
        if document.number > limits.documents {
            content.incomplete = true;
            let message = format!("more than {} documents; split the file", limits.documents);
            content.problems.push(context.problem(Level::Error, "TooManyDocuments", message));
            break;
        }
        match yaml::<Value>(&document, limits) {
            Ok(Value::Null) => {}
            Ok(value) => read_value(&context, &value, "", &mut content),
            Err(broken) => broken_document(&context, &broken, &mut content),
        }
    }
    content
}

/// The text from a line on, for looking up fields.
fn from_line(text: &str, line: usize) -> &str {
    let offset: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    text.get(offset..).unwrap_or_default()
}

/// A document that is no YAML. Where its head still tells which object it is, only that object is unknown.
fn broken_document(context: &Context<'_>, broken: &Broken, content: &mut Content) {
    let head = head_of(context.document.text);
    let told = head.as_ref().and_then(|head| salvage(head, context.place, &broken.message));
    let problem = Problem {
        line: Some(broken.line),
        object: head.map(|(kind, namespace, name)| format!("{kind} {namespace}/{name}")),
        ..context.problem(Level::Error, "InvalidYaml", format!("this is not valid YAML: {}", broken.message))
    };
    content.problems.push(problem);
    match told {
        Some(told) => {
            let number = context.many.then_some(context.document.number);
            let source = Source::new(context.path, number, context.document.line);
            content.objects.push(Object { source, told });
        }
        None => content.incomplete = true,
    }
}

/// Kind, namespace and name of a document in block style, line by line.
fn head_of(text: &str) -> Option<(String, String, String)> {
    let value = |line: &str, key: &str| {
        let text = line.trim_start().strip_prefix(key)?.strip_prefix(':')?.trim();
        let text = text.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (mut kind, mut namespace, mut name) = (None, None, None);
    let mut indent = None;
    let mut in_metadata = false;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let depth = line.len() - line.trim_start().len();
        if depth == 0 {
            in_metadata = line.trim_end() == "metadata:";
            kind = kind.or_else(|| value(line, "kind"));
        } else if in_metadata && depth == *indent.get_or_insert(depth) {
            name = name.or_else(|| value(line, "name"));
            namespace = namespace.or_else(|| value(line, "namespace"));
        }
    }
    Some((kind?, namespace.unwrap_or_else(|| "default".to_owned()), name?))
}

/// What can be told of an object of which only the head could be read: that it exists.
fn salvage((kind, namespace, name): &(String, String, String), place: &Place, why: &str) -> Option<Told> {
    if name::check_name(name).is_err() || name::check_label(namespace).is_err() {
        return None;
    }
    let key = ObjectKey::new(namespace.as_str(), name.as_str());
    let malformed = Malformed { message: format!("the manifest is not valid YAML: {why}") };
    match (place, kind.as_str()) {
        (Place::Host, "ServiceDNSRecord") => Some(Told::Record(
            key,
            Record { meta: Default::default(), annotations: Vec::new(), spec: Err(malformed), status: None },
        )),
        (Place::Host, "Domain") => Some(Told::Domain(
            name.as_str().into(),
            Domain { meta: Default::default(), spec: Err(malformed), status: None },
        )),
        (Place::Host, "MemberCluster") => Some(Told::Member(
            ClusterName::new(name.as_str()),
            Member { malformed: Some(malformed), ..Member::default() },
        )),
        (Place::Cluster(_), "Service") => Some(Told::Service(key, Err(malformed))),
        (Place::Cluster(_), "EndpointSlice") => Some(Told::Slice(key, Err(malformed))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_broken_document() {
        let text = "apiVersion: v1\nkind: Service # mine\nmetadata:\n  labels:\n    name: not-this\n  name: \"web\"\n  namespace: shop\nspec: {\n";
        assert_eq!(head_of(text), Some(("Service".into(), "shop".into(), "web".into())));
        assert_eq!(head_of("kind: Service\nspec:\n  name: x\n"), None);
    }
}
