"""A kind of product that a model has never seen, learned from few photos: the catalogue's parting, and the page.

python benchmarks/fine_tuning.py part CATALOG.csv WORK TYPE      -> WORK/new.csv: that type; WORK/others.csv: all else
python benchmarks/fine_tuning.py page WHOLE_SET WORK --out docs/results
"""

import argparse
import csv
import json
import os
import platform
from itertools import product
from pathlib import Path

import jax
import numpy as np
from families_page import draw_sheet

from prodgen_jax import open_prepared, open_run
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import cell
from prodgen_jax.evaluation.control import as_in_training, control_network
from prodgen_jax.evaluation.copies import find_copies
from prodgen_jax.evaluation.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, canvas, heading, markdown, save_figure
from prodgen_jax.evaluation.intervals import over_seeds
from prodgen_jax.evaluation.sets import frechet_distance, precision_recall
from prodgen_jax.methods.adapt import LORA, named
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.run import Run

COLUMN, COLOR = "articleType", "baseColour"
WAYS = {"scratch": GREY, "scratch-long": ORANGE, "full": BLUE, "frozen": GREEN, "lora": VERMILION}
SEEDS, N, COLUMNS = 3, 500, 14
SAMPLER = {"sampler": "dpmpp2m", "sample_steps": 20}
LEAST = 15  # held-out photos of a color that one is asked for
MEASURES = {"FCD": "fcd", "precision": "precision", "recall": "recall", "copies": "copies"}
COLORS = {"colors among the photos": "seen", "colors not among them": "unseen"}
HEAD = (
    "Made by `benchmarks/fine_tuning.sh`; every number here is its output. One core of {cores} (the other did other "
    "work), python {python}, jax {jax}. A DDPM learned from {others:,} photos of the public 'Fashion Product Images "
    "(Small)' catalogue at 32 px, without a single one of {kind}, for {minutes:.0f} minutes ({base:,} steps), told the "
    "color. It then meets {train} photos of {kind}, {share:.1%} of the {all:,} that the shop has, and {held:,} that it "
    "never sees are what its samples are measured against. Each way has {steps} steps of {batch}; {val} more photos "
    "are for validation."
)
WAY_TEXT = (
    "*scratch*: nothing learned before; *scratch-long*: with three times the steps. *full*: all parameters go on from"
    " the trained ones. *frozen*: the way down, the middle and the embeddings stay. *lora*: a matrix of rank {rank} "
    "beside each kernel, and the kernels stay. *Trained*: the share of the network's parameters. *Copies*: samples "
    "that are one of the {train} photos, to an eye that takes {alarms:.1%} of photos that nobody trained on for such."
    " *Colors*: samples that a second network reads as asked, as it does held-out photos ({seen}: {real[seen]:.0%}; "
    "{unseen}: {real[unseen]:.0%}). {n} samples a seed, {sampler[sample_steps]} steps of {sampler[sampler]}; the mean"
    " of {seeds} seeds stands with half of its 95 % interval. Half of the held-out photos against the other half have"
    " FCD {floor:.3g}."
)
STOP_TEXT = (
    "The same runs, each at the check where its validation loss was lowest. That loss is decided at middle and low "
    "noise, by how edges and cloth look. What kind of thing is drawn is decided where nearly all is noise, and that "
    "hardly counts in it."
)
GAIN = "Of what full fine-tuning gains in FCD, over {begun}: adapters have {lora:.0%}, frozen parts {frozen:.0%}."
FROM = {"scratch": "scratch at equal steps", "scratch-long": "scratch with three times the steps"}


def part(catalog: Path, work: Path, kind: str) -> None:
    rows = list(csv.DictReader(catalog.open(encoding="utf-8", newline="")))
    for name, among in (("new", True), ("others", False)):
        with open(work / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row for row in rows if (row[COLUMN] == kind) == among)


def trained_share(run: Run) -> float:
    """Of the network's parameters, those that the run trained."""
    sizes = {name: leaf.size for name, leaf in named(run.params["unet"]).items()}
    adapters = sum(leaf.size for leaf in named(run.params.get("unet" + LORA, {})).values())
    stays = tuple(f"{name}." for name in run.recipe.adapt.freeze)
    moved = adapters or sum(n for name, n in sizes.items() if not name.startswith(stays))
    return moved / sum(sizes.values())


def curve(run: Path) -> tuple[list[int], list[float]]:
    """(steps, validation losses) of a run."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    checks = [(row["step"], row["validation/denoise"]) for row in rows if "validation/denoise" in row]
    return [step for step, _ in checks], [value for _, value in checks]


class Bench:
    """Measures runs on the photos of the new kind that nobody trained on, with the whole catalogue's networks."""

    def __init__(self, whole: PreparedSet, new: PreparedSet):
        self.new, self.network, self.judge = new, feature_network(whole), control_network(whole)
        self.place = {value: i for i, value in enumerate(whole.attributes[COLOR])}
        self.held = self.network.features(new.split("test").images)
        values = new.attributes[COLOR]
        count = {name: np.bincount(new.split(name).labels[COLOR] + 1, minlength=len(values) + 1)[1:]
                 for name in ("train", "test")}  # fmt: skip
        often = count["test"] >= LEAST
        self.colors = {"seen": np.flatnonzero(often & (count["train"] > 0)),
                       "unseen": np.flatnonzero(often & (count["train"] == 0))}  # fmt: skip
        self.read_right = {which: self.on_photos(some) for which, some in self.colors.items()}

    def right(self, images: np.ndarray, wanted: np.ndarray) -> float:
        """Share that is read as the wanted colors, which are counted in the new set's values."""
        names = self.new.attributes[COLOR]
        return float(np.mean(self.judge.predict(images)[COLOR] == [self.place[names[i]] for i in wanted]))

    def on_photos(self, colors: np.ndarray) -> float:
        """Of each color alike many photos, as it is asked for."""
        test = self.new.split("test")
        each = [np.flatnonzero(test.labels[COLOR] == c)[:LEAST] for c in colors]
        rows = np.concatenate(each)
        return self.right(np.asarray(test.images[np.sort(rows)]), test.labels[COLOR][np.sort(rows)])

    def __call__(self, run: Run, seed: int) -> tuple[dict, np.ndarray]:
        method = run.sampling_with(SAMPLER)
        images = draw(method, run.params, N, seed, as_in_training(run, self.new, N, seed))
        precision, recall = precision_recall(self.held, features := self.network.features(images))
        found = {"fcd": frechet_distance(self.held, features), "precision": precision, "recall": recall}
        found["copies"] = float(find_copies(images, self.new).copied.mean())
        for which, colors in self.colors.items():
            wanted = np.resize(colors, LEAST * len(colors)).astype(np.int32)
            found[which] = self.right(draw(method, run.params, len(wanted), seed, {COLOR: wanted}), wanted)
        return {**found, "trained": trained_share(run), "step": run.step}, images[:COLUMNS]


def curves(work: Path, path: Path) -> None:
    figure, axes = canvas(7.2, 2.8)
    heading(axes[0, 0], "Loss on validation photos of the new kind")
    for way, color in WAYS.items():
        for seed in range(SEEDS):
            axes[0, 0].plot(
                *curve(work / "runs" / way / str(seed)), color=color, linewidth=1.2, label=way if not seed else None
            )
    axes[0, 0].set_xlabel("step", fontsize=8)
    axes[0, 0].set_yscale("log")
    axes[0, 0].tick_params(which="both", labelsize=8)
    axes[0, 0].legend(fontsize=7, frameon=False)
    save_figure(figure, path)


def table(ways: dict) -> str:
    rows = [
        [way, f"{at['trained'][0]:.1%}", *(cell(at[key]) for key in (*MEASURES.values(), *COLORS.values()))]
        + [f"{at['step'][0]:.0f}"]
        for way, at in ways.items()
    ]
    return markdown(["", "trained", *MEASURES, *COLORS, "step"], rows)


def page(whole: PreparedSet, work: Path, out: Path, note: str) -> None:
    new, others, base = open_prepared(work / "new"), open_prepared(work / "others"), open_run(work / "base")
    bench, place = Bench(whole, new), out / "fine_tuning"
    kept, shown = work / "found.json", {}
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for way, seed in product(WAYS, range(SEEDS)):
        run = work / "runs" / way / str(seed)
        for at, stop in ((open_run(run), "last"), (open_run(run / "best"), "best")):
            name, first = f"{way} {seed} {stop}", seed == 0 and stop == "last"
            if name not in found or first:
                found[name], images = bench(at, seed)
                kept.write_text(json.dumps(found))
                print(name, found[name], flush=True)
                shown |= {way: images} if first else {}
    place.mkdir(parents=True, exist_ok=True)
    draw_sheet(shown, place / "samples.png")
    curves(work, place / "curves.png")
    keys = (*MEASURES.values(), *COLORS.values(), "trained", "step")
    stops = {
        stop: {
            way: {key: over_seeds([found[f"{way} {seed} {stop}"][key] for seed in range(SEEDS)]) for key in keys}
            for way in WAYS
        }
        for stop in ("last", "best")
    }
    (place / "found.json").write_text(json.dumps(stops, indent=1))
    half = len(bench.held) // 2
    fcd = {way: at["fcd"][0] for way, at in stops["last"].items()}
    gains = {begun: {way: fcd[begun] - fcd[way] for way in ("full", "lora", "frozen")} for begun in FROM}
    one = open_run(work / "runs" / "lora" / "0")
    values = new.attributes[COLOR]
    said = {
        "cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__, "kind": "handbags",
        "others": others.splits["train"], "minutes": base.seconds / 60, "base": base.step, "held": new.splits["test"],
        "train": new.splits["train"], "val": new.splits["validation"], "all": sum(new.splits.values()),
        "share": new.splits["train"] / sum(new.splits.values()), "steps": one.step, "batch": one.recipe.loop.batch,
        "rank": one.recipe.adapt.rank, "n": N, "sampler": SAMPLER, "seeds": SEEDS, "real": bench.read_right,
        "alarms": float(find_copies(np.asarray(new.split("test").images), new).copied.mean()),
        "floor": frechet_distance(bench.held[:half], bench.held[half:]),
        **{which: ", ".join(values[i] for i in some) for which, some in bench.colors.items()},
    }  # fmt: skip
    text = ["# A new kind of product, from few photos", "", HEAD.format(**said), ""]
    text += [f"**Note.** {note}", ""] if note else []
    text += ["![samples of each way](fine_tuning/samples.png)", ""]
    text += [table(stops["last"]), "", WAY_TEXT.format(**said), ""]
    for begun, gain in gains.items():
        if gain["full"] > 0:
            text += [GAIN.format(begun=FROM[begun], **{way: more / gain["full"] for way, more in gain.items()}), ""]
    text += ["## Where the validation loss is lowest", "", STOP_TEXT, "", table(stops["best"]), ""]
    text += ["![validation loss of each way](fine_tuning/curves.png)", ""]
    (out / "fine_tuning.md").write_text("\n".join(text), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="do", required=True)
    one = ways.add_parser("part")
    one.add_argument("catalog", type=Path)
    one.add_argument("work", type=Path)
    one.add_argument("kind")
    two = ways.add_parser("page")
    two.add_argument("whole")
    two.add_argument("work", type=Path)
    two.add_argument("--out", type=Path, required=True)
    two.add_argument("--note", default="")
    args = parser.parse_args()
    if args.do == "part":
        part(args.catalog, args.work, args.kind)
    else:
        page(open_prepared(args.whole), args.work, args.out, args.note)


if __name__ == "__main__":
    main()
