#!/usr/bin/env bash
# The demo: a fleet of sample agents on a real cluster, its tasks and its gRPC calls measured in the kernel, shown by the command line,
# scraped by Prometheus; and the three accounts of them compared: the agents' own, the node agent's, Prometheus'; and how long the
# calls took, by the server's own clock and by PromQL's histogram_quantile.
# Ends by itself: 0 when they are equal, else 1. The cluster stays up; `make demo-down` removes it.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
export FLEETSCOPE_CLUSTER=${FLEETSCOPE_CLUSTER:-demo}
target=${CARGO_TARGET_DIR:-$ROOT/target}
arch=$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
prefix=${FLEETSCOPE_IMAGE_PREFIX:-localhost/fleetscope} tag=${FLEETSCOPE_IMAGE_TAG:-dev}
programs=$target/$(uname -m)-unknown-linux-gnu/release
export PATH=$programs:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

start=$(date +%s%N)
since() { local t=$((($(date +%s%N) - $1) / 100000000)); printf '%d.%d s' $((t / 10)) $((t % 10)); }
step() { # TEXT COMMAND...: runs a step; its output is shown when it fails
  local text=$1 t0
  shift
  t0=$(date +%s%N)
  printf '%-46s ' "$text"
  if ! "$@" >"$work/step.log" 2>&1; then
    echo "FAILED after $(since "$t0")"
    tail -n 40 "$work/step.log" >&2
    exit 1
  fi
  since "$t0"
  echo
}
# A condition that comes true by itself, asked every quarter of a second: until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.25
  done
}

# ---- images, cluster, monitoring
build() { ebpf/build.sh && scripts/images.sh; }
step "programs and images" build
sample_image() { sample=$(examples/image.sh); }
step "image of the sample agents" sample_image
step "Kubernetes cluster" tests/cluster/up.sh
eval "$(tests/cluster/env.sh)"
step "images into the cluster" tests/cluster/import.sh "$target"/images/{operator,node-agent}-"$arch".tar "$sample"
step "prometheus-operator and Prometheus" tests/cluster/monitoring.sh

# ---- Fleetscope. An earlier run's fleet goes first, and the run's number restarts the pods: totals begin at zero.
install() {
  kubectl delete namespace agents --ignore-not-found --timeout=60s
  helm upgrade fleetscope charts/fleetscope --install --namespace fleetscope-system --create-namespace --wait --timeout 120s \
    --set operator.image.repository="$prefix/operator,operator.image.tag=$tag" \
    --set nodeAgent.image.repository="$prefix/node-agent,nodeAgent.image.tag=$tag" \
    --set monitoring.labels.release=kps \
    --set-string operator.podAnnotations.run="$start,nodeAgent.podAnnotations.run=$start"
}
step "helm install fleetscope" install
fleet() {
  kubectl apply -f examples/fleet.yaml
  kubectl -n agents wait --for=condition=Ready --timeout=30s agentfleet/sample
}
step "kubectl apply -f examples/fleet.yaml" fleet
agents() { sed "s#image: .*/sample-agents:.*#image: $prefix/sample-agents:$tag#" examples/agents.yaml | kubectl apply -f -; }
step "kubectl apply -f examples/agents.yaml" agents

# ---- until every agent has done its work and says so
pods=$(kubectl -n agents get deployments,jobs -o json | jq '[.items[].spec | .replicas // .completions] | add')
settled() {
  kubectl -n agents logs -l fleet=sample --tail=-1 --max-log-requests=50 >"$work/logs" 2>/dev/null && [ "$(grep -c '^settled$' "$work/logs")" = "$pods" ]
}
step "the $pods agents work" until_true 180 settled

# ---- the three accounts, as lines: task, exit, count
sort_account() { LC_ALL=C sort -k1,1 -k2,2; }
truth() { awk -F'\t' -v OFS='\t' '$1 == "truth" { n[$2 OFS $3] += $4 } END { for (k in n) print k, n[k] }' "$work/logs" | sort_account; }
# Tasks without a rule (group `other`) are the agents' own helpers: sort, cp and the like. No agent keeps an account of them.
node_agent() {
  fleetscope tasks -n agents --fleet sample -o json |
    jq -r '.items[] | select(.group != "other") | .task as $t | .exits | to_entries[] | select(.value > 0) | [$t, .key, .value] | @tsv' | sort_account
}
# What Prometheus knows is asked for through the API server, so that it works with any cluster.
service=${FLEETSCOPE_PROMETHEUS:-monitoring/prometheus-operated:web}
prometheus() { # QUERY
  kubectl get --raw "/api/v1/namespaces/${service%%/*}/services/${service#*/}/proxy/api/v1/query?query=$(jq -rn --arg q "$1" '$q | @uri')"
}
scraped() {
  prometheus 'sum by (task, exit) (fleetscope_tasks_total{namespace="agents", fleet="sample", group!="other"}) > 0' |
    jq -r '.data.result[] | [.metric.task, .metric.exit, (.value[1] | tonumber)] | @tsv' | sort_account
}
all_tasks() { # every task, those without a rule included, in both
  fleetscope tasks -n agents --fleet sample -o json | jq -r .total.finished >"$work/all.node_agent"
  prometheus 'sum(fleetscope_tasks_total{namespace="agents", fleet="sample"})' | jq -r '.data.result[0].value[1] // "0"' >"$work/all.prometheus"
  cmp -s "$work/all.node_agent" "$work/all.prometheus"
}
# ---- and of calls, as lines: method, role, status, count
sort_calls() { LC_ALL=C sort -k1,1 -k2,2 -k3,3; }
calls_truth() { awk -F'\t' -v OFS='\t' '$1 == "call" { n[$3 OFS $2 OFS $4] += $5 } END { for (k in n) print k, n[k] }' "$work/logs" | sort_calls; }
calls_node_agent() {
  fleetscope grpc -n agents --fleet sample -o json --over 100ms |
    jq -r '.items[] | .method as $m | .role as $r | .statuses | to_entries[] | select(.value > 0) | [$m, $r, .key, .value] | @tsv' | sort_calls
}
calls_scraped() {
  for role in client server; do
    prometheus "sum by (rpc_method, rpc_status_code) (rpc_${role}_call_duration_seconds_count{namespace=\"agents\", fleet=\"sample\"}) > 0" |
      jq -r --arg role $role '.data.result[] | [.metric.rpc_method, $role, .metric.rpc_status_code, (.value[1] | tonumber)] | @tsv'
  done | sort_calls
}
calls_equal() {
  calls_node_agent >"$work/calls.node_agent" && calls_scraped >"$work/calls.prometheus" &&
    cmp -s "$work/calls.truth" "$work/calls.node_agent" && cmp -s "$work/calls.node_agent" "$work/calls.prometheus"
}
# ---- and how long calls took: method, quantile, seconds by Prometheus, the bucket of the server's own account, how many buckets lie between
quantiles() {
  for q in 0.5 0.9 0.99; do
    prometheus "histogram_quantile($q, sum by (le, rpc_method) (rpc_server_call_duration_seconds_bucket{namespace=\"agents\", fleet=\"sample\"}))" |
      jq -r --arg q $q '.data.result[] | ["quantile", .metric.rpc_method, $q, .value[1]] | @tsv'
  done | awk -F'\t' -v OFS='\t' '
    BEGIN { last = split("0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 30 60 300", bound, " ") }
    function bucket(seconds, i) { for (i = 1; i <= last && seconds > bound[i] + 0; i++); return i }
    function reached(method, q, i, seen) { for (i = 1; i <= last && (seen += took[method, i]) < q * calls[method]; i++); return i }
    $1 == "took" && $2 == "server" { took[$3, $4 == "inf" ? last + 1 : bucket($4)] += $5; calls[$3] += $5 }
    $1 == "quantile" && calls[$2] >= 20 { # of fewer there are no quantiles to speak of
      own = reached($2, $3)
      between = bucket($4) - own
      print $2, $3, $4, (own == 1 ? 0 : bound[own - 1]), (own > last ? "inf" : bound[own]), between < 0 ? -between : between
    }' "$work/logs" - | sort_account
}
equal() {
  node_agent >"$work/node_agent" && scraped >"$work/prometheus" && all_tasks &&
    cmp -s "$work/truth" "$work/node_agent" && cmp -s "$work/node_agent" "$work/prometheus"
}
truth >"$work/truth"
calls_truth >"$work/calls.truth"
if [ ! -s "$work/truth" ] || [ ! -s "$work/calls.truth" ]; then
  echo "the agents kept no account" >&2
  exit 1
fi
t0=$(date +%s%N)
printf '%-46s ' "Prometheus scrapes the fleet"
same=1
until_true 240 equal || same=0
until_true 60 calls_equal || same=0
quantiles >"$work/quantiles"
# What a call waits until the server's clock starts is in the kernel's time alone: on a busy machine that is most of the slowest calls.
if [ ! -s "$work/quantiles" ] || ! awk -F'\t' '$2 == 0.5 && $6 > 1 { exit 1 }' "$work/quantiles"; then same=0; fi
since "$t0"
echo

printf '\nThe fleet'"'"'s tasks, from the node agent: fleetscope tasks -n agents\n\n'
fleetscope tasks -n agents --fleet sample

printf '\nIts gRPC calls, both ends of each: fleetscope grpc -n agents\n\n'
fleetscope grpc -n agents --fleet sample

printf '\nThe same totals from three sides\n\n'
account() { awk -F'\t' -v side="$1" -v OFS='\t' '{ print $1, $2, side, $3 }' "$work/$1"; }
{ account truth && account node_agent && account prometheus; } | awk -F'\t' '
  { key = $1 "\t" $2; keys[key]; n[key, $3] = $4; sum[$3] += $4 }
  function row(a, b, t, m, p) { printf "%s\t%s\t%s\t%s\t%s\t%s\n", a, b, t + 0, m + 0, p + 0, (t == m && m == p) ? "equal" : "DIFFERENT" }
  END {
    for (key in keys) { split(key, k, "\t"); row(k[1], k[2], n[key, "truth"], n[key, "node_agent"], n[key, "prometheus"]) }
    row("~all with a rule", "", sum["truth"], sum["node_agent"], sum["prometheus"])
  }' | LC_ALL=C sort | sed 's/^~//' >"$work/rows"
{ printf 'TASK\tEXIT\tAGENTS SAY\tNODE AGENT\tPROMETHEUS\t\n'; cat "$work/rows"; } | awk -F'\t' -f scripts/table.awk
printf '\nWith tasks that have no rule: node agent %s, Prometheus %s.\n' "$(cat "$work/all.node_agent")" "$(cat "$work/all.prometheus")"
calls_account() { awk -F'\t' -v side="$1" -v OFS='\t' '{ print $1, $2, $3, side, $4 }' "$work/calls.$1"; }
{ calls_account truth && calls_account node_agent && calls_account prometheus; } | awk -F'\t' '
  { key = $1 "\t" $2 "\t" $3; keys[key]; n[key, $4] = $5; sum[$4] += $5 }
  function row(a, b, c, t, m, p) { printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a, b, c, t + 0, m + 0, p + 0, (t == m && m == p) ? "equal" : "DIFFERENT" }
  END {
    for (key in keys) { split(key, k, "\t"); row(k[1], k[2], k[3], n[key, "truth"], n[key, "node_agent"], n[key, "prometheus"]) }
    row("~all calls", "", "", sum["truth"], sum["node_agent"], sum["prometheus"])
  }' | LC_ALL=C sort | sed 's/^~//' >"$work/calls.rows"
echo
{ printf 'METHOD\tROLE\tSTATUS\tAGENTS SAY\tNODE AGENT\tPROMETHEUS\t\n'; cat "$work/calls.rows"; } | awk -F'\t' -f scripts/table.awk

printf '\nHow long a call took in the server, in ms: histogram_quantile in Prometheus, and the bucket of the server'"'"'s own clock\n\n'
{
  printf 'METHOD\tQUANTILE\tPROMETHEUS\tSERVER SAYS\t\n'
  awk -F'\t' '{ printf "%s\tp%g\t%.2f\t%s\t%s\n", $1, 100 * $2, 1000 * $3, $5 == "inf" ? "more than " 1000 * $4 : 1000 * $4 " to " 1000 * $5,
    $6 == 0 ? "in it" : $6 == 1 ? "beside it" : $6 - 1 " buckets between" ($2 == 0.5 ? ", DIFFERENT" : "") }' "$work/quantiles"
} | awk -F'\t' -f scripts/table.awk

cat <<T

The demo took $(since "$start"). Its cluster stays up; look around:
  eval "\$(FLEETSCOPE_CLUSTER=$FLEETSCOPE_CLUSTER tests/cluster/env.sh)"; export PATH=$programs:\$PATH
  kubectl get fleets -A                                the fleet's status
  fleetscope status -A                                 is everything well
  fleetscope tasks -n agents -o wide                   per pod, with exit codes
  fleetscope grpc -n agents -o wide                    gRPC per pod, with statuses; fleetscope slow -n agents
  kubectl -n agents rollout restart deployment         the agents work again; add --watch to the line above
  kubectl -n monitoring port-forward svc/prometheus-operated 9090    then http://localhost:9090
Remove it: make demo-down
T
if [ $same = 0 ]; then
  echo "FAILED: the accounts differ" >&2
  exit 1
fi
