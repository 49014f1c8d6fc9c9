//! A running `mcsdns controller`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use mcsdns_testbed::{Port, Process, Spec, http_get, wait_until};

use crate::{SOON, mcsdns};

/// A running `mcsdns controller`, stopped when dropped.
#[derive(Debug)]
pub struct Controller {
    process: Process,
    health: Port,
    metrics: Port,
}

impl Controller {
    /// Starts a controller with a kubeconfig and more flags; answers once it is ready.
    ///
    /// # Errors
    /// What it logged last, when it does not become ready.
    pub async fn start(kubeconfig: &Path, folder: &Path, name: &str, flags: &[&str]) -> Result<Self> {
        let controller = Self::launch(kubeconfig, folder, name, flags)?;
        wait_until(SOON, "the controller to be ready", async || {
            let answer = http_get(controller.health.address(), "/readyz").await?;
            ensure!(answer.status == 200, "/readyz answered {}: {}", answer.status, answer.body);
            Ok(())
        })
        .await
        .with_context(|| format!("log of the controller:\n{}", controller.log()))?;
        Ok(controller)
    }

    /// Starts a controller and does not wait.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn launch(kubeconfig: &Path, folder: &Path, name: &str, flags: &[&str]) -> Result<Self> {
        let (health, metrics) = (Port::take()?, Port::take()?);
        let mut args = vec![
            "controller".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--health-address={}", health.address()),
            format!("--metrics-address={}", metrics.address()),
        ];
        if !flags.iter().any(|flag| flag.starts_with("--log-level=")) {
            args.push("--log-level=debug".to_owned());
        }
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let log = folder.join(format!("{name}.log"));
        let spec = Spec::new(name, mcsdns()?, log).args(args);
        Ok(Self { process: Process::start(&spec)?, health, metrics })
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// `/metrics`, as text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let answer = http_get(self.metrics.address(), "/metrics").await?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        Ok(answer.body)
    }

    /// Kills it as a crash would: no signal handler runs.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }

    /// Ends it in order (SIGTERM).
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop()
    }
}
