//! Values into what the Index is told, with everything that is wrong with them.

use std::{path::Path, sync::Arc};

use mcsdns_api::{
    GROUP,
    convert::{LocalObject, PolicyMap, Watched, local_object},
    endpoint::EndpointGroup,
    metadata::LABEL_POLICY,
    schema,
};
use mcsdns_core::{
    facts::{Domain, Malformed, Member, Node, Published, Record, Service, Slice},
    ids::{ClusterName, ObjectKey},
    name,
};
use serde_json::Value;

use super::{Place, locate::locate, source::Source};
use crate::{
    limits::Limits,
    problem::{Level, Problem},
    read::document::Document,
};

/// What the Index is told about one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A ServiceDNSRecord.
    Record(ObjectKey, Record),
    /// A Domain.
    Domain(Arc<str>, Domain),
    /// A MemberCluster.
    Member(ClusterName, Member),
    /// A DNSEndpoint.
    Published(ObjectKey, EndpointGroup, Published),
    /// A ConfigMap that holds a policy, in any namespace.
    Policy(Arc<str>, PolicyMap),
    /// A Node.
    Node(Arc<str>, Node),
    /// A Service.
    Service(ObjectKey, Result<Service, Malformed>),
    /// An EndpointSlice.
    Slice(ObjectKey, Result<Slice, Malformed>),
}

/// What identifies an object within a folder: kind, namespace, name.
pub(crate) type Identity = (&'static str, ObjectKey);

impl Told {
    /// What identifies the object within its folder.
    pub(crate) fn identity(&self) -> Identity {
        let bare = |name: &Arc<str>| ObjectKey::new("", Arc::clone(name));
        match self {
            Self::Record(key, _) => ("ServiceDNSRecord", key.clone()),
            Self::Domain(name, _) => ("Domain", bare(name)),
            Self::Member(name, _) => ("MemberCluster", bare(&name.0)),
            Self::Published(key, ..) => ("DNSEndpoint", key.clone()),
            Self::Policy(name, _) => ("ConfigMap", bare(name)),
            Self::Node(name, _) => ("Node", bare(name)),
            Self::Service(key, _) => ("Service", key.clone()),
            Self::Slice(key, _) => ("EndpointSlice", key.clone()),
        }
    }
}

/// `Kind namespace/name`, for messages.
pub(crate) fn title((kind, key): &Identity) -> String {
    if key.namespace.is_empty() { format!("{kind} {}", key.name) } else { format!("{kind} {key}") }
}

/// An object and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Where.
    pub source: Source,
    /// What.
    pub told: Told,
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    /// Its objects.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
    /// Whether part of it could not be understood so badly that it is not even known which objects are in it.
    pub(crate) incomplete: bool,
}

/// Where a value comes from.
pub(crate) struct Context<'a> {
    pub(crate) path: &'a Arc<Path>,
    pub(crate) place: &'a Place,
    pub(crate) document: Document<'a>,
    /// Whether the file has more than one document.
    pub(crate) many: bool,
    pub(crate) limits: &'a Limits,
}

impl Context<'_> {
    pub(crate) fn problem(&self, level: Level, reason: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            level,
            document: self.many.then_some(self.document.number),
            line: Some(self.document.line),
            ..Problem::error(&**self.path, reason, message)
        }
    }

    /// A problem with a field; its line is looked for.
    fn field(&self, prefix: &str, object: &str, field: &str, problem: Problem) -> Problem {
        let path = if prefix.is_empty() { field.to_owned() } else { format!("{prefix}.{field}") };
        let line = locate(&self.document, &path, self.limits);
        Problem {
            line: line.or(problem.line),
            object: Some(object.to_owned()),
            field: (!field.is_empty()).then(|| field.to_owned()),
            ..problem
        }
    }
}

/// Takes a value apart into objects; `prefix` is where in the document it stands.
pub(crate) fn read_value(context: &Context<'_>, value: &Value, prefix: &str, content: &mut Content) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if let (Some(items), Some(item_kind)) = (value.get("items").and_then(Value::as_array), kind.strip_suffix("List")) {
        for (position, item) in items.iter().enumerate() {
            if content.objects.len() >= context.limits.objects {
                content.incomplete = true;
                content.problems.push(context.problem(
                    Level::Error,
                    "TooManyObjects",
                    format!("more than {} objects; split the file", context.limits.objects),
                ));
                return;
            }
            let prefix =
                if prefix.is_empty() { format!("items[{position}]") } else { format!("{prefix}.items[{position}]") };
            // Lists straight from an API server say kind and version once.
            match typed(value, item, item_kind) {
                Some(item) => read_value(context, &item, &prefix, content),
                None => read_value(context, item, &prefix, content),
            }
        }
        return;
    }
    let (found, problems) = read_object(context, value, prefix);
    let room = context.limits.problems.saturating_sub(content.problems.len());
    content.problems.extend(problems.into_iter().take(room));
    match found {
        Found::Told(told) => {
            let line = if prefix.is_empty() {
                context.document.line
            } else {
                locate(&context.document, prefix, context.limits).unwrap_or(context.document.line)
            };
            let source = Source::new(context.path, context.many.then_some(context.document.number), line);
            content.objects.push(Object { source, told: *told });
        }
        Found::Nothing => {}
        Found::Unknown => content.incomplete = true,
    }
}

fn typed(list: &Value, item: &Value, kind: &str) -> Option<Value> {
    let fields = item.as_object()?;
    if fields.contains_key("kind") || kind.is_empty() {
        return None;
    }
    let mut fields = fields.clone();
    fields.insert("kind".to_owned(), kind.into());
    if let Some(version) = list.get("apiVersion") {
        fields.entry("apiVersion").or_insert_with(|| version.clone());
    }
    Some(Value::Object(fields))
}

enum Found {
    Told(Box<Told>),
    /// Not ours.
    Nothing,
    /// Ours, but not even known which.
    Unknown,
}

fn read_object(context: &Context<'_>, value: &Value, prefix: &str) -> (Found, Vec<Problem>) {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let label = match (text("/kind"), text("/metadata/namespace"), text("/metadata/name")) {
        (Some(kind), Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (Some(kind), None, Some(name)) => format!("{kind} {name}"),
        (Some(kind), ..) => kind.to_owned(),
        (None, ..) => "object".to_owned(),
    };
    let malformed = |message: &str| {
        let field = field_of(message);
        context.field(prefix, &label, field, context.problem(Level::Error, "Malformed", message))
    };
    if let Err(message) = check_names(value) {
        return (Found::Unknown, vec![malformed(&message)]);
    }
    let object = match local_object(value) {
        Ok(object) => object,
        Err(problem) => return (Found::Unknown, vec![malformed(&problem.message)]),
    };
    let mut problems = Vec::new();
    if let Err((reason, message)) = belongs(context.place, &object) {
        problems.push(context.field(prefix, &label, "", context.problem(Level::Error, reason, message)));
        return (Found::Nothing, problems);
    }
    if let LocalObject::Other { api_version, kind } = &object {
        problems.extend(other(api_version, kind).map(|(level, reason, message)| {
            context.field(prefix, &label, "kind", context.problem(level, reason, message))
        }));
        let lost = problems.iter().any(|problem| problem.level == Level::Error);
        return (if lost { Found::Unknown } else { Found::Nothing }, problems);
    }
    if let LocalObject::ConfigMap(map) = &object
        && !map.is_policy()
    {
        let message = format!("a ConfigMap without the label {LABEL_POLICY}: \"true\" has no effect here");
        problems.push(context.field(prefix, &label, "metadata", context.problem(Level::Note, "NotUsed", message)));
    }
    for path in schema::unknown_fields(text("/kind").unwrap_or_default(), value) {
        let message = match resembling(&path) {
            Some(known) => format!("unknown field; did you mean {known}?"),
            None => "unknown field; it has no effect".to_owned(),
        };
        problems.push(context.field(prefix, &label, &path, context.problem(Level::Error, "UnknownField", message)));
    }
    let told = match too_large(value, context.limits) {
        Some(problem) => tell_malformed(&object, &problem),
        None => tell(&object),
    };
    if let Some(problem) = told.as_ref().and_then(malformed_in) {
        problems.push(malformed(&problem.message));
    }
    (told.map_or(Found::Nothing, |told| Found::Told(Box::new(told))), problems)
}

/// What is told about an object; `None` when it concerns nobody, such as an EndpointSlice of no Service.
fn tell(object: &LocalObject) -> Option<Told> {
    Some(match object {
        LocalObject::Record(object) => Told::Record(object.key(), object.fact()?),
        LocalObject::Domain(object) => Told::Domain(object.key(), object.fact()?),
        LocalObject::Member(object) => Told::Member(object.key(), object.fact()?),
        LocalObject::DnsEndpoint(group, object) => Told::Published(object.key(), *group, object.fact()?),
        LocalObject::Service(object) => Told::Service(object.key(), object.fact()?),
        LocalObject::Slice(object) => Told::Slice(object.key(), object.fact()?),
        LocalObject::ConfigMap(object) => Told::Policy(object.key(), object.fact()?),
        LocalObject::Node(object) => Told::Node(object.key(), object.fact()?),
        LocalObject::Other { .. } => return None,
    })
}

fn tell_malformed(object: &LocalObject, problem: &Malformed) -> Option<Told> {
    let mut told = tell(object)?;
    match &mut told {
        Told::Service(_, service) => *service = Err(problem.clone()),
        Told::Slice(_, slice) => *slice = Err(problem.clone()),
        Told::Record(..)
        | Told::Domain(..)
        | Told::Member(..)
        | Told::Published(..)
        | Told::Policy(..)
        | Told::Node(..) => {}
    }
    Some(told)
}

fn malformed_in(told: &Told) -> Option<&Malformed> {
    match told {
        Told::Record(_, record) => record.spec.as_ref().err(),
        Told::Domain(_, domain) => domain.spec.as_ref().err(),
        Told::Member(_, member) => member.malformed.as_ref(),
        Told::Service(_, service) => service.as_ref().err(),
        Told::Slice(_, slice) => slice.as_ref().err(),
        Told::Policy(_, map) => map.malformed.as_ref(),
        Told::Published(..) | Told::Node(..) => None,
    }
}

/// Lists that are longer than an API server would take.
fn too_large(value: &Value, limits: &Limits) -> Option<Malformed> {
    let check = |pointer: &str, path: &str, limit: usize| {
        let found = value.pointer(pointer)?.as_array()?.len();
        (found > limit).then(|| Malformed { message: format!("{path}: {found} entries, {limit} are allowed") })
    };
    match value.get("kind")?.as_str()? {
        "EndpointSlice" => check("/endpoints", "endpoints", limits.endpoints),
        "Service" => check("/status/loadBalancer/ingress", "status.loadBalancer.ingress", limits.ingress),
        _ => None,
    }
}

/// Names become parts of file names and of messages, so they are checked as an API server would.
fn check_names(value: &Value) -> Result<(), String> {
    let text = |field: &str| value.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
    let words = "may contain only a-z, 0-9, inner hyphens";
    // Unlike those of DNS, the parts of such a name may be longer than 63 characters.
    let part = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !(text.is_empty() || text.starts_with('-') || text.ends_with('-'))
    };
    if let Some(name) = text("name").filter(|name| !name.is_empty())
        && (name.len() > name::MAX_NAME || !name.split('.').all(part))
    {
        return Err(format!("metadata.name: `{}` is not a valid name: it {words} and dots", short(name)));
    }
    if let Some(namespace) = text("namespace").filter(|namespace| !namespace.is_empty())
        && (namespace.len() > name::MAX_LABEL || !part(namespace))
    {
        return Err(format!("metadata.namespace: `{}` is not a valid namespace: it {words}", short(namespace)));
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Whether an object stands where it belongs.
fn belongs(place: &Place, object: &LocalObject) -> Result<(), (&'static str, String)> {
    let kind = match object {
        LocalObject::Record(_) => "ServiceDNSRecord",
        LocalObject::Domain(_) => "Domain",
        LocalObject::Member(_) => "MemberCluster",
        LocalObject::DnsEndpoint(..) => "DNSEndpoint",
        LocalObject::Service(_) => "Service",
        LocalObject::Slice(_) => "EndpointSlice",
        LocalObject::Node(_) => "Node",
        // Other ConfigMaps have no effect anywhere.
        LocalObject::ConfigMap(object) if object.is_policy() => "ConfigMap",
        LocalObject::ConfigMap(_) => return Ok(()),
        LocalObject::Other { .. } => return Ok(()),
    };
    let of_host = matches!(kind, "ServiceDNSRecord" | "Domain" | "MemberCluster" | "DNSEndpoint" | "ConfigMap");
    match (place, of_host) {
        (Place::Host, false) => Err((
            "WrongFolder",
            format!("a {kind} belongs to a member cluster: move it to clusters/NAME/ (the host may be a member, too)"),
        )),
        (Place::Cluster(_), true) => Err(("WrongFolder", format!("a {kind} is read from host/: move it there"))),
        (Place::Host, true) | (Place::Cluster(_), false) => Ok(()),
    }
}

/// What to say of an object of another kind.
fn other(api_version: &str, kind: &str) -> Option<(Level, &'static str, String)> {
    const KNOWN: [(&str, &str); 7] = [
        ("ServiceDNSRecord", "multiclusterdns.federation.k8s.io/v1alpha1"),
        ("Domain", "multiclusterdns.federation.k8s.io/v1alpha1"),
        ("MemberCluster", "multiclusterdns.federation.k8s.io/v1alpha1"),
        ("DNSEndpoint", "externaldns.k8s.io/v1alpha1"),
        ("Service", "v1"),
        ("EndpointSlice", "discovery.k8s.io/v1"),
        ("Node", "v1"),
    ];
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let near = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind));
    // Other groups may have kinds of the same name; only what looks like ours is taken for a mistake.
    let ours = group == GROUP || group.contains("federation") || group.contains("kubefed");
    match near {
        Some((known, version)) if ours || group.is_empty() || version.starts_with(group) => Some((
            Level::Error,
            "UnknownKind",
            format!("`{kind}` in `{api_version}` is not known; write `kind: {known}` and `apiVersion: {version}`"),
        )),
        _ if group == GROUP => Some((
            Level::Error,
            "UnknownKind",
            format!(
                "`{kind}` is not a kind of {GROUP}; there are ServiceDNSRecord, Domain, MemberCluster and DNSEndpoint"
            ),
        )),
        _ => Some((Level::Note, "NotUsed", format!("a {kind} of {api_version} has no effect here"))),
    }
}

/// The field that a message is about, which it begins with.
fn field_of(message: &str) -> &str {
    let end = message.find([':', ' ']).unwrap_or(message.len());
    let field = message.get(..end).unwrap_or_default();
    let is_field = field.contains('.')
        || message.get(end..).is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" is missing"));
    if is_field { field } else { "" }
}

/// The known field that a path probably means.
fn resembling(path: &str) -> Option<&'static str> {
    const FIELDS: [&str; 24] = [
        "spec",
        "metadata",
        "domainRef",
        "recordTTL",
        "dnsPrefix",
        "externalName",
        "allowServiceWithoutEndpoints",
        "domain",
        "nameServer",
        "policies",
        "naming",
        "selection",
        "ttl",
        "whenEmpty",
        "unreachableGraceSeconds",
        "minTTL",
        "maxTTL",
        "kubeconfigSecretRef",
        "host",
        "region",
        "zones",
        "insecureSkipTLSVerify",
        "name",
        "key",
    ];
    let last = path.rsplit('.').next()?.to_ascii_lowercase();
    FIELDS
        .into_iter()
        .map(|known| (distance(&last, &known.to_ascii_lowercase()), known))
        .filter(|(far, known)| *far <= known.len() / 4)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (above + 1).min(left + 1).min(diagonal + usize::from(x != *y));
            diagonal = std::mem::replace(cell, left);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_fields_are_recognised() {
        assert_eq!(resembling("spec.recordTtl"), Some("recordTTL"));
        assert_eq!(resembling("spec.dnsprefix"), Some("dnsPrefix"));
        assert_eq!(resembling("spec.domainref"), Some("domainRef"));
        assert_eq!(resembling("spec.colour"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_field_of_a_message() {
        assert_eq!(field_of("spec.recordTTL: expected a whole number, found a text"), "spec.recordTTL");
        assert_eq!(field_of("domain is missing"), "domain");
        assert_eq!(field_of("expected an object"), "");
    }
}
