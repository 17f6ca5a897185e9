"""Style transfer in one pass for any style: adaptive instance normalization (AdaIN, Huang & Belongie 2017).

A frozen eye looks at the content and at the style; the content's maps are given the style's mean and deviation, and a
decoder that is trained here makes a picture of them. Two things are added to the paper's, because goods are plain where
paintings are not: the decoder reads the style's statistics itself (Ghiasi 2017), and is given noise to weave with.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.data.images import to_signed
from prodgen_jax.data.styles import random_styles
from prodgen_jax.data.tasks import shrunk
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import SOURCE, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.perception import (
    EYE,
    Eye,
    EyeSettings,
    Maps,
    content_distance,
    gram,
    moments,
    roughness,
    style_distance,
)
from prodgen_jax.methods.pix2pix import absolute
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.adain import StyleDecoder

STREAM_STYLE, STREAM_NOISE = 7, 8  # what an example's key is folded with
DECODER = "decoder"

Pictures = Float[Array, "b h w 3"]


@dataclass(frozen=True)
class AdaINSettings(EyeSettings, PrecisionSettings):
    """What `--set` reaches of a style transfer."""

    width: int = 32  # channels of the decoder's finest block
    noise: int = 8  # channels of noise that each block is given
    styles: int = 512  # fabrics and papers, drawn by code in random colors, that it learns from
    style: float = 7.0  # weight of how far the result's Gram matrices are from the style's
    content: float = 0.6  # weight of how far the result's maps are from the content's with the style's statistics
    identity: float = 5.0  # weight of the mean absolute error where nothing is to be changed
    smooth: float = 0.3  # weight of the total variation
    lr: float = 1e-3  # Adam's step size
    warmup: int = 100  # steps
    clip: float = 1.0  # largest gradient norm


def adain(content: Float[Array, "b h w c"], style: Float[Array, "b i j c"]) -> Float[Array, "b h w c"]:
    """The content's map with the style's mean and deviation in each channel. Huang & Belongie 2017, eq. 8."""
    (mean, deviation), (new_mean, new_deviation) = moments(content), moments(style)
    return (content - mean) / deviation * new_deviation + new_mean


def statistics(maps: Maps) -> Float[Array, "b d"]:
    """A style as one vector: the mean and the deviation of every channel of every map."""
    return jnp.concatenate([part[:, 0, 0] for x in maps for part in moments(x)], axis=-1)


class Transfer:
    """Eye and decoder as pure functions of {group: params}."""

    def __init__(self, s: AdaINSettings, spec: Spec):
        self.s, self.spec, self.eye = s, spec, Eye(spec, s.precision, s.eye)
        self.depth = len(self.eye.levels)
        if not self.depth or spec.size % 2**self.depth:
            raise InputError(f"size={spec.size}: the pictures' side must be a multiple of {2 ** max(self.depth, 3)} px")
        self.levels = self.eye.levels[::-1][:2]  # the maps that are decoded from, coarsest first
        self.net = opened(nnx.eval_shape(lambda: self.build(jax.random.key(0))), s.precision)
        self.bank = random_styles(s.styles, spec.size, seed=0)

    def build(self, key) -> StyleDecoder:
        codes, seen = [level.width + 3 for level in self.levels], 2 * sum(self.eye.widths)
        return StyleDecoder(codes, seen, self.depth, self.s.width, self.s.noise, rngs=nnx.Rngs(params=key))

    def init(self, key) -> tuple[dict, dict]:
        own = jax.random.split(key)
        return {EYE: self.eye.init(own[0]), DECODER: nnx.state(self.build(own[1]), nnx.Param)}, {}

    def codes(self, maps: Maps) -> list[Float[Array, "b _ _ _"]]:
        """The maps that are decoded from, and beside each the picture at its size: normalization hides the colors."""
        return [jnp.concatenate([maps[i], shrunk(maps[0], smaller)], -1) for i, smaller, _ in self.levels]

    def transfer(
        self,
        params,
        keys,
        content: Maps,
        styles: list[Maps],
        shares: Float[Array, "b k"],
        strength: Float[Array, "b"],
    ) -> Pictures:
        """The content in the mix of styles. At strength 0 nothing of them is left, and no noise: an autoencoder's
        picture of the content. Huang & Belongie 2017, eq. 14 and 15, for the maps and for the look alike."""

        def mixed(own, others):
            wide = (slice(None), *[None] * (own.ndim - 1))
            mix = sum(shares[:, i][wide] * other for i, other in enumerate(others))
            return own + strength[wide] * (mix - own)

        said = [self.codes(maps) for maps in styles]
        codes = [
            mixed(own, [adain(own, other[level]) for other in said]) for level, own in enumerate(self.codes(content))
        ]
        look = mixed(statistics(content), [statistics(maps) for maps in styles])
        side = codes[0].shape[1:3]
        sides = [tuple(n * 2**i for n in side) for i in range(self.depth + 1)]
        noise = [
            strength[:, None, None, None] * normal(fold(keys, STREAM_NOISE + i), (*own, self.s.noise))
            for i, own in enumerate(sides)
        ]
        return self.net(params[DECODER])(codes[0], codes[1] if len(codes) > 1 else None, look, noise)

    def style(self, params, keys, content: Pictures, styles: Float[Array, "b k i j 3"], shares, strength) -> Pictures:
        """`Method.style`. Sides must be multiples of 2 to the number of stages, which is 8 for pictures of 32 px on.

        What the autoencoder loses of the content comes back in as far as the content is to stay, so that at strength 0
        the content is what it was.
        """
        seen = self.eye.maps(params, content)
        looked = [self.eye.maps(params, look) for look in jnp.moveaxis(styles, 1, 0)]
        made = self.transfer(params, keys, seen, looked, shares, strength)
        lost = content - self.transfer(params, keys, seen, looked, shares, jnp.zeros_like(strength))
        return jnp.clip(made + (1 - strength[:, None, None, None]) * lost, -1, 1)

    def some(self, keys) -> Pictures:
        """A style of the bank for each key."""
        place = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(self.bank)))(fold(keys, STREAM_STYLE))
        return to_signed(jnp.asarray(self.bank)[place])

    def turn(self, params, extra, batch, keys, step):
        s, photos = self.s, batch["image"]
        content, style = self.eye.maps(params, photos), self.eye.maps(params, self.some(keys))
        one, none = jnp.ones(len(photos)), jnp.zeros(len(photos))
        made = self.transfer(params, keys, content, [style], one[:, None], one)
        seen = self.eye.maps(params, made)
        styled = style_distance([gram(x) for x in seen], [gram(x) for x in style])
        kept = content_distance(seen, [adain(own, other) for own, other in zip(content, style, strict=True)])
        error = absolute(self.transfer(params, keys, content, [style], one[:, None], none), photos)
        loss = s.style * styled + s.content * kept + s.identity * error + s.smooth * roughness(made)
        return loss, (extra, {"loss": loss, "loss/style": styled, "loss/content": kept, "loss/identity": error})

    def sample(self, params, keys, cond):
        """The source (flat grey where none is said) in a style of the bank, which the key chooses."""
        content = cond.get(SOURCE, jnp.zeros((keys.shape[0], self.spec.size, self.spec.size, 3)))
        one = jnp.ones(keys.shape[0])
        return self.style(params, keys, content, self.some(keys)[:, None], one[:, None], one)


def check(s: AdaINSettings) -> None:
    """InputError where settings cannot be."""
    for name in ("style", "content", "identity", "smooth"):
        if not 0 <= getattr(s, name) < float("inf"):
            raise InputError(f"{name}={getattr(s, name)}: a weight, must be 0 or more")
    for name in ("width", "noise", "styles"):
        if getattr(s, name) < 1:
            raise InputError(f"{name}={getattr(s, name)}: must be 1 or more")


def adain_method(s: AdaINSettings, spec: Spec) -> Method:
    """A game of one, the decoder; the eye is there from the start (`training.start`)."""
    check(s)
    game = Transfer(s, spec)
    rate = optax.linear_schedule(0.0, s.lr, s.warmup)
    return Method(
        init=game.init,
        turns=(Turn(DECODER, game.turn),),
        optim={DECODER: optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(rate, b1=0.9, b2=0.99))},
        sample=game.sample,
        ema={DECODER: power_ema()},
        style=game.style,
        source=lambda photos: photos,
    )
