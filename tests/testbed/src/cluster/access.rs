//! Who may call an API server: kubeconfigs, clients and tokens.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::ControlPlane;
use crate::folder::write;

/// A call on loopback that takes longer than this hangs.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// The user name that requests with a token of this service account carry, in RBAC and in the audit log.
#[must_use]
pub fn service_account_user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

impl ControlPlane {
    /// A kubeconfig with everything in it, no files beside it, for whoever holds `token`.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        let (name, server, ca) = (&self.name, self.url(), STANDARD.encode(&self.ca));
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {name}
  user:
    token: {token}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
current-context: {name}
"
        )
    }

    /// Writes [`ControlPlane::kubeconfig`] to a file called `name` in the cluster's folder.
    pub fn kubeconfig_file(&self, name: &str, token: &str) -> Result<PathBuf> {
        write(self.folder(), name, self.kubeconfig(token))
    }

    /// The file with the kubeconfig of the administrator.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder().join("admin.kubeconfig")
    }

    /// The token of the administrator, who may do everything.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The CA of the API server's certificate, as PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// A client of the administrator.
    pub async fn client_admin(&self) -> Result<Client> {
        self.client_for(&self.admin_token).await
    }

    /// A client of whoever holds `token`.
    pub async fn client_for(&self, token: &str) -> Result<Client> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig(token)).context("cannot read our own kubeconfig")?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("cannot make a client from our own kubeconfig")?;
        // A proxy of the environment is not for loopback.
        config.proxy_url = None;
        config.connect_timeout = Some(CALL_LIMIT);
        Client::try_from(config).with_context(|| format!("cannot make a client for {}", self.name))
    }

    /// A token of a service account, from the TokenRequest API as a pod would get it. The account must exist.
    pub async fn token_for(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client_admin().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer: TokenRequest =
            accounts
                .create_subresource("token", name, &PostParams::default(), &request)
                .await
                .with_context(|| format!("cannot get a token of {namespace}/{name} in {}", self.name))?;
        let status = answer.status.with_context(|| format!("no token of {namespace}/{name} in the answer"))?;
        Ok(status.token)
    }

    /// A client with a token of a service account: its rights are what RBAC says they are.
    pub async fn client_of(&self, namespace: &str, name: &str) -> Result<Client> {
        self.client_for(&self.token_for(namespace, name).await?).await
    }
}
