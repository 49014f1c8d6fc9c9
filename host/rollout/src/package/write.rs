//! From a package to a ConfigMap.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcsdns_api::{convert::CONFIG_MAP_BYTES, metadata::LABEL_POLICY};
use mcsdns_core::name;
use serde::Serialize;

use super::{KEY_BUDGET, KEY_CASES, KEY_CONFIG, KEY_SHA256, Package, PackageError, cases, compress};

/// A ConfigMap as it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `v1`.
    pub api_version: &'static str,
    /// `ConfigMap`.
    pub kind: &'static str,
    /// Name, namespace and label.
    pub metadata: Meta,
    /// The component, in base64.
    pub binary_data: BTreeMap<&'static str, String>,
    /// The rest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<&'static str, String>,
    /// Bytes of all values, as an API server counts them.
    #[serde(skip)]
    pub bytes: usize,
}

/// Metadata of a ConfigMap as it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// Its name.
    pub name: String,
    /// The namespace of the controller.
    pub namespace: String,
    /// What makes it a policy.
    pub labels: BTreeMap<&'static str, &'static str>,
}

impl Package {
    /// The ConfigMap of this package, with the component in [`Package::encoding`] and its digest declared. The same package
    /// gives the same manifest.
    ///
    /// # Errors
    /// When it does not fit into a ConfigMap, or its name or cases are not as they should be.
    pub fn manifest(&self, namespace: &str) -> Result<Manifest, PackageError> {
        if name::check_name(&self.name).is_err() || self.name.contains(|c: char| c.is_ascii_uppercase() || c == '*') {
            return Err(PackageError::Name(self.name.to_string()));
        }
        let stored = compress::pack(&self.component, self.encoding);
        let mut data = BTreeMap::from([(KEY_SHA256, self.digest().to_string())]);
        if let Some(config) = &self.config {
            data.insert(KEY_CONFIG, config.clone());
        }
        if let Some(budget) = &self.budget {
            let text = serde_saphyr::to_string(budget).map_err(|error| PackageError::Budget(error.to_string()))?;
            data.insert(KEY_BUDGET, text);
        }
        if !self.cases.is_empty() {
            data.insert(KEY_CASES, cases::write(&self.cases).map_err(PackageError::Cases)?);
        }
        let bytes = stored.len() + data.values().map(String::len).sum::<usize>();
        if bytes > CONFIG_MAP_BYTES {
            return Err(PackageError::TooLarge { bytes });
        }
        Ok(Manifest {
            api_version: "v1",
            kind: "ConfigMap",
            metadata: Meta {
                name: self.name.to_string(),
                namespace: namespace.to_owned(),
                labels: BTreeMap::from([(LABEL_POLICY, "true")]),
            },
            binary_data: BTreeMap::from([(self.encoding.key(), STANDARD.encode(stored))]),
            data,
            bytes,
        })
    }
}
