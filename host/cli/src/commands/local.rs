//! `mcsdns local`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use mcsdns_core::effect::About;
use mcsdns_local::{
    live::{Local, LocalError, LocalEvent, LocalOptions, Report, StoreError, Written},
    problem::Level,
};
use mcsdns_runtime::{Resolve, resolve::HickoryResolver};
use tokio_util::sync::CancellationToken;

use super::{block_on, folder};
use crate::{
    args::{Colour, PolicyArgs, PublishArgs},
    exit::{Verdict, wrong},
    logging::LogArgs,
    print::{Paint, Style, plain},
};

/// Watches a folder of manifests, writes statuses and DNSEndpoints beside it, and answers DNS from what is published. Ends
/// with Ctrl-C.
#[derive(Args, Debug)]
pub(crate) struct LocalArgs {
    /// The folder: DIR/host/*.yaml and DIR/clusters/NAME/*.yaml
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where to answer DNS, over UDP and TCP, for example 127.0.0.1:5353; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns: Option<SocketAddr>,
    /// Where to write statuses and DNSEndpoints [default: DIR/.mcsdns]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Answers for host names of load balancers, in the manner of hosts(5), instead of asking a name server
    #[arg(long, value_name = "FILE", conflicts_with = "resolver")]
    hosts: Option<PathBuf>,
    /// Name server that resolves the host names of load balancers [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = folder::name_server)]
    resolver: Option<SocketAddr>,
    /// Namespace that the statuses of Domains and MemberClusters are written with
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::NAMESPACE)]
    namespace: String,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    publish: PublishArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs until Ctrl-C.
pub(crate) fn run(args: LocalArgs, colour: Colour) -> anyhow::Result<Verdict> {
    args.log.start("hickory_server=warn,hickory_proto=warn,hickory_resolver=warn")?;
    let policy = folder::policy(&args.policy)?;
    let hosts = match &args.hosts {
        Some(path) => Some(folder::hosts(Some(path))?),
        None => None,
    };
    block_on(async move {
        let resolver: Arc<dyn Resolve> = match (hosts, args.resolver) {
            (Some(hosts), _) => Arc::new(hosts),
            (None, Some(address)) => Arc::new(HickoryResolver::server(address)?),
            (None, None) => Arc::new(HickoryResolver::system()?),
        };
        let local = Local::new(LocalOptions {
            dir: args.dir,
            out: args.out,
            dns: args.dns,
            settings: args.publish.settings(),
            group: args.publish.group(),
            namespace: args.namespace,
            resolver,
            policy,
            report: reporter(colour),
        })
        .await
        .map_err(classify)?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            match mcsdns_controller::terminated().await {
                Ok(()) => stop.cancel(),
                Err(error) => tracing::error!("signals cannot be listened to: {error}"),
            }
        });
        local.run(shutdown).await.map_err(classify)?;
        Ok(Verdict::Good)
    })
}

/// A folder that is not there is a wrong call; an address that is taken is not.
fn classify(error: LocalError) -> anyhow::Error {
    match error {
        LocalError::Folder { .. } | LocalError::Store(StoreError::InUse(_)) => wrong(error),
        _ => error.into(),
    }
}

/// Tells people what happens, on standard error.
pub(crate) fn reporter(colour: Colour) -> Report {
    let paint = Paint::stderr(colour);
    Arc::new(move |event| {
        if let Some((style, word, text)) = words(event) {
            eprintln!("{} {}", paint.style(style, &format!("{word:<9}")), plain(&text));
        }
    })
}

fn words(event: LocalEvent) -> Option<(Style, &'static str, String)> {
    Some(match event {
        LocalEvent::Ready { out, dns } => {
            let dns = match dns {
                Some(address) => {
                    format!("; DNS is answered at {address}, try: dig @{} -p {} NAME", address.ip(), address.port())
                }
                None => String::new(),
            };
            (
                Style::Title,
                "ready",
                format!("everything is read; statuses and DNSEndpoints are in {}{dns}", out.display()),
            )
        }
        LocalEvent::Problem(problem) => match problem.level {
            Level::Error => (Style::Bad, "error", format!("{problem}; what was last understood stays in force")),
            Level::Note => (Style::Dim, "note", problem.to_string()),
        },
        LocalEvent::Solved(problem) => (Style::Good, "solved", problem),
        LocalEvent::Notice { about, warning, reason, note } => {
            let about = match about {
                About::Record(record, _) => record.to_string(),
                About::Domain(name, _) => format!("Domain {name}"),
                About::Member(name, _) => format!("cluster {name}"),
            };
            let (style, word) = if warning { (Style::Warn, "warning") } else { (Style::Good, "news") };
            (style, word, format!("{about}: {reason}: {note}"))
        }
        LocalEvent::Wrote(Written::DnsEndpoint(object)) => (Style::Dim, "wrote", format!("DNSEndpoint {object}")),
        LocalEvent::Wrote(Written::Status(object)) => {
            tracing::debug!("wrote the status of {object}");
            return None;
        }
        LocalEvent::WriteFailed(error) => (Style::Bad, "error", format!("{error}; it is tried again")),
        LocalEvent::Polling(error) => (
            Style::Warn,
            "warning",
            format!("the system does not tell of changes ({error}); looking every few seconds"),
        ),
    })
}
