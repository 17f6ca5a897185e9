#!/usr/bin/env bash
# The measured results of docs/results/families.md: GANs and autoencoders within the same minutes, beside a DCGAN in PyTorch,
# and the StyleGAN that comes with the package.
#
#   [NOTE="what was different"] benchmarks/families.sh PREPARED_SET WORK MINUTES CORE [python of the peer's environment]
#
# CORE: the core that all of them run on, one after the other. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3 core=$4 peer_python=${5:-}
here=$(cd "$(dirname "$0")" && pwd)
methods=stylegan,progressive,dcgan,adagan,ae,vae,vaegan,vqvae
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }

prodgen compare "$data" --methods $methods --minutes "$minutes" --seeds 1 --out "$work"
[ -z "$peer_python" ] || [ -e "$work/peer/dcgan.json" ] ||
    taskset -c "$core" "$peer_python" "$here/torch_dcgan.py" --data "$data" --minutes "$minutes" --threads 1 \
        --out "$work/peer/dcgan"
for samples in "$work"/peer/*.npz; do
    [ ! -e "$samples" ] || [ -e "${samples%.npz}.record.json" ] ||
        prodgen evaluate "$samples" "$data" --out "${samples%.npz}.record.json"
done
rm -f prodgen_jax/pretrained/stylegan32.safetensors
prodgen export "$work"/runs/time/stylegan-*/0 --out prodgen_jax/pretrained/stylegan32.safetensors
python "$here/families_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
