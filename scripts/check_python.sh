#!/usr/bin/env bash
# The Python wheel, from nothing: built, installed into a fresh environment, and tested there.
#
#   scripts/check_python.sh [--wheel FILE] [--keep DIR]
#
# --wheel FILE  test this wheel and build none
# --keep DIR    work in this new folder and leave it; otherwise a temporary one goes away
# PYTHON=python3.12 takes another Python, MATURIN_PEP517_ARGS="--profile dev" builds in less time.
# One line for each step; what a step printed is shown where it fails.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
wheel="" work=""
usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case "$1" in
        --wheel) [ $# -ge 2 ] && [ -f "$2" ] || usage; wheel="$(realpath "$2")"; shift 2 ;;
        --keep) [ $# -ge 2 ] && [ ! -e "$2" ] || usage; mkdir -p "$2"; work="$(realpath "$2")"; shift 2 ;;
        *) usage ;;
    esac
done
if [ -z "$work" ]; then
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 MPLBACKEND=Agg
# Nothing of the checkout or of the user is to be found in place of what the wheel holds.
unset PYTHONPATH
export PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1

step() {
    local name="$1" started=$SECONDS log="$work/step.log"
    shift
    if (cd "$work" && "$@") > "$log" 2>&1; then
        echo "ok      $name ($((SECONDS - started)) s)$(grep -m1 '^= ' "$log" | sed 's/^= /: /' || true)"
    else
        cat "$log" >&2
        echo "FAILED  $name" >&2
        exit 1
    fi
}

build() { "${PYTHON:-python3}" -m pip wheel --no-deps --wheel-dir "$work/wheels" "$root"; }
environment() { "${PYTHON:-python3}" -m venv "$work/venv"; }
# NumPy is all that the module needs. Under `if` no command ends a function by itself.
install() {
    "$work/venv/bin/pip" install "$wheel" \
        && "$work/venv/bin/python" -c 'import fvtool; print("= fvtool", fvtool.__version__, fvtool.PCA([0], [[1]], [1]))' \
        && "$work/venv/bin/pip" install "$wheel[test]"
}
demo() { "$work/venv/bin/fvtool" demo --out "$work/demo" && echo "= $(ls "$work/demo/run" | wc -l) entries in demo/run"; }
pipeline() { "$work/venv/bin/python" "$root/python/tests/pipeline_of_demo.py" "$work/demo"; }
tests() { "$work/venv/bin/python" -m pytest -q -p no:cacheprovider "$root/python/tests" --deselect "$notebook" \
    | tee /dev/stderr | tail -1 | sed 's/^/= /'; }
book() { "$work/venv/bin/python" -m pytest -q -p no:cacheprovider "$root/$notebook"; }
notebook="python/tests/test_documents.py::test_the_notebook_runs_and_holds_no_output"

if [ -z "$wheel" ]; then
    step "build the wheel" build
    wheel="$(echo "$work"/wheels/fvtool-*.whl)"
fi
step "fresh environment" environment
step "install $(basename "$wheel")" install
step "fvtool demo" demo
step "scikit-learn pipeline, cross_val_score" pipeline
step "pytest" tests
step "notebook examples/first_look.ipynb" book
echo "all of it passes"
