"""What pruning takes and what training wins back: the text-to-image model that comes with the package, on real photos.

python benchmarks/pruning.py PREPARED_SET WORK --steps 600 --out docs/results

Writes docs/results/pruning.json, which notebook 81 shows. Every number in it is its output. The speed is that of warm
calls, all models in turns; let nothing else run.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import jax
from fewer_bits import quality

from prodgen_jax import export, fit, open_prepared, open_run, recipe
from prodgen_jax.cli.huge_pages import with_huge_pages
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.deploy.prune import prune
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.run import Run
from prodgen_jax.training.start import begun_with

MODEL, SAMPLES = "pretrained:fashion32", 1000
CUTS = {"half of the channels": {"channels": 0.5}, "70 % of the weights": {"weights": 0.7}}
BATCH, ROUNDS = 64, 5


def trained_on(file: Path, prepared: PreparedSet, out: Path, steps: int) -> Path:
    """What so many steps more make of a pruned model, as a file; its zeros stay."""
    start = open_run(file)
    made = recipe("ddpm", **begun_with(start, "ddpm"), adapt="sparse")
    export(fit(made, prepared, out, steps=steps, start=start, resume=True), out.with_suffix(".safetensors"))
    return out.with_suffix(".safetensors")


def seconds(runs: dict[str, Run]) -> dict[str, float]:
    """Of a warm call that draws BATCH pictures: the median of rounds in which all take turns."""
    found = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):  # the first compiles
        for name, run in runs.items():
            begun = time.perf_counter()
            draw(run.method, run.params, BATCH, 0)
            found[name].append(time.perf_counter() - begun)
    return {name: median(times[1:]) for name, times in found.items()}


def row(name: str, run: Run, took: float, prepared: PreparedSet) -> dict:
    numbers = sum(int((leaf != 0).sum()) for leaf in jax.tree.leaves(run.params))
    about = {"model": name, "mb": run.path.stat().st_size / 1e6, "parameters": numbers, "seconds": took}
    return about | quality(run, SAMPLES, prepared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=600, help="of training after each cut")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    prepared, runs = open_prepared(args.data), {"as it comes": open_run(MODEL)}
    for name, cut in CUTS.items():
        (what,) = cut
        prune(runs["as it comes"], args.work / f"{what}.safetensors", **cut)
        runs[f"without {name}"] = open_run(args.work / f"{what}.safetensors")
        longer = trained_on(args.work / f"{what}.safetensors", prepared, args.work / f"{what}_longer", args.steps)
        runs[f"without {name}, {args.steps} steps later"] = open_run(longer)
    took, rows = seconds(runs), []
    for name, run in runs.items():
        rows.append(row(name, run, took[name], prepared))
        print(rows[-1], flush=True)
    shown = [key for key in rows[0] if key not in ("model", "mb", "parameters", "seconds")]
    found = {"of": MODEL, "batch": BATCH, "steps": args.steps, "shown": shown, "rows": rows}
    (args.out / "pruning.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    with_huge_pages()
    main()
