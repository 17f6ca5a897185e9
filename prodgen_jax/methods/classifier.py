"""The feature network as a game of one turn: one cross-entropy per attribute, missing labels masked out.

It says how well an attribute can be read from a picture, and lends its penultimate layer to the metrics. The same
network trained with other weights and data reads attributes off samples (E6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Turn
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.classifier import Classifier

MOST_VALUES = 40  # values a head tells apart; rarer ones are masked
LEAST_ROWS = 20  # pictures that a value needs to be worth telling apart


@dataclass(frozen=True)
class Settings:
    """classes: {attribute: the values' indices that its head tells apart}; empty: all values of all attributes."""

    width: int = 32  # channels of the first stage
    features: int = 128  # length of the feature vector
    learning_rate: float = 2e-3  # peak; warmed up over a tenth of the steps, then a cosine to 0
    steps: int = 1000  # the schedule's length, in steps
    weight_decay: float = 0.05  # of AdamW, per unit of learning rate
    classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def useful_classes(labels: Mapping[str, Int[np.ndarray, "n"]]) -> dict[str, tuple[int, ...]]:
    """The values that a head can learn to tell apart: up to 40 per attribute, the most frequent ones.

    labels: {attribute: index of the value, -1 where missing}. A value needs 20 pictures, an attribute two such
    values; attributes without them are left out.
    """
    counts = {name: np.bincount(column[column >= 0]) for name, column in labels.items()}
    common = {name: np.argsort(-count, kind="stable")[:MOST_VALUES] for name, count in counts.items()}
    kept = {name: tuple(int(v) for v in common[name] if counts[name][v] >= LEAST_ROWS) for name in counts}
    return {name: tuple(sorted(values)) for name, values in kept.items() if len(values) >= 2}


def lookup(values: tuple[int, ...], n: int) -> Int[np.ndarray, "n+1"]:
    """label -> its place in `values`, -1 for the others; the last entry stands for the missing label -1."""
    table = np.full(n + 1, -1, np.int32)
    table[list(values)] = np.arange(len(values))
    return table


def tables(settings: Settings, spec: Spec) -> dict[str, Int[np.ndarray, "_"]]:
    """{attribute: lookup table} of the heads. InputError if there is nothing to tell apart."""
    classes = settings.classes or {name: tuple(range(n)) for name, n in spec.attributes.items() if n >= 2}
    if not classes:
        raise InputError("a classifier needs an attribute with two values or more; this set has none")
    return {name: lookup(tuple(values), spec.attributes[name]) for name, values in classes.items()}


def head_sizes(settings: Settings, spec: Spec) -> dict[str, int]:
    return {name: int(table.max()) + 1 for name, table in tables(settings, spec).items()}


def cross_entropy(
    logits: Float[Array, "b values"], target: Int[Array, "b"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(mean cross-entropy in nats, accuracy) over the examples whose target is not -1; 0 if there are none."""
    known = target >= 0
    count = jnp.maximum(known.sum(), 1)
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(known, target, 0))
    hit = (logits.argmax(-1) == target) & known
    return jnp.where(known, nats, 0).sum() / count, hit.sum() / count


def network(settings: Settings, spec: Spec, key: Array) -> Classifier:
    return Classifier(spec.size, head_sizes(settings, spec), settings.width, settings.features, rngs=nnx.Rngs(key))


def build(settings: Settings, spec: Spec) -> Method:
    """The classifier as a method with one group, `net`. It draws no pictures: its `sample` raises InputError."""
    shape = nnx.eval_shape(lambda: network(settings, spec, jax.random.key(0)))
    net = opened(shape)
    places = {name: jnp.asarray(table) for name, table in tables(settings, spec).items()}

    def init(key: Array) -> tuple[dict, tuple]:
        return {"net": nnx.state(network(settings, spec, key), nnx.Param)}, ()

    def loss(params: dict, extra: tuple, batch: dict, keys: Array, step: Array) -> tuple[Array, tuple]:
        del keys, step  # nothing is drawn, and the schedule is the optimizer's
        logits = net(params["net"])(batch["image"])
        scores = {name: cross_entropy(logits[name], table[batch["label"][name]]) for name, table in places.items()}
        metrics = {f"loss/{name}": nats for name, (nats, _) in scores.items()}
        metrics |= {f"accuracy/{name}": share for name, (_, share) in scores.items()}
        total = sum(nats for nats, _ in scores.values())
        return total, (extra, {"loss": total, **metrics})

    def sample(params: dict, keys: Array, cond: dict) -> Array:
        raise InputError("a classifier reads pictures, it draws none; sample from a generator's run")

    peak = settings.learning_rate
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, max(settings.steps // 10, 1), max(settings.steps, 2))
    return Method(init, (Turn("net", loss),), {"net": optax.adamw(rate, weight_decay=settings.weight_decay)}, sample)
