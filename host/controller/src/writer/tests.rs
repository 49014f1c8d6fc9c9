//! The writer without a server: what becomes of an object after each outcome.

use super::*;

fn writer() -> Arc<Writer> {
    let metrics = Arc::new(Metrics::new("test", "test"));
    let (writer, _) = Writer::new(WriterOptions::default(), watch::channel(Some(Term::Always)).1, metrics);
    writer.open();
    writer
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("test", name)
}

fn target(name: &str) -> Target {
    Target::Endpoints(object(&key(name)))
}

/// As the loop wants it.
fn publish(writer: &Arc<Writer>, name: &str) {
    let sink = WriterSink(Arc::clone(writer));
    sink.effect(Effect::ApplyEndpoints { record: key(name), uid: "1".into(), endpoints: Arc::new([]) });
}

/// What a worker would write now.
fn take(writer: &Writer) -> Option<Target> {
    match writer.queue().take(Instant::now()) {
        Take::Job { key, .. } => Some(key),
        Take::At(_) | Take::Nothing => None,
    }
}

fn fail(writer: &Writer, target: &Target, kind: Kind) -> Option<Fact> {
    writer.settle(target, 0, Err(Trouble::new(kind, "no")))
}

fn waits(writer: &Writer) -> Vec<Target> {
    let mut waits: Vec<Target> = writer.queue().keys().cloned().collect();
    waits.sort();
    waits
}

#[test]
fn one_object_that_cannot_be_written_holds_up_no_other() {
    for kind in [Kind::Unreachable, Kind::Throttled] {
        let writer = writer();
        for name in ["a", "b", "c"] {
            publish(&writer, name);
        }
        let (first, second) = (take(&writer).unwrap(), take(&writer).unwrap());
        fail(&writer, &first, kind);
        fail(&writer, &second, kind);
        let third = take(&writer).unwrap();
        assert!(third != first && third != second, "{kind:?}: who failed waits for its own pause");
        publish(&writer, "d");
        fail(&writer, &third, kind);
        assert_eq!(take(&writer), Some(target("d")), "{kind:?}: what has not failed is tried");
        publish(&writer, "e");
        assert_eq!(take(&writer), None, "{kind:?}: and then it is everybody's");
        // An answer, if only a refusal, and all go on.
        fail(&writer, &target("d"), Kind::Invalid);
        assert_eq!(take(&writer), Some(target("e")));
    }
}

#[test]
fn what_is_forgotten_does_not_fail() {
    let writer = writer();
    for name in ["gone", "gone-later", "stays"] {
        publish(&writer, name);
    }
    while let Some(target) = take(&writer) {
        if target != self::target("gone-later") {
            assert!(fail(&writer, &target, Kind::Forbidden).is_some(), "{target:?}");
        }
    }
    writer.put(Target::RecordStatus(key("gone")), Lane::Words, Job::RecordStatus(Arc::default()));
    let sink = WriterSink(Arc::clone(&writer));
    sink.effect(Effect::DeleteEndpoints { object: object(&key("other")), uid: "1".into() });
    let domain = Target::DomainStatus("galactic".into());
    writer.put(domain.clone(), Lane::Words, Job::DomainStatus(Arc::default()));

    writer.forget_others(&[&key("stays")].into());
    // The second of them is under way, and nobody waits for it any more.
    assert!(fail(&writer, &target("gone-later"), Kind::Forbidden).is_none());
    assert_eq!(waits(&writer), [target("other"), target("stays"), domain], "deletions stay wanted");
    let failing = writer.close();
    assert!(
        matches!(failing.as_slice(), [Fact::WriteFailed { record, message: None }] if *record == key("stays")),
        "{failing:?}"
    );
}
