#!/usr/bin/env bash
# The measured results of docs/results/collapse.md: which kinds of products a GAN leaves out, and what brings them back,
# in equal steps.
#
#   [NOTE="what was different"] benchmarks/collapse.sh PREPARED_SET WORK STEPS
#
# Two runs at a time, one core each: the steps are the budget, not the minutes. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 steps=$3
here=$(cd "$(dirname "$0")" && pwd)
taskset -c 0 python "$here/collapse.py" train "$data" "$work" --steps "$steps" --half 0 &
first=$!
taskset -c 1 python "$here/collapse.py" train "$data" "$work" --steps "$steps" --half 1
wait "$first"
python "$here/collapse.py" page "$data" "$work" --out docs/results --note "${NOTE:-}"
