//! The `mcsdns` command.
//!
//! Thin: it reads flags, calls the libraries and prints. Each subcommand has a file of its own in [`commands`].

mod args;
mod commands;
mod duration;
mod exit;
mod logging;
mod print;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let colour = args.colour;
    exit::report(commands::run(args), colour)
}
