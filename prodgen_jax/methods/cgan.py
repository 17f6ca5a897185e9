"""A conditional GAN (Mirza & Osindero 2014): a DCGAN whose players are told attributes, any of which may be missing.

Projection critic and conditional norm (Miyato & Koyama 2018). The critic judges a photo under what is known of it, and
the generator must draw what it was told, for it is judged under the same words.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Int

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.gan import DCGANSettings, with_r1
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.nets.cgan import ConditionalDiscriminator, ConditionalGenerator
from prodgen_jax.nets.dcgan import Discriminator, Generator


@dataclass(frozen=True)
class CGANSettings(DCGANSettings):
    """What `--set` reaches of a conditional GAN: all that a DCGAN has, and these."""

    condition: tuple[str, ...] = ()  # attributes that condition the picture; none named: all of the set
    drop: float = 1.0  # largest rate at which a photo's attributes are hidden while training
    embedding: int = 64  # numbers in the vector that the generator's norms hear


def hide(keys, label: dict[str, Int[Array, "b"]], drop: float) -> dict[str, Int[Array, "b"]]:
    """Each example draws a rate from 0 to `drop`, and hides each of its attributes at that rate.

    One rate for all would hardly ever hide all of many attributes, or none. With `drop` 1 every number of hidden
    attributes is as likely as any other, so every subset is learned.
    """

    def one(key):
        k_rate, k_each = jax.random.split(key)
        return jax.random.uniform(k_each, (len(label),)) < drop * jax.random.uniform(k_rate)

    hidden = jax.vmap(one)(keys)
    return {name: jnp.where(hidden[:, i], -1, values) for i, (name, values) in enumerate(label.items())}


def attributes_of(settings: CGANSettings, spec: Spec) -> dict[str, int]:
    """{attribute: number of values} that condition. InputError where one is unknown, or there is none."""
    attributes = {name: choose(dict(spec.attributes), name, "condition") for name in settings.condition}
    if not (attributes or spec.attributes):
        raise InputError("cgan: this set has no attributes to condition on; train dcgan, or prepare it with some")
    if not 0 <= settings.drop <= 1:
        raise InputError(f"drop={settings.drop}: must be a share from 0 to 1")
    return attributes or dict(spec.attributes)


def cgan(settings: CGANSettings, spec: Spec) -> Method:
    """A conditional GAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    s, attributes = settings, attributes_of(settings, spec)

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

    def asked(n, cond):
        return ({name: cond.get(name, jnp.full(n, -1)) for name in attributes},)

    return with_r1(s, build, tuple(attributes), said=said, asked=asked)
