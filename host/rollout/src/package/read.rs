//! From a ConfigMap to a package.

use mcsdns_api::convert::{CONFIG_MAP_BYTES, PolicyMap};
use mcsdns_policy::Budget;

use super::{
    Encoding, KEY_BUDGET, KEY_CASES, KEY_CONFIG, KEY_GZIP, KEY_SHA256, KEY_WASM, KEY_ZSTD, Package, PackageError,
    cases, compress,
};

const ENCODINGS: [Encoding; 3] = [Encoding::Plain, Encoding::Gzip, Encoding::Zstd];
const TEXTS: [&str; 4] = [KEY_CONFIG, KEY_SHA256, KEY_BUDGET, KEY_CASES];

impl Package {
    /// Reads a ConfigMap. Nothing is compiled and nothing is run; `ceiling` is what the operator allows at most.
    ///
    /// # Errors
    /// What is wrong with it, naming the key.
    pub fn read(map: &PolicyMap, ceiling: &Budget) -> Result<Self, PackageError> {
        if let Some(malformed) = &map.malformed {
            return Err(PackageError::Malformed(malformed.message.clone()));
        }
        let bytes = map.bytes();
        if bytes > CONFIG_MAP_BYTES {
            return Err(PackageError::TooLarge { bytes });
        }
        let text = |key: &str| map.data.get(key).map(String::as_str);
        let budget = text(KEY_BUDGET).map(|text| budget(text, ceiling)).transpose()?;
        let (encoding, stored) = component(map)?;
        let limit = budget.unwrap_or_default().component_bytes.min(ceiling.component_bytes);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self {
            name: map.name.clone(),
            component: compress::unpack(stored, encoding, limit)?,
            encoding,
            stored_bytes: stored.len(),
            sha256: text(KEY_SHA256).map(sha256).transpose()?,
            config: text(KEY_CONFIG).filter(|text| !text.trim().is_empty()).map(str::to_owned),
            budget,
            cases: match text(KEY_CASES).filter(|text| !text.trim().is_empty()) {
                Some(text) => cases::read(text).map_err(PackageError::Cases)?,
                None => Vec::new(),
            },
            notes: notes(map),
        })
    }
}

fn component(map: &PolicyMap) -> Result<(Encoding, &[u8]), PackageError> {
    if let Some(key) = [KEY_WASM, KEY_GZIP, KEY_ZSTD].into_iter().find(|key| map.data.contains_key(*key)) {
        return Err(PackageError::NotBinary(key));
    }
    let mut found =
        ENCODINGS.into_iter().filter_map(|encoding| Some((encoding, map.binary.get(encoding.key())?.as_slice())));
    match (found.next(), found.next()) {
        (Some((one, _)), Some((other, _))) => Err(PackageError::TwoComponents(one.key(), other.key())),
        (Some(found), None) => Ok(found),
        (None, _) => Err(PackageError::NoComponent),
    }
}

fn sha256(text: &str) -> Result<String, PackageError> {
    let digits = text.trim();
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits.to_ascii_lowercase())
    } else {
        Err(PackageError::Sha256(digits.chars().take(80).collect()))
    }
}

fn budget(text: &str, ceiling: &Budget) -> Result<Budget, PackageError> {
    let budget: Option<Budget> = serde_saphyr::from_str(text)
        .map_err(|error| PackageError::Budget(error.without_snippet().to_string().replace('\n', " ")))?;
    let budget = budget.unwrap_or_default();
    match budget.above(ceiling) {
        None => Ok(budget),
        Some((limit, asked, allowed)) => Err(PackageError::Budget(format!(
            "{limit} is {asked}; at most {allowed} are allowed here (what the operator of the controller sets)"
        ))),
    }
}

fn notes(map: &PolicyMap) -> Vec<String> {
    let known_binary = |key: &str| ENCODINGS.iter().any(|encoding| encoding.key() == key);
    let texts = map.data.keys().filter(|key| !TEXTS.contains(&key.as_str())).map(|key| format!("data[{key}]"));
    let binaries = map.binary.keys().filter(|key| !known_binary(key)).map(|key| match TEXTS.contains(&key.as_str()) {
        true => format!("binaryData[{key}] (it belongs into data)"),
        false => format!("binaryData[{key}]"),
    });
    texts.chain(binaries).map(|key| format!("{key} has no effect")).collect()
}
