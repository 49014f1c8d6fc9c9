//! How long answers may be kept.

use crate::Subject;

/// Seconds for records that do not say.
pub const DEFAULT_TTL: u32 = 180;

/// One TTL for all `names` names of a record: what the record asks for, or [`DEFAULT_TTL`].
#[must_use]
pub fn ttls(subject: &Subject<'_>, names: usize) -> Vec<u32> {
    vec![subject.record_ttl.filter(|ttl| *ttl > 0).unwrap_or(DEFAULT_TTL); names]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_decides_or_else_the_default() {
        let subject = |record_ttl| Subject {
            service: "nginx",
            namespace: "test",
            federation: "galactic",
            domain: "example.com",
            external_name: None,
            dns_prefix: None,
            record_ttl,
        };
        assert_eq!(ttls(&subject(None), 2), [180, 180]);
        assert_eq!(ttls(&subject(Some(0)), 1), [180]);
        assert_eq!(ttls(&subject(Some(300)), 1), [300]);
    }
}
