"""A run of docs/results/twenty.md by its work: as many operations as another method's runs there did in their minutes.

python benchmarks/twenty_work.py SET WORK METHOD [--set KEY=VALUE]... --like METHOD --seed SEED

A machine is not equally fast every day, and 20 minutes of a slow one are no budget beside 20 minutes of a fast one. So
a run can be given its work, counted in the compiled step, on whatever cores it is let (`taskset`). It is measured, and
its record lies where `benchmarks/twenty.sh` looks for what it keeps.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from prodgen_jax import open_prepared
from prodgen_jax.cli.huge_pages import with_huge_pages
from prodgen_jax.evaluation.compare import Comparison, Place, steps_for
from prodgen_jax.methods.spec import Spec
from prodgen_jax.training.features import feature_network

RECORDS = Path(__file__).parents[1] / "docs/results/twenty/records"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("work", type=Path)
    p.add_argument("method")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("--like", required=True, help="the method whose runs say how much work it is")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    prepared = open_prepared(args.data)
    records = [json.loads(file.read_text()) for file in RECORDS.glob(f"{args.like}-*.json")]
    settings = dict(pair.split("=", 1) for pair in args.set)
    wanted = Comparison((args.method,), minutes=20, samples=5000, settings={args.method: settings})
    made = wanted.check()[args.method]
    steps = steps_for(np.mean([record["trial"]["flop"] for record in records]), made, Spec.of(prepared))
    place = Place(args.work, prepared, feature_network(prepared), wanted)
    record = place.one(made, "time", args.seed, {"steps": steps})
    print(f"{args.method}, seed {args.seed}: {steps} steps, FCD {record['samples']['fcd']:.2f}")


if __name__ == "__main__":
    with_huge_pages()
    main()
