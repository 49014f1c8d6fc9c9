//! Names by templates, such as `service.domain`. See README.md.

mod template;

use mcsdns_policy_sdk::prelude::*;
use serde::Deserialize;

use crate::template::{Slot, Template, Values};

/// What its users write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "everywhere")]
    everywhere: String,
    region: Option<String>,
    zone: Option<String>,
    #[serde(default)]
    federated: bool,
}

fn everywhere() -> String {
    "{name}.{domain}".to_owned()
}

/// The templates, taken apart.
#[derive(Debug)]
pub struct ShortNames {
    everywhere: Template,
    region: Option<Template>,
    zone: Option<Template>,
    federated: bool,
}

impl Policy for ShortNames {
    type Config = Config;
    const ABOUT: About =
        About::new("short-names", env!("CARGO_PKG_VERSION")).config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        let optional =
            |field, text: Option<String>, own: &[Slot]| text.map(|text| Template::new(field, &text, own)).transpose();
        Ok(Self {
            everywhere: Template::new("everywhere", &config.everywhere, &[])?,
            region: optional("region", config.region, &[Slot::Region])?,
            zone: optional("zone", config.zone, &[Slot::Zone, Slot::Region])?,
            federated: config.federated,
        })
    }
}

impl Naming for ShortNames {
    fn names(&self, subject: &Subject<'_>, places: &Places<'_>) -> Result<Names, Refusal> {
        let mut names = Names::with_capacity(2 + places.regions.len() + places.zones.len());
        let values = |region, zone| Values { subject, region, zone };
        let everywhere = names.push(Name::new(self.everywhere.fill(&values("", "")), Place::Everywhere));
        let mut regions = Vec::new();
        if let Some(template) = &self.region {
            regions.extend(places.regions().map(|(index, region)| {
                let fqdn = template.fill(&values(region, ""));
                names.push(Name::new(fqdn, Place::Region(index)).or_alias_of(everywhere))
            }));
        }
        if let Some(template) = &self.zone {
            for (index, zone) in places.zones() {
                let fqdn = template.fill(&values(places.region(zone.region), zone.name));
                let region = usize::try_from(zone.region).ok().and_then(|region| regions.get(region));
                names.push(Name::new(fqdn, Place::Zone(index)).or_alias_of(*region.unwrap_or(&everywhere)));
            }
        }
        if self.federated {
            // The prefix is among these names.
            standard::names(subject, places, &mut names);
        } else {
            standard::prefix(subject, everywhere, &mut names);
        }
        Ok(names)
    }
}

mcsdns_policy_sdk::export!(ShortNames: Naming);

#[cfg(test)]
mod tests {
    use mcsdns_policy_sdk::testing::{Member, Scene, configured};

    use super::*;

    fn scene() -> Scene {
        Scene::new("shop", "prod")
            .cluster(Member::new("c1").at("eu", "eu1").address("192.0.2.1"))
            .cluster(Member::new("c2").at("us", "us1").address("192.0.2.2"))
    }

    fn names(scene: &Scene, config: &str) -> Vec<String> {
        scene.names(&configured::<ShortNames>(config).unwrap()).unwrap()
    }

    fn refused(config: &str) -> String {
        configured::<ShortNames>(config).unwrap_err().to_string()
    }

    #[test]
    fn without_a_configuration_there_is_one_name() {
        assert_eq!(names(&scene(), ""), ["shop.example.com everywhere"]);
        assert_eq!(names(&scene().external_name("store"), ""), ["store.example.com everywhere"]);
    }

    #[test]
    fn places_fall_back_on_the_next_level_that_has_a_name() {
        let config = r#"{"region": "{name}.{region}.{domain}", "zone": "{name}.{zone}.{region}.{domain}"}"#;
        assert_eq!(
            names(&scene(), config),
            [
                "shop.example.com everywhere",
                "shop.eu.example.com region eu or shop.example.com",
                "shop.us.example.com region us or shop.example.com",
                "shop.eu1.eu.example.com zone eu1 of eu or shop.eu.example.com",
                "shop.us1.us.example.com zone us1 of us or shop.us.example.com",
            ]
        );
        let config = r#"{"zone": "{zone}-{region}.{service}.{domain}"}"#;
        assert_eq!(names(&scene(), config)[1], "eu1-eu.shop.example.com zone eu1 of eu or shop.example.com");
    }

    #[test]
    fn the_namespace_and_the_federation_can_be_part_of_a_name() {
        let config = r#"{"everywhere": "{service}-{namespace}.{federation}.{domain}"}"#;
        assert_eq!(names(&scene(), config), ["shop-prod.galactic.example.com everywhere"]);
    }

    #[test]
    fn the_federated_names_can_stay() {
        let names = names(&scene().dns_prefix("www"), r#"{"federated": true}"#);
        assert_eq!(names[0], "shop.example.com everywhere");
        assert_eq!(names[1], "shop.prod.galactic.svc.example.com everywhere");
        assert_eq!(names[6], "www.example.com everywhere alias of shop.prod.galactic.svc.example.com");
        assert_eq!(names.len(), 7);
    }

    #[test]
    fn a_prefix_is_an_alias() {
        assert_eq!(names(&scene().dns_prefix("www"), "")[1], "www.example.com everywhere alias of shop.example.com");
    }

    #[test]
    fn templates_that_cannot_work_are_refused_with_what_to_do() {
        assert_eq!(
            refused(r#"{"everywhere": "{name}.example.com"}"#),
            "everywhere: `{name}.example.com` must end in {domain}: names lie in the zone of the Domain"
        );
        assert_eq!(
            refused(r#"{"region": "{name}.r.{domain}"}"#),
            "region: `{name}.r.{domain}` needs {region}, or every region would get the same name"
        );
        assert_eq!(
            refused(r#"{"zone": "{zone}.{domain}"}"#),
            "zone: `{zone}.{domain}` needs {region}, or every zone would get the same name"
        );
        assert_eq!(
            refused(r#"{"everywhere": "{svc}.{domain}"}"#),
            "everywhere: {svc} at character 1 is not known here; there are {name}, {service}, {namespace}, \
             {federation}, {domain}"
        );
        assert_eq!(
            refused(r#"{"everywhere": "{region}.{domain}"}"#),
            "everywhere: {region} at character 1 is not known here; there are {name}, {service}, {namespace}, \
             {federation}, {domain}"
        );
        assert_eq!(
            refused(r#"{"everywhere": "a.{name.{domain}"}"#),
            "everywhere: the { at character 3 is never closed"
        );
        assert_eq!(
            refused(r#"{"everywhere": "My_{name}.{domain}"}"#),
            "everywhere: `M` at character 1 cannot stand in a DNS name: use lower-case letters, digits, `-` and `.`"
        );
        assert_eq!(
            refused(r#"{"everywhere": "x.{domain}"}"#),
            "everywhere: `x.{domain}` needs {name} or {service}, or every record would get the same name"
        );
        assert!(refused(r#"{"everwhere": "x"}"#).starts_with("unknown field `everwhere`"));
    }
}
