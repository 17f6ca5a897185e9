"""Spectral normalization (Miyato 2018): weights divided by their largest singular value, found by power iteration.

It is a map between parameters, so a network need not know of it: every array of two or more axes is taken for a
matrix whose columns are its last axis. The vectors of the iteration are state that is carried beside the parameters.
They are found from the parameters alone, so every device finds the same ones.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

Vectors = dict[str, Float[Array, "out"]]  # {path of a weight: a guess of its first right singular vector}


def unit(v: Float[Array, "n"]) -> Float[Array, "n"]:
    return v / jnp.maximum(jnp.linalg.norm(v), 1e-12)


def matrix(weight: Float[Array, "*i o"]) -> Float[Array, "i o"]:
    return weight.reshape(-1, weight.shape[-1])


def weights(params: PyTree) -> dict[str, Array]:
    """{path: array} of what is normalized; biases and gains are not."""
    found = jax.tree.leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in found if leaf.ndim > 1}


def start_vectors(params: PyTree, key: Array) -> Vectors:
    """Random unit vectors to start the iteration from."""
    return {
        name: unit(jax.random.normal(jax.random.fold_in(key, i), weight.shape[-1:]))
        for i, (name, weight) in enumerate(weights(params).items())
    }


def normalize(params: PyTree, vectors: Vectors) -> tuple[PyTree, Vectors]:
    """(the parameters with each weight over its singular value, the vectors one power iteration on).

    Miyato 2018, algorithm 1: the vectors are held, so the gradient is that of W / (u^T W v).
    """
    scales, moved = {}, {}
    for name, weight in weights(params).items():
        held = jax.lax.stop_gradient(matrix(weight))
        left = unit(held @ vectors[name])
        moved[name] = unit(left @ held)
        scales[name] = left @ matrix(weight) @ moved[name]

    def scaled(path: tuple, leaf: Array) -> Array:
        return leaf / scales.get(jax.tree_util.keystr(path, simple=True, separator="."), 1.0)

    return jax.tree.map_with_path(scaled, params), moved
