//! The configuration of a policy: read, and checked against the schema that the policy brings.
//!
//! The schema is as untrusted as the policy. Validation runs outside the sandbox, where nothing interrupts it, so only
//! schemas are accepted whose work is bounded beforehand.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::error::LoadError;

/// Size of a schema in bytes.
pub(crate) const SCHEMA_BYTES: usize = 256 << 10;

/// Parts of a schema, with every reference written out.
const SCHEMA_PARTS: u64 = 20_000;

/// Errors of a configuration that are told at once.
const ERRORS: usize = 3;

/// Reads a configuration in YAML or JSON.
pub(crate) fn parse(text: &str, limit: u32) -> Result<Value, LoadError> {
    let whole = |problem: String| LoadError::ConfigInvalid { place: String::new(), problem };
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > u64::from(limit) {
        return Err(whole(format!("it has {} bytes, the limit is {limit}", text.len())));
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    serde_saphyr::from_str(text).map_err(|error| whole(error.to_string()))
}

/// The schema of a configuration.
#[derive(Debug)]
pub(crate) struct Schema(Validator);

impl Schema {
    /// Reads a schema.
    pub(crate) fn new(text: &str) -> Result<Self, LoadError> {
        if text.len() > SCHEMA_BYTES {
            return Err(LoadError::BadSchema(format!("it has {} bytes, the limit is {SCHEMA_BYTES}", text.len())));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| LoadError::BadSchema(error.to_string()))?;
        Expansion { schema: &schema, known: HashMap::new() }.of(&schema, 0).map_err(LoadError::BadSchema)?;
        jsonschema::options()
            // Takes time in proportion to the text, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map(Self)
            .map_err(|error| LoadError::BadSchema(error.to_string()))
    }

    /// Compares a configuration with the schema.
    pub(crate) fn check(&self, config: &Value) -> Result<(), LoadError> {
        let mut errors = self.0.iter_errors(config);
        let Some(first) = errors.next() else { return Ok(()) };
        let place = match first.instance_path().to_string() {
            path if path.is_empty() => path,
            path => format!("{path}: "),
        };
        let mut problem = first.to_string();
        for error in errors.by_ref().take(ERRORS - 1) {
            problem.push_str(&format!("; {}: {error}", error.instance_path()));
        }
        if errors.next().is_some() {
            problem.push_str("; and more");
        }
        Err(LoadError::ConfigInvalid { place, problem })
    }
}

/// Counts the parts of a schema as validation will meet them.
struct Expansion<'a> {
    schema: &'a Value,
    /// By reference; `None` while it is being counted, so that meeting it again is recursion.
    known: HashMap<&'a str, Option<u64>>,
}

impl<'a> Expansion<'a> {
    fn of(&mut self, part: &'a Value, depth: u32) -> Result<u64, String> {
        let mut parts: u64 = 1;
        match part {
            Value::Object(members) => {
                for (key, value) in members {
                    parts += match (key.as_str(), value) {
                        ("$ref", Value::String(reference)) => self.of_reference(reference, depth)?,
                        // A root may say what it is called; below it, names change what references mean.
                        ("$id" | "$schema", Value::String(_)) if depth == 0 => 1,
                        (
                            "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor",
                            Value::String(_) | Value::Bool(_),
                        ) => return Err(format!("`{key}` is not supported, only `$ref` to a part of the same schema")),
                        (_, value) => self.of(value, depth + 1)?,
                    };
                }
            }
            Value::Array(items) => {
                for item in items {
                    parts += self.of(item, depth + 1)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if parts > SCHEMA_PARTS {
            return Err(format!("with all references written out it has more than {SCHEMA_PARTS} parts"));
        }
        Ok(parts)
    }

    fn of_reference(&mut self, reference: &'a str, depth: u32) -> Result<u64, String> {
        match self.known.get(reference) {
            Some(Some(parts)) => return Ok(*parts),
            Some(None) => return Err(format!("`{reference}` refers to itself; recursive schemas are not supported")),
            None => {}
        }
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.schema.pointer(pointer))
            .ok_or_else(|| format!("`$ref` to `{reference}`, which is not a part of the same schema"))?;
        self.known.insert(reference, None);
        let parts = self.of(target, depth + 1)?;
        self.known.insert(reference, Some(parts));
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(value: &Value) -> Result<Schema, LoadError> {
        Schema::new(&value.to_string())
    }

    #[test]
    fn yaml_and_json_are_read_alike() {
        let expected = json!({"regions": ["eu", "us"], "limit": 3});
        assert_eq!(parse("regions: [eu, us]\nlimit: 3\n", 100), Ok(expected.clone()));
        assert_eq!(parse(&expected.to_string(), 100), Ok(expected));
        assert_eq!(parse("a: [", 100).unwrap_err().reason(), "ConfigInvalid");
        assert!(parse("a: b", 3).unwrap_err().to_string().contains("the limit is 3"));
    }

    #[test]
    fn errors_name_the_place() {
        let schema = schema(&json!({
            "type": "object",
            "properties": {"weights": {"type": "object", "additionalProperties": {"$ref": "#/$defs/weight"}}},
            "additionalProperties": false,
            "$defs": {"weight": {"type": "integer", "minimum": 0}}
        }))
        .unwrap();
        assert_eq!(schema.check(&json!({"weights": {"eu": 3}})), Ok(()));
        let error = schema.check(&json!({"weights": {"eu": -1}})).unwrap_err().to_string();
        assert!(error.starts_with("configuration: /weights/eu: -1"), "{error}");
        assert!(schema.check(&json!({"weight": {}})).is_err());
    }

    #[test]
    fn schemas_whose_work_has_no_bound_are_refused() {
        let bomb: serde_json::Map<String, Value> = (0..40)
            .map(|level| {
                let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
                (level.to_string(), json!({"allOf": [next, next]}))
            })
            .chain([("40".to_owned(), json!(true))])
            .collect();
        for (bad, says) in [
            (json!({"$ref": "#/$defs/0", "$defs": bomb}), "more than 20000 parts"),
            (json!({"properties": {"a": {"$ref": "#"}}}), "recursive"),
            (json!({"$ref": "https://example.com/schema.json"}), "not a part"),
            (json!({"properties": {"a": {"$dynamicRef": "#x"}}}), "not supported"),
            (json!({"type": "banana"}), "banana"),
        ] {
            let error = schema(&bad).unwrap_err();
            assert_eq!(error.reason(), "BadSchema");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(Schema::new("{").unwrap_err().reason(), "BadSchema");
    }
}
