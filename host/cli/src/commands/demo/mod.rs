//! `mcsdns demo`: the guide, on this machine, in a minute.

mod dns;
mod manifests;

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use hickory_resolver::proto::rr::RecordType;
use mcsdns_core::{ids::ObjectKey, index::Settings};
use mcsdns_local::live::{Local, LocalOptions};
use mcsdns_runtime::{HostTable, RuntimeHandle};
use tokio_util::sync::CancellationToken;

use self::{
    dns::Questions,
    manifests::{DOMAIN, RECORD, node, service},
};
use super::{block_on, explain, folder};
use crate::{
    args::PolicyArgs,
    exit::Verdict,
    logging,
    print::{Out, Style},
};

/// Shows, step by step, how names follow the clusters: the manifests of the guide, two clusters, what is written, real DNS
/// questions and their answers, and a failover. Everything happens in a temporary folder and on the loopback address.
/// Ends with 0 only if every answer was right.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Wait for the Enter key after each step
    #[arg(long)]
    step: bool,
    /// Work in this folder, which must be empty or missing, and leave it [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// An answer that takes longer is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

const EVERYWHERE: &str = "test-service.test-namespace.test-domain.svc.your.domain.name";
const US: &str = "test-service.test-namespace.test-domain.svc.us-west1.your.domain.name";
const US_B: &str = "test-service.test-namespace.test-domain.svc.us-west1-b.us-west1.your.domain.name";
const EU: &str = "test-service.test-namespace.test-domain.svc.europe-west4.your.domain.name";
const EU_A: &str = "test-service.test-namespace.test-domain.svc.europe-west4-a.europe-west4.your.domain.name";
const ONE: &str = "203.0.113.1";
const TWO: &str = "203.0.113.2";
const THREE: &str = "203.0.113.3";

/// Walks through it.
pub(crate) fn run(args: &DemoArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    logging::quiet();
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("mcsdns-demo-").tempdir().context("no temporary folder")?),
    };
    let dir = match (&args.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => bail!("no folder to work in"),
    };
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    if fs::read_dir(&dir).with_context(|| dir.display().to_string())?.next().is_some() {
        return Err(crate::exit::wrong(anyhow::anyhow!("{} is not empty", dir.display())));
    }
    let policy = folder::policy(&PolicyArgs::default())?;
    block_on(async {
        let mut demo = Demo { out, dir, step: args.step && io::stdin().is_terminal(), wrong: 0, number: 0 };
        demo.beginning()?;
        let local = Local::new(LocalOptions {
            dir: demo.dir.clone(),
            out: None,
            dns: Some("127.0.0.1:0".parse()?),
            settings: Settings::default(),
            group: Default::default(),
            namespace: mcsdns_controller::options::NAMESPACE.to_owned(),
            resolver: Arc::new(HostTable::default()),
            policy,
            report: Arc::new(|_| {}),
        })
        .await?;
        let server = local.dns().context("no DNS")?;
        let handle = local.handle();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(local.run(shutdown.clone()));
        let questions = Questions::to(server)?;
        let told = demo.rest(&questions, &handle).await;
        shutdown.cancel();
        running.await.context("the local loop failed")??;
        told?;
        demo.end()
    })
}

struct Demo<'a> {
    out: &'a mut Out,
    dir: PathBuf,
    step: bool,
    wrong: usize,
    number: usize,
}

impl Demo<'_> {
    fn beginning(&mut self) -> anyhow::Result<()> {
        self.title("What an operator writes")?;
        self.say(
            "An operator has one Service in several clusters and wants names for it that follow the healthy ones.\n\
             Two objects ask for that: a Domain, which is a DNS zone, and a ServiceDNSRecord, which names a Service.\n\
             Here they are files; in production they are objects of the host cluster.",
        )?;
        self.write("host/domain.yaml", DOMAIN)?;
        self.write("host/record.yaml", RECORD)?;
        self.show("host/domain.yaml")?;
        self.show("host/record.yaml")?;

        self.title("What the clusters have")?;
        self.say(
            "Two member clusters run the Service, both in region us-west1, zone us-west1-b. mcsdns reads three kinds of\n\
             objects there: Nodes tell where the cluster is, the Service tells the address of its load balancer, and\n\
             EndpointSlices tell whether pods are ready behind it. This is the first cluster:",
        )?;
        for (cluster, address) in [("cluster1", ONE), ("cluster2", TWO)] {
            self.write(&format!("clusters/{cluster}/node.yaml"), &node("us-west1", "us-west1-b"))?;
            self.write(&format!("clusters/{cluster}/service.yaml"), &service(address, true))?;
        }
        self.show("clusters/cluster1/node.yaml")?;
        self.show("clusters/cluster1/service.yaml")
    }

    async fn rest(&mut self, questions: &Questions, handle: &RuntimeHandle) -> anyhow::Result<()> {
        self.title("What mcsdns writes")?;
        self.say("mcsdns now watches these files as it would watch API servers. First it writes down what it saw:")?;
        self.answers(questions, EVERYWHERE, &[(EVERYWHERE, "A", &[ONE, TWO])], false).await?;
        self.settled(handle).await?;
        self.show(".mcsdns/status/servicednsrecords/test-namespace/test-service.yaml")?;
        self.say("And then a DNSEndpoint, which ExternalDNS turns into records at your DNS provider:")?;
        self.show(".mcsdns/dnsendpoints/test-namespace/service-test-service.yaml")?;

        self.title("What the world gets")?;
        self.say(
            "A small name server stands in for the provider and answers from that DNSEndpoint. These are real DNS\n\
             questions, over UDP. There is a name for everywhere, one for the region and one for the zone:",
        )?;
        for name in [EVERYWHERE, US, US_B] {
            self.answers(questions, name, &[(name, "A", &[ONE, TWO])], true).await?;
        }

        self.title("A cluster in another region joins")?;
        self.say("Joining is a new folder here, and a MemberCluster in production. Its region gets names of its own:")?;
        self.write("clusters/cluster3/node.yaml", &node("europe-west4", "europe-west4-a"))?;
        self.write("clusters/cluster3/service.yaml", &service(THREE, true))?;
        self.answers(questions, EU, &[(EU, "A", &[THREE])], true).await?;
        self.answers(questions, EVERYWHERE, &[(EVERYWHERE, "A", &[ONE, TWO, THREE])], true).await?;

        self.title("Its pods die: failover")?;
        self.say(
            "No endpoint is ready in europe-west4 any more. Its names do not vanish: each becomes an alias (CNAME) of the\n\
             next wider name, so that clients there are served by the other clusters.",
        )?;
        self.write("clusters/cluster3/service.yaml", &service(THREE, false))?;
        let chain: [(&str, &str, &[&str]); 3] =
            [(EU_A, "CNAME", &[EU]), (EU, "CNAME", &[EVERYWHERE]), (EVERYWHERE, "A", &[ONE, TWO])];
        self.answers(questions, EU_A, &chain, true).await?;
        self.say("When its pods are ready again, it serves its own region again:")?;
        self.write("clusters/cluster3/service.yaml", &service(THREE, true))?;
        self.answers(questions, EU_A, &[(EU_A, "A", &[THREE])], true).await?;

        self.title("An API server is away: nothing happens, for now")?;
        self.say(
            "That the API server of cluster3 cannot be reached says nothing about its load balancer. Its last known\n\
             address stays for a grace period of 5 minutes, and the record says so. (Here, a file `unreachable` in the\n\
             folder of the cluster stands for the outage.)",
        )?;
        self.write("clusters/cluster3/unreachable", "")?;
        self.degraded(handle, "cluster3").await?;
        self.answers(questions, EU, &[(EU, "A", &[THREE])], true).await?;

        self.title("Why is it so?")?;
        self.say("`mcsdns explain` tells for every name and cluster what stands behind it, why, and what to do:\n")?;
        let explanation = handle.with_index(|index| index.explain(&record()));
        explain::print(&explanation.context("the record is not known")?, self.out)
    }

    fn end(&mut self) -> anyhow::Result<Verdict> {
        self.out.line("")?;
        let paint = self.out.paint;
        if self.wrong > 0 {
            self.out.line(paint.style(Style::Bad, &format!("{} answers were wrong.", self.wrong)))?;
            return Ok(Verdict::Bad);
        }
        self.out.line(paint.style(Style::Good, "Every answer was right."))?;
        self.out.line("Go on with your own manifests: mcsdns local DIR --dns 127.0.0.1:5353  (docs/local.md)")?;
        Ok(Verdict::Good)
    }

    fn title(&mut self, text: &str) -> anyhow::Result<()> {
        if self.step && self.number > 0 {
            self.out.text(&self.out.paint.style(Style::Dim, "\n-- Enter for the next step --"))?;
            io::stdin().lock().read_line(&mut String::new())?;
        }
        self.number += 1;
        let title = format!("{}. {text}", self.number);
        Ok(self.out.line(format!("\n{}\n", self.out.paint.style(Style::Title, &title)))?)
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.line(text)?)
    }

    /// Writes a file as a whole, as a careful editor would.
    fn write(&mut self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.dir.join(path);
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let save = || {
            fs::create_dir_all(folder)?;
            let temporary = folder.join(".new");
            fs::write(&temporary, text)?;
            fs::rename(&temporary, &path)
        };
        save().with_context(|| path.display().to_string())
    }

    fn show(&mut self, path: &str) -> anyhow::Result<()> {
        let file = self.dir.join(path);
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        self.out.line(format!("\n{}", self.out.paint.style(Style::Dim, &format!("# {path}"))))?;
        for line in text.lines() {
            self.out.line(format!("  {line}"))?;
        }
        Ok(self.out.line("")?)
    }

    /// Asks until the answer is as expected; shows it.
    async fn answers(
        &mut self,
        questions: &Questions,
        name: &str,
        expected: &[(&str, &str, &[&str])],
        show: bool,
    ) -> anyhow::Result<()> {
        let mut wanted: Vec<String> = expected
            .iter()
            .flat_map(|(owner, kind, data)| data.iter().map(move |data| format!("{owner} 300 {kind} {data}")))
            .collect();
        wanted.sort();
        let begun = Instant::now();
        let (answer, right) = loop {
            let answer = questions.ask(name, RecordType::A).await?;
            let mut sorted = answer.clone();
            sorted.sort();
            if sorted == wanted || begun.elapsed() > PATIENCE {
                break (answer, sorted == wanted);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let paint = self.out.paint;
        if show || !right {
            self.out.line(format!("\n  $ dig A {name}"))?;
            for line in &answer {
                self.out.line(format!("    {line}"))?;
            }
            let verdict = if right { paint.style(Style::Good, "right") } else { paint.style(Style::Bad, "WRONG") };
            self.out.line(format!("    {verdict}"))?;
        }
        if !right {
            self.wrong += 1;
            for line in wanted {
                self.out.line(format!("    expected: {line}"))?;
            }
        }
        Ok(())
    }

    /// Waits until the status says what is published.
    async fn settled(&mut self, handle: &RuntimeHandle) -> anyhow::Result<()> {
        self.until(handle, "the record to be programmed", |kind, status, _| kind == "Programmed" && status == "True")
            .await
    }

    /// Waits until the record says that something about a cluster is not as it should be.
    async fn degraded(&mut self, handle: &RuntimeHandle, cluster: &str) -> anyhow::Result<()> {
        self.until(handle, "the record to speak of the outage", |kind, status, message| {
            kind == "Degraded" && status == "True" && message.contains(cluster)
        })
        .await
    }

    async fn until(
        &mut self,
        handle: &RuntimeHandle,
        what: &str,
        is_so: impl Fn(&str, &str, &str) -> bool,
    ) -> anyhow::Result<()> {
        let file = self.dir.join(".mcsdns/status/servicednsrecords/test-namespace/test-service.yaml");
        let begun = Instant::now();
        loop {
            let status = handle.with_index(|index| index.status(&record()));
            let holds = status
                .is_some_and(|status| status.conditions.iter().any(|c| is_so(&c.kind, c.status.as_str(), &c.message)));
            let is_written = fs::read_to_string(&file).is_ok_and(|text| text.contains("reason: Programmed"));
            if holds && is_written {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("waited in vain for {what}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn record() -> ObjectKey {
    ObjectKey::new("test-namespace", "test-service")
}
