#!/usr/bin/env bash
# The measured results of docs/results/sampling.md: what steps, samplers, guidance and a student cost and bring, for the
# model that comes with the package.
#
#   benchmarks/sampling.sh PREPARED_SET WORK MINUTES
#
# PREPARED_SET: the catalogue that the model was trained on, at 32 px. MINUTES: of the student's training in WORK/student.
# What is finished in WORK is not done again.
set -euo pipefail
data=$1 work=$2 minutes=$3
here=$(cd "$(dirname "$0")" && pwd)
python -m prodgen_jax.cli train consistency "$data" --from pretrained:fashion32 --out "$work/student" \
    --minutes "$minutes" --resume
python "$here/sampling.py" pretrained:fashion32 "$work/student" "$data" --work "$work" --out docs/results
