//! The garbage collector of one cluster: objects go when their owner goes.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::binaries::Tool;
use crate::cluster::ControlPlane;
use crate::process::{Process, Spec};

/// A kube-controller-manager with the garbage collector and nothing else.
///
/// It learns of new kinds every 30 seconds: install CustomResourceDefinitions before starting it where a
/// test must not wait for that.
#[derive(Debug)]
pub struct ControllerManager {
    process: Process,
}

impl ControllerManager {
    /// Starts it and waits until it watches every kind of object.
    pub async fn start(cluster: &ControlPlane) -> Result<Self> {
        let program = Tool::KubeControllerManager.path().await?;
        let name = format!("kube-controller-manager of {}", cluster.name());
        let spec = Spec::new(&name, program, cluster.folder().join("kube-controller-manager.log"))
            .args(["--kubeconfig".as_ref(), cluster.admin_kubeconfig().as_os_str()])
            .args(["--controllers", "garbage-collector-controller"])
            .args(["--leader-elect=false", "--use-service-account-credentials=false", "--secure-port=0"])
            .grace(Duration::from_secs(2));
        let mut process = Process::start(&spec)?;
        let log = process.log_path().to_owned();
        process
            .ready(Duration::from_secs(120), "to watch every kind", async || {
                let text = tokio::fs::read_to_string(&log).await?;
                ensure!(text.contains("all resource monitors have synced"), "not all are synced");
                Ok(())
            })
            .await?;
        Ok(Self { process })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
