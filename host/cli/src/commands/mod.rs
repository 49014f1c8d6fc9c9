//! One file per subcommand.

mod bundle;
pub(crate) mod completion;
pub(crate) mod controller;
pub(crate) mod crd;
pub(crate) mod demo;
pub(crate) mod explain;
mod folder;
mod live;
pub(crate) mod local;
pub(crate) mod policy;
pub(crate) mod render;
pub(crate) mod version;

use anyhow::Context as _;

use crate::{
    args::{Args, Command},
    exit::Verdict,
    print::Out,
};

/// Does what was asked for.
pub(crate) fn run(args: Args) -> anyhow::Result<Verdict> {
    let mut out = Out::new(args.colour);
    match args.command {
        Command::Controller(args) => controller::run(&args),
        Command::Local(local) => local::run(local, args.colour),
        Command::Demo(args) => demo::run(&args, &mut out),
        Command::Render(render) => render::run(&render, &mut out, args.colour),
        Command::Explain(explain) => explain::run(&explain, &mut out, args.colour),
        Command::Policy(command) => policy::run(command, &mut out, args.colour),
        Command::Crd(args) => crd::run(&args, &mut out),
        Command::Version(args) => version::run(&args, &mut out),
        Command::Completion(args) => completion::run(&args, &mut out),
    }
}

/// Runs something asynchronous to its end.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("threads cannot be started")?;
    let result = runtime.block_on(future);
    // What still blocks a thread (a decision, a read) must not hold up the end of the process.
    runtime.shutdown_background();
    result
}
