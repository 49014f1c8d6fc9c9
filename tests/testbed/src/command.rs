//! Running a program to its end: kubectl, dig, go.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs a program with something on its standard input and answers what it printed. A program that fails
/// is an error with what it said; one that takes longer than `limit` is killed.
pub(crate) async fn run<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    env: &[(&str, &OsStr)],
    stdin: Option<&str>,
    limit: Duration,
) -> Result<String> {
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in args {
        write!(line, " {}", arg.as_ref().to_string_lossy())?;
    }
    let mut child = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let input = child.stdin.take().zip(stdin);
    let feed = async {
        if let Some((mut pipe, text)) = input {
            // A program that ends without reading everything says itself why.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
    };
    let finished = async {
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        output
    };
    let Ok(output) = tokio::time::timeout(limit, finished).await else {
        bail!("`{line}` was not done after {limit:?}");
    };
    let output = output.with_context(|| format!("cannot run `{line}`"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, format!("{printed}{said}").trim());
    }
    Ok(printed.into_owned())
}
