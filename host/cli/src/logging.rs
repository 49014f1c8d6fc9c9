//! What the process logs, to standard error.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

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
        let builder = tracing_subscriber::fmt().with_env_filter(filter);
        let started = match self.log_format {
            LogFormat::Text => {
                let ansi =
                    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
                builder.with_ansi(ansi).with_writer(move || Lines { to: io::stderr(), ansi }).try_init()
            }
            LogFormat::Json => builder.with_writer(io::stderr).json().flatten_event(true).try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
    }
}

/// Logs only what should not go unseen, for commands that print their own output.
pub(crate) fn quiet() {
    let filter = EnvFilter::new("error,mcsdns_runtime=off");
    // Already logging is as good.
    let lines = || Lines { to: io::stderr(), ansi: false };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(lines).try_init();
}

/// One line for each event. What policies and API servers say is part of events, and must not look like lines of its own.
struct Lines<W> {
    to: W,
    /// Escape sequences are those of the colours; of messages they are escaped before they come here.
    ansi: bool,
}

impl<W: Write> Write for Lines<W> {
    /// An event comes as a whole.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len() + 1);
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if c.is_control() && !(self.ansi && c == '\u{1b}') {
                // Writing into a String cannot fail.
                let _ = write!(line, "{}", c.escape_default());
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        for ansi in [false, true] {
            let written = Written::default();
            let to = written.clone();
            let lines = move || Lines { to: to.clone(), ansi };
            let subscriber = tracing_subscriber::fmt().with_ansi(ansi).with_writer(lines).finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(policy = %"p\nq", "{}", "a\r\n2026-01-01T00:00:00Z ERROR forged \u{1b}[31m\u{85}\u{7f}");
                tracing::info!("next");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert_eq!((text.lines().count(), text.contains('\r')), (2, false), "{text:?}");
            assert!(text.contains("a\\r\\n2026-01-01T00:00:00Z ERROR forged"), "{text:?}");
            assert!(!text.contains("\u{1b}[31m") && !text.contains(['\u{85}', '\u{7f}']), "{text:?}");
            assert_eq!(text.contains('\u{1b}'), ansi, "colours stay: {text:?}");
        }
    }
}
