"""`prodgen prune`: a run's model with less in it."""

import argparse
from pathlib import Path


def add(commands) -> None:
    p = commands.add_parser("prune", help="write a run's model with channels or weights taken out, to be trained on")
    p.add_argument("run", metavar="RUN", help="a run folder or a model file")
    p.add_argument("--out", required=True, metavar="FILE.safetensors", help="takes the place of RUN everywhere")
    p.add_argument("--channels", type=float, default=0.0, help="share taken out of a U-Net's blocks: faster")
    p.add_argument("--weights", type=float, default=0.0, help="share of all weights that are set to 0: a smaller file")
    p.add_argument("--numbers", default="bf16", help="bf16 (default), fp32 or int8")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.deploy.prune import prune
    from prodgen_jax.training.run import open_run

    prune(open_run(args.run), args.out, channels=args.channels, weights=args.weights, numbers=args.numbers)
    print(f"{args.out}: {Path(args.out).stat().st_size / 1e6:.1f} MB; train it on by `prodgen train ... --from` it")
