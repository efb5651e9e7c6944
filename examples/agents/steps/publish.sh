#!/bin/sh
# Publishes the data. Now and then what it needs is not there (127), may not be run (126), or refuses (7).
set -eu
case $(($1 % 6)) in
    3) exec /workspace/no-such-program ;;
    4) exec /workspace/data ;;
    5) exit 7 ;;
esac
cp /workspace/sorted /workspace/published
