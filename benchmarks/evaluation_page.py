"""Writes docs/results/evaluation.md from what `benchmarks/evaluation.sh` left in its work folder.

python benchmarks/evaluation_page.py WORK --out docs/results
"""

import argparse
import json
from pathlib import Path

from prodgen_jax.evaluation.figures import markdown, save_figure
from prodgen_jax.evaluation.plots import TITLES, leakage_plot, self_test_plot, shop_plot
from prodgen_jax.evaluation.sections import near, percent


def self_test(found: dict) -> list[str]:
    rows = [
        [TITLES[key], f"{at['floor']:.3g} ± {at['spread']:.1g}", *(f"{at[name][-1]:.3g}" for name in found["rungs"]),
         "passed" if at["passed"] else f"FAILED: {', '.join(at['failed'])}"]
        for key, at in found["metrics"].items()
    ]  # fmt: skip
    said = (
        f"{found['n']} photos at a time: {found['floors']} draws of real ones, then one of them spoiled in steps; here "
        "the last step of each ladder. A measure that fails is struck out in every table."
    )
    head = ["measure", "real photos", *found["rungs"], "verdict"]
    return ["## Do the measures see what they claim?", "", said, "", markdown(head, rows), "",
            "![each measure along its ladders](evaluation/self_test.png)", ""]  # fmt: skip


def copies(found: dict) -> list[str]:
    rows = [
        [f"{kind}{' *' if kind in found['promised'] else ''}", percent(share)]
        for kind, share in found["planted_recall"].items()
    ]
    said = (
        f"The bar ({found['threshold']:.3f}) comes from {found['held_out']:,} validation photos; of "
        f"{found['false_alarms_of']:,} test photos {percent(found['false_alarms'])} fall below it. Planted copies "
        f"found, of {found['planted_of_each']} each (* promised):"
    )
    return ["## Copies", "", said, "", markdown(["kind", "found"], rows), ""]


def usefulness(found: dict) -> list[str]:
    rows = [
        [f"{at['photos']:,} photos ({at['share']:.0%})", near(at["alone"]), near(at["with_samples"]), near(at["gain"])]
        for at in found["shares"]
    ]
    said = (
        f"Classifiers of {found['attribute']} ({found['values']} values, the commonest in "
        f"{percent(found['commonest'])} of the held-out photos), {found['steps']} steps each, {found['seeds']} seeds. "
        f"From {found['n']:,} samples alone: {near(found['samples'])}; from as many photos: {near(found['real'])}."
    )
    head = ["learned from", "alone", "with the samples", "gain"]
    return ["## What do the samples teach a classifier?", "", said, "", markdown(head, rows), ""]


def control(found: dict) -> list[str]:
    rows = [
        [name, percent(at["accuracy"]), "{:.1%} to {:.1%}".format(*at["interval"]), percent(at["real"]),
         percent(at["shuffled"]), percent(at["chance"])]
        for name, at in found["attributes"].items()
        if "refused" not in at
    ]  # fmt: skip
    head = ["attribute", "as asked", "interval", "real photos", "shuffled", "chance"]
    return ["## Do samples show what was asked for?", "", "Asked in words, read by the second network.", "",
            markdown(head, rows), "", "![what moves with what](evaluation/leakage.png)", ""]  # fmt: skip


def speed(found: dict) -> list[str]:
    said = (
        f"`benchmarks/scoring.py`: {found['n']['samples']:,} pictures against {found['n']['reference']:,} photos at "
        f"{found['size']} px, all measures, copies, categories, shop rules and style, feature extraction included, on "
        f"{found['cores']} cores: {found['cold']:.0f} s at first (compilation), {found['warm']:.0f} s again; at most "
        f"{found['peak_gb']:.1f} GB."
    )
    return ["## How long does it take?", "", said, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    record, seconds = (json.loads((args.work / name).read_text()) for name in ("fashion32.json", "seconds.json"))
    for name, figure in {
        "self_test": self_test_plot(record["self_test"]),
        "leakage": leakage_plot(record["control"]["leakage"]),
        "shop": shop_plot(record["shop"]),
    }.items():
        save_figure(figure, args.out / "evaluation" / f"{name}.png")
    at, floor = record["samples"], record["floor"]
    parts = [
        "# Evaluation, measured",
        "",
        "Made by `benchmarks/evaluation.sh SET WORK`; every number here is its output. The public 'Fashion Product "
        f"Images (Small)' catalogue at {record['prepared']['size']} px; the samples are `pretrained:fashion32`'s, "
        f"asked in words for what {record['n']['samples']:,} training photos show: FCD {at['fcd']:.1f} (real photos "
        f"{floor['fcd']:.1f}), recall {at['recall']:.2f} ({floor['recall']:.2f}).",
        "",
        *self_test(record["self_test"]),
        *control(record["control"]),
        *copies(seconds["copies"]),
        *usefulness(record["usefulness"]),
        "## Shop rules",
        "",
        "![pass rates beside the catalogue's own photos](evaluation/shop.png)",
        "",
        *speed(seconds),
    ]
    (args.out / "evaluation.md").write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
