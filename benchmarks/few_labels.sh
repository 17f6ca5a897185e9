#!/usr/bin/env bash
# The measured results of docs/results/few_labels.md: what four models that were told nothing know of a catalogue.
#
#   benchmarks/few_labels.sh SET WORK MINUTES
#
# SET: the catalogue, prepared at 32 px. Each model is trained for so many minutes of one core, two side by side; a run
# that WORK holds goes on from where it is.
set -euo pipefail
data=$1 work=$2 minutes=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"

train() { # CORE METHOD settings...
    taskset -c "$1" python -m prodgen_jax.cli train "$2" "$data" --minutes "$minutes" --out "$work/$2" --resume "${@:3}"
}
train 0 dcgan & train 1 vae & wait
train 0 ddpm & train 1 flow --set optimizer=muon & wait
python "$here/few_labels.py" "$data" "$work" --minutes "$minutes" --out docs/results
