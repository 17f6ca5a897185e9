"""Writes docs/results/twenty.md, its sheet and numbers from what `benchmarks/twenty.sh` left.

python benchmarks/twenty_page.py PREPARED_SET WORK --out docs/results
"""

import json
import os
import platform

import jax
from diffusion_page import run_of
from families_page import COLUMNS, draw_sheet, page_arguments, price, quality

from prodgen_jax import open_prepared, open_run, recipe, sample
from prodgen_jax.evaluation.compare import summarize
from prodgen_jax.training.run import Run

HEAD = (
    "Made by `benchmarks/twenty.sh SET WORK METHODS SEEDS`; every number here is its output. All {cores} cores, one "
    "training after the other, python {python}, jax {jax}. The catalogue: the public 'Fashion Product Images (Small)'"
    " collection, {train:,} training photos at {size} px, {n:,} samples of each run measured against {test:,} "
    "held-out photos, whose own FCD against training photos is {floor:.3g}. The settings are those that each method "
    "has by default, but for what is named. Of several seeds the mean stands with half of its 95 % interval; of one "
    "seed a few FCD mean nothing. [spine.md](spine.md) has diffusers' UNet2D within as many minutes (by another "
    "feature network: compare what stands in one table); [diffusion.md](diffusion.md) and [families.md](families.md) "
    "have more methods and seeds, in 12 minutes of one core."
)


def title(run: Run) -> str:
    """The method, and what is set that is not its default."""
    usual = recipe(run.recipe.name).settings()
    other = [f"{key}={value}" for key, value in run.recipe.settings().items() if value != usual[key]]
    return ", ".join([run.recipe.name, *other])


def main() -> None:
    args = page_arguments(__doc__)
    prepared, work, place = open_prepared(args.data), args.work, args.out / "twenty"
    place.mkdir(parents=True, exist_ok=True)
    minutes, folder = json.loads((work / "compare.json").read_text())["minutes"], work / "records" / "time"
    methods, drawn = {}, {}
    for file in sorted(folder.glob("*-0.json")):
        run = open_run(run_of(work, file))
        rows = [json.loads(seed.read_text()) for seed in sorted(folder.glob(file.name.replace("-0.json", "-*.json")))]
        methods[title(run)] = summarize({run.recipe.name: rows}, work / "runs" / "time")[run.recipe.name]
        drawn[f"{title(run)}: {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
        one = rows[0]
    photos = {"photos that no method has seen": prepared.split("test").images[:COLUMNS]}
    draw_sheet(photos | drawn, place / "samples.png")
    (place / "compare.json").write_text(json.dumps({"minutes": minutes, "methods": methods}, indent=1))
    said = HEAD.format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, train=prepared.splits["train"],
        size=prepared.size, test=prepared.splits["test"], n=one["n"]["given"], floor=one["floor"]["fcd"],
    )  # fmt: skip
    text = [f"# {minutes:g} minutes on {os.cpu_count()} cores", "", said, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    text += [quality(methods, one), "", price(methods), "", "![samples of each method](twenty/samples.png)", ""]
    (args.out / "twenty.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
