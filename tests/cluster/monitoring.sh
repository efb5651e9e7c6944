#!/usr/bin/env bash
# prometheus-operator with its CRDs, and one Prometheus that selects monitors and rules by the label `release: kps` in every
# namespace, as kube-prometheus-stack does; all as pods. [SCRAPE_INTERVAL=5s] tests/cluster/monitoring.sh
# With FLEETSCOPE_KUBECONFIG nothing is installed: that cluster has its own, which FLEETSCOPE_PROMETHEUS names.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
prometheus=${FLEETSCOPE_PROMETHEUS:-monitoring/prometheus-operated:web}
answers() { kc get --raw "/api/v1/namespaces/${prometheus%%/*}/services/${prometheus#*/}/proxy/-/ready"; }
if [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then
  kc get crd podmonitors.monitoring.coreos.com >/dev/null || fail "this cluster has no prometheus-operator: install kube-prometheus-stack first"
  answers >/dev/null || fail "no Prometheus at $prometheus: set FLEETSCOPE_PROMETHEUS=<namespace>/<service>:<port>"
  exit 0
fi
need_up
for f in prometheus-operator prometheus-config-reloader prometheus; do
  [ -x "$BIN/$f" ] || fail "$f is missing: setup/setup.sh --only monitoring"
done
image() { have_image "$1" || "$HERE/image.sh" "$1" "[\"/bin/$2\"]" "$BIN/$2:/bin/$2" >/dev/null; }
image "localhost/prometheus-operator:$PROMETHEUS_OPERATOR" prometheus-operator
image "localhost/prometheus-config-reloader:$PROMETHEUS_OPERATOR" prometheus-config-reloader
image "localhost/prometheus:$PROMETHEUS" prometheus
say "images ready"
kc apply --server-side -f "$BIN/prometheus-operator-crds" >/dev/null # too large for client-side apply
kc wait --for=condition=Established --timeout=30s crd --all >/dev/null
sed -e "s/@OPERATOR@/$PROMETHEUS_OPERATOR/g" -e "s/@PROMETHEUS@/$PROMETHEUS/" -e "s/@INTERVAL@/${SCRAPE_INTERVAL:-5s}/" "$HERE/manifests/monitoring.yaml" | kc apply -f - >/dev/null
until_true 600 kc -n monitoring get pod prometheus-k8s-0 || fail "prometheus-operator made no Prometheus: kubectl -n monitoring logs deploy/prometheus-operator"
kc -n monitoring wait --for=condition=Ready --timeout=120s pod/prometheus-k8s-0 >/dev/null
until_true 100 answers || fail "Prometheus does not answer"
echo "http://$(kc -n monitoring get pod prometheus-k8s-0 -o jsonpath='{.status.podIP}'):9090" >"$STATE/prometheus"
say "Prometheus answers at $(cat "$STATE/prometheus")"
