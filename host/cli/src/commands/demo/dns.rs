//! Real questions to the preview server.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};

/// Asks one server, and remembers nothing.
pub(super) struct Questions(TokioResolver);

impl Questions {
    pub(super) fn to(server: SocketAddr) -> anyhow::Result<Self> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        let server = NameServerConfig::new(server.ip(), true, connections);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        options.timeout = Duration::from_secs(2);
        Ok(Self(builder.build().context("the resolver cannot be set up")?))
    }

    /// The answer to a question, one record per line: `NAME TTL TYPE DATA`, in the order of the answer.
    pub(super) async fn ask(&self, name: &str, record_type: RecordType) -> anyhow::Result<Vec<String>> {
        let mut name = Name::from_ascii(name).context("the name cannot be asked for")?;
        name.set_fqdn(true);
        let records = match self.0.lookup(name, record_type).await {
            Ok(lookup) => lookup.answers().to_vec(),
            // Refused: the zone is not known yet; whoever asks asks again.
            Err(NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(ResponseCode::Refused))) => {
                Vec::new()
            }
            Err(error) => return Err(error).context("the name server cannot be asked"),
        };
        let text = |name: &Name| name.to_ascii().trim_end_matches('.').to_owned();
        Ok(records
            .iter()
            .map(|record| {
                let data = match &record.data {
                    RData::CNAME(target) => text(&target.0),
                    other => other.to_string(),
                };
                format!("{} {} {} {data}", text(&record.name), record.ttl, record.record_type())
            })
            .collect())
    }
}
