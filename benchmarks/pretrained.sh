#!/usr/bin/env bash
# The model that comes with the package, from the public 'Fashion Product Images (Small)' catalogue, and its card:
#
#   benchmarks/pretrained.sh CATALOG.csv PHOTOS.zip WORK FIRST_STEPS THEN_STEPS
#
# Can be interrupted and called again: training goes on where it stopped. The second part weighs the noisiest levels, where
# color and layout are decided, as much as others (least_snr=1): the first alone draws the kind that is asked for, and not
# its color.
set -euo pipefail
catalog=$1 photos=$2 work=$3 first=$4 then=$5
here=$(cd "$(dirname "$0")" && pwd)
model=prodgen_jax/pretrained/fashion32.safetensors
prodgen() { python -m prodgen_jax.cli "$@"; }

[ -e "$work/set/prepared.json" ] || prodgen prepare "$catalog" --images "$photos" --out "$work/set"
prodgen train ddpm "$work/set" --out "$work/first" --steps "$first" --set condition=text --resume
prodgen train ddpm "$work/set" --from "$work/first" --out "$work/then" --steps "$then" --resume \
    --set condition=text --set warmup=300 --set least_snr=1
prodgen export "$work/then" --out $model --set sampler=dpmpp2m --set sample_steps=20 --set guidance=2
prodgen evaluate pretrained:fashion32 "$work/set" -n 2000 --out docs/results/fashion32.json
python "$here/model_card.py" pretrained:fashion32 docs/results/fashion32.json --runs "$work/first" "$work/then" \
    --out prodgen_jax/pretrained/fashion32.md --sheet docs/results/fashion32.png
