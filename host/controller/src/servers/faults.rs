//! The whole controller when a part of it fails: it ends, so that somebody starts it again.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use mcsdns_core::decision::{DecisionInput, DecisionOutput, Needs, PolicyFailure, PolicyRef};
use mcsdns_runtime::HostTable;
use mcsdns_testbed::{ExternalDnsVersion, Fleet, apply, external_dns, fixtures, wait_for_crd};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SOON;
use crate::{
    ControllerError, Options, Parts,
    options::{LeaderOptions, WriterOptions},
    run,
};

const NAMESPACE: &str = "federation-system";
/// Added to any time, it is a fault.
const FOR_EVER: Duration = Duration::MAX;

fn decide(_: &str, _: &PolicyRef, _: &DecisionInput) -> Result<DecisionOutput, PolicyFailure> {
    Err(PolicyFailure { policy: "none".into(), reason: "Never", message: "never asked".to_owned() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_ends_the_controller() -> Result<()> {
    let fleet = Fleet::start(&["host"]).await?;
    let host = fleet.cluster("host")?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    apply(host, &mcsdns_api::crd::crds_yaml(false)?).await?;
    for name in ["domains", "memberclusters", "servicednsrecords"] {
        wait_for_crd(host, &format!("{name}.multiclusterdns.federation.k8s.io")).await?;
    }
    let admin = host.client_admin().await?;
    fixtures::namespace(&admin, NAMESPACE).await?;
    fixtures::service_account(&admin, NAMESPACE, "reader").await?;
    // Whoever may not write fails to write the status of the Domain.
    apply(
        host,
        &format!(
            "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {{name: galactic, namespace: {NAMESPACE}}}
domain: example.com
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: reader}}
rules:
- {{apiGroups: [\"*\"], resources: [\"*\"], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {NAMESPACE}}}]
"
        ),
    )
    .await?;
    let reader = host.kubeconfig_file("reader", &host.token_for(NAMESPACE, "reader").await?)?;
    let writer = Options {
        kubeconfig: Some(reader),
        leader: LeaderOptions { elect: false, ..LeaderOptions::default() },
        writer: WriterOptions { retry_first: FOR_EVER, retry_longest: FOR_EVER, ..WriterOptions::default() },
        ..Options::default()
    };
    let election = Options {
        kubeconfig: Some(host.admin_kubeconfig()),
        leader: LeaderOptions { lease_duration: FOR_EVER, renew_deadline: FOR_EVER / 2, ..LeaderOptions::default() },
        ..Options::default()
    };
    for (options, part) in [(writer, "a writer"), (election, "the leader election")] {
        let parts = Parts {
            decider: Arc::new(decide),
            policies: PolicyRef { id: "test".into(), title: "none".into(), needs: Needs::default() },
            digest: "none".to_owned(),
            resolver: Arc::new(HostTable::default()),
            domains: None,
        };
        let running = run(options, parts, CancellationToken::new());
        let ended = timeout(SOON, running).await.with_context(|| format!("it goes on without {part}"))?;
        let Err(ControllerError::Ended(which)) = ended else { panic!("{ended:?}") };
        assert_eq!(which, part);
    }
    Ok(())
}
