"""WGAN-GP (Gulrajani 2017): a critic without sigmoid or logarithm, whose slope is held near 1 by a penalty.

The best such critic's gap, E[D(x)] - E[D(G(z))], is the Wasserstein-1 distance of photos and samples (Arjovsky 2017,
eq. 2), so unlike a discriminator's loss it says how far the generator has come. It is only as true as the critic is
good; therefore the critic plays several steps for one of the generator's.
"""

from dataclasses import dataclass

import jax
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Turn, power_ema
from prodgen_jax.methods.gan import Game, Players
from prodgen_jax.methods.gan_losses import LOSSES, gradient_penalty
from prodgen_jax.methods.precision import PrecisionSettings
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.dcgan import Discriminator, Generator

STREAM_BETWEEN = 4  # what an example's key is folded with to draw its place between a photo and a sample


@dataclass(frozen=True)
class WGANGPSettings(PrecisionSettings):
    """What `--set` reaches of a WGAN-GP."""

    latent: int = 128  # numbers in a latent vector
    width: int = 32  # channels of the widest map of both networks
    generator_lr: float = 2e-4  # Adam's step size
    critic_lr: float = 2e-4  # Adam's step size
    beta1: float = 0.0  # Adam's momentum
    beta2: float = 0.9  # Adam's memory of the gradients' sizes
    penalty: float = 10.0  # weight of the gradient penalty
    n_critic: int = 4  # critic's steps to one of the generator's; the paper's 5 does not divide a GPU's dispatch of 16
    truncation: float = 0.0  # largest size of a latent number when sampling; 0: no limit


def between(keys, real: Float[Array, "b h w c"], fake: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """A random point on the line from each photo to a generated picture. Gulrajani 2017, algorithm 1, line 6."""
    share = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, STREAM_BETWEEN)))(keys)[:, None, None, None]
    return share * real + (1 - share) * fake


def wgan_gp(settings: WGANGPSettings, spec: Spec) -> Method:
    """A WGAN-GP for pictures of `spec.size` (8, 16, 32, 64, ... px), with DCGAN's networks."""
    s = settings
    if s.n_critic < 1:
        raise InputError(f"n_critic={s.n_critic}: must be 1 or more steps")

    def build(key):
        rngs = nnx.Rngs(params=key)
        generator = Generator(spec.size, spec.channels, s.latent, s.width, rngs=rngs)
        return generator, Discriminator(spec.size, spec.channels, s.width, rngs=rngs)

    return wasserstein(settings, Players(build, precision=s.precision))


def wasserstein(settings: WGANGPSettings, players: Players) -> Method:
    """The game of a critic with gradient penalty and a generator, whatever their networks are."""
    s, game = settings, Game(players, LOSSES["wasserstein"], settings.latent)

    def critic_turn(params, extra, batch, keys, step):
        critic, real, fake, extra = game.judged(params, extra, batch, keys)
        loss = game.loss.critic(critic(real), critic(fake))
        penalty = gradient_penalty(critic, between(keys, real, fake))
        metrics = {"loss/critic": loss + s.penalty * penalty, "loss/penalty": penalty, "critic/gap": -loss}
        return loss + s.penalty * penalty, (extra, metrics)

    rates = {"generator": s.generator_lr, "critic": s.critic_lr}
    return Method(
        init=game.init,
        turns=(Turn("critic", critic_turn), Turn("generator", game.generator_turn, s.n_critic)),
        optim={group: optax.adam(rate, b1=s.beta1, b2=s.beta2) for group, rate in rates.items()},
        sample=game.sampler(s.truncation),
        ema={"generator": power_ema()},
        features=game.features(),
    )
