"""Writes docs/results/families.md, its sheet and numbers, and the card of the StyleGAN that comes with the package,
from what `benchmarks/families.sh` left.

python benchmarks/families_page.py PREPARED_SET WORK --out docs/results
"""

import argparse
import json
import os
import platform
import shutil
from pathlib import Path

import jax
from compare_page import draw_sheet

from prodgen_jax import open_prepared, open_run, sample
from prodgen_jax.evaluation.compare import SHOWN, report
from prodgen_jax.evaluation.figures import markdown, sample_sheet, save_figure
from prodgen_jax.training.validate import Validation

CARD = Path(__file__).parents[1] / "prodgen_jax" / "pretrained" / "stylegan32.md"


def held_out_bits(work: Path, methods: dict, prepared) -> list[list[str]]:
    """[method, what is measured, bits per number] on held-out photos, of each method that has a likelihood."""
    rows = []
    for name in methods:
        run = open_run(next((work / "runs" / "time").glob(f"{name}-*")) / "0")
        if run.method.validate is not None:
            measured, value = Validation(name, run.method, prepared.split("test"), 0, 100)(run.params)
            rows.append([name, measured.replace("_", " "), f"{value:.3f}"])
    return sorted(rows, key=lambda row: float(row[2]))


def peer_rows(work: Path) -> list[list[str]]:
    """The peer's own samples and those of its averaged weights, measured like all others."""
    made = json.loads((work / "peer" / "dcgan.json").read_text())
    rows = []
    for file, name in (("dcgan", "its weights"), ("dcgan-ema", "its averaged weights")):
        found = json.loads((work / "peer" / f"{file}.record.json").read_text())["samples"]
        rows.append(
            [name, *(f"{found[key]:.3g}" for key in SHOWN.values()), f"{made['steps']:,}", f"{made['seconds']:.0f}"]
        )
    return rows


def card(found: dict, work: Path, prepared, floor: float) -> str:
    at = found["budgets"]["time"]["stylegan"]
    run = open_run(next((work / "runs" / "time").glob("stylegan-*")) / "0")
    row = ["pretrained:stylegan32", *(f"{at[key][0]:.3g}" for key in SHOWN.values())]
    return "\n".join(
        [
            "# pretrained:stylegan32",
            "",
            "Made by `benchmarks/families.sh`; every number here is its output.",
            "",
            f"A small StyleGAN that draws 32 px product photos ({at['parameters']:,} parameters with its critic): "
            "`prodgen sample pretrained:stylegan32 -n 64 --out sheet.png`; safer ones: `--set truncation=0.7`.",
            "",
            "![samples](../../docs/results/families/stylegan32.png)",
            "",
            "- **Data**: the public 'Fashion Product Images (Small)' collection, "
            f"{prepared.splits['train']:,} training photos.",
            f"- **Budget**: {run.step:,} steps of {run.recipe.loop.batch}, {run.seconds / 60:.0f} minutes of one core.",
            "",
            f"## Quality: {found['samples']:,} samples against {prepared.splits['test']:,} held-out photos",
            "",
            markdown(["", *SHOWN], [row]),
            "",
            f"Of real photos the FCD is {floor:.3g}. Other families in the same minutes: docs/results/families.md.",
            "",
            "## Limits",
            "",
            "- It takes no wishes: what is drawn follows from the seed alone.",
            "- Straps, laces and glasses break; prints are blotches. It knows one shop's photos at 32 px.",
            f"- Of the samples above {at['copies']} were flagged as copies of a training photo.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--note", default="", help="what was different about this run, for the page")
    args = parser.parse_args()
    prepared, found = open_prepared(args.data), json.loads((args.work / "compare.json").read_text())
    methods, place = found["budgets"]["time"], args.out / "families"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(args.work / "compare.json", place)
    draw_sheet(args.work, "time", methods, prepared, place / "samples.png")
    made = sample(open_run("pretrained:stylegan32"), 100, seed=0)[0]
    save_figure(
        sample_sheet(made, "pretrained:stylegan32, seed 0: the first hundred", columns=20), place / "stylegan32.png"
    )
    floor = next((args.work / "records" / "time").glob("*.json"))
    floor = json.loads(floor.read_text())["floor"]["fcd"]
    peer = json.loads((args.work / "peer" / "dcgan.json").read_text())
    own = methods["dcgan"]
    _, _, tables = report(found).partition("\n")
    head = (
        "Made by `benchmarks/families.sh SET WORK MINUTES CORE PEER_PYTHON`; every number here is its output. One core "
        f"of {os.cpu_count()} (the other did other work), python {platform.python_version()}, jax {jax.__version__}. "
        "The catalogue: the public 'Fashion Product Images (Small)' collection, "
        f"{prepared.splits['train']:,} training photos at {prepared.size} px, measured against "
        f"{prepared.splits['test']:,} held-out ones, whose own FCD against training photos is {floor:.3g}. The "
        "settings are those that each method has by default. One seed each: a few FCD mean nothing."
        + (f"\n\n**Note.** {args.note}" if args.note else "")
    )
    beside = (
        f"PyTorch's own DCGAN tutorial (torch {peer['torch']}; {peer['parameters']:,} parameters of both players, "
        f"where a StyleGAN here has {methods['stylegan']['parameters']:,} and a DCGAN {own['parameters']:,}), as many "
        "minutes on the same core. It has batch normalization and steps of 64 photos."
    )
    bits = (
        "The bits that a photo's numbers cost, 8 as they are; smaller is better. A VAE's are a bound with one draw of "
        "the code, a VQ-VAE's those of its codes and of the photo given them. GANs have no likelihood."
    )
    names = ["samples of", *SHOWN, "steps", "s"]
    text = "\n".join(
        ["# GANs and autoencoders within the same minutes", "", head, tables.rstrip(), ""]
        + ["## Beside a DCGAN in PyTorch", "", beside, "", markdown(names, peer_rows(args.work)), ""]
        + ["## Bits per number on held-out photos", "", bits, ""]
        + [markdown(["method", "what", "value"], held_out_bits(args.work, methods, prepared)), ""]
        + ["## Samples", "", "![samples of each method](families/samples.png)"]
    )
    (args.out / "families.md").write_text(text + "\n", encoding="utf-8")
    CARD.write_text(card(found, args.work, prepared, floor), encoding="utf-8")


if __name__ == "__main__":
    main()
