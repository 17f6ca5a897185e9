"""Do samples show what was asked for, and nothing else? Read by a second network (E6).

That network has other weights, another width and saw half of the training photos; the network of the distances is
never asked, since a generator could have been chosen by it. All shares stand beside what the second network reads off
real photos with the same values, since it errs on those too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Array, Int, UInt8

from prodgen_jax.data.captions import EMBEDDING, TEXT, in_words
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import wilson
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.features import FeatureNetwork, feature_network
from prodgen_jax.training.run import Run

SEED, HALF, WIDTH, FEATURES = 1, 1, 24, 96  # the second network's, all unlike the first's
LEAST = 30  # pictures with a readable value: fewer give no share
CHANCE = 4.0  # standard errors that the accuracy of shuffled labels may lie from chance

Asked = Mapping[str, Int[np.ndarray, "n"]]


def control_network(prepared: PreparedSet, *, steps: int | None = None) -> FeatureNetwork:
    """The second network of a prepared set, cached like the first. Arguments and errors as `feature_network`'s."""
    return feature_network(prepared, steps=steps, seed=SEED, half=HALF, width=WIDTH, features=FEATURES)


def load_asked(path: str | Path, prepared: PreparedSet) -> dict[str, Int[np.ndarray, "n"]]:
    """{attribute: index of the value asked for, per picture} from an .npz of `prodgen sample`; empty if none was.

    Arrays that are no attribute of the set are passed over. InputError where a value is not one of the attribute's.
    """
    with np.load(path, allow_pickle=False) as file:
        columns = {name: file[name] for name in prepared.attributes if name in file.files}
    return {name: indices(name, column, prepared.attributes[name]) for name, column in columns.items()}


def indices(name: str, column: Sequence[str], values: Sequence[str]) -> Int[np.ndarray, "n"]:
    place = {value: i for i, value in enumerate(values)}
    unknown = sorted({str(value) for value in column} - place.keys())
    if unknown:
        raise InputError(f"samples: {name}='{unknown[0]}' is not a value of this prepared set's '{name}'")
    return np.array([place[str(value)] for value in column], int)


def askable(run: Run, prepared: PreparedSet) -> list[str]:
    """Attributes of a set that a run can be asked for: those it is conditional on; if it reads text, all, in words.

    InputError where the set's values are not those that the run was trained with, for they are told by their place.
    """
    if EMBEDDING in run.method.conditions:
        raise InputError(
            f"{run.path}: reads lines by an encoder from outside; draw with sample(..., encoder=...) and measure those"
        )
    for name in run.method.conditions:
        if name != TEXT and list(run.attributes[name]) != list(prepared.attributes.get(name, ())):
            was = "has no such attribute" if name not in prepared.attributes else "has other values of it"
            raise InputError(
                f"{run.path}: is conditional on '{name}', and {prepared.path} {was}; "
                "measure it on a set of the catalogue that it was trained on"
            )
    return list(prepared.attributes) if TEXT in run.method.conditions else list(run.method.conditions)


def as_in_training(run: Run, prepared: PreparedSet, n: int, seed: int) -> dict[str, Int[np.ndarray, "n"]]:
    """What to ask a conditional run for: the attributes of n training rows, together as they stand there."""
    labels = prepared.split("train").labels
    rows = np.random.default_rng(seed).choice(prepared.splits["train"], n)
    return {name: labels[name][rows].astype(np.int32) for name in askable(run, prepared)}


def spoken(run: Run, prepared: PreparedSet, asked: Asked) -> dict[str, Int[np.ndarray, "n ..."]]:
    """What a run's sampler is told, so that it draws the attributes asked for: as attributes, in words, or as both."""
    cond = {name: asked[name] for name in run.method.conditions if name in asked}
    if TEXT in run.method.conditions:
        cond[TEXT] = in_words(asked, prepared.attributes, run.vocabulary)
    return cond


# --- accuracy -----------------------------------------------------------------------------------------------------


def accuracy(
    images: UInt8[Array, "n h w 3"], asked: Asked, judge: FeatureNetwork, prepared: PreparedSet, seed: int = 0
) -> dict[str, dict]:
    """{attribute: how often the judge reads what was asked, beside real photos and shuffled labels}.

    asked: index of the value per picture, -1 where nothing was asked. An attribute that the judge does not read, or
    with fewer than 30 pictures, has the reason under "refused" instead.
    """
    read, held = judge.predict(images), prepared.split("test")
    real = judge.predict(held.images)
    rng, found = np.random.default_rng(seed), {}
    for name, wanted in asked.items():
        if len(wanted) != len(images):
            raise InputError(f"{name}: {len(wanted)} values asked for, {len(images)} pictures")
        known = np.isin(wanted, judge.settings.classes.get(name, ()))
        if name not in read:
            found[name] = {"refused": "the control network does not read it: its values are too rare"}
        elif known.sum() < LEAST:
            found[name] = {"refused": f"{known.sum()} pictures with a value that can be read, {LEAST} are needed"}
        else:
            expected = on_real(wanted[known], real[name], held.labels[name])
            found[name] = score(read[name][known], wanted[known], expected, rng)
    return found


def on_real(wanted: Int[np.ndarray, "n"], read: Int[np.ndarray, "m"], truth: Int[np.ndarray, "m"]) -> float:
    """The judge's accuracy on real photos, had they the values that are wanted in the same shares."""
    overall = np.mean(read[truth >= 0] == truth[truth >= 0])
    values, counts = np.unique(wanted, return_counts=True)
    each = [np.mean(read[truth == v] == v) if (truth == v).any() else overall for v in values]
    return float(np.average(each, weights=counts))


def score(read: np.ndarray, wanted: np.ndarray, real: float, rng: np.random.Generator) -> dict:
    n, hits = len(wanted), int((read == wanted).sum())
    values = max(read.max(), wanted.max()) + 1
    chance = float(np.bincount(read, minlength=values) @ np.bincount(wanted, minlength=values) / n**2)
    shuffled = float(np.mean(read == rng.permutation(wanted)))
    return {
        "n": n,
        "accuracy": hits / n,
        "interval": wilson(hits, n),
        "real": real,
        "ratio": hits / n / real if real > 0 else None,
        "chance": chance,
        "shuffled": shuffled,
        "passed": bool(abs(shuffled - chance) <= CHANCE * np.sqrt(chance * (1 - chance) / n) + 1 / n),
    }


# --- leakage and unseen pairs -------------------------------------------------------------------------------------


def readable(run: Run, prepared: PreparedSet, judge: FeatureNetwork) -> list[str]:
    return [name for name in askable(run, prepared) if name in judge.settings.classes]


def another(wanted: Int[np.ndarray, "n"], values: Sequence[int], rng: np.random.Generator) -> Int[np.ndarray, "n"]:
    """For each value another one of `values`, all alike likely."""
    values = np.asarray(values)
    place = np.array([np.flatnonzero(values == v)[0] if v in values else -1 for v in wanted])
    move = np.where(place < 0, rng.integers(0, len(values), len(wanted)), rng.integers(1, len(values), len(wanted)))
    return values[(place + move) % len(values)].astype(np.int32)


def leakage(run: Run, prepared: PreparedSet, judge: FeatureNetwork, n: int = 192, seed: int = 0) -> dict:
    """Change one attribute and keep the noise: which attributes does the judge then read otherwise?

    "moved"[changed][read]: share of n pictures in which `read` is another than before; only `changed` itself should
    move, the others no more than two values that are alike to the judge do. "followed": share in which the changed
    attribute is read as asked. "another_seed": share that moves when only the noise is changed, as a yardstick.
    """
    rng, names = np.random.default_rng(seed), readable(run, prepared, judge)
    asked = as_in_training(run, prepared, n, seed)

    def read(wanted: Asked, noise: int) -> dict[str, np.ndarray]:
        return judge.predict(draw(run.method, run.params, n, noise, spoken(run, prepared, wanted)))

    before, other_noise, moved, followed = read(asked, seed), read(asked, seed + 1), {}, {}
    for changed in names:
        wanted = another(asked[changed], judge.settings.classes[changed], rng)
        after = read({**asked, changed: wanted}, seed)
        moved[changed] = {name: float(np.mean(after[name] != before[name])) for name in names}
        followed[changed] = float(np.mean(after[changed] == wanted))
    yardstick = {name: float(np.mean(other_noise[name] != before[name])) for name in names}
    return {"n": n, "moved": moved, "followed": followed, "another_seed": yardstick}


def pairs_of(labels: Mapping[str, np.ndarray], a: str, b: str, judge: FeatureNetwork) -> tuple[np.ndarray, np.ndarray]:
    """(value pairs that stand together in training, pairs that never do), int [p 2] each, of readable values."""
    seen = {(int(i), int(j)) for i, j in zip(labels[a], labels[b], strict=True)}
    every = [(i, j) for i in judge.settings.classes[a] for j in judge.settings.classes[b]]
    known, unseen = ([pair for pair in every if (pair in seen) is here] for here in (True, False))
    return np.array(known, int).reshape(-1, 2), np.array(unseen, int).reshape(-1, 2)


def unseen_pairs(run: Run, prepared: PreparedSet, judge: FeatureNetwork, n: int = 128, seed: int = 0) -> list[dict]:
    """For every two attributes: share of n pictures in which both are read as asked, for seen and for unseen pairs.

    Unseen pairs are values that the catalog has, but never together. The judge has not seen such pairs either.
    """
    rng, names, found = np.random.default_rng(seed), readable(run, prepared, judge), []
    labels = prepared.split("train").labels
    for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        known, unseen = pairs_of(labels, a, b, judge)
        entry = {"attributes": [a, b], "pairs": len(known) + len(unseen), "unseen": len(unseen)}
        if len(unseen) == 0:
            found.append({**entry, "refused": "every pair of values stands in the training set"})
            continue
        for kind, pairs in (("seen", known), ("new", unseen)):
            wanted = pairs[rng.integers(0, len(pairs), n)].astype(np.int32)
            asked = spoken(run, prepared, {a: wanted[:, 0], b: wanted[:, 1]})
            read = judge.predict(draw(run.method, run.params, n, seed, asked))
            hits = int(((read[a] == wanted[:, 0]) & (read[b] == wanted[:, 1])).sum())
            entry[kind] = {"n": n, "both_right": hits / n, "interval": wilson(hits, n)}
        found.append(entry)
    return found
