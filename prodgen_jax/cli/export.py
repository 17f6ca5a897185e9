"""`prodgen export`: a run as one file."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import add_settings
from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("export", help="write a run's model as one file, which takes the place of RUN elsewhere")
    p.add_argument("run", metavar="RUN", help="a run folder")
    p.add_argument("--out", required=True, metavar="FILE.safetensors|FILE.zip", help="zip: draws without this package")
    p.add_argument(
        "--numbers",
        default="bf16",
        help="bf16 (default), fp32, or int8 with a scale for each output: a quarter of fp32",
    )
    add_settings(p, "a setting of sampling that it keeps")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.training.run import export, open_run

    opened, settings = open_run(args.run), parse_pairs(args.set, "--set")
    if Path(args.out).suffix == ".zip":
        from prodgen_jax.deploy.artifact import export_program

        export_program(opened, args.out, args.numbers, settings)
    else:
        export(opened, args.out, args.numbers, settings)
    print(f"{args.out}: {Path(args.out).stat().st_size / 1e6:.1f} MB")
