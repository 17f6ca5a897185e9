"""`prodgen export`: a run as one file."""

import argparse
from pathlib import Path

from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("export", help="write a run's model as one file, which takes the place of RUN elsewhere")
    p.add_argument("run", metavar="RUN", help="a run folder")
    p.add_argument("--out", required=True, metavar="FILE.safetensors")
    p.add_argument("--numbers", default="bf16", help="bf16 (default) or fp32, twice as large")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of sampling that it keeps"
    )
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.training.run import export, open_run

    export(open_run(args.run), args.out, args.numbers, parse_pairs(args.set, "--set"))
    print(f"{args.out}: {Path(args.out).stat().st_size / 1e6:.1f} MB")
