"""Does a GAN leave kinds of products out, and what brings them back? Trained in equal steps; the page.

python benchmarks/collapse.py train PREPARED_SET WORK --steps 4000 --half 0
python benchmarks/collapse.py page PREPARED_SET WORK --out docs/results

Can be interrupted and called again: what is finished in WORK is not done again.
"""

import argparse
import json
import os
import platform
from itertools import product
from pathlib import Path

import jax
import numpy as np
from families_page import draw_sheet

from prodgen_jax import open_prepared, open_run, recipe
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import cell
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.intervals import over_seeds
from prodgen_jax.evaluation.modes import birthday
from prodgen_jax.evaluation.sets import density_coverage, distances, frechet_distance, precision_recall
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.fit import fit

KIND = "articleType"
COMPONENTS, JUDGED = 3, 0.15  # of the mixture; the part of a component's steps in which its judge learns
GAMES = {
    "one GAN": ("dcgan", {"stddev_group": 0}),
    "minibatch deviation": ("dcgan", {"stddev_group": 4}),
    "AdaGAN": ("adagan", {"components": COMPONENTS, "stddev_group": 0}),
}
WAYS = {f"{game}, {r1}": (method, {**asked, **off}) for r1, off in (("no R1", {"r1": 0.0}), ("R1", {}))
        for game, (method, asked) in GAMES.items()}  # fmt: skip
SEEDS, N, COLUMNS = 3, 2000, 14
MET = 0.25  # of its share among photos, and a type counts as drawn
SAME = 500  # one pair of photos in so many is as near to each other as two that count as the same
SHOWN = {
    "FCD": "fcd", "precision": "precision", "recall": "recall", "coverage": "coverage", "types drawn": "drawn",
    "photos of the others": "lost", "shares that are off": "off", "acts as if of": "things",
}  # fmt: skip
HEAD = (
    "Made by `benchmarks/collapse.sh SET WORK STEPS`; every number here is its output. One core of {cores} for a run, "
    "two at a time, python {python}, jax {jax}. The catalogue: the public 'Fashion Product Images (Small)' collection, "
    "{train:,} training photos at {size} px. Each way has {steps:,} steps of {batch} photos, an AdaGAN's {components} "
    "components together as many; {n:,} samples of each run are measured against {test:,} held-out photos. The mean of "
    "{seeds} seeds stands with half of its 95 % interval."
)
READ = (
    "*Types*: a second network, by which nothing was trained or chosen, reads {kind} off photos and samples ({types} "
    "types). One is *drawn* if it has at least {met:.0%} of its share among the photos; *photos of the others*: the "
    "share of held-out photos whose type is not drawn. *Shares that are off*: how many of the samples would have to be "
    "of another type for all shares to be right (the total variation). *Acts as if of*: the birthday test (Arora & "
    "Zhang 2018), where one pair of photos in {same} is as near as two that count as the same, so that photos act as "
    "if of {same}. It says nothing here: pictures that are wrong in many ways are never the same, so they seem more "
    "varied than photos."
)
BOOSTED = (
    "Boosting does not pay here: each component of an AdaGAN has a third of the steps, and is far from finished. "
    "{mixture:.0%} of the goods are of a type that it does not draw, {one:.0%} where one GAN has all of them (no R1)."
)


def settings(way: str, steps: int) -> tuple[str, dict]:
    """A way's method and settings; an AdaGAN's components have alike many of the steps."""
    method, asked = WAYS[way]
    if method == "adagan":
        phase = steps // COMPONENTS
        asked = {**asked, "phase": phase, "judge": round(JUDGED * phase)}
    return method, asked


def place_of(work: Path, way: str, seed: int) -> Path:
    return work / "runs" / way.replace(", ", "-").replace(" ", "_") / str(seed)


def train(prepared: PreparedSet, work: Path, steps: int, half: int) -> None:
    for seed, way in list(product(range(SEEDS), WAYS))[half::2]:
        method, asked = settings(way, steps)
        fit(recipe(method, **asked), prepared, place_of(work, way, seed), seed=seed, steps=steps, resume=True)


class Bench:
    """Measures pictures against held-out photos, with a set's two networks."""

    def __init__(self, prepared: PreparedSet):
        self.network, self.judge = feature_network(prepared), control_network(prepared)
        self.types = len(prepared.attributes[KIND])
        photos = np.asarray(prepared.split("test").images)
        self.held, self.shares = self.network.features(photos), self.read(photos)
        _, squares = next(distances(self.held, self.held, len(self.held)))
        self.radius = float(np.sqrt(np.quantile(squares[np.triu_indices(len(squares), 1)], 1 / SAME)))

    def read(self, images: np.ndarray) -> np.ndarray:
        """The share of each type."""
        return np.bincount(self.judge.predict(images)[KIND], minlength=self.types) / len(images)

    def __call__(self, images: np.ndarray) -> dict[str, float]:
        features, shares = self.network.features(images), self.read(images)
        precision, recall = precision_recall(self.held, features)
        drawn = (shares >= MET * self.shares) & (self.shares > 0)
        return {
            "fcd": frechet_distance(self.held, features),
            "precision": precision,
            "recall": recall,
            "coverage": density_coverage(self.held, features)[1],
            "drawn": int(drawn.sum()),
            "lost": float(self.shares[~drawn].sum()),
            "off": float(np.abs(shares - self.shares).sum() / 2),
            "things": birthday(features, self.radius)[0],
        }


def page(prepared: PreparedSet, work: Path, out: Path, note: str) -> None:
    bench, kept = Bench(prepared), work / "found.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    train = prepared.split("train").images
    photos = np.asarray(train[np.sort(np.random.default_rng(0).choice(len(train), N, replace=False))])
    shown = {}
    rows = [["photos", *(cell((value, None)) for value in bench(photos).values())]]
    ways = {}
    for way in WAYS:
        for seed in range(SEEDS):
            run, name = open_run(place_of(work, way, seed)), f"{way} {seed}"
            if name not in found or seed == 0:
                images = draw(run.method, run.params, N, seed, {})
                found[name] = bench(images)
                kept.write_text(json.dumps(found))
                print(name, found[name], flush=True)
                shown |= {way: images[:COLUMNS]} if seed == 0 else {}
        ways[way] = {key: over_seeds([found[f"{way} {seed}"][key] for seed in range(SEEDS)]) for key in SHOWN.values()}
        rows.append([way, *(cell(value) for value in ways[way].values())])
    place = out / "collapse"
    place.mkdir(parents=True, exist_ok=True)
    draw_sheet(shown, place / "samples.png")
    (place / "found.json").write_text(json.dumps(ways, indent=1))
    said = {
        "cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__, "size": prepared.size,
        "train": prepared.splits["train"], "test": prepared.splits["test"], "steps": run.step, "n": N, "seeds": SEEDS,
        "batch": run.recipe.loop.batch, "components": COMPONENTS, "kind": KIND, "met": MET, "same": SAME,
        "types": int((bench.shares > 0).sum()),
    }  # fmt: skip
    text = ["# Kinds of products that a GAN leaves out", "", HEAD.format(**said), ""]
    text += [f"**Note.** {note}", ""] if note else []
    text += ["![samples of each way](collapse/samples.png)", "", markdown(["", *SHOWN], rows), "", READ.format(**said)]
    mixture, one = (ways[f"{game}, no R1"]["lost"][0] for game in ("AdaGAN", "one GAN"))
    text += ["", BOOSTED.format(mixture=mixture, one=one)] if mixture > one else []
    (out / "collapse.md").write_text("\n".join([*text, ""]), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="do", required=True)
    one, two = ways.add_parser("train"), ways.add_parser("page")
    for each in (one, two):
        each.add_argument("data")
        each.add_argument("work", type=Path)
    one.add_argument("--steps", type=int, required=True)
    one.add_argument("--half", type=int, choices=(0, 1), required=True, help="of the runs, so that two cores can share")
    two.add_argument("--out", type=Path, required=True)
    two.add_argument("--note", default="")
    args = parser.parse_args()
    if args.do == "train":
        train(open_prepared(args.data), args.work, args.steps, args.half)
    else:
        page(open_prepared(args.data), args.work, args.out, args.note)


if __name__ == "__main__":
    main()
