#!/usr/bin/env bash
# Every client language against every server language: all four kinds of calls, all status codes in turns, with and without
# headers before the trailers. What the client counted by method and status must be what the server counted, and both what
# was asked for. Prints a table (the calls of each pair) and, last, `N passed, N failed, N skipped`.
#   tests/peers/smoke.sh [LANG...]
# CALLS=50 of each kind. Only loopback; the programs end with this script.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEERS=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}/peers
CALLS=${CALLS:-50}
LIMIT=60 # seconds that a program may take to say what it has to say
ASK=(--kind "unary,client,server,bidi" --calls "$CALLS" --concurrency 5 --connections 2 --status mix --messages 3 --bytes 300 --metadata-bytes 100 --delay-ms 1 --end-delay-ms 1)
languages=("$@")
[ $# -gt 0 ] || languages=(go python java node rust)
work=$(mktemp -d)
trap 'rm -rf "$work"; kill $(jobs -p) 2>/dev/null || true' EXIT

# Lines `method status count` of the account that ends a program's output.
account() { awk -F '\t' '$1 == "truth" { print $3, $4, $5 }' "$1"; }
# The same, as it must be.
asked() {
  awk -v calls="$CALLS" 'BEGIN {
    codes = split("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED", code, " ")
    split("Unary ClientStream ServerStream Bidi", kind, " ")
    for (k = 1; k <= 4; k++) for (c = 1; c <= codes; c++) {
      n = int(calls / codes) + (c <= calls % codes)
      if (n) print "fleetscope.peers.v1.Peer/" kind[k], code[c], n
    }
  }'
}
# pair CLIENT SERVER: whether they agree; why not is in $work/why
pair() {
  local address rc=0
  coproc SERVER { exec "$PEERS/$2/peer" server --listen 127.0.0.1:0; }
  # Copies, as bash takes the originals back when the program ends.
  exec 6<&"${SERVER[0]}" 7>&"${SERVER[1]}"
  eval "exec ${SERVER[0]}<&- ${SERVER[1]}>&-"
  if IFS=' ' read -r -t "$LIMIT" _ address <&6; then
    timeout "$LIMIT" "$PEERS/$1/peer" client --target "$address" "${ASK[@]}" >"$work/client" 2>"$work/why" 6<&- 7>&- || rc=1
  else
    echo "the server did not say where it listens" >"$work/why" && rc=1
  fi
  exec 7>&-
  timeout "$LIMIT" cat <&6 >"$work/server" || rc=1
  exec 6<&-
  wait 2>/dev/null || true
  [ $rc = 0 ] || return 1
  diff <(asked | sort) <(account "$work/client" | sort) >"$work/why" || { echo "the client counted otherwise than asked (<: asked)" >>"$work/why" && return 1; }
  diff <(account "$work/client" | sort) <(account "$work/server" | sort) >"$work/why" || { echo "server and client differ (<: client)" >>"$work/why" && return 1; }
}

"$HERE/build.sh" "${languages[@]}"
passed=0 failed=0 skipped=0 t0=$(date +%s)
printf '%-16s' 'client \ server'
printf '%10s' "${languages[@]}"
echo
for client in "${languages[@]}"; do
  printf '%-16s' "$client"
  for server in "${languages[@]}"; do
    if [ ! -x "$PEERS/$client/peer" ] || [ ! -x "$PEERS/$server/peer" ]; then
      skipped=$((skipped + 1))
      printf '%10s' skipped
    elif pair "$client" "$server"; then
      passed=$((passed + 1))
      printf '%10s' "$(account "$work/server" | awk '{ n += $3 } END { print n }')"
    else
      failed=$((failed + 1))
      printf '%10s' FAILED
      sed "s/^/$client to $server: /" "$work/why" | head -n 20 >>"$work/failures"
    fi
  done
  echo
done
[ ! -s "$work/failures" ] || cat "$work/failures"
echo "$((passed + failed)) pairs in $(($(date +%s) - t0)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
