#!/usr/bin/env bash
# Treats fvtool badly and checks that nothing is lost; docs/RELIABILITY.md has the table it prints.
#
#   scripts/torture.sh            everything, about ten minutes; builds the program first
#   scripts/torture.sh --short    a sample of it, a minute or two
#   scripts/torture.sh --program PATH …   with a program that is built already
set -euo pipefail
cd "$(dirname "$0")/.."
program=
if [ "${1:-}" = --program ]; then
  program=$2
  shift 2
fi
if [ -z "$program" ]; then
  cargo build --release --locked
  program="${CARGO_TARGET_DIR:-target}/release/fvtool"
fi
exec python3 scripts/torture.py "$program" "$@"
