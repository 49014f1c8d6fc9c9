//! Durations on the command line: `5s`, `500ms`, `2m`, `1h`, or plain seconds.

use std::time::Duration;

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 5s, 500ms, 2m, 1h, or a number of seconds");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let seconds_per_unit = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| wrong())
}

/// A grace period in seconds; `None` never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) Option<u32>);

/// Reads a grace period.
pub(crate) fn parse_grace(text: &str) -> Result<Grace, String> {
    if matches!(text, "infinite" | "infinity" | "never") {
        return Ok(Grace(None));
    }
    let duration = parse(text).map_err(|error| format!("{error}, or `infinite`"))?;
    u32::try_from(duration.as_secs())
        .map(|seconds| Grace(Some(seconds)))
        .map_err(|_| format!("`{text}` is more than 136 years; write `infinite`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse("5"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1", "5x", "1..2", "5 minutes", "9e99h"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn grace_may_be_infinite() {
        assert_eq!(parse_grace("infinite"), Ok(Grace(None)));
        assert_eq!(parse_grace("0"), Ok(Grace(Some(0))));
        assert_eq!(parse_grace("5m"), Ok(Grace(Some(300))));
        assert!(parse_grace("99999999999").unwrap_err().contains("infinite"));
        assert!(parse_grace("soon").unwrap_err().contains("infinite"));
    }
}
