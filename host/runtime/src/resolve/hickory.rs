//! Host names from the DNS.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::future::BoxFuture;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
};

use super::{Resolve, ResolveError, Resolved};

/// A resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverConfigError {
    /// `/etc/resolv.conf` cannot be read or used.
    #[error(
        "the resolver configuration of this machine cannot be used: {0}; name a server instead (--resolver ADDRESS)"
    )]
    System(String),
    /// The resolver refuses its configuration.
    #[error("the resolver cannot be set up: {0}")]
    Build(String),
}

impl ResolverConfigError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::System(_) => "SystemResolverInvalid",
            Self::Build(_) => "ResolverInvalid",
        }
    }
}

/// Asks name servers. Keeps no cache: every lookup is made because an earlier answer has run out.
#[derive(Clone)]
pub struct HickoryResolver(TokioResolver);

impl HickoryResolver {
    /// Asks the servers of `/etc/resolv.conf`; `/etc/hosts` counts.
    ///
    /// # Errors
    /// The configuration of the machine cannot be used.
    pub fn system() -> Result<Self, ResolverConfigError> {
        let builder = TokioResolver::builder_tokio().map_err(|e| ResolverConfigError::System(e.to_string()))?;
        Self::build(builder)
    }

    /// Asks one name server over UDP and TCP, and nothing else.
    ///
    /// # Errors
    /// The resolver refuses its configuration.
    pub fn server(address: SocketAddr) -> Result<Self, ResolverConfigError> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = address.port();
        }
        let server = NameServerConfig::new(address.ip(), true, connections);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Self::build(builder)
    }

    fn build(
        mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>,
    ) -> Result<Self, ResolverConfigError> {
        let options = builder.options_mut();
        options.cache_size = 0;
        options.preserve_intermediates = true;
        options.edns0 = true;
        options.try_tcp_on_error = true;
        builder.build().map(Self).map_err(|e| ResolverConfigError::Build(e.to_string()))
    }

    async fn family(
        &self,
        name: &Name,
        record_type: RecordType,
    ) -> (Result<Vec<IpAddr>, ResolveError>, Option<Duration>) {
        match self.0.lookup(name.clone(), record_type).await {
            Ok(lookup) => {
                let answers = lookup.answers();
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
                let addresses = answers.iter().filter_map(|record| record.data.ip_addr()).collect();
                (Ok(addresses), Some(Duration::from_secs(ttl.into())))
            }
            Err(error) => (without_records(error), None),
        }
    }
}

/// No records of a type is an answer; everything else that is not one is a failure.
fn without_records(error: NetError) -> Result<Vec<IpAddr>, ResolveError> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => Ok(Vec::new()),
            ResponseCode::NXDomain => Err(ResolveError::NoSuchName),
            code => Err(ResolveError::Server(format!("the name server answers {code}"))),
        },
        other => Err(ResolveError::Server(other.to_string())),
    }
}

impl Resolve for HickoryResolver {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved> {
        Box::pin(async move {
            let name = match Name::from_ascii(name) {
                Ok(mut name) => {
                    name.set_fqdn(true);
                    name
                }
                Err(error) => return Resolved::failed(ResolveError::Invalid(error.to_string())),
            };
            let ((v4, ttl4), (v6, ttl6)) =
                futures::join!(self.family(&name, RecordType::A), self.family(&name, RecordType::AAAA));
            let ttl = [ttl4, ttl6].into_iter().flatten().min().unwrap_or_default();
            Resolved { v4, v6, ttl }
        })
    }
}
