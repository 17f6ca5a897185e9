#!/usr/bin/env bash
# The measured results of docs/results/diffusion.md: diffusion and flow over pixels and over codes, within the same minutes on
# one core, and within a third of them; and the latent diffusion that comes with the package.
#
#   [NOTE="what was different"] benchmarks/diffusion.sh PREPARED_SET WORK MINUTES CORE
#
# CORE: the core that all of them run on, one after the other. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3 core=$4
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }

short=$(python -c "print($minutes / 3)")
prodgen compare "$data" --methods ddpm,edm,flow,latent --minutes "$minutes" --seeds 1 --out "$work/long"
prodgen compare "$data" --methods ddpm,latent --minutes "$short" --seeds 1 --set latent.first_stage=700 --out "$work/short"
prodgen train latent "$data" --out "$work/latent32" --set condition=articleType,baseColour --set first_stage=3000 \
    --steps 7500 --resume
python "$here/diffusion_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
