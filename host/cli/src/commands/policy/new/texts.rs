//! The files of a new project.

use mcsdns_policy::Aspect;

/// What the files depend on.
pub(super) struct Texts<'a> {
    name: &'a str,
    aspects: Vec<Aspect>,
    sdk: &'a str,
}

const GITIGNORE: &str = "/target\n";
const DOMAIN: &str = include_str!("../template/domain.yaml");
const RECORD: &str = include_str!("../template/record.yaml");
const MEMBERS: &str = include_str!("../template/members.yaml");
const CLUSTER: &str = include_str!("../template/cluster.yaml");

impl<'a> Texts<'a> {
    pub(super) fn new(name: &'a str, aspects: &[Aspect], sdk: &'a str) -> Self {
        let mut aspects = aspects.to_vec();
        aspects.sort_unstable();
        aspects.dedup();
        Self { name, aspects, sdk }
    }

    fn has(&self, aspect: Aspect) -> bool {
        self.aspects.contains(&aspect)
    }

    /// Paths within the project, and what is in them.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let cluster = |region: &str, address: &str| CLUSTER.replace("REGION", region).replace("ADDRESS", address);
        vec![
            (".gitignore", GITIGNORE.to_owned()),
            ("Cargo.toml", self.manifest()),
            ("README.md", self.readme()),
            ("config.schema.json", self.schema()),
            ("config.yaml", self.config()),
            ("src/lib.rs", self.code()),
            ("cases/two-clusters/case.yaml", self.case()),
            ("cases/two-clusters/host/domain.yaml", DOMAIN.to_owned()),
            ("cases/two-clusters/host/record.yaml", RECORD.to_owned()),
            ("cases/two-clusters/host/members.yaml", MEMBERS.to_owned()),
            ("cases/two-clusters/clusters/one/all.yaml", cluster("eu", "192.0.2.1")),
            ("cases/two-clusters/clusters/two/all.yaml", cluster("us", "198.51.100.1")),
            ("cases/two-clusters/expected.yaml", self.expected()),
        ]
    }

    fn list(&self) -> String {
        self.aspects.iter().map(|aspect| aspect.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The name of the type: `short-names` is `ShortNamesPolicy`. The ending keeps it apart from the names of the SDK, of
    /// which `Policy` by itself is the only one that has it.
    fn type_name(&self) -> String {
        let words = self.name.split('-').map(|word| {
            word.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(word.chars().skip(1)).collect::<String>()
        });
        let mut name: String = words.collect();
        if name == "Policy" || !name.ends_with("Policy") {
            name.push_str("Policy");
        }
        name
    }

    fn manifest(&self) -> String {
        format!(
            r#"[package]
name = "{}"
version = "0.1.0"
edition = "2024"
publish = false

# The stack of the policy within the sandbox. More is needed by what calls itself deeply, such as parsers.
[package.metadata.mcsdns]
stack-kib = 64

[lib]
# cdylib: the component. rlib: so that tests run natively.
crate-type = ["cdylib", "rlib"]

[dependencies]
mcsdns-policy-sdk = {}
serde = {{ version = "1", default-features = false, features = ["alloc", "derive"] }}

# A workspace of its own, wherever it stands.
[workspace]
"#,
            self.name, self.sdk
        )
    }

    fn readme(&self) -> String {
        let (name, list) = (self.name, self.list());
        format!(
            r"# {name}

A policy for mcsdns ({list}). What it does not decide is decided by the policy in the box.

| to | run |
|---|---|
| run the unit tests | `cargo test` |
| build `target/policies/{name}.wasm` | `mcsdns policy build` |
| run the cases and the conformance suite in the sandbox | `mcsdns policy test` (`--update` writes what comes out) |
| see what a decision takes | `mcsdns policy bench --config config.yaml` |
| see what would change in published names | `mcsdns policy diff -f DIR --new target/policies/{name}.wasm --new-config config.yaml` |
| make a ConfigMap | `mcsdns policy pack target/policies/{name}.wasm --name {name} --config config.yaml --cases cases` |
"
        )
    }

    fn schema(&self) -> String {
        let mut properties = Vec::new();
        if self.has(Aspect::Naming) {
            properties.push(
                r#"    "regions": {
      "description": "Whether every region has a name of its own.",
      "type": "boolean",
      "default": true
    }"#,
            );
        }
        if self.has(Aspect::Selection) {
            properties.push(
                r#"    "useDraining": {
      "description": "Whether clusters that are marked for draining answer when no other does.",
      "type": "boolean",
      "default": true
    }"#,
            );
        }
        if self.has(Aspect::Ttl) {
            properties.push(
                r#"    "ttl": {
      "description": "Seconds for which answers may be kept when the record does not say.",
      "type": "integer",
      "minimum": 1,
      "maximum": 86400,
      "default": 300
    }"#,
            );
        }
        format!(
            "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"type\": \"object\",\n  \
             \"additionalProperties\": false,\n  \"properties\": {{\n{}\n  }}\n}}\n",
            properties.join(",\n")
        )
    }

    fn config(&self) -> String {
        let mut text =
            "# The configuration that the cases are for; config.schema.json says what there is.\n".to_owned();
        for (aspect, line) in [
            (Aspect::Naming, "regions: true\n"),
            (Aspect::Selection, "useDraining: true\n"),
            (Aspect::Ttl, "ttl: 300\n"),
        ] {
            if self.has(aspect) {
                text.push_str(line);
            }
        }
        text
    }

    fn case(&self) -> String {
        let mut about = vec!["Two clusters serve"];
        if self.has(Aspect::Selection) {
            about.push("one of them is marked for draining, so it answers only where no other does");
        }
        format!("description: >-\n  {}.\n", about.join("; "))
    }

    /// What comes out of the case, worked out here so that a new project needs no first run.
    fn expected(&self) -> String {
        let (one, two) = ("192.0.2.1", "198.51.100.1");
        let everywhere = if self.has(Aspect::Selection) { one.to_owned() } else { format!("{one} {two}") };
        let names: Vec<(&str, &str)> = if self.has(Aspect::Naming) {
            vec![("web.example.com", &everywhere), ("web.eu.example.com", one), ("web.us.example.com", two)]
        } else {
            vec![
                ("web.shop.prod.svc.example.com", &everywhere),
                ("web.shop.prod.svc.eu.example.com", one),
                ("web.shop.prod.svc.eu1.eu.example.com", one),
                ("web.shop.prod.svc.us.example.com", two),
                ("web.shop.prod.svc.us1.us.example.com", two),
            ]
        };
        let ttl = if self.has(Aspect::Ttl) { 300 } else { 180 };
        let mut lines: Vec<String> =
            names.iter().map(|(name, targets)| format!("    - {name} {ttl} A {targets}\n")).collect();
        lines.sort();
        format!(
            "# Every DNSEndpoint: NAME TTL TYPE TARGET ...\nendpoints:\n  shop/service-web:\n{}conditions:\n  shop/web:\n    \
             Programmed: True Programmed\n",
            lines.concat()
        )
    }

    fn code(&self) -> String {
        let mut fields = String::new();
        let mut defaults = String::new();
        let mut parts = String::new();
        let mut tests = String::new();
        let mut needs = String::new();
        for (aspect, field, default, part, test) in [
            (
                Aspect::Naming,
                "    /// Whether every region has a name of its own.\n    regions: bool,\n",
                "regions: true",
                include_str!("../template/naming.rs.txt"),
                include_str!("../template/naming_test.rs.txt"),
            ),
            (
                Aspect::Selection,
                "    /// Whether clusters that are marked for draining answer when no other does.\n    use_draining: bool,\n",
                "use_draining: true",
                include_str!("../template/selection.rs.txt"),
                include_str!("../template/selection_test.rs.txt"),
            ),
            (
                Aspect::Ttl,
                "    /// Seconds for which answers may be kept when the record does not say.\n    ttl: u32,\n",
                "ttl: 300",
                include_str!("../template/ttl.rs.txt"),
                include_str!("../template/ttl_test.rs.txt"),
            ),
        ] {
            if self.has(aspect) {
                fields.push_str(field);
                defaults.push_str(&format!("{}{default}", if defaults.is_empty() { "" } else { ", " }));
                parts.push('\n');
                parts.push_str(part);
                tests.push('\n');
                tests.push_str(test);
            }
        }
        if self.has(Aspect::Selection) {
            needs.push_str("\n        .needs(Needs::NONE.cluster_labels(&[DRAINING]))");
        }
        let draining = if self.has(Aspect::Selection) {
            "\n/// The label of a MemberCluster that is about to be emptied.\nconst DRAINING: &str = \"example.com/draining\";\n"
        } else {
            ""
        };
        let export: Vec<&str> = self
            .aspects
            .iter()
            .map(|aspect| match aspect {
                Aspect::Naming => "Naming",
                Aspect::Selection => "Selection",
                Aspect::Ttl => "Ttl",
            })
            .collect();
        include_str!("../template/lib.rs.txt")
            .replace("@PARTS@", &parts)
            .replace("@TESTS@", &tests)
            .replace("@TYPE@", &self.type_name())
            .replace("@NAME@", self.name)
            .replace("@FIELDS@", &fields)
            .replace("@DEFAULTS@", &defaults)
            .replace("@NEEDS@", &needs)
            .replace("@DRAINING@", draining)
            .replace("@EXPORT@", &export.join(" + "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_type_has_a_name_that_the_sdk_does_not_have() {
        let sdk = include_str!("../../../../../../plugins/sdk/src/lib.rs");
        let words = sdk.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned);
        let known: BTreeSet<String> = words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).collect();
        assert!(known.contains("Naming") && known.contains("Policy") && known.contains("WeightedSet"), "{known:?}");
        let kebab = |word: &str| {
            let parts = word.chars().map(|c| if c.is_ascii_uppercase() { format!("-{c}") } else { c.to_string() });
            parts.collect::<String>().to_lowercase().trim_start_matches('-').to_owned()
        };
        let others = ["Config", "Component", "Option", "Self"].map(str::to_owned);
        for word in known.iter().chain(&others) {
            let name = kebab(word);
            let made = Texts::new(&name, &[Aspect::Naming], "").type_name();
            assert!(!known.contains(&made) && !others.contains(&made), "{name} makes {made}");
        }
        assert_eq!(Texts::new("my-policy", &[], "").type_name(), "MyPolicy");
        assert_eq!(Texts::new("short-names", &[], "").type_name(), "ShortNamesPolicy");
    }
}
