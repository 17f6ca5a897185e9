#!/usr/bin/env bash
# The measured results of docs/results/fine_tuning.md: a model that has never seen a handbag learns them from some fifty
# photos, in several ways, beside one that begins from nothing.
#
#   [NOTE="what was different"] benchmarks/fine_tuning.sh CATALOG.csv PHOTOS.zip WHOLE_SET WORK MINUTES STEPS CORE
#
# WHOLE_SET: the catalogue, prepared; its networks measure. MINUTES: of the training before, on all else. STEPS: of each
# way; from nothing also three times as many. CORE: the core that all of them run on, one after the other. What is
# finished in WORK is not done again.
set -euo pipefail
catalog=$1 photos=$2 whole=$3 work=$4 minutes=$5 steps=$6 core=$7
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }
prepared() { # NAME shares...: WORK/NAME.csv, once
    [ -e "$work/$1/prepared.json" ] || prodgen prepare "$work/$1.csv" --images "$photos" --size 32 "${@:2}" --out "$work/$1"
}
tuned() { # WAY STEPS settings...: three seeds
    for seed in 0 1 2; do
        prodgen train ddpm "$work/new" --out "$work/runs/$1/$seed" --seed "$seed" --steps "$2" --resume \
            --set eval_every=25 --set eval_images=0 --set checkpoint_every=100 --set sheet_every=0 "${@:3}"
    done
}

mkdir -p "$work"
python "$here/fine_tuning.py" part "$catalog" "$work" Handbags
prepared others
prepared new --val 0.02 --test 0.945
prodgen train ddpm "$work/others" --out "$work/base" --minutes "$minutes" --set condition=baseColour --resume
from=(--from "$work/base")
tuned scratch "$steps" --set condition=baseColour
tuned scratch-long $((3 * steps)) --set condition=baseColour
tuned full "$steps" "${from[@]}" --set lr=5e-4
tuned frozen "$steps" "${from[@]}" --set lr=1e-3 --set freeze=down,middle,embedding
tuned lora "$steps" "${from[@]}" --set lr=5e-3 --set adapt=lora
python "$here/fine_tuning.py" page "$whole" "$work" --out docs/results --note "${NOTE:-}"
