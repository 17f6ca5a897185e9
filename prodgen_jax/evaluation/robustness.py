"""How a classifier stands up to the worst pictures near given ones, and one that has learned from such (S6)."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float, Int, UInt8

from prodgen_jax.data.halves import part_of_training
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.methods import classifier
from prodgen_jax.methods.adversarial import hardened, worst_within
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.progress import Progress
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.features import FeatureNetwork, accuracies, learned, plan

SIGNED = 127.5  # levels in a unit of pictures in [-1, 1]
ASCENTS = 4  # while training; an attack that measures takes more


def reader(network: FeatureNetwork, attribute: str) -> Callable[[Array], Float[Array, "b values"]]:
    """Pictures in [-1, 1] -> the logits of the attribute's values. InputError where the network has no such head."""
    if attribute not in network.settings.classes:
        raise InputError(f"{attribute}: the network tells apart {', '.join(network.settings.classes)}")
    shape = nnx.eval_shape(lambda: classifier.network(network.settings, network.spec, jax.random.key(0)))
    net = opened(shape)(jax.tree.map(jnp.asarray, network.params))
    return lambda x: net(x)[attribute]


def worst_pictures(
    network: FeatureNetwork,
    images: UInt8[np.ndarray, "n h w 3"],
    labels: Int[np.ndarray, "n"],
    attribute: str,
    radius: float,
    steps: int = 10,
    seed: int | None = 0,
) -> tuple[Float[np.ndarray, "n h w 3"], Float[np.ndarray, "n"]]:
    """(pictures in [-1, 1], whether each is read right), all of which look like `images`: the worst that were found.

    radius: levels of 255 that a number may change by. steps: of the search, which begins at a random place; 1 with
    seed None is one step from the picture itself. Labels that the network does not tell apart are read wrong.
    """
    search = search_for(network, attribute, steps)
    classes, values = network.settings.classes[attribute], network.spec.attributes[attribute]
    place = jnp.asarray(classifier.lookup(classes, values))[labels]
    keys = None if seed is None else jax.random.split(jax.random.key(seed), len(images))
    return jax.tree.map(np.asarray, search(to_signed(images), place, radius / SIGNED, keys))


@lru_cache(maxsize=8)
def search_for(network: FeatureNetwork, attribute: str, steps: int) -> Callable:
    """(x, place of the right value, radius, keys) -> (worst pictures, whether each is read right), compiled once."""
    read = reader(network, attribute)

    @jitted
    def search(x: Array, place: Array, radius: Array, keys: Array | None) -> tuple[Array, Array]:
        found = worst_within(lambda x: classifier.cross_entropy(read(x), place)[0], x, radius, steps, keys)
        return found, read(found).argmax(-1) == place

    return search


def hardened_network(
    prepared: PreparedSet, radius: float, *, ascents: int = ASCENTS, steps: int | None = None, seed: int = 0
) -> FeatureNetwork:
    """A network like `feature_network`'s that has learned from the worst pictures within `radius` levels; not cached.

    It takes 1 + `ascents` times as long.
    """
    if not radius > 0:
        raise InputError(f"radius={radius}: levels of 255, must be above 0")
    identity, settings = plan(prepared, steps, seed, None, {})
    identity |= {"radius": radius, "ascents": ascents}
    photos, harder = part_of_training(prepared, None), partial(hardened, radius=radius / SIGNED, steps=ascents)
    spec = Spec.of(prepared)
    with Progress(settings.steps, "hardened network") as bar:
        network = FeatureNetwork(learned(settings, spec, photos, seed, bar, harder), settings, spec, identity, {})
    return replace(network, accuracy=accuracies(network, prepared.split("test")))
