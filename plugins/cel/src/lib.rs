//! Names, selection and TTL as expressions in the configuration. See README.md.

mod expression;
mod variables;

use std::sync::Arc;

use cel::{Context, Env, Value};
use mcsdns_policy_sdk::{keys, prelude::*};
use serde::Deserialize;

use crate::expression::{Expression, Kind, Uses};

/// What its users write.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    names: Option<Vec<NameConfig>>,
    selection: Option<SelectionConfig>,
    ttl: Option<String>,
    #[serde(default)]
    recheck: Recheck,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameConfig {
    name: String,
    #[serde(default)]
    place: Level,
    when: Option<String>,
    #[serde(default)]
    otherwise: Otherwise,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectionConfig {
    rules: Vec<RuleConfig>,
    #[serde(default = "all_levels")]
    places: Vec<Levels>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleConfig {
    filter: String,
    #[serde(default = "one")]
    at_least: usize,
}

/// When expressions about ages are looked at again, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Recheck {
    every: u32,
    until: u32,
}

impl Default for Recheck {
    fn default() -> Self {
        Self { every: 60, until: 3600 }
    }
}

impl Recheck {
    /// Whether to look again while the youngest age is that.
    fn after(self, youngest: u32) -> Option<u32> {
        (youngest < self.until).then_some(self.every)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    Everywhere,
    Region,
    Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Levels {
    Everywhere,
    Regions,
    Zones,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Otherwise {
    #[default]
    Wider,
    Nothing,
}

const fn one() -> usize {
    1
}

fn all_levels() -> Vec<Levels> {
    vec![Levels::Everywhere, Levels::Regions, Levels::Zones]
}

/// Compiled expressions.
#[derive(Debug)]
pub struct Cel {
    env: Environment,
    names: Option<Vec<NameRule>>,
    selection: Option<Rules>,
    ttl: Option<Expression>,
    recheck: Recheck,
    needs: Needs,
    /// Of the expressions of each aspect: variables are made only when they are used.
    naming_uses: Uses,
    filter_uses: Uses,
    ttl_uses: Uses,
}

/// The functions there are. Their list is long and says nothing.
struct Environment(Arc<Env>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    fn context<'v>(&self) -> Context<'v, 'v> {
        Context::with_env(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct NameRule {
    name: Expression,
    place: Level,
    when: Option<Expression>,
    otherwise: Otherwise,
}

#[derive(Debug)]
struct Rules {
    rules: Vec<(Expression, usize)>,
    places: Vec<Levels>,
}

impl Policy for Cel {
    type Config = Config;
    const ABOUT: About =
        About::new("cel", env!("CARGO_PKG_VERSION")).config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        let env = Environment(expression::environment()?);
        let names = config.names.map(|names| names_of(&env, names)).transpose()?;
        let selection = config.selection.map(|selection| rules_of(&env, selection)).transpose()?;
        let ttl = config
            .ttl
            .map(|text| {
                let ttl = Expression::new(&env.0, "ttl", &text, variables::TTL, Kind::Seconds)?;
                ttl.rehearse(&variables::sample_ttl(&env, &ttl.uses))?;
                Ok::<_, ConfigError>(ttl)
            })
            .transpose()?;

        let mut naming_uses = Uses::default();
        for rule in names.iter().flatten() {
            naming_uses.add(&rule.name.uses);
            rule.when.iter().for_each(|when| naming_uses.add(&when.uses));
        }
        let mut filter_uses = Uses::default();
        for (filter, _) in selection.iter().flat_map(|selection| &selection.rules) {
            filter_uses.add(&filter.uses);
        }
        let ttl_uses = ttl.as_ref().map(|ttl| ttl.uses.clone()).unwrap_or_default();

        let mut annotations = naming_uses.annotations.clone();
        annotations.extend(filter_uses.annotations.iter().chain(&ttl_uses.annotations).cloned());
        let mut needs =
            Needs::NONE.cluster_labels(keys(filter_uses.labels.iter().cloned())).annotations(keys(annotations));
        needs.cluster_names = filter_uses.uses("cluster.name");
        needs.ready_endpoints = filter_uses.uses("cluster.readyEndpoints");
        needs.state_age = filter_uses.uses("cluster.since") || ttl_uses.uses("stableFor");
        Ok(Self { env, names, selection, ttl, recheck: config.recheck, needs, naming_uses, filter_uses, ttl_uses })
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

fn names_of(env: &Environment, configured: Vec<NameConfig>) -> Result<Vec<NameRule>, ConfigError> {
    let compile = |(index, rule): (usize, NameConfig)| {
        let field = |name: &str| format!("names[{index}].{name}");
        let name = Expression::new(&env.0, field("name"), &rule.name, variables::NAMING, Kind::Names)?;
        let sample = |uses| variables::sample_naming(env, rule.place, uses);
        for fqdn in texts(name.rehearse(&sample(&name.uses))?.as_ref()).filter(|name| !name.is_empty()) {
            if !fqdn.ends_with(".example.com") {
                return Err(name.error(format!(
                    "in the domain `example.com` this gives `{fqdn}`: a name must end in '.' + record.domain"
                )));
            }
        }
        let when = rule.when.map(|text| Expression::new(&env.0, field("when"), &text, variables::NAMING, Kind::Bool));
        let when = when.transpose()?;
        when.as_ref().map(|when| when.rehearse(&sample(&when.uses))).transpose()?;
        Ok(NameRule { name, place: rule.place, when, otherwise: rule.otherwise })
    };
    configured.into_iter().enumerate().map(compile).collect()
}

fn rules_of(env: &Environment, configured: SelectionConfig) -> Result<Rules, ConfigError> {
    let compile = |(index, rule): (usize, RuleConfig)| {
        let field = format!("selection.rules[{index}].filter");
        let filter = Expression::new(&env.0, field, &rule.filter, variables::FILTER, Kind::Bool)?;
        filter.rehearse(&variables::sample_filter(env, &filter.uses))?;
        Ok((filter, rule.at_least))
    };
    let rules = configured.rules.into_iter().enumerate().map(compile).collect::<Result<_, ConfigError>>()?;
    Ok(Rules { rules, places: configured.places })
}

/// The texts of a value that is a text or a list of texts.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(text)) => (Some(text.as_str()), &[][..]),
        Some(Value::List(items)) => (None, items.as_slice()),
        _ => (None, &[][..]),
    };
    fn text(item: &Value) -> Option<&str> {
        match item {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    }
    one.into_iter().chain(many.iter().filter_map(text))
}

impl Naming for Cel {
    fn names(&self, subject: &Subject<'_>, places: &Places<'_>) -> Result<Names, Refusal> {
        let mut names = Names::new();
        let Some(rules) = &self.names else {
            standard::names(subject, places, &mut names);
            return Ok(names);
        };
        let mut context = self.env.context();
        variables::record(&mut context, subject, &self.naming_uses);
        let mut made = Made { first: None, regions: vec![None; places.regions.len()] };
        // Wider places first, whatever the order of the rules: the others fall back on them.
        for level in [Level::Everywhere, Level::Region, Level::Zone] {
            for rule in rules.iter().filter(|rule| rule.place == level) {
                match level {
                    Level::Everywhere => {
                        variables::place(&mut context, "", "");
                        rule.add(&context, Place::Everywhere, places, &mut made, &mut names)?;
                    }
                    Level::Region => {
                        for (index, region) in places.regions() {
                            variables::place(&mut context, region, "");
                            rule.add(&context, Place::Region(index), places, &mut made, &mut names)?;
                        }
                    }
                    Level::Zone => {
                        for (index, zone) in places.zones() {
                            variables::place(&mut context, places.region(zone.region), zone.name);
                            rule.add(&context, Place::Zone(index), places, &mut made, &mut names)?;
                        }
                    }
                }
            }
        }
        Ok(names)
    }
}

/// What narrower names fall back on.
struct Made {
    first: Option<NameId>,
    regions: Vec<Option<NameId>>,
}

impl NameRule {
    fn add(
        &self,
        context: &Context<'_, '_>,
        place: Place,
        places: &Places<'_>,
        made: &mut Made,
        names: &mut Names,
    ) -> Result<(), Refusal> {
        if let Some(when) = &self.when
            && !when.holds(context)?
        {
            return Ok(());
        }
        let value = self.name.evaluate(context)?;
        let region = places.region_of(place).and_then(|region| usize::try_from(region).ok());
        for fqdn in texts(Some(&value)).filter(|fqdn| !fqdn.is_empty()) {
            let wider = match place {
                Place::Everywhere => None,
                Place::Region(_) => made.first,
                Place::Zone(_) => region.and_then(|region| made.regions.get(region).copied().flatten()).or(made.first),
            };
            let name = Name::new(fqdn.to_owned(), place);
            let id = names.push(match (self.otherwise, wider) {
                (Otherwise::Wider, Some(wider)) => name.or_alias_of(wider),
                (Otherwise::Wider, None) | (Otherwise::Nothing, _) => name,
            });
            match place {
                Place::Everywhere => made.first = made.first.or(Some(id)),
                Place::Region(_) => {
                    if let Some(slot) = region.and_then(|region| made.regions.get_mut(region)) {
                        *slot = slot.or(Some(id));
                    }
                }
                Place::Zone(_) => {}
            }
        }
        Ok(())
    }
}

impl Selection for Cel {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        let Some(Rules { rules, places }) = &self.selection else {
            return ask.each(|name| Ok(standard::decision(ask, name)));
        };
        let mut context = self.env.context();
        variables::record(&mut context, &ask.subject, &self.filter_uses);
        // Filters know nothing of places, so each looks at each cluster once, whatever the number of names.
        let mut kept: Vec<Vec<bool>> = vec![vec![false; ask.fleet.len()]; rules.len()];
        let mut youngest = u32::MAX;
        for cluster in ask.fleet.iter().filter(Cluster::offers) {
            variables::cluster(&mut context, ask, cluster, &self.filter_uses);
            for ((filter, _), kept) in rules.iter().zip(&mut kept) {
                if let Some(slot) = kept.get_mut(cluster.id().index()) {
                    *slot = filter.holds(&context)?;
                }
            }
        }
        if self.filter_uses.uses("cluster.since") {
            youngest = ask.fleet.iter().map(|cluster| cluster.state_age()).min().unwrap_or(u32::MAX);
        }
        let recheck = self.recheck.after(youngest);
        ask.each(|name| {
            let level = match name.place {
                Place::Everywhere => Levels::Everywhere,
                Place::Region(_) => Levels::Regions,
                Place::Zone(_) => Levels::Zones,
            };
            if !places.contains(&level) {
                return Ok(standard::decision(ask, name));
            }
            let mut decision = decide(ask, name.place, rules, &kept);
            decision.recheck_after_seconds = recheck;
            Ok(decision)
        })
    }
}

/// The first rule that leaves enough clusters decides.
fn decide(ask: &Ask<'_>, place: Place, rules: &[(Expression, usize)], kept: &[Vec<bool>]) -> Decision {
    let mut because = String::with_capacity(64);
    for (number, ((_, at_least), kept)) in (1..).zip(rules.iter().zip(kept)) {
        let stays = |cluster: &Cluster<'_>| kept.get(cluster.id().index()).copied().unwrap_or_default();
        let left: Vec<_> = ask.clusters_in(place).filter(stays).collect();
        if number > 1 {
            because.push_str("; ");
        }
        because.push_str("rule ");
        standard::push_number(&mut because, number);
        because.push_str(" leaves ");
        standard::push_number(&mut because, u32::try_from(left.len()).unwrap_or(u32::MAX));
        if left.len() >= *at_least {
            return Decision::clusters(left).because(because);
        }
    }
    Decision::otherwise().because(because)
}

impl Ttl for Cel {
    fn ttls(&self, subject: &Subject<'_>, outcomes: &[Outcome]) -> Result<Ttls, Refusal> {
        let Some(ttl) = &self.ttl else {
            return Ok(Ttls::each(outcomes, |_| standard::ttl(subject)));
        };
        let mut context = self.env.context();
        variables::record(&mut context, subject, &self.ttl_uses);
        // Many names have the same outcome but for where they stand.
        let alike = |outcome: &Outcome| {
            let mut alike = *outcome;
            alike.place = match outcome.place {
                Place::Everywhere => Place::Everywhere,
                Place::Region(_) => Place::Region(0),
                Place::Zone(_) => Place::Zone(0),
            };
            alike
        };
        let mut known: Vec<(Outcome, u32)> = Vec::new();
        let mut seconds = Vec::with_capacity(outcomes.len());
        for outcome in outcomes.iter().map(alike) {
            let found = known.iter().find(|(seen, _)| *seen == outcome).map(|(_, ttl)| *ttl);
            seconds.push(match found {
                Some(ttl) => ttl,
                None => {
                    variables::outcome(&mut context, &outcome, &self.ttl_uses);
                    let value = number(&ttl.evaluate(&context)?);
                    known.push((outcome, value));
                    value
                }
            });
        }
        let mut ttls = Ttls::default();
        ttls.seconds = seconds;
        let youngest = outcomes.iter().filter_map(|outcome| outcome.stable_for_seconds).min();
        ttls.recheck_after_seconds =
            youngest.filter(|_| self.ttl_uses.uses("stableFor")).and_then(|youngest| self.recheck.after(youngest));
        Ok(ttls)
    }
}

/// A whole number as seconds; the host brings it within the bounds of the Domain.
fn number(value: &Value) -> u32 {
    match value {
        Value::Int(number) => u32::try_from((*number).max(0)).unwrap_or(u32::MAX),
        Value::UInt(number) => u32::try_from(*number).unwrap_or(u32::MAX),
        _ => 0,
    }
}

mcsdns_policy_sdk::export!(Cel: Naming + Selection + Ttl; allocator = std);

#[cfg(test)]
mod tests;
