//! The server around [`Zones`].

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, MessageType, Metadata, OpCode, ResponseCode},
    rr::{DNSClass, Record, RecordType},
};
use hickory_server::{
    Server,
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use tokio::net::{TcpListener, UdpSocket};

use super::zone::{Reply, Zones};

/// Bytes of an answer over UDP that pass everywhere (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// A TCP connection without questions for this long is closed.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Answers that may wait on one TCP connection.
const TCP_QUEUE: usize = 32;

/// The server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsServerError {
    /// The address is taken or not allowed.
    #[error("cannot answer DNS at {address} ({protocol}): {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl DnsServerError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "AddressUnusable",
        }
    }
}

/// What is answered at the moment; cheap to clone and to replace.
pub(crate) type Current = Arc<RwLock<Arc<Zones>>>;

/// A running server. It ends when it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    server: Server<Handler>,
    current: Current,
}

impl DnsServer {
    /// Answers at `address` over UDP and TCP; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn start(address: SocketAddr) -> Result<Self, DnsServerError> {
        let bind = |address, protocol| move |error| DnsServerError::Bind { address, protocol, error };
        let mut attempt = 0;
        let (udp, tcp, bound) = loop {
            let udp = UdpSocket::bind(address).await.map_err(bind(address, "UDP"))?;
            let bound = udp.local_addr().map_err(bind(address, "UDP"))?;
            match TcpListener::bind(bound).await {
                Ok(tcp) => break (udp, tcp, bound),
                // The port that was free for UDP may be taken for TCP.
                Err(_) if address.port() == 0 && attempt < 16 => attempt += 1,
                Err(error) => return Err(bind(bound, "TCP")(error)),
            }
        };
        let current = Current::default();
        let mut server = Server::new(Handler { current: Arc::clone(&current) });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_QUEUE);
        Ok(Self { address: bound, server, current })
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from these zones from now on.
    pub fn publish(&self, zones: Zones) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(zones);
    }

    /// For publishing from elsewhere.
    pub(crate) fn current(&self) -> Current {
        Arc::clone(&self.current)
    }

    /// Ends the server.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::debug!("the DNS server did not end well: {error}");
        }
    }
}

struct Handler {
    current: Current,
}

impl Handler {
    fn reply(&self, request: &Request) -> Reply {
        let failed = |code| Reply { code, authoritative: false, answers: Vec::new(), soa: None };
        if request.metadata.message_type != MessageType::Query || request.metadata.op_code != OpCode::Query {
            return failed(ResponseCode::NotImp);
        }
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return failed(ResponseCode::BADVERS);
        }
        let Ok(info) = request.request_info() else {
            return failed(ResponseCode::FormErr);
        };
        let query = info.query;
        let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
        if transfer || !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
            return failed(ResponseCode::Refused);
        }
        let zones = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        zones.answer(query.original().name(), query.query_type())
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let reply = self.reply(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = reply.authoritative;
        metadata.response_code = reply.code;
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().clamp(512, UDP_PAYLOAD));
            edns.set_version(0);
            edns.set_rcode_high(reply.code.high());
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let none: [Record; 0] = [];
        let response = builder.build(metadata, &reply.answers, &none, &reply.soa, &none);
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!("an answer could not be sent: {error}");
                let mut metadata = Metadata::response_from_request(&request.metadata);
                metadata.response_code = ResponseCode::ServFail;
                ResponseInfo::from(hickory_proto::op::Header { metadata, counts: Default::default() })
            }
        }
    }
}
