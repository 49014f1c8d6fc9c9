//! `mcsdns policy interface`.

use clap::{Args, ValueEnum};
use mcsdns_harness::interface::{WIT, markdown};

use crate::{exit::Verdict, print::Out};

/// Form of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A page to read
    Markdown,
    /// For wit-bindgen and other tools
    Wit,
}

/// Prints the interface between mcsdns and policies, of the newest version.
#[derive(Args, Debug)]
pub(crate) struct InterfaceArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "markdown")]
    output: Form,
}

/// Prints.
pub(super) fn run(args: &InterfaceArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    match args.output {
        Form::Markdown => out.text(&markdown()?)?,
        Form::Wit => out.text(WIT)?,
    }
    Ok(Verdict::Good)
}
