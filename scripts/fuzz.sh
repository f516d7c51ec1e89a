#!/usr/bin/env bash
# Feeds every parser mutations of its corpus:
#
#   scripts/fuzz.sh [SECONDS a target, 10] [TARGET]              blind mutations, the same every time
#   scripts/fuzz.sh --libfuzzer [SECONDS a target, 60] [TARGET]  libFuzzer, which looks for new paths
#
# Both build with a stable compiler; libFuzzer wants a C++ compiler as well, and a first build of many
# minutes, since every dependency counts its branches. What it finds goes to fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

if [[ ${1-} != --libfuzzer ]]; then
    exec cargo run --quiet --release --locked --bin mutate -- "${1:-10}" ${2:+"$2"}
fi

seconds=${2:-60}
targets=(${3:-artifact list xml config npy index stored sealed source network image})
host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo fuzz` asks of the compiler, without the address sanitizer, which a stable one does not have.
coverage=(-Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=("-Cllvm-args=-sanitizer-coverage-$option")
done
export RUSTFLAGS="${coverage[*]} --cfg fuzzing -Cdebug-assertions"
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
cp -r corpus/. "$corpus"
mkdir -p artifacts
# Named, so that what runs while building is not instrumented.
cargo build --quiet --release --locked --features libfuzzer --target "$host" "${targets[@]/#/--bin=}"
for target in "${targets[@]}"; do
    echo "$target:"
    "${CARGO_TARGET_DIR:-target}/$host/release/$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=artifacts/ "$corpus/$target" 2>&1 |
        { grep -E '^(stat::number_of|stat::peak|==|SUMMARY|thread|Done)' || true; }
done
