#!/usr/bin/env bash
# The measured results of docs/results/compare.md: every family within the same minutes, and within the same work, three
# seeds each, on the CPU at hand.
#
#   benchmarks/compare.sh PREPARED_SET WORK MINUTES [CORE]
#
# CORE: a core that nothing else uses; all are used without it. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3 core=${4:-}
here=$(cd "$(dirname "$0")" && pwd)

${core:+taskset -c "$core"} python -m prodgen_jax.cli compare "$data" --methods dcgan,vae,ddpm,flow \
    --minutes "$minutes" --seeds 3 --flop --out "$work"
python "$here/compare_page.py" "$data" "$work" ${core:+--pinned} --out docs/results
