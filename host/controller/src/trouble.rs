//! What went wrong with a request, as a class to act on and as words for people.

use std::{error::Error, time::Duration};

use kube::runtime::watcher;

/// Classes of failures that are treated differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// 401: the credentials are not accepted.
    Unauthorized,
    /// 403: the credentials do not allow it.
    Forbidden,
    /// 404: the object, its namespace or its kind does not exist.
    NotFound,
    /// 409: somebody else has the field, or a precondition does not hold.
    Conflict,
    /// 410: a watch is too old to go on.
    Gone,
    /// 400 and 422: the server understood and refuses what was sent.
    Invalid,
    /// 429: the server asks for patience.
    Throttled,
    /// 5xx.
    Server,
    /// Nothing came back in time.
    Timeout,
    /// No connection, or it broke.
    Unreachable,
    /// What came back is not what a Kubernetes API server says.
    Garbage,
}

impl Kind {
    /// Stable, CamelCase; also a metric label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Invalid => "Invalid",
            Self::Throttled => "Throttled",
            Self::Server => "ServerError",
            Self::Timeout => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::Garbage => "Garbage",
        }
    }

    /// Whether it passes by itself more often than not, so that a short one is not worth a word.
    pub(crate) const fn is_passing(self) -> bool {
        match self {
            Self::Gone | Self::Throttled | Self::Server | Self::Timeout | Self::Unreachable => true,
            Self::Unauthorized | Self::Forbidden | Self::NotFound | Self::Conflict | Self::Invalid | Self::Garbage => {
                false
            }
        }
    }
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What to do about it.
    pub(crate) kind: Kind,
    /// What the server or the network said; no newlines, bounded.
    pub(crate) said: String,
    /// When the server wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

/// Longer than any honest message; a server that answers with a page of HTML does not fill conditions and logs.
const LONGEST: usize = 400;

impl Trouble {
    pub(crate) fn new(kind: Kind, said: &str) -> Self {
        Self { kind, said: shorten(said), retry_after: None }
    }

    /// Nothing came back within `limit`.
    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new(Kind::Timeout, &format!("no answer within {limit:?}"))
    }
}

impl From<&kube::Error> for Trouble {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let mut trouble = Self::new(kind_of_code(status.code), &status.message);
                if trouble.said.is_empty() {
                    trouble.said = format!("status {} {}", status.code, status.reason);
                }
                trouble.retry_after = status
                    .details
                    .as_ref()
                    .filter(|details| details.retry_after_seconds > 0)
                    .map(|details| Duration::from_secs(u64::from(details.retry_after_seconds)));
                trouble
            }
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::new(
                Kind::Garbage,
                &format!("the answer is not what a Kubernetes API server says: {}", chain(error)),
            ),
            other if says_timeout(other) => Self::new(Kind::Timeout, "no answer in time"),
            other if says_too_large(other) => Self::new(Kind::Garbage, "the answer is larger than any honest one"),
            other => Self::new(Kind::Unreachable, &chain(other)),
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&watcher::Error> for Trouble {
    fn from(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::from(error),
            watcher::Error::WatchError(status) => Self::new(kind_of_code(status.code), &status.message),
            watcher::Error::NoResourceVersion => Self::new(Kind::Garbage, "the list has no resourceVersion"),
        }
    }
}

fn kind_of_code(code: u16) -> Kind {
    match code {
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        410 => Kind::Gone,
        429 => Kind::Throttled,
        400..500 => Kind::Invalid,
        500..600 => Kind::Server,
        _ => Kind::Garbage,
    }
}

/// The error and its causes, each said once: `client error (Connect): tcp connect error: Connection refused`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !text.contains(&said) {
            if said.contains(text.as_str()) {
                text.clear();
            }
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = error.source();
    }
    text.strip_prefix("ServiceError: ").map(str::to_owned).unwrap_or(text)
}

fn any_cause(error: &(dyn Error + 'static), is: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is(error) {
            return true;
        }
        next = error.source();
    }
    false
}

fn says_timeout(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |cause| {
        cause.is::<tower::timeout::error::Elapsed>()
            || cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
    })
}

fn says_too_large(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, |cause| cause.is::<http_body_util::LengthLimitError>())
}

/// One line of bounded length.
pub(crate) fn shorten(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    #[test]
    fn every_class_of_answer_has_its_kind() {
        let table = [
            (401, Kind::Unauthorized),
            (403, Kind::Forbidden),
            (404, Kind::NotFound),
            (409, Kind::Conflict),
            (410, Kind::Gone),
            (400, Kind::Invalid),
            (422, Kind::Invalid),
            (429, Kind::Throttled),
            (500, Kind::Server),
            (503, Kind::Server),
            (302, Kind::Garbage),
        ];
        for (code, kind) in table {
            assert_eq!(Trouble::from(api(code, "no")).kind, kind, "{code}");
        }
    }

    #[test]
    fn a_timeout_of_the_client_is_one() {
        let error = kube::Error::Service(Box::new(tower::timeout::error::Elapsed::new()));
        assert_eq!(Trouble::from(error).kind, Kind::Timeout);
    }

    #[test]
    fn messages_are_one_bounded_line() {
        let trouble = Trouble::from(api(500, &"<html>\n\n  ü".repeat(200)));
        assert!(trouble.said.len() <= LONGEST + '…'.len_utf8());
        assert!(!trouble.said.contains('\n'));
    }

    #[test]
    fn causes_are_said_once() {
        let io = std::io::Error::other("connection refused");
        let error = kube::Error::ReadEvents(io);
        assert_eq!(chain(&error).matches("connection refused").count(), 1);
    }
}
