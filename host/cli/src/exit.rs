//! How the process ends: 0 done, 1 the answer is no, 2 the call or its input is wrong, 3 something outside stands in the way.

use std::{io, process::ExitCode};

use crate::{
    args::Colour,
    print::{Paint, Style},
};

/// What a command that could do its work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Good,
    /// Something is wrong, and was said.
    Bad,
}

impl Verdict {
    pub(crate) const fn good_if(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// The call, or a file it names, is not as it should be: exit code 2.
#[derive(Debug)]
pub(crate) struct Wrong(anyhow::Error);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Wrong {}

/// Marks an error as one of the call.
pub(crate) fn wrong(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Wrong(error.into()).into()
}

/// Says what went wrong, if anything, and with which code to end.
pub(crate) fn report(result: anyhow::Result<Verdict>, colour: Colour) -> ExitCode {
    let error = match result {
        Ok(Verdict::Good) => return ExitCode::SUCCESS,
        Ok(Verdict::Bad) => return ExitCode::from(1),
        Err(error) => error,
    };
    // Whoever read our output has had enough of it.
    if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let paint = Paint::stderr(colour);
    eprintln!("{} {error:#}", paint.style(Style::Bad, "error:"));
    ExitCode::from(if error.downcast_ref::<Wrong>().is_some() { 2 } else { 3 })
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
