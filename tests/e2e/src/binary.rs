//! The `mcsdns` binary under test.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail, ensure};
use tokio::{io::AsyncWriteExt, process::Command, sync::OnceCell};

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// Path of the binary: `MCSDNS_BIN`, else built by cargo (once per test program; a moment when nothing changed).
pub async fn mcsdns() -> Result<PathBuf> {
    BINARY.get_or_try_init(build).await.cloned()
}

async fn build() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("MCSDNS_BIN") {
        return Ok(given.into());
    }
    let output = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "-p", "mcsdns-cli", "--message-format=json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "mcsdns does not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    for message in messages {
        let name = message.pointer("/target/name").and_then(|name| name.as_str());
        if let (Some("mcsdns"), Some(path)) = (name, message.get("executable").and_then(|path| path.as_str())) {
            return Ok(path.into());
        }
    }
    bail!("cargo did not say where it put mcsdns")
}

/// Runs a subcommand to its end and answers what it printed; fails with its words if it failed.
pub async fn run(args: &[&str], stdin: Option<&str>) -> Result<String> {
    let mut child = Command::new(mcsdns().await?)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        pipe.write_all(text.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "mcsdns {args:?} ended with {}: {}{}",
        output.status,
        text(&output.stderr),
        text(&output.stdout)
    );
    Ok(text(&output.stdout))
}
