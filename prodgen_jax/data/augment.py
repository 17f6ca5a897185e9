"""Augmentation on the device: training pictures only, one random key per picture.

None of it may change an attribute that a model is conditioned on: brightness and contrast move a colour, so they
are refused beside a colour attribute (contrast up to 1.8x turns navy into black).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import dm_pix as pix
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key

from prodgen_jax.errors import InputError

COLOUR_WORDS = ("colour", "color", "hue", "shade")


@dataclass(frozen=True)
class AugmentSettings:
    """What `--set` reaches of the augmentation; 0 turns a part off."""

    flip: bool = True  # mirror left to right, half of the pictures
    rotate: float = 0.0  # largest turn either way, degrees
    zoom: float = 0.0  # largest change of size either way, share of the side
    shift: float = 0.0  # largest move either way along each axis, share of the side
    brightness: float = 0.0  # largest change either way, share of full white
    contrast: float = 0.0  # largest change of the contrast factor either way, 0.2 is 0.8 to 1.2


def check_labels_survive(settings: AugmentSettings, conditions: Iterable[str]) -> None:
    """InputError where brightness or contrast would alter a colour that the model is conditioned on."""
    for name in conditions:
        if (settings.brightness or settings.contrast) and any(word in name.lower() for word in COLOUR_WORDS):
            raise InputError(
                f"brightness and contrast change the attribute '{name}' that the model is conditioned on; "
                "set both to 0 or leave that attribute out"
            )


def warp(
    key: Key[Array, ""], image: Float[Array, "h w c"], rotate: float, zoom: float, shift: float
) -> Float[Array, "h w c"]:
    """A random turn, size and move as one bilinear resampling; the border's own pixels fill what comes into view."""
    k_turn, k_zoom, k_shift = jax.random.split(key, 3)
    angle = jnp.deg2rad(rotate) * jax.random.uniform(k_turn, (), minval=-1.0)
    scale = 1 + zoom * jax.random.uniform(k_zoom, (), minval=-1.0)
    height, width, _ = image.shape
    move = shift * jnp.array([height, width]) * jax.random.uniform(k_shift, (2,), minval=-1.0)
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    matrix = jnp.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2])
    offset = jnp.append(middle - matrix[:2, :2] @ (middle + move), 0.0)
    return pix.affine_transform(image, matrix, offset=offset, order=1, mode="nearest")


def augmentation(settings: AugmentSettings) -> Callable:
    """(keys [b], images float [b h w c] in [-1, 1]) -> images, each changed by its own key."""
    s = settings

    def one(key: Key[Array, ""], image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        k_flip, k_warp, k_light, k_contrast = jax.random.split(key, 4)
        if s.flip:
            image = jnp.where(jax.random.bernoulli(k_flip), image[:, ::-1], image)
        if s.rotate or s.zoom or s.shift:
            image = warp(k_warp, image, s.rotate, s.zoom, s.shift)
        if s.brightness or s.contrast:
            light = (image + 1) / 2
            light = pix.adjust_brightness(light, s.brightness * jax.random.uniform(k_light, (), minval=-1.0))
            light = pix.adjust_contrast(light, 1 + s.contrast * jax.random.uniform(k_contrast, (), minval=-1.0))
            image = jnp.clip(light, 0, 1) * 2 - 1
        return image

    return jax.vmap(one)
