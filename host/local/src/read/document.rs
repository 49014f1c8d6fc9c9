//! Texts into documents, and documents into values.
//!
//! A file is cut at its document markers first, so that one broken document costs itself only. YAML does not allow a
//! line that begins with `---` or `...` inside a scalar, so cutting there is exact.

use serde::Deserialize;
use serde_json::Value;

use crate::limits::Limits;

/// A document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// Line of the file that it begins at, from 1.
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// A document that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Line of the file, from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Cuts a YAML text into its documents; those without content are left out but counted.
pub(crate) fn split(text: &str) -> impl Iterator<Item = Document<'_>> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line) = (0, 1);
    let mut offset = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        if is_marker(content, "---") {
            // Directives (%YAML) belong to the document that follows them.
            let before = text.get(begin..offset).unwrap_or_default();
            if !before.lines().all(|line| line.starts_with('%') || is_blank(line)) || !before.contains('%') {
                documents.push((begin_line, before));
                (begin, begin_line) = (offset, line + 1);
            }
        } else if is_marker(content, "...") {
            documents.push((begin_line, text.get(begin..offset).unwrap_or_default()));
            (begin, begin_line) = (offset + content.len(), line + 2);
        }
        offset += content.len();
    }
    documents.push((begin_line, text.get(begin..).unwrap_or_default()));
    let mut number = 0;
    documents.into_iter().filter_map(move |(line, text)| {
        if is_empty(text) {
            return None;
        }
        number += 1;
        Some(Document { number, line, text })
    })
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn is_empty(text: &str) -> bool {
    text.lines().all(|line| is_blank(line.strip_prefix("---").unwrap_or(line)))
}

/// Reads a YAML document.
pub(crate) fn yaml<'a, T: Deserialize<'a>>(document: &Document<'a>, limits: &Limits) -> Result<T, Broken> {
    serde_saphyr::from_str_with_options(document.text, options(limits)).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
        Broken { line: document.line + line.max(1) - 1, message: plain(&error.to_string()) }
    })
}

/// Reads the only document of a text.
///
/// # Errors
/// When it is no YAML, in words.
pub(crate) fn parse_one(text: &str, limits: &Limits) -> Result<Value, String> {
    let document = Document { number: 1, line: 1, text };
    yaml(&document, limits).map_err(|broken| format!("line {}: {}", broken.line, broken.message))
}

/// Strict where YAML 1.1 and 1.2 differ in what people mean (`no` is a text), and bounded, so that neither anchors that
/// multiply nor nesting can exhaust the machine.
fn options(limits: &Limits) -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            flow_nesting_limit: limits.depth,
            max_nodes: limits.nodes,
            max_events: limits.nodes.saturating_mul(2),
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_documents: 1,
            max_recorded_anchor_events: limits.nodes,
        },
    }
}

/// The first line of a message, without the position it may begin or end with, which we tell ourselves.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.rsplit_once(" at line ") {
        Some((before, after)) if after.starts_with(|c: char| c.is_ascii_digit()) => before.to_owned(),
        _ => line.to_owned(),
    }
}

/// Reads JSON: one value or several, one after the other.
pub(crate) fn json(text: &str) -> Vec<Result<(usize, Value), Broken>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut values = Vec::new();
    loop {
        let offset = stream.byte_offset();
        let begin = text.get(offset..).map_or(offset, |rest| offset + rest.len() - rest.trim_start().len());
        let line = 1 + text.get(..begin).unwrap_or_default().bytes().filter(|b| *b == b'\n').count();
        match stream.next() {
            None => return values,
            Some(Ok(value)) => values.push(Ok((line, value))),
            Some(Err(error)) => {
                values.push(Err(Broken { line: error.line().max(1), message: plain(&error.to_string()) }));
                return values;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(usize, usize, &str)> {
        split(text).map(|document| (document.number, document.line, document.text)).collect()
    }

    fn read(text: &str) -> Result<Value, Broken> {
        yaml(&Document { number: 1, line: 10, text }, &Limits::default())
    }

    #[test]
    fn documents_are_cut_at_their_markers() {
        assert_eq!(parts("a: 1\n---\nb: 2\n"), [(1, 1, "a: 1\n"), (2, 2, "---\nb: 2\n")]);
        assert_eq!(parts("# only\n---\n---\r\n---\na: 1"), [(1, 4, "---\na: 1")]);
        assert_eq!(parts("a: |\n  ---\n  x\n--- {b: 1}\n"), [(1, 1, "a: |\n  ---\n  x\n"), (2, 4, "--- {b: 1}\n")]);
        assert_eq!(parts("---a: 1\n"), [(1, 1, "---a: 1\n")]);
        assert_eq!(parts("a: 1\n...\n# end\n"), [(1, 1, "a: 1\n")]);
        assert_eq!(parts("%YAML 1.2\n---\na: 1\n"), [(1, 1, "%YAML 1.2\n---\na: 1\n")]);
        assert!(parts("").is_empty());
    }

    #[test]
    fn directives_and_markers_are_understood_after_cutting() {
        for text in ["%YAML 1.2\n---\na: 1\n", "--- {a: 1}\n", "---\na: 1\n", "--- # c\na: 1\n"] {
            assert_eq!(read(text), Ok(serde_json::json!({"a": 1})), "{text}");
        }
    }

    #[test]
    fn words_are_texts() {
        let value = read("{a: no, b: on, c: y, d: true, e: null, f: ~, g: '1'}").unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a": "no", "b": "on", "c": "y", "d": true, "e": null, "f": null, "g": "1"})
        );
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.line >= 11 && error.line <= 13, "{error:?}");
        assert!(!error.message.contains('\n') && !error.message.is_empty(), "{error:?}");
        let error = read("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.line, 11);
        assert!(error.message.contains("duplicate"), "{error:?}");
    }

    #[test]
    fn anchors_cannot_multiply() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let before = i - 1;
            text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
        }
        // Followed to the end it would be 10^12 values.
        let error = read(&text).unwrap_err();
        assert!(!error.message.is_empty());
    }

    #[test]
    fn nesting_is_bounded() {
        for text in [
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            "a:\n".to_owned() + &(1..5000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>(),
            "- ".repeat(50_000),
            format!("{{{}", "a: {".repeat(100_000)),
        ] {
            assert!(read(&text).is_err());
        }
        assert!(json(&"[".repeat(100_000)).iter().all(Result::is_err));
    }

    #[test]
    fn json_may_be_several_values() {
        let values = json("{\"a\": 1}\n\n{\"b\": 2}\n");
        let values: Vec<_> = values.into_iter().map(Result::unwrap).collect();
        assert_eq!(values, [(1, serde_json::json!({"a": 1})), (3, serde_json::json!({"b": 2}))]);
        let values = json("{\"a\": 1}\n{\"b\": }\n");
        assert_eq!(values.len(), 2);
        assert_eq!(values[1].as_ref().unwrap_err().line, 2);
    }
}
