//! `mcsdns completion`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{exit::Verdict, print::Out};

/// Prints a completion script, for example `mcsdns completion bash > /etc/bash_completion.d/mcsdns`.
#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "mcsdns", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Good)
}
