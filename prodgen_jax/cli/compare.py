"""`prodgen compare`: several methods within the same budget."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import METHOD_NAMES
from prodgen_jax.errors import InputError
from prodgen_jax.literals import list_of, parse_pairs


def add(commands) -> None:
    p = commands.add_parser("compare", help="train, sample and score several methods within the same budget")
    p.add_argument("data", metavar="DIR", help="a prepared set")
    p.add_argument("--methods", required=True, metavar="A,B,C", help=f"of {', '.join(METHOD_NAMES)}")
    p.add_argument("--minutes", type=float, required=True, help="of training for each method and seed")
    p.add_argument("--out", required=True, metavar="FOLDER", help="runs, records and tables; what is there is kept")
    p.add_argument("--seeds", type=int, default=3, help="trainings of each method (default 3)")
    p.add_argument("-n", type=int, default=1000, help="pictures drawn from each run (default 1000)")
    p.add_argument("--preset", default="cpu", help="cpu, gpu or tpu (default cpu)")
    p.add_argument("--flop", action="store_true", help="also within the same number of operations")
    p.add_argument("--set", action="append", default=[], metavar="METHOD.KEY=VALUE", help="a setting of one method")
    p.set_defaults(call=run)


def settings_of(parts: list[str]) -> dict[str, dict[str, str]]:
    """{method: {key: value}} from METHOD.KEY=VALUE."""
    settings: dict[str, dict[str, str]] = {}
    for key, value in parse_pairs(parts, "--set").items():
        method, dot, name = key.partition(".")
        if not dot:
            raise InputError(f"--set {key}: expected METHOD.KEY=VALUE")
        settings.setdefault(method, {})[name] = value
    return settings


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.evaluation.compare import Comparison, compare

    wanted = Comparison(
        list_of(args.methods), args.minutes, args.seeds, args.n, args.preset, args.flop, settings_of(args.set)
    )
    found = compare(open_prepared(args.data), args.out, wanted)
    for budget, methods in found["budgets"].items():
        for name, at in sorted(methods.items(), key=lambda item: item[1]["fcd"][0]):
            print(f"{budget}: {name} FCD {at['fcd'][0]:.2f}, {at['images_per_second'][0]:.0f} samples/s")
    print(Path(args.out) / "compare.md")
