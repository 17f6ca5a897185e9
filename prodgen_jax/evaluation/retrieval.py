"""Retrieval: what two towers lay close together, found by words or by a picture, and how often it is the right one."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from prodgen_jax.data.images import blocks_of, to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.methods.contrastive import Towers
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run

BLOCK = 256  # pictures or lines put through a tower at once


def towers_of(run: Run) -> Towers:
    """The towers of a run. InputError where it has none."""
    if "towers" not in run.params:
        raise InputError(f"{run.path}: a {run.config['method']} has no towers to find by; train an unclip")
    return Towers(run.recipe.method, run.spec)


def embed(run: Run, what: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Points of the unit sphere of pictures (uint8 [n h w 3] of the run's size) or lines (word numbers [n l])."""
    towers, params = towers_of(run), {"towers": run.params["towers"]}
    if what.ndim == 4 and what.shape[1:] != (run.spec.size, run.spec.size, 3):
        raise InputError(f"pictures are {what.shape[1:]}; the run knows {run.spec.size} px, 3 channels")
    by = towers.line if what.ndim == 2 else lambda params, x: towers.picture(params, to_signed(x))
    tower = jitted(by)
    return np.concatenate([np.asarray(tower(params, jnp.asarray(full)))[:n] for full, n in blocks_of(what, BLOCK)])


def nearest(
    queries: Float[np.ndarray, "q d"], among: Float[np.ndarray, "n d"], k: int
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """(places of the k most similar, the cosines), the most similar first."""
    cosines = queries @ among.T
    places = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return places, np.take_along_axis(cosines, places, axis=1)


def recall_at(
    queries: Float[np.ndarray, "n d"], among: Float[np.ndarray, "n d"], ks: Sequence[int]
) -> dict[int, float]:
    """Share of queries whose own one, of the same place, is among the k most similar; k/n is chance. Radford 2021."""
    cosines = queries @ among.T
    own = np.diagonal(cosines)[:, None]
    before = (cosines > own).sum(1) + ((cosines == own).sum(1) - 1) / 2  # a tie is half before, half behind
    return {k: float(np.mean(before < k)) for k in ks}


def found(
    run: Run, images: UInt8[np.ndarray, "n h w 3"], query: np.ndarray, k: int
) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """(places of the k pictures nearest to one query, the cosines); query: a picture or a line, as `embed` takes it."""
    if not 1 <= k <= len(images):
        raise InputError(f"k={k}: must be 1 to {len(images)}, the number of pictures")
    places, cosines = nearest(embed(run, query[None]), embed(run, images), k)
    return places[0], cosines[0]
