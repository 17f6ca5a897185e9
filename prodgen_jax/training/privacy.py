"""What DP-SGD promises of any one training photo, and how its batches are drawn.

A run is (epsilon, delta)-differentially private if no photo, put in or left out, makes any outcome more than
exp(epsilon) times as likely, but for outcomes of probability delta (Dwork 2006). Each photo is drawn for each step by a
coin of its own (Poisson sampling), as the accountant has it; batches cut from shuffled epochs, accounted alike, promise
too much.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp
from scipy.stats import binom

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.private import DRAWN

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512)  # of Renyi's divergence; the best one is taken
OVERFLOW = 1e-11  # how likely more photos are drawn for a step than have a place in it; each step adds it to delta
PLACES = 8  # the number of places is a multiple of this, so that it does not depend on how many of 8 devices share them
MOST_NOISE = 1000.0
LEAST_SECRET = 100_000  # seeds below are tried by hand


# --- the accountant -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def renyi(rate: float, noise: float) -> np.ndarray:
    """Renyi divergences of one step, one for each of `ORDERS`, where each photo is drawn with probability `rate`.

    Mironov, Talwar & Zhang 2019, section 3.3, for whole orders.
    """
    if rate == 1:
        return np.array([order / (2 * noise**2) for order in ORDERS])
    found = []
    for order in ORDERS:
        k = np.arange(order + 1)
        ways = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        logs = ways + (order - k) * np.log1p(-rate) + k * np.log(rate) + k * (k - 1) / (2 * noise**2)
        found.append(logsumexp(logs) / (order - 1))
    return np.array(found)


def epsilon(rate: float, noise: float, steps: int, delta: float) -> float:
    """Of so many steps. noise: its deviation, in clips. Canonne, Kamath & Steinke 2020, proposition 12."""
    orders = np.array(ORDERS, float)
    bounds = steps * renyi(rate, noise) + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return float(max(bounds.min(), 0.0))


def noise_for(wanted: float, rate: float, steps: int, delta: float) -> float:
    """The least noise, in clips, with which so many steps stay within an epsilon. InputError if there is none."""
    if not wanted > 0:
        raise InputError(f"epsilon={wanted}: must be above 0")
    if epsilon(rate, MOST_NOISE, steps, delta) > wanted:
        raise InputError(f"epsilon={wanted}: no noise keeps {steps} steps within it; take fewer, or smaller batches")

    def above(log_noise: float) -> float:
        return epsilon(rate, float(np.exp(log_noise)), steps, delta) - wanted

    return float(np.exp(brentq(above, np.log(0.1), np.log(MOST_NOISE), xtol=1e-6))) if above(np.log(0.1)) > 0 else 0.1


def usual_delta(photos: int) -> float:
    """A tenth of what would let one photo in a set of that size be told outright."""
    return 0.1 / photos


def spent(photos: int, batch: int, noise: float, steps: int) -> dict[str, float]:
    """{"epsilon", "delta"} of a run of so many steps with `batch` photos a step on average."""
    delta = usual_delta(photos)
    return {"epsilon": epsilon(rate_of(photos, batch), noise, steps, delta), "delta": delta + steps * OVERFLOW}


# --- how batches are drawn ----------------------------------------------------------------------------------------


def rate_of(photos: int, batch: int) -> float:
    return min(batch / photos, 1.0)


def places_for(photos: int, batch: int, devices: int = 1) -> int:
    """Rows of a step's batch: as many as are drawn but once in 1 / OVERFLOW steps, and as devices can share evenly."""
    most, even = int(binom.isf(OVERFLOW, photos, rate_of(photos, batch))), math.lcm(PLACES, devices)
    return -(-min(most, photos) // even) * even


def drawn_by_coins(photos: int, batch: int, seed: int, places: int, part: slice = slice(None)) -> Callable:
    """step -> rows of its batch, or of a part of it, -1 where a place is empty: int32 [places]."""
    rate = rate_of(photos, batch)

    def rows(step: int) -> Int[np.ndarray, "places"]:
        rng = np.random.default_rng([seed, step, PLACES])
        picked = rng.choice(photos, rng.binomial(photos, rate), replace=False)[:places]
        return np.pad(picked, (0, places - len(picked)), constant_values=-1).astype(np.int32)[part]

    return rows


def marked(make_batch: Callable) -> Callable:
    """`make_batch` of the loader, for rows of which some are empty: the batch says which were drawn."""

    def batch(source: dict, indices: Int[jax.Array, "b"], keys: jax.Array) -> dict:
        return {**make_batch(source, jnp.maximum(indices, 0), keys), DRAWN: indices >= 0}

    return batch


def check_secret(noise: float, seed: int) -> None:
    """InputError where a private run's seed is one that anybody would try."""
    if noise and seed < LEAST_SECRET:
        raise InputError(
            f"seed={seed}: whoever guesses it takes the noise of dp_noise={noise} away; "
            f"choose one at random, from {LEAST_SECRET:,} on, and keep it to yourself"
        )


def check_private(method: Method, noise: float, clip: float, accumulate: int, route: str) -> None:
    """InputError where a setting is none, or the method or another setting does not go with DP-SGD."""
    for name, value in (("dp_noise", noise), ("dp_clip", clip)):
        if not 0 < value < float("inf"):
            raise InputError(f"{name}={value}: must be above 0")
    players = [turn.trains for turn in method.turns]
    carried = jax.tree.leaves(jax.eval_shape(method.init, jax.random.key(0))[1])
    if len(players) > 1 or method.domains or carried:
        does = (
            f"plays {', '.join(dict.fromkeys(players))}"
            if len(players) > 1
            else "learns from photos in ways that no noise covers"
        )
        raise InputError(
            f"dp_noise={noise}: goes with methods of one turn (ae, vae, cvae, ddpm, edm, flow); this {does}"
        )
    if accumulate > 1 or route == "stream":
        raise InputError(f"dp_noise={noise}: goes with accumulate=1 and the resident route alone")
