#!/usr/bin/env bash
# The measured results of docs/results/text.md and the unCLIP that comes with the package: what two towers find among held-out
# photos, and what the prior between words and photos is worth.
#
#   [NOTE="what was different"] benchmarks/text.sh PREPARED_SET WORK STEPS CORE
#
# What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 steps=$3 core=$4
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }

prodgen train unclip "$data" --out "$work/unclip32" --steps "$steps" --set batch=64 --set first_stage=1500 --resume
drawn() { # NAME settings...: samples with these settings, measured
    prodgen export "$work/unclip32" --out "$work/$1.safetensors" --set sample_steps=12 "${@:2}"
    [ -e "$work/$1.json" ] || taskset -c "$core" python "$here/text_record.py" "$data" "$work/$1"
}
drawn no-prior --set prior=false
for scale in 1 2 3; do drawn "prior-$scale" --set prior_guidance=$scale; done
python "$here/text_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
