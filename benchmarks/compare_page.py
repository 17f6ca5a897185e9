"""Writes docs/results/compare.md, its sheets and the comparison itself from what `benchmarks/compare.sh` left.

python benchmarks/compare_page.py PREPARED_SET WORK --out docs/results [--pinned]
"""

import argparse
import json
import os
import platform
import shutil
from pathlib import Path

import jax

from prodgen_jax import open_prepared, open_run, sample
from prodgen_jax.data.images import sheet
from prodgen_jax.evaluation.compare import report
from prodgen_jax.evaluation.figures import canvas, heading, picture, save_figure

COLUMNS = 20
BUDGETS = {"time": "the same minutes", "work": "the same work"}


def draw_sheet(work: Path, budget: str, methods: dict, path: Path) -> None:
    """The first samples of each method's first seed."""
    rows = {}
    for name in methods:
        run = open_run(next((work / "runs" / budget).glob(f"{name}-*")) / "0")
        rows[f"{name}, {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
    figure, axes = canvas(9.6, 0.75 * len(rows), len(rows))
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        picture(axis, sheet(images, COLUMNS), "bicubic")
        heading(axis, name)
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pinned", action="store_true", help="it ran on one core")
    args = parser.parse_args()
    prepared, found = open_prepared(args.data), json.loads((args.work / "compare.json").read_text())
    place = args.out / "compare"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("compare.json", "frontier.png"):
        shutil.copy(args.work / name, place)
    sheets = []
    for budget, methods in found["budgets"].items():
        draw_sheet(args.work, budget, methods, place / f"{budget}.png")
        sheets += [f"## Samples after {BUDGETS[budget]}", "", f"![samples of each method](compare/{budget}.png)", ""]
    cores = f"{os.cpu_count()} cores"
    if args.pinned:
        cores = f"One core of {os.cpu_count()} (the other did other work)"
    title, _, tables = report(found).partition("\n")
    head = (
        "Made by `benchmarks/compare.sh SET WORK MINUTES [CORE]`; every number here is its output. "
        f"{cores}, python {platform.python_version()}, jax {jax.__version__}. The catalogue: the public "
        f"'Fashion Product Images (Small)' collection, {prepared.splits['train']:,} training photos at "
        f"{prepared.size} px, measured against {prepared.splits['test']:,} held-out ones. The settings are those "
        "that each method has by default; nothing was tried for this comparison. The budget is short: "
        "[spine.md](spine.md) has three of the families after 20 minutes, where diffusion leads. "
        "`notebooks/71_equal_compute` takes the numbers apart."
    )
    figure = "![quality and speed; realism and variety](compare/frontier.png)"
    text = "\n".join([title, "", head, tables, "", "## The frontier, within the same minutes", "", figure, "", *sheets])
    (args.out / "compare.md").write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
