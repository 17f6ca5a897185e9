"""A style-based GAN (Karras 2019, 2020), small: StyleGAN's generator in the game that DCGAN plays with lazy R1.

With `condition` both players are told attributes, any of which may be missing: the generator beside its latent vector,
the critic as in `cgan`.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods.conditions import asked, attributes_of, hide
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.gan import DCGANSettings, game_with_r1, normal
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.cgan import ConditionalDiscriminator
from prodgen_jax.nets.dcgan import Discriminator
from prodgen_jax.nets.stylegan import StyleGenerator

NEVER_MIXED = 40.0  # in the place of the number that says where a second style takes over: nowhere


@dataclass(frozen=True)
class StyleGANSettings(DCGANSettings):
    """What `--set` reaches of a style-based GAN: all that a DCGAN has, and these."""

    latent: int = 128  # numbers in a latent vector, and in a style
    generator_lr: float = 1e-3  # Adam's step size
    critic_lr: float = 1e-3  # Adam's step size
    beta1: float = 0.0  # Adam's momentum
    r1: float = 0.2  # weight of the gradient penalty on real photos
    stddev_group: int = 4  # pictures whose variety the critic sees together
    mapping: int = 4  # layers from latent vector to style
    mapping_rate: float = 0.1  # their step size, as a share of the generator's
    mixing: float = 0.5  # share of generated pictures whose finer maps have another latent vector's style in training
    condition: tuple[str, ...] = ()  # attributes that condition the picture
    drop: float = 1.0  # largest rate at which a photo's attributes are hidden while training
    truncation: float = 1.0  # how far styles are from their mean when sampling, as a share; 1: as they are


def stylegan(s: StyleGANSettings, spec: Spec) -> Method:
    """A style-based GAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    for name, fits, must in (
        ("mapping", s.mapping >= 1, "be 1 or more layers"),
        ("mixing", 0 <= s.mixing <= 1, "be a share from 0 to 1"),
        ("truncation", 0 <= s.truncation <= 1, "be a share from 0 to 1"),
    ):
        if not fits:
            raise InputError(f"{name}={getattr(s, name)}: must {must}")

    attributes = attributes_of("stylegan", s.condition, s.drop, spec) if s.condition else {}

    def build(key):
        rngs = nnx.Rngs(params=key)
        shape = (spec.size, spec.channels, s.latent, s.width, s.mapping, s.mixing)
        critic = Discriminator(spec.size, spec.channels, s.width, s.stddev_group, rngs=rngs)
        if attributes:
            critic = ConditionalDiscriminator(critic, attributes, rngs=rngs)
        return StyleGenerator(*shape, attributes, rngs=rngs), critic

    def said(keys, batch):
        return (hide(keys, {name: batch["label"][name] for name in attributes}, s.drop),) if attributes else ()

    drawn = nnx.eval_shape(lambda: build(jax.random.key(0)))[0].drawn
    own = replace(s, latent=drawn, truncation=0.0)
    method, game = game_with_r1(own, build, tuple(attributes), said=said)

    def sample(params, keys, cond):
        z = normal(keys, (drawn,)).at[:, 2 * s.latent].set(NEVER_MIXED)
        label = asked(attributes, cond, len(z)) if attributes else None
        return game.players.generate(params, z, label, None if s.truncation == 1 else jnp.float32(s.truncation))

    def part(group):
        names = ("rest", "mapping")
        return jax.tree_util.tree_map_with_path(lambda path, _: names[path[0].key == "mapping"], group)

    rates = {"mapping": s.mapping_rate * s.generator_lr, "rest": s.generator_lr}
    adams = {name: optax.adam(rate, b1=s.beta1, b2=0.99) for name, rate in rates.items()}
    return replace(method, sample=sample, optim={**method.optim, "generator": optax.multi_transform(adams, part)})
