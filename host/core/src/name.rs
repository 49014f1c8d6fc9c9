//! DNS names as they may be published: syntax (RFC 1035 2.3.1, RFC 1123 2.1), lengths, and the part of the first label
//! that ExternalDNS needs for its ownership TXT record.

use crate::plan::RecordType;

/// Longest label (RFC 1035 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Longest name in text form without the final dot (RFC 1035 2.3.4: 255 octets on the wire).
pub const MAX_NAME: usize = 253;

/// Which rule of DNS a name or label breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there, or two dots in a row.
    #[error("`{0}` has an empty label")]
    EmptyLabel(String),
    /// A label of more than 63 bytes.
    #[error("label `{label}` has {length} characters, {limit} are allowed")]
    LabelTooLong {
        /// The label.
        label: String,
        /// Its length.
        length: usize,
        /// What is allowed here.
        limit: usize,
    },
    /// A name of more than 253 bytes.
    #[error("the name has {length} characters, {limit} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// What is allowed here.
        limit: usize,
    },
    /// A character that is not a-z, 0-9 or an inner hyphen.
    #[error("label `{0}` may contain only a-z, 0-9 and inner hyphens")]
    Character(String),
}

impl NameError {
    /// Whether shortening is what helps.
    #[must_use]
    pub const fn is_length(&self) -> bool {
        matches!(self, Self::LabelTooLong { .. } | Self::TooLong { .. })
    }
}

/// Room that ExternalDNS's ownership records take (`--txt-prefix`, `--txt-suffix`), in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxtAffix {
    /// Bytes that `--txt-prefix` and `--txt-suffix` add to the first label.
    pub label: usize,
    /// `true` when the affix contains `%{record_type}`, which then replaces the leading type.
    pub replaces_type: bool,
}

impl TxtAffix {
    /// Longest first label for a type: 63 less `cname-`, `aaaa-` or `a-`, less the affix (externaldns.md 5).
    #[must_use]
    pub fn budget(self, record_type: RecordType) -> usize {
        let own = if self.replaces_type { 0 } else { record_type.as_str().len() + 1 };
        MAX_LABEL.saturating_sub(own + self.label)
    }

    /// Checks a valid name against the room that is left when it is published as `record_type`.
    ///
    /// # Errors
    /// [`NameError::LabelTooLong`] or [`NameError::TooLong`].
    pub fn check(self, name: &str, record_type: RecordType) -> Result<(), NameError> {
        let first = name.split('.').next().unwrap_or_default();
        let limit = self.budget(record_type);
        if first.len() > limit {
            return Err(NameError::LabelTooLong { label: first.to_owned(), length: first.len(), limit });
        }
        let limit = MAX_NAME - (MAX_LABEL - limit);
        if name.len() > limit {
            return Err(NameError::TooLong { length: name.len(), limit });
        }
        Ok(())
    }
}

/// Checks one label: 1 to 63 of a-z, 0-9 and inner hyphens.
///
/// # Errors
/// The rule it breaks.
pub fn check_label(label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel(label.to_owned()));
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong { label: label.to_owned(), length: label.len(), limit: MAX_LABEL });
    }
    let ok = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-');
    if ok { Ok(()) } else { Err(NameError::Character(label.to_owned())) }
}

/// Checks a whole name, lower case and without final dot. The first label may be `*` (RFC 4592), and labels may begin
/// with an underscore where services do (RFC 8552) only if they are not the first.
///
/// # Errors
/// The first rule it breaks.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong { length: name.len(), limit: MAX_NAME });
    }
    for (position, label) in name.split('.').enumerate() {
        if label.is_empty() {
            return Err(NameError::EmptyLabel(name.to_owned()));
        }
        if !(position == 0 && label == "*") {
            check_label(label)?;
        }
    }
    Ok(())
}

/// Whether `name` lies below `zone`, label by label. The apex of the zone itself does not count: its records are not
/// ours to write.
#[must_use]
pub fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Lower case, without final dot: the form in which a domain or host name is compared and published.
#[must_use]
pub fn normalise(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(check_label("a-1"), Ok(()));
        for bad in ["", "-a", "a-", "A", "a_b", "ä"] {
            assert!(check_label(bad).is_err(), "{bad}");
        }
        assert!(check_label(&"a".repeat(63)).is_ok());
        assert!(matches!(check_label(&"a".repeat(64)), Err(NameError::LabelTooLong { length: 64, .. })));
    }

    #[test]
    fn names_and_wildcards() {
        assert!(check_name("*.example.com").is_ok());
        assert!(check_name("a.*.example.com").is_err());
        assert!(check_name("a..com").is_err());
        assert!(check_name(&format!("{}com", "a.".repeat(126))).is_err());
    }

    #[test]
    fn within_goes_label_by_label() {
        assert!(is_within("a.example.com", "example.com"));
        assert!(!is_within("badexample.com", "example.com"));
        assert!(!is_within("example.com", "example.com"));
        assert!(!is_within(".example.com", "example.com"));
    }

    #[test]
    fn ownership_records_need_room() {
        let affix = TxtAffix::default();
        assert_eq!(affix.budget(RecordType::Cname), 57);
        assert_eq!(affix.budget(RecordType::Aaaa), 58);
        assert_eq!(affix.budget(RecordType::A), 61);
        let name = format!("{}.example.com", "a".repeat(58));
        assert!(affix.check(&name, RecordType::A).is_ok());
        assert!(affix.check(&name, RecordType::Cname).is_err());
        let guide = TxtAffix { label: "cname".len(), replaces_type: false };
        assert_eq!(guide.budget(RecordType::Cname), 52);
    }
}
