//! How the process ends: 0 all is well, 1 it ran and something is not as it should be, 2 it could not run.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// How a subcommand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Good,
    /// Something that was looked at is not as it should be; it has been said.
    #[allow(dead_code, reason = "subcommands that look at things are being added")]
    Problem,
}

/// The exit code for a result; an error is printed with everything that led to it.
pub(crate) fn code(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Problem) => ExitCode::from(1),
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(io::stderr(), "mcsdns: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Prints to standard output. A reader that went away (`| head`) is no error.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<Outcome> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Good),
    }
}
