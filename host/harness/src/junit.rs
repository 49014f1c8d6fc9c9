//! Results as JUnit XML, which every CI system reads.

use std::fmt::Write as _;

/// A group of tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its tests.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Time of its longest decision, in microseconds.
    pub micros: u64,
    /// What failed; empty when it passed.
    pub failures: Vec<String>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// The report.
#[must_use]
pub fn report(suites: &[Suite]) -> String {
    let count = |suite: &Suite| suite.cases.iter().filter(|case| !case.failures.is_empty()).count();
    let tests: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let failures: usize = suites.iter().map(count).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail.
    let _ = writeln!(xml, "<testsuites name=\"mcsdns policy test\" tests=\"{tests}\" failures=\"{failures}\">");
    for suite in suites {
        let name = escaped(&suite.name);
        let (tests, failures) = (suite.cases.len(), count(suite));
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">");
        for case in &suite.cases {
            let (title, seconds) = (escaped(&case.name), case.micros as f64 / 1e6);
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{title}\" time=\"{seconds:.6}\"");
            if case.failures.is_empty() && case.notes.is_empty() {
                xml.push_str("/>\n");
                continue;
            }
            xml.push_str(">\n");
            for failure in &case.failures {
                let first = escaped(failure.lines().next().unwrap_or_default());
                let _ = writeln!(xml, "      <failure message=\"{first}\">{}</failure>", escaped(failure));
            }
            if !case.notes.is_empty() {
                let _ = writeln!(xml, "      <system-out>{}</system-out>", escaped(&case.notes.join("\n")));
            }
            xml.push_str("    </testcase>\n");
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text as it may stand in XML 1.0: its control characters cannot be written at all.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' | '\t' => xml.push(c),
            c if c.is_control() || c == '\u{FFFE}' || c == '\u{FFFF}' => xml.push('\u{FFFD}'),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_stays_text() {
        let case = Case {
            name: "a<b>".into(),
            micros: 1_500_000,
            failures: vec!["\"x\" & \u{1b}[0m\nsecond".into()],
            notes: Vec::new(),
        };
        let suites = [Suite { name: "s".into(), cases: vec![case, Case { name: "good".into(), ..Case::default() }] }];
        let xml = report(&suites);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("name=\"a&lt;b&gt;\" time=\"1.500000\""), "{xml}");
        assert!(xml.contains("message=\"&quot;x&quot; &amp; \u{FFFD}[0m\""), "{xml}");
        assert!(xml.contains("name=\"good\" time=\"0.000000\"/>"), "{xml}");
    }
}
