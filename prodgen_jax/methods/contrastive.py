"""A contrastive model of photos and lines of words (CLIP, Radford 2021): what belongs together lies together.

Two networks lay photos and captions on one unit sphere. Of all captions of a step a photo must point to its own, and
of all photos a caption, so that afterwards a photo is found by words, words by a photo, and a photo by a photo.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.data.captions import TEXT
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import AXIS
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.towers import LineTower, PictureTower

FIRST, MOST = 1 / 0.07, 100.0  # of the scale that similarities are read with. Radford 2021, section 2.5


@dataclass(frozen=True)
class TowerSettings:
    """What `--set` reaches of the two towers."""

    embedding: int = 128  # numbers in a photo's or a line's embedding
    tower_width: int = 32  # channels of the picture tower's first stage
    text_width: int = 128  # numbers that describe a word
    text_depth: int = 2  # blocks of the transformer that reads the words
    tower_lr: float = 1e-3  # Adam's first step size; it falls to 0 along a cosine


def on_sphere(x: Float[Array, "b d"]) -> Float[Array, "b d"]:
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x**2, axis=-1, keepdims=True), 1e-12))


def info_nce(
    pictures: Float[Array, "b d"], lines: Float[Array, "b d"], text: Int[Array, "b n"], scale: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(loss in nats, share of photos that point to their own line), over the examples of all devices.

    Van den Oord 2018, eq. 4, both ways (Radford 2021, figure 3). A photo whose caption is the same, word for word, is
    no wrong answer and is left out, else a catalog's many blue shirts would push each other away.
    """
    b = len(text)
    every = jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), (pictures, lines, text))
    own = jax.lax.axis_index(AXIS) * b + jnp.arange(b)
    alike = (text[:, None] == every[2][None]).all(-1) & (own[:, None] != jnp.arange(len(every[2])))
    to_lines, to_pictures = (
        jnp.where(alike, -jnp.inf, scale * one @ other.T) for one, other in ((pictures, every[1]), (lines, every[0]))
    )
    losses = [optax.softmax_cross_entropy_with_integer_labels(at, own).mean() for at in (to_lines, to_pictures)]
    return sum(losses) / 2, jnp.mean(to_lines.argmax(-1) == own)


class Towers:
    """Both towers as pure functions of {group: params}. Embeddings are points of the unit sphere."""

    def __init__(self, s: TowerSettings, spec: Spec, precision: str = "fp32"):
        if not spec.words:
            raise InputError("this set has no words to read; prepare it with names or attributes")
        if spec.size % 8:
            raise InputError(f"pictures of {spec.size} px are not a multiple of 8, which the picture tower needs")
        self.s, self.spec = s, spec
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.nets = {name: opened(net, precision) for name, net in shapes.items()}

    def build(self, key) -> dict[str, nnx.Module]:
        s, spec, rngs = self.s, self.spec, nnx.Rngs(params=key)
        return {
            "picture": PictureTower(spec.size, spec.channels, s.tower_width, s.embedding, rngs=rngs),
            "line": LineTower(TEXT, spec.words, s.text_width, s.text_depth, s.embedding, rngs=rngs),
        }

    def init(self, key) -> dict:
        params = {name: nnx.state(net, nnx.Param) for name, net in self.build(key).items()}
        return {**params, "log_scale": jnp.log(jnp.float32(FIRST))}

    def picture(self, params: Mapping, x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
        return on_sphere(self.nets["picture"](params["towers"]["picture"])(x))

    def line(self, params: Mapping, text: Int[Array, "b n"]) -> Float[Array, "b d"]:
        return on_sphere(self.nets["line"](params["towers"]["line"])(text))

    def turn(self, params, extra, batch, keys, step):
        """The turn that trains them."""
        text, scale = batch["label"][TEXT], jnp.exp(jnp.minimum(params["towers"]["log_scale"], jnp.log(MOST)))
        pictures, lines = self.picture(params, batch["image"]), self.line(params, text)
        loss, right = info_nce(pictures, lines, text, scale)
        return loss, (extra, {"loss/contrastive": loss, "accuracy/match": right})
