#!/usr/bin/env bash
# The measured results of docs/results/diffusion.md: diffusion and flow over pixels and over codes, within the same minutes on
# one core, and within a third of them, beside diffusers; and the latent diffusion that comes with the package.
#
#   [NOTE="what was different"] benchmarks/diffusion.sh PREPARED_SET WORK MINUTES CORE [python of the peer's environment]
#
# CORE: the core that all of them run on, one after the other. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3 core=$4 peer_python=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }

short=$(python -c "print($minutes / 3)")
prodgen compare "$data" --methods edm,flow --minutes "$minutes" --seeds 1 --out "$work/long"
prodgen compare "$data" --methods ddpm,latent --minutes "$minutes" --seeds 3 --out "$work/long"
prodgen compare "$data" --methods ddpm,latent --minutes "$short" --seeds 1 --set latent.first_stage=700 --out "$work/short"
peer=$work/peer/diffusers
[ -z "$peer_python" ] || [ -e "$peer.npz" ] ||
    taskset -c "$core" "$peer_python" "$here/diffusers_ddpm.py" --data "$data" --minutes "$minutes" --samples 1000 --width 32 \
        --batch 32 --lr 5e-4 --threads 1 --out "$peer.npz"
[ ! -e "$peer.npz" ] || [ -e "$peer.record.json" ] || prodgen evaluate "$peer.npz" "$data" --out "$peer.record.json"
prodgen train latent "$data" --out "$work/latent32" --set condition=articleType,baseColour --set first_stage=3000 \
    --steps 7500 --resume
python "$here/diffusion_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
