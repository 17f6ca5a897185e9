#!/usr/bin/env bash
# The measured results of docs/results/unpaired.md: CycleGANs between domains of a catalogue, so many minutes of training
# each on the CPU at hand.
#
#   benchmarks/unpaired.sh PREPARED_SET WORK MINUTES [PAIR ...]
#
# What is finished in WORK is not done again; after an interruption training goes on where it stopped.
set -euo pipefail
data=$1 work=$2 minutes=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { python -m prodgen_jax.cli "$@"; }

[ $# -gt 0 ] || set -- shirts shoes
for pair in "$@"; do
    case $pair in
    shirts) domains=("articleType=Tshirts,baseColour=Black" "articleType=Tshirts,baseColour=White") ;;
    shoes) domains=("articleType=Casual Shoes" "articleType=Sports Shoes") ;;
    *) echo "no such pair: $pair (shirts, shoes)" >&2 && exit 2 ;;
    esac
    prodgen train cyclegan "$data" --out "$work/$pair" --minutes "$minutes" --set batch=8 \
        --from "${domains[0]}" --to "${domains[1]}" --resume
    [ -e "$work/$pair.json" ] || prodgen evaluate "$work/$pair" "$data" --out "$work/$pair.json"
done
python "$here/unpaired_page.py" "$data" "$work" "$@" --out docs/results
