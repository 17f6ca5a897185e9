"""Writes docs/results/sampling.md: quality and speed by the number of network evaluations, and by guidance.

python benchmarks/sampling.py MODEL PREPARED_SET --work WORK --out docs/results

WORK/leapsN are its students of N leaps; the last of them comes with the package, and its card is written as well.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import open_prepared, open_run
from prodgen_jax.data.images import sheet
from prodgen_jax.evaluation.control import accuracy, as_in_training, control_network, spoken
from prodgen_jax.evaluation.figures import BLUE, GREEN, GREY, VERMILION, canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.intervals import of_measures
from prodgen_jax.evaluation.sets import frechet_distance, precision_recall
from prodgen_jax.sampling.sample import draw, image_keys
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.run import export

SEED, COLUMNS, CALLS = 0, 14, 3
MODELS = Path(__file__).parents[1] / "prodgen_jax" / "pretrained"
STEPS = {"ddim": (1, 2, 4, 8, 18, 50), "dpmpp2m": (2, 4, 8, 18), "heun": (2, 4, 9), "ancestral": (18,)}
LEAPS = (1, 2, 4)
AGAIN = "1 leap, asked 4 times"  # noise put back between, as a student of the whole way allows
TWICE_OVER = "4 leaps, asked 8 times"
SCALES = (1.0, 1.5, 2.0, 3.0, 5.0)
AT = {"sampler": "dpmpp2m", "sample_steps": 18}  # where guidance is varied
READ = ("articleType", "baseColour")
AT_ONCE = 64  # pictures of a timed call
TWICE = {"heun": 2}  # evaluations of a step


class Bench:
    """Draws what stands in the training set, and measures it against the held-out photos."""

    def __init__(self, prepared, n: int):
        self.prepared, self.n = prepared, n
        self.network, self.judge = feature_network(prepared), control_network(prepared)
        self.held = self.network.features(prepared.split("test").images)

    def quality(self, images, asked) -> dict:
        features = self.network.features(images)
        precision, recall = precision_recall(self.held, features)
        spread = of_measures(
            lambda a, b: {"fcd": frechet_distance(a, b)}, self.held, features, np.random.default_rng(SEED)
        )
        found = {"fcd": frechet_distance(self.held, features), "half": spread["fcd"]}
        found |= {"precision": precision, "recall": recall}
        for name, at in accuracy(images, asked, self.judge, self.prepared).items():
            if name in READ:
                found |= {name: at["accuracy"], f"{name} real": at["real"]}
        return found

    def __call__(self, run, settings: dict) -> dict:
        method, asked = run.sampling_with(settings), as_in_training(run, self.prepared, self.n, SEED)
        cond = spoken(run, self.prepared, asked)
        images = draw(method, run.params, self.n, SEED, cond)
        return {**self.quality(images, asked), "shown": images[:COLUMNS].tolist()}

    def speed(self, run, settings: dict) -> float:
        """Pictures a second once compiled: the median of a few."""
        method = run.sampling_with(settings)
        cond = spoken(run, self.prepared, as_in_training(run, self.prepared, AT_ONCE, SEED))
        sampler, seconds = jitted(method.sample), []
        part = {name: values[:AT_ONCE] for name, values in cond.items()}
        for _ in range(1 + CALLS):
            begun = time.perf_counter()
            jax.block_until_ready(sampler(run.params, image_keys(SEED, 0, AT_ONCE), part))
            seconds.append(time.perf_counter() - begun)
        return AT_ONCE / float(np.median(seconds[1:]))


def evaluations(settings: dict) -> int:
    """Of the network, for a picture; guidance asks it twice."""
    told = 2 if settings["guidance"] != 1 else 1
    return settings["sample_steps"] * TWICE.get(settings["sampler"], 1) * told


def leaps(n: int) -> str:
    return f"{n} leap{'s' * (n > 1)}"


def every(model, students: dict) -> dict[str, tuple]:
    """{name: (run, settings of sampling)}."""
    own = model.config["settings"]["guidance"]
    found = {
        f"{sampler} {steps}": (model, {"sampler": sampler, "sample_steps": steps, "guidance": own})
        for sampler, some in STEPS.items()
        for steps in some
    }
    found |= {leaps(n): (student, {"sampler": "ddim", "sample_steps": n}) for n, student in students.items()}
    found |= {AGAIN: (students[1], {"sampler": "renoise", "sample_steps": 4})}
    found |= {TWICE_OVER: (students[4], {"sampler": "ddim", "sample_steps": 8})}
    return found | {f"guidance {scale:g}": (model, {**AT, "guidance": scale}) for scale in SCALES}


def guidance_figure(found: dict, real: dict, path: Path) -> None:
    figure, axes = canvas(9.6, 2.9, 1, 3)
    at = [found[f"guidance {scale:g}"] for scale in SCALES]
    best = int(np.argmin([x["fcd"] for x in at]))
    panels = {
        "FCD, and where it is best": {"fcd": (BLUE, "FCD")},
        "read as asked (dashed: real photos)": {READ[0]: (BLUE, READ[0]), READ[1]: (VERMILION, READ[1])},
        "precision and recall": {"precision": (GREEN, "precision"), "recall": (VERMILION, "recall")},
    }
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        heading(axis, title)
        for key, (color, label) in lines.items():
            axis.plot(SCALES, [x[key] for x in at], color=color, marker="o", markersize=4, label=label)
            if f"{key} real" in real:
                axis.axhline(real[f"{key} real"], color=color, linestyle="--", linewidth=1)
        axis.axvline(SCALES[best], color=GREY, linewidth=1, linestyle=":")
        axis.set_xlabel("scale of guidance", fontsize=8)
        axis.set_ylim(bottom=0)
        if len(lines) > 1:
            axis.legend(fontsize=7, frameon=False)
    axes[0, 0].fill_between(SCALES, *([x["fcd"] + sign * x["half"] for x in at] for sign in (-1, 1)), alpha=0.15)
    save_figure(figure, path)


def sheets(found: dict, names: list[str], path: Path) -> None:
    figure, axes = canvas(9.6, 0.85 * len(names), len(names))
    for axis, name in zip(axes[:, 0], names, strict=True):
        picture(axis, sheet(np.array(found[name]["shown"], np.uint8), columns=COLUMNS), "bicubic")
        heading(axis, name)
    save_figure(figure, path)


def row(name: str, at: dict, settings: dict) -> tuple:
    share = [f"{at[key]:.2f}" for key in ("precision", "recall")] + [f"{at[key]:.0%}" for key in READ]
    return (name, evaluations(settings), f"{at['fcd']:.1f} ± {at['half']:.1f}", *share, f"{at['speed']:.0f}")


NAMED = "leaps32"
SAID = """It draws 32 px product photos from words in four evaluations of its network, where its teacher takes forty:
`prodgen sample pretrained:leaps32 --text "red handbag" -n 64 --out sheet.png`."""
LIMITS = (
    "It obeys words as its teacher does at the guidance that it learned from; it cannot be guided more or less.",
    "It knows one shop's photos at 32 px, and what its teacher draws badly, it draws badly.",
)
HEAD = ("", "evaluations", "FCD", "precision", "recall", *READ, "pictures/s")


def write_card(student, at: dict, slow: dict, floor: dict, prepared) -> None:
    """The card of the student that comes with the package, and its file."""
    export(student, MODELS / f"{NAMED}.safetensors")
    step, batch = student.step, student.recipe.loop.batch
    body = [
        (name, *(f"{x[key]:.3g}" for key in ("fcd", "precision", "recall")), *(f"{x[key]:.1%}" for key in READ))
        for name, x in ((f"pretrained:{NAMED}", at), ("its teacher, 18 steps", slow), ("training photos", floor))
    ]
    lines = [
        *(
            f"# pretrained:{NAMED}",
            "",
            "Made by `benchmarks/sampling.sh`; every number here is its output.",
            "",
            SAID,
            "",
        ),
        "- **Data**: the public 'Fashion Product Images (Small)' collection, "
        f"{prepared.splits['train']:,} training photos.",
        f"- **Budget**: {step:,} steps of {batch} on one core, from `pretrained:fashion32`.",
        "",
        f"## Quality against {prepared.splits['test']:,} held-out photos",
        "",
        markdown(("", "FCD", "precision", "recall", *READ), body),
        "",
        "By number of evaluations, beside other samplers: docs/results/sampling.md.",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in LIMITS),
    ]
    (MODELS / f"{NAMED}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    prepared, model = open_prepared(args.data), open_run(args.model)
    students = {n: open_run(args.work / f"leaps{n}") for n in LEAPS}
    bench, todo, kept = Bench(prepared, args.n), every(model, students), args.work / "sampling.json"
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    rng = np.random.default_rng(SEED)
    some = np.sort(rng.choice(prepared.splits["train"], args.n, replace=False))
    train = prepared.split("train")
    floor = bench.quality(np.asarray(train.images[some]), {name: train.labels[name][some] for name in READ})
    for name, (run, settings) in todo.items():
        if name not in found:
            found[name] = bench(run, settings)
            kept.write_text(json.dumps(found), encoding="utf-8")
            print(name, {key: round(value, 3) for key, value in found[name].items() if key != "shown"}, flush=True)
    student = students[LEAPS[-1]]
    write_card(student, found[leaps(LEAPS[-1])], found["dpmpp2m 18"], floor, prepared)
    for name, (run, settings) in todo.items():  # all in one run, so that they can be compared
        found[name]["speed"] = bench.speed(run, settings)
    said = {name: {"guidance": 1.0, **settings} for name, (_, settings) in todo.items()}
    few = [name for name in todo if not name.startswith("guidance")]
    guidance_figure(found, floor, args.out / "sampling" / "guidance.png")
    shown = ["ddim 1", "ddim 4", "dpmpp2m 4", AGAIN, *map(leaps, LEAPS), "dpmpp2m 18"]
    sheets(found, shown, args.out / "sampling" / "few_steps.png")
    scale = SCALES[int(np.argmin([found[f"guidance {s:g}"]["fcd"] for s in SCALES]))]
    own = model.config["settings"]["guidance"]
    real = [f"{name} real" for name in READ]
    lines = [
        "# Steps, samplers and guidance, measured",
        "",
        "Made by `benchmarks/sampling.sh`; every number here is its output.",
        f"{os.cpu_count()} CPU cores, python {platform.python_version()}, jax {version('jax')}.",
        "",
        f"`{args.model}`, asked for what stands in the training set of the public 'Fashion Product Images",
        f"(Small)' catalogue, {args.n:,} pictures each, against {prepared.splits['test']:,} held-out photos.",
        "*Evaluations* of the network make a picture; guidance asks it twice, Heun's rule twice a step. The attributes",
        f"are read by a second network; of real photos it reads {floor[real[0]]:.0%} and {floor[real[1]]:.0%} right.",
        f"As many training photos have an FCD of {floor['fcd']:.1f} ± {floor['half']:.1f}, and a recall of "
        f"{floor['recall']:.2f}.",
        "",
        "## Few steps",
        "",
        f"All but the students are guided by {own:g}. Each student learned from that for {student.step:,} steps of",
        f"{student.recipe.loop.batch}, {student.seconds / 60:.0f} minutes of one core, and is asked once a leap: it",
        f"takes the whole way in so many. `pretrained:{NAMED}` is the one of {LEAPS[-1]}.",
        "",
        markdown(HEAD, [row(name, found[name], said[name]) for name in few]),
        "",
        "![by sampler and steps](sampling/few_steps.png)",
        "",
        "## Guidance",
        "",
        f"{AT['sample_steps']} steps of {AT['sampler']}. The lowest FCD is at {scale:g}.",
        "",
        "![FCD, accuracy and recall by the scale of guidance](sampling/guidance.png)",
        "",
        markdown(HEAD, [row(f"{s:g}", found[f"guidance {s:g}"], said[f"guidance {s:g}"]) for s in SCALES]),
    ]
    keys = ("fcd", "half", "precision", "recall", *READ, "speed")
    plain = {name: {"evaluations": evaluations(said[name]), **{key: found[name][key] for key in keys}} for name in todo}
    (args.out / "sampling" / "found.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    (args.out / "sampling.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
