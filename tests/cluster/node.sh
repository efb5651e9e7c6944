#!/usr/bin/env bash
# A command in a node's mount and network namespaces: tests/cluster/node.sh 1 ctr -n k8s.io images ls
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
need_up
in_node "$@"
