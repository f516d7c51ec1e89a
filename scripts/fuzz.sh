#!/usr/bin/env bash
# Feeds every parser mutations of its corpus: scripts/fuzz.sh [SECONDS a target, 10] [TARGET]
#
# With a stable compiler, mutations are blind and the same every time. Where cargo-fuzz and a nightly
# compiler are installed, libFuzzer looks for new paths through the code instead:
#   cargo +nightly fuzz run TARGET -- -max_total_time=SECONDS
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
exec cargo run --quiet --release --locked --bin mutate -- "${1:-10}" ${2:+"$2"}
