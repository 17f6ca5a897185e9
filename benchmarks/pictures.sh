#!/usr/bin/env bash
# The models of pictures from pictures that come with the package, and their cards:
#
#   benchmarks/pictures.sh SET32 SET64 WORK
#
# SET32, SET64: a catalogue, prepared at both sizes. Can be interrupted and called again. half32, shirts32 and the first
# part of srgan64 are runs of benchmarks/translation.sh and unpaired.sh, and taken from WORK where they are there.
set -euo pipefail
small=$1 large=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
models=prodgen_jax/pretrained
prodgen() { python -m prodgen_jax.cli "$@"; }
card() { python "$here/picture_card.py" "pretrained:$1" "$2" --out "$models/$1.md" "${@:3}"; }

[ -e "$work/half" ] || prodgen train pix2pix "$small" --out "$work/half" --minutes 10 --set task=half
[ -e "$work/srgan2" ] || prodgen train srgan "$small" --out "$work/srgan2" --minutes 10 --set task=small2
[ -e "$work/shirts" ] || prodgen train cyclegan "$small" --out "$work/shirts" --minutes 20 --set batch=8 \
    --from articleType=Tshirts,baseColour=Black --to articleType=Tshirts,baseColour=White
prodgen train srgan "$large" --out "$work/srgan64" --from "$work/srgan2" --minutes 20 \
    --set task=small2 --set batch=16 --resume
prodgen train adain "$large" --out "$work/style64" --minutes 75 --set batch=8 --resume
prodgen export "$work/half" --out $models/half32.safetensors
prodgen export "$work/shirts" --out $models/shirts32.safetensors
prodgen export "$work/srgan64" --out $models/srgan64.safetensors
prodgen export "$work/style64" --out $models/style64.safetensors

card half32 "$small" --runs "$work/half" \
    --does "Completes a photo of which it is given the left half (pix2pix)." \
    --use "prodgen translate pretrained:half32 photo.jpg --out made" \
    --see "FCD and other tasks: docs/results/translation.md." \
    --limits "It works at 32 px and knows one shop's photos: another shop's it completes less well." \
    "What the left half does not say is guessed, and never evidence of what a product looks like."
card shirts32 "$small" --runs "$work/shirts" \
    --does "Makes black T-shirts white, and with back=true white ones black; it was shown no pairs (CycleGAN)." \
    --use "prodgen translate pretrained:shirts32 photo.jpg --set back=true --out made" \
    --see "Sheets, and another pair: docs/results/unpaired.md." \
    --limits "It works at 32 px and knows one shop's shirts, most of them worn: on others it takes sleeves for arms." \
    "Prints and stripes change with the shirt. What it makes is no evidence of what a product looks like." \
    "The file also holds the pictures that its critics were last shown, which are of its own making."
card srgan64 "$large" --runs "$work/srgan2" "$work/srgan64" \
    --does "Enlarges product pictures of 32 px to 64 (SRGAN)." \
    --use "prodgen sample pretrained:fashion32 -n 16 --upscale 2 --out sheet.png" \
    --limits "It takes 32 px pictures alone. Letters, logos and fine stripes come out as something like them." \
    "Its critics and its eye cost PSNR: for the nearest pixels train pix2pix with task=small2 and adversarial=0."
card style64 "$large" --runs "$work/style64" \
    --does "Gives photos the look of any fabric, paper or picture (AdaIN)." \
    --use "prodgen style photo.jpg --style denim --only product --out styled" \
    --see "Style and content distances, drift and speed: docs/results/style.md." \
    --limits "It knows textures and colors, and no layout: a plaid comes out as its threads, not as its squares." \
    "It learned from styles that code has drawn; photos of fabrics work as far as they look like those." \
    "The product is what differs from the ground: people are styled with what they wear, shadows with what casts them."
