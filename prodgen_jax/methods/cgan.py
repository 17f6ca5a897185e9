"""A conditional GAN (Mirza & Osindero 2014): a DCGAN whose players are told attributes, any of which may be missing.

Projection critic and conditional norm (Miyato & Koyama 2018). The critic judges a photo under what is known of it, and
the generator must draw what it was told, for it is judged under the same words.
"""

from dataclasses import dataclass

from flax import nnx

from prodgen_jax.methods.conditions import asked, attributes_of, hide
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.gan import DCGANSettings, with_r1
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.cgan import ConditionalDiscriminator, ConditionalGenerator
from prodgen_jax.nets.dcgan import Discriminator, Generator


@dataclass(frozen=True)
class CGANSettings(DCGANSettings):
    """What `--set` reaches of a conditional GAN: all that a DCGAN has, and these."""

    condition: tuple[str, ...] = ()  # attributes that condition the picture; none named: all of the set
    drop: float = 1.0  # largest rate at which a photo's attributes are hidden while training
    embedding: int = 64  # numbers in the vector that the generator's norms hear


def cgan(settings: CGANSettings, spec: Spec) -> Method:
    """A conditional GAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    s = settings
    attributes = attributes_of("cgan", s.condition, s.drop, spec)

    def build(key):
        rngs = nnx.Rngs(params=key)
        generator = Generator(spec.size, spec.channels, s.latent, s.width, rngs=rngs)
        critic = Discriminator(spec.size, spec.channels, s.width, s.stddev_group, rngs=rngs)
        return (
            ConditionalGenerator(generator, attributes, s.embedding, rngs=rngs),
            ConditionalDiscriminator(critic, attributes, rngs=rngs),
        )

    def said(keys, batch):
        return (hide(keys, {name: batch["label"][name] for name in attributes}, s.drop),)

    return with_r1(s, build, tuple(attributes), said=said, asked=lambda n, cond: (asked(attributes, cond, n),))
