"""`prodgen sample`: pictures are drawn from a run."""

import argparse

from prodgen_jax.cli.arguments import add_settings, add_wishes, wishes
from prodgen_jax.literals import parse_pairs

OURS = {"2": "pretrained:srgan64"}  # what enlarges so many times


def add(commands) -> None:
    p = commands.add_parser("sample", help="draw pictures from a run")
    p.add_argument("run", metavar="RUN", help="a run folder")
    p.add_argument("-n", type=int, default=64, help="how many (default 64)")
    p.add_argument("--out", required=True, metavar="FILE.npz|FILE.png|FOLDER", help="arrays, a sheet, or PNG files")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same pictures (default 0)")
    add_wishes(p)
    add_settings(p)
    p.add_argument(
        "--upscale",
        metavar="RUN",
        help="hand the pictures on to this srgan, or pix2pix of task small2 or small4; 2: the one that comes with us",
    )
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.sampling.sample import sample, save_samples
    from prodgen_jax.sampling.translate import check_upscale, upscale
    from prodgen_jax.training.run import open_run

    said, settings = wishes(args), parse_pairs(args.set, "--set")
    drawn, larger = open_run(args.run), open_run(OURS.get(args.upscale, args.upscale)) if args.upscale else None
    if larger:
        check_upscale(larger, drawn.spec.size)  # before anything is drawn
    images, labels = sample(drawn, args.n, args.seed, settings=settings, **said)
    if larger:
        images = upscale(larger, images, args.seed)
    facts = {"seed": args.seed, **said, "settings": settings, **({"enlarged": larger.identity} if larger else {})}
    save_samples(args.out, images, labels, drawn.origin(**facts))
    print(f"{args.out}: {len(images)} pictures of {images.shape[1]} px")
