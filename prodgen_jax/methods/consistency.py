"""Few steps: a student that leaps from any point of a DDPM's path to its end (consistency distillation, Song 2023).

A deterministic sampler takes each noise along one curve to one picture. The student is asked for that picture from
anywhere on the curve: what it says at one point must agree with what it says at the next, which a trained DDPM, the
teacher, shows by one step of DDIM. At the end the point is the picture itself.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods.backbone import BACKBONES
from prodgen_jax.methods.core import Method, Turn
from prodgen_jax.methods.denoiser import denoiser, estimate
from prodgen_jax.methods.diffusion import DDPMSettings, ddpm_frame
from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.gaussian import mix, strided
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
    leaps: int = 18  # points of the curve that it is trained at
    huber: float = 0.03  # a pixel's error under which it counts squared, over which it counts as it is
    sampler: str = "renoise"  # noise is put back between two leaps
    sample_steps: int = 4  # leaps per picture; one network evaluation each


def consistency(s: ConsistencySettings, spec: Spec) -> Method:
    """A student of a DDPM over pixels; its group `..._teacher` is what `--from` filled in."""
    if not 1 <= s.leaps <= s.timesteps:
        raise InputError(f"leaps={s.leaps}: must be 1 to timesteps={s.timesteps}")
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
    times = strided(s.timesteps, s.leaps)

    def answer(group, label):
        return lambda x, p: estimate(frame, lambda x, t: net(group)(x, t, label, None), x, p)

    def turn(params, extra, batch, keys, step):
        k_time, k_noise, k_drop = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        label = hide(k_drop, {name: batch["label"][name] for name in said}, s.drop, s.drop_each)
        place = jax.vmap(lambda key: jax.random.randint(key, (), 0, s.leaps))(k_time)
        now, then = frame.path(times[place]), frame.path(times[place + 1])
        x0, eps = batch["image"], normal(k_noise, shape)
        x = mix(x0, eps, now.against(x0))
        # the teacher's step along its curve, and what the student says there; nothing of it is learned from this side
        teacher = params[s.network + TEACHER]
        seen = guided(lambda x, p, label: answer(teacher, label)(x, p), label, guidance)(x, now)
        seen = jnp.clip(seen, -1, 1)
        ahead = ddim(Here(x, seen, seen, eps, now.against(x), now.against(x), then.against(x)))
        told = answer(params[s.network], label)(ahead, then)
        wanted = jax.lax.stop_gradient(jnp.where(then.against(x).sigma > 0, jnp.clip(told, -1, 1), ahead))
        error = answer(params[s.network], label)(x, now) - wanted
        loss = (jnp.sqrt(error**2 + s.huber**2) - s.huber).mean()  # Song & Dhariwal 2024, eq. 7
        return loss, (extra, {"loss/consistency": loss, "loss/error": jnp.mean(error**2)})

    def init(key):
        params, extra = student.init(key)
        return {**params, s.network + TEACHER: jax.tree.map(jnp.copy, params[s.network])}, extra

    return replace(student, init=init, turns=(Turn(s.network, turn),), validate=None)
