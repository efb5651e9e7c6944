#!/bin/sh
# Sorts the data. Every fifth round the data is in a bad shape: exit code 2, as of a usage error.
set -eu
if [ $(($1 % 5)) = 4 ]; then
    exit 2
fi
sort -r /workspace/data > /workspace/sorted
