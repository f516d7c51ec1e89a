#!/usr/bin/env bash
# Fits models on one node, encodes in a job array, joins, trains and evaluates.
#
#   workflow/slurm.sh          everything: edit the lines below first
#   workflow/slurm.sh 3,7      parts 3 and 7 again, then the join and what follows
#
# Run it where `sbatch` is. Each line below may be set in the environment instead. docs/CLUSTER.md says more.
set -euo pipefail

DATA=${DATA:-/data/photos}          # data folder, seen by every node
TRAIN=${TRAIN:-train}               # split that models and classifier are made from
TEST=${TEST:-test}                  # split for the figures; empty: none
RUN=${RUN:-runs/first}              # run folder, seen by every node
CONFIG=${CONFIG:-fast}              # preset or TOML file
PARTS=${PARTS:-100}                 # 4 for each node at work; 5 to 30 minutes each
AT_ONCE=${AT_ONCE:-25}              # most parts at work at the same time
CPUS=${CPUS:-16}                    # processors of a task
MEMORY=${MEMORY:-4G}                # memory of a task; training takes more
TRAIN_MEMORY=${TRAIN_MEMORY:-16G}
LIMIT=${LIMIT:-2:00:00}             # longest time of a task
LOGS=${LOGS:-$RUN-logs}
FVTOOL=${FVTOOL:-fvtool}
MORE=${MORE:-}                      # more of sbatch: "--partition=long --constraint=avx512"

# Exit code 3 says: done, but for some images that cannot be used. To Slurm that would be a failure.
fvtool() {
  local code=0
  command "$FVTOOL" "$@" --threads "${SLURM_CPUS_PER_TASK:-$CPUS}" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 3 ]
}

each_split() { # COMMAND…: with every split that is to be encoded
  "$@" "$TRAIN" && { [ -z "$TEST" ] || "$@" "$TEST"; }
}

part() { fvtool encode --data "$DATA" --run "$RUN" --part auto --split "$1"; }

join() {
  fvtool encode --data "$DATA" --run "$RUN" --join --split "$1" && return
  # NFS may show the shards of other nodes up to a minute late.
  sleep 61
  fvtool encode --data "$DATA" --run "$RUN" --join --split "$1"
}

submit() { # NAME, options of sbatch …: its number
  # shellcheck disable=SC2086 # MORE is several words.
  sbatch --parsable --job-name="fv-$1" --output="$LOGS/$1-%j.txt" --cpus-per-task="$CPUS" --mem="$MEMORY" \
    --time="$LIMIT" --requeue --kill-on-invalid-dep=yes $MORE "${@:2}" "$0" "task-$1" | cut -d ';' -f 1
}

export DATA TRAIN TEST RUN CONFIG PARTS CPUS FVTOOL
# Says the number of all parts where a few are repeated.
export FVTOOL_PARTS=$PARTS
case ${1:-} in
  task-fit) fvtool fit-gmm --data "$DATA" --run "$RUN" --split "$TRAIN" --config "$CONFIG" ;;
  task-encode) each_split part ;;
  task-join)
    each_split join
    fvtool train-svm --run "$RUN" --split "$TRAIN"
    [ -z "$TEST" ] || fvtool eval --data "$DATA" --run "$RUN" --split "$TEST"
    ;;
  *)
    mkdir -p "$LOGS"
    array=${1:-0-$((PARTS - 1))}
    after=()
    if [ $# -eq 0 ]; then
      fit=$(submit fit)
      after=(--dependency="afterok:$fit")
      echo "models: job $fit"
    fi
    encode=$(submit encode --array="$array%$AT_ONCE" --output="$LOGS/encode-%A_%a.txt" "${after[@]}")
    join=$(submit join --dependency="afterok:$encode" --mem="$TRAIN_MEMORY")
    echo "parts $array: job $encode; join, classifier and figures: job $join; what they say: $LOGS"
    echo "which parts failed: sacct -X -j $encode -s F,TO,NF,OOM,CA -o JobID,State; again: $0 3,7"
    ;;
esac
