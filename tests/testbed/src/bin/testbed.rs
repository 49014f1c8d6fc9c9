//! Finds, builds and starts the servers of the test bed by hand.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use mcsdns_testbed::{Bind, ControlPlane, ExternalDns, ExternalDnsVersion, Fleet, Missing, Tool, bind, external_dns};

/// Real API servers, ExternalDNS and BIND on one machine.
#[derive(Debug, Parser)]
#[command(name = "testbed")]
struct Args {
    #[command(subcommand)]
    command: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Find or build every server, and say how long each took
    Build,
    /// Print where each server is, building nothing
    Where,
    /// Start one etcd and an API server for each name, print the kubeconfigs, stop on Ctrl-C
    Up {
        /// Names of the clusters
        #[arg(default_values = ["host", "east", "west"])]
        names: Vec<String>,
        /// Also BIND with this zone, and ExternalDNS v0.21 that writes the first cluster's DNSEndpoints into it
        #[arg(long, value_name = "ZONE")]
        dns: Option<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Act::Build => build().and_then(|()| block_on(manifests())),
        Act::Where => whereabouts(),
        Act::Up { names, dns } => block_on(up(&names, dns.as_deref())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

/// Puts the DNSEndpoint definitions into the cache, so that no test needs Go for them.
async fn manifests() -> Result<()> {
    external_dns::crd_manifest(ExternalDnsVersion::V0_21).await?;
    external_dns::crd_manifest(ExternalDnsVersion::V0_20).await?;
    Ok(())
}

fn build() -> Result<()> {
    let (mut missing, mut told) = (Vec::new(), false);
    for tool in Tool::ALL {
        let started = Instant::now();
        match tool.find_or_build() {
            Ok(found) => {
                let (took, path) = (started.elapsed().as_secs_f32(), found.path.display());
                println!("{:<32} {took:>6.1} s  {:<20} {path}", tool.to_string(), found.origin.to_string());
            }
            // The others can still be found; all failures are told at the end, a missing Go once.
            Err(error) => {
                let no_go = matches!(error.downcast_ref(), Some(Missing::Go { .. }));
                if !(no_go && told) {
                    missing.push(format!("{error:#}"));
                }
                told |= no_go;
            }
        }
    }
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

fn whereabouts() -> Result<()> {
    let mut missing = 0;
    for tool in Tool::ALL {
        let line = match tool.find() {
            Ok(Some(found)) => format!("{:<20} {}", found.origin.to_string(), found.path.display()),
            Ok(None) => {
                missing += 1;
                "not built yet: `testbed build`".to_owned()
            }
            Err(error) => {
                missing += 1;
                error.to_string()
            }
        };
        println!("{:<32} {line}", tool.to_string());
    }
    ensure!(missing == 0, "{missing} of {} programs are not there", Tool::ALL.len());
    Ok(())
}

async fn up(names: &[String], zone: Option<&str>) -> Result<()> {
    let started = Instant::now();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fleet = Fleet::start(&names).await?;
    println!("# etcd and {} API servers in {:.1} s", names.len(), started.elapsed().as_secs_f32());
    for cluster in fleet.clusters() {
        println!(
            "export KUBECONFIG={}   # {} at {}",
            cluster.admin_kubeconfig().display(),
            cluster.name(),
            cluster.url()
        );
    }
    // Held until the end: dropping them stops them.
    let _dns = match (zone, fleet.clusters().first()) {
        (Some(zone), Some(host)) => Some(dns(host, zone).await?),
        _ => None,
    };
    println!("# Ctrl-C stops everything");
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}

async fn dns(host: &ControlPlane, zone: &str) -> Result<(ExternalDns, Bind)> {
    let bind = Bind::start(&[zone]).await?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    let external_dns = ExternalDns::start(ExternalDnsVersion::V0_21, host, &bind).await?;
    let address = bind.address();
    println!(
        "# dig @{} -p {} NAME.{zone}   # key {}:{}:{}",
        address.ip(),
        address.port(),
        bind::KEY_ALGORITHM,
        bind::KEY_NAME,
        bind.secret()
    );
    println!(
        "# ExternalDNS reads {} of {}; metrics at http://{}/metrics",
        external_dns::CRD,
        host.name(),
        external_dns.metrics_address()
    );
    Ok((external_dns, bind))
}
