//! Logs go to standard error: text for people, JSON by flag.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line per event, for people.
    #[default]
    Text,
    /// One JSON object per event, for collectors.
    Json,
}

/// Settings of the log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text", env = "MCSDNS_LOG_FORMAT", help_heading = "Logging")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,mcsdns_controller=debug`.
    #[arg(long, default_value = "info", env = "MCSDNS_LOG_LEVEL", help_heading = "Logging")]
    log_level: String,
}

/// Starts logging; `quiet` directives come first, so that the operator's can override them.
pub(crate) fn start(args: &LogArgs, quiet: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(format!("{quiet},{}", args.log_level))
        .map_err(|error| anyhow::anyhow!("--log-level {}: {error}", args.log_level))?;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            base.with_ansi(colour).with_target(false).init();
        }
        LogFormat::Json => base.json().init(),
    }
    Ok(())
}
