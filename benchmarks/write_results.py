"""Writes docs/results/spine.md and its pictures from what `benchmarks/spine.sh` left in its work folder.

python benchmarks/write_results.py WORK --out docs/results --readme README.md
"""

import argparse
import json
import os
import platform
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from prodgen_jax import open_run
from prodgen_jax.data.images import save_png, sheet
from prodgen_jax.evaluation.figures import canvas, heading, picture, results_table, save_figure
from prodgen_jax.sampling.sample import load_samples

NAMES = {"ddpm": "DDPM", "dcgan": "DCGAN", "vae": "VAE", "diffusers": "diffusers (PyTorch)"}
MARK, END = "<!-- results: benchmarks/write_results.py -->", "<!-- end of results -->"
COLUMNS, ROWS, ZOOM = 16, 6, 2  # of a sheet; pixels of the page per pixel of a sample


def overview(rows: dict[str, np.ndarray], path: Path) -> None:
    """One line of pictures per set, named on its left."""
    figure, axes = canvas(9.6, 0.9 * len(rows), rows=len(rows))
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        picture(axis, sheet(images[:COLUMNS], columns=COLUMNS))
        heading(axis, name)
    save_figure(figure, path)


def enlarged_sheet(images: np.ndarray, path: Path) -> None:
    whole = Image.fromarray(sheet(images[: COLUMNS * ROWS], columns=COLUMNS))
    size = (whole.width * ZOOM, whole.height * ZOOM)
    save_png(path, np.asarray(whole.resize(size, Image.Resampling.NEAREST)))


def budget(work: Path, name: str) -> str:
    """How far each training came, from the run or from the peer's own record."""
    if name == "diffusers":
        peer = json.loads((work / "samples" / "diffusers.json").read_text(encoding="utf-8"))
        rate, seconds = peer["images_per_s"], peer["seconds"]
        return f"{peer['parameters']:,} | {peer['steps']:,} | {rate:.0f} | {seconds:.0f}"
    run = open_run(work / name)
    count = sum(x.size for group in run.method.ema for x in jax.tree.leaves(run.params[group]))
    pictures = run.step * run.recipe.loop.batch
    return f"{count:,} | {run.step:,} | {pictures / run.seconds:.0f} | {run.seconds:.0f}"


def page(work: Path, records: dict[str, dict], note: str) -> str:
    first = next(iter(records.values()))
    network = first["network"]
    budgets = [f"| {NAMES[name]} | {budget(work, name)} |" for name in records]
    accuracy = ", ".join(f"{name} {scores['accuracy']:.3f}" for name, scores in network["accuracy"].items())
    return "\n".join(
        [
            "# The spine, measured",
            "",
            "Made by the commands of `benchmarks/spine.sh CATALOG.csv PHOTOS.zip WORK PEER_PYTHON`; every number here "
            "is their output.",
            f"{os.cpu_count()} CPU cores, python {platform.python_version()}, jax {first['versions']['jax']}.",
            "The catalogue: the public 'Fashion Product Images (Small)' collection, "
            f"{first['prepared']['splits']['train']:,} training photos at {first['prepared']['size']} px.",
            "",
            "![samples](spine/overview.png)",
            "",
            f"## Quality: {first['n']['samples']:,} samples against {first['n']['reference']:,} held-out photos",
            "",
            results_table(list(records.values()), full=True),
            "",
            "FCD is the Frechet distance over the catalogue's own feature network, "
            f"`{network['weights_sha256'][:12]}`, {network['steps']:,} steps; its test accuracy: {accuracy}.",
            "One seed each: differences of a few FCD mean nothing yet.",
            *(["", f"**Note.** {note}"] if note else []),
            "",
            "## Budget",
            "",
            "| method | parameters of the generator | steps | images/s | s of training |",
            "| --- | ---: | ---: | ---: | ---: |",
            *budgets,
            "",
            *(f"## {NAMES[name]}\n\n![{NAMES[name]}](spine/{name}.png)\n" for name in records),
        ]
    )


def between(text: str, records: dict[str, dict]) -> str:
    """The README with the table between its marks replaced."""
    before, rest = text.split(MARK, 1)
    return before + MARK + "\n\n" + results_table(list(records.values())) + "\n\n" + END + rest.split(END, 1)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of spine.md")
    parser.add_argument(
        "--note", default="", help="what a reader must know of this run, if it was not as the script says"
    )
    parser.add_argument("--readme", type=Path, help="a page whose table between the marks is written anew")
    args = parser.parse_args()
    records = {}
    for name, title in NAMES.items():
        file = args.work / "records" / f"{name}.json"
        if file.exists():
            records[name] = {**json.loads(file.read_text(encoding="utf-8")), "name": title}
    # samples alone: a catalogue's own photos are not ours to publish
    rows = {NAMES[name]: load_samples(args.work / "samples" / f"{name}.npz") for name in records}
    overview(rows, args.out / "spine" / "overview.png")
    for name in records:
        enlarged_sheet(rows[NAMES[name]], args.out / "spine" / f"{name}.png")
        record = args.out / "spine" / f"{name}.json"
        record.write_text(json.dumps(records[name], indent=2) + "\n", encoding="utf-8")
    (args.out / "spine.md").write_text(page(args.work, records, args.note), encoding="utf-8")
    if args.readme:
        args.readme.write_text(between(args.readme.read_text(encoding="utf-8"), records), encoding="utf-8")


if __name__ == "__main__":
    main()
