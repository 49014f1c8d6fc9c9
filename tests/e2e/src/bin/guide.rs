//! `make demo`: the guide of the original project, on real API servers, ExternalDNS, BIND and dig.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use mcsdns_e2e::{Member, SOON, World};
use mcsdns_testbed::{Bind, ExternalDns, ExternalDnsVersion, apply, dig, fixtures, kubectl, wait_until};

const MEMBERS: [Member; 3] = [
    Member { name: "cluster1", region: "us-west1", zone: "us-west1-b" },
    Member { name: "cluster2", region: "us-west1", zone: "us-west1-b" },
    Member { name: "cluster3", region: "europe-west4", zone: "europe-west4-a" },
];
const RECORD: (&str, &str) = ("test-namespace", "test-service");
const EVERYWHERE: &str = "test-service.test-namespace.test-domain.svc.your.domain.name";
const US: &str = "test-service.test-namespace.test-domain.svc.us-west1.your.domain.name";
const EU: &str = "test-service.test-namespace.test-domain.svc.europe-west4.your.domain.name";
const ZONE: &str = "test-service.test-namespace.test-domain.svc.us-west1-b.us-west1.your.domain.name";

const MANIFESTS: &str = "\
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {name: test-domain, namespace: federation-system}
domain: your.domain.name
nameServer: ns-cloud-b1.googledomains.com.
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata: {name: test-service, namespace: test-namespace}
spec: {domainRef: test-domain, recordTTL: 300}
";

fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn title(text: &str) -> Result<()> {
    say(&format!("\n--- {text}"))
}

fn show(text: &str) -> Result<()> {
    text.trim_end().lines().try_for_each(|line| say(&format!("    {line}")))
}

async fn answers(bind: &Bind, name: &str, kind: &str, expected: &[&str]) -> Result<()> {
    let found = wait_until(SOON, &format!("{name} {kind} to be {expected:?}"), async || {
        let found = dig(bind.address(), name, kind).await?;
        ensure!(found == expected, "dig answers {found:?}");
        Ok(found)
    })
    .await?;
    say(&format!("    $ dig +short {kind} {name}"))?;
    found.iter().try_for_each(|line| say(&format!("    {line}")))
}

async fn published(world: &World) -> Result<()> {
    let client = world.client("host").await?;
    let object = mcsdns_e2e::endpoint(&client, RECORD.0, RECORD.1).await?;
    mcsdns_e2e::lines(&object).iter().try_for_each(|line| say(&format!("    {line}")))
}

async fn walk() -> Result<()> {
    let started = Instant::now();
    say("One Service in several clusters gets its DNS names: the guide, on real servers.")?;
    title("1. A host cluster and three members (real kube-apiservers on one etcd), a name server (BIND), ExternalDNS")?;
    let (world, bind) = tokio::try_join!(World::start(&MEMBERS[..2]), Bind::start(&["your.domain.name"]))?;
    let host = world.cluster("host")?;
    let _external_dns = ExternalDns::start(ExternalDnsVersion::V0_21, host, &bind).await?;
    let _controller = world.controller("controller", &[]).await?;
    show(&kubectl(host, &["get", "memberclusters", "-n", "federation-system"], None).await?)?;
    say("  The controller runs with the roles of deploy/, never as administrator.")?;

    title("2. The Service test-service with a load balancer in both clusters of us-west1, and these manifests:")?;
    show(MANIFESTS)?;
    for (cluster, address) in [("cluster1", "10.20.30.1"), ("cluster2", "10.20.30.2")] {
        fixtures::served(&world.client(cluster).await?, RECORD.0, RECORD.1, &[address], 1).await?;
    }
    fixtures::namespace(&world.client("host").await?, RECORD.0).await?;
    apply(host, MANIFESTS).await?;
    let record = ("ServiceDNSRecord", RECORD.0, RECORD.1);
    world.condition(record, "Programmed", "True/Programmed").await?;

    title("3. What the record says")?;
    show(&kubectl(host, &["get", "servicednsrecords", "-n", RECORD.0], None).await?)?;
    let message = world.condition(record, "Programmed", "True/Programmed").await?;
    say(&format!("    Programmed: {message}"))?;

    title("4. The DNSEndpoint that ExternalDNS reads: three names, each with both addresses")?;
    let all = [EVERYWHERE, US, ZONE].map(|name| format!("{name} A 300 10.20.30.1,10.20.30.2"));
    world.published(RECORD.0, RECORD.1, &all).await?;
    published(&world).await?;

    title("5. What the world gets")?;
    for name in [EVERYWHERE, US, ZONE] {
        answers(&bind, name, "A", &["10.20.30.1", "10.20.30.2"]).await?;
    }

    title("6. A third cluster, in europe-west4, joins; nothing serves there yet")?;
    let third = mcsdns_testbed::ControlPlane::start(world.fleet().etcd(), MEMBERS[2].name).await?;
    let admin = third.client_admin().await?;
    fixtures::node(&admin, "node-1", MEMBERS[2].region, MEMBERS[2].zone).await?;
    world.join_cluster(&third).await?;
    say("  Its names follow the others, as aliases:")?;
    answers(&bind, EU, "CNAME", &[&format!("{EVERYWHERE}.")]).await?;
    fixtures::served(&admin, RECORD.0, RECORD.1, &["10.20.30.3"], 2).await?;
    say("  It gets the Service, and answers for its region itself:")?;
    answers(&bind, EU, "A", &["10.20.30.3"]).await?;

    title("7. Failover: its pods die")?;
    fixtures::endpoints(&admin, RECORD.0, RECORD.1, 0, 2).await?;
    answers(&bind, EU, "CNAME", &[&format!("{EVERYWHERE}.")]).await?;
    answers(&bind, EVERYWHERE, "A", &["10.20.30.1", "10.20.30.2"]).await?;
    let message = world.condition(record, "Degraded", "True/NoReadyEndpoints").await?;
    say(&format!("  and the record says why:\n    Degraded: {message}"))?;

    title("8. The same in full: mcsdns explain")?;
    let kubeconfig = host.admin_kubeconfig();
    let kubeconfig = kubeconfig.to_str().context("the path of the kubeconfig is no text")?;
    let target = format!("{}/{}", RECORD.0, RECORD.1);
    show(&mcsdns_e2e::told(&["explain", &target, "--kubeconfig", kubeconfig]).await?)?;

    title(&format!("Done: every answer was right. {:.0} s.", started.elapsed().as_secs_f32()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match walk().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "\nThe demonstration failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
