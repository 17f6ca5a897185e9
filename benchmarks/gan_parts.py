"""What the parts of a DCGAN buy, in equal steps, on all photos or on a thousand of them: WORK/all.json, WORK/few.json.

python benchmarks/gan_parts.py PREPARED_SET WORK all --steps 4000
python benchmarks/gan_parts.py PREPARED_SET WORK few --steps 6000

Can be interrupted and called again: what is finished in WORK is not done again. `families_page.py` writes the tables.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import open_prepared, recipe
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import SPLITS, PreparedSet, write_meta, write_split
from prodgen_jax.evaluation.compare import SHOWN
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.methods.core import State, init_state
from prodgen_jax.methods.gan import Players, dcgan_players
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import Run

FEW = 1000  # photos of the small catalog
AUGMENT = "color,translation,cutout"
PARTS = {
    "all": {"usual": {}, "without R1": {"r1": 0.0}, "minibatch deviation": {"stddev_group": 4}},
    "few": {
        "usual": {},
        "augmented": {"diffaugment": AUGMENT},
        "adaptive": {"diffaugment": AUGMENT, "augment_target": 0.6},
    },
}


def few_of(prepared: PreparedSet, place: Path) -> PreparedSet:
    """The same set with FEW of its training photos, drawn once and for all."""
    if not (place / "prepared.json").exists():
        for name in SPLITS:
            split = prepared.split(name)
            rows = np.arange(len(split))
            if name == "train":
                rows = np.sort(np.random.default_rng(0).permutation(rows)[:FEW])
            labels = {key: column[rows] for key, column in split.labels.items()}
            write_split(place / name, split.images, rows, labels, split.ids[rows], split.text[rows], split.group[rows])
        fingerprint = f"{FEW} of {prepared.fingerprint}"
        few = PreparedSet(place, prepared.size, prepared.attributes, {**prepared.splits, "train": FEW}, fingerprint, {})
        write_meta(few, {})
    return open_prepared(place)


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
    return {key: found["samples"][key] for key in SHOWN.values()} | {"copies": found["copies"]["copies"]}


def result(run: Run, own: PreparedSet, prepared: PreparedSet, name: str) -> dict:
    """Measures of 1,000 samples, what the critic believes, and the strength of augmentation where it is adapted."""
    state = state_of(run)
    seen = np.asarray(own.split("train").images[:1000])
    held_out = np.asarray(prepared.split("test").images[:1000])
    followed = [(line["step"], line["augment/strength"]) for line in run.metrics if "augment/strength" in line]
    return {
        "steps": run.step,
        **measured(draw(run.method, run.params, 1000, 0, {}), prepared, name),
        "believed": {"training photos": believed(run, state, seen), "held-out photos": believed(run, state, held_out)},
        "strength": followed[:: max(len(followed) // 60, 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("photos", choices=PARTS)
    parser.add_argument("--steps", type=int, required=True, help="of training")
    args = parser.parse_args()
    prepared, place, file = open_prepared(args.data), args.work / args.photos, args.work / f"{args.photos}.json"
    own = few_of(prepared, place / "set") if args.photos == "few" else prepared
    found = json.loads(file.read_text()) if file.exists() else {}
    for name, settings in PARTS[args.photos].items():
        if name in found and found[name]["steps"] == args.steps:
            continue
        run = fit(
            recipe("dcgan", **settings), own, place / name.replace(" ", "_"), seed=0, steps=args.steps, resume=True
        )
        found[name] = result(run, own, prepared, name)
        if not settings:
            raw = draw(run.method, state_of(run).params, 1000, 0, {})
            found["weights as they are"] = {"steps": args.steps, **measured(raw, prepared, "raw")}
        file.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
