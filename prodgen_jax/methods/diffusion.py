"""Denoising diffusion (Ho 2020): x_t = a_t x_0 + s_t eps, with a_t^2 + s_t^2 = 1 and t = 1..T.

A network predicts eps or v = a eps - s x_0 (Salimans & Ho 2022); each tells the others exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Turn, power_ema
from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.unet import UNet


@dataclass(frozen=True)
class DDPMSettings:
    """What `--set` reaches of a DDPM."""

    width: int = 32  # channels of the U-Net's first level
    multipliers: tuple[int, ...] = (1, 2, 3)  # channels of each level, in widths
    blocks: int = 1  # residual blocks per level
    attend: tuple[int, ...] = (1,)  # levels with self-attention, 0 the finest
    patch: int = 2  # pixels on a side that one position of the finest level holds
    timesteps: int = 1000  # T
    target: str = "v"  # what the network predicts: v or eps
    min_snr: float = 5.0  # cap of the signal-to-noise ratio in the loss's weight; inf weights every v error alike
    lr: float = 2e-3  # Adam's step size after warm-up
    warmup: int = 100  # steps
    clip: float = 1.0  # largest gradient norm
    condition: tuple[str, ...] = ()  # attributes that condition the picture
    drop: float = 0.1  # share of examples whose attributes are hidden while training
    sampler: str = "ddim"  # ddim or ddpm
    sample_steps: int = 50  # network evaluations per picture


class Schedule(NamedTuple):
    """signal[t] = a_t and noise[t] = s_t for t = 0..T; at t = 0 nothing is noise."""

    signal: Float[Array, "T+1"]
    noise: Float[Array, "T+1"]


def cosine(timesteps: int, offset: float = 0.008) -> Schedule:
    """abar_t = cos^2((t/T + o)/(1 + o) pi/2) / abar_0, each beta at most 0.999. Nichol & Dhariwal 2021, eq. 17."""
    angle = (np.arange(timesteps + 1) / timesteps + offset) / (1 + offset) * np.pi / 2
    kept = np.maximum(np.cos(angle[1:]) ** 2 / np.cos(angle[:-1]) ** 2, 1e-3)
    abar = np.concatenate([[1.0], np.cumprod(kept)])
    return Schedule(jnp.asarray(np.sqrt(abar), jnp.float32), jnp.asarray(np.sqrt(1 - abar), jnp.float32))


def linear(timesteps: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """beta_t from 1e-4 to 0.02 in equal steps. Ho 2020, section 4."""
    abar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(first, last, timesteps))])
    return Schedule(jnp.asarray(np.sqrt(abar), jnp.float32), jnp.asarray(np.sqrt(1 - abar), jnp.float32))


class Target(NamedTuple):
    """What a network predicts: `of(x0, eps, a, s)`; `split(x_t, prediction, a, s)` -> (x0, eps).

    `weight(snr, cap)` makes the squared error count min(snr, cap) times that of x0, so that no noise level is learned
    at the others' expense. Min-SNR (Hang 2023), eq. 4 and its forms for eps and v.
    """

    of: Callable
    split: Callable
    weight: Callable


TARGETS = {
    "eps": Target(
        of=lambda x0, eps, a, s: eps,
        split=lambda x, eps, a, s: ((x - s * eps) / a, eps),
        weight=lambda snr, cap: jnp.minimum(snr, cap) / snr,
    ),
    "v": Target(
        of=lambda x0, eps, a, s: a * eps - s * x0,
        split=lambda x, v, a, s: (a * x - s * v, s * x + a * v),
        weight=lambda snr, cap: jnp.minimum(snr, cap) / (snr + 1),
    ),
}


def diffuse(schedule: Schedule, x0: Float[Array, "b h w c"], t: Int[Array, "b"], eps: Float[Array, "b h w c"]):
    """(x_t, a_t, s_t). Ho 2020, eq. 4."""
    a, s = (row[t][:, None, None, None] for row in schedule)
    return a * x0 + s * eps, a, s


def stride(timesteps: int, steps: int) -> Int[Array, "steps+1"]:
    """T = t_0 > t_1 > ... > t_steps = 0, evenly spaced."""
    return jnp.asarray(np.round(np.linspace(timesteps, 0, steps + 1)), jnp.int32)


def ddim_step(x0, eps, x, noise, a, s, a_next, s_next):
    """x_next = a' x0 + s' eps. DDIM (Song 2021), eq. 12 with sigma = 0."""
    del x, noise, a, s
    return a_next * x0 + s_next * eps


def ddpm_step(x0, eps, x, noise, a, s, a_next, s_next):
    """A draw from q(x_next | x, x0). Ho 2020, eq. 6 and 7, for any two times."""
    del eps
    ratio = a / a_next
    beta = 1 - ratio**2
    mean = (a_next * beta * x0 + ratio * s_next**2 * x) / s**2
    return mean + jnp.sqrt(beta) * s_next / s * noise


SAMPLERS = {"ddim": ddim_step, "ddpm": ddpm_step}


def sample_loop(
    predict: Callable, target: Target, move: Callable, schedule: Schedule, steps: int, keys, shape: tuple[int, ...]
) -> Float[Array, "b h w c"]:
    """From noise to pictures in `steps` evaluations of `predict(x, t) -> target`, as one compiled loop.

    The estimate of x_0 is held to [-1, 1], where pictures live, and eps is made to agree with it.
    """
    times = stride(schedule.signal.shape[0] - 1, steps)
    first, later = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key))(keys), 1, 0)

    def body(x, inputs):
        i, now, then = inputs
        a, s, a_next, s_next = schedule.signal[now], schedule.noise[now], schedule.signal[then], schedule.noise[then]
        x0, _ = target.split(x, predict(x, jnp.full(x.shape[0], now)), a, s)
        x0 = jnp.clip(x0, -1, 1)
        noise = normal(jax.vmap(lambda key: jax.random.fold_in(key, i))(later), shape)
        return move(x0, (x - a * x0) / s, x, noise, a, s, a_next, s_next), None

    x, _ = jax.lax.scan(body, normal(first, shape), (jnp.arange(steps), times[:-1], times[1:]))
    return x


def choose(table: dict, name: str, setting: str):
    """The value that a setting names; InputError lists the known names."""
    if name not in table:
        raise InputError(f"{setting}={name} is not known; choose one of {', '.join(table)}")
    return table[name]


def check(settings: DDPMSettings, spec: Spec) -> None:
    """InputError where times, steps, levels and the picture's size do not fit together."""
    s, levels = settings, len(settings.multipliers)
    fold = s.patch * 2 ** (levels - 1)
    if spec.size % fold:
        raise InputError(
            f"ddpm: pictures of {spec.size} px cannot be halved to {levels} levels; patch * 2^(levels - 1) "
            f"is {fold} and must divide the size"
        )
    if not 1 <= s.sample_steps <= s.timesteps:
        raise InputError(f"sample_steps={s.sample_steps}: must be 1 to timesteps={s.timesteps}")
    if not set(s.attend) <= set(range(levels)):
        raise InputError(f"attend={s.attend}: there are levels 0 to {levels - 1}")


def ddpm(settings: DDPMSettings, spec: Spec) -> Method:
    """A DDPM over pixels, conditional on `settings.condition` where that names attributes."""
    s, schedule = settings, cosine(settings.timesteps)
    target, move = choose(TARGETS, s.target, "target"), choose(SAMPLERS, s.sampler, "sampler")
    shape = (spec.size, spec.size, spec.channels)
    check(settings, spec)
    attributes = {name: choose(dict(spec.attributes), name, "condition") for name in s.condition}

    def build(key):
        rngs = nnx.Rngs(params=key)
        return UNet(spec.channels, s.width, s.multipliers, s.blocks, s.attend, s.patch, attributes, rngs=rngs)

    graph = nnx.graphdef(nnx.eval_shape(lambda: build(jax.random.key(0))))

    def predict(params, x, t, label):
        return nnx.merge(graph, params["unet"], copy=True)(x, t / s.timesteps, label)

    def hide(keys, label):
        """Hides all attributes of an example with probability `drop`, so that 'not said' is learned too."""
        hidden = jax.vmap(lambda key: jax.random.bernoulli(key, s.drop))(keys)
        return {name: jnp.where(hidden, -1, label[name]) for name in attributes}

    def turn(params, extra, batch, keys, step):
        k_time, k_noise, k_drop = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        t = jax.vmap(lambda key: jax.random.randint(key, (), 1, s.timesteps + 1))(k_time)
        eps = normal(k_noise, shape)
        x, a, sigma = diffuse(schedule, batch["image"], t, eps)
        guess = predict(params, x, t, hide(k_drop, batch.get("label", {})))
        error = jnp.mean((guess - target.of(batch["image"], eps, a, sigma)) ** 2, (1, 2, 3))  # Ho 2020, eq. 14
        snr = jnp.square(a / sigma)[:, 0, 0, 0]
        loss = jnp.mean(target.weight(snr, s.min_snr) * error)
        return loss, (extra, {"loss/denoise": loss, "loss/error": error.mean()})

    def sample(params, keys, cond):
        unsaid = jnp.full(keys.shape[0], -1)
        label = {name: cond.get(name, unsaid) for name in attributes}
        return sample_loop(
            lambda x, t: predict(params, x, t, label), target, move, schedule, s.sample_steps, keys, shape
        )

    rate = optax.linear_schedule(0.0, s.lr, s.warmup)
    return Method(
        init=lambda key: ({"unet": nnx.state(build(key), nnx.Param)}, {}),
        turns=(Turn("unet", turn),),
        optim={"unet": optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(rate, b2=0.99))},
        sample=sample,
        ema={"unet": power_ema()},
        conditions=tuple(attributes),
    )
