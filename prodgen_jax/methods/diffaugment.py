"""Differentiable augmentation: what a critic sees is disturbed, photos and samples alike, so that it cannot learn few
photos by heart, and the generator is not taught the disturbance. DiffAugment (Zhao 2020), ADA (Karras 2020).

It stands inside the losses, unlike `data.augment`, which changes the photos themselves: what is drawn there is learned.
Nothing leaks as long as the disturbed photos still tell which photos they came from (Karras 2020, section 2.2).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key

from prodgen_jax.errors import InputError
from prodgen_jax.methods.spec import choose

Image = Float[Array, "h w c"]


def color(key: Key[Array, ""], image: Image) -> Image:
    """Brightness by up to half of white either way, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    light, vivid, contrast = jax.random.uniform(key, (3,))
    image = image + light - 0.5
    grey = image.mean(-1, keepdims=True)
    image = grey + 2 * vivid * (image - grey)
    return image.mean() + (0.5 + contrast) * (image - image.mean())


def translation(key: Key[Array, ""], image: Image) -> Image:
    """A move by up to an eighth of the side along each axis; zeros (mid-grey) come into view.

    Rows and columns are picked by matrices with a one per row: a scatter's gradient is slow where this is a product.
    """
    height, width, _ = image.shape
    most = jnp.array([(height + 4) // 8, (width + 4) // 8])
    down, right = jax.random.randint(key, (2,), -most, most + 1)
    rows = jax.nn.one_hot(jnp.arange(height) + down, height)
    columns = jax.nn.one_hot(jnp.arange(width) + right, width)
    return jnp.einsum("ih,hwc,jw->ijc", rows, image, columns)


def cutout(key: Key[Array, ""], image: Image) -> Image:
    """A square of half the side set to zero (mid-grey); its middle lies anywhere in the picture."""
    height, width, _ = image.shape
    middle = jax.random.uniform(key, (2,)) * jnp.array([height, width])
    rows = abs(jnp.arange(height) + 0.5 - middle[0]) < height / 4
    columns = abs(jnp.arange(width) + 0.5 - middle[1]) < width / 4
    return jnp.where((rows[:, None] & columns)[:, :, None], 0.0, image)


PARTS = {"color": color, "translation": translation, "cutout": cutout}


class Adaptive(NamedTuple):
    """strength: probability of each part; sign: E[sign D(x)] on the photos of the last step, over all devices."""

    strength: Float[Array, ""]
    sign: Float[Array, ""]


@dataclass(frozen=True)
class DiffAugment:
    """parts: names of PARTS, in order of play; none leaves pictures as they are.

    target: 0 applies every part to every picture; else each is applied with a probability that follows the critic,
    so that E[sign D(x)] stays near the target, and rises from 0 to 1 in `steps` steps at the fastest.
    """

    parts: tuple[str, ...] = ()
    target: float = 0.0
    steps: int = 1

    def __post_init__(self) -> None:
        for name in self.parts:
            choose(PARTS, name, "diffaugment")
        if not 0 <= self.target < 1:
            raise InputError(f"augment_target={self.target}: must be 0 (full strength) or more, and below 1")
        if self.target and not (self.parts and self.steps > 0):
            raise InputError("augment_target needs parts to adapt (diffaugment) and augment_steps of 1 or more")

    def init(self) -> dict:
        """What is carried from step to step: {} or {"augment": Adaptive}."""
        return {"augment": Adaptive(jnp.zeros(()), jnp.zeros(()))} if self.target else {}

    def apply(self, keys: Key[Array, "b"], images: Float[Array, "b h w c"], extra: dict) -> Float[Array, "b h w c"]:
        """The pictures as the critic is to see them, each disturbed by its own key."""
        strength = extra["augment"].strength if self.target else 1.0

        def one(key: Key[Array, ""], image: Image) -> Image:
            for i, part in enumerate(self.parts):
                k_use, k_part = jax.random.split(jax.random.fold_in(key, i))
                image = jnp.where(jax.random.bernoulli(k_use, strength), PARTS[part](k_part, image), image)
            return image

        return jax.vmap(one)(keys, images) if self.parts else images

    def adapt(self, extra: dict, on_real: Float[Array, "b"]) -> tuple[dict, dict]:
        """(extra, metrics) after the critic's answers on photos. Karras 2020, eq. 1 and section 3.

        A critic that is sure of every photo (sign near 1) has begun to learn them by heart, and the strength rises. The
        step goes by the last step's sign, which has been averaged over devices; this step's is only noted.
        """
        if not self.target:
            return extra, {}
        strength, sign = extra["augment"]
        strength = jnp.clip(strength + jnp.sign(sign - self.target) / self.steps, 0.0, 1.0)
        state = Adaptive(strength, jnp.mean(jnp.sign(on_real)))
        return {**extra, "augment": state}, {"augment/strength": strength, "augment/sign": state.sign}
