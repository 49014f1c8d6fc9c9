//! One test for each way to be refused.

use kube::config::Kubeconfig;
use serde_json::json;

use super::*;

/// Stands for every secret in the tests; must never appear in a message.
const SECRET: &str = "c2VjcmV0LXN0dWZm";

fn base64(text: &str) -> String {
    let value = serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap();
    value.as_str().unwrap().to_owned()
}

fn certificate() -> String {
    base64("-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n")
}

fn key() -> String {
    base64("-----BEGIN RSA PRIVATE KEY-----\nMII=\n-----END RSA PRIVATE KEY-----\n")
}

fn good() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "ctx",
        "clusters": [{"name": "c", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority-data": certificate(),
        }}],
        "users": [{"name": "u", "user": {"token": SECRET}}],
        "contexts": [{"name": "ctx", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
    })
}

fn checked(value: &Value, allow: bool) -> Result<Kubeconfig, KubeconfigError> {
    check(value.to_string().as_bytes(), allow)
}

fn refused(change: impl FnOnce(&mut Value)) -> KubeconfigError {
    let mut value = good();
    change(&mut value);
    let error = checked(&value, false).unwrap_err();
    assert!(!error.to_string().contains(SECRET), "{error}");
    error
}

fn cluster(value: &mut Value) -> &mut Value {
    &mut value["clusters"][0]["cluster"]
}

fn user(value: &mut Value) -> &mut Value {
    &mut value["users"][0]["user"]
}

#[test]
fn a_token_and_an_authority_are_taken_over_and_nothing_else() {
    let config = checked(&good(), false).unwrap();
    let cluster = config.clusters[0].cluster.as_ref().unwrap();
    assert_eq!(cluster.server.as_deref(), Some("https://10.0.0.1:6443"));
    assert_eq!(cluster.certificate_authority_data, Some(certificate()));
    assert_eq!(cluster.insecure_skip_tls_verify, None);
    assert!(config.auth_infos[0].auth_info.as_ref().unwrap().token.is_some());
    assert_eq!(config.current_context.as_deref(), Some("member"));
    let context = config.contexts[0].context.as_ref().unwrap();
    assert_eq!(context.namespace, None);
}

#[test]
fn yaml_as_kubectl_writes_it() {
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://a.example:6443\n  name: c\ncontexts:\n- context:\n    cluster: c\n    user: u\n  name: x\nusers:\n- name: u\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        certificate(),
        certificate(),
        key(),
    );
    let config = check(text.as_bytes(), false).unwrap();
    let auth = config.auth_infos[0].auth_info.as_ref().unwrap();
    assert!(auth.client_key_data.is_some());
}

#[test]
fn other_contexts_do_not_matter() {
    let mut value = good();
    value["users"].as_array_mut().unwrap().push(json!({"name": "other", "user": {"exec": {"command": "aws"}}}));
    value["contexts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "other", "context": {"cluster": "c", "user": "other"}}));
    let config = checked(&value, false).unwrap();
    assert_eq!((config.contexts.len(), config.auth_infos.len()), (1, 1));
}

#[test]
fn which_key_of_the_secret() {
    let data = |keys: &[&str]| -> BTreeMap<String, ByteString> {
        keys.iter().map(|key| ((*key).to_owned(), ByteString(key.as_bytes().to_vec()))).collect()
    };
    assert_eq!(pick(&data(&["value", "kubeconfig"]), None), Ok(&b"kubeconfig"[..]));
    assert_eq!(pick(&data(&["value", "z"]), None), Ok(&b"value"[..]));
    assert_eq!(pick(&data(&["z"]), None), Ok(&b"z"[..]));
    assert_eq!(pick(&data(&["a", "kubeconfig"]), Some("a")), Ok(&b"a"[..]));
    let error = pick(&data(&["a", "b"]), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Secret has no key `kubeconfig` (it has: a, b); put the kubeconfig there or set spec.kubeconfigSecretRef.key"
    );
    assert!(pick(&data(&[]), Some("x")).unwrap_err().to_string().contains("(it has: none)"));
}

#[test]
fn not_utf8() {
    assert_eq!(check(&[0xff, 0xfe], false).unwrap_err(), KubeconfigError::NotUtf8);
}

#[test]
fn not_yaml_and_the_parser_quotes_nothing() {
    let text = format!("users:\n- user:\n    token: {SECRET}\n  : [");
    let error = check(text.as_bytes(), false).unwrap_err();
    assert!(matches!(error, KubeconfigError::NotYaml { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
    assert!(error.to_string().contains("line "), "{error}");
}

#[test]
fn not_a_kubeconfig() {
    for (text, field) in [
        ("just text", "the kubeconfig"),
        ("[1]", "the kubeconfig"),
        ("contexts: 5", "contexts"),
        ("contexts: [5]", "contexts[]"),
        ("contexts: [{name: a}]", "contexts[].context"),
        ("contexts: [{name: a, context: {cluster: c}}]", "contexts[].context.user"),
        ("current-context: [a]", "current-context"),
    ] {
        match check(text.as_bytes(), false).unwrap_err() {
            KubeconfigError::Shape { field: found, .. } => assert_eq!(found, field, "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
    let error = refused(|value| user(value)["token"] = json!(5));
    assert_eq!(error.to_string(), "users[].user.token: expected a text; this is not a kubeconfig as kubectl writes it");
}

#[test]
fn which_context() {
    let error = refused(|value| {
        value["current-context"] = json!("");
        let context = value["contexts"][0].clone();
        value["contexts"].as_array_mut().unwrap().push(context);
    });
    assert_eq!(error, KubeconfigError::NoCurrentContext { contexts: 2 });
    assert_eq!(check(b"{}", false).unwrap_err(), KubeconfigError::NoCurrentContext { contexts: 0 });
}

#[test]
fn dangling_and_ambiguous_names() {
    for (path, list) in [
        ("/current-context", "contexts"),
        ("/contexts/0/context/cluster", "clusters"),
        ("/contexts/0/context/user", "users"),
    ] {
        let error = refused(|value| *value.pointer_mut(path).unwrap() = json!("nobody"));
        assert!(
            matches!(&error, KubeconfigError::Dangling { name, list: found, .. } if name == "nobody" && *found == list),
            "{error}"
        );
    }
    let error = refused(|value| {
        let twice = value["users"][0].clone();
        value["users"].as_array_mut().unwrap().push(twice);
    });
    assert_eq!(error, KubeconfigError::Ambiguous { list: "users", name: "u".to_owned() });
}

#[test]
fn addresses() {
    let server = |text: Value| refused(move |value| cluster(value)["server"] = text);
    assert_eq!(server(json!(null)), KubeconfigError::NoServer);
    assert_eq!(server(json!("http://10.0.0.1")), KubeconfigError::NotHttps);
    assert_eq!(server(json!("10.0.0.1:6443")), KubeconfigError::NotHttps);
    for bad in ["https://", "https://:6443", "https://u:p@host", "https://a b", "https://a/?x"] {
        assert_eq!(server(json!(bad)), KubeconfigError::ServerInvalid, "{bad}");
    }
    for good in ["https://a", "HTTPS://[::1]:6443", "https://rancher/k8s/clusters/c-1"] {
        assert_eq!(check_server(good), Ok(()), "{good}");
    }
}

#[test]
fn skipping_verification_only_where_allowed() {
    let insecure = |value: &mut Value| {
        cluster(value)["insecure-skip-tls-verify"] = json!(true);
        cluster(value)["certificate-authority-data"] = json!(null);
    };
    assert_eq!(refused(insecure), KubeconfigError::SkipTlsVerify);
    let mut value = good();
    insecure(&mut value);
    let config = checked(&value, true).unwrap();
    let cluster = config.clusters[0].cluster.as_ref().unwrap();
    assert_eq!(cluster.insecure_skip_tls_verify, Some(true));
}

#[test]
fn requests_go_nowhere_else() {
    let error = refused(|value| cluster(value)["proxy-url"] = json!("http://evil"));
    assert_eq!(error, KubeconfigError::ProxyUrl);
    let error = refused(|value| cluster(value)["extensions"] = json!([{"name": "x"}]));
    assert!(matches!(error, KubeconfigError::Extensions { field: "clusters[].cluster.extensions" }));
    let error = refused(|value| user(value)["extensions"] = json!([{"name": "x"}]));
    assert!(matches!(error, KubeconfigError::Extensions { field: "users[].user.extensions" }));
}

#[test]
fn no_file_of_the_controller_is_read() {
    let error = refused(|value| cluster(value)["certificate-authority"] = json!("/etc/passwd"));
    assert!(matches!(error, KubeconfigError::FilePath { .. }));
    for field in ["tokenFile", "client-certificate", "client-key"] {
        let error = refused(|value| user(value)[field] = json!("/var/run/secrets/token"));
        assert!(error.to_string().contains(field), "{error}");
        assert_eq!(error.reason(), "KubeconfigFilePathRefused");
    }
}

#[test]
fn no_program_is_run() {
    let error = refused(|value| user(value)["exec"] = json!({"command": "sh"}));
    assert_eq!(error, KubeconfigError::Exec);
    let error = refused(|value| user(value)["auth-provider"] = json!({"name": "gcp"}));
    assert_eq!(error, KubeconfigError::AuthProvider);
}

#[test]
fn no_basic_auth_and_no_impersonation() {
    for field in ["username", "password"] {
        let error = refused(|value| user(value)[field] = json!(SECRET));
        assert_eq!(error, KubeconfigError::BasicAuth { field });
    }
    for (field, value) in [
        ("as", json!("root")),
        ("as-uid", json!("1")),
        ("as-groups", json!(["system:masters"])),
        ("as-user-extra", json!({"a": ["b"]})),
    ] {
        let error = refused(|config| user(config)[field] = value);
        assert_eq!(error, KubeconfigError::Impersonation { field });
    }
}

#[test]
fn credentials_are_whole() {
    assert_eq!(refused(|value| *user(value) = json!({})), KubeconfigError::NoCredentials);
    assert_eq!(refused(|value| *user(value) = json!({"token": "  "})), KubeconfigError::NoCredentials);
    assert_eq!(refused(|value| *user(value) = json!({"token": "a\nb"})), KubeconfigError::TokenInvalid);
    assert_eq!(
        refused(|value| *user(value) = json!({"client-certificate-data": certificate()})),
        KubeconfigError::HalfCertificate { present: "client-certificate-data", missing: "client-key-data" }
    );
    assert_eq!(
        refused(|value| *user(value) = json!({"client-key-data": key()})),
        KubeconfigError::HalfCertificate { present: "client-key-data", missing: "client-certificate-data" }
    );
}

#[test]
fn pem_is_checked() {
    for bad in ["%%%", SECRET, &key()] {
        let error = refused(|value| cluster(value)["certificate-authority-data"] = json!(bad));
        assert!(matches!(error, KubeconfigError::NotPem { .. }), "{error}");
    }
    let mut folded = certificate();
    folded.insert(10, '\n');
    let mut value = good();
    cluster(&mut value)["certificate-authority-data"] = json!(folded);
    assert!(checked(&value, false).is_ok());
}
