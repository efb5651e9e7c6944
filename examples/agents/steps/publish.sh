#!/bin/sh
# Publishes the data. Now and then what it needs is not there (127), may not be run (126), or refuses (7).
set -eu
case $(($1 % 6)) in
    3) exec /work/no-such-program ;;
    4) exec /work/data ;;
    5) exit 7 ;;
esac
cp /work/sorted /work/published
