//! The line of a field.
//!
//! Looked for only when there is something to say about a field, so that reading stays one pass.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::document::{Document, yaml};
use crate::limits::Limits;

/// The line of the file at which the field `path` of a document stands, or the innermost part of it that is there.
/// `path` is written as in messages: `spec.zones[2]`, also with keys that contain dots.
pub(crate) fn locate(document: &Document<'_>, path: &str, limits: &Limits) -> Option<usize> {
    let tree: Spanned<Tree> = yaml(document, limits).ok()?;
    let mut line = line_of(&tree);
    let mut node = &tree.value;
    let mut rest = path;
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let next = match node {
            Tree::Map(entries) => entries
                .iter()
                .filter_map(|(key, value)| {
                    let after = rest.strip_prefix(key.value.0.as_str())?;
                    (after.is_empty() || after.starts_with(['.', '['])).then_some((key, value, after))
                })
                .min_by_key(|(_, _, after)| after.len())
                .map(|(key, value, after)| (line_of(key), value, after)),
            Tree::List(items) => {
                rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).and_then(|(index, after)| {
                    let item = items.get(index.parse::<usize>().ok()?)?;
                    Some((line_of(item), item, after))
                })
            }
            Tree::Leaf => None,
        };
        let Some((at, value, after)) = next else {
            break;
        };
        line = at.or(line);
        node = &value.value;
        rest = after;
    }
    Some(document.line + line?.max(1) - 1)
}

fn line_of<T>(spanned: &Spanned<T>) -> Option<usize> {
    usize::try_from(spanned.referenced.line()).ok().filter(|line| *line > 0)
}

/// A document of which only the positions matter.
enum Tree {
    Map(Vec<(Spanned<Key>, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Leaf,
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields() {
        let text =
            "---\nkind: A\nmetadata:\n  labels:\n    x.io/y: b\nspec:\n  zones:\n    - a\n    - {b: 1}\n  ttl: 3\n";
        let document = Document { number: 1, line: 100, text };
        let line = |path| locate(&document, path, &Limits::default());
        assert_eq!(line("kind"), Some(101));
        assert_eq!(line("metadata.labels.x.io/y"), Some(104));
        assert_eq!(line("spec.zones[1].b"), Some(108));
        assert_eq!(line("spec.zones[7]"), Some(106));
        assert_eq!(line("spec.ttl.x"), Some(109));
        assert_eq!(line("spec.nowhere"), Some(105));
    }

    #[test]
    fn json_is_yaml_enough() {
        let document = Document { number: 1, line: 1, text: "{\n \"a\": {\n  \"b\": [\n   1\n  ]\n }\n}" };
        assert_eq!(locate(&document, "a.b[0]", &Limits::default()), Some(4));
    }
}
