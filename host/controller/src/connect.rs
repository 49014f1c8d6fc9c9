//! How a client for an API server is put together.
//!
//! Not with kube's own stack, for four reasons. A request without an answer ends after a time, also the start of a watch,
//! which kube leaves open. A connection whose other end vanished is noticed by the kernel within half a minute. No answer
//! can fill the memory. And nothing is retried behind our back: whoever sends a request decides when to send it again.

use std::time::Duration;

use http::{HeaderValue, header::USER_AGENT};
use http_body_util::Limited;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{Client, Config, client::ConfigExt};
use tower::{ServiceBuilder, ServiceExt, timeout::TimeoutLayer};

use crate::options::RequestOptions;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Connections through a proxy are not supported.
    #[error("proxy-url is not supported; make the API server reachable directly")]
    Proxy,
    /// The credentials or certificates cannot be used.
    #[error("{0}")]
    Credentials(String),
}

impl ConnectError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Proxy => "ProxyUnsupported",
            Self::Credentials(_) => "CredentialsInvalid",
        }
    }
}

/// Idle time after which the kernel asks whether the other end is still there, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// A client for the API server of `config`.
///
/// # Errors
/// See [`ConnectError`]; no request is sent here.
pub(crate) fn connect(mut config: Config, options: &RequestOptions) -> Result<Client, ConnectError> {
    if config.proxy_url.is_some() {
        return Err(ConnectError::Proxy);
    }
    config.headers.retain(|(name, _)| name != USER_AGENT);
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("mcsdns/", env!("CARGO_PKG_VERSION")))));

    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));

    let unusable = |error: kube::Error| ConnectError::Credentials(crate::trouble::chain(&error));
    let tls = config.rustls_https_connector_with_connector(tcp).map_err(unusable)?;
    let http = HttpClient::builder(TokioExecutor::new()).build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(unusable)?)
        .layer(config.extra_headers_layer().map_err(unusable)?)
        .layer(TimeoutLayer::new(options.request_timeout))
        .service(http);
    let largest = options.max_response_bytes;
    let service = service.map_response(move |answer: http::Response<_>| answer.map(|body| Limited::new(body, largest)));
    Ok(Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str) -> Config {
        Config::new(url.parse().unwrap())
    }

    #[tokio::test]
    async fn proxies_are_refused() {
        let mut config = to("https://127.0.0.1:1");
        config.proxy_url = Some("http://127.0.0.1:2".parse().unwrap());
        let error = connect(config, &RequestOptions::default()).err().unwrap();
        assert_eq!(error.reason(), "ProxyUnsupported");
    }

    #[tokio::test]
    async fn broken_certificates_are_refused() {
        let mut config = to("https://127.0.0.1:1");
        config.root_cert = Some(vec![b"not a certificate".to_vec()]);
        let error = connect(config, &RequestOptions::default()).err().unwrap();
        assert_eq!(error.reason(), "CredentialsInvalid");
    }
}
