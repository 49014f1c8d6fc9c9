//! DNS labels and names.

/// The longest first label of a name: 63 less what ExternalDNS puts in front of it for its ownership records
/// (`cname-`). An operator's `--txt-prefix` takes more; the host says so where it happens.
pub const FIRST_LABEL: usize = 57;

/// The longest label of DNS.
pub const LABEL: usize = 63;

/// The parts with dots between them; empty ones are left out.
///
/// ```
/// assert_eq!(mcsdns_policy_sdk::label::join(&["shop", "", "example.com"]), "shop.example.com");
/// ```
#[must_use]
pub fn join(parts: &[&str]) -> String {
    let mut name = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(part);
    }
    name
}

/// Whether the text is one DNS label: 1 to 63 lower-case letters, digits and hyphens, no hyphen at its ends.
///
/// ```
/// use mcsdns_policy_sdk::label::is_label;
///
/// assert!(is_label("eu-west-1"));
/// assert!(!is_label("EU") && !is_label("-a") && !is_label("a.b") && !is_label(""));
/// ```
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Makes one DNS label of any text: lower case, other characters become hyphens, none of them at the ends, at most 63
/// bytes. `None` when nothing is left.
///
/// Different texts can lead to the same label.
///
/// ```
/// use mcsdns_policy_sdk::label::to_label;
///
/// assert_eq!(to_label("Shop_Front/v2").as_deref(), Some("shop-front-v2"));
/// assert_eq!(to_label("__"), None);
/// ```
#[must_use]
pub fn to_label(text: &str) -> Option<String> {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let label: String = text.chars().map(plain).skip_while(|char| *char == '-').take(LABEL).collect();
    let label = label.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

/// The text itself if it has at most `longest` bytes; else its beginning and a hash of all of it, so that different texts
/// stay different. Only for ASCII, such as names of clusters; a `longest` below 17 leaves nothing of the beginning.
///
/// ```
/// use mcsdns_policy_sdk::label::shortened;
///
/// assert_eq!(shortened("eu-1", 128), "eu-1");
/// let long = "x".repeat(200);
/// assert!(shortened(&long, 20).starts_with("xxx-") && shortened(&long, 20).len() == 20);
/// assert_ne!(shortened(&long, 20), shortened(&"x".repeat(201), 20));
/// ```
#[must_use]
pub fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    // FNV-1a: short, the same everywhere, and nobody's secret hangs on it.
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let beginning: String = text.chars().take(longest.saturating_sub(17)).collect();
    format!("{beginning}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_made_of_anything_is_a_label() {
        for text in ["a", "A-", "-.a", "ü-x", &"x".repeat(200), &("y".repeat(62) + "--z"), "1"] {
            let label = to_label(text).unwrap();
            assert!(is_label(&label), "{text} became {label}");
        }
        assert_eq!(to_label(""), None);
        assert_eq!(to_label("ü"), None);
    }

    #[test]
    fn labels_have_bounds() {
        assert!(is_label(&"a".repeat(63)));
        assert!(!is_label(&"a".repeat(64)));
        assert!(!is_label("a_b"));
        assert!(!is_label("a-"));
    }
}
