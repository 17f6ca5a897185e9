"""Writes docs/results/families.md, its sheets and numbers, and the models of these families that come with the package,
with their cards, from what `benchmarks/families.sh` left.

python benchmarks/families_page.py PREPARED_SET WORK --out docs/results
"""

import argparse
import json
import os
import platform
import shutil
from pathlib import Path

import jax
from family_models import ASKED, TOLD, draw_grid, records, seed_0, ship, title, untold

from prodgen_jax import open_prepared, open_run, sample
from prodgen_jax.data.images import sheet
from prodgen_jax.evaluation.compare import SHOWN, cell, summarize
from prodgen_jax.evaluation.figures import canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.intervals import over_seeds
from prodgen_jax.evaluation.tables import plain

FAMILIES = ("stylegan", "progressive", "dcgan", "adagan", "wgan_gp", "ae", "vae", "vaegan", "vqvae")
COLUMNS = 14
MEASURES = {"FCD": "fcd", "KID": "kid", **SHOWN}
ENDS = {"floor": "real photos (floor)", "ceiling": "Gaussian per pixel (ceiling)"}

HEAD = (
    "Made by `benchmarks/families.sh SET WORK MINUTES CORE PEER_PYTHON`; every number here is its output. One core of "
    "{cores} (the other did other work), python {python}, jax {jax}. The catalogue: the public 'Fashion Product Images "
    "(Small)' collection, {train:,} training photos at {size} px, measured against {test:,} held-out ones, whose own "
    "FCD against training photos is {floor:.3g}. The settings are those that each method has by default. Where there "
    "are three seeds, the mean stands with half of its 95 % interval; of one seed a few FCD mean nothing."
)
ASKING = (
    "Methods that are told attributes, asked for those of training photos drawn at random (cgan and cvae for all). "
    "*Of real*: how often a second network, with other weights and other photos, reads a sample as what was asked for, "
    "over how often it reads held-out photos right. Their FCD is not comparable with that of the methods above: the "
    "catalogue's shares of kinds and colors are given to them."
)
BESIDE = (
    "PyTorch's own DCGAN tutorial (torch {torch}; {parameters:,} parameters of both players, where a StyleGAN here has "
    "{stylegan:,} and a DCGAN {dcgan:,}), as many minutes on the same core. It has batch normalization and steps of 64 "
    "photos."
)
KEPT = (
    "How near a held-out photo comes back through the code, and how much of the difference of neighboring pixels is "
    "left; pca: principal components, as many numbers as the others' codes have."
)
BITS = (
    "The bits that a photo's numbers cost, 8 as they are; smaller is better. A VAE's are a bound with one draw of the "
    "code (cvae: told all that the table says), a VQ-VAE's those of its codes and of the photo given them. GANs have "
    "no likelihood. A page of the VQ-VAE's codes costs {alike:,.0f} bits if all are alike, {often:,.0f} by how often "
    "each is used, and {prior:,.0f} by the prior."
)


def asked_rows(work: Path) -> dict:
    """What notebooks show of the conditional families: {"attributes", "methods": {name: measures and ratios}}."""
    methods = {}
    for name in ASKED:
        rows = records(work, title(name))
        at = {key: over_seeds([row["samples"][key] for row in rows]) for key in SHOWN.values()}
        ratio = {a: over_seeds([row["control"]["attributes"][a]["ratio"] for row in rows]) for a in TOLD}
        methods[name] = {
            "seeds": len(rows),
            **at,
            "ratio": ratio,
            "steps": over_seeds([row["trial"]["steps"] for row in rows]),
        }
    return {"attributes": list(TOLD), "methods": methods}


def quality(methods: dict, record: dict) -> str:
    """Of all methods, between real photos in the place of samples and independent Gaussians, as in `record`."""
    ranked = sorted(methods.items(), key=lambda item: item[1]["fcd"][0])
    ends = [[name, "", *(plain(record[end][key]) for key in MEASURES.values())] for end, name in ENDS.items()]
    rows = [[name, at["seeds"], *(cell(at[key]) for key in MEASURES.values())] for name, at in ranked]
    return markdown(["method", "seeds", *MEASURES], [ends[0], *rows, ends[1]])


def price(methods: dict) -> str:
    rows = [
        [name, f"{at['steps'][0]:,.0f}", f"{at['seconds'][0]:.0f}", f"{at['flop'][0] / 1e12:.3g}",
         cell(at["images_per_second"]), at["tried"]]
        for name, at in sorted(methods.items(), key=lambda item: item[1]["fcd"][0])
    ]  # fmt: skip
    return markdown(["method", "steps", "s", "TFLOP", "samples/s", "settings tried"], rows)


def asked_table(found: dict) -> str:
    rows = [
        [name, at["seeds"], *(cell(at[key]) for key in SHOWN.values()), *(cell(at["ratio"][a]) for a in TOLD)]
        for name, at in sorted(found["methods"].items(), key=lambda item: item[1]["fcd"][0])
    ]
    return markdown(["method", "seeds", *SHOWN, *(f"{a}: of real" for a in TOLD)], rows)


def peer_table(work: Path, peer: dict) -> str:
    """The peer's own samples and those of its averaged weights, measured like all others."""
    rows = []
    for file, name in (("dcgan", "its weights"), ("dcgan-ema", "its averaged weights")):
        found = json.loads((work / "peer" / f"{file}.record.json").read_text())["samples"]
        rows.append(
            [name, *(f"{found[key]:.3g}" for key in SHOWN.values()), f"{peer['steps']:,}", f"{peer['seconds']:.0f}"]
        )
    return markdown(["samples of", *SHOWN, "steps", "s"], rows)


def kept_table(kept: dict) -> str:
    rows = [
        [name, f"{at['psnr']:.1f}", f"{at['edges']:.2f}", f"{next(iter(kept['bits'][name].values())):.3f}"
         + (" given its code" if name == "ae" else "") if name in kept["bits"] else ""]
        for name, at in sorted(kept["rebuilt"].items(), key=lambda item: -item[1]["psnr"])
    ]  # fmt: skip
    return markdown(["autoencoder", "PSNR, dB", "pixel differences left", "bits per number"], rows)


def draw_sheet(rows: dict, path: Path, columns: int = COLUMNS) -> None:
    """A row of pictures below each name."""
    figure, axes = canvas(9.6, 0.75 * len(rows), len(rows))
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        picture(axis, sheet(images, columns), "bicubic")
        heading(axis, name)
    save_figure(figure, path)


def page_parser(doc: str) -> argparse.ArgumentParser:
    """data, work, out and note: what a page is written from, and where to."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--note", default="", help="what was different about this run, for the page")
    return parser


def main() -> None:
    args = page_parser(__doc__).parse_args()
    prepared, work, place = open_prepared(args.data), args.work, args.out / "families"
    place.mkdir(parents=True, exist_ok=True)
    found = {**json.loads((work / "compare.json").read_text())}
    methods = summarize({name: records(work, untold(name)) for name in FAMILIES}, work / "runs" / "time")
    asked = asked_rows(work)
    found["budgets"] = {"time": methods}
    shutil.copy(work / "autoencoders.json", place)
    kept = json.loads((place / "autoencoders.json").read_text())
    for name, what in (("compare", found), ("told", asked)):
        (place / f"{name}.json").write_text(json.dumps(what, indent=1))
    peer = json.loads((work / "peer" / "dcgan.json").read_text())
    beside = records(work, untold("dcgan"))[0]
    rows = {}
    for name, of in [*((name, untold(name)) for name in FAMILIES), *((f"{name}, told", title(name)) for name in ASKED)]:
        run = seed_0(work, of)
        rows[f"{name}, {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
    draw_sheet(rows, place / "samples.png")
    longer = ship(work, prepared)
    draw_grid(open_run("pretrained:stylegan32"), place / "stylegan32.png")
    long_row = [f"{longer['samples'][key]:.3g}" for key in SHOWN.values()]
    control = [f"{longer['control']['attributes'][a]['ratio']:.2f}" for a in TOLD]
    said = HEAD.format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, train=prepared.splits["train"],
        size=prepared.size, test=prepared.splits["test"], floor=beside["floor"]["fcd"],
    )  # fmt: skip
    text = "\n".join(
        ["# GANs and autoencoders within the same minutes", "", said, ""]
        + ([f"**Note.** {args.note}", ""] if args.note else [])
        + [f"## {found['minutes']:g} minutes of training each", "", quality(methods, beside), "", price(methods), ""]
        + ["## Told what to draw", "", ASKING, "", asked_table(asked), ""]
        + ["The StyleGAN that comes with the package was trained for longer:", ""]
        + [markdown(["", "steps", *SHOWN, *(f"{a}: of real" for a in TOLD)],
                    [["pretrained:stylegan32", f"{open_run(work / 'stylegan32').step:,}", *long_row, *control]]), ""]
        + ["![a type in each row, a color in each pair of columns](families/stylegan32.png)", ""]
        + ["## Beside a DCGAN in PyTorch", ""]
        + [BESIDE.format(**peer | {name: methods[name]["parameters"] for name in ("stylegan", "dcgan")}), ""]
        + [peer_table(work, peer), ""]
        + ["## What autoencoders keep, and what it costs", "", KEPT, "", kept_table(kept), ""]
        + [BITS.format(**{key.split()[-1]: value for key, value in kept["codes"].items()}), ""]
        + ["## Samples", "", "![samples of each method](families/samples.png)"]
    )  # fmt: skip
    (args.out / "families.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
