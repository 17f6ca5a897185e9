#!/usr/bin/env bash
# The measured results of docs/results/translation.md: pix2pix on each task, so many minutes of training on the CPU at hand.
#
#   benchmarks/translation.sh PREPARED_SET WORK MINUTES [TASK ...]
#
# What is finished in WORK is not done again; after an interruption training goes on where it stopped.
set -euo pipefail
data=$1 work=$2 minutes=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
prodgen() { python -m prodgen_jax.cli "$@"; }

[ $# -gt 0 ] || set -- grey edges half small2 small4 srgan2 srgan4 ddpm-edges
for task in "$@"; do
    case $task in
    small*) how=(pix2pix --set task="$task" --set adversarial=0) ;; # by PSNR: the pixel variant
    srgan*) how=(srgan --set task="small${task#srgan}") ;;
    ddpm-*) how=(ddpm --set task="${task#ddpm-}" --set sampler=dpmpp2m --set sample_steps=18) ;;
    *) how=(pix2pix --set task="$task") ;;
    esac
    prodgen train "${how[0]}" "$data" --out "$work/$task" --minutes "$minutes" "${how[@]:1}" --resume
    [ -e "$work/$task.json" ] || prodgen evaluate "$work/$task" "$data" -n 2000 --out "$work/$task.json"
done
python "$here/translation_page.py" "$data" "$work" --out docs/results
