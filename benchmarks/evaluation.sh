#!/usr/bin/env bash
# The measured results of docs/results/evaluation.md: what the measures are worth on a real catalogue, what samples teach a
# classifier, and how long it takes to score 5,000 pictures.
#
#   benchmarks/evaluation.sh PREPARED_SET WORK
#
# What is finished in WORK is not done again. Scoring is timed: nothing else may run beside it.
set -euo pipefail
data=$1 work=$2
here=$(cd "$(dirname "$0")" && pwd)

[ -e "$work/fashion32.json" ] || python -m prodgen_jax.cli evaluate pretrained:fashion32 "$data" -n 2000 \
    --useful articleType --self-test --out "$work/fashion32.json" --page "$work/fashion32.html"
[ -e "$work/seconds.json" ] || python "$here/scoring.py" "$data" --out "$work/seconds.json"
python "$here/evaluation_page.py" "$work" --out docs/results
