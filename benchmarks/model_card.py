"""Writes a model's card and its sheet: what it is, what it was trained on, how good it is, and what it cannot do.

python benchmarks/model_card.py pretrained:fashion32 RECORD.json --runs RUN [RUN ...] --out CARD.md --sheet SHEET.png
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import open_run, sample
from prodgen_jax.evaluation.figures import canvas, heading, picture, results_table, save_figure

ASKED = (
    "watches",
    "black handbag for women",
    "red tshirt for men",
    "blue jeans",
    "white sports shoes",
    "women's heels",
    "brown sunglasses",
    "pink kurta",
)
EACH = 14
LIMITS = """- It draws 32 x 32 pixels of single products on plain grounds, as its catalogue shows them: nothing else.
- It knows the words of its catalogue's names and attributes, and no grammar. Other words are passed over.
- What its catalogue has few photos of, it draws badly: look at the accuracy by attribute above.
- Its catalogue is one Indian fashion shop's, with that shop's shares of genders, kinds and brands; ask it
  for nothing that needs another. People appear in the photos as wearers, at a size at which no one is recognized.
- Pictures that lie too close to a training photo were looked for; the count stands above."""


def draw_sheet(run, path: Path) -> None:
    """One line of pictures per line of words, which stands above it."""
    figure, axes = canvas(9.6, 0.85 * len(ASKED), len(ASKED))
    for axis, text in zip(axes[:, 0], ASKED, strict=True):
        pictures, _ = sample(run, EACH, seed=7, text=text)
        picture(axis, np.concatenate(list(pictures), axis=1), "bicubic")
        heading(axis, text)
    save_figure(figure, path)


def accuracy_table(found: dict) -> list[str]:
    rows = ["| asked for | read as asked | on real photos | ratio | chance |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, row in found.items():
        if "accuracy" in row:
            numbers = (f"{row[key]:.1%}" for key in ("accuracy", "real"))
            rows.append(f"| {name} | {' | '.join(numbers)} | {row['ratio']:.2f} | {row['chance']:.1%} |")
    return rows


def span(shares: list[float]) -> str:
    return f"{min(shares):.0%} to {max(shares):.0%}" if shares else "not measured"


def budget(part) -> str:
    return f"{part.step:,} steps with least_snr={part.recipe.method.least_snr:g}"


def card(model: str, run, before: list, record: dict, sheet: str) -> str:
    how, copies, pairs = run.recipe.method, record["copies"], record["control"].get("pairs", [])
    photos = record["prepared"]["splits"]["train"]
    count = sum(leaf.size for leaf in jax.tree.leaves(run.params))
    both = {kind: [pair[kind]["both_right"] for pair in pairs if kind in pair] for kind in ("new", "seen")}
    return "\n".join(
        [
            f"# {model}",
            "",
            "Made by `benchmarks/pretrained.sh`; every number here is its output.",
            "",
            f"A conditional {run.config['method'].upper()} of {count:,} parameters that draws {run.spec.size} px "
            f"product photos from words: `prodgen sample {model} --text \"red tshirt for men\" --out sheet.png`, "
            "or by attributes: `--where articleType=Watches`.",
            "",
            f"![{', '.join(ASKED)}]({sheet})",
            "",
            f"- **Data**: the public 'Fashion Product Images (Small)' collection, {photos:,} training photos; captions "
            f"from its names and attributes, {len(run.vocabulary.words):,} words.",
            f"- **Budget**: {' and then '.join(map(budget, before))} of {run.recipe.loop.batch} pictures, "
            f"{sum(part.seconds for part in before) / 60:.0f} minutes on 2 CPU cores, which other work shared.",
            f"- **Draws by** {how.sampler}, {how.sample_steps} steps, guidance {how.guidance}; a draw can be told "
            "otherwise with `--set`.",
            "",
            f"## Quality: {record['n']['samples']:,} samples against {record['n']['reference']:,} held-out photos",
            "",
            results_table([{**record, "name": model}], full=True),
            "",
            "## Does it draw what is asked?",
            "",
            "Asked for in words, with the attributes of training products; read by a second network.",
            "",
            *accuracy_table(record["control"]["attributes"]),
            "",
            f"Two attributes at once, both read as asked: {span(both['seen'])} for values that stand together in "
            f"training, {span(both['new'])} for values that never do, by pair of attributes.",
            "",
            f"Too close to a training photo: {copies['copies']} of {copies['of']}.",
            "",
            "## Limits",
            "",
            LIMITS,
            "",
        ]
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("record", type=Path)
    parser.add_argument("--runs", nargs="+", required=True, help="that it was trained in, in order")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, required=True)
    args = parser.parse_args()
    run = open_run(args.model)
    draw_sheet(run, args.sheet)
    record = json.loads(args.record.read_text(encoding="utf-8"))
    up = "/".join([".."] * (len(args.out.parts) - 1))
    args.out.write_text(
        card(args.model, run, [open_run(part) for part in args.runs], record, f"{up}/{args.sheet}"), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
