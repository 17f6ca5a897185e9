#!/usr/bin/env bash
# The measured results of docs/results/spine.md, from a catalogue to the page: 20 minutes of training for each method
# on the CPU at hand, one after the other, and the diffusers peer for as long where its environment is given.
#
#   benchmarks/spine.sh CATALOG.csv PHOTOS.zip WORK [python of the peer's environment]
#
# What is finished in WORK is not done again. Nothing else should run beside it.
set -euo pipefail
catalog=$1 photos=$2 work=$3 peer_python=${4:-}
minutes=20 n=1000
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { python -m prodgen_jax.cli "$@"; }

mkdir -p "$work/samples" "$work/records"
prodgen prepare "$catalog" --images "$photos" --size 32 --out "$work/set"
prodgen train ddpm "$work/set" --out "$work/ddpm" --minutes $minutes --resume --set batch=32
[ -z "$peer_python" ] || [ -e "$work/samples/diffusers.npz" ] ||
    "$peer_python" "$here/diffusers_ddpm.py" --data "$work/set" --minutes $minutes --samples $n --width 32 --batch 32 --lr 5e-4 \
        --out "$work/samples/diffusers.npz"
prodgen train dcgan "$work/set" --out "$work/dcgan" --minutes $minutes --resume
prodgen train vae "$work/set" --out "$work/vae" --minutes $minutes --resume
for name in ddpm dcgan vae; do
    prodgen sample "$work/$name" -n $n --out "$work/samples/$name.npz"
done
for file in "$work"/samples/*.npz; do
    prodgen evaluate "$file" "$work/set" --out "$work/records/$(basename "$file" .npz).json"
done
python "$here/write_results.py" "$work" --out docs/results --readme README.md
