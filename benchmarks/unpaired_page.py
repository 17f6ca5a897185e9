"""Writes docs/results/unpaired.md and its sheets from what `benchmarks/unpaired.sh` left in its work folder.

python benchmarks/unpaired_page.py PREPARED_SET WORK PAIR [PAIR ...] --out docs/results
"""

import argparse
import json
import os
import platform
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import open_prepared, open_run
from prodgen_jax.data.domains import in_words
from prodgen_jax.data.images import sheet
from prodgen_jax.evaluation.figures import canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.tables import plain
from prodgen_jax.evaluation.unpaired import photos_of
from prodgen_jax.sampling.translate import translate

COLUMNS = 14
SPLITS = ("validation", "test")


def draw_sheet(run, prepared, domain, back: bool, path: Path) -> None:
    """What is made of the first held-out photos of a domain, and what comes back of that."""
    photos = photos_of(domain, prepared, SPLITS)[0][:COLUMNS]
    made = translate(run, photos, settings={"back": back})[1]
    again = translate(run, made, settings={"back": not back})[1]
    figure, axes = canvas(9.6, 1.67, 2)
    rows = {"made": made, "and back": again}
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        picture(axis, sheet(np.asarray(images), columns=COLUMNS), "bicubic")
        heading(axis, name)
    save_figure(figure, path)


def percent(share: float) -> str:
    return f"{share:.0%}"


def reached(way: dict) -> list[tuple]:
    return [
        (
            name,
            percent(at["made"]),
            "{:.0%} to {:.0%}".format(*at["interval"]),
            percent(at["source"]),
            percent(at["real"]),
        )
        for name, at in way["reached"].items()
    ]


def kept(way: dict) -> list[tuple]:
    return [(name, percent(at["made"]), percent(at["source"])) for name, at in way["kept"].items()]


def section(pair: str, name: str, way: dict, place: str) -> list[str]:
    kid, cycle = way["kid"], way["cycle"]
    return [
        f"### {in_words(way['from'])} → {in_words(way['to'])}",
        "",
        f"![made, and back]({place})",
        "",
        f"{way['n']} held-out photos. There and back: PSNR {cycle['psnr_db']:.1f} dB, color error "
        f"{plain(cycle['color_error'])}. KID to the training photos",
        f"of the domain to reach: made {kid['made']:.1f}, the photos as they are {kid['source']:.1f}, "
        f"real ones {kid['real']:.1f}.",
        "",
        markdown(("reached", "made", "95 %", "as they are", "real ones"), reached(way)),
        "",
        markdown(("kept", "made", "as they are"), kept(way)),
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    prepared, body, budgets = open_prepared(args.data), [], []
    for pair in args.pairs:
        run, record = open_run(args.work / pair), json.loads((args.work / f"{pair}.json").read_text(encoding="utf-8"))
        count = sum(leaf.size for leaf in jax.tree.leaves(run.params["generator"]))
        budgets.append((pair, f"{count:,}", f"{run.step:,}", f"{run.seconds / 60:.1f}"))
        body += [f"## {pair}", ""]
        for name, domain in zip(("there", "back"), run.method.domains, strict=True):
            place = f"unpaired/{pair}-{name}.png"
            draw_sheet(run, prepared, domain, name == "back", args.out / place)
            body += section(pair, name, record["unpaired"][name], place)
    lines = [
        "# Pictures from pictures without pairs, measured",
        "",
        "Made by `benchmarks/unpaired.sh`; every number here is its output.",
        f"{os.cpu_count()} CPU cores, which other work shared, python {platform.python_version()}, "
        f"jax {record['versions']['jax']}.",
        "",
        "CycleGANs between domains of the public 'Fashion Product Images (Small)' catalogue, at "
        f"{prepared.size} px. A second network, which had",
        "no part in training, reads held-out photos and what is made of them: *reached* is the share that has the",
        "attribute of the domain to reach, *kept* the share that is read as the catalogue says of the photo. That",
        "network errs on real photos too, so both stand beside what it reads of them.",
        "",
        markdown(("pair", "both generators' parameters", "steps of 8", "minutes"), budgets),
        "",
        *body,
    ]
    (args.out / "unpaired.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
