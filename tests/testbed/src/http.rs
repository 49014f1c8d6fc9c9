//! Plain HTTP GET on loopback, for readiness and metrics.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Gets `path` from a server on loopback. HTTP/1.0, so that the end of the answer is the end of the stream.
pub async fn http_get(server: SocketAddr, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(server).await.with_context(|| format!("cannot connect to {server}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.with_context(|| format!("cannot write to {server}"))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.with_context(|| format!("cannot read from {server}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("{server} did not answer HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("{server} answered without a status: {head}"))?;
    Ok(Answer { status, body: body.to_owned() })
}

/// Fails unless `path` answers 200.
pub(crate) async fn http_ok(server: SocketAddr, path: &str) -> Result<()> {
    let answer = http_get(server, path).await?;
    ensure!(answer.status == 200, "{path} answered {}: {}", answer.status, answer.body.trim());
    Ok(())
}
