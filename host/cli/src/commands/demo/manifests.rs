//! The manifests of the demonstration: those of the guide, and what the clusters would have.

/// Domain and ServiceDNSRecord as in the guide of Federation v2.
pub(super) const DOMAIN: &str = "\
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata:
  # Corresponds to <federation> in the resource records.
  name: test-domain
  # The namespace running the controller.
  namespace: federation-system
# The domain/subdomain that is setup in your external-dns provider.
domain: your.domain.name
";

/// See [`DOMAIN`].
pub(super) const RECORD: &str = "\
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata:
  # The name of the sample service.
  name: test-service
  # The namespace of the sample deployment/service.
  namespace: test-namespace
spec:
  # The name of the corresponding `Domain`.
  domainRef: test-domain
  recordTTL: 300
";

/// The one Node of a cluster.
pub(super) fn node(region: &str, zone: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Node
metadata:
  name: node-1
  labels:
    topology.kubernetes.io/region: {region}
    topology.kubernetes.io/zone: {zone}
"
    )
}

/// The Service of a cluster with its load balancer, and its endpoints.
pub(super) fn service(address: &str, ready: bool) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata:
  name: test-service
  namespace: test-namespace
spec:
  type: LoadBalancer
  ports:
    - port: 80
status:
  loadBalancer:
    ingress:
      - ip: {address}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: test-service-1
  namespace: test-namespace
  labels:
    kubernetes.io/service-name: test-service
addressType: IPv4
endpoints:
  - addresses: [10.1.0.1]
    conditions:
      ready: {ready}
"
    )
}
