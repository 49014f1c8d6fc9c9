//! The `mcsdns` binary under test.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncWriteExt, process::Command};

/// Path of the binary: `MCSDNS_BIN`, else the one that cargo has put beside the test programs.
///
/// # Errors
/// When it has not been built.
pub fn mcsdns() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("MCSDNS_BIN") {
        return Ok(given.into());
    }
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("mcsdns")).find(|path| path.is_file());
    found.context("mcsdns is not built; run `cargo build --workspace --bins` first (make test does)")
}

/// Runs a subcommand to its end and answers what it printed; fails with its words if it failed.
pub async fn run(args: &[&str], stdin: Option<&str>) -> Result<String> {
    ended(args, stdin, &[0]).await
}

/// As [`run`], for subcommands that end with 1 when there is something to tell.
pub async fn told(args: &[&str]) -> Result<String> {
    ended(args, None, &[0, 1]).await
}

async fn ended(args: &[&str], stdin: Option<&str>, good: &[i32]) -> Result<String> {
    let mut child = Command::new(mcsdns()?)
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
        output.status.code().is_some_and(|code| good.contains(&code)),
        "mcsdns {args:?} ended with {}: {}{}",
        output.status,
        text(&output.stderr),
        text(&output.stdout)
    );
    Ok(text(&output.stdout))
}
