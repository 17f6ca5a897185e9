#!/usr/bin/env bash
# The measured results of docs/results/twenty.md: methods within 20 minutes of every core at hand, one training after the
# other on a machine that does nothing else.
#
#   [NOTE="what was different"] benchmarks/twenty.sh PREPARED_SET WORK METHOD,METHOD,... SEEDS
#
# What is finished in WORK is not done again, so that methods and seeds can join it on another day; the page holds all.
set -euo pipefail
data=$1 work=$2 methods=$3 seeds=$4
here=$(cd "$(dirname "$0")" && pwd)

python -m prodgen_jax.cli compare "$data" --methods "$methods" --minutes 20 --seeds "$seeds" --out "$work"
python "$here/twenty_page.py" "$data" "$work" --out docs/results --note "${NOTE:-}"
