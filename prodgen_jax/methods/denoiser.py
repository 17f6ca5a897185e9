"""A network that takes noise away, as a method: one loss and one sampling loop for every Gaussian path.

What DDPM, EDM and flow matching differ in is a `Frame`; the rest, written here, they share. With a task the network
sees beside the noisy picture what that task leaves of the photo (Palette, Saharia 2022), so that it makes many pictures
of one source where pix2pix makes one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Shaped

from prodgen_jax.data.tasks import TASKS
from prodgen_jax.errors import InputError
from prodgen_jax.methods.backbone import BACKBONES, BackboneSettings
from prodgen_jax.methods.conditions import asked
from prodgen_jax.methods.core import SOURCE, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.gaussian import (
    Path,
    Point,
    Scales,
    Target,
    Weight,
    answer_weight,
    ask,
    mix,
    plain,
    precondition,
    tell,
)  # fmt: skip
from prodgen_jax.methods.guidance import Guidance, check_guidance, guided, hide
from prodgen_jax.methods.likelihood import bits_per_dim, chain_bound, even_levels
from prodgen_jax.methods.optimizers import OPTIMIZERS
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.samplers import Kept, Rule, sample_loop
from prodgen_jax.methods.spec import Spec, choose


@dataclass(frozen=True)
class DenoiserSettings(BackboneSettings, PrecisionSettings):
    """What `--set` reaches of every method here: the network, its training, its attributes, and its sampling."""

    optimizer: str = "adam"  # adam, or muon: the same, but for the kernels of hidden layers
    lr: float = 2e-3  # step size after warm-up
    warmup: int = 100  # steps
    weight_decay: float = 0.0  # of all parameters, per unit of step size
    clip: float = 1.0  # largest gradient norm
    condition: tuple[str, ...] = ()  # what the picture is conditional on: attributes, and text
    task: str = ""  # what is left of a photo, to make it again from, as pix2pix's; empty: from noise alone
    drop: float = 0.1  # share of examples whose attributes are all hidden while training
    drop_each: float = 0.1  # share of examples that hide an attribute by itself; counts from two attributes on
    sampler: str = "heun"  # ancestral, ddim, heun, dpmpp2m or euler
    sample_steps: int = 18  # steps per picture; one network evaluation each, heun two in all but the last
    guidance: float = 1.0  # scale of classifier-free guidance; 1 is off
    guidance_from: float = 0.0  # noise level (sigma / alpha) under which nothing is guided
    guidance_to: float = float("inf")  # noise level over which nothing is guided
    guidance_rescale: float = 0.0  # share of the contrast lost to guidance that is given back, 0 to 1


SEEN = 0.1  # noise beside a photo's numbers, sigma / alpha, near which its features are read
CHAIN = 250  # steps of the chain whose bound counts bits
STREAM_DROPOUT = 5  # what an example's key is folded with for what the network drops out
SAMPLING = ("sampler", "sample_steps", "guidance", "guidance_from", "guidance_to", "guidance_rescale")


class Frame(NamedTuple):
    """All that one Gaussian method differs in from another."""

    path: Path
    draw_time: Callable  # key -> a time to train at
    times: Array  # [sample_steps + 1], the times that sampling visits
    target: Target
    weight: Weight
    rule: Rule  # the sampler's
    scales: Scales = plain


def check(method: str, s: DenoiserSettings, spec: Spec) -> None:
    """InputError where network, steps, shares and the picture's size do not fit together."""
    choose(BACKBONES, s.network, "network").check(method, s, spec)
    if s.sample_steps < 1:
        raise InputError(f"sample_steps={s.sample_steps}: must be 1 or more")
    if not 0 <= s.dropout < 1:
        raise InputError(f"dropout={s.dropout}: a share, must be 0 or more and below 1")
    if not 0 <= s.weight_decay < float("inf"):
        raise InputError(f"weight_decay={s.weight_decay}: must be 0 or more")
    for name in ("drop", "drop_each"):
        if not 0 <= getattr(s, name) <= 1:
            raise InputError(f"{name}={getattr(s, name)}: a share, must lie in 0 to 1")


def denoising_loss(
    frame: Frame, net: Callable, x0: Float[Array, "b ..."], t: Float[Array, "b"], eps: Float[Array, "b ..."]
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """(weighted, plain) mean squared error of the answer, for each example. Ho 2020, eq. 14, for any target."""
    p = frame.path(t)
    at = p.against(x0)
    guess = precondition(frame.scales, net, mix(x0, eps, at), at)
    error = jnp.mean((guess - ask(frame.target, x0, eps, at)) ** 2, tuple(range(1, x0.ndim)))
    return answer_weight(frame.weight, frame.target, p) * error, error


def estimate(frame: Frame, net: Callable, x: Float[Array, "b ..."], p: Point) -> Float[Array, "b ..."]:
    """The network's estimate of x_0 at a point."""
    at = p.against(x)
    return tell(frame.target, x, precondition(frame.scales, net, x, at), at)[0]


def shortened(times: Shaped[Array, "n"], strength: Float[Array, ""]) -> Shaped[Array, "n"]:
    """As many times, but over the last share `strength` of the way; of whole numbers the nearest."""
    places = jnp.arange(len(times)) / (len(times) - 1)
    found = jnp.interp(1 - strength * (1 - places), places, times)
    return jnp.round(found).astype(times.dtype) if jnp.issubdtype(times.dtype, jnp.integer) else found


def beside(call: Callable, source: Float[Array, "n h w c"] | None) -> Callable:
    """A network of twice the channels as one of (x, t): each picture beside its source, which guidance wants twice."""
    if source is None:
        return call

    def answer(x: Float[Array, "b h w c"], t: Float[Array, "b"]) -> Float[Array, "b h w c"]:
        sources = jnp.concatenate([source] * (len(x) // len(source)))
        return call(jnp.concatenate([x, sources], axis=-1), t)[..., : x.shape[-1]]

    return answer


def fitting_task(name: str, shape: tuple[int, int, int]) -> Callable | None:
    """The task of that name; None where there is none. InputError or ValueError where it does not fit the pictures."""
    if not name:
        return None
    task = choose(TASKS, name, "task")
    jax.eval_shape(task, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    return task


class Denoiser:
    """A network in a frame, told what `s.condition` and `s.task` name, as pure functions of {group: params}.

    limit: estimates are held to [-limit, limit]; 1 is where pictures live.
    """

    def __init__(self, s: DenoiserSettings, spec: Spec, frame: Frame, limit: float):
        self.s, self.frame, self.limit = s, frame, limit
        self.shape = (spec.size, spec.size, spec.channels)
        self.task = fitting_task(s.task, self.shape)
        self.seen = replace(spec, channels=2 * spec.channels) if self.task else spec
        self.said = {name: choose(spec.conditions, name, "condition") for name in s.condition}
        self.guidance = Guidance(s.guidance, s.guidance_from, s.guidance_to, s.guidance_rescale)
        check_guidance(self.guidance, self.said)
        shape = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.net, self.sees = (opened(shape, s.precision, call) for call in ("__call__", "seen"))

    def build(self, key) -> nnx.Module:
        return BACKBONES[self.s.network].build(self.s, self.seen, self.said, nnx.Rngs(params=key))

    def network(self, params, label, source, keys=None) -> Callable:
        return beside(lambda x, t: self.net(params[self.s.network])(x, t, label, keys), source)

    def estimated(self, params, source) -> Callable:
        """(x, point, label) -> x_0, before it is held."""
        return lambda x, p, label: estimate(self.frame, self.network(params, label, source), x, p)

    def held(self, x0: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        return jnp.clip(x0, -self.limit, self.limit)

    def errors(self, params, batch, keys, together: float, each: float, inside=None) -> tuple[Array, Array]:
        """(weighted, plain) error of each picture, at a time and a noise of its own; attributes hidden in shares.

        inside: keys of what the network drops out; None: it drops nothing.
        """
        k_time, k_noise, k_drop = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        label = hide(k_drop, {name: batch["label"][name] for name in self.said}, together, each)
        t, eps = jax.vmap(self.frame.draw_time)(k_time), normal(k_noise, self.shape)
        source = self.task(batch["image"]) if self.task else None
        return denoising_loss(self.frame, self.network(params, label, source, inside), batch["image"], t, eps)

    def turn(self, params, extra, batch, keys, step):
        weighted, error = self.errors(params, batch, keys, self.s.drop, self.s.drop_each, fold(keys, STREAM_DROPOUT))
        loss = weighted.mean()
        return loss, (extra, {"loss/denoise": loss, "loss/error": error.mean()})

    def validate(self, params, batch, keys) -> dict[str, Array]:
        return {"denoise": self.errors(params, batch, keys, 0.0, 0.0)[0].mean()}

    def bits(self, params, batch, keys) -> Float[Array, "b"]:
        """By the bound of a chain of at most CHAIN steps, unguided."""
        label, told = {name: batch["label"][name] for name in self.said}, self.estimated(params, None)
        points = self.frame.path(jnp.asarray(even_levels(self.frame.path, self.frame.times, CHAIN)))
        bound = chain_bound(lambda x, p: self.held(told(x, p, label)), points, batch["image"], keys)
        return bits_per_dim(bound, math.prod(self.shape))

    def features(self, params, images, keys) -> Float[Array, "n d"]:
        """What its network sees, about half way, in pictures with a little noise. Xiang 2023 ("DDAE"), section 3.

        At the time nearest to SEEN of those that sampling visits, so that it is one that the network is asked at.
        """
        points = self.frame.path(self.frame.times)
        near = jnp.argmin(abs(points.sigma / points.alpha - SEEN))
        at = self.frame.path(jnp.full(len(images), self.frame.times[near])).against(images)
        _, _, scale, time = self.frame.scales(at)
        x = scale * mix(images, normal(keys, self.shape), at)
        times = jnp.broadcast_to(jnp.ravel(time), keys.shape)
        return self.sees(params[self.s.network])(x, times, asked(self.said, {}, len(images)))

    def draw(self, params, keys, cond, times, kept: Kept | None = None) -> Float[Array, "n h w c"]:
        label = asked(self.said, cond, keys.shape[0])
        source = cond.get(SOURCE, jnp.zeros((keys.shape[0], *self.shape))) if self.task else None
        told = guided(self.estimated(params, source), label, self.guidance)
        points = self.frame.path(times)  # a rule's eps is made to agree with what is held
        return sample_loop(lambda x, p: self.held(told(x, p)), self.frame.rule, points, keys, self.shape, kept)

    def edit(self, params, keys, cond, kept, strength) -> Float[Array, "n h w c"]:
        return self.draw(params, keys, cond, shortened(self.frame.times, strength), kept)


def denoiser(s: DenoiserSettings, spec: Spec, frame: Frame, limit: float = 1.0) -> Method:
    """The method of a `Denoiser`: one turn, with a warm-up."""
    d = Denoiser(s, spec, frame, limit)
    rate = optax.linear_schedule(0.0, s.lr, s.warmup)
    step = choose(OPTIMIZERS, s.optimizer, "optimizer")(rate, s.weight_decay)
    return Method(
        init=lambda key: ({s.network: nnx.state(d.build(key), nnx.Param)}, {}),
        turns=(Turn(s.network, d.turn),),
        optim={s.network: optax.chain(optax.clip_by_global_norm(s.clip), step)},
        sample=lambda params, keys, cond: d.draw(params, keys, cond, frame.times),
        edit=None if d.task else d.edit,
        source=d.task,
        ema={s.network: power_ema()},
        conditions=tuple(d.said),
        validate=d.validate,
        bits=None if d.task else d.bits,
        features=None if d.task else d.features,
    )
