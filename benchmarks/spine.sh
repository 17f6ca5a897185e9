#!/usr/bin/env bash
# The measured results of docs/results/spine.md, from a catalogue to the page: 20 minutes of training for each method
# on the CPU at hand, one after the other, and the diffusers peer for as long where its environment is given.
#
#   benchmarks/spine.sh CATALOG.csv PHOTOS.zip WORK [python of the peer's environment]
#
# What is finished in WORK is not done again. Nothing else should run beside it. On a machine that is not quiet, or to repeat
# a page's numbers, say the steps instead: STEPS="ddpm=5934 diffusers=2280 dcgan=28416 vae=31334" benchmarks/spine.sh ...
set -euo pipefail
catalog=$1 photos=$2 work=$3 peer_python=${4:-}
minutes=20 n=1000
here=$(cd "$(dirname "$0")" && pwd)
budget() { # budget NAME: the steps that STEPS says for it, else the minutes
    for pair in ${STEPS:-}; do [ "${pair%%=*}" != "$1" ] || { echo "--steps ${pair#*=}"; return; }; done
    echo "--minutes $minutes"
}
prodgen() { python -m prodgen_jax.cli "$@"; }

mkdir -p "$work/samples" "$work/records"
prodgen prepare "$catalog" --images "$photos" --size 32 --out "$work/set"
prodgen train ddpm "$work/set" --out "$work/ddpm" $(budget ddpm) --resume
[ -z "$peer_python" ] || [ -e "$work/samples/diffusers.npz" ] ||
    "$peer_python" "$here/diffusers_ddpm.py" --data "$work/set" $(budget diffusers) --samples $n --width 32 --batch 32 --lr 5e-4 \
        --out "$work/samples/diffusers.npz"
prodgen train dcgan "$work/set" --out "$work/dcgan" $(budget dcgan) --resume
prodgen train vae "$work/set" --out "$work/vae" $(budget vae) --resume
for name in ddpm dcgan vae; do
    prodgen sample "$work/$name" -n $n --out "$work/samples/$name.npz"
done
for file in "$work"/samples/*.npz; do
    prodgen evaluate "$file" "$work/set" --out "$work/records/$(basename "$file" .npz).json"
done
python "$here/write_results.py" "$work" --out docs/results --readme README.md
