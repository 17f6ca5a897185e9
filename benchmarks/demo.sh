#!/usr/bin/env bash
# What comes with the package for the demo shop, so that notebooks about it need not train for long: a model of each
# family, a conditional GAN, and the two networks that measure, with their page docs/results/demo.md.
#
#   [NOTE="what was different"] benchmarks/demo.sh WORK
#
# Trains on two cores, one model on each at a time, for 45 minutes. What is finished in WORK is not done again.
set -euo pipefail
work=$1
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }
train() { prodgen train "$1" "$work/set" --out "$work/$1" --resume "${@:2}"; }

core=0,1
[ -e "$work/set/prepared.json" ] || prodgen prepare demo --out "$work/set"
{ core=0; train ddpm --minutes 45 --set sample_steps=25 --set sheet_every=100 --set sheet_images=36; } &
first=$!
core=1
train dcgan --minutes 15
train vae --minutes 15
train cgan --minutes 15 --set condition=colour,type
wait "$first"
python "$here/demo_page.py" "$work/set" "$work" --out docs/results --note "${NOTE:-}"
