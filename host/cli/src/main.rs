//! The `mcsdns` command. Thin: every subcommand is a file, and what they do is in the libraries.

mod controller;
mod crd;
mod exit;
mod logging;
mod policies;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Multi-cluster Services in DNS: names that follow the healthy clusters.
#[derive(Debug, Parser)]
#[command(name = "mcsdns", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller against a host cluster and its member clusters.
    Controller(Box<controller::Args>),
    /// Print our CustomResourceDefinitions, ready for `kubectl apply --server-side -f -`.
    Crd(crd::Args),
    /// Print the version, the policy in the box and the versions of the policy interface that this host runs.
    Version(version::Args),
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Controller(args) => controller::run(*args),
        Command::Crd(args) => crd::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mcsdns", &mut script);
            exit::print(&script)
        }
    };
    exit::code(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
