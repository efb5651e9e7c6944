#!/bin/sh
# Makes this round's data.
set -eu
seq "$((1000 + $1))" > /workspace/data
