//! Checking the kubeconfig of a member cluster.
//!
//! Whoever can write a Secret in the controller's namespace must not thereby be able to run commands in the controller,
//! read its files, or send its requests elsewhere. So only what is needed to reach one API server over verified TLS with
//! inline credentials is taken over, one field after the other, into a new kubeconfig with one context; everything else is
//! refused by name. Nothing of the Secret's content but names and the server's address ever gets into a message.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use serde_json::Value;

/// Keys under which a kubeconfig is looked for when none is named: ours, and that of Cluster API.
const DEFAULT_KEYS: [&str; 2] = ["kubeconfig", "value"];

/// Name of everything in the kubeconfig that is handed on.
const NAME: &str = "member";

/// Why a kubeconfig is not used. The messages say which field it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// The Secret has no such key.
    #[error(
        "the Secret has no key `{wanted}` (it has: {found}); put the kubeconfig there or set spec.kubeconfigSecretRef.key"
    )]
    KeyMissing {
        /// The key that was looked for.
        wanted: String,
        /// The keys there are.
        found: String,
    },
    /// Not text.
    #[error("the kubeconfig is not UTF-8 text; store it as it is, without further encoding")]
    NotUtf8,
    /// Not YAML, nor JSON.
    #[error("the kubeconfig is not valid YAML{place}")]
    NotYaml {
        /// Where, when known.
        place: String,
    },
    /// A field of the wrong type.
    #[error("{field}: expected {expected}; this is not a kubeconfig as kubectl writes it")]
    Shape {
        /// Which field.
        field: String,
        /// What should be there.
        expected: &'static str,
    },
    /// Which context is meant is not said.
    #[error(
        "the kubeconfig has {contexts} contexts and no current-context; set current-context to the one that is meant"
    )]
    NoCurrentContext {
        /// How many there are.
        contexts: usize,
    },
    /// Something that is referred to by name does not exist.
    #[error("{field} names `{name}`, which is not in {list}")]
    Dangling {
        /// Where it is referred to.
        field: &'static str,
        /// The name.
        name: String,
        /// Where it should be.
        list: &'static str,
    },
    /// Several entries have one name.
    #[error("{list} has several entries called `{name}`; leave one of them")]
    Ambiguous {
        /// Where.
        list: &'static str,
        /// The name.
        name: String,
    },
    /// No address.
    #[error(
        "clusters[].cluster.server is missing; it must be the address of the API server, such as https://10.0.0.1:6443"
    )]
    NoServer,
    /// An address without TLS.
    #[error("clusters[].cluster.server does not begin with https://; credentials are not sent without TLS")]
    NotHttps,
    /// Not an address.
    #[error("clusters[].cluster.server is not an address such as https://10.0.0.1:6443")]
    ServerInvalid,
    /// The certificate of the server would not be verified.
    #[error(
        "clusters[].cluster.insecure-skip-tls-verify is set; give certificate-authority-data instead, or set insecureSkipTLSVerify: Allow in the MemberCluster if this is a test"
    )]
    SkipTlsVerify,
    /// A proxy.
    #[error(
        "clusters[].cluster.proxy-url is set; requests of the controller are not sent through addresses from a Secret, remove it"
    )]
    ProxyUrl,
    /// A file of the controller would be read.
    #[error("{field} names a file, which would be read in the controller; give the content inline in {instead}")]
    FilePath {
        /// Which field.
        field: &'static str,
        /// Which field to use.
        instead: &'static str,
    },
    /// A program would be run in the controller.
    #[error(
        "users[].user.exec would run a program in the controller; use a service account token or a client certificate instead"
    )]
    Exec,
    /// A program or library would be used in the controller.
    #[error("users[].user.auth-provider is not supported; use a service account token or a client certificate instead")]
    AuthProvider,
    /// User name and password.
    #[error(
        "users[].user.{field}: basic authentication is not supported by Kubernetes any more; use a service account token or a client certificate instead"
    )]
    BasicAuth {
        /// Which field.
        field: &'static str,
    },
    /// Acting as somebody else.
    #[error("users[].user.{field}: impersonation is refused; give the credentials of the account itself")]
    Impersonation {
        /// Which field.
        field: &'static str,
    },
    /// Extensions, which only mean something to programs that are refused.
    #[error("{field} is refused; only client programs use it, remove it")]
    Extensions {
        /// Which field.
        field: &'static str,
    },
    /// No credentials at all.
    #[error(
        "users[].user has neither token nor client-certificate-data with client-key-data; docs/install.md shows how to make a kubeconfig that has"
    )]
    NoCredentials,
    /// Half a client certificate.
    #[error("users[].user has {present} but no {missing}; a client certificate needs both")]
    HalfCertificate {
        /// What there is.
        present: &'static str,
        /// What there is not.
        missing: &'static str,
    },
    /// A token that cannot be sent.
    #[error("users[].user.token contains a space, a line break or another character that no token has")]
    TokenInvalid,
    /// Not what the field holds.
    #[error("{field} is not base64 of a PEM block ({expected})")]
    NotPem {
        /// Which field.
        field: &'static str,
        /// What the block should be.
        expected: &'static str,
    },
}

impl KubeconfigError {
    /// CamelCase, stable: for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::KeyMissing { .. } => "SecretKeyMissing",
            Self::NotUtf8 | Self::NotYaml { .. } | Self::Shape { .. } => "KubeconfigUnreadable",
            Self::NoCurrentContext { .. } | Self::Dangling { .. } | Self::Ambiguous { .. } => "KubeconfigAmbiguous",
            Self::NoServer | Self::ServerInvalid => "KubeconfigServerInvalid",
            Self::NotHttps => "KubeconfigNotHTTPS",
            Self::SkipTlsVerify => "KubeconfigSkipsTLSVerify",
            Self::ProxyUrl => "KubeconfigProxyRefused",
            Self::FilePath { .. } => "KubeconfigFilePathRefused",
            Self::Exec => "KubeconfigExecRefused",
            Self::AuthProvider => "KubeconfigAuthProviderRefused",
            Self::BasicAuth { .. } => "KubeconfigBasicAuthRefused",
            Self::Impersonation { .. } => "KubeconfigImpersonationRefused",
            Self::Extensions { .. } => "KubeconfigExtensionsRefused",
            Self::NoCredentials | Self::HalfCertificate { .. } | Self::TokenInvalid | Self::NotPem { .. } => {
                "KubeconfigCredentialsInvalid"
            }
        }
    }
}

/// The kubeconfig in the data of a Secret: under `key`, or, where none is named, under `kubeconfig`, else `value`, else the
/// only key there is.
///
/// # Errors
/// [`KubeconfigError::KeyMissing`].
pub fn pick<'a>(data: &'a BTreeMap<String, ByteString>, key: Option<&str>) -> Result<&'a [u8], KubeconfigError> {
    let found = match key {
        Some(key) => data.get(key),
        None => DEFAULT_KEYS
            .iter()
            .find_map(|key| data.get(*key))
            .or_else(|| data.values().next().filter(|_| data.len() == 1)),
    };
    let bytes = found.map(|bytes| bytes.0.as_slice());
    bytes.ok_or_else(|| KubeconfigError::KeyMissing {
        wanted: key.unwrap_or("kubeconfig").to_owned(),
        found: if data.is_empty() { "none".to_owned() } else { data.keys().cloned().collect::<Vec<_>>().join(", ") },
    })
}

/// Checks a kubeconfig and restricts it to the one context that is meant.
///
/// # Errors
/// The first thing for which it is refused.
pub fn check(bytes: &[u8], allow_insecure: bool) -> Result<Kubeconfig, KubeconfigError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KubeconfigError::NotUtf8)?;
    // The parser's own words may quote the text, and with it secrets.
    let root: Value = serde_saphyr::from_str(text).map_err(|error| KubeconfigError::NotYaml {
        place: error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column())).unwrap_or_default(),
    })?;
    let root = View::root(&root)?;
    let context = context(&root)?;
    let cluster = named(&root, "clusters", "cluster", &context.0, "contexts[].context.cluster")?;
    let user = named(&root, "users", "user", &context.1, "contexts[].context.user")?;
    Ok(Kubeconfig {
        clusters: vec![NamedCluster {
            name: NAME.to_owned(),
            cluster: Some(server(&cluster, allow_insecure)?),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: NAME.to_owned(),
            auth_info: Some(credentials(&user)?),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: NAME.to_owned(),
            context: Some(Context { cluster: NAME.to_owned(), user: Some(NAME.to_owned()), ..Context::default() }),
            ..NamedContext::default()
        }],
        current_context: Some(NAME.to_owned()),
        ..Kubeconfig::default()
    })
}

/// An object of the kubeconfig and where it is.
struct View<'a> {
    path: &'static str,
    fields: &'a serde_json::Map<String, Value>,
}

impl<'a> View<'a> {
    fn root(value: &'a Value) -> Result<Self, KubeconfigError> {
        Self::of(value, "")
    }

    fn of(value: &'a Value, path: &'static str) -> Result<Self, KubeconfigError> {
        let fields = value.as_object().ok_or_else(|| KubeconfigError::Shape {
            field: if path.is_empty() { "the kubeconfig" } else { path }.to_owned(),
            expected: "an object",
        })?;
        Ok(Self { path, fields })
    }

    /// What is there: null counts as absent.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn shape(&self, field: &str, expected: &'static str) -> KubeconfigError {
        let dot = if self.path.is_empty() { "" } else { "." };
        KubeconfigError::Shape { field: format!("{}{dot}{field}", self.path), expected }
    }

    /// A text, `None` when absent or empty.
    fn text(&self, field: &str) -> Result<Option<&'a str>, KubeconfigError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok((!text.trim().is_empty()).then_some(text.as_str())),
            Some(_) => Err(self.shape(field, "a text")),
        }
    }

    fn bool(&self, field: &str) -> Result<bool, KubeconfigError> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.shape(field, "true or false")),
        }
    }

    fn list(&self, field: &str) -> Result<&'a [Value], KubeconfigError> {
        match self.get(field) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.shape(field, "a list")),
        }
    }

    /// Something other than an empty text, list or object is there.
    fn has(&self, field: &str) -> bool {
        match self.get(field) {
            None => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(object)) => !object.is_empty(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) => true,
        }
    }
}

/// Names of cluster and user of the context that is meant.
fn context(root: &View<'_>) -> Result<(String, String), KubeconfigError> {
    let contexts = root.list("contexts")?;
    let context = match (root.text("current-context")?, contexts) {
        (Some(name), _) => named(root, "contexts", "context", name, "current-context")?,
        (None, [only]) => {
            let only = View::of(only, "contexts[]")?;
            let context = only.get("context").unwrap_or(&Value::Null);
            View::of(context, "contexts[].context")?
        }
        (None, _) => {
            return Err(KubeconfigError::NoCurrentContext { contexts: contexts.len() });
        }
    };
    let name = |field: &str| {
        let text = context.text(field)?;
        text.map(str::to_owned).ok_or_else(|| context.shape(field, "a name"))
    };
    Ok((name("cluster")?, name("user")?))
}

/// The entry called `name` of a list of `{name, <part>}`.
fn named<'a>(
    root: &View<'a>,
    list: &'static str,
    part: &'static str,
    name: &str,
    field: &'static str,
) -> Result<View<'a>, KubeconfigError> {
    let mut entries = root.list(list)?.iter().filter(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    let Some(entry) = entries.next() else {
        return Err(KubeconfigError::Dangling { field, name: name.to_owned(), list });
    };
    if entries.next().is_some() {
        return Err(KubeconfigError::Ambiguous { list, name: name.to_owned() });
    }
    let path = match part {
        "cluster" => "clusters[].cluster",
        "user" => "users[].user",
        _ => "contexts[].context",
    };
    View::of(entry.get(part).unwrap_or(&Value::Null), path)
}

fn server(cluster: &View<'_>, allow_insecure: bool) -> Result<Cluster, KubeconfigError> {
    if cluster.has("certificate-authority") {
        return Err(KubeconfigError::FilePath {
            field: "clusters[].cluster.certificate-authority",
            instead: "certificate-authority-data",
        });
    }
    if cluster.has("proxy-url") {
        return Err(KubeconfigError::ProxyUrl);
    }
    if cluster.has("extensions") {
        return Err(KubeconfigError::Extensions { field: "clusters[].cluster.extensions" });
    }
    let insecure = cluster.bool("insecure-skip-tls-verify")?;
    if insecure && !allow_insecure {
        return Err(KubeconfigError::SkipTlsVerify);
    }
    let server = cluster.text("server")?.ok_or(KubeconfigError::NoServer)?;
    check_server(server)?;
    let authority =
        pem(cluster, "certificate-authority-data", "clusters[].cluster.certificate-authority-data", "CERTIFICATE")?;
    Ok(Cluster {
        server: Some(server.to_owned()),
        insecure_skip_tls_verify: insecure.then_some(true),
        certificate_authority_data: authority,
        tls_server_name: cluster.text("tls-server-name")?.map(str::to_owned),
        ..Cluster::default()
    })
}

fn check_server(server: &str) -> Result<(), KubeconfigError> {
    let scheme = "https://";
    let rest = match server.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => server.get(scheme.len()..),
        _ => None,
    };
    let rest = rest.ok_or(KubeconfigError::NotHttps)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#' | '\\');
    if authority.is_empty() || authority.starts_with(':') || rest.contains(odd) {
        return Err(KubeconfigError::ServerInvalid);
    }
    Ok(())
}

fn credentials(user: &View<'_>) -> Result<AuthInfo, KubeconfigError> {
    if user.has("exec") {
        return Err(KubeconfigError::Exec);
    }
    if user.has("auth-provider") {
        return Err(KubeconfigError::AuthProvider);
    }
    let files = [
        ("tokenFile", "users[].user.tokenFile", "token"),
        ("client-certificate", "users[].user.client-certificate", "client-certificate-data"),
        ("client-key", "users[].user.client-key", "client-key-data"),
    ];
    for (key, field, instead) in files {
        if user.has(key) {
            return Err(KubeconfigError::FilePath { field, instead });
        }
    }
    for field in ["username", "password"] {
        if user.has(field) {
            return Err(KubeconfigError::BasicAuth { field });
        }
    }
    for field in ["as", "as-uid", "as-groups", "as-user-extra"] {
        if user.has(field) {
            return Err(KubeconfigError::Impersonation { field });
        }
    }
    if user.has("extensions") {
        return Err(KubeconfigError::Extensions { field: "users[].user.extensions" });
    }
    let token = user.text("token")?.map(str::trim);
    if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(KubeconfigError::TokenInvalid);
    }
    let certificate = pem(user, "client-certificate-data", "users[].user.client-certificate-data", "CERTIFICATE")?;
    let key = pem(user, "client-key-data", "users[].user.client-key-data", "PRIVATE KEY")?;
    match (&certificate, &key) {
        (Some(_), None) => {
            return Err(KubeconfigError::HalfCertificate {
                present: "client-certificate-data",
                missing: "client-key-data",
            });
        }
        (None, Some(_)) => {
            return Err(KubeconfigError::HalfCertificate {
                present: "client-key-data",
                missing: "client-certificate-data",
            });
        }
        (None, None) if token.is_none() => return Err(KubeconfigError::NoCredentials),
        (None, None) | (Some(_), Some(_)) => {}
    }
    Ok(AuthInfo {
        token: token.map(|token| token.to_owned().into()),
        client_certificate_data: certificate,
        client_key_data: key.map(Into::into),
        ..AuthInfo::default()
    })
}

/// A field with base64 of PEM, with the line breaks that YAML may have left in it removed.
fn pem(
    view: &View<'_>,
    key: &str,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<String>, KubeconfigError> {
    let Some(text) = view.text(key)? else {
        return Ok(None);
    };
    let text: String = text.split_ascii_whitespace().collect();
    let error = || KubeconfigError::NotPem { field, expected };
    let ByteString(bytes) = serde_json::from_value(Value::String(text.clone())).map_err(|_| error())?;
    let decoded = String::from_utf8(bytes).map_err(|_| error())?;
    // Keys come as PRIVATE KEY, RSA PRIVATE KEY and EC PRIVATE KEY.
    let begins = decoded
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{expected}-----")));
    if begins { Ok(Some(text)) } else { Err(error()) }
}

#[cfg(test)]
mod tests;
