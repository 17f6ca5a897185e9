#!/usr/bin/env bash
# The measured results of docs/results/text.md and the unCLIP that comes with the package: what two towers find among held-out
# photos, and what the prior between words and photos is worth.
#
#   [NOTE="what was different"] benchmarks/text.sh PREPARED_SET WORK STEPS CORE
#
# What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 steps=$3 core=$4
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { taskset -c "$core" python -m prodgen_jax.cli "$@"; }

prodgen train unclip "$data" --out "$work/unclip32" --steps "$steps" --set batch=64 --set first_stage=1500 --resume
for prior in true false; do
    prodgen export "$work/unclip32" --out "$work/prior-$prior.safetensors" --set prior=$prior --set sample_steps=12
    [ -e "$work/prior-$prior.json" ] || taskset -c "$core" python "$here/text_record.py" "$data" "$work/prior-$prior"
done
python "$here/text_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
