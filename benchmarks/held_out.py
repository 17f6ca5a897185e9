"""Can a model put together what it never saw together? docs/results/held_out.md, its sheet and its numbers.

python benchmarks/held_out.py PREPARED_SET WORK --steps 8000 --out docs/results

Usual kinds in usual colors are taken out of the training photos, each kind and each color once, so that the model knows
white goods and T-shirts, but no white T-shirt. The same model is trained on all photos as well, for as many steps, and
a second network that knows them all says what it reads off the samples of both, and off photos of these goods. Can be
interrupted and called again: what is finished in WORK is not done again. `--train without` and `--train all` train one
of the two and stop, so that both can be trained at once.
"""

import json
import os
import platform
from pathlib import Path

import jax
import numpy as np
from families_page import page_parser
from jaxtyping import Int
from subset import subset

from prodgen_jax import fit, open_prepared, recipe, sample
from prodgen_jax.data.halves import rows_of_half
from prodgen_jax.data.images import sheet
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.control import HALF, control_network
from prodgen_jax.evaluation.figures import canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.intervals import wilson
from prodgen_jax.training.features import FeatureNetwork
from prodgen_jax.training.run import Run

METHOD, KIND, COLOR = "latent", "articleType", "baseColour"
LEAST, MOST_SHARE = 60, 0.25  # photos of a pair; and their share among those of its kind, and of its color
N, SHOWN, GUIDED = 100, 7, 2.0  # samples of each pair, of them on the sheet; the scale of guidance
TRAINED = {"without": "never saw it", "all": "saw it"}
READS = ("both", KIND, COLOR)

Pair = tuple[int, int]

HEAD = (
    "Made by `benchmarks/held_out.py SET WORK --steps {steps}`; every number here is its output. Python {python}, jax "
    "{jax}, {cores} cores; steps are the budget. The catalogue: the public 'Fashion Product Images (Small)' "
    "collection, {train:,} training photos at {size} px."
)
ASKED = (
    "{pairs} usual kinds in usual colors, {photos:,} photos, were taken out of the training photos: each kind and each "
    "color once, and no more than a quarter of either. `{method}`, told {kind} and {color}, learned from the others "
    "for {steps:,} steps, and once more from all of them. Each was then asked for {n} pictures of every pair. A second "
    "network, with other weights, that learned from one half of *all* photos, reads kind and color off them; *photos*: "
    "off those of the pair in the other half."
)
TABLE = "Share of pictures whose kind *and* color are read as asked for"
EACH = "The same over all pairs, with its 95 % interval, and the shares of each by itself"


def chosen(table: Int[np.ndarray, "kinds colors"]) -> list[Pair]:
    """The pairs to hold out, the most frequent first: each kind and each color once. table: photos of each pair."""
    most = MOST_SHARE * np.minimum(table.sum(1, keepdims=True), table.sum(0))
    enough = (table >= LEAST) & (table <= most)
    found: list[Pair] = []
    for kind, color in sorted(zip(*np.nonzero(enough), strict=True), key=lambda pair: -table[pair]):
        if all(kind != k and color != c for k, c in found):
            found.append((int(kind), int(color)))
    return found


def counted(prepared: PreparedSet) -> Int[np.ndarray, "kinds colors"]:
    labels = prepared.split("train").labels
    known = (labels[KIND] >= 0) & (labels[COLOR] >= 0)
    table = np.zeros((len(prepared.attributes[KIND]), len(prepared.attributes[COLOR])), int)
    np.add.at(table, (labels[KIND][known], labels[COLOR][known]), 1)
    return table


def rows_with(prepared: PreparedSet, pairs: list[Pair]) -> np.ndarray:
    """Which training photos show one of the pairs."""
    labels = prepared.split("train").labels
    return np.any([(labels[KIND] == kind) & (labels[COLOR] == color) for kind, color in pairs], axis=0)


def reading(judge: FeatureNetwork, images: np.ndarray, pair: Pair) -> dict[str, int]:
    """Of how many pictures the judge reads kind, color, and both as they should be."""
    read = judge.predict(images)
    right = {name: read[name] == value for name, value in zip((KIND, COLOR), pair, strict=True)}
    right["both"] = right[KIND] & right[COLOR]
    return {"n": len(images)} | {name: int(right[name].sum()) for name in READS}


def held_photos(prepared: PreparedSet, pair: Pair) -> np.ndarray:
    """Photos of a pair that the judge did not learn from."""
    other = rows_of_half(prepared.splits["train"], 1 - HALF)
    rows = np.intersect1d(other, np.flatnonzero(rows_with(prepared, [pair])))
    return np.asarray(prepared.split("train").images[rows])


def named(prepared: PreparedSet, pair: Pair) -> dict[str, str]:
    return {name: prepared.attributes[name][value] for name, value in zip((KIND, COLOR), pair, strict=True)}


def measured(runs: dict[str, Run], prepared: PreparedSet, pairs: list[Pair]) -> tuple[list[dict], dict]:
    """({what is read} of each pair, {name of the model: pictures to show of each pair})."""
    judge, found, shown = control_network(prepared), [], {which: [] for which in runs}
    for pair in pairs:
        at = {**named(prepared, pair), "taken_out": int(rows_with(prepared, [pair]).sum())}
        at["photos"] = reading(judge, held_photos(prepared, pair), pair)
        for which, run in runs.items():
            for scale in (1.0, GUIDED):
                images, _ = sample(run, N, 0, named(prepared, pair), {"guidance": scale})
                at[f"{which}, guidance {scale:g}"] = reading(judge, images, pair)
            shown[which].append(images[:SHOWN])
        found.append(at)
    return found, shown


def share(at: dict, what: str = "both") -> str:
    return f"{at[what] / at['n']:.2f}"


def columns(runs: dict) -> dict[str, str]:
    """{key of a record: heading of its column}."""
    models = {f"{which}, guidance {scale:g}": f"{TRAINED[which]}{', guided' if scale > 1 else ''}"
              for scale in (1.0, GUIDED) for which in runs}  # fmt: skip
    return {"photos": "photos", **models}


def totals(found: list[dict], heads: dict[str, str]) -> dict[str, dict]:
    return {key: {what: sum(at[key][what] for at in found) for what in ("n", *READS)} for key in heads}


def pair_table(found: list[dict], heads: dict[str, str]) -> str:
    rows = [[f"{at[COLOR]} {at[KIND]}", f"{at['taken_out']:,}", *(share(at[key]) for key in heads)] for at in found]
    return markdown(["pair", "taken out", *heads.values()], rows)


def total_table(total: dict[str, dict], heads: dict[str, str]) -> str:
    rows = []
    for key, title in heads.items():
        low, high = wilson(total[key]["both"], total[key]["n"])
        rows.append([title, f"{total[key]['n']:,}", f"{share(total[key])} ({low:.2f} to {high:.2f})",
                     share(total[key], KIND), share(total[key], COLOR)])  # fmt: skip
    return markdown(["", "pictures", "both", KIND, COLOR], rows)


def draw_sheets(found: list[dict], shown: dict[str, list], path: Path) -> None:
    """A pair in each row: what the model that never saw it draws, and beside it the one that did."""
    figure, axes = canvas(9.6, 0.92 * len(found), len(found), len(shown))
    for row, at in enumerate(found):
        for axis, (which, images) in zip(axes[row], shown.items(), strict=True):
            picture(axis, sheet(images[row], SHOWN), "bicubic")
            heading(axis, f"{at[COLOR]} {at[KIND]}, {TRAINED[which]}")
    save_figure(figure, path)


def main() -> None:
    parser = page_parser(__doc__)
    parser.add_argument("--steps", type=int, required=True, help="of each of the two trainings")
    parser.add_argument("--train", choices=TRAINED, help="train this one and stop")
    args = parser.parse_args()
    prepared = open_prepared(args.data)
    pairs = chosen(counted(prepared))
    rest = np.flatnonzero(~rows_with(prepared, pairs))
    sets = {"without": subset(prepared, rest, args.work / "set", f"without {len(pairs)} pairs"), "all": prepared}
    made = recipe(METHOD, condition=(KIND, COLOR))
    runs = {
        which: fit(made, own, args.work / which, steps=args.steps, seed=0, resume=True)
        for which, own in sets.items()
        if args.train in (None, which)
    }
    if args.train:
        return
    found, shown = measured(runs, prepared, pairs)
    heads = columns(runs)
    total = totals(found, heads)
    place = args.out / "held_out"
    draw_sheets(found, shown, place / "pairs.png")
    what = {"method": METHOD, "steps": args.steps, "attributes": [KIND, COLOR], "titles": heads, "total": total}
    (place / "pairs.json").write_text(json.dumps({**what, "pairs": found}, indent=1))
    head = HEAD.format(
        steps=args.steps, cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__,
        train=prepared.splits["train"], size=prepared.size,
    )  # fmt: skip
    said = ASKED.format(
        pairs=len(pairs), photos=prepared.splits["train"] - len(rest), method=METHOD, kind=KIND, color=COLOR, n=N,
        steps=args.steps,
    )  # fmt: skip
    text = ["# What was never seen together", "", head, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    text += [said, "", f"## {TABLE}", "", pair_table(found, heads), "", f"{EACH}.", "", total_table(total, heads), ""]
    text += [f"## Samples, guided by {GUIDED:g}", "", "![a pair in each row](held_out/pairs.png)", ""]
    (args.out / "held_out.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
