//! What the process logs, to standard error.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::exit::wrong;

/// How to log.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,mcsdns_runtime=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "MCSDNS_LOG_LEVEL", help_heading = "Logging")]
    log_level: String,
    /// As lines for people, or as one JSON object each
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        env = "MCSDNS_LOG_FORMAT",
        help_heading = "Logging"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object each.
    Json,
}

impl LogArgs {
    /// Logs from here on. `first` are parts of the filter that the operator can override.
    pub(crate) fn start(&self, first: &str) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(format!("{first},{}", self.log_level))
            .map_err(|error| wrong(anyhow::anyhow!("--log-level: {error}")))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Text => {
                let ansi =
                    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
                builder.with_ansi(ansi).try_init()
            }
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
    }
}

/// Logs only what should not go unseen, for commands that print their own output.
pub(crate) fn quiet() {
    let filter = EnvFilter::new("error,mcsdns_runtime=off");
    // Already logging is as good.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
