"""Writes docs/results/translation.md and its sheets from what `benchmarks/translation.sh` left in its work folder.

python benchmarks/translation_page.py PREPARED_SET WORK --out docs/results
"""

import argparse
import json
import os
import platform
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import open_prepared, open_run
from prodgen_jax.data.images import sheet
from prodgen_jax.evaluation.figures import canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.tables import plain
from prodgen_jax.evaluation.translation import translated

COLUMNS = 14
JUDGES = {"critic": "critics", "eye": "a trained eye"}  # by their group of parameters
MEASURES = {  # what is said of them, and how they are written
    "psnr_db": ("PSNR, dB", plain),
    "ssim": ("SSIM", "{:.3f}".format),
    "color_error": ("color error", plain),
    "fcd": ("FCD", plain),
}


def draw_sheet(pairs, path: Path) -> None:
    """What was given, and what was made of it, for the first held-out photos."""
    figure, axes = canvas(9.6, 1.67, 2)
    for axis, (name, images) in zip(axes[:, 0], sides(pairs).items(), strict=True):
        picture(axis, sheet(images[:COLUMNS], columns=COLUMNS), "bicubic")
        heading(axis, name)
    save_figure(figure, path)


def sides(pairs) -> dict[str, np.ndarray]:
    return {"given": pairs.given, "made": pairs.made}


def rows(task: str, found: dict) -> list[tuple]:
    names = {"made": f"**{task}**: made", "source": "the source as it is", "mean": f"mean photo of its {found['kind']}"}
    if "lanczos" in found:
        names |= {"source": "bicubic", "lanczos": "Lanczos"}
    return [(title, *(write(found[who][key]) for key, (_, write) in MEASURES.items())) for who, title in names.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--note", default="", help="what else was going on")
    args = parser.parse_args()
    prepared, body, budgets, pictures = open_prepared(args.data), [], [], []
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(args.work.glob("*.json"))}
    for task, record in records.items():
        run = open_run(args.work / task)
        draw_sheet(translated(run, prepared, "test", COLUMNS, seed=1), args.out / "translation" / f"{task}.png")
        body += rows(task, record["paired"])
        (own,) = run.params.keys() - JUDGES.keys()
        count = sum(leaf.size for leaf in jax.tree.leaves(run.params[own]))
        first = "mean absolute error" if own == "generator" else "denoising"
        judges = [first, *(JUDGES[group] for group in JUDGES if group in run.params)]
        budgets.append((task, ", ".join(judges), f"{count:,}", f"{run.step:,}", f"{run.seconds / 60:.1f}"))
        pictures += [f"### {task}", "", f"![{task}: given, and made](translation/{task}.png)", ""]
    record = next(iter(records.values()))
    lines = [
        "# Pictures from pictures, measured",
        "",
        "Made by `benchmarks/translation.sh`; every number here is its output.",
        f"{os.cpu_count()} CPU cores, python {platform.python_version()}, jax {record['versions']['jax']}. {args.note}",
        "",
        "pix2pix on the public 'Fashion Product Images (Small)' catalogue, beside the source as it is and the mean",
        f"training photo of its kind: {record['paired']['n']:,} held-out photos of {prepared.size} px. `small2` and",
        "`small4` enlarge pictures two and four times by the mean absolute error alone, `srgan2` and `srgan4` with a",
        "trained eye and critics beside it; `ddpm-edges` is a diffusion model that is given the edges. The color error",
        "is the mean distance in CIE L\\*a\\*b\\*. FCD is against these very photos, so it can lie below the floor of",
        "two sets of different photos.",
        "",
        markdown(("", *(title for title, _ in MEASURES.values())), body),
        "",
        markdown(("task", "trained by", "generator's parameters", "steps of 32", "minutes"), budgets),
        "",
        *pictures,
    ]
    (args.out / "translation.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
