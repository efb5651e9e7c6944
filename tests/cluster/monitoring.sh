#!/usr/bin/env bash
# prometheus-operator with its CRDs, that of grafana-operator's GrafanaDashboard, one Prometheus that selects monitors and rules by the label `release: kps` in every
# namespace, as kube-prometheus-stack does, and one Alertmanager, which it tells, that selects AlertmanagerConfigs the same way;
# all as pods. [SCRAPE_INTERVAL=5s] tests/cluster/monitoring.sh
# With FLEETSCOPE_KUBECONFIG nothing is installed: that cluster has its own, which FLEETSCOPE_PROMETHEUS and FLEETSCOPE_ALERTMANAGER name.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
prometheus=${FLEETSCOPE_PROMETHEUS:-monitoring/prometheus-operated:web}
alertmanager=${FLEETSCOPE_ALERTMANAGER:-monitoring/alertmanager-operated:web}
answers() { kc get --raw "/api/v1/namespaces/${1%%/*}/services/${1#*/}/proxy/-/ready"; } # NAMESPACE/SERVICE:PORT
if [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then
  kc get crd podmonitors.monitoring.coreos.com >/dev/null || fail "this cluster has no prometheus-operator: install kube-prometheus-stack first"
  answers "$prometheus" >/dev/null || fail "no Prometheus at $prometheus: set FLEETSCOPE_PROMETHEUS=<namespace>/<service>:<port>"
  answers "$alertmanager" >/dev/null 2>&1 || say "no Alertmanager at $alertmanager, which the tests of receivers need: set FLEETSCOPE_ALERTMANAGER=<namespace>/<service>:<port>"
  exit 0
fi
need_up
for f in prometheus-operator prometheus-config-reloader prometheus alertmanager; do
  [ -x "$BIN/$f" ] || fail "$f is missing: setup/setup.sh --only monitoring"
done
image() { have_image "$1" || "$HERE/image.sh" "$1" "[\"/bin/$2\"]" "$BIN/$2:/bin/$2" >/dev/null; }
image "localhost/prometheus-operator:$PROMETHEUS_OPERATOR" prometheus-operator
image "localhost/prometheus-config-reloader:$PROMETHEUS_OPERATOR" prometheus-config-reloader
image "localhost/prometheus:$PROMETHEUS" prometheus
image "localhost/alertmanager:$ALERTMANAGER" alertmanager
say "images ready"
kc apply --server-side -f "$BIN/prometheus-operator-crds" -f "$BIN/grafana-operator-crds" >/dev/null # too large for client-side apply
# A definition that has no status yet is an error to kubectl.
until_true 20 kc wait --for=condition=Established --timeout=10s crd --all || fail "the definitions of the kinds are not established: kubectl get crd"
sed -e "s/@OPERATOR@/$PROMETHEUS_OPERATOR/g" -e "s/@PROMETHEUS@/$PROMETHEUS/" -e "s/@ALERTMANAGER@/$ALERTMANAGER/g" -e "s/@INTERVAL@/${SCRAPE_INTERVAL:-5s}/" \
  "$HERE/manifests/monitoring.yaml" | kc apply -f - >/dev/null
for pod in prometheus-k8s-0 alertmanager-main-0; do
  until_true 600 kc -n monitoring get pod $pod || fail "prometheus-operator made no $pod: kubectl -n monitoring logs deploy/prometheus-operator"
  kc -n monitoring wait --for=condition=Ready --timeout=120s "pod/$pod" >/dev/null
done
until_true 100 answers "$prometheus" || fail "Prometheus does not answer"
until_true 100 answers "$alertmanager" || fail "Alertmanager does not answer"
url() { echo "http://$(kc -n monitoring get pod "$1" -o jsonpath='{.status.podIP}'):$2"; } # POD PORT
url prometheus-k8s-0 9090 >"$STATE/prometheus"
url alertmanager-main-0 9093 >"$STATE/alertmanager"
say "Prometheus answers at $(cat "$STATE/prometheus"), Alertmanager at $(cat "$STATE/alertmanager")"
