"""Writes docs/results/gan_parts.md: what the parts of a DCGAN buy, in equal steps, on all photos or on a thousand.

python benchmarks/gan_parts.py PREPARED_SET WORK all --steps 4000 --out docs/results
python benchmarks/gan_parts.py PREPARED_SET WORK few --steps 5000 --out docs/results

Can be interrupted and called again: what is finished in WORK is not done again. The page has what both have left in
docs/results/gan_parts.json.
"""

import json
import os
import platform

import jax
import numpy as np
from families_page import page_parser
from subset import subset

from prodgen_jax import open_prepared, recipe
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import SHOWN
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.methods.core import State, init_state
from prodgen_jax.methods.gan import Players, dcgan_players
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import Run

FEW, N = 1000, 2000  # photos of the small catalog; samples
AUGMENT = "color,translation,cutout"
PARTS = {
    "all": {"usual": {}, "without R1": {"r1": 0.0}, "each picture judged alone": {"stddev_group": 0}},
    "few": {
        "usual": {},
        "augmented": {"diffaugment": AUGMENT},
        "adaptive": {"diffaugment": AUGMENT, "augment_target": 0.6},
    },
}
HEAD = (
    "Made by `benchmarks/gan_parts.py SET WORK all --steps {all}` and `... few --steps {few}`; every number here is "
    "their output. Python {python}, jax {jax}, {cores} cores; steps are the budget. The catalogue: the public 'Fashion "
    "Product Images (Small)' collection, {train:,} training photos at {size} px; {n:,} samples of each run against "
    "{test:,} held-out photos, whose own FCD against training photos is {floor:.3g}, by the feature network "
    "`{network}`. One seed each: differences of a few FCD mean nothing, those of tens do. *Believed*: the share that "
    "the critic takes for real. *Weights as they are*: those of the last step, where the others' are averaged over "
    "steps (EMA)."
)
TITLES = {
    "all": ("On all training photos", "*Usual* is a critic that also sees how much four pictures vary, with lazy R1."),
    "few": (
        "On a thousand training photos",
        "Augmentation is color, translation and cutout on what the critic sees; adaptive: with a probability that "
        "follows the critic.",
    ),
}


def state_of(run: Run) -> State:
    like = jax.eval_shape(lambda: init_state(run.method, jax.random.key(0)))._replace(key=jax.random.key(0))
    with Checkpoints(run.path / "checkpoints") as saves:
        return saves.restore(like)[0]


def believed(run: Run, state: State, images: np.ndarray) -> float:
    """The share of pictures that the run's critic takes for photos."""
    critic, _ = Players(dcgan_players(run.recipe.method, run.spec)).critic(state.params, state.extra)
    return float(np.mean([np.asarray(critic(to_signed(images[i : i + 100]))) > 0 for i in range(0, len(images), 100)]))


def measured(images: np.ndarray, prepared: PreparedSet, name: str) -> dict:
    found = evaluate(images, prepared, network=feature_network(prepared), name=name)
    at = {key: found["samples"][key] for key in SHOWN.values()} | {"copies": found["copies"]["copies"]}
    return at | {"floor": found["floor"]["fcd"], "n": found["n"]["samples"]}


def result(run: Run, own: PreparedSet, prepared: PreparedSet, name: str) -> dict:
    """Measures of N samples, what the critic believes, and the strength of augmentation where it is adapted."""
    state = state_of(run)
    seen = np.asarray(own.split("train").images[:1000])
    held_out = np.asarray(prepared.split("test").images[:1000])
    followed = [(line["step"], line["augment/strength"]) for line in run.metrics if "augment/strength" in line]
    return {
        "steps": run.step,
        **measured(draw(run.method, run.params, N, 0, {}), prepared, name),
        "believed": {"training photos": believed(run, state, seen), "held-out photos": believed(run, state, held_out)},
        "strength": followed[:: max(len(followed) // 60, 1)],
    }


def table(parts: dict) -> str:
    rows = []
    for name, at in sorted(parts.items(), key=lambda item: item[1]["fcd"]):
        believes = [f"{share:.0%}" for share in at.get("believed", {}).values()] or ["", ""]
        rows.append([name, *(f"{at[key]:.3g}" for key in SHOWN.values()), *believes, at["copies"]])
    return markdown(["DCGAN", *SHOWN, "training photos believed", "held-out believed", f"copies of {N:,}"], rows)


def page(found: dict, prepared: PreparedSet, note: str) -> str:
    steps = {which: parts["usual"]["steps"] for which, parts in found.items()}
    said = HEAD.format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, size=prepared.size, n=N,
        train=prepared.splits["train"], test=prepared.splits["test"], floor=found["all"]["usual"]["floor"],
        network=feature_network(prepared).weights_sha256[:12], **steps,
    )  # fmt: skip
    text = ["# What the parts of a DCGAN buy", "", said, ""] + ([f"**Note.** {note}", ""] if note else [])
    for which, (title, more) in TITLES.items():
        text += [f"## {title}, {steps[which]:,} steps each", "", more, "", table(found[which]), ""]
    return "\n".join(text)


def main() -> None:
    parser = page_parser(__doc__)
    parser.add_argument("photos", choices=PARTS)
    parser.add_argument("--steps", type=int, required=True, help="of training")
    args = parser.parse_args()
    prepared, place, file = open_prepared(args.data), args.work / args.photos, args.work / f"{args.photos}.json"
    own = prepared
    if args.photos == "few":
        drawn = np.random.default_rng(0).permutation(prepared.splits["train"])[:FEW]
        own = subset(prepared, drawn, place / "set", f"{FEW}")
    place.mkdir(parents=True, exist_ok=True)
    found = json.loads(file.read_text()) if file.exists() else {}
    for name, settings in PARTS[args.photos].items():
        if name in found and found[name]["steps"] == args.steps:
            continue
        run = fit(
            recipe("dcgan", **settings), own, place / name.replace(" ", "_"), seed=0, steps=args.steps, resume=True
        )
        found[name] = result(run, own, prepared, name)
        if not settings:
            raw = draw(run.method, state_of(run).params, N, 0, {})
            found["weights as they are"] = {"steps": args.steps, **measured(raw, prepared, "raw")}
        file.write_text(json.dumps(found, indent=1))
    kept = {which: args.work / f"{which}.json" for which in PARTS}
    if all(at.exists() for at in kept.values()):
        both = {which: json.loads(at.read_text()) for which, at in kept.items()}
        (args.out / "gan_parts.json").write_text(json.dumps(both, indent=1))
        (args.out / "gan_parts.md").write_text(page(both, prepared, args.note), encoding="utf-8")


if __name__ == "__main__":
    main()
