//! ConfigMaps that hold policies.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcsdns_core::facts::Malformed;
use serde::Deserialize;

use super::{Watched, resource};
use crate::{
    lenient::{Field, malformed},
    metadata::{Head, LABEL_POLICY},
};

/// Most bytes of all values of a ConfigMap together, as API servers have it (1 MiB).
pub const CONFIG_MAP_BYTES: usize = 1 << 20;

/// A ConfigMap as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigMapObject {
    #[serde(rename = "metadata")]
    head: Head,
    data: Texts,
    binary_data: Texts,
}

type Texts = Field<BTreeMap<String, Field<String>>>;

resource!(ConfigMapObject, "ConfigMap", "", "v1", "configmaps", k8s_openapi::NamespaceResourceScope);

/// A ConfigMap with the label of policies, not yet looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyMap {
    /// Its name; Domains name it so.
    pub name: Arc<str>,
    /// `data`.
    pub data: BTreeMap<String, String>,
    /// `binaryData`, decoded.
    pub binary: BTreeMap<String, Vec<u8>>,
    /// Why it cannot be read.
    pub malformed: Option<Malformed>,
}

impl PolicyMap {
    /// Bytes of all values together, as an API server counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.values().map(String::len).sum::<usize>() + self.binary.values().map(Vec::len).sum::<usize>()
    }
}

impl ConfigMapObject {
    /// Whether it says that it holds a policy.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        self.head.label(LABEL_POLICY) == Some("true")
    }

    fn read(&self) -> Result<PolicyMap, Malformed> {
        self.head.check()?;
        let mut map = PolicyMap::default();
        for (key, value) in self.data.get("data")?.into_iter().flatten() {
            let text = value.get(&format!("data[{key}]"))?;
            map.data.insert(key.clone(), text.cloned().unwrap_or_default());
        }
        for (key, value) in self.binary_data.get("binaryData")?.into_iter().flatten() {
            let path = format!("binaryData[{key}]");
            // Line breaks are what `base64` puts in and what YAML blocks keep.
            let text: String = value.get(&path)?.map_or("", String::as_str).split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(text).map_err(|error| malformed(format!("{path}: not base64: {error}")))?;
            map.binary.insert(key.clone(), bytes);
        }
        Ok(map)
    }
}

impl Watched for ConfigMapObject {
    type Key = Arc<str>;
    type Fact = PolicyMap;
    const KIND: &'static str = "ConfigMap";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> Arc<str> {
        self.head.name().into()
    }

    fn fact(&self) -> Option<PolicyMap> {
        self.is_policy().then(|| {
            let map = self.read();
            let malformed = map.as_ref().err().cloned();
            PolicyMap { name: Watched::key(self), malformed, ..map.unwrap_or_default() }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::convert::from_value;

    fn read(value: &serde_json::Value) -> Option<PolicyMap> {
        from_value::<ConfigMapObject>(value).unwrap().fact()
    }

    #[test]
    fn only_those_with_the_label_are_told() {
        let mut object = json!({
            "metadata": {"name": "a", "labels": {LABEL_POLICY: "true"}},
            "data": {"config": "x: 1"},
            "binaryData": {"policy.wasm": "AGFz\n  bQ=="},
        });
        let map = read(&object).unwrap();
        assert_eq!((&*map.name, map.bytes(), map.malformed), ("a", 8, None));
        assert_eq!(map.binary["policy.wasm"], b"\0asm");
        object["metadata"]["labels"][LABEL_POLICY] = "yes".into();
        assert_eq!(read(&object), None);
    }

    #[test]
    fn what_is_no_base64_is_named() {
        let object = json!({
            "metadata": {"name": "a", "labels": {LABEL_POLICY: "true"}},
            "binaryData": {"policy.wasm": "%"},
        });
        let map = read(&object).unwrap();
        assert!(map.malformed.unwrap().message.starts_with("binaryData[policy.wasm]: not base64"));
        let object = json!({"metadata": {"name": "a", "labels": {LABEL_POLICY: "true"}}, "data": {"config": 5}});
        assert!(read(&object).unwrap().malformed.unwrap().message.starts_with("data[config]: expected a text"));
    }
}
