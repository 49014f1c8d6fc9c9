//! Output for people: colour where there is a terminal, tables, and no panic when the reader has gone.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

use crate::args::{Colour, Output};

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A title.
    Title,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Not as it should be.
    Bad,
    /// Of less interest.
    Dim,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn stdout(colour: Colour) -> Self {
        Self(wants(colour, io::stdout().is_terminal()))
    }

    /// For standard error.
    pub(crate) fn stderr(colour: Colour) -> Self {
        Self(wants(colour, io::stderr().is_terminal()))
    }

    /// The text in its colour.
    pub(crate) fn style(self, style: Style, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Title => "1",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
            Style::Dim => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn wants(colour: Colour, terminal: bool) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
            terminal && unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Standard output. Errors come back to the caller instead of ending the process.
pub(crate) struct Out {
    to: io::Stdout,
    pub(crate) paint: Paint,
}

impl Out {
    pub(crate) fn new(colour: Colour) -> Self {
        Self { to: io::stdout(), paint: Paint::stdout(colour) }
    }

    /// A line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        let mut to = self.to.lock();
        to.write_all(text.as_ref().as_bytes())?;
        to.write_all(b"\n")?;
        to.flush()
    }

    /// Text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        let mut to = self.to.lock();
        to.write_all(text.as_bytes())?;
        to.flush()
    }

    /// Data as JSON or YAML; `false` when a table is wanted.
    pub(crate) fn data(&mut self, output: Output, data: &impl Serialize) -> anyhow::Result<bool> {
        match output {
            Output::Table => return Ok(false),
            Output::Json => self.line(serde_json::to_string_pretty(data)?)?,
            Output::Yaml => self.text(&serde_saphyr::to_string(data)?)?,
        }
        Ok(true)
    }
}

/// Text in columns.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(Option<Style>, String)>>,
}

impl Table {
    /// With a title for each column.
    pub(crate) fn new(titles: &[&str]) -> Self {
        let mut table = Self::default();
        table.rows.push(titles.iter().map(|title| (Some(Style::Dim), (*title).to_owned())).collect());
        table
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (Option<Style>, String)>) {
        // Whatever comes from objects must not steer the terminal, nor break the table.
        let clean = |(style, text): (Option<Style>, String)| (style, plain(&text));
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// Whether there are rows below the titles.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// As text; columns are as wide as they must be, the last one is not filled up.
    pub(crate) fn render(&self, paint: Paint, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            let last = row.iter().rposition(|(_, cell)| !cell.is_empty()).unwrap_or(0);
            for (column, (style, cell)) in row.iter().enumerate().take(last + 1) {
                let fill = widths.get(column).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                line.push_str(&style.map_or_else(|| cell.clone(), |style| paint.style(style, cell)));
                if column < last {
                    line.push_str(&" ".repeat(fill + 2));
                }
            }
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// Text without control characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["NAME", "TTL", "WHAT"]);
        table.row([(None, "a".to_owned()), (None, "180".to_owned()), (Some(Style::Good), "x\u{1b}[0m".to_owned())]);
        table.row([(None, "longer".to_owned()), (None, String::new()), (None, String::new())]);
        assert_eq!(table.render(Paint(false), 1), " NAME    TTL  WHAT\n a       180  x [0m\n longer\n");
        assert!(table.render(Paint(true), 0).contains("\u{1b}[32mx [0m\u{1b}[0m"));
    }
}
