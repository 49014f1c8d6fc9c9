//! Manifests that change while we look.
//!
//! What is in a file counts once the file has been left alone for a moment, and what was in it stays until its going
//! away has lasted: editors write in pieces, replace files by others, or delete them first. A file that cannot be
//! understood keeps what it said last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mcsdns_core::ids::ClusterName;

use crate::{
    fleet::{Fleet, Part, read_outage},
    limits::Limits,
    problem::Problem,
    read::{ClusterFiles, Content, Identity, Listing, Object, Place, Stamp, list, read_file, stamp},
};

/// A file counts when it has not changed for this long.
const QUIET: Duration = Duration::from_millis(150);
/// A file is gone when it has been gone for this long.
const GONE: Duration = Duration::from_secs(2);

/// The files of a folder, as last understood.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    limits: Limits,
    host: Folder,
    clusters: BTreeMap<ClusterName, Cluster>,
    listing: Listing,
    fresh: bool,
}

#[derive(Debug, Default)]
struct Cluster {
    files: Folder,
    outage: Option<(Timestamp, String)>,
    outage_problems: Vec<Problem>,
    /// The folder itself is gone since.
    gone: Option<Instant>,
}

/// The files of one cluster.
#[derive(Debug, Default)]
struct Folder {
    known: BTreeMap<Arc<Path>, Known>,
    incomplete: bool,
}

/// One file.
#[derive(Debug)]
struct Known {
    /// What was read last.
    content: Content,
    /// Objects that were in it before and of which it is not known whether they still are.
    held: Vec<Object>,
    /// The state of the file that `content` is from; `None` before it was read.
    read: Option<Stamp>,
    /// A newer state and since when it has been so.
    pending: Option<(Stamp, Instant)>,
    /// Gone, or empty, since.
    gone: Option<Instant>,
}

/// What a look at the files brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Something counts that did not before.
    pub(crate) changed: bool,
    /// Something is on its way; look again after this long.
    pub(crate) again: Option<Duration>,
}

impl Look {
    fn wait(&mut self, time: Duration) {
        self.again = Some(self.again.map_or(time, |other| other.min(time)));
    }
}

impl Files {
    pub(crate) fn new(dir: &Path, limits: Limits) -> Self {
        Self {
            dir: dir.to_owned(),
            limits,
            host: Folder::default(),
            clusters: BTreeMap::new(),
            listing: Listing::default(),
            fresh: true,
        }
    }

    /// Looks at the files. The first look takes everything as it is.
    pub(crate) fn look(&mut self, now: Instant, time: Timestamp) -> Look {
        let fresh = std::mem::take(&mut self.fresh);
        let mut look = Look { changed: fresh, again: None };
        let mut listing = list(&self.dir, &self.limits);
        let host = std::mem::take(&mut listing.host);
        self.host.look(&host, &Place::Host, &self.limits, fresh, now, &mut look);
        let clusters = std::mem::take(&mut listing.clusters);
        for (name, files) in &clusters {
            let cluster = self.clusters.entry(name.clone()).or_insert_with(|| {
                look.changed = true;
                Cluster::default()
            });
            cluster.gone = None;
            cluster.look(name, files, &self.limits, fresh, now, time, &mut look);
        }
        let incomplete = listing.incomplete;
        self.clusters.retain(|name, cluster| {
            if clusters.contains_key(name) || incomplete {
                return true;
            }
            let since = *cluster.gone.get_or_insert(now);
            let stays = left(since, GONE, now).inspect(|left| look.wait(*left)).is_some();
            look.changed |= !stays;
            stays
        });
        look.changed |= listing.problems != self.listing.problems;
        self.listing = listing;
        look
    }

    /// Everything that counts at the moment.
    pub(crate) fn fleet(&self, time: Timestamp) -> Fleet {
        let clusters = self
            .clusters
            .iter()
            .map(|(name, cluster)| {
                let mut part = cluster.files.part();
                part.outage.clone_from(&cluster.outage);
                part.problems.extend(cluster.outage_problems.iter().cloned());
                (name.clone(), part)
            })
            .collect();
        Fleet::assemble(&self.dir, self.host.part(), clusters, &self.listing, time)
    }
}

impl Cluster {
    #[expect(clippy::too_many_arguments, reason = "one step of one loop, cut out to be readable")]
    fn look(
        &mut self,
        name: &ClusterName,
        files: &ClusterFiles,
        limits: &Limits,
        fresh: bool,
        now: Instant,
        time: Timestamp,
        look: &mut Look,
    ) {
        let before = self.outage.take();
        self.outage_problems.clear();
        if let Some((path, _)) = &files.outage {
            let (since, why) = read_outage(path, time, &mut self.outage_problems);
            // Touching the file again does not begin another outage.
            self.outage = Some((before.as_ref().map_or(since, |(known, _)| (*known).min(since)), why));
        }
        look.changed |= before != self.outage;
        // Of a cluster that cannot be reached no news arrives; but what was there before is known.
        let unread = self.files.known.values().any(|known| known.read.is_none());
        if self.outage.is_none() || before.is_none() || unread {
            self.files.look(files, &Place::Cluster(name.clone()), limits, fresh, now, look);
        }
    }
}

impl Folder {
    fn look(
        &mut self,
        files: &ClusterFiles,
        place: &Place,
        limits: &Limits,
        fresh: bool,
        now: Instant,
        look: &mut Look,
    ) {
        look.changed |= self.incomplete != files.incomplete;
        self.incomplete = files.incomplete;
        for (path, stamp) in &files.manifests {
            let known = self.known.entry(Arc::clone(path)).or_insert_with(Known::new);
            known.look(path, *stamp, place, limits, fresh, now, look);
        }
        let incomplete = self.incomplete;
        self.known.retain(|path, known| {
            if files.manifests.contains_key(path) || incomplete {
                return true;
            }
            let since = *known.gone.get_or_insert(now);
            let stays = left(since, GONE, now).inspect(|left| look.wait(*left)).is_some();
            look.changed |= !stays;
            stays
        });
    }

    fn part(&self) -> Part {
        let mut part = Part { incomplete: self.incomplete, ..Part::default() };
        for known in self.known.values() {
            part.problems.extend(known.content.problems.iter().cloned());
            // Of a file that was understood before it is known what was in it.
            part.incomplete |= known.content.incomplete && known.held.is_empty();
            let to = if known.gone.is_some() { &mut part.held } else { &mut part.objects };
            to.extend(known.content.objects.iter().cloned());
            part.held.extend(known.held.iter().cloned());
        }
        part
    }
}

impl Known {
    const fn new() -> Self {
        let content = Content { objects: Vec::new(), problems: Vec::new(), incomplete: false };
        Self { content, held: Vec::new(), read: None, pending: None, gone: None }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one loop, cut out to be readable")]
    fn look(
        &mut self,
        path: &Arc<Path>,
        found: Stamp,
        place: &Place,
        limits: &Limits,
        fresh: bool,
        now: Instant,
        look: &mut Look,
    ) {
        if self.read == Some(found) {
            self.pending = None;
            self.gone = None;
            return;
        }
        let since = match self.pending {
            Some((stamp, since)) if stamp == found => since,
            _ => {
                self.pending = Some((found, now));
                now
            }
        };
        if !fresh && let Some(left) = left(since, QUIET, now) {
            look.wait(left);
            return;
        }
        // A file that was just emptied is about to be written.
        if found.size == 0 && !(self.content.objects.is_empty() && self.held.is_empty()) {
            let since = *self.gone.get_or_insert(now);
            if let Some(left) = left(since, GONE, now) {
                look.wait(left);
                return;
            }
        }
        let content = read_file(path, place, limits);
        if std::fs::metadata(path).map(|metadata| stamp(&metadata)).ok() != Some(found) {
            look.wait(QUIET);
            return;
        }
        self.accept(content);
        self.read = Some(found);
        self.pending = None;
        self.gone = None;
        look.changed = true;
    }

    fn accept(&mut self, content: Content) {
        let before = std::mem::replace(&mut self.content, content);
        let held = std::mem::take(&mut self.held);
        if self.content.incomplete {
            let present: BTreeSet<Identity> =
                self.content.objects.iter().map(|object| object.told.identity()).collect();
            let missing = before.objects.into_iter().chain(held);
            self.held = missing.filter(|object| !present.contains(&object.told.identity())).collect();
        }
    }
}

/// What is left of `time` since `since`, if anything.
fn left(since: Instant, time: Duration, now: Instant) -> Option<Duration> {
    time.checked_sub(now.saturating_duration_since(since)).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TIME: &str = "2026-01-01T00:00:00Z";

    struct Fixture {
        dir: tempfile::TempDir,
        files: Files,
        now: Instant,
    }

    fn service(name: &str, address: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: test}}\nspec: {{type: LoadBalancer}}\nstatus: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}\n"
        )
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("host")).unwrap();
            fs::create_dir_all(dir.path().join("clusters/c1")).unwrap();
            let files = Files::new(dir.path(), Limits::default());
            Self { dir, files, now: Instant::now() }
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.dir.path().join(path), text).unwrap();
        }

        fn remove(&self, path: &str) {
            fs::remove_file(self.dir.path().join(path)).unwrap();
        }

        fn look(&mut self) -> Look {
            self.files.look(self.now, TIME.parse().unwrap())
        }

        /// Looks as often as it takes, moving the clock.
        fn rest(&mut self) {
            while let Some(wait) = self.look().again {
                self.now += wait;
            }
        }

        fn services(&self) -> Vec<String> {
            let fleet = self.files.fleet(TIME.parse().unwrap());
            let cluster = fleet.clusters.values().next().unwrap();
            cluster
                .services
                .iter()
                .map(|(key, service)| match service {
                    Ok(service) => format!("{} {:?}", key.name, service.ingress),
                    Err(_) => format!("{} malformed", key.name),
                })
                .collect()
        }

        fn problems(&self) -> Vec<String> {
            self.files.fleet(TIME.parse().unwrap()).problems.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn a_file_counts_when_it_is_left_alone() {
        let mut fixture = Fixture::new();
        assert!(fixture.look().changed);
        assert!(fixture.services().is_empty());
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        assert_eq!(fixture.look(), Look { changed: false, again: Some(QUIET) });
        fixture.now += QUIET / 2;
        fixture.write("clusters/c1/a.yaml", &(service("a", "10.0.0.1") + &service("b", "10.0.0.2")));
        assert_eq!(fixture.look(), Look { changed: false, again: Some(QUIET) });
        fixture.now += QUIET;
        assert_eq!(fixture.look(), Look { changed: true, again: None });
        assert_eq!(fixture.services().len(), 2);
        assert_eq!(fixture.look(), Look::default());
    }

    #[test]
    fn deleting_and_writing_anew_withdraws_nothing() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        fixture.look();
        let before = fixture.services();
        fixture.remove("clusters/c1/a.yaml");
        let look = fixture.look();
        assert!(!look.changed && look.again.is_some());
        assert_eq!(fixture.services(), before);
        fixture.write("clusters/c1/a.yaml", "");
        fixture.now += QUIET;
        fixture.look();
        fixture.now += QUIET;
        fixture.look();
        assert_eq!(fixture.services(), before, "an empty file is about to be written");
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.2"));
        fixture.rest();
        assert!(fixture.services()[0].contains("10.0.0.2"));
    }

    #[test]
    fn what_stays_away_is_gone() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        fixture.write("clusters/c1/b.yaml", &service("b", "10.0.0.2"));
        fixture.look();
        fixture.remove("clusters/c1/a.yaml");
        fixture.write("clusters/c1/b.yaml", "");
        fixture.rest();
        assert!(fixture.services().is_empty(), "{:?}", fixture.services());
    }

    #[test]
    fn renaming_is_neither_a_loss_nor_a_duplicate() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        fixture.look();
        fs::rename(fixture.dir.path().join("clusters/c1/a.yaml"), fixture.dir.path().join("clusters/c1/z.yaml"))
            .unwrap();
        fixture.look();
        fixture.now += QUIET;
        assert!(fixture.look().changed);
        assert_eq!(fixture.services().len(), 1);
        assert_eq!(fixture.problems(), [] as [String; 0]);
        fixture.rest();
        assert_eq!(fixture.services().len(), 1);
    }

    #[test]
    fn a_broken_file_keeps_what_it_said() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &(service("a", "10.0.0.1") + &service("b", "10.0.0.2")));
        fixture.look();
        let before = fixture.services();
        fixture.write("clusters/c1/a.yaml", &(service("a", "10.0.0.9") + "---\n{ broken\n"));
        fixture.rest();
        assert!(fixture.services()[0].contains("10.0.0.9"));
        assert_eq!(fixture.services()[1], before[1]);
        assert_eq!(fixture.problems().len(), 1);
        fixture.write("clusters/c1/a.yaml", "\u{0}\u{1}");
        fixture.rest();
        assert_eq!(fixture.services().len(), 2);
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.9"));
        fixture.rest();
        assert_eq!(fixture.services().len(), 1);
        assert!(fixture.problems().is_empty());
    }

    #[test]
    fn a_folder_that_vanishes_is_not_a_fleet_without_clusters() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        fixture.look();
        let away = fixture.dir.path().join("away");
        fs::rename(fixture.dir.path().join("clusters"), &away).unwrap();
        fixture.rest();
        fixture.now += GONE * 10;
        fixture.rest();
        assert_eq!(fixture.services().len(), 1);
        assert!(!fixture.problems().is_empty());
        // One cluster that is removed is removed.
        fs::rename(away, fixture.dir.path().join("clusters")).unwrap();
        fixture.rest();
        fs::remove_dir_all(fixture.dir.path().join("clusters/c1")).unwrap();
        fixture.rest();
        assert!(fixture.files.fleet(TIME.parse().unwrap()).clusters.is_empty());
    }

    #[test]
    fn no_news_arrives_from_a_cluster_that_cannot_be_reached() {
        let mut fixture = Fixture::new();
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.1"));
        fixture.look();
        fixture.write("clusters/c1/unreachable", "2025-12-31T00:00:00Z\n");
        assert!(fixture.look().changed);
        fixture.write("clusters/c1/a.yaml", &service("a", "10.0.0.2"));
        fixture.rest();
        assert!(fixture.services()[0].contains("10.0.0.1"));
        let fleet = fixture.files.fleet(TIME.parse().unwrap());
        let (since, _) = fleet.clusters.values().next().unwrap().outage.clone().unwrap();
        assert_eq!(since, "2025-12-31T00:00:00Z".parse().unwrap());
        fixture.remove("clusters/c1/unreachable");
        fixture.rest();
        assert!(fixture.services()[0].contains("10.0.0.2"));
    }
}
