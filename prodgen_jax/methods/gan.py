"""Generative adversarial networks (Goodfellow 2014) as turns of a generator and a critic.

DCGAN (Radford 2016) with the non-saturating loss and lazy R1 (Mescheder 2018, Karras 2020).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.core import Method, Turn, power_ema
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.dcgan import Discriminator, Generator


@dataclass(frozen=True)
class DCGANSettings:
    """What `--set` reaches of a DCGAN."""

    latent: int = 128  # numbers in a latent vector
    width: int = 32  # channels of the widest map of both networks
    generator_lr: float = 2e-4  # Adam's step size
    critic_lr: float = 2e-4  # Adam's step size
    beta1: float = 0.5  # Adam's momentum; DCGAN's 0.5
    r1: float = 0.2  # weight of the gradient penalty on real photos
    r1_every: int = 16  # steps between two penalties; each counts so many times as much


def critic_loss(real: Float[Array, "b"], fake: Float[Array, "b"]) -> Float[Array, ""]:
    """-log D(x) - log(1 - D(G(z))) from logits. Goodfellow 2014, eq. 1, as a loss."""
    return jnp.mean(nnx.softplus(-real)) + jnp.mean(nnx.softplus(fake))


def generator_loss(fake: Float[Array, "b"]) -> Float[Array, ""]:
    """-log D(G(z)), the non-saturating loss. Goodfellow 2014, section 3."""
    return jnp.mean(nnx.softplus(-fake))


def r1_penalty(critic, real: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """E |grad_x D(x)|^2 / 2 on real photos. Mescheder 2018, eq. 9.

    The norm is written as the derivative of D along its own, held gradient: value and parameter gradient are the
    same, and nothing is differentiated twice in reverse.
    """
    toward = jax.lax.stop_gradient(jax.grad(lambda x: critic(x).sum())(real))
    _, slope = jax.jvp(critic, (real,), (toward,))
    return jnp.mean(slope - 0.5 * jnp.sum(toward**2, (1, 2, 3)))


def normal(keys, shape: tuple[int, ...]) -> Float[Array, "b ..."]:
    """Standard normal draws of `shape` for each example's key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def dcgan(settings: DCGANSettings, spec: Spec) -> Method:
    """A DCGAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    s = settings

    def nets(key):
        rngs = nnx.Rngs(params=key)
        return (
            Generator(spec.size, spec.channels, s.latent, s.width, rngs=rngs),
            Discriminator(spec.size, spec.channels, s.width, rngs=rngs),
        )

    graph_g, graph_d = (nnx.graphdef(net) for net in nnx.eval_shape(lambda: nets(jax.random.key(0))))

    def generate(params, z):
        return nnx.merge(graph_g, params["generator"], copy=True)(z)

    def critic(params):
        return nnx.merge(graph_d, params["critic"], copy=True)

    def init(key):
        g, d = nets(key)
        return {"generator": nnx.state(g, nnx.Param), "critic": nnx.state(d, nnx.Param)}, {}

    def critic_turn(params, extra, batch, keys, step):
        fake = jax.lax.stop_gradient(generate(params, normal(keys, (s.latent,))))
        judge = critic(params)
        on_real, on_fake = judge(batch["image"]), judge(fake)
        loss = critic_loss(on_real, on_fake)
        told = (jnp.mean(on_real > 0) + jnp.mean(on_fake < 0)) / 2
        return loss, (extra, {"loss/critic": loss, "critic/accuracy": told})

    def r1_turn(params, extra, batch, keys, step):
        penalty = r1_penalty(critic(params), batch["image"])
        return s.r1 * s.r1_every * penalty, (extra, {"loss/r1": penalty})

    def generator_turn(params, extra, batch, keys, step):
        loss = generator_loss(critic(params)(generate(params, normal(keys, (s.latent,)))))
        return loss, (extra, {"loss/generator": loss})

    return Method(
        init=init,
        turns=(Turn("critic", critic_turn), Turn("critic", r1_turn, s.r1_every), Turn("generator", generator_turn)),
        optim={
            "generator": optax.adam(s.generator_lr, b1=s.beta1, b2=0.99),
            "critic": optax.adam(s.critic_lr, b1=s.beta1, b2=0.99),
        },
        sample=lambda params, keys, cond: generate(params, normal(keys, (s.latent,))),
        ema={"generator": power_ema()},
    )
