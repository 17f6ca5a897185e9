"""Writes docs/results/twenty.md, its sheet and numbers from what `benchmarks/twenty.sh` left.

python benchmarks/twenty_page.py PREPARED_SET WORK --out docs/results
"""

import json
import os
import platform

import jax
from diffusion_page import run_of, trials
from families_page import COLUMNS, draw_sheet, page_arguments, price, quality

from prodgen_jax import open_prepared, open_run, sample

HEAD = (
    "Made by `benchmarks/twenty.sh SET WORK METHODS SEEDS`; every number here is its output. All {cores} cores, one "
    "training after the other, python {python}, jax {jax}. The catalogue: the public 'Fashion Product Images (Small)' "
    "collection, {train:,} training photos at {size} px, {n:,} samples of each run measured against {test:,} held-out "
    "photos, whose own FCD against training photos is {floor:.3g}. The settings are those that each method has by "
    "default. Of several seeds the mean stands with half of its 95 % interval; of one seed a few FCD mean nothing. "
    "[spine.md](spine.md) has diffusers' UNet2D within as many minutes (by another feature network: compare what "
    "stands in one table); [diffusion.md](diffusion.md) and [families.md](families.md) have more methods and seeds, in "
    "12 minutes of one core."
)


def main() -> None:
    args = page_arguments(__doc__)
    prepared, work, place = open_prepared(args.data), args.work, args.out / "twenty"
    place.mkdir(parents=True, exist_ok=True)
    found, methods = json.loads((work / "compare.json").read_text()), trials(work)
    first = {file.stem.split("-")[0]: file for file in (work / "records" / "time").glob("*-0.json")}
    one = json.loads(next(iter(first.values())).read_text())
    rows = {"photos that no method has seen": prepared.split("test").images[:COLUMNS]}
    for name in sorted(first, key=lambda name: methods[name]["fcd"]):
        run = open_run(run_of(work, first[name]))
        rows[f"{name}, {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
    draw_sheet(rows, place / "samples.png")
    (place / "compare.json").write_text(json.dumps({"minutes": found["minutes"], "methods": methods}, indent=1))
    said = HEAD.format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, train=prepared.splits["train"],
        size=prepared.size, test=prepared.splits["test"], n=found["samples"], floor=one["floor"]["fcd"],
    )  # fmt: skip
    text = [f"# {found['minutes']:g} minutes on {os.cpu_count()} cores", "", said, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    text += [quality(methods, one), "", price(methods), "", "![samples of each method](twenty/samples.png)", ""]
    (args.out / "twenty.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
