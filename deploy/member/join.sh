#!/bin/sh
# Prints what the host cluster needs to reach a member cluster: a Secret with a kubeconfig, and the MemberCluster.
#
#   kubectl --context MEMBER apply -f deploy/member/member.yaml
#   deploy/member/join.sh NAME --context MEMBER | kubectl --context HOST apply -f -
#
# Everything after NAME goes to kubectl, which must reach the member cluster. SERVER=https://... replaces the address in
# your kubeconfig when the host cluster has to use another one.
set -eu

namespace=federation-system
secret=mcsdns-member-token

fail() {
    printf 'join.sh: %s\n' "$*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "usage: join.sh NAME [flags for kubectl]"
name=$1
shift

case $name in
'' | [!a-z0-9]* | *[!a-z0-9] | *[!a-z0-9.-]*) fail "'$name' cannot be the name of a MemberCluster: use a-z, 0-9 and inner hyphens" ;;
esac

kubectl "$@" --namespace "$namespace" get secret "$secret" --output name >/dev/null ||
    fail "apply deploy/member/member.yaml to the member cluster first"

server=${SERVER:-$(kubectl "$@" config view --minify --output 'jsonpath={.clusters[0].cluster.server}')}
case $server in
https://127.* | https://localhost[:/]* | https://localhost | https://\[::1\]*)
    printf 'join.sh: %s is only reachable from this machine; set SERVER to the address the host cluster has to use\n' "$server" >&2
    ;;
https://*) ;;
*) fail "the address of the member is '$server'; set SERVER to one that begins with https://" ;;
esac

field() {
    kubectl "$@" --namespace "$namespace" get secret "$secret" --output "jsonpath={.data.$what}"
}

# Kubernetes fills in the token a moment after the Secret was made.
attempt=0
while :; do
    what=token
    token=$(field "$@" | base64 -d)
    [ -z "$token" ] || break
    attempt=$((attempt + 1))
    [ "$attempt" -lt 15 ] || fail "the Secret $namespace/$secret of the member cluster has no token yet; is its controller manager running?"
    sleep 1
done
what='ca\.crt'
authority=$(field "$@")

cat <<MANIFESTS
apiVersion: v1
kind: Secret
metadata:
  name: $name
  namespace: $namespace
  labels:
    app.kubernetes.io/name: mcsdns
type: Opaque
stringData:
  kubeconfig: |
    apiVersion: v1
    kind: Config
    current-context: member
    clusters:
      - name: member
        cluster:
          server: $server
          certificate-authority-data: $authority
    users:
      - name: member
        user:
          token: $token
    contexts:
      - name: member
        context:
          cluster: member
          user: member
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: MemberCluster
metadata:
  name: $name
  namespace: $namespace
spec:
  kubeconfigSecretRef:
    name: $name
MANIFESTS
