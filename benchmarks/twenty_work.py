"""A run of docs/results/twenty.md by its work: as many operations as another method's runs there did in their minutes.

python benchmarks/twenty_work.py SET WORK METHOD [--set KEY=VALUE]... --like METHOD --seed SEED
python benchmarks/twenty_work.py SET WORK METHOD [--set KEY=VALUE]... --like METHOD --time ROUNDS

A machine is not equally fast every day, and 20 minutes of a slow one are no budget beside 20 minutes of a fast one. So
a run can be given its work, counted in the compiled step, on whatever cores it is let (`taskset`). It is measured, and
its record lies where `benchmarks/twenty.sh` looks for what it keeps.

Equal work is not equal time. `--time` trains nothing that is kept: both methods' steps take turns, alone on all cores,
and what share of the other's minutes the run would have taken is kept in docs/results/twenty/times, of each round.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from twenty_page import title

from prodgen_jax import open_prepared
from prodgen_jax.cli.huge_pages import with_huge_pages
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import Comparison, Place, steps_for, tag
from prodgen_jax.methods.spec import Spec
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.loop import loop
from prodgen_jax.training.recipe import Recipe, recipe

KEPT = Path(__file__).parents[1] / "docs/results/twenty"
UNCOUNTED, COUNTED = 2, 12  # steps of each turn


def player(made: Recipe, prepared: PreparedSet) -> Callable[[int], float]:
    """A training of one's own, played n steps at a time; returns their seconds."""
    ticks = loop(made.build(Spec.of(prepared)), prepared.split("train"), made.loop, made.augment, seed=0)

    def play(n: int) -> float:
        begun = time.perf_counter()
        for _ in range(n):
            metrics = next(ticks).metrics
        jax.block_until_ready(metrics)
        return time.perf_counter() - begun

    play(UNCOUNTED)  # compiles
    return play


def shares(prepared: PreparedSet, own: tuple[Recipe, int], other: tuple[Recipe, float], rounds: int) -> list[float]:
    """Each a recipe and its steps: how much of the other's time one's own take, round by round."""
    players, found = [(player(made, prepared), steps) for made, steps in (own, other)], []
    for i in range(rounds):
        seconds = {}
        for play, steps in players if i % 2 == 0 else players[::-1]:
            play(UNCOUNTED)
            seconds[play] = play(COUNTED) / COUNTED * steps
        mine, theirs = (seconds[play] for play, _ in players)
        found.append(mine / theirs)
        print(f"round {i + 1}: {found[-1]:.2f} of its minutes", flush=True)
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("work", type=Path)
    p.add_argument("method")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("--like", required=True, help="the method whose runs, as it comes, say how much work it is")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--time", type=int, metavar="ROUNDS", help="no run: how long its steps take beside the other's")
    args = p.parse_args()
    prepared = open_prepared(args.data)
    records = [json.loads(file.read_text()) for file in (KEPT / "records").glob(f"{args.like}-*.json")]
    trials = [record["trial"] for record in records if title(record) == args.like]
    settings = dict(pair.split("=", 1) for pair in args.set)
    wanted = Comparison((args.method,), minutes=20, samples=5000, settings={args.method: settings})
    made = wanted.check()[args.method]
    steps = steps_for(np.mean([trial["flop"] for trial in trials]), made, Spec.of(prepared))
    if args.time:
        theirs = float(np.mean([trial["steps"] for trial in trials]))
        found = {"like": args.like, "steps": steps, "their_steps": theirs}
        found |= {"shares": shares(prepared, (made, steps), (recipe(args.like), theirs), args.time)}
        file = KEPT / "times" / f"{args.method}-{tag(made)}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1))
        return
    place = Place(args.work, prepared, feature_network(prepared), wanted)
    record = place.one(made, "time", args.seed, {"steps": steps})
    print(f"{args.method}, seed {args.seed}: {steps} steps, FCD {record['samples']['fcd']:.2f}")


if __name__ == "__main__":
    with_huge_pages()
    main()
