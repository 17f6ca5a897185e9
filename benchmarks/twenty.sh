#!/usr/bin/env bash
# The measured results of docs/results/twenty.md: methods within 20 minutes of every core at hand, one training after the
# other on a machine that does nothing else.
#
#   [NOTE="what was different"] [PEER=python of the peers' environment] \
#       benchmarks/twenty.sh SET WORK METHOD,METHOD,... SEEDS [--set METHOD.KEY=VALUE]...
#
# SET: the catalogue, prepared at 32 px. What docs/results/twenty holds is not done again, so that methods and seeds can
# join it on another day, measured by the same feature network; take a record away to have its run anew. PEER: also the
# DCGAN and the U-Net of benchmarks/torch_dcgan.py and diffusers_ddpm.py, whose headings tell how to set them up.
set -euo pipefail
data=$1 work=$2 methods=$3 seeds=$4
here=$(cd "$(dirname "$0")" && pwd)
kept=$here/../docs/results/twenty
prodgen() { python -m prodgen_jax.cli "$@"; }

mkdir -p "$work/records/time" "$work/peer" "$data/features/0"
cp "$kept"/features/* "$data/features/0/"
for record in "$kept"/records/*.json; do
    [ ! -e "$record" ] || cp "$record" "$work/records/time/"
done
[ -z "$methods" ] ||
    prodgen compare "$data" --methods "$methods" --seeds "$seeds" --minutes 20 -n 5000 --out "$work" "${@:5}"
if [ -n "${PEER:-}" ]; then
    denoiser() { # NAME SEED options...
        [ -e "$kept/peers/$1.json" ] || [ -e "$work/peer/$1.npz" ] ||
            "$PEER" "$here/diffusers_ddpm.py" --data "$data" --minutes 20 --samples 5000 --width 32 --batch 32 \
                --lr 5e-4 --patch 2 --seed "$2" "${@:3}" --out "$work/peer/$1.npz"
    }
    denoiser diffusers 0
    for seed in 0 1 2; do
        denoiser "diffusers-v$([ $seed = 0 ] || echo -$seed)" $seed --target v_prediction --schedule squaredcos_cap_v2
    done
    [ -e "$kept/peers/dcgan.json" ] || [ -e "$work/peer/dcgan.npz" ] ||
        "$PEER" "$here/torch_dcgan.py" --data "$data" --minutes 20 --samples 5000 --out "$work/peer/dcgan"
    for samples in "$work"/peer/*.npz; do
        [ ! -e "$samples" ] || [ -e "${samples%.npz}.record.json" ] ||
            prodgen evaluate "$samples" "$data" --out "${samples%.npz}.record.json"
    done
fi
python "$here/twenty_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
