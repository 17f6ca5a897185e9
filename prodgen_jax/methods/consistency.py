"""Few steps: a student that leaps along a DDPM's path. Consistency distillation (Song 2023), in leaps (Heek 2024).

A deterministic sampler takes each noise along one curve to one picture. The curve is cut into a few stretches, and the
student is asked, from anywhere on one, for where it ends: what it says at one point must agree with what it says at the
next, which a trained DDPM, the teacher, shows by one step of DDIM. With one stretch its end is the picture itself.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.methods.backbone import BACKBONES
from prodgen_jax.methods.core import Method, Turn
from prodgen_jax.methods.denoiser import denoiser, estimate
from prodgen_jax.methods.diffusion import DDPMSettings, ddpm_frame
from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.gaussian import Point, mix, strided
from prodgen_jax.methods.guidance import Guidance, check_guidance, guided, hide
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.samplers import Here, ddim
from prodgen_jax.methods.spec import Spec, choose

TEACHER = "_teacher"  # after a group's name: the trained one that stays


@dataclass(frozen=True)
class ConsistencySettings(DDPMSettings):
    """What `--set` reaches of a student: all that its teacher has, and these.

    guidance and its bounds are the teacher's while the student learns; it has them for good then, and draws unguided.
    """

    lr: float = 3e-4  # Adam's step size after warm-up
    points: int = 24  # of the curve that it is trained at
    leaps: int = 4  # from noise to picture: the curve is cut into so many stretches
    huber: float = 0.03  # a pixel's error under which it counts squared, over which it counts as it is
    sampler: str = "ddim"  # from one cut to the next; renoise, which puts noise back, where leaps=1 and steps are more
    sample_steps: int = 4  # best as many as leaps; one network evaluation each


def step_to(x: Float[Array, "b ..."], x0: Float[Array, "b ..."], now: Point, then: Point) -> Float[Array, "b ..."]:
    """One step of DDIM."""
    return ddim(Here(x, x0, x0, x0, now, now, then))


def leading(x: Float[Array, "b ..."], there: Float[Array, "b ..."], now: Point, end: Point) -> Float[Array, "b ..."]:
    """The x0 with which a step of DDIM leads from x at `now` to `there` at `end`. Heek 2024, algorithm 1 (invDDIM)."""
    ratio = end.sigma / now.sigma
    return (there - ratio * x) / (end.alpha - ratio * now.alpha)


def consistency(s: ConsistencySettings, spec: Spec) -> Method:
    """A student of a DDPM over pixels; its group `..._teacher` is what `--from` filled in."""
    if not 1 <= s.points <= s.timesteps:
        raise InputError(f"points={s.points}: must be 1 to timesteps={s.timesteps}")
    if s.leaps < 1 or s.points % s.leaps:
        raise InputError(f"leaps={s.leaps}: must divide points={s.points}")
    if s.task:
        raise InputError(f"task={s.task}: a student begins from noise alone, as its teacher does; leave task empty")
    if not s.huber > 0:
        raise InputError(f"huber={s.huber}: must be above 0")
    frame, shape = ddpm_frame(s), (spec.size, spec.size, spec.channels)
    unguided = {"guidance": 1.0, "guidance_from": 0.0, "guidance_to": float("inf"), "guidance_rescale": 0.0}
    student = denoiser(replace(s, **unguided), spec, frame)
    said = {name: choose(spec.conditions, name, "condition") for name in s.condition}
    guidance = Guidance(s.guidance, s.guidance_from, s.guidance_to, s.guidance_rescale)
    check_guidance(guidance, said)
    build = BACKBONES[s.network].build
    net = opened(nnx.eval_shape(lambda: build(s, spec, said, nnx.Rngs(params=jax.random.key(0)))), s.precision)
    times, stretch = strided(s.timesteps, s.points), s.points // s.leaps

    def answer(group, label):
        return lambda x, p: estimate(frame, lambda x, t: net(group)(x, t, label, None), x, p)

    def turn(params, extra, batch, keys, step):
        k_time, k_noise, k_drop = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        label = hide(k_drop, {name: batch["label"][name] for name in said}, s.drop, s.drop_each)
        place = jax.vmap(lambda key: jax.random.randint(key, (), 0, s.points))(k_time)
        x0, eps = batch["image"], normal(k_noise, shape)
        now, then, end = (
            frame.path(times[at]).against(x0) for at in (place, place + 1, (place // stretch + 1) * stretch)
        )
        x = mix(x0, eps, now)
        # the teacher's step along its curve, and where the student leaps from there; nothing is learned from this side
        teacher = params[s.network + TEACHER]
        seen = guided(lambda x, p, label: answer(teacher, label)(x, p), label, guidance)(x, now)
        ahead = step_to(x, jnp.clip(seen, -1, 1), now, then)
        told = answer(params[s.network], label)(ahead, then)
        there = jnp.where(then.t > end.t, step_to(ahead, jnp.clip(told, -1, 1), then, end), ahead)
        error = answer(params[s.network], label)(x, now) - jax.lax.stop_gradient(leading(x, there, now, end))
        loss = (jnp.sqrt(error**2 + s.huber**2) - s.huber).mean()  # Song & Dhariwal 2024, eq. 7
        return loss, (extra, {"loss/consistency": loss, "loss/error": jnp.mean(error**2)})

    def init(key):
        params, extra = student.init(key)
        return {**params, s.network + TEACHER: jax.tree.map(jnp.copy, params[s.network])}, extra

    return replace(student, init=init, turns=(Turn(s.network, turn),), validate=None, bits=None)
