"""The frame that DDPM, EDM and flow matching share: x_t = alpha_t x_0 + sigma_t eps, with eps ~ N(0, 1).

A path says alpha and sigma at a time; it is noise at its last time and the picture at 0. A target is what the network
is asked for, a weight how much its error counts at a time, a preconditioning how its numbers are scaled. All take the
path's `Point` at a time, whose fields are scalars or shaped to broadcast against pictures.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int


class Point(NamedTuple):
    """A path at time t: x_t = alpha x_0 + sigma eps; dalpha and dsigma are per unit of t."""

    t: Float[Array, "..."]
    alpha: Float[Array, "..."]
    sigma: Float[Array, "..."]
    dalpha: Float[Array, "..."]
    dsigma: Float[Array, "..."]

    @property
    def level(self) -> Float[Array, "..."]:
        """sigma / alpha: noise in units of the picture, 0 at the picture and without bound at noise. EDM's sigma."""
        return self.sigma / self.alpha

    def against(self, x: Float[Array, "b ..."]) -> "Point":
        """The same point (scalars or [b]) with axes of length 1, to broadcast against x."""
        return Point(*(jnp.reshape(field, (-1,) + (1,) * (x.ndim - 1)) for field in self))


Path = Callable[[Array], Point]


def mix(x0: Float[Array, "b ..."], eps: Float[Array, "b ..."], p: Point) -> Float[Array, "b ..."]:
    """x_t. Ho 2020, eq. 4; Lipman 2022, eq. 10."""
    return p.alpha * x0 + p.sigma * eps


# --- paths --------------------------------------------------------------------------------------------------------


class Schedule(NamedTuple):
    """signal[t] = alpha_t and noise[t] = sigma_t for t = 0..T; at t = 0 nothing is noise, and squares sum to 1."""

    signal: Float[Array, "T+1"]
    noise: Float[Array, "T+1"]


def tabulate(abar: Float[np.ndarray, "T+1"]) -> Schedule:
    return Schedule(jnp.asarray(np.sqrt(abar), jnp.float32), jnp.asarray(np.sqrt(1 - abar), jnp.float32))


def cosine(timesteps: int, offset: float = 0.008) -> Schedule:
    """abar_t = cos^2((t/T + o)/(1 + o) pi/2) / abar_0, each beta at most 0.999. Nichol & Dhariwal 2021, eq. 17."""
    angle = (np.arange(timesteps + 1) / timesteps + offset) / (1 + offset) * np.pi / 2
    kept = np.maximum(np.cos(angle[1:]) ** 2 / np.cos(angle[:-1]) ** 2, 1e-3)
    return tabulate(np.concatenate([[1.0], np.cumprod(kept)]))


def linear(timesteps: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """beta_t from 1e-4 to 0.02 in equal steps. Ho 2020, section 4."""
    return tabulate(np.concatenate([[1.0], np.cumprod(1 - np.linspace(first, last, timesteps))]))


SCHEDULES = {"cosine": cosine, "linear": linear}


def table_path(schedule: Schedule) -> Path:
    """The path of a schedule; its times are the integers 0..T, its points' t is a share of T, its slopes central."""
    steps = len(schedule.signal) - 1
    slopes = [jnp.asarray(np.gradient(np.float64(row)) * steps, jnp.float32) for row in schedule]

    def at(t: Int[Array, "..."]) -> Point:
        return Point(t / steps, *(row[t] for row in (*schedule, *slopes)))

    return at


def smooth_path(alpha: Callable, sigma: Callable) -> Path:
    """The path of two differentiable functions of t."""

    def at(t: Float[Array, "..."]) -> Point:
        values, slopes = jax.jvp(lambda t: (alpha(t), sigma(t)), (t,), (jnp.ones_like(t),))
        return Point(t, *values, *slopes)

    return at


straight = smooth_path(lambda t: 1 - t, lambda t: t)  # t = 0..1; rectified flow (Liu 2022), eq. 1
exploding = smooth_path(jnp.ones_like, lambda t: t)  # t is the noise's deviation; Karras 2022, section 3


def strided(timesteps: int, steps: int) -> Int[Array, "steps+1"]:
    """T = t_0 > t_1 > ... > t_steps = 0, evenly spaced integers."""
    return jnp.asarray(np.round(np.linspace(timesteps, 0, steps + 1)), jnp.int32)


def even(steps: int) -> Float[Array, "steps+1"]:
    """1 = t_0 > ... > t_steps = 0, evenly spaced."""
    return jnp.asarray(np.linspace(1.0, 0.0, steps + 1), jnp.float32)


def curved(steps: int, least: float, most: float, rho: float) -> Float[Array, "steps+1"]:
    """From `most` to `least`, evenly in the rho-th root, then 0. Karras 2022, eq. 5."""
    roots = np.linspace(most ** (1 / rho), least ** (1 / rho), steps)
    return jnp.asarray(np.append(roots**rho, 0.0), jnp.float32)


# --- what is predicted --------------------------------------------------------------------------------------------

Target = Callable[[Point], tuple[Array, Array]]  # (m, n): the network is asked for m x_0 + n eps

TARGETS: dict[str, Target] = {
    "eps": lambda p: (0.0, 1.0),
    "x0": lambda p: (1.0, 0.0),
    "v": lambda p: (-p.sigma, p.alpha),  # Salimans & Ho 2022, section 4
    "velocity": lambda p: (p.dalpha, p.dsigma),  # dx_t / dt; Lipman 2022, eq. 8
}


def ask(target: Target, x0: Float[Array, "b ..."], eps: Float[Array, "b ..."], p: Point) -> Float[Array, "b ..."]:
    """What a perfect network would answer, were x_0 and eps known."""
    m, n = target(p)
    return n * eps + m * x0


def determinant(target: Target, p: Point) -> Float[Array, "..."]:
    """alpha n - sigma m, of the two equations x_t = alpha x_0 + sigma eps and answer = m x_0 + n eps."""
    m, n = target(p)
    return p.alpha * n - p.sigma * m


def tell(
    target: Target, x: Float[Array, "b ..."], answer: Float[Array, "b ..."], p: Point
) -> tuple[Float[Array, "b ..."], Float[Array, "b ..."]]:
    """(x_0, eps) that agree with x_t and an answer: those two equations, solved."""
    (m, n), d = target(p), determinant(target, p)
    return (n * x - p.sigma * answer) / d, (p.alpha * answer - m * x) / d


# --- how much an error counts -------------------------------------------------------------------------------------

Weight = Callable[[Point], Array]  # what the loss multiplies |x_0 - estimate|^2 with


def min_snr(cap: float, least: float = 0.0) -> Weight:
    """min(alpha^2 / sigma^2, cap), so that no noise level is learned at the others' expense. Hang 2023, eq. 4.

    least: the weight where there is hardly anything but noise, as in Salimans & Ho 2022, section 4 (truncated SNR).
    """
    return lambda p: jnp.clip(jnp.square(p.alpha / p.sigma), least, cap)


def karras_weight(sigma_data: float) -> Weight:
    """(sigma^2 + sigma_data^2) / (sigma sigma_data)^2: the network's own error counts 1. Karras 2022, section 5."""
    return lambda p: (p.sigma**2 + sigma_data**2) / (p.sigma * sigma_data) ** 2


def velocity_weight(p: Point) -> Float[Array, "..."]:
    """On any path an error of the velocity counts 1, whatever the network is asked for. Lipman 2022, eq. 9."""
    return jnp.square(determinant(TARGETS["velocity"], p) / p.sigma)


def answer_weight(weight: Weight, target: Target, p: Point) -> Float[Array, "..."]:
    """The weight of |answer - right answer|^2 that makes the error of x_0 count `weight`."""
    return weight(p) * jnp.square(p.sigma / determinant(target, p))


# --- preconditioning ----------------------------------------------------------------------------------------------

Scales = Callable[[Point], tuple]  # (skip, out, in, time), the four numbers of Karras 2022, eq. 7


def plain(p: Point) -> tuple:
    """The network sees x_t and t and is asked for the target itself."""
    return 0.0, 1.0, 1.0, p.t


def karras_scales(sigma_data: float) -> Scales:
    """On the path `exploding`: what enters and what is asked of the network has variance 1. Karras 2022, table 1.

    But for the time: the paper's ln(sigma) / 4 meets an embedding that does not multiply by 1000 first. Through ours it
    would turn so fast that neighboring noise levels look unlike; a hundredth of it keeps them alike.
    """

    def scales(p: Point) -> tuple:
        norm = jnp.sqrt(p.sigma**2 + sigma_data**2)
        return (sigma_data / norm) ** 2, p.sigma * sigma_data / norm, 1 / norm, jnp.log(p.sigma) / 400

    return scales


def precondition(scales: Scales, net: Callable, x: Float[Array, "b ..."], p: Point) -> Float[Array, "b ..."]:
    """skip x + out net(in x, time): the answer to the target. `net` takes x and times [b]."""
    skip, out, scale, time = scales(p)
    return skip * x + out * net(scale * x, jnp.broadcast_to(jnp.ravel(time), x.shape[:1]))
