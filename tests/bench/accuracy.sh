#!/usr/bin/env bash
# What the node agent measures of real gRPC peers beside their own accounts: markdown tables. As root: tests/bench/accuracy.sh [WORD...]
# Words pick: sockets syscalls, pairs extra midlife, go python java node rust. Not zero when a count differs.
# FLEETSCOPE_NODE_AGENT names a node agent; without it one is built.
. "$(dirname "$0")/prepare.sh"
node_agent
# nghttpd is where Debian puts what serves.
export PATH=$PATH:/usr/sbin
exec "${bench[@]}" accuracy -- "$@"
