#!/usr/bin/env bash
# The measured results of docs/results/sampling.md: what steps, samplers, guidance and students cost and bring, for the
# model that comes with the package; and the student of four leaps that comes with it as well.
#
#   benchmarks/sampling.sh PREPARED_SET WORK STEPS CORE
#
# PREPARED_SET: the catalogue that the model was trained on, at 32 px. STEPS: of each student's training, in
# WORK/leapsN on the core CORE. What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 steps=$3 core=$4
here=$(cd "$(dirname "$0")" && pwd)
for leaps in 1 2 4; do
    taskset -c "$core" python -m prodgen_jax.cli train consistency "$data" --from pretrained:fashion32 \
        --out "$work/leaps$leaps" --steps "$steps" --set leaps=$leaps --set sample_steps=$leaps --resume
done
python "$here/sampling.py" pretrained:fashion32 "$data" --work "$work" --out docs/results
