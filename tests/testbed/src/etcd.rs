//! One etcd for all clusters of a test.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::binaries::Tool;
use crate::folder::Folder;
use crate::http::http_ok;
use crate::ports::{Port, retry_when_taken};
use crate::process::{Process, Spec};

/// A running etcd. Clones are handles to the same one; every cluster keeps one, so it ends last.
#[derive(Debug, Clone)]
pub struct Etcd(Arc<Running>);

// The order of the fields is the order of their end: the process before its files.
#[derive(Debug)]
struct Running {
    process: Mutex<Process>,
    client: Port,
    _peer: Port,
    _folder: Folder,
}

impl Etcd {
    /// Starts it and waits until it answers.
    pub async fn start() -> Result<Self> {
        let program = Tool::Etcd.path().await?;
        retry_when_taken(async || {
            let folder = Folder::create("etcd")?;
            let (client, peer) = (Port::take()?, Port::take()?);
            let client_url = format!("http://{}", client.address());
            let peer_url = format!("http://{}", peer.address());
            let spec = Spec::new("etcd", &program, folder.path().join("etcd.log"))
                .args(["--data-dir".as_ref(), folder.path().join("data").as_os_str()])
                .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
                .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
                .args(["--initial-cluster", &format!("testbed={peer_url}"), "--name", "testbed"])
                // Nothing here has to survive a power failure.
                .args(["--unsafe-no-fsync", "--log-level", "error"])
                .grace(Duration::from_secs(2));
            let mut process = Process::start(&spec)?;
            let address = client.address();
            process
                .ready(Duration::from_secs(60), "to answer /readyz", async || http_ok(address, "/readyz").await)
                .await?;
            Ok(Self(Arc::new(Running { process: Mutex::new(process), client, _peer: peer, _folder: folder })))
        })
        .await
    }

    /// Where its clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.client.address())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.process.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}
