#!/usr/bin/env bash
# The measured results of docs/results/families.md: GANs and autoencoders within the same minutes, told and untold, beside a
# DCGAN in PyTorch; and the models of these families that come with the package.
#
#   [NOTE="what was different"] benchmarks/families.sh PREPARED_SET WORK MINUTES CORE [python of the peer's environment]
#
# CORE: the core that all of them run on, one after the other. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3 core=$4 peer_python=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
told="condition=articleType,baseColour"
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }
within() { prodgen compare "$data" --minutes "$minutes" --out "$work" "$@"; }

within --methods stylegan,progressive,dcgan,adagan,wgan_gp,ae,vae,vaegan,vqvae,cgan,cvae --seeds 1
within --methods dcgan,vae --seeds 3
within --methods stylegan --set "stylegan.$told" --seeds 3
[ -z "$peer_python" ] || [ -e "$work/peer/dcgan.json" ] ||
    taskset -c "$core" "$peer_python" "$here/torch_dcgan.py" --data "$data" --minutes "$minutes" --threads 1 \
        --out "$work/peer/dcgan"
for samples in "$work"/peer/*.npz; do
    [ ! -e "$samples" ] || [ -e "${samples%.npz}.record.json" ] ||
        prodgen evaluate "$samples" "$data" --out "${samples%.npz}.record.json"
done
taskset -c "$core" python "$here/autoencoders.py" "$data" "$work"
prodgen train stylegan "$data" --out "$work/stylegan32" --set "$told" --steps 20000 --resume
python "$here/families_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
