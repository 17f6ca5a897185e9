"""How few labels name a catalogue's goods, once a model has looked at all its photos and was told nothing (M26)?

A run lends what its network makes of photos, `Method.features`, and a linear reader of that learns an attribute from
the few photos that have labels. It is semi-supervised learning in two steps: what tells photos apart comes from all of
them, what the differences are called from a few (Kingma 2014, "M1"; from denoisers Baranchuk 2022, Xiang 2023). Which
photos are given a label is left to chance, or chosen where the reader doubts most: active learning, by margin (Settles
2009, section 3.1).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from prodgen_jax.data.images import blocks_of, to_signed
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import over_seeds
from prodgen_jax.evaluation.usefulness import FEATURES, STEPS, WIDTH, commonest, part, pupil, share_right
from prodgen_jax.methods import classifier
from prodgen_jax.methods.core import Params, init_state
from prodgen_jax.methods.spec import Spec
from prodgen_jax.progress import Progress
from prodgen_jax.sampling.sample import image_keys
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run

SHARES = (0.01, 0.1, 1.0)  # of the training photos whose value the reader is to know, that have labels
LEAST = 20  # labels
BLOCK = 256  # photos put through the network at once
RIDGES = 10.0 ** np.arange(-6, 2)  # weights of the penalty that are tried, in mean squares of a feature
ROUNDS = 4  # in which photos are chosen: the first by chance, each later one by a reader of those before it


def few_labels(
    run: Run, prepared: PreparedSet, attribute: str, *, seeds: int = 3, steps: int = STEPS, against: str = "test"
) -> dict:
    """The share of a split's photos whose value is read right, by how many have labels; docs/records.md names fields.

    By a reader of the run's features with labels left to chance, or chosen; of features of the same network before its
    first step; of the photos' numbers; and by a classifier that learns from those photos alone, in so many `steps`; 0
    leaves that one out.
    InputError where the run was told labels, lends no features, or the attribute cannot be learned.
    """
    values = check_few_labels(run, prepared, attribute)
    train, held = prepared.split("train"), prepared.split(against)
    labels, images = train.labels[attribute], {"train": np.asarray(train.images), against: np.asarray(held.images)}
    pool = np.flatnonzero(np.isin(labels, values))
    fresh = init_state(run.method, jax.random.key(run.config["seed"])).averaged
    seen = {"run": features_of(run, images), "untrained": features_of(run, images, fresh), "pixels": numbers_of(images)}
    settings = classifier.Settings(WIDTH, FEATURES, steps=steps, classes={attribute: values})
    counts = [n for share in SHARES if (n := int(share * len(pool))) >= LEAST]

    def score(rows: Int[np.ndarray, "n"], by: str) -> float:
        reader = learn(seen[by]["train"][rows], labels[rows], values)
        return share_right(lambda _: reader.read(seen[by][against]), held, attribute, values)

    @cache
    def with_all(by: str) -> float:
        return score(pool, by)

    def scores(n: int, seed: int, bar: Progress) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        rows, read = rng.permutation(pool)[:n], {"chance": "run", "untrained": "untrained", "pixels": "pixels"}
        if n == len(pool):
            found = {way: with_all(by) for way, by in (read | {"chosen": "run"}).items()}
        else:
            found = {way: score(rows, by) for way, by in read.items()}
            found["chosen"] = score(by_doubt(seen["run"]["train"], labels, pool, values, n, rng), "run")
        if steps:
            network = pupil(settings, Spec.of(prepared), part(train, rows, attribute), seed, bar)
            found["alone"] = share_right(network, held, attribute, values)
        return found

    with Progress(len(counts) * seeds * max(steps, 1), f"few labels of {attribute}") as bar:
        found = {n: [scores(n, seed, bar) for seed in range(seeds)] for n in counts}
    return {
        "attribute": attribute,
        "values": len(values),
        "photos": len(pool),
        "steps": steps,
        "seeds": seeds,
        "commonest": commonest(held.labels[attribute], values),
        "labels": [{"n": n, **{way: over_seeds([one[way] for one in at]) for way in at[0]}} for n, at in found.items()],
    }


def check_few_labels(run: Run, prepared: PreparedSet, attribute: str) -> tuple[int, ...]:
    """The values that a reader is to tell apart. InputError as `few_labels`'s."""
    features_or_error(run)
    if run.method.conditions:
        raise InputError(
            f"{run.path}: was told {', '.join(run.method.conditions)} while it learned; how few labels are enough is "
            "asked of a run that was told nothing"
        )
    values = classifier.useful_classes(prepared.split("train").labels).get(attribute)
    if values is None:
        raise InputError(f"{attribute}: no attribute with two values that 20 training photos or more have")
    return values


# --- what is read -------------------------------------------------------------------------------------------------


def features_or_error(run: Run) -> Callable:
    if run.method.features is None:
        raise InputError(
            f"{run.path}: no network of a {run.config['method']} looks at a photo alone: it lends no features"
        )
    return run.method.features


def features_of(
    run: Run, images: dict[str, UInt8[np.ndarray, "n h w 3"]], params: Params | None = None, seed: int = 0
) -> dict[str, Float[np.ndarray, "n d"]]:
    """What a run's network makes of photos, each number with mean 0 and deviation 1 over the first set of them.

    params: others than the run's. InputError where its method has no features, or the photos are of another size.
    """
    look, params, found = jitted(features_or_error(run)), run.params if params is None else params, {}
    with Progress(sum(map(len, images.values())), "looking at photos") as bar:
        for name, some in images.items():
            if some.shape[1] != run.spec.size:
                raise InputError(f"{run.path}: is for {run.spec.size} px, these photos have {some.shape[1]} px")
            rows = []
            for block, n in blocks_of(some, BLOCK):
                keys = image_keys(seed, len(rows) * BLOCK, BLOCK)
                rows.append(np.asarray(look(params, to_signed(block), keys))[:n])
                bar.advance(n)
            found[name] = np.concatenate(rows)
    return standardized(found)


def numbers_of(images: dict[str, UInt8[np.ndarray, "n h w 3"]]) -> dict[str, Float[np.ndarray, "n d"]]:
    """The photos themselves, made half as wide, as features: what a network's have to do better than."""

    def halved(x: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        n, h, w, c = x.shape
        return np.asarray(x).reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4), dtype=np.float32).reshape(n, -1)

    return standardized({name: halved(some) for name, some in images.items()})


def standardized(found: dict[str, Float[np.ndarray, "n d"]]) -> dict[str, Float[np.ndarray, "n d"]]:
    first = next(iter(found.values()))
    mean, deviation = first.mean(0), first.std(0)
    deviation = np.where(deviation > 1e-6 * deviation.max(), deviation, 1.0)
    return {name: (x - mean) / deviation for name, x in found.items()}


# --- the reader ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reader:
    """Linear scores of each value: (x - middle) weights + bias."""

    values: Int[np.ndarray, "k"]
    middle: Float[np.ndarray, "d"]
    weights: Float[np.ndarray, "d k"]
    bias: Float[np.ndarray, "k"]

    def scores(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        return (x - self.middle) @ self.weights + self.bias

    def read(self, x: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n"]:
        return self.values[self.scores(x).argmax(1)]

    def doubt(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
        """How little the best value's score is above the next one's, negated: more is more doubt."""
        two = np.partition(self.scores(x), -2, axis=1)[:, -2:]
        return two[:, 0] - two[:, 1]


def learn(x: Float[np.ndarray, "n d"], labels: Int[np.ndarray, "n"], values: Sequence[int]) -> Reader:
    """The ridge regression of each value's indicator, with the penalty that errs least on photos left out one by one.

    Those errors need no second training: e_i / (1 - h_i), where h_i is the hat matrix's diagonal (Allen 1974, PRESS).
    """
    values = np.asarray(values)
    y = np.float64(labels[:, None] == values)
    middle, bias = x.mean(0), y.mean(0)
    x, y = np.float64(x - middle), y - bias
    small = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    power, basis = np.linalg.eigh(small)
    kept = power > 1e-9 * power[-1]
    power, basis = power[kept], basis[:, kept]
    left = basis if len(x) <= x.shape[1] else x @ basis / np.sqrt(power)  # x = left sqrt(power) right^T
    along = left.T @ y

    def missed(ridge: float) -> float:
        share = power / (power + ridge)
        hat = (left**2) @ share + 1 / len(x)
        return float(np.sum(((y - left @ (share[:, None] * along)) / (1 - hat[:, None]).clip(1e-9)) ** 2))

    ridge = min(power.mean() * RIDGES, key=missed)
    right = x.T @ (left / np.sqrt(power))
    return Reader(values, middle, right @ ((np.sqrt(power) / (power + ridge))[:, None] * along), bias)


# --- which photos are given a label -------------------------------------------------------------------------------


def by_doubt(
    x: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, "n"],
    pool: Int[np.ndarray, "m"],
    values: Sequence[int],
    n: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "k"]:
    """n rows of the pool: a part by chance, then, part by part, those where a reader of all before doubts most.

    Only the labels of chosen rows are looked at.
    """
    first, *later = np.diff(np.linspace(0, min(n, len(pool)), ROUNDS + 1).astype(int))
    chosen = rng.permutation(pool)[:first]
    for more in later:
        rest = np.setdiff1d(pool, chosen)
        doubt = learn(x[chosen], labels[chosen], values).doubt(x[rest])
        chosen = np.concatenate([chosen, rest[np.argsort(-doubt, kind="stable")[:more]]])
    return chosen
