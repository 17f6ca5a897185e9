"""Generative adversarial networks (Goodfellow 2014) as turns of a generator and a critic.

DCGAN (Radford 2016) with the loss that `loss` names and lazy R1 (Mescheder 2018, Karras 2020).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.core import Method, Turn, power_ema
from prodgen_jax.methods.gan_losses import LOSSES, r1_penalty
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.nets.dcgan import Discriminator, Generator


@dataclass(frozen=True)
class DCGANSettings:
    """What `--set` reaches of a DCGAN."""

    latent: int = 128  # numbers in a latent vector
    width: int = 32  # channels of the widest map of both networks
    generator_lr: float = 2e-4  # Adam's step size
    critic_lr: float = 2e-4  # Adam's step size
    beta1: float = 0.5  # Adam's momentum; DCGAN's 0.5
    loss: str = "nonsaturating"  # nonsaturating, hinge, least_squares, or wasserstein (see wgan_gp for its penalty)
    r1: float = 0.2  # weight of the gradient penalty on real photos
    r1_every: int = 16  # steps between two penalties; each counts so many times as much


def normal(keys, shape: tuple[int, ...]) -> Float[Array, "b ..."]:
    """Standard normal draws of `shape` for each example's key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def dcgan(settings: DCGANSettings, spec: Spec) -> Method:
    """A DCGAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    s, loss = settings, choose(LOSSES, settings.loss, "loss")

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
        value = loss.critic(on_real, on_fake)
        told = (jnp.mean(on_real > 0) + jnp.mean(on_fake < 0)) / 2
        return value, (extra, {"loss/critic": value, "critic/accuracy": told})

    def r1_turn(params, extra, batch, keys, step):
        penalty = r1_penalty(critic(params), batch["image"])
        return s.r1 * s.r1_every * penalty, (extra, {"loss/r1": penalty})

    def generator_turn(params, extra, batch, keys, step):
        value = loss.generator(critic(params)(generate(params, normal(keys, (s.latent,)))))
        return value, (extra, {"loss/generator": value})

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
